package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/posternhq/postern/gateway/problem"
)

// Limits on what net/http bounds only by the size of all headers together:
// within 64 KiB there is room for thousands of them, and each costs the
// gateway and the application more than it cost the sender.
const (
	maxHeaders = 100
	maxCookies = 50
	maxMethod  = 32
	maxTarget  = 16 << 10 // path and query
)

// knownMethods is what Allow says of a target that refuses a method by its
// name alone.
var knownMethods = [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// normalise settles what the request says: who is connected, which host it is
// for, which path it names. What can be understood in two ways is refused;
// nothing is repaired. It answers false with the refusal.
func (x *exchange) normalise() (problem.Problem, bool) {
	x.readClient()
	if p, ok := x.checkMethod(); !ok {
		return p, false
	}
	if p, ok := x.checkHeader(); !ok {
		return p, false
	}
	if len(x.r.RequestURI) > maxTarget {
		p := badRequest("The address of the request is too long.")
		p.Status = http.StatusRequestURITooLong
		return p, false
	}
	authority, target, ok := splitTarget(x.r.RequestURI)
	if !ok {
		return badRequest("The request target is not one that a server answers."), false
	}
	if p, ok := x.readHost(authority); !ok {
		return p, false
	}
	if p, ok := x.readTarget(target); !ok {
		return p, false
	}
	x.readUpgrade()
	return problem.Problem{}, true
}

// badRequest is the refusal of what no code of its own says better. The detail
// is for the sender: it says what is wrong, and repeats nothing of the request.
func badRequest(detail string) problem.Problem {
	p := problem.Of(problem.BadRequest)
	p.Detail = detail
	return p
}

// checkMethod refuses methods that are not for an application: tunnels
// (CONNECT), echoes of the request with its cookies (TRACE, TRACK), the preface
// of HTTP/2 (PRI), and names that are none.
func (x *exchange) checkMethod() (problem.Problem, bool) {
	m := x.r.Method
	switch m {
	case http.MethodConnect, http.MethodTrace, "TRACK", "PRI":
		return problem.Method(knownMethods[:]...), false
	}
	if len(m) == 0 || len(m) > maxMethod {
		return badRequest("The method is too long."), false
	}
	for i := range len(m) {
		// Lower case too: methods are case-sensitive, but not to every framework.
		if c := m[i]; (c < 'A' || c > 'Z') && (i == 0 || c != '-' && c != '_') {
			return badRequest("The method must be in capital letters."), false
		}
	}
	return problem.Problem{}, true
}

// checkHeader bounds the header, and settles when the connection ends with the
// answer because its next bytes may belong to this request:
//
// A request in chunks. RFC 9112 section 6.1 demands it of one that has a
// Content-Length as well, and net/http removes that field before anybody sees
// it: so any request in chunks may be one (CL.TE smuggling).
//
// An HTTP/1.0 request that may have a body: net/http removes and ignores a
// Transfer-Encoding there, the program in front of us may not.
func (x *exchange) checkHeader() (problem.Problem, bool) {
	h := x.r.Header
	oldBody := !x.r.ProtoAtLeast(1, 1) && x.r.Method != http.MethodGet && x.r.Method != http.MethodHead
	if oldBody || len(x.r.TransferEncoding) > 0 && x.r.ProtoMajor < 2 {
		x.answer.closes = true
	}
	lines, cookies, size, foreign := 0, 0, len(x.r.RequestURI), false
	for name, values := range h {
		lines += len(values)
		foreign = foreign || x.snap.identity.foreign(name)
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
			if name == "Cookie" {
				cookies += 1 + strings.Count(v, ";")
			}
		}
	}
	x.native = !foreign
	if lines > maxHeaders || cookies > maxCookies || size > maxHeaderBytes {
		p := badRequest("The request has too many headers or cookies, or too long ones.")
		p.Status = http.StatusRequestHeaderFieldsTooLarge
		return p, false
	}
	return problem.Problem{}, true
}

// readClient finds the client's address. X-Forwarded-For is believed only when
// the peer that handed it to us is one of our own proxies, and only from the
// right: each trusted hop vouches for the one before it, and the first
// untrusted address is the client. Anyone can write the left end of that list.
func (x *exchange) readClient() {
	x.peer, x.forwarded = readPeer(x.r.RemoteAddr)
	x.client = x.peer
	if x.peer.IsValid() && x.peer.IsUnspecified() {
		// Whom a proxy does not know (see proxiedConn.RemoteAddr). That is no
		// address: as one it would be outside of every cidr that a rule denies.
		x.client = netip.Addr{}
		return
	}
	if x.peerTrusted = x.snap.trusts(x.peer); !x.peerTrusted {
		x.clientName = x.forwarded
		return
	}
	given := x.r.Header["X-Forwarded-For"]
	if len(given) == 0 {
		return // the proxy itself asks: a health check
	}
	hops := strings.Split(strings.Join(given, ","), ",")
	var trail []string // from the nearest
	if x.forwarded != "" {
		trail = append(trail, x.forwarded)
	}
	for i := len(hops) - 1; i >= 0 && x.snap.trusts(x.client); i-- {
		hop, ok := parseHop(hops[i])
		if !ok {
			// "unknown", or nonsense: then the client is nobody we know. Taken
			// for the proxy it would be inside every cidr that the proxy is in.
			x.client = netip.Addr{}
			break
		}
		x.client = hop
		trail = append(trail, hop.String())
	}
	slices.Reverse(trail)
	x.forwarded = strings.Join(trail, ", ")
}

// readPeer is the address in a http.Request.RemoteAddr, and its text. There is
// none, and none in text, behind a unix socket.
func readPeer(remote string) (peer netip.Addr, text string) {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}, ""
	}
	if peer = ap.Addr(); peer.Is4() { // of which there is one way to write it
		return peer, remote[:strings.LastIndexByte(remote, ':')]
	}
	peer = peer.Unmap().WithZone("")
	return peer, peer.String()
}

// clientText is the client's address as logs and upstreams are told it; empty
// where it is not known.
func (x *exchange) clientText() string {
	if x.clientName == "" && x.client.IsValid() {
		x.clientName = x.client.String()
	}
	return x.clientName
}

// parseHop reads one element of X-Forwarded-For: an address, with a port where
// a proxy adds one.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return addr.Unmap().WithZone(""), err == nil
	}
	return netip.Addr{}, false
}

// readHost settles the effective host and scheme, and answers only for hosts
// that are ours. net/http replaces Host by the authority of an absolute-form
// target without a word, so that one must always be a host known by name.
func (x *exchange) readHost(authority string) (problem.Problem, bool) {
	if authority != "" && (!strings.EqualFold(authority, x.r.Host) || !x.snap.names(hostname(authority))) {
		return problem.Of(problem.UnknownHost), false
	}
	host := x.r.Host
	if x.peerTrusted {
		if given := lastElement(x.r.Header["X-Forwarded-Host"]); given != "" {
			host = given
		}
	}
	x.readScheme()
	return x.admitHost(host)
}

// What may have told the effective scheme: a closed list.
const (
	SchemeOfPublicURL = "public_url" // nobody said another
	SchemeOfListener  = "listener"   // TLS ends here
	SchemeOfProxy     = "proxy"      // a trusted one, in X-Forwarded-Proto
)

// readScheme settles the effective scheme.
func (x *exchange) readScheme() {
	x.scheme, x.schemeFrom = x.snap.publicURL.Scheme, SchemeOfPublicURL
	if x.r.TLS != nil {
		x.scheme, x.schemeFrom = "https", SchemeOfListener
	}
	if !x.peerTrusted {
		return
	}
	switch lastElement(x.r.Header["X-Forwarded-Proto"]) {
	case "https", "wss":
		x.scheme, x.schemeFrom = "https", SchemeOfProxy
		x.snap.warnScheme(x.id)
	case "http", "ws":
		x.scheme, x.schemeFrom = "http", SchemeOfProxy
	}
}

// admitHost takes a host for the effective one, if it is ours. The scheme is
// settled by then.
func (x *exchange) admitHost(host string) (problem.Problem, bool) {
	if x.snap.plainHosts[host] {
		x.host, x.r.Host = host, host
		return problem.Problem{}, true
	}
	if host != "" && !validHost(host) {
		return badRequest("The Host is not a host name or address."), false
	}
	x.host = canonicalHost(host, x.scheme)
	if !x.snap.answers(hostname(x.host)) {
		return problem.Of(problem.UnknownHost), false
	}
	x.r.Host = host
	return problem.Problem{}, true
}

// lastElement is the rightmost element of a list field: the one that the
// nearest hop wrote. A proxy that appends keeps a client's lie to the left.
func lastElement(values []string) string {
	if len(values) == 0 {
		return ""
	}
	v := values[len(values)-1]
	return strings.ToLower(strings.TrimSpace(v[strings.LastIndexByte(v, ',')+1:]))
}

// validHost accepts a DNS name or an address, with or without a port. net/http
// lets characters through that mean something in a URL to those who build
// links from the Host.
func validHost(host string) bool {
	name := host
	if _, port, ok := splitPort(host); ok {
		if port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
			return false
		}
		name = strings.TrimSuffix(host, ":"+port)
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && addr.Is6() && addr.Zone() == "" && strings.HasSuffix(inner, "]")
	}
	return validName(name)
}

// validName tells whether a name of labels could be a host's. One dot at the
// end is the root's; an empty label is read by some as nothing and by others as
// a name of its own.
func validName(name string) bool {
	if strings.HasPrefix(name, ".") || strings.Contains(name, "..") {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return name != "" && len(name) <= 253
}

// hostname is a host without its port, in lower case, without the root's dot.
func hostname(host string) string {
	if h, _, ok := splitPort(host); ok {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// splitPort is net.SplitHostPort, which makes an error for most hosts: they have
// no port.
func splitPort(host string) (name, port string, ok bool) {
	if strings.IndexByte(host, ':') < 0 {
		return "", "", false
	}
	name, port, err := net.SplitHostPort(host)
	return name, port, err == nil
}

// canonicalHost is a host as origins have it: lower case, without the root's
// dot, without the port that its scheme has anyway.
func canonicalHost(host, scheme string) string {
	name, port, ok := splitPort(host)
	if !ok {
		return strings.ToLower(strings.TrimSuffix(host, "."))
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if port == "80" && scheme == "http" || port == "443" && scheme == "https" {
		return name
	}
	return name + ":" + port
}

// readUpgrade lets the handshake of a WebSocket through and no other upgrade.
// After an h2c upgrade requests would pass the gateway in a tunnel that it
// does not look into (golang/go#80416). What has a body is no handshake (RFC
// 6455 section 4.1): to some applications the body would be the next request.
// Of HTTP/1.0 an upgrade is to be ignored (RFC 9110 section 7.8).
func (x *exchange) readUpgrade() {
	h := x.r.Header
	upgrade := h["Upgrade"]
	if upgrade == nil {
		return
	}
	x.websocket = x.r.Method == http.MethodGet && x.r.ProtoMajor == 1 && x.r.ProtoMinor > 0 && x.r.ContentLength == 0 && len(upgrade) == 1 &&
		isWord(upgrade[0], "websocket") && hasToken(h["Connection"], "upgrade")
	if !x.websocket {
		delete(h, "Upgrade")
	}
}

// isWord tells whether a text is a word of a protocol, in any case. To
// strings.EqualFold alone ſ is an s and the Kelvin sign a k, and to the reader
// after this one they are not; both are longer.
func isWord(text, word string) bool {
	return len(text) == len(word) && strings.EqualFold(text, word)
}

// hasToken finds a token in a list field, in any case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for element := range strings.SplitSeq(v, ",") {
			if isWord(strings.TrimSpace(element), token) {
				return true
			}
		}
	}
	return false
}
