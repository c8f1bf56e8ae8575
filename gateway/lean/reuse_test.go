package lean

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const empty = "HTTP/1.1 204 No Content\r\n\r\n"

// idle is how many connections are kept.
func (t *Transport) idle() int {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	return len(t.pool.idle)
}

func TestAKeptConnectionThatWasClosedIsNotUsed(t *testing.T) {
	closed := make(chan struct{})
	u := newUpstream(t, func(u *upstream, n int64, conn net.Conn, br *bufio.Reader) {
		for u.next(br) != nil {
			_, _ = io.WriteString(conn, empty)
			if n == 1 {
				conn.Close()
				close(closed)
				return
			}
		}
	})
	lean := u.lean(t)
	lean.Repeat = func(*http.Request) bool { t.Error("asked to repeat"); return false }
	ask(lean, newRequest(t, "GET", "/"))
	<-closed
	// A POST: it could not be sent again.
	if got := ask(lean, newRequest(t, "POST", "/")); got.Code != 204 || u.requests.Load() != 2 {
		t.Errorf("%+v after %d requests", got, u.requests.Load())
	}
}

// TestWhatComesUnaskedIsNoAnswer to the next request, nor to any other.
func TestWhatComesUnaskedIsNoAnswer(t *testing.T) {
	come := make(chan struct{})
	u := newUpstream(t, func(u *upstream, n int64, conn net.Conn, br *bufio.Reader) {
		for r := u.next(br); r != nil; r = u.next(br) {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%d.", n)
			if n == 1 {
				<-come
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
				come <- struct{}{}
			}
		}
	})
	lean := u.lean(t)
	for i, want := range []string{"1.", "2.", "2."} {
		if got := ask(lean, newRequest(t, "GET", "/")); got.Body != want {
			t.Errorf("request %d got %q", i+1, got.Body)
		}
		if i == 0 {
			come <- struct{}{}
			<-come
		}
	}
}

// TestARequestIsRepeatedOnceWhenItsKeptConnectionHungUp and nothing came: if it
// may be, and never one with a body.
func TestARequestIsRepeatedOnceWhenItsKeptConnectionHungUp(t *testing.T) {
	for _, test := range []struct {
		name, method, body string
		last               string // what comes on the kept connection before it ends
		reset              bool
		always             bool // new ones hang up too
		sent               int64
		code               int
		fault              string
	}{
		{"a GET", "GET", "", "", false, false, 2, 204, ""},
		{"a GET, by a reset", "GET", "", "", true, false, 2, 204, ""},
		{"a HEAD", "HEAD", "", "", false, false, 2, 204, ""},
		{"a POST without a body", "POST", "", "", false, false, 1, 0, "broke"},
		{"a GET with a body", "GET", "once", "", false, false, 1, 0, "broke"},
		{"a PUT with a body", "PUT", "once", "", false, false, 1, 0, "broke"},
		{"a GET after a byte of its answer", "GET", "", "H", false, false, 1, 0, "broke"},
		{"a GET after half of its answer", "GET", "", "HTTP/1.1 200 OK\r\nX", true, false, 1, 0, "broke"},
		{"a GET that is hung up on again", "GET", "", "", false, true, 2, 0, "broke"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var sent atomic.Int64
			u := newUpstream(t, func(u *upstream, n int64, conn net.Conn, br *bufio.Reader) {
				for r := u.next(br); r != nil; r = u.next(br) {
					if r.URL.Path == "/test" {
						sent.Add(1)
						if n == 1 || test.always {
							_, _ = io.WriteString(conn, test.last)
							if test.reset {
								reset(conn, br)
							}
							return
						}
					}
					_, _ = io.WriteString(conn, empty)
				}
			})
			lean := u.lean(t)
			ask(lean, newRequest(t, "GET", "/first"))
			r := newRequest(t, test.method, "/test")
			if test.body != "" {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(test.body)), int64(len(test.body))
			}
			got := ask(lean, r)
			if got.Code != test.code || got.Fault != test.fault && !(test.last != "" && got.Fault != "") || sent.Load() != test.sent {
				t.Errorf("%+v, sent %d times", got, sent.Load())
			}
		})
	}
}

// reset ends a connection the hard way: something that was not read is left.
func reset(conn net.Conn, br *bufio.Reader) {
	br.Reset(strings.NewReader(""))
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

func TestWhoeverMayNotBeRepeatedIsNot(t *testing.T) {
	u := newUpstream(t, func(u *upstream, n int64, conn net.Conn, br *bufio.Reader) {
		u.next(br)
		_, _ = io.WriteString(conn, empty)
		u.next(br)
	})
	for _, repeat := range []func(*http.Request) bool{nil, func(*http.Request) bool { return false }} {
		lean := u.lean(t)
		lean.Repeat = repeat
		ask(lean, newRequest(t, "GET", "/"))
		if got := ask(lean, newRequest(t, "GET", "/")); got.Fault != "broke" {
			t.Errorf("%+v", got)
		}
	}
	if u.requests.Load() != 4 {
		t.Errorf("sent %d times", u.requests.Load())
	}
}

// TestAServerThatClosesAtTheMomentOfReuse fails no GET, and gets no POST twice.
func TestAServerThatClosesAtTheMomentOfReuse(t *testing.T) {
	var posts sync.Map
	u := newUpstream(t, func(u *upstream, n int64, conn net.Conn, br *bufio.Reader) {
		for range 3 {
			r := u.next(br)
			if r == nil {
				return
			}
			if r.Method == "POST" {
				if _, twice := posts.LoadOrStore(r.URL.Path, true); twice {
					t.Errorf("%s arrived twice", r.URL.Path)
				}
			}
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.URL.Path), r.URL.Path)
		}
		time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
	})
	lean := u.lean(t)
	var wg sync.WaitGroup
	for client := range 4 {
		wg.Go(func() {
			for i := range 300 {
				method := "GET"
				if i%5 == 4 {
					method = "POST"
				}
				target := fmt.Sprintf("/%d-%d", client, i)
				got := ask(lean, newRequest(t, method, target))
				if got.Fault == "" && got.Body != target || method == "GET" && got.Fault != "" {
					t.Errorf("%s %s: %+v", method, target, got)
				}
			}
		})
	}
	wg.Wait()
}

func TestConnectionsAreKeptAsLongAndAsManyAsWanted(t *testing.T) {
	u := answers(t, empty)
	lean := u.lean(t)
	lean.MaxIdle, lean.IdleTimeout = 2, 300*time.Millisecond
	var bodies []io.Closer
	hold := newUpstream(t, func(u *upstream, _ int64, conn net.Conn, br *bufio.Reader) {
		u.next(br)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
		u.next(br)
	})
	lean.Dial = hold.dial
	for range 4 {
		res, err := lean.RoundTrip(newRequest(t, "GET", "/"))
		must(t, err)
		bodies = append(bodies, res.Body)
	}
	for _, b := range bodies {
		_, _ = io.Copy(io.Discard, b.(io.Reader))
	}
	if n := lean.idle(); n != 2 {
		t.Errorf("%d are kept", n)
	}
	for lean.idle() > 0 { // or the test runs into its own timeout
		time.Sleep(time.Millisecond)
	}
	lean.Dial = u.dial
	ask(lean, newRequest(t, "GET", "/"))
	if n := lean.idle(); n != 1 {
		t.Errorf("%d are kept after one more", n)
	}
	lean.CloseIdleConnections()
	if n := lean.idle(); n != 0 {
		t.Errorf("%d are kept after they were let go", n)
	}
}

// A timer may be late: what was idle for too long is not used before it runs.
func TestAConnectionThatWasIdleForTooLongIsNotTaken(t *testing.T) {
	var p pool
	now := time.Now()
	p.idle = []*conn{{idle: now.Add(-3 * time.Second)}, {idle: now.Add(-time.Second)}}
	if p.take(now, time.Second) != nil {
		t.Error("taken")
	}
	if c := p.take(now, 2*time.Second); c == nil || c.idle != now.Add(-time.Second) {
		t.Error("not the latest was taken")
	}
	if p.take(now, 2*time.Second) != nil {
		t.Error("an old one was taken")
	}
}

func TestWhatCannotBeTrustedIsNotUsed(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	lean := &Transport{Dial: func(context.Context) (net.Conn, error) { return near, nil }, Else: refuses{}}
	if _, err := lean.RoundTrip(newRequest(t, "GET", "/")); !errors.Is(err, errNotAConn) {
		t.Error(err)
	}
}

func TestAFailureToDialIsWhatTheDialerSays(t *testing.T) {
	lean := &Transport{Else: refuses{}, Dial: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", "/nowhere/at/all")
	}}
	_, err := lean.RoundTrip(newRequest(t, "GET", "/"))
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" || !errors.Is(err, syscall.ENOENT) {
		t.Error(err)
	}
}
