package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// openNew opens a store of its own, which is closed when the test ends.
func openNew(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// openImpatient opens a store that waits only a moment for a lock.
func openImpatient(t testing.TB, path string) *Store {
	t.Helper()
	s, err := open(context.Background(), path, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// holdLock holds the write lock, as another process does, until the connection is
// told ROLLBACK or the test ends.
func holdLock(t testing.TB, path string) *sql.DB {
	t.Helper()
	other, err := sql.Open("sqlite", source(path, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	other.SetMaxOpenConns(1)
	if _, err := other.Exec(`BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	return other
}

func TestALockThatDoesNotEndIsUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	s := openImpatient(t, path)
	other := holdLock(t, path)
	if err := s.CreateAccount(context.Background(), auth.Account{ID: "a"}); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("got %v, want auth.ErrUnavailable", err)
	}
	if _, err := s.Accounts(context.Background()); err != nil {
		t.Errorf("a reader was kept out: %v", err)
	}
	if _, err := other.Exec(`ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateAccount(context.Background(), auth.Account{ID: "a"}); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}

// Who comes while another process writes without a pause gets in, and reads: what
// is the newest already needs no lock to be looked at.
func TestAStoreIsOpenedWhileAnotherHoldsTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	first := openImpatient(t, path)
	if err := first.CreateAccount(context.Background(), auth.Account{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	holdLock(t, path)
	s := openImpatient(t, path)
	if list, err := s.Accounts(context.Background()); err != nil || len(list) != 1 {
		t.Errorf("read %v, %v", list, err)
	}
	if err := s.CreateAccount(context.Background(), auth.Account{ID: "b"}); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("got %v, want auth.ErrUnavailable", err)
	}
}

func TestAFullDiskUndoesTheWholeGroupAndSaysSo(t *testing.T) {
	s := openImpatient(t, filepath.Join(t.TempDir(), "postern.db"))
	var pages int
	if err := s.writer.QueryRow(`PRAGMA page_count`).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		if _, err := s.writer.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages + 2)
	big := string(make([]byte, 64<<10))
	release := s.group.hold() // so that they go together
	outcome := make([]error, 4)
	var all sync.WaitGroup
	for i := range outcome {
		all.Go(func() {
			a := auth.Account{ID: fmt.Sprint(i), Username: fmt.Sprint("name-", i)}
			if i == 2 {
				a.PasswordHash = big
			}
			outcome[i] = s.CreateAccount(context.Background(), a)
		})
	}
	release()
	all.Wait()

	limit(1 << 20)
	for i, err := range outcome {
		if err != nil && !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("write %d: %v", i, err)
		}
		_, absent := s.Account(context.Background(), fmt.Sprint(i))
		if (err == nil) != (absent == nil) {
			t.Errorf("write %d was answered %v, and reading it %v", i, err, absent)
		}
	}
	if outcome[2] == nil {
		t.Error("the big one fitted")
	}
	if err := s.CreateAccount(context.Background(), auth.Account{ID: "2"}); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestAReaderCannotWrite(t *testing.T) {
	s := openImpatient(t, filepath.Join(t.TempDir(), "postern.db"))
	if _, err := s.readers.Exec(`DELETE FROM accounts`); err == nil {
		t.Error("a reader wrote")
	}
}

func TestEveryConnectionHasItsPragmas(t *testing.T) {
	s := openImpatient(t, filepath.Join(t.TempDir(), "postern.db"))
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "fullfsync": "1", "foreign_keys": "1", "busy_timeout": "20",
		"application_id": fmt.Sprint(applicationID), "user_version": fmt.Sprint(len(migrations())),
	} {
		var got string
		if err := s.writer.QueryRow(`PRAGMA ` + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", pragma, got, err, want)
		}
	}
}

func TestAFailedMigrationLeavesTheSchemaBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	db, err := sql.Open("sqlite", source(path, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	// Room for the first tables of the step and not for the last.
	if _, err := db.Exec(`PRAGMA max_page_count = 5`); err != nil {
		t.Fatal(err)
	}
	if err := migrate(context.Background(), db, "postern.db"); err == nil {
		t.Fatal("it migrated")
	}
	var tables int
	if err := db.QueryRow(`SELECT count(*) FROM sqlite_schema WHERE type = 'table'`).Scan(&tables); err != nil || tables != 0 {
		t.Errorf("%d tables, %v; want none", tables, err)
	}
	if _, err := db.Exec(`PRAGMA max_page_count = 1000`); err != nil {
		t.Fatal(err)
	}
	if err := migrate(context.Background(), db, "postern.db"); err != nil {
		t.Errorf("with room: %v", err)
	}
}

func TestFaultsAreToldApart(t *testing.T) {
	conflict := &auth.ConflictError{Field: "id"}
	for _, c := range []struct{ err, is, not error }{
		{sql.ErrNoRows, auth.ErrNotFound, auth.ErrUnavailable},
		{auth.ErrNotFound, auth.ErrNotFound, auth.ErrUnavailable},
		{conflict, conflict, auth.ErrUnavailable},
		{context.Canceled, context.Canceled, auth.ErrUnavailable},
		{context.DeadlineExceeded, context.DeadlineExceeded, auth.ErrUnavailable},
		{sql.ErrConnDone, auth.ErrUnavailable, auth.ErrNotFound},
		{errors.New("anything else"), auth.ErrUnavailable, auth.ErrNotFound},
	} {
		if got := fault("test", c.err); !errors.Is(got, c.is) || errors.Is(got, c.not) {
			t.Errorf("%v became %v", c.err, got)
		}
	}
	if fault("test", nil) != nil {
		t.Error("nil became an error")
	}
}
