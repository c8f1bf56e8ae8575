package storetest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/posternhq/postern/auth"
)

// namePromises are about who may be called what. Two accounts that a person or a
// program behind the gateway can take for one another are one account too many.
func namePromises() []Promise {
	return []Promise{
		{Name: "id, username and e-mail share one namespace in every spelling", Check: checkNamespace},
		{Name: "a refused account leaves no name behind", Check: checkRefusedLeavesNothing},
		{Name: "an account does not stand in its own way", Check: checkOwnNames},
		{Name: "accounts without an e-mail do not meet in the empty name", Check: checkEmptyName},
		{Name: "an account is found by each of its names in every spelling", Check: checkFind},
		{Name: "a changed name is found anew and the old one is free", Check: checkRename},
		{Name: "a change into the name of another is refused whole", Check: checkRenameConflict},
		{Name: "a deleted account frees its names", Check: checkDeleteFreesNames},
		{Name: "of those who race for a name exactly one gets it", Shared: true, Check: checkNameRace},
	}
}

// spellings are other ways to write a name that a person or a program may take
// for the same. The names in use hold an "fi", so that the ligature counts.
func spellings(name string) []string {
	wide := strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r + 0xfee0
		}
		return r
	}, name)
	return []string{
		name,
		strings.ToUpper(name),               // Turkish and German do not come back from this
		wide,                                // fullwidth forms
		strings.ReplaceAll(name, "fi", "ﬁ"), // a ligature
		strings.ReplaceAll(name, "é", "e\u0301"),     // decomposed
		strings.ReplaceAll(name, "ß", "ẞ"),           // capital sharp s
		strings.ReplaceAll(name, "s", "\u017f"),      // long s
		strings.ReplaceAll(name, "k", "\u212a"),      // the Kelvin sign
		strings.ReplaceAll(name, "ss", "\u00df"),     // folds to ss
		strings.ReplaceAll(name, "\u00b5", "\u03bc"), // micro sign and mu
	}
}

// taken is the account whose names the others try for.
func taken(t testing.TB, s auth.Store) auth.Account {
	return account(t, s, "taken", func(a *auth.Account) {
		a.ID, a.Username, a.Email = "fid-kiss-1", "fionéß\u00b5", "fi.kiss@example.org"
	})
}

// checkNamespace tries each name of an account, in each spelling, as each of the
// three names of another. If one passed, an application that is told usernames
// would serve a stranger with somebody's data.
func checkNamespace(t testing.TB, s, _ auth.Store) {
	old := taken(t, s)
	for _, name := range []string{old.ID, old.Username, old.Email} {
		for _, spelling := range spellings(name) {
			for field, edit := range map[string]func(*auth.Account){
				"id":       func(a *auth.Account) { a.ID = spelling },
				"username": func(a *auth.Account) { a.Username = spelling },
				"email":    func(a *auth.Account) { a.Email = spelling },
			} {
				a := auth.Account{ID: "new", Username: "new-name", Email: "new@example.org"}
				edit(&a)
				conflict(t, field+" "+spelling, s.CreateAccount(context.Background(), a), field)
			}
		}
	}
	account(t, s, "fi") // part of a name is not the name
}

// checkRefusedLeavesNothing looks for the halves of an account that was refused
// at its last name: a name that nobody holds and nobody can have.
func checkRefusedLeavesNothing(t testing.TB, s, _ auth.Store) {
	old := taken(t, s)
	conflict(t, "create", s.CreateAccount(context.Background(),
		auth.Account{ID: "id-second", Username: "second", Email: old.Email}), "email")
	n, err := s.CountAccounts(context.Background())
	must(t, "count", err)
	same(t, "accounts after the refusal", n, 1)
	account(t, s, "second") // id and username were not claimed
}

// checkOwnNames has accounts with the same word in two of their places. It is how
// accounts without a username are made: the e-mail is the username.
func checkOwnNames(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "one", func(a *auth.Account) { a.Username = a.Email })
	b := account(t, s, "two", func(a *auth.Account) { a.Username = strings.ToUpper(a.ID) })
	for _, id := range []string{a.ID, b.ID} {
		_, err := s.UpdateAccount(context.Background(), id, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error {
			a.Username, a.Email = strings.ToUpper(a.Email), strings.ToLower(a.Username)
			return nil
		}})
		must(t, "swap the names of "+id, err)
	}
}

// checkEmptyName keeps a missing e-mail from being a name. As one it would be
// taken by the first account without, and found by whoever asks for nothing.
func checkEmptyName(t testing.TB, s, _ auth.Store) {
	for _, name := range []string{"one", "two"} {
		account(t, s, name, func(a *auth.Account) { a.Email = "" })
	}
	_, err := s.FindAccount(context.Background(), "")
	want(t, "find the empty name", err, auth.ErrNotFound)
}

// checkFind looks an account up as people type names, and by its id as tokens
// carry it.
func checkFind(t testing.TB, s, _ auth.Store) {
	account(t, s, "other")
	a := taken(t, s)
	for _, name := range []string{a.ID, a.Username, a.Email} {
		for _, spelling := range spellings(name) {
			got, err := s.FindAccount(context.Background(), spelling)
			must(t, "find "+spelling, err)
			same(t, "found by "+spelling, got.ID, a.ID)
		}
	}
	// An id that a token carries is compared as it is: folding it would let one
	// account's token speak for a look-alike.
	_, err := s.Account(context.Background(), strings.ToUpper(a.ID))
	want(t, "read an id in another spelling", err, auth.ErrNotFound)
	_, err = s.Account(context.Background(), a.Username)
	want(t, "read a username as an id", err, auth.ErrNotFound)
}

// checkRename follows a rename from both sides: who comes by the old name later
// must be somebody else, and not land in the renamed account.
func checkRename(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "old")
	_, err := s.UpdateAccount(context.Background(), a.ID, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error {
		a.Username, a.Email = "new", "new@example.org"
		return nil
	}})
	must(t, "rename", err)
	for _, name := range []string{"new", "new@example.org", a.ID} {
		got, err := s.FindAccount(context.Background(), name)
		must(t, "find "+name, err)
		same(t, "found by "+name, got.ID, a.ID)
	}
	_, err = s.FindAccount(context.Background(), "old")
	want(t, "find the old name", err, auth.ErrNotFound)
	account(t, s, "another", func(b *auth.Account) { b.Username, b.Email = a.Username, a.Email })
}

// checkRenameConflict mixes a refused name with changes that are fine. A store that
// wrote some of them would have changed a password and told nobody.
func checkRenameConflict(t testing.TB, s, _ auth.Store) {
	old, a := taken(t, s), account(t, s, "alice")
	session(t, s, a.ID, "alive")
	before, err := s.Account(context.Background(), a.ID)
	must(t, "read", err)
	for field, edit := range map[string]func(*auth.Account){
		"username": func(a *auth.Account) { a.Username = strings.ToUpper(old.Email) },
		"email":    func(a *auth.Account) { a.Email = strings.ToUpper(old.ID) },
	} {
		_, err := s.UpdateAccount(context.Background(), a.ID, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error {
			a.Name, a.PasswordHash, a.Roles = "changed", "$other", []string{"admin"}
			edit(a)
			return nil
		}})
		conflict(t, "change "+field, err, field)
	}
	after, err := s.Account(context.Background(), a.ID)
	must(t, "read again", err)
	same(t, "the account after the refusals", after, before)
	same(t, "the session after the refusals", stored(t, s, "alive").Revoked.IsZero(), true)
	same(t, "entries in the feed", len(feed(t, s)), 0)
	got, err := s.FindAccount(context.Background(), "alice")
	must(t, "find by the name it keeps", err)
	same(t, "found", got.ID, a.ID)
}

// checkDeleteFreesNames makes the same account again, as an import after a mistake
// does.
func checkDeleteFreesNames(t testing.TB, s, _ auth.Store) {
	a := taken(t, s)
	must(t, "delete", s.DeleteAccount(context.Background(), a.ID, auth.Removal{Until: later()}))
	for _, name := range []string{a.ID, a.Username, a.Email} {
		_, err := s.FindAccount(context.Background(), name)
		want(t, "find "+name, err, auth.ErrNotFound)
	}
	taken(t, s)
}

// checkNameRace lets many take one name at once. Looking first and writing then
// lets two in; only a constraint does not.
func checkNameRace(t testing.TB, s, other auth.Store) {
	var won, lost atomic.Int32
	race(s, other, func(i int, s auth.Store) {
		a := auth.Account{ID: numbered("id", i), Username: "ALICE", Email: numbered("mail", i)}
		if i%2 == 0 {
			a.Username = "alice"
		}
		var c *auth.ConflictError
		switch err := s.CreateAccount(context.Background(), a); {
		case err == nil:
			won.Add(1)
		case errors.As(err, &c) && c.Field == "username":
			lost.Add(1)
		default:
			t.Errorf("racer %d: %v", i, err)
		}
	})
	same(t, "winners and losers", [2]int32{won.Load(), lost.Load()}, [2]int32{1, racers - 1})
}
