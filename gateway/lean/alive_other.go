//go:build !unix

package lean

// canPeek: see alive_unix.go.
const canPeek = false

// peek is not asked here.
func peek(uintptr) bool { return false }
