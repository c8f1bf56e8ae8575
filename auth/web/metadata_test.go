package web

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

func TestTheMetadataNameWhatThereIs(t *testing.T) {
	s := newSite(t, https, func(s *setup) { s.web.Prefix = "/gate/own" })
	a := s.ask("GET", "/.well-known/oauth-authorization-server").want(t, 200, "")
	if a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("fields: %v", a.Header)
	}
	o := a.object(t)
	for name, want := range map[string]string{
		"issuer":                 "https://gw.test",
		"token_endpoint":         "https://gw.test/gate/own/token",
		"revocation_endpoint":    "https://gw.test/gate/own/revoke",
		"introspection_endpoint": "https://gw.test/gate/own/introspect",
		"jwks_uri":               "https://gw.test/.well-known/jwks.json",
		"service_documentation":  "https://gw.test/gate/own/docs",
	} {
		if o[name] != want {
			t.Errorf("%s is %v, want %s", name, o[name], want)
		}
	}
	list := func(name string) (words []string) {
		all, ok := o[name].([]any)
		if !ok {
			t.Errorf("%s is %v", name, o[name])
		}
		for _, word := range all {
			words = append(words, word.(string))
		}
		return words
	}
	if got := list("grant_types_supported"); !slices.Equal(got, []string{"password", "refresh_token"}) {
		t.Errorf("grants: %s", got)
	}
	if got := list("response_types_supported"); len(got) != 0 {
		t.Errorf("response types: %s", got)
	}
	// Every address in it answers, and nothing is promised that is not there.
	for name, value := range o {
		address, ok := value.(string)
		if !ok || name == "issuer" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.ask("OPTIONS", u.Path); got.StatusCode != 405 {
			t.Errorf("%s: %s answers %d", name, u.Path, got.StatusCode)
		}
	}
	for _, absent := range []string{"authorization_endpoint", "registration_endpoint", "scopes_supported", "code_challenge_methods_supported", "userinfo_endpoint"} {
		if _, there := o[absent]; there {
			t.Errorf("%s is promised", absent)
		}
	}
	s.ask("POST", "/.well-known/oauth-authorization-server", asForm()).want(t, 405, "method_not_allowed")
	s.ask("HEAD", "/.well-known/oauth-authorization-server").want(t, 200, "")
}

// The issuer is compared byte for byte with the iss of tokens (RFC 8414 3.3).
func TestTheIssuerOfTheMetadataIsTheTokens(t *testing.T) {
	s := newSite(t)
	conf := auth.DefaultConfig()
	conf.Issuer = "https://id.example.com/Tenant/"
	if err := s.service.Reconfigure(t.Context(), conf); err != nil {
		t.Fatal(err)
	}
	if got := s.ask("GET", "/.well-known/oauth-authorization-server").want(t, 200, "").text(t, "issuer"); got != conf.Issuer {
		t.Errorf("issuer %s", got)
	}
}

// The pages of a single-page application elsewhere may use the endpoints when
// its origin is listed, and no other page.
func TestListedOriginsMayUseTheOAuthEndpoints(t *testing.T) {
	s := newSite(t, func(s *setup) { s.web.CORS.Origins = []string{"https://app.example.com"} })
	for _, path := range []string{"/auth/token", "/auth/revoke", "/auth/introspect"} {
		a := s.ask("OPTIONS", path, header("Origin", "https://app.example.com"), header("Access-Control-Request-Method", "POST")).want(t, 204, "")
		if a.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || a.Header.Get("Access-Control-Allow-Methods") != "POST" ||
			!strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("%s: %v", path, a.Header)
		}
		s.ask("OPTIONS", path, header("Origin", "https://evil.example"), header("Access-Control-Request-Method", "POST")).want(t, 403, "cross_origin")
	}
	a := s.ask("POST", "/auth/token", header("Origin", "https://app.example.com"), asForm("grant_type", "password", "username", "alice", "password", alicePassword)).want(t, 200, "")
	if a.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("fields: %v", a.Header)
	}
}
