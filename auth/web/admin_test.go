package web

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

// admin is a site with an administrator, and their token.
func admin(t *testing.T, changes ...func(*setup)) (*site, with) {
	t.Helper()
	s := newSite(t, changes...)
	s.add("root", rootPassword, "admin")
	return s, bearer(s.login("root", rootPassword).access)
}

var adminEndpoints = []struct{ method, path, body string }{
	{"GET", "/auth/admin/users", ""}, {"POST", "/auth/admin/users", `{"username":"mallory"}`},
	{"GET", "/auth/admin/users/{id}", ""}, {"PATCH", "/auth/admin/users/{id}", `{"roles":["admin"]}`}, {"DELETE", "/auth/admin/users/{id}", ""},
	{"GET", "/auth/admin/users/{id}/sessions", ""}, {"DELETE", "/auth/admin/users/{id}/sessions", ""},
}

func TestOnlyAdministratorsAdminister(t *testing.T) {
	s, root := admin(t)
	alice := s.alice()
	at := strings.NewReplacer("{id}", s.idOf("alice"))
	for _, e := range adminEndpoints {
		changes := []with{}
		if e.body != "" {
			changes = append(changes, asJSON(e.body))
		}
		s.ask(e.method, at.Replace(e.path), changes...).want(t, 401, "token_missing")
		s.ask(e.method, at.Replace(e.path), append(changes, bearer("forged"))...).want(t, 401, "token_malformed")
		s.ask(e.method, at.Replace(e.path), append(changes, bearer(alice.access))...).want(t, 403, "forbidden")
	}
	if n, err := s.store.CountAccounts(t.Context()); n != 2 || err != nil || !s.alive(alice.access) {
		t.Errorf("a refused request did something: %d accounts, %v", n, err)
	}
	a := s.ask("GET", "/auth/admin/users", navigation).want(t, 303, "")
	if a.Header.Get("Location") != "/auth/login?rd=%2Fauth%2Fadmin%2Fusers" {
		t.Error(a.Header.Get("Location"))
	}
	// Who is no administrator any more is none with the old token either.
	s.add("second", "a-long-password", "admin")
	second := bearer(s.login("second", "a-long-password").access)
	s.ask("GET", "/auth/admin/users", second).want(t, 200, "")
	s.ask("PATCH", "/auth/admin/users/"+s.idOf("second"), root, asJSON(`{"roles":["user"]}`)).want(t, 200, "")
	s.ask("GET", "/auth/admin/users", second).want(t, 401, "token_revoked")
}

func TestAnAdministratorListsMakesReadsChangesAndDeletes(t *testing.T) {
	s, root := admin(t, phone)
	made := s.ask("POST", "/auth/admin/users", root, asJSON(`{"username":"bob","email":"bob@example.com","name":"Bob","password":"bobs-long-password","roles":["user"],"fields":{"tenant":"acme","tags":["a","b"]}}`)).want(t, 201, "")
	id := made.text(t, "id")
	if made.Header.Get("Location") != "/auth/admin/users/"+id || !strings.Contains(made.body, `"tenant":"acme"`) || !strings.Contains(made.body, `"disabled":false`) {
		t.Error(made.body, made.Header)
	}
	var list struct{ Users []map[string]any }
	a := s.ask("GET", "/auth/admin/users", root).want(t, 200, "")
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list.Users) != 3 || list.Users[1]["username"] != "bob" || list.Users[1]["created"] == "" {
		t.Errorf("%v: %s", err, a.body)
	}
	for _, secret := range []string{"argon2", "password", "version"} {
		if strings.Contains(a.body+made.body, secret) {
			t.Errorf("an account tells %s: %s", secret, a.body)
		}
	}
	one := s.ask("GET", "/auth/admin/users/"+id, root).want(t, 200, "")
	if one.body != made.body {
		t.Errorf("%s and %s", one.body, made.body)
	}
	bob := s.login("bob", "bobs-long-password")
	changed := s.ask("PATCH", "/auth/admin/users/"+id, root, asJSON(`{"name":"Robert","fields":{"phone":"1"},"unknown":1}`)).want(t, 200, "")
	if changed.text(t, "name") != "Robert" || !s.alive(bob.access) {
		t.Error(changed.body)
	}
	changed = s.ask("PATCH", "/auth/admin/users/"+id, root, asJSON(`{"email":"rob@example.com","fields":{"tenant":null}}`)).want(t, 200, "")
	if changed.text(t, "email") != "rob@example.com" || strings.Contains(changed.body, "acme") || s.alive(bob.access) {
		t.Error(changed.body) // rules may rest on both: the token that says otherwise is outdated
	}
	bob = s.login("bob", "bobs-long-password")
	s.ask("DELETE", "/auth/admin/users/"+id, root).want(t, 204, "")
	if s.alive(bob.access) {
		t.Error("a deleted account's token opens doors")
	}
	s.ask("GET", "/auth/admin/users/"+id, root).want(t, 404, "no_route")
}

func TestARoleChangeCostsARefreshAndNoLogin(t *testing.T) {
	s, root := admin(t)
	p := s.alice()
	s.ask("PATCH", "/auth/admin/users/"+s.idOf("alice"), root, asJSON(`{"roles":["user","admin"]}`)).want(t, 200, "")
	s.ask("GET", "/auth/me", bearer(p.access)).want(t, 401, "token_revoked")
	a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`)).want(t, 200, "")
	s.ask("GET", "/auth/admin/users", bearer(a.text(t, "access_token"))).want(t, 200, "")
}

func TestDisablingAndANewPasswordEndTheSessions(t *testing.T) {
	s, root := admin(t)
	at := "/auth/admin/users/" + s.idOf("alice")
	p := s.alice()
	if a := s.ask("PATCH", at, root, asJSON(`{"disabled":true}`)).want(t, 200, ""); !strings.Contains(a.body, `"disabled":true`) || s.alive(p.access) {
		t.Error(a.body)
	}
	s.ask("POST", "/auth/login", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(t, 401, "invalid_credentials")
	s.ask("PATCH", at, root, asJSON(`{"disabled":false}`)).want(t, 200, "")
	p = s.alice()
	s.ask("PATCH", at, root, asJSON(`{"password":"another-long-password"}`)).want(t, 200, "")
	s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`)).want(t, 401, "refresh_invalid")
	s.login("alice", "another-long-password")
}

func TestWhatAnAdministratorWritesWrongIsSaidByField(t *testing.T) {
	s, root := admin(t, phone)
	at := "/auth/admin/users/" + s.idOf("alice")
	for _, test := range []struct {
		method, path, body string
		status             int
		code, says         string
	}{
		{"POST", "/auth/admin/users", `{"username":"42","email":"x","password":"short","roles":["ghost"],"fields":{"no":"1"}}`, 422, "invalid", `"field":"fields.no"`},
		{"POST", "/auth/admin/users", `{"username":"ALICE"}`, 409, "conflict", `"field":"username"`},
		{"POST", "/auth/admin/users", `{"id":"a b","username":"bob"}`, 422, "invalid", `"field":"id"`},
		{"POST", "/auth/admin/users", `{}`, 422, "invalid", `"field":"username"`},
		{"PATCH", at, `{"roles":["ghost"],"password":"short","email":"root@example.com"}`, 422, "invalid", `"field":"password"`},
		{"PATCH", at, `{"email":"root@example.com"}`, 409, "conflict", `"field":"email"`},
		{"PATCH", at, `{"password":"alice@example.com"}`, 422, "invalid", "own name"},
		{"PATCH", at, `{"fields":{"phone":1}}`, 422, "invalid", `"field":"fields.phone"`},
		{"PATCH", at, `{"roles":"admin"}`, 400, "bad_request", `"field":"roles"`},
		{"PATCH", at, `{"roles":null}`, 400, "bad_request", `"field":"roles"`},
		{"PATCH", at, `{"disabled":"true"}`, 400, "bad_request", `"field":"disabled"`},
		{"PATCH", at, `{"name":null}`, 400, "bad_request", `"field":"name"`},
		{"PATCH", at, `{"fields":[]}`, 400, "bad_request", `"field":"fields"`},
		{"PATCH", "/auth/admin/users/nobody", `{"name":"x"}`, 404, "no_route", "no such account"},
		{"PATCH", "/auth/admin/users/nobody", `{"password":"a-long-password"}`, 404, "no_route", ""},
		{"DELETE", "/auth/admin/users/nobody", ``, 404, "no_route", ""},
		{"DELETE", "/auth/admin/users/nobody/sessions", ``, 404, "no_route", ""},
		{"GET", "/auth/admin/users/nobody/sessions", ``, 404, "no_route", ""},
	} {
		changes := []with{root}
		if test.body != "" {
			changes = append(changes, asJSON(test.body))
		}
		if a := s.ask(test.method, test.path, changes...).want(t, test.status, test.code); !strings.Contains(a.body, test.says) {
			t.Errorf("%s %s: %s", test.method, test.body, a.body)
		}
	}
	for _, e := range adminEndpoints {
		if e.body != "" {
			s.ask(e.method, strings.NewReplacer("{id}", s.idOf("alice")).Replace(e.path), root, asForm("username", "eve", "roles", "admin")).want(t, 415, "unsupported_media_type")
			s.ask(e.method, strings.NewReplacer("{id}", s.idOf("alice")).Replace(e.path), root, asJSON(strings.Repeat(" ", maxBody+1))).want(t, 413, "too_large")
		}
	}
	s.alice()
}

func TestTheLastAdministratorCannotLockThemselvesOut(t *testing.T) {
	s, root := admin(t)
	at := "/auth/admin/users/" + s.idOf("root")
	for _, body := range []string{`{"roles":["user"]}`, `{"roles":[]}`, `{"disabled":true}`} {
		if a := s.ask("PATCH", at, root, asJSON(body)).want(t, 409, "conflict"); !strings.Contains(a.text(t, "detail"), "last account") {
			t.Error(a.body)
		}
	}
	s.ask("DELETE", at, root).want(t, 409, "conflict")
	s.ask("PATCH", at, root, asJSON(`{"name":"Root","roles":["admin","user"]}`)).want(t, 200, "")
	root = bearer(s.login("root", rootPassword).access)
	s.ask("PATCH", "/auth/admin/users/"+s.idOf("alice"), root, asJSON(`{"roles":["admin"]}`)).want(t, 200, "")
	s.ask("DELETE", at, root).want(t, 204, "")
	s.ask("GET", "/auth/admin/users", root).want(t, 401, "token_revoked")
}

func TestAnAdministratorSeesAndEndsTheSessionsOfAUser(t *testing.T) {
	s, root := admin(t)
	one, two := s.alice(), s.alice()
	at := "/auth/admin/users/" + s.idOf("alice") + "/sessions"
	var got struct{ Sessions []session }
	a := s.ask("GET", at, root).want(t, 200, "")
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || len(got.Sessions) != 2 || got.Sessions[0].Current || got.Sessions[0].UserAgent != "test browser" {
		t.Errorf("%v: %s", err, a.body)
	}
	s.ask("DELETE", at, root).want(t, 204, "")
	if s.alive(one.access) || s.alive(two.access) || s.ask("GET", "/auth/admin/users", root).StatusCode != 200 {
		t.Error("a session lives on, or the administrator's has ended")
	}
}

func TestWhatAnAdministratorDoesIsAuditedWithWhoWhatAndFromWhere(t *testing.T) {
	var events []auth.Event
	s, root := admin(t, func(s *setup) { s.audit = func(_ context.Context, e auth.Event) { events = append(events, e) } })
	at := "/auth/admin/users/" + s.idOf("alice")
	s.address = "198.51.100.9"
	events = nil
	made := s.ask("POST", "/auth/admin/users", root, asJSON(`{"username":"bob"}`)).want(t, 201, "")
	s.ask("PATCH", at, root, asJSON(`{"roles":["admin"],"name":"A"}`)).want(t, 200, "")
	s.ask("DELETE", at+"/sessions", root).want(t, 204, "")
	s.ask("DELETE", "/auth/admin/users/"+made.text(t, "id"), root).want(t, 204, "")
	var names []string
	for _, e := range events {
		names = append(names, e.Name+" "+e.User)
		if e.By != "root" || e.Client.Address.String() != "198.51.100.9" || e.Client.RequestID != "req-1" {
			t.Errorf("%+v", e)
		}
	}
	want := []string{"user_created bob", "role_changed alice", "profile_changed alice", "session_revoked alice", "user_deleted bob"}
	if !slices.Equal(names, want) {
		t.Errorf("audit %v", names)
	}
}
