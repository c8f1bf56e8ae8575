package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// errInUse says that another process has the store open, or replaces it.
var errInUse = errors.New("in use")

// usage is a hold on the lock file beside a store: shared by everybody who has
// the store open, exclusive for who replaces its file. Without it a process
// would go on writing into the file that was moved away, and what it wrote
// would be lost.
//
// It is a file of its own: closing any other descriptor of the database would
// drop the locks that SQLite holds on it. It is never removed, because a lock on
// a removed file keeps nobody out. The kernel lets go of it when the process
// ends, however that happens.
type usage struct{ file *os.File }

// share holds the store at path as one of several. It waits for a restore.
func share(ctx context.Context, path string, wait time.Duration) (usage, error) {
	for end := time.Now().Add(wait); ; {
		held, err := hold(path, false)
		if !errors.Is(err, errInUse) {
			return held, err
		}
		if time.Now().After(end) {
			return usage{}, fmt.Errorf("%s is being restored: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return usage{}, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// claim holds the store at path alone, or answers errInUse at once.
func claim(path string) (usage, error) { return hold(path, true) }

// hold takes the lock, shared or alone, and never waits: errInUse says that
// somebody else's hold rules it out. The lock file is found through links, so
// that two names of one store mean one lock.
func hold(path string, alone bool) (usage, error) {
	name := resolve(path) + "-lock"
	file, err := openLock(name, ownerOf(path))
	if err != nil {
		return usage{}, err
	}
	if err := tryLock(file, alone); err != nil {
		if !errors.Is(err, errInUse) {
			err = fmt.Errorf("lock %s: %w", name, err)
		}
		return usage{}, errors.Join(err, file.Close())
	}
	return usage{file}, nil
}

// openLock opens the lock file, or makes it. No link is followed, and what was
// there keeps its owner: the folder is the gateway's, who must not be able to
// have root give it another file.
func openLock(name string, o owner) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(name, os.O_RDWR|noFollow, 0)
	}
	if err == nil && os.Geteuid() == 0 {
		if err := file.Chown(o.user, o.group); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return file, err
}

// release lets go. A usage that holds nothing does nothing.
func (u usage) release() error {
	if u.file == nil {
		return nil
	}
	return u.file.Close()
}

// owner is whose a file is.
type owner struct{ user, group int }

// ownerOf is the owner of the store at path, or of its folder where there is
// none yet.
func ownerOf(path string) owner {
	info, err := os.Stat(path)
	if err != nil {
		info, err = os.Stat(filepath.Dir(path))
	}
	if err == nil {
		if found, ok := ownerIn(info); ok {
			return found
		}
	}
	return owner{os.Geteuid(), os.Getegid()}
}

// giveTo makes a file the owner's, when root made it: the gateway, which runs
// as somebody else, could not open what an administrator's command left.
func giveTo(o owner, file string) error {
	if os.Geteuid() != 0 || ownerOf(file) == o {
		return nil
	}
	return os.Lchown(file, o.user, o.group)
}

// resolve follows links, as SQLite does before it names the files beside a
// database: every name of a store then has the same lock.
func resolve(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
