package sqlstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

// asItIs prepares nothing.
func asItIs(context.Context, *sqlstore.Store) error { return nil }

// stored makes a closed store with these accounts.
func stored(t *testing.T, ids ...string) string {
	t.Helper()
	path := file(t)
	s := openAt(t, path)
	for _, id := range ids {
		add(t, s, id)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestARestoreReplacesTheStoreAndKeepsTheOldOne(t *testing.T) {
	path, from := stored(t, "1", "2", "3"), backUp(t, stored(t, "1"))
	kept, err := sqlstore.Restore(context.Background(), path, from, asItIs)
	if err != nil {
		t.Fatal(err)
	}
	if n := accounts(t, path); n != 1 {
		t.Errorf("restored %d accounts, want 1", n)
	}
	if filepath.Dir(kept) != filepath.Dir(path) {
		t.Errorf("the old store is kept at %s", kept)
	}
	if n := accounts(t, kept); n != 3 {
		t.Errorf("kept %d accounts, want 3", n)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestARestoreMakesAStoreWhereThereWasNone(t *testing.T) {
	path, from := file(t), backUp(t, stored(t, "1"))
	if kept, err := sqlstore.Restore(context.Background(), path, from, asItIs); err != nil || kept != "" {
		t.Errorf("kept %q, %v", kept, err)
	}
	if n := accounts(t, path); n != 1 {
		t.Errorf("restored %d accounts, want 1", n)
	}
}

func TestARestoreThroughALinkReplacesWhatItPointsTo(t *testing.T) {
	path, from := stored(t, "1", "2"), backUp(t, stored(t, "1"))
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, link)
	if _, err := sqlstore.Restore(context.Background(), path, from, asItIs); err == nil {
		t.Error("restored what is open under another name")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.Restore(context.Background(), link, from, asItIs); err != nil {
		t.Fatal(err)
	}
	if n := accounts(t, path); n != 1 {
		t.Errorf("restored %d accounts, want 1", n)
	}
}

// TestARestoreWhileSomebodyHasTheStoreOpenIsRefused: a gateway would go on
// writing into the file that was moved away.
func TestARestoreWhileSomebodyHasTheStoreOpenIsRefused(t *testing.T) {
	path, from := stored(t, "1", "2"), backUp(t, stored(t, "1"))
	refused := func(by string) {
		t.Helper()
		_, err := sqlstore.Restore(context.Background(), path, from, asItIs)
		if !errors.Is(err, auth.ErrUnavailable) || !strings.Contains(err.Error(), "stop it first") {
			t.Errorf("open by %s: got %v", by, err)
		}
	}
	s := openAt(t, path)
	refused("this process")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := process(t, "hold", path)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	refused("another process")
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // killed
	// The kernel has let go of what it held.
	if _, err := sqlstore.Restore(context.Background(), path, from, asItIs); err != nil {
		t.Errorf("after its end: %v", err)
	}
}

// TestARestoreThatFailsChangesNothing: at whatever step.
func TestARestoreThatFailsChangesNothing(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name    string
		make    func(t *testing.T, from string)
		prepare func(context.Context, *sqlstore.Store) error
		says    string
	}{
		{"no backup", func(*testing.T, string) {}, asItIs, "no such file"},
		{"an empty one", func(t *testing.T, from string) { write(t, from, "") }, asItIs, "is empty"},
		{"a text", func(t *testing.T, from string) { write(t, from, strings.Repeat("no database\n", 100)) }, asItIs, "is not a database"},
		{"a newer schema", newer, asItIs, fromTheFuture()},
		{"a damaged one", damaged, asItIs, "damaged"},
		{"one that is not wanted", func(t *testing.T, from string) { add(t, openAt(t, from), "1") },
			func(ctx context.Context, s *sqlstore.Store) error {
				return errors.Join(refused, s.CreateAccount(ctx, auth.Account{ID: "9"}))
			}, "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, from := stored(t, "1", "2"), file(t)
			c.make(t, from)
			before := snapshot(t, filepath.Dir(path))
			_, err := sqlstore.Restore(context.Background(), path, from, c.prepare)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want it to say %q", err, c.says)
			}
			after := snapshot(t, filepath.Dir(path))
			delete(before, filepath.Dir(path)) // its time: something was made in it, and removed
			delete(after, filepath.Dir(path))
			if len(before) != len(after) {
				t.Errorf("files before: %d, after: %d", len(before), len(after))
			}
			for name, was := range before {
				if after[name] != was {
					t.Errorf("%s was changed", name)
				}
			}
		})
	}
}

func TestAnotherProgramsDatabaseIsNotReplaced(t *testing.T) {
	path, from := file(t), backUp(t, stored(t, "1"))
	db := raw(t, path)
	run(t, db, `CREATE TABLE dashboards (id)`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.Restore(context.Background(), path, from, asItIs); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("got %v", err)
	}
}

// TestADamagedOrNewerStoreIsReplaced: that is what people restore for.
func TestADamagedOrNewerStoreIsReplaced(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T, string){"damaged": damaged, "newer": newer} {
		path, from := file(t), backUp(t, stored(t, "1"))
		spoil(t, path)
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := sqlstore.Restore(context.Background(), path, from, asItIs)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text, err := os.ReadFile(kept); err != nil || string(text) != string(was) {
			t.Errorf("%s: the old store is not what it was: %v", name, err)
		}
		if n := accounts(t, path); n != 1 {
			t.Errorf("%s: restored %d accounts, want 1", name, n)
		}
	}
}

// TestTheLogOfAKilledGatewayIsNotReadIntoTheRestoredStore: it is the old store's.
func TestTheLogOfAKilledGatewayIsNotReadIntoTheRestoredStore(t *testing.T) {
	from := backUp(t, stored(t, "1"))
	living := file(t)
	s := openAt(t, living)
	for _, id := range []string{"1", "2", "3", "4"} {
		add(t, s, id)
	}
	// As a power cut leaves them: the file, and most of it still in the log.
	path := file(t)
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(living + suffix)
		if err != nil || len(text) == 0 {
			t.Fatalf("%s%s: %d bytes, %v", living, suffix, len(text), err)
		}
		write(t, path+suffix, string(text))
	}
	kept, err := sqlstore.Restore(context.Background(), path, from, asItIs)
	if err != nil {
		t.Fatal(err)
	}
	if n := accounts(t, path); n != 1 {
		t.Errorf("restored %d accounts, want 1", n)
	}
	if n := accounts(t, kept); n != 4 {
		t.Errorf("kept %d accounts, want 4", n)
	}
}

func TestABackupOfAnOlderSchemaIsBroughtUpToDateByARestore(t *testing.T) {
	path := file(t)
	kept, err := sqlstore.Restore(context.Background(), path, backUp(t, older(t)), asItIs)
	if err != nil || kept != "" {
		t.Fatalf("kept %q, %v", kept, err)
	}
	found, err := sqlstore.Examine(context.Background(), path)
	if err != nil || found.Schema != int64(steps()) || found.Accounts != 1 {
		t.Errorf("%+v, %v", found, err)
	}
}

// older makes a store as the first release did.
func older(t *testing.T) string {
	t.Helper()
	first, err := os.ReadFile("migrations/0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := file(t)
	db := raw(t, path)
	run(t, db, string(first))
	run(t, db, `INSERT INTO accounts VALUES ('1', 'one', '', 0, '', '[]', '{}', '', 0, 7, 1000, 2000)`)
	run(t, db, `PRAGMA application_id = 0x506f7374`)
	run(t, db, `PRAGMA user_version = 1`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEndSessionsEndsThoseOfEverybodyOnce(t *testing.T) {
	s := openAt(t, file(t))
	for _, id := range []string{"a", "b"} {
		add(t, s, id)
		for _, n := range []string{"1", "2"} {
			if _, err := s.CreateSession(context.Background(), auth.Session{ID: id + n, AccountID: id, Counter: 1, Created: time.Now(), Rotated: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.RevokeSession(context.Background(), "a1", auth.RevokedForReuse, time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.EndSessions(context.Background()); n != 3 || err != nil {
		t.Errorf("ended %d, %v; want 3", n, err)
	}
	if left, err := s.Sessions(context.Background(), ""); len(left) != 0 || err != nil {
		t.Errorf("%d are live, %v", len(left), err)
	}
	row, err := s.Session(context.Background(), "a1")
	if err != nil || row.RevokedFor != auth.RevokedForReuse {
		t.Errorf("the reason of one that had ended is %q, %v", row.RevokedFor, err)
	}
}

// TestWhatRootLeavesBelongsToTheStoresOwner: commands are often run as root, and
// the gateway, which is not, must be able to open what they leave.
func TestWhatRootLeavesBelongsToTheStoresOwner(t *testing.T) {
	path, from := stored(t, "1", "2"), backUp(t, stored(t, "1"))
	if err := os.Remove(path + "-lock"); err != nil { // as a version before had none
		t.Fatal(err)
	}
	want := os.Geteuid()
	if want == 0 {
		want = 65534
		if err := os.Chown(path, want, want); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := sqlstore.Restore(context.Background(), path, from, asItIs)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-lock", kept} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != want {
			t.Errorf("%s belongs to user %d, want %d", filepath.Base(name), got, want)
		}
	}
}

func TestALockFileThatIsALinkIsNotFollowed(t *testing.T) {
	path, other := file(t), filepath.Join(t.TempDir(), "another")
	if err := os.Symlink(other, path+"-lock"); err != nil {
		t.Fatal(err)
	}
	if s, err := sqlstore.Open(context.Background(), path); err == nil {
		s.Close()
		t.Error("it was opened")
	}
	if _, err := os.Lstat(other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made behind the link: %v", err)
	}
}
