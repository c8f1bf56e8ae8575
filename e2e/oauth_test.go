package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// metadata is what a client reads to find the endpoints.
type metadata struct {
	Issuer     string   `json:"issuer"`
	Token      string   `json:"token_endpoint"`
	Revoke     string   `json:"revocation_endpoint"`
	Introspect string   `json:"introspection_endpoint"`
	JWKS       string   `json:"jwks_uri"`
	Grants     []string `json:"grant_types_supported"`
}

// startOAuth runs a gateway before an application that answers who asks. The
// access tokens live shorter than golang.org/x/oauth2 trusts one: it refreshes
// before each request.
func startOAuth(t *testing.T, auth string) (*gateway, metadata) {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("X-Auth-User")+" "+r.Header.Get("X-Auth-Roles"))
	}))
	t.Cleanup(app.Close)
	g := prepare(t, `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { format: json }
upstreams:
  - { name: app, urls: ["`+app.URL+`"] }
auth:
`+auth+`  lockout: { attempts: 1000, window: 10m, duration: 15m }
routes:
  - { path: /app/**, allow: { role: user } }
`)
	g.addUser("alice", "user")
	g.addUser("root", "admin")
	g.start()
	var m metadata
	r := g.client().get("/.well-known/oauth-authorization-server").want(t, 200, "the metadata")
	if err := json.Unmarshal([]byte(r.body), &m); err != nil {
		t.Fatal(err)
	}
	return g, m
}

// TestTheGoOAuthClientLogsInCallsAndRefreshes: golang.org/x/oauth2 as programs
// use it, in each of its ways to send client credentials.
func TestTheGoOAuthClientLogsInCallsAndRefreshes(t *testing.T) {
	t.Parallel()
	g, m := startOAuth(t, "  access_token: { ttl: 9s }\n")
	if m.Issuer != "http://"+g.addr || strings.Join(m.Grants, " ") != "password refresh_token" {
		t.Errorf("metadata: %+v", m)
	}
	for name, style := range map[string]oauth2.AuthStyle{"by trial": oauth2.AuthStyleAutoDetect, "in the header": oauth2.AuthStyleInHeader, "in the body": oauth2.AuthStyleInParams} {
		t.Run(name, func(t *testing.T) {
			conf := oauth2.Config{ClientID: "a program", ClientSecret: "of nobody", Scopes: []string{"read", "write"}, Endpoint: oauth2.Endpoint{TokenURL: m.Token, AuthStyle: style}}
			token, err := conf.PasswordCredentialsToken(t.Context(), "alice", passwordOf("alice"))
			if err != nil {
				t.Fatal(err)
			}
			if token.Type() != "Bearer" || token.RefreshToken == "" || token.Extra("scope") != "read write" {
				t.Errorf("got %+v", token)
			}
			source := conf.TokenSource(t.Context(), token)
			client := oauth2.NewClient(t.Context(), source)
			for range 3 {
				r, err := client.Get("http://" + g.addr + "/app/home")
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(r.Body)
				r.Body.Close()
				if err != nil || r.StatusCode != 200 || string(text) != "alice user" {
					t.Fatalf("%d %s %v", r.StatusCode, text, err)
				}
			}
			last, err := source.Token()
			if err != nil || last.RefreshToken == token.RefreshToken || last.AccessToken == token.AccessToken {
				t.Errorf("not refreshed: %v", err)
			}

			_, err = conf.PasswordCredentialsToken(t.Context(), "alice", "wrong")
			var refused *oauth2.RetrieveError
			if !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" || refused.Response.StatusCode != 400 {
				t.Errorf("a wrong password: %v", err)
			}
			conf.Endpoint.TokenURL = m.Token
			_, err = conf.TokenSource(t.Context(), &oauth2.Token{RefreshToken: "x"}).Token()
			if !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
				t.Errorf("a bad refresh token: %v", err)
			}
		})
	}
	for _, e := range g.entries("request") {
		if text, err := json.Marshal(e); err != nil || strings.Contains(string(text), passwordOf("alice")) || strings.Contains(string(text), "of nobody") {
			t.Errorf("a secret is in the log: %s", text)
		}
	}
}

// TestATokenIsRevokedAndIntrospectedOverTheWire: what RFC 7009 and 7662 say,
// through the whole gateway.
func TestATokenIsRevokedAndIntrospectedOverTheWire(t *testing.T) {
	t.Parallel()
	g, _ := startOAuth(t, "")
	c := g.client()
	alice, root := c.login("alice"), c.login("root")
	form := "Content-Type: application/x-www-form-urlencoded"
	active := func(token string) bool {
		t.Helper()
		var i struct{ Active bool }
		r := c.do("POST", "/auth/introspect", "token="+token, form, bearer(root.AccessToken)).want(t, 200, "introspection")
		if err := json.Unmarshal([]byte(r.body), &i); err != nil {
			t.Fatal(err)
		}
		return i.Active
	}
	if !active(alice.AccessToken) || !active(alice.RefreshToken) || active("x") {
		t.Error("live tokens are active, others are not")
	}
	c.do("POST", "/auth/introspect", "token=x", form, bearer(alice.AccessToken)).want(t, 403, "introspection by a user")
	c.do("POST", "/auth/introspect", "token=x", form).want(t, 401, "introspection by nobody")
	// A page of another site may not log somebody in or out, here either.
	for _, path := range []string{"/auth/token", "/auth/revoke", "/auth/introspect"} {
		c.do("POST", path, "token="+alice.RefreshToken, form, "Origin: http://evil.example", "Sec-Fetch-Site: cross-site").want(t, 403, path+" from another site")
	}
	c.do("POST", "/auth/revoke", "token="+alice.RefreshToken, form).want(t, 200, "revocation")
	c.get("/app/home", bearer(alice.AccessToken)).want(t, 401, "a token of the session")
	if active(alice.AccessToken) || active(alice.RefreshToken) {
		t.Error("revoked tokens are active")
	}
	eventually(t, "an audit line of the logout", func() bool { return len(g.audit("logout")) == 1 })
}

// TestEveryAlgorithmIsVerifiedByAnIndependentLibrary: login, request, key set,
// and go-oidc over go-jose, which share no code with the gateway's own proof. One
// gateway goes through all of them by reload, and never believes the one before.
func TestEveryAlgorithmIsVerifiedByAnIndependentLibrary(t *testing.T) {
	t.Parallel()
	g, m := startOAuth(t, "  access_token: { algorithm: ES256 }\n")
	c := g.client()
	last, former := "ES256", ""
	for _, algorithm := range []string{"ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "HS256", "HS384", "HS512"} {
		if algorithm != last {
			g.edit("algorithm: "+last, "algorithm: "+algorithm)
			g.reload("reload")
			c.get("/app/home", bearer(former)).want(t, 401, "a token of "+last+" under "+algorithm)
		}
		login := c.login("alice")
		if r := c.get("/app/home", bearer(login.AccessToken)).want(t, 200, algorithm); r.body != "alice user" {
			t.Errorf("%s: the application is told %q", algorithm, r.body)
		}
		next := c.tokens(c.refresh(login.RefreshToken).want(t, 200, "refresh under "+algorithm))
		c.get("/app/home", bearer(next.AccessToken)).want(t, 200, algorithm+" after a refresh")
		last, former = algorithm, next.AccessToken
		if strings.HasPrefix(algorithm, "HS") {
			if got := g.published(); len(got) != 0 {
				t.Errorf("%s publishes %s", algorithm, got)
			}
			continue
		}
		verifier := oidc.NewVerifier(m.Issuer, oidc.NewRemoteKeySet(context.Background(), m.JWKS),
			&oidc.Config{ClientID: "postern", SupportedSigningAlgs: []string{algorithm}})
		proven, err := verifier.Verify(t.Context(), next.AccessToken)
		if err != nil {
			t.Errorf("%s: %v", algorithm, err)
			continue
		}
		var claims struct {
			Username string
			Roles    []string
			SID      string
		}
		if err := proven.Claims(&claims); err != nil || claims.Username != "alice" || strings.Join(claims.Roles, " ") != "user" || claims.SID == "" || proven.Subject != login.User.ID {
			t.Errorf("%s: %+v %v", algorithm, claims, err)
		}
		i := strings.LastIndexByte(next.AccessToken, '.') + 1
		flipped := "A"
		if next.AccessToken[i] == 'A' {
			flipped = "B"
		}
		if _, err := verifier.Verify(t.Context(), next.AccessToken[:i]+flipped+next.AccessToken[i+1:]); err == nil {
			t.Errorf("%s: a forged token is verified", algorithm)
		}
	}
}
