package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// block is a fenced code block of the README.
type block struct{ language, text string }

func readmeBlocks(t *testing.T) []block {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	if len(blocks) < 5 {
		t.Fatalf("the README has %d code blocks: the pattern or the page is broken", len(blocks))
	}
	return blocks
}

// newcomer follows the README in an empty folder. The ports of the page are
// exchanged for free ones; nothing else is.
type newcomer struct {
	t        *testing.T
	dir      string
	env      []string
	replacer *strings.Replacer
	gateway  string // host:port
	running  *exec.Cmd
	log      *os.File     // of the gateway
	output   bytes.Buffer // of the commands
}

func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(15000 + rand.IntN(15000)) // below those that the kernel gives to any connection
		if ln, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			ln.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// TestReadme runs the code blocks of the README, from top to bottom.
func TestReadme(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user=%s", r.Header.Get("X-Auth-User"))
	}))
	defer app.Close()
	port := freePort(t)
	n := &newcomer{
		t: t, dir: t.TempDir(), gateway: "127.0.0.1:" + port,
		replacer: strings.NewReplacer("http://127.0.0.1:3000", app.URL, "localhost:8080", "127.0.0.1:"+port),
	}
	var err error
	if n.log, err = os.Create(filepath.Join(n.dir, "serve.log")); err != nil {
		t.Fatal(err)
	}
	defer n.log.Close()
	n.env = append(os.Environ(), "POSTERN_LISTEN="+n.gateway, "POSTERN_ADMIN_LISTEN=127.0.0.1:"+freePort(t), "POSTERN_PUBLIC_URL=http://"+n.gateway)
	defer n.stop()
	for _, b := range readmeBlocks(t) {
		switch b.language {
		case "sh":
			n.shell(n.replacer.Replace(b.text))
		case "yaml":
			n.write("gateway.yaml", n.replacer.Replace(b.text))
		default:
			t.Errorf("a block in %q: the test does not know what to do with it", b.language)
		}
	}
	if !strings.Contains(n.output.String(), `"access_token"`) {
		t.Errorf("the login with curl answered no access token:\n%s", n.output.String())
	}
}

func (n *newcomer) write(name, text string) {
	if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// shell runs a block: a `serve` goes to the background and must serve, the
// rest must succeed.
func (n *newcomer) shell(text string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case strings.HasPrefix(line, "go build -o postern"):
			n.run(strings.Replace(line, "-o postern", "-o "+filepath.Join(n.dir, "postern"), 1), "../..")
		case strings.HasPrefix(line, "./postern serve"):
			n.serve(line)
		default:
			n.run(line, n.dir)
		}
	}
}

func (n *newcomer) run(line, dir string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Dir, cmd.Env = dir, n.env
	out, err := cmd.CombinedOutput()
	n.output.Write(out)
	if err != nil {
		n.t.Fatalf("README: %s\n%v\n%s", line, err, out)
	}
}

func (n *newcomer) serve(line string) {
	n.t.Helper()
	n.stop()
	n.running = exec.Command("bash", "-c", "exec "+line)
	n.running.Dir, n.running.Env = n.dir, n.env
	n.running.Stdout, n.running.Stderr = n.log, n.log
	const serving = `"msg":"serving"` // it listens before, while it may still make its administrator
	before := strings.Count(n.served(), serving)
	if err := n.running.Start(); err != nil {
		n.t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if strings.Count(n.served(), serving) > before {
			return
		}
	}
	n.t.Fatalf("README: %s does not serve:\n%s", line, n.served())
}

func (n *newcomer) stop() {
	if n.running == nil {
		return
	}
	_ = n.running.Process.Signal(os.Interrupt)
	if err := n.running.Wait(); err != nil {
		n.t.Errorf("README: the gateway did not stop cleanly: %v\n%s", err, n.served())
	}
	n.running = nil
}

// served is what the gateway has written so far.
func (n *newcomer) served() string {
	text, err := os.ReadFile(n.log.Name())
	if err != nil {
		n.t.Error(err)
	}
	return string(text)
}
