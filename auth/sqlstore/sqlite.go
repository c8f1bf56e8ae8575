package sqlstore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// applicationID stands in the header of our files ("Post"), so that the file
// of another program is not taken for an old one of ours.
const applicationID = 0x506f7374

// busyTimeout is how long a connection waits for another process' lock.
const busyTimeout = 5 * time.Second

// Open opens the store in the SQLite file at path, makes the file (mode 0600)
// when there is none or an empty one, and brings its schema up to date. Several
// processes may have it open.
//
// What is no store of ours is refused and left as it is: a directory, a file
// that is no database, another program's database, and one that a newer
// Postern wrote. The error names the file and wraps auth.ErrUnavailable, or
// the end of ctx.
func Open(ctx context.Context, path string) (*Store, error) {
	s, err := open(ctx, path, busyTimeout)
	if err != nil {
		return nil, fault("open store", explain(path, err))
	}
	return s, nil
}

// open is Open with errors as they come. wait is busyTimeout; tests wait less.
func open(ctx context.Context, path string, wait time.Duration) (*Store, error) {
	if err := inspect(ctx, path, wait); err != nil {
		return nil, err
	}
	// Made here and not by SQLite, for the mode. The -wal and -shm get the same.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	inUse, err := share(ctx, path, wait)
	if err != nil {
		return nil, err
	}
	s := &Store{Now: time.Now, maxFailures: maxFailures, group: group{lead: make(chan struct{}, 1), limit: groupLimit}, inUse: inUse}
	if err := s.connect(ctx, path, wait); err != nil {
		return nil, errors.Join(err, inUse.release())
	}
	return s, nil
}

// connect makes the two pools, once the schema is up to date.
func (s *Store) connect(ctx context.Context, path string, wait time.Duration) (err error) {
	options := []string{"_txlock=immediate", "_pragma=foreign_keys(1)", "_pragma=synchronous(FULL)", "_pragma=fullfsync(1)"}
	if s.writer, err = sql.Open("sqlite", source(path, wait, options...)); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	if err := s.prepare(ctx, path); err != nil {
		return errors.Join(err, s.writer.Close())
	}
	if s.readers, err = sql.Open("sqlite", source(path, wait, "_pragma=query_only(1)")); err != nil {
		return errors.Join(err, s.writer.Close())
	}
	n := max(4, runtime.GOMAXPROCS(0))
	s.readers.SetMaxOpenConns(n)
	s.readers.SetMaxIdleConns(n)
	if s.hotReads, err = prepareAll(ctx, s.readers, hotReads()...); err != nil {
		return errors.Join(err, s.readers.Close(), s.writer.Close())
	}
	return nil
}

// source is the data source name of path. Every connection that a pool makes
// reads it, so pragmas stand here: a PRAGMA statement reaches one connection.
func source(path string, wait time.Duration, options ...string) string {
	dsn := fmt.Sprintf("file:%s?_pragma=busy_timeout(%d)", (&url.URL{Path: path}).EscapedPath(), wait.Milliseconds())
	for _, o := range options {
		dsn += "&" + o
	}
	return dsn
}

// prepare turns on the write-ahead log, in which readers do not wait for the
// writer, runs the migrations and parses the hot statements.
func (s *Store) prepare(ctx context.Context, path string) error {
	if err := retryBusy(ctx, func() error {
		_, err := s.writer.ExecContext(ctx, `PRAGMA journal_mode(WAL)`)
		return err
	}); err != nil {
		return err
	}
	if err := migrate(ctx, s.writer, filepath.Base(path)); err != nil {
		return err
	}
	var err error
	s.hotWrites, err = prepareAll(ctx, s.writer, hotWrites()...)
	return err
}

// retryBusy runs f until it is not busy, for at most busyTimeout. SQLite does
// not wait by itself when two processes make the same new file at once.
func retryBusy(ctx context.Context, f func() error) error {
	for end := time.Now().Add(busyTimeout); ; {
		err := f()
		if code(err)&0xff != sqlite3.SQLITE_BUSY || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// inspect refuses what is no store of ours, and touches nothing. SQLite would:
// opening a database in WAL mode makes the -wal beside it, and closing it folds
// a -wal into the file.
func inspect(ctx context.Context, path string, wait time.Duration) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory, not a file", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case info.Size() == 0:
		return nil
	}
	found, err := header(path)
	if err != nil {
		return err
	}
	// After a crash, or while another process serves, page one may be in the
	// log. A read-only connection reads it and folds nothing back.
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		db, err := sql.Open("sqlite", source(path, wait, "mode=ro", "_pragma=query_only(1)"))
		if err != nil {
			return err
		}
		defer db.Close()
		if found, err = snapshot(ctx, db); err != nil {
			return err
		}
	}
	return found.accept(filepath.Base(path))
}

// foreignError says that a file is no store of ours. The advice is for who named
// it as the store.
type foreignError struct{ finding string }

func (e foreignError) Error() string {
	return e.finding + "; name another store.path, or move the file away"
}

// identity says whose database a file is.
type identity struct {
	application int64 // applicationID: ours
	version     int64 // of the schema, 0 before the first migration
	pages       int64 // of the file; the first table takes the second page
}

// header reads a database file's identity without opening the database.
// The layout: https://www.sqlite.org/fileformat2.html#the_database_header
func header(path string) (identity, error) {
	file, err := os.Open(path)
	if err != nil {
		return identity{}, err
	}
	defer file.Close()
	var page [100]byte
	if _, err := io.ReadFull(file, page[:]); err != nil || string(page[:16]) != "SQLite format 3\x00" {
		return identity{}, foreignError{path + " is not a database"}
	}
	at := func(offset int) int64 { return int64(binary.BigEndian.Uint32(page[offset:])) }
	return identity{application: at(68), version: at(60), pages: at(28)}, nil
}

// snapshot is identify in a transaction of its own.
func snapshot(ctx context.Context, db *sql.DB) (identity, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return identity{}, err
	}
	found, err := identify(ctx, tx)
	return found, errors.Join(err, tx.Rollback())
}

// identify reads a database's identity through a connection. Outside of a
// transaction a migration may be committed between two of its questions: then
// nothing but an identity that is the newest already says anything.
func identify(ctx context.Context, q querier) (i identity, err error) {
	err = errors.Join(
		q.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&i.application),
		q.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&i.version),
		q.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&i.pages))
	return i, err
}

// accept refuses a database that is not for us. One with nothing in it is: so
// it looks between another process' making the file and its first migration.
// name is the file's, for the message.
func (i identity) accept(name string) error {
	switch newest := int64(len(migrations())); {
	case i.application == 0 && i.version == 0 && i.pages <= 1:
		return nil
	case i.application != applicationID:
		return foreignError{name + " is the database of another program"}
	case i.version > newest:
		return fmt.Errorf("%s was written by a newer Postern (schema %d, this one knows %d)", name, i.version, newest)
	}
	return nil
}

// tidy leaves the statistics that the query planner wants and folds the log
// back. Another process that reads keeps the log from being emptied: no fault.
func (s *Store) tidy() error {
	ctx := context.Background()
	for _, pragma := range []string{`PRAGMA optimize`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		if _, err := s.writer.ExecContext(ctx, pragma); err != nil && code(err)&0xff != sqlite3.SQLITE_BUSY {
			return err
		}
	}
	return nil
}

// code is the SQLite result code in err, 0 when there is none.
// The low byte is the primary code: https://www.sqlite.org/rescode.html
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// explain says in words what to do about an error of opening path.
func explain(path string, err error) error {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%s cannot be written; the file and its folder must be writable, %[1]s-wal is kept beside it: %w", path, err)
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%s is damaged; restore a backup: %w", path, err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%s is locked by another process: %w", path, err)
	case 0:
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}
