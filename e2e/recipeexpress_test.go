package e2e

import (
	"encoding/json"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// startExpressRecipe runs the recipe's application, and the recipe's gateway
// before it, which ends TLS.
func startExpressRecipe(t *testing.T) (*gateway, app) {
	t.Helper()
	need(t, "node")
	modules, err := filepath.Abs(filepath.Join("testdata", "express", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "express-session")); err != nil {
		lack(t, modules)
	}
	dir, addr := t.TempDir(), freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	program := recipe(t, "express/app.js", "listen(3000,", "listen("+port+",")
	if err := os.WriteFile(filepath.Join(dir, "app.js"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	a := startApp(t, addr, dir, []string{"NODE_PATH=" + modules, "SESSION_SECRET=keyboard cat"}, "node", "app.js")

	g := prepareRecipe(t, "express", "/etc/postern/cert.pem", "cert.pem", "/etc/postern/key.pem", "cert.key", "127.0.0.1:3000", addr)
	g.writeCertificate("app.example.com")
	g.addUser("alice", "user")
	g.addUser("bob", "user")
	g.addUser("root", "admin")
	return g.start(), a
}

// person is a browser at the recipe's public URL.
func (g *gateway) person() *client {
	c := g.visitor("https://app.example.com")
	c.agent = g.browser().agent
	return c
}

// basket is what the recipe's application remembers of a browser.
func basket(t *testing.T, c *client) (user string, items []string) {
	t.Helper()
	var page struct {
		User  string
		Items []string
	}
	r := c.get("/basket").want(t, 200, "the basket")
	if err := json.Unmarshal([]byte(r.body), &page); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	return page.User, page.Items
}

// TestRecipeOfExpressKeepsBothSessions: the application's cookie and the
// gateway's live side by side over TLS, and the application's session is not
// found by the next person at the same browser.
func TestRecipeOfExpressKeepsBothSessions(t *testing.T) {
	t.Parallel()
	g, alone := startExpressRecipe(t)
	b := g.person()
	if r := b.get("/").want(t, 200, "a page for anybody"); r.body != "Welcome" || len(r.Header["Set-Cookie"]) != 0 {
		t.Errorf("a stranger gets %q and cookies %q", r.body, r.Header["Set-Cookie"])
	}
	b.get("/basket").want(t, 303, "the basket without a login")
	b.loginForm("alice")

	r := b.postForm("/basket", url.Values{"item": {"tea"}}).want(t, 302, "something for the basket")
	through := r.Header["Set-Cookie"]
	past := alone.client(t).postForm("/basket", url.Values{"item": {"tea"}}, "X-Forwarded-Proto: https", "X-Auth-User: alice").Header["Set-Cookie"]
	mask := regexp.MustCompile(`^connect\.sid=[^;]+`)
	if len(through) != 1 || len(past) != 1 || mask.ReplaceAllString(through[0], "sid") != mask.ReplaceAllString(past[0], "sid") || !strings.Contains(through[0], "; Secure") {
		t.Errorf("the application's cookie came as %q, it sets %q", through, past)
	}
	own := b.cookie("/", "connect.sid")
	remembers := func(when string) {
		t.Helper()
		if user, items := basket(t, b); user != "alice" || !slices.Equal(items, []string{"tea"}) {
			t.Errorf("%s: %s has %q", when, user, items)
		}
		if now := b.cookie("/", "connect.sid"); now != own || own == "" || b.cookie("/", "__Host-postern") == "" {
			t.Errorf("%s: the cookies are %s", when, b.cookies("/"))
		}
	}
	remembers("with both sessions")
	b.do("POST", "/auth/refresh", "", "Origin: "+b.base).want(t, 200, "refresh by cookie")
	remembers("after a refresh")

	b.postForm("/auth/logout", nil)
	b.get("/basket").want(t, 303, "the basket after the logout")
	if b.cookie("/", "connect.sid") != own {
		t.Error("the logout took the application's cookie away")
	}
	b.loginForm("bob")
	if user, items := basket(t, b); user != "bob" || len(items) != 0 {
		t.Errorf("at alice's browser %s finds %q", user, items)
	}
}

// TestRecipeOfExpressIsToldOnce: one identity, the browser's own address and
// scheme, and its own cookie alone.
func TestRecipeOfExpressIsToldOnce(t *testing.T) {
	t.Parallel()
	g, _ := startExpressRecipe(t)
	alice := g.person()
	alice.loginForm("alice")
	for _, path := range []string{"/admin/told", "/ADMIN/told"} {
		alice.get(path).want(t, 403, path+" for alice")
	}

	root := g.person()
	root.loginForm("root")
	root.get("/admin/told").want(t, 200, "the page of administrators")
	own := root.cookie("/", "connect.sid")
	for _, spoof := range spoofs() {
		r := root.get("/admin/told", append(spoof, "X-Forwarded-Proto: http", "X-Forwarded-For: 192.0.2.1")...).want(t, 200, strings.Join(spoof, " "))
		var told struct {
			User, Host, IP string
			Secure         bool
			Headers        map[string]string
		}
		if err := json.Unmarshal([]byte(r.body), &told); err != nil {
			t.Fatalf("%v in %q", err, r.body)
		}
		if told.User != "root" || told.Host != "app.example.com" || told.IP != "127.0.0.1" || !told.Secure || strings.Contains(r.body, "mallory") {
			t.Errorf("%s: the application was told %s", strings.Join(spoof, " "), r.body)
		}
		if told.Headers["cookie"] != "connect.sid="+own || told.Headers["x-auth-roles"] != "admin" {
			t.Errorf("%s: cookies %q, roles %q", strings.Join(spoof, " "), told.Headers["cookie"], told.Headers["x-auth-roles"])
		}
	}
}
