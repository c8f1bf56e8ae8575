package gateway

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posternhq/postern/policy"
)

// TestTheServersLimitsAreThoseOfTheRule reads what net/http was told, where no
// test has the time to wait for it: rule 17 of SECURITY.md.
func TestTheServersLimitsAreThoseOfTheRule(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for name, s := range map[string]*http.Server{
		"public": NewServer(DefaultConfig(), &Gateway{}, log).http,
		"admin":  NewAdminServer(DefaultConfig(), http.NotFoundHandler(), log).http,
	} {
		if s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > 10*time.Second {
			t.Errorf("%s: ReadHeaderTimeout is %s", name, s.ReadHeaderTimeout)
		}
		if s.IdleTimeout <= 0 || s.IdleTimeout > 5*time.Minute {
			t.Errorf("%s: IdleTimeout is %s", name, s.IdleTimeout)
		}
		if s.MaxHeaderBytes < 32<<10 || s.MaxHeaderBytes > 96<<10 { // read; what is let through is less
			t.Errorf("%s: MaxHeaderBytes is %d", name, s.MaxHeaderBytes)
		}
		if s.HTTP2 == nil || s.HTTP2.MaxConcurrentStreams < 1 || s.HTTP2.MaxConcurrentStreams > 250 {
			t.Errorf("%s: HTTP2 is %+v", name, s.HTTP2)
		}
	}
	if maxHeaders > 100 || maxCookies > 50 || maxHeaderBytes > 64<<10 {
		t.Errorf("%d header fields, %d cookies, %d bytes are let through", maxHeaders, maxCookies, maxHeaderBytes)
	}
}

// end is the request that follows whatever the fuzzer made, so that the
// connection comes to its end whether or not it was swallowed.
const end = "\r\n\r\nGET /public/end HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n"

// FuzzWholeFront sends made-up bytes to a real listener, with alice's token
// where they say TOKEN, and judges what reaches the application:
//
//   - each request there is one that the gateway logged as let through, with
//     the method and the path that it decided on, and none is there twice;
//   - the policy, asked anew, lets its caller do it, and write to where a COPY
//     or MOVE leads;
//   - who asks is alice with her token, or nobody, and no name reads like an
//     identity of the client's own;
//   - no token of the gateway's arrives, is answered, or is logged.
func FuzzWholeFront(f *testing.F) {
	for _, seed := range [][3]string{
		{"GET /public/x HTTP/1.1", "Host: gw.test", ""},
		{"GET /app/x?a=b HTTP/1.1", "Host: gw.test\r\nAuthorization: Bearer TOKEN\r\nX_Auth_User: root", ""},
		{"POST /app/x HTTP/1.1", "Host: gw.test\r\nCookie: a=b; postern=TOKEN\r\nTransfer-Encoding: chunked\r\nTrailer: X-Auth-User", "3\r\nabc\r\n0\r\nX-Auth-User: root\r\n\r\n"},
		{"POST /public/x HTTP/1.1", "Host: gw.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\nGET /admin/x HTTP/1.1\r\nHost: gw.test\r\n\r\n"},
		{"POST /public/x HTTP/1.1", "Host: gw.test\r\nContent-Length: 5", "hello"},
		{"POST /admin/x HTTP/1.1", "Host: gw.test\r\nContent-Length: 44", "GET /admin/y HTTP/1.1\r\nHost: gw.test\r\n\r\n"},
		{"DELETE /api/users/5 HTTP/1.1", "Host: gw.test\r\nX-HTTP-Method-Override: GET\r\nAuthorization: Bearer TOKEN", ""},
		{"GET /public/%2e%2e/admin/x HTTP/1.1", "Host: gw.test\nX-Auth-User: root", ""},
		{"GET http://gw.test/public/x HTTP/1.1", "Host: gw.test\r\nConnection: X-Auth-User, close\r\nX-Auth-User : root\r\n folded", ""},
		{"MOVE /app/x HTTP/1.1", "Host: gw.test\r\nDestination: http://gw.test/app/y\r\nAuthorization: Bearer TOKEN", ""},
		{"COPY /app/x HTTP/1.1", "Host: gw.test\r\nDestination: /admin/y\r\nDestination: /app/y\r\nAuthorization: Bearer TOKEN", ""},
		{"COPY /public/x HTTP/1.1", "Host: gw.test\r\nDestination: https://gw.test:443/public/%2e%2e/app/y", ""},
		{"MOVE http://gw.test/public/x HTTP/1.1", "Host: gw.test\r\nDestination: /public/y\r\nConnection: Destination, close\r\nOverwrite: T", ""},
		{"0 / HTTP/1.1", "Host: postern=TOKEN", ""},
		{"GET /TOKEN HTTP/1.1", "Host: gw.test", ""},
		{"HEAD /app/ws HTTP/1.0", "Host: gw.test\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nX-Forwarded-For: 10.0.0.1", ""},
	} {
		f.Add(seed[0], seed[1], []byte(seed[2]))
	}
	w := newWatch(f)
	f.Fuzz(func(t *testing.T, line, lines string, body []byte) {
		if len(line)+len(lines)+len(body) > 16<<10 {
			t.Skip("longer than any limit that is of interest here")
		}
		head := strings.ReplaceAll(line+"\r\n"+lines, "TOKEN", w.token)
		w.send(t, head+"\r\n\r\n"+string(body)+end)
		w.judge(t)
	})
}

// watch is a gateway with what came of all that it was sent.
type watch struct {
	*stack
	token   string
	allowed map[string]int // method and path: lines of the log that let through, and no request taken for one yet
	history []string       // what was sent and logged before: what fails may have come late
}

func newWatch(f *testing.F) *watch {
	s := newStack(f, func(c *setup) { c.grace, c.idle = 50*time.Millisecond, 50*time.Millisecond })
	return &watch{stack: s, token: s.token("alice"), allowed: map[string]int{}}
}

// send writes the bytes and reads until the connection ends: by then every
// request of it has its line in the log.
func (w *watch) send(t *testing.T, request string) {
	t.Helper()
	conn, err := net.Dial("tcp", w.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w.note("sent   " + request)
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(conn, request) }() // it may be refused before its end
	answer, err := io.ReadAll(conn)
	if err, slow := err.(net.Error); slow && err.Timeout() {
		t.Fatalf("the connection does not end: %.300q", answer)
	}
	if bytes.Contains(answer, []byte(w.token)) {
		t.Fatalf("an answer holds the token: %.300q", answer)
	}
}

// note keeps the last of what happened.
func (w *watch) note(text string) {
	w.history = append(w.history[max(0, len(w.history)-20):], text)
}

// judge looks at what has come since the last time. A request whose client was
// refused in the middle may arrive late, after its line in the log.
func (w *watch) judge(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(w.log.take()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("a line of the log is not JSON: %q", line)
		}
		w.note("logged " + line)
		if entry["msg"] == "request" && entry["decision"] == "allow" {
			w.allowed[fmt.Sprint(entry["method"], " ", entry["path"])]++
		}
		delete(entry, "path") // which may be anything
		if strings.Contains(fmt.Sprint(entry), w.token) {
			t.Fatalf("the log holds the token: %s", line)
		}
	}
	w.app.mu.Lock()
	defer w.app.mu.Unlock()
	arrived, raw := w.app.seen, w.app.bytes.String()
	w.app.seen = nil
	w.app.bytes.Reset()
	if strings.Contains(raw, w.token) {
		t.Fatalf("on the wire to the application: %.500q", raw)
	}
	for _, r := range arrived {
		w.judgeRequest(t, &r)
	}
}

// ourHost is every way to write the one host that is answered. Which of them it
// was is the application's to see.
var ourHost = regexp.MustCompile(`(?i)^gw\.test\.?(:[0-9]{1,5})?$`)

// judgeRequest holds one request at the application to the promises.
func (w *watch) judgeRequest(t *testing.T, r *seen) {
	t.Helper()
	path, _, _ := strings.Cut(r.target, "?")
	if w.allowed[r.method+" "+path]--; w.allowed[r.method+" "+path] < 0 {
		t.Fatalf("%s %s reached the application, and the gateway let no such request through; before:\n%q", r.method, r.target, w.history)
	}
	users, roles := r.header.Values("X-Auth-User"), r.header.Values("X-Auth-Roles")
	caller := policy.Caller{Subject: policy.Subject{}}
	switch {
	case slices.Equal(users, []string{"alice"}) && slices.Equal(roles, []string{"user"}):
		caller.Subject = policy.Subject{ID: r.header.Get("X-Auth-User-Id"), Username: "alice", Roles: []string{"user"}}
	case len(users)+len(roles)+len(r.header.Values("X-Auth-Email")) > 0:
		t.Fatalf("the application was told %q %q", users, roles)
	}
	parsed, err := policy.ParsePath(path)
	if err != nil {
		t.Fatalf("%s reached the application: %v", r.target, err)
	}
	m := w.parts.Table.Match(r.method, "gw.test", parsed)
	if d := m.Decide(caller); d.Effect != policy.Allow {
		t.Fatalf("%s %s of %q reached the application, which the policy does not allow: %v", r.method, r.target, users, d.Reason)
	}
	w.judgeDestination(t, r, caller)
	if !ourHost.MatchString(r.host) || len(r.trailer) > 0 || !slices.Equal(r.header.Values("X-Forwarded-For"), []string{"127.0.0.1"}) {
		t.Fatalf("Host %q, X-Forwarded-For %q, trailers %q", r.host, r.header.Values("X-Forwarded-For"), r.trailer)
	}
	for name := range r.header {
		if strings.ContainsAny(name, "_. ") || slices.Contains([]string{"Trailer", "X-Http-Method-Override", "X-Original-Url", "X-Rewrite-Url", "Forwarded", "Remote-User", "Proxy"}, name) {
			t.Fatalf("the application was sent the field %q", name)
		}
	}
}

// judgeDestination holds the other address of a COPY or MOVE, as a parser of URLs
// reads it that was written apart, to what the policy says of it.
func (w *watch) judgeDestination(t *testing.T, r *seen, caller policy.Caller) {
	t.Helper()
	values := r.header.Values("Destination")
	if r.method != "COPY" && r.method != "MOVE" || len(values) == 0 {
		return
	}
	u, err := url.Parse(values[0])
	if err != nil || len(values) > 1 || u.User != nil || u.Opaque != "" || u.RawQuery != "" || u.Fragment != "" || u.Host != "" && !ourHost.MatchString(u.Host) {
		t.Fatalf("%s %s reached the application with the Destination %q: %v", r.method, r.target, values, err)
	}
	parsed, err := policy.ParsePath("/" + strings.TrimPrefix(u.EscapedPath(), "/")) // http://gw.test is http://gw.test/
	if err != nil {
		t.Fatalf("the Destination %q reached the application: %v", values, err)
	}
	for _, method := range []string{r.method, "PUT"} {
		m := w.parts.Table.Match(method, "gw.test", parsed)
		if d := m.Decide(caller); d.Effect != policy.Allow {
			t.Fatalf("the Destination %q of %q reached the application, where the policy allows no %s: %v", values, caller.Subject.Username, method, d.Reason)
		}
	}
}

// take hands over what was logged and starts anew.
func (l *logBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.buf.String()
	l.buf.Reset()
	return text
}

// FuzzTheClientIsNeverMadeUp: of X-Forwarded-For only the right end counts,
// and only from a trusted peer.
func FuzzTheClientIsNeverMadeUp(f *testing.F) {
	for _, seed := range []string{"", "1.1.1.1", "10.0.0.2", "junk", "10.0.0.2, 10.0.0.3", "[::1]:5", "::ffff:10.0.0.9", "fe80::1%eth0", ",,", " 6.6.6.6 ,10.0.0.1", "10.0.0.1:99999"} {
		f.Add(seed)
	}
	snap := &Snapshot{proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	read := func(peer, given string) *exchange {
		x := &exchange{snap: snap, r: &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {given}}}}
		x.readClient()
		return x
	}
	f.Fuzz(func(t *testing.T, given string) {
		if x := read("192.0.2.1:5", given); x.client.String() != "192.0.2.1" || x.forwarded != "192.0.2.1" {
			t.Fatalf("a stranger says %q and is %s, sent on %q", given, x.client, x.forwarded)
		}
		x := read("10.0.0.1:5", given)
		if x.client.IsValid() && x.client.String() != "10.0.0.1" && !strings.Contains(given, ".") && !strings.Contains(given, ":") {
			t.Fatalf("%q became %s", given, x.client)
		}
		for hop := range strings.SplitSeq(x.forwarded, ", ") {
			if addr, err := netip.ParseAddr(hop); err != nil || addr.Zone() != "" || addr.Is4In6() {
				t.Fatalf("%q is sent on as %q", given, x.forwarded)
			}
		}
		for _, appended := range []string{", 203.0.113.7", ", 203.0.113.7, 10.0.0.3"} {
			if x := read("10.0.0.1:5", given+appended); x.client.String() != "203.0.113.7" {
				t.Fatalf("%q to the left of the client made it %s", given, x.client)
			}
		}
	})
}

// FuzzProxyProtocolIsBelievedWhole: a trusted peer's bytes are its header and
// what follows, or what follows alone, or nothing; a stranger's are the
// request, untouched.
func FuzzProxyProtocolIsBelievedWhole(f *testing.F) {
	for _, seed := range []string{"", "GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\nGET /", "PROXY UNKNOWN\r\nGET /", "PROXY TCP4 1 2 3 4\r\n", "PROXY",
		proxyV2(1, 0x11, "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x01\xbb") + "GET /", proxyV2(0, 0, "") + "x", proxyV2(1, 0x31, strings.Repeat("a", 216)), proxyV2(1, 0x11, "short")} {
		f.Add([]byte(seed))
	}
	trusted := netip.MustParseAddr("127.0.0.1")
	f.Fuzz(func(t *testing.T, sent []byte) {
		fr := &front{trusts: func(a netip.Addr) bool { return a == trusted }, crowd: newCrowd(1),
			strangers: &strangers{log: slog.New(slog.DiscardHandler), now: time.Now}}
		from := func(ip net.IP) *countedConn {
			return &countedConn{Conn: &said{bytes.NewReader(sent), &net.TCPAddr{IP: ip, Port: 5}}, open: new(atomic.Int64), crowd: fr.crowd}
		}
		stranger := fr.proxied(from(net.IPv4(192, 0, 2, 9)))
		if got, err := io.ReadAll(stranger); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("a stranger's %q is read as %q, %v", sent, got, err)
		}
		conn := fr.proxied(from(net.IPv4(127, 0, 0, 1)))
		got, err := io.ReadAll(bufio.NewReader(conn))
		if !bytes.HasSuffix(sent, got) {
			t.Fatalf("%q is read as %q", sent, got)
		}
		addr := addressOf(conn.RemoteAddr())
		headed := bytes.HasPrefix(sent, []byte("PROXY")) || bytes.HasPrefix(sent, []byte("\r\n\r\n\x00\r\nQUIT\n"))
		if !headed && (err != nil || addr != trusted || len(got) != len(sent)) {
			t.Fatalf("%q has no header, and is read as %q of %s, %v", sent, got, addr, err)
		}
		if headed && err == nil && len(got) == len(sent) && len(sent) > 0 {
			t.Fatalf("the header of %q was taken for a request", sent)
		}
		if !addr.IsValid() {
			t.Fatalf("%q comes from nowhere: %v", sent, conn.RemoteAddr())
		}
	})
}

// said is a connection on which all has been said.
type said struct {
	io.Reader
	from net.Addr
}

func (s *said) RemoteAddr() net.Addr             { return s.from }
func (s *said) LocalAddr() net.Addr              { return s.from }
func (s *said) Write(p []byte) (int, error)      { return len(p), nil }
func (s *said) Close() error                     { return nil }
func (s *said) SetDeadline(time.Time) error      { return nil }
func (s *said) SetReadDeadline(time.Time) error  { return nil }
func (s *said) SetWriteDeadline(time.Time) error { return nil }
