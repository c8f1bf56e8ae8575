package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"time"
)

// A body must keep arriving: after bodyGrace, at bodyRate bytes per second on
// average. Otherwise a client could hold a connection, and the upstream's
// worker behind it, for one byte now and then (R-U-Dead-Yet, slow POST). And
// none may stop for longer than Limits.ClientIdle: who has sent a gigabyte has a
// good average for days.
const (
	bodyGrace = 20 * time.Second
	bodyRate  = 1 << 10
)

var errBodyTooLarge = errors.New("request body too large")

// requestBody is the request's body on its way to the upstream: counted,
// bounded, and not too slow.
//
// It is read by a goroutine of http.Transport, which may still be at it when
// the upstream has answered early and the handler has returned. From then on
// conn belongs to the next request, or over HTTP/2 to nobody: touching it there
// ends the process. So release comes first, and conn is used under the lock.
type requestBody struct {
	body  io.ReadCloser
	grace time.Duration // bodyGrace, but in tests
	idle  time.Duration // Limits.ClientIdle
	limit int64         // zero: none
	h2    bool          // came over HTTP/2
	calls bool          // a stream of messages, which come when there is something to say
	asks  bool          // the client sends nothing before it is told to (100-continue)

	mu     sync.Mutex // guards the following
	conn   *http.ResponseController
	begun  bool // something was read, or may have been
	over   bool // the exchange has ended: nothing below changes any more
	bytes  int64
	waited time.Duration // for the client; an upstream that takes its time is not the client's fault
	ended  bool
	err    error // why reading ended, when not at the end of the body

	asked    time.Time     // when the upstream was asked whether it wants the body; zero: it was not
	wanted   bool          // it said so
	answered bool          // it has answered the request
	parting  chan struct{} // closed when the exchange has ended; nil: nobody waits for that
}

// Read reads on, within the limits.
func (b *requestBody) Read(p []byte) (int, error) {
	b.awaitConsent()
	began := time.Now()
	if !b.await(began) {
		return 0, http.ErrBodyReadAfterClose
	}
	b.begin()
	n, err := b.body.Read(p)
	return b.note(n, err, time.Since(began))
}

// await sets the time until which the client may let us wait.
func (b *requestBody) await(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return false
	}
	if b.calls {
		_ = b.conn.SetReadDeadline(time.Time{})
		return true
	}
	allowed := min(b.idle, b.grace+time.Duration(b.bytes/bodyRate)*time.Second-b.waited)
	_ = b.conn.SetReadDeadline(now.Add(allowed)) // not supported: only in tests without a connection
	return true
}

// note counts what was read. The read deadline is lifted at the end of the
// body: net/http watches the connection from then on, and would take a deadline
// that passes during a long answer for a client that has gone.
func (b *requestBody) note(n int, err error, waited time.Duration) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return n, err
	}
	b.waited += waited
	b.bytes += int64(n)
	switch {
	case b.limit > 0 && b.bytes > b.limit:
		b.err = errBodyTooLarge
		return 0, b.err
	case err == io.EOF:
		b.ended = true
		_ = b.conn.SetReadDeadline(time.Time{})
	case err != nil:
		b.err = err
	}
	return n, err
}

// release parts the body from its connection, at the end of the exchange and
// before the handler returns. Over HTTP/1 net/http takes what is left of it, within
// the deadline. Over HTTP/2 it does not, and would keep a stream that its client
// has reset, and what had come of the body, until the deadline.
func (b *requestBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.h2 && !b.ended {
		_ = b.conn.SetReadDeadline(time.Time{})
		_ = b.body.Close()
	}
	if b.parting != nil {
		close(b.parting)
		b.parting = nil
	}
}

// heed tells the body what the upstream says to whether it wants it.
func (b *requestBody) heed(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Wait100Continue: func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked = time.Now()
		},
		Got100Continue: func() { // may come before the other
			b.mu.Lock()
			defer b.mu.Unlock()
			b.wanted = true
		},
	})
}

// noteAnswer notes that the upstream has answered.
func (b *requestBody) noteAnswer() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered = true
}

// awaitConsent waits where the transport reads a body that the upstream does not
// want: it has answered, and said nothing of the connection's end. Then
// http.Transport sends the body, so that it can use the connection again; but to
// read it is to tell the client to send it. Waiting until the exchange has ended
// costs no more than that connection.
func (b *requestBody) awaitConsent() {
	b.mu.Lock()
	left := continueTimeout - time.Since(b.asked)
	if !b.asks || b.over || b.wanted || b.asked.IsZero() || left <= 0 {
		b.mu.Unlock()
		return
	}
	parting := make(chan struct{})
	b.parting = parting // one goroutine reads at a time
	b.mu.Unlock()
	select {
	case <-parting:
		return
	case <-time.After(left):
	}
	b.mu.Lock()
	answered := b.answered
	b.mu.Unlock()
	if answered {
		<-parting
	}
}

// Close closes the body.
func (b *requestBody) Close() error { return b.body.Close() }

// received is how many bytes of the body have come.
func (b *requestBody) received() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// lingering is how long a client may go on with a body that nobody wants any
// more, while it gets to read the answer.
const lingering = time.Second

// linger takes what still comes of a body that the upstream has stopped reading,
// once the answer is sent. A connection that is closed while its client writes
// is reset, and the answer lost with it. net/http sees to that by itself, but
// not where a read that is under way has to be broken off: its error is taken
// for the body's end.
func (b *requestBody) linger() {
	b.mu.Lock()
	b.over = true
	_ = b.conn.SetReadDeadline(time.Now().Add(lingering))
	b.mu.Unlock()
	_, _ = io.Copy(io.Discard, b.body)
}

// shortBody is how much of a body is taken over HTTP/2 that nobody has looked at.
const shortBody = 64 << 10

// takeShortBody takes a short body that nobody has looked at, before the exchange
// ends, where the client is known to be sending it. Over HTTP/2 net/http resets a
// stream that has ended here and not there; it may, but curl up to 7.88, which then
// has half a request in hand, loses the answer with it. Over HTTP/1.1 net/http takes
// such a body by itself. The length that comes with a question of forward-auth may
// be that of a body that never does.
func (x *exchange) takeShortBody() {
	n := x.r.ContentLength
	sent := x.body != nil && x.r.ProtoMajor == 2 && x.question == nil && !x.expects()
	if sent && 0 < n && n <= shortBody && x.upstreamStart.IsZero() && x.body.isFresh() {
		x.body.linger()
	}
}

// isUnwanted tells whether reading has begun, and stopped before the end for no
// reason of the body's. There may be no body.
func (b *requestBody) isUnwanted() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.begun && !b.ended && b.err == nil
}

// isRead tells whether the body was read to its end.
func (b *requestBody) isRead() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// fault is why reading ended before the end of the body; nil when it did not, and
// where there is no body.
func (b *requestBody) fault() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// isCall tells a call of gRPC, whose body may be a stream of messages that lasts
// as long as the call: it has no pace, and the keep-alives of TCP see to dead
// clients.
func isCall(r *http.Request) bool {
	return r.ProtoMajor >= 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// begin notes that from now on the body is not whole any more.
func (b *requestBody) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = true
}

// isFresh tells whether nothing was read, so that it can still be sent.
func (b *requestBody) isFresh() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.begun
}

// isTooSlow tells whether a body was given up on.
func isTooSlow(fault error) bool { return errors.Is(fault, os.ErrDeadlineExceeded) }
