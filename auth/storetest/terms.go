package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// termPromises are about sessions on terms of their own: a refresh token that
// stays, or none; an end that no refresh moves.
func termPromises() []Promise {
	return []Promise{
		{Name: "the terms of a session come back as they went in", Check: checkTerms},
		{Name: "a token that stays is taken and not spent", Check: checkTaken},
		{Name: "a session without a refresh token swaps when renewed alone", Check: checkRefreshNone},
		{Name: "a token that stays is taken up to the session's end and not past it", Check: checkEnds},
		{Name: "a session on terms that is revoked or of a disabled account swaps nothing", Check: checkTermsNoSwap},
		{Name: "a logout never loses to a refresh that spends nothing", Shared: true, Check: checkTakenLogoutRace},
		{Name: "a revocation stays for as long as the session's own access tokens live", Check: checkRevokedFor},
		{Name: "pruning goes by the end of a session that has one", Check: checkPruneEnds},
	}
}

// on gives a session its terms.
func on(kind auth.RefreshKind, ends time.Duration) func(*auth.Session) {
	return func(n *auth.Session) { n.Refresh, n.Ends = kind, now().Add(ends) }
}

// checkTerms writes different values in each place.
func checkTerms(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice")
	for _, kind := range []auth.RefreshKind{auth.RefreshRotates, auth.RefreshStays, auth.RefreshNone} {
		id := numbered("s", int(kind))
		n := session(t, s, a.ID, id, on(kind, time.Hour), func(n *auth.Session) {
			n.AccessTTL = 90 * time.Second
			n.Claims = []auth.Claim{{Name: "isAdmin", HasRole: "admin"}, {Name: "_id", Value: "id", Format: "number"}, {Name: "kind", Constant: `é"`}}
		})
		same(t, "session", stored(t, other, id), n)
	}
	plain := session(t, s, a.ID, "plain")
	same(t, "session without terms", stored(t, other, "plain"), plain)
}

// checkTaken refreshes twice with one token. Only where it was seen may change.
func checkTaken(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice")
	past := now().Add(-48 * time.Hour) // idle for longer than a rotating session may be
	before := session(t, s, a.ID, "s", on(auth.RefreshStays, time.Hour), func(n *auth.Session) { n.Rotated, n.LastSeen, n.Created = past, past, past })
	for range 2 {
		got := rotate(t, s, rotation("s", 1))
		after := before
		after.LastSeen, after.Address, after.UserAgent = got.Now, "198.51.100.7", "storetest/2"
		same(t, "answered", got, auth.Rotated{Session: after, Account: a, Swapped: true, Now: got.Now})
		same(t, "stored", stored(t, other, "s"), after)
	}
	renew := rotation("s", 1)
	renew.Renew = true
	same(t, "counter once renewed", rotate(t, s, renew).Session.Counter, 2)
	same(t, "the former token is taken", rotate(t, s, rotation("s", 1)).Swapped, false)
	same(t, "the present one is taken", rotate(t, s, rotation("s", 2)).Swapped, true)
	same(t, "counter of a store that forgot", rotate(t, s, rotation("s", 9)).Session.Counter, 9)
}

// checkRefreshNone presents a token that was never given out.
func checkRefreshNone(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	row := session(t, s, a.ID, "s", on(auth.RefreshNone, time.Hour))
	got := rotate(t, s, rotation("s", 1))
	same(t, "swapped", got.Swapped, false)
	same(t, "answered", got.Session, row)
	renew := rotation("s", 1)
	renew.Renew = true
	same(t, "swapped when renewed", rotate(t, s, renew).Swapped, true)
}

// checkEnds looks at both sides of a session's end, for every kind.
func checkEnds(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	for _, kind := range []auth.RefreshKind{auth.RefreshRotates, auth.RefreshStays} {
		session(t, s, a.ID, numbered("before", int(kind)), on(kind, time.Minute))
		session(t, s, a.ID, numbered("past", int(kind)), on(kind, -time.Second))
		same(t, "taken before the end", rotate(t, s, rotation(numbered("before", int(kind)), 1)).Swapped, true)
		same(t, "taken past the end", rotate(t, s, rotation(numbered("past", int(kind)), 1)).Swapped, false)
	}
	old := func(n *auth.Session) { n.Created = now().Add(-8 * 24 * time.Hour) }
	session(t, s, a.ID, "old", on(auth.RefreshStays, time.Hour), old)
	same(t, "taken past the limit of age", rotate(t, s, rotation("old", 1)).Swapped, false)
}

// checkTermsNoSwap is checkNoSwap for tokens that stay: they have no reuse
// detection, so revocation is all there is against a thief.
func checkTermsNoSwap(t testing.TB, s, _ auth.Store) {
	a, disabled := account(t, s, "alice"), account(t, s, "dave")
	session(t, s, a.ID, "revoked", on(auth.RefreshStays, time.Hour))
	session(t, s, disabled.ID, "disabled", on(auth.RefreshStays, time.Hour))
	must(t, "revoke", s.RevokeSession(context.Background(), "revoked", auth.RevokedByChoice, later()))
	change(t, s, disabled.ID, auth.AccountUpdate{Keep: "disabled", Until: later(), Change: func(a *auth.Account) error { a.Disabled = true; return nil }})
	for _, id := range []string{"revoked", "disabled"} {
		row := stored(t, s, id)
		for _, presented := range []int64{1, 7} {
			for _, renew := range []bool{false, true} {
				r := rotation(id, presented)
				r.Renew = renew
				same(t, id+": swapped", rotate(t, s, r).Swapped, false)
				same(t, id+": stored", stored(t, s, id), row)
			}
		}
	}
}

// checkTakenLogoutRace is checkLogoutRace for a token that stays.
func checkTakenLogoutRace(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice")
	session(t, s, a.ID, "s", on(auth.RefreshStays, time.Hour))
	ended := make(chan struct{})
	race(s, other, func(i int, s auth.Store) {
		if i == 0 {
			must(t, "log out", s.RevokeSession(context.Background(), "s", auth.RevokedByChoice, later()))
			close(ended)
			return
		}
		<-ended
		got, err := s.RotateSession(context.Background(), rotation("s", 1))
		if err != nil || got.Swapped {
			t.Errorf("racer %d: swapped %v (%v) after the logout", i, got.Swapped, err)
		}
	})
}

// checkRevokedFor revokes by every verb, with an end that is too early for the
// sessions: the instance that revokes may be configured without such terms.
func checkRevokedFor(t testing.TB, s, _ auth.Store) {
	const long = 48 * time.Hour
	begun := func(name string) (auth.Account, auth.Session) {
		a := account(t, s, name)
		return a, session(t, s, a.ID, "s-"+name, on(auth.RefreshNone, long), func(n *auth.Session) { n.AccessTTL = long })
	}
	_, one := begun("alice")
	must(t, "revoke one", s.RevokeSession(context.Background(), one.ID, auth.RevokedByChoice, later()))
	b, _ := begun("bob")
	_, err := s.RevokeSessions(context.Background(), b.ID, "", later())
	must(t, "revoke all", err)
	c, _ := begun("carol")
	change(t, s, c.ID, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error { a.Roles = []string{"admin"}; return nil }})
	d, _ := begun("dave")
	must(t, "delete", s.DeleteAccount(context.Background(), d.ID, auth.Removal{Until: later()}))
	entries := feed(t, s)
	same(t, "entries", len(entries), 5)
	for _, e := range entries {
		if e.Until.Before(now().Add(long - time.Minute)) {
			t.Errorf("the revocation of %s ends at %v, before the last token", e.ID, e.Until)
		}
	}
	p := account(t, s, "plain")
	session(t, s, p.ID, "plain")
	until := later()
	must(t, "revoke a session without terms", s.RevokeSession(context.Background(), "plain", auth.RevokedByChoice, until))
	same(t, "its end", feed(t, s)[5].Until, until)
}

// checkPruneEnds forgets what has ended, and keeps what only looks idle: a token
// that stays moves no counter, and would look unused from its first day on.
func checkPruneEnds(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	idle := func(n *auth.Session) { n.Rotated, n.Created = now().Add(-2*time.Hour), now().Add(-3*time.Hour) }
	session(t, s, a.ID, "stays", on(auth.RefreshStays, time.Hour), idle)
	session(t, s, a.ID, "none", on(auth.RefreshNone, time.Hour), idle)
	session(t, s, a.ID, "rotates", on(auth.RefreshRotates, time.Hour), idle)
	session(t, s, a.ID, "ended", on(auth.RefreshStays, -time.Second))
	session(t, s, a.ID, "old", on(auth.RefreshStays, time.Hour), func(n *auth.Session) { n.Created = now().Add(-25 * time.Hour) })
	must(t, "prune", s.PruneSessions(context.Background(), now().Add(-time.Hour), now().Add(-24*time.Hour)))
	for id, kept := range map[string]bool{"stays": true, "none": true, "rotates": false, "ended": false, "old": false} {
		_, err := s.Session(context.Background(), id)
		same(t, id+" is kept", err == nil, kept)
	}
}
