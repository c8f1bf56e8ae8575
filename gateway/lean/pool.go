package lean

import (
	"sync"
	"time"
)

// pool keeps the connections that no request uses, the latest on top: those at
// the bottom are the first to have been of no use for long. The zero value is
// ready.
type pool struct {
	mu    sync.Mutex // guards the following
	idle  []*conn
	timer *time.Timer // runs while there are any; nil: never ran
}

// take takes the connection out that was used last, or answers nil. One that
// was idle for too long is none: the timer may be late.
func (p *pool) take(now time.Time, timeout time.Duration) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle) - 1
	if n < 0 || now.Sub(p.idle[n].idle) >= timeout {
		return nil
	}
	c := p.idle[n]
	p.idle[n] = nil
	p.idle = p.idle[:n]
	return c
}

// put keeps a connection. It answers false when there are enough.
func (p *pool) put(c *conn) bool {
	timeout := c.t.IdleTimeout
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= c.t.MaxIdle {
		return false
	}
	p.idle = append(p.idle, c)
	switch {
	case p.timer == nil:
		p.timer = time.AfterFunc(timeout, func() { p.expire(timeout) })
	case len(p.idle) == 1:
		p.timer.Reset(timeout)
	}
	return true
}

// expire closes the connections that were idle for too long, and comes back
// when the next will have been.
func (p *pool) expire(timeout time.Duration) {
	now := time.Now()
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].idle) >= timeout {
		n++
	}
	old := append([]*conn(nil), p.idle[:n]...)
	rest := copy(p.idle, p.idle[n:])
	clear(p.idle[rest:])
	p.idle = p.idle[:rest]
	if rest > 0 {
		p.timer.Reset(p.idle[0].idle.Add(timeout).Sub(now))
	}
	p.mu.Unlock()
	for _, c := range old {
		c.abandon()
	}
}

// closeAll closes all of them.
func (p *pool) closeAll() {
	p.mu.Lock()
	all := p.idle
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, c := range all {
		c.abandon()
	}
}
