package lean

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A connection may carry requests that are answered here and others in any order.
func TestRequestsOfOneConnectionAreAnsweredInTheirOrder(t *testing.T) {
	s := newTestServer(t)
	s.more = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, here := w.(*reply)
		fmt.Fprintf(w, "%s %s %s %v", r.Method, r.URL.Path, body, here)
	}
	conn := s.dial(t)
	defer conn.Close()
	br := bufio.NewReader(conn)
	if got := get(t, conn, br, "/first"); got != "GET /first  false" {
		t.Error(got)
	}
	s.settle(t)
	for i := range 20 {
		path := fmt.Sprintf("/%d", i)
		if got, want := get(t, conn, br, path), "GET "+path+"  true"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		_, err := io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
		must(t, err)
		if got, want := next(t, br), "POST "+path+" ab false"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		s.settle(t)
	}
	// One byte after the other, and several at once.
	for _, b := range []byte("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n") {
		_, err := conn.Write([]byte{b})
		must(t, err)
		time.Sleep(time.Millisecond / 4) // so that some come alone; however they come, the answer is the same
	}
	if got := next(t, br); !strings.HasPrefix(got, "GET /slow  ") {
		t.Error(got)
	}
	_, err := io.WriteString(conn, strings.Repeat("GET /many HTTP/1.1\r\nHost: a\r\n\r\n", 5))
	must(t, err)
	for range 5 {
		if got := next(t, br); !strings.HasPrefix(got, "GET /many  ") {
			t.Error(got)
		}
	}
}

// What a client sends while its request is answered is read to notice that it
// leaves, and is the next request.
func TestTheNextRequestMayComeDuringAnAnswer(t *testing.T) {
	s := newTestServer(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	s.more = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			entered <- struct{}{}
			<-leave
			if err := r.Context().Err(); err != nil {
				t.Error(err)
			}
		}
		fmt.Fprint(w, r.Method, r.URL.Path)
	}
	const after = "GET /after HTTP/1.1\r\nHost: a\r\n\r\n"
	const post = "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na"
	for _, test := range []struct {
		name, during, later string
		want                []string
	}{
		{"whole", after, "", []string{"GET/after"}},
		{"in two parts", after[:20], after[20:], []string{"GET/after"}},
		{"two", after + after, "", []string{"GET/after", "GET/after"}},
		{"another kind", post, "", []string{"POST/post"}},
		{"another kind in parts", post[:len(post)-1], post[len(post)-1:], []string{"POST/post"}},
		{"nothing", "", after, []string{"GET/after"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := s.dial(t)
			defer conn.Close()
			s.warm(t, conn)
			br := bufio.NewReader(conn)
			_, err := io.WriteString(conn, "GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
			must(t, err)
			<-entered
			_, err = io.WriteString(conn, test.during)
			must(t, err)
			time.Sleep(10 * time.Millisecond) // so that the watch reads it; when it does not the answers are the same
			leave <- struct{}{}
			if got := next(t, br); got != "GET/long" {
				t.Error(got)
			}
			_, err = io.WriteString(conn, test.later)
			must(t, err)
			for _, want := range test.want {
				if got := next(t, br); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
}

func TestARequestEndsWhenItsClientLeaves(t *testing.T) {
	s := newTestServer(t)
	ended := make(chan error, 1)
	s.more = func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		ended <- r.Context().Err()
	}
	conn := s.dial(t)
	s.warm(t, conn)
	_, err := io.WriteString(conn, "GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
	must(t, err)
	must(t, conn.Close())
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What net/http holds already belongs to what comes next: a byte that is left of the
// request before, or one that was read to see whether the client leaves. A request
// that is read without it would be another than the client's, and than that which a
// proxy before the gateway has sent.
func TestWhatNetHTTPHoldsBelongsToTheNextRequest(t *testing.T) {
	s := newTestServer(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	s.more = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			_, _ = io.ReadAll(r.Body) // after which net/http watches
			close(entered)
			<-leave
		}
		fmt.Fprint(w, r.Method, r.URL.Path)
	}
	const post = " HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na"
	const after = "GET /after HTTP/1.1\r\nHost: a\r\n\r\n"
	conn := s.dial(t)
	defer conn.Close()
	br := bufio.NewReader(conn)
	_, err := io.WriteString(conn, "POST /long"+post)
	must(t, err)
	<-entered
	_, err = io.WriteString(conn, "X")
	must(t, err)
	time.Sleep(10 * time.Millisecond) // so that it is read; when it is not the answers are the same
	close(leave)
	for _, held := range []string{"X", "XY", "XYZ", "XYZA"} {
		if got := next(t, br); !strings.HasPrefix(got, "POST/") {
			t.Error(got)
		}
		s.settle(t)
		_, err := io.WriteString(conn, held[1:]+after)
		must(t, err)
		if got, want := next(t, br), held+"GET/after"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		s.settle(t)
		_, err = io.WriteString(conn, "POST /"+post+"X")
		must(t, err)
	}
}

// A client that takes no more ends its request too, as soon as that is noticed.
func TestARequestEndsWhenItsClientCannotBeWrittenTo(t *testing.T) {
	s := newTestServer(t)
	ended := make(chan error, 1)
	s.more = func(w http.ResponseWriter, r *http.Request) {
		var err error
		for err == nil {
			_, err = w.Write(make([]byte, 1<<16))
		}
		<-r.Context().Done()
		ended <- err
	}
	conn := s.dial(t)
	s.warm(t, conn)
	_, err := io.WriteString(conn, "GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
	must(t, err)
	_, err = io.ReadFull(conn, make([]byte, 1<<17))
	must(t, err)
	must(t, conn.Close())
	if err := <-ended; err == nil {
		t.Error("it was written to")
	}
}

// The context of a request ends with its handler, so nothing that waits for it
// lives for as long as the connection.
func TestTheContextOfARequestEndsWithItsHandler(t *testing.T) {
	s := newTestServer(t)
	contexts := make(chan context.Context, 2)
	s.more = func(_ http.ResponseWriter, r *http.Request) { contexts <- r.Context() }
	conn := s.dial(t)
	defer conn.Close()
	s.warm(t, conn)
	br := bufio.NewReader(conn)
	for range 2 {
		get(t, conn, br, "/")
		if ctx := <-contexts; ctx.Err() == nil {
			t.Error("it goes on")
		} else if ctx.Value(http.ServerContextKey) != s.http {
			t.Error("it is not the server's: httputil.ReverseProxy would not end an answer that breaks off")
		}
	}
}

// A writer that is used after its handler has returned writes nowhere: what it has
// would reach the next request.
func TestAWriterWritesNothingOnceItsHandlerHasReturned(t *testing.T) {
	s := newTestServer(t)
	var kept http.ResponseWriter
	s.more = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			kept = w
			return
		}
		if _, err := kept.Write([]byte("of another")); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := http.NewResponseController(kept).Flush(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		kept.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, "its own")
	}
	conn := s.dial(t)
	defer conn.Close()
	s.warm(t, conn)
	br := bufio.NewReader(conn)
	get(t, conn, br, "/first")
	if got := get(t, conn, br, "/second"); got != "its own" {
		t.Error(got)
	}
}

// TestAConnectionEndsWhenItsAnswerIsInDoubt is for connections on which nobody could
// tell where the next answer begins, and for those that are to end.
func TestAConnectionEndsWhenItsAnswerIsInDoubt(t *testing.T) {
	s := newTestServer(t)
	s.http.ErrorLog = nil
	for _, test := range []struct {
		name string
		do   http.HandlerFunc
		ends bool
	}{
		{"whole", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "ab")
		}, false},
		{"in chunks", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 5000)) }, false},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204); io.WriteString(w, "x") }, false},
		{"too short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "ab")
		}, true},
		{"too long", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1")
			io.WriteString(w, "ab")
		}, true},
		{"close", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, true},
		{"broken off", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Repeat("x", 5000))
			panic(http.ErrAbortHandler)
		}, true},
		{"broken off before it began", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.more = test.do
			conn := s.dial(t)
			defer conn.Close()
			s.warm(t, conn)
			_, err := io.WriteString(conn, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
			must(t, err)
			br := bufio.NewReader(conn)
			res, err := http.ReadResponse(br, nil)
			if err == nil {
				_, _ = io.ReadAll(res.Body)
			}
			_, _ = io.WriteString(conn, "GET /warm HTTP/1.1\r\nHost: a\r\n\r\n")
			_, err = http.ReadResponse(br, nil)
			if ended := err != nil; ended != test.ends {
				t.Errorf("it has ended: %v (%v)", ended, err)
			}
		})
	}
}

// Shutdown of the http.Server takes a connection that is answered here for idle, and
// closes it. No answer is cut off by that.
func TestShutdownWaitsForAnswers(t *testing.T) {
	s := newTestServer(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	s.more = func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-leave
		io.WriteString(w, "whole")
	}
	conn := s.dial(t)
	defer conn.Close()
	s.warm(t, conn)
	_, err := io.WriteString(conn, "GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
	must(t, err)
	<-entered
	must(t, s.http.Shutdown(t.Context()))
	stopped := make(chan error, 1)
	go func() { stopped <- s.lean.Shutdown(t.Context()) }()
	select {
	case err := <-stopped:
		t.Fatal("it did not wait:", err)
	case leave <- struct{}{}:
	}
	br := bufio.NewReader(conn)
	res, err := http.ReadResponse(br, nil)
	must(t, err)
	if body, err := io.ReadAll(res.Body); string(body) != "whole" || err != nil || !res.Close {
		t.Errorf("%q, %v, closes: %v", body, err, res.Close)
	}
	must(t, <-stopped)
	if _, err := br.ReadByte(); err != io.EOF {
		t.Error(err)
	}
	must(t, s.lean.Shutdown(t.Context()))
}

func TestShutdownCutsOffWhatLastsTooLong(t *testing.T) {
	s := newTestServer(t)
	entered, ended := make(chan struct{}), make(chan struct{})
	s.more = func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(ended)
	}
	conn := s.dial(t)
	defer conn.Close()
	s.warm(t, conn)
	_, err := io.WriteString(conn, "GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
	must(t, err)
	<-entered
	must(t, s.http.Shutdown(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.lean.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-ended
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
}

// A connection that waits ends after the time that net/http gives it, also after a
// request that was answered here.
func TestAConnectionThatWaitsTooLongEnds(t *testing.T) {
	s := newTestServer(t)
	s.lean.IdleTimeout = 20 * time.Millisecond
	s.more = func(w http.ResponseWriter, _ *http.Request) { time.Sleep(50 * time.Millisecond) } // longer than that, which is not waiting
	conn := s.dial(t)
	defer conn.Close()
	s.warm(t, conn)
	br := bufio.NewReader(conn)
	get(t, conn, br, "/long")
	if _, err := br.ReadByte(); err != io.EOF {
		t.Error(err)
	}
}

// Also on a connection that was in use before.
func TestOffLeavesAllToNetHTTP(t *testing.T) {
	s := newTestServer(t)
	var off atomic.Bool
	s.lean.Off = off.Load
	s.more = func(http.ResponseWriter, *http.Request) {}
	conn := s.dial(t)
	defer conn.Close()
	s.warm(t, conn)
	br := bufio.NewReader(conn)
	for i, test := range []struct {
		off  bool
		here int64
	}{{false, 1}, {true, 1}, {true, 1}, {false, 2}, {true, 2}} {
		off.Store(test.off)
		get(t, conn, br, "/a")
		if n := s.here.Load(); n != test.here {
			t.Errorf("after %d: %d were answered here, want %d", i, n, test.here)
		}
		if test.off {
			s.settle(t)
		}
	}
}
