package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// startPolicy runs a gateway with the corpus's policy before a recorder that
// answers the name it was told. more is laid over the auth section.
func startPolicy(t *testing.T, more string) (*gateway, *recorder) {
	t.Helper()
	up := newRecorder(t)
	up.answer = func(r received) string {
		who := strings.Join(r.values("X-Auth-User"), "|") + " " + strings.Join(r.values("X-Auth-Roles"), "|")
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(who), who)
	}
	config := strings.NewReplacer(
		"{UPSTREAM}", up.addr, "http://gw.test", "{URL}", "hosts: [gw.test]", "", "  lockout: { attempts: 1000, window: 10m, duration: 15m }\n", more,
	).Replace(corpusPolicy)
	if more == "" {
		config = strings.Replace(config, "auth:\n", "", 1)
	}
	g := prepare(t, config)
	g.addUser("alice", "user")
	g.addUser("root", "admin")
	return g.start(), up
}

// TestSE01ReplayAfterRotationEndsTheSession: a spent token that comes back
// after the grace is a theft, and thief and owner both lose.
func TestSE01ReplayAfterRotationEndsTheSession(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  refresh_token: { ttl: 7d, reuse_grace: 1s, session_ttl: 30d }\n")
	time.Sleep(1100 * time.Millisecond) // for one grace after a start, one behind is accepted
	c := g.client()
	first := c.login("alice")
	second := c.tokens(c.refresh(first.RefreshToken).want(t, 200, "refresh"))
	third := c.tokens(c.refresh(second.RefreshToken).want(t, 200, "refresh again"))
	time.Sleep(1200 * time.Millisecond)
	if r := c.refresh(first.RefreshToken).want(t, 401, "the replay"); r.code() != "refresh_reused" {
		t.Errorf("the replay got code %q", r.code())
	}
	if r := c.refresh(third.RefreshToken).want(t, 401, "the owner's token after the replay"); r.code() != "refresh_reused" {
		t.Errorf("the owner is told %q", r.code())
	}
	if r := c.get("/app/home", bearer(third.AccessToken)).want(t, 401, "its access token"); r.code() != "token_revoked" {
		t.Errorf("its access token got code %q", r.code())
	}
	eventually(t, "audit refresh_reused", func() bool { return len(g.audit("refresh_reused")) == 1 })
	if e := g.audit("refresh_reused")[0]; e["user"] != "alice" || e["client"] != "127.0.0.1" || e["request_id"] == "" {
		t.Errorf("the audit line is %v", e)
	}
	judgeSessions(t, g, 0)
	c.login("alice") // a theft ends a session, not an account
	g.stop()
	g.start()
	if r := g.client().refresh(third.RefreshToken).want(t, 401, "the owner's token after a restart"); r.code() != "refresh_reused" {
		t.Errorf("the owner is told %q after a restart", r.code())
	}
}

// TestABrowserWhoseTokenWasStolenIsSentToTheLogin: the owner of a session that
// a thief's copy has ended sits at a page that knows nothing of tokens.
func TestABrowserWhoseTokenWasStolenIsSentToTheLogin(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  access_token: { ttl: 2s }\n  refresh_token: { ttl: 7d, reuse_grace: 1s, session_ttl: 30d }\n")
	b := g.browser()
	b.loginForm("alice")
	stolen := b.cookie("/auth/refresh", "postern_refresh")
	b.do("POST", "/auth/refresh", "").want(t, 200, "refresh by cookie")
	time.Sleep(2100 * time.Millisecond) // past the grace and the access token's life
	if r := g.client().refresh(stolen).want(t, 401, "the thief"); r.code() != "refresh_reused" {
		t.Errorf("the thief is told %q", r.code())
	}
	script := g.client().bare() // of a page that refreshes by itself
	r := script.do("POST", "/auth/refresh", "", b.cookies("/auth/refresh"))
	if r.want(t, 401, "the owner's script").code() != "refresh_reused" {
		t.Errorf("the owner's script is told %q", r.code())
	}
	to := b.get("/app/home").want(t, 303, "the page").location()
	r = b.get(to).want(t, 303, to)
	if r.location() != "/auth/login?rd=%2Fapp%2Fhome" {
		t.Errorf("sent to %s", r.location())
	}
	for _, name := range []string{"postern", "postern_refresh"} {
		if b.cookie("/auth/refresh", name) != "" {
			t.Errorf("%s is still there", name)
		}
	}
}

// TestSE02ParallelRefreshHasOneSuccessor: fifty tabs refresh at once and all
// get the very same tokens' session on.
func TestSE02ParallelRefreshHasOneSuccessor(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	first := g.client().login("alice")
	const tabs = 50
	answers := make([]tokens, tabs)
	var wg sync.WaitGroup
	for i := range tabs {
		wg.Go(func() {
			c := g.client()
			if r := c.refresh(first.RefreshToken); r.StatusCode == 200 {
				answers[i] = c.tokens(r)
			}
		})
	}
	wg.Wait()
	for i, got := range answers {
		if got.RefreshToken == "" || got.RefreshToken != answers[0].RefreshToken {
			t.Fatalf("tab %d got %.20q, tab 0 %.20q: want one successor", i, got.RefreshToken, answers[0].RefreshToken)
		}
	}
	if answers[0].RefreshToken == first.RefreshToken {
		t.Error("the token was not rotated")
	}
	g.client().refresh(answers[0].RefreshToken).want(t, 200, "the successor")
}

// TestSessionEnds are the ways a session ends, and what is dead afterwards.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	dead := func(t *testing.T, got tokens) {
		t.Helper()
		c := g.client()
		c.refresh(got.RefreshToken).want(t, 401, "its refresh token")
		if r := c.get("/app/home", bearer(got.AccessToken)).want(t, 401, "its access token"); r.code() != "token_revoked" {
			t.Errorf("its access token got code %q", r.code())
		}
	}
	t.Run("SE-04 SE-05 logout", func(t *testing.T) {
		c := g.client()
		got, other := c.login("alice"), c.login("alice")
		c.do("POST", "/auth/logout", "", bearer(got.AccessToken)).want(t, 204, "logout")
		dead(t, got)
		c.get("/app/home", bearer(other.AccessToken)).want(t, 200, "another session of the user")
	})
	t.Run("logout of all", func(t *testing.T) {
		c := g.client()
		one, two, root := c.login("alice"), c.login("alice"), c.login("root")
		c.postJSON("/auth/logout", map[string]bool{"all": true}, bearer(one.AccessToken)).want(t, 204, "logout")
		dead(t, one)
		dead(t, two)
		c.get("/app/home", bearer(root.AccessToken)).want(t, 200, "another user's session")
	})
	t.Run("SE-13 a changed password", func(t *testing.T) {
		got := g.client().login("root")
		mustRun(t, g.dir, passwordOf("root")+"\n", "user", "passwd", "root", "--config", "gateway.yaml")
		dies(t, g, got)
	})
	t.Run("SE-13 a password changed by its owner", func(t *testing.T) {
		g.addUser("carol", "user")
		here, there := g.client().login("carol"), g.client().login("carol")
		r := g.client().postJSON("/auth/me/password", map[string]string{"current": passwordOf("carol"), "new": "another-password"}, bearer(here.AccessToken))
		next := g.client().tokens(r.want(t, 200, "the change"))
		dead(t, there)
		g.client().get("/app/home", bearer(next.AccessToken)).want(t, 200, "the session that made the change")
		g.client().tryLogin("carol", passwordOf("carol")).want(t, 401, "the old password")
		g.client().tryLogin("carol", "another-password").want(t, 200, "the new password")
	})
	t.Run("a disabled account", func(t *testing.T) {
		got := g.client().login("root")
		mustRun(t, g.dir, "", "user", "disable", "root", "--config", "gateway.yaml")
		dies(t, g, got)
		g.client().postJSON("/auth/login", map[string]string{"username": "root", "password": passwordOf("root")}).want(t, 401, "a disabled login")
		mustRun(t, g.dir, "", "user", "enable", "root", "--config", "gateway.yaml")
		g.client().login("root")
	})
	t.Run("revoked by command", func(t *testing.T) {
		got := g.client().login("alice")
		mustRun(t, g.dir, "", "session", "revoke", "--user", "alice", "--config", "gateway.yaml")
		dies(t, g, got)
	})
	t.Run("a deleted account", func(t *testing.T) {
		g.addUser("gone", "user")
		got := g.client().login("gone")
		mustRun(t, g.dir, "", "user", "delete", "gone", "--config", "gateway.yaml")
		dies(t, g, got)
	})
}

// dies waits for what another process ended: the interface gives it one second,
// a loaded machine some more, and the log of the test says how long.
func dies(t *testing.T, g *gateway, got tokens) {
	t.Helper()
	began := time.Now()
	eventually(t, "the access token is refused", func() bool {
		return g.client().get("/app/home", bearer(got.AccessToken)).StatusCode == 401
	})
	t.Logf("refused after %s", time.Since(began).Round(time.Millisecond))
	g.client().refresh(got.RefreshToken).want(t, 401, "its refresh token")
}

// TestRoleChangeCostsOneRefresh: the old access token is refused, the session
// lives on with the new role.
func TestRoleChangeCostsOneRefresh(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	c := g.client()
	got := c.login("alice")
	c.get("/admin/panel", bearer(got.AccessToken)).want(t, 403, "before")
	mustRun(t, g.dir, "", "user", "set", "alice", "--role", "admin", "--config", "gateway.yaml")
	eventually(t, "the old access token is refused", func() bool {
		return c.get("/app/home", bearer(got.AccessToken)).StatusCode == 401
	})
	next := c.tokens(c.refresh(got.RefreshToken).want(t, 200, "refresh"))
	c.get("/admin/panel", bearer(next.AccessToken)).want(t, 200, "after")
}

// TestSE06LogoutWithAnExpiredToken: who comes back late may still leave.
func TestSE06LogoutWithAnExpiredToken(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  access_token: { ttl: 1s }\n")
	c := g.client()
	got := c.login("alice")
	time.Sleep(2 * time.Second)
	if r := c.get("/app/home", bearer(got.AccessToken)).want(t, 401, "the expired token"); r.code() != "token_expired" {
		t.Errorf("code %q", r.code())
	}
	c.do("POST", "/auth/logout", "", bearer(got.AccessToken)).want(t, 204, "logout with the expired token")
	c.refresh(got.RefreshToken).want(t, 401, "refresh after logout")
}

// TestSE22RestartKeepsWhatWasSaid: sessions survive a restart, revocations too.
func TestSE22RestartKeepsWhatWasSaid(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	c := g.client()
	kept, ended := c.login("alice"), c.login("alice")
	c.do("POST", "/auth/logout", "", bearer(ended.AccessToken)).want(t, 204, "logout")
	if status := g.stop(); status != 0 {
		t.Errorf("a clean stop ended with status %d\n%s", status, g.stderr)
	}
	g.start()
	c = g.client()
	c.get("/app/home", bearer(kept.AccessToken)).want(t, 200, "the access token after a restart")
	c.refresh(kept.RefreshToken).want(t, 200, "the refresh token after a restart")
	c.get("/app/home", bearer(ended.AccessToken)).want(t, 401, "the ended session after a restart")
	c.refresh(ended.RefreshToken).want(t, 401, "its refresh token after a restart")
}

// TestSE15StoreHoldsNoToken: whoever copies the store replays nothing.
func TestSE15StoreHoldsNoToken(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	c := g.client()
	got := c.login("alice")
	next := c.tokens(c.refresh(got.RefreshToken).want(t, 200, "refresh"))
	g.stop()
	files, err := filepath.Glob(filepath.Join(g.dir, "postern.db*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no store: ", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for what, secret := range map[string]string{
			"refresh token": got.RefreshToken, "its successor": next.RefreshToken,
			"the seal of one": next.RefreshToken[strings.LastIndexByte(next.RefreshToken, '.')+1:],
			"access token":    next.AccessToken, "password": passwordOf("alice"),
		} {
			if strings.Contains(string(content), secret) {
				t.Errorf("%s holds the %s", filepath.Base(file), what)
			}
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v: others may read it", filepath.Base(file), info.Mode())
		}
	}
	if info, err := os.Stat(filepath.Join(g.dir, "postern.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v %v, want mode 0600", info, err)
	}
}

// TestRefreshTakesNoOrders are the refreshes that must fail, or must not give
// what they ask for.
func TestRefreshTakesNoOrders(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	c := g.client()
	got := c.login("alice")
	t.Run("TK-42 an access token in the refresh slot", func(t *testing.T) {
		c.refresh(got.AccessToken).want(t, 401, "refresh")
	})
	t.Run("SE-20 mangled", func(t *testing.T) {
		rt := got.RefreshToken
		for _, bad := range []string{rt[:len(rt)-1], rt + "A", strings.ToUpper(rt), "", ".", "...", strings.Repeat("a", 5000), rt + "=", " " + rt} {
			if r := c.refresh(bad); r.StatusCode != 401 && r.StatusCode != 400 {
				t.Errorf("%.30q: %s", bad, r.Status)
			}
		}
	})
	t.Run("SE-21 from another site", func(t *testing.T) {
		r := c.postJSON("/auth/refresh", map[string]string{"refresh_token": got.RefreshToken}, "Origin: https://evil.test", "Sec-Fetch-Site: cross-site")
		if r.want(t, 403, "refresh").code() != "cross_origin" {
			t.Errorf("code %q", r.code())
		}
	})
	t.Run("SE-19 one user's token with another's cookies", func(t *testing.T) {
		b := g.browser()
		b.loginForm("root")
		r := b.postJSON("/auth/refresh", map[string]string{"refresh_token": got.RefreshToken})
		if r.StatusCode != 400 && r.StatusCode != 401 {
			t.Errorf("got %s", r.Status)
		}
	})
	t.Run("SE-18 more roles and a longer life", func(t *testing.T) {
		r := c.postJSON("/auth/refresh", map[string]any{
			"refresh_token": got.RefreshToken, "roles": []string{"admin"}, "scope": "admin", "expires_in": 1 << 30,
		}).want(t, 200, "refresh: unknown fields are ignored")
		next := c.tokens(r)
		if len(next.User.Roles) != 1 || next.User.Roles[0] != "user" || next.ExpiresIn > 900 {
			t.Errorf("got roles %v for %d s", next.User.Roles, next.ExpiresIn)
		}
		c.get("/admin/panel", bearer(next.AccessToken)).want(t, 403, "the admin page")
	})
}

// TestSE25NobodyGetsAnothersIdentity sends two users' requests all at once: a
// cache keyed too weakly would mix them up.
func TestSE25NobodyGetsAnothersIdentity(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	c := g.client()
	c.http.Transport.(*http.Transport).MaxIdleConnsPerHost = 16
	alice, root := c.login("alice"), c.login("root")
	var wg sync.WaitGroup
	for worker := range 8 {
		want, token := "alice user", alice.AccessToken
		if worker%2 == 1 {
			want, token = "root admin", root.AccessToken
		}
		wg.Go(func() {
			for range 100 {
				if r, err := c.try("GET", "/app/home", "", bearer(token)); err != nil || r.body != want {
					t.Errorf("got %q (%v), want %q", r.body, err, want)
					return
				}
				if r, err := c.try("GET", "/public/x", ""); err != nil || strings.TrimSpace(r.body) != "" {
					t.Errorf("without a token got %q (%v)", r.body, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestHS061NoRolesMeansNone: who has no roles has none, whatever he says.
func TestHS061NoRolesMeansNone(t *testing.T) {
	t.Parallel()
	g, up := startPolicy(t, "")
	mustRun(t, g.dir, passwordOf("norole")+"\n", "user", "add", "norole", "--config", "gateway.yaml")
	mustRun(t, g.dir, "", "user", "show", "norole", "--config", "gateway.yaml")
	got := g.client().login("norole")
	up.take()
	g.client().get("/app/home", bearer(got.AccessToken), "X-Auth-Roles: admin").want(t, 200, "the page")
	for _, r := range up.take() {
		if strings.Contains(strings.Join(r.values("X-Auth-Roles"), ""), "admin") {
			t.Errorf("the upstream saw roles %q", r.values("X-Auth-Roles"))
		}
	}
	g.client().get("/admin/x", bearer(got.AccessToken), "X-Auth-Roles: admin").want(t, 403, "the admin page")
}

// TestHS059RoleNamesCannotBeSplit: a name that would read as two in a header is
// no role.
func TestHS059RoleNamesCannotBeSplit(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	for _, role := range []string{"user admin", "user;admin", "user\r\nX-Auth-Roles: admin", "nobody-defined-it"} {
		r := run(t, g.dir, "some-password\n", "user", "add", "eve", "--role", role, "--config", "gateway.yaml")
		if r.status == 0 {
			t.Errorf("role %q was taken", role)
		}
	}
	if out := mustRun(t, g.dir, "", "user", "list", "--output", "json", "--config", "gateway.yaml"); strings.Contains(out, `"eve"`) {
		t.Errorf("eve was made: %s", out)
	}
}

// TestHS063UpstreamCannotPlayTheGateway: neither our cookies nor our words come
// from an upstream; its own cookies go through.
func TestHS063UpstreamCannotPlayTheGateway(t *testing.T) {
	t.Parallel()
	g, up := startPolicy(t, "")
	up.answer = func(received) string {
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: postern=evil; Path=/\r\nSet-Cookie: postern_refresh=evil; Path=/auth/refresh\r\n" +
			"Set-Cookie: __Host-postern=evil; Path=/; Secure\r\nSet-Cookie: own=1\r\nX-Auth-User: root\r\nX-Auth-Roles: admin\r\nClear-Site-Data: \"cookies\"\r\n\r\n"
	}
	b := g.browser()
	b.loginForm("alice")
	token := b.cookie("/", "postern")
	r := b.get("/app/home").want(t, 200, "the page")
	if got := b.cookie("/", "postern"); got != token {
		t.Errorf("the upstream changed the gateway's cookie to %q", got)
	}
	if b.cookie("/app/home", "own") != "1" {
		t.Error("the upstream's own cookie was lost")
	}
	for _, line := range r.Header["Set-Cookie"] {
		if strings.Contains(line, "evil") {
			t.Errorf("Set-Cookie: %s went through", line)
		}
	}
	if got := r.Header.Get("Clear-Site-Data"); strings.Contains(got, "cookies") {
		t.Errorf("Clear-Site-Data: %s went through: it would log everybody out", got)
	}
	for _, name := range []string{"X-Auth-User", "X-Auth-Roles"} {
		if r.Header.Get(name) != "" {
			t.Errorf("IL-14: the answer says %s: %s", name, r.Header.Get(name))
		}
	}
}
