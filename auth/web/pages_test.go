package web

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTheLoginPageIsTheGoldenOne(t *testing.T) {
	s := newSite(t)
	a := s.ask("GET", "/auth/login?rd=/app/home", navigation).want(t, 200, "")
	const golden = "testdata/login.html"
	head, rest, _ := strings.Cut(a.body, "<style>")
	_, tail, _ := strings.Cut(rest, "</style>") // the style sheet is the problem package's
	page := head + tail
	if *update {
		if err := os.WriteFile(golden, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if page != string(want) {
		t.Errorf("the page differs from %s (go test -update writes it anew):\n%s", golden, page)
	}
}

func TestTheLoginPageIsUsableByPeopleAndPasswordManagers(t *testing.T) {
	s := newSite(t)
	page := s.ask("GET", "/auth/login").want(t, 200, "").body
	for _, want := range []string{`<label for="username">`, `<label for="password">`, `autocomplete="username"`, `autocomplete="current-password"`,
		` autofocus`, `method="post"`, `<button type="submit">`, `<html lang="en">`, `type="password"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page, "<script") {
		t.Error("the page has a script")
	}
}

func TestPagesAreNeitherStoredNorFramed(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/auth/login", "/auth/logout"} {
		h := s.ask("GET", path).want(t, 200, "").Header
		if h.Get("Cache-Control") != "no-store" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") ||
			!strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; ") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestAFailedFormKeepsTheNameAndTheReturnButNeverThePassword(t *testing.T) {
	s := newSite(t)
	for field, name := range map[string]string{"username": "alice", "email": "nobody@example.com"} {
		a := s.ask("POST", "/auth/login", navigation, asForm(field, name, "password", "a-wrong-secret", "rd", "/app?x=1")).want(t, 401, "")
		for _, want := range []string{`value="` + name + `"`, `name="rd" value="/app?x=1"`, `role="alert"`, "The username or the password is wrong."} {
			if !strings.Contains(a.body, want) {
				t.Errorf("the page lacks %s:\n%s", want, a.body)
			}
		}
		if strings.Contains(a.body, "a-wrong-secret") || len(a.Cookies()) != 0 {
			t.Error("the password is echoed, or a cookie set")
		}
		if a.Header.Get("WWW-Authenticate") != `Bearer realm="postern"` {
			t.Error("a 401 without a challenge")
		}
	}
}

func TestThePageSaysTheSameForUnknownWrongAndDisabled(t *testing.T) {
	s := newSite(t)
	bob := s.add("bob", "bobs-long-password", "user")
	disabled := true
	if _, err := s.service.SetAccount(t.Context(), bob.ID, change(&disabled), auth.Actor{By: "test"}); err != nil {
		t.Fatal(err)
	}
	page := func(name string) string {
		a := s.ask("POST", "/auth/login", navigation, asForm("username", name, "password", "bobs-long-password")).want(t, 401, "")
		return strings.ReplaceAll(a.body, name, "NAME")
	}
	if unknown, wrong, off := page("nobody"), page("alice"), page("bob"); unknown != wrong || wrong != off {
		t.Error("the pages differ")
	}
}

// LG-58
func TestLG58TheLoginPageEscapesWhatStrangersWrite(t *testing.T) {
	s := newSite(t)
	const script = `"><script>alert(1)</script>`
	for _, a := range []answer{
		s.ask("POST", "/auth/login", navigation, asForm("username", script, "password", "x", "rd", script)),
		s.ask("POST", "/auth/login?rd=%22%3E%3Csvg+onload=1%3E", navigation, asForm("username", "'><svg onload=1>", "password", "x")),
		s.ask("GET", "/auth/login?rd=%22%3E%3Csvg+onload=1%3E&error=%3Cb%3E"),
		s.ask("GET", "/auth/login?rd=/%22%3E%3Csvg+onload=1%3E&error=cookies"),
		s.ask("GET", "/auth/logout?rd=%22%3E%3Csvg+onload=1%3E"),
	} {
		for _, no := range []string{"<script", "<svg", "<b>"} {
			if strings.Contains(a.body, no) {
				t.Errorf("%s stands on the page:\n%s", no, a.body)
			}
		}
	}
}

func TestSomeoneLoggedInIsToldSoAndSeesTheWaysOn(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	a := s.ask("GET", "/auth/login?rd=/app", navigation, cookie("postern", p.access)).want(t, 200, "")
	for _, want := range []string{"<strong>alice</strong>", `href="/app"`, `action="/auth/logout"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %s:\n%s", want, a.body)
		}
	}
	s.later(20 * time.Minute)
	if a := s.ask("GET", "/auth/login", cookie("postern", p.access)); !strings.Contains(a.body, `type="password"`) {
		t.Error("an expired login passes for one")
	}
}

func TestCookiesThatDoNotStickAreExplained(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	for _, more := range []with{func(*http.Request) {}, cookie("postern", p.access)} {
		a := s.ask("GET", "/auth/login?error=cookies&rd=/app", more).want(t, 200, "")
		if !strings.Contains(a.body, "does not keep this site&#39;s cookies") || !strings.Contains(a.body, `type="password"`) {
			t.Error(a.body)
		}
	}
}

func TestAPasswordThatIsTooOldIsAskedForOfSomebodyLoggedIn(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	page := s.ask("GET", "/auth/login?rd=/pay&again=1", navigation, cookie("postern", p.access)).want(t, 200, "").body
	for _, want := range []string{`<p role="status">This needs your password once more.</p>`, `value="alice"`, `type="password"`, `name="rd" value="/pay"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
}

func TestPagesOfRefusalsLeadOn(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/auth/nothing", 404, `href="/"`},
		{"GET", "/auth/me/password", 405, `href="/"`},
		{"POST", "/auth/me/password", 401, `href="/auth/login?rd=%2Faccount"`},
	} {
		a := s.ask(test.method, test.path, navigation, header("Referer", "http://gw.test/account")).want(t, test.status, "")
		if !strings.Contains(a.body, test.want) || strings.Contains(a.body, "Allow") || strings.Contains(a.body, "token.") {
			t.Errorf("%s %s:\n%s", test.method, test.path, a.body)
		}
	}
}

func TestAMalformedFormGetsAPageToo(t *testing.T) {
	s := newSite(t)
	a := s.ask("POST", "/auth/login", navigation, body("application/x-www-form-urlencoded", "username=%zz")).want(t, 400, "")
	if !strings.Contains(a.body, "<h1>This request cannot be read</h1>") || !strings.Contains(a.body, "req-1") {
		t.Error(a.body)
	}
	a = s.ask("POST", "/auth/login", navigation, asForm("username", "alice", "rd", "/app")).want(t, 400, "")
	if !strings.Contains(a.body, `value="alice"`) || !strings.Contains(a.body, `role="alert"`) {
		t.Error(a.body)
	}
}

// The whole way of a browser, over a real connection with a real cookie jar.
func TestABrowserLogsInRefreshesAndLogsOut(t *testing.T) {
	s := newSite(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.handler.Owns(r) {
			w.WriteHeader(http.StatusTeapot) // the application
			return
		}
		a := s.ask(r.Method, r.URL.RequestURI(), func(own *http.Request) {
			own.Header, own.Body, own.ContentLength = r.Header, r.Body, r.ContentLength
		})
		for name, values := range a.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(a.StatusCode)
		_, _ = w.Write([]byte(a.body))
	}))
	t.Cleanup(front.Close)
	jar := newJar(t)
	browse := &http.Client{Jar: jar}
	login, err := browse.PostForm(front.URL+"/auth/login", map[string][]string{"username": {"alice"}, "password": {alicePassword}, "rd": {"/app"}})
	if err != nil {
		t.Fatal(err)
	}
	if login.Body.Close() != nil || login.StatusCode != http.StatusTeapot || login.Request.URL.Path != "/app" {
		t.Fatalf("landed at %s with %d", login.Request.URL, login.StatusCode)
	}
	for path, status := range map[string]int{"/auth/refresh?rd=/app": http.StatusTeapot, "/auth/me": 200, "/auth/sessions": 200} {
		res, err := browse.Get(front.URL + path)
		if err != nil || res.Body.Close() != nil || res.StatusCode != status {
			t.Errorf("%s: %v %v", path, res, err)
		}
	}
	out, err := browse.PostForm(front.URL+"/auth/logout", nil)
	if err != nil || out.Body.Close() != nil || out.Request.URL.Path != "/auth/login" {
		t.Fatalf("%v %v", out, err)
	}
	if res, err := browse.Get(front.URL + "/auth/me"); err != nil || res.Body.Close() != nil || res.StatusCode != 401 {
		t.Errorf("after the logout: %v %v", res, err)
	}
}
