package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

func TestALoginAnswersTokensAndTheAccount(t *testing.T) {
	s := newSite(t)
	a := s.ask("POST", "/auth/login", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(t, 200, "")
	o := a.object(t)
	if o["token_type"] != "Bearer" || o["expires_in"] != 900.0 || o["access_token"] == "" || o["refresh_token"] == "" {
		t.Errorf("%s", a.body)
	}
	user, _ := o["user"].(map[string]any)
	for name, want := range map[string]any{"username": "alice", "email": "alice@example.com", "name": "Dear alice"} {
		if user[name] != want {
			t.Errorf("user.%s is %v, want %v", name, user[name], want)
		}
	}
	if roles, _ := user["roles"].([]any); len(roles) != 1 || roles[0] != "user" || user["id"] == "" {
		t.Errorf("user is %v", user)
	}
	if _, there := user["fields"]; there {
		t.Error("the account in an answer with tokens has fields")
	}
	if len(a.Cookies()) != 0 {
		t.Errorf("a login without mode set cookies: %v", a.Header["Set-Cookie"])
	}
}

func TestAnAnswerWithATokenIsNoStore(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	for name, a := range map[string]answer{
		"login":    s.ask("POST", "/auth/login", asJSON(`{"username":"alice","password":"`+alicePassword+`","mode":"cookie"}`)),
		"form":     s.ask("POST", "/auth/login", asForm("username", "alice", "password", alicePassword)),
		"refresh":  s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`)),
		"password": s.ask("POST", "/auth/me/password", bearer(p.access), asJSON(`{"current":"`+alicePassword+`","new":"another-password"}`)),
	} {
		if a.StatusCode >= 400 || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, Cache-Control %q", name, a.StatusCode, a.Header.Get("Cache-Control"))
		}
	}
}

func TestTheEmailMayStandForTheUsername(t *testing.T) {
	s := newSite(t)
	for _, body := range []string{
		`{"email":"alice@example.com","password":"` + alicePassword + `"}`,
		`{"username":"alice@example.com","password":"` + alicePassword + `"}`,
		`{"username":"","email":"ALICE@example.com","password":"` + alicePassword + `","unknown":{"is":["ignored"]}}`,
	} {
		s.ask("POST", "/auth/login", asJSON(body)).want(t, 200, "")
	}
	s.ask("POST", "/auth/login", asForm("email", "alice@example.com", "password", alicePassword)).want(t, 303, "")
}

func TestModeCookieKeepsTheRefreshTokenOutOfTheBody(t *testing.T) {
	s := newSite(t)
	a := s.ask("POST", "/auth/login", asJSON(`{"username":"alice","password":"`+alicePassword+`","mode":"cookie"}`)).want(t, 200, "")
	if a.text(t, "access_token") != a.value(t, "postern") {
		t.Error("the body's access token is not the cookie's")
	}
	if refresh := a.value(t, "postern_refresh"); strings.Contains(a.body, refresh) || strings.Contains(a.body, "refresh_token") {
		t.Errorf("the refresh token is in the body: %s", a.body)
	}
}

func TestModeRefreshCookieSetsTheRefreshCookieOnly(t *testing.T) {
	s := newSite(t)
	a := s.ask("POST", "/auth/login", asJSON(`{"username":"alice","password":"`+alicePassword+`","mode":"refresh_cookie"}`)).want(t, 200, "")
	if a.cookie(t, "postern") != nil || a.value(t, "postern_refresh") == "" || a.text(t, "access_token") == "" || a.text(t, "refresh_token") != "" {
		t.Errorf("%v %s", a.Header["Set-Cookie"], a.body)
	}
}

func TestAnUnknownModeIsRefused(t *testing.T) {
	s := newSite(t)
	s.ask("POST", "/auth/login", asJSON(`{"username":"alice","password":"x","mode":"cookies"}`)).want(t, 400, "bad_request")
}

func TestAFormLogsInWithCookiesAndReturns(t *testing.T) {
	s := newSite(t)
	a := s.ask("POST", "/auth/login", navigation, asForm("username", "alice", "password", alicePassword, "rd", "/app/x?y=1")).want(t, 303, "")
	if got := a.Header.Get("Location"); got != "/app/x?y=1" {
		t.Errorf("Location %s", got)
	}
	if !s.alive(a.value(t, "postern")) || a.value(t, "postern_refresh") == "" {
		t.Error("no working cookies")
	}
	if a.body != "" {
		t.Errorf("body %q", a.body)
	}
}

// LG-57
func TestLG57TokensAreNeverInALocation(t *testing.T) {
	s := newSite(t)
	a := s.ask("POST", "/auth/login", asForm("username", "alice", "password", alicePassword, "rd", "/app"))
	p := pair{a.value(t, "postern"), a.value(t, "postern_refresh")}
	b := s.ask("GET", "/auth/refresh?rd=/app", s.cookies(p)).want(t, 303, "")
	for _, location := range []string{a.Header.Get("Location"), b.Header.Get("Location")} {
		if location != "/app" {
			t.Errorf("Location %q", location)
		}
	}
}

func TestAProgramsFailedLoginIsTheSameForUnknownWrongAndDisabled(t *testing.T) {
	s := newSite(t)
	bob := s.add("bob", "bobs-long-password", "user")
	disabled := true
	if _, err := s.service.SetAccount(t.Context(), bob.ID, change(&disabled), auth.Actor{By: "test"}); err != nil {
		t.Fatal(err)
	}
	var bodies []string
	for _, credentials := range []string{
		`{"username":"nobody","password":"bobs-long-password"}`,
		`{"username":"alice","password":"bobs-long-password"}`,
		`{"username":"bob","password":"bobs-long-password"}`,
	} {
		a := s.ask("POST", "/auth/login", asJSON(credentials)).want(t, 401, "invalid_credentials")
		if len(a.Cookies()) != 0 {
			t.Error("a failed login set a cookie")
		}
		bodies = append(bodies, a.body)
	}
	if bodies[0] != bodies[1] || bodies[1] != bodies[2] {
		t.Errorf("they can be told apart: %q", bodies)
	}
}

// LG-19
func TestLG19MetacharactersInAUsernameAreJustAWrongName(t *testing.T) {
	s := newSite(t)
	for i, name := range []string{`alice' OR '1'='1`, `*)(uid=*`, `%s%n`, `${jndi:ldap://x}`, `../../etc/passwd`} {
		s.address = "192.0.2." + string(rune('1'+i))
		s.ask("POST", "/auth/login", asForm("username", name, "password", alicePassword)).want(t, 401, "invalid_credentials")
	}
}

// LG-17
func TestLG17DuplicateAndCaseVariantMembersNeverLogIn(t *testing.T) {
	s := newSite(t)
	s.add("root", rootPassword, "admin")
	for _, body := range []string{
		`{"username":"alice","username":"root","password":"` + rootPassword + `"}`,
		`{"username":"alice","password":"x","password":"` + alicePassword + `"}`,
		`{"Username":"root","password":"` + rootPassword + `"}`,
		`{"username":"root","PASSWORD":"` + rootPassword + `"}`,
	} {
		s.ask("POST", "/auth/login", asJSON(body)).want(t, 400, "bad_request")
	}
	s.ask("POST", "/auth/login", body("application/x-www-form-urlencoded", "username=alice&username=root&password="+rootPassword)).want(t, 400, "bad_request")
}

// LG-15
func TestLG15AMebibyteOfPasswordIsTooLarge(t *testing.T) {
	s := newSite(t)
	long := `{"username":"alice","password":"` + strings.Repeat("a", 1<<20) + `"}`
	if a := s.ask("POST", "/auth/login", asJSON(long)).want(t, 413, "too_large"); a.Header.Get("Connection") != "close" {
		t.Error("the rest of the body would be read as a request")
	}
	chunked := func(r *http.Request) { r.ContentLength, r.TransferEncoding = -1, []string{"chunked"} }
	s.ask("POST", "/auth/login", asJSON(long), chunked).want(t, 413, "too_large")
}

// RS-08
func TestRS08ADeclaredLengthOverTheLimitIsRefusedUnread(t *testing.T) {
	s := newSite(t)
	s.ask("POST", "/auth/login", asJSON("{}"), func(r *http.Request) {
		r.ContentLength, r.Body = 1<<30, unreadable{t}
	}).want(t, 413, "too_large")
}

type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) { u.t.Error("the body was read"); return 0, nil }
func (u unreadable) Close() error             { return nil }

func TestTheLargestBodyIs64KiB(t *testing.T) {
	s := newSite(t)
	frame := `{"username":"alice","password":"` + alicePassword + `","pad":""}`
	pad := func(size int) with {
		return asJSON(strings.Replace(frame, `"pad":"`, `"pad":"`+strings.Repeat("x", size-len(frame)), 1))
	}
	s.ask("POST", "/auth/login", pad(64<<10)).want(t, 200, "")
	s.ask("POST", "/auth/login", pad(64<<10+1)).want(t, 413, "too_large")
}

// LG-21, and multipart, which a cross-site form can send as well.
func TestLG21OtherContentTypesAreRefused(t *testing.T) {
	s := newSite(t)
	credentials := `{"username":"alice","password":"` + alicePassword + `"}`
	for _, media := range []string{"text/plain", "multipart/form-data; boundary=x", "application/xml", "application/jsonp",
		"application/json; charset=iso-8859-1", "application/json, text/plain", "nonsense;;", "application/merge-patch+json"} {
		if a := s.ask("POST", "/auth/login", body(media, credentials)).want(t, 415, "unsupported_media_type"); len(a.Cookies()) != 0 {
			t.Errorf("%s set cookies", media)
		}
	}
	s.ask("POST", "/auth/login", asJSON(credentials), func(r *http.Request) { r.Header.Del("Content-Type") }).want(t, 415, "unsupported_media_type")
	s.ask("POST", "/auth/login", asJSON(credentials), header("Content-Encoding", "gzip")).want(t, 415, "unsupported_media_type")
	for _, media := range []string{"application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"} {
		s.ask("POST", "/auth/login", body(media, credentials)).want(t, 200, "")
	}
}

func TestTooManyFailedLoginsAreToldWhenToTryAgain(t *testing.T) {
	s := newSite(t)
	wrong := asForm("username", "alice", "password", "wrong-password", "rd", "/app")
	for range 5 {
		s.ask("POST", "/auth/login", wrong).want(t, 401, "invalid_credentials")
	}
	a := s.ask("POST", "/auth/login", asForm("username", "alice", "password", alicePassword)).want(t, 429, "locked")
	if seconds := a.Header.Get("Retry-After"); seconds == "" || seconds == "0" {
		t.Errorf("Retry-After %q", seconds)
	}
	page := s.ask("POST", "/auth/login", navigation, wrong).want(t, 429, "")
	if !strings.Contains(page.body, "Try again in 15 minutes") || page.Header.Get("Retry-After") == "" {
		t.Errorf("the page does not say when: %s", page.body)
	}
	s.later(16 * time.Minute)
	s.ask("POST", "/auth/login", asForm("username", "alice", "password", alicePassword)).want(t, 303, "")
}

// LG-05
func TestLG05TheOwnerLogsInFromElsewhereWhileSomebodyGuesses(t *testing.T) {
	s := newSite(t)
	for range 8 {
		s.ask("POST", "/auth/login", asForm("username", "alice", "password", "wrong-password"))
	}
	s.address = "198.51.100.9"
	s.ask("POST", "/auth/login", asForm("username", "alice", "password", alicePassword)).want(t, 303, "")
}

// MC-22
func TestMC22AGETNeverLogsIn(t *testing.T) {
	s := newSite(t)
	a := s.ask("GET", "/auth/login?username=alice&password="+alicePassword).want(t, 200, "")
	if len(a.Cookies()) != 0 || strings.Contains(a.body, alicePassword) {
		t.Error("credentials of the query were heeded")
	}
}

func TestMissingCredentialsAreNamed(t *testing.T) {
	s := newSite(t)
	for body, field := range map[string]string{`{}`: "username", `{"username":"alice"}`: "password",
		`{"username":["alice"],"password":"x"}`: "username", `{"username":"alice","password":12345678}`: "password"} {
		a := s.ask("POST", "/auth/login", asJSON(body)).want(t, 400, "bad_request")
		if !strings.Contains(a.body, `"field":"`+field+`"`) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
}

func TestAStoreThatIsAwayIs503AndToldToNobody(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]answer{
		"login":    s.ask("POST", "/auth/login", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)),
		"refresh":  s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`)),
		"logout":   s.ask("POST", "/auth/logout", bearer(p.access)),
		"me":       s.ask("GET", "/auth/me", bearer(p.access)),
		"sessions": s.ask("GET", "/auth/sessions", bearer(p.access)),
		"silent":   s.ask("GET", "/auth/refresh?rd=/&anonymous=1", s.cookies(p)),
	} {
		a.want(t, 503, "unavailable")
		if len(a.Cookies()) != 0 {
			t.Errorf("%s changed cookies: the session lives on", name)
		}
		for _, inside := range []string{"sql", "database", "closed"} {
			if strings.Contains(strings.ToLower(a.body), inside) {
				t.Errorf("%s tells of the inside: %s", name, a.body)
			}
		}
	}
	if !strings.Contains(s.log.String(), "req-1") {
		t.Error("the fault is in no log")
	}
	for _, secret := range []string{alicePassword, p.access, p.refresh} {
		if strings.Contains(s.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}
