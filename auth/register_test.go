package auth_test

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// open lets strangers register.
func open(c *auth.Config) { c.Registration.Enabled = true }

// register is a stranger's registration from home.
func (r *rig) register(a auth.Applicant) (auth.Grant, error) {
	r.t.Helper()
	return r.svc.Register(r.t.Context(), a, home())
}

func bob() auth.Applicant {
	return auth.Applicant{Username: "bob", Email: "bob@example.com", Name: "Bob", Password: password}
}

func TestARegistrationMakesAnAccountWithTheDefaultRolesAndASession(t *testing.T) {
	r := newRig(t, open)
	r.events = nil
	g, err := r.register(bob())
	if err != nil {
		t.Fatal(err)
	}
	if a := g.Account; a.Username != "bob" || a.Name != "Bob" || a.Email != "bob@example.com" || !slices.Equal(a.Roles, []string{"user"}) || a.ID == "" {
		t.Errorf("account %+v", a)
	}
	names := make([]string, len(r.events))
	for i, e := range r.events {
		names[i] = e.Name
		if e.User != "bob" || e.By != "" || e.Client.Address != home().Address || e.Client.RequestID != "r1" {
			t.Errorf("audit %+v", e)
		}
	}
	if !slices.Equal(names, []string{auth.EventUserCreated, auth.EventLogin}) {
		t.Errorf("audit %v", names)
	}
	r.verify(g.AccessToken, nil)
	r.refresh(g.RefreshToken)
	if _, err := r.svc.Login(t.Context(), auth.Credentials{Username: "BOB@example.com", Password: password}, home()); err != nil {
		t.Error(err)
	}
}

// An application that takes X-Auth-Email for proven would give a stranger the
// account of whoever has that address.
func TestTheAddressOfARegistrationIsNotToldToApplications(t *testing.T) {
	r := newRig(t, open)
	for _, a := range []auth.Applicant{bob(), {Email: "carol@example.com", Password: password}} {
		g, err := r.register(a)
		if err != nil {
			t.Fatal(err)
		}
		if p := r.verify(g.AccessToken, nil); p.Email != "" {
			t.Errorf("the token says %q", p.Email)
		}
		row, err := r.svc.Account(t.Context(), g.Account.ID)
		if err != nil || row.EmailVerified || row.Email != a.Email {
			t.Errorf("%v, account %+v", err, row)
		}
	}
}

func TestWithRegistrationOffNobodyRegisters(t *testing.T) {
	r := newRig(t)
	_, err := r.register(bob())
	wantError(t, err, auth.ErrNotFound)
	if n, err := r.store.CountAccounts(t.Context()); n != 2 || err != nil || r.svc.RegistrationOpen() {
		t.Errorf("%d accounts, %v", n, err)
	}
}

func TestNobodyRegistersARoleForThemselves(t *testing.T) {
	r := newRig(t, open, func(c *auth.Config) {
		c.Roles = append(c.Roles, "author")
		c.Registration.AllowRoles = []string{"author"}
	})
	for _, test := range []struct {
		asked, got []string
		fault      string
	}{
		{nil, []string{"user"}, ""},
		{[]string{}, []string{"user"}, ""},
		{[]string{"user"}, []string{"user"}, ""},
		{[]string{"author"}, []string{"author"}, ""},
		{[]string{"author", "user"}, []string{"author", "user"}, ""},
		{[]string{"admin"}, nil, `"admin" cannot`},
		{[]string{"author", "admin"}, nil, `"admin" cannot`},
		{[]string{"Admin"}, nil, "cannot"},
		{[]string{"ａdmin"}, nil, "cannot"},
		{[]string{""}, nil, "cannot"},
		{[]string{"ghost"}, nil, "cannot"},
		{[]string{"author,admin"}, nil, "cannot"},
		{[]string{"author", "author"}, nil, "twice"},
		{slices.Repeat([]string{"admin"}, 1000), nil, "cannot"},
	} {
		name := fmt.Sprintf("%.40q", test.asked)
		a := bob()
		g, err := r.register(func() auth.Applicant { a.Roles = test.asked; return a }())
		if test.fault != "" {
			wantInvalid(t, err, "roles", test.fault)
			continue
		}
		if err != nil || !slices.Equal(g.Account.Roles, test.got) || !slices.Equal(r.verify(g.AccessToken, nil).Roles, test.got) {
			t.Errorf("%s: %v, roles %v", name, err, g.Account.Roles)
		}
		wantError(t, r.svc.DeleteAccount(t.Context(), g.Account.ID, auth.Actor{}), nil)
	}
}

// SE: a name that folds to another's is that one's.
func TestNobodyRegistersAsAnother(t *testing.T) {
	r := newRig(t, open)
	r.add(auth.NewAccount{ID: "legacy-7", Username: "boss", Email: "boss@example.com"})
	for _, test := range []struct{ username, email, field string }{
		{"alice", "", "username"}, {"ALICE", "", "username"}, {"ａｌｉｃｅ", "", "username"},
		{"legacy-7", "", "username"}, {"Legacy-7", "", "username"}, {r.alice.ID, "", "invalid"},
		{"eve", "boss@example.com", "email"}, {"eve", "BOSS@Example.com", "email"}, {"", "boss@example.com", "email"}, {"", "ｂoss@example.com", "email"},
		{"alice@example.com", "eve@example.com", "invalid"}, {"alice@example.com", "", "invalid"}, {"alice@example.com", "alice@example.com", "username"},
		{"42", "", "invalid"}, {"00000000-0000-4000-8000-000000000000", "", "invalid"}, {"аlice", "", "invalid"}, {"αlice", "", "invalid"},
		{"eve", "аlice@example.com", "invalid"}, {"eve", "alice@еxample.com", "invalid"}, {"alice\u200b", "", "invalid"}, {" alice", "", "invalid"},
		// A variation selector, a filler, a joiner, a vowel and a pattern that show nothing.
		{"alice\ufe0f", "", "invalid"}, {"alice\u3164", "", "invalid"}, {"al\u034fice", "", "invalid"}, {"\u17b4alice", "", "invalid"}, {"alice\u2800", "", "invalid"},
		// Names of places, to an application that keeps a directory for each user.
		{"..", "", "invalid"}, {"../alice", "", "invalid"}, {"．．／alice", "", "invalid"}, {`..\alice`, "", "invalid"}, {"", "../alice@example.com", "invalid"},
		{"alice\U000e0100", "", "invalid"}, {"alice\u180b", "", "invalid"}, {"eve", "alice@exam\u034fple.com", "invalid"}, {"ali  ce", "", "invalid"},
	} {
		_, err := r.register(auth.Applicant{Username: test.username, Email: test.email, Password: password})
		var invalid *auth.InvalidError
		if test.field != "invalid" {
			wantConflict(t, err, test.field)
		} else if !errors.As(err, &invalid) {
			t.Errorf("%q %q: %v", test.username, test.email, err)
		}
	}
	for _, fine := range []auth.Applicant{{Username: "иван"}, {Username: "eve", Email: "иван@example.com"}, {Username: "田中a"}, {Username: "Åsa-Łukasz"}} {
		fine.Password = password
		if _, err := r.register(fine); err != nil {
			t.Errorf("%q: %v", fine.Username, err)
		}
	}
}

// A stranger's body holds a name of 64 KiB. Folding it again and again takes
// seconds, and nothing else bounds how many such bodies come: no hash is
// computed for them, and none is counted.
func TestANameThatIsTooLongIsRefusedWithoutFoldingIt(t *testing.T) {
	r := newRig(t, open)
	long := strings.Repeat("\ufdfa", 10_000) // one character that folds to eighteen
	for what, a := range map[string]auth.Applicant{
		"username": {Username: long, Password: password},
		"email":    {Username: "eve", Email: long + "@example.com", Password: password},
		"domain":   {Email: "eve@" + long, Password: password},
		"both":     {Username: long, Email: long, Password: password},
		"name":     {Username: "eve", Name: long, Password: password},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := r.register(a)
		runtime.ReadMemStats(&after)
		if invalid := (*auth.InvalidError)(nil); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", what, err)
		}
		if spent := after.TotalAlloc - before.TotalAlloc; spent > 200<<10 { // folding it once takes more
			t.Errorf("%s: %d bytes were spent on a name of %d", what, spent, len(long))
		}
	}
}

func TestEverythingWrongWithARegistrationIsSaidAtOnce(t *testing.T) {
	r := newRig(t, open)
	_, err := r.register(auth.Applicant{Username: "a,b", Email: "x", Name: "a\nb", Password: "short", Roles: []string{"admin"},
		Fields: map[string]any{"tenant": "acme", "shoe": "9", "phone": 7}})
	for field, says := range map[string]string{"username": "comma", "email": "name@example.com", "name": "control", "password": "at least 8", "roles": "cannot",
		"fields.tenant": "administrator", "fields.shoe": "no field", "fields.phone": "text"} {
		wantInvalid(t, err, field, says)
	}
	_, err = r.register(auth.Applicant{Email: "not an address", Password: password})
	wantInvalid(t, err, "email", "name@example.com")
	if invalid := (*auth.InvalidError)(nil); errors.As(err, &invalid) && len(invalid.Fields) != 1 {
		t.Errorf("a bad address is said to be a bad username too: %+v", invalid.Fields)
	}
	_, err = r.register(auth.Applicant{})
	wantInvalid(t, err, "username", "empty")
	wantInvalid(t, err, "password", "at least")
	many := map[string]any{}
	for i := range 5000 {
		many[fmt.Sprint("f", i)] = "x"
	}
	_, err = r.register(auth.Applicant{Username: "bob", Password: password, Fields: many})
	if invalid := (*auth.InvalidError)(nil); !errors.As(err, &invalid) || len(invalid.Fields) > 64 {
		t.Error("an answer larger than its question")
	}
	if n, err := r.store.CountAccounts(t.Context()); n != 2 || err != nil {
		t.Errorf("%d accounts, %v", n, err)
	}
	a := bob()
	a.Fields = map[string]any{"phone": "+44 1"}
	g, err := r.register(a)
	if err != nil || !slices.Equal(g.Account.Fields["phone"], []string{"+44 1"}) {
		t.Errorf("%v %+v", err, g.Account.Fields)
	}
}

func TestOfManyEqualRegistrationsAtOnceOneMakesAnAccount(t *testing.T) {
	r := newRig(t, open)
	other := r.restart() // another instance on the same store
	var wg sync.WaitGroup
	results := make(chan error, 16)
	for i := range cap(results) {
		svc := []*auth.Service{r.svc, other}[i%2]
		wg.Go(func() {
			a := bob()
			a.Username = []string{"bob", "BOB", "ｂｏｂ"}[i%3]
			a.Email = fmt.Sprintf("bob%d@example.com", i)
			_, err := svc.Register(t.Context(), a, home())
			results <- err
		})
	}
	wg.Wait()
	close(results)
	made := 0
	for err := range results {
		var taken *auth.ConflictError
		switch {
		case err == nil:
			made++
		case !errors.As(err, &taken) || taken.Field != "username":
			t.Error(err)
		}
	}
	if n, err := r.store.CountAccounts(t.Context()); made != 1 || n != 3 || err != nil {
		t.Errorf("%d were told that they have it, %d accounts, %v", made, n, err)
	}
}

// The budget is auth.lockout's: 200 accounts for each attempt; a name that is
// taken costs five.
func TestAnAddressRegistersOnlySoOften(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, open, func(c *auth.Config) {
			c.Lockout = auth.Lockout{Attempts: 1, Window: time.Minute, Duration: time.Minute}
		})
		try := func(from string) error {
			c := home()
			c.Address = netip.MustParseAddr(from)
			_, err := r.svc.Register(t.Context(), auth.Applicant{Username: "alice", Password: password}, c)
			return err
		}
		for range 40 {
			wantConflict(t, try("2001:db8::1"), "username")
		}
		r.events = nil
		if err := try("2001:db8::2"); !locked(err) { // of the same /64
			t.Errorf("the next: %v", err)
		}
		if len(r.events) != 1 || r.events[0].Name != auth.EventRegisterRefused || r.events[0].User != "" {
			t.Errorf("audit %+v", r.events)
		}
		wantConflict(t, try("2001:db8:0:1::1"), "username")
		time.Sleep(time.Minute)
		wantConflict(t, try("2001:db8::1"), "username")
		_, err := r.svc.Login(t.Context(), auth.Credentials{Username: "alice", Password: password}, home())
		wantError(t, err, nil) // registering locks no login
	})
}

func TestNoConfigurationLetsARoleInThatDoesNotExist(t *testing.T) {
	c := auth.DefaultConfig()
	c.Roles = []string{"member"} // [user] is the default of a key that is off
	if faults := c.Validate(); len(faults) > 0 {
		t.Errorf("%+v", faults)
	}
	c.Registration.Enabled = true
	if faults := c.Validate(); len(faults) != 1 || faults[0].Path != "registration.default_roles[0]" || !strings.Contains(faults[0].Message, "member") {
		t.Errorf("%+v", faults)
	}
}
