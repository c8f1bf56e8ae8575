package auth_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

func wantConflict(t *testing.T, err error, field string) {
	t.Helper()
	var conflict *auth.ConflictError
	if !errors.As(err, &conflict) || conflict.Field != field {
		t.Errorf("got %v, want a conflict of %s", err, field)
	}
}

func TestEverythingWrongWithANewAccountIsSaidAtOnce(t *testing.T) {
	r := newRig(t)
	_, err := r.svc.AddAccount(t.Context(), auth.NewAccount{
		ID: "a b", Username: "42", Email: "x", Name: "a\nb", Password: "short", Roles: []string{"ghost"}, Fields: map[string][]string{"shoe": {"9"}},
	}, auth.Actor{By: "root"})
	for field, says := range map[string]string{
		"id": "1 to 128", "username": "look like an id", "email": "name@example.com", "name": "control",
		"password": "at least 8", "roles": `unknown role "ghost"; known are user, admin`, "fields.shoe": "no field",
	} {
		wantInvalid(t, err, field, says)
	}
	if n, err := r.store.CountAccounts(t.Context()); n != 2 || err != nil {
		t.Errorf("%d accounts, %v", n, err)
	}
}

func TestIdUsernameAndEmailAreOneNamespace(t *testing.T) {
	r := newRig(t)
	r.add(auth.NewAccount{ID: "legacy-7", Username: "bob", Email: "bob@example.com"})
	for field, n := range map[string]auth.NewAccount{
		"username": {Username: "ＡＬＩＣＥ"},
		"email":    {Username: "eve", Email: "Alice@Example.com"},
		"id":       {ID: "ALICE", Username: "eve"},
	} {
		_, err := r.svc.AddAccount(t.Context(), n, auth.Actor{})
		wantConflict(t, err, field)
	}
	_, err := r.svc.AddAccount(t.Context(), auth.NewAccount{Username: "Legacy-7"}, auth.Actor{})
	wantConflict(t, err, "username")
	_, err = r.svc.AddAccount(t.Context(), auth.NewAccount{Email: "bob@example.com"}, auth.Actor{})
	if err == nil {
		t.Error("an e-mail address for two accounts")
	}
}

func TestWithoutAUsernameTheEmailIsTheUsername(t *testing.T) {
	r := newRig(t)
	a := r.add(auth.NewAccount{Email: "carol@example.com", Password: password})
	if a.Username != "carol@example.com" || !a.EmailVerified {
		t.Errorf("account %+v", a)
	}
	next := "carol@example.org"
	a, err := r.svc.SetAccount(t.Context(), a.ID, auth.AccountChange{Email: &next}, auth.Actor{By: "root"})
	if err != nil || a.Username != next || a.Email != next {
		t.Errorf("%v, account %+v", err, a)
	}
	none := ""
	_, err = r.svc.SetAccount(t.Context(), a.ID, auth.AccountChange{Email: &none}, auth.Actor{By: "root"})
	wantInvalid(t, err, "username", "@")
	found, err := r.svc.FindAccount(t.Context(), "CAROL@example.org")
	if err != nil || found.ID != a.ID {
		t.Errorf("%v, found %+v", err, found)
	}
	_, err = r.svc.FindAccount(t.Context(), "carol@example.com")
	wantError(t, err, auth.ErrNotFound)
}

func TestNewAccountsGetIdsInTheFormat(t *testing.T) {
	for format, size := range map[string]int{"uuid": 36, "integer": 10, "objectid": 24} {
		r := newRig(t, func(c *auth.Config) { c.IDFormat = format })
		if len(r.alice.ID) != size {
			t.Errorf("%s: %q", format, r.alice.ID)
		}
		if a := r.add(auth.NewAccount{ID: "kept", Username: "dave"}); a.ID != "kept" {
			t.Errorf("%s: an import got the id %q", format, a.ID)
		}
	}
}

func TestAnOwnerChangesEditableFieldsAlone(t *testing.T) {
	r := newRig(t)
	g := r.login()
	name := "Alice Liddell"
	set := func(ch auth.ProfileChange) (auth.Account, error) {
		return r.svc.SetProfile(t.Context(), r.alice.ID, ch, home())
	}
	a, err := set(auth.ProfileChange{Name: &name, Fields: map[string]any{"phone": []any{"1", "2"}}})
	if err != nil || a.Name != name || !slices.Equal(a.Fields["phone"], []string{"1", "2"}) {
		t.Errorf("%v %+v", err, a)
	}
	r.verify(g.AccessToken, nil) // a profile outdates no token
	if p := r.verify(r.login().AccessToken, nil); p.Name != name || len(p.Fields["phone"]) != 2 {
		t.Errorf("principal %+v", p)
	}
	_, err = set(auth.ProfileChange{Fields: map[string]any{"tenant": "evil", "shoe": "9", "phone": 7}})
	wantInvalid(t, err, "fields.tenant", "administrator")
	wantInvalid(t, err, "fields.shoe", "no field")
	wantInvalid(t, err, "fields.phone", "text")
	for _, bad := range []any{map[string]any{}, []any{"a", 1}, true, 1.5} {
		_, err = set(auth.ProfileChange{Fields: map[string]any{"phone": bad}})
		wantInvalid(t, err, "fields.phone", "text")
	}
	_, err = set(auth.ProfileChange{Fields: map[string]any{"phone": "1\r\nX-Auth-Roles: admin"}})
	wantInvalid(t, err, "fields.phone", "control")
	_, err = set(auth.ProfileChange{Fields: map[string]any{"phone": string(make([]byte, 1<<20))}})
	wantInvalid(t, err, "fields", "longer")
	a, err = set(auth.ProfileChange{Fields: map[string]any{"phone": nil}})
	if _, there := a.Fields["phone"]; err != nil || there {
		t.Errorf("%v, fields %v", err, a.Fields)
	}
	a, err = set(auth.ProfileChange{Fields: map[string]any{"phone": "3"}})
	if err != nil || !slices.Equal(a.Fields["phone"], []string{"3"}) {
		t.Errorf("%v, fields %v", err, a.Fields)
	}
}

func TestAnAdministratorChangesAnAccount(t *testing.T) {
	r := newRig(t)
	name, email := "A. Liddell", "a@example.com"
	roles := []string{"admin", "user"}
	a, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Name: &name, Email: &email, Roles: &roles, Fields: map[string][]string{"tenant": {"acme"}}}, auth.Actor{By: "root"})
	if err != nil || a.Name != name || a.Email != email || a.Username != "alice" || !slices.Equal(a.Roles, roles) || !maps.EqualFunc(a.Fields, map[string][]string{"tenant": {"acme"}}, slices.Equal) {
		t.Fatalf("%v %+v", err, a)
	}
	told := map[string]string{}
	for _, e := range r.events {
		told[e.Name] = e.By + " " + e.Detail
	}
	if told[auth.EventRoleChanged] != "root user -> admin,user" || told[auth.EventProfileChanged] != "root name,email,fields.tenant" {
		t.Errorf("audit %v", told)
	}
	bad := []string{"ghost"}
	_, err = r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Roles: &bad}, auth.Actor{By: "root"})
	wantInvalid(t, err, "roles", "ghost")
	_, err = r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Fields: map[string][]string{"shoe": {"9"}}}, auth.Actor{By: "root"})
	wantInvalid(t, err, "fields.shoe", "no field")
	short := "short"
	_, err = r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Password: &short}, auth.Actor{By: "root"})
	wantInvalid(t, err, "password", "at least")
	_, err = r.svc.SetAccount(t.Context(), "nobody", auth.AccountChange{Name: &name}, auth.Actor{By: "root"})
	wantError(t, err, auth.ErrNotFound)
	wantError(t, r.svc.DeleteAccount(t.Context(), "nobody", auth.Actor{By: "root"}), auth.ErrNotFound)
	all, err := r.svc.Accounts(t.Context())
	if err != nil || len(all) != 2 || all[0].Username != "alice" {
		t.Errorf("%v %+v", err, all)
	}
}

// A rule, a header or an application rests on what a token says. With the
// tokens of ten days that an alias gives, a moved user would stay for as long.
func TestWhatAnAdministratorChangesATokenSaysNoLonger(t *testing.T) {
	name, email, verified := "A. Liddell", "a@example.com", "alice@example.com"
	for what, c := range map[string]struct {
		change   auth.AccountChange
		outdated bool
	}{
		"a field":          {auth.AccountChange{Fields: map[string][]string{"tenant": {"acme"}}}, true},
		"the address":      {auth.AccountChange{Email: &email}, true},
		"the name":         {auth.AccountChange{Name: &name}, false},
		"the owner's own":  {auth.AccountChange{Fields: map[string][]string{"phone": {"1"}}}, false},
		"nothing":          {auth.AccountChange{}, false},
		"the same address": {auth.AccountChange{Email: &verified}, false},
	} {
		r := newRig(t)
		g := r.login()
		if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, c.change, auth.Actor{By: "root"}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.svc.Verify(g.AccessToken); errors.Is(err, auth.ErrTokenOutdated) != c.outdated || err != nil && !c.outdated {
			t.Errorf("%s: %v", what, err)
		}
		// It costs a refresh, not a login.
		p := r.verify(r.refresh(g.RefreshToken).AccessToken, nil)
		if want := c.change.Fields["tenant"]; !slices.Equal(p.Fields["tenant"], want) {
			t.Errorf("%s: fields %v", what, p.Fields)
		}
	}
}

func TestSE13APasswordChangeEndsTheOtherSessions(t *testing.T) {
	r := newRig(t)
	here, there := r.login(), r.login()
	p := r.verify(here.AccessToken, nil)
	g, err := r.svc.ChangePassword(t.Context(), p, password, "a new password", home())
	if err != nil {
		t.Fatal(err)
	}
	if !r.told(auth.EventPasswordChanged, "alice") {
		t.Error("the audit log does not know the change")
	}
	if g.Session != here.Session {
		t.Errorf("goes on as %s", g.Session)
	}
	r.verify(g.AccessToken, nil)
	r.refresh(g.RefreshToken)
	r.verify(here.AccessToken, auth.ErrTokenRevoked)
	r.verify(there.AccessToken, auth.ErrTokenRevoked)
	r.refuse(there.RefreshToken, auth.ErrRefreshInvalid)
	wantError(t, r.try("alice", password, "192.0.2.7"), auth.ErrInvalidCredentials)
	wantError(t, r.try("alice", "a new password", "192.0.2.7"), nil)
}

func TestAStolenAccessTokenIsNoWayToGuessThePassword(t *testing.T) {
	r := newRig(t)
	p := r.verify(r.login().AccessToken, nil)
	_, err := r.svc.ChangePassword(t.Context(), p, password, "short", home())
	wantInvalid(t, err, "new", "at least")
	for range 5 {
		_, err := r.svc.ChangePassword(t.Context(), p, "a wrong guess", "a new password", home())
		wantInvalid(t, err, "current", "")
	}
	if _, err := r.svc.ChangePassword(t.Context(), p, password, "a new password", home()); !locked(err) {
		t.Errorf("the sixth guess: %v", err)
	}
}

func TestAnEndedSessionChangesNoPassword(t *testing.T) {
	r := newRig(t)
	g := r.login()
	p := r.verify(g.AccessToken, nil)
	wantError(t, r.svc.Logout(t.Context(), g.Session, home()), nil)
	stranger := p
	stranger.Session = "AAAAAAAAAAAAAAAAAAAAAA"
	for _, p := range []auth.Principal{p, stranger} {
		_, err := r.svc.ChangePassword(t.Context(), p, password, "a new password", home())
		wantError(t, err, auth.ErrTokenRevoked)
	}
	r.login()
}

func TestSessionsAreListedAndEndedByTheirOwner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		first := r.login()
		time.Sleep(time.Minute)
		second := r.login()
		list, err := r.svc.Sessions(t.Context(), r.alice.ID)
		if err != nil || len(list) != 2 || list[0].ID != second.Session || list[0].Address != "192.0.2.7" || list[0].UserAgent != "test" {
			t.Fatalf("%v %+v", err, list)
		}
		err = r.svc.RevokeSession(t.Context(), r.root.ID, first.Session, auth.Actor{Client: home()})
		wantError(t, err, auth.ErrNotFound)
		r.verify(first.AccessToken, nil)
		wantError(t, r.svc.RevokeSession(t.Context(), r.alice.ID, "none", auth.Actor{Client: home()}), auth.ErrNotFound)
		wantError(t, r.svc.RevokeSession(t.Context(), r.alice.ID, first.Session, auth.Actor{Client: home()}), nil)
		if !r.told(auth.EventSessionRevoked, "alice") {
			t.Error("the audit log does not know it")
		}
		r.verify(first.AccessToken, auth.ErrTokenRevoked)
		time.Sleep(idleLimit)
		list, err = r.svc.Sessions(t.Context(), "")
		if err != nil || len(list) != 0 {
			t.Errorf("%v, sessions that are over are listed: %+v", err, list)
		}
		wantError(t, r.svc.RevokeSessions(t.Context(), "nobody", auth.Actor{By: "root"}), auth.ErrNotFound)
	})
}

// What a client sends as its name is a stranger's text of any length.
func TestAUserAgentIsKeptInBounds(t *testing.T) {
	r := newRig(t)
	c := home()
	for range 100 {
		c.UserAgent += "é very long name "
	}
	g, err := r.svc.Login(t.Context(), auth.Credentials{Username: "alice", Password: password}, c)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		row, err := r.store.Session(t.Context(), g.Session)
		if err != nil || len(row.UserAgent) > 256 || len(row.UserAgent) < 250 {
			t.Errorf("%v, %d bytes", err, len(row.UserAgent))
		}
		if g, err = r.svc.Refresh(t.Context(), g.RefreshToken, c); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatAnOwnerChangesIsAuditedWithoutItsValue(t *testing.T) {
	r := newRig(t)
	r.events = nil
	_, err := r.svc.SetProfile(t.Context(), r.alice.ID, auth.ProfileChange{Name: ptr("A. Liddell"), Fields: map[string]any{"phone": "+44 1"}}, home())
	wantError(t, err, nil)
	if len(r.events) != 1 || r.events[0].Detail != "name,fields.phone" || r.events[0].By != "" || r.events[0].Client.Address != home().Address {
		t.Errorf("audit %+v", r.events)
	}
}

func TestEveryChangeIsAuditedWithWhoWhatAndFromWhere(t *testing.T) {
	r := newRig(t)
	by := auth.Actor{By: "root", Client: home()}
	roles, name, yes, no, next := []string{"admin"}, "Al", true, false, "another password"
	set := func(ch auth.AccountChange) error {
		_, err := r.svc.SetAccount(t.Context(), r.alice.ID, ch, by)
		return err
	}
	for _, step := range []struct {
		event string
		do    func() error
	}{
		{auth.EventRoleChanged, func() error { return set(auth.AccountChange{Roles: &roles}) }},
		{auth.EventProfileChanged, func() error { return set(auth.AccountChange{Name: &name}) }},
		{auth.EventPasswordChanged, func() error { return set(auth.AccountChange{Password: &next}) }},
		{auth.EventUserDisabled, func() error { return set(auth.AccountChange{Disabled: &yes}) }},
		{auth.EventUserEnabled, func() error { return set(auth.AccountChange{Disabled: &no}) }},
		{auth.EventSessionRevoked, func() error { return r.svc.RevokeSessions(t.Context(), r.alice.ID, by) }},
		{auth.EventUserDeleted, func() error { return r.svc.DeleteAccount(t.Context(), r.alice.ID, by) }},
		{auth.EventUserCreated, func() error {
			_, err := r.svc.AddAccount(t.Context(), auth.NewAccount{Username: "alice"}, by)
			return err
		}},
	} {
		r.events = nil
		wantError(t, step.do(), nil)
		if len(r.events) != 1 || r.events[0].Name != step.event || r.events[0].User != "alice" || r.events[0].By != "root" || !reflect.DeepEqual(r.events[0].Client, home()) {
			t.Errorf("%s: audit %+v", step.event, r.events)
		}
	}
}
