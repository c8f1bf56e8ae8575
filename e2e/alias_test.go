package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const aliasConfig = `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { level: info, format: json }
auth:
  roles: [user, moderator, admin]
  registration: { enabled: true, allow_roles: [moderator] }
  cors: { origins: ["https://spa.example.com"] }
  aliases: [ {ALIAS} ]
upstreams:
  - { name: app, urls: ["http://{UPSTREAM}"] }
routes:
  - { path: /api/test/all, allow: anyone }
  - { path: /api/test/user, allow: authenticated }
  - { path: /api/test/mod, allow: { any_role: [moderator, admin] } }
  - { path: /api/test/admin, allow: { role: admin } }
`

func startAliased(t *testing.T, alias string) (*gateway, *recorder) {
	t.Helper()
	app := newRecorder(t)
	g := prepare(t, strings.NewReplacer("{ALIAS}", alias, "{UPSTREAM}", app.addr).Replace(aliasConfig))
	g.addUser("alice", "user")
	return g.start(), app
}

// original is how a backend's clients log in and are answered.
type original struct {
	alias           string
	method, path    string
	form            bool
	user            string // the field of the name
	status          int
	members         []string // of the answer, all of them
	token           string   // where it is: a member, "body", or "header NAME"
	header          string   // that later requests send it in
	wrong           int
	wrongSays       string
	register        string // path; empty: the original had none that is known
	registerStatus  int
	registerMembers []string
}

func originals() []original {
	return []original{
		{"{ preset: bezkoder }", "POST", "/api/auth/signin", false, "username", 200, []string{"accessToken", "email", "id", "refreshToken", "roles", "username"}, "accessToken", "x-access-token",
			401, `{"accessToken":null,"message":"Invalid Password!"}`, "/api/auth/signup", 200, []string{"message"}},
		{"{ preset: express-x-auth-token }", "POST", "/api/auth", false, "email", 200, nil, "body", "x-auth-token",
			400, "Invalid email or password.", "/api/users", 200, []string{"_id", "email", "name"}},
		{"{ preset: express-x-access-token }", "POST", "/api/auth/login", true, "email", 200, []string{"auth", "token"}, "token", "x-access-token",
			401, `{"auth":false,"token":null}`, "/api/auth/register", 200, []string{"auth", "token"}},
		{"{ preset: drf-simplejwt }", "POST", "/api/token/", false, "username", 200, []string{"access", "refresh"}, "access", "Authorization",
			401, `{"detail":"No active account found with the given credentials"}`, "", 0, nil},
		{"{ preset: fastapi-oauth2 }", "POST", "/login", true, "username", 200, []string{"access_token", "refresh_token", "token_type"}, "access_token", "Authorization",
			400, `{"detail":"Incorrect email or password"}`, "/signup", 200, []string{"email", "id"}},
		{"{ preset: flask-jwt-extended }", "POST", "/login", false, "username", 200, []string{"access_token", "message"}, "access_token", "Authorization",
			401, `{"message":"Login Failed"}`, "", 0, nil},
		{"{ preset: nestjs }", "POST", "/auth/login", false, "email", 201, []string{"token"}, "token", "Authorization",
			401, `{"error":"Unauthorized","message":"invalid email or password","statusCode":401}`, "/auth/signup", 201, []string{"token"}},
		{"{ preset: spring, path: /api/services/controller/user/login }", "POST", "/api/services/controller/user/login", false, "username", 200, nil, "header Authorization", "Authorization",
			401, "", "", 0, nil},
	}
}

// TestClientsOfEightBackendsFindThemAgain goes through the built binary as each
// original client does: a wrong password, a registration, a login, a page.
func TestClientsOfEightBackendsFindThemAgain(t *testing.T) {
	t.Parallel()
	for _, o := range originals() {
		t.Run(o.alias, func(t *testing.T) {
			t.Parallel()
			g, app := startAliased(t, o.alias)
			c := g.client()
			name := "alice"
			if o.user == "email" {
				name = "alice@example.com"
			}
			r := o.send(c, o.path, map[string]string{o.user: name, "password": "wrong-password"}).want(t, o.wrong, "a wrong password")
			if o.wrongSays != "" && strings.TrimSpace(r.body) != o.wrongSays {
				t.Errorf("a wrong password: %s", r.body)
			}
			if o.register != "" {
				fields := map[string]string{"name": "Bob", "email": "bob@example.com", "password": "correct-horse-9"}
				if o.user == "username" && !o.form {
					fields["username"] = "bob"
				}
				r := c.postJSON(o.register, fields).want(t, o.registerStatus, "a registration")
				if got := membersOf(t, r.body); !slices.Equal(got, o.registerMembers) {
					t.Errorf("registered: %s", r.body)
				}
			}
			r = o.send(c, o.path, map[string]string{o.user: name, "password": passwordOf("alice")}).want(t, o.status, "a login")
			if o.members != nil && !slices.Equal(membersOf(t, r.body), o.members) {
				t.Errorf("logged in: %s", r.body)
			}
			line := o.header + ": " + o.tokenOf(t, r)
			app.take()
			c.get("/api/test/user", line).want(t, 200, "a page")
			c.get("/api/test/admin", line).want(t, 403, "a page for another role")
			if seen := app.take(); len(seen) != 1 || !slices.Equal(seen[0].values("X-Auth-User"), []string{"alice"}) || len(seen[0].values(o.header)) != 0 {
				t.Errorf("the application got %+v", seen)
			}
			o.fromAnotherOrigin(c, map[string]string{o.user: name, "password": passwordOf("alice")})
		})
	}
}

// send sends the fields as the client does.
func (o original) send(c *client, path string, fields map[string]string, header ...string) reply {
	if !o.form {
		return c.postJSON(path, fields, header...)
	}
	form := url.Values{}
	for name, value := range fields {
		form.Set(name, value)
	}
	return c.do("POST", path, form.Encode(), append(header, "Content-Type: application/x-www-form-urlencoded")...)
}

func (o original) tokenOf(t *testing.T, r reply) string {
	t.Helper()
	token := ""
	if name, ok := strings.CutPrefix(o.token, "header "); ok {
		return r.Header.Get(name) // with its Bearer
	}
	if o.token == "body" {
		return r.body
	}
	var answer map[string]any
	if err := json.Unmarshal([]byte(r.body), &answer); err == nil {
		token, _ = answer[o.token].(string)
	}
	if o.header == "Authorization" {
		return "Bearer " + token
	}
	return token
}

// fromAnotherOrigin is the client as a single-page application elsewhere: asked
// before, allowed, and able to read what it is answered.
func (o original) fromAnotherOrigin(c *client, fields map[string]string) {
	c.t.Helper()
	const spa = "Origin: https://spa.example.com"
	r := c.do("OPTIONS", o.path, "", spa, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type").want(c.t, 204, "a preflight")
	if r.Header.Get("Access-Control-Allow-Origin") != "https://spa.example.com" || !strings.Contains(r.Header.Get("Access-Control-Allow-Headers"), o.header) {
		c.t.Errorf("the preflight: %v", r.Header)
	}
	c.do("OPTIONS", o.path, "", "Origin: https://evil.example.com", "Access-Control-Request-Method: POST").want(c.t, o.elsewhere(), "a preflight of another site")
	r = o.send(c, o.path, fields, spa).want(c.t, o.status, "a login from another origin")
	exposed := r.Header.Get("Access-Control-Expose-Headers")
	if name, ok := strings.CutPrefix(o.token, "header "); ok && !strings.Contains(exposed, name) || r.Header.Get("Access-Control-Allow-Origin") == "" {
		c.t.Errorf("a page there may not read the token: %v", r.Header)
	}
	o.send(c, o.path, fields, "Origin: https://evil.example.com").want(c.t, 403, "a login that another site starts")
}

// elsewhere is what a preflight of an origin that is not listed comes to: it is
// the policy's, but below the prefix.
func (o original) elsewhere() int {
	if strings.HasPrefix(o.path, "/auth/") {
		return 403
	}
	return 404
}

func membersOf(t *testing.T, body string) []string {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return slices.Sorted(maps.Keys(answer))
}

// TestRegistrationSendsATokenThatPagesElsewhereCanRead is what x-auth-token's
// tutorial is about.
func TestRegistrationSendsATokenThatPagesElsewhereCanRead(t *testing.T) {
	t.Parallel()
	g, _ := startAliased(t, "{ preset: express-x-auth-token }")
	c := g.client()
	r := c.postJSON("/api/users", map[string]string{"name": "Bob B", "email": "bob@example.com", "password": "correct-horse-9"}).want(t, 200, "a registration")
	if r.Header.Get("Access-Control-Expose-Headers") != "x-auth-token" {
		t.Errorf("exposed: %v", r.Header)
	}
	c.get("/api/test/user", "x-auth-token: "+r.Header.Get("X-Auth-Token")).want(t, 200, "a page")
	if r := c.get("/api/test/user", "x-auth-token: nonsense").want(t, 400, "a bad token"); r.body != "Invalid token." {
		t.Errorf("a bad token: %q", r.body)
	}
	c.get("/api/test/user").want(t, 401, "no token")
}

// TestSimpleJWTsFlow is the one of its documentation: two tokens, a view, a new
// access token with the same refresh token, and none any more once the session
// has ended.
func TestSimpleJWTsFlow(t *testing.T) {
	t.Parallel()
	g, _ := startAliased(t, "{ preset: drf-simplejwt, access_ttl: 2s }")
	c := g.client()
	pair := func(r reply) (got struct{ Access, Refresh, Detail, Code string }) {
		if err := json.Unmarshal([]byte(r.body), &got); err != nil {
			t.Fatalf("%v in %q", err, r.body)
		}
		return got
	}
	first := pair(c.postJSON("/api/token/", map[string]string{"username": "alice", "password": passwordOf("alice")}).want(t, 200, "obtain"))
	c.get("/api/test/user", bearer(first.Access)).want(t, 200, "a view")
	eventually(t, "the access token expires", func() bool { return c.get("/api/test/user", bearer(first.Access)).StatusCode == 401 })
	if got := pair(c.get("/api/test/user", bearer(first.Access))); got.Code != "token_not_valid" || got.Detail != "Given token not valid for any token type" {
		t.Errorf("an expired token: %+v", got)
	}
	for range 3 { // the same refresh token each time: the original did not rotate
		next := pair(c.postJSON("/api/token/refresh/", map[string]string{"refresh": first.Refresh}).want(t, 200, "refresh"))
		c.get("/api/test/user", bearer(next.Access)).want(t, 200, "a view with the new token")
		first.Access = next.Access
	}
	c.postJSON("/auth/logout", map[string]string{"refresh_token": first.Refresh}).want(t, 204, "the gateway's logout")
	c.get("/api/test/user", bearer(first.Access)).want(t, 401, "a view after it")
	if got := pair(c.postJSON("/api/token/refresh/", map[string]string{"refresh": first.Refresh}).want(t, 401, "refresh after it")); got.Code != "token_not_valid" {
		t.Errorf("refused with %+v", got)
	}
	form := g.browser().get("/api/token/").want(t, 200, "a browser's GET")
	if !strings.Contains(form.body, "<form") {
		t.Error("a browser sees no form")
	}
}

// step is one line of axios-client.js.
type step struct {
	Step      string
	Status    int
	Data      json.RawMessage
	Statuses  []int
	Refreshes int
}

// TestAxiosWithItsInterceptor runs a tutorial's client on the real axios: a 401
// makes it refresh and try again, and the page never notices.
func TestAxiosWithItsInterceptor(t *testing.T) {
	t.Parallel()
	need(t, "node")
	dir := filepath.Join("testdata", "express")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "axios")); err != nil {
		lack(t, "e2e/testdata/express/node_modules")
	}
	g, app := startAliased(t, "{ preset: bezkoder, access_ttl: 2s }")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "axios-client.js", "http://"+g.addr+"/api", "mod", "12345678")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("axios-client.js: %v\n%s", err, out)
	}
	steps := map[string]step{}
	for line := range strings.Lines(string(out)) {
		var s step
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		steps[s.Step] = s
	}
	for name, want := range map[string]string{
		"wrong": `401 {"accessToken":null,"message":"Invalid Password!"}`, "signup": `200 {"message":"User was registered successfully!"}`,
		"admin": `403 {"message":"Require Admin Role!"}`, "bare": `401 {"message":"Unauthorized! Access Token was expired!"}`,
		"after": `403 {"message":"Refresh token is not in database!"}`,
	} {
		if got := fmt.Sprint(steps[name].Status, " ", string(steps[name].Data)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]int{"signin": 200, "user": 200, "retried": 200, "refresh": 200, "end": 204} {
		if steps[name].Status != want {
			t.Errorf("%s: %d %s", name, steps[name].Status, steps[name].Data)
		}
	}
	if got := steps["retried"].Refreshes; got != 1 {
		t.Errorf("%d refreshes for one expired token", got)
	}
	if got := steps["many"].Statuses; !reflect.DeepEqual(got, []int{200, 200, 200, 200, 200}) {
		t.Errorf("five at once after an expired token: %v", got)
	}
	var in, again struct{ RefreshToken string }
	json.Unmarshal(steps["signin"].Data, &in)
	json.Unmarshal(steps["refresh"].Data, &again)
	if in.RefreshToken == "" || in.RefreshToken != again.RefreshToken {
		t.Errorf("the refresh token became %q, was %q", again.RefreshToken, in.RefreshToken)
	}
	for _, seen := range app.take() {
		if !slices.Equal(seen.values("X-Auth-User"), []string{"mod"}) || len(seen.values("x-access-token")) != 0 {
			t.Errorf("the application got %s", seen.raw)
		}
	}
}

// TestAPresetBeforeAnApplicationThatChecksItsOwnTokens is the whole move of a
// tutorial's stack: the client as it was, the application as it was, with its
// own check left in. The one header carries the gateway's token up to the
// gateway, and the application's behind it.
func TestAPresetBeforeAnApplicationThatChecksItsOwnTokens(t *testing.T) {
	t.Parallel()
	api := startExpress(t, "access-token.js", legacySecret)
	const sources = `token_sources: [bearer, cookie, "header:x-access-token"]`
	if !strings.Contains(legacyConfig, sources) {
		t.Fatal("the configuration to change is not there")
	}
	g := prepare(t, strings.NewReplacer("{UPSTREAM}", api.addr, sources, "aliases: [ { preset: bezkoder } ]").Replace(legacyConfig))
	g.write("legacy.secret", legacySecret+"\n")
	g.addUser("alice", "user")
	g.addUser("root", "admin")
	g.start()
	for name, status := range map[string]int{"alice": 403, "root": 200} {
		c := g.client()
		var in struct{ ID, AccessToken, RefreshToken string }
		r := c.postJSON("/api/auth/signin", map[string]string{"username": name, "password": passwordOf(name)}).want(t, 200, "signin of "+name)
		if err := json.Unmarshal([]byte(r.body), &in); err != nil {
			t.Fatal(err)
		}
		var me struct{ ID string }
		r = c.get("/me", "x-access-token: "+in.AccessToken).want(t, 200, "the application's own page")
		if err := json.Unmarshal([]byte(r.body), &me); err != nil || me.ID != in.ID {
			t.Errorf("the application takes %s for %s", name, r.body)
		}
		c.get("/board", "x-access-token: "+in.AccessToken).want(t, status, "the application's own check of "+name)
		if r := c.get("/me", "x-access-token: nonsense").want(t, 401, "a bad token"); strings.TrimSpace(r.body) != `{"message":"Unauthorized!"}` {
			t.Errorf("a bad token: %s", r.body)
		}
	}
}

// The application still has its old login, which locks nobody out and knows
// nothing of disabled accounts. A wide open route leads there in no spelling
// that the application takes for the alias's.
func TestTheOldLoginIsNotReachedPastItsAlias(t *testing.T) {
	t.Parallel()
	app := newRecorder(t)
	open := strings.Replace(aliasConfig, "/api/test/all", "/api/**", 1)
	g := prepare(t, strings.NewReplacer("{ALIAS}", "{ preset: bezkoder }", "{UPSTREAM}", app.addr).Replace(open))
	g.addUser("alice", "user")
	g.start()
	c := g.client()
	body := map[string]string{"username": "alice", "password": "wrong-password"}
	for path, status := range map[string]int{
		"/api/auth/signin": 401, "/api/auth/%73ignin": 401, "/api/auth/signin/": 404, "/api/auth/SignIn": 404, "/api/AUTH/signin/": 404,
		"/api/auth/signin%20": 404, "/api/auth/signin.": 404, "/api/auth/SIGNUP": 404,
	} {
		c.postJSON(path, body).want(t, status, path)
	}
	if seen := app.take(); len(seen) != 0 {
		t.Errorf("the application got %+v", seen)
	}
	c.postJSON("/api/auth/signin2", body).want(t, 200, "another path")
	c.get("/api/auth/signin/").want(t, 200, "another method")
}

// TestAliasesComeAndGoWithAReload: the next request is answered as the file then
// says, a mistake changes nothing, and sessions go on.
func TestAliasesComeAndGoWithAReload(t *testing.T) {
	t.Parallel()
	g, _ := startAliased(t, "{ preset: drf-simplejwt }")
	c := g.client()
	in := map[string]string{"username": "alice", "password": passwordOf("alice")}
	r := c.postJSON("/api/token/", in).want(t, 200, "a login")
	var first struct{ Access, Refresh string }
	if err := json.Unmarshal([]byte(r.body), &first); err != nil {
		t.Fatal(err)
	}
	g.amend("{ preset: drf-simplejwt }", "{ preset: bezkoder, access_ttl: 2h }")
	c.postJSON("/api/token/", in).want(t, 404, "the login that has gone")
	r = c.postJSON("/api/auth/signin", in).want(t, 200, "the login that has come")
	var second struct{ AccessToken string }
	if err := json.Unmarshal([]byte(r.body), &second); err != nil {
		t.Fatal(err)
	}
	c.get("/api/test/user", "x-access-token: "+second.AccessToken).want(t, 200, "with the header that has come")
	c.get("/api/test/user", bearer(first.Access)).want(t, 200, "with the token of before")
	if got := c.tokens(c.refresh(first.Refresh).want(t, 200, "the refresh token of before")); got.RefreshToken != first.Refresh {
		t.Error("a session that was begun with a token that stays rotates")
	}
	g.edit("preset: bezkoder", "preset: bezcoder")
	g.reload("reload_refused")
	c.postJSON("/api/auth/signin", in).want(t, 200, "after a mistake")
	if check := run(t, g.dir, "", "config", "check", "--config", "gateway.yaml"); check.status != 2 || !strings.Contains(check.stdout+check.stderr, `unknown preset "bezcoder"`) {
		t.Errorf("config check: %d %s%s", check.status, check.stdout, check.stderr)
	}
}
