package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/posternhq/postern/auth"
)

// Store is an auth.Store in a SQLite file. It may be used by many goroutines,
// and by several processes on the same machine.
type Store struct {
	// Now is the store's clock: SQLite has none of its own, and everything
	// that opens the file runs on one machine. Default time.Now; set it before
	// the first use.
	Now func() time.Time

	writer    *sql.DB    // one connection: SQLite has one writer at a time anyway
	hotWrites statements // of writer
	readers   *sql.DB    // several connections that cannot write
	hotReads  statements // of readers
	group     group
	inUse     usage // keeps the file from being replaced under the pools

	closed bool // guarded by the group's lead

	maxFailures int    // maxFailures; tests want fewer
	counted     uint64 // failed logins since the start, guarded by the group's lead
}

var _ auth.Store = (*Store)(nil)

// querier is a transaction or a pool: whatever answers SQL.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Close waits for the write under way, folds the log back into the file and
// ends the use of the store. What comes later answers auth.ErrUnavailable.
// Closing again does nothing.
func (s *Store) Close() error {
	defer s.group.hold()()
	if s.closed {
		return nil
	}
	s.closed = true
	// The readers first: the last connection to leave is the one that folds
	// the -wal back and removes it, and only the writer may.
	return errors.Join(s.readers.Close(), s.tidy(), s.writer.Close(), s.inUse.release())
}

// now is the store's time, as it will come back from a column.
func (s *Store) now() time.Time {
	return instant(millis(s.Now()))
}

// millis is a time as a column holds it, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// instant is the time that a column holds, in UTC.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// integer is a yes or no as a column holds it.
func integer(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// fault turns what database/sql and the driver say into the errors that the
// contract of auth.Store knows. Two kinds pass as they are: an end of the
// caller's context, because the store is not at fault, and what this package
// decided itself.
func fault(verb string, err error) error {
	var conflict *auth.ConflictError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return auth.ErrNotFound
	case errors.Is(err, auth.ErrNotFound), errors.Is(err, auth.ErrUnavailable), errors.Is(err, auth.ErrLastAdmin), errors.As(err, &conflict):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", verb, err)
	}
	return fmt.Errorf("%w: %s: %w", auth.ErrUnavailable, verb, err)
}

// collect reads all rows, each with scan.
func collect[T any](rows *sql.Rows, err error, scan func(row) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// row is a *sql.Row, or the current one of *sql.Rows.
type row interface{ Scan(dest ...any) error }
