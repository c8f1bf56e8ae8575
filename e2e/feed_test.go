package e2e

import (
	"bufio"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair is two gateways on one store, before an application whose streams do not
// end by themselves.
type pair struct {
	a, b  *gateway
	store string // the folder
}

const pairConfig = `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { format: json }
store: { path: "{STORE}/postern.db", key_file: "{STORE}/postern.key" }
upstreams:
  - { name: app, urls: ["{UPSTREAM}"] }
auth:
  issuer: http://postern.test
  lockout: { attempts: 1000, window: 10m, duration: 15m }
routes:
  - { path: /app/**, allow: authenticated }
  - { path: /admin/**, allow: { role: admin } }
`

// startPair starts both, with words of the configuration replaced. The accounts are alice, a user; root, an administrator;
// and bystander, to whom nothing may happen.
func startPair(t *testing.T, replace ...string) pair {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(endless))
	t.Cleanup(app.Close)
	shared := t.TempDir()
	config := strings.NewReplacer(append(replace, "{STORE}", shared, "{UPSTREAM}", app.URL)...).Replace(pairConfig)
	p := pair{prepare(t, config), prepare(t, config), shared}
	p.a.addUser("root", "admin")
	p.a.addUser("bystander", "user")
	p.a.start()
	p.b.start()
	return p
}

// endless answers a WebSocket that repeats each line, an event stream, or yes.
func endless(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/app/ws":
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		io.Copy(conn, rw)
	case "/app/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			if _, err := io.WriteString(w, "data: tick\n\n"); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

// lasting is a stream under way.
type lasting struct {
	what string
	conn net.Conn
	in   *bufio.Reader
	ws   bool
}

// open starts a WebSocket and an event stream at a gateway.
func (g *gateway) open(t *testing.T, token string) []lasting {
	t.Helper()
	var all []lasting
	for path, more := range map[string]string{
		"/app/ws":     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
		"/app/events": "",
	} {
		conn, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s\r\n", path, g.addr, token, more)
		s := lasting{path + " at " + g.addr, conn, bufio.NewReader(conn), more != ""}
		conn.SetDeadline(time.Now().Add(patience))
		if resp, err := http.ReadResponse(s.in, nil); err != nil || resp.StatusCode != 101 && resp.StatusCode != 200 {
			t.Fatalf("%s: %v, %v", s.what, resp, err)
		}
		s.lives(t)
		all = append(all, s)
	}
	return all
}

// lives fails the test unless the stream goes on.
func (s lasting) lives(t *testing.T) {
	t.Helper()
	s.conn.SetDeadline(time.Now().Add(patience))
	if s.ws {
		io.WriteString(s.conn, "ping\n")
	}
	if _, err := s.in.ReadString('\n'); err != nil {
		t.Errorf("%s has ended: %v", s.what, err)
	}
}

// ends fails the test unless the stream ends.
func (s lasting) ends(t *testing.T) {
	t.Helper()
	s.conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, s.in); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("%s goes on", s.what)
	}
}

// ending is a way in which access that was given is taken back.
type ending struct {
	name string
	here bool // done at gateway a, where it holds at once; else by a command
	keep bool // the session lives on: a refresh is enough
	gone bool // nobody can log in afterwards
	do   func(t *testing.T, p pair, user string, victim tokens)
}

// endings are all the ways there are.
func endings() []ending {
	root := func(method, path, body string) func(*testing.T, pair, string, tokens) {
		return func(t *testing.T, p pair, _ string, victim tokens) {
			t.Helper()
			where := strings.ReplaceAll(path, "{id}", claim(t, victim.AccessToken, "sub"))
			r := p.a.client().do(method, where, body, bearer(p.a.client().login("root").AccessToken), "Content-Type: application/json")
			if r.StatusCode/100 != 2 {
				t.Fatalf("%s %s: %s %s", method, where, r.Status, r.body)
			}
		}
	}
	command := func(stdin string, args ...string) func(*testing.T, pair, string, tokens) {
		return func(t *testing.T, p pair, user string, victim tokens) {
			t.Helper()
			words := append([]string{}, args...)
			for i, w := range words {
				words[i] = strings.NewReplacer("NAME", user, "SID", claim(t, victim.AccessToken, "sid")).Replace(w)
			}
			mustRun(t, p.a.dir, strings.ReplaceAll(stdin, "NAME", user), append(words, "--config", "gateway.yaml")...)
		}
	}
	return []ending{
		{"logout", true, false, false, func(t *testing.T, p pair, _ string, v tokens) {
			p.a.client().do("POST", "/auth/logout", "", bearer(v.AccessToken)).want(t, 204, "logout")
		}},
		{"logout of all", true, false, false, func(t *testing.T, p pair, user string, _ tokens) {
			other := p.a.client().login(user)
			p.a.client().postJSON("/auth/logout", map[string]bool{"all": true}, bearer(other.AccessToken)).want(t, 204, "logout")
		}},
		{"a session ended from another", true, false, false, func(t *testing.T, p pair, user string, v tokens) {
			other := p.a.client().login(user)
			p.a.client().do("DELETE", "/auth/sessions/"+claim(t, v.AccessToken, "sid"), "", bearer(other.AccessToken)).want(t, 204, "the ending")
		}},
		{"a password changed in another", true, false, false, func(t *testing.T, p pair, user string, _ tokens) {
			other := p.a.client().login(user)
			change := map[string]string{"current": passwordOf(user), "new": passwordOf(user) + "!"}
			next := p.a.client().tokens(p.a.client().postJSON("/auth/me/password", change, bearer(other.AccessToken)).want(t, 200, "the change"))
			change["current"], change["new"] = change["new"], change["current"] // for the login afterwards
			p.a.client().postJSON("/auth/me/password", change, bearer(next.AccessToken)).want(t, 200, "the change back")
		}},
		{"roles by an administrator", true, true, false, root("PATCH", "/auth/admin/users/{id}", `{"roles":["user","admin"]}`)},
		{"sessions by an administrator", true, false, false, root("DELETE", "/auth/admin/users/{id}/sessions", "")},
		{"disabled by an administrator", true, false, true, root("PATCH", "/auth/admin/users/{id}", `{"disabled":true}`)},
		{"deleted by an administrator", true, false, true, root("DELETE", "/auth/admin/users/{id}", "")},
		{"user set", false, true, false, command("", "user", "set", "NAME", "--role", "admin")},
		{"user passwd", false, false, false, command("NAME-password\n", "user", "passwd", "NAME")},
		{"user disable", false, false, true, command("", "user", "disable", "NAME")},
		{"user delete", false, false, true, command("", "user", "delete", "NAME")},
		{"session revoke", false, false, false, command("", "session", "revoke", "SID")},
		{"session revoke --user", false, false, false, command("", "session", "revoke", "--user", "NAME")},
	}
}

// TestRevocationHoldsEverywhere goes through every way to take access back.
// Each is refused at once where it was done and soon on the other gateway, ends
// the streams of that session on both and nobody else's, keeps nobody from a
// new login, and is still refused after both were killed.
func TestRevocationHoldsEverywhere(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	witness := p.a.client().login("bystander")
	others := append(p.a.open(t, witness.AccessToken), p.b.open(t, witness.AccessToken)...)
	var ended []string
	for i, way := range endings() {
		t.Run(way.name, func(t *testing.T) {
			user := fmt.Sprintf("user-%d", i)
			p.a.addUser(user, "user")
			victim := p.a.client().login(user)
			streams := append(p.a.open(t, victim.AccessToken), p.b.open(t, victim.AccessToken)...)
			way.do(t, p, user, victim)
			ended = append(ended, victim.AccessToken)
			refused(t, p.a, victim.AccessToken, way.here)
			refused(t, p.b, victim.AccessToken, false)
			for _, s := range streams {
				s.ends(t)
			}
			p.again(t, way, user, victim)
		})
	}
	for _, s := range others {
		s.lives(t)
	}
	for _, g := range []*gateway{p.a, p.b} {
		g.kill()
		g.start()
		for i, token := range ended {
			if r := g.client().get("/app/home", bearer(token)).want(t, 401, "after kill -9, "+endings()[i].name); r.code() != "token_revoked" {
				t.Errorf("%s: code %q", endings()[i].name, r.code())
			}
		}
		g.client().get("/app/home", bearer(witness.AccessToken)).want(t, 200, "the bystander after kill -9")
	}
}

// refused waits until a gateway refuses the token; at once: the first time.
func refused(t *testing.T, g *gateway, token string, atOnce bool) {
	t.Helper()
	var last reply
	eventually(t, "the access token is refused", func() bool {
		last = g.client().get("/app/home", bearer(token))
		return last.StatusCode == 401 || atOnce
	})
	if last.StatusCode != 401 || last.code() != "token_revoked" {
		t.Errorf("got %s, code %q; want 401 token_revoked", last.Status, last.code())
	}
}

// again gets the user in again where that may be, on both gateways.
func (p pair) again(t *testing.T, way ending, user string, victim tokens) {
	t.Helper()
	refresh := p.b.client().refresh(victim.RefreshToken)
	switch {
	case way.gone:
		refresh.want(t, 401, "the refresh token")
		p.b.client().tryLogin(user, passwordOf(user)).want(t, 401, "a login")
		return
	case way.keep:
		next := p.b.client().tokens(refresh.want(t, 200, "a refresh"))
		p.a.client().get("/admin/x", bearer(next.AccessToken)).want(t, 200, "the new role")
	default:
		refresh.want(t, 401, "the refresh token")
	}
	next := p.b.client().login(user)
	for _, g := range []*gateway{p.a, p.b} {
		g.client().get("/app/home", bearer(next.AccessToken)).want(t, 200, "a new login")
	}
}

// claim is a member of a token, unproven.
func claim(t *testing.T, token, name string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[len(parts)/2])
	var claims map[string]any
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		t.Fatalf("no token: %.20q", token)
	}
	text, _ := claims[name].(string)
	return text
}

// exec changes the store behind the gateways' backs, while they serve.
func (p pair) exec(t *testing.T, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(p.store, "postern.db")+"?_pragma=busy_timeout(30000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// TestStreamsEndWhenTheirSessionRunsOutOfTime: nobody ends that session, and
// nobody tells of it.
func TestStreamsEndWhenTheirSessionRunsOutOfTime(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(endless))
	t.Cleanup(app.Close)
	config := strings.NewReplacer("{STORE}", ".", "{UPSTREAM}", app.URL, "  lockout:",
		"  access_token: { ttl: 5s }\n  refresh_token: { ttl: 6s, reuse_grace: 1s, session_ttl: 1h }\n  lockout:").Replace(pairConfig)
	g := prepare(t, config)
	g.addUser("alice", "user")
	g.start()
	c := g.client()
	idle, used := c.login("alice"), c.login("alice")
	over, on := g.open(t, idle.AccessToken), g.open(t, used.AccessToken)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, s := range over {
			s.ends(t)
		}
	}()
	refresh := time.NewTicker(500 * time.Millisecond)
	defer refresh.Stop()
	for alive := true; alive; {
		select {
		case <-done:
			alive = false
		case <-refresh.C:
			used = c.tokens(c.refresh(used.RefreshToken).want(t, 200, "refresh"))
		}
	}
	for _, s := range on {
		s.lives(t)
	}
	c.refresh(idle.RefreshToken).want(t, 401, "the refresh token of the session that is over")
}

// TestWhileTheStoreIsAway: tokens verify on with the revocations known so far,
// the gateway says that it is degraded and stays in service, and what needs the
// store is 503: no wrong password, no lock.
func TestWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	good, ended := p.a.client().login("bystander"), p.a.client().login("bystander")
	stream := p.a.open(t, good.AccessToken)
	p.a.client().do("POST", "/auth/logout", "", bearer(ended.AccessToken)).want(t, 204, "logout")
	tables := []string{"revocations", "accounts", "failures", "sessions"}
	for _, table := range tables {
		p.exec(t, "ALTER TABLE "+table+" RENAME TO away_"+table)
	}
	ready := newClient(t, "http://"+p.a.admin)
	eventually(t, "readyz says degraded", func() bool {
		return strings.Contains(ready.get("/readyz").want(t, 200, "readyz").body, "degraded")
	})
	c := p.a.client()
	c.get("/app/home", bearer(good.AccessToken)).want(t, 200, "a good token")
	if r := c.get("/app/home", bearer(ended.AccessToken)).want(t, 401, "an ended session"); r.code() != "token_revoked" {
		t.Errorf("code %q", r.code())
	}
	for range 8 {
		c.tryLogin("bystander", "guess-guess").want(t, 503, "a wrong login")
	}
	c.tryLogin("bystander", passwordOf("bystander")).want(t, 503, "a login")
	c.refresh(good.RefreshToken).want(t, 503, "a refresh")
	for _, s := range stream {
		s.lives(t)
	}
	for _, table := range tables {
		p.exec(t, "ALTER TABLE away_"+table+" RENAME TO "+table)
	}
	eventually(t, "readyz says ok", func() bool { return !strings.Contains(ready.get("/readyz").body, "degraded") })
	c.login("bystander")
	c.refresh(good.RefreshToken).want(t, 200, "a refresh afterwards")
}
