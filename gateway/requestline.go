package gateway

import (
	"bytes"
	"log/slog"
	"sync/atomic"

	"github.com/posternhq/postern/gateway/lean"
)

// plainConn is a connection without TLS whose request lines are looked at
// before net/http does. It cannot parse a path with a broken percent-encoding
// or a control character, and answers 400 by itself, with no line in the access
// log. With a backslash in the place of what is broken it can, and the gateway
// refuses the path as it refuses every backslash (policy.ParsePath), whatever the
// route.
//
// A request line that arrives in pieces is answered as all else that net/http cannot
// read, see Write, and over TLS in net/http's own words. Nothing gets through either
// way.
type plainConn struct {
	*lean.ServerConn // answers plain requests in the place of net/http

	fresh  atomic.Bool // what is read next begins a request
	binary atomic.Bool // it began as HTTP/2, which has no lines: nothing is touched
	// unheard: net/http reads a request, and no handler has it yet; see Write.
	unheard atomic.Bool
	log     *slog.Logger
	ahead   []byte // read, and still to be given; Read's alone, of which there is one at a time
}

// h2Preface is how a connection of HTTP/2 begins, as far as it stands in a line
// (RFC 9113, 3.4).
const h2Preface = "PRI * HTTP/2.0"

// newPlainConn makes one of a connection that has just been accepted.
func newPlainConn(conn *lean.ServerConn, log *slog.Logger) *plainConn {
	c := &plainConn{ServerConn: conn, log: log}
	c.fresh.Store(true)
	return c
}

// lineAhead is how much is read at least where a request begins. Where HTTP/2
// may come without TLS net/http asks for the first bytes of a connection alone,
// to see which it is, and they are no whole line.
const lineAhead = 2 << 10

// Read reads, and marks what is broken in the line that begins a request: once
// per request, in the first bytes that are read after the answer before. What
// is read later is a body, or a stream, and is never touched. (Of a client that
// sends its next request before it has the answer these bytes may be its body:
// then they are still touched only if they are a request line themselves.)
func (c *plainConn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
			c.ahead = nil // an idle connection keeps no memory of it
		}
		return n, nil
	}
	if !c.fresh.Load() {
		return c.ServerConn.Read(p)
	}
	into := p
	if len(p) < lineAhead {
		into = make([]byte, lineAhead)
	}
	n, err := c.ServerConn.Read(into)
	if n == 0 {
		return 0, err
	}
	c.fresh.Store(false)
	c.binary.Store(bytes.HasPrefix(into[:n], []byte(h2Preface)))
	c.unheard.Store(!c.binary.Load())
	markBroken(into[:n])
	if len(p) < lineAhead {
		taken := copy(p, into[:n])
		c.ahead = into[taken:n]
		return taken, nil // an error comes again with the next read
	}
	return n, err
}

// idle says that net/http waits for the next request. Of a connection that speaks
// HTTP/2 it may say so too: there nothing is looked at.
func (c *plainConn) idle() {
	if !c.binary.Load() {
		c.fresh.Store(true)
		c.Idle()
	}
}

// markBroken puts a backslash in the place of every percent sign without two
// digits, and of every control character, in the path of the request line that
// b begins with. Its length stays, and what is no request line stays as it is.
func markBroken(b []byte) {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	method, rest, found := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	if !whole || !found || !isMethod(method) || !bytes.HasPrefix(target, []byte("/")) || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return
	}
	path, _, _ := bytes.Cut(target, []byte("?"))
	for i, c := range path {
		broken := c == '%' && (i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]))
		if broken || c < ' ' || c == 0x7f {
			path[i] = '\\'
		}
	}
}

// isMethod recognises what methods look like. Others are left to net/http.
func isMethod(b []byte) bool {
	for _, c := range b {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return len(b) > 0
}
