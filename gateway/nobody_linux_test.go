package gateway

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// asNobody runs f as a user who may read what all may. Root, who may read
// everything, is for files somebody else meanwhile, on this thread alone.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		must(t, syscall.Setfsuid(65534))
		defer func() { must(t, syscall.Setfsuid(0)) }()
	}
	f()
}
