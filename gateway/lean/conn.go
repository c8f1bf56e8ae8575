package lean

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// WatchAfter is how long a request may take before its context, or its client, is
// watched. Most are answered sooner, and to watch each would cost as much as to
// read it. A client that leaves is noticed that much later at most.
const WatchAfter = 50 * time.Millisecond

// bufferSize is that of the reader, as http.Transport's has it here: the
// trailers of an answer must fit into it.
const bufferSize = 8 << 10

var (
	errHeaderTooLong = errors.New("the header of the answer is too long")
	errBodyTooLong   = errors.New("the body is longer than its length")
	errNotAConn      = errors.New("the connection is not of the system's")
)

// conn is one connection. It belongs to the goroutine of the request that uses
// it, but for nc, which whoever ends the request may close.
type conn struct {
	t    *Transport
	nc   net.Conn
	raw  syscall.RawConn
	br   *bufio.Reader // reads from Read
	peek func(fd uintptr)
	calm bool      // what peek found
	kept bool      // it has carried a request before
	idle time.Time // since when no request uses it

	// of the exchange under way
	ctx      context.Context
	deadline time.Time   // for the part that is under way; zero: none
	stop     func() bool // ends the watch of ctx; nil: it is not watched
	inHeader bool        // the header of the answer is read, of which left may still come
	left     int64
	written  int   // bytes of the request
	answered bool  // a byte of an answer has come
	fault    error // of the last read
	unclean  bool  // the request was not written whole
}

// newConn makes a connection ready. It must be one of the system's: what has
// come on others cannot be told.
func newConn(t *Transport, nc net.Conn) (*conn, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil, errors.Join(errNotAConn, nc.Close())
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	c := &conn{t: t, nc: nc, raw: raw}
	c.br = bufio.NewReaderSize(c, bufferSize)
	c.peek = func(fd uintptr) { c.calm = peek(fd) } // made once: it would be an allocation each time
	return c, nil
}

// quiet tells whether a connection that was kept is open and nothing has come
// on it: what comes unasked is no answer to the next request. It waits for
// nothing.
func (c *conn) quiet() bool {
	c.calm = false
	err := c.raw.Control(c.peek)
	return err == nil && c.calm
}

// exchange sends a request, all of which is in text, and reads the header of its answer.
func (c *conn) exchange(r *http.Request, text []byte) (*http.Response, error) {
	c.begin(r.Context())
	err := c.write(text)
	if err == nil {
		// Nobody answers at once: to read now would be to ask the system in vain and
		// sleep. Whoever else has something to do has it done first.
		c.t.yield()
		return c.receive(r)
	}
	if c.written > 0 && r.Body != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.unclean = true // it may have answered without reading the whole
		if res, err := c.receive(r); err == nil {
			return res, nil
		}
	}
	return nil, err
}

// begin makes ready for a request. The deadline is one for both directions,
// which the runtime keeps in one timer.
func (c *conn) begin(ctx context.Context) {
	begun := time.Now()
	c.ctx, c.stop = ctx, nil
	c.written, c.answered, c.unclean = 0, false, false
	c.deadline = time.Time{}
	soon := begun.Add(cmp.Or(c.t.watchAfter, WatchAfter))
	if c.t.HeaderTimeout > 0 {
		c.deadline = begun.Add(c.t.HeaderTimeout)
		soon = earlier(soon, c.deadline)
	}
	if end, ok := ctx.Deadline(); ok {
		soon = earlier(soon, end)
	}
	_ = c.nc.SetDeadline(soon) // on a closed one the write says so
}

// earlier is the first of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// mayWait tells whether an error is only that of WatchAfter, and makes ready to
// wait on: until the deadline of this part, and for the context to end. Then the
// connection is closed, which no deadline that is set later undoes.
func (c *conn) mayWait(err error) bool {
	if c.stop != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	_ = c.nc.SetDeadline(c.deadline)
	c.stop = context.AfterFunc(c.ctx, c.abandon)
	return true
}

// write writes a part of the request.
func (c *conn) write(p []byte) error {
	n, err := c.nc.Write(p)
	c.written += n
	if err != nil && c.mayWait(err) {
		n, err = c.nc.Write(p[n:])
		c.written += n
	}
	return err
}

// Read reads from the connection, for the buffered reader. It bounds the header,
// and waits beyond WatchAfter where that is due.
func (c *conn) Read(p []byte) (int, error) {
	if c.inHeader {
		if c.left <= 0 {
			c.fault = errHeaderTooLong
			return 0, c.fault
		}
		p = p[:min(int64(len(p)), c.left)]
	}
	n, err := c.nc.Read(p)
	if err != nil && n == 0 && c.mayWait(err) {
		n, err = c.nc.Read(p)
	}
	c.left -= int64(n)
	c.fault = err
	return n, err
}

// hungUp tells whether an error means that a connection which was kept had been
// given up at the other end when the request came.
func (c *conn) hungUp(err error) bool {
	var op *net.OpError
	return c.kept && !c.answered && (errors.Is(err, io.EOF) || errors.As(err, &op) && !op.Timeout())
}

// release puts the connection back when the answer was read to its end, and
// nothing is in doubt; see the package. A watch that cannot be stopped has begun
// to close it.
func (c *conn) release(reusable bool) {
	if c.stop != nil && !c.stop() {
		reusable = false
	}
	c.ctx, c.stop = nil, nil
	if !reusable || c.unclean || c.br.Buffered() > 0 {
		c.abandon()
		return
	}
	c.kept, c.idle = true, time.Now()
	if !c.t.pool.put(c) {
		c.abandon()
	}
}

// abandon closes the connection. It may be called at any time, and twice.
func (c *conn) abandon() { _ = c.nc.Close() }

// headerTimedOut is the error of an answer that did not come in time.
func headerTimedOut() error {
	return fmt.Errorf("wait for the header of the answer: %w", os.ErrDeadlineExceeded)
}
