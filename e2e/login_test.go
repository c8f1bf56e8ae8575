package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// from is a client that connects from another address of the loopback network.
func (g *gateway) from(address string) *client {
	c := g.client()
	c.http.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext,
	}
	return c
}

func (c *client) tryLogin(name, password string) reply {
	c.t.Helper()
	return c.postJSON("/auth/login", map[string]string{"username": name, "password": password})
}

// TestLoginSaysTheSameToEverybody: an unknown user, a wrong password and a
// disabled account get the same words.
func TestLoginSaysTheSameToEverybody(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	mustRun(t, g.dir, "", "user", "disable", "root", "--config", "gateway.yaml")
	var first string
	for _, test := range [][2]string{{"alice", "wrong-password"}, {"nobody", "wrong-password"}, {"root", passwordOf("root")}} {
		r := g.client().tryLogin(test[0], test[1]).want(t, 401, "login of "+test[0])
		said := regexp.MustCompile(`"request_id": ?"[^"]*"`).ReplaceAllString(r.body, "")
		if first == "" {
			first = said
		}
		if said != first || r.code() != "invalid_credentials" {
			t.Errorf("%s is told %s, the first %s", test[0], said, first)
		}
	}
}

// TestLG05LockoutOfOneIsNotLockoutOfAll: a stranger who guesses is locked out,
// and the owner of the account logs in from elsewhere all the same.
func TestLG05LockoutOfOneIsNotLockoutOfAll(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	stranger := g.from("127.0.0.2")
	locked := reply{}
	for range 8 {
		if locked = stranger.tryLogin("alice", "guess-guess"); locked.StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	locked.want(t, 429, "guessing on")
	if locked.Header.Get("Retry-After") == "" || locked.code() != "locked" {
		t.Errorf("Retry-After %q, code %q", locked.Header.Get("Retry-After"), locked.code())
	}
	stranger.tryLogin("alice", passwordOf("alice")).want(t, 429, "the right password while locked")
	g.from("127.0.0.3").login("alice")
	t.Run("an unknown name locks alike", func(t *testing.T) {
		other, last := g.from("127.0.0.4"), reply{}
		for range 8 {
			if last = other.tryLogin("nobody", "guess-guess"); last.StatusCode == http.StatusTooManyRequests {
				return
			}
		}
		t.Errorf("an unknown name is never locked, so the lock tells who exists: %s", last.Status)
	})
}

// TestLG06SprayingEndsInALock: one password for many users is guessing too.
func TestLG06SprayingEndsInALock(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  lockout: { attempts: 2, window: 10m, duration: 15m }\n")
	sprayer := g.from("127.0.0.9")
	for i := range 200 {
		r := sprayer.tryLogin(fmt.Sprintf("user%d", i), "Summer2026!")
		if r.StatusCode == http.StatusTooManyRequests {
			g.from("127.0.0.8").login("alice")
			return
		}
		r.want(t, 401, "a guess")
	}
	t.Error("200 names with one password from one address were never locked")
}

// TestPasswordsAreTakenWhole: no byte is cut off, none ends the text.
func TestPasswordsAreTakenWhole(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  lockout: { attempts: 1000, window: 10m, duration: 15m }\n")
	for i, test := range []struct {
		name, password string
		wrong          []string
	}{
		{"LG-12 72 bytes and more", strings.Repeat("a", 72) + "X", []string{strings.Repeat("a", 72) + "Y", strings.Repeat("a", 72)}},
		{"LG-13 NUL", "aaaaaaaa\x00b", []string{"aaaaaaaa", "aaaaaaaa\x00c"}},
		{"LG-14 128 characters", strings.Repeat("pass word", 14) + "zz", []string{strings.Repeat("pass word", 14) + "zy"}},
		{"LG-14 emoji", "🔐🗝️🚪🏰🔐🗝️🚪🏰", []string{"🔐🗝️🚪🏰🔐🗝️🚪🏠"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			user := fmt.Sprintf("user-%d", i)
			mustRun(t, g.dir, test.password+"\n", "user", "add", user, "--role", "user", "--config", "gateway.yaml")
			c := g.client()
			c.tryLogin(user, test.password).want(t, 200, "the password")
			for _, wrong := range test.wrong {
				c.tryLogin(user, wrong).want(t, 401, "nearly the password")
			}
		})
	}
}

// TestLoginBodies are bodies that must never log anybody in, nor cost much.
func TestLoginBodies(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  lockout: { attempts: 1000, window: 10m, duration: 15m }\n")
	const asJSON, asForm = "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"
	alice := passwordOf("alice")
	zipped := func() string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		fmt.Fprintf(z, `{"username":"alice","password":%q}`, alice)
		z.Close()
		return b.String()
	}
	for _, test := range []struct {
		name, body, kind string
		more             []string
		want             []int
	}{
		{"LG-17 two usernames", `{"username":"alice","username":"root","password":"` + alice + `"}`, asJSON, nil, []int{400, 401}},
		{"LG-17 two passwords", `{"username":"root","password":"` + alice + `","password":"` + passwordOf("root") + `"}`, asJSON, nil, []int{400}},
		{"LG-17 another case", `{"Username":"root","PASSWORD":"` + passwordOf("root") + `"}`, asJSON, nil, []int{400, 401}},
		{"RS-11 gzip", zipped(), asJSON, []string{"Content-Encoding: gzip"}, []int{400, 415}},
		{"RS-12 a million fields", strings.Repeat("a=b&", 1_000_000), asForm, nil, []int{413}},
		{"RS-12 multipart", "--x\r\nContent-Disposition: form-data; name=username\r\n\r\nalice\r\n--x--", "Content-Type: multipart/form-data; boundary=x", nil, []int{415}},
		{"no type", `{"username":"alice","password":"` + alice + `"}`, "Content-Type: ", nil, []int{415}},
		{"not JSON", `{"username":`, asJSON, nil, []int{400}},
		{"two documents", `{"username":"alice","password":"` + alice + `"}{}`, asJSON, nil, []int{400}},
		{"a list", `[]`, asJSON, nil, []int{400}},
		{"deep", strings.Repeat("[", 60_000), asJSON, nil, []int{400}},
		{"empty", ``, asJSON, nil, []int{400}},
		{"a number for a name", `{"username":1,"password":"x"}`, asJSON, nil, []int{400}},
		{"no password", `{"username":"alice"}`, asJSON, nil, []int{400, 401}},
		{"an empty password", `{"username":"alice","password":""}`, asJSON, nil, []int{400, 401}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := g.client().try("POST", "/auth/login", test.body, append(test.more, test.kind)...)
			if err != nil && len(test.body) > 64<<10 {
				return // closed before the client had sent it all
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if r.StatusCode == want {
					return
				}
			}
			t.Errorf("got %s, want one of %v\n%s", r.Status, test.want, r.body)
		})
	}
	t.Run("LG-15 a password of 1 MiB, twenty at once", func(t *testing.T) {
		big := `{"username":"alice","password":"` + strings.Repeat("x", 1<<20) + `"}`
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				r, err := g.client().try("POST", "/auth/login", big, asJSON)
				if err == nil && r.StatusCode != 413 { // the server may close before all is sent
					t.Errorf("got %s, want 413", r.Status)
				}
			})
		}
		wg.Wait()
	})
	t.Run("LG-19 names that mean something elsewhere", func(t *testing.T) {
		for _, name := range []string{"alice' OR '1'='1", "*)(uid=*", "%s%n", "${jndi:ldap://127.0.0.1/x}", "../../etc/passwd", "alice\x00", "alice\n", `{"$ne":null}`} {
			if r := g.client().tryLogin(name, alice); r.StatusCode != 401 && r.StatusCode != 400 {
				t.Errorf("%q: %s", name, r.Status)
			}
		}
	})
	g.client().login("alice")
}

// TestLG58LoginPageEscapes: what a stranger puts into a link is text there.
func TestLG58LoginPageEscapes(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	b := g.browser()
	for _, r := range []reply{
		b.get(`/auth/login?rd=` + url.QueryEscape(`/"><svg onload=1>`) + `&error=<b>`),
		b.get(`/auth/login?rd=` + url.QueryEscape(`"><svg onload=1>`) + `&username=` + url.QueryEscape(`"><script>alert(1)</script>`)),
		b.postForm("/auth/login", url.Values{"username": {`"><script>alert(1)</script>`}, "password": {"x"}, "rd": {`/"><svg onload=1>`}}),
	} {
		for _, bad := range []string{"<script>alert(1)</script>", "<svg onload", "<b>"} {
			if strings.Contains(r.body, bad) {
				t.Errorf("the page holds %s:\n%s", bad, r.body)
			}
		}
		policy := r.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("Content-Security-Policy: %q", policy)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(r.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("X-Content-Type-Options %q, Cache-Control %q", r.Header.Get("X-Content-Type-Options"), r.Header.Get("Cache-Control"))
		}
	}
}

// TestLG60CookieAttributes reads the Set-Cookie lines of a login at a site that
// browsers see over https.
func TestLG60CookieAttributes(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := prepare(t, strings.NewReplacer("{UPSTREAM}", up.addr, "http://gw.test", "https://gw.test").Replace(corpusPolicy))
	g.addUser("alice", "user")
	g.start()
	c := g.hosted("gw.test")
	r := c.postJSON("/auth/login", map[string]string{"username": "alice", "password": passwordOf("alice"), "mode": "cookie"}).want(t, 200, "login")
	if got := c.tokens(r); got.RefreshToken != "" || got.AccessToken == "" {
		t.Errorf("in cookie mode the body holds the refresh token %q and the access token %q", got.RefreshToken, got.AccessToken)
	}
	found := 0
	for _, cookie := range r.Cookies() {
		path := map[string]string{"__Host-postern": "/", "__Secure-postern_refresh": "/auth/refresh"}[cookie.Name]
		if path == "" {
			continue
		}
		found++
		if !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != path || cookie.Domain != "" {
			t.Errorf("%s: Secure %v, HttpOnly %v, SameSite %v, Path %s, Domain %q", cookie.Name, cookie.Secure, cookie.HttpOnly, cookie.SameSite, cookie.Path, cookie.Domain)
		}
		if week := 7 * 24 * 3600; cookie.MaxAge < week-60 || cookie.MaxAge > week {
			t.Errorf("%s lives %d s, want as long as the refresh token", cookie.Name, cookie.MaxAge)
		}
	}
	if found != 2 {
		t.Errorf("cookies %v, want __Host-postern and __Secure-postern_refresh", r.Cookies())
	}
}

// TestLG57NoTokenInAURL follows a browser through everything it is sent to.
func TestLG57NoTokenInAURL(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  access_token: { ttl: 2s }\n")
	b := g.browser()
	b.loginForm("alice")
	secrets := []string{b.cookie("/", "postern"), b.cookie("/auth/refresh", "postern_refresh")}
	time.Sleep(2 * time.Second)
	next := "/app/home?x=1"
	for hop := 0; ; hop++ {
		r := b.get(next)
		for _, secret := range secrets {
			if strings.Contains(r.location(), secret) {
				t.Errorf("Location: %s", r.location())
			}
		}
		if r.StatusCode == 200 {
			break
		}
		// On a slow machine a fresh token may be over again when it is used.
		if next = r.location(); next == "" || hop > 20 {
			t.Fatalf("after %d hops: %s", hop, r.Status)
		}
	}
	if b.cookie("/", "postern") == secrets[0] {
		t.Error("the access token was not refreshed")
	}
}

// TestIL07MeTellsNoSecret reads the caller's own account.
func TestIL07MeTellsNoSecret(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	c := g.client()
	got := c.login("alice")
	r := c.get("/auth/me", bearer(got.AccessToken)).want(t, 200, "me")
	for _, bad := range []string{got.AccessToken, got.RefreshToken, "$argon2", "password"} {
		if strings.Contains(r.body, bad) {
			t.Errorf("me tells %s: %s", bad, r.body)
		}
	}
	var me struct {
		ID, Username, Email string
		Roles               []string
	}
	if err := json.Unmarshal([]byte(r.body), &me); err != nil || me.Username != "alice" || me.ID != got.User.ID || me.Email != "alice@example.com" {
		t.Errorf("me is %s", r.body)
	}
	if id := r.Header.Get("X-Request-Id"); id == "" {
		t.Error("an answer without X-Request-Id")
	}
}

// TestIL09TokensAreNotStored: no cache on the way keeps an answer of ours.
func TestIL09TokensAreNotStored(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	c := g.client()
	login := c.tryLogin("alice", passwordOf("alice")).want(t, 200, "login")
	refused, page := c.get("/app/home").want(t, 401, "no token"), g.browser().get("/auth/login")
	for what, r := range map[string]reply{"login": login, "a refusal": refused, "the login page": page} {
		if !strings.Contains(r.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("%s: Cache-Control %q", what, r.Header.Get("Cache-Control"))
		}
		for _, name := range []string{"Server", "X-Powered-By", "Via"} {
			if r.Header.Get(name) != "" {
				t.Errorf("IL-11: %s says %s: %s", what, name, r.Header.Get(name))
			}
		}
	}
}

// TestIL03OneEventIsOneLine: a log that a name could write into is no witness.
func TestIL03OneEventIsOneLine(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	g.client().tryLogin("x\nlevel=info msg=\"login ok\" user=root\x1b[2J", "guess-guess")
	g.client().get("/public/x", "User-Agent: Mozilla\" msg=\"audit", "X-Request-Id: a b\tc")
	eventually(t, "two access lines", func() bool { return len(g.entries("request")) >= 2 })
	if log := g.stdout.String(); strings.Contains(log, "\x1b") {
		t.Error("the log holds a raw escape")
	}
	for _, e := range g.entries("audit") { // each line was parsed as JSON
		if e["event"] == "login" {
			t.Errorf("a failed login was logged as %v", e)
		}
	}
}

// TestLoginPageWorksWithoutJavaScript finds what a person needs in the page.
func TestLoginPageWorksWithoutJavaScript(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	b := g.browser()
	r := b.get("/app/home?a=1&b=2").want(t, 303, "a page")
	page := b.get(r.location()).want(t, 200, "the login page")
	for _, want := range []string{`method="post"`, `name="username"`, `name="password"`, `type="password"`, `autocomplete="current-password"`, `name="rd"`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if !strings.Contains(html.UnescapeString(page.body), "/app/home?a=1&b=2") {
		t.Error("the page does not know the way back")
	}
	if strings.Contains(page.body, "<script") {
		t.Error("the page has a script")
	}
	done := b.postForm("/auth/login", url.Values{"username": {"alice"}, "password": {passwordOf("alice")}, "rd": {"/app/home?a=1&b=2"}})
	if done.want(t, 303, "login").location() != "/app/home?a=1&b=2" {
		t.Errorf("sent to %q", done.location())
	}
	b.get(done.location()).want(t, 200, "the page")
}

// BenchmarkLoginOutcomes is what a stranger with a stop watch sees of the ways
// to fail a login, by HTTP: read it with -benchtime 500x. They take turns;
// spread is how far the medians are apart, in percent.
func BenchmarkLoginOutcomes(b *testing.B) {
	up := newRecorder(b)
	g := prepare(b, strings.NewReplacer("{UPSTREAM}", up.addr, "http://gw.test", "{URL}", "hosts: [gw.test]", "", "attempts: 1000", "attempts: 10000").Replace(corpusPolicy))
	g.addUser("alice", "user")
	g.addUser("dave", "user")
	mustRun(b, g.dir, "", "user", "disable", "dave", "--config", "gateway.yaml")
	g.start()
	c := g.client()
	ways := []struct{ name, user, password string }{
		{"unknown-ms", "nobody", passwordOf("dave")}, {"wrong-ms", "alice", passwordOf("dave")}, {"disabled-ms", "dave", passwordOf("dave")},
	}
	took := make([][]time.Duration, len(ways))
	for b.Loop() {
		for i, way := range ways {
			began := time.Now()
			r := c.tryLogin(way.user, way.password)
			took[i] = append(took[i], time.Since(began))
			r.want(b, 401, way.name)
		}
	}
	var medians []float64
	for i, way := range ways {
		slices.Sort(took[i])
		median := took[i][len(took[i])/2].Seconds() * 1000
		medians = append(medians, median)
		b.ReportMetric(median, way.name)
	}
	least, most := slices.Min(medians), slices.Max(medians)
	b.ReportMetric(100*(most-least)/least, "spread-%")
}
