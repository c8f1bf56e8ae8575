package gateway

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/gateway/problem"
)

// Forward-auth: a front end that carries requests itself (nginx's auth_request,
// Caddy's forward_auth, Traefik's forwardAuth) asks GET {prefix}/verify about
// each of them. The exchange then is the original request: its method, host,
// path and, because the front end sends the client's headers along, its
// credentials. It goes the way of a carried request, by the same steps, and
// ends with 200 and the identity headers, with 401 and where to log in, or with
// 403. There is no other status: nginx takes any for a fault, and Traefik any
// 2xx for yes.
//
// What the original request was is believed of a trusted peer alone, and only
// when it can be understood in one way.

// question is what an exchange knows of the question itself.
type question struct {
	method string // of the question; the exchange has the original's
	front  string // the origin where a login for the original host is
	back   string // the origin that leads back from there; empty: the same
}

// The headers of an answer that tell a front end where to send a browser.
const (
	headerRedirect = "X-Auth-Redirect"        // with every 401
	headerStatus   = "X-Auth-Redirect-Status" // how, where a carried request would have been sent there: 303, or 307 to keep method and body
)

// isQuestion tells whether a front end asks about another request. The path is
// compared as it was sent: another spelling of it is nobody's.
func (x *exchange) isQuestion() bool {
	_, target, ok := splitTarget(x.r.RequestURI)
	path, _, _ := strings.Cut(target, "?")
	return ok && path == x.snap.verifyPath
}

// serveVerify is the way of a question. Its own method does not matter: the
// original one is judged.
func (g *Gateway) serveVerify(x *exchange) {
	x.question = &question{method: x.r.Method}
	if p, ok := x.readQuestion(); !ok {
		x.refuse(p)
		return
	}
	if x.snap.own.Owns(x.r) {
		// Not by the policy: behind the gateway the application has no such
		// path. And not with 401: the way to the login would be a circle.
		p := problem.Of(problem.Forbidden)
		p.Detail = "This address is Postern's own: the front end sends it there without asking."
		x.label = labelOwn
		x.refuse(p)
		return
	}
	// A preflight is a request like any other here: nobody but the application
	// can answer it.
	if !x.route() || !x.routed() || !g.authenticate(x) || !g.decide(x) || !x.limitRate(x.start) || !g.mint(x) {
		return
	}
	h := x.answer.Header()
	x.snap.identity.blank(h)
	if x.proven() {
		x.snap.identity.set(h, x.presented.Principal, x.minted)
	}
	h.Set("Cache-Control", "no-store")
	x.answer.WriteHeader(http.StatusOK)
}

// readQuestion is normalise for a question: it makes the exchange's request the
// original one.
func (x *exchange) readQuestion() (problem.Problem, bool) {
	x.readClient()
	if len(x.r.Header["X-Forwarded-For"]) == 0 {
		// The front end does not say who the client is. Taken for the front end
		// it would be inside every cidr that the front end is in.
		x.client = netip.Addr{}
	}
	if x.r.ContentLength != 0 && x.r.ProtoMajor < 2 {
		x.answer.closes = true // of a body that may never come: nginx sends the length of the original one
	}
	if p, ok := x.checkHeader(); !ok {
		return p, false
	}
	if !x.peerTrusted {
		p := problem.Of(problem.Forbidden)
		p.Detail = "Only a front end that is listed under trusted_proxies may ask."
		x.failure = "the peer is not among trusted_proxies"
		return p, false
	}
	x.readScheme()
	o, ok := readOriginal(x.r)
	if !ok {
		x.failure = "the original request was not in one family of headers, complete and single"
		return badRequest("The original request comes in X-Forwarded-Method, X-Forwarded-Host and X-Forwarded-Uri, or in X-Original-Method and X-Original-URL: each once, and none of the others."), false
	}
	return x.become(o)
}

// become makes the exchange's request the original one.
func (x *exchange) become(o original) (problem.Problem, bool) {
	x.r.Method, x.r.RequestURI = o.method, o.target
	if o.scheme != "" {
		x.scheme = o.scheme
	}
	if p, ok := x.checkMethod(); !ok {
		return p, false
	}
	if len(o.target) > maxTarget {
		return badRequest("The address of the request is too long."), false
	}
	if p, ok := x.admitHost(o.host); !ok {
		return p, false
	}
	if p, ok := x.readTarget(o.target); !ok {
		return p, false
	}
	for name := range x.r.Header { // which the front end would hand on
		if movesRequest(name) {
			return badRequest("A method or address in a header is not accepted: use the request line."), false
		}
		if x.snap.identity.isAlias(name) {
			return badRequest("A header looks like one that says who asks or from where, in another spelling."), false
		}
	}
	raw := x.path.String()
	x.r.URL = &url.URL{Path: unescapePath(raw), RawPath: raw, RawQuery: x.query, ForceQuery: x.hasQuery}
	x.readHandshake()
	x.findLogin()
	return problem.Problem{}, true
}

// movesRequest tells a header by which some applications find another method or
// path than the request line's. A carried request loses it; one that a front
// end carries would not.
func movesRequest(name string) bool {
	switch fold(name) {
	case "x-http-method-override", "x-http-method", "x-method-override", "x-http-method-overwrite", "x-method", "x-rewrite-url", "x-override-url":
		return true
	}
	return false
}

// readHandshake recognises the handshake of a WebSocket. Front ends cut Upgrade
// and Connection off a question; Sec-WebSocket-Key, without which no handshake
// is one, stays.
func (x *exchange) readHandshake() {
	h := x.r.Header
	x.websocket = x.r.Method == http.MethodGet && (len(h["Sec-Websocket-Key"]) > 0 || hasToken(h["Upgrade"], "websocket"))
}

// findLogin settles where a browser logs in for the original host: at
// public_url; at the host itself, when that is known by name and shares no
// login. An unknown host is nowhere to send anybody. The port does not count:
// cookies know none, and some front ends leave it out.
func (x *exchange) findLogin() {
	s, q := x.snap, x.question
	q.front = s.publicURL.Scheme + "://" + s.publicHost
	switch {
	case hostname(x.host) == hostname(s.publicHost) || !s.names(hostname(x.host)):
	case s.sharedLogin:
		q.back = s.publicURL.Scheme + "://" + x.host
	default:
		q.front = x.scheme + "://" + x.host
	}
}

// answerQuestion is refuse for a question: a 401 says where to log in, and all
// else is 403. The code in the body stays the one of the reason.
func (x *exchange) answerQuestion(p problem.Problem) {
	if p.Status == http.StatusUnauthorized {
		status := 0
		if x.isPage() {
			status = http.StatusSeeOther
		}
		x.answerRedirect(x.loginFor(p), status, p)
		return
	}
	p.Status = http.StatusForbidden
	x.writeAnswer(p)
}

// answerRedirect says 401 and where to go; status is zero where a carried
// request would have been refused and not sent there.
func (x *exchange) answerRedirect(to string, status int, p problem.Problem) {
	h := x.answer.Header()
	h[headerRedirect] = []string{x.question.front + to}
	if status != 0 {
		h[headerStatus] = []string{strconv.Itoa(status)}
	}
	x.writeAnswer(p)
}

// writeAnswer writes a refusal: the body is left out by the question's method.
func (x *exchange) writeAnswer(p problem.Problem) {
	r := x.r.WithContext(x.r.Context())
	r.Method = x.question.method
	problem.Write(&x.answer, r, x.forPerson(p))
}

// original is a request as a front end describes it.
type original struct {
	method, host, target string
	scheme               string // empty: the front end did not say
}

// readOriginal reads one of the two families of headers. ok is false for both,
// for half of one, for a header that is there twice, and for what is no request:
// a client may have sent the rest.
func readOriginal(r *http.Request) (o original, ok bool) {
	forwarded := family(r.Header, "X-Forwarded-Method", "X-Forwarded-Host", "X-Forwarded-Uri")
	originals := family(r.Header, "X-Original-Method", "X-Original-Url")
	switch {
	case complete(forwarded) && !present(originals):
		o = original{method: forwarded[0][0], host: forwarded[1][0], target: forwarded[2][0]}
	case complete(originals) && !present(forwarded):
		authority, target, isTarget := splitTarget(originals[1][0])
		if !isTarget {
			return original{}, false
		}
		o = original{method: originals[0][0], host: authority, target: target}
		if authority == "" { // a path: the host is the question's own
			o.host = r.Host
		} else {
			scheme, _, _ := strings.Cut(originals[1][0], ":")
			o.scheme = strings.ToLower(scheme)
		}
	default:
		return original{}, false
	}
	return o, o.host != "" && strings.HasPrefix(o.target, "/")
}

// family is the values of each header of a family.
func family(h http.Header, names ...string) [][]string {
	values := make([][]string, len(names))
	for i, name := range names {
		values[i] = h[name]
	}
	return values
}

// complete tells whether each header of a family is there, once.
func complete(family [][]string) bool {
	return !slices.ContainsFunc(family, func(values []string) bool { return len(values) != 1 })
}

// present tells whether any header of a family is there.
func present(family [][]string) bool {
	return slices.ContainsFunc(family, func(values []string) bool { return len(values) > 0 })
}
