package web

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

func TestMeIsTheCallersAccountWithFields(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	a := s.ask("GET", "/auth/me", bearer(p.access)).want(t, 200, "")
	o := a.object(t)
	if o["username"] != "alice" || o["email"] != "alice@example.com" || o["name"] != "Dear alice" || o["id"] == "" {
		t.Error(a.body)
	}
	if fields, ok := o["fields"].(map[string]any); !ok || len(fields) != 0 {
		t.Errorf("fields is %v, want an empty object", o["fields"])
	}
	for _, secret := range []string{"argon2", "password", "version"} {
		if strings.Contains(strings.ToLower(a.body), secret) {
			t.Errorf("the account tells %s: %s", secret, a.body)
		}
	}
}

func TestOwnPagesNeedAToken(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	for _, e := range []struct{ method, path string }{{"GET", "/auth/me"}, {"PATCH", "/auth/me"}, {"POST", "/auth/me/password"},
		{"GET", "/auth/sessions"}, {"DELETE", "/auth/sessions/x"}} {
		a := s.ask(e.method, e.path).want(t, 401, "token_missing")
		if a.Header.Get("WWW-Authenticate") != `Bearer realm="postern"` {
			t.Error(a.Header)
		}
		a = s.ask(e.method, e.path, bearer("not-a-token")).want(t, 401, "token_malformed")
		if !strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Error(a.Header)
		}
	}
	s.later(16 * time.Minute)
	s.ask("GET", "/auth/me", bearer(p.access)).want(t, 401, "token_expired")
}

func TestANavigationWithoutATokenGoesToTheLoginPageAndBack(t *testing.T) {
	s := newSite(t)
	a := s.ask("GET", "/auth/me?x=1", navigation).want(t, 303, "")
	if a.Header.Get("Location") != "/auth/login?rd=%2Fauth%2Fme%3Fx%3D1" {
		t.Error(a.Header.Get("Location"))
	}
	a = s.ask("POST", "/auth/login", asForm("username", "alice", "password", alicePassword, "rd", "/auth/me?x=1")).want(t, 303, "")
	if a.Header.Get("Location") != "/auth/me?x=1" {
		t.Error(a.Header.Get("Location"))
	}
}

func phone(s *setup) {
	s.auth.Profile.Fields = []auth.ProfileField{{Name: "phone", Editable: true}, {Name: "tags", Editable: true}, {Name: "tenant"}}
}

func TestAPatchChangesTheNameAndEditableFields(t *testing.T) {
	s := newSite(t, phone)
	p := s.alice()
	a := s.ask("PATCH", "/auth/me", bearer(p.access),
		asJSON(`{"name":"Alice L.","fields":{"phone":"+44 1","tags":["a","b"]},"roles":["admin"],"unknown":1}`)).want(t, 200, "")
	if a.text(t, "name") != "Alice L." || strings.Contains(a.body, "admin") {
		t.Error(a.body)
	}
	var got struct {
		Fields struct {
			Phone string
			Tags  []string
		}
	}
	again := s.ask("GET", "/auth/me", bearer(p.access)).want(t, 200, "")
	if err := json.Unmarshal([]byte(again.body), &got); err != nil || got.Fields.Phone != "+44 1" || len(got.Fields.Tags) != 2 {
		t.Errorf("%v: %s", err, again.body)
	}
	a = s.ask("PATCH", "/auth/me", bearer(p.access), asJSON(`{"fields":{"phone":null}}`)).want(t, 200, "")
	if strings.Contains(a.body, "phone") || a.text(t, "name") != "Alice L." {
		t.Error(a.body)
	}
}

func TestAFieldThatIsNotTheirsToEditIsInvalid(t *testing.T) {
	s := newSite(t, phone)
	p := s.alice()
	for _, b := range []string{`{"fields":{"tenant":"other"}}`, `{"fields":{"nosuch":"x"}}`, `{"fields":{"phone":{"a":1}}}`, `{"fields":{"phone":12}}`} {
		a := s.ask("PATCH", "/auth/me", bearer(p.access), asJSON(b)).want(t, 422, "invalid")
		if list, ok := a.object(t)["errors"].([]any); !ok || len(list) == 0 {
			t.Errorf("%s: no errors by field: %s", b, a.body)
		}
	}
	for _, b := range []string{`{"name":1}`, `{"name":null}`, `{"fields":["phone"]}`, `{"fields":"x"}`, `[]`, `"x"`} {
		s.ask("PATCH", "/auth/me", bearer(p.access), asJSON(b)).want(t, 400, "bad_request")
	}
	s.ask("PATCH", "/auth/me", bearer(p.access), asForm("name", "X")).want(t, 415, "unsupported_media_type")
}

// SE-13
func TestSE13APasswordChangeEndsEveryOtherSession(t *testing.T) {
	s := newSite(t)
	here, there := s.alice(), s.alice()
	a := s.ask("POST", "/auth/me/password", bearer(here.access), asJSON(`{"current":"`+alicePassword+`","new":"down-the-rabbit-hole"}`)).want(t, 200, "")
	if s.alive(there.access) || s.alive(here.access) || !s.alive(a.text(t, "access_token")) {
		t.Error("other sessions live on, or this one does not")
	}
	if b := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+there.refresh+`"}`)); b.StatusCode != 401 {
		t.Errorf("the other session refreshes: %d", b.StatusCode)
	}
	s.refreshed(a.text(t, "refresh_token"))
	s.login("alice", "down-the-rabbit-hole")
}

func TestAPasswordChangeByCookieAnswersByCookie(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	a := s.ask("POST", "/auth/me/password", cookie("postern", p.access), asJSON(`{"current":"`+alicePassword+`","new":"down-the-rabbit-hole"}`)).want(t, 200, "")
	if !s.alive(a.value(t, "postern")) || strings.Contains(a.body, a.value(t, "postern_refresh")) {
		t.Error(a.body)
	}
}

func TestAWrongOrWeakPasswordIsInvalidAndChangesNothing(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	for b, field := range map[string]string{
		`{"current":"wrong-password","new":"down-the-rabbit-hole"}`: "current",
		`{"current":"` + alicePassword + `","new":"short"}`:         "new",
		`{"new":"down-the-rabbit-hole"}`:                            "current",
		`{"current":"` + alicePassword + `"}`:                       "new",
	} {
		a := s.ask("POST", "/auth/me/password", bearer(p.access), asJSON(b)).want(t, 422, "invalid")
		if !strings.Contains(a.body, `"field":"`+field+`"`) || strings.Count(a.body, `"field"`) != 1 {
			t.Errorf("%s: %s", b, a.body)
		}
	}
	a := s.ask("POST", "/auth/me/password", bearer(p.access), asJSON(`{}`)).want(t, 422, "invalid")
	if !strings.Contains(a.body, `{"field":"current","message":"is missing"},{"field":"new","message":"is missing"}`) {
		t.Errorf("not all that is missing is named: %s", a.body)
	}
	if !s.alive(p.access) {
		t.Error("a refused change ended the session")
	}
	s.alice()
}

func TestSessionsAreListedAndEndedOneByOne(t *testing.T) {
	s := newSite(t)
	here := s.alice()
	s.address = "2001:db8::7"
	there := s.alice()
	a := s.ask("GET", "/auth/sessions", bearer(here.access)).want(t, 200, "")
	var got struct{ Sessions []session }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || len(got.Sessions) != 2 {
		t.Fatalf("%v: %s", err, a.body)
	}
	other := ""
	for _, one := range got.Sessions {
		if one.Device != "test browser" || one.Created.IsZero() || one.LastSeen.IsZero() {
			t.Errorf("%+v", one)
		}
		if one.Current != (one.ID == claimedSession(here.access)) {
			t.Errorf("current is %v of %s", one.Current, one.ID)
		}
		if !one.Current {
			other = one.ID
			if one.Address != "2001:db8::7" || one.ID != claimedSession(there.access) {
				t.Errorf("%+v", one)
			}
		}
	}
	b := s.ask("DELETE", "/auth/sessions/"+other, bearer(here.access)).want(t, 204, "")
	if s.alive(there.access) || !s.alive(here.access) || len(b.Cookies()) != 0 {
		t.Error("the wrong session ended")
	}
}

func TestEndingTheCurrentSessionClearsTheCookies(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	a := s.ask("DELETE", "/auth/sessions/"+claimedSession(p.access), cookie("postern", p.access)).want(t, 204, "")
	if c := a.cookie(t, "postern"); c == nil || c.MaxAge >= 0 || s.alive(p.access) {
		t.Error(a.Header["Set-Cookie"])
	}
}

func TestSomebodyElsesSessionIsNotFoundAndLivesOn(t *testing.T) {
	s := newSite(t)
	s.add("root", rootPassword, "admin")
	alice, root := s.alice(), s.login("root", rootPassword)
	theirs := s.ask("DELETE", "/auth/sessions/"+claimedSession(root.access), bearer(alice.access)).want(t, 404, "no_route")
	none := s.ask("DELETE", "/auth/sessions/no-such-session", bearer(alice.access)).want(t, 404, "no_route")
	if theirs.body != none.body || !s.alive(root.access) {
		t.Error("it can be told from none, or ended")
	}
}

func TestADeletedAccountsTokenOpensNothing(t *testing.T) {
	s := newSite(t)
	bob := s.add("bob", "bobs-long-password", "user")
	p := s.login("bob", "bobs-long-password")
	if err := s.service.DeleteAccount(t.Context(), bob.ID, auth.Actor{By: "test"}); err != nil {
		t.Fatal(err)
	}
	s.ask("GET", "/auth/me", bearer(p.access)).want(t, 401, "token_revoked")
}

// TestSubscribersSeeTheAccountObject holds what applications are told of an
// account to what the endpoint me shows of it.
func TestSubscribersSeeTheAccountObject(t *testing.T) {
	a := auth.Account{ID: "7", Username: "alice", Email: "a@example.com", Name: "Alice <A>", Fields: map[string][]string{"one": {"1"}, "many": {"1", "2"}, "none": {}}}
	me, err := json.Marshal(profileOf(a))
	if err != nil {
		t.Fatal(err)
	}
	told, err := auth.AccountData(a)
	if want := strings.TrimSuffix(string(me), "}") + `,"disabled":false}`; err != nil || string(told) != want {
		t.Errorf("got  %s, %v\nwant %s", told, err, want)
	}
}
