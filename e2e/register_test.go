package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// openDoor is an auth section where strangers may register, as user or author.
const openDoor = "  roles: [user, author, admin]\n  registration: { enabled: true, allow_roles: [author] }\n" +
	"  profile: { fields: [{ name: bio, editable: true, public: true }, { name: phone, editable: true }, { name: tenant }] }\n"

// TestARegistrationIsALogin: register, read oneself, refresh, log out.
func TestARegistrationIsALogin(t *testing.T) {
	t.Parallel()
	g, up := startPolicy(t, openDoor)
	c := g.client()
	made := c.tokens(c.postJSON("/auth/register", map[string]any{"username": "bob", "email": "bob@example.com", "name": "Bob",
		"password": "bobs-long-password", "fields": map[string]any{"bio": "painter", "phone": "+44 1"}}, "User-Agent: curl/8.5.0").want(t, 201, "register"))
	if made.TokenType != "Bearer" || made.ExpiresIn != 900 || made.User.Username != "bob" || fmt.Sprint(made.User.Roles) != "[user]" {
		t.Errorf("answered %+v", made)
	}
	me := c.get("/auth/me", bearer(made.AccessToken)).want(t, 200, "me")
	if !strings.Contains(me.body, `"email":"bob@example.com"`) || !strings.Contains(me.body, `"phone":"+44 1"`) {
		t.Error(me.body)
	}
	up.take()
	if said := c.get("/app/home", bearer(made.AccessToken)).want(t, 200, "the application"); said.body != "bob user" {
		t.Errorf("the application was told %q", said.body)
	}
	if seen := up.take(); len(seen) != 1 || len(seen[0].values("X-Auth-Email")) != 0 {
		t.Errorf("the application was told an address that nobody has verified: %v", seen)
	}
	if r := c.get("/auth/users/"+made.User.ID).want(t, 200, "the public profile"); !strings.Contains(r.body, `"fields":{"bio":"painter"}`) || strings.Contains(r.body, "@") || strings.Contains(r.body, "+44") {
		t.Error(r.body)
	}
	if r := c.get("/auth/sessions", bearer(made.AccessToken)).want(t, 200, "sessions"); !strings.Contains(r.body, `"device":"curl"`) || !strings.Contains(r.body, `"address":"127.0.0.1"`) {
		t.Error(r.body)
	}
	next := c.tokens(c.refresh(made.RefreshToken).want(t, 200, "refresh"))
	c.do("POST", "/auth/logout", "", bearer(next.AccessToken)).want(t, 204, "log out")
	if r := c.get("/auth/me", bearer(next.AccessToken)).want(t, 401, "me, logged out"); r.code() != "token_revoked" {
		t.Error(r.body)
	}
	c.tryLogin("BOB@example.com", "bobs-long-password").want(t, 200, "log in by e-mail")
	eventually(t, "audit user_created", func() bool { return len(g.audit("user_created")) == 1 })
	if e := g.audit("user_created")[0]; e["user"] != "bob" || e["by"] != "" || e["client"] != "127.0.0.1" || e["request_id"] == "" || e["detail"] != "user" {
		t.Errorf("the audit line is %v", e)
	}
	if text := g.stdout.String() + g.stderr.String(); strings.Contains(text, "bobs-long-password") || strings.Contains(text, made.AccessToken) {
		t.Error("the log tells a secret")
	}
}

// TestNobodyRegistersARoleForThemselves: roles come from the body only where
// they may, and another one is refused and never left out silently.
func TestNobodyRegistersARoleForThemselves(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, openDoor)
	c := g.client()
	ask := func(body string) reply {
		return c.do("POST", "/auth/register", body, "Content-Type: application/json")
	}
	for _, roles := range []string{`["admin"]`, `["author","admin"]`, `["ADMIN"]`, `["user,admin"]`, `["admin "]`, `[["admin"]]`, `"admin"`, `{"0":"admin"}`} {
		r := ask(`{"username":"eve","password":"eves-long-password","roles":` + roles + `}`)
		if r.StatusCode != 422 && r.StatusCode != 400 || !strings.Contains(r.body, `"field":"roles"`) {
			t.Errorf("%s: %s %s", roles, r.Status, r.body)
		}
	}
	for i, sneaky := range []string{`"role":"admin"`, `"Roles":["admin"]`, `"user":{"roles":["admin"]}`, `"isAdmin":true`, `"disabled":false`, `"email_verified":true`} {
		name := fmt.Sprint("eve-", i)
		made := c.tokens(ask(`{"username":"`+name+`","password":"eves-long-password",`+sneaky+`}`).want(t, 201, sneaky))
		c.get("/admin/panel", bearer(made.AccessToken)).want(t, 403, "the administration, by "+sneaky)
	}
	for _, fields := range []string{`{"tenant":"acme"}`, `{"roles":["admin"]}`} {
		r := ask(`{"username":"eve","password":"eves-long-password","fields":`+fields+`}`).want(t, 422, fields)
		if r.code() != "invalid" || !strings.Contains(r.body, `"field":"fields.`) {
			t.Error(r.body)
		}
	}
	made := c.tokens(ask(`{"username":"writer","password":"eves-long-password","roles":["author"]}`).want(t, 201, "a role that may be asked for"))
	if fmt.Sprint(made.User.Roles) != "[author]" {
		t.Errorf("roles %v", made.User.Roles)
	}
}

// TestEqualRegistrationsAtOnceMakeOneAccount: of many who ask for one name in
// one moment one has it, and the others are told so.
func TestEqualRegistrationsAtOnceMakeOneAccount(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, openDoor)
	statuses := make([]int, 24)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() {
			name := []string{"bob", "BOB", "ｂｏｂ"}[i%3]
			statuses[i] = g.client().postJSON("/auth/register", map[string]string{"username": name, "password": "bobs-long-password"}).StatusCode
		})
	}
	wg.Wait()
	made := 0
	for _, status := range statuses {
		if status == http.StatusCreated {
			made++
		} else if status != http.StatusConflict {
			t.Errorf("answered %d", status)
		}
	}
	if list := mustRun(t, g.dir, "", "user", "list", "--config", "gateway.yaml"); made != 1 || len(regexp.MustCompile(`(?i)[bｂ][oｏ][bｂ]`).FindAllString(list, -1)) != 1 {
		t.Errorf("%d were told that they have the name\n%s", made, list)
	}
}

// TestAPersonRegistersWithoutScript: from the page that asks for a login, by
// the form, back to that page; a mistake costs no typing but the password's.
func TestAPersonRegistersWithoutScript(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, openDoor)
	b := g.browser()
	login := b.get("/app/home?a=b").want(t, 303, "the page").location()
	link := regexp.MustCompile(`href="(/auth/register[^"]*)"`).FindStringSubmatch(b.get(login).want(t, 200, "the login page").body)
	if link == nil {
		t.Fatal("the login page leads to no registration")
	}
	page := b.get(strings.ReplaceAll(link[1], "&amp;", "&")).want(t, 200, "the registration page")
	rd := regexp.MustCompile(`name="rd" value="([^"]*)"`).FindStringSubmatch(page.body)
	if rd == nil || rd[1] != "/app/home?a=b" {
		t.Fatalf("the form forgets where it was: %v", rd)
	}
	form := url.Values{"username": {"carol"}, "email": {"carol@example"}, "password": {"short"}, "rd": {rd[1]}}
	faulty := b.postForm("/auth/register", form).want(t, 422, "a short password")
	if !strings.Contains(faulty.body, `value="carol@example"`) || !strings.Contains(faulty.body, "at least 8 characters") || strings.Contains(faulty.body, "short") {
		t.Error(faulty.body)
	}
	form.Set("password", "carols-long-password")
	if to := b.postForm("/auth/register", form).want(t, 303, "the form").location(); to != "/app/home?a=b" {
		t.Errorf("sent to %s", to)
	}
	if r := b.get("/app/home").want(t, 200, "the page at last"); r.body != "carol user" {
		t.Error(r.body)
	}
	other := g.client()
	other.do("POST", "/auth/register", url.Values{"username": {"eve"}, "password": {"eves-long-password"}}.Encode(),
		"Content-Type: application/x-www-form-urlencoded", "Origin: http://evil.test", "Sec-Fetch-Site: cross-site").want(t, 403, "a form of another site")
}

// TestARegistrationComesAndGoesWithAReload: off it is no endpoint.
func TestARegistrationComesAndGoesWithAReload(t *testing.T) {
	t.Parallel()
	g, up := startPolicy(t, "")
	c := g.client()
	ask := func(name string) reply {
		return c.postJSON("/auth/register", map[string]string{"username": name, "password": "a-long-password"})
	}
	if r := ask("bob").want(t, 404, "registration, off"); r.code() != "no_route" {
		t.Error(r.body)
	}
	config := strings.NewReplacer("{UPSTREAM}", up.addr, "http://gw.test", "{URL}", "hosts: [gw.test]", "").Replace(corpusPolicy)
	on := strings.Replace(config, "auth:\n", "auth:\n  registration: { enabled: true }\n", 1)
	g.configure(on)
	g.reload("reload")
	ask("bob").want(t, 201, "registration, on")
	g.configure(strings.Replace(on, "enabled: true", "enabled: true, default_roles: [ghost]", 1))
	g.reload("reload_refused")
	ask("carol").want(t, 201, "a bad reload")
	g.configure(config)
	g.reload("reload")
	ask("dave").want(t, 404, "registration, off again")
}
