package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/posternhq/postern/auth"
)

// Restore puts a copy of the store in the file from into the place of the one at
// path. kept is where the store that was there is now, "" when there was none.
// from is only read.
//
// All is done on the copy first: it is checked, brought up to this version's
// schema, and handed to prepare. Then one rename puts it in place, so that
// there is a whole store at path at every moment. After an error the old one is
// there as it was.
//
// While anybody has the store at path open it is refused.
func Restore(ctx context.Context, path, from string, prepare func(context.Context, *Store) error) (kept string, err error) {
	path = resolve(path)
	alone, err := claim(path)
	if errors.Is(err, errInUse) {
		return "", fmt.Errorf("%w: a gateway or another postern command has %s open: stop it first, then restore", auth.ErrUnavailable, path)
	}
	if err != nil {
		return "", fault("restore the store", err)
	}
	kept, err = restore(ctx, path, from, prepare)
	return kept, errors.Join(err, alone.release())
}

// restore is Restore for who has claimed path.
func restore(ctx context.Context, path, from string, prepare func(context.Context, *Store) error) (kept string, err error) {
	if err := mayReplace(ctx, path, from); err != nil {
		return "", fault("restore the store", err)
	}
	folder, err := os.MkdirTemp(filepath.Dir(path), ".postern-restore-*") // mode 0700
	if err != nil {
		return "", fault("restore the store", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	staged := filepath.Join(folder, "postern.db")
	if err := stage(ctx, from, staged, prepare); err != nil {
		return "", err
	}
	if err := giveTo(ownerOf(path), staged); err != nil {
		return "", fault("restore the store", err)
	}
	kept, err = exchange(ctx, path, staged, time.Now())
	return kept, fault("restore the store", err)
}

// mayReplace refuses what must not be replaced, and what cannot replace it. A
// store that is damaged or of a newer version is what people restore for.
func mayReplace(ctx context.Context, path, from string) error {
	var foreign foreignError
	switch err := mustBeOurs(ctx, from); {
	case errors.As(err, &foreign):
		return fmt.Errorf("%s; name a file that 'postern backup' made", foreign.finding)
	case err != nil:
		return explain(from, err)
	}
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !there.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file: name another store.path", path)
	}
	if backup, err := os.Stat(from); err != nil || os.SameFile(there, backup) {
		return errors.Join(err, fmt.Errorf("%s is the store itself: name a backup of it", from))
	}
	if found, err := header(path); err == nil && found.application != applicationID && found.pages > 1 {
		return found.accept(filepath.Base(path))
	}
	return nil
}

// stage makes the store that is to be put in place.
func stage(ctx context.Context, from, staged string, prepare func(context.Context, *Store) error) error {
	if err := copyStore(ctx, source(from, busyTimeout, "mode=ro"), staged); err != nil {
		return fault("read the backup", explain(from, err))
	}
	s, err := open(ctx, staged, busyTimeout)
	if err != nil {
		return fault("open the backup", err)
	}
	if err := errors.Join(prepare(ctx, s), s.Close()); err != nil {
		return err
	}
	// With a log left beside it the file alone would not be the store.
	if log, err := os.Stat(staged + "-wal"); err == nil && log.Size() > 0 {
		return fault("fold the log of the backup back", errors.New("something has it open"))
	}
	return fault("write the store", settleFile(staged))
}

// exchange puts the staged store in the place of the one at path and keeps that.
// The old one is never moved: it gets a second name, and the rename takes the
// first from it.
func exchange(ctx context.Context, path, staged string, now time.Time) (kept string, err error) {
	kept = path + ".before-restore-" + now.UTC().Format("20060102T150405.000Z")
	moved, err := keep(path, kept)
	if err != nil {
		return "", errors.Join(fmt.Errorf("keep the old store: %w", err), moved.undo())
	}
	fold(ctx, path)
	if log, err := os.Stat(kept + "-wal"); err == nil && log.Size() == 0 {
		if err := os.Remove(kept + "-wal"); err != nil { // it was folded: kept is whole
			return "", errors.Join(err, moved.undo())
		}
	}
	// A log of the old store would be read into the new one.
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", errors.Join(err, moved.undo())
		}
	}
	if err := os.Rename(staged, path); err != nil {
		return "", errors.Join(err, moved.undo())
	}
	if len(moved) == 0 {
		kept = ""
	}
	return kept, settleFile(path)
}

// fold takes the log of a store that was not closed back into its file, so that
// one file is the whole of it. It may fail, and SQLite may even throw the log of
// a damaged file away: the log's second name keeps it.
func fold(ctx context.Context, path string) {
	if log, err := os.Stat(path + "-wal"); err != nil || log.Size() == 0 {
		return
	}
	db, err := sql.Open("sqlite", source(path, busyTimeout, "mode=rw"))
	if err != nil {
		return
	}
	_, _ = db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	_ = db.Close() // a log that stays is kept
}

// links are the second names that files got: the new one, then the old.
type links [][2]string

// keep gives the store at path, with its log, a second name. What is not there
// has none.
func keep(path, kept string) (links, error) {
	var done links
	for _, suffix := range []string{"", "-wal", "-journal"} {
		switch err := os.Link(path+suffix, kept+suffix); {
		case err == nil:
			done = append(done, [2]string{kept + suffix, path + suffix})
		case errors.Is(err, fs.ErrNotExist):
		default:
			return done, err
		}
	}
	return done, nil
}

// undo takes the second names away again, once the first ones are back.
func (l links) undo() error {
	var errs []error
	for _, pair := range l {
		err := os.Link(pair[0], pair[1])
		if err == nil || errors.Is(err, fs.ErrExist) {
			err = os.Remove(pair[0])
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // folded, and gone
			errs = append(errs, fmt.Errorf("the old %s is %s now: %w", pair[1], pair[0], err))
		}
	}
	return errors.Join(errs...)
}

// EndSessions revokes every live session of every account, and says how many
// there were. It records nothing in the feed: whoever calls it takes the keys
// that signed their access tokens away, while nobody serves from the store.
func (s *Store) EndSessions(ctx context.Context) (int, error) {
	var n int64
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		done, err := q.ExecContext(ctx, `UPDATE sessions SET revoked = $1 WHERE revoked = 0`, millis(s.now()))
		if err != nil {
			return err
		}
		n, err = done.RowsAffected()
		return err
	})
	return int(n), fault("end the sessions", err)
}
