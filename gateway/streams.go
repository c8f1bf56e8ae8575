package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/auth"
)

// Why a stream is refused although its upstream answered: the session ended
// while it was opened, or the gateway is stopping.
var (
	errStreamEnded    = errors.New("the session of this stream has ended")
	errStreamStopping = errors.New("the gateway is stopping")
)

// How often a stream's session is asked whether it is over, at most and at
// least (a reload may have shortened its life), and after a store that did not
// answer.
const (
	askAtMost  = time.Second
	askAtLeast = time.Hour
	askAway    = 10 * time.Second
	askTimeout = 5 * time.Second
)

// stream is an answer that lasts: a WebSocket, or a body without a length. It
// outlives the access token that opened it, and ends with the session.
//
// A session that somebody ends is told by the feed of revocations. One that
// runs out of time is told by nobody: until the access token expires that
// vouches for it, then the store is asked, and again when the session would be
// over unless its refresh token was used meanwhile.
type stream struct {
	session, account string
	version          int64
	lasting          bool          // has no end of its own: stopping does not wait for it
	end              func(closing) // see finish
	why              atomic.Uint32 // a closing: the gateway has ended it; zero: it has not
	ask              *time.Timer   // when the session is asked next; guarded by the streams' mutex
}

// streams are those under way. The zero value is ready.
type streams struct {
	mu      sync.Mutex // guards the following
	open    map[*stream]struct{}
	closed  bool
	drained chan struct{} // closed when the last one has ended after close
}

// isLasting tells a WebSocket or an event stream, which ends when one side
// goes, from a download, which ends when it is done.
func isLasting(res *http.Response) bool {
	media, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	return res.StatusCode == http.StatusSwitchingProtocols || strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}

// watchStream registers an answer that may last longer than its caller is
// welcome, then asks once more whether the principal still is one: a revocation
// between the first look and now has been told to everybody who was registered
// by then.
func (g *Gateway) watchStream(x *exchange, res *http.Response) error {
	lasting := isLasting(res)
	if !lasting && (res.ContentLength >= 0 || !x.proven()) {
		return nil
	}
	s := &stream{lasting: lasting, end: x.endable(res, lasting)}
	if x.proven() {
		p := x.presented.Principal
		s.session, s.account, s.version = p.Session, p.ID, p.Version
	}
	if !g.streams.add(s) {
		return errStreamStopping
	}
	x.stream = s
	if !x.proven() {
		return nil
	}
	if _, err := g.auth.Prove(x.presented.Token, g.now()); errors.Is(err, auth.ErrTokenRevoked) {
		return errStreamEnded
	}
	g.askSession(s, x.presented.Principal.Expires)
	return nil
}

// endable makes the answer one that can be ended by another goroutine than the
// one that carries it, and answers how. A WebSocket says goodbye. When the gateway
// stops, the client of an event stream has all that there was: it ends as if the
// application had ended it. Everything else must not look whole.
func (x *exchange) endable(res *http.Response, lasting bool) func(closing) {
	if conn, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		x.answer.tunnel = newTunnel(conn, x.snap.clientIdle)
		res.Body = upstreamEnd{x.answer.tunnel}
		return x.answer.tunnel.end
	}
	body := &endableBody{ReadCloser: res.Body, lasting: lasting}
	res.Body = body
	return body.end
}

// endableBody is the body of an answer that the gateway may end.
type endableBody struct {
	io.ReadCloser
	lasting bool        // an event stream
	whole   atomic.Bool // it ends here for good
}

// Read reads on, until the end.
func (b *endableBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && b.whole.Load() {
		err = io.EOF
	}
	return n, err
}

// end has whoever reads end: with an error, but for an event stream when the
// gateway stops.
func (b *endableBody) end(why closing) {
	b.whole.Store(b.lasting && why == closingDown)
	_ = b.Close()
}

// finish ends the stream. It may be called from any goroutine.
func (s *stream) finish(why closing) {
	s.why.CompareAndSwap(0, uint32(why))
	s.end(why)
}

// askSession asks, at a time, whether a stream's session is over.
func (g *Gateway) askSession(s *stream, at time.Time) {
	g.streams.later(s, at.Sub(g.now()), func() { g.endWithSession(s) })
}

// endWithSession ends a stream whose session is over, or asks again when it
// would be. A store that is away ends no stream: like an access token it goes
// on with what was known.
func (g *Gateway) endWithSession(s *stream) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	now := g.now()
	switch end, err := g.auth.SessionEnd(ctx, s.session); {
	case errors.Is(err, auth.ErrNotFound):
		s.finish(closingSession)
	case err != nil:
		g.askSession(s, now.Add(askAway))
	default:
		g.askSession(s, now.Add(min(max(end.Sub(now), askAtMost), askAtLeast)))
	}
}

// later runs f after a while, unless the stream has ended by then.
func (t *streams) later(s *stream, d time.Duration, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, open := t.open[s]; open {
		s.ask = time.AfterFunc(d, f)
	}
}

// add answers false to what would not end by itself once the gateway stops.
func (t *streams) add(s *stream) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed && s.lasting {
		return false
	}
	if t.open == nil {
		t.open = map[*stream]struct{}{}
	}
	t.open[s] = struct{}{}
	return true
}

// count says how many there are.
func (t *streams) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// remove forgets a stream that has ended; nil is none.
func (t *streams) remove(s *stream) {
	if s == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, s)
	if s.ask != nil {
		s.ask.Stop()
	}
	if t.closed && len(t.open) == 0 && t.drained != nil {
		close(t.drained)
		t.drained = nil
	}
}

// revoke ends the streams that a revocation is about.
func (t *streams) revoke(r auth.Revocation) {
	t.end(closingSession, func(s *stream) bool {
		switch r.Kind {
		case auth.RevokeSessionTokens:
			return s.session != "" && s.session == r.ID
		case auth.RevokeAccountTokens:
			return s.account != "" && s.account == r.ID && s.version < r.Version
		}
		return false
	})
}

// end ends streams outside the lock: that may block.
func (t *streams) end(why closing, which func(*stream) bool) {
	t.mu.Lock()
	var ending []*stream
	for s := range t.open {
		if which(s) {
			ending = append(ending, s)
		}
	}
	t.mu.Unlock()
	for _, s := range ending {
		s.finish(why)
	}
}

// close ends the lasting streams for good and waits until all are gone or ctx
// ends. http.Server.Shutdown does not know of hijacked connections, and would
// wait for event streams until its patience ends.
func (t *streams) close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	if len(t.open) == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.drained == nil {
		t.drained = make(chan struct{})
	}
	drained := t.drained
	t.mu.Unlock()
	t.end(closingDown, func(s *stream) bool { return s.lasting })
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
