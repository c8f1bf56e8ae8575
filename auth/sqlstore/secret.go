package sqlstore

import (
	"context"

	"github.com/posternhq/postern/auth"
)

var _ auth.SecretStore = (*Store)(nil)

// Secret implements auth.SecretStore.
func (s *Store) Secret(ctx context.Context, name string) (sealed []byte, err error) {
	err = s.readers.QueryRowContext(ctx, `SELECT sealed FROM secrets WHERE name = $1`, name).Scan(&sealed)
	if err != nil {
		return nil, fault("read a secret", err)
	}
	return sealed, nil
}

// PutSecret implements auth.SecretStore.
func (s *Store) PutSecret(ctx context.Context, name string, sealed []byte) error {
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.ExecContext(ctx, `INSERT INTO secrets (name, sealed, changed) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, changed = excluded.changed`, name, sealed, millis(s.now()))
		return err
	})
	return fault("put a secret", err)
}

// DeleteSecret implements auth.SecretStore.
func (s *Store) DeleteSecret(ctx context.Context, name string) error {
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.ExecContext(ctx, `DELETE FROM secrets WHERE name = $1`, name)
		return err
	})
	return fault("delete a secret", err)
}
