package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// breaking accepts connections, reads a request's line, counts it and hangs up.
type breaking struct {
	address string
	lines   atomic.Int64
	methods sync.Map
}

func newBreaking(t testing.TB, answer string) *breaking {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	b := &breaking{address: l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if line, err := newReader(conn).ReadString('\n'); err == nil {
				b.lines.Add(1)
				method, _, _ := strings.Cut(line, " ")
				b.methods.Store(method, true)
			}
			_, _ = io.WriteString(conn, answer)
			conn.Close()
		}
	}()
	return b
}

// closedAddress is one that nobody listens on.
func closedAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// TestNoIdempotentRequestFailsWhenOneOfThreeIsKilled: and no POST arrives twice.
func TestNoIdempotentRequestFailsWhenOneOfThreeIsKilled(t *testing.T) {
	h := newHerd(t, 3, func(_ int, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
		time.Sleep(time.Millisecond) // so that some are under way when it is killed
	})
	s := h.behind()
	var sent, failed, posts, killed atomic.Int64
	var wg sync.WaitGroup
	for client := range 8 {
		c := s.keepAlive()
		wg.Go(func() {
			for n := range 60 {
				method, body := []string{"GET", "PUT", "DELETE", "HEAD", "OPTIONS"}[n%5], io.Reader(nil)
				if n%10 == 9 && client == 0 {
					method, body = "POST", strings.NewReader("once")
					posts.Add(1)
				}
				status, text, err := s.over(c, method, body)
				if (status != 200 || err != nil) && method != "POST" {
					failed.Add(1)
					t.Errorf("%s: %d %v %s", method, status, err, text)
				}
				if sent.Add(1) == 200 {
					h.kill(1)
					killed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if killed.Load() != 1 || failed.Load() != 0 {
		t.Errorf("%d of %d idempotent requests failed", failed.Load(), sent.Load())
	}
	if h.posts.Load() > posts.Load() {
		t.Errorf("%d POSTs were sent, %d arrived", posts.Load(), h.posts.Load())
	}
	if got := s.healthOf(h.servers[1].URL); got != "0" {
		t.Errorf("the killed server's health is %q", got)
	}
}

// endedConn is a connection that the other side has ended already.
type endedConn struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (*endedConn) Read([]byte) (int, error) { return 0, io.EOF }

func (c *endedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// TestAConnectionThatEndsBeforeItIsUsedIsBroken: an application that is killed
// between accepting a connection and its first request is as far away as one
// that is killed a moment later, when net/http has another word for it.
func TestAConnectionThatEndsBeforeItIsUsedIsBroken(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	conn := &endedConn{Conn: near, closed: make(chan struct{})}
	to := &target{transport: transport{usual: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}}
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { <-conn.closed }, // net/http has noticed, and is about to send
	})
	r, err := http.NewRequestWithContext(ctx, "GET", "http://app.test/", nil)
	must(t, err)
	res, err := to.roundTrip(r, nil, false)
	if err == nil {
		t.Fatalf("answered %s", res.Status)
	}
	if !to.isBroken(err) || isConnect(err) {
		t.Errorf("%v is not taken for a connection that broke", err)
	}
	if got := failure(err); got != "closed the connection" {
		t.Errorf("the log says %q", got)
	}
}

// TestAConnectionThatAnotherRequestCancelledIsTriedAgain: http.Transport closes
// the connection of a request that is cancelled, even when it has given it to
// the next one by then, which did not ask for it.
func TestAConnectionThatAnotherRequestCancelledIsTriedAgain(t *testing.T) {
	for method, want := range map[string]int{"GET": 200, "POST": 502} {
		s := newStack(t)
		s.parts.Config.Upstreams[0].URLs = []string{"http://first.test", s.app.server.URL}
		s.rebuild()
		b := &s.gateway.snap.Load().upstreams[0].balancer
		b.targets[0].transport = transport{usual: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, context.Canceled },
		}}
		b.turn.Store(1) // the next is the first
		r := s.send(method, "/public/x", "")
		r.wants(t, want, "")
		if want == 502 {
			r.notAsked(t)
		}
		if !b.targets[0].health.healthy() || b.targets[0].health.broken.Load() != 0 {
			t.Errorf("%s: it is held against the application", method)
		}
	}
}

// TestOnlyWhatIsSafeIsSentAgain: the second target would answer each.
func TestOnlyWhatIsSafeIsSentAgain(t *testing.T) {
	for _, test := range []struct {
		name, method, body string
		first              string // "breaks", "closed", or what it answers before it hangs up
		status             int
	}{
		{"a GET whose connection breaks", "GET", "", "breaks", 200},
		{"a DELETE whose connection breaks", "DELETE", "", "breaks", 200},
		{"a GET that nobody listens to", "GET", "", "closed", 200},
		{"a PUT with a body that nobody listens to", "PUT", "body", "closed", 200},
		{"a PUT with a body whose connection breaks", "PUT", "body", "breaks", 502},
		{"a POST whose connection breaks", "POST", "", "breaks", 502},
		{"a POST with a body whose connection breaks", "POST", "body", "breaks", 502},
		{"a POST that nobody listens to", "POST", "body", "closed", 502},
		{"a PATCH that nobody listens to", "PATCH", "", "closed", 502},
		{"a method that is the application's own", "MKCOL", "", "closed", 502},
		{"a GET whose answer broke off", "GET", "", "HTTP/1.1 200 OK\r\nX: y", 502},
		{"a GET whose answer is none", "GET", "", "SSH-2.0-x\r\n\r\n", 502},
	} {
		t.Run(test.name, func(t *testing.T) {
			var first *breaking
			address := closedAddress(t)
			if test.first != "closed" {
				first = newBreaking(t, strings.TrimPrefix(test.first, "breaks"))
				address = first.address
			}
			s := newStack(t)
			s.parts.Config.Upstreams[0].URLs = []string{"http://" + address, s.app.server.URL}
			s.rebuild()
			s.gateway.snap.Load().upstreams[0].balancer.turn.Store(1) // the next is the first
			r := s.send(test.method, "/public/x", test.body, "Content-Type: text/plain")
			r.wants(t, test.status, "")
			if r.StatusCode == 200 && r.saw(t).body != test.body {
				t.Errorf("the body arrived as %q", r.seen.body)
			}
			if r.StatusCode == 502 {
				r.notAsked(t)
			}
			if first != nil && first.lines.Load() != 1 {
				t.Errorf("the first target was asked %d times", first.lines.Load())
			}
		})
	}
}

// net/http would send a POST again on a connection that was kept, for a client
// that calls it idempotent.
func TestNoHeaderOfAClientHasAPostSentTwice(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	var posts atomic.Int64
	keys := make(chan string, 10)
	go (&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			return // and the connection is kept
		}
		posts.Add(1)
		keys <- r.Header.Get("Idempotency-Key") + r.Header.Get("X-Idempotency-Key")
		panic(http.ErrAbortHandler) // it breaks after the work was done
	})}).Serve(l)
	s := newStack(t, func(c *setup) { c.gateway.Upstreams[0].URLs = []string{"http://" + l.Addr().String()} })
	for i, name := range []string{"Idempotency-Key", "X-Idempotency-Key", "idempotency-key"} {
		s.get("/public/x").wants(t, 200, "")
		s.raw("POST /public/x HTTP/1.1\r\nHost: gw.test\r\n"+name+": k\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").wants(t, 502, "upstream_unavailable")
		if posts.Load() != int64(i+1) {
			t.Fatalf("%s: %d POSTs arrived, want %d", name, posts.Load(), i+1)
		}
		if key := <-keys; key != "k" {
			t.Errorf("%s arrived as %q", name, key)
		}
	}
}

func TestARequestThatBreaksASingleTargetIsTriedAgainThereButNotForEver(t *testing.T) {
	first := newBreaking(t, "")
	s := newStack(t)
	s.upstreamURL("http://"+first.address, nil)
	s.get("/public/x").wants(t, 502, "upstream_unavailable")
	if n := first.lines.Load(); n != maxAttempts {
		t.Errorf("sent %d times, want %d", n, maxAttempts)
	}
}

// TestRetriesHaveABudget: an upstream that goes down does not get a multiple of
// its load.
func TestRetriesHaveABudget(t *testing.T) {
	first, second := newBreaking(t, ""), newBreaking(t, "")
	s := newStack(t)
	s.parts.Config.Upstreams[0].URLs = []string{"http://" + first.address, "http://" + second.address}
	began := time.Now()
	s.rebuild()
	const requests = 400
	c := s.keepAlive()
	for range requests {
		if status, _, err := s.over(c, "GET", nil); status != 502 {
			t.Fatal(status, err)
		}
	}
	most := requests + requests*retryPercent/100 + retrySaved + int64(time.Since(began).Seconds()+1)*retryPerSecond
	if n := first.lines.Load() + second.lines.Load(); n > most || n < requests+retrySaved {
		t.Errorf("%d requests were sent %d times, at most %d are fine", requests, n, most)
	}
}

func TestTheBudgetGrowsWithRequestsAndTimeUpToABound(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBudget(now)
	left := func() (n int) {
		for b.spend(now) {
			n++
		}
		return n
	}
	if n := left(); n != retrySaved {
		t.Errorf("begins with %d", n)
	}
	for range 50 {
		b.earn()
	}
	if n := left(); n != 10 {
		t.Errorf("50 requests are good for %d", n)
	}
	now = now.Add(2 * time.Second)
	if n := left(); n != 2*retryPerSecond {
		t.Errorf("2 seconds are good for %d", n)
	}
	now = now.Add(-time.Hour) // a clock that was set back takes nothing and gives nothing
	if n := left(); n != 0 {
		t.Errorf("the past is good for %d", n)
	}
	now = now.Add(48 * time.Hour)
	if n := left(); n != retrySaved {
		t.Errorf("a day is good for %d", n)
	}
}

func TestAClientThatIsGoneIsNotRetried(t *testing.T) {
	arrived := make(chan struct{}, 8)
	h := newHerd(t, 2, func(_ int, _ http.ResponseWriter, r *http.Request) { arrived <- struct{}{}; <-r.Context().Done() })
	s := h.behind()
	conn := s.dial()
	write(t, conn, "GET /public/x HTTP/1.1\r\nHost: gw.test\r\n\r\n")
	<-arrived
	conn.Close()
	if entry := s.log.entries(t, "request", 1)[0]; entry["status"] != 499.0 {
		t.Errorf("logged %v", entry["status"])
	}
	if n := h.hits[0].Load() + h.hits[1].Load(); n != 1 {
		t.Errorf("sent %d times", n)
	}
	for _, u := range h.urls() {
		if s.healthOf(u) != "1" {
			t.Error("a target was blamed")
		}
	}
}

// TestClientsCannotTakeATargetOut by bodies that they break off, which over
// HTTP/2 look like a connection that was lost.
func TestClientsCannotTakeATargetOut(t *testing.T) {
	app := newGRPC(t, false)
	s := newStack(t)
	for _, url := range []string{s.app.server.URL, strings.Replace(app.URL, "http://", "h2c://", 1)} {
		s.upstreamURL(url, nil)
		for range 2 * brokenInARow {
			conn := s.dial()
			write(t, conn, "POST /public/x HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 1000000\r\n\r\nx")
			must(t, conn.(*net.TCPConn).CloseWrite())
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
			conn = s.dial()
			write(t, conn, "POST /public/x HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
			_, _ = io.Copy(io.Discard, conn) // none where the application's own has begun by then
			conn.Close()
		}
		if health := &s.gateway.snap.Load().upstreams[0].balancer.targets[0].health; health.broken.Load() != 0 || !health.healthy() {
			t.Errorf("%s: %d failures are the application's, healthy %v", url, health.broken.Load(), health.healthy())
		}
		s.gateway.snap.Load().closeIdle()
	}
}

// TestWhatIsHeldAgainstATarget and what is somebody else's fault.
func TestWhatIsHeldAgainstATarget(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	cut := &net.OpError{Op: "readfrom", Err: io.ErrUnexpectedEOF}
	for _, test := range []struct {
		name    string
		ctx     context.Context
		body    error // how reading it ended
		err     error
		broken  int64
		healthy bool
	}{
		{"nobody listens", t.Context(), nil, dial, 0, false},
		{"nobody listens, says a wrapped error", t.Context(), nil, fmt.Errorf("ask: %w", dial), 0, false},
		{"its certificate is another's", t.Context(), nil, &tls.CertificateVerificationError{}, 0, false},
		{"the connection ended", t.Context(), nil, io.EOF, 1, true},
		{"the connection was reset", t.Context(), nil, &net.OpError{Op: "read", Err: syscall.ECONNRESET}, 1, true},
		{"the answer broke off", t.Context(), nil, io.ErrUnexpectedEOF, 0, true},
		{"the answer took too long", t.Context(), nil, context.DeadlineExceeded, 0, true},
		{"the client's body broke off", t.Context(), io.ErrUnexpectedEOF, cut, 0, true},
		{"the client sent too much", t.Context(), errBodyTooLarge, io.EOF, 0, true},
		{"the client is gone", gone, nil, dial, 0, true},
		{"no more files can be opened here", t.Context(), nil, &net.OpError{Op: "dial", Err: syscall.EMFILE}, 0, true},
	} {
		b := balancerOf(1)
		u := &upstream{log: slog.New(slog.DiscardHandler), now: time.Now}
		x := &exchange{r: httptest.NewRequestWithContext(test.ctx, "POST", "/", nil), chosen: b.targets[0]}
		x.body = &requestBody{err: test.body}
		u.blame(x, test.err)
		if h := &b.targets[0].health; h.broken.Load() != test.broken || h.healthy() != test.healthy {
			t.Errorf("%s: %d broken, healthy %v", test.name, h.broken.Load(), h.healthy())
		}
	}
}
