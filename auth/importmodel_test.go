package auth_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/auth"
)

// holder is an account of the model: the three names that it holds, folded.
type holder [3]string

// conflicts is the rule of one namespace, written as plainly as can be: a name
// is taken when any other account, stored or earlier in the list, holds it.
func conflicts(stored []holder, list []holder) []string {
	fields := [3]string{"id", "username", "email"}
	var all []string
	for i, h := range list {
		for k, name := range h {
			taken := false
			for _, other := range append(slices.Clone(stored), list[:i]...) {
				taken = taken || slices.Contains(other[:], name)
			}
			if taken && name != "" {
				all = append(all, fmt.Sprintf("%d %s", i, fields[k]))
			}
		}
	}
	return all
}

// TestAnImportTakesWhatTheRuleOfOneNamespaceAllows holds imports, one after the
// other into one store, against the model: each is refused for exactly the names
// that the rule says, and otherwise there is all of it.
func TestAnImportTakesWhatTheRuleOfOneNamespaceAllows(t *testing.T) {
	// Few names in several spellings, so that they meet.
	spelled := rapid.SampledFrom([]string{"ann", "ANN", "Ａnn", "bob", "Bob", "straße", "STRASSE", "zoé", "zoe\u0301", "kim", "\u212aim", "lea", "max", "eve", "fifi", "ﬁfi"})
	address := rapid.Map(spelled, func(s string) string { return s + "@example.org" })
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		r := &rig{t: t, store: openStore(t, filepath.Join(t.TempDir(), fmt.Sprintf("%d.db", run)))}
		conf := auth.DefaultConfig()
		conf.Issuer = issuer
		r.opts = auth.Options{Store: r.store, Master: auth.MasterKey{1}, Config: conf}
		r.svc = r.restart()
		var stored []holder
		for range rapid.IntRange(1, 4).Draw(rt, "imports") {
			var list []auth.Imported
			var held []holder
			for range rapid.IntRange(0, 4).Draw(rt, "accounts") {
				in := imported(spelled.Draw(rt, "username"))
				if rapid.Bool().Draw(rt, "has an address") {
					in.Email = address.Draw(rt, "address")
				}
				if rapid.Bool().Draw(rt, "is called by its address") && in.Email != "" {
					in.Username = in.Email
				}
				if rapid.Bool().Draw(rt, "has an id") {
					in.ID = spelled.Draw(rt, "id")
				}
				list = append(list, in)
				held = append(held, holder{auth.Fold(in.ID), auth.Fold(in.Username), auth.Fold(in.Email)})
			}
			want := conflicts(stored, held)
			made, err := r.svc.ImportAccounts(t.Context(), list, auth.Actor{})
			var got []string
			var wrong *auth.ImportError
			if errors.As(err, &wrong) {
				for _, f := range wrong.Faults {
					got = append(got, fmt.Sprintf("%d %s", f.Index, f.Field))
				}
			} else if err != nil {
				rt.Fatal(err)
			}
			if !slices.Equal(got, want) {
				rt.Fatalf("%+v\n into %v\n got %v\nwant %v", list, stored, got, want)
			}
			if len(want) == 0 {
				for i := range made {
					held[i][0] = auth.Fold(made[i].ID)
				}
				stored = append(stored, held...)
			}
			r.holds(rt, stored)
		}
	})
}

// holds fails unless the store has exactly these accounts, each found by each
// of its names.
func (r *rig) holds(t *rapid.T, want []holder) {
	all, err := r.svc.Accounts(r.t.Context())
	if err != nil || len(all) != len(want) {
		t.Fatalf("%d accounts, want %d: %v", len(all), len(want), err)
	}
	for _, h := range want {
		for _, name := range h {
			if name == "" {
				continue
			}
			a, err := r.svc.FindAccount(r.t.Context(), name)
			if err != nil || auth.Fold(a.ID) != h[0] {
				t.Fatalf("%q finds %q, %v; want %q", name, a.ID, err, h[0])
			}
		}
	}
}

// What is imported is what the gateway tells of an account from then on.
func TestWhatWasImportedIsWhatATokenSays(t *testing.T) {
	r := newRig(t)
	list := []auth.Imported{
		imported("bob", func(in *auth.Imported) { in.Email = "bob@example.com" }),
		imported("carol", func(in *auth.Imported) { in.Email, in.Unverified = "carol@example.com", true }),
		imported("dora", func(in *auth.Imported) { in.Disabled = true }),
		imported("eve"),
	}
	for i := range list[:3] {
		list[i].PasswordHash, list[i].Roles = oldHash, []string{"user"}
	}
	if _, err := r.svc.ImportAccounts(t.Context(), list, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	for name, email := range map[string]string{"bob": "bob@example.com", "carol": ""} {
		g, err := r.svc.Login(t.Context(), auth.Credentials{Username: name, Password: password}, home())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p := r.verify(g.AccessToken, nil); p.Email != email || !slices.Equal(p.Roles, []string{"user"}) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	wantError(t, r.try("dora", password, "192.0.2.1"), auth.ErrInvalidCredentials) // disabled
	wantError(t, r.try("eve", password, "192.0.2.1"), auth.ErrInvalidCredentials)  // no password
	no := false
	dora, err := r.svc.FindAccount(t.Context(), "dora")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.svc.SetAccount(t.Context(), dora.ID, auth.AccountChange{Disabled: &no}, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	wantError(t, r.try("dora", password, "192.0.2.1"), nil)
}

// A token of an account that was deleted is no token of the one that is made
// again under its id.
func TestAnAccountThatIsImportedAgainDoesNotInheritTokens(t *testing.T) {
	r := newRig(t)
	g := r.login()
	if err := r.svc.DeleteAccount(t.Context(), r.alice.ID, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.svc.ImportAccounts(t.Context(), []auth.Imported{imported("mallory", func(in *auth.Imported) { in.ID = r.alice.ID })}, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	r.verify(g.AccessToken, auth.ErrTokenRevoked)
	_, err := r.restart().Verify(g.AccessToken)
	wantError(t, err, auth.ErrTokenRevoked)
	_, err = r.svc.Refresh(t.Context(), g.RefreshToken, home())
	wantError(t, err, auth.ErrRefreshInvalid)
}
