package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const logsYAML = `
listen: {LISTEN}
public_url: {URL}
admin: { listen: {ADMIN} }
log: { access: false, audit_file: logs/audit.log }
upstreams: [{ name: app, urls: ["http://127.0.0.1:9"] }]
auth: { roles: [user, admin] }
routes: [{ path: /**, allow: authenticated }]
`

// inLog says how often a text stands in a file of the gateway's folder; one that
// is not there has nothing.
func (g *gateway) inLog(name, text string) int {
	g.t.Helper()
	got, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil && !os.IsNotExist(err) {
		g.t.Fatal(err)
	}
	return strings.Count(string(got), text)
}

// failLogin makes an audit line.
func (g *gateway) failLogin() {
	g.t.Helper()
	resp, err := http.Post("http://"+g.addr+"/auth/login", "application/json", strings.NewReader(`{"username":"nobody","password":"not the password"}`))
	if err != nil {
		g.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		g.t.Fatalf("a login of nobody: %d", resp.StatusCode)
	}
}

// TestTheAuditLogIsAStreamOfItsOwn that is rotated, and that loses no line when
// its directory goes.
func TestTheAuditLogIsAStreamOfItsOwn(t *testing.T) {
	t.Parallel()
	g := prepare(t, logsYAML)
	if r := run(t, g.dir, "", "serve"); r.status != 1 || !strings.Contains(r.stderr, "log.audit_file: open the log") {
		t.Errorf("without the directory: %d\n%s", r.status, r.stderr)
	}
	logs := filepath.Join(g.dir, "logs")
	if err := os.Mkdir(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	g.start()
	const line, failed = `"msg":"audit"`, `"event":"login_failed"`
	g.failLogin()
	if g.inLog("logs/audit.log", failed) != 1 || len(g.entries("audit"))+len(g.entries("request")) > 0 {
		t.Errorf("audit log:\n%s\nstandard output:\n%s", g.read("logs/audit.log"), g.stdout)
	}

	// As logrotate does: moved away, then SIGHUP.
	if err := os.Rename(filepath.Join(logs, "audit.log"), filepath.Join(logs, "audit.log.1")); err != nil {
		t.Fatal(err)
	}
	g.cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "the reload in the new file", func() bool { return g.inLog("logs/audit.log", `"event":"reload"`) > 0 })
	g.failLogin()
	if g.inLog("logs/audit.log", failed) != 1 || g.inLog("logs/audit.log.1", failed) != 1 {
		t.Errorf("after rotation:\n%s\nbefore:\n%s", g.read("logs/audit.log"), g.read("logs/audit.log.1"))
	}

	if err := os.RemoveAll(logs); err != nil {
		t.Fatal(err)
	}
	g.failLogin()
	if n := len(g.audit("login_failed")); n != 1 {
		t.Errorf("%d audit lines on standard output, want the one that has no place\n%s", n, g.stdout)
	}
	if got := newClient(t, "http://"+g.admin).get("/metrics").want(t, 200, "metrics").body; !strings.Contains(got, "\npostern_log_errors_total{log=\"audit\"} 1\n") || strings.Count(g.stdout.String(), "the log file cannot be written") != 1 {
		t.Errorf("it is not told of:\n%s", g.stdout)
	}
	if err := os.Mkdir(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	g.failLogin()
	if g.inLog("logs/audit.log", line) != 1 || len(g.audit("login_failed")) != 1 {
		t.Errorf("with the directory back:\n%s", g.stdout)
	}
}

// TestWhatAnApplicationAnswersUnaskedIsLoggedNowhere: net/http's client prints
// the beginning of such an answer, with the cookies in it, past every logger.
func TestWhatAnApplicationAnswersUnaskedIsLoggedNowhere(t *testing.T) {
	t.Parallel()
	app, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		conn, err := app.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nSet-Cookie: id=unasked-secret\r\nContent-Length: 0\r\n\r\n")
		io.Copy(io.Discard, r)
	}()
	g := prepare(t, `
listen: {LISTEN}
public_url: {URL}
admin: { listen: {ADMIN} }
log: { level: debug }
upstreams: [{ name: app, urls: ["http://`+app.Addr().String()+`"], transport: standard }]
routes: [{ path: /**, allow: anyone }]
`).start()
	resp, err := http.Get("http://" + g.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	<-closed // by the gateway, which has printed by then what it prints
	if out := g.stdout.String() + g.stderr.String(); resp.StatusCode != http.StatusOK || strings.Contains(out, "unasked") {
		t.Errorf("answered %d, and the logs have:\n%s", resp.StatusCode, out)
	}
}
