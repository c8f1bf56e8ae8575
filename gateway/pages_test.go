package gateway

import (
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/posternhq/postern/policy"
)

const wantsPage = "Accept: text/html"

// Somebody logs out in one tab and sends a form in the other.
func TestAFormWithoutALoginIsToldSoAndLedToOne(t *testing.T) {
	s := newStack(t)
	r := s.send("POST", "/app/save", "a=b", wantsPage, "Referer: http://gw.test/app/form?id=7", "Content-Type: application/x-www-form-urlencoded")
	r.wants(t, 401, "")
	r.notAsked(t)
	for _, want := range []string{`href="/auth/login?rd=%2Fapp%2Fform%3Fid%3D7"`, "What you sent was not taken"} {
		if !strings.Contains(r.body, want) {
			t.Errorf("the page lacks %s:\n%s", want, r.body)
		}
	}
	s.send("POST", "/app/save", "a=b").wants(t, 401, "token_missing") // a program's answer stays
}

func TestThePageOfARefusalNamesOnlyAProvenAccount(t *testing.T) {
	s := newStack(t)
	alice := s.token("alice")
	r := s.get("/admin/panel", wantsPage, cookie(alice))
	r.wants(t, 403, "")
	if !strings.Contains(r.body, "You are logged in as <strong>alice</strong>.") || !strings.Contains(r.body, `href="/auth/logout"`) {
		t.Errorf("the wrong account has no way out:\n%s", r.body)
	}
	if r := s.get("/admin/panel", cookie(alice)); strings.Contains(r.body, "alice") {
		t.Errorf("the document names somebody: %s", r.body)
	}
	if r := s.send("POST", "/admin/panel", "", wantsPage, cookie(alice[:len(alice)-4])); strings.Contains(r.body, "alice") {
		t.Errorf("a forged token is a login:\n%s", r.body)
	}
}

func TestAnApplicationThatIsAwayCanBeTriedAgain(t *testing.T) {
	s := newStack(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	s.upstreamURL("http://"+l.Addr().String(), nil)
	r := s.get("/public/x?a=1", wantsPage)
	r.wants(t, 502, "")
	if !strings.Contains(r.body, `href="/public/x?a=1">Try again</a>`) || !strings.Contains(r.body, `href="/"`) {
		t.Error(r.body)
	}
	if r := s.send("POST", "/public/x", "a=1", wantsPage); strings.Contains(r.body, "Try again</a>") {
		t.Error("a link would send a POST's address as a GET")
	}
}

// The login page says "you are logged in" to somebody who is; where a password
// must be a fresh one, that would be a circle.
func TestAPersonWithAnOldPasswordCanGiveItAgain(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.policy.Routes = []policy.Route{{Path: "/app/**", Allow: []policy.Rule{{Authenticated: true, MaxAge: 600e9}}}}
		c.auth.AccessToken.TTL = 3600e9
	})
	token := s.token("alice")
	s.later(11 * 60e9)
	r := s.get("/app/pay?x=1", cookie(token), wantsPage)
	r.wants(t, 303, "")
	to := r.Header.Get("Location")
	r = s.get(to, cookie(token), wantsPage)
	r.wants(t, 200, "")
	for _, want := range []string{`name="password"`, `name="rd" value="/app/pay?x=1"`, `value="alice"`, "once more"} {
		if !strings.Contains(r.body, want) {
			t.Fatalf("%s lacks %s:\n%s", to, want, r.body)
		}
	}
	form := url.Values{"username": {"alice"}, "password": {testPassword}, "rd": {"/app/pay?x=1"}}.Encode()
	r = s.send("POST", "/auth/login", form, cookie(token), wantsPage, "Origin: http://gw.test", "Content-Type: application/x-www-form-urlencoded")
	r.wants(t, 303, "")
	for _, c := range r.Cookies() {
		if c.Name == "postern" {
			s.get("/app/pay?x=1", cookie(c.Value)).wants(t, 200, "")
			return
		}
	}
	t.Error("no new login")
}
