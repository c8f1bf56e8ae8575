package lean

import (
	"bufio"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// hexed is a text as it can stand in a field.
func hexed(s string) string { return hex.EncodeToString([]byte(s)) }

// testServer is an http.Server and a Server beside it, as the gateway has them.
type testServer struct {
	lean *Server
	http *http.Server
	path string
	here atomic.Int64  // requests that were answered here
	idle chan struct{} // net/http has begun to wait for the next request
	more http.HandlerFunc
}

// newTestServer answers /script as the field Script says (play), /warm with nothing,
// and everything else by more.
func newTestServer(t testing.TB) *testServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "lean") // t.TempDir may be too long for a socket
	must(t, err)
	s := &testServer{path: filepath.Join(dir, "s"), idle: make(chan struct{}, 1)}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(*reply); ok {
			s.here.Add(1)
		}
		switch r.URL.Path {
		case "/warm":
		case "/script":
			script, _ := hex.DecodeString(r.Header.Get("Script"))
			play(w, string(script))
		default:
			s.more(w, r)
		}
	})
	s.lean = &Server{Handler: h, IdleTimeout: time.Minute, watchAfter: 2 * time.Millisecond}
	s.http = &http.Server{
		Handler: h, IdleTimeout: time.Minute, ReadHeaderTimeout: time.Minute,
		ConnContext: besideContext,
		ConnState: func(c net.Conn, state http.ConnState) {
			if besideState(c, state); state == http.StateIdle {
				select {
				case s.idle <- struct{}{}:
				default:
				}
			}
		},
	}
	l, err := net.Listen("unix", s.path)
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(serverListener{l, s.lean}) }()
	t.Cleanup(func() {
		s.http.Close()
		<-served
		os.RemoveAll(dir)
	})
	return s
}

// besideContext is http.Server.ConnContext.
func besideContext(ctx context.Context, c net.Conn) context.Context {
	c.(*ServerConn).SetContext(ctx)
	return ctx
}

// besideState is http.Server.ConnState.
func besideState(c net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		c.(*ServerConn).Idle()
	}
}

// serverListener makes connections of a Server.
type serverListener struct {
	net.Listener
	s *Server
}

// Accept accepts.
func (l serverListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.s.Conn(c), nil
}

// dial opens a connection.
func (s *testServer) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", s.path)
	must(t, err)
	must(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return c
}

// warm sends the first request of a connection, which is net/http's. A client that
// sends the next one before net/http waits for it may have that answered by it too.
func (s *testServer) warm(t testing.TB, conn net.Conn) {
	t.Helper()
	select {
	case <-s.idle: // of a connection before this one
	default:
	}
	_, err := io.WriteString(conn, "GET /warm HTTP/1.1\r\nHost: a\r\n\r\n")
	must(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	if res.StatusCode != http.StatusOK || res.ContentLength != 0 {
		t.Fatal(res.Status)
	}
	s.settle(t)
}

// settle waits until net/http waits for the next request.
func (s *testServer) settle(t testing.TB) {
	t.Helper()
	select {
	case <-s.idle:
	case <-time.After(20 * time.Second):
		t.Fatal("net/http does not wait for another request")
	}
}

// get asks for a path, and reads the answer.
func get(t *testing.T, conn net.Conn, br *bufio.Reader, path string) string {
	t.Helper()
	_, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
	must(t, err)
	return next(t, br)
}

// next reads an answer.
func next(t *testing.T, br *bufio.Reader) string {
	t.Helper()
	res, err := http.ReadResponse(br, nil)
	must(t, err)
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return string(body)
}
