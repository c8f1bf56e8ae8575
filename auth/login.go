package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Credentials is what a person types to log in. Username may be the id or the
// e-mail address as well.
type Credentials struct{ Username, Password string }

// Login proves a password and begins a session.
//
// An unknown name, a wrong password, an account without one and a disabled
// account are all ErrInvalidCredentials after the same work. Too many failed
// attempts are a *LockedError and too many at once a *BusyError, both before
// anything is hashed; a store that does not answer is ErrUnavailable.
func (s *Service) Login(ctx context.Context, cr Credentials, c Client) (_ Grant, err error) {
	defer func() { s.counts.logins.add(resultOf(err)) }()
	st := s.current.Load()
	name := foldShort(cr.Username)
	a, err := s.candidate(ctx, name)
	if err != nil {
		return Grant{}, err
	}
	// What is told is the account's name: people type passwords into the field
	// for the name, and those do not belong into a log.
	try, err := s.throttle.begin(ctx, st.config.Lockout, s.throttle.guess(a.ID, name, c.Address))
	if err != nil {
		s.tellLocked(ctx, a.Username, c, err)
		return Grant{}, err
	}
	defer try.cancelled()
	a, why, err := s.prove(ctx, st, a, cr, c)
	if errors.Is(err, errUnanswered) {
		return Grant{}, cmp.Or(try.unanswered(ctx), err)
	}
	if err != nil {
		return Grant{}, err
	}
	if why != "" {
		s.tell(ctx, Event{Name: EventLoginFailed, User: a.Username, Client: c, Detail: why})
		return Grant{}, cmp.Or(try.failed(ctx), ErrInvalidCredentials)
	}
	if err := try.succeeded(ctx, a.ID); err != nil {
		return Grant{}, err
	}
	s.rehash(ctx, st, &a, cr.Password)
	g, err := s.begin(ctx, st, a, c)
	if err != nil {
		return Grant{}, err
	}
	s.tell(ctx, Event{Name: EventLogin, User: a.Username, Client: c})
	return g, nil
}

// tellLocked has the audit log know of a *LockedError.
func (s *Service) tellLocked(ctx context.Context, user string, c Client, err error) {
	var locked *LockedError
	if errors.As(err, &locked) {
		s.tell(ctx, Event{Name: EventLocked, User: user, Client: c})
	}
}

// candidate is the account that a folded name claims to be. When there is none
// it has no id, and the hash of some account, which is there to be as slow.
func (s *Service) candidate(ctx context.Context, name string) (Account, error) {
	a, err := s.store.FindAccount(ctx, name)
	if errors.Is(err, ErrNotFound) {
		hash, err := s.decoy(ctx, name)
		return Account{PasswordHash: hash}, err
	}
	return a, unavailable("find an account", err)
}

// decoy is the hash that a password is compared with for a name that is nobody's:
// that of an account which the name draws, always the same one. Hashes that an
// import brought along are up to ten times as slow as the gateway's own, so with
// one of those for all such names an imported account would be known by its time.
// Drawn like this, as many names that are nobody's are slow as accounts are.
func (s *Service) decoy(ctx context.Context, name string) (string, error) {
	for _, at := range s.throttle.draw(name) {
		a, err := s.store.AccountFrom(ctx, at)
		if !errors.Is(err, ErrNotFound) {
			return a.PasswordHash, unavailable("find an account", err)
		}
	}
	return "", nil
}

// provePassword says why a password does not prove a candidate, or nothing: for
// the audit log alone, a client must not be able to tell the reasons apart by
// the answer or by its time.
func provePassword(ctx context.Context, st *state, a Account, password string) (why string, err error) {
	if password == "" || len(password) > maxPassword {
		// Whether there is such an account plays no part in this answer.
		return "a password has 1 to 1024 bytes", nil
	}
	same, err := st.hasher.compare(ctx, a.PasswordHash, password)
	switch {
	case a.ID == "" && (err == nil || errors.Is(err, errHash)):
		return whyUnknown, nil // whatever the decoy says
	case errors.Is(err, errHash):
		return err.Error(), nil
	case err != nil:
		return "", err
	case a.PasswordHash == "":
		return "no password", nil
	case !same:
		return "wrong password", nil
	case a.Disabled:
		return "disabled", st.hasher.spend(ctx, a.PasswordHash, password)
	}
	return "", nil
}

// rehash keeps a proven password in the configured way. It may fail: the login
// is good all the same, and the next one tries again.
func (s *Service) rehash(ctx context.Context, st *state, a *Account, password string) {
	old := a.PasswordHash
	if !st.hasher.outdated(old, password) {
		return
	}
	fresh, err := st.hasher.hash(ctx, password)
	if err != nil {
		return
	}
	updated, err := s.store.UpdateAccount(ctx, a.ID, AccountUpdate{
		Change: func(row *Account) error {
			if row.PasswordHash == old { // else it was changed meanwhile
				row.PasswordHash = fresh
			}
			return nil
		},
		Until:        st.until(s.now()),
		SamePassword: true,
	})
	if err == nil && updated.PasswordHash == fresh {
		*a = updated
	}
}

// begin makes a session for an account whose password was proven, and its first
// tokens.
func (s *Service) begin(ctx context.Context, st *state, a Account, c Client) (Grant, error) {
	if c.Terms.Without {
		return Grant{Account: a}, nil
	}
	sid, err := randomName(s.rand, 16)
	if err != nil {
		return Grant{}, fmt.Errorf("name a session: %w", err)
	}
	now := s.now().UTC()
	session := Session{
		ID: sid, AccountID: a.ID, Counter: 1, Floor: 1, Generation: st.ring.refresh.current.generation,
		AuthTime: now, Created: now, LastSeen: now, Rotated: now,
		UserAgent: truncate(c.UserAgent, maxUserAgent), Address: c.AddressText(),
	}
	c.Terms.settle(&session, st.config)
	again, err := s.store.CreateSession(ctx, session)
	if errors.Is(err, ErrNotFound) {
		return Grant{}, ErrInvalidCredentials // deleted or disabled meanwhile
	}
	if err != nil {
		return Grant{}, unavailable("create a session", err)
	}
	// Hashing takes its time. If the password was changed meanwhile, the sweep of
	// the account's sessions came too early for this one; from now on a sweep finds
	// it. (A rehash by another login changes the hash and leaves the version.)
	if again.Version != a.Version && again.PasswordHash != a.PasswordHash {
		if err := s.end(ctx, st, sid, RevokedByChoice); err != nil {
			return Grant{}, err
		}
		return Grant{}, ErrInvalidCredentials
	}
	return s.grantAt(st, again, session, now)
}

// maxUserAgent is how much of a User-Agent a session keeps, in bytes.
const maxUserAgent = 256

// truncate cuts a text to at most n bytes, between characters.
func truncate(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && text[n]&0xC0 == 0x80 {
		n--
	}
	return text[:n]
}

// grant issues the tokens for a session as it stands. The refresh token is a
// function of the row; the access token is new each time. Where the session has
// an end of its own, no access token outlives it.
func (s *Service) grant(st *state, a Account, session Session) (Grant, error) {
	return s.grantAt(st, a, session, s.now())
}

// grantAt is grant at a time: a first token is as old as its session, so that one
// which is to last as long does so to the second.
func (s *Service) grantAt(st *state, a Account, session Session, issued time.Time) (Grant, error) {
	jti, err := randomName(s.rand, 16)
	if err != nil {
		return Grant{}, fmt.Errorf("name a token: %w", err)
	}
	expires := issued.Add(st.config.accessTTL(session))
	if !session.Ends.IsZero() && session.Ends.Before(expires) {
		expires = session.Ends
	}
	c := claims{
		Issuer: st.config.Issuer, Subject: a.ID, Audience: st.config.Audience,
		Issued: issued.Unix(), Expires: expires.Unix(), ID: jti, Session: session.ID,
		Roles: append([]string{}, a.Roles...), Username: a.Username, Name: a.Name,
		AuthTime: session.AuthTime.Unix(), Version: a.Version, Fields: a.Fields,
		added: added(session.Claims, a, session.ID),
	}
	if a.EmailVerified {
		c.Email = a.Email
	}
	access, err := st.ring.signToken(c)
	if err != nil {
		return Grant{}, err
	}
	g := Grant{
		Account: a, Session: session.ID,
		AccessToken: access, AccessExpires: time.Unix(c.Expires, 0).UTC(), AccessTTL: expires.Sub(issued),
		RefreshExpires: session.expires(st.config.RefreshToken),
	}
	if session.Refresh != RefreshNone {
		g.RefreshToken, err = st.ring.refreshToken(session)
	}
	return g, err
}
