package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// maxAttempts bounds how often one request is sent.
const maxAttempts = 4

// RoundTrip sends a request to the target that was chosen for it, and where
// that is safe to another one when the connection fails. httputil.ReverseProxy
// calls it on the goroutine of the exchange.
//
// It is safe for methods that mean the same when they arrive twice (RFC 9110
// section 9.2.2), before a byte of an answer was seen, and with a body only
// when nothing of it was read. A budget bounds it, see there.
func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	sent := x.upstreamStart
	for attempt := 1; ; attempt++ {
		res, err := x.chosen.roundTrip(r, x.own, x.websocket)
		if err == nil {
			u.note(x.chosen, x.chosen.health.answered(sent), nil)
			return res, nil
		}
		u.blame(x, err)
		if attempt == maxAttempts || !x.mayRetry(r, err) || !u.budget.spend(u.now()) {
			return nil, err
		}
		next, ok := u.again(x, r, err)
		if !ok {
			return nil, err
		}
		u.retries.Inc()
		r, sent = next, u.now()
	}
}

// again aims a request at the next target. A single one is asked again when it
// was there and its connection broke, which happens to those that were kept;
// where nobody is, nobody is a moment later.
func (u *upstream) again(x *exchange, r *http.Request, err error) (*http.Request, bool) {
	next := u.balancer.choose(u.now(), x.tried)
	if next == nil {
		if isConnect(err) {
			return nil, false
		}
		next, x.tried = u.balancer.choose(u.now(), 0), 0
	}
	x.chosen.release()
	x.chosen, x.tried = next, x.tried.with(next)
	wire, ok := next.wireURL(x.sentPath, x.query, x.hasQuery)
	if !ok {
		return nil, false
	}
	r = r.WithContext(r.Context()) // a copy: the failed attempt may still look at its own
	r.Header = x.own.Without(r.Header)
	x.wire, r.URL, r.Host = wire, wire, u.hostFor(x)
	if r.Body != nil && x.body != nil {
		r.Body = io.NopCloser(x.body) // the one before counts as closed; nothing was read from it
	}
	return r, true
}

// blame notes at the target that it failed. A client that left, a body that
// broke off, or the route's own time limit, say nothing about it, and neither
// does a lack of files here: else clients could take an application out.
func (u *upstream) blame(x *exchange, err error) {
	switch {
	case x.r.Context().Err() != nil || x.body.fault() != nil:
	case errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, context.Canceled):
	case isConnect(err):
		u.note(x.chosen, x.chosen.health.refused(u.now()), err)
	case x.chosen.isBroken(err):
		u.note(x.chosen, x.chosen.health.broke(u.now()), err)
	}
}

// note logs that a target is out, or with a nil error back.
func (u *upstream) note(t *target, changed bool, err error) {
	switch {
	case !changed || err == nil && !t.health.healthy(): // an answer, but its checks fail
	case err != nil:
		u.log.Warn("an address of an upstream is out", "upstream", u.name, "url", t.label, "error", failure(err))
	default:
		u.log.Info("an address of an upstream is back", "upstream", u.name, "url", t.label)
	}
}

// mayRetry tells whether a request that failed can be sent again without being
// done twice. A client that is gone wants nothing any more.
func (x *exchange) mayRetry(r *http.Request, err error) bool {
	switch {
	case !idempotent(r.Method) || r.Context().Err() != nil:
		return false
	case isConnect(err): // not a byte was sent
		return r.Body == nil || x.body.isFresh()
	}
	return r.Body == nil && x.chosen.isBroken(err)
}

// repeat is asked by the lean transport before it sends a request again: on a
// connection that was kept it may have been lost, or received. That is held
// against nobody, but counts as a retry.
func (u *upstream) repeat(r *http.Request) bool {
	if !idempotent(r.Method) || !u.budget.spend(u.now()) {
		return false
	}
	u.retries.Inc()
	return true
}

// idempotent tells the methods of RFC 9110 that are, and no other: what
// extensions mean is the application's.
func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// sendOnce keeps net/http from sending a request twice by itself, past mayRetry
// and the budget: it takes these names of a client's, as it spells them, for
// leave to repeat any method without a body. Only the application can tell
// whether it heeds them; in lower case they say the same to it.
func sendOnce(method string, h http.Header) {
	if idempotent(method) {
		return
	}
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := h[name]; ok {
			delete(h, name)
			h[strings.ToLower(name)] = values
		}
	}
}

// isConnect tells a failure to connect from one of an exchange: only the first
// says that nobody is there, and that nothing was sent.
func isConnect(err error) bool {
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &certificate) || errors.As(err, &record)
}

// isBroken tells a connection that ended before a byte of an answer. An answer
// that broke off within its header is io.ErrUnexpectedEOF; over HTTP/2, where
// many share a connection, it is how each of them learns that it was lost.
func (t *target) isBroken(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) {
		return !op.Timeout()
	}
	return errors.Is(err, io.EOF) || isMistaken(err) || t.h2c && errors.Is(err, io.ErrUnexpectedEOF)
}

// isMistaken tells what http.Transport says of a connection that it closed
// under a request, or had closed before it sent it, through no fault of either
// side: see endedUnused; and where the request before on this connection was
// cancelled at the moment when its answer came, which had no body, the
// connection is another's already when the cancellation closes it. The request
// itself was not cancelled: whoever asks has made sure of that.
func isMistaken(err error) bool {
	return err.Error() == endedUnused || errors.Is(err, context.Canceled)
}

// endedUnused is what http.Transport says of a connection that the other side
// has ended before the request that it was made for came to be sent. It has no
// name outside of net/http, which itself tries again only where the connection
// was used before.
const endedUnused = "http: server closed idle connection"

// How many retries an upstream's requests may cause: so many for each hundred
// requests, and so many in a second beside, saved up to a bound.
const (
	retryPercent   = 20
	retryPerSecond = 5
	retrySaved     = 100
)

// budget bounds the retries of an upstream, so that one that is going down
// under its load does not get a multiple of it.
type budget struct {
	requests atomic.Int64 // since the last retry

	mu     sync.Mutex // guards the following
	tokens float64
	last   time.Time
}

// newBudget makes a budget with all that can be saved.
func newBudget(now time.Time) *budget { return &budget{tokens: retrySaved, last: now} }

// earn counts a request.
func (b *budget) earn() { b.requests.Add(1) }

// spend takes one retry out, or answers false when there is none left.
func (b *budget) spend(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens += float64(b.requests.Swap(0)) * retryPercent / 100
	if elapsed := now.Sub(b.last); elapsed > 0 {
		b.tokens += elapsed.Seconds() * retryPerSecond
		b.last = now
	}
	b.tokens = min(b.tokens, retrySaved)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
