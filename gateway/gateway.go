package gateway

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
	"github.com/posternhq/postern/policy"
)

// Authenticator is what the gateway needs of *auth.Service: to learn who is
// asking, and when that ends.
type Authenticator interface {
	// Prove proves an access token, see auth.Presented for its errors. The
	// Principal is everybody's who brings that token: it must not be changed.
	Prove(raw string, now time.Time) (*auth.Principal, error)
	// Issued tells whether a token claims to be one of ours.
	Issued(raw string) bool
	// Assert signs a statement about a proven principal for one audience, which
	// is never an access token.
	Assert(p *auth.Principal, audience string, expires time.Time) (string, error)
	// OnRevoke calls f for every revocation from now on.
	OnRevoke(f func(auth.Revocation))
	// Healthy says why the store did not answer last; nil when it did.
	Healthy() error
	// SessionEnd says when a session is over unless it is refreshed before;
	// auth.ErrNotFound: it is over.
	SessionEnd(ctx context.Context, sid string) (time.Time, error)
	// SessionCount says how many sessions are live.
	SessionCount(ctx context.Context) (int, error)
	// Stats are what it counts, for the metrics. It asks no store.
	Stats() auth.Stats
}

// Own is the gateway's own HTTP face: login, refresh, keys.
type Own interface {
	http.Handler
	// Owns tells whether a request, whose path has one reading, is for the
	// gateway itself: by its path, or by path and method.
	Owns(r *http.Request) bool
	// HandlesTokens tells whether such a request is for an endpoint that takes
	// stale tokens as they are: to send it through a refresh first would be a
	// detour or a loop.
	HandlesTokens(r *http.Request) bool
}

// Options is what a Gateway is made of.
type Options struct {
	Auth Authenticator
	// Outbox is what the upstreams under provision are still to be told of
	// accounts; default: nobody is told.
	Outbox auth.Outbox
	Log    *slog.Logger
	// Access takes the access log as lines of JSON, each in one Write that keeps
	// nothing of it; default: it goes to Log as all else does.
	Access io.Writer
	// Audit is where the entries of the audit log go; default Log.
	Audit   *slog.Logger
	Now     func() time.Time // default time.Now
	Version string           // of this program, for a metric
	// Unwatched says that Admin is not for anybody: then requests are neither
	// counted nor kept for it.
	Unwatched bool
	// LogErrors says how many log lines were not written; default: none.
	LogErrors func() LogErrors
}

// Gateway is an http.Handler that carries requests to the applications behind
// it. Before the first Swap it answers every request as unavailable.
type Gateway struct {
	auth      Authenticator
	outbox    auth.Outbox // nil: none
	log       *slog.Logger
	access    io.Writer // nil: log
	lines     sync.Pool // of *[]byte, for access
	auditLog  *slog.Logger
	now       func() time.Time
	metrics   *metrics
	decisions record
	unwatched bool // nobody can ask for either
	streams   streams
	buffers   bufferPool
	snap      atomic.Pointer[Snapshot]
	swapped   chan struct{} // tells CheckUpstreams of a Swap
	draining  atomic.Bool
	// The Server keeps these: how many connections the public listener has, and
	// when its own certificate and the first of those by ACME expires, in Unix
	// seconds; zero: there is none.
	connections, certificate, fetched atomic.Int64

	refused *refusedConnections // of those to the public listener

	bodyGrace time.Duration // tests cannot wait for the constant

	mu     sync.Mutex // guards the following, and orders Swap and Reload
	builds int        // how many snapshots were built, for their names
}

// New makes a Gateway. It serves once a Snapshot was swapped in.
func New(o Options) *Gateway {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Audit == nil {
		o.Audit = o.Log
	}
	g := &Gateway{auth: o.Auth, outbox: o.Outbox, log: o.Log, access: o.Access, auditLog: o.Audit, now: o.Now, unwatched: o.Unwatched, bodyGrace: bodyGrace, swapped: make(chan struct{}, 1), metrics: newMetrics(o.Version)}
	g.refused = g.metrics.watchDoor()
	g.metrics.registry.MustRegister(newAuthStats(o.Auth), newGatewayState(g, o.LogErrors), newProvisionState(g))
	o.Auth.OnRevoke(g.streams.revoke)
	return g
}

// ServeHTTP is the way of a request. Each step either answers it, and then
// says so, or leaves in the exchange what the next one needs.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := g.snap.Load()
	if s == nil {
		problem.Write(w, r, problem.Of(problem.Unavailable))
		return
	}
	s.acquire()
	defer s.release()
	x := g.begin(s, w, r)
	defer g.account(x)

	if c := crowdingOf(r.Context()); c != roomy {
		x.refuseCrowd(c)
		return
	}
	if x.isQuestion() {
		g.serveVerify(x)
		return
	}
	if p, ok := x.normalise(); !ok {
		x.refuse(p)
		return
	}
	if s.own.Owns(x.r) {
		g.serveOwn(x)
		return
	}
	if !x.route() || x.preflight() || !g.authenticate(x) || !g.decide(x) || !x.limitRate(x.start) {
		return
	}
	g.forward(x)
}

// trusts tells whether the snapshot in force believes a peer.
func (g *Gateway) trusts(peer netip.Addr) bool {
	s := g.snap.Load()
	return s != nil && s.trusts(peer)
}

// standard tells whether the snapshot in force leaves all requests to net/http:
// when each of its upstreams does.
func (g *Gateway) standard() bool {
	s := g.snap.Load()
	return s != nil && s.standard
}

// clientIdle is for how long a client may take nothing, as the snapshot in force
// has it.
func (g *Gateway) clientIdle() time.Duration {
	if s := g.snap.Load(); s != nil {
		return s.clientIdle
	}
	return defaultClientIdle
}

// serveOwn answers a request for one of the gateway's own endpoints. Every
// unsafe request to them must come from this site: a login that another site
// starts would put a stranger's session into the browser (login CSRF).
func (g *Gateway) serveOwn(x *exchange) {
	x.label = labelOwn
	if !x.path.Plain() { // no path_options here: what has two readings is not ours to guess
		x.refuse(problem.Of(problem.BadPath))
		return
	}
	if !x.readCredentials(g.auth) {
		return
	}
	if err := x.snap.crossOrigin.Check(x.r); err != nil {
		x.refuse(problem.Of(problem.CrossOrigin))
		return
	}
	if !x.snap.own.HandlesTokens(x.r) && x.silentRefresh(policy.Decision{Effect: policy.Challenge}) {
		return
	}
	x.decision, x.reason = decisionAllow, labelOwn
	r := x.r.WithContext(auth.WithPresented(x.r.Context(), x.presented))
	r.RemoteAddr = x.remoteAddr()
	x.snap.own.ServeHTTP(&x.answer, r)
}

// route finds the route of the request by host and path alone.
func (x *exchange) route() bool {
	x.match = x.snap.table.Match(x.r.Method, x.host, x.path)
	if i := x.match.Route(); i >= 0 && i < len(x.snap.routes) {
		x.rt = &x.snap.routes[i]
		x.label = x.rt.label
	}
	for _, d := range x.snap.dialects {
		if d.CarriedBy(x.r.Header) {
			x.dialects = append(x.dialects, d)
		}
	}
	// A preflight asks about a method, with another one: that it is not among
	// the route's methods is no refusal yet.
	if x.isPreflight() {
		return true
	}
	return x.routed()
}

// routed refuses what no route answers. Nobody has been asked who they are yet.
func (x *exchange) routed() bool {
	switch refusal := x.match.Refusal(); {
	case refusal == policy.ReasonMethodNotAllowed:
		x.refuse(problem.Method(x.match.Allowed()...))
	case refusal == policy.ReasonBadPath:
		x.refuse(problem.Of(problem.BadPath))
	case refusal != policy.ReasonNone || x.rt == nil:
		x.refuse(problem.Of(problem.NoRoute))
	default:
		return true
	}
	return false
}

// authenticate finds out who is asking. A bad credential is no answer yet: the
// decision says whether one is needed.
func (g *Gateway) authenticate(x *exchange) bool {
	if !x.readCredentials(g.auth) {
		return false
	}
	return x.checkOrigin()
}
