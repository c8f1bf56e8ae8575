package lean

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// ServerConn is a connection of an http.Server. While that one waits for the next
// request, in a Read, the plain requests are answered within that Read: for the
// http.Server the connection is idle as long. The first that is not plain is what
// it then reads, so that all others are its own, on any connection at any time.
//
// It is plain what asks for something by GET, has no body, and has come as a whole
// and alone. The first request of a connection is never answered here: once it was,
// the http.Server knows what the connection speaks.
type ServerConn struct {
	net.Conn
	s      *Server
	ctx    context.Context
	remote string
	empty  int          // how much net/http reads at once when it holds nothing; zero: it has not read yet
	stage  atomic.Int32 // of what net/http does with it
	watch  watch

	mu        sync.Mutex // guards the following
	answering bool
	closing   bool // it is closed, or will be once it has answered
}

// What net/http does with a connection.
const (
	busy    int32 = iota // it reads a request, or answers it
	idle                 // it has said that it will wait, and will set the deadline of that
	waiting              // it waits, or reads what it need not wait for
)

// SetContext gives the context of the connection's requests. It is for
// http.Server.ConnContext.
func (c *ServerConn) SetContext(ctx context.Context) { c.ctx = ctx }

// Idle says that the http.Server waits for the next request. It is for
// http.Server.ConnState, and not for a connection that speaks HTTP/2.
func (c *ServerConn) Idle() { c.stage.Store(idle) }

// SetReadDeadline sets the deadline of reads. http.Server sets one for the time that
// it waits, and the next one when a request has begun to come: from then on what
// comes is the rest of that, also where nothing had to be read to see that it has.
func (c *ServerConn) SetReadDeadline(t time.Time) error {
	if !c.stage.CompareAndSwap(idle, waiting) {
		c.stage.Store(busy)
	}
	return c.Conn.SetReadDeadline(t)
}

// NetConn is the connection below.
func (c *ServerConn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends what is sent, and no more.
func (c *ServerConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Read reads what is for the http.Server: bytes within a request, or a request
// that is not plain. The others it answers, one after the other.
//
// What comes begins a request only if it is the first that is read while the
// http.Server waits, and that one holds no byte of it yet: one that came with the
// request before, or was read to see whether the client leaves.
// An X that it holds and a GET that comes are an XGET, and never the latter alone.
// It reads into what is left of its buffer, which at first was empty.
func (c *ServerConn) Read(p []byte) (n int, err error) {
	if c.empty == 0 {
		c.empty = len(p)
	}
	if !c.stage.CompareAndSwap(waiting, busy) || len(p) != c.empty || c.ctx == nil {
		return c.Conn.Read(p)
	}
	for {
		if n == 0 {
			if n, err = c.Conn.Read(p); n == 0 || err != nil {
				return n, err
			}
		}
		r, ok := plainRequest(p[:n])
		if !ok || c.s.Off != nil && c.s.Off() || !c.begin() {
			return n, nil
		}
		if n, err = c.answer(&r, p); err != nil {
			return 0, err
		}
	}
}

// answer has the handler answer a request. The client may send more meanwhile,
// which is put into p; n tells how much. An error ends the connection, and so does
// a panic of the handler, which the http.Server catches.
func (c *ServerConn) answer(r *http.Request, p []byte) (n int, err error) {
	ctx, cancel := context.WithCancel(c.ctx)
	w := newReply(c, cancel)
	defer func() {
		cancel()
		n = c.watch.end()
		w.leave()
		if !c.end() {
			err = net.ErrClosed
		}
		if err == nil {
			err = c.Conn.SetReadDeadline(time.Now().Add(c.s.IdleTimeout))
		}
	}()
	c.watch.begin(c, cancel, p)
	if c.remote == "" {
		c.remote = c.RemoteAddr().String()
	}
	r.RemoteAddr = c.remote
	c.s.Handler.ServeHTTP(w, r.WithContext(ctx))
	cancel()
	return 0, w.finish()
}

// begin notes that a request is answered. It answers false when the connection is
// closed.
func (c *ServerConn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answering = !c.closing
	return c.answering
}

// end notes that the answer has ended, and closes a connection that was to be
// closed meanwhile; then it answers false.
func (c *ServerConn) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answering = false
	if c.closing {
		c.s.free(c)
		_ = c.Conn.Close()
	}
	return !c.closing
}

// parting tells whether the connection ends with this answer.
func (c *ServerConn) parting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// cut closes the connection at once, and ends the request under way.
func (c *ServerConn) cut() error {
	c.watch.leave()
	return c.Conn.Close()
}

// Close closes the connection, once the answer under way has ended: the
// http.Server closes those that it takes for idle when it shuts down.
func (c *ServerConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	if c.answering {
		c.s.hold(c)
		return nil
	}
	return c.Conn.Close()
}
