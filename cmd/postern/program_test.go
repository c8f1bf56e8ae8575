package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/gateway/config"
)

// before is what a folder holds: bad input must leave it as it was.
func before(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(e.Name())
		if err != nil && !e.IsDir() {
			t.Fatal(err)
		}
		held[e.Name()] = string(text)
	}
	return held
}

// TestWhatCannotStartSaysWhyAndLeavesTheFolderAlone starts serve with one thing
// wrong at a time.
func TestWhatCannotStartSaysWhyAndLeavesTheFolderAlone(t *testing.T) {
	const good = "upstreams: [{ name: app, urls: [http://127.0.0.1:9] }]\nroutes: [{ path: /x, allow: anyone }]\n"
	for _, test := range []struct {
		name   string
		files  map[string]string
		env    []string
		status int
		want   string
	}{
		{"a misspelt key", map[string]string{"gateway.yaml": good + "lissten: :1\n"}, nil, exitUsage, `gateway.yaml:3:1: unknown key "lissten"`},
		{"an empty file", map[string]string{"gateway.yaml": ""}, nil, exitUsage, "upstreams: there is none"},
		{"two documents", map[string]string{"gateway.yaml": good + "---\na: 1\n"}, nil, exitUsage, "second document"},
		{"a role nobody defined", map[string]string{"gateway.yaml": strings.Replace(good, "anyone", "{ role: boss }", 1)}, nil, exitUsage, `boss`},
		{"a store that is no database", map[string]string{"gateway.yaml": good, "postern.db": strings.Repeat("no database ", 100)}, nil, exitFailed, "postern.db"},
		{"a store that is a folder", map[string]string{"gateway.yaml": good}, []string{"POSTERN_STORE_PATH=/"}, exitFailed, "/"},
		{"a key file that is no key", map[string]string{"gateway.yaml": good, "postern.key": "secret"}, nil, exitFailed, "postern.key"},
		{"a bad environment", map[string]string{"gateway.yaml": good}, []string{"POSTERN_AUTH_ACCESS_TOKEN_TTL=15"}, exitUsage, "POSTERN_AUTH_ACCESS_TOKEN_TTL"},
		{"what comes later", map[string]string{"gateway.yaml": good + "store: { driver: postgres }\n"}, nil, exitUsage, "later version"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for name, text := range test.files {
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			held := before(t)
			var out, errs transcript
			env := append([]string{"POSTERN_LISTEN=127.0.0.1:0", "POSTERN_ADMIN_LISTEN=127.0.0.1:0"}, test.env...)
			status := run(&system{ctx: t.Context(), env: env, stdin: strings.NewReader(""), stdout: &out, stderr: &errs}, []string{"serve"})
			if status != test.status || !strings.Contains(errs.String(), test.want) {
				t.Errorf("status %d, want %d: %s", status, test.status, errs.String())
			}
			if strings.Contains(errs.String(), "secret") {
				t.Error("the key file's content was printed")
			}
			after := before(t)
			for name, text := range after {
				if old, ok := held[name]; !ok || old != text {
					t.Errorf("%s was made or changed", name)
				}
			}
		})
	}
}

func TestAPortInUseFailsTheStart(t *testing.T) {
	t.Chdir(t.TempDir())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, variable := range []string{"POSTERN_LISTEN", "POSTERN_ADMIN_LISTEN"} {
		env := []string{"POSTERN_LISTEN=127.0.0.1:0", "POSTERN_ADMIN_LISTEN=127.0.0.1:0", variable + "=" + ln.Addr().String()}
		if variable == "POSTERN_LISTEN" {
			env = env[1:]
		} else {
			env = append(env[:1], env[2:]...)
		}
		var out, errs transcript
		status := run(&system{ctx: t.Context(), env: env, stdin: strings.NewReader(""), stdout: &out, stderr: &errs}, []string{"serve", "--upstream", "http://127.0.0.1:9"})
		if status != exitFailed || !strings.Contains(errs.String(), ln.Addr().String()) || !strings.Contains(errs.String(), "another program has it") {
			t.Errorf("%s: status %d: %s", variable, status, errs.String())
		}
		if strings.Contains(errs.String(), "password") {
			t.Errorf("%s: an administrator was made for a gateway that does not run:\n%s", variable, errs.String())
		}
	}
}

func TestAUnixSocketIsServedAndRemovedAtTheEnd(t *testing.T) {
	s := newServed(t)
	socket := t.TempDir() + "/postern.sock"
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	env := []string{"POSTERN_LISTEN=unix:" + socket, "POSTERN_ADMIN_LISTEN="}
	go func() {
		done <- run(&system{ctx: ctx, env: append(env, "POSTERN_ADMIN_LISTEN=127.0.0.1:0"), stdin: strings.NewReader(""), stdout: &s.stdout, stderr: &s.stderr}, []string{"serve", "--upstream", s.app.URL})
	}()
	s.stdout.await(t, `"msg":"(serving)"`)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	resp, err := client.Get("http://localhost/x")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s", resp.Status)
	}
	client.CloseIdleConnections()
	cancel()
	if status := <-done; status != exitDone {
		t.Errorf("ended with %d:\n%s", status, s.stderr.String())
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is left behind")
	}
	if strings.Contains(s.stdout.String(), "another port") { // a socket has none
		t.Errorf("warned of its port:\n%s", s.stdout.String())
	}
}

// A request under way when the gateway is told to stop gets its answer; the
// readiness probe says meanwhile that no more should be sent.
func TestStoppingLetsARequestUnderWayEnd(t *testing.T) {
	s := newServed(t)
	started, release := make(chan struct{}), make(chan struct{})
	s.app.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(started)
		<-release
		_, _ = w.Write([]byte("late but whole"))
	})
	s.write(t, "routes: [{ path: /slow, allow: anyone }]\n")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	env := []string{"POSTERN_LISTEN=127.0.0.1:0", "POSTERN_ADMIN_LISTEN=127.0.0.1:0"}
	go func() {
		done <- run(&system{ctx: ctx, env: env, stdin: strings.NewReader(""), stdout: &s.stdout, stderr: &s.stderr}, []string{"serve"})
	}()
	url := "http://" + s.stdout.await(t, `"msg":"serving","listen":"([^"]+)"`)
	admin := "http://" + s.stdout.await(t, `"admin":"([^"]+)"`)
	answer := make(chan string, 1)
	go func() {
		_, body := get(t, url+"/slow", "")
		answer <- body
	}()
	<-started
	cancel()
	s.stdout.await(t, `"msg":"(draining)"`)
	if code, _ := get(t, admin+"/readyz", ""); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d while draining", code)
	}
	close(release)
	if body := <-answer; body != "late but whole" {
		t.Errorf("got %q", body)
	}
	if status := <-done; status != exitDone {
		t.Errorf("ended with %d:\n%s", status, s.stderr.String())
	}
}

func TestSIGHUPReadsTheFileAgain(t *testing.T) {
	s := startServeFile(t, "routes: [{ path: /open, allow: anyone }]\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.stdout.await(t, `"event":"(reload)"`)
}

func TestKeysThatNeedARestartAreNamedAtAReload(t *testing.T) {
	s := startServeFile(t, "routes: [{ path: /open, allow: anyone }]\n")
	s.write(t, "routes: [{ path: /open, allow: anyone }]\nlog: { level: debug }\nstore: { path: other.db }\n")
	s.stdout.await(t, `takes effect at the next start","key":"(store)"`)
	s.stdout.await(t, `takes effect at the next start","key":"(log)"`)
	if _, err := os.Stat("other.db"); err == nil {
		t.Error("another store was opened")
	}
}

func TestRestartOnlyListsWhatDiffers(t *testing.T) {
	base := func() *config.File {
		return &config.File{Config: gateway.Config{Listen: ":1", Admin: gateway.Admin{Listen: ":2"}, TLS: gateway.TLS{ACME: gateway.ACME{Domains: []string{"gw.test"}}}}}
	}
	for _, test := range []struct {
		change func(*config.File)
		want   string
	}{
		{func(*config.File) {}, ""},
		{func(f *config.File) { f.Listen = ":3" }, "listen"},
		{func(f *config.File) { f.Admin.Listen = "" }, "admin.listen"},
		{func(f *config.File) { f.TLS.CertFile = "a" }, "tls, to other files"},
		{func(f *config.File) { f.TLS.ACME.Domains = []string{"gw.test", "new.test"} }, ""},
		{func(f *config.File) { f.TLS.ACME.Domains = nil }, "tls.acme, but its domains"},
		{func(f *config.File) { f.TLS.ACME.HTTPListen = ":80" }, "tls.acme, but its domains"},
		{func(f *config.File) { f.H2C = true }, "h2c"},
		{func(f *config.File) { f.Admin.PProf = true }, "admin.pprof"},
		{func(f *config.File) { f.Store.KeyFile = "a" }, "store"},
		{func(f *config.File) { f.Log.Level = "debug" }, "log"},
		{func(f *config.File) { f.Limits.Connections = 9 }, "limits.connections"},
		{func(f *config.File) { f.Limits.ConnectionsPerClient = 9 }, "limits.connections_per_client"},
		{func(f *config.File) { f.Limits.ClientIdle = time.Hour }, ""},
		{func(f *config.File) { f.Shutdown.Delay = time.Second }, ""},
		{func(f *config.File) { f.PublicURL = "http://other" }, ""},
	} {
		next := base()
		test.change(next)
		if got := strings.Join(restartOnly(base(), next), "; "); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// Where standard output is no terminal, auto means JSON.
func TestTheLogHasTheFormAndTheLevelThatWereAskedFor(t *testing.T) {
	for _, test := range []struct {
		conf gateway.Log
		want string
	}{
		{gateway.Log{Level: "info", Format: "auto"}, `"msg":"hello"`},
		{gateway.Log{Level: "info", Format: "json"}, `"msg":"hello"`},
		{gateway.Log{Level: "info", Format: "text"}, `msg=hello`},
		{gateway.Log{Level: "error", Format: "text"}, ``},
	} {
		var out bytes.Buffer
		newLogger(&out, test.conf).Log(context.Background(), slog.LevelInfo, "hello")
		if got := out.String(); test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%+v: %s", test.conf, got)
		}
	}
}

func TestTwoStartsAtOnceShareOneKeyAndOneAdministrator(t *testing.T) {
	t.Chdir(t.TempDir())
	var outs, errs [3]transcript
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, len(outs))
	for i := range outs {
		go func() {
			env := []string{"POSTERN_LISTEN=127.0.0.1:0", "POSTERN_ADMIN_LISTEN=127.0.0.1:0"}
			status := run(&system{ctx: ctx, env: env, stdin: strings.NewReader(""), stdout: &outs[i], stderr: &errs[i]}, []string{"serve", "--upstream", "http://127.0.0.1:9"})
			if status != exitDone {
				t.Errorf("ended with %d: %s", status, errs[i].String())
			}
			done <- status
		}()
	}
	shown := 0
	for i := range outs {
		outs[i].await(t, `"msg":"(serving)"`)
		shown += strings.Count(errs[i].String(), "An administrator was made")
	}
	cancel()
	for range outs {
		<-done
	}
	if shown != 1 {
		t.Errorf("%d administrators were announced", shown)
	}
}
