package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

	toldConfig = `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { format: json }
store: { path: "{STORE}/postern.db", key_file: "{STORE}/postern.key" }
upstreams:
  - { name: app, urls: ["http://{UPSTREAM}"], router: express }
auth:
  issuer: http://postern.test
  registration: { enabled: true }
  profile: { fields: [{ name: phone, editable: true }] }
routes:
  - { path: /state, allow: authenticated }
provision: [{ upstream: app, path: /internal/accounts, secret_file: "{STORE}/secret", timeout: 500ms }]
`
)

// told is what the application that is told of accounts has of them.
type told struct {
	Rows map[string]struct {
		ID, Username, Email, Name string
		Roles                     []string
		Fields                    map[string]any
		Disabled                  bool
	}
	Heard []struct{ ID, Type, Account, Username string }
	Tries []struct{ ID, Body string }
}

// rowKeeper is an Express application that keeps rows of its own in a file, and
// may be away.
type rowKeeper struct {
	t          testing.TB
	addr, file string
}

func newRowKeeper(t testing.TB) *rowKeeper {
	return &rowKeeper{t, freeAddr(t), filepath.Join(t.TempDir(), "rows.json")}
}

func (a *rowKeeper) start() *rowKeeper {
	a.t.Helper()
	need(a.t, "node")
	dir := filepath.Join("testdata", "express")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "standardwebhooks")); err != nil {
		lack(a.t, "e2e/testdata/express/node_modules")
	}
	_, port, _ := net.SplitHostPort(a.addr)
	startApp(a.t, a.addr, dir, []string{"PORT=" + port, "NODE_ENV=production"}, "node", "accounts.js", a.file, webhookSecret)
	return a
}

// state reads what it has, past the gateway.
func (a *rowKeeper) state() (s told) {
	a.t.Helper()
	body := newClient(a.t, "http://"+a.addr).get("/state").want(a.t, 200, "the application's rows").body
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		a.t.Fatal(err)
	}
	return s
}

// mood settles what it answers about some names instead: a status, or 0 for nothing.
func (a *rowKeeper) mood(about map[string]int) {
	a.t.Helper()
	newClient(a.t, "http://"+a.addr).postJSON("/mood", about).want(a.t, 204, "another mood")
}

// prepareTold makes a gateway that tells the application, on a store in a folder.
func (a *rowKeeper) prepareTold(store string) *gateway {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(store, "secret"), []byte(webhookSecret+"\n"), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return prepare(a.t, strings.NewReplacer("{UPSTREAM}", a.addr, "{STORE}", store).Replace(toldConfig))
}

// inStep waits until the application's rows are the gateway's accounts.
func (a *rowKeeper) inStep(g *gateway) told {
	a.t.Helper()
	var accounts []struct {
		ID, Username, Email, Name string
		Roles                     []string
		Disabled                  bool
	}
	if err := json.Unmarshal([]byte(mustRun(a.t, g.dir, "", "user", "list", "--output", "json")), &accounts); err != nil {
		a.t.Fatal(err)
	}
	want := map[string]string{}
	for _, row := range accounts {
		want[row.ID] = fmt.Sprint(row)
	}
	var s told
	eventually(a.t, "the application's rows are "+fmt.Sprint(want), func() bool {
		s = a.state()
		got := map[string]string{}
		for id, row := range s.Rows {
			got[id] = fmt.Sprint(struct {
				ID, Username, Email, Name string
				Roles                     []string
				Disabled                  bool
			}{row.ID, row.Username, row.Email, row.Name, row.Roles, row.Disabled})
		}
		return maps.Equal(got, want)
	})
	return s
}

// about is what was heard of one name, in its order.
func (s told) about(username string) []string {
	var all []string
	for _, e := range s.Heard {
		if e.Username == username {
			all = append(all, strings.TrimPrefix(e.Type, "account."))
		}
	}
	return all
}

// TestExpressKeepsItsOwnUserRowsInStep has a real application, with the
// specification's own library, follow all that becomes of accounts.
func TestExpressKeepsItsOwnUserRowsInStep(t *testing.T) {
	t.Parallel()
	a := newRowKeeper(t).start()
	g := a.prepareTold(t.TempDir())
	g.addUser("root", "admin") // before any gateway has started
	g.addUser("bob", "user")
	g.start()
	a.inStep(g)

	c := g.client()
	var alice tokens
	if err := json.Unmarshal([]byte(c.postJSON("/auth/register", map[string]string{"username": "alice", "password": "alice-password"}).want(t, 201, "a registration").body), &alice); err != nil {
		t.Fatal(err)
	}
	root := bearer(c.login("root").AccessToken)
	c.do("PATCH", "/auth/me", `{"name": "Alice <A>", "fields": {"phone": "1"}}`, bearer(alice.AccessToken), "Content-Type: application/json").want(t, 200, "a change by the owner")
	s := a.inStep(g)
	if row := s.Rows[alice.User.ID]; row.Name != "Alice <A>" || row.Fields["phone"] != "1" || len(s.about("alice")) < 1 {
		t.Errorf("the row is %+v", row)
	}
	c.do("PATCH", "/auth/admin/users/"+alice.User.ID, `{"roles": ["user", "admin"]}`, root, "Content-Type: application/json").want(t, 200, "roles by an administrator")
	a.inStep(g)
	mustRun(t, g.dir, "", "user", "disable", "alice")
	a.inStep(g)
	mustRun(t, g.dir, "", "user", "enable", "alice")
	mustRun(t, g.dir, "other-password\n", "user", "passwd", "alice")
	a.inStep(g)
	g.write("new.csv", "username,email,roles\nida,ida@example.com,user\nivo,ivo@example.com,user\n")
	mustRun(t, g.dir, "", "user", "import", "new.csv")
	mustRun(t, g.dir, "", "user", "delete", "bob")
	s = a.inStep(g)
	if got := s.about("alice"); !slices.Contains(got, "disabled") || !slices.Contains(got, "enabled") || got[0] != "created" {
		t.Errorf("of alice it heard %v", got)
	}
	if got := s.about("bob"); !slices.Equal(got, []string{"created", "deleted"}) {
		t.Errorf("of bob it heard %v", got)
	}
	for _, try := range s.Tries {
		if strings.Contains(try.Body, "argon2") || strings.Contains(try.Body, "password") {
			t.Errorf("it was told %s", try.Body)
		}
	}

	// The path is nobody's but the gateway's.
	forged := `{"type":"account.deleted","data":{"id":"` + alice.User.ID + `"}}`
	c.do("POST", "/internal/accounts", forged, root, "Content-Type: application/json").want(t, 404, "the path by way of the gateway")
	newClient(t, "http://"+a.addr).do("POST", "/internal/accounts", forged, "Content-Type: application/json").want(t, 401, "an event without a signature")

	// An application that has lost its rows is told of all.
	a.mood(map[string]int{"ida": 404})
	if out := mustRun(t, g.dir, "", "user", "provision", "--all"); out != "4 events wait to be posted\n" {
		t.Errorf("provision says %q", out)
	}
	eventually(t, "all but one are told of again", func() bool { return len(a.state().Heard) >= len(s.Heard)+3 })
	metrics := newClient(t, "http://"+g.admin).get("/metrics").body
	for _, line := range []string{`postern_provision_pending{upstream="app"} 1`, `postern_provision_deliveries_total{result="refused",upstream="app"} `} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
	a.mood(map[string]int{})
	mustRun(t, g.dir, "", "user", "provision", "ida") // at once, and not when its next try is due
	eventually(t, "the last is told of", func() bool { return len(a.state().Heard) >= len(s.Heard)+4 })

	// Another secret: what the application refuses waits, and is tried by the
	// reload that mends it.
	g.setSecret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	mustRun(t, g.dir, "", "user", "set", "ida", "--name", "Ida")
	eventually(t, "a refusal", func() bool {
		return len(g.entries("an account event was not delivered, and is tried again until it is")) > 1
	})
	g.setSecret(webhookSecret)
	a.inStep(g)
	if strings.Contains(g.stdout.String()+g.stderr.String(), "whsec_") || strings.Contains(g.stdout.String(), strings.TrimPrefix(webhookSecret, "whsec_")) {
		t.Error("a secret is in the log")
	}
	// Taken out and brought back: nobody hears of what was between.
	g.amend("\nprovision:", "\n#provision:\n#")
	mustRun(t, g.dir, "", "user", "disable", "ivo")
	if n := len(g.audit("provision_ended")); n == 0 {
		t.Error("it is not audited that the application is told no more")
	}
	g.amend("\n#provision:\n#", "\nprovision:")
	mustRun(t, g.dir, "", "user", "provision", "ivo")
	a.inStep(g)
	if g.stop() != 0 {
		t.Error("the gateway did not end well")
	}
}

// setSecret writes the secret that events are signed with, and reloads.
func (g *gateway) setSecret(secret string) {
	g.t.Helper()
	_, after, _ := strings.Cut(g.read("gateway.yaml"), `secret_file: "`)
	file, _, _ := strings.Cut(after, `"`)
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		g.t.Fatal(err)
	}
	g.reload("reload")
}

// TestAKillBetweenChangeAndDeliveryLosesNoEvent changes accounts while the
// application is away, and kills the gateway in every pause.
func TestAKillBetweenChangeAndDeliveryLosesNoEvent(t *testing.T) {
	t.Parallel()
	need(t, "node")
	a := newRowKeeper(t)
	g := a.prepareTold(t.TempDir())
	g.addUser("root", "admin")
	g.start()
	c := g.client()
	root := bearer(c.login("root").AccessToken)
	for _, name := range []string{"ann", "ben"} {
		c.postJSON("/auth/register", map[string]string{"username": name, "password": name + "-password"}).want(t, 201, "a registration")
	}
	g.kill()
	mustRun(t, g.dir, "", "user", "set", "ann", "--name", "Ann") // no gateway runs
	g.start()
	c.do("DELETE", "/auth/admin/users/"+g.idOf("root"), "", root) // refused: the last administrator
	mustRun(t, g.dir, "", "user", "disable", "ben")
	g.kill()
	a.start()
	a.mood(map[string]int{"root": 0}) // takes the event, and answers nothing
	g.start()
	eventually(t, "an event on its way", func() bool {
		return slices.ContainsFunc(a.state().Tries, func(try struct{ ID, Body string }) bool { return strings.Contains(try.Body, `"username":"root"`) })
	})
	g.kill()
	a.mood(map[string]int{})
	g.start()
	s := a.inStep(g)
	for name, want := range map[string][]string{"root": {"created"}, "ann": {"created", "changed"}, "ben": {"created", "disabled"}} {
		if got := s.about(name); !slices.Equal(got, want) {
			t.Errorf("of %s it heard %v, want %v", name, got, want)
		}
	}
	bodies := map[string]string{}
	for _, try := range s.Tries {
		if body, before := bodies[try.ID]; before && body != try.Body {
			t.Errorf("one id stands for two messages:\n%s\n%s", body, try.Body)
		}
		bodies[try.ID] = try.Body
	}
	if len(bodies) == len(s.Tries) {
		t.Error("the event that was on its way was not sent again under its id")
	}
}

// idOf reads an account's id.
func (g *gateway) idOf(name string) string {
	g.t.Helper()
	var row struct{ ID string }
	if err := json.Unmarshal([]byte(mustRun(g.t, g.dir, "", "user", "show", name, "--output", "json")), &row); err != nil {
		g.t.Fatal(err)
	}
	return row.ID
}

// TestTwoGatewaysTellOneApplicationInOrder has two gateways on one store, of
// which one is killed, and many accounts that change all the time.
func TestTwoGatewaysTellOneApplicationInOrder(t *testing.T) {
	t.Parallel()
	a := newRowKeeper(t).start()
	store := t.TempDir()
	one, two := a.prepareTold(store), a.prepareTold(store)
	one.addUser("root", "admin")
	one.start()
	two.start()
	var list strings.Builder
	list.WriteString("username\n")
	for i := range 40 {
		fmt.Fprintf(&list, "user-%d\n", i)
	}
	one.write("new.csv", list.String())
	mustRun(t, one.dir, "", "user", "import", "new.csv")
	root := bearer(two.client().login("root").AccessToken)
	ids := map[int]string{}
	for i := range 5 {
		ids[i] = one.idOf(fmt.Sprintf("user-%d", i))
	}
	for round := range 10 {
		for i, id := range ids {
			two.client().do("PATCH", "/auth/admin/users/"+id, fmt.Sprintf(`{"name": "User %d.%d"}`, i, round), root, "Content-Type: application/json").want(t, http.StatusOK, "a change")
		}
		if round == 5 {
			one.kill()
		}
	}
	s := a.inStep(two)
	if len(s.Rows) != 41 {
		t.Errorf("%d rows", len(s.Rows))
	}
	last, applied := map[string]string{}, map[string]bool{}
	for _, try := range s.Tries {
		var e struct {
			Data struct{ ID, Name string }
		}
		if err := json.Unmarshal([]byte(try.Body), &e); err != nil {
			t.Fatal(err)
		}
		if applied[try.ID] { // a repeat, after the kill: the application knows it by its id
			continue
		}
		applied[try.ID] = true
		if e.Data.Name < last[e.Data.ID] {
			t.Errorf("%q came after %q", e.Data.Name, last[e.Data.ID])
		}
		last[e.Data.ID] = e.Data.Name
	}
}
