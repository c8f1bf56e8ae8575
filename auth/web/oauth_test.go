package web

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

// oauth asks an OAuth endpoint with a form.
func (s *site) oauth(path string, pairs ...string) answer {
	s.t.Helper()
	return s.ask("POST", "/auth/"+path, asForm(pairs...))
}

// wantOAuth checks a refusal in OAuth's words: its form is RFC 6749 5.2's.
func (a answer) wantOAuth(t *testing.T, status int, code string) answer {
	t.Helper()
	a.want(t, status, "")
	o := a.object(t)
	if o["error"] != code {
		t.Fatalf("error %v, want %s: %s", o["error"], code, a.body)
	}
	delete(o, "error")
	delete(o, "error_description")
	if len(o) > 0 || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" ||
		a.Header.Get("Pragma") != "no-cache" || a.Header.Get("WWW-Authenticate") != "" || len(a.Cookies()) > 0 {
		t.Errorf("not as section 5.2 says: %v %s", a.Header, a.body)
	}
	return a
}

func TestTheTokenEndpointAnswersAsRFC6749Says(t *testing.T) {
	s := newSite(t)
	a := s.oauth("token", "grant_type", "password", "username", "alice", "password", alicePassword).want(t, 200, "")
	if got := slices.Sorted(maps.Keys(a.object(t))); !slices.Equal(got, []string{"access_token", "expires_in", "refresh_token", "token_type"}) {
		t.Errorf("answers %s", got)
	}
	if a.object(t)["expires_in"] != 900.0 || a.text(t, "token_type") != "Bearer" {
		t.Errorf("answers %s", a.body)
	}
	if a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Pragma") != "no-cache" || len(a.Cookies()) > 0 {
		t.Errorf("fields: %v", a.Header)
	}
	if !s.alive(a.text(t, "access_token")) {
		t.Error("the access token opens nothing")
	}

	old := a.text(t, "refresh_token")
	b := s.oauth("token", "grant_type", "refresh_token", "refresh_token", old).want(t, 200, "")
	if b.text(t, "refresh_token") == old || !s.alive(b.text(t, "access_token")) {
		t.Errorf("not rotated: %s", b.body)
	}
	// The same rule of repeats as at the refresh endpoint: it is the same deed.
	if again := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+old+`"}`)); again.text(t, "refresh_token") != b.text(t, "refresh_token") {
		t.Error("the repeat is another token")
	}
	s.later(time.Minute)
	s.oauth("token", "grant_type", "refresh_token", "refresh_token", old).wantOAuth(t, 400, "invalid_grant")
	s.oauth("token", "grant_type", "refresh_token", "refresh_token", b.text(t, "refresh_token")).wantOAuth(t, 400, "invalid_grant")
}

func TestTheTokenEndpointRefusesInTheWordsOfRFC6749(t *testing.T) {
	s := newSite(t)
	disabled := s.add("carol", alicePassword, "user")
	yes := true
	if _, err := s.service.SetAccount(t.Context(), disabled.ID, auth.AccountChange{Disabled: &yes}, auth.Actor{By: "test"}); err != nil {
		t.Fatal(err)
	}
	good := "grant_type=password&username=alice&password=" + alicePassword
	form := func(text string) with { return body(formType, text) }
	for name, test := range map[string]struct {
		with   with
		status int
		code   string
	}{
		"no grant type":          {form("username=alice&password=" + alicePassword), 400, "invalid_request"},
		"an empty grant type":    {form("grant_type="), 400, "invalid_request"},
		"no username":            {form("grant_type=password&password=x"), 400, "invalid_request"},
		"no password":            {form("grant_type=password&username=alice"), 400, "invalid_request"},
		"no refresh token":       {form("grant_type=refresh_token"), 400, "invalid_request"},
		"a parameter twice":      {form(good + "&username=root"), 400, "invalid_request"},
		"a malformed form":       {form("grant_type=%zz"), 400, "invalid_request"},
		"a wrong password":       {form("grant_type=password&username=alice&password=wrong"), 400, "invalid_grant"},
		"an unknown name":        {form("grant_type=password&username=nobody&password=wrong"), 400, "invalid_grant"},
		"a disabled account":     {form("grant_type=password&username=carol&password=" + alicePassword), 400, "invalid_grant"},
		"a forged refresh token": {form("grant_type=refresh_token&refresh_token=AAAAAAAAAAAAAAAAAAAAAA.1.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 400, "invalid_grant"},
		"a text for one":         {form("grant_type=refresh_token&refresh_token=x"), 400, "invalid_grant"},
		"another grant":          {form("grant_type=client_credentials"), 400, "unsupported_grant_type"},
		"a code":                 {form("grant_type=authorization_code&code=x"), 400, "unsupported_grant_type"},
		"another case":           {form("grant_type=Password&username=alice&password=" + alicePassword), 400, "unsupported_grant_type"},
		"a scope with a quote":   {form(good + "&scope=a%22b"), 400, "invalid_scope"},
		"a scope of two spaces":  {form(good + "&scope=a++b"), 400, "invalid_scope"},
		"JSON":                   {asJSON(`{"grant_type":"password","username":"alice","password":"` + alicePassword + `"}`), 415, "invalid_request"},
		"no body":                {func(*http.Request) {}, 415, "invalid_request"},
		"multipart":              {body("multipart/form-data; boundary=x", good), 415, "invalid_request"},
		"a body that is too big": {form(good + "&x=" + strings.Repeat("x", maxBody)), 413, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.ask("POST", "/auth/token", test.with).wantOAuth(t, test.status, test.code)
			if text := a.text(t, "error_description"); text == "" || asciiText(text) != text || strings.Contains(a.body, alicePassword) {
				t.Errorf("described: %q", text)
			}
		})
	}
	s.ask("GET", "/auth/token?"+good).want(t, 405, "method_not_allowed")
	s.ask("POST", "/auth/token?"+good, asForm()).wantOAuth(t, 400, "invalid_request") // an address is no place for a password
}

// There are no clients, so nothing that a client says of itself is refused: what
// libraries send by themselves must not be in the way.
func TestClientCredentialsAreIgnored(t *testing.T) {
	s := newSite(t)
	basic := header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("app:secret")))
	for name, test := range map[string]struct {
		pairs []string
		with  with
	}{
		"Basic":           {nil, basic},
		"an empty Basic":  {nil, header("Authorization", "Basic ")},
		"in the body":     {[]string{"client_id", "app", "client_secret", "secret"}, func(*http.Request) {}},
		"a public client": {[]string{"client_id", "app"}, func(*http.Request) {}},
	} {
		pairs := append([]string{"grant_type", "password", "username", "alice", "password", alicePassword}, test.pairs...)
		a := s.ask("POST", "/auth/token", asForm(pairs...), test.with)
		if a.StatusCode != 200 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
			continue
		}
		s.ask("POST", "/auth/revoke", asForm("token", a.text(t, "refresh_token")), test.with).want(t, 200, "")
		if s.alive(a.text(t, "access_token")) {
			t.Errorf("%s: the session lives", name)
		}
	}
}

// A scope means nothing here. What a client asked for is said back to it, and
// nobody else ever sees it.
func TestAScopeIsSaidBackAndNoTokenHoldsIt(t *testing.T) {
	s := newSite(t)
	a := s.oauth("token", "grant_type", "password", "username", "alice", "password", alicePassword, "scope", "read admin").want(t, 200, "")
	if a.text(t, "scope") != "read admin" {
		t.Errorf("said back: %s", a.body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(a.text(t, "access_token"), ".")[1])
	if err != nil || strings.Contains(string(payload), "scope") || strings.Contains(string(payload), "admin") {
		t.Errorf("the token holds %s, %v", payload, err)
	}
	s.ask("GET", "/auth/admin/users", bearer(a.text(t, "access_token"))).want(t, 403, "forbidden")
	for text, ok := range map[string]bool{"": true, "a": true, "a b": true, "a!#[]~b": true, " ": false, " a": false, "a ": false, "a\tb": false, "ä": false, `a\b`: false} {
		if isScope(text) != ok {
			t.Errorf("%q: %v", text, !ok)
		}
	}
}

func TestALockIsToldInOAuthsWordsWithItsTime(t *testing.T) {
	s := newSite(t)
	wrong := func() answer {
		return s.oauth("token", "grant_type", "password", "username", "alice", "password", "wrong")
	}
	a := wrong()
	for range 20 {
		if a.StatusCode == 429 {
			break
		}
		a = wrong()
	}
	a.wantOAuth(t, 429, "invalid_grant")
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || n < 1 {
		t.Errorf("Retry-After: %q", a.Header.Get("Retry-After"))
	}
}

// An outage is no answer about a token: a client that took it for one would
// throw its session away, or believe that a stolen token is dead.
func TestAFaultOfTheStoreIsNoAnswerAboutATokenToOAuthClients(t *testing.T) {
	s := newSite(t)
	s.add("root", rootPassword, "admin")
	alice, root := s.alice(), s.login("root", rootPassword)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	s.oauth("token", "grant_type", "password", "username", "alice", "password", alicePassword).wantOAuth(t, 503, "temporarily_unavailable")
	s.oauth("token", "grant_type", "refresh_token", "refresh_token", alice.refresh).wantOAuth(t, 503, "temporarily_unavailable")
	s.oauth("revoke", "token", alice.refresh).wantOAuth(t, 503, "temporarily_unavailable")
	s.ask("POST", "/auth/introspect", asForm("token", alice.refresh), bearer(root.access)).want(t, 503, "unavailable")
	// An access token is proven without the store.
	if a := s.ask("POST", "/auth/introspect", asForm("token", alice.access), bearer(root.access)).want(t, 200, ""); a.object(t)["active"] != true {
		t.Errorf("answers %s", a.body)
	}
}

// Two identities in one request are refused here as they are at the refresh
// endpoint (SE-19).
func TestARefreshGrantBesideACookieOfAnotherSessionIsRefused(t *testing.T) {
	s := newSite(t)
	mine, other := s.alice(), s.loginCookies()
	s.ask("POST", "/auth/token", asForm("grant_type", "refresh_token", "refresh_token", mine.refresh),
		cookie(s.handler.cookies.access, other.access)).wantOAuth(t, 400, "invalid_request")
	s.oauth("token", "grant_type", "refresh_token", "refresh_token", mine.refresh).want(t, 200, "")
}

func TestRevocationEndsTheSessionOfAGenuineToken(t *testing.T) {
	s := newSite(t)
	for name, choose := range map[string]func(p pair) string{
		"the access token":  func(p pair) string { return p.access },
		"the refresh token": func(p pair) string { return p.refresh },
		"a spent refresh token": func(p pair) string {
			s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`)).want(t, 200, "")
			return p.refresh
		},
		"an expired access token": func(p pair) string { s.later(time.Hour); return p.access },
	} {
		p, other := s.alice(), s.alice()
		token := choose(p)
		a := s.oauth("revoke", "token", token, "token_type_hint", "something_else").want(t, 200, "")
		if a.body != "" || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: answers %q", name, a.body)
		}
		if s.alive(p.access) {
			t.Errorf("%s: the access token still opens", name)
		}
		s.oauth("token", "grant_type", "refresh_token", "refresh_token", p.refresh).wantOAuth(t, 400, "invalid_grant")
		s.oauth("revoke", "token", token).want(t, 200, "") // again
		s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+other.refresh+`"}`)).want(t, 200, "")
	}
}

func TestRevocationOfWhatIsNobodysIsDone(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	forged := p.access[:len(p.access)-8] + "AAAAAAAA"
	for _, token := range []string{"x", "a.b.c", forged, p.refresh + "x", strings.Repeat("x", 60000), "ä\x00"} {
		s.oauth("revoke", "token", token).want(t, 200, "")
	}
	if !s.alive(p.access) {
		t.Error("a forged token ended a session")
	}
	s.oauth("revoke").wantOAuth(t, 400, "invalid_request")
	s.oauth("revoke", "token", "").wantOAuth(t, 400, "invalid_request")
	s.ask("POST", "/auth/revoke", asJSON(`{"token":"x"}`)).wantOAuth(t, 415, "invalid_request")
	s.ask("GET", "/auth/revoke?token="+url.QueryEscape(p.refresh)).want(t, 405, "method_not_allowed")
	if !s.alive(p.access) {
		t.Error("a token in an address ended a session")
	}
}

func TestIntrospectionIsForAdministratorsAlone(t *testing.T) {
	s := newSite(t)
	s.add("root", rootPassword, "admin")
	alice, root := s.alice(), s.login("root", rootPassword)
	ask := func(changes ...with) answer {
		return s.ask("POST", "/auth/introspect", append([]with{asForm("token", alice.access)}, changes...)...)
	}
	ask().want(t, 401, "token_missing")
	ask(bearer("x")).want(t, 401, "token_malformed")
	ask(bearer(alice.access)).want(t, 403, "forbidden")
	ask(header("Authorization", "Basic cm9vdDpyb290")).want(t, 401, "token_missing")
	ask(bearer(root.access)).want(t, 200, "")
	s.oauth("revoke", "token", root.access).want(t, 200, "")
	ask(bearer(root.access)).want(t, 401, "token_revoked")
}

func TestIntrospectionSaysWhatATokenIsWorth(t *testing.T) {
	s, root := admin(t)
	worth := func(token string) map[string]any {
		t.Helper()
		a := s.ask("POST", "/auth/introspect", asForm("token", token), root).want(t, 200, "")
		if a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("fields: %v", a.Header)
		}
		return a.object(t)
	}
	nothing := func(name, token string) {
		t.Helper()
		if o := worth(token); len(o) != 1 || o["active"] != false {
			t.Errorf("%s: %v", name, o)
		}
	}
	p := s.alice()
	o := worth(p.access)
	var claims map[string]any
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(p.access, ".")[1])
	if err := errors.Join(err, json.Unmarshal(payload, &claims)); err != nil {
		t.Fatal(err)
	}
	if o["active"] != true || o["token_use"] != "access_token" || o["token_type"] != "Bearer" || fmt.Sprint(o["aud"]) != "[postern]" {
		t.Errorf("an access token: %v", o)
	}
	for _, name := range []string{"iss", "sub", "username", "roles", "sid", "jti", "iat", "exp", "auth_time"} {
		if o[name] == nil || fmt.Sprint(o[name]) != fmt.Sprint(claims[name]) {
			t.Errorf("%s is %v, the token says %v", name, o[name], claims[name])
		}
	}
	r := worth(p.refresh)
	if r["active"] != true || r["token_use"] != "refresh_token" || r["token_type"] != nil || r["sub"] != claims["sub"] || r["sid"] != claims["sid"] {
		t.Errorf("a refresh token: %v", r)
	}
	// To ask is no use of it.
	next := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+p.refresh+`"}`)).want(t, 200, "")
	nothing("a spent one", p.refresh)
	if worth(next.text(t, "refresh_token"))["active"] != true {
		t.Error("to ask about a spent one ended the session")
	}
	for name, token := range map[string]string{"nonsense": "x", "a forged one": p.access[:len(p.access)-8] + "AAAAAAAA", "a forged refresh token": p.refresh[:len(p.refresh)-8] + "AAAAAAAA"} {
		nothing(name, token)
	}
	s.oauth("revoke", "token", p.access).want(t, 200, "")
	nothing("a revoked access token", p.access)
	nothing("a revoked refresh token", next.text(t, "refresh_token"))
	s.ask("POST", "/auth/introspect", asForm(), root).wantOAuth(t, 400, "invalid_request")
	s.ask("POST", "/auth/introspect", asJSON(`{"token":"x"}`), root).wantOAuth(t, 415, "invalid_request")
}

func TestIntrospectionKnowsWhatBecameOfTheAccount(t *testing.T) {
	s, root := admin(t)
	active := func(token string) any {
		t.Helper()
		return s.ask("POST", "/auth/introspect", asForm("token", token), root).want(t, 200, "").object(t)["active"]
	}
	p := s.alice()
	s.ask("PATCH", "/auth/admin/users/"+s.idOf("alice"), root, asJSON(`{"roles":["user","admin"]}`)).want(t, 200, "")
	if active(p.access) != false || active(p.refresh) != true {
		t.Error("a role change outdates the access token, and the session lives")
	}
	s.ask("PATCH", "/auth/admin/users/"+s.idOf("alice"), root, asJSON(`{"disabled":true}`)).want(t, 200, "")
	if active(p.refresh) != false {
		t.Error("active, of a disabled account")
	}
	s.ask("DELETE", "/auth/admin/users/"+s.idOf("alice"), root).want(t, 204, "")
	if active(p.refresh) != false || active(p.access) != false {
		t.Error("active, of a deleted account")
	}
	carol := s.add("carol", alicePassword, "user")
	p = s.login(carol.Username, alicePassword)
	s.later(time.Hour)
	renewed := bearer(s.login("root", rootPassword).access)
	if o := s.ask("POST", "/auth/introspect", asForm("token", p.access), renewed).want(t, 200, "").object(t); o["active"] != false {
		t.Errorf("an expired one: %v", o)
	}
	s.later(8 * 24 * time.Hour)
	renewed = bearer(s.login("root", rootPassword).access)
	if o := s.ask("POST", "/auth/introspect", asForm("token", p.refresh), renewed).want(t, 200, "").object(t); o["active"] != false {
		t.Errorf("an expired refresh token: %v", o)
	}
}

// Whatever is posted, the answer is OAuth's: a token or an error that a client
// can read.
func FuzzTheTokenEndpointAlwaysAnswersInOAuthsWords(f *testing.F) {
	f.Add(formType, "grant_type=password&username=alice&password=")
	f.Add(formType, "grant_type=refresh_token&refresh_token=a.1.1.b&scope=x")
	f.Add(formType, "grant_type=%70assword;username=alice")
	f.Add(jsonType, `{"grant_type":"password"}`)
	f.Add("", "grant_type=password")
	f.Add("multipart/form-data; boundary=x", "--x\r\n")
	store, err := sqlstore.Open(f.Context(), filepath.Join(f.TempDir(), "postern.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	conf := auth.DefaultConfig()
	conf.Issuer = "http://gw.test"
	service, err := auth.New(f.Context(), auth.Options{Store: store, Master: auth.MasterKey{1}, Config: conf})
	if err != nil {
		f.Fatal(err)
	}
	handler, err := New(Options{Service: service, Config: DefaultConfig(), PublicURL: &url.URL{Scheme: "http", Host: "gw.test"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, media, text string) {
		r := httptest.NewRequest("POST", "/auth/token", strings.NewReader(text))
		if media != "" {
			r.Header["Content-Type"] = []string{media}
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var o struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil {
			t.Fatalf("%d %q: %v", w.Code, w.Body, err)
		}
		if w.Code < 400 || o.Error == "" || asciiText(o.Description) != o.Description || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%q is answered %d %s", text, w.Code, w.Body)
		}
	})
}
