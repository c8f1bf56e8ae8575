package sqlstore

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// noFollow is nothing here: making a link takes an administrator.
const noFollow = 0

// tryLock locks a file, shared or alone, or answers errInUse at once.
func tryLock(file *os.File, alone bool) error {
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if alone {
		how |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(file.Fd()), how, 0, 1, 0, &windows.Overlapped{})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errInUse
	}
	return err
}

// ownerIn is not told by a number here.
func ownerIn(fs.FileInfo) (owner, bool) { return owner{}, false }
