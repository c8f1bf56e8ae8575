package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// served is a gateway that serves before an application, in its own folder.
type served struct {
	url            string
	app            *httptest.Server
	stdout, stderr transcript
}

// startServe protects the application without a file.
func startServe(t *testing.T, env ...string) *served {
	t.Helper()
	s := newServed(t)
	s.start(t, env, "--upstream", s.app.URL)
	return s
}

// startServeFile serves from a gateway.yaml with these routes.
func startServeFile(t *testing.T, routes string) *served {
	t.Helper()
	s := newServed(t)
	s.write(t, routes)
	s.start(t, nil)
	return s
}

func newServed(t *testing.T) *served {
	t.Helper()
	t.Chdir(t.TempDir())
	s := &served{app: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("for " + r.Header.Get("X-Auth-User")))
	}))}
	t.Cleanup(s.app.Close)
	return s
}

func (s *served) start(t *testing.T, env []string, args ...string) {
	t.Helper()
	start(t, &s.stdout, &s.stderr, env, append([]string{"serve"}, args...)...)
	s.url = "http://" + s.stdout.await(t, `"msg":"serving","listen":"([^"]+)"`)
}

// write puts a gateway.yaml with these routes into place, as editors do.
func (s *served) write(t *testing.T, routes string) {
	t.Helper()
	text := "upstreams: [{ name: app, urls: [" + s.app.URL + "] }]\nauth: { roles: [user, admin] }\n" + routes
	if err := os.WriteFile("gateway.yaml.new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename("gateway.yaml.new", "gateway.yaml"); err != nil {
		t.Fatal(err)
	}
}

// command runs another command in the same folder.
func command(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs transcript
	status = run(&system{ctx: t.Context(), env: environ(), stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs}, args)
	return status, out.String(), errs.String()
}

// becomes waits until asking with the token answers the status. Commands take
// effect on a serving gateway within a second; the wait is longer only for
// machines that are busy.
func (s *served) becomes(t *testing.T, token string, want int) {
	t.Helper()
	got := 0
	for range 2400 { // a minute
		if got, _ = get(t, s.url+"/x", token); got == want {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Errorf("still %d, want %d", got, want)
}

func TestTheFirstStartMakesAnAdministratorAndPrintsThePasswordOnce(t *testing.T) {
	s := startServe(t)
	password := s.stderr.await(t, `password  (\S+)`)
	token := login(t, s.url, "admin", password)
	if code, body := get(t, s.url+"/any/path", token); code != 200 || body != "for admin" {
		t.Errorf("%d %s", code, body)
	}
	if strings.Contains(s.stdout.String(), password) {
		t.Error("the password is in the log")
	}
	if strings.Count(s.stderr.String(), password) != 1 {
		t.Error("the password was not printed once")
	}
}

func TestTheFirstAdministratorsPasswordCanComeFromTheEnvironment(t *testing.T) {
	s := startServe(t, "POSTERN_ADMIN_PASSWORD=given-by-the-operator")
	login(t, s.url, "admin", "given-by-the-operator")
	if strings.Contains(s.stderr.String()+s.stdout.String(), "given-by-the-operator") {
		t.Error("the password was printed")
	}
}

func TestAWeakFirstPasswordStartsNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("POSTERN_ADMIN_PASSWORD", "abc")
	t.Setenv("POSTERN_LISTEN", "127.0.0.1:0")
	t.Setenv("POSTERN_ADMIN_LISTEN", "127.0.0.1:0")
	status, _, stderr := command(t, "", "serve", "--upstream", "http://127.0.0.1:9")
	if status != exitUsage || !strings.Contains(stderr, "POSTERN_ADMIN_PASSWORD") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// An orchestrator may change its mind while the first password is being hashed.
func TestAStartThatIsToldToStopEndsWell(t *testing.T) {
	t.Chdir(t.TempDir())
	env := append(environ(), "POSTERN_LISTEN=127.0.0.1:0", "POSTERN_ADMIN_LISTEN=127.0.0.1:0")
	told, tell := context.WithCancel(t.Context())
	tell()
	var stdout, stderr transcript
	sys := &system{ctx: told, env: env, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr}
	if status := run(sys, []string{"serve", "--upstream", "http://127.0.0.1:9"}); status != exitDone || strings.Contains(stderr.String(), "cancel") {
		t.Errorf("status %d: %s", status, &stderr)
	}
	if strings.Contains(stderr.String(), "password") {
		t.Error("it printed the password of nobody")
	}
}

func TestServeWithoutAFileProtectsEveryPath(t *testing.T) {
	s := startServe(t)
	for _, path := range []string{"/", "/x", "/a/b/c"} {
		if code, _ := get(t, s.url+path, ""); code != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, code)
		}
	}
}

func TestCommandsOnAccountsReachTheServingGateway(t *testing.T) {
	s := startServe(t)
	if status, _, stderr := command(t, "a long password\n", "user", "add", "alice", "--role", "user"); status != exitDone {
		t.Fatal(stderr)
	}
	token := login(t, s.url, "alice", "a long password")
	s.becomes(t, token, 200)
	for _, test := range []struct {
		name  string
		stdin string
		args  []string
	}{
		{"disable", "", []string{"user", "disable", "alice"}},
		{"a new password", "another password\n", []string{"user", "passwd", "alice"}},
		{"a role", "", []string{"user", "set", "alice", "--role", "admin"}},
		{"revoke", "", []string{"session", "revoke", "--user", "alice"}},
		{"delete", "", []string{"user", "delete", "alice"}},
	} {
		if status, _, stderr := command(t, test.stdin, test.args...); status != exitDone {
			t.Fatalf("%s: %s", test.name, stderr)
		}
		s.becomes(t, token, 401)
		if test.name == "delete" {
			return
		}
		command(t, "", "user", "enable", "alice")
		command(t, "a long password\n", "user", "passwd", "alice")
		token = login(t, s.url, "alice", "a long password")
		s.becomes(t, token, 200)
	}
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	s := startServe(t, "POSTERN_ADMIN_PASSWORD=given-by-the-operator")
	token := login(t, s.url, "admin", "given-by-the-operator")
	status, out, stderr := command(t, "", "session", "list", "--user", "admin", "--output", "json")
	if status != exitDone {
		t.Fatal(stderr)
	}
	var rows []sessionRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 1 || rows[0].User != "admin" || rows[0].Address != "127.0.0.1" {
		t.Fatalf("%v %s", err, out)
	}
	if _, table, _ := command(t, "", "session", "list"); !strings.Contains(table, rows[0].ID) {
		t.Errorf("the table lacks the session:\n%s", table)
	}
	if status, _, stderr := command(t, "", "session", "revoke", rows[0].ID); status != exitDone {
		t.Fatal(stderr)
	}
	s.becomes(t, token, 401)
	for _, args := range [][]string{{"session", "revoke", "unheard-of"}, {"session", "revoke", "--user", "nobody"}, {"session", "list", "--user", "nobody"}} {
		if status, _, stderr := command(t, "", args...); status != exitFailed || !strings.Contains(stderr, "list") {
			t.Errorf("%v: %d %s", args, status, stderr)
		}
	}
	if status, _, _ := command(t, "", "session", "revoke"); status != exitUsage {
		t.Error("revoking nothing is no mistake")
	}
}

func TestTokenVerifyPrintsTheClaimsOfAGoodTokenAlone(t *testing.T) {
	s := startServe(t, "POSTERN_ADMIN_PASSWORD=given-by-the-operator")
	token := login(t, s.url, "admin", "given-by-the-operator")
	for _, args := range [][]string{{"token", "verify", token}, {"token", "verify", "-"}} {
		status, out, stderr := command(t, token+"\n", args...)
		var claims map[string]any
		if err := json.Unmarshal([]byte(out), &claims); err != nil || status != exitDone || claims["username"] != "admin" {
			t.Errorf("%v: %d %v %s %s", args[:2], status, err, out, stderr)
		}
	}
	for _, bad := range []string{token[:len(token)-8] + "AAAAAAAA", "nonsense", ""} {
		if status, out, _ := command(t, "", "token", "verify", bad); status != exitFailed || out != "" {
			t.Errorf("%q: %d %s", bad, status, out)
		}
	}
	command(t, "", "session", "revoke", "--user", "admin")
	if status, _, stderr := command(t, "", "token", "verify", token); status != exitFailed || !strings.Contains(stderr, "revoked") {
		t.Errorf("a revoked token: %d %s", status, stderr)
	}
}

func TestTheKeyFileOfAFullStoreIsNeverMadeAnew(t *testing.T) {
	t.Chdir(t.TempDir())
	if status, _, stderr := command(t, "a long password\n", "user", "add", "alice"); status != exitDone {
		t.Fatal(stderr)
	}
	if err := os.Remove("postern.key"); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := command(t, "", "user", "list")
	if status != exitFailed || !strings.Contains(stderr, "postern.key") || !strings.Contains(stderr, "backup") {
		t.Errorf("%d %s", status, stderr)
	}
	if _, err := os.Stat("postern.key"); err == nil {
		t.Error("a key file was made")
	}
}

func TestHealthcheckAsksTheAdminListener(t *testing.T) {
	s := startServe(t)
	match := regexp.MustCompile(`"admin":"([^"]+)"`).FindStringSubmatch(s.stdout.String())
	if match == nil {
		t.Fatalf("the log does not name the admin listener:\n%s", s.stdout.String())
	}
	t.Setenv("POSTERN_ADMIN_LISTEN", match[1])
	if status, out, stderr := command(t, "", "healthcheck"); status != exitDone || out != "ready\n" {
		t.Errorf("%d %s %s", status, out, stderr)
	}
	t.Setenv("POSTERN_ADMIN_LISTEN", "127.0.0.1:1")
	if status, _, stderr := command(t, "", "healthcheck"); status != exitFailed || !strings.Contains(stderr, "not ready") {
		t.Errorf("%d %s", status, stderr)
	}
}

func TestAReloadIsWholeOrRefusedWithItsReason(t *testing.T) {
	s := startServeFile(t, "routes: [{ path: /open, allow: anyone }]\n")
	if code, _ := get(t, s.url+"/open", ""); code != 200 {
		t.Fatalf("/open: %d", code)
	}
	s.write(t, "routes: [{ path: /open, alow: anyone }]\n")
	s.stdout.await(t, `"event":"reload_refused".*(gateway.yaml:3:25: unknown key)`)
	if code, _ := get(t, s.url+"/open", ""); code != 200 {
		t.Errorf("after a refused reload /open answers %d", code)
	}
	s.write(t, "routes: [{ path: /other, allow: anyone }]\n")
	s.stdout.await(t, `"event":"(reload)"`)
	for path, want := range map[string]int{"/open": 404, "/other": 200} {
		if code, _ := get(t, s.url+path, ""); code != want {
			t.Errorf("after the reload %s answers %d, want %d", path, code, want)
		}
	}
}
