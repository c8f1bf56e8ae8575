//go:build !linux

package gateway

import (
	"os"
	"testing"
)

// asNobody runs f as a user who may read what all may.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	f()
}
