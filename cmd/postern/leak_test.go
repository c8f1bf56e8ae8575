package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// lastingApp answers pages, event streams and WebSockets, the last two for as
// long as the other side wants.
func lastingApp(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case "/ws":
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(io.Discard, buffered)
	default:
		_, _ = io.WriteString(w, "page")
	}
}

// TestAGatewayThatHasStoppedLeavesNoGoroutine: not one of the store, of the
// feed, of health checks, of a snapshot that a reload took out, of a stream or
// of a connection that was open when it was told to stop. In a process that
// ends nobody would notice; in one that runs for a year each leak does.
func TestAGatewayThatHasStoppedLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { // last: when the gateway and the application have ended
		http.DefaultClient.CloseIdleConnections()
		var err error
		for range 60 { // each waits for a while itself
			if err = goleak.Find(before); err == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Error(err)
	})
	t.Chdir(t.TempDir())
	s := &served{app: httptest.NewServer(http.HandlerFunc(lastingApp))}
	t.Cleanup(s.app.Close)
	var open []net.Conn
	t.Cleanup(func() { // after it has stopped
		for _, conn := range open {
			conn.Close()
		}
	})
	const routes = "routes:\n  - { path: /**, allow: anyone }\n"
	s.write(t, routes)
	s.start(t, []string{"POSTERN_ADMIN_PASSWORD=given-by-the-operator"})
	login(t, s.url, "admin", "given-by-the-operator")
	open = append(open, s.open(t, "GET /events HTTP/1.1\r\n", "data: first"))
	open = append(open, s.open(t, "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://localhost:8080\r\n", "101"))
	for i := range 2 { // the streams are of snapshots that are gone
		s.write(t, routes+fmt.Sprintf("  - { path: /new%d, allow: { role: admin } }\n", i))
		s.stdout.await(t, fmt.Sprintf(`"event":"reload"(?s:.*?)"(snapshot %d)"`, i+2))
		if code, body := get(t, s.url+"/page", ""); code != 200 || body != "page" {
			t.Errorf("after reload %d: %d %s", i, code, body)
		}
	}
	open = append(open, s.open(t, "GET /page HTTP/1.1\r\n", "page"))
}

// open sends a request on a connection of its own, and waits for a part of the
// answer. The connection stays open.
func (s *served) open(t *testing.T, head, want string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, head+"Host: localhost:8080\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for in := bufio.NewReader(conn); !strings.Contains(got.String(), want); {
		b, err := in.ReadByte()
		if err != nil {
			t.Fatalf("%v after %q", err, got.String())
		}
		got.WriteByte(b)
	}
	return conn
}
