package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/lean"
	"github.com/posternhq/postern/gateway/problem"
	"github.com/posternhq/postern/policy"
)

// The words of decisions in logs and metrics: a closed list.
const (
	decisionAllow     = "allow"
	decisionDeny      = "deny"
	decisionChallenge = "challenge"
	decisionObserve   = "observe"
)

// Route labels of requests that no route of the policy answers.
const (
	labelOwn  = "gateway"
	labelNone = "none"
)

// Reasons beside policy's and the codes of package problem: all three lists
// are closed, and so is the label made of them.
const (
	reasonPreflight   = "preflight"
	reasonRefresh     = "silent_refresh"
	reasonClientGone  = "client_gone"
	reasonStalled     = "client_stalled"
	reasonStopping    = "stopping"      // these two: of a stream that the gateway has ended
	reasonEnded       = "session_ended" // because of its session
	reasonPanic       = "internal_error"
	reasonCrowd       = "connection_limit"
	reasonClientCrowd = "client_connection_limit"
)

// exchange is one request on its way through the gateway. It belongs to one
// goroutine; each step fills in what it found out.
type exchange struct {
	snap   *Snapshot
	r      *http.Request // normalised: Host is the effective host
	answer answer
	body   *requestBody // nil: there is none
	start  time.Time    // the time of all that is decided: it happens in one go
	flags

	// set by begin
	ctx        exchangeContext
	request    http.Request // r points to it
	id         string       // of the request
	ids        [1]string
	trace      trace
	controller http.ResponseController

	// set by normalise
	path       policy.Path
	query      string     // raw, without "?"
	peer       netip.Addr // who is connected; invalid: a unix socket
	client     netip.Addr // who sent it, as far as trusted hops vouch
	clientName string     // its text, once somebody asked; see clientText
	forwarded  string     // X-Forwarded-For to be sent on
	host       string     // effective host, lower case, with a port that is not the scheme's own
	scheme     string     // effective scheme
	schemeFrom string     // who said so, see SchemeOfProxy

	question *question // forward-auth: the request is another's, asked about; nil: it is carried

	// set by route
	match policy.Match
	rt    *route // nil: none
	label string // of the route, in logs and metrics
	// The dialects that the client's token header tells; the header itself is
	// taken out on the way to the upstream.
	dialects []problem.Dialect

	// set by readCredentials
	presented auth.Presented

	cert policy.Certificate // of the client; set by decide

	// set by decide, or by whoever refuses
	decision string
	reason   string
	rule     policy.Pos // that decided; zero: none did

	// set by forward
	minted        minted
	sent          http.Header // the client's, as the upstream receives it
	asked         *url.URL    // by the client
	own           lean.Fields // what the upstream is told beside the client's header
	sentPath      string      // decided on, without what the route cuts
	chosen        *target     // of the upstream, of this attempt
	tried         tries       // it, and those of attempts before
	wire          *url.URL    // what the target is asked for
	upstreamStart time.Time
	upstreamTime  time.Duration
	stream        *stream
	proxy         httputil.ReverseProxy
	loan          loan   // proxy copies the answer with it
	failure       string // why the upstream did not answer, for the log
	status        int    // overrides the answer's status in the log: 499
}

// flags are what is true of an exchange. They stand together because apart each
// would take eight bytes, and every request has them all.
type flags struct {
	// set by normalise
	hasQuery    bool // there was a "?"
	peerTrusted bool // of who is connected
	websocket   bool // a handshake of a WebSocket
	native      bool // nothing in the header is foreign, see identity

	foreignBearer bool // set by readCredentials: Authorization is the application's and goes through
	overdue       bool // set by forward: the route's timeout has passed
}

// exchangeContext is the context of an exchange's request: the one of net/http,
// by which the exchange can be found.
type exchangeContext struct {
	context.Context
	x *exchange
}

// exchangeKey is the key of the exchange, for the hooks of httputil.ReverseProxy.
type exchangeKey struct{}

// Value is the exchange's under its key.
func (c *exchangeContext) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return c.x
	}
	return c.Context.Value(key)
}

// exchangeOf is the exchange of a request, as far as the hooks. Every request
// that reaches them has one.
func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// begin starts an exchange: from here on it has an id, and its answer is
// counted.
//
// It works on a copy of the request. net/http looks into its own one after the
// answer: a body of another type there takes away what it does for an Expect
// that was not heeded, and for a body that was not read.
func (g *Gateway) begin(s *Snapshot, w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{snap: s, start: g.now(), label: labelNone, decision: decisionDeny, controller: *http.NewResponseController(w)}
	x.ctx = exchangeContext{r.Context(), x}
	x.request = *r.WithContext(&x.ctx)
	r = &x.request
	x.r = r
	x.id = requestID(r.Header["X-Request-Id"])
	x.ids[0] = x.id
	r.Header["X-Request-Id"] = x.ids[:]
	x.trace = continueTrace(r.Header["Traceparent"])
	x.answer = answer{ResponseWriter: w, id: r.Header["X-Request-Id"], oldClient: !r.ProtoAtLeast(1, 1), closes: g.draining.Load(),
		conn: &x.controller}
	if r.ProtoMajor > 1 {
		x.answer.idle = s.clientIdle
	}
	if r.Body != nil && r.Body != http.NoBody {
		x.body = &requestBody{conn: x.answer.conn, body: r.Body, grace: g.bodyGrace, idle: s.clientIdle, h2: r.ProtoMajor > 1}
		r.Body = x.body
		if r.ProtoMajor < 2 {
			// Also of a body that nobody reads: net/http reads it before it
			// sends a refusal, and would wait for ever.
			x.body.await(time.Now())
		}
	}
	return x
}

// refuse answers with a problem. Its code is the reason in the log.
func (x *exchange) refuse(p problem.Problem) {
	x.decision, x.reason = decisionDeny, p.Code
	if p.Status == http.StatusUnauthorized {
		x.decision = decisionChallenge
	}
	if x.rt != nil { // a page elsewhere must be able to read that it needs a login
		x.rt.cors.answer(x.answer.Header(), x.r)
	}
	if x.question != nil {
		x.answerQuestion(p)
	} else if !x.refuseInDialect(p) {
		problem.Write(&x.answer, x.r, x.forPerson(p))
	}
}

// refuseCrowd answers the request of a connection that is one too many, and ends
// that connection.
func (x *exchange) refuseCrowd(c crowding) {
	x.readClient()
	x.answer.closes = true
	p := problem.Of(problem.Unavailable)
	p.RetryAfter = crowdedRetry
	x.refuse(p)
	x.reason = c.reason()
}

// refuseInDialect says that a login is needed or not enough in the words of the
// backend that the client was written for, which its token header tells. It
// answers false for other refusals and for other clients.
func (x *exchange) refuseInDialect(p problem.Problem) bool {
	if x.rt == nil || p.Status != http.StatusUnauthorized && p.Status != http.StatusForbidden {
		return false
	}
	for _, d := range x.dialects {
		if d.Write(&x.answer, x.r, p) {
			return true
		}
	}
	return false
}

// forPerson adds what p's page needs to lead on from there.
func (x *exchange) forPerson(p problem.Problem) problem.Problem {
	p.Prefix = x.snap.prefix
	p.Basic = x.snap.basic && !x.passesAuthorization() && !x.fromPage()
	if x.proven() {
		p.User = x.presented.Principal.Username
	}
	return p
}

// redirect sends the client elsewhere on this site, and ends the connection
// when a body is left unread on it: it could be read as the next request.
func (x *exchange) redirect(to string, status int) {
	if x.question != nil {
		x.answerRedirect(to, status, problem.Of(problem.TokenExpired))
		return
	}
	h := x.answer.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Location", to)
	if x.body != nil && x.r.ProtoMajor < 2 && !x.body.isRead() {
		h.Set("Connection", "close")
	}
	x.answer.WriteHeader(status)
}

// remoteAddr is the client's address as http.Request.RemoteAddr has it, for
// the gateway's own endpoints. Without an address, behind a unix socket, it is
// the socket's.
func (x *exchange) remoteAddr() string {
	if !x.client.IsValid() {
		return "@" // as of a unix socket: no address
	}
	return netip.AddrPortFrom(x.client, 0).String()
}

// maxRequestID bounds what a client may have us log and forward.
const maxRequestID = 64

// requestID takes the client's id when it is a single well-formed one, so that
// one request has one id across hops. Anything else could break out of a log
// line or be made to look like another request.
func requestID(given []string) string {
	if len(given) == 1 && wellFormedID(given[0]) {
		return given[0]
	}
	var b [16]byte
	rand.Read(b[:]) // never fails, see its documentation
	var text [32]byte
	return string(hex.AppendEncode(text[:0], b[:]))
}

// wellFormedID admits what every log, header and URL takes as it is.
func wellFormedID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// isAlnum tells an ASCII letter or digit.
func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// trace is the W3C trace context of a request: the id shared by all hops, and
// this hop's own.
type trace struct {
	parent string // traceparent to be sent on
	known  bool   // the client brought it
}

// id is the one that all hops share: 32 hex digits.
func (t *trace) id() string { return t.parent[3:35] }

// traceparentLen is how long a traceparent of version 00 is.
const traceparentLen = 55

// continueTrace takes a valid traceparent up, or starts a new, unsampled
// trace (W3C Trace Context, section 3.2). What is sent on is of version 00,
// whatever came: of the flags those that it defines, that the trace is recorded
// and that its id is random.
func continueTrace(given []string) trace {
	var raw [24]byte
	rand.Read(raw[:])
	var room [traceparentLen]byte
	text, flags, known := append(room[:0], "00-"...), byte('0'), false
	if len(given) == 1 && validTraceparent(given[0]) {
		text, flags, known = append(text, given[0][3:35]...), "0123"[unhex(given[0][54])&3], true
	} else {
		text = hex.AppendEncode(text, raw[:16])
	}
	text = hex.AppendEncode(append(text, '-'), raw[16:])
	return trace{parent: string(append(text, '-', '0', flags)), known: known}
}

// validTraceparent checks 00-{32 hex}-{16 hex}-{2 hex}, lower case, neither id
// all zero. A later version may have more behind that, after a dash; ff is none.
func validTraceparent(v string) bool {
	if len(v) < traceparentLen || v[2] != '-' || v[35] != '-' || v[52] != '-' || !lowerHex(v[:2]) || v[:2] == "ff" {
		return false
	}
	if len(v) > traceparentLen && (v[:2] == "00" || v[55] != '-') {
		return false
	}
	return lowerHex(v[3:35]) && lowerHex(v[36:52]) && lowerHex(v[53:55]) &&
		v[3:35] != "00000000000000000000000000000000" && v[36:52] != "0000000000000000"
}

// lowerHex tells whether a text is hexadecimal in lower case, as the
// specification demands of both ids.
func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
