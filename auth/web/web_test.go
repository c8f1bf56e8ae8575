package web

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
)

func newJar(t *testing.T) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return jar
}

func TestThePrefixAndAllBelowItIsTheGatewaysOwn(t *testing.T) {
	s := newSite(t)
	for path, own := range map[string]bool{"/auth": true, "/auth/": true, "/auth/login": true, "/auth/nothing/here": true,
		"/.well-known/jwks.json": true, "/.well-known/oauth-authorization-server": true, "/.well-known/openid-configuration": false, "/authx": false, "/": false, "/AUTH/login": false, "/app/auth": false} {
		if s.handler.Owns(httptest.NewRequest("GET", path, nil)) != own {
			t.Errorf("%s: %v", path, !own)
		}
	}
}

func TestWhatIsNotThereYetDoesNotPretend(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	for _, path := range []string{"/auth", "/auth/", "/auth/register", "/auth/users/", "/auth/users/a/b", "/auth/admin", "/auth/admin/users/", "/auth/admin/users/a/b", "/auth/token/", "/auth/revoke/x",
		"/auth/introspect/", "/auth/login/", "/auth/sessions/", "/auth/sessions/a/b",
		"/auth/me/", "/.well-known/oauth-authorization-server/", "/.well-known/openid-configuration", "/.well-known/jwks.json/"} {
		for _, method := range []string{"GET", "POST"} {
			s.ask(method, path, bearer(p.access)).want(t, 404, "no_route")
		}
	}
}

func TestAWrongMethodIs405WithAllow(t *testing.T) {
	s := newSite(t)
	for path, allow := range map[string]string{"/auth/login": "GET, HEAD, POST", "/auth/refresh": "POST", "/auth/logout": "GET, HEAD, POST",
		"/auth/me": "GET, HEAD, PATCH", "/auth/me/password": "POST", "/auth/sessions": "GET, HEAD", "/auth/sessions/x": "DELETE",
		"/auth/users/x": "GET, HEAD", "/auth/admin/users": "GET, HEAD, POST", "/auth/admin/users/x": "DELETE, GET, HEAD, PATCH", "/auth/admin/users/x/sessions": "DELETE, GET, HEAD",
		"/auth/token": "POST", "/auth/revoke": "POST", "/auth/introspect": "POST",
		"/.well-known/jwks.json": "GET, HEAD", "/.well-known/oauth-authorization-server": "GET, HEAD"} {
		for _, method := range []string{"PUT", "DELETE", "TRACE", "FOO"} {
			if strings.Contains(allow, method) {
				continue
			}
			if got := s.ask(method, path).want(t, 405, "method_not_allowed").Header.Get("Allow"); got != allow {
				t.Errorf("%s: Allow %q, want %q", path, got, allow)
			}
		}
	}
}

func TestAHEADIsAGETWithoutABody(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	for _, path := range []string{"/auth/login", "/auth/logout", "/auth/me", "/auth/sessions", "/.well-known/jwks.json", "/auth/nothing"} {
		get, head := s.ask("GET", path, bearer(p.access)), s.ask("HEAD", path, bearer(p.access))
		if head.StatusCode != get.StatusCode || head.body != "" || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("%s: %d %q", path, head.StatusCode, head.body)
		}
	}
}

func TestTheKeySetIsPublicAndHoldsPublicKeysOnly(t *testing.T) {
	s := newSite(t)
	a := s.ask("GET", "/.well-known/jwks.json").want(t, 200, "")
	if a.Header.Get("Content-Type") != "application/jwk-set+json" || a.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Error(a.Header)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(a.body), &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("%v: %s", err, a.body)
	}
	for _, key := range set.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, there := key[private]; there {
				t.Errorf("the key set tells %s", private)
			}
		}
		if key["kid"] == "" || key["alg"] != "ES256" {
			t.Error(key)
		}
	}
}

func TestEveryAnswerOfAnEndpointIsNosniff(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	for _, path := range []string{"/auth/login", "/auth/me", "/auth/sessions", "/auth/nothing", "/.well-known/jwks.json"} {
		if a := s.ask("GET", path, bearer(p.access)); a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, a.Header)
		}
	}
}

func TestAnotherPrefixMovesEveryEndpoint(t *testing.T) {
	s := newSite(t, func(s *setup) { s.web.Prefix = "/_gate" })
	a := s.ask("POST", "/_gate/login", asForm("username", "alice", "password", alicePassword, "rd", "/_gate/login")).want(t, 303, "")
	if a.cookie(t, "postern_refresh").Path != "/_gate/refresh" || a.Header.Get("Location") != "/" {
		t.Error(a.Header)
	}
	if page := s.ask("GET", "/_gate/login"); !strings.Contains(page.body, `action="/_gate/login"`) {
		t.Error(page.body)
	}
	s.ask("GET", "/auth/login").want(t, 404, "no_route")
}
