package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// preset makes a site whose clients were written for another backend, with
// registration open as those backends had it.
func preset(name string) func(*setup) {
	return func(s *setup) {
		s.web.Aliases = []Alias{{Preset: name}}
		s.auth.Registration = auth.Registration{Enabled: true, DefaultRoles: []string{"user"}, AllowRoles: []string{"moderator"}}
		s.auth.Roles = []string{"user", "moderator", "admin"}
		s.auth.LongestAccess = s.web.LongestAccess()
	}
}

// spoken is one request of an original client, and the original's answer.
type spoken struct {
	name         string
	method, path string
	send         with
	status       int
	// want is the body: JSON in which "*" stands for any text that is not empty;
	// or a text, when it does not begin with a brace.
	want string
	// keep names the member of the answer that later requests send as {token} or
	// {refresh}; whole: the body, X: the field X.
	token, refresh string
}

// speak has an original client go through its requests, one after the other.
func (s *site) speak(header string, script []spoken) {
	s.t.Helper()
	token, refresh := "", ""
	for _, line := range script {
		send := func(r *http.Request) {
			if line.send != nil {
				line.send(r)
			}
			switch {
			case token == "":
			case header == "Authorization":
				r.Header.Set(header, "Bearer "+token)
			default:
				r.Header.Set(header, token)
			}
		}
		if line.send != nil && refresh != "" {
			inner := line.send
			line.send = func(r *http.Request) { inner(r); fill(r, "{refresh}", refresh) }
		}
		a := s.ask(line.method, strings.ReplaceAll(line.path, "{id}", s.idOf("mod")), send)
		if a.StatusCode != line.status {
			s.t.Fatalf("%s: answered %d, want %d: %s", line.name, a.StatusCode, line.status, a.body)
		}
		if !matches(a.body, line.want) {
			s.t.Errorf("%s: answered %s, want %s", line.name, a.body, line.want)
		}
		if got := s.member(a, line.token); line.token != "" {
			token = strings.TrimPrefix(got, "Bearer ")
		}
		if line.refresh != "" {
			refresh = s.member(a, line.refresh)
		}
	}
}

// idOf is the id of an account; empty while there is none.
func (s *site) idOf(name string) string {
	a, err := s.store.FindAccount(s.t.Context(), name)
	if err != nil {
		return ""
	}
	return a.ID
}

// member finds a token in an answer.
func (s *site) member(a answer, where string) string {
	s.t.Helper()
	if where == "" {
		return ""
	}
	if where == "whole" {
		return a.body
	}
	if field, ok := strings.CutPrefix(where, "header "); ok {
		return a.Header.Get(field)
	}
	v, _ := lookup(a.object(s.t), where)
	text, _ := v.(string)
	if text == "" {
		s.t.Fatalf("no %s in %s", where, a.body)
	}
	return text
}

// fill puts a value into a body.
func fill(r *http.Request, name, value string) {
	text := strings.ReplaceAll(readAll(r), url.QueryEscape(name), name) // a form has it escaped
	body(r.Header.Get("Content-Type"), strings.ReplaceAll(text, name, value))(r)
}

func matches(got, want string) bool {
	if !strings.HasPrefix(want, "{") {
		return want == "*" && got != "" || got == want
	}
	var g, w any
	if json.Unmarshal([]byte(got), &g) != nil || json.Unmarshal([]byte(want), &w) != nil {
		return false
	}
	return alike(g, w)
}

// alike compares all members, both ways: one more than the original had is as
// wrong as one less.
func alike(got, want any) bool {
	w, isObject := want.(map[string]any)
	if !isObject {
		text, isText := got.(string)
		return reflect.DeepEqual(got, want) || want == "*" && isText && text != ""
	}
	g, isObject := got.(map[string]any)
	if !isObject || len(g) != len(w) {
		return false
	}
	for name := range w {
		if !alike(g[name], w[name]) {
			return false
		}
	}
	return true
}

func TestPresetBezkoder(t *testing.T) {
	s := newSite(t, preset("bezkoder"), func(s *setup) { s.auth.IDFormat = "integer" })
	var id json.Number
	signup := `{"username":"mod","email":"mod@bezkoder.com","password":"12345678"`
	s.speak("X-Access-Token", []spoken{
		{name: "signup", method: "POST", path: "/api/auth/signup", send: asJSON(signup + `,"roles":["user","moderator"]}`), status: 200, want: `{"message":"User was registered successfully!"}`},
		{name: "the name again", method: "POST", path: "/api/auth/signup", send: asJSON(signup + `}`), status: 400, want: `{"message":"Failed! Username is already in use!"}`},
		{name: "the address again", method: "POST", path: "/api/auth/signup", send: asJSON(`{"username":"mod2","email":"mod@bezkoder.com","password":"12345678"}`), status: 400, want: `{"message":"Failed! Email is already in use!"}`},
		{name: "an unknown role", method: "POST", path: "/api/auth/signup", send: asJSON(`{"username":"x","email":"x@bezkoder.com","password":"12345678","roles":["boss"]}`), status: 400, want: `{"message":"*"}`},
		{name: "a role that is not given away", method: "POST", path: "/api/auth/signup", send: asJSON(`{"username":"x","email":"x@bezkoder.com","password":"12345678","roles":["admin"]}`), status: 400, want: `{"message":"*"}`},
		{name: "a wrong password", method: "POST", path: "/api/auth/signin", send: asJSON(`{"username":"mod","password":"123456789"}`), status: 401, want: `{"accessToken":null,"message":"Invalid Password!"}`},
		{name: "an unknown name", method: "POST", path: "/api/auth/signin", send: asJSON(`{"username":"nobody","password":"123456789"}`), status: 401, want: `{"accessToken":null,"message":"Invalid Password!"}`},
	})
	a := s.ask("POST", "/api/auth/signin", asJSON(`{"username":"mod","password":"12345678"}`)).want(t, 200, "")
	d := json.NewDecoder(strings.NewReader(a.body))
	d.UseNumber()
	var got map[string]any
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	id, _ = got["id"].(json.Number)
	if id.String() != s.idOf("mod") || !reflect.DeepEqual(got["roles"], []any{"ROLE_USER", "ROLE_MODERATOR"}) || len(got) != 6 || got["username"] != "mod" || got["email"] != "mod@bezkoder.com" {
		t.Fatalf("signin answers %s", a.body)
	}
	access, refresh := got["accessToken"].(string), got["refreshToken"].(string)
	if p := claimsOf(t, access); p["id"] == nil || p["exp"].(float64)-p["iat"].(float64) != 3600 {
		t.Errorf("the token claims %v", p)
	}
	for _, path := range []string{"/api/auth/refreshtoken", "/api/auth/refreshToken"} {
		s.later(time.Minute)
		a := s.ask("POST", path, asJSON(`{"refreshToken":"`+refresh+`"}`)).want(t, 200, "")
		if !matches(a.body, `{"accessToken":"*","refreshToken":"`+refresh+`"}`) || a.text(t, "accessToken") == access {
			t.Errorf("%s answers %s", path, a.body)
		}
	}
	s.speak("X-Access-Token", []spoken{
		{name: "no refresh token", method: "POST", path: "/api/auth/refreshtoken", send: asJSON(`{}`), status: 403, want: `{"message":"Refresh Token is required!"}`},
		{name: "nothing at all", method: "POST", path: "/api/auth/refreshtoken", send: asJSON(""), status: 403, want: `{"message":"Refresh Token is required!"}`},
		{name: "null for one", method: "POST", path: "/api/auth/refreshtoken", send: asJSON(`{"refreshToken":null}`), status: 403, want: `{"message":"Refresh Token is required!"}`},
		{name: "an unknown one", method: "POST", path: "/api/auth/refreshtoken", send: asJSON(`{"refreshToken":"f5ec4710-9450-47e0-a202-7a1e22cd2c3c"}`), status: 403, want: `{"message":"Refresh token is not in database!"}`},
	})
	s.later(24 * time.Hour)
	s.speak("X-Access-Token", []spoken{
		{name: "an expired one", method: "POST", path: "/api/auth/refreshtoken", send: asJSON(`{"refreshToken":"` + refresh + `"}`), status: 403, want: `{"message":"Refresh token was expired. Please make a new signin request"}`},
	})
}

func TestPresetXAuthToken(t *testing.T) {
	s := newSite(t, preset("express-x-auth-token"))
	a := s.ask("POST", "/api/users", asJSON(`{"name":"Brett","email":"mod","password":"12345678"}`)).want(t, 400, "")
	if a.Header.Get("Content-Type") != textType || a.body == "" {
		t.Errorf("a wrong address: %s %q", a.Header.Get("Content-Type"), a.body)
	}
	user := `{"name":"Brett Johnson","email":"brett@devcodecamp.com","password":"correct-horse-9"}`
	a = s.ask("POST", "/api/users", asJSON(user)).want(t, 200, "")
	if !matches(a.body, `{"_id":"`+s.idOf("brett@devcodecamp.com")+`","name":"Brett Johnson","email":"brett@devcodecamp.com"}`) {
		t.Errorf("registered: %s", a.body)
	}
	if a.Header.Get("Access-Control-Expose-Headers") != "x-auth-token" || !s.alive(a.Header.Get("X-Auth-Token")) {
		t.Errorf("fields %v", a.Header)
	}
	s.speak("X-Auth-Token", []spoken{
		{name: "again", method: "POST", path: "/api/users", send: asJSON(user), status: 400, want: "User already registered."},
		{name: "a wrong password", method: "POST", path: "/api/auth", send: asJSON(`{"email":"brett@devcodecamp.com","password":"wrong"}`), status: 400, want: "Invalid email or password."},
		{name: "an unknown user", method: "POST", path: "/api/auth", send: asJSON(`{"email":"nobody@devcodecamp.com","password":"wrong"}`), status: 400, want: "Invalid email or password."},
	})
	a = s.ask("POST", "/api/auth", asJSON(`{"email":"brett@devcodecamp.com","password":"correct-horse-9"}`)).want(t, 200, "")
	p := claimsOf(t, a.body)
	if p["_id"] != s.idOf("brett@devcodecamp.com") || p["name"] != "Brett Johnson" || p["isAdmin"] != false || p["exp"].(float64)-p["iat"].(float64) != 7*86400 {
		t.Errorf("the token claims %v", p)
	}
	if a.Header.Get("X-Auth-Token") != "" {
		t.Error("the login sends the token twice")
	}
}

func TestPresetXAccessToken(t *testing.T) {
	s := newSite(t, preset("express-x-access-token"))
	user := `"name":"Mike","email":"mike@example.com","password":"thisisasecretpassword"`
	both := `{"email":"mike@example.com","password":"thisisasecretpassword"}`
	s.speak("X-Access-Token", []spoken{
		{name: "me without a token", method: "GET", path: "/api/auth/me", status: 401, want: `{"auth":false,"message":"No token provided."}`},
		{name: "register by form", method: "POST", path: "/api/auth/register", send: asForm("name", "Mike", "email", "mike@example.com", "password", "thisisasecretpassword"), status: 200, want: `{"auth":true,"token":"*"}`},
		{name: "again, as JSON", method: "POST", path: "/api/auth/register", send: asJSON("{" + user + "}"), status: 409, want: `{"auth":false,"message":"*"}`},
		{name: "a wrong password", method: "POST", path: "/api/auth/login", send: asJSON(`{"email":"mike@example.com","password":"x"}`), status: 401, want: `{"auth":false,"token":null}`},
		{name: "an unknown user", method: "POST", path: "/api/auth/login", send: asForm("email", "x@example.com", "password", "x"), status: 401, want: `{"auth":false,"token":null}`},
		{name: "login", method: "POST", path: "/api/auth/login", send: asJSON(both), status: 200, want: `{"auth":true,"token":"*"}`, token: "token"},
		{name: "me", method: "GET", path: "/api/auth/me", status: 200, want: `{"_id":"*","name":"Mike","email":"mike@example.com"}`},
		{name: "logout", method: "GET", path: "/api/auth/logout", status: 200, want: `{"auth":false,"token":null}`},
		{name: "me after the logout", method: "GET", path: "/api/auth/me", status: 401, want: `{"auth":false,"message":"Failed to authenticate token."}`},
	})
	s.speak("X-Access-Token", []spoken{
		{name: "the other login", method: "POST", path: "/users/login", send: asJSON(both), status: 200, want: `{"status":200,"data":{"_id":"*","name":"Mike","email":"mike@example.com","token":"*"}}`, token: "data.token"},
		{name: "profile", method: "GET", path: "/users/profile", status: 200, want: `{"status":200,"data":{"_id":"*","name":"Mike","email":"mike@example.com"}}`},
		{name: "change", method: "PUT", path: "/users/profile/", send: asJSON(`{"name":"Robin","roles":["admin"],"_id":"1"}`), status: 200, want: `{"status":200,"data":{"_id":"*","name":"Robin","email":"mike@example.com"}}`},
		{name: "change by form", method: "PUT", path: "/users/profile", send: asForm("name", "Marian"), status: 200, want: `{"status":200,"data":{"_id":"*","name":"Marian","email":"mike@example.com"}}`},
	})
	s.speak("X-Access-Token", []spoken{
		{name: "the other registration", method: "POST", path: "/users/register", send: asJSON(`{"name":"Much","username":"mod","email":"much@example.com","password":"thisisasecretpassword"}`), status: 200, want: `{"status":200,"data":{"_id":"*","name":"Much","email":"much@example.com","token":"*"}}`},
		{name: "public profile", method: "GET", path: "/users/profile/public/{id}", status: 200, want: `{"status":200,"data":{"_id":"*","name":"Much"}}`},
		{name: "nobody's profile", method: "GET", path: "/users/profile/public/00000000-0000-0000-0000-000000000000", status: 404, want: `{"status":404,"message":"*"}`},
		{name: "a wrong password", method: "POST", path: "/users/login", send: asJSON(`{"email":"mike@example.com","password":"x"}`), status: 401, want: `{"status":401,"message":"*"}`},
	})
	a := s.ask("POST", "/users/login", asJSON(both)).want(t, 200, "")
	if p := claimsOf(t, s.member(a, "data.token")); p["exp"].(float64)-p["iat"].(float64) != 10*86400 || p["_id"] != s.idOf("mike@example.com") {
		t.Errorf("the token claims %v", p)
	}
	a = s.ask("POST", "/api/auth/login", asJSON(both)).want(t, 200, "")
	if p := claimsOf(t, a.text(t, "token")); p["exp"].(float64)-p["iat"].(float64) != 86400 || p["id"] != s.idOf("mike@example.com") {
		t.Errorf("the token claims %v", p)
	}
}

func TestPresetSimpleJWT(t *testing.T) {
	s := newSite(t, preset("drf-simplejwt"))
	s.speak("Authorization", []spoken{
		{name: "a wrong password", method: "POST", path: "/api/token/", send: asJSON(`{"username":"alice","password":"x"}`), status: 401, want: `{"detail":"No active account found with the given credentials"}`},
		{name: "no password", method: "POST", path: "/api/token/", send: asJSON(`{"username":"alice"}`), status: 400, want: `{"detail":"*"}`},
		{name: "login as JSON", method: "POST", path: "/api/token/", send: asJSON(`{"username":"alice","password":"` + alicePassword + `"}`), status: 200, want: `{"refresh":"*","access":"*"}`},
		{name: "login by form", method: "POST", path: "/api/token/", send: asForm("username", "alice", "password", alicePassword), status: 200, want: `{"refresh":"*","access":"*"}`, refresh: "refresh"},
		{name: "refresh", method: "POST", path: "/api/token/refresh/", send: asJSON(`{"refresh":"{refresh}"}`), status: 200, want: `{"access":"*"}`},
		{name: "refresh with the same", method: "POST", path: "/api/token/refresh/", send: asForm("refresh", "{refresh}"), status: 200, want: `{"access":"*"}`},
		{name: "refresh with another", method: "POST", path: "/api/token/refresh/", send: asJSON(`{"refresh":"eyJ"}`), status: 401, want: `{"detail":"Token is invalid or expired","code":"token_not_valid"}`},
		{name: "a program's GET", method: "GET", path: "/api/token/", status: 405, want: `{"detail":"*"}`},
	})
	a := s.ask("POST", "/api/token/", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(t, 200, "")
	p := claimsOf(t, a.text(t, "access"))
	if p["token_type"] != "access" || p["user_id"] != s.idOf("alice") || p["jti"] == nil || p["exp"].(float64)-p["iat"].(float64) != 300 {
		t.Errorf("the token claims %v", p)
	}
	if page := s.ask("GET", "/api/token/", navigation).want(t, 200, ""); !strings.Contains(page.body, "<form") {
		t.Error("a browser sees no form")
	}
	s.later(24 * time.Hour)
	s.ask("POST", "/api/token/refresh/", asJSON(`{"refresh":"`+a.text(t, "refresh")+`"}`)).want(t, 401, "token_not_valid")
}

func TestPresetFastAPI(t *testing.T) {
	s := newSite(t, preset("fastapi-oauth2"))
	s.speak("Authorization", []spoken{
		{name: "signup", method: "POST", path: "/signup", send: asJSON(`{"email":"a@example.com","password":"correct-horse-9"}`), status: 200, want: `{"id":"*","email":"a@example.com"}`},
		{name: "again", method: "POST", path: "/signup", send: asJSON(`{"email":"a@example.com","password":"correct-horse-9"}`), status: 400, want: `{"detail":"User with this email already exist"}`},
		{name: "a wrong password", method: "POST", path: "/login", send: asForm("grant_type", "password", "username", "a@example.com", "password", "x"), status: 400, want: `{"detail":"Incorrect email or password"}`},
		{name: "me without a token", method: "GET", path: "/me", status: 401, want: `{"detail":"Not authenticated"}`},
		{name: "login", method: "POST", path: "/login", send: asForm("grant_type", "password", "username", "a@example.com", "password", "correct-horse-9", "scope", ""), status: 200, want: `{"access_token":"*","refresh_token":"*","token_type":"bearer"}`, token: "access_token"},
		{name: "me", method: "GET", path: "/me", status: 200, want: `{"id":"*","email":"a@example.com"}`},
	})
	s.ask("GET", "/me", bearer("x.y.z")).want(t, 403, "")
	a := s.ask("POST", "/login", asForm("username", "alice", "password", alicePassword)).want(t, 200, "")
	if p := claimsOf(t, a.text(t, "access_token")); p["exp"].(float64)-p["iat"].(float64) != 1800 {
		t.Errorf("the token claims %v", p)
	}
	s.later(31 * time.Minute)
	if a := s.ask("GET", "/me", bearer(a.text(t, "access_token"))).want(t, 401, ""); !matches(a.body, `{"detail":"Token expired"}`) || a.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("an expired token: %s", a.body)
	}
}

func TestPresetFlask(t *testing.T) {
	s := newSite(t, preset("flask-jwt-extended"))
	s.speak("Authorization", []spoken{
		{name: "a wrong password", method: "POST", path: "/login", send: asJSON(`{"username":"alice","password":"x"}`), status: 401, want: `{"message":"Login Failed"}`},
		{name: "login", method: "POST", path: "/login", send: asJSON(`{"username":"alice","password":"` + alicePassword + `"}`), status: 200, want: `{"message":"Login Success","access_token":"*"}`},
	})
}

func TestPresetNest(t *testing.T) {
	s := newSite(t, preset("nestjs"))
	s.speak("Authorization", []spoken{
		{name: "signup", method: "POST", path: "/auth/signup", send: asJSON(`{"name":"Ada","email":"ada@example.com","password":"correct-horse-9"}`), status: 201, want: `{"token":"*"}`},
		{name: "a wrong password", method: "POST", path: "/auth/login", send: asJSON(`{"email":"ada@example.com","password":"x"}`), status: 401, want: `{"message":"invalid email or password","error":"Unauthorized","statusCode":401}`},
		{name: "login", method: "POST", path: "/auth/login", send: asJSON(`{"email":"ada@example.com","password":"correct-horse-9"}`), status: 201, want: `{"token":"*"}`},
		{name: "a short password", method: "POST", path: "/auth/signup", send: asJSON(`{"name":"Bob","email":"bob@example.com","password":"x"}`), status: 400, want: `{"message":"*","error":"Bad Request","statusCode":400}`},
	})
	// The page at the same path is the gateway's own, and its form is answered as
	// ever.
	s.ask("GET", "/auth/login", navigation).want(t, 200, "")
	a := s.ask("POST", "/auth/login", navigation, asForm("username", "alice", "password", alicePassword)).want(t, 303, "")
	a.value(t, s.handler.cookies.access)
}

func TestPresetSpring(t *testing.T) {
	for path, a := range map[string]Alias{"/login": {Preset: "spring"}, "/api/services/controller/user/login": {Preset: "spring", Path: "/api/services/controller/user/login"}} {
		s := newSite(t, func(s *setup) { s.web.Aliases = []Alias{a} })
		s.speak("Authorization", []spoken{
			{name: "a wrong password", method: "POST", path: path, send: asJSON(`{"username":"alice","password":"x"}`), status: 401, want: `{"status":401,"error":"Unauthorized","message":"*"}`},
		})
		got := s.ask("POST", path, asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(t, 200, "")
		token, ok := strings.CutPrefix(got.Header.Get("Authorization"), "Bearer ")
		if !ok || got.body != "" || got.Header.Get("Access-Control-Expose-Headers") != "Authorization" || !s.alive(token) {
			t.Errorf("%s answers %v %q", path, got.Header, got.body)
		}
		if p := claimsOf(t, token); p["exp"].(float64)-p["iat"].(float64) != 900 {
			t.Errorf("the token claims %v", p)
		}
	}
}
