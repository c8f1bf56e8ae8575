package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/posternhq/postern/gateway/problem"
)

// upstream is an application behind the gateway, and how requests reach it. It
// is the http.RoundTripper of its ReverseProxy.
type upstream struct {
	name              string
	keepHost          bool
	passAuthorization bool
	forwardToken      bool
	keepHeaders       []string
	mint              *mint // nil: nothing is minted for it
	balancer          balancer
	budget            *budget // of retries
	retries           prometheus.Counter
	duration          prometheus.Observer   // until the head of its answer
	checkup           *checkup              // nil: no health checks
	proxy             httputil.ReverseProxy // each exchange has a copy, with its own buffer
	nowhere           *url.URL              // of the request that proxy is handed, see outgoing
	log               *slog.Logger
	now               func() time.Time
}

// newUpstream makes an upstream ready. Its name and URLs have been validated.
// What is known of the health of its targets lives on.
func (g *Gateway) newUpstream(s *Snapshot, c *Upstream) (*upstream, error) {
	u := &upstream{
		name: c.Name, keepHost: c.Host != "rewrite",
		passAuthorization: c.Authorization == "pass", forwardToken: c.ForwardToken, keepHeaders: c.KeepHeaders,
		mint: newMint(c.Name, s.identity, g.auth.Assert), budget: newBudget(g.now()), checkup: newCheckup(c, s.publicURL.Host),
		retries: g.metrics.retries.WithLabelValues(c.Name), duration: g.metrics.upstream.WithLabelValues(c.Name), nowhere: new(url.URL), log: g.log, now: g.now,
	}
	transports, err := newTransports(c)
	if err != nil {
		return nil, err
	}
	u.balancer.inTurn = c.Balance == "round_robin"
	for i, raw := range c.URLs {
		a, complaint := parseAddress(raw)
		if complaint != "" {
			return nil, fmt.Errorf("urls[%d]: %s", i, complaint)
		}
		t := &target{serverAddress: a, index: i, transport: transports.of(&a)}
		if t.transport.lean != nil {
			t.transport.lean.Repeat = u.repeat
		}
		if old := g.snap.Load().target(u.name, t.label); old != nil {
			t.health.inherit(&old.health)
		}
		u.balancer.targets = append(u.balancer.targets, t)
	}
	u.proxy = httputil.ReverseProxy{
		Rewrite:        u.rewrite,
		Transport:      u,
		ModifyResponse: g.receive,
		ErrorHandler:   g.upstreamFailed,
		ErrorLog:       slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	return u, nil
}

// forward hands an allowed request to the application, and its answer back.
func (g *Gateway) forward(x *exchange) {
	if x.rt.upstream == nil {
		x.failure = "there is no upstream: this gateway answers forward-auth alone"
		x.refuseCarried(problem.Of(problem.UpstreamUnavailable))
		return
	}
	o := &x.rt.options
	if b := x.body; b != nil {
		b.limit, b.asks = x.maxBody(), x.expects()
		if b.limit > 0 && x.r.ContentLength > b.limit {
			x.refuse(problem.Of(problem.TooLarge))
			return
		}
	}
	if !g.aim(x) {
		x.refuse(problem.Of(problem.BadPath))
		return
	}
	defer func() { x.chosen.release() }() // the one of the last attempt
	if !g.mint(x) {
		return
	}
	r := x.rt.upstream.outgoing(x)
	if x.asks() {
		r = r.WithContext(x.body.heed(r.Context()))
	}
	if o.Timeout > 0 && !x.websocket {
		ctx, cancel := context.WithTimeout(r.Context(), o.Timeout)
		defer func() { x.overdue = errors.Is(ctx.Err(), context.DeadlineExceeded); cancel() }()
		r = r.WithContext(ctx)
	}
	x.upstreamStart = g.now()
	defer func() { // also when the copy of the answer was torn off
		g.streams.remove(x.stream)
		x.countTunnel()
		if x.upstreamTime == 0 {
			x.upstreamTime = g.now().Sub(x.upstreamStart)
		}
	}()
	x.proxy, x.loan.pool = x.rt.upstream.proxy, &g.buffers
	x.proxy.BufferPool = &x.loan
	x.proxy.ServeHTTP(&x.answer, r)
	x.snap.cleanTrailers(x.answer.Header())
	if x.r.ProtoMajor < 2 && x.body.isUnwanted() && x.answer.FlushError() == nil {
		x.body.linger()
	}
}

// maxBody is the least that a route admits which the application may take the
// request for; zero where none has a limit.
func (x *exchange) maxBody() (least int64) {
	for i := range x.match.Routes {
		if n := int64(x.snap.routes[i].options.MaxBody); n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// aim chooses the target, and makes the URL that it is asked for. It answers
// false for a path that cannot be sent.
func (g *Gateway) aim(x *exchange) bool {
	path, ok := x.upstreamPath()
	if !ok {
		return false
	}
	u := x.rt.upstream
	t := u.balancer.choose(x.start, 0)
	if x.wire, ok = t.wireURL(path, x.query, x.hasQuery); !ok {
		t.release()
		return false
	}
	if x.body != nil {
		x.body.calls = isCall(x.r) && t.multiplexes()
	}
	u.budget.earn()
	x.sentPath, x.chosen, x.tried = path, t, tries(0).with(t)
	return true
}

// mint makes what the upstream is told in tokens. Without them the request
// would arrive as nobody's, so a fault ends it.
func (g *Gateway) mint(x *exchange) bool {
	m := x.snap.mint
	if x.rt.upstream != nil {
		m = x.rt.upstream.mint
	}
	if m == nil || !x.proven() {
		return true
	}
	var err error
	if x.minted, err = m.of(&x.presented, x.start); err != nil {
		g.log.Error("an upstream cannot be told who asks", "request_id", x.id, "upstream", m.audience, "error", err.Error())
		x.refuse(problem.Of(problem.Unavailable))
		return false
	}
	return true
}

// expects tells whether the client waits to be told to send its body. Then the
// upstream is asked, and the client told once the upstream has been: an answer
// that comes first (413, 417, 401) spares both the body. An upstream that says
// nothing gets the body after continueTimeout.
func (x *exchange) expects() bool {
	return x.r.ProtoAtLeast(1, 1) && x.r.ContentLength != 0 && len(x.r.Header["Expect"]) == 1
}

// receive looks at the upstream's answer before the client sees it.
func (g *Gateway) receive(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	x.upstreamTime = g.now().Sub(x.upstreamStart)
	if x.body != nil {
		x.body.noteAnswer()
	}
	if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
		return errOddStatus // which net/http would not write
	}
	keepLength(res)
	x.loan.length = res.ContentLength
	x.snap.clean(res.Header)
	x.rt.cors.answer(res.Header, x.r)
	if res.StatusCode == http.StatusSwitchingProtocols { // written past the answer
		x.answer.status = res.StatusCode
		res.Header["X-Request-Id"] = x.answer.id
	}
	if err := g.watchStream(x, res); err != nil {
		return err
	}
	if x.stream == nil || !x.stream.lasting {
		x.answer.take(res)
	}
	return nil
}

// keepLength takes the length out of an answer over HTTP/2 that is not said once
// and plainly. There it bounds nothing, and net/http passes on what it cannot
// read or finds twice; over HTTP/1.1 whoever believes another one of two finds
// another answer in the body (CVE-2026-78660).
func keepLength(res *http.Response) {
	values := res.Header["Content-Length"]
	if res.ProtoMajor < 2 || len(values) == 0 {
		return
	}
	if len(values) > 1 || values[0] != strconv.FormatInt(res.ContentLength, 10) {
		delete(res.Header, "Content-Length")
	}
}

// countTunnel adds what a WebSocket carried to what the exchange did.
func (x *exchange) countTunnel() {
	if t := x.answer.tunnel; t != nil {
		x.answer.bytes, x.answer.stalled = x.answer.bytes+t.down.carried(), t.stalled.Load()
	}
}

// upstreamFailed answers for an upstream that did not. The cause goes to the
// log: addresses are nobody's business outside.
func (g *Gateway) upstreamFailed(_ http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	x.failure, x.answer.status, x.answer.tunnel = failure(err), 0, nil // a refused 101 was not sent
	g.log.Debug("the upstream failed", "request_id", x.id, "error", err.Error())
	p := problem.Of(problem.UpstreamUnavailable)
	var timeout net.Error
	body := x.body.fault()
	switch {
	case isTooSlow(body):
		p = badRequest("The request body arrived too slowly.")
		p.Status = http.StatusRequestTimeout
	case errors.Is(body, errBodyTooLarge):
		p = problem.Of(problem.TooLarge)
	case x.r.Context().Err() != nil: // before a broken body: that is how a client leaves
		x.status, x.reason = statusClientGone, reasonClientGone
		panic(http.ErrAbortHandler) // else net/http answers 200, which a client that has closed one side alone can read
	case body != nil:
		p = badRequest("The request body is malformed.")
	case errors.Is(err, errStreamEnded):
		p = problem.Of(problem.TokenRevoked)
	case errors.Is(err, errStreamStopping):
		p = problem.Of(problem.Unavailable)
	case isConnect(err): // also when that took too long
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		p = problem.Of(problem.UpstreamTimeout)
	}
	if body != nil && x.r.ProtoMajor < 2 {
		x.answer.closes = true
	}
	x.refuseCarried(p)
	if isTooSlow(body) {
		x.reason, x.failure = reasonStalled, "" // the upstream did nothing wrong
	}
}

// refuseCarried is refuse for a request that the policy allowed: that the
// upstream failed is the reason, and not the decision.
func (x *exchange) refuseCarried(p problem.Problem) {
	decision := x.decision
	x.refuse(p)
	x.decision = decision
}

// errOddStatus refuses an answer with a status that HTTP does not have.
var errOddStatus = errors.New("the upstream's status is below 200")

// failure is what the access log says of an upstream that failed. The texts of
// net/http quote the line of an answer that they cannot read, and that line may
// be a cookie: only what is about connections is taken as it is.
func failure(err error) string {
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return op.Error()
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isMistaken(err):
		return "closed the connection"
	case errors.Is(err, errUnwell) || errors.Is(err, errStreamEnded) || errors.Is(err, errStreamStopping) || errors.Is(err, errBodyTooLarge) || errors.Is(err, errOddStatus):
		return err.Error()
	}
	return "no answer that could be read; log level debug has the words"
}

// statusClientGone is what the log says of a client that left before the
// answer. No client sees it.
const statusClientGone = 499
