//go:build unix

package sqlstore

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// noFollow has a link in the place of the lock file refused.
const noFollow = syscall.O_NOFOLLOW

// tryLock locks a file, shared or alone, or answers errInUse at once.
func tryLock(file *os.File, alone bool) error {
	how := syscall.LOCK_SH
	if alone {
		how = syscall.LOCK_EX
	}
	for {
		switch err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errInUse
		default:
			return err
		}
	}
}

// ownerIn is whose a file is.
func ownerIn(info fs.FileInfo) (owner, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owner{}, false
	}
	return owner{int(stat.Uid), int(stat.Gid)}, true
}
