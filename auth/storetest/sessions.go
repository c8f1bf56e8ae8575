package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// sessionPromises are about logins and their ends.
func sessionPromises() []Promise {
	return []Promise{
		{Name: "a session comes back as it went in", Check: checkSessionRoundTrip},
		{Name: "a session comes with its account as it is by now", Check: checkSessionAccount},
		{Name: "an absent or disabled account gets no session", Check: checkSessionNeedsAccount},
		{Name: "live sessions are listed newest first", Check: checkSessionList},
		{Name: "a revoked session is known, unlisted and stays revoked", Check: checkRevokeSession},
		{Name: "all sessions end but the one to keep", Check: checkRevokeSessions},
		{Name: "pruning forgets what cannot be used and nothing else", Check: checkPrune},
	}
}

// checkSessionRoundTrip writes different times in each place, so that two columns
// which were mixed up show.
func checkSessionRoundTrip(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice")
	n := auth.Session{
		ID: "s", AccountID: a.ID, Counter: 7, Floor: 3, Generation: 2, Rotated: now().Add(-1 * time.Second), AuthTime: now().Add(-2 * time.Second),
		Address: "2001:db8::1", UserAgent: `Mozilla/5.0 "x" ' é`, Created: now().Add(-3 * time.Second), LastSeen: now().Add(-4 * time.Second),
	}
	_, err := s.CreateSession(context.Background(), n)
	must(t, "create", err)
	same(t, "session", stored(t, other, "s"), n)
	if _, err := s.CreateSession(context.Background(), n); err == nil {
		t.Error("a second session got the same id")
	}
	same(t, "session after the second", stored(t, other, "s"), n)
}

// checkSessionAccount changes an account between two logins: what the second one
// goes by must not be what the account was before.
func checkSessionAccount(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice", func(a *auth.Account) { a.Fields = map[string][]string{"phone": {"+43 1"}} })
	for _, name := range []string{"first", "second"} {
		n := auth.Session{ID: name, AccountID: a.ID, Counter: 1, Created: now(), Rotated: now()}
		got, err := s.CreateSession(context.Background(), n)
		must(t, "create the "+name, err)
		is, err := other.Account(context.Background(), a.ID)
		must(t, "read the account", err)
		same(t, "account of the "+name, got, is)
		_, err = other.UpdateAccount(context.Background(), a.ID, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error {
			a.PasswordHash, a.Roles = "another", []string{"clerk"}
			return nil
		}})
		must(t, "change the account", err)
	}
}

// checkSessionNeedsAccount begins sessions for accounts that are not to have one.
// Both states may have come about while the password was being checked.
func checkSessionNeedsAccount(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice", func(a *auth.Account) { a.Disabled = true })
	// Both may have come about while the password was being checked.
	for _, id := range []string{a.ID, "id-nobody", ""} {
		_, err := s.CreateSession(context.Background(), auth.Session{ID: "s-" + id, AccountID: id, Counter: 1, Created: now(), Rotated: now()})
		want(t, "create a session of "+id, err, auth.ErrNotFound)
	}
	n, err := s.CountSessions(context.Background())
	must(t, "count", err)
	same(t, "sessions", n, 0)
}

// listed are the ids of an account's live sessions, in their order.
func listed(t testing.TB, s auth.Store, accountID string) []string {
	t.Helper()
	all, err := s.Sessions(context.Background(), accountID)
	must(t, "list sessions of "+accountID, err)
	return ids(all)
}

// checkSessionList lists what a person sees under "your devices": one's own, live,
// the newest on top.
func checkSessionList(t testing.TB, s, _ auth.Store) {
	a, b := account(t, s, "alice"), account(t, s, "bob")
	made := func(ago time.Duration) func(*auth.Session) {
		return func(n *auth.Session) { n.Created = now().Add(-ago) }
	}
	session(t, s, a.ID, "middle", made(2*time.Minute))
	session(t, s, a.ID, "newest", made(time.Minute))
	session(t, s, a.ID, "oldest", made(3*time.Minute))
	session(t, s, a.ID, "ended", made(0))
	session(t, s, b.ID, "his", made(150*time.Second))
	must(t, "revoke", s.RevokeSession(context.Background(), "ended", auth.RevokedByChoice, later()))

	same(t, "hers", listed(t, s, a.ID), []string{"newest", "middle", "oldest"})
	same(t, "his", listed(t, s, b.ID), []string{"his"})
	same(t, "everybody's", listed(t, s, ""), []string{"newest", "middle", "his", "oldest"})
	same(t, "nobody's", listed(t, s, "id-nobody"), []string{})
	n, err := s.CountSessions(context.Background())
	must(t, "count", err)
	same(t, "live sessions", n, 4)
}

// checkRevokeSession ends a session twice. The second time must neither fail, since
// a person may click twice, nor put another entry into everybody's feed.
func checkRevokeSession(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice")
	session(t, s, a.ID, "s")
	session(t, s, a.ID, "t")
	until := later()
	must(t, "revoke", s.RevokeSession(context.Background(), "s", auth.RevokedForReuse, until))
	first := stored(t, other, "s")
	if d := time.Since(first.Revoked).Abs(); d > time.Minute {
		t.Errorf("revoked is %v away from the present", d)
	}
	same(t, "why it was revoked", first.RevokedFor, auth.RevokedForReuse)
	same(t, "why it was revoked, as a rotation finds it", rotate(t, other, rotation("s", 1)).Session.RevokedFor, auth.RevokedForReuse)
	same(t, "why a live one was", stored(t, other, "t").RevokedFor, auth.RevokedByChoice)
	must(t, "revoke again", s.RevokeSession(context.Background(), "s", auth.RevokedByChoice, until.Add(time.Hour)))
	same(t, "session revoked twice", stored(t, other, "s"), first)
	entries := feed(t, other)
	if len(entries) != 1 {
		t.Fatalf("got %d entries in the feed, want 1", len(entries))
	}
	same(t, "entry", entries[0], auth.Revocation{Seq: entries[0].Seq, Kind: auth.RevokeSessionTokens, ID: "s", Until: until})
	same(t, "live sessions", listed(t, other, a.ID), []string{"t"})
}

// checkRevokeSessions ends the sessions of one account in steps. The one to keep is
// that of the person who asks; another account's id there keeps nothing.
func checkRevokeSessions(t testing.TB, s, _ auth.Store) {
	a, b := account(t, s, "alice"), account(t, s, "bob")
	for _, id := range []string{"a1", "a2", "a3", "a4"} {
		session(t, s, a.ID, id)
	}
	session(t, s, b.ID, "b1")
	must(t, "revoke one before", s.RevokeSession(context.Background(), "a4", auth.RevokedByChoice, later()))

	ended, err := s.RevokeSessions(context.Background(), a.ID, "a2", later())
	must(t, "revoke but one", err)
	slices.Sort(ended)
	same(t, "ended", ended, []string{"a1", "a3"})
	same(t, "left", listed(t, s, a.ID), []string{"a2"})
	for _, id := range []string{"a1", "a2", "a3"} {
		same(t, id+" is in the feed", revoked(feed(t, s), auth.RevokeSessionTokens, id, 0), id != "a2")
	}
	// Another account's session keeps nothing.
	ended, err = s.RevokeSessions(context.Background(), a.ID, "b1", later())
	must(t, "revoke the rest", err)
	same(t, "ended at last", ended, []string{"a2"})
	same(t, "entries in the feed", len(feed(t, s)), 4)
	same(t, "his", listed(t, s, b.ID), []string{"b1"})
	ended, err = s.RevokeSessions(context.Background(), a.ID, "", later())
	must(t, "revoke none", err)
	same(t, "ended when none is left", len(ended), 0)
}

// checkPrune forgets by last use and by age. A session forgotten too early is a
// person logged out; one kept for ever is a table that grows for ever.
func checkPrune(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	at := func(rotated, created time.Duration) func(*auth.Session) {
		return func(n *auth.Session) { n.Rotated, n.Created = now().Add(-rotated), now().Add(-created) }
	}
	session(t, s, a.ID, "new", at(0, 0))
	session(t, s, a.ID, "used", at(59*time.Minute, 23*time.Hour))
	session(t, s, a.ID, "idle", at(61*time.Minute, 2*time.Hour))
	session(t, s, a.ID, "old", at(0, 25*time.Hour))
	session(t, s, a.ID, "ended", at(61*time.Minute, 2*time.Hour))
	must(t, "revoke", s.RevokeSession(context.Background(), "ended", auth.RevokedByChoice, now().Add(-time.Minute)))

	must(t, "prune", s.PruneSessions(context.Background(), now().Add(-time.Hour), now().Add(-24*time.Hour)))
	same(t, "left", listed(t, s, a.ID), []string{"new", "used"})
	for _, id := range []string{"idle", "old", "ended"} {
		_, err := s.Session(context.Background(), id)
		want(t, "read the pruned session "+id, err, auth.ErrNotFound)
	}
	_, err := s.Account(context.Background(), a.ID)
	must(t, "read the account after pruning", err)
}
