package gateway

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/posternhq/postern/gateway/lean"
)

// watchedConn makes cheap what net/http does around each request.
//
// While a handler is at work another goroutine reads one byte, to notice that
// the client leaves, and is sent away by a deadline in the past. Here that read
// only waits to be sent away. It goes to the system when that takes too long.
//
// Deadlines of reads are kept here. The system gets one when it is at a read that
// would last beyond it: an earlier one that it has already is as good, for when
// that passes it is looked at what counts. Of a connection that is in use most
// change nothing.
type watchedConn struct {
	net.Conn

	mu       sync.Mutex // guards the following
	change   sync.Cond  // for the read that waits
	deadline time.Time  // of reads; zero: none
	given    time.Time  // what the system has for one
	reading  int        // how many reads the system is at
	lifted   bool       // the deadline was lifted last, and nothing read since
	waiting  bool       // a read is waiting here
	seen     bool       // tick has seen it
	due      bool       // it goes to the system
	closed   bool
	ticks    *time.Timer // nil: nothing waits, and an idle connection keeps no memory of it
}

// newWatchedConn makes one of a connection that has just been accepted.
func newWatchedConn(conn net.Conn) *watchedConn {
	c := &watchedConn{Conn: conn}
	c.change.L = &c.mu
	return c
}

// Read reads. One byte that is asked for right after the deadline was lifted is
// net/http's way to watch a client; should it ever be another's, it comes late.
func (c *watchedConn) Read(p []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	watch := c.lifted && len(p) == 1 && !c.waiting
	c.lifted = false
	if watch {
		c.wait()
	}
	for err = os.ErrDeadlineExceeded; n == 0 && errors.Is(err, os.ErrDeadlineExceeded); {
		now := time.Now()
		if !c.closed && !c.deadline.IsZero() && !c.deadline.After(now) {
			return 0, err
		}
		c.give(now)
		n, err = c.read(p)
	}
	return n, err
}

// read has the system read.
func (c *watchedConn) read(p []byte) (int, error) {
	c.reading++
	c.mu.Unlock()
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.reading--
	return n, err
}

// give gives the system the deadline, unless it has one that is as good.
func (c *watchedConn) give(now time.Time) {
	early := c.given.After(now) && (c.deadline.IsZero() || !c.given.After(c.deadline))
	if early || c.given.IsZero() && c.deadline.IsZero() {
		return
	}
	c.given = c.deadline
	_ = c.Conn.SetReadDeadline(c.deadline) // on a closed one the read says so
}

// wait waits until there is a deadline, or it has lasted too long.
func (c *watchedConn) wait() {
	c.waiting, c.seen, c.due = true, false, false
	if c.ticks == nil {
		c.ticks = time.AfterFunc(lean.WatchAfter/2, c.tick)
	}
	for c.deadline.IsZero() && !c.due && !c.closed {
		c.change.Wait()
	}
	c.waiting = false
}

// tick sends a read on its way that was waiting already at the tick before. A
// timer of each would cost more than all else here.
func (c *watchedConn) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ticks == nil: // only in tests, which tick by themselves
	case c.waiting && !c.seen:
		c.seen = true
		c.ticks.Reset(lean.WatchAfter / 2)
	default:
		c.ticks = nil
		c.due = true
		c.change.Signal()
	}
}

// SetReadDeadline sets the deadline of reads, also of one that is under way.
func (c *watchedConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline, c.lifted = t, t.IsZero()
	if t.IsZero() {
		return nil
	}
	c.change.Signal()
	if c.reading > 0 && (c.given.IsZero() || c.given.After(t)) {
		c.given = t
		return c.Conn.SetReadDeadline(t)
	}
	return nil
}

// SetDeadline sets both deadlines.
func (c *watchedConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.Conn.SetWriteDeadline(t))
}

// Close closes the connection. What reads, or waits, ends.
func (c *watchedConn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.change.Signal()
	return err
}

// CloseWrite is proxiedConn's.
func (c *watchedConn) CloseWrite() error { return closeWrite(c.Conn) }
