package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// forwardAuth is a gateway that carries nothing: a front end asks it.
const forwardAuth = `
listen: "{LISTEN}"
public_url: http://{SITE}
hosts: [app.example.com]
trusted_proxies: [127.0.0.1]
admin: { listen: "{ADMIN}" }
log: { level: info, format: json }
auth: { roles: [user, admin, editor] }
routes:
  - { path: /public/**, allow: anyone }
  - { path: /app/**, allow: authenticated }
  - { path: /admin/**, allow: { role: admin } }
  - { path: /office/**, allow: { cidr: [192.0.2.0/24] } }
`

// front is a front end of deploy/ before an application, and the gateway that
// it asks.
type front struct {
	*gateway
	site string // host:port of the public URL
	door string // where the front end listens
	app  *recorder
}

// newFront makes the gateway and the application of a front end that will
// listen at door.
func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{gateway: prepare(t, ""), door: freeAddr(t), app: newRecorder(t)}
	_, port, _ := net.SplitHostPort(f.door)
	f.site = "app.example.com:" + port
	f.configure(strings.ReplaceAll(forwardAuth, "{SITE}", f.site))
	f.addUser("alice", "user")
	f.start()
	return f
}

// deployed is a file of deploy/ with the addresses of this test in place of its
// own. Each of them must be in it.
func (f *front) deployed(name string, fill ...string) string {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "deploy", name))
	if err != nil {
		f.t.Fatal(err)
	}
	fill = append(fill, "127.0.0.1:8080", f.addr, "127.0.0.1:3000", f.app.addr)
	for i := 0; i < len(fill); i += 2 {
		if !strings.Contains(string(text), fill[i]) {
			f.t.Fatalf("deploy/%s has no %q", name, fill[i])
		}
	}
	return strings.NewReplacer(fill...).Replace(string(text))
}

// program finds a server, which Debian keeps where only root looks.
func program(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	lack(t, name)
	return ""
}

func startNginx(t *testing.T) *front {
	f := newFront(t)
	serveSite(t, f.door, f.dir, f.deployed("nginx-forward-auth.conf", "listen 80;", "listen "+f.door+";"))
	return f
}

func startCaddy(t *testing.T) *front {
	caddy := program(t, "caddy")
	f := newFront(t)
	f.write("Caddyfile", "{\n\tadmin off\n\tauto_https off\n}\n"+f.deployed("Caddyfile", "\napp.example.com {", "\nhttp://"+f.site+" {\n\tbind 127.0.0.1"))
	startApp(t, f.door, f.dir, nil, caddy, "run", "--adapter", "caddyfile", "--config", filepath.Join(f.dir, "Caddyfile"))
	return f
}

func startHAProxy(t *testing.T) *front {
	haproxy := program(t, "haproxy")
	f := newFront(t)
	script, err := os.ReadFile(filepath.Join("..", "deploy", "haproxy-forward-auth.lua"))
	if err != nil {
		t.Fatal(err)
	}
	f.write("postern.lua", string(script))
	f.write("haproxy.cfg", f.deployed("haproxy-forward-auth.cfg", "bind :80\n", "bind "+f.door+"\n", "/etc/haproxy/haproxy-forward-auth.lua", filepath.Join(f.dir, "postern.lua")))
	startApp(t, f.door, f.dir, nil, haproxy, "-db", "-f", filepath.Join(f.dir, "haproxy.cfg"))
	return f
}

func TestForwardAuthOfNginx(t *testing.T)   { t.Parallel(); startNginx(t).prove() }
func TestForwardAuthOfCaddy(t *testing.T)   { t.Parallel(); startCaddy(t).prove() }
func TestForwardAuthOfHAProxy(t *testing.T) { t.Parallel(); startHAProxy(t).prove() }

// prove holds one front end to everything that is promised of all of them.
func (f *front) prove() {
	t := f.t.(*testing.T)
	for _, part := range []struct {
		name  string
		proof func(*front)
	}{
		{"a login leads to the page", (*front).loginLeadsBack},
		{"who asks is Postern's word", (*front).identityIsOurs},
		{"a refusal is a refusal", (*front).refusals},
		{"a WebSocket is of this site", (*front).webSocket},
		{"no header moves the decision", (*front).noHeaderMoves},
		{"no spelling of a path gets through", (*front).noPathPasses},
		{"a stale cookie is refreshed unnoticed", (*front).staleCookie},
		{"nobody else may ask", (*front).nobodyElseAsks},
	} {
		t.Run(part.name, func(t *testing.T) {
			at := *f
			g := *f.gateway
			g.t, at.gateway = t, &g
			f.app.take()
			part.proof(&at)
		})
	}
}

// visit is a client of the public site.
func (f *front) visit(agent http.Header) *client {
	c := newClient(f.t, "http://"+f.site)
	c.http.Transport = dialing(f.door)
	for name, values := range agent {
		c.agent[name] = values
	}
	return c
}

// loggedIn is a person's browser after the login by form.
func (f *front) loggedIn() *client {
	c := f.visit(f.browser().agent)
	c.loginForm("alice")
	return c
}

// arrived is the one request that the application got.
func (f *front) arrived(what string) received {
	f.t.Helper()
	seen := f.app.take()
	if len(seen) != 1 {
		f.t.Fatalf("%s: the application got %d requests, want one", what, len(seen))
	}
	return seen[0]
}

// kept fails when the application got anything.
func (f *front) kept(what string) {
	f.t.Helper()
	for _, r := range f.app.take() {
		f.t.Errorf("%s reached the application:\n%s", what, r.raw)
	}
}

func (f *front) loginLeadsBack() {
	t := f.t
	b := f.visit(f.browser().agent)
	r := b.get("/app/home?a=b&c=%2F").want(t, 303, "a page without a login")
	login := "http://" + f.site + "/auth/login?rd=" + url.QueryEscape("/app/home?a=b&c=%2F")
	if r.location() != login {
		t.Fatalf("led to %q, want %q", r.location(), login)
	}
	f.kept("a page without a login")
	b.get("/auth/login?rd=%2Fapp%2Fhome").want(t, 200, "the login page")
	back := b.postForm("/auth/login", url.Values{"username": {"alice"}, "password": {passwordOf("alice")}, "rd": {"/app/home?a=b&c=%2F"}})
	if back.StatusCode != 303 || back.location() != "/app/home?a=b&c=%2F" {
		t.Fatalf("the login leads to %s %q", back.Status, back.location())
	}
	f.kept("the login")
	b.get("/app/home?a=b&c=%2F").want(t, 200, "the page after the login")
	if got := f.arrived("the page"); got.target != "/app/home?a=b&c=%2F" || got.method != "GET" {
		t.Errorf("the application was asked for %s %s", got.method, got.target)
	}
	b.postForm("/app/form", url.Values{"x": {"y"}}).want(t, 200, "a form")
	if got := f.arrived("a form"); got.method != "POST" || got.body != "x=y" {
		t.Errorf("the application got %s %q", got.method, got.body)
	}
	b.do("HEAD", "/app/home", "").want(t, 200, "the page's head")
	b.postForm("/auth/logout", nil)
	f.app.take()
	b.get("/app/home").want(t, 303, "a page after the logout")
	f.kept("a page after the logout")
}

// identityIsOurs: whatever a client says of itself, the application hears who
// was proven, and of nobody nothing.
func (f *front) identityIsOurs() {
	lies := []string{"X-Auth-User: root", "x-auth-roles: admin", "X-Auth-User-Id: 1", "X-Auth-Email: root@example.com", "X_Auth_User: root", "X.Auth.User: root", "X-Auth-User: second",
		"X-Auth_User: root", "X_Auth-Roles: admin", "X.Auth-User: root", "X_Auth.Email: root@example.com", "Connection: X-Auth-User, X-Auth-Roles, X-Auth-Email"}
	f.loggedIn().get("/app/home", lies...).want(f.t, 200, "a page")
	got := f.arrived("a page")
	for name, want := range map[string]string{"X-Auth-User": "alice", "X-Auth-Roles": "user", "X-Auth-Email": "alice@example.com"} {
		if v := got.values(name); len(v) != 1 || v[0] != want {
			f.t.Errorf("%s is %q, want %q once", name, v, want)
		}
	}
	f.sees(got, "alice", "alice@example.com", "user")
	f.visit(nil).get("/public/page", lies...).want(f.t, 200, "an open page")
	f.sees(f.arrived("an open page"))
}

// sees fails when a field that some application reads as an identity header has
// another value than those.
func (f *front) sees(got received, values ...string) {
	f.t.Helper()
	for _, sent := range got.fields {
		name := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(sent.name))
		if !strings.HasPrefix(name, "x-auth-") || sent.value == "" || name == "x-auth-user-id" && len(values) > 0 && len(sent.value) > 8 {
			continue
		}
		known := false
		for _, v := range values {
			known = known || sent.value == v
		}
		if !known {
			f.t.Errorf("the application reads %s: %s", sent.name, sent.value)
		}
	}
}

func (f *front) refusals() {
	t := f.t
	b := f.loggedIn()
	f.app.take()
	b.get("/admin/panel").want(t, 403, "a page for others")
	b.get("/nowhere").want(t, 403, "a page that no route has")
	b.agent.Set("Sec-Fetch-Site", "cross-site")
	b.do("POST", "/app/form", "x=y", "Origin: http://evil.test").want(t, 403, "another site's form")
	f.visit(nil).get("/app/home").want(t, 401, "a program without a login")
	f.visit(nil).get("/app/home", "Authorization: Bearer nonsense").want(t, 401, "a program with nonsense")
	f.visit(nil).get("/office/x").want(t, 403, "a page for another network")
	f.visit(nil).get("/office/x", "X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1").want(t, 403, "a client that says where it is")
	f.kept("a refused request")
	token := f.visit(nil).login("alice").AccessToken
	f.visit(nil).get("/app/home", bearer(token)).want(t, 200, "a program with a token")
	f.arrived("a program with a token")
}

// webSocket: front ends cut the upgrade off their question, and yet another
// site's page opens no WebSocket; and no other upgrade gets past the questions.
func (f *front) webSocket() {
	b := f.loggedIn()
	f.app.take()
	shake := func(path, protocol, origin string) int {
		return f.raw("GET " + path + " HTTP/1.1\r\nHost: " + f.site + "\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + "\r\nHTTP2-Settings: AAAA\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: " + origin + "\r\nCookie: postern=" + b.cookie("/", "postern") + "\r\n\r\n")
	}
	if status := shake("/app/ws", "websocket", "http://"+f.site); status != http.StatusSwitchingProtocols {
		f.t.Errorf("the site's own WebSocket is answered %d", status)
	}
	f.arrived("the site's own WebSocket")
	for _, path := range []string{"/app/ws", "/public/ws"} {
		if status := shake(path, "websocket", "http://evil.test"); status != http.StatusForbidden {
			f.t.Errorf("another site's WebSocket to %s is answered %d", path, status)
		}
	}
	f.kept("another site's WebSocket")
	for _, protocols := range []string{"h2c", "h2c\r\nUpgrade: websocket", "websocket\r\nUpgrade: h2c", "h2c, websocket", "websocket, h2c"} {
		shake("/app/home", protocols, "http://"+f.site)
		for _, r := range f.app.take() { // none where the front end refuses it
			if strings.Contains(strings.Join(r.values("Upgrade"), ", "), "h2c") {
				f.t.Errorf("Upgrade: %s asks the application for a tunnel", protocols)
			}
		}
	}
}

// noHeaderMoves: a client names another request in every header of both
// families, once and twice (CVE-2026-40575 and its kin).
func (f *front) noHeaderMoves() {
	open := "http://" + f.site + "/public/x"
	headers := []string{"X-Forwarded-Uri: /public/x", "X-Forwarded-Method: GET", "X-Forwarded-Host: " + f.site, "X-Original-URL: " + open, "X-Original-URL: /public/x",
		"X-Original-Method: GET", "X-Original-URI: /public/x", "X-Rewrite-URL: /public/x", "X_Forwarded_Uri: /public/x", "X_Original_URL: /public/x",
		"X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1;host=" + f.site, "Connection: X-Forwarded-Uri, X-Forwarded-Method, X-Original-URL, X-Auth-User", "Connection: Cookie"}
	alice := f.loggedIn()
	f.app.take()
	try := func(what string, lines ...string) {
		for _, c := range []*client{f.visit(nil), alice} {
			r := c.get("/admin/panel", lines...)
			if r.StatusCode < 400 && r.StatusCode != 303 {
				f.t.Errorf("%s opens /admin: %s", what, r.Status)
			}
		}
		f.kept(what)
	}
	for _, line := range headers {
		try(line, line)
		try(line+" twice", line, line)
	}
	try("all of them", headers...)
	alice.get("/app/home", "X-Original-URL: /public/x", "X-Original-Method: GET", "X-Forwarded-Uri: /public/x", "X-Forwarded-Method: GET").want(f.t, 200, "a page, with headers of no use")
	for _, name := range []string{"X-Original-URL", "X-Original-Method"} {
		if v := f.arrived("a page").values(name); len(v) > 0 {
			f.t.Errorf("the application reads %s: %q", name, v)
		}
		alice.get("/app/home", "X-Original-URL: /public/x", "X-Original-Method: GET")
	}
}

// noPathPasses: nginx and Caddy mend paths, Postern refuses what needs mending.
func (f *front) noPathPasses() {
	for _, target := range []string{
		"/public/../admin/panel", "/public/%2e%2e/admin/panel", "/public/..%2fadmin/panel", "/public/..%5cadmin/panel", "//admin/panel", "/public//../admin/panel",
		"/public/..;/admin/panel", "/%61dmin/panel", "/ADMIN/panel", "/admin%2fpanel", "/./admin/panel", "/public/%2e./%2e./admin/panel", "/public/..\\admin/panel",
		"/public/x%00/../../admin/panel", "/public/%252e%252e/admin/panel", "/auth/../admin/panel", "/auth/..%2fadmin/panel", "/auth/login/../../admin/panel",
		"/_postern", "/admin/panel?/public/x", "/admin/panel#/public/x", "http://" + f.site + "/admin/panel", "http://evil.test/admin/panel", "/public/x/../../admin/panel?x=/public",
	} {
		status := f.raw(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, f.site))
		if status < 300 && !strings.Contains(target, "evil.test") { // Caddy has an empty page for hosts that it does not know
			f.t.Errorf("%s is answered %d", target, status)
		}
		f.kept(target)
	}
	two := f.raw("GET /admin/panel HTTP/1.1\r\nHost: " + f.site + "\r\nHost: evil.test\r\nConnection: close\r\n\r\n")
	if two < 300 {
		f.t.Errorf("two hosts are answered %d", two)
	}
	f.kept("two hosts")
	f.raw("GET /public/x HTTP/1.1\r\nHost: other.test," + f.site + "\r\nConnection: close\r\n\r\n") // Caddy has an empty page here too
	f.kept("two hosts in one field")
}

// raw sends bytes through the front door and answers the status.
func (f *front) raw(request string) int {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.door)
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, request)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 400 // closed without a word
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// staleCookie: a page and a form whose token was outdated by a change of roles
// go through the refresh and arrive as they were.
func (f *front) staleCookie() {
	t := f.t
	b := f.loggedIn()
	outdate := func(roles ...string) {
		args := []string{"user", "set", "alice", "--config", "gateway.yaml"}
		for _, role := range roles {
			args = append(args, "--role", role)
		}
		mustRun(t, f.dir, "", args...)
		script := f.visit(nil) // a program with the same cookie: it is told, and sent nowhere
		stale := "Cookie: postern=" + b.cookie("/", "postern")
		eventually(t, "the old token is refused", func() bool { return script.get("/app/home", stale).StatusCode == 401 })
		f.app.take()
	}
	outdate("user", "editor")
	r := b.get("/app/home?a=b").want(t, 303, "a page with a stale cookie")
	if want := "http://" + f.site + "/auth/refresh?rd=" + url.QueryEscape("/app/home?a=b"); r.location() != want {
		t.Fatalf("led to %q, want %q", r.location(), want)
	}
	if r = b.get(onward(r)).want(t, 303, "the refresh"); r.location() != "/app/home?a=b" {
		t.Fatalf("the refresh leads to %q", r.location())
	}
	b.get("/app/home?a=b").want(t, 200, "the page with a fresh cookie")
	if got := f.arrived("the page"); strings.Join(got.values("X-Auth-Roles"), " ") != "editor,user" && strings.Join(got.values("X-Auth-Roles"), " ") != "user,editor" {
		t.Errorf("the roles are %q", got.values("X-Auth-Roles"))
	}
	outdate("user")
	form := func(to string) reply {
		return b.do("POST", to, "x=y", "Content-Type: application/x-www-form-urlencoded", "Origin: "+b.base)
	}
	r = form("/app/form").want(t, 307, "a form with a stale cookie")
	r = form(onward(r)).want(t, 307, "the form at the refresh")
	f.kept("the form on its way")
	form(onward(r)).want(t, 200, "the form with a fresh cookie")
	if got := f.arrived("the form"); got.method != "POST" || got.body != "x=y" || got.target != "/app/form" {
		t.Errorf("the application got %s %s %q", got.method, got.target, got.body)
	}
}

// onward is where a redirect leads, on this site.
func onward(r reply) string {
	u, err := url.Parse(r.location())
	if err != nil {
		return "/"
	}
	return u.RequestURI()
}

// nobodyElseAsks: past the front end, from an address that is not trusted,
// Postern believes nothing, and carries nothing either.
func (f *front) nobodyElseAsks() {
	c := f.hosted(f.site)
	c.http.Transport.(*http.Transport).DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}).DialContext
	c.base = "http://" + f.addr
	token := bearer(f.hosted(f.site).login("alice").AccessToken)
	for _, lines := range [][]string{
		{"X-Forwarded-Method: GET", "X-Forwarded-Host: " + f.site, "X-Forwarded-Uri: /public/x"},
		{"X-Original-Method: GET", "X-Original-URL: http://" + f.site + "/public/x"},
	} {
		r := c.get("/auth/verify", append(lines, token, "X-Forwarded-For: 127.0.0.1")...).want(f.t, 403, "a question of a stranger")
		if r.Header.Get("X-Auth-User") != "" {
			f.t.Error("a stranger is told who asks")
		}
	}
	door := f.visit(nil) // a client of the front end gets no answer that is meant for it
	for _, path := range []string{"/auth/verify", "/auth/verify?x", "/auth//verify", "/auth/./verify", "/auth/%76erify"} {
		for _, family := range [][]string{{"X-Forwarded-Method: GET", "X-Forwarded-Uri: /public/x"}, {"X-Original-Method: GET", "X-Original-URL: /public/x"}} {
			if r := door.get(path, append(family, token)...); r.StatusCode == 200 || r.Header.Get("X-Auth-User") != "" {
				f.t.Errorf("a client asks at %s with %q: %s", path, family, r.Status)
			}
		}
	}
	near := f.hosted(f.site) // where the front end is
	near.get("/auth/verify", token).want(f.t, 403, "a question without a request")
	near.get("/app/home", token).want(f.t, 502, "a request to carry")
	f.kept("a question")
}
