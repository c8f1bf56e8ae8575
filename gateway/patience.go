package gateway

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// patientConn is a connection whose other side may take what is written as
// slowly as it likes, and is given up once it takes nothing at all for too long.
// Write then fails as timed out.
//
// How much one Write has does not matter: what counts is that something was
// taken. The system only says so when a deadline ends, so its deadlines are a
// part of the patience, and each is renewed late: one that was set a moment ago
// is as good, and most writes cost none.
//
// A deadline that somebody sets counts, in place of the patience, until it is
// lifted: net/http's during a TLS handshake and HTTP/2's, or a tunnel's.
type patientConn struct {
	net.Conn
	patience func() time.Duration // how long is too long

	mu     sync.Mutex // guards the following
	strict bool       // somebody has set a deadline
	until  time.Time  // the deadline that the system has from Write; zero: none
}

// patienceParts is how many deadlines the patience is made of. Who takes nothing
// is given up a part late at most, after the part in which something was taken.
const patienceParts = 4

// Write writes for as long as the other side takes something.
func (c *patientConn) Write(p []byte) (n int, err error) {
	patience, taken := c.patience(), time.Now()
	c.arm(taken, patience)
	for {
		m, err := c.Conn.Write(p[n:])
		n += m
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		now := time.Now()
		if m > 0 {
			taken = now
		}
		if now.Sub(taken) >= patience || !c.arm(now, patience) {
			return n, err
		}
	}
}

// arm sees that the system has a deadline, of a part of the patience or nearly.
// It answers false when somebody else has set one.
func (c *patientConn) arm(now time.Time, patience time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.strict {
		return false
	}
	part := patience / patienceParts
	if left := c.until.Sub(now); left < part/2 || left > part {
		c.until = now.Add(part)
		_ = c.Conn.SetWriteDeadline(c.until) // on a closed one the write says so
	}
	return true
}

// SetWriteDeadline sets the deadline that counts in place of the patience; zero
// lifts it. Where there is none to be lifted the system is not asked.
func (c *patientConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.IsZero() && !c.strict {
		return nil
	}
	c.strict, c.until = !t.IsZero(), time.Time{}
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline sets both deadlines.
func (c *patientConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetWriteDeadline(t), c.Conn.SetReadDeadline(t))
}

// CloseWrite is proxiedConn's.
func (c *patientConn) CloseWrite() error { return closeWrite(c.Conn) }
