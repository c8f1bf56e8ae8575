package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// locks fails the test unless a login with the right password is refused as
// locked.
func (c *client) locks(name, when string) {
	c.t.Helper()
	r := c.tryLogin(name, passwordOf(name)).want(c.t, 429, when)
	if r.code() != "locked" || r.Header.Get("Retry-After") == "" {
		c.t.Errorf("%s: code %q, Retry-After %q", when, r.code(), r.Header.Get("Retry-After"))
	}
}

// TestALockHoldsOnEveryGatewayAndOutlastsThem: the counters are in the store.
// One command takes the lock away, at once and on both.
func TestALockHoldsOnEveryGatewayAndOutlastsThem(t *testing.T) {
	t.Parallel()
	p := startPair(t, "attempts: 1000", "attempts: 4")
	const guesser = "127.0.0.5"
	for i := range 4 {
		g := p.a
		if i%2 == 1 {
			g = p.b
		}
		g.from(guesser).tryLogin("root", "guess-guess").want(t, 401, "a guess")
	}
	p.a.from(guesser).locks("root", "here")
	p.b.from(guesser).locks("root", "on the other gateway")
	p.a.kill()
	p.a.start()
	p.a.from(guesser).locks("root", "after kill -9")
	p.a.from("127.0.0.6").login("root")

	if shown := mustRun(t, p.a.dir, "", "user", "show", "root", "--config", "gateway.yaml"); !strings.Contains(shown, "locked from "+guesser+" until ") {
		t.Errorf("user show says %q", shown)
	}
	if shown := mustRun(t, p.a.dir, "", "user", "show", "root", "-o", "json", "--config", "gateway.yaml"); !strings.Contains(shown, `"from": "`+guesser+`"`) {
		t.Errorf("user show says %q", shown)
	}
	r := run(t, p.a.dir, "", "user", "unlock", "root", "--config", "gateway.yaml")
	if r.status != 0 || !strings.Contains(r.stderr, `"event":"user_unlocked"`) {
		t.Errorf("unlock: status %d, %s", r.status, r.stderr)
	}
	p.a.from(guesser).login("root")
	p.b.from(guesser).login("root")
}

// TestLG05WhoIsKnownSomewhereIsNotShutOutThere: not by a stranger who sprays
// from the same address, and not by any number of guesses from elsewhere.
func TestLG05WhoIsKnownSomewhereIsNotShutOutThere(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  lockout: { attempts: 1, window: 10m, duration: 15m }\n")
	const carrier = "127.0.0.20"
	g.from(carrier).login("alice")
	for i := range 11 { // ten times attempts is the address's limit
		g.from(carrier).tryLogin(fmt.Sprintf("user%d", i), "Summer2026!")
	}
	g.from(carrier).locks("root", "who never logged in there")
	g.from(carrier).login("alice")
	for i := range 101 { // a hundred times attempts is the name's limit
		g.from(fmt.Sprintf("127.0.1.%d", i+1)).tryLogin("alice", "guess-guess")
	}
	g.from("127.0.0.21").locks("alice", "at a place where alice never was")
	g.from(carrier).login("alice")
	g.from(carrier).tryLogin("alice", "guess-guess").want(t, 401, "a guess")
	g.from(carrier).locks("alice", "known is not free")
	r := run(t, g.dir, "", "user", "unlock", "alice", "--address", carrier, "--config", "gateway.yaml")
	if r.status != 0 || strings.Count(r.stderr, `"event":"user_unlocked"`) != 2 {
		t.Errorf("unlock: status %d, %s", r.status, r.stderr)
	}
	for _, address := range []string{carrier, "127.0.0.21"} {
		g.from(address).login("alice")
	}
	g.from(carrier).login("root")
}
