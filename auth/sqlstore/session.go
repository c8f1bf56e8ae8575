package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/posternhq/postern/auth"
)

const sessionColumns = `id, account_id, counter, floor, generation, rotated, auth_time, address, user_agent, created, last_seen, revoked, revoked_reason,
	refresh, access_ttl, ends, claims`

const selectSession = `SELECT ` + sessionColumns + ` FROM sessions WHERE id = $1`

const insertSession = `INSERT INTO sessions (` + sessionColumns + `)
	SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17 FROM accounts WHERE id = $2 AND disabled = 0`

// CreateSession implements auth.Store. The account is read in the transaction that
// adds the session: whoever changes it afterwards finds the session.
func (s *Store) CreateSession(ctx context.Context, n auth.Session) (a auth.Account, err error) {
	err = s.write(ctx, func(ctx context.Context, q querier) error {
		claims, err := claimsText(n.Claims)
		if err != nil {
			return err
		}
		done, err := q.ExecContext(ctx, insertSession,
			n.ID, n.AccountID, n.Counter, n.Floor, n.Generation, millis(n.Rotated), millis(n.AuthTime),
			n.Address, n.UserAgent, millis(n.Created), millis(n.LastSeen), millis(n.Revoked), string(n.RevokedFor),
			int64(n.Refresh), n.AccessTTL.Milliseconds(), millis(n.Ends), claims)
		if err != nil {
			return err
		}
		if rows, err := done.RowsAffected(); err != nil || rows == 0 {
			return cmp.Or(err, auth.ErrNotFound)
		}
		a, err = accountByID(ctx, q, n.AccountID)
		return err
	})
	if err != nil {
		return auth.Account{}, fault("create session", err)
	}
	return a, nil
}

// Session implements auth.Store.
func (s *Store) Session(ctx context.Context, id string) (auth.Session, error) {
	found, err := sessionByID(ctx, s.readers, id)
	return found, fault("read session", err)
}

// Sessions implements auth.Store.
func (s *Store) Sessions(ctx context.Context, accountID string) ([]auth.Session, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+sessionColumns+` FROM sessions
		WHERE revoked = 0 AND (account_id = $1 OR $1 = '') ORDER BY created DESC, id`, accountID)
	all, err := collect(rows, err, scanSession)
	return all, fault("list sessions", err)
}

// RotateSession implements auth.Store.
func (s *Store) RotateSession(ctx context.Context, r auth.Rotation) (auth.Rotated, error) {
	var found auth.Rotated
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		var err error
		found, err = rotate(ctx, q, r, s.now())
		return err
	})
	if err != nil {
		return auth.Rotated{}, fault("rotate session", err)
	}
	return found, nil
}

// rotateSession spends a counter. Its WHERE is the whole of the safety of a
// refresh: of two that present the same counter the second finds it moved on,
// and a logout that came first is seen because it is the same row.
//
// The floor is where the grace for late repeats ends. It follows the counter
// once the last rotation is a grace ago; within a burst it stays, so that every
// tab of a restored browser is answered, but at most eight behind. abs: a clock
// that was set back must not stretch the grace.
const rotateSession = `UPDATE sessions SET counter = $2 + 1,
	floor = CASE WHEN abs($3 - rotated) >= $4 THEN $2 WHEN floor < $2 - 7 THEN $2 - 7 ELSE floor END,
	generation = $5, rotated = $3, last_seen = $3, address = $6, user_agent = $7
WHERE id = $1 AND counter <= $2 AND revoked = 0 AND (refresh <> 0 OR $3 - rotated < $8) AND $3 - created < $9
	AND (ends = 0 OR $3 < ends) AND (refresh = 0 OR $10 = 1)
	AND EXISTS (SELECT 1 FROM accounts WHERE accounts.id = sessions.account_id AND accounts.disabled = 0)
RETURNING ` + sessionColumns

// takeSession is a refresh with a token that stays: the same conditions, and
// nothing is spent. A counter ahead of the row is a genuine token that a restored
// store has forgotten, and is taken up.
const takeSession = `UPDATE sessions SET counter = $2, last_seen = $3, address = $4, user_agent = $5
WHERE id = $1 AND counter <= $2 AND revoked = 0 AND refresh = 1 AND $3 - created < $6 AND (ends = 0 OR $3 < ends)
	AND EXISTS (SELECT 1 FROM accounts WHERE accounts.id = sessions.account_id AND accounts.disabled = 0)
RETURNING ` + sessionColumns

// rotate is RotateSession inside a transaction.
func rotate(ctx context.Context, q querier, r auth.Rotation, now time.Time) (found auth.Rotated, err error) {
	found.Now = now
	err = sql.ErrNoRows
	if r.Presented < math.MaxInt64 { // the last counter has no successor
		found.Session, err = scanSession(q.QueryRowContext(ctx, rotateSession, r.Session, r.Presented, millis(now), r.Grace.Milliseconds(),
			r.Generation, r.Client.AddressText(), r.Client.UserAgent, r.IdleLimit.Milliseconds(), r.AgeLimit.Milliseconds(), integer(r.Renew)))
		if errors.Is(err, sql.ErrNoRows) && !r.Renew {
			found.Session, err = scanSession(q.QueryRowContext(ctx, takeSession, r.Session, r.Presented, millis(now),
				r.Client.AddressText(), r.Client.UserAgent, r.AgeLimit.Milliseconds()))
		}
	}
	found.Swapped = err == nil
	if errors.Is(err, sql.ErrNoRows) {
		found.Session, err = sessionByID(ctx, q, r.Session)
	}
	if err != nil {
		return auth.Rotated{}, err
	}
	found.Account, err = accountByID(ctx, q, found.Session.AccountID)
	return found, err
}

// RevokeSession implements auth.Store.
func (s *Store) RevokeSession(ctx context.Context, id string, why auth.RevokeReason, until time.Time) error {
	return fault("revoke session", s.write(ctx, func(ctx context.Context, q querier) error {
		if ended, err := s.endSession(ctx, q, id, why, until); err != nil || ended {
			return err
		}
		_, err := sessionByID(ctx, q, id) // ended before is fine, unknown is not
		return err
	}))
}

// RevokeSessions implements auth.Store.
func (s *Store) RevokeSessions(ctx context.Context, accountID, keep string, until time.Time) ([]string, error) {
	var ended []string
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		if _, err := accountByID(ctx, q, accountID); err != nil {
			return err
		}
		var err error
		ended, err = s.endSessions(ctx, q, accountID, keep, until)
		return err
	})
	if err != nil {
		return nil, fault("revoke sessions", err)
	}
	return ended, nil
}

// endSession revokes a live session, keeps the reason and says so in the feed.
// False: there is no such live session.
func (s *Store) endSession(ctx context.Context, q querier, id string, why auth.RevokeReason, until time.Time) (bool, error) {
	done, err := q.ExecContext(ctx, `UPDATE sessions SET revoked = $2, revoked_reason = $3 WHERE id = $1 AND revoked = 0`, id, millis(s.now()), string(why))
	if err != nil {
		return false, err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	return true, s.announce(ctx, q, auth.Revocation{Kind: auth.RevokeSessionTokens, ID: id, Until: until})
}

// endSessions revokes an account's live sessions but keep, and answers which.
func (s *Store) endSessions(ctx context.Context, q querier, accountID, keep string, until time.Time) ([]string, error) {
	rows, err := q.QueryContext(ctx, `SELECT id FROM sessions WHERE account_id = $1 AND id <> $2 AND revoked = 0 ORDER BY id`, accountID, keep)
	live, err := collect(rows, err, func(r row) (id string, err error) { return id, r.Scan(&id) })
	if err != nil {
		return nil, err
	}
	for _, id := range live {
		if _, err := s.endSession(ctx, q, id, auth.RevokedByChoice, until); err != nil {
			return nil, err
		}
	}
	return live, nil
}

// pruneSlice is how many sessions one transaction looks at. All others who write
// wait for it, and of a million at once they would wait for seconds.
const pruneSlice = 2000

// PruneSessions implements auth.Store. A revoked session stays as long as it
// could have lived, so that a token of it is still known for what it is. It goes
// through the table in slices, by id, and what it has done stays done.
func (s *Store) PruneSessions(ctx context.Context, unusedSince, createdBefore time.Time) error {
	for from := ""; ; {
		var to string // the last of the slice; empty: there are no more than these
		err := s.readers.QueryRowContext(ctx, `SELECT id FROM sessions WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2`, from, pruneSlice-1).Scan(&to)
		if err == nil || errors.Is(err, sql.ErrNoRows) {
			err = s.pruneBetween(ctx, from, to, unusedSince, createdBefore)
		}
		if err != nil || to == "" {
			return fault("prune sessions", err)
		}
		from = to
	}
}

// pruneBetween forgets the sessions between two ids, and behind the last of them
// what else is over.
func (s *Store) pruneBetween(ctx context.Context, from, to string, unusedSince, createdBefore time.Time) error {
	return s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.ExecContext(ctx, `DELETE FROM sessions WHERE id > $1 AND ($2 = '' OR id <= $2)
			AND (refresh = 0 AND rotated < $3 OR created < $4 OR ends > 0 AND ends <= $5)`,
			from, to, millis(unusedSince), millis(createdBefore), millis(s.now()))
		if err != nil || to != "" {
			return err
		}
		if _, err := q.ExecContext(ctx, `DELETE FROM revocations WHERE until <= $1`, millis(s.now())); err != nil {
			return err
		}
		return dropEnded(ctx, q, s.now())
	})
}

// CountSessions implements auth.Store.
func (s *Store) CountSessions(ctx context.Context) (int, error) {
	var n int
	// Both are counted in an index, the second in a small one.
	err := s.readers.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM sessions) - (SELECT count(*) FROM sessions WHERE revoked <> 0)`).Scan(&n)
	return n, fault("count sessions", err)
}

// sessionByID reads a session, sql.ErrNoRows when there is none.
func sessionByID(ctx context.Context, q querier, id string) (auth.Session, error) {
	return scanSession(q.QueryRowContext(ctx, selectSession, id))
}

// scanSession reads a row of sessionColumns.
func scanSession(r row) (n auth.Session, err error) {
	var rotated, authTime, created, lastSeen, revoked, accessTTL, ends int64
	var claims string
	err = r.Scan(&n.ID, &n.AccountID, &n.Counter, &n.Floor, &n.Generation, &rotated, &authTime, &n.Address, &n.UserAgent, &created, &lastSeen, &revoked, &n.RevokedFor,
		&n.Refresh, &accessTTL, &ends, &claims)
	if err != nil {
		return auth.Session{}, err
	}
	n.Rotated, n.AuthTime, n.Created = instant(rotated), instant(authTime), instant(created)
	n.LastSeen, n.Revoked, n.Ends = instant(lastSeen), instant(revoked), instant(ends)
	n.AccessTTL = time.Duration(accessTTL) * time.Millisecond
	if claims != "" {
		err = json.Unmarshal([]byte(claims), &n.Claims)
	}
	return n, err
}

// claimsText is the column of a session's claims: empty for none, as nearly all
// sessions have it.
func claimsText(list []auth.Claim) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	text, err := json.Marshal(list)
	return string(text), err
}
