package sqlstore

import (
	"context"

	"github.com/posternhq/postern/auth"
)

// Revocations implements auth.Store.
func (s *Store) Revocations(ctx context.Context, after int64) ([]auth.Revocation, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT seq, kind, subject, version, until FROM revocations
		WHERE seq > $1 AND until > $2 ORDER BY seq`, after, millis(s.now()))
	all, err := collect(rows, err, scanRevocation)
	return all, fault("read revocations", err)
}

// announce puts an entry into the feed, under the next number.
func announce(ctx context.Context, q querier, r auth.Revocation) error {
	if err := q.QueryRowContext(ctx, `UPDATE feed SET last = last + 1 RETURNING last`).Scan(&r.Seq); err != nil {
		return err
	}
	_, err := q.ExecContext(ctx, `INSERT INTO revocations (seq, kind, subject, version, until) VALUES ($1, $2, $3, $4, $5)`,
		r.Seq, r.Kind, r.ID, r.Version, millis(r.Until))
	return err
}

// scanRevocation reads a row of the feed.
func scanRevocation(r row) (v auth.Revocation, err error) {
	var until int64
	err = r.Scan(&v.Seq, &v.Kind, &v.ID, &v.Version, &until)
	v.Until = instant(until)
	return v, err
}
