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
	"strings"
	"sync/atomic"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
	"github.com/posternhq/postern/policy"
)

// upstream is an application behind the gateway, and how requests reach it.
type upstream struct {
	name              string
	target            *url.URL
	base              string // of the target's path, without a final slash
	keepHost          bool
	passAuthorization bool
	forwardToken      bool
	keepHeaders       []string
	mint              *mint // nil: nothing is minted for it
	transport         *http.Transport
	proxy             *httputil.ReverseProxy
	healthy           atomic.Bool // the last attempt to reach it got an answer
	report            func(healthy bool)
}

// exchangeKey is the context key of the exchange, for the hooks of
// httputil.ReverseProxy.
type exchangeKey struct{}

// exchangeOf is the exchange that forward put into the context. Every request
// that reaches the hooks has one.
func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// newUpstream makes an upstream ready. Its name and URL have been validated.
func (g *Gateway) newUpstream(s *Snapshot, c *Upstream) (*upstream, error) {
	target, err := url.Parse(c.URLs[0])
	if err != nil {
		return nil, fmt.Errorf("urls: %w", err)
	}
	transport, err := newTransport(c)
	if err != nil {
		return nil, err
	}
	u := &upstream{
		name: c.Name, target: target, base: strings.TrimSuffix(target.EscapedPath(), "/"), keepHost: c.Host != "rewrite",
		passAuthorization: c.Authorization == "pass", forwardToken: c.ForwardToken, keepHeaders: c.KeepHeaders, transport: transport,
		mint: newMint(c.Name, s.identity, g.auth.Assert),
	}
	gauge := g.metrics.healthy.WithLabelValues(u.name, target.Scheme+"://"+target.Host)
	u.report = func(healthy bool) {
		if u.healthy.Swap(healthy) != healthy {
			gauge.Set(gaugeOf(healthy))
		}
	}
	u.report(true)
	u.proxy = &httputil.ReverseProxy{
		Rewrite:        u.rewrite,
		Transport:      transport,
		ModifyResponse: g.receive,
		ErrorHandler:   g.upstreamFailed,
		BufferPool:     &g.buffers,
		ErrorLog:       slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	return u, nil
}

// forward hands an allowed request to the application, and its answer back.
func (g *Gateway) forward(x *exchange) {
	o := &x.rt.options
	if o.MaxBody > 0 && x.r.ContentLength > int64(o.MaxBody) {
		x.refuse(problem.Of(problem.TooLarge))
		return
	}
	x.body.limit = int64(o.MaxBody)
	path, ok := x.upstreamPath()
	if ok {
		x.wire, ok = x.rt.upstream.wireURL(path, x.query, x.hasQuery)
	}
	if !ok {
		x.refuse(problem.Of(problem.BadPath))
		return
	}
	if !g.mint(x) {
		return
	}
	ctx := context.WithValue(x.r.Context(), exchangeKey{}, x)
	if o.Timeout > 0 && !x.websocket {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	x.upstreamStart = g.now()
	defer func() { // also when the copy of the answer was torn off
		g.streams.remove(x.stream)
		if x.upstreamTime == 0 {
			x.upstreamTime = g.now().Sub(x.upstreamStart)
		}
	}()
	x.rt.upstream.proxy.ServeHTTP(&x.answer, x.r.WithContext(ctx))
	x.snap.cleanTrailers(x.answer.Header())
}

// mint makes what the upstream is told in tokens. Without them the request
// would arrive as nobody's, so a fault ends it.
func (g *Gateway) mint(x *exchange) bool {
	m := x.rt.upstream.mint
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
	delete(h, "Expect") // the transport would wait for an answer to it; net/http gives the client its own
	out.Trailer = nil   // ReverseProxy would announce the client's trailers, identity headers among them

	out.URL = x.wire
	out.Host = u.target.Host
	if u.keepHost && x.r.Host != "" {
		out.Host = x.r.Host
	}
}

// wireURL is the URL whose request target is, byte for byte, the base path,
// the path and the query as they came: Opaque is written as it is, where Path
// would be encoded anew, and ReverseProxy would drop what it cannot parse of
// the query. A target that begins with two slashes cannot be Opaque; ok is
// false for one that would not be sent as it is.
func (u *upstream) wireURL(path, query string, hasQuery bool) (w *url.URL, ok bool) {
	w = &url.URL{Scheme: u.target.Scheme, Host: u.target.Host, Opaque: u.base + path, RawQuery: query, ForceQuery: hasQuery}
	if strings.HasPrefix(w.Opaque, "//") {
		w.Path, w.RawPath, w.Opaque = unescapePath(w.Opaque), w.Opaque, ""
		return w, w.EscapedPath() == w.RawPath
	}
	return w, true
}

// unescapePath is what url.URL wants beside RawPath to take it as it is.
func unescapePath(raw string) string {
	if p, err := url.PathUnescape(raw); err == nil {
		return p
	}
	return raw
}

// upstreamPath is the path to be sent: the one decided on, or with
// strip_prefix the rest of it, which must be as unambiguous as the whole was.
func (x *exchange) upstreamPath() (string, bool) {
	raw := x.path.String()
	prefix := x.rt.options.StripPrefix
	if prefix == "" {
		return raw, true
	}
	rest, ok := strings.CutPrefix(raw, prefix)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false // the prefix in another spelling: not ours to mend
	}
	if rest == "" {
		return "/", true
	}
	p, err := policy.ParsePath(rest)
	if err != nil || strings.HasPrefix(rest, "//") {
		return "", false
	}
	return p.String(), true
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
	if x.client.IsValid() {
		set("X-Real-Ip", x.client.String())
	}
	set("Traceparent", x.trace.parent)
	if !x.trace.known {
		delete(h, "Tracestate") // belongs to a trace that is not continued
	}
}

// receive looks at the upstream's answer before the client sees it.
func (g *Gateway) receive(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	x.upstreamTime = g.now().Sub(x.upstreamStart)
	x.rt.upstream.report(true)
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

// upstreamFailed answers for an upstream that did not. The cause goes to the
// log: addresses are nobody's business outside.
func (g *Gateway) upstreamFailed(_ http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	x.failure, x.answer.status = failure(err), 0 // a refused 101 was not sent
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
		return
	case body != nil:
		p = badRequest("The request body is malformed.")
	case errors.Is(err, errStreamEnded):
		p = problem.Of(problem.TokenRevoked)
	case errors.Is(err, errStreamStopping):
		p = problem.Of(problem.Unavailable)
	case isDial(err):
		x.rt.upstream.report(false)
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		p = problem.Of(problem.UpstreamTimeout)
	}
	if body != nil && x.r.ProtoMajor < 2 {
		x.answer.closes = true
	}
	decision := x.decision // the policy allowed it; that the upstream failed is the reason
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
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "closed the connection"
	case errors.Is(err, errStreamEnded) || errors.Is(err, errStreamStopping) || errors.Is(err, errBodyTooLarge) || errors.Is(err, errOddStatus):
		return err.Error()
	}
	return "no answer that could be read; log level debug has the words"
}

// statusClientGone is what the log says of a client that left before the
// answer. No client sees it.
const statusClientGone = 499

// isDial tells a failure to connect from one of an exchange: only the first
// says that nobody is there.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
