package auth_test

import (
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

// writeBreached makes a list of passwords as the Pwned Passwords downloader
// writes it.
func writeBreached(t *testing.T, passwords ...string) string {
	t.Helper()
	var lines []string
	for i, p := range passwords {
		lines = append(lines, fmt.Sprintf("%X:%d", sha1.Sum([]byte(p)), i+1))
	}
	slices.Sort(lines)
	path := filepath.Join(t.TempDir(), "breached.txt")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\r\n")+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// everyWay are the ways to a new password, each answering what became of it.
func everyWay(r *rig) map[string]func(password string) error {
	r.t.Helper()
	ctx := r.t.Context()
	return map[string]func(string) error{
		"add": func(p string) error {
			_, err := r.svc.AddAccount(ctx, auth.NewAccount{Username: "Long-Username", Email: "long.local.part@example.org", Password: p}, auth.Actor{})
			return err
		},
		"set": func(p string) error {
			_, err := r.svc.SetAccount(ctx, r.alice.ID, auth.AccountChange{Password: &p}, auth.Actor{})
			return err
		},
		"change": func(p string) error {
			g, err := auth.Begin(ctx, r.svc, r.alice, home())
			if err != nil {
				return err
			}
			_, err = r.svc.ChangePassword(ctx, r.verify(g.AccessToken, nil), password, p, home())
			return err
		},
		"register": func(p string) error {
			_, err := r.register(auth.Applicant{Username: "Long-Username", Email: "long.local.part@example.org", Password: p})
			return err
		},
	}
}

func TestNoNewPasswordIsTheAccountsOwnName(t *testing.T) {
	r := newRig(t, open)
	if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Email: ptr("long.local.part@example.org"), Name: ptr("Long-Username")}, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	for way, set := range everyWay(r) {
		field := "password"
		if way == "change" {
			field = "new"
		}
		for _, bad := range []string{"Long-Username", "LONG-USERNAME", "ｌong-username", " long-username ", "long.local.part@example.org", "Long.Local.Part", "example.org", "EXAMPLE.ORG"} {
			wantInvalid(t, set(bad), field, "own name")
		}
	}
}

func ptr[T any](v T) *T { return &v }

// LG: a password that became known elsewhere is tried here first.
func TestNoNewPasswordIsOnTheBreachedList(t *testing.T) {
	path := writeBreached(t, "password1", "correct-horse", "letmein-letmein", "Sommer2026!")
	r := newRig(t, open, func(c *auth.Config) { c.Password.BreachedFile = path })
	for way, set := range everyWay(r) {
		field := "password"
		if way == "change" {
			field = "new"
		}
		for _, bad := range []string{"password1", "correct-horse", "letmein-letmein", "Sommer2026!"} {
			wantInvalid(t, set(bad), field, "become known")
		}
	}
	for _, way := range []string{"set", "register"} {
		wantError(t, everyWay(r)[way]("sommer2026!"), nil)
	}
}

func TestABreachedPasswordStillLogsIn(t *testing.T) {
	r := newRig(t)
	r.opts.Config.Password.BreachedFile = writeBreached(t, password)
	wantError(t, r.svc.Reconfigure(t.Context(), r.opts.Config), nil)
	r.login()
	_, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Password: ptr(password)}, auth.Actor{})
	wantInvalid(t, err, "password", "become known")
}

// A list that has gone must not become a list of nothing.
func TestALostBreachedListLetsNoPasswordPass(t *testing.T) {
	path := writeBreached(t, "password1")
	r := newRig(t, open, func(c *auth.Config) { c.Password.BreachedFile = path })
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for way, set := range everyWay(r) {
		err := set("a good password")
		wantError(t, err, auth.ErrUnavailable)
		if err != nil && strings.Contains(err.Error(), "a good password") {
			t.Errorf("%s: the error tells the password: %v", way, err)
		}
	}
	r.login()
	if faults := r.opts.Config.Validate(); len(faults) != 1 || faults[0].Path != "password.breached_file" || !strings.Contains(faults[0].Message, path) {
		t.Errorf("the next reload: %+v", faults)
	}
}

func TestAnAdministratorIsToldAllThatIsWrongAtOnce(t *testing.T) {
	r := newRig(t)
	_, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Password: ptr("short"), Roles: &[]string{"ghost"}, Fields: map[string][]string{"shoe": {"9"}}}, auth.Actor{})
	for field, says := range map[string]string{"password": "at least", "roles": "ghost", "fields.shoe": "no field"} {
		wantInvalid(t, err, field, says)
	}
}
