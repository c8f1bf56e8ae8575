package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// browser is a real Chromium, driven over the WebDriver protocol (W3C), which is
// plain HTTP and JSON.
type browser struct {
	t       testing.TB
	session string // URL of the session
	profile string // folder of cookies and settings
	closed  bool
}

// startBrowser opens an empty profile.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	return openBrowser(t, t.TempDir(), map[string]any{})
}

// openBrowser runs chromedriver and opens a profile, which may have been used
// before; prefs are settings of the browser by their internal names.
func openBrowser(t *testing.T, profile string, prefs map[string]any) *browser {
	t.Helper()
	need(t, "chromium", "chromedriver")
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	startApp(t, addr, ".", nil, "chromedriver", "--port="+port)
	b := &browser{t: t, session: "http://" + addr, profile: profile}
	var made struct{ SessionID string }
	b.call("POST", "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName": "chrome", "acceptInsecureCerts": true,
		"goog:chromeOptions": map[string]any{"binary": "/usr/bin/chromium", "args": []string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1000,750",
			"--host-resolver-rules=MAP *.test 127.0.0.1",
			"--user-data-dir=" + profile,
		}, "prefs": prefs},
	}}}, &made)
	b.session += "/session/" + made.SessionID
	t.Cleanup(b.close)
	return b
}

// close ends the browser as its user would; the profile stays.
func (b *browser) close() {
	if b.closed {
		return
	}
	b.closed = true
	b.call("DELETE", "", nil, nil)
}

// tabs are the windows that are open.
func (b *browser) tabs() (handles []string) {
	b.t.Helper()
	b.call("GET", "/window/handles", nil, &handles)
	return handles
}

// call sends one command; value is where its result goes.
func (b *browser) call(method, path string, body, value any) {
	b.t.Helper()
	var text []byte
	if method == http.MethodPost {
		var err error
		if text, err = json.Marshal(body); err != nil {
			b.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, b.session+path, bytes.NewReader(text))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %s %v\n%s", method, path, resp.Status, err, answer)
	}
	if value == nil {
		return
	}
	if err := json.Unmarshal(answer, &struct{ Value any }{value}); err != nil {
		b.t.Fatalf("%s %s: %v\n%s", method, path, err, answer)
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.call("POST", "/url", map[string]string{"url": url}, nil)
}

func (b *browser) url() (url string) {
	b.t.Helper()
	b.call("GET", "/url", nil, &url)
	return url
}

// script runs JavaScript in the page, through the debugger: no policy of the
// page's own stops it.
func (b *browser) script(code string) (result any) {
	b.t.Helper()
	b.call("POST", "/execute/sync", map[string]any{"script": code, "args": []any{}}, &result)
	return result
}

// text is what a person reads on the page.
func (b *browser) text() string {
	b.t.Helper()
	text, _ := b.script("return document.body ? document.body.innerText : ''").(string)
	return text
}

// element finds the one that the CSS selector names.
func (b *browser) element(css string) string {
	b.t.Helper()
	var found map[string]string
	b.call("POST", "/element", map[string]string{"using": "css selector", "value": css}, &found)
	for _, id := range found {
		return "/element/" + id
	}
	b.t.Fatalf("no %s", css)
	return ""
}

func (b *browser) fill(css, text string) {
	b.t.Helper()
	b.call("POST", b.element(css)+"/value", map[string]string{"text": text}, nil)
}

func (b *browser) click(css string) {
	b.t.Helper()
	b.call("POST", b.element(css)+"/click", map[string]any{}, nil)
}

// screenshot keeps a picture of the page where POSTERN_TEST_SCREENSHOTS says.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("POSTERN_TEST_SCREENSHOTS")
	if dir == "" {
		return
	}
	var picture string
	b.call("GET", "/screenshot", nil, &picture)
	png, err := base64.StdEncoding.DecodeString(picture)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/"+name+".png", png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// at waits until the browser is at a path, whatever redirects lie on the way.
func (b *browser) at(path, contains string) {
	b.t.Helper()
	var url, text string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		url, text = b.url(), b.text()
		if strings.HasSuffix(url, path) && strings.Contains(text, contains) {
			return
		}
	}
	b.t.Fatalf("the browser is at %s, want %s with %q:\n%s", url, path, contains, text)
}

// startDemo runs `postern demo` as a person would, on a free port.
func startDemo(t *testing.T, more ...string) *gateway {
	t.Helper()
	g := prepare(t, "")
	removeFile(t, g.dir, "gateway.yaml")
	g.env = append([]string{"POSTERN_LISTEN=" + g.addr, "POSTERN_ADMIN_LISTEN=" + g.admin, "POSTERN_PUBLIC_URL=http://" + g.addr, "POSTERN_LOG_FORMAT=json"}, more...)
	g.launch("demo")
	g.waitReady()
	return g
}

// TestDemoInARealBrowser is the first minute of a stranger: log in, see a page
// by role, be refused another, come back after the access token has expired,
// post a form with a stale one, log out.
func TestDemoInARealBrowser(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	g := startDemo(t, "POSTERN_AUTH_ACCESS_TOKEN_TTL=3s")
	site := "http://" + g.addr

	b.open(site + "/")
	b.at("/", "told nothing about you")
	b.open(site + "/app/home")
	b.at("/auth/login?rd=%2Fapp%2Fhome", "")
	b.screenshot("login")
	b.fill("input[name=username]", "alice")
	b.fill("input[name=password]", "not-her-password")
	b.click("form button")
	eventually(t, "the failed login", func() bool { return len(g.audit("login_failed")) == 1 })
	b.at("/auth/login", "")
	b.screenshot("login-failed")
	b.login("alice")
	b.at("/app/home", "you are alice")
	b.screenshot("member")
	if cookies := b.script("return document.cookie"); cookies != "" {
		t.Errorf("scripts can read %v", cookies)
	}
	b.open(site + "/admin/report")
	if text := b.text(); strings.Contains(text, "Administration") && strings.Contains(text, "you are alice") {
		t.Errorf("alice sees the page of administrators:\n%s", text)
	}
	b.screenshot("forbidden")

	before := len(g.audit("refresh"))
	b.open(site + "/app/home")
	b.fill("input[name=note]", "written before, sent after")
	time.Sleep(4 * time.Second) // the access token expires in the open page
	b.click("form button")
	b.at("/app/home", "written before, sent after")
	eventually(t, "the form came by way of a refresh", func() bool { return len(g.audit("refresh")) > before })
	time.Sleep(4 * time.Second)
	b.open(site + "/app/home?again=1")
	b.at("/app/home?again=1", "you are alice")

	b.open(site + "/auth/logout")
	b.screenshot("logout")
	b.click("form button")
	eventually(t, "the logout", func() bool { return len(g.audit("logout")) == 1 })
	b.open(site + "/app/home")
	b.at("/auth/login?rd=%2Fapp%2Fhome", "")
	b.login("admin")
	b.at("/app/home", "you are admin")
	b.open(site + "/admin/report")
	b.at("/admin/report", "you are admin")
}

func (b *browser) login(name string) {
	b.t.Helper()
	b.script(`document.querySelector("input[name=username]").value = ""`)
	b.fill("input[name=username]", name)
	b.fill("input[name=password]", name+"-password")
	b.click("form button")
}

// TestBrowserOfAnotherSiteCannotAct: a page of another origin posts a form to
// the gateway with the user's cookies at hand, and nothing happens.
func TestBrowserOfAnotherSiteCannotAct(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	g := startDemo(t)
	site := "http://" + g.addr
	b.open(site + "/auth/login")
	b.login("alice")
	eventually(t, "the login", func() bool { return len(g.audit("login")) == 1 })

	// Another host name, so another site: 127.0.0.1 is not localhost.
	_, port, _ := net.SplitHostPort(g.addr)
	evil, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer evil.Close()
	for i, target := range []string{"/auth/logout", "/app/home"} {
		page := fmt.Sprintf(`<form id=f method=post action="http://127.0.0.1:%s%s"><input name=note value=forged></form><script>f.submit()</script>`, port, target)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, page)
		})}
		l := evil
		if i > 0 {
			if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
		}
		go server.Serve(l)
		_, evilPort, _ := net.SplitHostPort(l.Addr().String())
		b.open("http://localhost:" + evilPort + "/")
		eventually(t, "the forged post to "+target, func() bool { return strings.HasPrefix(b.url(), site) })
		if text := b.text(); strings.Contains(text, "forged") {
			t.Errorf("the forged note arrived:\n%s", text)
		}
		server.Close()
	}
	if got := g.audit("logout"); len(got) > 0 {
		t.Errorf("another site logged alice out: %v", got)
	}
	b.open(site + "/app/home")
	b.at("/app/home", "you are alice")
}
