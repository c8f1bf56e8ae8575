package e2e

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const expressConfig = `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { level: info, format: json }
auth: { roles: [user, moderator, admin] }
upstreams:
  - { name: app, urls: ["http://{UPSTREAM}"], router: express }
routes:
`

// TestExpressExampleBehindTheGateway puts the "User login" example of
// express-session's own README behind the gateway. It lets in whoever types a
// name; now a real login stands before it, and its session cookie and the
// gateway's live side by side.
func TestExpressExampleBehindTheGateway(t *testing.T) {
	t.Parallel()
	example := startExpress(t, "readme.js", "User login")
	g := prepare(t, strings.ReplaceAll(expressConfig, "{UPSTREAM}", example.addr)+`
  - { path: /, allow: authenticated }
  - { path: /login, methods: [POST], allow: authenticated }
  - { path: /logout, allow: authenticated }
`)
	g.addUser("alice", "user")
	g.start()

	anybody := example.client(t)
	anybody.postForm("/login", url.Values{"user": {"mallory"}}).want(t, 302, "the example alone lets anybody in")
	if body := anybody.get("/").body; !strings.Contains(body, "hello, mallory!") {
		t.Fatalf("the example alone says %q", body)
	}

	g.client().postForm("/login", url.Values{"user": {"mallory"}}).want(t, 401, "the example's login without a login")
	b := g.browser()
	r := b.get("/").want(t, 303, "a page without a login")
	if r.location() != "/auth/login?rd=%2F" {
		t.Errorf("sent to %q, want the login page with the way back", r.location())
	}
	b.loginForm("alice")
	if body := b.get("/").want(t, 200, "the example's page").body; !strings.Contains(body, `<form action="/login"`) {
		t.Fatalf("want the example's own form, got %q", body)
	}
	b.postForm("/login", url.Values{"user": {"al"}}).want(t, 302, "the example's own login")
	own := b.cookie("/", "connect.sid")
	hello := func(when string) {
		t.Helper()
		if body := b.get("/").want(t, 200, when).body; !strings.Contains(body, "hello, al!") {
			t.Errorf("%s: the example forgot its session: %q", when, body)
		}
		if now := b.cookie("/", "connect.sid"); now != own || own == "" {
			t.Errorf("%s: the example's cookie became %q, was %q", when, now, own)
		}
	}
	hello("with both sessions")
	before := b.cookie("/", "postern")
	b.do("POST", "/auth/refresh", "", "Origin: "+b.base).want(t, 200, "refresh by cookie")
	if b.cookie("/", "postern") == before {
		t.Error("a refresh left the gateway's cookie as it was")
	}
	hello("after a refresh")
	b.postForm("/auth/logout", nil)
	b.get("/").want(t, 303, "a page after logout")
	b.loginForm("alice")
	hello("after a logout and a login at the gateway")
}

// TestExpressPagesByRole is the table of who sees what in an application that
// checks nothing itself.
func TestExpressPagesByRole(t *testing.T) {
	t.Parallel()
	g := startPages(t)
	for _, test := range []struct {
		who    string
		status map[string]int
	}{
		{"", map[string]int{"/": 200, "/user": 401, "/mod": 401, "/admin": 401, "/nowhere": 404}},
		{"alice", map[string]int{"/": 200, "/user": 200, "/mod": 403, "/admin": 403, "/nowhere": 404}},
		{"mia", map[string]int{"/": 200, "/user": 200, "/mod": 200, "/admin": 403, "/nowhere": 404}},
		{"root", map[string]int{"/": 200, "/user": 200, "/mod": 403, "/admin": 200, "/nowhere": 404}},
	} {
		c := g.client()
		var header []string
		if test.who != "" {
			header = []string{bearer(c.login(test.who).AccessToken)}
		}
		for path, want := range test.status {
			if got := c.get(path, header...); got.StatusCode != want {
				t.Errorf("%q asks for %s: got %s, want %d", test.who, path, got.Status, want)
			}
		}
	}
}

// TestExpressIsToldWhoAsks reads what reached the application: one identity,
// the gateway's, and of the cookies only the application's own.
func TestExpressIsToldWhoAsks(t *testing.T) {
	t.Parallel()
	g := startPages(t)
	c := g.browser()
	c.loginForm("alice")
	c.get("/user").want(t, 200, "a page")
	told := rawHeaders(t, c.get("/headers"))
	for name, want := range map[string]string{
		"X-Auth-User": "alice", "X-Auth-Roles": "user", "X-Auth-Email": "alice@example.com", "X-Forwarded-Proto": "http", "X-Forwarded-For": "127.0.0.1",
	} {
		if got := told[strings.ToLower(name)]; !slices.Equal(got, []string{want}) {
			t.Errorf("the application was told %s: %q, want %q once", name, got, want)
		}
	}
	cookies := strings.Join(told["cookie"], "; ")
	if strings.Contains(cookies, "postern") || !strings.HasPrefix(cookies, "connect.sid=") {
		t.Errorf("the application was sent the cookies %q, want its own alone", cookies)
	}
	if len(told["x-request-id"]) != 1 || len(told["authorization"]) != 0 {
		t.Errorf("request id %q, authorization %q", told["x-request-id"], told["authorization"])
	}
}

// TestExpressGuestBook posts a form twice: the application's session holds
// what one browser wrote.
func TestExpressGuestBook(t *testing.T) {
	t.Parallel()
	g := startPages(t)
	c := g.browser()
	c.loginForm("alice")
	for _, entry := range []string{"first", "second"} {
		c.postForm("/user/guestbook", url.Values{"entry": {entry}}).want(t, 303, "an entry")
	}
	if got := c.get("/user/guestbook").body; got != `["alice: first","alice: second"]` {
		t.Errorf("the guest book holds %s", got)
	}
}

// spoofs are ways to claim an identity. The first of each is the field line.
func spoofs() [][]string {
	return [][]string{
		{"X-Auth-User: mallory"},
		{"x-auth-user: mallory"},
		{"X_Auth_User: mallory"},
		{"X-Auth_User: mallory"},
		{"x_auth-user: mallory"},
		{"x.auth.user: mallory"},
		{"X-Auth.User: mallory"},
		{"X-Auth-User: mallory", "X-Auth-User: mallory2"},
		{"X-Auth-User: mallory", "X_Auth_User: mallory"},
		{"Connection: X-Auth-User"},
		{"Connection: x-auth-user, X-Auth-Roles", "X_Auth_User: mallory"},
		{"X_Auth_Roles: admin,mallory", "X-Auth-Roles: mallory"},
		{"Remote-User: mallory", "REMOTE_USER: mallory", "X-Remote-User: mallory"},
		{"X-Forwarded-User: mallory", "X_Forwarded_User: mallory", "X-WEBAUTH-USER: mallory"},
	}
}

// TestExpressCannotBeLiedTo sends every spelling of an identity, with a login
// and without one.
func TestExpressCannotBeLiedTo(t *testing.T) {
	t.Parallel()
	g := startPages(t)
	c := g.client()
	token := c.login("alice").AccessToken
	for _, spoof := range spoofs() {
		t.Run(strings.Join(spoof, " "), func(t *testing.T) {
			for who, header := range map[string][]string{"alice": {bearer(token)}, "": nil} {
				r := c.get("/headers", append(header, spoof...)...).want(t, 200, "the page")
				if strings.Contains(r.body, "mallory") {
					t.Errorf("as %q the application was told %s", who, r.body)
				}
				var want []string
				if who != "" {
					want = []string{who}
				}
				if got := rawHeaders(t, r)["x-auth-user"]; !slices.Equal(got, want) {
					t.Errorf("as %q the application was told X-Auth-User: %q", who, got)
				}
			}
		})
	}
}

func startPages(t *testing.T) *gateway {
	t.Helper()
	pages := startExpress(t, "pages.js")
	g := prepare(t, strings.ReplaceAll(expressConfig, "{UPSTREAM}", pages.addr)+`
  - { path: /, allow: anyone }
  - { path: /headers, allow: anyone }
  - { path: /user/**, allow: authenticated }
  - { path: /mod, allow: { role: moderator } }
  - { path: /admin, allow: { role: admin } }
`)
	g.addUser("alice", "user")
	g.addUser("mia", "user", "moderator")
	g.addUser("root", "admin")
	return g.start()
}

// rawHeaders are the field lines that /headers of pages.js was sent, by name in
// lower case.
func rawHeaders(t *testing.T, r reply) map[string][]string {
	t.Helper()
	var page struct{ Raw []string }
	if err := json.Unmarshal([]byte(r.body), &page); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	told := map[string][]string{}
	for i := 0; i+1 < len(page.Raw); i += 2 {
		name := strings.ToLower(page.Raw[i])
		told[name] = append(told[name], page.Raw[i+1])
	}
	return told
}
