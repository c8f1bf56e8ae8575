package auth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// imported is an account of a list, changed for a table.
func imported(username string, edit ...func(*auth.Imported)) auth.Imported {
	in := auth.Imported{NewAccount: auth.NewAccount{Username: username}}
	for _, e := range edit {
		e(&in)
	}
	return in
}

// bcrypt of the rig's password at the least cost, by passlib.
const oldHash = "$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS"

// importFaults are what an import was refused for, as lines.
func importFaults(t *testing.T, err error) []string {
	t.Helper()
	var wrong *auth.ImportError
	if !errors.As(err, &wrong) {
		t.Fatalf("got %v, want an *ImportError", err)
	}
	var all []string
	for _, f := range wrong.Faults {
		line := fmt.Sprintf("%d %s: %s", f.Index, f.Field, f.Message)
		if f.Same >= 0 {
			line += fmt.Sprintf(" (%d)", f.Same)
		}
		all = append(all, line)
	}
	return all
}

func TestAnImportKeepsWhatItIsGiven(t *testing.T) {
	r := newRig(t)
	created := time.Date(2019, 5, 6, 7, 8, 9, 0, time.UTC)
	made, err := r.svc.ImportAccounts(t.Context(), []auth.Imported{
		imported("bob", func(in *auth.Imported) {
			in.ID, in.Email, in.Name, in.Roles, in.PasswordHash, in.Created = "42", "bob@example.com", "Bob", []string{"user", "admin"}, oldHash, created
			in.Fields = map[string][]string{"phone": {"1", "2"}, "tenant": {}}
		}),
		imported("", func(in *auth.Imported) { in.Email, in.Unverified, in.Disabled = "carol@example.com", true, true }),
	}, auth.Actor{By: "command-line"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		id, username string
		verified     bool
	}{{"42", "bob", true}, {made[1].ID, "carol@example.com", false}} {
		a, err := r.svc.FindAccount(t.Context(), want.username)
		if err != nil || a.ID != want.id || a.ID == "" || a.EmailVerified != want.verified || a.Version != made[i].Version {
			t.Errorf("%s: %+v, %v", want.username, a, err)
		}
	}
	bob, _ := r.svc.Account(t.Context(), "42")
	if !bob.Created.Equal(created) || bob.PasswordHash != oldHash || !slices.Equal(bob.Fields["phone"], []string{"1", "2"}) || len(bob.Fields) != 1 || bob.Disabled {
		t.Errorf("bob is %+v", bob)
	}
	if carol, _ := r.svc.FindAccount(t.Context(), "carol@example.com"); !carol.Disabled || carol.PasswordHash != "" {
		t.Errorf("carol is %+v", carol)
	}
	if !r.told(auth.EventUserCreated, "bob") {
		t.Error("the audit log does not know of bob")
	}
}

func TestAnImportedHashIsGoodForALoginAndThenKeptInOurWay(t *testing.T) {
	r := newRig(t)
	if _, err := r.svc.ImportAccounts(t.Context(), []auth.Imported{imported("bob", func(in *auth.Imported) { in.PasswordHash = oldHash })}, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	wantError(t, r.try("bob", "wrong horse battery", "192.0.2.1"), auth.ErrInvalidCredentials)
	wantError(t, r.try("bob", password, "192.0.2.1"), nil)
	if bob, _ := r.svc.FindAccount(t.Context(), "bob"); !strings.HasPrefix(bob.PasswordHash, "$argon2id$") {
		t.Error("the old hash is still there")
	}
	wantError(t, r.try("bob", password, "192.0.2.1"), nil)
}

func TestAnImportWithAFaultChangesNothingAndTellsAll(t *testing.T) {
	r := newRig(t)
	list := []auth.Imported{
		imported("fine"),
		imported("a,b"),
		imported("12345"),
		imported("ALICE"),
		imported("dora", func(in *auth.Imported) { in.Email = "Alice@example.com" }),
		imported("eve", func(in *auth.Imported) { in.ID = r.root.ID }),
		imported("fred", func(in *auth.Imported) { in.Roles = []string{"user", "wheel", "user"} }),
		imported("gina", func(in *auth.Imported) { in.PasswordHash = "plain" }),
		imported("hans", func(in *auth.Imported) { in.ID = "a b" }),
		imported("Fine"),
		imported("ivan", func(in *auth.Imported) { in.Fields = map[string][]string{"age": {"1"}} }),
		imported("jack", func(in *auth.Imported) { in.Roles = []string{"$2b$12$secretsecretsecret"} }),
		imported("kate", func(in *auth.Imported) { in.Password = "secretsecret" }),
		imported("lena", func(in *auth.Imported) { in.ID, in.Email = "lena", "lena" }),
		imported(""),
	}
	for name, do := range map[string]func() error{
		"import": func() error { _, err := r.svc.ImportAccounts(t.Context(), list, auth.Actor{}); return err },
		"check":  func() error { return r.svc.CheckImport(t.Context(), list) },
	} {
		got := importFaults(t, do())
		want := []string{
			"1 username: must not contain a comma or |",
			"2 username: must not look like an id (a number, a UUID or 24 hexadecimal digits)",
			`3 username: is taken by the account "alice"`,
			`4 email: is taken by the account "alice"`,
			`5 id: is taken by the account "root"`,
			`6 roles: unknown role "wheel"; known are user, admin`,
			`6 roles: "user" is listed twice`,
			"7 password_hash: is of no known format",
			"8 id: must be 1 to 128 bytes without spaces, control characters or any of , | @ / \\",
			"9 username: is taken by an account before it (0)",
			"10 fields.age: is no field of a profile here",
			"11 roles: are no names of roles; known are user, admin",
			"12 password: must not be given in clear; give its hash",
			"13 email: must look like name@example.com",
			"14 username: must not be empty",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if n, err := r.store.CountAccounts(t.Context()); n != 2 || err != nil {
		t.Errorf("%d accounts, %v", n, err)
	}
	if r.told(auth.EventUserCreated, "fine") {
		t.Error("the audit log tells of an account that was not made")
	}
}

// Where columns have slipped, every account would have its neighbour's secret
// for a name that logs, tokens and applications show.
func TestAHashInTheColumnOfSomethingShownIsRefused(t *testing.T) {
	r := newRig(t)
	const apr = "$apr1$saltsalt$dWdGZb3dLvYYEH9OeUT/W1"
	list := []auth.Imported{
		imported(oldHash),
		imported("bob", func(in *auth.Imported) { in.Name = apr }),
		imported("carol", func(in *auth.Imported) { in.ID = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=" }),
		imported("dave", func(in *auth.Imported) { in.Fields = map[string][]string{"phone": {"1", apr}} }),
		imported("$2b$04$ is how they begin", func(in *auth.Imported) { in.Name = "A. {B}" }),
	}
	got := importFaults(t, r.svc.CheckImport(t.Context(), list))
	const slipped = "is a password hash: have the columns slipped?"
	if want := []string{"0 username: " + slipped, "1 name: " + slipped, "2 id: " + slipped, "3 fields.phone: " + slipped}; !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	// What could be made here could not be brought along from here.
	if _, err := r.svc.AddAccount(t.Context(), auth.NewAccount{Username: oldHash}, auth.Actor{}); err == nil {
		t.Error("it can be a name all the same")
	}
}

func TestNewIDsMeetNeitherEachOtherNorThoseOfTheList(t *testing.T) {
	r := newRig(t, func(c *auth.Config) { c.IDFormat = "integer" })
	list := make([]auth.Imported, 3000)
	for i := range list {
		list[i] = imported(fmt.Sprintf("user-%d", i))
	}
	list[2999].ID = "1000000007"
	made, err := r.svc.ImportAccounts(t.Context(), list, auth.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, a := range made {
		ids[a.ID] = true
	}
	if len(ids) != len(list) || !ids["1000000007"] {
		t.Errorf("%d ids for %d accounts", len(ids), len(list))
	}
}

// sameID is chance that always gives the same id.
type sameID struct{}

func (sameID) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestWithoutChanceAnImportEndsInsteadOfTryingOn(t *testing.T) {
	r := newRig(t)
	r.opts.Rand = sameID{}
	svc := r.restart()
	_, err := svc.ImportAccounts(t.Context(), []auth.Imported{imported("bob"), imported("carol")}, auth.Actor{})
	if err == nil || !strings.Contains(err.Error(), "every one that was tried is taken") {
		t.Errorf("got %v", err)
	}
}

// overtaken is a store in which somebody else is faster.
type overtaken struct{ auth.Store }

func (s overtaken) CreateAccounts(ctx context.Context, list []auth.Account) error {
	if err := s.CreateAccount(ctx, auth.Account{ID: "faster", Username: list[1].Username}); err != nil {
		return err
	}
	return s.Store.CreateAccounts(ctx, list)
}

func TestANameThatIsTakenDuringAnImportEndsItWhole(t *testing.T) {
	r := newRig(t)
	r.opts.Store = overtaken{r.store}
	svc := r.restart()
	_, err := svc.ImportAccounts(t.Context(), []auth.Imported{imported("bob"), imported("carol")}, auth.Actor{})
	if got := importFaults(t, err); !slices.Equal(got, []string{"1 username: was taken a moment ago"}) {
		t.Errorf("got %v", got)
	}
	_, err = svc.FindAccount(t.Context(), "bob")
	wantError(t, err, auth.ErrNotFound)
}

func TestAnImportIntoAStoreThatIsAwayIsUnavailable(t *testing.T) {
	r := newRig(t)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := r.svc.ImportAccounts(t.Context(), []auth.Imported{imported("bob")}, auth.Actor{})
	wantError(t, err, auth.ErrUnavailable)
	wantError(t, r.svc.CheckImport(t.Context(), nil), auth.ErrUnavailable)
}

func TestWhatMayBeASecretIsNotPresentable(t *testing.T) {
	for name, want := range map[string]bool{
		"alice": true, "alice@example.com": true, "Zoë van der Berg": true, "a.very-long.name_with-many.parts_in-it": true, "": true,
		oldHash: false, "{SSHA}abc": false, "pbkdf2_sha256$1": false, "$1$": false, "AQAAAAEAACcQAAAAEJ6yZ3Q0bR5lQmJd": false,
		"5f4dcc3b5aa765d61d8327deb882cf99": false, "a\nb": false, strings.Repeat("a ", 200): false,
	} {
		if got := auth.IsPresentable(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}
