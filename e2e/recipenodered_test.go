package e2e

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/websocket"
)

// startNodeRED runs Node-RED with the recipe's settings.js and no flows, and
// the recipe's gateway before it, which ends TLS where the scheme is https. It
// answers the public URL too.
func startNodeRED(t *testing.T, scheme string) (*gateway, string) {
	t.Helper()
	need(t, "node")
	program, err := filepath.Abs(filepath.Join("testdata", "node-red", "node_modules", "node-red", "red.js"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		lack(t, program)
	}
	dir, addr := t.TempDir(), freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	settings := recipe(t, "node-red/settings.js", "uiPort: 1880", "uiPort: "+port)
	if err := os.WriteFile(filepath.Join(dir, "settings.js"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	startApp(t, addr, dir, []string{"NODE_RED_CREDENTIAL_SECRET=keyboard cat"}, "node", program, "--settings", "settings.js", "--userDir", dir)

	g := prepareRecipe(t, "node-red", "127.0.0.1:1880", addr)
	site := scheme + "://" + g.addr
	g.env = append(g.env, "POSTERN_PUBLIC_URL="+site)
	if scheme == "https" {
		g.writeCertificate("127.0.0.1")
		g.env = append(g.env, "POSTERN_TLS_CERT_FILE=cert.pem", "POSTERN_TLS_KEY_FILE=cert.key")
	}
	g.addUser("alice", "user")
	g.addUser("root", "admin")
	return g.start(), site
}

// helloFlow answers GET /api/hello with the name that the flow is told, and
// shows it in the editor's debug sidebar.
func helloFlow(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "node-red", "flow.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// awaitHello waits for the flow: Node-RED answers a deployment before it has
// started what was deployed.
func (c *client) awaitHello(header ...string) {
	c.t.Helper()
	eventually(c.t, "the flow starts", func() bool {
		r := c.get("/api/hello", header...)
		return r.StatusCode == 200 && r.body == "Hello alice"
	})
}

// TestRecipeOfNodeREDByRole: the editor with its WebSocket is for
// administrators, what a flow offers for users, and the flow is told who asks.
func TestRecipeOfNodeREDByRole(t *testing.T) {
	t.Parallel()
	g, _ := startNodeRED(t, "http")
	const comms = "/editor/comms"
	nobody, alice, root := g.browser(), g.browser(), g.browser()
	nobody.get("/editor/").want(t, 303, "the editor without a login")
	nobody.get(comms, handshake(nobody.base)...).want(t, 401, "the editor's WebSocket without a login")
	alice.loginForm("alice")
	for _, path := range []string{"/editor/", "/EDITOR/", "/editor/flows", "/Editor/settings"} {
		alice.get(path).want(t, 403, path+" for alice")
	}
	alice.get(comms, handshake(alice.base)...).want(t, 403, "the editor's WebSocket for alice")
	deploy := func(c *client) reply {
		return c.do("POST", "/editor/flows", helloFlow(t), "Content-Type: application/json", "Origin: "+c.base, "Node-RED-Deployment-Type: full")
	}
	deploy(alice).want(t, 403, "a flow of alice's")

	root.loginForm("root")
	root.get(comms, handshake("https://evil.example.com")...).want(t, 403, "the editor's WebSocket for another site's page")
	ws := root.socket(g, comms)
	if err := websocket.Message.Send(ws, `{"subscribe":"debug"}`); err != nil {
		t.Fatal(err)
	}
	deploy(root).want(t, 204, "a flow of root's")
	g.client().get("/api/hello").want(t, 401, "the flow without a login")
	alice.awaitHello()
	for _, spoof := range spoofs() {
		if r := alice.get("/api/hello", spoof...).want(t, 200, "the flow"); r.body != "Hello alice" {
			t.Errorf("%s: the flow was told %q", strings.Join(spoof, " "), r.body)
		}
	}
	seen := ""
	for !strings.Contains(seen, "Hello alice") {
		if err := websocket.Message.Receive(ws, &seen); err != nil {
			t.Fatal(err)
		}
	}

	mustRun(t, g.dir, "", "user", "set", "root", "--role", "user", "--config", "gateway.yaml")
	wantEnded(t, "the editor's WebSocket", func() error { return websocket.Message.Receive(ws, &seen) })
}

// sockets counts the handshakes of the editor's WebSocket with a status; those
// with 101 are counted when the WebSocket has ended.
func (g *gateway) sockets(status float64) (n int) {
	g.t.Helper()
	for _, e := range g.entries("request") {
		if e["path"] == "/editor/comms" && e["status"] == status {
			n++
		}
	}
	return n
}

// TestRecipeOfNodeREDInARealBrowser draws a flow, deploys it, and reads what it
// says as it comes over the WebSocket, until the session is revoked. It is over
// TLS: the pages come by HTTP/2, and the WebSocket must find HTTP/1.1.
func TestRecipeOfNodeREDInARealBrowser(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	g, site := startNodeRED(t, "https")
	editor := site + "/editor/"
	b.open(editor)
	b.at("/auth/login?rd=%2Feditor%2F", "")
	b.login("root")
	b.at("/editor/", "Deploy")
	if spoken := b.script(`return performance.getEntriesByType("navigation")[0].nextHopProtocol`); spoken != "h2" {
		t.Errorf("the page came by %v", spoken)
	}
	shown := func(what, script string) {
		t.Helper()
		eventually(t, what, func() bool { return b.script(script) == true })
	}
	shown("an empty workspace", `return typeof RED == "object" && RED.nodes != null && RED.workspaces.active() != 0`)
	flow, err := json.Marshal(helloFlow(t))
	if err != nil {
		t.Fatal(err)
	}
	b.script(`RED.view.importNodes(JSON.parse(` + string(flow) + `), {touchImport: true}); RED.sidebar.show("debug")`)
	b.click("#red-ui-header-button-deploy")
	shown("the flow is deployed", `return !RED.nodes.dirty()`)
	if link := b.script(`return document.querySelector("#red-ui-header-button-sidemenu-submenu a[href='/auth/logout']") != null`); link != true {
		t.Errorf("the menu has no way to log out: %v", link)
	}
	b.screenshot("node-red")

	alice := g.visitor(site)
	token := bearer(alice.login("alice").AccessToken)
	says := `return document.querySelectorAll(".red-ui-debug-msg").length`
	alice.awaitHello(token)
	shown("what the flow says in the sidebar", `return document.querySelector(".red-ui-debug-content").innerText.includes("Hello alice")`)
	b.screenshot("node-red-debug")

	// A change of roles ends the WebSocket and outdates the access token. The
	// next deployment goes by way of a refresh, and the WebSocket comes back.
	before, _ := b.script(says).(float64)
	mustRun(t, g.dir, "", "user", "set", "root", "--role", "admin", "--role", "user", "--config", "gateway.yaml")
	eventually(t, "the end of the WebSocket", func() bool { return g.sockets(101) == 1 })
	b.script(`RED.nodes.dirty(true)`)
	b.click("#red-ui-header-button-deploy")
	shown("the flow is deployed again", `return !RED.nodes.dirty()`)
	if len(g.audit("refresh")) == 0 {
		t.Error("the deployment went by without a refresh")
	}
	eventually(t, "what the flow says in the sidebar, again", func() bool {
		alice.awaitHello(token)
		after, _ := b.script(says).(float64)
		return after > before
	})

	refused := g.sockets(401)
	mustRun(t, g.dir, "", "session", "revoke", "--user", "root", "--config", "gateway.yaml")
	eventually(t, "the end of the second WebSocket", func() bool { return g.sockets(101) == 2 })
	eventually(t, "the refusal of a third", func() bool { return g.sockets(401) > refused })
	b.open(editor)
	b.at("/auth/login?rd=%2Feditor%2F", "")
}
