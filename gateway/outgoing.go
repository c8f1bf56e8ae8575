package gateway

import (
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strings"

	"github.com/posternhq/postern/gateway/lean"
)

// outgoing makes the header of an admitted request the one that the upstream
// receives, and answers the request as ReverseProxy is handed it: without that
// header and without its URL, which rewrite puts back. ReverseProxy would copy
// them, to take a few fields out and leave the copy to rewrite, and that would
// be half of what it costs.
//
// What is hop by hop goes first, so that a client cannot name our identity
// fields in Connection and have them removed after we set them (golang/go#50580).
func (u *upstream) outgoing(x *exchange) *http.Request {
	h := x.r.Header
	if !x.native || h["Connection"] != nil {
		u.clean(x, h)
	}
	x.snap.cutCookies(h)
	u.credentials(x, h)
	x.own = make(lean.Fields, 0, x.snap.identity.most+maxForwarding)
	if x.proven() {
		x.own = x.snap.identity.fields(x.own, x.presented.Principal, x.minted)
	}
	x.addForwarding()
	sendOnce(x.r.Method, h)
	x.sent, x.asked = h, x.r.URL
	x.r.Header, x.r.URL = nil, u.nowhere
	x.r.Trailer = nil // ReverseProxy would announce the client's trailers, identity headers among them
	return x.r
}

// rewrite puts what outgoing has made into the request that ReverseProxy sends.
//
// A connection that carried a HEAD carries nothing after it: many an application
// answers with a body none the less, and when that comes a moment later it is
// the answer to somebody else's request, in the words of whoever wrote what was
// asked for. Over HTTP/2 an answer cannot be taken for another's.
func (u *upstream) rewrite(pr *httputil.ProxyRequest) {
	x, out := exchangeOf(pr.In.Context()), pr.Out
	x.r.Header, x.r.URL = x.sent, x.asked
	out.Header = x.sent // and what is in x.own, see roundTrip
	out.URL, out.Host = x.wire, u.hostFor(x)
	out.Close = x.r.Method == http.MethodHead && !x.chosen.h2c
}

// clean takes out what the client should not have sent, or only to us.
func (u *upstream) clean(x *exchange, h http.Header) {
	x.snap.identity.cleanRequest(h, u.keepHeaders, x.websocket, x.native)
	h["X-Request-Id"] = x.ids[:] // may have been named in Connection, too
	if !x.trace.known {
		delete(h, "Tracestate") // belongs to a trace that is not continued
	}
	if !x.asks() {
		delete(h, "Expect")
	}
}

// cleanRequest takes out what no upstream gets of a client's: what is between the
// client and us (RFC 9110 section 7.6.1), and every spelling of what only the
// gateway says. It leaves what says the same to the upstream: that trailers are
// welcome, and the handshake of a WebSocket. In a native header only Connection
// and what it names have to be looked for.
func (id *identity) cleanRequest(h http.Header, keep []string, websocket, native bool) {
	upgrade, trailers := h["Upgrade"], hasToken(h["Te"], "trailers")
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
	if delete(h, "Connection"); !native {
		id.strip(h, keep)
	}
	if trailers {
		h["Te"] = []string{"trailers"}
	}
	if websocket {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, upgrade
	}
}

// endsHere tells the fields that are between the client and us, and the one of
// which the next hop gets our own.
func endsHere(name string) bool {
	switch name {
	case "Traceparent", "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// hostFor is the Host that the target sees.
func (u *upstream) hostFor(x *exchange) string {
	if u.keepHost && x.r.Host != "" {
		return x.r.Host
	}
	return x.chosen.name
}

// asks tells whether the client sends its body only when it is told to.
func (x *exchange) asks() bool { return x.body != nil && x.body.asks }

// proven tells whether the request speaks for a principal.
func (x *exchange) proven() bool { return x.presented.Proven() }

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

// maxForwarding is how many fields addForwarding adds at most.
const maxForwarding = 6

// addForwarding says which way the request came. All of it is ours: what the
// client said was stripped, what trusted hops said was read by normalise.
func (x *exchange) addForwarding() {
	list := x.own
	add := func(name, value string) {
		if value != "" {
			list = append(list, lean.Field{Name: name, Value: value})
		}
	}
	add("X-Forwarded-For", x.forwarded)
	add("X-Forwarded-Host", x.r.Host)
	add("X-Forwarded-Proto", x.scheme)
	add("X-Forwarded-Prefix", x.rt.options.StripPrefix)
	add("X-Real-Ip", x.clientText())
	add("Traceparent", x.trace.parent)
	x.own = list
}
