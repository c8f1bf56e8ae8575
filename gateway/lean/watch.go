package lean

import (
	"cmp"
	"context"
	"errors"
	"os"
	"sync"
	"time"
)

// watch notices that a client leaves while its request is answered. It begins to
// read from the connection once that takes long, see WatchAfter, and what is read
// there belongs to the next request.
type watch struct {
	mu      sync.Mutex // guards the following
	c       *ServerConn
	gone    context.CancelFunc // nil: nothing is answered
	seen    bool               // tick has seen this request
	reading bool
	ended   sync.Cond // reading
	p       []byte    // into which it is read
	n       int       // how much was
	ticks   *time.Timer
}

// begin begins to watch.
func (w *watch) begin(c *ServerConn, gone context.CancelFunc, p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.c, w.gone, w.seen, w.p, w.n = c, gone, false, p, 0
	if w.ticks == nil {
		w.ticks = time.AfterFunc(w.after()/2, w.tick)
	}
}

// after is how long a request may take before it is watched.
func (w *watch) after() time.Duration { return cmp.Or(w.c.s.watchAfter, WatchAfter) }

// tick begins to read for a request that was under way already at the tick before.
// A timer of each would cost more than to answer it.
func (w *watch) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.gone == nil:
		w.ticks = nil // an idle connection keeps no memory of it
	case !w.seen:
		w.seen = true
		w.ticks.Reset(w.after() / 2)
	default:
		w.ticks = nil
		w.read()
	}
}

// read reads until the client sends something, or leaves, or end.
func (w *watch) read() {
	w.reading = true
	_ = w.c.Conn.SetReadDeadline(time.Time{})
	w.mu.Unlock()
	n, err := w.c.Conn.Read(w.p)
	w.mu.Lock()
	w.n, w.reading = n, false
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && w.gone != nil {
		w.gone()
	}
	w.ended.Signal()
}

// leave ends the request as if its client had left.
func (w *watch) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone != nil {
		w.gone()
	}
}

// end ends the watch, and answers how much has come of the next request.
func (w *watch) end() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = nil
	for w.reading {
		_ = w.c.Conn.SetReadDeadline(time.Unix(1, 0)) // ends the read
		w.ended.Wait()
	}
	w.p = nil
	return w.n
}
