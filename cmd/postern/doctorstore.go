package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/posternhq/postern/auth/sqlstore"
	"github.com/posternhq/postern/gateway/config"
)

// clockSlack is how far clocks may be apart before the doctor speaks up.
const clockSlack = 30 * time.Second

// checkFiles looks at who else on this machine may read what is secret, and
// write what decides.
func (d *doctor) checkFiles(file *config.File) {
	store := file.Store
	found := len(d.report)
	d.checkMode(file.Path, 0o022)
	d.checkMode(store.KeyFile, 0o077)
	for _, log := range []string{file.Log.File, file.Log.AuditFile} {
		if log != "" && !strings.HasPrefix(log, "/dev/") {
			d.checkMode(log, 0o022)
		}
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		d.checkMode(store.Path+suffix, 0o077)
	}
	for _, folder := range folders(file.Path, store.KeyFile, store.Path) {
		// Who may write a folder may put another file in a file's place, unless
		// the folder is sticky, as /tmp is.
		if info, err := os.Stat(folder); err == nil && info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
			d.fail("files", "chmod o-w "+folder, "%s can be written by every user of this machine", folder)
		}
	}
	if len(d.report) == found {
		d.good("files", "nobody else can write %s, or read %s and %s", file.Path, store.Path, store.KeyFile)
	}
}

// folders are the ones that files stand in, each once.
func folders(files ...string) []string {
	var list []string
	seen := map[string]bool{}
	for _, f := range files {
		if folder := filepath.Dir(f); !seen[folder] {
			seen[folder] = true
			list = append(list, folder)
		}
	}
	return list
}

// checkMode finds the permissions of others that a file should not have. What
// is not there is another check's matter.
func (d *doctor) checkMode(path string, unwanted fs.FileMode) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		d.fail("files", "", "%v", err)
	case info.Mode().Perm()&unwanted&0o022 != 0:
		d.fail("files", "chmod go-w "+path, "%s can be written by other users (mode %v)", path, info.Mode().Perm())
	case info.Mode().Perm()&unwanted != 0:
		d.warn("files", "chmod go-rwx "+path, "%s can be read by other users (mode %v)", path, info.Mode().Perm())
	}
}

// checkStore looks into the store, and whether it and the master key belong
// together.
func (d *doctor) checkStore(ctx context.Context, conf config.StoreConfig) {
	master, keyErr := readMasterKey(conf.KeyFile)
	if info, err := os.Stat(conf.Path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		d.warn("store", "the first start makes it", "there is no store at %s yet", conf.Path)
		if keyErr != nil && !errors.Is(keyErr, fs.ErrNotExist) {
			d.fail("keys", "", "%v", keyErr)
		}
		return
	}
	found, err := sqlstore.Examine(ctx, conf.Path)
	if err != nil {
		d.fail("store", "", "%v", err)
		return
	}
	if err := found.Usable(conf.Path); err != nil {
		d.fail("store", "stop the gateway and use 'postern restore' with a backup, or the version of Postern that wrote it", "%v", err)
		return
	}
	for _, k := range found.Keys {
		d.kids = append(d.kids, k.ID)
	}
	switch {
	case found.Locked != nil:
		d.fail("store", "", "%v", found.Locked)
	case found.Schema < found.Newest:
		d.warn("store", "the next start brings it up to date; make a backup first", "%s is of schema %d, this version writes %d", conf.Path, found.Schema, found.Newest)
	default:
		d.good("store", "%s is whole, with %s", conf.Path, count(found.Accounts, "account"))
	}
	switch {
	case keyErr != nil:
		d.fail("keys", "put the file back from its backup", "%v", keyErr)
	case len(found.Keys) == 0:
		d.warn("keys", "the first start makes them", "the store has no keys yet")
	default:
		if err := master.OpensKeys(found.Keys); err != nil {
			d.fail("keys", "", "%v", err)
		} else {
			d.good("keys", "%s opens %s", conf.KeyFile, count(len(found.Keys), "key"))
		}
	}
	d.checkClock(found.LastWrite)
}

// checkClock compares the machine's clock with the store's newest time. Tokens
// are judged by this clock alone.
func (d *doctor) checkClock(newest time.Time) {
	now := d.now()
	if ahead := newest.Sub(now); ahead > clockSlack {
		d.fail("clock", "set the machine's clock right: sessions end, and keys begin, by it",
			"the store was written %s after the time that it is now, %s", ahead.Round(time.Second), now.UTC().Format(time.RFC3339))
		return
	}
	d.good("clock", "%s, and nothing in the store is newer", now.UTC().Format(time.RFC3339))
}

// oneLine is an error as a report's line takes it.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
