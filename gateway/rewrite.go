package gateway

import (
	"net/url"
	"strings"

	"github.com/posternhq/postern/policy"
)

// wireURL is the URL whose request target is, byte for byte, the base path,
// the path and the query as they came: Opaque is written as it is, where Path
// would be encoded anew, and ReverseProxy would drop what it cannot parse of
// the query. A target that begins with two slashes cannot be Opaque; ok is
// false for one that would not be sent as it is.
func (a *serverAddress) wireURL(path, query string, hasQuery bool) (w *url.URL, ok bool) {
	w = &url.URL{Scheme: a.scheme, Host: a.host, Opaque: a.base + path, RawQuery: query, ForceQuery: hasQuery}
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

// upstreamPath is the path to be sent: the one decided on; with strip_prefix
// the rest of it; with rewrite that path in place of what was cut. The outcome
// must be as unambiguous as the whole was. Who may ask was decided before, and
// on the whole.
func (x *exchange) upstreamPath() (string, bool) {
	raw, o := x.path.String(), &x.rt.options
	if o.StripPrefix == "" && o.Rewrite == "" {
		return raw, true
	}
	rest, ok := x.rt.cut(raw)
	if !ok {
		return "", false
	}
	p, err := policy.ParsePath(joinPaths(o.Rewrite, rest))
	if err != nil || strings.HasPrefix(p.String(), "//") {
		return "", false
	}
	return p.String(), true
}

// ClientPath is what a client must ask of a route, whose own path is given, so
// that the upstream is asked for target, or for target with a slash at its end,
// which many a router takes for the same: the reverse of what strip_prefix and
// rewrite do. There may be no such path.
func (o *RouteOptions) ClientPath(route, target string) (path string, ok bool) {
	if o.StripPrefix == "" && o.Rewrite == "" {
		return target, true
	}
	rest, ok := strings.CutPrefix(target, strings.TrimSuffix(o.Rewrite, "/"))
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	before := o.StripPrefix
	if before == "" {
		left, _ := cutSegments(route, literalSegments(route))
		before = strings.TrimSuffix(route, left)
	}
	return before + rest, true
}

// cut takes strip_prefix off a path, or without one the segments that stand
// literally before the first {name}, * or ** of the route. The rest is empty or
// begins with a slash.
func (rt *route) cut(raw string) (rest string, ok bool) {
	if rt.options.StripPrefix == "" {
		return cutSegments(raw, rt.literals)
	}
	rest, ok = strings.CutPrefix(raw, rt.options.StripPrefix)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false // the prefix in another spelling: not ours to mend
	}
	return rest, true
}

// cutSegments takes the first n segments off a path. By number, because those
// of the route match in every spelling of their letters. An empty one is none.
func cutSegments(path string, n int) (rest string, ok bool) {
	for range n {
		after, found := strings.CutPrefix(path, "/")
		end := strings.IndexByte(after, '/')
		if end < 0 {
			end = len(after)
		}
		if !found || end == 0 {
			return "", false
		}
		path = after[end:]
	}
	return path, true
}

// literalSegments counts the segments of a route before its first {name}, * or
// **. The label of a route is its host, which has no slash, and its path.
func literalSegments(label string) (n int) {
	_, path, _ := strings.Cut(label, "/")
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment[0] == '{' || segment[0] == '*' {
			break
		}
		n++
	}
	return n
}

// joinPaths puts a path before a rest, with one slash between them.
func joinPaths(path, rest string) string {
	switch {
	case rest != "":
		return strings.TrimSuffix(path, "/") + rest
	case path != "":
		return path
	}
	return "/"
}
