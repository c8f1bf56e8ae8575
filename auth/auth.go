// Package auth answers one question: who is this? It logs people in, keeps
// their sessions, and proves the tokens that requests present. What somebody may
// do is another question, and another package's.
//
//	svc, err := auth.New(ctx, auth.Options{Store: store, Master: key, Config: conf})
//	grant, err := svc.Login(ctx, auth.Credentials{Username: "alice", Password: pw}, client)
//	who, err := svc.Verify(grant.AccessToken)   // memory alone, on each request
//	grant, err = svc.Refresh(ctx, grant.RefreshToken, client)
//
// A login begins a session: one row in the Store. Its refresh token is
// `session.counter.generation.MAC` and is spent by counting the row up; its
// access token is a JWT (RFC 9068) that verifies without the store, against the
// gateway's own keys, one configured algorithm and a view of what was revoked
// within one lifetime of such tokens.
//
// # Why
//
// A refresh token is a MAC and not a random text with its digest in the store,
// so that the row alone says which token is current: a client that lost an
// answer gets the very same one again, a copy of the store replays nothing, and
// a forged token costs no look-up.
//
// Grace and floor: a browser that restores sixteen tabs refreshes from all of
// them at once. For a short while a spent token is answered with the current
// one; after that it proves that somebody else has a copy, and the session ends.
//
// A session may have terms of its own (Terms): clients written for a backend that
// never rotated keep one refresh token, or have none. That is settled at the
// login and stands in the row, so that where a token is refreshed decides
// nothing.
//
// Revocations are kept in memory for one lifetime of an access token and
// followed by polling: the store is not asked on each request, and while it is
// away tokens verify on, with the revocations known so far.
//
// Tokens are proven by functions of this package over golang-jwt's signing
// methods, not by its parser: the header is closed (no crit, jwk, jku, ...), a
// member has one spelling, and an expired but genuine token is told apart from a
// forged one. RFC 8725 is the list that they follow.
//
// A key changes hands in steps, so that a rotation refuses no token anywhere: the
// new key is in the store and published first, and signs within a second, when
// every instance has read it with the revocations (twice a second). An instance
// that was late in that reads the keys when a token names one that it does not
// know, and only then, so that invented names cost nothing. The old key stays in
// the JWK Set until its last token has expired, and is known for as long as a
// session lives: an expired token is how a returning browser is recognised. No
// token outlives its key's time, whatever is written in it. All of this follows
// from when the keys were made, so a process that is killed half-way loses
// nothing, and every instance comes to the same.
//
// What becomes of an account is news to applications that keep rows of their own
// about it (Outbox). The store writes them with the change, so that neither is
// ever without the other; to deliver them is the gateway's work.
//
// A fault of the store is a third outcome beside yes and no: it wraps
// ErrUnavailable and is never taken for "no such user".
package auth

import (
	"net/netip"
	"time"
)

// Account is a user as the store keeps it.
type Account struct {
	ID            string
	Username      string
	Email         string
	EmailVerified bool // verified, or set by an administrator or an import
	Name          string
	Roles         []string
	Fields        map[string][]string // profile fields by name; a single value is a list of one
	PasswordHash  string              // PHC string; empty: no password login
	Disabled      bool
	Version       int64 // raised by every change that outdates access tokens
	Created       time.Time
	Updated       time.Time
}

// Session is one login and all the tokens that descend from it (a refresh
// token family). A session is one row; a rotation changes it in place.
type Session struct {
	ID         string
	AccountID  string
	Counter    int64 // of the current refresh token
	Floor      int64 // the oldest counter that the grace may still answer
	Generation int64 // of the key that seals its refresh tokens
	Rotated    time.Time
	AuthTime   time.Time // when the password was given; survives refresh
	Address    string
	UserAgent  string
	Created    time.Time
	LastSeen   time.Time
	Revoked    time.Time // zero: live
	RevokedFor RevokeReason

	// The terms that it was begun on, see Terms.
	Refresh   RefreshKind
	AccessTTL time.Duration // of its access tokens; zero: access_token.ttl
	Ends      time.Time     // whatever is refreshed; zero: only as refresh_token says
	Claims    []Claim       // added to its access tokens
}

// Client is where a request comes from, for audit, throttling and the list of
// sessions, and by which door: Terms are those of a session that it begins.
type Client struct {
	Address   netip.Addr
	UserAgent string
	RequestID string
	Terms     Terms
}

// AddressText is the address as it is written; "" when it is not known.
func (c Client) AddressText() string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.String()
}

// Principal is a proven identity: what a valid access token says.
type Principal struct {
	ID       string
	Username string
	Email    string // only when it may be relied on
	Name     string
	Roles    []string
	Fields   map[string][]string
	Session  string
	AuthTime time.Time
	IssuedAt time.Time
	Expires  time.Time
	Version  int64
}

// Grant is what a login or a refresh answers.
type Grant struct {
	Account        Account
	Session        string
	AccessToken    string
	AccessExpires  time.Time
	AccessTTL      time.Duration
	RefreshToken   string // empty: the session has none, and ends with its access token
	RefreshExpires time.Time
}

// Actor is who makes a change and from where: the audit log says both of every
// change.
type Actor struct {
	By     string // a username or a program's word for itself; "" for the owner
	Client Client // zero: nobody's request, such as the command line's
	// KeepAdmin refuses with ErrLastAdmin what would leave nobody who can
	// administer. The command line does without it, being the way back in.
	KeepAdmin bool
}

// Event is an entry of the audit log.
type Event struct {
	Name   string // login, login_failed, refresh_reused, ...: the list is closed, see events.go
	User   string // username, or the name that was tried
	By     string // who did it, where that is somebody else
	Client Client
	Detail string // never a secret
}

// CredentialKind tells where a request carried its credential.
type CredentialKind uint8

// The kinds of credential.
const (
	NoCredential CredentialKind = iota
	BearerCredential
	BasicCredential // a token in the place of a password
	HeaderCredential
	CookieCredential
)

// Presented is what a request presented and what came of it. The gateway
// authenticates every request the same way and hands the outcome on.
//
// Principal is proven where Proven says so. With an Err it is a candidate at
// most: filled (genuine signature) for ErrTokenExpired, ErrTokenRevoked and
// ErrTokenOutdated, zero otherwise. With NoCredential it is nil.
type Presented struct {
	Kind      CredentialKind
	Principal *Principal // see Service.Prove: it must not be changed
	Token     string
	User      string // with BasicCredential: the name that came with the token
	Err       error
}

// Proven tells whether the request speaks for Principal.
func (p *Presented) Proven() bool { return p.Kind != NoCredential && p.Err == nil }
