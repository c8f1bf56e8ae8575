package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

// raw opens a file past the store.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// run executes a statement past the store.
func run(t testing.TB, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// add makes an account with the id.
func add(t testing.TB, s auth.Store, id string) {
	t.Helper()
	if err := s.CreateAccount(context.Background(), auth.Account{ID: id, Username: "name-" + id}); err != nil {
		t.Fatalf("create account %s: %v", id, err)
	}
}

func TestOnlyItsOwnerMayReadTheFileAndItsLog(t *testing.T) {
	path := file(t)
	s := openAt(t, path)
	add(t, s, "1")
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o, want 600", filepath.Base(name), mode)
		}
	}
}

func TestCloseFoldsTheLogBackAndTheFileStaysWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a?b#c%20d e'f.db") // nothing in a name is syntax
	s := openAt(t, path)
	add(t, s, "1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 2 || left[0].Name() != filepath.Base(path) || left[1].Name() != filepath.Base(path)+"-lock" {
		t.Errorf("left beside the closed store: %v, %v", left, err)
	}
	if _, err := openAt(t, path).Account(context.Background(), "1"); err != nil {
		t.Errorf("after opening again: %v", err)
	}
}

func TestAnEmptyFileBecomesAStore(t *testing.T) {
	path := file(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	add(t, openAt(t, path), "1")
}

// steps is how many steps the schema of this version has.
func steps() int {
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		panic(fmt.Sprint("no migrations: ", err))
	}
	return len(files)
}

// fromTheFuture is what a store is refused with that knows schema 700.
func fromTheFuture() string {
	return fmt.Sprintf("postern.db was written by a newer Postern (schema 700, this one knows %d)", steps())
}

// newer makes a store as a later version of Postern would leave it.
func newer(t *testing.T, path string) {
	s := openAt(t, path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	run(t, db, `PRAGMA user_version = 700`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoStoreOfOursIsRefusedAndLeftAsItIs(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		says string
	}{
		{"a newer schema", newer, fromTheFuture()},
		{"a text", func(t *testing.T, path string) { write(t, path, strings.Repeat("listen: 127.0.0.1:8080\n", 100)) }, "postern.db is not a database"},
		{"a short text", func(t *testing.T, path string) { write(t, path, "x") }, "postern.db is not a database"},
		{"the start of a database", func(t *testing.T, path string) { write(t, path, "SQLite format 3\x00") }, "postern.db is not a database"},
		{"another program's database", func(t *testing.T, path string) {
			db := raw(t, path)
			run(t, db, `CREATE TABLE dashboards (id)`)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}, "postern.db is the database of another program"},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "postern.db is a directory, not a file"},
		{"a device", func(t *testing.T, path string) {
			if err := os.Symlink("/dev/null", path); err != nil {
				t.Fatal(err)
			}
		}, "postern.db is not a regular file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(t)
			c.make(t, path)
			refuse(t, path, c.says)
		})
	}
}

// refuse fails t unless opening path answers an error that says what is wrong,
// and leaves the folder as it is.
func refuse(t *testing.T, path, says string) {
	t.Helper()
	before := snapshot(t, filepath.Dir(path))
	s, err := sqlstore.Open(context.Background(), path)
	if err == nil {
		s.Close()
		t.Fatal("it was opened")
	}
	if !strings.Contains(err.Error(), says) || !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("got %q, want an auth.ErrUnavailable that says %q", err, says)
	}
	after := snapshot(t, filepath.Dir(path))
	if len(before) != len(after) {
		t.Errorf("files before: %d, after: %d", len(before), len(after))
	}
	for name, was := range before {
		if after[name] != was {
			t.Errorf("%s was changed", name)
		}
	}
}

// entry is what must stay the same of a file.
type entry struct {
	content string
	mode    os.FileMode
	changed time.Time
}

// snapshot reads a folder, itself included. The -shm is the readers' lock
// table: it is not data, and each reader marks its place in it.
func snapshot(t *testing.T, folder string) map[string]entry {
	t.Helper()
	found := map[string]entry{}
	names, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(names, folder) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		e := entry{mode: info.Mode(), changed: info.ModTime()}
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			e.content = string(content)
		}
		if strings.HasSuffix(name, "-shm") {
			e = entry{}
		}
		found[name] = e
	}
	return found
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADatabaseWithNothingInItBecomesAStore(t *testing.T) {
	path := file(t)
	db := raw(t, path)
	run(t, db, `PRAGMA journal_mode(WAL)`) // as another process leaves it before it migrates
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Fatalf("the file is empty: %v", err)
	}
	add(t, openAt(t, path), "1")
}

func TestTheTablesOfAnotherProgramAreSeenWhileTheyAreOnlyInTheLog(t *testing.T) {
	path := file(t)
	db := raw(t, path)
	run(t, db, `PRAGMA journal_mode(WAL)`)
	run(t, db, `CREATE TABLE dashboards (id)`)
	refuse(t, path, "postern.db is the database of another program")
}

func TestANewerSchemaIsSeenWhileItIsOnlyInTheLog(t *testing.T) {
	path := file(t)
	s := openAt(t, path)
	add(t, s, "1")
	// Another process moves on to a newer schema while the file is in use, so
	// the header on disk is still the old one.
	db := raw(t, path)
	run(t, db, `PRAGMA user_version = 700`)
	refuse(t, path, fromTheFuture())
	run(t, db, fmt.Sprintf(`PRAGMA user_version = %d`, steps()))
}

func TestAFolderThatIsMissingOrCannotBeWrittenIsNamed(t *testing.T) {
	for path, says := range map[string]string{
		filepath.Join(t.TempDir(), "missing", "postern.db"): "missing/postern.db: no such file or directory",
		"/sys/postern.db": "/sys/postern.db: permission denied", // refused to root, too
	} {
		_, err := sqlstore.Open(context.Background(), path)
		if err == nil || !strings.Contains(err.Error(), says) || !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%s: got %v, want it to say %q", path, err, says)
		}
	}
}

func TestACancelledOpenSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := sqlstore.Open(ctx, file(t)); !errors.Is(err, context.Canceled) || errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestManyMayOpenANewFileAtOnce(t *testing.T) {
	path := file(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s, err := sqlstore.Open(context.Background(), path)
			if err != nil {
				t.Errorf("opener %d: %v", i, err)
				return
			}
			defer s.Close()
			if err := s.CreateAccount(context.Background(), auth.Account{ID: string(rune('a' + i))}); err != nil {
				t.Errorf("opener %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if n, err := openAt(t, path).CountAccounts(context.Background()); n != 8 || err != nil {
		t.Errorf("%d accounts, %v", n, err)
	}
}

func TestADamagedFileIsUnavailableAndNotEmpty(t *testing.T) {
	path := file(t)
	s := openAt(t, path)
	for i := range 500 {
		add(t, s, strings.Repeat("x", 100)+string(rune(0x4e00+i)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(content[8192:], make([]byte, len(content)-8192))
	write(t, path, string(content))
	s, err = sqlstore.Open(context.Background(), path)
	if err == nil {
		defer s.Close()
		_, err = s.Accounts(context.Background())
	}
	if !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrNotFound) {
		t.Errorf("got %v, want auth.ErrUnavailable", err)
	}
}
