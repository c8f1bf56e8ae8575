package auth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// oldApp is the old application as this package sees it: who it knows, and how
// often it was asked.
type oldApp struct {
	mu    sync.Mutex // guards the following
	asked []auth.Credentials
	users map[string]string // passwords by name
	says  auth.NewAccount
	away  error
}

func (o *oldApp) login(_ context.Context, _ auth.MigrateFrom, cr auth.Credentials) (auth.NewAccount, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, cr)
	switch {
	case o.away != nil:
		return auth.NewAccount{}, o.away
	case o.users[cr.Username] != cr.Password:
		return auth.NewAccount{}, fmt.Errorf("%w: the old application answered 401", auth.ErrInvalidCredentials)
	}
	return o.says, nil
}

// times is how often the application was asked.
func (o *oldApp) times() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.asked)
}

// newMigratingRig is a rig beside an old application that knows bob and
// carol@example.com.
func newMigratingRig(t *testing.T, change ...func(*auth.Config)) (*rig, *oldApp) {
	t.Helper()
	old := &oldApp{users: map[string]string{"bob": "bobs old password", "carol@example.com": "carols old password", "42": "x"}}
	r := newRig(t, append([]func(*auth.Config){func(c *auth.Config) { c.MigrateFrom.LoginURL = "http://127.0.0.1:1/login" }}, change...)...)
	r.opts.OldLogin = old.login
	r.svc = r.restart()
	return r, old
}

func TestAnUnknownUserComesAlongWithAFreshHashAndIsNotAskedForAgain(t *testing.T) {
	r, old := newMigratingRig(t)
	r.told("", "")
	wantError(t, r.try("bob", "bobs old password", "192.0.2.1"), nil)
	bob, err := r.svc.FindAccount(t.Context(), "BOB")
	if err != nil || bob.Username != "bob" || !slices.Equal(bob.Roles, []string{"user"}) || !strings.HasPrefix(bob.PasswordHash, "$argon2id$") || bob.ID == "" {
		t.Errorf("bob is %+v, %v", bob, err)
	}
	if got := r.names(); !slices.Equal(got, []string{auth.EventUserMigrated, auth.EventLogin}) {
		t.Errorf("the audit log has %v", got)
	}
	wantError(t, r.try("bob", "bobs old password", "192.0.2.1"), nil)
	wantError(t, r.try("bob", "another", "192.0.2.1"), auth.ErrInvalidCredentials)
	if old.times() != 1 {
		t.Errorf("the old application was asked %d times", old.times())
	}
}

// names are the names of the events told so far, which it forgets.
func (r *rig) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, e := range r.events {
		all = append(all, e.Name)
	}
	r.events = nil
	return all
}

// The old application is asked for nobody that exists here: neither a wrong
// password nor a disabled account makes it a second chance.
func TestTheOldApplicationIsAskedForUnknownNamesAlone(t *testing.T) {
	r, old := newMigratingRig(t)
	yes := true
	if _, err := r.svc.SetAccount(t.Context(), r.root.ID, auth.AccountChange{Disabled: &yes}, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	old.users["alice"], old.users["root"], old.users["alice@example.com"] = "x", "x", "x"
	for _, c := range [][2]string{
		{"alice", "x"}, {"ALICE@example.com", "x"}, {"root", "x"}, {"bob", ""}, {"bob", strings.Repeat("x", 1025)},
		{"", "x"}, {strings.Repeat("b", 255), "x"}, {"bob\n", "x"}, {"bo\u200bb", "x"},
	} {
		wantError(t, r.try(c[0], c[1], "192.0.2.1"), auth.ErrInvalidCredentials)
	}
	if old.times() != 0 {
		t.Errorf("the old application was asked about %v", old.asked)
	}
}

func TestWithoutAnAddressTheOldApplicationIsNotAsked(t *testing.T) {
	r, old := newMigratingRig(t, func(c *auth.Config) { c.MigrateFrom.LoginURL = "" })
	wantError(t, r.try("bob", "bobs old password", "192.0.2.1"), auth.ErrInvalidCredentials)
	conf := r.opts.Config
	conf.MigrateFrom.LoginURL = "http://127.0.0.1:1/login"
	wantError(t, r.svc.Reconfigure(t.Context(), conf), nil)
	wantError(t, r.try("bob", "bobs old password", "192.0.2.1"), nil)
	if old.times() != 1 {
		t.Errorf("asked %d times", old.times())
	}
}

// No open relay for guesses: they are counted here before they are passed on.
func TestGuessesAtTheOldApplicationEndInALock(t *testing.T) {
	r, old := newMigratingRig(t)
	var err error
	for range 8 {
		if err = r.try("bob", "guess", "192.0.2.1"); locked(err) {
			break
		}
		wantError(t, err, auth.ErrInvalidCredentials)
	}
	if !locked(err) || old.times() != 5 {
		t.Errorf("%v after %d questions, want a lock after 5", err, old.times())
	}
	if err := r.try("bob", "bobs old password", "192.0.2.1"); !locked(err) || old.times() != 5 {
		t.Errorf("the right password while locked: %v, %d questions", err, old.times())
	}
}

// No open relay either while the answers say nothing: an application that meets
// a wrong password with a 500 would be guessed at without end, and one that is
// down would get all the requests that a stranger cares to send.
func TestQuestionsThatAreNotAnsweredAreCountedAgainstWhoAsks(t *testing.T) {
	r, old := newMigratingRig(t)
	old.away = errors.New("the old application answered 500")
	var err error
	for range 60 {
		if err = r.try("bob", "guess", "192.0.2.1"); locked(err) {
			break
		}
	}
	if !locked(err) || old.times() != 50 { // ten times lockout.attempts: the limit of an address
		t.Errorf("%v after %d questions, want a lock after 50", err, old.times())
	}
	if err := r.try("carol@example.com", "guess", "192.0.2.1"); !locked(err) {
		t.Errorf("another name: %v", err)
	}
	old.away = nil
	wantError(t, r.try("bob", "bobs old password", "192.0.2.2"), nil) // the name is not shut out elsewhere
	wantError(t, r.tryAlice(password), nil)
}

// Who cannot be asked about may be real: that is no failed login, locks nobody
// and makes nobody.
func TestAnOldApplicationThatIsAwayIsNoWrongPassword(t *testing.T) {
	r, old := newMigratingRig(t)
	old.away = errors.New("it did not answer in time")
	for range 12 {
		err := r.try("bob", "bobs old password", "192.0.2.1")
		var busy *auth.BusyError
		if !errors.As(err, &busy) || busy.RetryAfter <= 0 || errors.Is(err, auth.ErrInvalidCredentials) {
			t.Fatalf("got %v", err)
		}
	}
	if got := r.names(); !slices.Contains(got, auth.EventMigrateFailed) || slices.Contains(got, auth.EventLoginFailed) {
		t.Errorf("the audit log has %v", got)
	}
	_, err := r.svc.FindAccount(t.Context(), "bob")
	wantError(t, err, auth.ErrNotFound)
	old.away = nil
	wantError(t, r.try("bob", "bobs old password", "192.0.2.1"), nil)
}

func TestWhatTheOldApplicationSaysBecomesTheAccount(t *testing.T) {
	for _, test := range []struct {
		name, typed string
		says        auth.NewAccount
		vouches     bool
		want        auth.Account
		detail      string
	}{
		{"nothing", "bob", auth.NewAccount{}, false, auth.Account{Username: "bob", Roles: []string{"user"}}, "user"},
		{"nothing, for an address", "carol@example.com", auth.NewAccount{}, false, auth.Account{Username: "carol@example.com", Email: "carol@example.com", Roles: []string{"user"}}, "user"},
		{"everything", "bob", auth.NewAccount{ID: "42", Username: "Bobby", Email: "b@example.com", Name: "Bob", Roles: []string{"ROLE_ADMIN", "wheel", "admin"}, Fields: map[string][]string{"phone": {"1"}}}, true,
			auth.Account{ID: "42", Username: "Bobby", Email: "b@example.com", EmailVerified: true, Name: "Bob", Roles: []string{"admin"}, Fields: map[string][]string{"phone": {"1"}}}, "admin"},
		// Programs are known to look no further than the name before the @.
		{"nothing, for an address that nobody verified", "carol@example.com", auth.NewAccount{}, true, auth.Account{Username: "carol@example.com", Email: "carol@example.com", Roles: []string{"user"}}, "user"},
		{"the address that was typed", "carol@example.com", auth.NewAccount{Email: "Carol@example.com"}, true, auth.Account{Username: "Carol@example.com", Email: "Carol@example.com", EmailVerified: true, Roles: []string{"user"}}, "user"},
		{"a username for an address", "carol@example.com", auth.NewAccount{Username: "carol"}, false, auth.Account{Username: "carol", Email: "carol@example.com", Roles: []string{"user"}}, "user"},
		{"another address", "carol@example.com", auth.NewAccount{Email: "c@example.com"}, false, auth.Account{Username: "c@example.com", Email: "c@example.com", Roles: []string{"user"}}, "user"},
		{"roles that are none", "bob", auth.NewAccount{Roles: []string{"wheel", "root"}}, false, auth.Account{Username: "bob", Roles: []string{"user"}}, "user"},
		{"what cannot be kept", "bob", auth.NewAccount{Email: "b o b", Name: "a\nb", Fields: map[string][]string{"age": {"1"}}}, false, auth.Account{Username: "bob", Roles: []string{"user"}}, "user; left out: email, name, fields"},
		{"a username for a number", "42", auth.NewAccount{Username: "dora"}, false, auth.Account{Username: "dora", Roles: []string{"user"}}, "user"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, old := newMigratingRig(t, func(c *auth.Config) {
				c.MigrateFrom.EmailVerified = test.vouches
				c.MigrateFrom.Roles = []auth.MigrateRole{{Role: "ROLE_ADMIN", As: "admin"}}
			})
			old.says = test.says
			wantError(t, r.try(test.typed, old.users[test.typed], "192.0.2.1"), nil)
			got, err := r.svc.FindAccount(t.Context(), test.want.Username)
			if err != nil {
				t.Fatal(err)
			}
			want := test.want
			if want.ID == "" {
				want.ID = got.ID
			}
			if got.ID != want.ID || got.Username != want.Username || got.Email != want.Email || got.EmailVerified != want.EmailVerified ||
				got.Name != want.Name || !slices.Equal(got.Roles, want.Roles) || fmt.Sprint(got.Fields) != fmt.Sprint(presentOf(want.Fields)) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			for _, e := range r.events {
				if e.Name == auth.EventUserMigrated && e.Detail != test.detail {
					t.Errorf("the audit log says %q, want %q", e.Detail, test.detail)
				}
			}
		})
	}
}

func presentOf(fields map[string][]string) map[string][]string {
	if fields == nil {
		return map[string][]string{}
	}
	return fields
}

// The old application's word makes accounts and gives none away: who is called
// there as somebody is called here does not become them.
func TestWhoSharesANameWithAnAccountIsRefusedAndTheAccountUntouched(t *testing.T) {
	for name, says := range map[string]auth.NewAccount{
		"username": {Username: "Alice"}, "email": {Email: "ALICE@example.com"}, "id as a username": {Username: "ID"}, "id": {ID: "ID"},
		"username as an id": {ID: "alice"}, "a username that is none": {Username: "a,b"}, "an id that is none": {ID: "a b"},
		"an address of nobody's": {Username: "x@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			r, old := newMigratingRig(t)
			says.ID, says.Username = strings.ReplaceAll(says.ID, "ID", r.alice.ID), strings.ReplaceAll(says.Username, "ID", r.alice.ID)
			old.says = says
			wantError(t, r.try("bob", "bobs old password", "192.0.2.1"), auth.ErrInvalidCredentials)
			if n, err := r.store.CountAccounts(t.Context()); n != 2 || err != nil {
				t.Errorf("%d accounts, %v", n, err)
			}
			alice, err := r.svc.Account(t.Context(), r.alice.ID)
			if err != nil || alice.PasswordHash != r.alice.PasswordHash || alice.Version != r.alice.Version {
				t.Errorf("alice was changed: %+v, %v", alice, err)
			}
			if last := r.events[len(r.events)-1]; last.Name != auth.EventLoginFailed || !strings.HasPrefix(last.Detail, "unknown; the old application knows it, but ") {
				t.Errorf("the audit log says %+v", last)
			}
		})
	}
}

// Two first logins at once are one account and two sessions, also on two
// instances.
func TestRacingFirstLoginsMakeOneAccount(t *testing.T) {
	r, _ := newMigratingRig(t)
	other := r.restart()
	var wg sync.WaitGroup
	errs := make(chan error, 6)
	for i := range 6 {
		svc := r.svc
		if i%2 == 1 {
			svc = other
		}
		wg.Go(func() {
			_, err := svc.Login(t.Context(), auth.Credentials{Username: "bob", Password: "bobs old password"}, home())
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		wantError(t, err, nil)
	}
	if n, err := r.store.CountAccounts(t.Context()); n != 3 || err != nil {
		t.Errorf("%d accounts, %v", n, err)
	}
}

func TestAPasswordThatBcryptCannotKeepBringsNobodyAlong(t *testing.T) {
	r, old := newMigratingRig(t, func(c *auth.Config) { c.Password.Algorithm = "bcrypt" })
	old.users["bob"] = strings.Repeat("x", 73)
	wantError(t, r.try("bob", old.users["bob"], "192.0.2.1"), auth.ErrInvalidCredentials)
	_, err := r.svc.FindAccount(t.Context(), "bob")
	wantError(t, err, auth.ErrNotFound)
}

// The lengths bind who sets a password; an old one may be shorter.
func TestAShortOldPasswordIsGoodEnoughToComeAlong(t *testing.T) {
	r, _ := newMigratingRig(t)
	wantError(t, r.try("42", "x", "192.0.2.1"), auth.ErrInvalidCredentials) // a number is no username
	r, old := newMigratingRig(t)
	old.says.Username = "dora"
	wantError(t, r.try("42", "x", "192.0.2.1"), nil)
	wantError(t, r.try("dora", "x", "192.0.2.1"), nil)
}

func TestTheSectionMigrateFromIsChecked(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(*auth.MigrateFrom)
		want string
	}{
		{"nothing", func(*auth.MigrateFrom) {}, ""},
		{"an address", func(m *auth.MigrateFrom) { m.LoginURL = "https://old.example.com/login?v=1" }, ""},
		{"all of it", func(m *auth.MigrateFrom) {
			m.LoginURL, m.Format, m.Fields = "http://old:3000/login", "form", []auth.MigrateField{{Field: "u.id", As: "id"}, {Field: "p", As: "fields.phone"}}
		}, ""},
		{"no address", func(m *auth.MigrateFrom) { m.LoginURL = "old.example.com/login" }, "migrate_from.login_url"},
		{"another scheme", func(m *auth.MigrateFrom) { m.LoginURL = "file:///etc/passwd" }, "migrate_from.login_url"},
		{"no host", func(m *auth.MigrateFrom) { m.LoginURL = "http:///login" }, "migrate_from.login_url"},
		{"a password in it", func(m *auth.MigrateFrom) { m.LoginURL = "http://a:b@old/login" }, "migrate_from.login_url"},
		{"a fragment", func(m *auth.MigrateFrom) { m.LoginURL = "http://old/#login" }, "migrate_from.login_url"},
		{"a format", func(m *auth.MigrateFrom) { m.Format = "xml" }, "migrate_from.format"},
		{"one name for both", func(m *auth.MigrateFrom) { m.UsernameField = "password" }, "migrate_from.username_field"},
		{"no name", func(m *auth.MigrateFrom) { m.PasswordField = "" }, "migrate_from.username_field"},
		{"no time", func(m *auth.MigrateFrom) { m.Timeout = 0 }, "migrate_from.timeout"},
		{"all day", func(m *auth.MigrateFrom) { m.Timeout = time.Hour }, "migrate_from.timeout"},
		{"a part that is none", func(m *auth.MigrateFrom) { m.Fields = []auth.MigrateField{{Field: "a", As: "password"}} }, "migrate_from.fields[0].as"},
		{"a field that is none", func(m *auth.MigrateFrom) { m.Fields = []auth.MigrateField{{Field: "a", As: "fields.age"}} }, "migrate_from.fields[0].as"},
		{"no field", func(m *auth.MigrateFrom) { m.Fields = []auth.MigrateField{{As: "id"}} }, "migrate_from.fields[0].field"},
		{"a part twice", func(m *auth.MigrateFrom) {
			m.Fields = []auth.MigrateField{{Field: "a", As: "id"}, {Field: "b", As: "id"}}
		}, "migrate_from.fields[1].as"},
		{"a role that is none", func(m *auth.MigrateFrom) {
			m.LoginURL, m.Roles = "http://old/", []auth.MigrateRole{{Role: "ADMIN", As: "wheel"}}
		}, "migrate_from.roles[0].as"},
		{"no role", func(m *auth.MigrateFrom) { m.Roles = []auth.MigrateRole{{As: "admin"}} }, "migrate_from.roles[0].role"},
		{"a default role that is none", func(m *auth.MigrateFrom) { m.LoginURL, m.DefaultRoles = "http://old/", []string{"user", "wheel"} }, "migrate_from.default_roles[1]"},
		{"the same while it is off", func(m *auth.MigrateFrom) { m.DefaultRoles = []string{"wheel"} }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := auth.DefaultConfig()
			c.Profile.Fields = []auth.ProfileField{{Name: "phone"}}
			test.edit(&c.MigrateFrom)
			got := ""
			for _, f := range c.Validate() {
				got += f.Path
			}
			if got != test.want {
				t.Errorf("faults of %q, want of %q", got, test.want)
			}
		})
	}
}

// An address that the old application never verified is not told to the
// applications behind, unless the configuration vouches for it.
func TestAnAddressThatCameAlongIsToldOnlyWhenTheFileVouchesForIt(t *testing.T) {
	for vouches, want := range map[bool]string{true: "bob@example.com", false: ""} {
		r, old := newMigratingRig(t, func(c *auth.Config) { c.MigrateFrom.EmailVerified = vouches })
		old.says.Email = "bob@example.com"
		g, err := r.svc.Login(t.Context(), auth.Credentials{Username: "bob", Password: "bobs old password"}, home())
		if err != nil {
			t.Fatal(err)
		}
		if p := r.verify(g.AccessToken, nil); p.Email != want || p.Username != "bob" {
			t.Errorf("vouching %t: the token says %q of %q", vouches, p.Email, p.Username)
		}
	}
}

// fullStore is a store in which no account can be made.
type fullStore struct{ auth.Store }

func (fullStore) CreateAccount(context.Context, auth.Account) error {
	return fmt.Errorf("%w: the disk is full", auth.ErrUnavailable)
}

// A fault here, after the old application has said yes, is no wrong password.
func TestAStoreThatFailsWhileSomebodyComesAlongIsUnavailable(t *testing.T) {
	r, old := newMigratingRig(t)
	r.opts.Store = fullStore{r.store}
	svc := r.restart()
	for range 10 {
		_, err := svc.Login(t.Context(), auth.Credentials{Username: "bob", Password: "bobs old password"}, home())
		if !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrInvalidCredentials) {
			t.Fatalf("got %v", err)
		}
	}
	wantError(t, r.try("bob", "bobs old password", "192.0.2.7"), nil) // and nobody was locked out for it
	if old.times() != 11 {
		t.Errorf("asked %d times", old.times())
	}
}

// Who hangs up while the old application thinks has guessed all the same.
func TestGuessesOfAClientThatHangsUpAreCounted(t *testing.T) {
	r, old := newMigratingRig(t)
	hangUp := func() {}
	r.opts.OldLogin = func(ctx context.Context, from auth.MigrateFrom, cr auth.Credentials) (auth.NewAccount, error) {
		hangUp()
		if ctx.Err() != nil {
			t.Error("the question ends with the client")
		}
		return old.login(ctx, from, cr)
	}
	r.svc = r.restart()
	var err error
	for range 8 {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		hangUp = cancel
		if _, err = r.svc.Login(ctx, auth.Credentials{Username: "bob", Password: "guess"}, home()); locked(err) {
			break
		}
		wantError(t, err, auth.ErrInvalidCredentials)
	}
	if !locked(err) || old.times() != 5 {
		t.Errorf("%v after %d questions, want a lock after 5", err, old.times())
	}
}

// gateway.yaml says to disable users and not to delete them: this is why.
func TestADisabledUserStaysOutAndADeletedOneComesAlongAgain(t *testing.T) {
	r, old := newMigratingRig(t)
	wantError(t, r.try("bob", "bobs old password", "192.0.2.1"), nil)
	bob, err := r.svc.FindAccount(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	if _, err := r.svc.SetAccount(t.Context(), bob.ID, auth.AccountChange{Disabled: &yes}, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	wantError(t, r.try("bob", "bobs old password", "192.0.2.1"), auth.ErrInvalidCredentials)
	if old.times() != 1 {
		t.Errorf("asked %d times about somebody who is disabled", old.times())
	}
	if err := r.svc.DeleteAccount(t.Context(), bob.ID, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	wantError(t, r.try("bob", "bobs old password", "192.0.2.1"), nil)
	if again, err := r.svc.FindAccount(t.Context(), "bob"); err != nil || again.ID == bob.ID {
		t.Errorf("bob is %s again, %v", again.ID, err)
	}
}
