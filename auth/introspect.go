package auth

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Introspection is what a token is worth at this moment (RFC 7662 2.2). The
// zero value says nothing of a token but that it opens nothing.
type Introspection struct {
	Active    bool
	Refresh   bool // it is a refresh token, which opens no route
	Principal Principal
	Issuer    string
	Audience  []string // of an access token
	TokenID   string   // of an access token
	Issued    time.Time
	Expires   time.Time
}

// Introspect says what a token is worth, of either kind. It changes nothing: a
// spent refresh token is not active, and that somebody asks about one is no use
// of it. A fault of the store is ErrUnavailable, never "not active".
func (s *Service) Introspect(ctx context.Context, token string) (Introspection, error) {
	if st, t, ok := s.openRefresh(token); ok {
		return s.introspectRefresh(ctx, st, t)
	}
	p, err := s.Verify(token)
	if err != nil {
		return Introspection{}, nil // whatever is wrong with it is nobody's business (RFC 7662 2.2)
	}
	_, payload, _, err := jwsParts(token)
	if err != nil {
		return Introspection{}, err
	}
	var c struct {
		ID       string   `json:"jti"`
		Audience audience `json:"aud"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return Introspection{}, err
	}
	return Introspection{
		Active: true, Principal: p, Issuer: s.current.Load().config.Issuer, Audience: c.Audience, TokenID: c.ID,
		Issued: p.IssuedAt, Expires: p.Expires,
	}, nil
}

// introspectRefresh judges a genuine refresh token by its row, as a refresh
// would, and leaves it unspent.
func (s *Service) introspectRefresh(ctx context.Context, st *state, t refreshToken) (Introspection, error) {
	row, err := s.store.Session(ctx, t.session)
	if err == nil {
		var a Account
		if a, err = s.store.Account(ctx, row.AccountID); err == nil {
			return introspectionOf(st.config, t, row, a, s.now()), nil
		}
	}
	if errors.Is(err, ErrNotFound) {
		return Introspection{}, nil
	}
	return Introspection{}, unavailable("find a session", err)
}

// introspectionOf tells of a genuine refresh token what RFC 7662 section 2.2 has.
// Anything that Refresh would not rotate is inactive, without a reason: a token
// that was spent, a session that is over, an account that is disabled.
func introspectionOf(c Config, t refreshToken, row Session, a Account, now time.Time) Introspection {
	if row.Refresh == RefreshNone || row.over(c.RefreshToken, now) || a.Disabled || t.counter < row.Counter {
		return Introspection{}
	}
	return Introspection{
		Active: true, Refresh: true, Issuer: c.Issuer, Issued: row.Rotated, Expires: row.expires(c.RefreshToken),
		Principal: Principal{ID: a.ID, Username: a.Username, Roles: a.Roles, Session: row.ID, AuthTime: row.AuthTime, Version: a.Version},
	}
}

// RevokeToken ends the session of a genuine token of either kind, spent or
// expired ones too (RFC 7009): who holds one may log out, and no more. A token
// that is nobody's is no fault, and neither is a session that has ended.
func (s *Service) RevokeToken(ctx context.Context, token string, c Client) error {
	sid, ok := s.RefreshSession(token)
	if !ok {
		p, _ := s.Verify(token) // a candidate is enough; what is not genuine has no session
		sid = p.Session
	}
	if sid == "" {
		return nil
	}
	return s.Logout(ctx, sid, c)
}
