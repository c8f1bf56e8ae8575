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
// The field is sent as it came, so its path must be the one that was decided on.
// Below a route with strip_prefix that depends on the application: one that
// heeds X-Forwarded-Prefix takes the prefix off, another takes the path for one
// of its own. It has to be allowed either way.
//
// It answers the request when it does not allow.
func (x *exchange) allowsDestination(caller policy.Caller) bool {
	if x.r.Method != "COPY" && x.r.Method != "MOVE" {
		return true
	}
	values := x.r.Header["Destination"]
	if len(values) == 0 {
		return true
	}
	raw, ok := x.ownAddress(values)
	if !ok {
		x.refuse(badRequest("The Destination is not one address on this site."))
		return false
	}
	if prefix := x.rt.options.StripPrefix; prefix != "" && !x.mayWrite(caller, prefix+raw) {
		return false
	}
	return x.mayWrite(caller, raw)
}

// mayWrite decides about a Destination as if its path had been asked for. It
// answers the request when it does not allow.
func (x *exchange) mayWrite(caller policy.Caller, raw string) bool {
	path, err := policy.ParsePath(raw)
	if err != nil {
		x.refuse(problem.Of(problem.BadPath))
		return false
	}
	for _, method := range [...]string{x.r.Method, http.MethodPut} {
		match := x.snap.table.Match(method, x.host, path)
		d := match.Decide(caller)
		if d.Effect == policy.Allow && x.leadsAlike(match.Route()) {
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

// leadsAlike tells whether a route leads to the application that the request goes
// to, and as the path that is asked for but for the same prefix. Where a rewrite
// leads elsewhere the application would not write to what was decided on.
func (x *exchange) leadsAlike(route int) bool {
	if route < 0 || route >= len(x.snap.routes) {
		return false
	}
	to, from := &x.snap.routes[route], x.rt
	return to.upstream == from.upstream && to.options.StripPrefix == from.options.StripPrefix &&
		to.options.Rewrite == "" && from.options.Rewrite == ""
}
