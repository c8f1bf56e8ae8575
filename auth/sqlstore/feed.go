package sqlstore

import (
	"context"
	"time"

	"github.com/posternhq/postern/auth"
)

// Revocations implements auth.Store.
func (s *Store) Revocations(ctx context.Context, after int64) ([]auth.Revocation, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT seq, kind, subject, version, until FROM revocations
		WHERE seq > $1 AND until > $2 ORDER BY seq`, after, millis(s.now()))
	all, err := collect(rows, err, scanRevocation)
	return all, fault("read revocations", err)
}

// announce puts an entry into the feed, under the next number. It stays for as
// long as the longest access token of the session, or of the account's sessions,
// by their own terms: who revokes may be an instance that knows of no such terms.
func (s *Store) announce(ctx context.Context, q querier, r auth.Revocation) error {
	var longest int64
	err := q.QueryRowContext(ctx, `SELECT coalesce(max(access_ttl), 0) FROM sessions WHERE id = $1 OR account_id = $1`, r.ID).Scan(&longest)
	if err != nil {
		return err
	}
	if own := s.now().Add(time.Duration(longest) * time.Millisecond); longest > 0 && own.After(r.Until) {
		r.Until = own
	}
	if err := q.QueryRowContext(ctx, `UPDATE feed SET last = last + 1 RETURNING last`).Scan(&r.Seq); err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, `INSERT INTO revocations (seq, kind, subject, version, until) VALUES ($1, $2, $3, $4, $5)`,
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
