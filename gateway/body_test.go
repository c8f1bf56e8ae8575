package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestABodyRemembersHowItEnded(t *testing.T) {
	conn := http.NewResponseController(httptest.NewRecorder())
	body := func(r io.Reader, limit int64) *requestBody {
		return &requestBody{conn: conn, body: io.NopCloser(r), grace: time.Minute, idle: time.Minute, limit: limit}
	}
	b := body(strings.NewReader("0123456789"), 10)
	if text, err := io.ReadAll(b); err != nil || string(text) != "0123456789" || !b.isRead() || b.fault() != nil || b.received() != 10 {
		t.Errorf("within the limit: %q %v, ended %v", text, err, b.isRead())
	}
	b = body(strings.NewReader("0123456789a"), 10)
	if _, err := io.ReadAll(b); !errors.Is(err, errBodyTooLarge) || b.isRead() || isTooSlow(b.fault()) {
		t.Errorf("over the limit: %v", err)
	}
	torn := errors.New("torn off")
	b = body(io.MultiReader(strings.NewReader("01"), errorReader{torn}), 0)
	if _, err := io.ReadAll(b); !errors.Is(err, torn) || !errors.Is(b.fault(), torn) || isTooSlow(b.fault()) || b.received() != 2 {
		t.Errorf("torn off: %v", err)
	}
	b = body(errorReader{os.ErrDeadlineExceeded}, 0)
	if _, err := io.ReadAll(b); err == nil || !isTooSlow(b.fault()) {
		t.Errorf("too slow: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// connection is a client's end that counts how often its deadline is set.
type connection struct {
	http.ResponseWriter
	deadlines atomic.Int64
}

func (c *connection) SetReadDeadline(time.Time) error {
	c.deadlines.Add(1)
	return nil
}

// gate is a body that arrives when it is opened.
type gate chan struct{}

func (g gate) Read(p []byte) (int, error) {
	<-g
	return copy(p, "late"), io.EOF
}

// The transport may still read when the upstream has answered early. What it
// reads then belongs to no exchange: over HTTP/2 the deadline of a finished
// stream ends the process, over HTTP/1 it is the next request's.
func TestABodyThatIsStillReadAfterTheExchangeTouchesNoConnection(t *testing.T) {
	conn := &connection{ResponseWriter: httptest.NewRecorder()}
	arrive := make(gate)
	b := &requestBody{conn: http.NewResponseController(conn), body: io.NopCloser(arrive), grace: time.Minute, idle: time.Minute}
	read := make(chan error, 1)
	go func() {
		_, err := b.Read(make([]byte, 8))
		read <- err
	}()
	for conn.deadlines.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	b.release()
	close(arrive)
	if err := <-read; err != io.EOF {
		t.Errorf("the read that was under way: %v", err)
	}
	if n := conn.deadlines.Load(); n != 1 || b.received() != 0 || b.isRead() {
		t.Errorf("%d deadlines, %d bytes, ended %v after the exchange", n, b.received(), b.isRead())
	}
	if _, err := b.Read(make([]byte, 8)); err == nil || conn.deadlines.Load() != 1 {
		t.Errorf("a later read: %v", err)
	}
}

// An upstream that answers before it has the body (404, 401, 413) and a client
// that ends its body at that very moment: one such client ended the process.
func TestAnEarlyAnswerOverHTTP2EndsNoProcess(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	s := newStack(t, func(c *setup) {
		c.gateway.PublicURL = "https://gw.test"
		c.gateway.TLS = certificateIn(dir)
		c.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
	})
	tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	for i := range 150 {
		body := io.MultiReader(strings.NewReader("x"), lateEnd(time.Duration(i%30)*100*time.Microsecond))
		r, err := http.NewRequest("POST", "https://"+s.server.Addr()+"/public/x", io.NopCloser(body))
		must(t, err)
		r.Host = "gw.test"
		res, err := tr.RoundTrip(r)
		if err != nil {
			continue // the stream may be reset; the gateway must live
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	r, err := http.NewRequest("GET", "https://"+s.server.Addr()+"/public/x", nil)
	must(t, err)
	r.Host = "gw.test"
	res, err := tr.RoundTrip(r)
	must(t, err)
	res.Body.Close()
}

// lateEnd is the end of a body, after a while.
type lateEnd time.Duration

func (d lateEnd) Read([]byte) (int, error) {
	time.Sleep(time.Duration(d))
	return 0, io.EOF
}

// A client that announces a body and never sends it got no refusal and held its
// connection for ever: net/http reads the body first.
func TestARefusedRequestWhoseBodyIsWithheldEnds(t *testing.T) {
	s := newStack(t, func(c *setup) { c.grace = 300 * time.Millisecond })
	for _, head := range []string{
		"POST /nowhere HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 60000\r\n\r\n",
		"GET /auth/login HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 60000\r\n\r\n",
		"POST /admin/a HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 5\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", s.server.Addr())
		must(t, err)
		write(t, conn, head)
		must(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
		if _, err := io.ReadAll(conn); err != nil {
			t.Errorf("%s is still held: %v", strings.SplitN(head, " HTTP", 2)[0], err)
		}
		conn.Close()
	}
}

// Who waits for 100 Continue gets the refusal at once, and the connection ends:
// whether the body comes all the same nobody knows.
func TestARefusedExpectIsAnsweredAtOnceAndCloses(t *testing.T) {
	s := newStack(t, func(c *setup) { c.grace = 300 * time.Millisecond })
	conn, err := net.Dial("tcp", s.server.Addr())
	must(t, err)
	defer conn.Close()
	write(t, conn, "POST /admin/a HTTP/1.1\r\nHost: gw.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	must(t, conn.SetReadDeadline(time.Now().Add(15*time.Second)))
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 401 ") || !strings.Contains(string(text), "Connection: close") {
		t.Errorf("%v: %s", err, text)
	}
}

// SM-001 with Early Hints: an informational answer empties the header, and the
// "Connection: close" that keeps CL.TE smuggling out went with it.
func TestSM001AnInformationalAnswerDoesNotKeepTheConnectionOpen(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, "ok")
		}
	})
	for _, head := range []string{
		"POST /public/x HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /public/x HTTP/1.0\r\nHost: gw.test\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
	} {
		conn, err := net.Dial("tcp", s.server.Addr())
		must(t, err)
		write(t, conn, head+"GET /public/smuggled HTTP/1.1\r\nHost: gw.test\r\n\r\n")
		must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
		text, err := io.ReadAll(conn)
		if n := strings.Count(string(text), " 200 OK"); err != nil || n != 1 {
			t.Errorf("%d answers, %v:\n%s", n, err, text)
		}
		if strings.Contains(head, "HTTP/1.0") && strings.Contains(string(text), " 103 ") {
			t.Error("an HTTP/1.0 client got an informational answer")
		}
		conn.Close()
	}
}

// SM-001 and SM-057 on every way in. net/http takes the chunks for the body and
// forgets the length, which RFC 9112 section 6.3 allows, before anybody here could
// see it; the answer, whatever it is, ends the connection, and what a program in
// front took for a body is nobody's request.
func TestSM001ALengthBesideChunksEndsTheConnectionOnEveryWayIn(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	plain := func(t *testing.T, s *stack) net.Conn { return s.dial() }
	for way, c := range map[string]struct {
		change func(*setup)
		dial   func(*testing.T, *stack) net.Conn
	}{
		"HTTP":            {func(*setup) {}, plain},
		"beside HTTP/2":   {func(c *setup) { c.gateway.H2C = true }, plain},
		"after a PROXY":   {func(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1"} }, dialProxied},
		"TLS":             {func(c *setup) { c.gateway.TLS = certificateIn(dir) }, dialTLS},
		"TLS and a PROXY": {func(c *setup) { c.gateway.TLS, c.gateway.TrustedProxies = certificateIn(dir), []string{"127.0.0.1"} }, dialTLS},
	} {
		t.Run(way, func(t *testing.T) {
			s := newStack(t, c.change)
			for _, line := range []string{"POST /public/x", "POST /app/x", "POST /nowhere", "POST /public/..%2fx", "POST /auth/login", "GET /public/x"} {
				for before := range 2 { // requests on the same connection
					conn := c.dial(t, s)
					asked := strings.Repeat("GET /public/before HTTP/1.1\r\nHost: gw.test\r\n\r\n", before)
					write(t, conn, asked+line+" HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 68\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+
						"GET /public/smuggled HTTP/1.1\r\nHost: gw.test\r\nX-Auth-User: root\r\n\r\n")
					must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
					text, err := io.ReadAll(conn)
					if n := strings.Count(string(text), "HTTP/1.1 "); err != nil || n != before+1 {
						t.Errorf("%s, %d before: %d answers, %v:\n%s", line, before, n, err, text)
					}
					conn.Close()
				}
			}
			if seen := s.app.raw(); strings.Contains(seen, "smuggled") || strings.Contains(seen, "Content-Length: 68") {
				t.Errorf("the application was sent\n%s", seen)
			}
		})
	}
}

// certificateIn is the certificate that writeCertificate made.
func certificateIn(dir string) TLS {
	return TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
}

// dialProxied is a proxy that says for whom it connects.
func dialProxied(t *testing.T, s *stack) net.Conn {
	conn, err := net.Dial("tcp", s.server.Addr())
	must(t, err)
	write(t, conn, "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n")
	return conn
}

// dialTLS is a client that speaks HTTP/1.1, from behind a proxy where one is trusted.
func dialTLS(t *testing.T, s *stack) net.Conn {
	conn, err := net.Dial("tcp", s.server.Addr())
	must(t, err)
	if len(s.parts.Config.TrustedProxies) > 0 {
		write(t, conn, "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n")
	}
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
}

// An upstream's status that HTTP does not have is the upstream's fault, and no
// panic; what it wrote is in no log.
func TestAnUpstreamThatTalksNonsenseIs502AndNotQuoted(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nSet-Cookie sess=SECRETUP\r\n\r\n",
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, answer)
				conn.Close()
			}
		}()
		s := newStack(t, func(c *setup) { c.gateway.Upstreams[0].URLs = []string{"http://" + ln.Addr().String()} })
		s.get("/public/x").wants(t, 502, "upstream_unavailable")
		s.log.entries(t, "request", 1)
		for line := range strings.Lines(s.log.String()) {
			if strings.Contains(line, `"panic"`) || !strings.Contains(line, `"DEBUG"`) && strings.Contains(line, "SECRETUP") {
				t.Errorf("%q: logged %s", answer, line)
			}
		}
		ln.Close()
	}
}

func TestRefusedTargetsAreLoggedWithoutUserAndPassword(t *testing.T) {
	s := newStack(t)
	conn, err := net.Dial("tcp", s.server.Addr())
	must(t, err)
	defer conn.Close()
	write(t, conn, "GET http://user:hunter2@gw.test/x?q=hunter2 HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n")
	_, err = io.ReadAll(conn)
	must(t, err)
	s.log.entries(t, "request", 1)
	if text := s.log.String(); strings.Contains(text, "hunter2") || !strings.Contains(text, `"path":"/x"`) {
		t.Errorf("logged %s", text)
	}
}

// What nobody wants any more is taken all the same, for a while, so that the
// client gets to read the answer; a body that ended by itself is not waited for.
func TestABodyThatNobodyWantsIsTakenForAWhile(t *testing.T) {
	conn := &connection{ResponseWriter: httptest.NewRecorder()}
	text := strings.NewReader("0123456789")
	b := &requestBody{conn: http.NewResponseController(conn), body: io.NopCloser(text), grace: time.Minute, idle: time.Minute}
	if b.isUnwanted() {
		t.Error("nobody has begun to read")
	}
	_, _ = b.Read(make([]byte, 4))
	if !b.isUnwanted() {
		t.Error("the rest is not unwanted")
	}
	b.linger()
	if text.Len() != 0 || conn.deadlines.Load() != 2 || b.received() != 4 {
		t.Errorf("%d bytes are left, %d deadlines, %d received", text.Len(), conn.deadlines.Load(), b.received())
	}
	if _, err := b.Read(make([]byte, 4)); err == nil {
		t.Error("the transport reads on")
	}
	whole := &requestBody{conn: b.conn, body: io.NopCloser(strings.NewReader("x")), grace: time.Minute, idle: time.Minute}
	if _, err := io.ReadAll(whole); err != nil || whole.isUnwanted() {
		t.Errorf("a whole body is unwanted, %v", err)
	}
}

// http.Transport reads the body also when the upstream has answered without
// wanting it, to go on using the connection: that must not have the client send
// it. What an upstream wants, or says nothing about for a while, is read.
func TestABodyThatTheUpstreamDoesNotWantIsNotAskedFor(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(*requestBody, *httptrace.ClientTrace)
		wants  bool
	}{
		{"it was not asked", func(*requestBody, *httptrace.ClientTrace) {}, true},
		{"it wants it", func(_ *requestBody, says *httptrace.ClientTrace) { says.Wait100Continue(); says.Got100Continue() }, true},
		{"it says nothing", func(_ *requestBody, says *httptrace.ClientTrace) {
			says.Wait100Continue()
			time.Sleep(continueTimeout)
		}, true},
		{"the client did not ask", func(b *requestBody, says *httptrace.ClientTrace) { b.asks = false; says.Wait100Continue() }, true},
		{"it has answered", func(b *requestBody, says *httptrace.ClientTrace) { says.Wait100Continue(); b.noteAnswer() }, false},
		{"it said so very fast", func(_ *requestBody, says *httptrace.ClientTrace) { says.Got100Continue(); says.Wait100Continue() }, true},
		{"it said so too early for anybody to notice", func(_ *requestBody, says *httptrace.ClientTrace) { says.Wait100Continue() }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &requestBody{conn: http.NewResponseController(httptest.NewRecorder()), body: io.NopCloser(strings.NewReader("body")), grace: time.Minute, idle: time.Minute, asks: true}
				test.before(b, httptrace.ContextClientTrace(b.heed(t.Context())))
				read := make(chan string, 1)
				go func() {
					text, _ := io.ReadAll(b)
					read <- string(text)
				}()
				time.Sleep(2 * continueTimeout)
				synctest.Wait()
				if got := !b.isFresh(); got != test.wants {
					t.Errorf("read: %v", got)
				}
				b.release()
				if text := <-read; (text == "body") != test.wants {
					t.Errorf("read %q", text)
				}
			})
		})
	}
}
