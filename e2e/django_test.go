package e2e

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const djangoConfig = `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { level: info, format: json }
upstreams:
  - { name: intranet, urls: ["http://{UPSTREAM}"], router: django }
routes:
  - { path: /whoami, allow: [anyone] }
  - { path: /admin/**, allow: { role: admin } }
`

// whoami is what the Django project says of a request.
type whoami struct {
	User  string
	Staff bool
	Told  map[string]string
}

func askWhoami(t *testing.T, c *client, header ...string) whoami {
	t.Helper()
	c.http.Jar = newClient(t, c.base).http.Jar // Django's session would remember the last one
	r := c.get("/whoami", header...).want(t, 200, "whoami")
	var who whoami
	if err := json.Unmarshal([]byte(r.body), &who); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	return who
}

// TestGunicornMergesUnderscores shows why the gateway drops such names. Spoken
// to directly, gunicorn folds X_Auth_User into HTTP_X_AUTH_USER: whoever may
// send it is whom he likes. Were this to fail one day, the tests below would
// prove less than they seem to.
func TestGunicornMergesUnderscores(t *testing.T) {
	t.Parallel()
	django := startDjango(t)
	c := django.client(t)
	if who := askWhoami(t, c, "X_Auth_User: mallory"); who.User != "mallory" {
		t.Errorf("gunicorn alone made X_Auth_User into %q, want mallory", who.User)
	}
	who := askWhoami(t, c, "X-Auth-User: alice", "X_Auth_User: mallory")
	if got := who.Told["HTTP_X_AUTH_USER"]; !strings.Contains(got, "alice") || !strings.Contains(got, "mallory") {
		t.Errorf("gunicorn alone made both into %q, want them merged", got)
	}
	c.get("/admin/", "X_Auth_User: eve", "X_Auth_Roles: admin").want(t, 200, "the admin site for whoever claims it")
}

// TestGHSAvjrcmh2v45x6 (CVE-2025-64484, gunicorn issue 2799): through the
// gateway no spelling of a header lets a client speak as somebody else.
func TestGHSAvjrcmh2v45x6(t *testing.T) {
	t.Parallel()
	django := startDjango(t)
	g := prepare(t, strings.ReplaceAll(djangoConfig, "{UPSTREAM}", django.addr))
	g.addUser("alice", "user")
	g.start()
	token := g.client().login("alice").AccessToken
	for _, spoof := range spoofs() {
		t.Run(strings.Join(spoof, " "), func(t *testing.T) {
			for want, header := range map[string][]string{"alice": {bearer(token)}, "": nil} {
				who := askWhoami(t, g.client(), append(header, spoof...)...)
				if who.User != want || who.Staff {
					t.Errorf("Django takes %q for %q (staff: %v)", want, who.User, who.Staff)
				}
				for name, value := range who.Told {
					if strings.Contains(value, "mallory") {
						t.Errorf("Django was told %s: %q", name, value)
					}
				}
			}
			g.client().get("/admin/", append(spoof, bearer(token))...).want(t, 403, "the admin site")
		})
	}
}

// TestDjangoAdminSite works in the admin site that Django ships, which nobody
// here wrote: log in at the gateway, be known to Django, make a group by its
// form with its CSRF token.
func TestDjangoAdminSite(t *testing.T) {
	t.Parallel()
	django := startDjango(t)
	g := prepare(t, strings.ReplaceAll(djangoConfig, "{UPSTREAM}", django.addr))
	g.addUser("alice", "user")
	g.addUser("root", "admin")
	g.start()

	user := g.browser()
	user.loginForm("alice")
	user.get("/admin/").want(t, 403, "the admin site for a user")

	admin := g.browser()
	if r := admin.get("/admin/auth/group/"); r.StatusCode != 303 || r.location() != "/auth/login?rd=%2Fadmin%2Fauth%2Fgroup%2F" {
		t.Fatalf("without a login: %s to %q", r.Status, r.location())
	}
	admin.loginForm("root")
	index := admin.get("/admin/").want(t, 200, "the admin site for an administrator")
	if !strings.Contains(index.body, "Site administration") || !strings.Contains(index.body, "<strong>root</strong>") {
		t.Fatalf("the index does not greet root:\n%s", index.body)
	}
	form := admin.get("/admin/auth/group/add/").want(t, 200, "the form")
	token := regexp.MustCompile(`name="csrfmiddlewaretoken" value="([^"]+)"`).FindStringSubmatch(form.body)
	if token == nil {
		t.Fatal("the form has no CSRF token")
	}
	admin.postForm("/admin/auth/group/add/", url.Values{"csrfmiddlewaretoken": {token[1]}, "name": {"Librarians"}}).want(t, 302, "the post")
	if list := admin.get("/admin/auth/group/").want(t, 200, "the list"); !strings.Contains(list.body, "Librarians") {
		t.Error("the new group is not in the list")
	}
	if admin.cookie("/", "sessionid") == "" || admin.cookie("/", "csrftoken") == "" {
		t.Error("Django's own cookies did not survive beside the gateway's")
	}
}
