package main

import (
	"context"
	"io"
	"sync"
	"time"
)

// queuedAtMost bounds what requests have logged and nobody has written yet, in
// bytes: some thousand lines.
const queuedAtMost = 1 << 20

// gathering is how long lines of requests wait for others after some have been
// written: to write each as it comes would cost a busy gateway a call for each.
const gathering = 5 * time.Millisecond

// logQueue stands between the requests and a log. They leave their lines here,
// and one goroutine writes all that have come with one call: so no request
// waits for a disk, and a busy gateway makes a fraction of the calls.
//
// No line is lost for want of room. When the log takes nothing for so long that
// the queue is full, requests wait for it, as they would without a queue. All
// lines but theirs are written before Write returns, behind what was queued: what
// says why a process ends is there when it has ended.
type logQueue struct {
	w    io.Writer
	wake chan struct{} // that there is something to write

	out   sync.Mutex // held while writing; before mu
	spare []byte     // guarded by out: what was written last, for its memory

	mu      sync.Mutex // guards the following
	queued  []byte
	running bool // run sees to what is queued
}

// newLogQueue queues nothing before run: until then each line is written at once.
func newLogQueue(w io.Writer) *logQueue {
	return &logQueue{w: w, wake: make(chan struct{}, 1)}
}

// Write writes lines behind those that are queued, and returns when they are
// written. The underlying writer answers for its errors.
func (q *logQueue) Write(lines []byte) (int, error) {
	q.add(lines)
	return len(lines), q.flush()
}

// add queues lines, and tells whether somebody has to write them now.
func (q *logQueue) add(lines []byte) (now bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued = append(q.queued, lines...)
	return !q.running || len(q.queued) > queuedAtMost
}

// flush writes what is queued.
func (q *logQueue) flush() error {
	q.out.Lock()
	defer q.out.Unlock()
	q.mu.Lock()
	lines := q.queued
	q.queued = q.spare[:0]
	q.mu.Unlock()
	q.spare = lines
	if len(lines) == 0 {
		return nil
	}
	_, err := q.w.Write(lines)
	return err
}

// run writes what requests log until ctx ends, and what is left then. After
// that, as before, whoever logs writes.
func (q *logQueue) run(ctx context.Context) error {
	q.seen(true)
	var written time.Time
	var due <-chan time.Time // nil: nothing waits
	for {
		select {
		case <-q.wake:
			if due == nil {
				due = time.After(gathering - time.Since(written)) // at once after a pause
			}
		case <-due:
			due = nil
			_ = q.flush() // the writer has said so
			written = time.Now()
		case <-ctx.Done():
			q.seen(false)
			return q.flush()
		}
	}
}

// seen notes whether run sees to the lines.
func (q *logQueue) seen(running bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running = running
}

// requestLines is the queue for the lines of requests, which nobody waits for.
type requestLines struct{ *logQueue }

// Write leaves lines to be written.
func (r requestLines) Write(lines []byte) (int, error) {
	if r.add(lines) {
		return len(lines), r.flush()
	}
	select {
	case r.wake <- struct{}{}:
	default: // it knows
	}
	return len(lines), nil
}
