package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a process: two busy cores and the race
// detector make a start slow, and a test that hangs tells nothing.
const patience = 60 * time.Second

// built holds the binary that all tests share.
type built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

var binary = &built{}

// given are the addresses that freeAddr has given to tests of this process,
// which may not listen there yet.
var given sync.Map

func TestMain(m *testing.M) {
	if addr := os.Getenv(herdAddress); addr != "" { // this process is an application, see herd_test.go
		serveHerd(addr)
	}
	if addr := os.Getenv(soakAddress); addr != "" { // see soakapp_test.go
		serveSoak(addr)
	}
	sideBySide()
	status := m.Run()
	os.RemoveAll(binary.dir)
	os.Exit(status)
}

// sideBySide lets more tests run at once than there are cores, unless the
// command line says how many: most of a test's time it waits for a process.
func sideBySide() {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
}

// postern is the path of the binary, built at the first use with the race
// detector when the tests have it.
func postern(t testing.TB) string {
	t.Helper()
	binary.once.Do(func() {
		if binary.dir, binary.err = os.MkdirTemp("", "postern-e2e-"); binary.err != nil {
			return
		}
		binary.path = filepath.Join(binary.dir, "postern")
		args := []string{"build", "-o", binary.path}
		if raceEnabled {
			args = append(args, "-race")
		}
		cmd := exec.Command("go", append(args, "../cmd/postern")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal("build the binary: ", binary.err)
	}
	return binary.path
}

// need skips a test on a machine that lacks a program, or fails where the
// machine promised all of them (make test does).
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		lack(t, program)
	}
}

func lack(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("POSTERN_TEST_REQUIRE") == "all" {
		t.Fatalf("%s is missing, and POSTERN_TEST_REQUIRE=all wants every test to run: make setup installs it", what)
	}
	t.Skipf("%s is missing: make setup installs it", what)
}

// output is what a process writes, while it writes. It is a file and not a
// pipe: what the gateway logs before it answers is there when the answer is,
// and no goroutine of ours has to come and read it first.
type output struct {
	t    testing.TB
	file *os.File
}

func newOutput(t testing.TB) *output {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "output-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return &output{t, file}
}

func (o *output) String() string {
	o.t.Helper()
	text, err := os.ReadFile(o.file.Name())
	if err != nil {
		o.t.Fatal(err)
	}
	return string(text)
}

// cleanEnv is an environment in which nothing configures Postern but the file
// and what the test adds.
func cleanEnv(more ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "TMPDIR=" + os.TempDir()}
	if raceEnabled { // a race ends the process, so that it cannot be overlooked
		env = append(env, "GORACE=halt_on_error=1 exitcode=66")
	}
	return append(env, more...)
}

// ran is how a command ended.
type ran struct {
	status         int
	stdout, stderr string
}

// run runs one command of Postern in a folder, with a line on its standard
// input.
func run(t testing.TB, dir, stdin string, args ...string) ran {
	t.Helper()
	path := postern(t) // which may have to be built first: that takes its time
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, cleanEnv(), strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("postern %s: %v", strings.Join(args, " "), err)
	}
	if ctx.Err() != nil {
		t.Fatalf("postern %s did not end within %s\n%s", strings.Join(args, " "), patience, stderr.String())
	}
	return ran{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// mustRun is run for a command that has to succeed.
func mustRun(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	r := run(t, dir, stdin, args...)
	if r.status != 0 {
		t.Fatalf("postern %s: exit status %d\n%s", strings.Join(args, " "), r.status, r.stderr)
	}
	return r.stdout
}

// gateway is a running Postern and the folder it lives in.
type gateway struct {
	t              testing.TB
	dir            string
	addr, admin    string // host:port
	env            []string
	cmd            *exec.Cmd
	exited         chan struct{}
	stdout, stderr *output
}

// prepare makes a folder with a gateway.yaml. In the configuration {LISTEN},
// {ADMIN} and {URL} stand for addresses of the test's own.
func prepare(t testing.TB, config string) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: t.TempDir(), addr: freeAddr(t), admin: freeAddr(t)}
	g.configure(config)
	t.Cleanup(g.kill)
	return g
}

// configure writes the configuration; a running gateway takes it up on reload.
func (g *gateway) configure(config string) {
	g.t.Helper()
	config = strings.NewReplacer("{LISTEN}", g.addr, "{ADMIN}", g.admin, "{URL}", "http://"+g.addr).Replace(config)
	g.write("gateway.yaml", config)
}

func (g *gateway) write(name, text string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// addUser makes an account the way an administrator does, by the command. The
// password is the name with "-password".
func (g *gateway) addUser(name string, roles ...string) {
	g.t.Helper()
	args := []string{"user", "add", name, "--email", name + "@example.com", "--config", "gateway.yaml"}
	for _, role := range roles {
		args = append(args, "--role", role)
	}
	mustRun(g.t, g.dir, passwordOf(name)+"\n", args...)
}

func passwordOf(name string) string { return name + "-password" }

// start runs the gateway and returns when it says that it is ready.
func (g *gateway) start() *gateway {
	g.t.Helper()
	g.launch("serve", "--config", "gateway.yaml")
	g.waitReady()
	return g
}

func (g *gateway) launch(args ...string) {
	g.t.Helper()
	g.stdout, g.stderr, g.exited = newOutput(g.t), newOutput(g.t), make(chan struct{})
	cmd := exec.Command(postern(g.t), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = g.dir, cleanEnv(g.env...), g.stdout.file, g.stderr.file
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.cmd = cmd
	go func(exited chan struct{}) {
		cmd.Wait()
		close(exited)
	}(g.exited)
}

func (g *gateway) waitReady() {
	g.t.Helper()
	if !g.settled() {
		g.t.Fatalf("the gateway ended: %v\n%s\n%s", g.cmd.ProcessState, g.stderr, g.stdout)
	}
}

// settled waits until the gateway is ready, or has ended: then it is false.
func (g *gateway) settled() bool {
	g.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-g.exited:
			return false
		case <-time.After(20 * time.Millisecond):
		}
		if resp, err := http.Get("http://" + g.admin + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	g.t.Fatalf("the gateway was not ready within %s\n%s\n%s", patience, g.stderr, g.stdout)
	return false
}

// kill ends the process as a power cut would.
func (g *gateway) kill() {
	if g.cmd == nil {
		return
	}
	g.cmd.Process.Kill()
	<-g.exited
	g.cmd = nil
}

// stop asks the gateway to end and gives its exit status.
func (g *gateway) stop() int {
	g.t.Helper()
	g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.exited:
	case <-time.After(patience):
		g.t.Fatalf("the gateway did not stop within %s", patience)
	}
	status := g.cmd.ProcessState.ExitCode()
	g.cmd = nil
	return status
}

// reload has the gateway read its configuration again, and waits for the audit
// line that says what came of it. Twice: the first line may be of a reload that
// began before the file was written, since the gateway watches it as well.
func (g *gateway) reload(event string) {
	g.t.Helper()
	for range 2 {
		before := len(g.audit(event))
		g.cmd.Process.Signal(syscall.SIGHUP)
		eventually(g.t, "audit line "+event, func() bool { return len(g.audit(event)) > before })
	}
}

// amend replaces a part of the configuration of a running gateway, and waits
// until it is in force.
func (g *gateway) amend(old, new string) {
	g.t.Helper()
	g.edit(old, new)
	g.reload("reload")
}

// edit replaces a part of gateway.yaml.
func (g *gateway) edit(old, new string) {
	g.t.Helper()
	text := g.read("gateway.yaml")
	if !strings.Contains(text, old) {
		g.t.Fatalf("gateway.yaml has no %q", old)
	}
	g.write("gateway.yaml", strings.Replace(text, old, new, 1))
}

// read is a file of the gateway's folder.
func (g *gateway) read(name string) string {
	g.t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// entry is a log line.
type entry map[string]any

// entries are the log lines with a message, oldest first. Every line of the log
// is JSON: another one fails the test.
func (g *gateway) entries(msg string) []entry {
	g.t.Helper()
	var found []entry
	text := g.stdout.String()
	for line := range strings.Lines(text[:strings.LastIndexByte(text, '\n')+1]) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			g.t.Fatalf("the log line is not JSON: %v\n%s", err, line)
		}
		if e["msg"] == msg {
			found = append(found, e)
		}
	}
	return found
}

func (g *gateway) audit(event string) []entry {
	g.t.Helper()
	var found []entry
	for _, e := range g.entries("audit") {
		if e["event"] == event {
			found = append(found, e)
		}
	}
	return found
}

// eventually waits for something that another process does.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// freeAddr is a loopback address on which nothing listens.
// It lies below the ports that the kernel gives to whoever asks for any: else
// another test's connection takes it before it is used.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(15000+rand.IntN(15000)))
		if err != nil {
			continue
		}
		addr := l.Addr().String()
		l.Close()
		if _, taken := given.LoadOrStore(addr, true); !taken {
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

func removeFile(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
