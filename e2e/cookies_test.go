package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// cookieSite is a way to publish a site, and the cookies that it has to set.
type cookieSite struct {
	name, public, more string
	proxied            bool // a proxy that ends TLS stands before the gateway
	access, refresh    http.Cookie
	life               time.Duration // 0: as long as the browser runs
}

const week = 7 * 24 * time.Hour

// cookieSites are the rules of names and attributes: prefixes with https, the
// path of the refresh endpoint alone, a lifetime like the refresh token's.
func cookieSites() []cookieSite {
	lax, strict := http.SameSiteLaxMode, http.SameSiteStrictMode
	return []cookieSite{
		{"http", "http://gw.test", "", false,
			http.Cookie{Name: "postern", Path: "/", SameSite: lax},
			http.Cookie{Name: "postern_refresh", Path: "/auth/refresh", SameSite: lax}, week},
		{"https, TLS ends here", "https://gw.test", "", false,
			http.Cookie{Name: "__Host-postern", Path: "/", SameSite: lax, Secure: true},
			http.Cookie{Name: "__Secure-postern_refresh", Path: "/auth/refresh", SameSite: lax, Secure: true}, week},
		{"https, TLS ends at a proxy", "https://gw.test", "", true,
			http.Cookie{Name: "__Host-postern", Path: "/", SameSite: lax, Secure: true},
			http.Cookie{Name: "__Secure-postern_refresh", Path: "/auth/refresh", SameSite: lax, Secure: true}, week},
		{"a domain with https", "https://gw.example.test", "  cookie: { domain: example.test }\n", false,
			http.Cookie{Name: "__Secure-postern", Path: "/", Domain: "example.test", SameSite: lax, Secure: true},
			http.Cookie{Name: "__Secure-postern_refresh", Path: "/auth/refresh", Domain: "example.test", SameSite: lax, Secure: true}, week},
		{"all otherwise", "http://gw.test", "  prefix: /_gate\n  cookie: { name: gate, persistent: false, same_site: strict }\n", false,
			http.Cookie{Name: "gate", Path: "/", SameSite: strict},
			http.Cookie{Name: "gate_refresh", Path: "/_gate/refresh", SameSite: strict}, 0},
		{"a session shorter than its refresh token", "http://gw.test", "  refresh_token: { ttl: 2h, session_ttl: 1h }\n", false,
			http.Cookie{Name: "postern", Path: "/", SameSite: lax},
			http.Cookie{Name: "postern_refresh", Path: "/auth/refresh", SameSite: lax}, time.Hour},
	}
}

// prefix is where the site's endpoints are.
func (s cookieSite) prefix() string { return strings.TrimSuffix(s.refresh.Path, "/refresh") }

// start runs a gateway with access tokens of two seconds and gives a browser
// that reaches it as the case says.
func (s cookieSite) start(t *testing.T, l *legacy) (*gateway, *client) {
	t.Helper()
	more := "  access_token: { ttl: 2s }\n" + s.more
	if !s.proxied {
		g, site := publish(t, l, s.public, more)
		return g, g.visitor(site).asBrowser()
	}
	g, front := publishBehindTLS(t, l, more)
	c := newClient(t, front.URL)
	c.http.Transport = front.Client().Transport
	return g, c.asBrowser()
}

// asBrowser makes the client say what browsers say of a navigation.
func (c *client) asBrowser() *client {
	for name, value := range map[string]string{"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"} {
		c.agent.Set(name, value)
	}
	return c
}

// publishBehindTLS runs a gateway that speaks plain http to a proxy, which it
// trusts and which browsers reach by https.
func publishBehindTLS(t *testing.T, l *legacy, more string) (*gateway, *httptest.Server) {
	t.Helper()
	var target *url.URL
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = "gateway.internal"
		r.SetXForwarded()
	}})
	t.Cleanup(front.Close)
	host := strings.TrimPrefix(front.URL, "https://")
	g := prepare(t, "trusted_proxies: [127.0.0.1/32]\n"+strings.NewReplacer(
		"{UPSTREAM}", strings.TrimPrefix(l.URL, "http://"), "http://gw.test", front.URL, "[gw.test]", `["`+host+`"]`, "auth:\n", "auth:\n"+more,
	).Replace(corpusPolicy))
	target = &url.URL{Scheme: "http", Host: g.addr}
	g.addUser("alice", "user")
	return g.start(), front
}

// judge wants the site's two cookies in an answer, with all their attributes.
func (s cookieSite) judge(t *testing.T, what string, r reply) {
	t.Helper()
	for _, want := range []http.Cookie{s.access, s.refresh} {
		i := slices.IndexFunc(r.Cookies(), func(c *http.Cookie) bool { return c.Name == want.Name })
		if i < 0 {
			t.Fatalf("%s sets no %s: %v", what, want.Name, r.Header["Set-Cookie"])
		}
		got := r.Cookies()[i]
		if got.Path != want.Path || got.Domain != want.Domain || got.Secure != want.Secure || got.SameSite != want.SameSite || !got.HttpOnly {
			t.Errorf("%s sets %s\nwant %s", what, got.Raw, want.String())
		}
		if most := int(s.life / time.Second); got.MaxAge > most || got.MaxAge < most-patienceSeconds && most > 0 {
			t.Errorf("%s: %s lives %d s, want %d", what, got.Name, got.MaxAge, most)
		}
		if !got.Expires.IsZero() {
			t.Errorf("%s: %s has a date, which a browser's clock would judge: %s", what, got.Name, got.Raw)
		}
	}
}

const patienceSeconds = int(patience / time.Second)

// TestCookieRules goes through the life of a login by cookie at each kind of
// site: log in, come back late, send a form late, refresh by script, log out.
func TestCookieRules(t *testing.T) {
	t.Parallel()
	for _, s := range cookieSites() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // it waits for most of its time
			l := startLegacy(t, nil)
			_, b := s.start(t, l)
			prefix := s.prefix()
			r := b.postForm(prefix+"/login", url.Values{"username": {"alice"}, "password": {passwordOf("alice")}, "rd": {"/app/home"}})
			s.judge(t, "a login by form", r.want(t, 303, "login"))
			if r.location() != "/app/home" || r.body != "" {
				t.Errorf("sent to %q with %q", r.location(), r.body)
			}
			b.follow("GET", "/app/home", "")
			var old []string // access tokens that all expire while the test waits once
			for range 5 {
				r = b.do("POST", prefix+"/refresh", "").want(t, 200, "refresh by cookie")
				s.judge(t, "a refresh by cookie", r)
				if got := b.tokens(r); got.AccessToken != b.cookie("/", s.access.Name) || got.RefreshToken != "" {
					t.Errorf("a refresh by cookie answers %s", r.body)
				}
				old = append(old, b.cookie("/", s.access.Name))
			}
			time.Sleep(2100 * time.Millisecond)
			for i, again := range []struct {
				method, body string
				status       int
			}{{"GET", "", 303}, {"POST", "note=1", 307}, {"PUT", "note=2", 307}, {"DELETE", "", 307}} {
				s.present(t, b, old[i])
				s.goRound(t, b, again.method, again.body, again.status)
				seen := l.arrived("/app/late?" + again.method)
				if len(seen) != 1 || seen[0].method != again.method || seen[0].body != again.body || seen[0].user != "alice" {
					t.Errorf("%s arrived as %v", again.method, seen)
				}
			}
			s.present(t, b, old[4])
			s.logout(t, b)
		})
	}
}

// present has the browser hold this access token.
func (s cookieSite) present(t *testing.T, b *client, token string) {
	t.Helper()
	u, err := url.Parse(b.base)
	if err != nil {
		t.Fatal(err)
	}
	c := s.access
	c.Value = token
	b.http.Jar.SetCookies(u, []*http.Cookie{&c})
	if b.cookie("/", c.Name) != token {
		t.Fatalf("the browser did not take %s", c.Name)
	}
}

// goRound sends a late request and follows it through the refresh and back.
func (s cookieSite) goRound(t *testing.T, b *client, method, body string, status int) {
	t.Helper()
	target := "/app/late?" + method
	old := b.cookie("/", s.access.Name)
	kind := []string{"Content-Type: text/x-note", "Origin: " + b.base}
	r := b.do(method, target, body, kind...).want(t, status, "the late "+method)
	if want := s.prefix() + "/refresh?rd=" + url.QueryEscape(target); r.location() != want || r.body != "" {
		t.Fatalf("sent to %q, want %q", r.location(), want)
	}
	r = b.do(method, r.location(), body, kind...).want(t, status, "the refresh")
	s.judge(t, "a silent refresh", r)
	if r.location() != target {
		t.Errorf("sent back to %q, want %q", r.location(), target)
	}
	s.judgeMark(t, r, old)
	b.follow(method, target, body, kind...)
}

// follow goes where it is sent until it has a page: on a slow machine a token
// of two seconds may be over again when it is first used.
func (c *client) follow(method, target, body string, header ...string) {
	c.t.Helper()
	for range 20 {
		r := c.do(method, target, body, header...)
		if target = r.location(); target == "" {
			r.want(c.t, 200, "the "+method+" that comes back")
			return
		}
	}
	c.t.Fatalf("%s goes round and round to %s", method, target)
}

// judgeMark wants the mark that stops a loop: of this host alone, for ten
// seconds, and telling nothing of the token that it stands for.
func (s cookieSite) judgeMark(t *testing.T, r reply, old string) {
	t.Helper()
	for _, c := range r.Cookies() {
		if !strings.HasSuffix(c.Name, "_retry") {
			continue
		}
		if c.MaxAge != 10 || c.Path != "/" || c.Domain != "" || c.Secure != s.access.Secure || !c.HttpOnly || c.Value == "" || strings.Contains(old, c.Value) {
			t.Errorf("the mark is %s", c.Raw)
		}
		if strings.HasPrefix(c.Name, "__Host-") != s.access.Secure {
			t.Errorf("the mark is called %s", c.Name)
		}
		return
	}
	t.Errorf("a silent refresh leaves no mark: %v", r.Header["Set-Cookie"])
}

// logout ends the session with an access token that has expired, and wants both
// cookies gone, and the tokens of the session with them.
func (s cookieSite) logout(t *testing.T, b *client) {
	t.Helper()
	refresh := b.cookie(s.refresh.Path, s.refresh.Name)
	r := b.postForm(s.prefix()+"/logout", nil).want(t, 303, "logout with an expired token")
	for _, want := range []http.Cookie{s.access, s.refresh} {
		i := slices.IndexFunc(r.Cookies(), func(c *http.Cookie) bool { return c.Name == want.Name })
		if i < 0 || r.Cookies()[i].MaxAge >= 0 || r.Cookies()[i].Path != want.Path || r.Cookies()[i].Domain != want.Domain {
			t.Errorf("%s stays: %v", want.Name, r.Header["Set-Cookie"])
		}
		if b.cookie(s.refresh.Path, want.Name) != "" {
			t.Errorf("a browser still has %s", want.Name)
		}
	}
	b.bare().postJSON(s.prefix()+"/refresh", map[string]string{"refresh_token": refresh}).want(t, 401, "the refresh token afterwards")
}

// TestCookieModes: what a program asks for by mode, and where it finds it.
func TestCookieModes(t *testing.T) {
	t.Parallel()
	g, _ := publish(t, startLegacy(t, nil), "http://gw.test", "")
	for _, test := range []struct {
		mode          any
		cookies       []string
		refreshInBody bool
	}{
		{nil, nil, true},
		{"", nil, true},
		{"cookie", []string{"postern", "postern_refresh"}, false},
		{"refresh_cookie", []string{"postern_refresh"}, false},
	} {
		c := g.hosted("gw.test")
		login := map[string]any{"username": "alice", "password": passwordOf("alice")}
		if test.mode != nil {
			login["mode"] = test.mode
		}
		r := c.postJSON("/auth/login", login).want(t, 200, "login")
		judgeMode(t, "login", r, test.cookies, test.refreshInBody)
		if test.refreshInBody {
			r = c.refresh(c.tokens(r).RefreshToken).want(t, 200, "refresh")
		} else {
			r = c.do("POST", "/auth/refresh", "").want(t, 200, "refresh")
		}
		judgeMode(t, "refresh", r, test.cookies, test.refreshInBody)
	}
	for _, mode := range []any{"Cookie", "cookies", "none", 1, true} {
		r := g.hosted("gw.test").postJSON("/auth/login", map[string]any{"username": "alice", "password": passwordOf("alice"), "mode": mode})
		if r.StatusCode != 400 || len(r.Cookies()) > 0 {
			t.Errorf("mode %v: %s", mode, r.Status)
		}
	}
}

// judgeMode wants these cookies and no other, and the refresh token in the body
// or not there at all.
func judgeMode(t *testing.T, what string, r reply, cookies []string, refreshInBody bool) {
	t.Helper()
	var names []string
	for _, c := range r.Cookies() {
		names = append(names, c.Name)
		if c.Name == "postern_refresh" && strings.Contains(r.body, c.Value) {
			t.Errorf("%s: the refresh token of the cookie is in the body too", what)
		}
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(r.body), &body); err != nil {
		t.Fatal(err)
	}
	if _, there := body["refresh_token"]; there != refreshInBody || !slices.Equal(names, cookies) || body["access_token"] == nil {
		t.Errorf("%s sets %v, want %v, and answers %s", what, names, cookies, r.body)
	}
}

// bare is the same client without its cookies.
func (c *client) bare() *client {
	return &client{t: c.t, base: c.base, agent: c.agent.Clone(), http: &http.Client{
		Transport: c.http.Transport, CheckRedirect: c.http.CheckRedirect, Timeout: c.http.Timeout,
	}}
}

// TestAPlantedRefreshCookieIsRefused: a sibling subdomain can set a __Secure-
// cookie for this host, and so put a person into the session of somebody else.
func TestAPlantedRefreshCookieIsRefused(t *testing.T) {
	t.Parallel()
	const access, refresh = "__Host-postern", "__Secure-postern_refresh"
	g, site := publish(t, startLegacy(t, nil), "https://gw.example.test", "  access_token: { ttl: 2s }\n")
	g.addUser("mallory", "user")
	alice, mallory := g.visitor(site).asBrowser(), g.visitor(site).asBrowser()
	alice.loginForm("alice")
	mallory.loginForm("mallory")
	planted := refresh + "=" + mallory.cookie("/auth/refresh", refresh)
	both := "Cookie: " + access + "=" + alice.cookie("/", access) + "; " + planted
	victim, script := alice.bare(), g.visitor(site).bare()
	for range 2 { // while the access token is good, and when it has expired
		if r := script.do("POST", "/auth/refresh", "", both, "Sec-Fetch-Site: same-origin").want(t, 401, "a refresh"); r.code() != "refresh_invalid" {
			t.Errorf("code %q", r.code())
		}
		r := victim.get("/auth/refresh?rd=/app/home", both).want(t, 303, "a silent refresh")
		if r.location() != "/auth/login?rd=%2Fapp%2Fhome" {
			t.Errorf("a planted cookie leads to %q", r.location())
		}
		for _, c := range r.Cookies() {
			if c.MaxAge >= 0 {
				t.Errorf("it sets %s", c.Raw)
			}
		}
		time.Sleep(2100 * time.Millisecond)
	}
	// Nothing but the planted one, fetched by an image of the sibling's page.
	script.agent.Set("Sec-Fetch-Site", "same-site")
	script.agent.Set("Sec-Fetch-Mode", "no-cors")
	if r := script.get("/auth/refresh?rd=/", "Cookie: "+planted).want(t, 403, "an image"); r.code() != "cross_origin" || len(r.Cookies()) > 0 {
		t.Errorf("code %q, cookies %v", r.code(), r.Cookies())
	}
	script.do("POST", "/auth/refresh", "", "Cookie: "+planted).want(t, 403, "a form of the sibling's page")
	// None of it has spent the thief's token, or harmed the victim's session.
	mallory.do("POST", "/auth/refresh", "").want(t, 200, "the session whose cookie was planted")
	alice.do("POST", "/auth/refresh", "").want(t, 200, "the victim's session, access token expired")
}

// TestLogoutNeedsAGenuineToken: an expired one ends its session, whatever
// carries it; a forged one, or that of another gateway, ends nothing.
func TestLogoutNeedsAGenuineToken(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  access_token: { ttl: 2s }\n")
	elsewhere, _ := startPolicy(t, "  access_token: { ttl: 2s }\n")
	c := g.client().bare()
	kept := c.login("alice")
	foreign := elsewhere.client().login("alice").AccessToken
	parts := strings.Split(kept.AccessToken, ".")
	forged := parts[0] + "." + parts[1] + "." + strings.Split(foreign, ".")[2]
	byBearer, byCookie := c.login("alice"), c.login("alice")
	time.Sleep(2100 * time.Millisecond) // all of them expire
	for what, token := range map[string]string{"forged": forged, "of another gateway": foreign, "cut": kept.AccessToken[:len(kept.AccessToken)-4]} {
		for _, line := range []string{bearer(token), "Cookie: postern=" + token} {
			if r := c.do("POST", "/auth/logout", "", line); r.StatusCode < 400 {
				t.Errorf("logout with a token that is %s: %s", what, r.Status)
			}
		}
	}
	c.do("POST", "/auth/logout", "", bearer(byBearer.AccessToken)).want(t, 204, "logout by bearer")
	c.do("POST", "/auth/logout", "", "Cookie: postern="+byCookie.AccessToken).want(t, 204, "logout by cookie")
	for _, ended := range []tokens{byBearer, byCookie} {
		c.refresh(ended.RefreshToken).want(t, 401, "refresh after the logout")
	}
	next := c.tokens(c.refresh(kept.RefreshToken).want(t, 200, "the session that somebody wanted to end"))
	// An expired token of a live session may end them all, too.
	c.postJSON("/auth/logout", map[string]bool{"all": true}, bearer(kept.AccessToken)).want(t, 204, "logout of all")
	c.refresh(next.RefreshToken).want(t, 401, "refresh after the logout of all")
}

// TestFiftyParallelRefreshesByCookieSetOneCookie: a page's scripts may refresh
// all at once; whichever answer a browser keeps, its session goes on.
func TestFiftyParallelRefreshesByCookieSetOneCookie(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	b := g.browser()
	b.loginForm("alice")
	carried := b.cookies("/auth/refresh")
	successors := make([]string, 50)
	var wg sync.WaitGroup
	for i := range successors {
		wg.Go(func() {
			r, err := g.client().bare().try("POST", "/auth/refresh", "", carried)
			if err != nil || r.StatusCode != http.StatusOK {
				t.Errorf("refresh %d: %v\n%s", i, err, r.body)
				return
			}
			for _, c := range r.Cookies() {
				if c.Name == "postern_refresh" {
					successors[i] = c.Value
				}
			}
		})
	}
	wg.Wait()
	for i, token := range successors {
		if token == "" || token != successors[0] || strings.Contains(carried, token) {
			t.Fatalf("answer %d sets %.30q, answer 0 %.30q", i, token, successors[0])
		}
	}
	g.client().refresh(successors[0]).want(t, 200, "the successor")
}
