package gateway

import (
	"net/http"
	"strings"

	"github.com/posternhq/postern/gateway/problem"
	"github.com/posternhq/postern/policy"
)

// allowsDestination decides about the other address of a WebDAV request: COPY
// and MOVE write to the one in Destination (RFC 4918 sections 9.8 and 9.9), which
// no route was asked about yet. Who may use /drafts/** would else put a file into
// /admin/** from there. It has to be allowed for the same method, as the request
// line would have it, and for PUT, which is what happens there; and the same
// application must answer, for it is that one which does it.
//
// It answers the request when it does not allow.
func (x *exchange) allowsDestination(caller policy.Caller) bool {
	values := x.r.Header["Destination"]
	if x.r.Method != "COPY" && x.r.Method != "MOVE" || len(values) == 0 {
		return true
	}
	raw, ok := x.ownAddress(values)
	if !ok {
		x.refuse(badRequest("The Destination is not one address on this site."))
		return false
	}
	path, err := policy.ParsePath(raw)
	if err != nil {
		x.refuse(problem.Of(problem.BadPath))
		return false
	}
	for _, method := range [...]string{x.r.Method, http.MethodPut} {
		match := x.snap.table.Match(method, x.host, path)
		d := match.Decide(caller)
		if d.Effect == policy.Allow && x.sameUpstream(match.Route()) {
			continue
		}
		x.rule = d.Rule
		switch d.Effect {
		case policy.Challenge:
			x.challenge(d)
		case policy.Deny:
			x.refuseBy(problem.Of(problem.Forbidden), d.Reason)
		default:
			x.refuse(problem.Of(problem.Forbidden))
		}
		return false
	}
	return true
}

// ownAddress is the raw path of a Destination on the host of the request: a URL,
// whose scheme may be the one that a proxy in front took off, or a path. A query
// or a fragment, which no two applications treat alike, has no place in it.
func (x *exchange) ownAddress(values []string) (path string, ok bool) {
	if len(values) != 1 || strings.ContainsAny(values[0], "?#, \t\\") {
		return "", false
	}
	authority, path, ok := splitTarget(values[0])
	if !ok || strings.HasPrefix(path, "//") {
		return "", false
	}
	if authority == "" {
		return path, true
	}
	scheme, _, _ := strings.Cut(values[0], ":")
	return path, validHost(authority) && canonicalHost(authority, strings.ToLower(scheme)) == x.host
}

// sameUpstream tells whether a route leads where the request goes.
func (x *exchange) sameUpstream(route int) bool {
	return x.rt != nil && route >= 0 && route < len(x.snap.routes) && x.snap.routes[route].upstream == x.rt.upstream
}
