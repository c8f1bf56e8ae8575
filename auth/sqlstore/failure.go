package sqlstore

import (
	"context"
	"time"

	"github.com/posternhq/postern/auth"
)

// maxFailures is how many counters are kept. At some 200 bytes each, with the
// index, that is 20 MiB of the file.
const maxFailures = 100_000

// sweepEvery is how many failures are counted between two looks at how many
// counters there are. Each failure makes at most three.
const sweepEvery = 256

// The places of a row in the answer of readFailures.
const (
	placePair = iota + 1
	placeNetwork
	placeName
	placeKnown
)

// readFailures is one question for all that is known about a guess: each part
// is a look-up by primary key.
const readFailures = `SELECT 1, failed, locked, ends FROM failures WHERE name = $1 AND network = $2
	UNION ALL SELECT 2, failed, locked, ends FROM failures WHERE name = '' AND network = $2
	UNION ALL SELECT 3, failed, locked, ends FROM failures WHERE name = $1 AND network = ''
	UNION ALL SELECT 4, 0, 0, seen FROM known_networks WHERE account_id = $3 AND network = $2`

// countOne adds one to a counter, or begins it anew.
const countOne = `INSERT INTO failures (name, network, failed, locked, ends) VALUES ($1, $2, 1, 0, $4)
	ON CONFLICT (name, network) DO UPDATE SET
		failed = CASE WHEN failures.ends <= $3 THEN 1 ELSE failures.failed + 1 END,
		locked = CASE WHEN failures.ends <= $3 THEN 0 ELSE failures.locked END,
		ends = CASE WHEN failures.ends <= $3 THEN $4 ELSE failures.ends END
	RETURNING failed`

// Failures implements auth.Store.
func (s *Store) Failures(ctx context.Context, g auth.Guess) (auth.Failures, error) {
	found := auth.Failures{Now: s.now()}
	rows, err := s.hotReads[readFailures].QueryContext(ctx, g.Name, g.Network, g.Account)
	_, err = collect(rows, err, func(r row) (struct{}, error) { return struct{}{}, scanFailure(r, &found) })
	if err != nil {
		return auth.Failures{}, fault("read failures", err)
	}
	return found, nil
}

// scanFailure puts a row of readFailures where it belongs, unless its time is
// over.
func scanFailure(r row, into *auth.Failures) error {
	var place int
	var t auth.Tally
	var ends int64
	if err := r.Scan(&place, &t.Failed, &t.Locked, &ends); err != nil {
		return err
	}
	t.Ends = instant(ends)
	over := !into.Now.Before(t.Ends)
	switch {
	case place == placeKnown && into.Now.Sub(t.Ends) < auth.KnownFor:
		into.Known = t.Ends
	case over: // counts for nothing
	case place == placePair:
		into.Pair = t
	case place == placeNetwork:
		into.Network = t
	case place == placeName:
		into.Name = t
	}
	return nil
}

// CountFailure implements auth.Store.
func (s *Store) CountFailure(ctx context.Context, g auth.Guess, l auth.FailureLimits) error {
	return fault("count failure", s.write(ctx, func(ctx context.Context, q querier) error {
		return s.countFailure(ctx, q, g, l)
	}))
}

// countFailure is CountFailure inside a transaction.
func (s *Store) countFailure(ctx context.Context, q querier, g auth.Guess, l auth.FailureLimits) error {
	now := s.now()
	// Always in this order, so that of two instances none waits for the other
	// in a circle.
	for _, c := range []struct {
		name, network string
		limit         int
	}{{g.Name, g.Network, l.Pair}, {"", g.Network, l.Network}, {g.Name, "", l.Name}} {
		if c.limit <= 0 {
			continue
		}
		if err := count(ctx, q, c.name, c.network, tallying{c.limit, now, l}); err != nil {
			return err
		}
	}
	return s.sweepFailures(ctx, q, now)
}

// tallying is what a counter is counted with.
type tallying struct {
	limit int
	now   time.Time
	auth.FailureLimits
}

// count counts one failure and locks at the limit.
func count(ctx context.Context, q querier, name, network string, with tallying) error {
	var failed int
	if err := q.QueryRowContext(ctx, countOne, name, network, millis(with.now), millis(with.now.Add(with.Window))).Scan(&failed); err != nil {
		return err
	}
	if failed < with.limit {
		return nil
	}
	_, err := q.ExecContext(ctx, `UPDATE failures SET locked = 1, ends = $3 WHERE name = $1 AND network = $2`,
		name, network, millis(with.now.Add(with.Duration)))
	return err
}

// sweepFailures keeps the table within bounds, at the first failure after a
// start and now and then. Endless names and addresses must not fill the disk;
// nor must they push out the counters that hold somebody back, so those with
// the fewest failures go, which are the flood itself. Some room is made at
// once: sorting is not for every time.
func (s *Store) sweepFailures(ctx context.Context, q querier, now time.Time) error {
	s.counted++
	if s.counted%sweepEvery != 1 {
		return nil
	}
	if err := dropEnded(ctx, q, now); err != nil {
		return err
	}
	var n int
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM failures`).Scan(&n); err != nil || n <= s.maxFailures {
		return err
	}
	_, err := q.ExecContext(ctx, `DELETE FROM failures WHERE (name, network) IN
		(SELECT name, network FROM failures ORDER BY locked, failed, ends LIMIT $1)`, n-s.maxFailures+s.maxFailures/10)
	return err
}

// dropEnded deletes what counts for nothing any more.
func dropEnded(ctx context.Context, q querier, now time.Time) error {
	if _, err := q.ExecContext(ctx, `DELETE FROM failures WHERE ends <= $1`, millis(now)); err != nil {
		return err
	}
	_, err := q.ExecContext(ctx, `DELETE FROM known_networks WHERE seen <= $1`, millis(now.Add(-auth.KnownFor)))
	return err
}

// RememberLogin implements auth.Store.
func (s *Store) RememberLogin(ctx context.Context, g auth.Guess) error {
	return fault("remember login", s.write(ctx, func(ctx context.Context, q querier) error {
		if _, err := q.ExecContext(ctx, `DELETE FROM failures WHERE name = $1 AND network = $2`, g.Name, g.Network); err != nil {
			return err
		}
		if g.Network == auth.UnknownNetwork {
			return nil // all who come that way would be one address
		}
		if _, err := q.ExecContext(ctx, `INSERT INTO known_networks (account_id, network, seen) SELECT id, $2, $3 FROM accounts WHERE id = $1
			ON CONFLICT (account_id, network) DO UPDATE SET seen = excluded.seen`, g.Account, g.Network, millis(s.now())); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, `DELETE FROM known_networks WHERE account_id = $1 AND network NOT IN
			(SELECT network FROM known_networks WHERE account_id = $1 ORDER BY seen DESC, network LIMIT $2)`, g.Account, auth.MaxKnown)
		return err
	}))
}

// Locks implements auth.Store.
func (s *Store) Locks(ctx context.Context, name string) ([]auth.Lock, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT network, ends FROM failures
		WHERE name = $1 AND name <> '' AND locked = 1 AND ends > $2 ORDER BY network`, name, millis(s.now()))
	all, err := collect(rows, err, func(r row) (l auth.Lock, err error) {
		var ends int64
		err = r.Scan(&l.Network, &ends)
		l.Until = instant(ends)
		return l, err
	})
	return all, fault("list locks", err)
}

// ForgetFailures implements auth.Store.
func (s *Store) ForgetFailures(ctx context.Context, name, network string) (int, error) {
	var n int64
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		done, err := q.ExecContext(ctx, `DELETE FROM failures WHERE name = $1 AND name <> '' OR name = '' AND network = $2 AND network <> ''`, name, network)
		if err == nil {
			n, err = done.RowsAffected()
		}
		return err
	})
	return int(n), fault("forget failures", err)
}
