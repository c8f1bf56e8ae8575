package web

import (
	"html"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// open lets strangers register.
func open(s *setup) { s.auth.Registration.Enabled = true }

const bobsBody = `{"username":"bob","email":"bob@example.com","name":"Bob","password":"bobs-long-password"}`

func TestARegistrationAnswersAsALoginDoesWith201(t *testing.T) {
	s := newSite(t, open, phone)
	a := s.ask("POST", "/auth/register", asJSON(`{"username":"bob","email":"bob@example.com","password":"bobs-long-password","fields":{"phone":"1"},"unknown":1}`)).want(t, 201, "")
	if a.Header.Get("Cache-Control") != "no-store" || a.text(t, "token_type") != "Bearer" || len(a.Cookies()) != 0 {
		t.Error(a.body, a.Header)
	}
	user, _ := a.object(t)["user"].(map[string]any)
	if user["username"] != "bob" || user["email"] != "bob@example.com" {
		t.Error(a.body)
	}
	me := s.ask("GET", "/auth/me", bearer(a.text(t, "access_token"))).want(t, 200, "")
	if !strings.Contains(me.body, `"roles":["user"]`) || !strings.Contains(me.body, `"phone":"1"`) {
		t.Error(me.body)
	}
	s.refreshed(a.text(t, "refresh_token"))
	s.login("bob@example.com", "bobs-long-password")
}

func TestARegistrationDeliversAsItsModeSays(t *testing.T) {
	s := newSite(t, open)
	for mode, cookies := range map[string]int{"cookie": 2, "refresh_cookie": 1} {
		a := s.ask("POST", "/auth/register", asJSON(`{"username":"`+mode+`","password":"a-long-password","mode":"`+mode+`"}`)).want(t, 201, "")
		if len(a.Cookies()) != cookies || a.text(t, "refresh_token") != "" || !s.alive(a.text(t, "access_token")) {
			t.Errorf("%s: %s %v", mode, a.body, a.Cookies())
		}
	}
	s.ask("POST", "/auth/register", asJSON(`{"username":"x","password":"a-long-password","mode":"memory"}`)).want(t, 400, "bad_request")
}

func TestAFormRegistersAndGoesToThePage(t *testing.T) {
	s := newSite(t, open, phone)
	a := s.ask("POST", "/auth/register", navigation, asForm("email", "bob@example.com", "username", "", "name", "Bob", "password", "bobs-long-password",
		"rd", "/app/home", "fields.phone", "+44 1", "fields.tags", "")).want(t, 303, "")
	if a.Header.Get("Location") != "/app/home" {
		t.Error(a.Header.Get("Location"))
	}
	me := s.ask("GET", "/auth/me", cookie("postern", a.value(t, "postern"))).want(t, 200, "")
	if me.text(t, "username") != "bob@example.com" || !strings.Contains(me.body, `"fields":{"phone":"+44 1"}`) {
		t.Error(me.body)
	}
	a.value(t, "postern_refresh")
	elsewhere := s.ask("POST", "/auth/register", asForm("username", "eve", "password", "eves-long-password", "rd", "//evil.test/")).want(t, 303, "")
	if elsewhere.Header.Get("Location") != "/" {
		t.Errorf("an open redirect to %s", elsewhere.Header.Get("Location"))
	}
}

func TestWhatIsWrongWithARegistrationIsSaidByField(t *testing.T) {
	s := newSite(t, open, phone)
	for _, test := range []struct {
		body   string
		status int
		code   string
		fields []string
	}{
		{`{}`, 422, "invalid", []string{"username", "password"}},
		{`{"username":"","email":"x","password":"short"}`, 422, "invalid", []string{"email", "password"}},
		{`{"username":"a@b","email":"x@example.com","name":"a\nb","password":"short","roles":["admin"],"fields":{"tenant":"x","no":1}}`, 422, "invalid",
			[]string{"username", "name", "password", "roles", "fields.tenant", "fields.no"}},
		{`{"username":"ALICE","password":"a-long-password"}`, 409, "conflict", []string{"username"}},
		{`{"username":"bob","email":"Alice@Example.com","password":"a-long-password"}`, 409, "conflict", []string{"email"}},
		{`{"email":"alice@example.com","password":"a-long-password"}`, 409, "conflict", []string{"email"}},
		{`{"username":1,"password":"a-long-password"}`, 400, "bad_request", []string{"username"}},
		{`{"username":"bob","password":"a-long-password","roles":"admin"}`, 400, "bad_request", []string{"roles"}},
		{`{"username":"bob","password":"a-long-password","roles":["user",1]}`, 400, "bad_request", []string{"roles"}},
		{`{"username":"bob","password":"a-long-password","roles":null}`, 400, "bad_request", []string{"roles"}},
		{`{"username":"bob","password":"a-long-password","fields":[]}`, 400, "bad_request", []string{"fields"}},
		{`{"username":"bob","username":"eve","password":"a-long-password"}`, 400, "bad_request", nil},
		{`[]`, 400, "bad_request", nil},
	} {
		a := s.ask("POST", "/auth/register", asJSON(test.body)).want(t, test.status, test.code)
		if strings.Count(a.body, `"field":`) != len(test.fields) {
			t.Errorf("%s: %s", test.body, a.body)
		}
		for _, field := range test.fields {
			if !strings.Contains(a.body, `"field":"`+field+`"`) {
				t.Errorf("%s: not a word about %s: %s", test.body, field, a.body)
			}
		}
	}
	s.ask("POST", "/auth/register", body("text/plain", bobsBody)).want(t, 415, "unsupported_media_type")
	s.ask("POST", "/auth/register", asJSON(strings.Repeat(" ", maxBody+1))).want(t, 413, "too_large")
	if n, err := s.store.CountAccounts(t.Context()); n != 1 || err != nil {
		t.Errorf("%d accounts, %v", n, err)
	}
}

func TestRolesComeFromTheBodyOnlyWhereTheyMay(t *testing.T) {
	s := newSite(t, open, func(s *setup) {
		s.auth.Roles, s.auth.Registration.AllowRoles = []string{"user", "author", "admin"}, []string{"author"}
	})
	ask := func(name, roles string) answer {
		return s.ask("POST", "/auth/register", asJSON(`{"username":"`+name+`","password":"a-long-password","roles":`+roles+`}`))
	}
	if a := ask("author", `["author"]`).want(t, 201, ""); !strings.Contains(a.body, `"roles":["author"]`) {
		t.Error(a.body)
	}
	if a := ask("member", `["user"]`).want(t, 201, ""); !strings.Contains(a.body, `"roles":["user"]`) {
		t.Error(a.body)
	}
	for _, roles := range []string{`["admin"]`, `["author","admin"]`, `["author,admin"]`} {
		ask("eve", roles).want(t, 422, "invalid")
	}
	s.ask("POST", "/auth/register", asForm("username", "eve", "password", "a-long-password", "roles", "author, admin")).want(t, 422, "invalid")
	a := s.ask("POST", "/auth/register", asForm("username", "eve", "password", "a-long-password", "roles", "author, user")).want(t, 303, "")
	if me := s.ask("GET", "/auth/me", cookie("postern", a.value(t, "postern"))); !strings.Contains(me.body, `["author","user"]`) {
		t.Error(me.body)
	}
}

func TestARegistrationThatIsOffIsNoEndpoint(t *testing.T) {
	s := newSite(t)
	none := s.ask("POST", "/auth/no-such-endpoint", asJSON(bobsBody)).want(t, 404, "no_route")
	for _, method := range []string{"GET", "POST", "PUT"} {
		if a := s.ask(method, "/auth/register", asJSON(bobsBody)).want(t, 404, "no_route"); a.body != none.body {
			t.Errorf("%s can be told from nothing: %s", method, a.body)
		}
	}
	if page := s.ask("GET", "/auth/login", navigation); strings.Contains(page.body, "/auth/register") {
		t.Error("the login page leads to it")
	}
}

func TestThePagesOfLoginAndRegistrationLeadToEachOther(t *testing.T) {
	s := newSite(t, open)
	page := s.ask("GET", "/auth/login?rd=/app/%3Fa=b", navigation).want(t, 200, "")
	if !strings.Contains(html.UnescapeString(page.body), `href="/auth/register?rd=%2fapp%2f%3fa%3db"`) {
		t.Errorf("no way to register that comes back: %s", page.body)
	}
	page = s.ask("GET", "/auth/register?rd=/app/", navigation).want(t, 200, "")
	for _, want := range []string{`<form method="post" action="/auth/register">`, `name="rd" value="/app/"`, `name="password"`, `href="/auth/login?rd=%2fapp%2f"`, "<h1>Make an account</h1>"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page.body, "<script") {
		t.Error("the page needs a script")
	}
	if evil := s.ask("GET", "/auth/register?rd=//evil.test", navigation); strings.Contains(evil.body, "evil") {
		t.Error("the page leads elsewhere")
	}
	p := s.loginCookies()
	if welcome := s.ask("GET", "/auth/register", navigation, cookie("postern", p.access)).want(t, 200, ""); !strings.Contains(welcome.body, "You are logged in") {
		t.Error(welcome.body)
	}
}

func TestAFaultyFormComesBackWithWhatWasTypedButThePassword(t *testing.T) {
	s := newSite(t, open)
	a := s.ask("POST", "/auth/register", navigation, asForm("email", `"><script>alert(1)</script>`, "username", "alice", "name", "Bob <b>", "password", "sh0rt", "rd", "/app/")).want(t, 422, "")
	for _, want := range []string{`id="email-fault"`, "It must look like name@example.com.", "It must be at least 8 characters.", `value="alice"`, `value="Bob &lt;b&gt;"`, `value="/app/"`, `role="alert"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %s: %s", want, a.body)
		}
	}
	if strings.Contains(a.body, "sh0rt") || strings.Contains(a.body, "<script") {
		t.Error("the page tells the password, or runs what was typed")
	}
	a = s.ask("POST", "/auth/register", navigation, asForm("username", "eve", "password", "a-long-password", "roles", "admin", "fields.shoe", "9")).want(t, 422, "")
	if !strings.Contains(html.UnescapeString(a.body), `roles: "admin" cannot be had by registering.`) || !strings.Contains(html.UnescapeString(a.body), "fields.shoe: is no field") {
		t.Error(a.body)
	}
	a = s.ask("POST", "/auth/register", navigation, asForm("username", "alice", "password", "a-long-password")).want(t, 409, "")
	if !strings.Contains(a.body, "It is taken.") {
		t.Error(a.body)
	}
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || a.Header.Get("Cache-Control") != "no-store" {
		t.Error(a.Header)
	}
}

func TestTooManyRegistrationsAreRateLimited(t *testing.T) {
	s := newSite(t, open, func(s *setup) { s.auth.Lockout = auth.Lockout{Attempts: 1, Window: time.Minute, Duration: time.Minute} })
	taken := asJSON(`{"username":"alice","password":"a-long-password"}`)
	for range 40 {
		s.ask("POST", "/auth/register", taken).want(t, 409, "conflict")
	}
	a := s.ask("POST", "/auth/register", taken).want(t, 429, "rate_limited")
	if a.Header.Get("Retry-After") == "" {
		t.Error(a.Header)
	}
	page := s.ask("POST", "/auth/register", navigation, asForm("username", "eve", "password", "a-long-password")).want(t, 429, "")
	if !strings.Contains(page.body, "too many requests") {
		t.Error(page.body)
	}
	s.alice()
	s.address = "192.0.2.8"
	s.ask("POST", "/auth/register", asJSON(bobsBody)).want(t, 201, "")
}

func TestAStoreThatIsAwayRegistersNobodyAndSaysSo(t *testing.T) {
	s := newSite(t, open)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	a := s.ask("POST", "/auth/register", asJSON(bobsBody)).want(t, http.StatusServiceUnavailable, "unavailable")
	if strings.Contains(a.body, "sql") || strings.Contains(s.log.String(), "bobs-long-password") {
		t.Errorf("%s\n%s", a.body, s.log)
	}
}
