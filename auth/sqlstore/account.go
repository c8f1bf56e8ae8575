package sqlstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/posternhq/postern/auth"
)

const accountColumns = `accounts.id, accounts.username, accounts.email, accounts.email_verified, accounts.name, accounts.roles,
	accounts.fields, accounts.password_hash, accounts.disabled, accounts.version, accounts.created, accounts.updated`

const (
	insertAccountRow = `INSERT INTO accounts (id, username, email, email_verified, name, roles, fields, password_hash, disabled, version, created, updated)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO NOTHING`
	insertName = `INSERT INTO names (name, account_id) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
)

const (
	selectAccount = `SELECT ` + accountColumns + ` FROM accounts WHERE id = $1`
	selectNamed   = `SELECT ` + accountColumns + ` FROM accounts JOIN names ON names.account_id = accounts.id WHERE names.name = $1`
	selectFrom    = `SELECT ` + accountColumns + ` FROM accounts WHERE id >= $1 ORDER BY id LIMIT 1`
)

// CreateAccount implements auth.Store.
func (s *Store) CreateAccount(ctx context.Context, a auth.Account) error {
	return fault("create account", s.write(ctx, func(ctx context.Context, q querier) error {
		who, err := subscribers(ctx, q)
		if err != nil {
			return err
		}
		return s.insertAccount(ctx, q, who, a)
	}))
}

// CreateAccounts implements auth.Store. The accounts are one write, so that
// whoever waits behind it waits once; ctx is looked at between them, since a
// long list is worth giving up.
func (s *Store) CreateAccounts(ctx context.Context, accounts []auth.Account) error {
	return fault("create accounts", s.write(ctx, func(lasting context.Context, q querier) error {
		var all auth.ConflictsError
		who, err := subscribers(lasting, q)
		if err != nil {
			return err
		}
		for i, a := range accounts {
			if err := ctx.Err(); err != nil {
				return err
			}
			// One in conflict may leave some of its names behind for the rest of
			// the list. It does not matter: the write is undone then.
			var taken *auth.ConflictError
			switch err := s.insertAccount(lasting, q, who, a); {
			case errors.As(err, &taken):
				all.Conflicts = append(all.Conflicts, auth.Conflict{Index: i, Field: taken.Field})
			case err != nil:
				return err
			}
		}
		if len(all.Conflicts) > 0 {
			return &all
		}
		return nil
	}))
}

// Account implements auth.Store.
func (s *Store) Account(ctx context.Context, id string) (auth.Account, error) {
	a, err := accountByID(ctx, s.readers, id)
	return a, fault("read account", err)
}

// AccountFrom implements auth.Store.
func (s *Store) AccountFrom(ctx context.Context, id string) (auth.Account, error) {
	a, err := scanAccount(s.hotReads[selectFrom].QueryRowContext(ctx, id))
	return a, fault("read an account from an id on", err)
}

// FindAccount implements auth.Store.
func (s *Store) FindAccount(ctx context.Context, name string) (auth.Account, error) {
	a, err := scanAccount(s.hotReads[selectNamed].QueryRowContext(ctx, auth.Fold(name)))
	return a, fault("find account", err)
}

// Accounts implements auth.Store.
func (s *Store) Accounts(ctx context.Context) ([]auth.Account, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+accountColumns+` FROM accounts`)
	all, err := collect(rows, err, scanAccount)
	// Sorted here and not in SQL: what comes before what is a matter of
	// collation, and each engine has its own.
	folded := make(map[string]string, len(all))
	for _, a := range all {
		folded[a.ID] = auth.Fold(a.Username)
	}
	slices.SortFunc(all, func(a, b auth.Account) int {
		return cmp.Or(cmp.Compare(folded[a.ID], folded[b.ID]), cmp.Compare(a.ID, b.ID))
	})
	return all, fault("list accounts", err)
}

// UpdateAccount implements auth.Store. The id, the version and the creation
// are the store's: what Change writes there is dropped.
func (s *Store) UpdateAccount(ctx context.Context, id string, u auth.AccountUpdate) (auth.Account, error) {
	var a auth.Account
	var refused error // by Change: returned as it is
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		old, err := accountByID(ctx, q, id)
		if err != nil {
			return err
		}
		a = old
		a.Roles = slices.Clone(old.Roles) // Change may write into the slice, and into the fields
		a.Fields = maps.Clone(old.Fields)
		for name, values := range old.Fields {
			a.Fields[name] = slices.Clone(values)
		}
		if refused = u.Change(&a); refused != nil {
			return refused
		}
		a.ID, a.Version, a.Created, a.Updated = old.ID, old.Version, old.Created, s.now()
		if u.KeepAdmin && !a.Administers() {
			if err := replaceable(ctx, q, old); err != nil {
				return err
			}
		}
		return s.replaceAccount(ctx, q, old, &a, u)
	})
	if refused != nil {
		return auth.Account{}, refused
	}
	if err != nil {
		return auth.Account{}, fault("update account", err)
	}
	return a, nil
}

// DeleteAccount implements auth.Store.
func (s *Store) DeleteAccount(ctx context.Context, id string, r auth.Removal) error {
	return fault("delete account", s.write(ctx, func(ctx context.Context, q querier) error {
		a, err := accountByID(ctx, q, id)
		if err != nil {
			return err
		}
		if r.KeepAdmin {
			if err := replaceable(ctx, q, a); err != nil {
				return err
			}
		}
		if _, err := s.endSessions(ctx, q, id, "", r.Until); err != nil {
			return err
		}
		// One above the last version: everything the account was ever given.
		if err := s.announce(ctx, q, auth.Revocation{Kind: auth.RevokeAccountTokens, ID: id, Version: a.Version + 1, Until: r.Until}); err != nil {
			return err
		}
		if _, err := q.ExecContext(ctx, `DELETE FROM accounts WHERE id = $1`, id); err != nil {
			return err
		}
		who, err := subscribers(ctx, q)
		if err != nil {
			return err
		}
		return s.post(ctx, q, who, auth.AccountDeleted, a)
	}))
}

// CountAccounts implements auth.Store.
func (s *Store) CountAccounts(ctx context.Context) (int, error) {
	var n int
	err := s.readers.QueryRowContext(ctx, `SELECT count(*) FROM accounts`).Scan(&n)
	return n, fault("count accounts", err)
}

// CountRoleHolders implements auth.Store.
func (s *Store) CountRoleHolders(ctx context.Context) (map[string]int, error) {
	// Few combinations of roles exist, however many accounts do.
	type holders struct {
		roles []string
		count int
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT roles, count(*) FROM accounts GROUP BY roles`)
	all, err := collect(rows, err, func(r row) (h holders, err error) {
		var text string
		if err := r.Scan(&text, &h.count); err != nil {
			return h, err
		}
		return h, json.Unmarshal([]byte(text), &h.roles)
	})
	if err != nil {
		return nil, fault("count role holders", err)
	}
	counts := map[string]int{}
	for _, h := range all {
		slices.Sort(h.roles)
		for _, role := range slices.Compact(h.roles) {
			counts[role] += h.count
		}
	}
	return counts, nil
}

// insertAccount adds the row, its names and its news.
func (s *Store) insertAccount(ctx context.Context, q querier, who []auth.Subscriber, a auth.Account) error {
	values, err := accountValues(a)
	if err != nil {
		return err
	}
	done, err := q.ExecContext(ctx, insertAccountRow, values...)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return cmp.Or(err, error(&auth.ConflictError{Field: "id"}))
	}
	if err := insertNames(ctx, q, a); err != nil {
		return err
	}
	return s.post(ctx, q, who, auth.AccountCreated, a)
}

// replaceAccount writes the changed account over the old one, with everything
// that the change ends.
func (s *Store) replaceAccount(ctx context.Context, q querier, old auth.Account, a *auth.Account, u auth.AccountUpdate) error {
	passwordChanged := a.PasswordHash != old.PasswordHash && !u.SamePassword
	becameDisabled := a.Disabled && !old.Disabled
	if passwordChanged || a.Disabled != old.Disabled || !slices.Equal(a.Roles, old.Roles) || u.Outdates != nil && u.Outdates(old, *a) {
		a.Version++
		if err := s.announce(ctx, q, auth.Revocation{Kind: auth.RevokeAccountTokens, ID: a.ID, Version: a.Version, Until: u.Until}); err != nil {
			return err
		}
	}
	if passwordChanged || becameDisabled {
		if _, err := s.endSessions(ctx, q, a.ID, u.Keep, u.Until); err != nil {
			return err
		}
	}
	values, err := accountValues(*a)
	if err != nil {
		return err
	}
	if _, err := q.ExecContext(ctx, `UPDATE accounts SET username = $2, email = $3, email_verified = $4, name = $5, roles = $6, fields = $7,
		password_hash = $8, disabled = $9, version = $10, created = $11, updated = $12 WHERE id = $1`, values...); err != nil {
		return err
	}
	if err := replaceNames(ctx, q, *a); err != nil {
		return err
	}
	return s.postChange(ctx, q, old, *a)
}

// replaceNames claims all names anew: the account cannot be in its own way then.
func replaceNames(ctx context.Context, q querier, a auth.Account) error {
	if _, err := q.ExecContext(ctx, `DELETE FROM names WHERE account_id = $1`, a.ID); err != nil {
		return err
	}
	return insertNames(ctx, q, a)
}

// replaceable is ErrLastAdmin of the one account that can administer. Of two
// administrators who remove each other the second sees what the first has done: a
// write is alone here. (PostgreSQL will have to lock the rows that are read.)
func replaceable(ctx context.Context, q querier, a auth.Account) error {
	if !a.Administers() {
		return nil
	}
	// Few combinations of roles exist. Which of them hold the role is judged in
	// Go: they are JSON, and LIKE would find it in another role's name.
	rows, err := q.QueryContext(ctx, `SELECT DISTINCT roles FROM accounts WHERE id <> $1 AND disabled = 0`, a.ID)
	others, err := collect(rows, err, func(r row) (a auth.Account, err error) {
		var text string
		if err := r.Scan(&text); err != nil {
			return a, err
		}
		return a, json.Unmarshal([]byte(text), &a.Roles)
	})
	if err == nil && !slices.ContainsFunc(others, auth.Account.Administers) {
		return auth.ErrLastAdmin
	}
	return err
}

// insertNames claims the account's names. Two of them may be the same (a
// username that is the e-mail); one of another account's is a conflict.
func insertNames(ctx context.Context, q querier, a auth.Account) error {
	claimed := map[string]bool{"": true} // no name is nobody's
	for _, n := range []struct{ field, name string }{{"id", a.ID}, {"username", a.Username}, {"email", a.Email}} {
		folded := auth.Fold(n.name)
		if claimed[folded] {
			continue
		}
		claimed[folded] = true
		done, err := q.ExecContext(ctx, insertName, folded, a.ID)
		if err != nil {
			return err
		}
		if n0, err := done.RowsAffected(); err != nil || n0 == 0 {
			return cmp.Or(err, error(&auth.ConflictError{Field: n.field}))
		}
	}
	return nil
}

// accountByID reads an account, sql.ErrNoRows when there is none.
func accountByID(ctx context.Context, q querier, id string) (auth.Account, error) {
	return scanAccount(q.QueryRowContext(ctx, selectAccount, id))
}

// accountValues are the columns of a, in accountColumns' order.
func accountValues(a auth.Account) ([]any, error) {
	if a.Roles == nil {
		a.Roles = []string{} // [] in the column, so that equal sets group together
	}
	roles, err := json.Marshal(a.Roles)
	if err != nil {
		return nil, fmt.Errorf("roles: %w", err)
	}
	fields, err := json.Marshal(a.Fields)
	if err != nil {
		return nil, fmt.Errorf("fields: %w", err)
	}
	return []any{a.ID, a.Username, a.Email, integer(a.EmailVerified), a.Name, string(roles), string(fields), a.PasswordHash,
		integer(a.Disabled), a.Version, millis(a.Created), millis(a.Updated)}, nil
}

// scanAccount reads a row of accountColumns.
func scanAccount(r row) (a auth.Account, err error) {
	var roles, fields string
	var created, updated int64
	err = r.Scan(&a.ID, &a.Username, &a.Email, &a.EmailVerified, &a.Name, &roles, &fields, &a.PasswordHash,
		&a.Disabled, &a.Version, &created, &updated)
	if err != nil {
		return auth.Account{}, err
	}
	if err := json.Unmarshal([]byte(roles), &a.Roles); err != nil {
		return auth.Account{}, fmt.Errorf("account %s: roles: %w", a.ID, err)
	}
	if err := json.Unmarshal([]byte(fields), &a.Fields); err != nil {
		return auth.Account{}, fmt.Errorf("account %s: fields: %w", a.ID, err)
	}
	a.Created, a.Updated = instant(created), instant(updated)
	return a, nil
}
