package lean

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxBody is the longest body of a request that is carried here, in bytes.
const maxBody = 16 << 10

// Transport is an http.RoundTripper for the requests of one address. Its fields
// are set before the first of them.
type Transport struct {
	// Dial opens a connection to the address.
	Dial func(ctx context.Context) (net.Conn, error)

	// Else carries what is not plain.
	Else http.RoundTripper

	// Repeat is asked before a request is sent a second time, because a
	// connection that was kept ended before a byte of its answer came: the
	// address may have received it, or may have hung up before. It is never
	// asked about a request with a body. Nil: none is.
	Repeat func(*http.Request) bool

	// HeaderTimeout bounds the wait for the header of an answer, from when its
	// request was sent. Zero: nothing does.
	HeaderTimeout time.Duration

	// MaxHeader bounds the header of an answer, in bytes.
	MaxHeader int64

	// IdleTimeout is how long a connection is kept that no request uses, and
	// MaxIdle how many are.
	IdleTimeout time.Duration
	MaxIdle     int

	watchAfter time.Duration // zero: the constant, for which tests cannot wait

	under atomic.Int64 // requests whose answer has not come yet
	pool  pool
	heads sync.Pool // of *[]byte: the head of a request while it is written
}

var _ http.RoundTripper = (*Transport)(nil)

// RoundTrip sends a request and reads the header of its answer, both on the
// goroutine of the caller. The connection is the answer's until its body was
// read to the end or closed; Close may be called while another goroutine reads.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) { return t.Send(r, nil) }

// Send is RoundTrip for a request with more fields than are in its Header,
// which has none of their names. They come last, in their order. Where the
// request is handed to Else they are put into its Header.
//
// Requests that came together leave together, see yield. An application that is
// written to while it is at work is not woken, and to wake one costs more than
// all that is done for a request here.
func (t *Transport) Send(r *http.Request, more Fields) (*http.Response, error) {
	t.under.Add(1)
	defer t.under.Add(-1)
	t.yield()
	if !plain(r) {
		return t.hand(r, more)
	}
	buf, ok := t.heads.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	defer t.heads.Put(buf)
	head, ok := appendHead((*buf)[:0], r, more)
	*buf = head
	if !ok {
		return t.hand(r, more)
	}
	if r.Body == nil {
		return t.send(r, head)
	}
	return t.sendBody(r, more, buf)
}

// yield has the goroutines of other requests get as far as this one. Where there
// are none it would only wake a thread that looks for some.
func (t *Transport) yield() {
	if t.under.Load() > 1 {
		runtime.Gosched()
	}
}

// hand has Else carry a request.
func (t *Transport) hand(r *http.Request, more Fields) (*http.Response, error) {
	more.Set(r.Header)
	return t.Else.RoundTrip(r)
}

// CloseIdleConnections lets go of the connections that no request uses. Those of
// Else are not touched.
func (t *Transport) CloseIdleConnections() { t.pool.closeAll() }

// send sends a request without a body over a connection that was kept, or over a new one. Once
// it is sent again, over a new one: when the one that was kept ended before a
// byte of an answer, and it was either not written at all or may be repeated.
func (t *Transport) send(r *http.Request, head []byte) (*http.Response, error) {
	ctx := r.Context()
	for fresh := false; ; fresh = true {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c, err := t.connection(ctx, fresh)
		if err == nil {
			var res *http.Response
			if res, err = c.exchange(r, head); err == nil {
				return res, nil
			}
			c.abandon()
		}
		if ctx.Err() != nil || c == nil || !c.hungUp(err) || c.written > 0 && (t.Repeat == nil || !t.Repeat(r)) {
			return nil, cause(ctx, err)
		}
	}
}

// sendBody sends a request whose body has come in one piece, behind the head
// that is in buf. The connection is there before the body is touched: a body
// that nobody listens to can be sent elsewhere.
//
// A body that comes in pieces is handed on whole. The application may answer
// before its end, which would not be seen here, and nothing of the request was
// sent yet.
func (t *Transport) sendBody(r *http.Request, more Fields, buf *[]byte) (*http.Response, error) {
	ctx := r.Context()
	c, err := t.connection(ctx, false)
	if err != nil {
		r.Body.Close()
		return nil, cause(ctx, err)
	}
	head := len(*buf)
	*buf = slices.Grow(*buf, int(r.ContentLength))
	n, err := readPiece(r, (*buf)[head:head+int(r.ContentLength)])
	*buf = (*buf)[:head+n]
	whole := int64(n) == r.ContentLength && err == nil
	if !whole || c.kept && !c.quiet() { // it may have taken its time
		c.release(c.quiet())
		c = nil
	}
	switch {
	case err != nil:
		r.Body.Close()
		return nil, err
	case !whole:
		r = r.WithContext(ctx) // a copy: the caller's keeps its body
		r.Body = &rest{Reader: io.MultiReader(bytes.NewReader(slices.Clone((*buf)[head:])), r.Body), Closer: r.Body}
		return t.hand(r, more)
	}
	defer r.Body.Close()
	if c == nil {
		if c, err = t.connection(ctx, true); err != nil {
			return nil, cause(ctx, err)
		}
	}
	res, err := c.exchange(r, *buf)
	if err != nil {
		c.abandon()
		return nil, cause(ctx, err)
	}
	return res, nil
}

// rest is a body of which a piece was read.
type rest struct {
	io.Reader
	io.Closer
}

// readPiece reads once, and when the body has come whole, its end. An error is
// one of the body.
func readPiece(r *http.Request, p []byte) (int, error) {
	n, err := r.Body.Read(p)
	switch {
	case err == io.EOF && n < len(p):
		return n, io.ErrUnexpectedEOF
	case err == nil && n == len(p):
		var more [1]byte
		if n, err := io.ReadFull(r.Body, more[:]); n > 0 {
			return 0, errBodyTooLong
		} else if err != io.EOF {
			return 0, err
		}
	case err != nil && err != io.EOF:
		return n, err
	}
	return n, nil
}

// cause is the end of the context, where it has ended: the rest follows from it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// connection takes one that was kept and still is alive, or dials.
func (t *Transport) connection(ctx context.Context, fresh bool) (*conn, error) {
	for !fresh {
		c := t.pool.take(time.Now(), t.IdleTimeout)
		if c == nil {
			break
		}
		if c.quiet() {
			return c, nil
		}
		c.abandon()
	}
	nc, err := t.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return newConn(t, nc)
}
