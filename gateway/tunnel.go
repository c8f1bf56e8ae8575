package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// farewell is how long a WebSocket that the gateway ends may take to say goodbye:
// for the frame that is on its way, and for the answers to the close frames.
const farewell = 2 * time.Second

// tunnel is a WebSocket that is carried between a client and an upstream.
//
// The gateway ends it as the protocol wants it: with a close frame to both
// sides, put in where a frame has ended and never into one. Whoever gets it
// answers with one of its own; then, or after the farewell in any case, the
// connections are closed.
//
// When the gateway stops, a frame that is on its way may still come to its end.
// When the session is over nothing more is carried: a side that is in the
// middle of a frame is only cut off.
type tunnel struct {
	idle     time.Duration // for which a write to the client may be blocked
	upstream io.ReadWriteCloser
	down, up half          // towards the client, and towards the upstream
	why      atomic.Uint32 // a closing; zero: the gateway does not end it
	stalled  atomic.Bool   // the client took nothing for too long
	copying  sync.Once     // has begun

	mu     sync.Mutex  // guards the following
	client net.Conn    // nil: not there yet
	torn   bool        // both are closed
	limit  *time.Timer // tears it when it ends; nil: there is none
	until  time.Time   // when that is
}

// half is one direction of a tunnel.
type half struct {
	tunnel *tunnel
	server bool // it goes to one, and so frames are masked
	to     io.Writer
	said   atomic.Bool // a close frame was sent this way, or should have been by those who were told
	cut    atomic.Bool // it ended within a frame

	mu     sync.Mutex // guards the following; held while something is written
	open   bool       // frames may be written
	over   bool       // the gateway has ended it: what still comes is dropped
	frames frames
	bytes  int64
}

// newTunnel begins a tunnel with the upstream's end. The client's is attached.
func newTunnel(upstream io.ReadWriteCloser, idle time.Duration) *tunnel {
	t := &tunnel{idle: idle, upstream: upstream}
	t.down.tunnel, t.down.to = t, clientWriter{t}
	t.up.tunnel, t.up.to, t.up.server = t, upstream, true
	return t
}

// attach adds the client's end, a hijacked connection, and what it said before
// the handshake was answered.
func (t *tunnel) attach(conn net.Conn, early []byte) net.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.client = conn
	if t.torn {
		_ = conn.Close()
	}
	return &clientEnd{conn, t, early}
}

// begin notes that the copying has begun, and so that the handshake is over:
// before, a frame would end up in the middle of it.
func (t *tunnel) begin() {
	t.copying.Do(func() {
		for _, h := range [...]*half{&t.down, &t.up} {
			h.mu.Lock()
			h.open = true
			h.settle()
			h.mu.Unlock()
		}
	})
}

// end has the gateway end the tunnel. From now on nothing more is carried but
// the rest of a frame, see tunnel. It does not wait until the tunnel has ended, and neither for
// a side that takes nothing: others are waiting to be ended too.
func (t *tunnel) end(why closing) {
	if !t.why.CompareAndSwap(0, uint32(why)) {
		return
	}
	t.tearAfter(farewell)
	time.AfterFunc(0, t.down.finish)
	time.AfterFunc(0, t.up.finish)
}

// tearAfter closes both connections after a while, unless they are by then.
func (t *tunnel) tearAfter(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Now().Add(d)
	if t.torn || t.limit != nil && t.until.Before(at) {
		return
	}
	if t.limit != nil {
		t.limit.Stop()
	}
	t.limit, t.until = time.AfterFunc(d, t.tear), at
}

// tear closes both connections. The copying that reads from them ends.
func (t *tunnel) tear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.torn {
		return
	}
	t.torn = true
	if t.limit != nil {
		t.limit.Stop()
	}
	_ = t.upstream.Close()
	if t.client != nil {
		_ = t.client.Close()
	}
}

// parted tells whether the gateway has ended the tunnel and both sides have
// answered, the upstream only where it could be told.
func (t *tunnel) parted() bool {
	return t.why.Load() != 0 && t.up.said.Load() && (t.down.said.Load() || t.up.cut.Load())
}

// carry writes what the other side has said, unless the gateway ends the tunnel.
func (h *half) carry(p []byte) (int, error) {
	h.mu.Lock()
	err := h.write(p)
	h.mu.Unlock()
	h.finish() // if that was asked for while the lock was held
	if h.tunnel.parted() {
		h.tunnel.tear()
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// write is carry for one who holds mu. What is dropped is still followed: the
// other side answers a close frame with one of its own.
func (h *half) write(p []byte) (err error) {
	h.settle()
	if !h.over {
		n := len(p)
		if h.tunnel.why.Load() != 0 { // the frame that is on its way, and no other
			n = h.frames.take(p)
		} else {
			h.frames.takeAll(p)
		}
		_, err = h.to.Write(p[:n])
		h.bytes += int64(n)
		p = p[n:]
		if len(p) > 0 {
			h.settle()
		}
	}
	h.frames.takeAll(p)
	h.said.Store(h.frames.closed)
	return err
}

// finish ends this direction, if the gateway wants that and it can be now. Else
// whoever is writing does it afterwards.
func (h *half) finish() {
	if h.tunnel.why.Load() != 0 && h.mu.TryLock() {
		h.settle()
		h.mu.Unlock()
	}
}

// settle is finish for one who holds mu. Of a frame that is not carried to its
// end the client learns only when its connection ends, and so does the
// upstream, after the client has had the time to read why.
func (h *half) settle() {
	why := closing(h.tunnel.why.Load())
	switch {
	case why == 0 || !h.open || h.over:
	case h.frames.between():
		h.over = true
		if !h.frames.closed {
			_, _ = h.to.Write(closeFrame(why, h.server)) // whoever does not get it is gone
		}
	case why == closingSession && h.server:
		h.over = true
		h.cut.Store(true)
	case why == closingSession:
		h.over = true
		h.tunnel.tear()
	}
}

// carried is how many bytes went this way.
func (h *half) carried() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes
}

// upstreamEnd is the body of the upstream's answer, from and to which
// httputil.ReverseProxy copies.
type upstreamEnd struct{ t *tunnel }

// Read reads what the upstream says.
func (e upstreamEnd) Read(p []byte) (int, error) {
	e.t.begin()
	return e.t.upstream.Read(p)
}

// Write tells the upstream what the client says.
func (e upstreamEnd) Write(p []byte) (int, error) { return e.t.up.carry(p) }

// Close ends the tunnel.
func (e upstreamEnd) Close() error {
	e.t.tear()
	return nil
}

// CloseWrite tells the upstream that the client has said its last. What it has
// to say to that does not keep the tunnel open for ever.
func (e upstreamEnd) CloseWrite() error {
	e.t.tearAfter(e.t.idle)
	return closeWrite(e.t.upstream)
}

// clientEnd is the connection of the client.
type clientEnd struct {
	net.Conn
	t     *tunnel
	early []byte // what was read of it before; one goroutine reads
}

// Read reads what the client says.
func (c *clientEnd) Read(p []byte) (int, error) {
	c.t.begin()
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// Write tells the client what the upstream says.
func (c *clientEnd) Write(p []byte) (int, error) { return c.t.down.carry(p) }

// Close ends the tunnel.
func (c *clientEnd) Close() error {
	c.t.tear()
	return nil
}

// CloseWrite is upstreamEnd's, the other way.
func (c *clientEnd) CloseWrite() error {
	c.t.tearAfter(c.t.idle)
	return closeWrite(c.Conn)
}

// clientWriter writes to the client, which must take it in time.
type clientWriter struct{ t *tunnel }

// Write writes, with a deadline.
func (w clientWriter) Write(p []byte) (int, error) {
	_ = w.t.client.SetWriteDeadline(time.Now().Add(w.t.idle))
	n, err := w.t.client.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.stalled.Store(true)
	}
	return n, err
}
