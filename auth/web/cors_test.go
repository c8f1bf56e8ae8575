package web

import (
	"strings"
	"testing"
)

const spa = "https://spa.example.com"

func withSPA(s *setup) { s.web.CORS.Origins = []string{spa, "https://two.example.com"} }

func TestAListedOriginMayCallAndReadTheAnswer(t *testing.T) {
	s := newSite(t, withSPA)
	for _, a := range []answer{
		s.ask("POST", "/auth/login", header("Origin", spa), asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(t, 200, ""),
		s.ask("POST", "/auth/login", header("Origin", spa), asJSON(`{"username":"alice","password":"wrong-password"}`)).want(t, 401, ""),
		s.ask("GET", "/auth/nothing", header("Origin", spa)).want(t, 404, ""),
	} {
		if a.Header.Get("Access-Control-Allow-Origin") != spa || !strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "X-Request-Id") {
			t.Error(a.Header)
		}
		if a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("credentials are allowed without being configured")
		}
	}
}

func TestCredentialsAreAllowedOnlyWhenConfiguredAndNeverWithAStar(t *testing.T) {
	s := newSite(t, withSPA, func(s *setup) { s.web.CORS.Credentials = true })
	a := s.ask("GET", "/auth/me", header("Origin", spa))
	if a.Header.Get("Access-Control-Allow-Credentials") != "true" || a.Header.Get("Access-Control-Allow-Origin") != spa {
		t.Error(a.Header)
	}
}

func TestAnUnlistedOriginGetsNoCORSFields(t *testing.T) {
	s := newSite(t, withSPA)
	for _, origin := range []string{"https://evil.test", "null", "https://spa.example.com.evil.test", "http://spa.example.com",
		"https://SPA.example.com", "https://spa.example.com:443", ""} {
		a := s.ask("GET", "/auth/me", header("Origin", origin))
		for name := range a.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s gets %s", origin, name)
			}
		}
		if a.Header.Values("Vary")[0] != "Origin" {
			t.Error("a cache would give one origin's answer to another")
		}
	}
}

func TestAPreflightIsAnsweredForListedOriginsAlone(t *testing.T) {
	s := newSite(t, withSPA, func(s *setup) { s.web.TokenSources = append(s.web.TokenSources, "header:x-access-token") })
	preflight := header("Access-Control-Request-Method", "PATCH")
	a := s.ask("OPTIONS", "/auth/me", header("Origin", spa), preflight).want(t, 204, "")
	if a.Header.Get("Access-Control-Allow-Methods") != "GET, HEAD, PATCH" || a.Header.Get("Access-Control-Max-Age") == "" {
		t.Error(a.Header)
	}
	for _, field := range []string{"Authorization", "Content-Type", "x-access-token"} {
		if !strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), field) {
			t.Errorf("%s may not be sent", field)
		}
	}
	a = s.ask("OPTIONS", "/auth/me", header("Origin", "https://evil.test"), preflight).want(t, 403, "cross_origin")
	if a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error(a.Header)
	}
	s.ask("OPTIONS", "/auth/me").want(t, 405, "method_not_allowed")
	s.ask("OPTIONS", "/auth/nothing", header("Origin", spa), preflight).want(t, 404, "no_route")
}

func TestWithoutOriginsThereIsNoCORS(t *testing.T) {
	s := newSite(t)
	a := s.ask("OPTIONS", "/auth/me", header("Origin", spa), header("Access-Control-Request-Method", "GET")).want(t, 405, "method_not_allowed")
	if a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error(a.Header)
	}
}
