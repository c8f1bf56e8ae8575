package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/posternhq/postern/auth"
)

// demote takes an account's roles away, and leaves somebody who can administer.
func demote(s auth.Store, id string) error {
	_, err := s.UpdateAccount(context.Background(), id, auth.AccountUpdate{Until: later(), KeepAdmin: true, Change: func(a *auth.Account) error {
		a.Roles = []string{"user"}
		return nil
	}})
	return err
}

// remove deletes an account, and leaves somebody who can administer.
func remove(s auth.Store, id string) error {
	return s.DeleteAccount(context.Background(), id, auth.Removal{Until: later(), KeepAdmin: true})
}

// checkLastAdmin tries to get rid of the only administrator beside accounts that
// cannot take over, though they look like it.
func checkLastAdmin(t testing.TB, s, _ auth.Store) {
	root := account(t, s, "root", func(a *auth.Account) { a.Roles = []string{"user", auth.AdminRole} })
	session(t, s, root.ID, "hers")
	gone := account(t, s, "gone", func(a *auth.Account) { a.Roles, a.Disabled = []string{auth.AdminRole}, true })
	user := account(t, s, "user", func(a *auth.Account) { a.Roles = []string{`"admin`, "Admin", "admin2"} })
	disable := func(keep bool) error {
		_, err := s.UpdateAccount(context.Background(), root.ID, auth.AccountUpdate{Until: later(), KeepAdmin: keep, Change: func(a *auth.Account) error {
			a.Disabled = true
			return nil
		}})
		return err
	}
	want(t, "demote the last", demote(s, root.ID), auth.ErrLastAdmin)
	want(t, "disable the last", disable(true), auth.ErrLastAdmin)
	want(t, "delete the last", remove(s, root.ID), auth.ErrLastAdmin)
	after, err := s.Account(context.Background(), root.ID)
	must(t, "read", err)
	same(t, "the account", after, root)
	same(t, "its session lives", stored(t, s, "hers").Revoked.IsZero(), true)
	same(t, "entries in the feed", len(feed(t, s)), 0)

	must(t, "demote one who cannot administer", demote(s, gone.ID))
	must(t, "delete one who cannot administer", remove(s, user.ID))
	change(t, s, root.ID, auth.AccountUpdate{Until: later(), KeepAdmin: true, Change: func(a *auth.Account) error {
		a.Name, a.Roles = "Root", []string{auth.AdminRole}
		return nil
	}})
	account(t, s, "second", func(a *auth.Account) { a.Roles = []string{auth.AdminRole} })
	must(t, "demote one of two", demote(s, "id-second"))
	must(t, "disable the last where nobody asked to keep one", disable(false))
}

// checkAdminRace has all administrators but one removed by another each, in
// both ways: of those who look first and act then, all go.
func checkAdminRace(t testing.TB, s, other auth.Store) {
	for i := range racers {
		account(t, s, numbered("admin", i), func(a *auth.Account) { a.Roles = []string{auth.AdminRole} })
	}
	race(s, other, func(i int, s auth.Store) {
		act := demote
		if i%4 < 2 {
			act = remove
		}
		if err := act(s, "id-"+numbered("admin", i)); err != nil && !errors.Is(err, auth.ErrLastAdmin) {
			t.Errorf("racer %d: %v", i, err)
		}
	})
	all, err := s.Accounts(context.Background())
	must(t, "list", err)
	left := 0
	for _, a := range all {
		if a.Administers() {
			left++
		}
	}
	same(t, "administrators that are left", left, 1)
}
