package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// startNamed runs a gateway where strangers may register, with accounts that
// others may want to be taken for.
func startNamed(t *testing.T, more string) (*gateway, *legacy) {
	t.Helper()
	l := startLegacy(t, nil)
	g := prepare(t, strings.NewReplacer(
		"{UPSTREAM}", strings.TrimPrefix(l.URL, "http://"), "http://gw.test", "{URL}", "hosts: [gw.test]", "",
		"auth:\n", "auth:\n  registration: { enabled: true }\n"+more,
	).Replace(corpusPolicy))
	g.addUser("root", "admin")
	g.addUser("kimberly", "user")
	mustRun(t, g.dir, "straße-password\n", "user", "add", "straße", "--email", "Fritz@Straße.example", "--config", "gateway.yaml")
	g.write("import.jsonl", `{"id":"42","username":"fiona","email":"fiona@example.com","roles":["user"]}`+"\n"+`{"id":"legacy-7","username":"sven"}`+"\n")
	mustRun(t, g.dir, "", "user", "import", "import.jsonl", "--config", "gateway.yaml")
	return g.start(), l
}

// account is a line of `user list`.
type account struct {
	ID, Username, Email string
	Roles               []string
}

// accounts lists all accounts by username.
func (g *gateway) accounts() map[string]account {
	g.t.Helper()
	var list []account
	if err := json.Unmarshal([]byte(mustRun(g.t, g.dir, "", "user", "list", "--output", "json", "--config", "gateway.yaml")), &list); err != nil {
		g.t.Fatal(err)
	}
	found := map[string]account{}
	for _, a := range list {
		found[a.Username] = a
	}
	return found
}

// waysToAdd are the ways to make an account; each says whether it was refused
// for being what it is.
func (g *gateway) waysToAdd(admin string) map[string]func(id, username, email string) (refused bool, said string) {
	body := func(id, username, email string) map[string]string {
		all := map[string]string{"id": id, "username": username, "email": email, "password": "a-long-password"}
		for name, value := range all {
			if value == "" {
				delete(all, name)
			}
		}
		return all
	}
	refused := func(r reply) (bool, string) {
		return r.StatusCode == 409 || r.StatusCode == 422, r.Status + " " + r.body
	}
	about := regexp.MustCompile(`\b(username|email|id)\b`)
	command := func(r ran) (bool, string) {
		return r.status != 0 && about.MatchString(r.stderr), fmt.Sprint(r.status, " ", r.stderr)
	}
	return map[string]func(id, username, email string) (bool, string){
		"register": func(_, username, email string) (bool, string) {
			return refused(g.client().postJSON("/auth/register", body("", username, email)))
		},
		"an administrator": func(id, username, email string) (bool, string) {
			return refused(g.client().postJSON("/auth/admin/users", body(id, username, email), bearer(admin)))
		},
		"user add": func(_, username, email string) (bool, string) {
			args := []string{"user", "add", "--config", "gateway.yaml"}
			if email != "" {
				args = append(args, "--email", email)
			}
			return command(run(g.t, g.dir, "a-long-password\n", append(args, "--", username)...))
		},
	}
}

// TestNobodyBecomesAnotherByName: id, username and e-mail address are one
// namespace under every spelling, on every way to make an account.
func TestNobodyBecomesAnotherByName(t *testing.T) {
	t.Parallel()
	g, _ := startNamed(t, "")
	before := g.accounts()
	kim := before["kimberly"]
	ways := g.waysToAdd(g.client().login("root").AccessToken)
	tests := []struct{ name, id, username, email string }{
		{"the same name", "", "kimberly", ""},
		{"upper case", "", "KIMBERLY", ""},
		{"full-width letters", "", "ｋimberly", ""},
		{"the Kelvin sign", "", "\u212Aimberly", ""},
		{"sharp s as two", "", "STRASSE", ""},
		{"capital sharp s", "", "stra\u1E9Ee", ""},
		{"a ligature", "", "\uFB01ona", ""},
		{"a zero-width space", "", "kim\u200Bberly", ""},
		{"a soft hyphen", "", "kim\u00ADberly", ""},
		{"a byte order mark", "", "\uFEFFkimberly", ""},
		{"a space at the end", "", "kimberly ", ""},
		{"a no-break space at the end", "", "kimberly\u00A0", ""},
		{"another's e-mail as a name", "", "kimberly@example.com", ""},
		{"another's e-mail as a name, an address of one's own", "", "kimberly@example.com", "eve@example.com"},
		{"another's e-mail as one's own", "", "eve", "kimberly@example.com"},
		{"another's e-mail, spelled otherwise", "", "eve", "KIMBERLY@Example.COM"},
		{"another's e-mail, full-width", "", "eve", "kimberly＠example.com"},
		{"another's e-mail, folded", "", "eve", "fritz@strasse.example"},
		{"another's id as a name", "", kim.ID, ""},
		{"another's id as a name, in upper case", "", strings.ToUpper(kim.ID), ""},
		{"another's id as a name, without hyphens", "", strings.ReplaceAll(kim.ID, "-", ""), ""},
		{"another's id as a name, in braces", "", "{" + kim.ID + "}", ""},
		{"an imported id as a name", "", "legacy-7", ""},
		{"an imported id as a name, in upper case", "", "LEGACY-7", ""},
		{"an id that might be: a number", "", "4711", ""},
		{"an id that might be: a number of other digits", "", "\uFF14\uFF17", ""},
		{"an id that might be: a UUID", "", "123e4567-e89b-12d3-a456-426614174000", ""},
		{"an id that might be: of MongoDB", "", "507f1f77bcf86cd799439011", ""},
		{"two addresses in one", "", "eve", "eve@example.com@example.com"},
		{"no name at all", "", "", ""},
		{"another's name as an id", "kimberly", "eve", ""},
		{"another's name as an id, in upper case", "Kimberly", "eve", ""},
		{"another's id", kim.ID, "eve", ""},
		{"another's imported id, full-width", "\uFF14\uFF12", "eve", ""},
		{"another's e-mail as an id", "kimberly@example.com", "eve", ""},
	}
	var list strings.Builder
	for i, test := range tests {
		for way, add := range ways {
			if test.id != "" && way != "an administrator" || way == "user add" && i%3 != 0 {
				continue // nobody gives an id there; and each command is a process
			}
			if refused, said := add(test.id, test.username, test.email); !refused {
				t.Errorf("%s, by %s: %s", test.name, way, said)
			}
		}
		line := map[string]string{"id": test.id, "username": strings.Replace(test.username, "eve", fmt.Sprint("eve-", i), 1), "email": test.email}
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		list.Write(append(text, '\n'))
	}
	g.write("more.jsonl", list.String())
	r := run(t, g.dir, "", "user", "import", "more.jsonl", "--config", "gateway.yaml")
	for i, test := range tests {
		if r.status == 0 || !strings.Contains(r.stdout+r.stderr, fmt.Sprintf("more.jsonl:%d:", i+1)) {
			t.Errorf("%s, by an import: status %d\n%s", test.name, r.status, r.stderr)
		}
	}
	if after := g.accounts(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the accounts have become\n%v\nfrom\n%v", after, before)
	}
}

// TestALoginByAnyNameIsTheSameAccount: whatever spelling of name, address or id
// somebody logs in with, the application is told the one name and the one id.
func TestALoginByAnyNameIsTheSameAccount(t *testing.T) {
	t.Parallel()
	g, l := startNamed(t, "")
	kim := g.accounts()["kimberly"]
	for _, name := range []string{"kimberly", "KIMBERLY", "\u212Aimberly", "Kimberly@Example.com", kim.ID, strings.ToUpper(kim.ID)} {
		c := g.client()
		got := c.tokens(c.tryLogin(name, passwordOf("kimberly")).want(t, 200, "login as "+name))
		c.get("/app/home", bearer(got.AccessToken)).want(t, 200, "the page")
		if got.User.ID != kim.ID || got.User.Username != "kimberly" {
			t.Errorf("%s is %+v", name, got.User)
		}
	}
	for _, a := range l.arrived("/app/home") {
		if a.user != "kimberly" {
			t.Errorf("the application was told %q", a.user)
		}
	}
}

// TestOnlyAVerifiedAddressIsToldToTheApplication: who registers may write down
// anybody's address; an administrator and an import vouch for it.
func TestOnlyAVerifiedAddressIsToldToTheApplication(t *testing.T) {
	t.Parallel()
	g, l := startNamed(t, "")
	admin := g.client().login("root").AccessToken
	told := func(token string) string {
		t.Helper()
		g.client().get("/app/home", bearer(token)).want(t, 200, "the page")
		all := l.arrived("/app/home")
		return all[len(all)-1].user + " " + all[len(all)-1].email
	}
	c := g.client()
	if got := told(c.login("kimberly").AccessToken); got != "kimberly kimberly@example.com" {
		t.Errorf("an account by command: %q", got)
	}
	r := c.postJSON("/auth/register", map[string]string{"username": "eve", "email": "chief@example.com", "password": "eve-password"}).want(t, 201, "register")
	eve := c.tokens(r)
	if got := told(eve.AccessToken); got != "eve " {
		t.Errorf("an account by registration: %q", got)
	}
	r = c.do("PATCH", "/auth/admin/users/"+eve.User.ID, `{"email":"eve@example.com"}`, bearer(admin), "Content-Type: application/json").want(t, 200, "an administrator sets it")
	if got := told(c.tokens(c.refresh(eve.RefreshToken).want(t, 200, "refresh")).AccessToken); got != "eve eve@example.com" {
		t.Errorf("an address that an administrator set: %q %s", got, r.body)
	}
	g.write("late.jsonl", `{"username":"ida","email":"ida@example.com","roles":["user"]}`+"\n")
	mustRun(t, g.dir, "", "user", "import", "late.jsonl", "--config", "gateway.yaml")
	mustRun(t, g.dir, passwordOf("ida")+"\n", "user", "passwd", "ida", "--config", "gateway.yaml")
	if got := told(c.login("ida").AccessToken); got != "ida ida@example.com" {
		t.Errorf("an imported account: %q", got)
	}
}

// TestNewIdsHaveTheConfiguredForm, and an import keeps those that it gives.
func TestNewIdsHaveTheConfiguredForm(t *testing.T) {
	t.Parallel()
	for format, form := range map[string]string{
		"uuid": `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`, "integer": `^[1-9][0-9]{0,9}$`, "objectid": `^[0-9a-f]{24}$`,
	} {
		g, _ := startNamed(t, "  id_format: "+format+"\n")
		g.client().postJSON("/auth/register", map[string]string{"username": "eve", "email": "eve@example.com", "password": "a-long-password"}).want(t, 201, "register")
		all := g.accounts()
		for _, name := range []string{"root", "eve"} {
			if id := all[name].ID; !regexp.MustCompile(form).MatchString(id) {
				t.Errorf("%s: %s has the id %q", format, name, id)
			}
		}
		if all["fiona"].ID != "42" || all["sven"].ID != "legacy-7" {
			t.Errorf("%s: the import made %v and %v", format, all["fiona"], all["sven"])
		}
	}
}
