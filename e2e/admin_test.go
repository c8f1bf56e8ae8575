package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// administrator is somebody who administers over HTTP, from an address of
// their own.
type administrator struct {
	*client
	token string
}

func (g *gateway) administrator(name, address string) administrator {
	g.t.Helper()
	c := g.from(address)
	return administrator{c, c.login(name).AccessToken}
}

// asks sends a request with the administrator's token.
func (a administrator) asks(method, path, body string) reply {
	a.t.Helper()
	header := []string{bearer(a.token)}
	if body != "" {
		header = append(header, "Content-Type: application/json")
	}
	return a.do(method, path, body, header...)
}

// TestARoleChangeOutdatesTheTokenAndARefreshBringsTheRole, with its audit line.
func TestARoleChangeOutdatesTheTokenAndARefreshBringsTheRole(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	root, alice := g.administrator("root", "127.0.0.9"), g.client()
	old := alice.login("alice")
	alice.get("/admin/panel", bearer(old.AccessToken)).want(t, 403, "the administration, as a user")
	changed := root.asks("PATCH", "/auth/admin/users/"+old.User.ID, `{"roles":["user","admin"]}`).want(t, 200, "the change")
	if !strings.Contains(changed.body, `"roles":["user","admin"]`) {
		t.Error(changed.body)
	}
	if r := alice.get("/app/home", bearer(old.AccessToken)).want(t, 401, "the old token"); r.code() != "token_revoked" {
		t.Error(r.body)
	}
	next := alice.tokens(alice.refresh(old.RefreshToken).want(t, 200, "refresh"))
	alice.get("/admin/panel", bearer(next.AccessToken)).want(t, 200, "the administration, as an administrator")
	root.asks("PATCH", "/auth/admin/users/"+old.User.ID, `{"roles":[]}`).want(t, 200, "taking all away")
	alice.get("/admin/panel", bearer(next.AccessToken)).want(t, 401, "the token of more roles")
	last := alice.tokens(alice.refresh(next.RefreshToken).want(t, 200, "refresh again"))
	alice.get("/admin/panel", bearer(last.AccessToken)).want(t, 403, "the administration, without a role")
	eventually(t, "two audit lines", func() bool { return len(g.audit("role_changed")) == 2 })
	e := g.audit("role_changed")[0]
	if e["user"] != "alice" || e["by"] != "root" || e["client"] != "127.0.0.9" || e["request_id"] == "" || e["detail"] != "user -> user,admin" {
		t.Errorf("the audit line is %v", e)
	}
}

// TestAccountsAreAdministeredOverHTTP from the first to the last breath of one.
func TestAccountsAreAdministeredOverHTTP(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  profile: { fields: [{ name: tenant }] }\n")
	root, bob := g.administrator("root", "127.0.0.9"), g.client()
	made := root.asks("POST", "/auth/admin/users", `{"username":"bob","email":"bob@example.com","password":"bobs-long-password","roles":["user"],"fields":{"tenant":"acme"}}`).want(t, 201, "make")
	var account struct{ ID, Username, Created string }
	if err := json.Unmarshal([]byte(made.body), &account); err != nil || account.Username != "bob" || account.Created == "" {
		t.Fatalf("%v: %s", err, made.body)
	}
	at := "/auth/admin/users/" + account.ID
	var list struct{ Users []struct{ Username string } }
	if err := json.Unmarshal([]byte(root.asks("GET", "/auth/admin/users", "").want(t, 200, "list").body), &list); err != nil || fmt.Sprint(list.Users) != "[{alice} {bob} {root}]" {
		t.Errorf("%v %v", err, list)
	}
	one := bob.tokens(bob.tryLogin("bob", "bobs-long-password").want(t, 200, "log in"))
	if r := root.asks("GET", at+"/sessions", "").want(t, 200, "sessions"); strings.Count(r.body, `"device"`) != 1 {
		t.Error(r.body)
	}
	root.asks("DELETE", at+"/sessions", "").want(t, 204, "end them")
	bob.get("/app/home", bearer(one.AccessToken)).want(t, 401, "a session that was ended")
	bob.refresh(one.RefreshToken).want(t, 401, "its refresh token")

	two := bob.tokens(bob.tryLogin("bob", "bobs-long-password").want(t, 200, "log in again"))
	root.asks("PATCH", at, `{"password":"a-quite-new-password"}`).want(t, 200, "another password")
	bob.get("/app/home", bearer(two.AccessToken)).want(t, 401, "a session of the old password")
	bob.tryLogin("bob", "bobs-long-password").want(t, 401, "the old password")
	three := bob.tokens(bob.tryLogin("bob", "a-quite-new-password").want(t, 200, "the new password"))
	root.asks("PATCH", at, `{"disabled":true}`).want(t, 200, "disable")
	bob.get("/app/home", bearer(three.AccessToken)).want(t, 401, "a disabled account")
	if r := bob.tryLogin("bob", "a-quite-new-password").want(t, 401, "a login of one"); r.code() != "invalid_credentials" {
		t.Error(r.body)
	}
	root.asks("DELETE", at, "").want(t, 204, "delete")
	root.asks("GET", at, "").want(t, 404, "what was deleted")
	if shown := mustRun(t, g.dir, "", "user", "list", "--config", "gateway.yaml"); strings.Contains(shown, "bob") {
		t.Error(shown)
	}
	for event, want := range map[string]int{"session_revoked": 1, "password_changed": 1, "user_disabled": 1, "user_deleted": 1} {
		eventually(t, "audit "+event, func() bool { return len(g.audit(event)) == want })
		if e := g.audit(event)[0]; e["user"] != "bob" || e["by"] != "root" || e["client"] != "127.0.0.9" || e["request_id"] == "" {
			t.Errorf("the audit line is %v", e)
		}
	}
}

// TestAdministrationIsForAdministratorsAlone, by header and by cookie, and not
// for another site's page in an administrator's browser.
func TestAdministrationIsForAdministratorsAlone(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	alice := g.client().login("alice")
	for _, path := range []string{"/auth/admin/users", "/auth/admin/users/" + alice.User.ID, "/auth/admin/users/" + alice.User.ID + "/sessions"} {
		g.client().get(path).want(t, 401, path)
		if r := g.client().get(path, bearer(alice.AccessToken)).want(t, 403, path); r.code() != "forbidden" {
			t.Error(r.body)
		}
	}
	promote := func(c *client, header ...string) reply {
		return c.do("PATCH", "/auth/admin/users/"+alice.User.ID, `{"roles":["admin"]}`, append(header, "Content-Type: application/json")...)
	}
	promote(g.client()).want(t, 401, "promote without a token")
	promote(g.client(), bearer(alice.AccessToken)).want(t, 403, "promote oneself")
	browser := g.client()
	browser.loginForm("root")
	promote(browser, "Origin: http://evil.test", "Sec-Fetch-Site: cross-site").want(t, 403, "promote by another site's page")
	browser.do("PATCH", "/auth/admin/users/"+alice.User.ID, `{"roles":["admin"]}`, "Content-Type: text/plain", "Sec-Fetch-Site: same-origin").want(t, 415, "promote by text")
	promote(browser, "Sec-Fetch-Site: same-origin", "Origin: http://"+g.addr).want(t, 200, "promote by the site's own page")
}

// TestTheLastAdministratorIsKept over HTTP; the command line is the way back.
func TestTheLastAdministratorIsKept(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "")
	root := g.administrator("root", "127.0.0.9")
	at := "/auth/admin/users/" + root.tokens(root.tryLogin("root", passwordOf("root"))).User.ID
	for _, body := range []string{`{"roles":["user"]}`, `{"disabled":true}`} {
		if r := root.asks("PATCH", at, body).want(t, 409, body); r.code() != "conflict" || !strings.Contains(r.body, "last account") {
			t.Error(r.body)
		}
	}
	root.asks("DELETE", at, "").want(t, 409, "delete oneself")
	mustRun(t, g.dir, "", "user", "disable", "root", "--config", "gateway.yaml")
	eventually(t, "the command takes effect", func() bool { return root.asks("GET", at, "").StatusCode == 401 })
}
