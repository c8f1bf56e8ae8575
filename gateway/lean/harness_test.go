package lean

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails the package when a goroutine outlives its tests. http.Transport,
// which is compared with, writes what it finds odd to the log.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	goleak.VerifyTestMain(m)
}

// upstream is a server that answers as a test says, byte by byte.
type upstream struct {
	listener net.Listener
	opened   atomic.Int64 // connections so far
	requests atomic.Int64
	wg       sync.WaitGroup
	mu       sync.Mutex // guards the following
	conns    []net.Conn
}

// newUpstream answers each connection by talk, and ends it after that.
func newUpstream(t testing.TB, talk func(u *upstream, n int64, conn net.Conn, br *bufio.Reader)) *upstream {
	t.Helper()
	dir, err := os.MkdirTemp("", "lean") // t.TempDir may be too long for a socket
	must(t, err)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	must(t, err)
	u := &upstream{listener: l}
	u.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.conns = append(u.conns, conn)
			u.mu.Unlock()
			n := u.opened.Add(1)
			u.wg.Go(func() {
				defer conn.Close()
				talk(u, n, conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		u.mu.Lock()
		for _, conn := range u.conns {
			conn.Close()
		}
		u.mu.Unlock()
		u.wg.Wait()
		os.RemoveAll(dir)
	})
	return u
}

// answers is a server that gives one answer to every request of a connection.
func answers(t testing.TB, raw string) *upstream {
	return newUpstream(t, func(u *upstream, _ int64, conn net.Conn, br *bufio.Reader) {
		for u.next(br) != nil {
			if _, err := io.WriteString(conn, raw); err != nil {
				return
			}
		}
	})
}

// next reads a request with its body, or answers nil at the end.
func (u *upstream) next(br *bufio.Reader) *http.Request {
	r, err := http.ReadRequest(br)
	if err != nil {
		return nil
	}
	if body, err := io.ReadAll(r.Body); err != nil || int64(len(body)) < r.ContentLength {
		return nil
	}
	u.requests.Add(1)
	return r
}

// dial connects to the server, whatever address is asked for.
func (u *upstream) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", u.listener.Addr().String())
}

const testMaxHeader = 64 << 10

// usual is http.Transport towards the server, as the gateway sets it up.
func (u *upstream) usual(t testing.TB) *http.Transport {
	tr := &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return u.dial(ctx) },
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        time.Minute,
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: testMaxHeader,
		DisableCompression:     true,
		WriteBufferSize:        bufferSize,
		ReadBufferSize:         bufferSize,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// refuses is what a test has beside the lean transport where nothing must get
// there.
type refuses struct{}

var errNotPlain = errors.New("not carried by the lean transport")

func (refuses) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNotPlain }

// lean is the transport under test towards the server.
func (u *upstream) lean(t testing.TB) *Transport {
	tr := &Transport{
		Dial: u.dial, Else: refuses{}, HeaderTimeout: 30 * time.Second, MaxHeader: testMaxHeader,
		IdleTimeout: time.Minute, MaxIdle: 512,
		Repeat: func(r *http.Request) bool { return r.Method == "GET" || r.Method == "HEAD" },
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func newRequest(t testing.TB, method, target string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://app"+target, nil)
	must(t, err)
	return r
}

// outcome is all that a caller sees of an answer.
type outcome struct {
	Status          string
	Code            int
	Proto           string
	Header, Trailer http.Header
	Length          int64
	Body            string
	Fault           string // class of the error of RoundTrip
	BodyFault       string // class of the error that ended the body
}

// ask sends a request and reads its answer to the end.
func ask(rt http.RoundTripper, r *http.Request) outcome {
	res, err := rt.RoundTrip(r)
	if err != nil {
		return outcome{Fault: class(err)}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return outcome{Status: res.Status, Code: res.StatusCode, Proto: res.Proto, Header: res.Header, Trailer: res.Trailer, Length: res.ContentLength,
		Body: string(body), BodyFault: class(err)}
}

// class is what an error comes down to for the gateway, which tells apart a
// timeout, a client that left, a connection that broke, and no HTTP.
func class(err error) string {
	var op *net.OpError
	var timeout net.Error
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, errHeaderTooLong) || strings.Contains(err.Error(), "response headers exceeded"):
		return "header too long"
	case errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "server closed idle connection"):
		return "broke"
	}
	return strings.TrimPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken: ")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
