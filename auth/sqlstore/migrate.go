package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

// files are the steps of the schema, one after the other. A step that has been
// released is never changed; the next one is added.
//
//go:embed migrations/*.sql
var files embed.FS

// migrations names the steps in their order.
func migrations() []string {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		panic(err) // the pattern is a constant
	}
	return names
}

// migrate brings the schema up to date. name is the file's, for messages.
//
// Each step is a transaction that takes the write lock before it looks at the
// version. So of two processes that start at once the second waits, and then
// finds nothing to do. Where all is done already, as for the commands beside a
// gateway, nobody waits: to a busy gateway one may lose the lock for seconds.
func migrate(ctx context.Context, db *sql.DB, name string) error {
	if found, err := identify(ctx, db); err == nil && found.application == applicationID && found.version == int64(len(migrations())) {
		return nil
	}
	for {
		done, err := step(ctx, db, name)
		if err != nil || done {
			return err
		}
	}
}

// step runs the next migration, if there is one: done says that there is none.
func step(ctx context.Context, db *sql.DB, name string) (done bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() {
		if rolled := tx.Rollback(); !errors.Is(rolled, sql.ErrTxDone) {
			err = errors.Join(err, rolled)
		}
	}()
	found, err := identify(ctx, tx)
	if err != nil {
		return false, err
	}
	if err := found.accept(name); err != nil { // again: now we hold the lock
		return false, err
	}
	names, version := migrations(), found.version
	if version == int64(len(names)) {
		return true, nil
	}
	text, err := files.ReadFile(names[version])
	if err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, string(text)+fmt.Sprintf(";PRAGMA application_id = %d;PRAGMA user_version = %d", applicationID, version+1)); err != nil {
		return false, fmt.Errorf("%s: %w", names[version], err)
	}
	return false, tx.Commit()
}
