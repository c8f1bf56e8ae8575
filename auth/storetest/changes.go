package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// changePromises are about a change and all that it brings with it, which stand or
// fall together.
func changePromises() []Promise {
	return []Promise{
		{Name: "a change is answered as it is stored", Check: checkChange},
		{Name: "a change that errs changes nothing and its error comes back as it is", Check: checkChangeErrs},
		{Name: "a change cannot move id, version or creation", Check: checkChangeKeeps},
		{Name: "roles, password and disabling outdate the tokens, what is asked for, and nothing else does", Check: checkOutdating},
		{Name: "roles changed in place are still a change", Check: checkInPlace},
		{Name: "the last administrator stays where that is asked", Check: checkLastAdmin},
		{Name: "of administrators who remove each other at once one stays", Shared: true, Check: checkAdminRace},
		{Name: "no change is lost among many at once", Shared: true, Check: checkChangeRace},
	}
}

// change updates an account and answers it.
func change(t testing.TB, s auth.Store, id string, u auth.AccountUpdate) auth.Account {
	t.Helper()
	a, err := s.UpdateAccount(context.Background(), id, u)
	must(t, "update account "+id, err)
	return a
}

// checkChange compares what a change was answered with what another store reads.
func checkChange(t testing.TB, s, other auth.Store) {
	old := account(t, s, "alice", func(a *auth.Account) { a.Updated = now().Add(-time.Hour) })
	answered := change(t, s, old.ID, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error {
		sameAccount(t, *a, old)
		a.Name, a.EmailVerified, a.Fields = "Alice A.", true, map[string][]string{"phone": {"1", "2"}}
		return nil
	}})
	got, err := other.Account(context.Background(), old.ID)
	must(t, "read", err)
	same(t, "stored and answered", got, answered)
	if got.Name != "Alice A." || !got.EmailVerified || !slices.Equal(got.Fields["phone"], []string{"1", "2"}) {
		t.Errorf("the change is not there: %+v", got)
	}
	if d := time.Since(got.Updated).Abs(); d > time.Minute {
		t.Errorf("updated is %v away from the present", d)
	}
}

// checkChangeErrs refuses from inside a change that has already written into the
// row, with errors that a store might take for its own.
func checkChangeErrs(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	session(t, s, a.ID, "alive")
	before, err := s.Account(context.Background(), a.ID)
	must(t, "read", err)
	// Errors that a store has a meaning for, too: the caller's are the caller's.
	for _, refusal := range []error{errors.New("no"), &auth.InvalidError{}, auth.ErrNotFound, context.Canceled} {
		_, err := s.UpdateAccount(context.Background(), a.ID, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error {
			a.Username, a.PasswordHash, a.Disabled, a.Roles[0] = "mallory", "", true, "admin"
			return refusal
		}})
		if err != refusal {
			t.Errorf("got error %v, want %v as it is", err, refusal)
		}
	}
	after, err := s.Account(context.Background(), a.ID)
	must(t, "read again", err)
	same(t, "the account", after, before)
	same(t, "its session is revoked", !stored(t, s, "alive").Revoked.IsZero(), false)
	same(t, "entries in the feed", len(feed(t, s)), 0)
}

// checkChangeKeeps writes where only the store may. A lowered version would make
// revoked tokens good again.
func checkChangeKeeps(t testing.TB, s, _ auth.Store) {
	old := account(t, s, "alice")
	got := change(t, s, old.ID, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error {
		a.ID, a.Version, a.Created = "id-mallory", 99, time.Time{}
		return nil
	}})
	if got.ID != old.ID || got.Version != old.Version || !got.Created.Equal(old.Created) {
		t.Errorf("got %+v, want id, version and creation of %+v", got, old)
	}
	_, err := s.Account(context.Background(), "id-mallory")
	want(t, "read the id that Change wrote", err, auth.ErrNotFound)
}

// outdating is what a change must bring with it.
type outdating struct {
	name      string
	keep      string
	rehash    bool
	outdates  bool // what else differs
	disabled  bool // before
	change    func(*auth.Account)
	raised    bool     // the version, with an entry in the feed
	surviving []string // sessions
}

// judge is what is asked for: whatever differs in a profile.
func (c outdating) judge() func(before, after auth.Account) bool {
	if !c.outdates {
		return nil
	}
	return func(before, after auth.Account) bool {
		return before.Name != after.Name || before.Email != after.Email || before.EmailVerified != after.EmailVerified ||
			!maps.EqualFunc(before.Fields, after.Fields, slices.Equal)
	}
}

// checkOutdating goes through what a change can be. Too little revoked leaves a
// removed role in force; too much logs people out for a new telephone number.
func checkOutdating(t testing.TB, s, _ auth.Store) {
	both := []string{"a", "b"}
	for i, c := range []outdating{
		{name: "nothing", change: func(*auth.Account) {}, surviving: both},
		{name: "name, e-mail and fields", change: func(a *auth.Account) { a.Name, a.Email, a.Fields = "N", "n@example.org", nil }, surviving: both},
		{name: "name", outdates: true, change: func(a *auth.Account) { a.Name = "N" }, raised: true, surviving: both},
		{name: "e-mail", outdates: true, change: func(a *auth.Account) { a.Email = "m@example.org" }, raised: true, surviving: both},
		{name: "verification", outdates: true, change: func(a *auth.Account) { a.EmailVerified = !a.EmailVerified }, raised: true, surviving: both},
		{name: "field", outdates: true, change: func(a *auth.Account) { a.Fields = map[string][]string{"tenant": {"other"}} }, raised: true, surviving: both},
		{name: "field, in place", outdates: true, change: func(a *auth.Account) {
			for _, values := range a.Fields {
				values[0] = "other"
			}
		}, raised: true, surviving: both},
		{name: "nothing, though it would", outdates: true, change: func(*auth.Account) {}, surviving: both},
		{name: "roles", change: func(a *auth.Account) { a.Roles = []string{"user", "admin"} }, raised: true, surviving: both},
		{name: "no role left", change: func(a *auth.Account) { a.Roles = nil }, raised: true, surviving: both},
		{name: "password", change: func(a *auth.Account) { a.PasswordHash = "$new" }, raised: true},
		{name: "password, keeping one", keep: "a", change: func(a *auth.Account) { a.PasswordHash = "$new" }, raised: true, surviving: []string{"a"}},
		{name: "password taken away", change: func(a *auth.Account) { a.PasswordHash = "" }, raised: true},
		{name: "rehash", rehash: true, change: func(a *auth.Account) { a.PasswordHash = "$new" }, surviving: both},
		{name: "rehash with a change of roles", rehash: true, change: func(a *auth.Account) { a.PasswordHash, a.Roles = "$new", nil }, raised: true, surviving: both},
		{name: "disable", change: func(a *auth.Account) { a.Disabled = true }, raised: true},
		{name: "enable", disabled: true, change: func(a *auth.Account) { a.Disabled = false }, raised: true},
	} {
		c.check(t, s, numbered("account", i))
	}
}

// check makes an account with the sessions a and b, changes it and looks at
// what came with it.
func (c outdating) check(t testing.TB, s auth.Store, name string) {
	t.Helper()
	old := account(t, s, name, func(a *auth.Account) { a.Fields = map[string][]string{"tenant": {"acme"}} })
	bystander := account(t, s, name+"-bystander")
	session(t, s, bystander.ID, name+"-theirs")
	for _, id := range []string{"a", "b"} {
		session(t, s, old.ID, name+id)
	}
	if c.disabled {
		old = change(t, s, old.ID, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error { a.Disabled = true; return nil }})
	}
	if c.keep != "" {
		c.keep = name + c.keep
	}
	before := len(feed(t, s))
	got := change(t, s, old.ID, auth.AccountUpdate{Keep: c.keep, Until: later(), SamePassword: c.rehash, Outdates: c.judge(), Change: func(a *auth.Account) error {
		c.change(a)
		return nil
	}})
	entries := feed(t, s)
	same(t, c.name+": version raised", got.Version > old.Version, c.raised)
	same(t, c.name+": older tokens revoked", revoked(entries[before:], auth.RevokeAccountTokens, old.ID, old.Version), c.raised)
	same(t, c.name+": newer tokens revoked", revoked(entries, auth.RevokeAccountTokens, old.ID, got.Version), false)
	for _, id := range []string{"a", "b"} {
		lives := slices.Contains(c.surviving, id)
		same(t, c.name+": session "+id+" lives", stored(t, s, name+id).Revoked.IsZero(), lives)
		same(t, c.name+": session "+id+" is in the feed", revoked(entries, auth.RevokeSessionTokens, name+id, 0), !lives)
	}
	same(t, c.name+": the bystander's session lives", stored(t, s, name+"-theirs").Revoked.IsZero(), true)
}

// checkInPlace writes into the slice that it was given. A store that compares
// the row with itself sees no change then, and revokes nothing.
func checkInPlace(t testing.TB, s, _ auth.Store) {
	old := account(t, s, "alice")
	got := change(t, s, old.ID, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error {
		a.Roles[0] = "admin"
		return nil
	}})
	same(t, "version raised", got.Version > old.Version, true)
	same(t, "older tokens revoked", revoked(feed(t, s), auth.RevokeAccountTokens, old.ID, old.Version), true)
}

// checkChangeRace lets many change one account, each adding to what it was given.
// A store that reads before its transaction loses some of it.
func checkChangeRace(t testing.TB, s, other auth.Store) {
	old := account(t, s, "alice", func(a *auth.Account) { a.Roles = nil })
	race(s, other, func(i int, s auth.Store) {
		_, err := s.UpdateAccount(context.Background(), old.ID, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error {
			a.Roles = append(a.Roles, numbered("role", i))
			return nil
		}})
		if err != nil {
			t.Errorf("racer %d: %v", i, err)
		}
	})
	got, err := s.Account(context.Background(), old.ID)
	must(t, "read", err)
	same(t, "roles that were added", len(got.Roles), racers)
	same(t, "version", got.Version, old.Version+racers)
}
