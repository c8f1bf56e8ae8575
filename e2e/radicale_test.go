package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// startRadicale runs Debian's Radicale with the recipe's settings.
func startRadicale(t *testing.T) app {
	t.Helper()
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import radicale").Run(); err != nil {
		lack(t, "radicale for "+python)
	}
	dir, addr := t.TempDir(), freeAddr(t)
	config := filepath.Join(dir, "config")
	text := recipe(t, "radicale/config", "127.0.0.1:5232", addr, "/var/lib/radicale/collections", filepath.Join(dir, "collections"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return startApp(t, addr, dir, []string{"PYTHONDONTWRITEBYTECODE=1"}, python, "-m", "radicale", "--config", config)
}

// startCalendars is Radicale behind a gateway, as the recipe has it.
func startCalendars(t *testing.T) (*gateway, app) {
	t.Helper()
	radicale := startRadicale(t)
	g := prepareRecipe(t, "radicale", "https://cal.example.com", "{URL}", "http://127.0.0.1:5232", "http://"+radicale.addr)
	g.addUser("alice", "user")
	g.addUser("bob", "user")
	g.addUser("root", "admin")
	return g.start(), radicale
}

// event is an entry of a calendar.
func event(uid, summary string) string {
	return strings.ReplaceAll("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//postern//test//EN\nBEGIN:VEVENT\nUID:"+uid+
		"\nDTSTAMP:20261126T120000Z\nDTSTART:20261127T120000Z\nSUMMARY:"+summary+"\nEND:VEVENT\nEND:VCALENDAR\n", "\n", "\r\n")
}

const (
	whoAmI = `<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>`
	nameIt = `<propertyupdate xmlns="DAV:"><set><prop><displayname>Day by day</displayname></prop></set></propertyupdate>`
	askAll = `<C:calendar-query xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><prop><getetag/></prop>` +
		`<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"/></C:comp-filter></C:filter></C:calendar-query>`
)

// TestRadicaleByItsRecipe is one Radicale for all that follows: each start costs
// seconds.
func TestRadicaleByItsRecipe(t *testing.T) {
	t.Parallel()
	need(t, "vdirsyncer", "curl")
	g, radicale := startCalendars(t)
	t.Run("it is told who asks", func(t *testing.T) { radicaleIsToldWhoAsks(t, g, radicale) })
	t.Run("a browser", func(t *testing.T) { aBrowserBeforeRadicale(t, g) })
	t.Run("a program that knows Basic alone", func(t *testing.T) { aProgramThatKnowsBasicAlone(t, g) })
	t.Run("every verb", func(t *testing.T) { radicaleCarriesEveryVerb(t, g, radicale) })
}

// radicaleIsToldWhoAsks: it takes X-Remote-User for the truth, so nobody but the
// gateway may say it.
func radicaleIsToldWhoAsks(t *testing.T, g *gateway, radicale app) {
	principal := regexp.MustCompile(`<current-user-principal><href>([^<]*)</href>`)
	ask := func(c *client, header ...string) string {
		t.Helper()
		r := c.do("PROPFIND", "/", whoAmI, append(header, "Depth: 0", "Content-Type: text/xml")...).want(t, 207, "PROPFIND")
		if found := principal.FindStringSubmatch(r.body); found != nil {
			return found[1]
		}
		return r.body
	}
	if got := ask(radicale.client(t), "X-Remote-User: mallory"); got != "/mallory/" {
		t.Errorf("Radicale alone takes X-Remote-User: mallory for %q: this test would show nothing", got)
	}
	c := g.client()
	token := bearer(c.login("alice").AccessToken)
	for _, spoof := range append(spoofs(), []string{"X_Remote_User: mallory"}, []string{"X-Remote-User: mallory", "x-remote-user: mallory"},
		[]string{"Connection: X-Remote-User"}, []string{"X-Script-Name: /mallory"}) {
		if got := ask(c, append(spoof, token)...); got != "/alice/" {
			t.Errorf("%q: Radicale takes alice for %q", spoof, got)
		}
		c.do("PROPFIND", "/", whoAmI, spoof...).want(t, 401, "the same without a login")
	}
}

// radicaleCarriesEveryVerb of CalDAV, and names that need an exception.
func radicaleCarriesEveryVerb(t *testing.T, g *gateway, radicale app) {
	c := g.client()
	token, other, admin := bearer(c.login("alice").AccessToken), bearer(c.login("bob").AccessToken), bearer(c.login("root").AccessToken)
	const ics = "Content-Type: text/calendar; charset=utf-8"
	for _, step := range []struct {
		method, path, body string
		header             []string
		status             int
		says               string
	}{
		{"OPTIONS", "/alice/", "", nil, 200, ""},
		{"MKCALENDAR", "/alice/work/", "", nil, 201, ""},
		{"PROPPATCH", "/alice/work/", nameIt, nil, 207, "200 OK"},
		{"PUT", "/alice/work/1.ics", event("1", "plain"), []string{ics}, 201, ""},
		{"PUT", "/alice/work/C%23%20%C3%BC@b.ics", event("2", "a # in the name"), []string{ics, "If-None-Match: *"}, 201, ""},
		{"PUT", "/alice/work/1.ics", event("1", "again"), []string{ics, "If-None-Match: *"}, 412, ""},
		{"GET", "/alice/work/C%23%20%C3%BC@b.ics", "", nil, 200, "SUMMARY:a # in the name"},
		{"REPORT", "/alice/work/", askAll, []string{"Depth: 1"}, 207, "/alice/work/C%23%20%C3%BC%40b.ics"},
		{"PROPFIND", "/alice/work/", "", []string{"Depth: 1"}, 207, "Day by day"},
		{"MOVE", "/alice/work/1.ics", "", []string{"Destination: " + c.base + "/alice/work/2.ics"}, 201, ""},
		{"GET", "/alice/work/2.ics", "", nil, 200, "SUMMARY:plain"},
		{"GET", "/.well-known/caldav", "", nil, 301, ""},
		{"PUT", "/alice/work/a%2Fb.ics", event("3", "x"), []string{ics}, 400, "bad_path"},
		{"PUT", "/alice/../bob/x.ics", event("3", "x"), []string{ics}, 400, "bad_path"},
		{"DELETE", "/alice/work/2.ics", "", nil, 200, ""},
	} {
		r := c.do(step.method, step.path, step.body, append(step.header, token)...)
		if r.StatusCode != step.status || !strings.Contains(r.body, step.says) {
			t.Errorf("%s %s: %s, want %d and %q\n%s", step.method, step.path, r.Status, step.status, step.says, r.body)
		}
	}
	for who, header := range map[string]string{"another": other, "a role that is not enough": admin} {
		for _, method := range []string{"GET", "PROPFIND", "PUT", "DELETE", "REPORT", "MKCALENDAR", "MOVE"} {
			c.do(method, "/alice/work/", "", header, "Destination: "+c.base+"/bob/x.ics").want(t, 403, who+": "+method)
		}
	}
	c.do("MKCALENDAR", "/bob/home/", "", other).want(t, 201, "bob's own calendar")
	if r := c.do("MOVE", "/bob/home/1.ics", "", other, "Destination: "+c.base+"/alice/work/1.ics").want(t, 403, "a move into another's calendar"); r.code() != "forbidden" {
		t.Errorf("it was Radicale that refused the move: %s", r.body)
	}
	asks := g.entries("request")
	if !slices.ContainsFunc(asks, func(e entry) bool { return e["method"] == "MKCALENDAR" && e["user"] == "bob" }) {
		t.Error("the access log has no MKCALENDAR of bob's")
	}
	collectionsPassWhole(t, c, token, radicale)
}

// collectionsPassWhole uploads a whole calendar at once, and reads them
// through the gateway and past it.
func collectionsPassWhole(t *testing.T, c *client, token string, radicale app) {
	t.Helper()
	const entries = 100
	all := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//postern//test//EN"}
	for i := range entries {
		all = append(all, "BEGIN:VEVENT", fmt.Sprintf("UID:%d", i), "DTSTAMP:20261126T120000Z", "DTSTART:20261127T120000Z", "SUMMARY:"+strings.Repeat("x", 2000), "END:VEVENT")
	}
	body := strings.Join(append(all, "END:VCALENDAR", ""), "\r\n")
	c.do("PUT", "/alice/large/", body, token, "Content-Type: text/calendar").want(t, 201, "a whole calendar")
	through := c.get("/alice/large/", token).want(t, 200, "the calendar")
	past := radicale.client(t).get("/alice/large/", "X-Remote-User: alice").want(t, 200, "the calendar past the gateway")
	if sha256.Sum256([]byte(through.body)) != sha256.Sum256([]byte(past.body)) || strings.Count(through.body, "BEGIN:VEVENT") != entries {
		t.Errorf("%d bytes with %d entries came through the gateway, %d bytes past it", len(through.body), strings.Count(through.body, "BEGIN:VEVENT"), len(past.body))
	}
}

// aProgramThatKnowsBasicAlone: vdirsyncer finds alice's calendars and
// keeps them in step, with an application password, until that is ended.
func aProgramThatKnowsBasicAlone(t *testing.T, g *gateway) {
	c := g.client()
	mine := c.login("alice").AccessToken
	password := c.appPassword("alice")
	c.do("MKCALENDAR", "/alice/home/", "", bearer(mine)).want(t, 201, "a calendar")
	c.do("PUT", "/alice/home/1.ics", event("1", "from elsewhere"), bearer(mine), "Content-Type: text/calendar").want(t, 201, "an entry")

	g.write("password", password)
	g.write("netrc", "machine 127.0.0.1 login alice password "+password+"\n")
	ask := []string{"--silent", "--anyauth", "--netrc-file", "netrc", "--output", "/dev/null", "--write-out", "%{http_code}", "-X", "PROPFIND", c.base + "/alice/"}
	if got := mustTool(t, g.dir, nil, "curl", ask...); got != "207" {
		t.Errorf("curl, which sends a password only where Basic is offered: %s", got)
	}
	g.write("vdirsyncer", `[general]
status_path = "status/"
[pair calendars]
a = "local"
b = "remote"
collections = ["from b"]
[storage local]
type = "filesystem"
path = "local/"
fileext = ".ics"
[storage remote]
type = "caldav"
url = "`+c.base+`/"
username = "alice"
password.fetch = ["command", "cat", "`+filepath.Join(g.dir, "password")+`"]
`)
	env := []string{"VDIRSYNCER_CONFIG=" + filepath.Join(g.dir, "vdirsyncer")}
	mustTool(t, g.dir, env, "sh", "-c", "yes | vdirsyncer discover")
	mustTool(t, g.dir, env, "vdirsyncer", "sync")
	if got := g.read("local/home/1.ics"); !strings.Contains(got, "SUMMARY:from elsewhere") {
		t.Errorf("the local copy is %s", got)
	}
	g.write("local/home/2.ics", event("2", "from here"))
	mustTool(t, g.dir, env, "vdirsyncer", "sync")
	if r := c.do("REPORT", "/alice/home/", askAll, bearer(mine), "Depth: 1"); strings.Count(r.body, "<href>/alice/home/") != 2 {
		t.Errorf("what was written here is not there:\n%s", r.body)
	}

	// The device is lost: its password ends, the login stays.
	for _, session := range c.sessionsOf(mine) {
		if id, _, _ := strings.Cut(session, " "); session != id+" current" {
			c.do("DELETE", "/auth/sessions/"+id, "", bearer(mine)).want(t, 204, "the end of a session")
		}
	}
	if said, ok := tool(t, g.dir, env, "vdirsyncer", "sync"); ok || !strings.Contains(said, "401") {
		t.Errorf("after the end of its password: %v\n%s", ok, said)
	}
	if got := mustTool(t, g.dir, nil, "curl", ask...); got != "401" {
		t.Errorf("curl after the end of its password: %s", got)
	}
	c.do("PROPFIND", "/alice/", "", bearer(mine)).want(t, 207, "the login itself")
	if strings.Contains(g.stdout.String(), password) {
		t.Error("the password is in the log")
	}
}

// aBrowserBeforeRadicale goes by the login page, and gets no box for a password.
func aBrowserBeforeRadicale(t *testing.T, g *gateway) {
	b := g.browser()
	if r := b.get("/").want(t, 303, "no login"); r.location() != "/auth/login?rd=%2F" {
		t.Errorf("sent to %q", r.location())
	}
	b.loginForm("alice")
	b.get("/").want(t, 302, "with a login")
	if r := b.get("/.web").want(t, 200, "where that leads"); !strings.Contains(r.body, "Radicale works!") {
		t.Errorf("Radicale says %q", r.body)
	}
	b.postForm("/auth/logout", nil)
	b.get("/").want(t, 303, "after the logout")
}
