package gateway

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/posternhq/postern/policy"
)

// FuzzWebhookSecret: whatever a secret is, it is taken as the specification's
// libraries take it, or refused in words that repeat nothing of it.
func FuzzWebhookSecret(f *testing.F) {
	for _, seed := range []string{"", "whsec_", "whsec_AAAA", "whsec_not base64", webhookSecret, "0123456789abcdef01234567", "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_whsec_AAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, secret string) {
		c := Config{Upstreams: []Upstream{{Name: "app"}}, Provision: []Provision{{Upstream: "app", Path: "/x", Secret: secret}}}
		faults := c.ValidateProvision()
		for _, fault := range faults {
			if fault.Path != "provision[0].secret" || len(secret) > 12 && strings.Contains(fault.Message, secret) {
				t.Errorf("%q: %+v", secret, fault)
			}
		}
		key, err := c.Provision[0].key()
		if good := err == nil && len(key) >= leastWebhookSecret; good != (len(faults) == 0) {
			t.Errorf("%q: a key of %d bytes, %v; faults %v", secret, len(key), err, faults)
		}
		if text, coded := strings.CutPrefix(secret, webhookPrefix); err == nil && coded {
			if plain, _ := base64.StdEncoding.DecodeString(text); string(plain) != string(key) {
				t.Errorf("%q: another key than the libraries have", secret)
			}
		}
	})
}

// TestTheClientsPathLeadsToTheUpstreams: what ClientPath answers is sent on as
// the path that was asked for, by the code that sends requests.
func TestTheClientsPathLeadsToTheUpstreams(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := []string{"a", "b", "api", "internal", "accounts"}
	path := func(least int) string {
		var b strings.Builder
		for range least + rng.IntN(3) {
			b.WriteString("/" + words[rng.IntN(len(words))])
		}
		return b.String()
	}
	found := 0
	for range 20_000 {
		literal, target := path(1), path(1)
		pattern := literal + []string{"", "/**", "/{x}", "/{x}/**"}[rng.IntN(4)]
		o := RouteOptions{StripPrefix: []string{"", literal, path(1)}[rng.IntN(3)], Rewrite: []string{"", "/", path(1), target, target + "/"}[rng.IntN(5)]}
		client, ok := o.ClientPath(pattern, target)
		if !ok {
			continue
		}
		parsed, err := policy.ParsePath(client)
		if err != nil {
			continue // nothing that a client could ask for
		}
		x := &exchange{path: parsed, rt: &route{options: o, literals: literalSegments(pattern)}}
		if sent, ok := x.upstreamPath(); !ok || strings.TrimSuffix(sent, "/") != target {
			// Where the route does not match that path, nobody is led by it.
			table, _ := policy.Compile(policy.Config{Upstreams: []policy.Upstream{{Name: "app"}}, Routes: []policy.Route{{Path: pattern, Allow: []policy.Rule{{Anyone: true}}}}})
			if m := table.Match("POST", "", parsed); m.Route() >= 0 {
				t.Fatalf("%s with %+v: POST %s is sent as %q (%t), want %s", pattern, o, client, sent, ok, target)
			}
			continue
		}
		found++
	}
	if found < 1000 {
		t.Errorf("only %d paths were found", found)
	}
}
