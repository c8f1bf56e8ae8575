package lean

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// rawAnswers are answers as upstreams give them, good and bad, and whether the
// connection may be used again after each.
func rawAnswers() []struct {
	name, method, raw string
	again             bool
} {
	const ok = "HTTP/1.1 200 OK\r\n"
	return []struct {
		name, method, raw string
		again             bool
	}{
		{"a body of known length", "GET", ok + "Content-Length: 5\r\nX-A: 1\r\nX-A: 2\r\n\r\nhello", true},
		{"an empty body", "GET", ok + "Content-Length: 0\r\n\r\n", true},
		{"chunks", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", true},
		{"chunks and trailers", "GET", ok + "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", true},
		{"chunks, a trailer that is the length", "GET", ok + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n", false},
		{"chunks and a length", "GET", ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false},
		{"a length and chunks", "GET", ok + "Transfer-Encoding: chunked\r\ncontent-length: 15\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false},
		{"chunks of no length", "GET", ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", false},
		{"a chunk that is too long", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n", false},
		{"a chunk of a negative length", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n", false},
		{"a huge chunk length", "GET", ok + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n", false},
		{"another coding", "GET", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false},
		{"two codings", "GET", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
		{"identity", "GET", ok + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nab", false},
		{"the length twice", "GET", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", true},
		{"two lengths", "GET", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", false},
		{"two lengths in one", "GET", ok + "Content-Length: 5, 5\r\n\r\nhello", false},
		{"a length with a sign", "GET", ok + "Content-Length: +5\r\n\r\nhello", false},
		{"a negative length", "GET", ok + "Content-Length: -5\r\n\r\nhello", false},
		{"an empty length", "GET", ok + "Content-Length: \r\n\r\nhello", false},
		{"more than the length", "GET", ok + "Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", false},
		{"more than the chunks", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", false},
		{"more than an empty answer", "GET", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", false},
		{"a line end too many", "GET", ok + "Content-Length: 5\r\n\r\nhello\r\n", false},
		{"204", "GET", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", true},
		{"204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false},
		{"204 with a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", false},
		{"204 with chunks", "GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
		{"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nEtag: x\r\n\r\n", true},
		{"304 with a body", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", false},
		{"304 with chunks", "GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false},
		{"HEAD with a length", "HEAD", ok + "Content-Length: 5\r\n\r\n", true},
		{"HEAD without", "HEAD", ok + "\r\n", true},
		{"HEAD with a body", "HEAD", ok + "Content-Length: 5\r\n\r\nhello", false},
		{"HEAD with chunks", "HEAD", ok + "Transfer-Encoding: chunked\r\n\r\n", false},
		{"close", "GET", ok + "Content-Length: 5\r\nConnection: close\r\n\r\nhello", false},
		{"close among others", "GET", ok + "Content-Length: 5\r\nConnection: X-A, Close\r\n\r\nhello", false},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
		{"HTTP/1.0 that is kept", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", false},
		{"HTTP/1.0 with chunks", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", false},
		{"HTTP/2.0", "GET", "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
		{"HTTP/3.7", "GET", "HTTP/3.7 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
		{"no reason", "GET", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nab", true},
		{"bare line feeds", "GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nab", true},
		{"a folded field", "GET", ok + "X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nab", true},
		{"a space before the colon", "GET", ok + "Content-Length : 2\r\n\r\nab", false},
		{"no colon", "GET", ok + "nonsense\r\nContent-Length: 2\r\n\r\nab", false},
		{"no HTTP", "GET", "SSH-2.0-OpenSSH_9.2\r\n\r\n", false},
		{"a status of two digits", "GET", "HTTP/1.1 20 OK\r\n\r\n", false},
		{"a status below 100", "GET", "HTTP/1.1 099 x\r\nContent-Length: 2\r\n\r\nab", false},
		{"a status of its own", "GET", "HTTP/1.1 799 x\r\nContent-Length: 2\r\n\r\nab", true},
		{"100 and an answer", "GET", "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nab", true},
		{"103 twice and an answer", "GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nab", true},
		{"103 with a body", "GET", "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello" + ok + "Content-Length: 2\r\n\r\nab", false},
		{"101 that nobody asked for", "GET", "HTTP/1.1 101 Switching Protocols\r\n\r\nzzz", false},
		{"no-cache by Pragma", "GET", ok + "Pragma: no-cache\r\nContent-Length: 2\r\n\r\nab", true},
		{"a header that is as long as may be", "GET", ok + "Content-Length: 2\r\nX-A: " + strings.Repeat("x", testMaxHeader-100) + "\r\n\r\nab", true},
		{"a header that is too long", "GET", ok + "Content-Length: 2\r\nX-A: " + strings.Repeat("x", testMaxHeader) + "\r\n\r\nab", false},
		{"a header without an end", "GET", ok + strings.Repeat("X-A: 1\r\n", testMaxHeader/4), false},
		{"a body that is long", "GET", ok + "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000), true},
		{"a trailer that is too long", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: " + strings.Repeat("x", 2*bufferSize) + "\r\n\r\n", false},
	}
}

// TestAnAnswerIsWhatHTTPTransportMakesOfIt, field by field, and its connection
// is used again only where nothing is in doubt. The request after it always
// gets its own answer.
func TestAnAnswerIsWhatHTTPTransportMakesOfIt(t *testing.T) {
	for _, test := range rawAnswers() {
		t.Run(test.name, func(t *testing.T) {
			u := newUpstream(t, func(u *upstream, n int64, conn net.Conn, br *bufio.Reader) {
				for r := u.next(br); r != nil; r = u.next(br) {
					if r.URL.Path == "/next" {
						fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
						continue
					}
					_, _ = io.WriteString(conn, test.raw)
					if !test.again { // so that what has no end has one
						_ = conn.(*net.UnixConn).CloseWrite()
					}
				}
			})
			want := ask(u.usual(t), newRequest(t, test.method, "/"))
			before := u.opened.Load()
			lean := u.lean(t)
			if got := ask(lean, newRequest(t, test.method, "/")); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+.300v\nwant %+.300v", got, want)
			}
			if got := ask(lean, newRequest(t, "GET", "/next")); got.Body != "next" || got.Fault != "" {
				t.Fatalf("the next request got %+.300v", got)
			}
			if again := u.opened.Load() == before+1; again != test.again {
				t.Errorf("the connection was used again: %v, want %v", again, test.again)
			}
		})
	}
}

// What has come in doubt closes a connection also when the other end leaves it
// open.
func TestAConnectionInDoubtIsNotUsedAgainThoughItStaysOpen(t *testing.T) {
	for _, test := range rawAnswers() {
		if test.again {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			u := answers(t, test.raw)
			lean := u.lean(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			res, err := lean.RoundTrip(newRequest(t, test.method, "/").WithContext(ctx))
			if err == nil {
				_, _ = io.CopyN(io.Discard, res.Body, max(res.ContentLength, 0))
				_ = res.Body.Close()
			}
			lean.pool.mu.Lock()
			defer lean.pool.mu.Unlock()
			if n := len(lean.pool.idle); n != 0 {
				t.Errorf("%d connections are kept", n)
			}
		})
	}
}

// TestAnAnswerThatEndsAtEveryByte is what http.Transport makes of it.
func TestAnAnswerThatEndsAtEveryByte(t *testing.T) {
	for _, raw := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-S\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-S: 1\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end",
	} {
		u := newUpstream(t, func(u *upstream, _ int64, conn net.Conn, br *bufio.Reader) {
			r := u.next(br)
			var end int
			_, _ = fmt.Sscanf(r.URL.Path, "/%d", &end)
			_, _ = io.WriteString(conn, raw[:end])
		})
		lean, usual := u.lean(t), u.usual(t)
		for end := range len(raw) + 1 {
			target := fmt.Sprintf("/%d", end)
			got, want := ask(lean, newRequest(t, "GET", target)), ask(usual, newRequest(t, "GET", target))
			if !reflect.DeepEqual(got, want) {
				t.Errorf("after %q:\ngot  %+v\nwant %+v", raw[:end], got, want)
			}
		}
	}
}

// TestAnAnswerThatIsAbandonedAtEveryByte reaches nobody else: the one who gave
// up gets an error and the connection is gone.
func TestAnAnswerThatIsAbandonedAtEveryByte(t *testing.T) {
	const raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-S\r\n\r\n3\r\nabc\r\n0\r\nX-S: 1\r\n\r\n"
	sent, goOn := make(chan struct{}), make(chan struct{})
	u := newUpstream(t, func(u *upstream, _ int64, conn net.Conn, br *bufio.Reader) {
		for r := u.next(br); r != nil; r = u.next(br) {
			var end int
			if n, _ := fmt.Sscanf(r.URL.Path, "/%d", &end); n == 0 {
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
				continue
			}
			_, _ = io.WriteString(conn, raw[:end])
			sent <- struct{}{}
			<-goOn
			_, _ = io.WriteString(conn, raw[end:]) // too late
		}
	})
	lean := u.lean(t)
	lean.watchAfter = time.Millisecond
	for end := range len(raw) {
		for _, how := range []string{"cancel", "close"} {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan outcome, 1)
			go func() {
				res, err := lean.RoundTrip(newRequest(t, "GET", fmt.Sprintf("/%d", end)).WithContext(ctx))
				if err != nil {
					done <- outcome{Fault: class(err)}
					return
				}
				if how == "close" {
					go res.Body.Close()
				}
				_, err = io.ReadAll(res.Body)
				done <- outcome{BodyFault: class(err)}
			}()
			<-sent
			if how == "cancel" || end < strings.Index(raw, "\r\n\r\n")+4 {
				cancel()
			}
			got := <-done
			goOn <- struct{}{}
			if got.Fault == "" && got.BodyFault == "" {
				t.Fatalf("%s after %q: no error", how, raw[:end])
			}
			if got := ask(lean, newRequest(t, "GET", "/mine")); got.Body != "mine" {
				t.Fatalf("%s after %q: the next request got %+v", how, raw[:end], got)
			}
			cancel()
		}
	}
}

// TestAnAnswerThatTakesItsTime is waited for, beyond the time in which contexts
// are not watched, in each of its parts; and the connection is used again.
func TestAnAnswerThatTakesItsTime(t *testing.T) {
	u := newUpstream(t, func(u *upstream, _ int64, conn net.Conn, br *bufio.Reader) {
		for u.next(br) != nil {
			for _, part := range []string{"HTTP/1.1 200 OK\r\n", "Content-Length: 10\r\n\r\n", "hello", "world"} {
				time.Sleep(WatchAfter * 5 / 4) // not to wait for something: it is the time that matters
				_, _ = io.WriteString(conn, part)
			}
		}
	})
	lean := u.lean(t)
	for range 2 {
		if got := ask(lean, newRequest(t, "GET", "/")); got.Body != "helloworld" || got.BodyFault != "" {
			t.Fatalf("%+v", got)
		}
	}
	if u.opened.Load() != 1 {
		t.Errorf("%d connections", u.opened.Load())
	}
}

func TestAHeaderThatDoesNotComeInTimeIsATimeout(t *testing.T) {
	for _, raw := range []string{"", "HTTP/1.1 200 OK\r\nX-A", "HTTP/1.1 103 Early Hints\r\n\r\n"} {
		for _, timeout := range []time.Duration{WatchAfter / 10, WatchAfter * 3 / 2} {
			u := answers(t, raw)
			lean := u.lean(t)
			lean.HeaderTimeout = timeout
			if got := ask(lean, newRequest(t, "GET", "/")); got.Fault != "timeout" {
				t.Errorf("after %q: %+v", raw, got)
			}
			if u.requests.Load() != 1 {
				t.Errorf("after %q: sent %d times", raw, u.requests.Load())
			}
		}
	}
}

// A body has as long as it likes: the timeout is the header's.
func TestTheHeaderTimeoutIsNotTheBodys(t *testing.T) {
	const timeout = 30 * time.Millisecond
	u := newUpstream(t, func(u *upstream, _ int64, conn net.Conn, br *bufio.Reader) {
		u.next(br)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
		time.Sleep(timeout + WatchAfter)
		_, _ = io.WriteString(conn, "b")
	})
	lean := u.lean(t)
	lean.HeaderTimeout = timeout
	if got := ask(lean, newRequest(t, "GET", "/")); got.Body != "ab" && got.Fault != "timeout" { // a busy machine may miss even this one
		t.Errorf("%+v", got)
	}
}

func TestADeadlineOfTheContextEndsTheWait(t *testing.T) {
	for _, raw := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"} {
		u := answers(t, raw)
		ctx, cancel := context.WithTimeout(t.Context(), WatchAfter/5)
		r := newRequest(t, "GET", "/").WithContext(ctx)
		if got := ask(u.lean(t), r); got.Fault != "timeout" && got.BodyFault != "timeout" {
			t.Errorf("after %q: %+v", raw, got)
		}
		cancel()
	}
}

func TestARequestWhoseContextHasEndedIsNotSent(t *testing.T) {
	u := answers(t, "HTTP/1.1 204 No Content\r\n\r\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := ask(u.lean(t), newRequest(t, "GET", "/").WithContext(ctx)); got.Fault != "canceled" || u.opened.Load() != 0 {
		t.Errorf("%+v, %d connections", got, u.opened.Load())
	}
}

var _ http.RoundTripper = refuses{}
