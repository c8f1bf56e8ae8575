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
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/posternhq/postern/auth"
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
	duration          prometheus.Observer // until the head of its answer
	checkup           *checkup            // nil: no health checks
	proxy             *httputil.ReverseProxy
	log               *slog.Logger
	now               func() time.Time
}

// exchangeKey is the context key of the exchange, for the hooks of
// httputil.ReverseProxy.
type exchangeKey struct{}

// exchangeOf is the exchange that begin put into the context. Every request that
// reaches the hooks has one.
func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// newUpstream makes an upstream ready. Its name and URLs have been validated.
// What is known of the health of its targets lives on.
func (g *Gateway) newUpstream(s *Snapshot, c *Upstream) (*upstream, error) {
	u := &upstream{
		name: c.Name, keepHost: c.Host != "rewrite",
		passAuthorization: c.Authorization == "pass", forwardToken: c.ForwardToken, keepHeaders: c.KeepHeaders,
		mint: newMint(c.Name, s.identity, g.auth.Assert), budget: newBudget(g.now()), checkup: newCheckup(c, s.publicURL.Host),
		retries: g.metrics.retries.WithLabelValues(c.Name), duration: g.metrics.upstream.WithLabelValues(c.Name), log: g.log, now: g.now,
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
	u.proxy = &httputil.ReverseProxy{
		Rewrite:        u.rewrite,
		Transport:      u,
		ModifyResponse: g.receive,
		ErrorHandler:   g.upstreamFailed,
		BufferPool:     &g.buffers,
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
	x.body.limit = x.maxBody()
	if x.body.limit > 0 && x.r.ContentLength > x.body.limit {
		x.refuse(problem.Of(problem.TooLarge))
		return
	}
	if !g.aim(x) {
		x.refuse(problem.Of(problem.BadPath))
		return
	}
	defer func() { x.chosen.release() }() // the one of the last attempt
	if !g.mint(x) {
		return
	}
	r := x.r
	if x.body.asks = x.expects(); x.body.asks {
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
	x.rt.upstream.proxy.ServeHTTP(&x.answer, r)
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
	t := u.balancer.choose(g.now(), 0)
	if x.wire, ok = t.wireURL(path, x.query, x.hasQuery); !ok {
		t.release()
		return false
	}
	x.body.calls = isCall(x.r) && t.multiplexes()
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
	if x.minted, err = m.of(&x.presented, g.now()); err != nil {
		g.log.Error("an upstream cannot be told who asks", "request_id", x.id, "upstream", m.audience, "error", err.Error())
		x.refuse(problem.Of(problem.Unavailable))
		return false
	}
	return true
}

// rewrite turns an admitted request into the one that the upstream receives.
//
// ReverseProxy has already dropped hop-by-hop fields when it calls us, so a
// client cannot name our identity fields in Connection and have them removed
// after we set them (golang/go#50580). That order is why this is Rewrite and
// not Director.
//
// A connection that carried a HEAD carries nothing after it: many an application
// answers with a body none the less, and when that comes a moment later it is
// the answer to somebody else's request, in the words of whoever wrote what was
// asked for. Over HTTP/2 an answer cannot be taken for another's.
func (u *upstream) rewrite(pr *httputil.ProxyRequest) {
	x, out := exchangeOf(pr.In.Context()), pr.Out
	h := out.Header
	x.snap.identity.strip(h, u.keepHeaders) // every spelling, before any is set
	x.snap.cutCookies(h)
	u.credentials(x, h)
	if x.proven() {
		x.snap.identity.set(h, &x.presented.Principal, x.minted)
	}
	u.forwarding(x, h)
	sendOnce(x.r.Method, h)
	if !x.body.asks {
		delete(h, "Expect")
	}
	out.Trailer = nil // ReverseProxy would announce the client's trailers, identity headers among them

	out.URL, out.Host = x.wire, u.hostFor(x)
	out.Close = x.r.Method == http.MethodHead && !x.chosen.h2c
}

// expects tells whether the client waits to be told to send its body. Then the
// upstream is asked, and the client told once the upstream has been: an answer
// that comes first (413, 417, 401) spares both the body. An upstream that says
// nothing gets the body after continueTimeout.
func (x *exchange) expects() bool {
	return x.r.ProtoAtLeast(1, 1) && x.r.ContentLength != 0 && len(x.r.Header["Expect"]) == 1
}

// hostFor is the Host that the target sees.
func (u *upstream) hostFor(x *exchange) string {
	if u.keepHost && x.r.Host != "" {
		return x.r.Host
	}
	return x.chosen.name
}

// proven tells whether the request speaks for a principal.
func (x *exchange) proven() bool {
	return x.presented.Kind != auth.NoCredential && x.presented.Err == nil
}

// credentials takes the gateway's tokens out, and hands one on where the
// upstream is to have it.
func (u *upstream) credentials(x *exchange, h http.Header) {
	if !u.passAuthorization && !x.foreignBearer {
		delete(h, "Authorization")
	}
	for _, name := range x.snap.tokenHeaders {
		delete(h, name)
	}
	if u.forwardToken && x.proven() {
		h["Authorization"] = []string{"Bearer " + x.presented.Token}
	}
}

// forwarding says which way the request came. All of it is ours: what the
// client said was stripped, what trusted hops said was read by normalise.
func (u *upstream) forwarding(x *exchange, h http.Header) {
	v := make([]string, 0, 6)
	set := func(name, value string) {
		if value != "" {
			v = append(v, value)
			h[name] = v[len(v)-1 : len(v) : len(v)]
		}
	}
	set("X-Forwarded-For", x.forwarded)
	set("X-Forwarded-Host", x.r.Host)
	set("X-Forwarded-Proto", x.scheme)
	set("X-Forwarded-Prefix", x.rt.options.StripPrefix)
	set("X-Real-Ip", x.clientText())
	set("Traceparent", x.trace.parent)
	if !x.trace.known {
		delete(h, "Tracestate") // belongs to a trace that is not continued
	}
}

// receive looks at the upstream's answer before the client sees it.
func (g *Gateway) receive(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	x.upstreamTime = g.now().Sub(x.upstreamStart)
	x.body.noteAnswer()
	if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
		return errOddStatus // which net/http would not write
	}
	x.snap.clean(res.Header)
	x.rt.cors.answer(res.Header, x.r)
	if res.StatusCode == http.StatusSwitchingProtocols { // written past the answer
		x.answer.status = res.StatusCode
		res.Header["X-Request-Id"] = x.answer.id
	}
	return g.watchStream(x, res)
}

// countTunnel adds what a WebSocket carried to what the exchange did.
func (x *exchange) countTunnel() {
	if t := x.answer.tunnel; t != nil {
		x.answer.bytes, x.answer.stalled = x.answer.bytes+t.down.carried(), t.stalled.Load()
		x.body.add(t.up.carried())
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
