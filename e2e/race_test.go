//go:build race

package e2e

// raceEnabled: the binary under test is built as the tests are.
const raceEnabled = true
