package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/posternhq/postern/auth"
)

// Backup writes a copy of the store at path into the new file to, mode 0600,
// also while others read and write: it holds what was committed when it began,
// and nothing by halves. The copy is opened and checked before Backup answers,
// and is on the disk by then. A file that is there already is refused and left
// as it is; after an error there is no file.
//
// The store is copied as it is: it is not brought up to this version's schema,
// so that a new Postern can back up the store of the one before.
func Backup(ctx context.Context, path, to string) error {
	err := backup(ctx, path, to)
	var wrong *targetError
	if errors.As(err, &wrong) {
		return wrong // the caller's mistake: nothing ails the store
	}
	return fault("back up the store", explain(path, err))
}

// backup holds the store against a restore while it copies; other processes read
// and write on. The store is opened for writing, though nothing is written to it:
// SQLite must be able to recover a WAL that a crash left behind.
func backup(ctx context.Context, path, to string) (err error) {
	if err := mustBeOurs(ctx, path); err != nil {
		return err
	}
	inUse, err := share(ctx, path, busyTimeout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inUse.release()) }()
	return copyStore(ctx, source(path, busyTimeout, "mode=rw"), to)
}

// targetError says why a copy cannot be made where the caller wants it.
type targetError struct{ error }

// Unwrap lets callers see whether something is there already.
func (e *targetError) Unwrap() error { return e.error }

// mustBeOurs is inspect for a file that has to be a store already.
func mustBeOurs(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := inspect(ctx, path, busyTimeout); err != nil {
		return err
	}
	if info.Size() == 0 {
		return fmt.Errorf("%s is empty", path)
	}
	return nil
}

// copyStore copies the database behind a data source name into a new file, and
// proves the copy. SQLite copies in one read transaction, which holds up no
// writer, and leaves out what was deleted.
func copyStore(ctx context.Context, dsn, to string) (err error) {
	// Made here for the mode, and so that of two copies to one name one is
	// refused. SQLite takes an empty file for a new one.
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &targetError{fmt.Errorf("%s is there already, and is not overwritten: %w", to, err)}
	}
	if err != nil {
		return &targetError{fmt.Errorf("make the copy: %w", err)}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(to))
		}
	}()
	if err := file.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `VACUUM INTO $1`, to); err != nil {
		return errors.Join(fmt.Errorf("copy into %s: %w", to, err), db.Close())
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := settleFile(to); err != nil {
		return err
	}
	found, err := examine(ctx, source(to, busyTimeout, "mode=ro", "_pragma=query_only(1)"))
	if err == nil {
		err = found.Usable(to)
	}
	return err
}

// settleFile has a file and its name written to the disk.
func settleFile(path string) error {
	for _, name := range []string{path, filepath.Dir(path)} {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Examination is what Examine found in a store.
type Examination struct {
	Schema, Newest int64            // the file's version, and the one that this program knows
	Damage         []string         // what SQLite's own check says; empty: nothing
	Accounts       int              // how many there are
	Keys           []auth.SealedKey // all of them
	LastWrite      time.Time        // the newest time in a row; zero: no row
	Locked         error            // why nothing can be written; nil: it can

	identity identity
}

// Examine reads a store through and changes nothing: not even its schema. A file
// that is no store, or that this program cannot read, is an error.
func Examine(ctx context.Context, path string) (e Examination, err error) {
	defer func() { err = fault("examine the store", explain(path, err)) }()
	if err = mustBeOurs(ctx, path); err != nil {
		return e, err
	}
	inUse, err := share(ctx, path, busyTimeout)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, inUse.release()) }()
	e, err = examine(ctx, source(path, busyTimeout, "mode=rw", "_pragma=query_only(1)"))
	if err == nil && e.Usable(path) == nil {
		e.Locked = explain(path, tryWrite(ctx, path))
	}
	return e, err
}

// tryWrite begins to write, and takes it back.
func tryWrite(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", source(path, busyTimeout, "mode=rw", "_txlock=immediate"))
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE feed SET last = last`)
	return errors.Join(err, tx.Rollback())
}

// examine is Examine for a data source name. The rows are read in the schema
// that the file has: what stands here has been there from the first step on.
func examine(ctx context.Context, dsn string) (e Examination, err error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil) // one state of the store for all questions
	if err != nil {
		return e, err
	}
	defer tx.Rollback()
	if e.identity, err = identify(ctx, tx); err != nil {
		return e, err
	}
	e.Schema, e.Newest = e.identity.version, int64(len(migrations()))
	for _, pragma := range []string{`PRAGMA integrity_check`, `SELECT "table" || ' has a row without its account' FROM pragma_foreign_key_check`} {
		rows, err := tx.QueryContext(ctx, pragma)
		lines, err := collect(rows, err, func(r row) (line string, err error) { return line, r.Scan(&line) })
		if err != nil {
			return e, err
		}
		for _, line := range lines {
			if line != "ok" {
				e.Damage = append(e.Damage, line)
			}
		}
	}
	if e.Schema == 0 || len(e.Damage) > 0 {
		return e, nil
	}
	var last int64
	err = tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM accounts), max(
		(SELECT coalesce(max(updated), 0) FROM accounts), (SELECT coalesce(max(last_seen), 0) FROM sessions),
		(SELECT coalesce(max(created), 0) FROM keys))`).Scan(&e.Accounts, &last)
	if err != nil {
		return e, err
	}
	e.LastWrite = instant(last)
	rows, err := tx.QueryContext(ctx, `SELECT `+keyColumns+` FROM keys ORDER BY created, generation, id`)
	e.Keys, err = collect(rows, err, scanKey)
	return e, err
}

// Usable is nil, or why this program cannot work with the store in that file.
func (e Examination) Usable(path string) error {
	if err := e.identity.accept(filepath.Base(path)); err != nil {
		return err
	}
	if e.Schema == 0 {
		return fmt.Errorf("%s is a database with nothing in it", path)
	}
	if len(e.Damage) > 0 {
		return fmt.Errorf("%s is damaged: %s", path, strings.Join(e.Damage, "; "))
	}
	return nil
}
