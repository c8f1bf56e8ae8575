package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// recipe is a file of deploy/recipes as it stands there, but for the ports and
// paths that a test has to change: pairs of what stands there and what is meant.
func recipe(t *testing.T, name string, pairs ...string) string {
	t.Helper()
	text := read(t, "deploy/recipes/"+name)
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("deploy/recipes/%s has no %q", name, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// prepareRecipe makes a gateway of a recipe's gateway.yaml. Where it listens
// comes from the environment, which goes before the file.
func prepareRecipe(t *testing.T, name string, pairs ...string) *gateway {
	t.Helper()
	g := prepare(t, recipe(t, name+"/gateway.yaml", pairs...))
	g.env = []string{"POSTERN_LISTEN=" + g.addr, "POSTERN_ADMIN_LISTEN=" + g.admin, "POSTERN_LOG_FORMAT=json"}
	return g
}

// handshake is what a page sends to open a WebSocket, beside its cookies.
func handshake(origin string) []string {
	return []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: " + origin}
}

// socket opens a WebSocket as a page of the client's site does.
func (c *client) socket(g *gateway, path string) *websocket.Conn {
	c.t.Helper()
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(c.base, "http")+path, c.base)
	if err != nil {
		c.t.Fatal(err)
	}
	_, cookies, _ := strings.Cut(c.cookies(path), ": ")
	config.Header = http.Header{"Cookie": {cookies}}
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	if strings.HasPrefix(c.base, "https:") {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the certificate is this test's own
	}
	c.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	ws, err := websocket.NewClient(config, conn)
	if err != nil {
		c.t.Fatalf("the WebSocket %s: %v", path, err)
	}
	return ws
}

// wantEnded fails unless a stream ended; read reads on from it.
func wantEnded(t *testing.T, what string, read func() error) {
	t.Helper()
	for {
		if err := read(); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%s goes on", what)
		} else if err != nil {
			return
		}
	}
}

// TestEveryRecipeIsAGoodConfiguration: as it stands, with the tests of its
// policy, which each of them has.
func TestEveryRecipeIsAGoodConfiguration(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root(t), "deploy", "recipes", "*", "gateway.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("recipes: %v, %v", files, err)
	}
	for _, file := range files {
		for _, args := range [][]string{{"config", "check", file}, {"policy", "test", "--config", file}} {
			cmd := exec.Command(postern(t), args...)
			cmd.Dir, cmd.Env = t.TempDir(), cleanEnv()
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			err := cmd.Run()
			doubts := regexp.MustCompile(`(?m)^.*warning: tls\.\w+_file: stat /etc/postern/.*$`).ReplaceAllString(said.String(), "") // who installs it brings them
			if err != nil || strings.Contains(doubts, "warning") {
				t.Errorf("postern %s: %v\n%s", strings.Join(args, " "), err, said.String())
			}
		}
	}
}
