package sqlstore

import (
	"context"

	"github.com/posternhq/postern/auth"
)

const keyColumns = `id, purpose, generation, sealed, created, retired`

// Keys implements auth.Store.
func (s *Store) Keys(ctx context.Context) ([]auth.SealedKey, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+keyColumns+` FROM keys ORDER BY created, generation, id`)
	all, err := collect(rows, err, scanKey)
	return all, fault("list keys", err)
}

// AddKey implements auth.Store.
func (s *Store) AddKey(ctx context.Context, k auth.SealedKey) (auth.SealedKey, error) {
	var counts auth.SealedKey
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.ExecContext(ctx, `INSERT INTO keys (`+keyColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (purpose, generation) DO NOTHING`, k.ID, k.Use, k.Generation, k.Sealed, millis(k.Created), millis(k.Retired))
		if err != nil {
			return err
		}
		counts, err = scanKey(q.QueryRowContext(ctx, `SELECT `+keyColumns+` FROM keys WHERE purpose = $1 AND generation = $2`, k.Use, k.Generation))
		return err
	})
	if err != nil {
		return auth.SealedKey{}, fault("add key", err)
	}
	return counts, nil
}

// DeleteKeys implements auth.Store.
func (s *Store) DeleteKeys(ctx context.Context, ids []string) error {
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		for _, id := range ids {
			if _, err := q.ExecContext(ctx, `DELETE FROM keys WHERE id = $1`, id); err != nil {
				return err
			}
		}
		return nil
	})
	return fault("delete keys", err)
}

// scanKey reads a row of keyColumns.
func scanKey(r row) (k auth.SealedKey, err error) {
	var created, retired int64
	err = r.Scan(&k.ID, &k.Use, &k.Generation, &k.Sealed, &created, &retired)
	k.Created, k.Retired = instant(created), instant(retired)
	return k, err
}
