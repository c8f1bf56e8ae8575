package sqlstore

import (
	"context"
	"database/sql"
)

// prepared is a transaction in which the hot statements are not parsed again:
// in SQLite parsing was half of the time of a rotation.
type prepared struct {
	*sql.Tx
	statements map[string]*sql.Stmt // of the writer, by their text
}

// hotStatements are those of a rotation, and those that an import runs for
// every account.
func hotStatements() []string {
	return []string{savepoint, rollbackTo, releasePoint, rotateSession, takeSession, selectSession, selectAccount, insertAccountRow, insertName}
}

// prepareHot prepares the hot statements on the writer's connection. It is done
// outside of any transaction, which would hold the only connection.
func (s *Store) prepareHot(ctx context.Context) error {
	s.statements = map[string]*sql.Stmt{}
	for _, text := range hotStatements() {
		statement, err := s.writer.PrepareContext(ctx, text)
		if err != nil {
			return err
		}
		s.statements[text] = statement
	}
	return nil
}

// ExecContext is sql.Tx's, without parsing a hot statement.
func (p prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if s := p.statements[query]; s != nil {
		return p.Tx.StmtContext(ctx, s).ExecContext(ctx, args...)
	}
	return p.Tx.ExecContext(ctx, query, args...)
}

// QueryRowContext is sql.Tx's, without parsing a hot statement.
func (p prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s := p.statements[query]; s != nil {
		return p.Tx.StmtContext(ctx, s).QueryRowContext(ctx, args...)
	}
	return p.Tx.QueryRowContext(ctx, query, args...)
}
