package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

const legacySecret = "what the application signed with for years"

const legacyConfig = `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { level: info, format: json }
auth: { roles: [user, admin], token_sources: [bearer, cookie, "header:x-access-token"] }
upstreams:
  - { name: api, urls: ["http://{UPSTREAM}"], router: express }
identity:
  legacy_token:
    header: x-access-token
    algorithm: HS256
    secret_file: legacy.secret
    claims: [ { name: id, value: id }, { name: isAdmin, has_role: admin } ]
routes:
  - { path: /, allow: anyone }
  - { path: /old-token, allow: anyone }
  - { path: /me, allow: authenticated }
  - { path: /board, allow: authenticated }
`

// startTokenApp puts the application with a check of its own behind the gateway,
// which signs with the secret that it is given.
func startTokenApp(t *testing.T, secret string) (*gateway, app) {
	t.Helper()
	api := startExpress(t, "access-token.js", legacySecret)
	g := prepare(t, strings.ReplaceAll(legacyConfig, "{UPSTREAM}", api.addr))
	g.write("legacy.secret", secret+"\n")
	g.addUser("alice", "user")
	g.addUser("root", "admin")
	return g.start(), api
}

// TestExpressKeepsItsOwnTokenCheck: the application is as it was, and verifies
// with jsonwebtoken what the gateway made.
func TestExpressKeepsItsOwnTokenCheck(t *testing.T) {
	t.Parallel()
	g, api := startTokenApp(t, legacySecret)
	api.client(t).get("/me").want(t, 401, "the application alone, without a token")
	g.client().get("/me").want(t, 401, "without a login")

	for name, admin := range map[string]bool{"alice": false, "root": true} {
		login := g.client().login(name)
		for how, header := range map[string]string{"bearer": bearer(login.AccessToken), "its own header": "x-access-token: " + login.AccessToken} {
			var me struct {
				ID      string
				IsAdmin bool
				Type    string
			}
			body := g.client().get("/me", header).want(t, 200, name+" by "+how).body
			if err := json.Unmarshal([]byte(body), &me); err != nil || me.ID != login.User.ID || me.IsAdmin != admin || me.Type != "boolean" {
				t.Errorf("by %s the application takes %s for %s", how, name, body)
			}
			want := 403
			if admin {
				want = 200
			}
			g.client().get("/board", header).want(t, want, "the application's own check of "+name)
		}
	}

	b := g.browser()
	b.loginForm("root")
	b.get("/board").want(t, 200, "a browser with the gateway's cookie")
	if strings.Contains(g.stdout.String()+g.stderr.String(), legacySecret) {
		t.Error("the gateway told the secret")
	}
}

// TestExpressIsSentNoTokenOfAClients: a token that the application itself made,
// or that somebody forged with its secret, is no identity through the gateway.
func TestExpressIsSentNoTokenOfAClients(t *testing.T) {
	t.Parallel()
	g, api := startTokenApp(t, legacySecret)
	var old struct{ Token string }
	if err := json.Unmarshal([]byte(api.client(t).get("/old-token").body), &old); err != nil {
		t.Fatal(err)
	}
	api.client(t).get("/board", "x-access-token: "+old.Token).want(t, 200, "the application alone believes it")
	for _, name := range []string{"x-access-token", "X-Access-Token", "X_Access_Token", "x.access.token"} {
		line := name + ": " + old.Token
		g.client().get("/board", line).want(t, 401, "with the forged token as "+name)
		if body := g.client().get("/", line).want(t, 200, "a page for anyone").body; !strings.Contains(body, `"token":null`) {
			t.Errorf("sent as %s the application was told %s", name, body)
		}
	}
	alice := g.client().login("alice")
	g.client().get("/board", bearer(alice.AccessToken), "X_Access_Token: "+old.Token).want(t, 403, "alice with the forged token beside hers")
	g.client().get("/board", bearer(alice.AccessToken), "Connection: x-access-token").want(t, 403, "alice, who tells a proxy to drop the token")
}

func TestExpressRefusesATokenOfAnotherSecret(t *testing.T) {
	t.Parallel()
	g, _ := startTokenApp(t, "another secret that the application does not have")
	r := g.client().get("/me", bearer(g.client().login("alice").AccessToken)).want(t, 401, "with another secret")
	if !strings.Contains(r.body, "Unauthorized!") {
		t.Errorf("not the application refused: %s", r.body)
	}
}

const assertionConfig = `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { level: info, format: json }
auth: { roles: [user, admin], access_token: { algorithm: HS256 } }
upstreams:
  - { name: api, urls: ["http://{UPSTREAM}"], router: express }
identity: { assertion: { enabled: true } }
routes:
  - { path: /assertion, allow: anyone }
`

// TestExpressVerifiesAnAssertionThroughTheJWKS: the application holds no
// secret, and learns with jose and the gateway's published keys who asks.
func TestExpressVerifiesAnAssertionThroughTheJWKS(t *testing.T) {
	t.Parallel()
	g := prepare(t, "")
	site := "http://" + g.addr
	api := startExpress(t, "access-token.js", "unused", site+"/.well-known/jwks.json", "api", site)
	other := startExpress(t, "access-token.js", "unused", site+"/.well-known/jwks.json", "another", site)
	g.configure(strings.ReplaceAll(assertionConfig, "{UPSTREAM}", api.addr))
	g.addUser("alice", "user")
	g.start()

	g.client().get("/assertion").want(t, 401, "without a login")
	login := g.client().login("alice")
	var seen struct {
		Payload struct {
			Sub, Username, Email, Sid string
			Roles                     []string
		}
		ProtectedHeader struct{ Typ, Alg string }
	}
	body := g.client().get("/assertion", bearer(login.AccessToken)).want(t, 200, "with a login").body
	if err := json.Unmarshal([]byte(body), &seen); err != nil {
		t.Fatal(err)
	}
	if p := seen.Payload; p.Sub != login.User.ID || p.Username != "alice" || p.Email != "alice@example.com" || strings.Join(p.Roles, " ") != "user" || p.Sid == "" {
		t.Errorf("the application takes %s for alice", body)
	}

	// The access token itself is none to it, nor is an assertion for another.
	api.client(t).get("/assertion", "x-auth-assertion: "+login.AccessToken).want(t, 401, "an access token for an assertion")
	g.client().get("/assertion", "x-auth-assertion: x").want(t, 401, "a client's own")
	g.configure(strings.ReplaceAll(assertionConfig, "{UPSTREAM}", other.addr))
	g.reload("reload")
	r := g.client().get("/assertion", bearer(login.AccessToken)).want(t, 401, "an application that has another name")
	if !strings.Contains(r.body, `\"aud\"`) {
		t.Errorf("refused for %s", r.body)
	}
}
