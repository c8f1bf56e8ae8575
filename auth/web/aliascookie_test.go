package web

import (
	"net/http"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// cookiePages are those of a site whose pages log in by aliases and keep their tokens in
// cookies.
func cookiePages() []Alias {
	answer := []AliasField{{Field: "access_token", As: "token"}, {Field: "refresh_token", As: "refresh"}}
	return []Alias{
		{Path: "/api/in", Endpoint: "login", Mode: "cookie", Response: answer},
		{Path: "/api/again", Endpoint: "refresh", Response: answer},
		{Path: "/api/secret", Endpoint: "password", Response: answer},
		{Path: "/api/out", Endpoint: "logout"},
	}
}

// enter logs alice in by the alias and answers the cookies.
func (s *site) enter() pair {
	s.t.Helper()
	a := s.ask("POST", "/api/in", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(s.t, 200, "")
	if _, there := a.object(s.t)["refresh"]; there {
		s.t.Fatalf("the refresh token is in the body too: %s", a.body)
	}
	return pair{a.value(s.t, "postern"), a.value(s.t, "postern_refresh")}
}

func TestAnAliasInCookieModeKeepsTheRefreshTokenFromScripts(t *testing.T) {
	s := newSite(t, withAliases(cookiePages()...))
	p := s.enter()
	a := s.ask("POST", "/api/again", s.cookies(p)).want(t, 200, "")
	if _, there := a.object(t)["refresh"]; there || a.text(t, "token") == "" {
		t.Errorf("refreshed: %s", a.body)
	}
	next := pair{a.value(t, "postern"), a.value(t, "postern_refresh")}
	if next.refresh == p.refresh || a.cookie(t, "postern_refresh").Path != "/api/again" || a.cookie(t, "postern").Path != "/" {
		t.Errorf("cookies %v", a.Cookies())
	}
	a = s.ask("POST", "/api/secret", cookie("postern", next.access), asJSON(`{"current":"`+alicePassword+`","new":"another-long-one-9"}`)).want(t, 200, "")
	if _, there := a.object(t)["refresh"]; there || a.value(t, "postern_refresh") == next.refresh {
		t.Errorf("a new password: %s %v", a.body, a.Cookies())
	}
	if s.alive(next.access) {
		t.Error("the old token lives")
	}
}

// A page that asks at every load whether it is logged in must hear that it is
// not, and no mistake of its own. A body without the token is one.
func TestARefreshByAliasWithoutACookieIsNoMistake(t *testing.T) {
	s := newSite(t, withAliases(append(cookiePages(), Alias{Path: "/api/renew", Endpoint: "refresh", Mode: "refresh_cookie"})...))
	for _, path := range []string{"/auth/refresh", "/api/again", "/api/renew"} {
		s.ask("POST", path).want(t, 401, "refresh_invalid")
		s.ask("POST", path, asJSON("")).want(t, 401, "refresh_invalid")
		s.ask("POST", path, asJSON("{}")).want(t, 400, "bad_request")
	}
}

// By cookie both must be of one session: a sibling subdomain can plant the one
// (session fixation).
func TestAPlantedRefreshCookieIsRefusedAtAnAliasToo(t *testing.T) {
	s := newSite(t, withAliases(cookiePages()...))
	s.add("mallory", "mallory-password-1", "user")
	own, planted := s.enter(), s.login("mallory", "mallory-password-1")
	a := s.ask("POST", "/api/again", s.cookies(pair{own.access, planted.refresh})).want(t, 401, "refresh_invalid")
	if c := a.cookie(t, "postern"); c == nil || c.MaxAge >= 0 {
		t.Errorf("the cookies stay: %v", a.Cookies())
	}
	s.ask("POST", "/api/again", cookie("postern_refresh", own.refresh), cookie("postern_refresh", planted.refresh)).want(t, 400, "bad_request")
	if !s.alive(own.access) {
		t.Error("the honest session ended by it")
	}
}

// Two credentials of different sessions are no one's (SE-19).
func TestCredentialsOfTwoSessionsAreRefusedAtAnAlias(t *testing.T) {
	s := newSite(t, withAliases(append(signin(), Alias{Path: "/out", Endpoint: "logout"})...))
	one, two := s.alice(), s.alice()
	s.ask("POST", "/api/auth/again", bearer(one.access), asJSON(`{"token":"`+two.refresh+`"}`)).want(t, 400, "bad_request")
	s.ask("POST", "/out", bearer(one.access), asJSON(`{"refresh_token":"`+two.refresh+`"}`)).want(t, 400, "bad_request")
	if !s.alive(one.access) || !s.alive(two.access) {
		t.Error("a session ended")
	}
	s.ask("POST", "/api/auth/again", bearer(two.access), asJSON(`{"token":"`+two.refresh+`"}`)).want(t, 200, "")
}

// A replayed rotating token ends its session at an alias as at the endpoint.
func TestAReplayAtAnAliasEndsTheSession(t *testing.T) {
	s := newSite(t, withAliases(signin()...))
	p := s.alice()
	next := s.ask("POST", "/api/auth/again", asJSON(`{"token":"`+p.refresh+`"}`)).want(t, 200, "")
	s.later(auth.DefaultConfig().RefreshToken.ReuseGrace + time.Second)
	s.store.Now = s.now
	again := s.ask("POST", "/api/auth/again", asJSON(`{"token":"`+next.text(t, "refresh")+`"}`)).want(t, 200, "")
	s.later(auth.DefaultConfig().RefreshToken.ReuseGrace + time.Second)
	s.ask("POST", "/api/auth/again", asJSON(`{"token":"`+p.refresh+`"}`)).want(t, 401, "refresh_reused")
	if s.alive(again.text(t, "access")) {
		t.Error("the thief's copy opens it still")
	}
}

func TestALogoutByAliasTakesAnExpiredToken(t *testing.T) {
	s := newSite(t, withAliases(Alias{Path: "/out", Method: "GET", Endpoint: "logout"}, Alias{Path: "/end", Method: "DELETE", Endpoint: "logout"}))
	for _, c := range []struct{ method, path string }{{"GET", "/out"}, {"DELETE", "/end"}} {
		p := s.alice()
		s.later(16 * time.Minute)
		s.ask(c.method, c.path, bearer(p.access)).want(t, 204, "")
		s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`)).want(t, 401, "refresh_invalid")
		s.ask(c.method, c.path, bearer(p.access)).want(t, 204, "") // it is gone, which is what was asked for
		s.ask(c.method, c.path, bearer("x.y.z")).want(t, 401, "token_malformed")
	}
	p := s.alice()
	if a := s.ask("HEAD", "/out", bearer(p.access)); a.StatusCode != http.StatusNoContent || !s.alive(p.access) {
		t.Error("a HEAD ended the session")
	}
}
