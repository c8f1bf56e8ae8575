package web

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestALogoutEndsThisSessionAndOnlyThis(t *testing.T) {
	s := newSite(t)
	here, there := s.alice(), s.alice()
	a := s.ask("POST", "/auth/logout", bearer(here.access)).want(t, 204, "")
	if a.body != "" {
		t.Errorf("body %q", a.body)
	}
	if s.alive(here.access) || !s.alive(there.access) {
		t.Error("the wrong session ended")
	}
}

// SE-04, SE-05
func TestSE04SE05AfterALogoutNeitherTokenWorks(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	s.ask("POST", "/auth/logout", bearer(p.access), asJSON(`{}`)).want(t, 204, "")
	if a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`)); a.StatusCode != 401 {
		t.Errorf("the refresh token works: %d", a.StatusCode)
	}
	s.ask("GET", "/auth/me", bearer(p.access)).want(t, 401, "token_revoked")
}

func TestALogoutOfAllEndsEverySessionOfTheUser(t *testing.T) {
	s := newSite(t)
	s.add("root", rootPassword, "admin")
	here, there, root := s.alice(), s.alice(), s.login("root", rootPassword)
	s.ask("POST", "/auth/logout", bearer(here.access), asJSON(`{"all": true}`)).want(t, 204, "")
	if s.alive(here.access) || s.alive(there.access) || !s.alive(root.access) {
		t.Error("the wrong sessions ended")
	}
}

// SE-06
func TestSE06AnExpiredAccessTokenOrTheRefreshTokenIsEnough(t *testing.T) {
	s := newSite(t)
	for name, logout := range map[string]func(p pair) with{
		"expired bearer":        func(p pair) with { return bearer(p.access) },
		"expired access cookie": func(p pair) with { return cookie("postern", p.access) },
		"refresh token in body": func(p pair) with { return asJSON(`{"refresh_token":"` + p.refresh + `"}`) },
		"refresh cookie":        func(p pair) with { return cookie("postern_refresh", p.refresh) },
		"garbage and refresh": func(p pair) with {
			return func(r *http.Request) {
				cookie("postern", "garbage")(r)
				cookie("postern_refresh", p.refresh)(r)
			}
		},
	} {
		p := s.alice()
		s.later(16 * time.Minute)
		s.ask("POST", "/auth/logout", logout(p)).want(t, 204, "")
		if a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`)); a.StatusCode != 401 {
			t.Errorf("%s: the session lives on", name)
		}
	}
}

func TestALogoutWithNothingIs401(t *testing.T) {
	s := newSite(t)
	s.ask("POST", "/auth/logout").want(t, 401, "token_missing")
	s.ask("POST", "/auth/logout", bearer("a.b.c")).want(t, 401, "")
	s.ask("POST", "/auth/logout", asJSON(`{"refresh_token":"forged"}`)).want(t, 401, "refresh_invalid")
}

func TestALogoutWithCredentialsOfTwoSessionsEndsNeither(t *testing.T) {
	s := newSite(t)
	a, b := s.alice(), s.alice()
	s.ask("POST", "/auth/logout", bearer(a.access), asJSON(`{"refresh_token":"`+b.refresh+`"}`)).want(t, 400, "bad_request")
	if !s.alive(a.access) || !s.alive(b.access) {
		t.Error("a session ended")
	}
}

func TestATokenThatWasTakenAwayCannotEndTheOwnersSessions(t *testing.T) {
	s := newSite(t)
	stolen, owner := s.alice(), s.alice()
	s.ask("POST", "/auth/logout", bearer(stolen.access)).want(t, 204, "")
	s.ask("POST", "/auth/logout", bearer(stolen.access), asJSON(`{"all":true}`)).want(t, 401, "token_revoked")
	s.ask("POST", "/auth/logout", asJSON(`{"all":true,"refresh_token":"`+owner.refresh+`"}`)).want(t, 401, "token_missing")
	if !s.alive(owner.access) {
		t.Error("the owner was thrown out")
	}
	s.later(16 * time.Minute) // the stolen token has expired, and its revocation may be forgotten
	s.ask("POST", "/auth/logout", bearer(stolen.access), asJSON(`{"all":true}`)).want(t, 401, "token_revoked")
	owner = s.refreshed(owner.refresh)
	if !s.alive(owner.access) {
		t.Error("the owner was thrown out")
	}
	s.ask("POST", "/auth/logout", bearer(stolen.access)).want(t, 204, "") // to end what has ended is no fault
}

func TestALogoutClearsBothCookiesWhereTheyWereSet(t *testing.T) {
	for _, conf := range []func(*setup){
		func(*setup) {}, https,
		func(s *setup) { s.public, s.web.Cookie.Domain = "https://gw.example.com", "example.com" },
	} {
		s := newSite(t, conf)
		in := s.ask("POST", "/auth/login", asForm("username", "alice", "password", alicePassword))
		access := in.value(t, s.handler.cookies.access)
		out := s.ask("POST", "/auth/logout", cookie(s.handler.cookies.access, access)).want(t, 204, "")
		for _, name := range []string{s.handler.cookies.access, s.handler.cookies.refresh} {
			set, cleared := in.cookie(t, name), out.cookie(t, name)
			if set == nil || cleared == nil || cleared.MaxAge >= 0 || cleared.Value != "" ||
				cleared.Path != set.Path || cleared.Domain != set.Domain || cleared.Secure != set.Secure {
				t.Errorf("%s is set as %v and cleared as %v", name, set, cleared)
			}
		}
	}
}

func TestTheLogoutButtonLeadsToTheLoginPage(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	a := s.ask("POST", "/auth/logout", navigation, cookie("postern", p.access), asForm()).want(t, 303, "")
	if a.Header.Get("Location") != "/auth/login?logged_out=1" || s.alive(p.access) {
		t.Error(a.Header.Get("Location"))
	}
	const notice = `<p role="status">You are logged out.</p>`
	if page := s.ask("GET", a.Header.Get("Location"), navigation).want(t, 200, ""); !strings.Contains(page.body, notice) {
		t.Errorf("the page does not say so:\n%s", page.body)
	}
	in := s.loginCookies() // who goes back to that page after another login is logged in
	if page := s.ask("GET", a.Header.Get("Location"), navigation, cookie("postern", in.access)); strings.Contains(page.body, notice) {
		t.Errorf("somebody logged in is told otherwise:\n%s", page.body)
	}
	p = s.loginCookies()
	a = s.ask("POST", "/auth/logout", navigation, cookie("postern", p.access), asForm("rd", "//evil.test")).want(t, 303, "")
	if a.Header.Get("Location") != "/" {
		t.Error(a.Header.Get("Location"))
	}
	// Pressed again, or with cookies nobody knows: what was wanted is so.
	s.ask("POST", "/auth/logout", navigation, cookie("postern", "garbage"), asForm()).want(t, 303, "")
}

func TestAnExpiredTokenOfALiveSessionEndsAll(t *testing.T) {
	s := newSite(t)
	here, there := s.alice(), s.alice()
	s.later(16 * time.Minute)
	s.ask("POST", "/auth/logout", bearer(here.access), asJSON(`{"all":true}`)).want(t, 204, "")
	if a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+there.refresh+`"}`)); a.StatusCode != 401 {
		t.Errorf("the other session lives on: %d", a.StatusCode)
	}
}

func TestTheCheckboxEndsEverySession(t *testing.T) {
	s := newSite(t)
	p, other := s.loginCookies(), s.alice()
	s.ask("POST", "/auth/logout", cookie("postern", p.access), asForm("all", "true")).want(t, 303, "")
	if s.alive(p.access) || s.alive(other.access) {
		t.Error("a session lives on")
	}
}

func TestAllMustBeABoolean(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	for _, b := range []string{`{"all":"true"}`, `{"all":1}`, `{"all":null}`, `{"all":[true]}`, `{"refresh_token":1}`} {
		s.ask("POST", "/auth/logout", bearer(p.access), asJSON(b)).want(t, 400, "bad_request")
	}
	s.ask("POST", "/auth/logout", bearer(p.access), asForm("all", "perhaps")).want(t, 400, "bad_request")
	if !s.alive(p.access) {
		t.Error("a malformed logout ended the session")
	}
	s.ask("POST", "/auth/logout", bearer(p.access), asJSON(`{"all":false}`)).want(t, 204, "")
}

// MC-23
func TestMC23AGETShowsTheButtonAndEndsNothing(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	a := s.ask("GET", "/auth/logout", navigation, cookie("postern", p.access)).want(t, 200, "")
	if !strings.Contains(a.body, "<strong>alice</strong>") || !strings.Contains(a.body, `action="/auth/logout"`) {
		t.Error(a.body)
	}
	if !s.alive(p.access) || len(a.Cookies()) != 0 {
		t.Error("a GET logged out")
	}
	if a := s.ask("GET", "/auth/logout").want(t, 200, ""); !strings.Contains(a.body, "You are not logged in") {
		t.Error(a.body)
	}
}
