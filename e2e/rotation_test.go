package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shown is a key as `postern key list --output json` prints it.
type shown struct {
	KID, Use, Algorithm, Status string
	Generation                  int
	Until                       *time.Time
}

// keys asks the command, which works on the store while gateways serve from it.
func (g *gateway) keys(args ...string) []shown {
	g.t.Helper()
	var list []shown
	text := mustRun(g.t, g.dir, "", append(args, "--output", "json", "--config", "gateway.yaml")...)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		g.t.Fatalf("%v\n%s", err, text)
	}
	return list
}

// rotate rotates the keys by the command, and waits until they are in use: that
// is when every gateway has taken them up.
func (g *gateway) rotate(uses ...string) []shown {
	g.t.Helper()
	args := []string{"key", "rotate"}
	for _, use := range uses {
		args = append(args, "--use", use)
	}
	made := g.keys(args...)
	eventually(g.t, "the new keys are in use", func() bool {
		return !slices.ContainsFunc(g.keys("key", "list"), func(k shown) bool {
			return k.Status != "current" && slices.ContainsFunc(made, func(m shown) bool { return m.KID == k.KID })
		})
	})
	return made
}

// published are the kids of the key set that a gateway publishes.
func (g *gateway) published() []string {
	g.t.Helper()
	var set struct{ Keys []struct{ Kid string } }
	r := g.client().get("/.well-known/jwks.json").want(g.t, 200, "the keys")
	if err := json.Unmarshal([]byte(r.body), &set); err != nil {
		g.t.Fatal(err)
	}
	var kids []string
	for _, k := range set.Keys {
		kids = append(kids, k.Kid)
	}
	slices.Sort(kids)
	return kids
}

// kidOf is the key that a token names.
func kidOf(t testing.TB, token string) string {
	t.Helper()
	var h struct{ Kid string }
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil || json.Unmarshal(text, &h) != nil {
		t.Fatalf("no token: %.20q", token)
	}
	return h.Kid
}

// expiry is when a token says that it expires.
func expiry(t testing.TB, token string) time.Time {
	t.Helper()
	var c struct{ Exp int64 }
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || json.Unmarshal(text, &c) != nil {
		t.Fatalf("no token: %.20q", token)
	}
	return time.Unix(c.Exp, 0)
}

// commuter is a client that uses one session at two gateways by turns, and
// refreshes it every few requests.
type commuter struct {
	gateways []*client
	current  tokens
	last     string // access token before the current one
}

// step is one request or refresh. Any refusal of a token that has not expired is
// an error: nothing that a rotation of keys does may be seen.
func (c *commuter) step(t testing.TB) error {
	g := c.gateways[rand.IntN(len(c.gateways))]
	if rand.IntN(4) == 0 || time.Until(expiry(t, c.current.AccessToken)) < time.Second {
		r, err := g.try("POST", "/auth/refresh", `{"refresh_token":"`+c.current.RefreshToken+`"}`, "Content-Type: application/json")
		if err != nil || r.StatusCode != http.StatusOK {
			return fmt.Errorf("refresh: %w %d\n%s", err, r.StatusCode, r.body)
		}
		var next tokens
		if err := json.Unmarshal([]byte(r.body), &next); err != nil {
			return err
		}
		c.last, c.current = c.current.AccessToken, next
		return nil
	}
	for _, token := range []string{c.current.AccessToken, c.last} {
		if token == "" {
			continue
		}
		r, err := g.try("GET", "/app/home", "", bearer(token))
		if err != nil {
			return err
		}
		if r.StatusCode != http.StatusOK && time.Now().Before(expiry(t, token)) {
			return fmt.Errorf("a request with a token that has not expired: %d\n%s", r.StatusCode, r.body)
		}
	}
	return nil
}

// TestKeysAreRotatedWhileEightClientsGoOn: two gateways, eight clients, and keys
// that change under them twice by the command. No request is refused.
func TestKeysAreRotatedWhileEightClientsGoOn(t *testing.T) {
	t.Parallel()
	p := startPair(t, "  lockout:", "  access_token: { ttl: 5s }\n  lockout:")
	p.a.addUser("alice", "user")
	stop := make(chan struct{})
	var done atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		c := &commuter{gateways: []*client{p.a.client(), p.b.client()}}
		c.current = c.gateways[0].login("alice")
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				if err := c.step(t); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	// Whatever ends the test, the clients stop first.
	defer func() { close(stop); wg.Wait() }()
	for round := range 2 {
		old := p.a.client().login("alice")
		before := p.a.published()
		made := p.a.rotate()
		if len(made) != 2 || made[0].Use != "sign" || made[0].Generation != round+2 || made[1].Use != "refresh" {
			t.Fatalf("made %+v", made)
		}
		both := append(slices.Clone(before), made[0].KID)
		slices.Sort(both)
		for _, g := range []*gateway{p.a, p.b} {
			// The set may have lost the former key meanwhile, on a slow machine.
			if got := g.published(); !slices.Equal(got, both) && time.Now().Before(expiry(t, old.AccessToken)) {
				t.Errorf("published: %s, want %s", got, both)
			}
			eventually(t, "the new key signs", func() bool { return kidOf(t, g.client().login("alice").AccessToken) == made[0].KID })
		}
		eventually(t, "the old key leaves the set", func() bool {
			return slices.Equal(p.a.published(), []string{made[0].KID}) && slices.Equal(p.b.published(), []string{made[0].KID})
		})
		if time.Now().Before(expiry(t, old.AccessToken)) {
			t.Error("the old key left the set before its last token had expired")
		}
		if r := p.b.client().get("/app/home", bearer(old.AccessToken)).want(t, 401, "an expired token of the old key"); r.code() != "token_expired" {
			t.Errorf("it got code %q", r.code())
		}
		p.b.client().tokens(p.b.client().refresh(old.RefreshToken).want(t, 200, "a refresh token of the old key"))
	}
	eventually(t, "the clients went on", func() bool { return t.Failed() || done.Load() > 500 })
	if got := p.a.entries("audit"); slices.ContainsFunc(got, func(e entry) bool { return e["event"] == "refresh_reused" }) {
		t.Error("a rotation looks like a theft")
	}
}

// TestARotationSurvivesAKillAndARestart: the process is killed while a new key
// waits for its time, and nothing is lost: not the key, not the old one's tokens,
// and a repeat is byte-identical across both.
func TestARotationSurvivesAKillAndARestart(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  refresh_token: { ttl: 7d, reuse_grace: 5m, session_ttl: 30d }\n")
	c := g.client()
	first := c.login("alice")
	second := c.tokens(c.refresh(first.RefreshToken).want(t, 200, "refresh"))
	before := g.published()
	made := g.keys("key", "rotate")
	g.kill()
	g.start()
	c.get("/app/home", bearer(second.AccessToken)).want(t, 200, "a token of the old key")
	eventually(t, "the new key signs", func() bool { return kidOf(t, c.login("alice").AccessToken) == made[0].KID })
	if got := g.published(); len(got) != 2 || !slices.Contains(got, before[0]) || !slices.Contains(got, made[0].KID) {
		t.Errorf("published after the restart: %s", got)
	}
	eventually(t, "the new refresh key seals", func() bool {
		return strings.Split(c.login("alice").RefreshToken, ".")[2] == "2"
	})
	again := c.tokens(c.refresh(first.RefreshToken).want(t, 200, "the repeat"))
	if again.RefreshToken != second.RefreshToken {
		t.Errorf("the repeat is %q, not %q", again.RefreshToken, second.RefreshToken)
	}
	third := c.tokens(c.refresh(second.RefreshToken).want(t, 200, "the next rotation"))
	if strings.Split(third.RefreshToken, ".")[2] != "2" {
		t.Errorf("%q is not sealed by the new key", third.RefreshToken)
	}
	g.kill()
	g.start()
	if again := c.tokens(c.refresh(second.RefreshToken).want(t, 200, "a repeat after another kill")); again.RefreshToken != third.RefreshToken {
		t.Errorf("the repeat is %q, not %q", again.RefreshToken, third.RefreshToken)
	}
	c.get("/app/home", bearer(second.AccessToken)).want(t, 200, "a token of the old key")
	c.get("/app/home", bearer(third.AccessToken)).want(t, 200, "a token of the new key")
}

// TestKeyRotateSaysWhoDidItAndNothingSecret: the audit line goes to standard
// error, the keys to standard output, and the key material nowhere.
func TestKeyRotateSaysWhoDidItAndNothingSecret(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	r := run(t, g.dir, "", "key", "rotate", "--config", "gateway.yaml")
	if r.status != 0 || !strings.Contains(r.stderr, `"event":"key_rotated"`) || !strings.Contains(r.stderr, `"by":"command-line"`) || strings.Contains(r.stdout, "audit") {
		t.Errorf("exit status %d\n%s\n%s", r.status, r.stdout, r.stderr)
	}
	v := openVault(t, g.dir)
	list, err := v.store.Keys(t.Context())
	if err != nil || len(list) != 4 {
		t.Fatalf("%d keys, %v", len(list), err)
	}
	for _, k := range list {
		for _, form := range []string{string(k.Sealed), base64.StdEncoding.EncodeToString(k.Sealed), base64.RawURLEncoding.EncodeToString(k.Sealed)} {
			if strings.Contains(r.stdout+r.stderr, form) {
				t.Error("a key is printed")
			}
		}
	}
}
