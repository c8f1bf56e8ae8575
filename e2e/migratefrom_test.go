package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// lazyConfig is a gateway before an application that nobody has to ask. {PATH}
// is the old application's login.
const lazyConfig = `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { level: info, format: json }
upstreams: [ { name: app, urls: ["http://{OLD}"] } ]
routes: [ { path: /asked, allow: { role: admin } } ]
auth:
  lockout: { attempts: 6, window: 10m, duration: 15m }
  migrate_from:
    login_url: http://{OLD}{PATH}
    username_field: login
    success_field: user.id
    fields:
      - { field: user.id, as: id }
      - { field: user.login, as: username }
      - { field: user.mail, as: email }
      - { field: user.name, as: name }
      - { field: user.roles, as: roles }
    roles: [ { role: ROLE_ADMIN, as: admin }, { role: ROLE_USER, as: user } ]
    timeout: 10s
`

// lazily starts a gateway that brings the users of an Express application along.
func lazily(t *testing.T) (*gateway, app) {
	t.Helper()
	old := startExpress(t, "users.js")
	g := prepare(t, lazy(old, "/api/login"))
	g.addUser("alice", "user")
	return g.start(), old
}

func lazy(old app, path string) string {
	return strings.NewReplacer("{OLD}", old.addr, "{PATH}", path).Replace(lazyConfig)
}

// question is a login that the old application was asked about.
type question struct {
	Path, Login string
	Headers     map[string]string
}

func (a app) asked(t *testing.T) []question {
	t.Helper()
	var all []question
	if err := json.Unmarshal([]byte(a.client(t).get("/asked").want(t, 200, "what was asked").body), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestUsersComeAlongFromAnExpressApplication: the first login is held against
// the old application, once, and the account that it makes is like any other.
func TestUsersComeAlongFromAnExpressApplication(t *testing.T) {
	t.Parallel()
	g, old := lazily(t)
	c := g.client()
	c.tryLogin("bob", "wrong-password").want(t, 401, "a wrong password")
	c.tryLogin("nobody", "bob-password").want(t, 401, "an unknown name")
	if users := mustRun(t, g.dir, "", "user", "list", "--config", "gateway.yaml"); strings.Contains(users, "bob") {
		t.Fatalf("a refused login made an account:\n%s", users)
	}
	first := c.postJSON("/auth/login", map[string]string{"username": "bob", "password": "bob-password"},
		"Cookie: session=mallory", "X-Forwarded-For: 203.0.113.9", "X-Auth-User: mallory", "Referer: http://elsewhere/")
	got := c.tokens(first.want(t, 200, "the first login")).User
	if got.ID != "1001" || got.Username != "bob" || got.Email != "bob@old.example.com" || got.Name != "Old bob" || strings.Join(got.Roles, ",") != "user" {
		t.Errorf("bob came along as %+v", got)
	}
	carol := c.tokens(c.tryLogin("carol@old.example.com", "carol-password").want(t, 200, "a login by the address"))
	if u := carol.User; u.ID != "1002" || u.Username != "carol" || strings.Join(u.Roles, ",") != "admin" {
		t.Errorf("carol came along as %+v", u)
	}
	c.get("/asked", bearer(carol.AccessToken)).want(t, 200, "a page for the role that came along")
	if hash := g.hashes()["bob"]; !strings.HasPrefix(hash, "$argon2id$") {
		t.Errorf("the hash begins with %.10s", hash)
	}

	asked := old.asked(t)
	if len(asked) != 4 {
		t.Fatalf("the old application was asked %d times, want 4: %v", len(asked), asked)
	}
	for _, q := range asked {
		for name, value := range q.Headers {
			if strings.Contains(value, "mallory") || strings.Contains("cookie, authorization, x-forwarded-for, referer, x-request-id, origin", name) {
				t.Errorf("the client's field %s: %s was passed on", name, value)
			}
		}
	}
	// From here on it is not needed for them, nor for those who were here before.
	for name, password := range map[string]string{"bob": "bob-password", "carol": "carol-password", "carol@old.example.com": "carol-password", "alice": passwordOf("alice")} {
		g.client().tryLogin(name, password).want(t, 200, "another login of "+name)
	}
	g.client().tryLogin("alice", "alice-in-the-old-application").want(t, 401, "the old password of somebody who is here")
	if n := len(old.asked(t)); n != 4 {
		t.Errorf("it was asked %d times in all, want 4", n)
	}
	if n := len(g.audit("user_migrated")); n != 2 {
		t.Errorf("%d audit lines of users who came along, want 2", n)
	}
	for _, secret := range []string{"bob-password", "carol-password", "wrong-password"} {
		if strings.Contains(g.stdout.String()+g.stderr.String(), secret) {
			t.Errorf("the log has the password %q", secret)
		}
	}
}

// TestAnOldLoginThatIsNoneMakesNobody goes through the ways in which a login
// can answer. Each is taken up by a reload, and none of them makes an account.
func TestAnOldLoginThatIsNoneMakesNobody(t *testing.T) {
	t.Parallel()
	g, old := lazily(t)
	for _, test := range []struct {
		path   string
		status int
		code   string
	}{
		{"/login", 401, "invalid_credentials"},
		{"/moved", 401, "invalid_credentials"},
		{"/soft", 401, "invalid_credentials"},
		{"/nowhere", 401, "invalid_credentials"},
		{"/huge", 503, "unavailable"},
		{"/broken", 503, "unavailable"},
		{"/silent", 503, "unavailable"},
	} {
		t.Run(test.path, func(t *testing.T) {
			config := lazy(old, test.path)
			if test.path == "/silent" {
				config = strings.Replace(config, "timeout: 10s", "timeout: 300ms", 1)
			}
			g.configure(config)
			g.reload("reload")
			r := g.client().tryLogin("dora", "dora-password").want(t, test.status, "a login by "+test.path)
			if r.code() != test.code || test.status == http.StatusServiceUnavailable && r.Header.Get("Retry-After") == "" {
				t.Errorf("code %q, Retry-After %q", r.code(), r.Header.Get("Retry-After"))
			}
			g.client().tryLogin("alice", passwordOf("alice")).want(t, 200, "somebody who is here")
			if users := mustRun(t, g.dir, "", "user", "list", "--config", "gateway.yaml"); strings.Contains(users, "dora") || strings.Contains(users, "1 ") && strings.Contains(users, "Old") {
				t.Errorf("an account was made:\n%s", users)
			}
		})
	}
	for _, q := range old.asked(t) {
		if q.Path == "/api/login" {
			t.Error("a redirect was followed")
		}
	}
	t.Run("form", func(t *testing.T) {
		g.configure(strings.Replace(lazy(old, "/api/login"), "username_field: login", "username_field: login\n    format: form", 1))
		g.reload("reload")
		g.client().tryLogin("dora", "dora-password").want(t, 200, "a login by a form")
	})
}

// TestAnOldApplicationThatIsDownLocksNobodyOut: who is unknown is told to try
// again, and can, as often as it takes.
func TestAnOldApplicationThatIsDownLocksNobodyOut(t *testing.T) {
	t.Parallel()
	g, old := lazily(t)
	down := old
	down.addr = freeAddr(t)
	g.configure(lazy(down, "/api/login"))
	g.reload("reload")
	for range 10 {
		r := g.client().tryLogin("bob", "bob-password").want(t, 503, "while it is down")
		if r.code() != "unavailable" || r.Header.Get("Retry-After") == "" {
			t.Errorf("code %q, Retry-After %q", r.code(), r.Header.Get("Retry-After"))
		}
	}
	if len(g.audit("migrate_failed")) == 0 {
		t.Error("the audit log does not say that the old application is down")
	}
	g.configure(lazy(old, "/api/login"))
	g.reload("reload")
	g.client().tryLogin("bob", "bob-password").want(t, 200, "when it is back")
}

// TestGuessingAtTheOldApplicationIsLocked: the gateway is no relay for guesses.
func TestGuessingAtTheOldApplicationIsLocked(t *testing.T) {
	t.Parallel()
	g, old := lazily(t)
	stranger, r := g.from("127.0.0.2"), reply{}
	for range 20 {
		if r = stranger.tryLogin("bob", "guess-guess"); r.StatusCode == http.StatusTooManyRequests {
			break
		}
		r.want(t, 401, "a guess")
	}
	r.want(t, 429, "guessing on")
	before := len(old.asked(t))
	stranger.tryLogin("bob", "bob-password").want(t, 429, "the right password while locked")
	if now := len(old.asked(t)); now != before || before > 6 {
		t.Errorf("asked %d times, and %d while locked", before, now-before)
	}
}

// TestManyFirstLoginsAtOnceMakeOneAccount: two tabs, or a double click.
func TestManyFirstLoginsAtOnceMakeOneAccount(t *testing.T) {
	t.Parallel()
	g, _ := lazily(t)
	var wg sync.WaitGroup
	replies := make([]reply, 5)
	for i := range replies {
		c := g.client()
		wg.Go(func() {
			replies[i], _ = c.try("POST", "/auth/login", `{"username":"bob","password":"bob-password"}`, "Content-Type: application/json")
		})
	}
	wg.Wait()
	for _, r := range replies {
		if r.Response == nil {
			t.Fatal("no answer")
		}
		if id := g.client().tokens(r.want(t, 200, "a first login")).User.ID; id != "1001" {
			t.Errorf("bob is %s", id)
		}
	}
	if n := len(g.audit("user_migrated")); n != 1 {
		t.Errorf("%d accounts were made", n)
	}
}
