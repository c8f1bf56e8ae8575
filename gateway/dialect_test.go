package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth/web"
)

// speaking makes a stack whose clients were written for other backends, and
// wires them as cmd/postern does.
func speaking(presets ...string) func(*setup) {
	return func(s *setup) {
		for _, name := range presets {
			s.web.Aliases = append(s.web.Aliases, web.Alias{Preset: name})
		}
		s.auth.LongestAccess = s.web.LongestAccess()
		s.web.TokenSources = s.web.Sources()
	}
}

func (s *stack) speak(c web.Config) *stack {
	s.t.Helper()
	s.parts.Dialects = c.Dialects()
	snap, err := s.gateway.Build(s.parts)
	must(s.t, err)
	s.gateway.Swap(snap)
	return s
}

func newSpeaking(t *testing.T, presets ...string) *stack {
	t.Helper()
	var conf web.Config
	s := newStack(t, speaking(presets...), func(s *setup) { conf = s.web })
	return s.speak(conf)
}

func TestARefusalHasTheWordsOfTheClientsBackend(t *testing.T) {
	s := newSpeaking(t, "bezkoder", "express-x-auth-token")
	user, expired := s.token("alice"), s.token("alice")
	for _, test := range []struct {
		name, path string
		lines      []string
		status     int
		body       string
	}{
		{"an empty token", "/app/x", []string{"x-access-token: "}, 403, `{"message":"No token provided!"}`},
		{"a bad token", "/app/x", []string{"X-Access-Token: nonsense"}, 401, `{"message":"Unauthorized!"}`},
		{"not the role", "/admin/x", []string{"x-access-token: " + user}, 403, `{"message":"Require Admin Role!"}`},
		{"another backend's empty token", "/app/x", []string{"x-auth-token: "}, 401, "Access denied. No token provided."},
		{"another backend's bad token", "/app/x", []string{"x-auth-token: nonsense"}, 400, "Invalid token."},
		{"another backend's role", "/admin/x", []string{"x-auth-token: " + user}, 403, "Access denied."},
	} {
		r := s.get(test.path, test.lines...)
		if r.StatusCode != test.status || strings.TrimSpace(r.body) != test.body || r.seen != nil {
			t.Errorf("%s: %d %s, the application was asked: %v", test.name, r.StatusCode, r.body, r.seen != nil)
		}
	}
	s.later(time.Hour)
	if r := s.get("/app/x", "x-access-token: "+expired); r.StatusCode != 401 || !strings.Contains(r.body, "Unauthorized! Access Token was expired!") {
		t.Errorf("an expired token: %d %s", r.StatusCode, r.body)
	}
}

// The header that tells the dialect is taken out before the application is asked.
// A session that ends while it opens a stream is refused after that.
func TestARefusalOfAStreamHasThoseWordsToo(t *testing.T) {
	var s *stack
	var conf web.Config
	s = newStack(t, speaking("bezkoder"), func(c *setup) {
		conf = c.web
		c.answer = func(w http.ResponseWriter, r *http.Request) {
			account, err := s.service.FindAccount(r.Context(), "alice")
			must(t, err)
			must(t, s.service.LogoutAll(r.Context(), account.ID, clientForTest()))
			_ = http.NewResponseController(w).Flush()
		}
	})
	s.speak(conf)
	r := s.get("/app/x", "x-access-token: "+s.token("alice"))
	if r.StatusCode != 401 || strings.TrimSpace(r.body) != `{"message":"Unauthorized!"}` {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// Whoever does not send that header is told as everybody.
func TestOtherClientsAreRefusedAsEver(t *testing.T) {
	s := newSpeaking(t, "bezkoder")
	for name, lines := range map[string][]string{"nothing": nil, "a bearer": {"Authorization: Bearer nonsense"}, "another header": {"x-auth-token: nonsense"}, "a page": {"Accept: text/html", "x-access-token: nonsense"}} {
		r := s.get("/app/x", lines...)
		if strings.Contains(r.body, `{"message":`) || r.StatusCode != 401 && r.StatusCode != 303 {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
	}
	// Nor are other refusals said in it.
	if r := s.get("/nowhere", "x-access-token: x"); r.StatusCode != 404 || r.code() != "no_route" {
		t.Errorf("no route: %d %s", r.StatusCode, r.body)
	}
	if r := s.get("/app//x", "x-access-token: x"); r.StatusCode != 400 || r.code() != "bad_path" {
		t.Errorf("a bad path: %d %s", r.StatusCode, r.body)
	}
	if r := s.get("/app/x", "x-access-token: a", "x-access-token: b"); r.StatusCode != 400 || r.code() != "bad_request" {
		t.Errorf("two tokens: %d %s", r.StatusCode, r.body)
	}
}

func TestATokenHeaderOfAPresetIsASourceAndStaysHere(t *testing.T) {
	s := newSpeaking(t, "express-x-auth-token")
	r := s.get("/app/x", "x-auth-token: "+s.token("alice"))
	if r.StatusCode != 200 || r.seen == nil || r.seen.header.Get("X-Auth-User") != "alice" {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	if r.seen.header.Get("X-Auth-Token") != "" {
		t.Error("the application was sent the token")
	}
}

func TestOtherMethodsAtAnAliasesPathAreThePolicys(t *testing.T) {
	s := newSpeaking(t, "bezkoder")
	if r := s.send("POST", "/api/auth/signin", `{"username":"alice","password":"`+testPassword+`"}`, "Content-Type: application/json"); r.StatusCode != 200 || r.seen != nil {
		t.Errorf("the alias: %d %s", r.StatusCode, r.body)
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS"} {
		if r := s.send(method, "/api/auth/signin", ""); r.StatusCode != 404 || r.code() != "no_route" {
			t.Errorf("%s: %d %s", method, r.StatusCode, r.body)
		}
	}
	if r := s.send("POST", "/api/auth/signin", `{"username":"alice","password":"`+testPassword+`"}`, "Content-Type: application/json", "Origin: https://evil.example"); r.StatusCode != 403 || r.code() != "cross_origin" {
		t.Errorf("another site's page: %d %s", r.StatusCode, r.body)
	}
}

// A page of before asks who it is with a cookie that has run out: it is sent
// through the refresh and back, at an alias as everywhere.
func TestAnAliasOfMeIsRefreshedFirst(t *testing.T) {
	s := newStack(t, func(s *setup) {
		s.web.Aliases = []web.Alias{{Path: "/api/me", Endpoint: "me"}, {Path: "/api/out", Endpoint: "logout"}}
	})
	g := s.login("alice")
	s.later(time.Hour)
	r := s.get("/api/me", cookie(g.AccessToken), "Sec-Fetch-Site: same-origin")
	if r.StatusCode != 303 || !strings.HasPrefix(r.Header.Get("Location"), "/auth/refresh?") {
		t.Errorf("me: %d %v", r.StatusCode, r.Header)
	}
	if r := s.send("POST", "/api/out", "", cookie(g.AccessToken), "Sec-Fetch-Site: same-origin"); r.StatusCode != 204 {
		t.Errorf("logout with a token that has expired: %d %s", r.StatusCode, r.body)
	}
}
