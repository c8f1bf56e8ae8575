package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// accountPromises are about what an account is when it is read again.
func accountPromises() []Promise {
	return []Promise{
		{Name: "an account comes back as it went in", Check: checkAccountRoundTrip},
		{Name: "times come back in UTC to the millisecond", Check: checkTimes},
		{Name: "accounts are listed by username", Check: checkAccountOrder},
		{Name: "going on from id to id meets every account once", Check: checkFrom},
		{Name: "accounts and the holders of each role are counted", Check: checkCounts},
		{Name: "a deleted account takes its sessions along and everything it held is revoked", Check: checkDelete},
	}
}

// checkAccountRoundTrip writes what a careless backend would spoil: quotes, commas
// in a role, empty lists, numbers above 2^53, letters outside ASCII. The second
// store reads it, so that no cache of the first one answers.
func checkAccountRoundTrip(t testing.TB, s, other auth.Store) {
	for _, a := range []auth.Account{
		{ID: "bare", Username: "bare", Version: 1, Created: now(), Updated: now()},
		{
			ID: "full", Username: `O'Brien; DROP TABLE "accounts" --`, Email: "Full@Example.org", EmailVerified: true, Name: "Zoë 🦊 \\ % _ \n <b>&amp;",
			Roles: []string{"user", "admin", "a,b", ""}, Fields: map[string][]string{"phone": {"+49 1"}, "many": {"b", "a", "b"}, "none": {}},
			PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", Disabled: true, Version: 1 << 60, Created: now().Add(-time.Hour), Updated: now(),
		},
	} {
		must(t, "create "+a.ID, s.CreateAccount(context.Background(), a))
		got, err := other.Account(context.Background(), a.ID)
		must(t, "read "+a.ID, err)
		sameAccount(t, got, a)
		got, err = other.FindAccount(context.Background(), a.Username)
		must(t, "find "+a.Username, err)
		sameAccount(t, got, a)
	}
}

// sameAccount compares two accounts; an empty list is no list.
func sameAccount(t testing.TB, got, want auth.Account) {
	t.Helper()
	for _, a := range []*auth.Account{&got, &want} {
		if len(a.Roles) == 0 {
			a.Roles = nil
		}
		if len(a.Fields) == 0 {
			a.Fields = nil
		}
	}
	same(t, "account "+want.ID, got, want)
}

// checkTimes writes times of another zone and finer than a millisecond. A time
// that came back an hour off, or rounded up into the future, would end sessions
// or keep them.
func checkTimes(t testing.TB, s, _ auth.Store) {
	there := time.FixedZone("there", 5*3600+30*60)
	at := time.Date(2031, 2, 3, 4, 5, 6, 789_999_999, there)
	kept := time.Date(2031, 2, 2, 22, 35, 6, 789_000_000, time.UTC)
	a := account(t, s, "alice", func(a *auth.Account) { a.Created, a.Updated = at, at })
	session(t, s, a.ID, "s", func(n *auth.Session) { n.Rotated, n.AuthTime, n.Created, n.LastSeen = at, at, at, at })
	k, err := s.AddKey(context.Background(), auth.SealedKey{ID: "k", Use: "u", Sealed: []byte("x"), Created: at, Retired: at})
	must(t, "add key", err)

	a, err = s.Account(context.Background(), a.ID)
	must(t, "read account", err)
	n := stored(t, s, "s")
	for i, got := range []time.Time{a.Created, a.Updated, n.Rotated, n.AuthTime, n.Created, n.LastSeen, k.Created, k.Retired} {
		if !got.Equal(kept) || got.Location() != time.UTC {
			t.Errorf("time %d: got %v, want %v", i, got, kept)
		}
	}
	if !n.Revoked.IsZero() {
		t.Errorf("a time that is not set came back as %v", n.Revoked)
	}
}

// checkAccountOrder lists capitals among small letters. Each engine collates in its
// own way, and an operator who changes engines must not see the list change.
func checkAccountOrder(t testing.TB, s, _ auth.Store) {
	all, err := s.Accounts(context.Background())
	must(t, "list none", err)
	same(t, "accounts in an empty store", len(all), 0)
	for i, name := range []string{"bob", "Älva", "Carol", "alice", "dave"} {
		account(t, s, numbered("x", 9-i), func(a *auth.Account) { a.Username = name })
	}
	all, err = s.Accounts(context.Background())
	must(t, "list", err)
	var names []string
	for _, a := range all {
		names = append(names, a.Username)
	}
	same(t, "usernames in their order", names, []string{"alice", "bob", "Carol", "dave", "Älva"})
}

// checkCounts counts what a reload warns of: a role that is taken out of the
// configuration while accounts still hold it.
func checkCounts(t testing.TB, s, _ auth.Store) {
	holders := func(want map[string]int) {
		t.Helper()
		got, err := s.CountRoleHolders(context.Background())
		must(t, "count role holders", err)
		same(t, "holders", len(got) == len(want), true)
		for role, n := range want {
			same(t, "holders of "+role, got[role], n)
		}
	}
	holders(map[string]int{})
	a := account(t, s, "alice", func(a *auth.Account) { a.Roles = []string{"user", "admin", "user"} })
	account(t, s, "bob")
	account(t, s, "carol", func(a *auth.Account) { a.Roles = nil })
	account(t, s, "dave", func(a *auth.Account) { a.Disabled = true })
	holders(map[string]int{"user": 3, "admin": 1})
	must(t, "delete", s.DeleteAccount(context.Background(), a.ID, auth.Removal{Until: later()}))
	holders(map[string]int{"user": 2})
	n, err := s.CountAccounts(context.Background())
	must(t, "count accounts", err)
	same(t, "accounts", n, 3)
}

// checkDelete deletes an account that is logged in. What it held must end at
// once: the refresh token with the session, the access token by the feed.
func checkDelete(t testing.TB, s, _ auth.Store) {
	a, b := account(t, s, "alice"), account(t, s, "bob")
	session(t, s, a.ID, "hers")
	session(t, s, b.ID, "his")
	until := later()
	must(t, "delete", s.DeleteAccount(context.Background(), a.ID, auth.Removal{Until: until}))

	_, err := s.Account(context.Background(), a.ID)
	want(t, "read the deleted account", err, auth.ErrNotFound)
	_, err = s.Session(context.Background(), "hers")
	want(t, "read its session", err, auth.ErrNotFound)
	_, err = s.RotateSession(context.Background(), rotation("hers", 1))
	want(t, "rotate its session", err, auth.ErrNotFound)
	same(t, "the other one's session", stored(t, s, "his").Revoked.IsZero(), true)

	entries := feed(t, s)
	same(t, "tokens of the last version are revoked", revoked(entries, auth.RevokeAccountTokens, a.ID, a.Version), true)
	same(t, "tokens of the other one are", revoked(entries, auth.RevokeAccountTokens, b.ID, 0), false)
	for _, r := range entries {
		same(t, "until", r.Until, until)
	}
}

// checkFrom walks over the accounts by their ids, and begins between two of them.
func checkFrom(t testing.TB, s, _ auth.Store) {
	for _, name := range []string{"carol", "alice", "bob"} {
		account(t, s, name)
	}
	met := map[string]int{}
	at := ""
	for range 4 {
		a, err := s.AccountFrom(context.Background(), at)
		if errors.Is(err, auth.ErrNotFound) {
			break
		}
		must(t, "go on from "+at, err)
		met[a.ID]++
		at = a.ID + "!" // what comes at once after it
	}
	same(t, "accounts that were met", met, map[string]int{"id-alice": 1, "id-bob": 1, "id-carol": 1})
	a, err := s.AccountFrom(context.Background(), "id-b")
	must(t, "begin between two", err)
	same(t, "the next", a.ID, "id-bob")
	a, err = s.AccountFrom(context.Background(), "id-bob")
	must(t, "begin at one", err)
	same(t, "the very one", a.PasswordHash, "$hash$bob")
}
