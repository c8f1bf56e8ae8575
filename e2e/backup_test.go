package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestABackupUnderLoadHasEveryAnsweredSession backs up while clients log in and
// refresh, and restores the last backup with its sessions kept. Every session
// that was answered before it goes on, with the token that the client has: the
// store has forgotten many rotations since, and the rows jump. A token that was
// spent before the backup still ends its session.
func TestABackupUnderLoadHasEveryAnsweredSession(t *testing.T) {
	t.Parallel()
	const sessions, clients, backups = 16, 4, 3
	g, _ := startPolicy(t, "  refresh_token: { reuse_grace: 30s }\n")
	walkers := startWalkers(g, sessions, clients)
	stop, done := make(chan struct{}), &atomic.Int64{}
	var wg sync.WaitGroup
	for _, w := range walkers {
		wg.Go(func() {
			if err := w.walk(stop, done); err != nil && !errors.Is(err, errStopped) {
				t.Error(err)
			}
		})
	}
	more := func(n int64) {
		t.Helper()
		before := done.Load()
		eventually(t, "the clients are at work", func() bool { return done.Load() >= before+n || t.Failed() })
	}
	var late []*family // logged in just before a backup
	for i := range backups {
		more(20 * sessions)
		late = append(late, &family{current: g.client().login("alice")})
		mustRun(t, g.dir, "", "backup", fmt.Sprintf("copy-%d.db", i))
	}
	more(20 * sessions)
	if r := run(t, g.dir, "", "restore", "copy-0.db"); r.status != 1 || !strings.Contains(r.stderr, "stop it first") {
		t.Errorf("a restore under a gateway: exit status %d\n%s", r.status, r.stderr)
	}
	more(sessions)
	close(stop)
	wg.Wait()
	if status := g.stop(); status != 0 {
		t.Fatalf("the gateway ended with %d", status)
	}
	mustRun(t, g.dir, "", "restore", "--keep-sessions", fmt.Sprintf("copy-%d.db", backups-1))
	g.start()
	each(walkers, func(w *walker, f *family) {
		if r, err := w.c.try("GET", "/app/home", "", bearer(f.current.AccessToken)); err != nil || r.StatusCode != http.StatusOK {
			t.Errorf("a page with an access token of before: %v\n%s", err, r.body)
		}
		if err := w.refresh(f, stop); err != nil {
			t.Error(err)
		}
	})
	for _, f := range late {
		if err := (&walker{c: g.client()}).refresh(f, stop); err != nil {
			t.Error(err)
		}
	}
	each(walkers, func(w *walker, f *family) {
		r, err := w.c.try("POST", "/auth/refresh", `{"refresh_token":"`+f.spent[0]+`"}`, "Content-Type: application/json")
		if err != nil || r.StatusCode != http.StatusUnauthorized || r.code() != "refresh_reused" {
			t.Errorf("the first token of %d: %v\n%s", len(f.spent), err, r.body)
		}
	})
}

// TestNothingThatWasGivenOutBeforeARestoreIsGood: the backup does not know what
// was revoked since. The access tokens are the hard part, since no store is
// asked for them, and one is of an account that the backup never had.
func TestNothingThatWasGivenOutBeforeARestoreIsGood(t *testing.T) {
	t.Parallel()
	g, up := startPolicy(t, "")
	c, browser := g.client(), g.browser()
	before := c.login("alice")
	browser.loginForm("alice")
	mustRun(t, g.dir, "", "backup", "copy.db")
	after := c.tokens(c.refresh(before.RefreshToken).want(t, 200, "refresh"))
	g.addUser("bob", "user")
	bob := c.login("bob")
	root := c.login("root")
	mustRun(t, g.dir, "", "session", "revoke", "--user", "root")
	for name, token := range map[string]string{"before": before.AccessToken, "after": after.AccessToken, "bob": bob.AccessToken} {
		c.get("/app/home", bearer(token)).want(t, 200, "with the token of "+name)
	}
	g.stop()
	mustRun(t, g.dir, "", "restore", "copy.db")
	g.start()
	up.take()
	for name, old := range map[string]tokens{"before": before, "after": after, "bob": bob, "root": root} {
		g.client().get("/app/home", bearer(old.AccessToken)).want(t, 401, "the access token of "+name)
		g.client().refresh(old.RefreshToken).want(t, 401, "the refresh token of "+name)
	}
	if r := browser.get("/app/home"); r.StatusCode/100 != 3 || !strings.Contains(r.location(), "/auth/") {
		t.Errorf("a browser that was logged in got %s to %q", r.Status, r.location())
	}
	if n := len(up.take()); n != 0 {
		t.Errorf("the application was asked %d times", n)
	}
	again := g.client().login("alice")
	g.client().get("/app/home", bearer(again.AccessToken)).want(t, 200, "after a new login")
	if r := g.client().tryLogin("bob", passwordOf("bob")); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("bob, who came after the backup, got %s", r.Status)
	}
}
