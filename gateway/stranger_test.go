package gateway

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/policy"
)

// A trusted proxy that does not know its client says "unknown", or nonsense.
// Taken for the client itself it would be inside every network that it is in.
func TestAnUnreadableClientIsInNoNetwork(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.gateway.TrustedProxies = []string{"127.0.0.1"}
		c.policy.Routes = append(c.policy.Routes, policy.Route{Path: "/inside/**", Allow: []policy.Rule{{CIDR: []string{"127.0.0.0/8", "10.0.0.0/8"}}}})
		c.options = make([]RouteOptions, len(c.policy.Routes))
	})
	for given, want := range map[string]int{
		"":                  200, // the proxy's own health check
		"10.1.2.3":          200,
		"8.8.8.8, 10.1.2.3": 200,
		"8.8.8.8":           403,
		"unknown":           403,
		"garbage":           403,
		"8.8.8.8,":          403,
		"10.1.2.3, unknown": 403,
		"_hidden":           403,
	} {
		var lines []string
		if given != "" {
			lines = append(lines, "X-Forwarded-For: "+given)
		}
		code := ""
		if want == 403 {
			code = "forbidden"
		}
		s.get("/inside/x", lines...).wants(t, want, code)
	}
}

// The page that cors is for must be able to read that its token has expired.
func TestARefusalOnACORSRouteCanBeReadByThePageItIsFor(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.options = make([]RouteOptions, len(c.policy.Routes))
		c.options[1].CORS = &CORS{Origins: []string{"https://spa.test"}, Headers: []string{"Authorization"}}
	})
	for origin, want := range map[string]string{"https://spa.test": "https://spa.test", "https://evil.test": ""} {
		r := s.get("/app/x", "Origin: "+origin)
		r.wants(t, 401, "token_missing")
		if got := r.Header.Get("Access-Control-Allow-Origin"); got != want || !strings.Contains(strings.Join(r.Header.Values("Vary"), ","), "Origin") {
			t.Errorf("%s: Access-Control-Allow-Origin %q, Vary %q", origin, got, r.Header.Values("Vary"))
		}
	}
	if r := s.get("/public/x", "Origin: https://spa.test"); r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a route without cors speaks of other origins")
	}
}
