package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Logout ends a session: its refresh token and its access tokens are refused
// from now on. Ending one that has ended, or is not there, is fine.
func (s *Service) Logout(ctx context.Context, sid string, c Client) error {
	row, err := s.store.Session(ctx, sid)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return unavailable("find a session", err)
	}
	if err := s.end(ctx, s.current.Load(), sid, RevokedByChoice); err != nil {
		return err
	}
	s.tell(ctx, Event{Name: EventLogout, User: s.nameOf(ctx, row.AccountID), Client: c})
	return nil
}

// LogoutAll ends every session of an account.
func (s *Service) LogoutAll(ctx context.Context, accountID string, c Client) error {
	if err := s.endAll(ctx, accountID); err != nil {
		return err
	}
	s.tell(ctx, Event{Name: EventLogout, User: s.nameOf(ctx, accountID), Client: c, Detail: "all"})
	return nil
}

// RevokeSession ends one session of an account; with accountID "" of any. A
// session that is not there, or is another account's, is ErrNotFound.
func (s *Service) RevokeSession(ctx context.Context, accountID, sid string, by Actor) error {
	row, err := s.store.Session(ctx, sid)
	if err != nil {
		return unavailable("find a session", err)
	}
	if accountID != "" && row.AccountID != accountID {
		return fmt.Errorf("session: %w", ErrNotFound)
	}
	if err := s.end(ctx, s.current.Load(), sid, RevokedByChoice); err != nil {
		return err
	}
	s.tell(ctx, Event{Name: EventSessionRevoked, User: s.nameOf(ctx, row.AccountID), By: by.By, Client: by.Client, Detail: sid})
	return nil
}

// RevokeSessions ends every session of an account, for an administrator. An
// account that is not there is ErrNotFound.
func (s *Service) RevokeSessions(ctx context.Context, accountID string, by Actor) error {
	a, err := s.Account(ctx, accountID)
	if err != nil {
		return err
	}
	if err := s.endAll(ctx, a.ID); err != nil {
		return err
	}
	s.tell(ctx, Event{Name: EventSessionRevoked, User: a.Username, By: by.By, Client: by.Client, Detail: "all"})
	return nil
}

// endAll ends an account's sessions, also when the caller has left meanwhile:
// half a logout is worse than a late answer. This instance's view learns of each
// at once; the others read them in the feed.
func (s *Service) endAll(ctx context.Context, accountID string) error {
	until := s.current.Load().until(s.now())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	ended, err := s.store.RevokeSessions(ctx, accountID, "", until)
	if err != nil {
		return unavailable("revoke the sessions", err)
	}
	for _, sid := range ended {
		s.view.apply(Revocation{Kind: RevokeSessionTokens, ID: sid, Until: until})
	}
	return nil
}

// Sessions lists the sessions of an account that can still be used, newest
// first; of all accounts when accountID is empty.
func (s *Service) Sessions(ctx context.Context, accountID string) ([]Session, error) {
	rows, err := s.store.Sessions(ctx, accountID)
	if err != nil {
		return nil, unavailable("list the sessions", err)
	}
	conf, now := s.current.Load().config.RefreshToken, s.now()
	return slices.DeleteFunc(rows, func(r Session) bool { return r.over(conf, now) }), nil
}

// SessionEnd says when a session is over unless its refresh token is used before.
// One that is over, or not there, is ErrNotFound. A stream, which outlives its
// access token, asks it.
func (s *Service) SessionEnd(ctx context.Context, sid string) (time.Time, error) {
	row, err := s.store.Session(ctx, sid)
	if err != nil {
		return time.Time{}, unavailable("find a session", err)
	}
	conf := s.current.Load().config.RefreshToken
	if row.over(conf, s.now()) {
		return time.Time{}, fmt.Errorf("session: %w", ErrNotFound)
	}
	return row.expires(conf), nil
}

// SessionCount says how many sessions there are, for the gauge; it counts those
// that ran out of time until they are pruned.
func (s *Service) SessionCount(ctx context.Context) (int, error) {
	n, err := s.store.CountSessions(ctx)
	return n, unavailable("count the sessions", err)
}

// nameOf is an account's username for the audit log; its id when the account
// cannot be read, since the deed is done.
func (s *Service) nameOf(ctx context.Context, accountID string) string {
	if accountID == "" {
		return ""
	}
	a, err := s.store.Account(ctx, accountID)
	if err != nil {
		return accountID
	}
	return a.Username
}
