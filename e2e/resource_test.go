package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRS02SlowBodyOfADeniedRequest: who may not come in is told at once, and
// not first asked for all that he wants to send.
func TestRS02SlowBodyOfADeniedRequest(t *testing.T) {
	t.Parallel()
	g, up := startPolicy(t, "")
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /app/form HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\n\r\na", g.addr)
	conn.SetReadDeadline(time.Now().Add(patience))
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("the connection stays open after the refusal: %v", err)
	}
	if got := statusOf(string(answer)); got != 401 {
		t.Errorf("status %d, want 401\n%s", got, answer)
	}
	if len(up.take()) > 0 {
		t.Error("the upstream was asked")
	}
}

// TestRS18UpstreamThatBreaksOff: the client learns that the page is not whole.
func TestRS18UpstreamThatBreaksOff(t *testing.T) {
	t.Parallel()
	g, up := startPolicy(t, "")
	answers := []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\nhalf",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nhalf\r\n",
		"", "nonsense\r\n\r\n",
	}
	for _, answer := range answers {
		up.answer = nil
		broken := newBreaker(t, answer)
		config := strings.ReplaceAll(strings.NewReplacer("{UPSTREAM}", broken, "http://gw.test", "{URL}", "hosts: [gw.test]", "").Replace(corpusPolicy), "{URL}", "http://"+g.addr)
		g.configure(config)
		g.reload("reload")
		r, err := g.client().try("GET", "/public/x", "")
		if err == nil && r.StatusCode != http.StatusBadGateway {
			t.Errorf("an upstream that says %q: the client takes %s %q for whole", answer, r.Status, r.body)
		}
		if err == nil && strings.Contains(r.body, broken) {
			t.Errorf("the answer names the upstream's address: %s", r.body)
		}
	}
	newClient(t, "http://"+g.admin).get("/healthz").want(t, 200, "healthz afterwards")
}

// newBreaker is an upstream that writes a text and closes.
func newBreaker(t *testing.T, answer string) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		http.ReadRequest(bufio.NewReader(conn))
		io.WriteString(conn, answer)
	})
}

// TestRS20LoginsAreBounded sends a hundred logins at once. Each costs 19 MiB
// while it is hashed: without a bound they would cost two gigabytes.
func TestRS20LoginsAreBounded(t *testing.T) {
	t.Parallel()
	g, _ := startPolicy(t, "  lockout: { attempts: 10000, window: 10m, duration: 15m }\n  password: { memory_budget: 64MiB }\n")
	token := g.client().login("alice").AccessToken
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			r, err := g.client().try("POST", "/auth/login", fmt.Sprintf(`{"username":"nobody%d","password":"guess-guess"}`, i), "Content-Type: application/json")
			if err != nil {
				t.Error(err)
				return
			}
			switch r.StatusCode {
			case 401, 429:
			case 503:
				if r.Header.Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
			default:
				t.Errorf("got %s", r.Status)
			}
		})
	}
	g.client().get("/app/home", bearer(token)).want(t, 200, "a page meanwhile")
	wg.Wait()
	if peak := peakMemory(t, g); peak > 700<<20 { // the race detector multiplies what is used
		t.Errorf("the gateway used %d MiB", peak>>20)
	}
}

// peakMemory is the most that the process has ever held.
func peakMemory(t *testing.T, g *gateway) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// TestHeadersAreBounded: RS-06 and RS-07, many fields and many cookies.
func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	g, up := startPolicy(t, "")
	for name, lines := range map[string]string{
		"RS-06 many fields":  strings.Repeat("A: b\r\n", 5000),
		"RS-07 many cookies": "Cookie: " + strings.Repeat("a=b; ", 5000) + "c=d\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			answer := exchange(t, g.addr, "GET /public/x HTTP/1.1\r\nHost: "+g.addr+"\r\n"+lines+"Connection: close\r\n\r\n")
			if got := statusOf(answer); got != 400 && got != 431 {
				t.Errorf("status %d", got)
			}
			if len(up.take()) > 0 {
				t.Error("the upstream was reached")
			}
		})
	}
}

// TestStreamsEndWithTheirSession: a WebSocket outlives its access token and
// ends with its session.
func TestStreamsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	up := newTunnel(t)
	g := prepare(t, strings.NewReplacer("{UPSTREAM}", up, "http://gw.test", "{URL}", "hosts: [gw.test]", "", "  lockout:", "  access_token: { ttl: 3s }\n  lockout:").Replace(corpusPolicy))
	g.addUser("alice", "user")
	g.start()
	c := g.client()
	got := c.login("alice")
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /app/ws HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", g.addr, got.AccessToken)
	conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("the handshake: %v %v", resp, err)
	}
	echo := func(when string) {
		t.Helper()
		io.WriteString(conn, "ping\n")
		if line, err := in.ReadString('\n'); err != nil || line != "ping\n" {
			t.Fatalf("%s: %q, %v", when, line, err)
		}
	}
	echo("at first")
	time.Sleep(3 * time.Second)
	echo("after the access token has expired")
	next := c.tokens(c.refresh(got.RefreshToken).want(t, 200, "refresh"))
	echo("after a refresh")
	c.do("POST", "/auth/logout", "", bearer(next.AccessToken)).want(t, 204, "logout")
	if line, err := in.ReadString('\n'); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the logout the stream goes on: %q, %v", line, err)
	}
}

// newTunnel is an upstream that takes every upgrade and then repeats each line.
func newTunnel(t *testing.T) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(conn, line)
		}
	})
}

// TestStopLetsRequestsEnd: SIGTERM waits for what is under way.
func TestStopLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	g, up := startPolicy(t, "")
	asked := make(chan struct{})
	up.answer = func(received) string {
		close(asked)
		time.Sleep(time.Second)
		return "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"
	}
	got := make(chan reply, 1)
	go func() {
		r, err := g.client().try("GET", "/public/slow", "")
		if err != nil {
			r.body = err.Error()
		}
		got <- r
	}()
	<-asked
	if status := g.stop(); status != 0 {
		t.Errorf("exit status %d\n%s", status, g.stderr)
	}
	if r := <-got; r.body != "late" {
		t.Errorf("the request under way got %q", r.body)
	}
}
