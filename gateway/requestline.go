package gateway

import (
	"bytes"
	"net"
	"sync/atomic"
)

// plainConn is a connection without TLS whose request lines are looked at
// before net/http does. It cannot parse a path with a broken percent-encoding
// or a control character, and answers 400 by itself: no problem document, no
// request id, no line in the access log. With a backslash in the place of what
// is broken it can, and the gateway refuses the path as it refuses every
// backslash (policy.ParsePath), whatever the route.
//
// Over TLS, and of a request line that arrives in pieces, net/http's own 400
// stays. Nothing gets through either way.
type plainConn struct {
	net.Conn
	fresh atomic.Bool // what is read next begins a request
}

// newPlainConn makes one of a connection that has just been accepted.
func newPlainConn(conn net.Conn) *plainConn {
	c := &plainConn{Conn: conn}
	c.fresh.Store(true)
	return c
}

// Read reads, and marks what is broken in the line that begins a request: once
// per request, in the first bytes that are read after the answer before. What
// is read later is a body, or a stream, and is never touched. (Of a client that
// sends its next request before it has the answer these bytes may be its body:
// then they are still touched only if they are a request line themselves.)
func (c *plainConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.fresh.Load() {
		c.fresh.Store(false)
		markBroken(p[:n])
	}
	return n, err
}

// NetConn is the connection below.
func (c *plainConn) NetConn() net.Conn { return c.Conn }

// CloseWrite is proxiedConn's.
func (c *plainConn) CloseWrite() error { return closeWrite(c.Conn) }

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
