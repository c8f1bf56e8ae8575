package web

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/auth"
)

func change(disabled *bool) auth.AccountChange { return auth.AccountChange{Disabled: disabled} }

func TestARefreshAnswersAsLoginDoes(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`)).want(t, 200, "")
	if next := a.text(t, "refresh_token"); next == "" || next == p.refresh {
		t.Errorf("refresh token %q", next)
	}
	if !s.alive(a.text(t, "access_token")) || a.object(t)["expires_in"] != 900.0 || len(a.Cookies()) != 0 {
		t.Error(a.body, a.Header)
	}
}

func TestARefreshByCookieAnswersByCookie(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	for name, more := range map[string]with{"no body": func(*http.Request) {}, "empty object": asJSON("{}"), "form": asForm()} {
		a := s.ask("POST", "/auth/refresh", s.cookies(p), more).want(t, 200, "")
		next := pair{a.value(t, "postern"), a.value(t, "postern_refresh")}
		if next.refresh == p.refresh || strings.Contains(a.body, next.refresh) || a.text(t, "access_token") != next.access {
			t.Errorf("%s: %s", name, a.body)
		}
		p = next
	}
}

func TestARefreshByTheRefreshCookieAloneSetsNoAccessCookie(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	a := s.ask("POST", "/auth/refresh", cookie("postern_refresh", p.refresh)).want(t, 200, "")
	if a.cookie(t, "postern") != nil || a.text(t, "access_token") == "" || a.text(t, "refresh_token") != "" {
		t.Error(a.body, a.Header["Set-Cookie"])
	}
	b := s.ask("POST", "/auth/refresh", cookie("postern_refresh", a.value(t, "postern_refresh")), asJSON(`{"mode":"cookie"}`)).want(t, 200, "")
	if b.cookie(t, "postern") == nil {
		t.Error("mode cookie set none")
	}
}

// A sibling subdomain plants a __Secure- refresh cookie of its own and has the
// browser fetch the refresh endpoint, by an image: whoever looks at that page
// would go on in the attacker's session.
func TestAPlantedRefreshCookieFixesNoSession(t *testing.T) {
	s := newSite(t)
	theirs, ours := s.loginCookies(), s.loginCookies()
	planted := cookie("postern_refresh", theirs.refresh)
	for _, site := range []string{"same-site", "cross-site"} {
		a := s.ask("GET", "/auth/refresh?rd=/", planted, header("Sec-Fetch-Site", site)).want(t, 403, "cross_origin")
		if len(a.Cookies()) != 0 {
			t.Errorf("%s: the answer sets %v", site, a.Header["Set-Cookie"])
		}
		s.ask("GET", "/auth/refresh?rd=/", planted, cookie("postern", ours.access), header("Sec-Fetch-Site", site)).want(t, 401, "refresh_invalid")
	}
	// A link from elsewhere to a page here: the browser has both cookies.
	s.ask("GET", "/auth/refresh?rd=/", s.cookies(ours), header("Sec-Fetch-Site", "cross-site")).want(t, 303, "")
	s.ask("GET", "/auth/refresh?rd=/", planted, header("Sec-Fetch-Site", "same-origin")).want(t, 303, "")
}

// SE-01
func TestSE01AReplayAfterTheGraceEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		first := s.alice()
		time.Sleep(time.Minute) // past the start's own grace
		second := s.refreshed(first.refresh)
		time.Sleep(time.Minute)
		third := s.refreshed(second.refresh)
		time.Sleep(time.Minute)
		s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+first.refresh+`"}`)).want(t, 401, "refresh_reused")
		s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+third.refresh+`"}`)).want(t, 401, "refresh_reused")
		if s.alive(third.access) {
			t.Error("the session lives on")
		}
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// refreshed spends a refresh token of the body.
func (s *site) refreshed(token string) pair {
	s.t.Helper()
	a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+token+`"}`)).want(s.t, 200, "")
	return pair{a.text(s.t, "access_token"), a.text(s.t, "refresh_token")}
}

// SE-02
func TestSE02ParallelRefreshesGetOneSuccessor(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	got := make([]string, 20)
	var group sync.WaitGroup
	for i := range got {
		group.Go(func() {
			a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`))
			if a.StatusCode == 200 {
				got[i] = a.text(t, "refresh_token")
			}
		})
	}
	group.Wait()
	for _, token := range got {
		if token == "" || token != got[0] {
			t.Fatalf("more than one successor: %q", got)
		}
	}
}

// SE-03
func TestSE03ARetryAfterALostAnswerGetsTheSameSuccessor(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	if a, b := s.refreshed(p.refresh), s.refreshed(p.refresh); a.refresh != b.refresh {
		t.Error("two successors")
	}
}

// SE-18
func TestSE18ARefreshTakesNoWishes(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`","roles":["admin"],"scope":"admin","expires_in":999999}`)).want(t, 200, "")
	if strings.Contains(a.body, "admin") || a.object(t)["expires_in"] != 900.0 {
		t.Error(a.body)
	}
}

// SE-19
func TestSE19CredentialsOfTwoSessionsAreRefused(t *testing.T) {
	s := newSite(t)
	s.add("root", rootPassword, "admin")
	alice, root := s.alice(), s.login("root", rootPassword)
	token := asJSON(`{"refresh_token":"` + alice.refresh + `"}`)
	s.ask("POST", "/auth/refresh", s.cookies(root), token).want(t, 400, "bad_request")
	s.ask("POST", "/auth/refresh", cookie("postern", root.access), token).want(t, 400, "bad_request")
	s.ask("POST", "/auth/refresh", cookie("postern_refresh", root.refresh), token).want(t, 400, "bad_request")
	s.ask("POST", "/auth/refresh", bearer(root.access), token).want(t, 400, "bad_request")
	s.ask("POST", "/auth/refresh", s.cookies(alice), token).want(t, 200, "")
}

// A sibling subdomain plants its own session's refresh cookie (ZITADEL
// CVE-2026-55672): the access cookie's session must be the same, expired or not.
func TestARefreshCookieOfAnotherSessionThanTheAccessCookieIsRefused(t *testing.T) {
	s := newSite(t)
	s.add("mallory", "mallorys-password", "user")
	alice, mallory := s.alice(), s.login("mallory", "mallorys-password")
	planted := s.cookies(pair{alice.access, mallory.refresh})
	s.ask("POST", "/auth/refresh", planted).want(t, 401, "refresh_invalid")
	s.later(20 * time.Minute)
	s.ask("POST", "/auth/refresh", planted).want(t, 401, "refresh_invalid")
	s.ask("POST", "/auth/refresh", s.cookies(pair{"garbage", mallory.refresh})).want(t, 401, "refresh_invalid")
	s.ask("POST", "/auth/refresh", s.cookies(alice)).want(t, 200, "") // expired, and of the same session
}

func TestARefreshCookieTwiceIsAmbiguous(t *testing.T) {
	s := newSite(t)
	a, b := s.alice(), s.alice()
	s.ask("POST", "/auth/refresh", cookie("postern_refresh", a.refresh), cookie("postern_refresh", b.refresh)).want(t, 400, "bad_request")
}

// SE-20
func TestSE20AnAlteredRefreshTokenIsInvalid(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	for _, token := range []string{p.refresh[:len(p.refresh)-1], p.refresh + "A", strings.ToUpper(p.refresh), p.refresh + "=",
		" " + p.refresh, strings.Replace(p.refresh, ".0.", ".1.", 1) + "x", "x", "...", p.access} {
		a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+token+`"}`))
		if a.StatusCode != 401 || a.text(t, "code") != "refresh_invalid" {
			t.Errorf("%q: %d %s", token, a.StatusCode, a.body)
		}
	}
	s.refreshed(p.refresh) // and none of it harmed the good one
}

// SE-21
func TestSE21AGETWithoutRdRefreshesNothing(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	a := s.ask("GET", "/auth/refresh", s.cookies(p)).want(t, 405, "method_not_allowed")
	if a.Header.Get("Allow") != "POST" || len(a.Cookies()) != 0 {
		t.Error(a.Header)
	}
}

func TestAFailedRefreshByCookieClearsTheCookies(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	a := s.ask("POST", "/auth/refresh", s.cookies(pair{p.access, "forged.0.1.AAAA"})).want(t, 401, "refresh_invalid")
	for _, name := range []string{"postern", "postern_refresh"} {
		if c := a.cookie(t, name); c == nil || c.MaxAge >= 0 {
			t.Errorf("%s stays: %v", name, c)
		}
	}
	if a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"forged"}`)).want(t, 401, "refresh_invalid"); len(a.Cookies()) != 0 {
		t.Error("a program that uses no cookies gets some")
	}
}

// A browser's cookie runs out silently: then nothing comes, and 401 means "log in".
func TestARefreshWithNothingIsInvalid(t *testing.T) {
	newSite(t).ask("POST", "/auth/refresh").want(t, 401, "refresh_invalid")
}

// A client that believes 401 logs its user out, with a good token in its hand.
func TestARefreshWhoseBodyForgetsTheTokenSaysWhatIsMissing(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	for name, b := range map[string]with{"empty": asJSON(`{}`), "another name": asJSON(`{"refreshToken":"` + p.refresh + `"}`), "a form": asForm("token", p.refresh)} {
		a := s.ask("POST", "/auth/refresh", b).want(t, 400, "bad_request")
		if !strings.Contains(a.text(t, "detail"), "refresh_token is missing") || len(a.Cookies()) != 0 {
			t.Errorf("%s: %s %v", name, a.body, a.Cookies())
		}
	}
	s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":""}`)).want(t, 401, "refresh_invalid") // it is there, and bad
	s.ask("POST", "/auth/refresh", asJSON(`{}`), s.cookies(p)).want(t, 200, "")
}

func TestJSONUnderAFormsTypeIsToldSo(t *testing.T) {
	s := newSite(t)
	for path, b := range map[string]string{"/auth/refresh": `{"refresh_token":"` + s.alice().refresh + `"}`, "/auth/login": " \n{\"username\":\"alice\"}"} {
		a := s.ask("POST", path, body("application/x-www-form-urlencoded", b)).want(t, 400, "bad_request")
		if !strings.Contains(a.text(t, "detail"), "Send Content-Type: application/json") {
			t.Error(a.body)
		}
	}
}

func TestAnExpiredRefreshTokenSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		p := s.loginCookies()
		time.Sleep(8 * 24 * time.Hour)
		s.ask("POST", "/auth/refresh", cookie("postern_refresh", p.refresh)).want(t, 401, "refresh_expired")
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestASilentRefreshReturnsWithAFreshCookieAndKeepsTheMethod(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	s.later(20 * time.Minute)
	for method, status := range map[string]int{"GET": 303, "HEAD": 307, "POST": 307, "PUT": 307, "PATCH": 307, "DELETE": 307, "OPTIONS": 307, "PROPFIND": 307} {
		more := with(func(*http.Request) {})
		if status == 307 && method != "HEAD" {
			more = body("multipart/form-data; boundary=x", strings.Repeat("x", 300<<10)) // not this package's to judge
		}
		a := s.ask(method, "/auth/refresh?rd=%2Fapp%2Fsave%3Fa%3D1%2526", s.cookies(p), more).want(t, status, "")
		if got := a.Header.Get("Location"); got != "/app/save?a=1%26" {
			t.Errorf("%s: Location %s", method, got)
		}
		p = pair{a.value(t, "postern"), a.value(t, "postern_refresh")}
		if !s.alive(p.access) || a.body != "" {
			t.Errorf("%s: no fresh access cookie, or a body %q", method, a.body)
		}
	}
}

func TestASilentRefreshLeavesAMarkOfTheTokenItReplaced(t *testing.T) {
	s := newSite(t, https)
	a := s.ask("POST", "/auth/login", asForm("username", "alice", "password", alicePassword))
	p := pair{a.value(t, "__Host-postern"), a.value(t, "__Secure-postern_refresh")}
	c := s.ask("GET", "/auth/refresh?rd=/app", s.cookies(p)).want(t, 303, "").cookie(t, "__Host-postern_retry")
	if c == nil || c.Value != RetryMark(p.access) || c.MaxAge != 10 || c.Path != "/" || !c.HttpOnly || !c.Secure || c.Domain != "" {
		t.Errorf("mark %v", c)
	}
	if strings.Contains(p.access, RetryMark(p.access)) || len(RetryMark(p.access)) != 16 {
		t.Error("the mark tells of the token")
	}
}

func TestAFailedSilentRefreshSendsANavigationToTheLoginPage(t *testing.T) {
	s := newSite(t)
	bad := s.cookies(pair{"x", "forged"})
	a := s.ask("GET", "/auth/refresh?rd=/app?x=1", navigation, bad).want(t, 303, "")
	if got := a.Header.Get("Location"); got != "/auth/login?rd=%2Fapp%3Fx%3D1" {
		t.Errorf("Location %s", got)
	}
	if c := a.cookie(t, "postern"); c == nil || c.MaxAge >= 0 {
		t.Error("the useless cookie stays")
	}
	s.ask("POST", "/auth/refresh?rd=/app", header("Sec-Fetch-Mode", "navigate"), bad).want(t, 303, "") // a page's form
	s.ask("GET", "/auth/refresh?rd=/app", header("Sec-Fetch-Mode", "cors"), bad).want(t, 401, "refresh_invalid")
	s.ask("POST", "/auth/refresh?rd=/app", bad).want(t, 401, "refresh_invalid")
}

func TestAFailedSilentRefreshOfAnOpenPageReturnsAsAnonymous(t *testing.T) {
	s := newSite(t)
	a := s.ask("GET", "/auth/refresh?rd=/public&anonymous=1", navigation, s.cookies(pair{"old", "forged"})).want(t, 303, "")
	if a.Header.Get("Location") != "/public" {
		t.Error(a.Header.Get("Location"))
	}
	if a.cookie(t, "postern").MaxAge >= 0 || a.cookie(t, "postern_refresh").MaxAge >= 0 || a.value(t, "postern_retry") != RetryMark("old") {
		t.Error(a.Header["Set-Cookie"])
	}
}

func TestAGoodAccessCookieSurvivesARefreshThatHadNoRefreshCookie(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	a := s.ask("GET", "/auth/refresh?rd=/app", navigation, cookie("postern", p.access)).want(t, 303, "")
	if len(a.Cookies()) != 0 {
		t.Errorf("a link to the refresh endpoint logs people out: %v", a.Header["Set-Cookie"])
	}
}

func TestABodyIsNotAskedForWhenTheClientWaits(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	s.ask("POST", "/auth/refresh?rd=/app", s.cookies(p), header("Expect", "100-continue"), func(r *http.Request) {
		r.Body, r.ContentLength = unreadable{t}, 10
	}).want(t, 307, "")
}
