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
