package sqlstore

import (
	"context"
	"database/sql"
)

// statements are those that are not parsed again, by their text: in SQLite
// parsing was half of the time of a rotation, and of what a login asks.
type statements map[string]*sql.Stmt

// prepareAll prepares statements on the connections of a pool. It is done outside
// of any transaction, which would hold the writer's only connection.
func prepareAll(ctx context.Context, db *sql.DB, texts ...string) (statements, error) {
	all := statements{}
	for _, text := range texts {
		statement, err := db.PrepareContext(ctx, text)
		if err != nil {
			return nil, err
		}
		all[text] = statement
	}
	return all, nil
}

// hotWrites are the statements of a rotation and of a login, right or wrong, and
// those that an import runs for every account.
func hotWrites() []string {
	return []string{savepoint, rollbackTo, releasePoint, rotateSession, takeSession, selectSession, selectAccount,
		insertSession, countOne, insertAccountRow, insertName}
}

// hotReads are what a login asks. That a name is nobody's must not take longer to
// find out than that it is somebody's, so both are here.
func hotReads() []string { return []string{selectNamed, selectFrom, readFailures} }

// prepared is a transaction in which the hot statements are not parsed again.
type prepared struct {
	*sql.Tx
	hot statements // of the writer
}

// ExecContext is sql.Tx's, without parsing a hot statement.
func (p prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if s := p.hot[query]; s != nil {
		return p.Tx.StmtContext(ctx, s).ExecContext(ctx, args...)
	}
	return p.Tx.ExecContext(ctx, query, args...)
}

// QueryRowContext is sql.Tx's, without parsing a hot statement.
func (p prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s := p.hot[query]; s != nil {
		return p.Tx.StmtContext(ctx, s).QueryRowContext(ctx, args...)
	}
	return p.Tx.QueryRowContext(ctx, query, args...)
}
