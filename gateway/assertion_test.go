package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/policy"
)

func withAssertion(c *setup) { c.gateway.Identity.Assertion.Enabled = true }

// assertionOf is what the application was told, verified with what the gateway
// publishes.
func (s *stack) assertionOf(t *testing.T, saw *seen, audience string) jwt.MapClaims {
	t.Helper()
	sent := values(saw.header, "X-Auth-Assertion")
	if len(sent) != 1 {
		t.Fatalf("X-Auth-Assertion %q", sent)
	}
	var set struct {
		Keys []struct{ Kid, Alg, X, Y string }
	}
	must(t, json.Unmarshal([]byte(s.get("/.well-known/jwks.json").body), &set))
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(audience), jwt.WithIssuer("http://gw.test"), jwt.WithExpirationRequired(), jwt.WithTimeFunc(s.now)).
		ParseWithClaims(sent[0], claims, func(token *jwt.Token) (any, error) {
			for _, k := range set.Keys {
				if k.Kid == token.Header["kid"] && token.Header["typ"] == "postern-assertion+jwt" {
					x, _ := base64.RawURLEncoding.DecodeString(k.X)
					y, _ := base64.RawURLEncoding.DecodeString(k.Y)
					return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
				}
			}
			return nil, fmt.Errorf("no key %v", token.Header)
		})
	must(t, err)
	return claims
}

func TestAnAssertionIsForItsUpstreamAlone(t *testing.T) {
	s := newStack(t, withAssertion, func(c *setup) {
		c.auth.AccessToken.Algorithm = "HS256" // whatever signs access tokens
		c.gateway.Upstreams = []Upstream{{Name: "app"}, {Name: "reports"}}
		c.policy.Upstreams = []policy.Upstream{{Name: "app"}, {Name: "reports"}}
		c.policy.Routes = []policy.Route{
			{Path: "/app/**", Upstream: "app", Allow: []policy.Rule{{Authenticated: true}}},
			{Path: "/reports/**", Upstream: "reports", Allow: []policy.Rule{{Authenticated: true}}},
		}
	})
	grant := s.login("alice")
	for path, audience := range map[string]string{"/app/x": "app", "/reports/x": "reports"} {
		claims := s.assertionOf(t, s.get(path, bearer(grant.AccessToken)).saw(t), audience)
		if claims["sub"] != grant.Account.ID || claims["sid"] != grant.Session || claims["username"] != "alice" || claims["aud"] != audience {
			t.Errorf("%s: %v", path, claims)
		}
	}
}

// TestAnAssertionIsNoCredential presents to the gateway what an upstream was
// told, wherever a token may stand.
func TestAnAssertionIsNoCredential(t *testing.T) {
	s := newStack(t, withAssertion)
	saw := s.get("/admin/x", bearer(s.token("root"))).saw(t)
	assertion := saw.header.Get("X-Auth-Assertion")
	s.assertionOf(t, saw, "app")
	for _, line := range []string{bearer(assertion), cookie(assertion)} {
		r := s.get("/admin/x", line)
		r.notAsked(t)
		r.wants(t, 401, "token_invalid")
		for name, v := range s.get("/public/x", line).saw(t).header {
			if strings.Contains(strings.Join(v, " "), assertion) || strings.HasPrefix(name, "X-Auth-") {
				t.Errorf("on an open route %s %q arrived", name, v)
			}
		}
	}
	for _, name := range spellings("X-Auth-Assertion") {
		if _, there := s.get("/public/x", name+": "+assertion).saw(t).header["X-Auth-Assertion"]; there {
			t.Errorf("sent as %s it arrived", name)
		}
		got := s.assertionOf(t, s.get("/app/x", bearer(s.token("alice")), name+": "+assertion).saw(t), "app")
		if got["username"] != "alice" {
			t.Errorf("sent as %s it says %v", name, got)
		}
	}
	if strings.Contains(s.log.String(), assertion) {
		t.Error("the log tells an assertion")
	}
}

func TestAnAssertionServesForHalfItsLifeAndGoesWithItsSession(t *testing.T) {
	s := newStack(t, withAssertion)
	grant := s.login("alice")
	of := func() string {
		saw := s.get("/app/x", bearer(grant.AccessToken)).saw(t)
		s.assertionOf(t, saw, "app")
		return saw.header.Get("X-Auth-Assertion")
	}
	first := of()
	if of() != first {
		t.Error("a second request has another one")
	}
	s.later(40 * time.Second)
	second := of()
	if second == first {
		t.Error("after more than half its life it is still sent")
	}
	s.later(40 * time.Second)
	if of() == second {
		t.Error("it is not made anew a second time")
	}
	must(t, s.service.RevokeSession(t.Context(), grant.Account.ID, grant.Session, auth.Actor{By: "test"}))
	r := s.get("/app/x", bearer(grant.AccessToken))
	r.notAsked(t)
	r.wants(t, 401, "token_revoked")
	if got, there := s.get("/public/x", bearer(grant.AccessToken)).saw(t).header["X-Auth-Assertion"]; there {
		t.Errorf("of a session that has ended: %q", got)
	}
}

// TestAnUpstreamCannotEchoWhatItWasTold: an answer with one would pass it to
// the client, and to whatever script reads the answer there.
func TestAnUpstreamCannotEchoWhatItWasTold(t *testing.T) {
	s := newStack(t, withAssertion, withLegacyToken, func(c *setup) {
		c.gateway.Identity.Presets = []string{"jenkins"}
		c.gateway.Identity.Basic = Basic{Enabled: true, Password: "s3cret"}
		c.answer = func(w http.ResponseWriter, r *http.Request) {
			for _, name := range []string{"X-Auth-Assertion", "X-Access-Token", "X-Forwarded-User", "Authorization"} {
				if v := r.Header.Get(name); v != "" {
					w.Header().Set(name, v)
					w.Header()[strings.ReplaceAll(name, "-", "_")] = []string{v}
				}
			}
		}
	})
	r := s.get("/app/x", bearer(s.token("alice")))
	saw := r.saw(t)
	for name, v := range r.Header {
		switch fold(name) {
		case "x-auth-assertion", "x-access-token", "x-forwarded-user", "authorization":
			t.Errorf("the client is told %s: %.20q", name, v)
		}
	}
	for _, name := range []string{"X-Auth-Assertion", "X-Access-Token", "X-Forwarded-User", "Authorization"} {
		if saw.header.Get(name) == "" {
			t.Errorf("the upstream was not told %s", name)
		}
	}
}
