package gateway

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/web"
)

// browser follows redirects and keeps cookies, with the fields that a browser
// sends from a page of the site.
type browser struct {
	s      *stack
	client *http.Client
	hops   []string // every request made, method and target
}

func (s *stack) browser() *browser {
	jar, err := cookiejar.New(nil)
	must(s.t, err)
	b := &browser{s: s, client: &http.Client{Jar: jar}}
	b.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		b.hops = append(b.hops, r.Method+" "+r.URL.RequestURI())
		r = r.Clone(r.Context())
		r.Host, r.URL.Host = "gw.test", s.server.Addr()
		r.Close = true
		res, err := http.DefaultTransport.RoundTrip(r)
		if res != nil {
			res.Request.URL.Host = "gw.test"
		}
		return res, err
	})
	return b
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (b *browser) do(method, path, body string, fields ...string) *reply {
	b.s.t.Helper()
	r, err := http.NewRequest(method, "http://gw.test"+path, strings.NewReader(body))
	must(b.s.t, err)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	b.hops = nil
	before := b.s.app.count()
	res, err := b.client.Do(r)
	must(b.s.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(b.s.t, err)
	return &reply{Response: res, body: string(text), seen: b.s.app.after(before)}
}

func (b *browser) login() {
	b.s.t.Helper()
	r := b.do("POST", "/auth/login", url.Values{"username": {"alice"}, "password": {testPassword}, "rd": {"/public/x"}}.Encode(),
		"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin", "Accept", "text/html")
	r.wants(b.s.t, 200, "")
}

func page(site string) []string {
	return []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", site}
}

func script(site string) []string {
	return []string{"Accept", "*/*", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", site}
}

func TestAnExpiredCookieIsRefreshedWithoutThePageNoticing(t *testing.T) {
	for name, stale := range map[string]func(*stack){
		"expired":  func(s *stack) { s.later(16 * time.Minute) },
		"outdated": func(s *stack) { setRoles(s, "user", "admin") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			b := s.browser()
			b.login()
			stale(s)
			r := b.do("GET", "/app/page?x=1%202", "", page("none")...)
			r.wants(t, 200, "")
			if r.saw(t).target != "/app/page?x=1%202" || len(b.hops) != 3 || !strings.HasPrefix(b.hops[1], "GET /auth/refresh?rd=") {
				t.Errorf("hops %q", b.hops)
			}
			stale(s)
			r = b.do("POST", "/app/form", "a=1&b=2", script("same-origin")...)
			r.wants(t, 200, "")
			if saw := r.saw(t); saw.method != "POST" || saw.body != "a=1&b=2" {
				t.Errorf("arrived as %s %q by %q", saw.method, saw.body, b.hops)
			}
			stale(s)
			r = b.do("DELETE", "/app/thing", "", script("same-origin")...)
			if r.wants(t, 200, ""); r.saw(t).method != "DELETE" {
				t.Errorf("arrived as %s by %q", r.seen.method, b.hops)
			}
			stale(s)
			b.do("GET", "/auth/me", "", script("same-origin")...).wants(t, 200, "")
		})
	}
}

// Who registers anew with the cookie of an old login is not sent round by its
// refresh: the new session is what they came for.
func TestARegistrationWithAnExpiredCookieIsAnsweredAtOnce(t *testing.T) {
	s := newStack(t)
	b := s.browser()
	b.login()
	s.later(16 * time.Minute)
	b.do("POST", "/auth/register", "{}", append(script("same-origin"), "Content-Type", "application/json")...)
	if len(b.hops) != 1 {
		t.Errorf("hops %q", b.hops)
	}
}

func setRoles(s *stack, roles ...string) {
	s.t.Helper()
	a, err := s.service.FindAccount(s.t.Context(), "alice")
	must(s.t, err)
	if len(a.Roles) == len(roles) {
		roles = roles[:1]
	}
	_, err = s.service.SetAccount(s.t.Context(), a.ID, roleChange(roles), auth.Actor{By: "test"})
	must(s.t, err)
	time.Sleep(2 * time.Millisecond) // versions are milliseconds
}

func TestWhatIsNotRefreshedGets401(t *testing.T) {
	s := newStack(t)
	token := s.token("alice")
	s.later(16 * time.Minute)
	same := "Sec-Fetch-Site: same-origin"
	for _, test := range []struct {
		name, method, path, body string
		lines                    []string
		status                   int
		code                     string
	}{
		{"bearer", "GET", "/app/x", "", []string{bearer(token), same}, 401, "token_expired"},
		{"cross-site script", "GET", "/app/x", "", []string{cookie(token), "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, 401, "token_expired"},
		{"cross-site form", "POST", "/app/x", "a=1", []string{cookie(token), "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 403, ""},
		{"unknown origin", "GET", "/app/x", "", []string{cookie(token)}, 401, "token_expired"},
		{"websocket", "GET", "/app/x", "", []string{cookie(token), same, "Origin: http://gw.test", "Connection: Upgrade", "Upgrade: websocket"}, 401, "token_expired"},
		{"too large a body", "POST", "/app/x", strings.Repeat("x", 1<<20+1), []string{cookie(token), same}, 401, "token_expired"},
		{"open route, script", "GET", "/public/x", "", []string{cookie(token), same}, 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.send(test.method, test.path, test.body, test.lines...).wants(t, test.status, test.code)
		})
	}
	for name, lines := range map[string][]string{
		"same-origin": {same}, "by hand": {"Sec-Fetch-Site: none"}, "a link elsewhere": {"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"},
		"no Sec-Fetch, a page": {"Accept: text/html"}, "no Sec-Fetch, Origin": {"Origin: http://gw.test"}, "no Sec-Fetch, Referer": {"Referer: http://gw.test/x"},
	} {
		if r := s.get("/app/x", append(lines, cookie(token))...); r.StatusCode != 303 || r.Header.Get("Location") != "/auth/refresh?rd=%2Fapp%2Fx" {
			t.Errorf("%s: %d %q", name, r.StatusCode, r.Header.Get("Location"))
		}
	}
	if r := s.get("/app/x", cookie(token), "Referer: http://evil.test/?http://gw.test/"); r.StatusCode != 401 {
		t.Errorf("another site's Referer: %d", r.StatusCode)
	}
	r := s.get("/public/x", cookie(token), "Accept: text/html")
	if r.StatusCode != 303 || r.Header.Get("Location") != "/auth/refresh?rd=%2Fpublic%2Fx&anonymous=1" {
		t.Errorf("an open page: %d %q", r.StatusCode, r.Header.Get("Location"))
	}
}

func TestCookiesThatDoNotStickEndTheLoop(t *testing.T) {
	s := newStack(t)
	token := s.token("alice")
	s.later(16 * time.Minute)
	if retryMark(token) != web.RetryMark(token) {
		t.Fatal("the refresh endpoint marks differently")
	}
	both := "Cookie: postern=" + token + "; postern_retry=" + web.RetryMark(token)
	r := s.get("/app/x", both, "Accept: text/html")
	if r.StatusCode != 303 || r.Header.Get("Location") != "/auth/login?error=cookies&rd=%2Fapp%2Fx" {
		t.Errorf("navigation: %d %q", r.StatusCode, r.Header.Get("Location"))
	}
	s.get("/app/x", both, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors").wants(t, 401, "token_expired")
	s.get("/public/x", both, "Accept: text/html").wants(t, 200, "")
	other := "Cookie: postern=" + token + "; postern_retry=" + web.RetryMark("the one before")
	if r := s.get("/app/x", other, "Accept: text/html"); !strings.HasPrefix(r.Header.Get("Location"), "/auth/refresh?") {
		t.Errorf("the mark of another token: %d %q", r.StatusCode, r.Header.Get("Location"))
	}
}

func TestARefreshThatFailsEndsAtTheLoginPageOrAsAnonymous(t *testing.T) {
	s := newStack(t)
	b := s.browser()
	b.login()
	s.later(8 * 24 * time.Hour) // the session with it
	r := b.do("GET", "/app/page", "", page("none")...)
	if r.notAsked(t); r.StatusCode != 200 || !strings.HasPrefix(r.Request.URL.RequestURI(), "/auth/login?") {
		t.Errorf("%d at %s by %q", r.StatusCode, r.Request.URL, b.hops)
	}
	b = s.browser()
	b.login()
	s.later(8 * 24 * time.Hour)
	r = b.do("GET", "/public/page", "", page("none")...)
	if r.wants(t, 200, ""); r.saw(t).header.Get("X-Auth-User") != "" || r.Request.URL.Path != "/public/page" {
		t.Errorf("at %s as %q by %q", r.Request.URL, r.seen.header.Get("X-Auth-User"), b.hops)
	}
}

func TestOtherSitesCannotActThroughABrowser(t *testing.T) {
	s := newStack(t, func(c *setup) { c.web.CORS.Origins = []string{"https://spa.test"} })
	token := s.token("alice")
	for _, test := range []struct {
		name, path string
		lines      []string
		status     int
	}{
		{"cross-site post", "/app/x", []string{cookie(token), "Sec-Fetch-Site: cross-site"}, 403},
		{"same-site post", "/app/x", []string{cookie(token), "Sec-Fetch-Site: same-site"}, 403},
		{"other Origin", "/app/x", []string{cookie(token), "Origin: http://evil.test"}, 403},
		{"null Origin", "/app/x", []string{cookie(token), "Origin: null"}, 403},
		{"on an open route", "/public/x", []string{cookie(token), "Origin: http://evil.test"}, 403},
		{"own Origin", "/app/x", []string{cookie(token), "Origin: http://gw.test"}, 200},
		{"trusted origin", "/app/x", []string{cookie(token), "Origin: https://spa.test", "Sec-Fetch-Site: cross-site"}, 200},
		{"bearer", "/app/x", []string{bearer(token), "Origin: http://evil.test", "Sec-Fetch-Site: cross-site"}, 200},
		{"no browser", "/app/x", []string{cookie(token)}, 200},
		{"anonymous", "/public/x", []string{"Origin: http://evil.test"}, 200},
		{"login from another site", "/auth/login", []string{"Origin: http://evil.test", "Content-Type: application/json"}, 403},
		{"logout from another site", "/auth/logout", []string{cookie(token), "Sec-Fetch-Site: cross-site"}, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := s.send("POST", test.path, "a=1", test.lines...)
			if r.StatusCode != test.status {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
			if test.status == 403 {
				r.wants(t, 403, "cross_origin")
				r.notAsked(t)
			}
		})
	}
	s.get("/app/x", cookie(token), "Sec-Fetch-Site: cross-site").wants(t, 200, "")
}
