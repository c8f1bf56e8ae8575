package web

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// claimsOf reads a token as a frontend does: without a key.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func readAll(r *http.Request) string {
	text, _ := io.ReadAll(r.Body) // a test's own string
	return string(text)
}

// withAliases makes a site with aliases that are written out.
func withAliases(list ...Alias) func(*setup) {
	return func(s *setup) {
		s.web.Aliases = list
		s.auth.Registration = auth.Registration{Enabled: true, DefaultRoles: []string{"user"}}
		s.auth.LongestAccess = s.web.LongestAccess()
	}
}

// signin is a hand-written pair of aliases, as interface.md shows one.
func signin(change ...func(*Alias)) []Alias {
	login := Alias{
		Path: "/api/auth/signin", Method: "POST", Endpoint: "login",
		Request:  []AliasField{{Field: "login", As: "username"}, {Field: "secret.word", As: "password"}},
		Response: []AliasField{{Field: "access_token", As: "data.accessToken"}, {Field: "refresh_token", As: "data.refreshToken"}},
	}
	refresh := Alias{
		Path: "/api/auth/again", Method: "POST", Endpoint: "refresh",
		Request:  []AliasField{{Field: "token", As: "refresh_token"}},
		Response: []AliasField{{Field: "access_token", As: "access"}, {Field: "refresh_token", As: "refresh"}},
	}
	for _, c := range change {
		c(&login)
	}
	return []Alias{login, refresh}
}

const signinBody = `{"login":"alice","secret":{"word":"` + alicePassword + `"}}`

func TestAnAliasRenamesBothWays(t *testing.T) {
	s := newSite(t, withAliases(signin()...))
	a := s.ask("POST", "/api/auth/signin", asJSON(signinBody)).want(t, 200, "")
	if !matches(a.body, `{"data":{"accessToken":"*","refreshToken":"*"}}`) || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("answered %s %v", a.body, a.Header)
	}
	first := s.member(a, "data.refreshToken")
	a = s.ask("POST", "/api/auth/again", asJSON(`{"token":"`+first+`"}`)).want(t, 200, "")
	if a.text(t, "refresh") == first {
		t.Error("the token stays, though nobody said so")
	}
	// Names that are the aim of a renaming come from nowhere else.
	s.ask("POST", "/api/auth/signin", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(t, 400, "bad_request")
	s.ask("POST", "/api/auth/again", asJSON(`{"refresh_token":"`+a.text(t, "refresh")+`"}`)).want(t, 400, "bad_request")
	s.ask("POST", "/auth/login", asJSON(signinBody)).want(t, 400, "bad_request")
}

func TestAnAliasWithoutAShapeAnswersAsTheEndpoint(t *testing.T) {
	s := newSite(t, withAliases(Alias{Path: "/in", Endpoint: "login"}, Alias{Path: "/new", Endpoint: "register"},
		Alias{Path: "/who", Endpoint: "me"}, Alias{Path: "/out", Endpoint: "logout"}, Alias{Path: "/secret", Endpoint: "password"}))
	mine := `{"username":"alice","password":"` + alicePassword + `"}`
	a, standard := s.ask("POST", "/in", asJSON(mine)).want(t, 200, ""), s.ask("POST", "/auth/login", asJSON(mine)).want(t, 200, "")
	for name := range standard.object(t) {
		if _, there := a.object(t)[name]; !there || len(a.object(t)) != len(standard.object(t)) {
			t.Errorf("%s is missing in %s", name, a.body)
		}
	}
	s.ask("POST", "/new", asJSON(`{"username":"bob","password":"correct-horse-9"}`)).want(t, 201, "")
	token := bearer(a.text(t, "access_token"))
	if who := s.ask("GET", "/who", token).want(t, 200, ""); who.body != s.ask("GET", "/auth/me", token).body {
		t.Errorf("answered %s", who.body)
	}
	a = s.ask("POST", "/secret", token, asJSON(`{"current":"`+alicePassword+`","new":"another-long-one-9"}`)).want(t, 200, "")
	s.ask("POST", "/out", bearer(a.text(t, "access_token"))).want(t, 204, "")
	s.ask("GET", "/who", bearer(a.text(t, "access_token"))).want(t, 401, "token_revoked")
}

func TestAnAliasHasItsPathAndMethodAlone(t *testing.T) {
	s := newSite(t, withAliases(append(signin(), Alias{Path: "/auth/login", Endpoint: "login", Body: "access_token"}, Alias{Path: "/people/{id}/card", Endpoint: "user"})...))
	for _, c := range []struct {
		method, target string
		own            bool
	}{
		{"POST", "/api/auth/signin", true}, {"GET", "/api/auth/signin", false}, {"HEAD", "/api/auth/signin", false}, {"OPTIONS", "/api/auth/signin", false},
		{"POST", "/api/auth/signin/", false}, {"POST", "/API/auth/signin", false}, {"POST", "/api/auth", false}, {"POST", "/api/auth%2Fsignin", false},
		{"POST", "/api/auth/%73ignin", true}, {"GET", "/people/7/card", true}, {"HEAD", "/people/7/card", true}, {"POST", "/people/7/card", false},
		{"GET", "/people//card", false}, {"GET", "/people/7/8/card", false}, {"GET", "/people/7/card/", false}, {"GET", "/people/a%2Fb/card", false},
	} {
		if got := s.handler.Owns(httptest.NewRequest(c.method, c.target, nil)); got != c.own {
			t.Errorf("%s %s: owned %v", c.method, c.target, got)
		}
	}
	// At an endpoint's place the alias wins for its method, and for no other.
	mine := asJSON(`{"username":"alice","password":"` + alicePassword + `"}`)
	if a := s.ask("POST", "/auth/login", mine).want(t, 200, ""); strings.Count(a.body, ".") != 2 || strings.HasPrefix(a.body, "{") {
		t.Errorf("answered %s", a.body)
	}
	s.ask("GET", "/auth/login", navigation).want(t, 200, "")
	if a := s.ask("DELETE", "/auth/login"); a.StatusCode != 405 || a.Header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("answered %d, allowed are %s", a.StatusCode, a.Header.Get("Allow"))
	}
	if a := s.ask("HEAD", "/people/"+s.idOf("alice")+"/card"); a.body != "" {
		t.Errorf("a HEAD has a body: %s", a.body)
	}
}

// An unknown name, a wrong password and a disabled account are one answer.
func TestAnAliasTellsNobodyWhoIsHere(t *testing.T) {
	for _, name := range presetNames() {
		s := newSite(t, preset(name))
		off := s.add("off", "switched-off-99", "user")
		disabled := true
		if _, err := s.service.SetAccount(t.Context(), off.ID, auth.AccountChange{Disabled: &disabled}, auth.Actor{By: "test"}); err != nil {
			t.Fatal(err)
		}
		for _, a := range s.handler.config.written() {
			if a.Endpoint != toLogin || a.Method != "POST" {
				continue
			}
			var answers []string
			for _, who := range []string{`"nobody@example.com","password":"wrong-password"`, `"alice@example.com","password":"wrong-password"`, `"off@example.com","password":"switched-off-99"`} {
				got := s.ask("POST", a.Path, asJSON(`{"username":`+who+`}`))
				got.Header.Del("Date")
				answers = append(answers, fmt.Sprint(got.StatusCode, got.Header, got.body))
			}
			if answers[0] != answers[1] || answers[0] != answers[2] || strings.HasPrefix(answers[0], "2") {
				t.Errorf("%s: %q", a.Path, answers)
			}
		}
	}
}

func TestNothingOfAQueryIsRead(t *testing.T) {
	s := newSite(t, withAliases(append(signin(), Alias{Path: "/who", Endpoint: "me"}, Alias{Path: "/out", Method: "GET", Endpoint: "logout"})...))
	p := s.alice()
	s.ask("POST", "/api/auth/signin?login=alice&secret.word="+alicePassword+"&username=alice&password="+alicePassword, asJSON(`{}`)).want(t, 400, "bad_request")
	s.ask("POST", "/api/auth/again?token="+p.refresh+"&refresh_token="+p.refresh, asJSON(`{}`)).want(t, 400, "bad_request")
	s.ask("GET", "/who?access_token="+p.access+"&token="+p.access).want(t, 401, "token_missing")
	s.ask("GET", "/out?refresh_token="+p.refresh).want(t, 204, "")
	if !s.alive(p.access) {
		t.Error("a token in a query ended the session")
	}
}

func TestAGETOfLogoutDoesNothingByCookie(t *testing.T) {
	s := newSite(t, withAliases(Alias{Path: "/out", Method: "GET", Endpoint: "logout", Response: []AliasField{{As: "ok", Value: "true"}}}))
	p := s.loginCookies()
	a := s.ask("GET", "/out", s.cookies(p)).want(t, 200, "")
	if a.body != `{"ok":true}`+"\n" || len(a.Cookies()) != 0 || !s.alive(p.access) {
		t.Errorf("answered %s and %v; the session lives: %v", a.body, a.Cookies(), s.alive(p.access))
	}
	s.ask("GET", "/out", bearer(p.access), s.cookies(p)).want(t, 200, "")
	if s.alive(p.access) {
		t.Error("a bearer token ended nothing")
	}
}

func TestALogoutByAliasEndsTheSession(t *testing.T) {
	s := newSite(t, withAliases(Alias{Path: "/out", Endpoint: "logout", Request: []AliasField{{Field: "refresh", As: "refresh_token"}, {Field: "everywhere", As: "all"}}}))
	byRefresh, byCookie, one, other := s.alice(), s.loginCookies(), s.alice(), s.alice()
	s.ask("POST", "/out", asJSON(`{"refresh":"`+byRefresh.refresh+`"}`)).want(t, 204, "")
	a := s.ask("POST", "/out", s.cookies(byCookie)).want(t, 204, "")
	if c := a.cookie(t, s.handler.cookies.access); c == nil || c.MaxAge >= 0 {
		t.Errorf("the cookies stay: %v", a.Cookies())
	}
	for _, p := range []pair{byRefresh, byCookie} {
		if s.alive(p.access) {
			t.Error("a session lives on")
		}
	}
	s.ask("POST", "/out", asJSON(`{"refresh":"nonsense"}`)).want(t, 401, "refresh_invalid")
	s.ask("POST", "/out").want(t, 204, "") // who has no session has what they want
	s.ask("POST", "/out", bearer(one.access), asJSON(`{"everywhere":true}`)).want(t, 204, "")
	if s.alive(other.access) {
		t.Error("everywhere was not everywhere")
	}
}

func TestATokenThatStaysIsRevokedAllTheSame(t *testing.T) {
	stays := false
	s := newSite(t, withAliases(signin(func(a *Alias) { a.Rotate = &stays })...))
	in := func() pair {
		a := s.ask("POST", "/api/auth/signin", asJSON(signinBody)).want(t, 200, "")
		return pair{s.member(a, "data.accessToken"), s.member(a, "data.refreshToken")}
	}
	again := func(p pair) answer {
		return s.ask("POST", "/api/auth/again", asJSON(`{"token":"`+p.refresh+`"}`))
	}
	p := in()
	for range 3 {
		s.later(time.Hour)
		a := again(p).want(t, 200, "")
		if a.text(t, "refresh") != p.refresh || !s.alive(a.text(t, "access")) {
			t.Fatal("the token changed")
		}
	}
	// Elsewhere it is no other: the session is what was settled at its login.
	if a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`)).want(t, 200, ""); a.text(t, "refresh_token") != p.refresh {
		t.Error("the endpoint rotates it")
	}
	roles := []string{"user", "admin"}
	if _, err := s.service.SetAccount(t.Context(), s.idOf("alice"), auth.AccountChange{Roles: &roles}, auth.Actor{By: "test"}); err != nil {
		t.Fatal(err)
	}
	access := again(p).want(t, 200, "").text(t, "access")
	if got := claimsOf(t, access)["roles"]; !reflect.DeepEqual(got, []any{"user", "admin"}) {
		t.Errorf("roles %v after the change", got)
	}
	s.ask("POST", "/auth/logout", bearer(access)).want(t, 204, "")
	again(p).want(t, 401, "refresh_invalid")
	// And a rotating one does not stay at the alias.
	r := s.alice()
	if again(r).want(t, 200, "").text(t, "refresh") == r.refresh {
		t.Error("the alias makes a rotating token stay")
	}
}

func TestTheRefreshCookieGoesToTheAliasesPath(t *testing.T) {
	s := newSite(t, withAliases(
		Alias{Path: "/api/login", Endpoint: "login", Mode: "refresh_cookie", Response: []AliasField{{Field: "access_token", As: "accessToken"}}},
		Alias{Path: "/api/refresh", Endpoint: "refresh", Response: []AliasField{{Field: "access_token", As: "accessToken"}}},
		Alias{Path: "/api/logout", Endpoint: "logout", Status: 200, Response: []AliasField{{As: "message", Value: "Logged out"}}}))
	a := s.ask("POST", "/api/login", asJSON(`{"email":"alice@example.com","password":"`+alicePassword+`"}`)).want(t, 200, "")
	c := a.cookie(t, "postern_refresh")
	if !matches(a.body, `{"accessToken":"*"}`) || c == nil || c.Path != "/api/refresh" || !c.HttpOnly || len(a.Cookies()) != 1 {
		t.Fatalf("answered %s and %v", a.body, a.Cookies())
	}
	first := c.Value
	a = s.ask("POST", "/api/refresh", cookie("postern_refresh", first)).want(t, 200, "")
	if c = a.cookie(t, "postern_refresh"); c == nil || c.Path != "/api/refresh" || c.Value == first || !matches(a.body, `{"accessToken":"*"}`) {
		t.Fatalf("refreshed: %s and %v", a.body, a.Cookies())
	}
	out := s.ask("POST", "/api/logout", bearer(a.text(t, "accessToken"))).want(t, 200, "")
	var cleared []string
	for _, c := range out.Cookies() {
		if c.Name == "postern_refresh" && c.MaxAge < 0 {
			cleared = append(cleared, c.Path)
		}
	}
	if !matches(out.body, `{"message":"Logged out"}`) || !reflect.DeepEqual(cleared, []string{"/auth/refresh", "/api/refresh"}) {
		t.Errorf("logged out: %s, cleared %v", out.body, cleared)
	}
	s.ask("POST", "/api/refresh", cookie("postern_refresh", c.Value)).want(t, 401, "refresh_invalid")
	// The page's login is as it was.
	if c := s.ask("POST", "/auth/login", asForm("username", "alice", "password", alicePassword)).cookie(t, "postern_refresh"); c == nil || c.Path != "/auth/refresh" {
		t.Errorf("the page's cookie is %v", c)
	}
}

func TestAFormAtAnAliasIsAnsweredAsJSONUnlessABrowserSentIt(t *testing.T) {
	s := newSite(t, withAliases(Alias{Path: "/in", Endpoint: "login", Request: []AliasField{{Field: "user", As: "username"}}}))
	form := asForm("user", "alice", "password", alicePassword, "rd", "/app")
	if a := s.ask("POST", "/in", form).want(t, 200, ""); a.text(t, "access_token") == "" || len(a.Cookies()) != 0 {
		t.Errorf("a program's form: %s %v", a.body, a.Cookies())
	}
	a := s.ask("POST", "/in", form, navigation).want(t, 303, "")
	if a.Header.Get("Location") != "/app" || len(a.Cookies()) != 2 {
		t.Errorf("a browser's form: %v", a.Header)
	}
}

// Roles come from a body where allow_roles lists them, and from nowhere else.
func TestNobodyTakesARoleAtAnAlias(t *testing.T) {
	for _, name := range []string{"bezkoder", "express-x-auth-token", "express-x-access-token", "fastapi-oauth2", "nestjs"} {
		s := newSite(t, preset(name))
		for _, a := range s.handler.config.written() {
			if a.Endpoint != toRegister {
				continue
			}
			for _, roles := range []string{`["admin"]`, `["user","admin"]`, `"admin"`, `{"a":"admin"}`} {
				s.ask("POST", a.Path, asJSON(`{"username":"eve","name":"Eve","email":"eve@example.com","password":"correct-horse-9","roles":`+roles+`,"isAdmin":true,"role":"admin"}`))
				if id := s.idOf("eve"); id != "" {
					got, err := s.service.Account(t.Context(), id)
					if err != nil || slices.Contains(got.Roles, "admin") {
						t.Fatalf("%s with roles %s: %v (%v)", a.Path, roles, got.Roles, err)
					}
				}
			}
			a := s.ask("POST", a.Path, asJSON(`{"username":"mia","name":"Mia","email":"mia@example.com","password":"correct-horse-9","roles":["moderator"]}`))
			got, err := s.store.FindAccount(t.Context(), "mia@example.com")
			if a.StatusCode > 201 || err != nil || !reflect.DeepEqual(got.Roles, []string{"moderator"}) || strings.Contains(a.body, "correct-horse-9") {
				t.Fatalf("a role that is given away: %s, %v (%v)", a.body, got.Roles, err)
			}
			break
		}
	}
}

func TestARegistrationWithoutATokenInItsAnswerBeginsNoSession(t *testing.T) {
	s := newSite(t, preset("bezkoder"))
	s.ask("POST", "/api/auth/signup", asJSON(`{"username":"bob","email":"bob@example.com","password":"correct-horse-9"}`)).want(t, 200, "")
	if live, err := s.service.Sessions(t.Context(), s.idOf("bob")); err != nil || len(live) != 0 {
		t.Errorf("%d sessions (%v)", len(live), err)
	}
}

func TestALoginWithoutARefreshTokenEndsWithItsAccessToken(t *testing.T) {
	s := newSite(t, withAliases(Alias{Path: "/in", Endpoint: "login", Response: []AliasField{{Field: "access_token", As: "token"}, {Field: "expires_in"}}, AccessTTL: time.Hour}))
	a := s.ask("POST", "/in", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(t, 200, "")
	if a.object(t)["expires_in"] != 3600.0 {
		t.Errorf("answered %s", a.body)
	}
	s.later(time.Hour)
	if live, err := s.service.Sessions(t.Context(), s.idOf("alice")); err != nil || len(live) != 0 || s.alive(a.text(t, "token")) {
		t.Errorf("%d sessions (%v)", len(live), err)
	}
}

func TestAnOutageAtAnAliasIs503InItsWords(t *testing.T) {
	s := newSite(t, preset("bezkoder"))
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/auth/signin", "/api/auth/signup"} {
		a := s.ask("POST", path, asJSON(`{"username":"alice","email":"a@example.com","password":"`+alicePassword+`"}`)).want(t, 503, "")
		if !matches(a.body, `{"message":"*"}`) || strings.Contains(a.body, "store") {
			t.Errorf("%s answers %s", path, a.body)
		}
	}
}

func TestPagesElsewhereMayReadWhatTheyWereAllowedTo(t *testing.T) {
	const spa = "https://spa.example.com"
	s := newSite(t, preset("express-x-auth-token"), func(s *setup) { s.web.CORS.Origins = []string{spa} })
	preflight := func(origin, method, path string) *http.Request {
		r := httptest.NewRequest("OPTIONS", path, nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", method)
		return r
	}
	for _, c := range []struct {
		origin, method string
		own            bool
	}{{spa, "POST", true}, {spa, "GET", false}, {"https://evil.example.com", "POST", false}} {
		if got := s.handler.Owns(preflight(c.origin, c.method, "/api/auth")); got != c.own {
			t.Errorf("a preflight for %s of %s: owned %v", c.method, c.origin, got)
		}
	}
	a := s.ask("OPTIONS", "/api/auth", header("Origin", spa), header("Access-Control-Request-Method", "POST"))
	if a.StatusCode != 204 || a.Header.Get("Access-Control-Allow-Origin") != spa || !strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "x-auth-token") {
		t.Errorf("the preflight: %d %v", a.StatusCode, a.Header)
	}
	a = s.ask("POST", "/api/users", header("Origin", spa), asJSON(`{"name":"B","email":"b@example.com","password":"correct-horse-9"}`)).want(t, 200, "")
	if got := a.Header.Get("Access-Control-Expose-Headers"); !strings.HasSuffix(got, ", x-auth-token") || !strings.Contains(got, "Retry-After") {
		t.Errorf("exposed are %q", got)
	}
}

func TestTheExampleOfTheInterface(t *testing.T) {
	yes := true
	s := newSite(t, withAliases(Alias{
		Path: "/api/auth/signin", Method: "POST", Endpoint: "login", Status: 200,
		Request:  []AliasField{{Field: "login", As: "username"}},
		Response: []AliasField{{Field: "access_token", As: "data.accessToken"}, {Field: "refresh_token", As: "data.refreshToken"}},
		Body:     "access_token", ResponseHeader: "x-auth-token", Rotate: &yes, AccessTTL: 15 * time.Minute, Problems: []AliasProblem{},
	}))
	a := s.ask("POST", "/api/auth/signin", asJSON(`{"login":"alice","password":"`+alicePassword+`"}`)).want(t, 200, "")
	if a.body != a.Header.Get("x-auth-token") || !s.alive(a.body) || a.Header.Get("Access-Control-Expose-Headers") != "x-auth-token" {
		t.Errorf("answered %q %v", a.body, a.Header)
	}
}

func TestAWholeUserIsTheEndpointsOwn(t *testing.T) {
	s := newSite(t, withAliases(Alias{Path: "/in", Endpoint: "login", Response: []AliasField{
		{Field: "access_token", As: "token"}, {Field: "user", As: "profile.user"}, {Field: "user.fields.phone", As: "phone"}, {Field: "user.roles", As: "role", Format: "first"}, {Field: "session", As: "sid"},
	}}), func(s *setup) { s.auth.Profile.Fields = []auth.ProfileField{{Name: "phone", Editable: true}} })
	if _, err := s.service.SetProfile(t.Context(), s.idOf("alice"), auth.ProfileChange{Fields: map[string]any{"phone": "+1"}}, auth.Client{}); err != nil {
		t.Fatal(err)
	}
	a := s.ask("POST", "/in", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(t, 200, "")
	user := s.ask("POST", "/auth/login", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).object(t)["user"]
	got := a.object(t)
	if profile, _ := got["profile"].(map[string]any); !reflect.DeepEqual(profile["user"], user) || got["phone"] != "+1" || got["role"] != "user" || got["sid"] == "" || len(got) != 5 {
		t.Errorf("answered %s", a.body)
	}
}

// Who writes problems for an alias of their own, with the header that the
// clients use, is understood.
func TestProblemsOfAHandWrittenAliasKnowTheirHeader(t *testing.T) {
	said := []AliasProblem{{Code: "token_missing", Status: 403, Message: "No"}, {Code: "any"}, {Code: "conflict", Field: "email"}}
	in := Alias{Path: "/in", Endpoint: "login", Problems: said}
	for _, c := range []struct {
		name    string
		sources []string
		change  func(*Alias)
		header  string
	}{
		{"of its own", nil, func(a *Alias) { a.TokenHeader = "x-t" }, "X-T"},
		{"that it answers in", nil, func(a *Alias) { a.ResponseHeader = "x-auth-token" }, "X-Auth-Token"},
		{"the only one", []string{"bearer", "header:x-one"}, func(*Alias) {}, "X-One"},
		{"one of two", []string{"header:x-two", "header:x-one"}, func(*Alias) {}, ""},
		{"none", []string{"bearer"}, func(*Alias) {}, ""},
	} {
		conf := DefaultConfig()
		if c.sources != nil {
			conf.TokenSources = c.sources
		}
		a := in
		c.change(&a)
		conf.Aliases = []Alias{a}
		got := conf.Dialects()
		if c.header == "" && len(got) != 0 || c.header != "" && (len(got) != 1 || got[0].Header != c.header || len(got[0].Phrases) != 1) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// A page that asks an alias who it is, with a cookie that has run out, is
// refreshed first as on every page; what gives or takes tokens is not.
func TestAliasesThatTakeStaleTokensAsTheyAre(t *testing.T) {
	s := newSite(t, withAliases(append(signin(), Alias{Path: "/who", Endpoint: "me"}, Alias{Path: "/out", Endpoint: "logout"},
		Alias{Path: "/auth/signup", Endpoint: "register"}, Alias{Path: "/secret", Endpoint: "password"}, Alias{Path: "/u/{id}", Endpoint: "user"})...))
	for target, takes := range map[string]bool{
		"POST /api/auth/signin": true, "POST /api/auth/again": true, "POST /out": true, "POST /auth/signup": true, "GET /u/7": true,
		"GET /who": false, "HEAD /who": false, "POST /secret": false,
		"POST /auth/login": true, "GET /auth/refresh": true, "POST /auth/logout": true, "GET /auth/register": true, "GET /auth/me": false, "GET /auth/sessions": false, "GET /.well-known/jwks.json": true,
	} {
		method, path, _ := strings.Cut(target, " ")
		if got := s.handler.HandlesTokens(httptest.NewRequest(method, path, nil)); got != takes {
			t.Errorf("%s: %v", target, got)
		}
	}
}
