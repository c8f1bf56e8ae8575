package gateway

import (
	"strings"

	"github.com/posternhq/postern/gateway/problem"
	"github.com/posternhq/postern/policy"
)

// splitTarget takes a request target apart: origin-form, or absolute-form with
// its authority (RFC 9112 section 3.2). Asterisk and authority form are for
// servers and tunnels, and other schemes are for nobody here.
func splitTarget(raw string) (authority, target string, ok bool) {
	if strings.HasPrefix(raw, "/") {
		return "", raw, true
	}
	scheme, rest, found := strings.Cut(raw, "://")
	if !found || !isWord(scheme, "http") && !isWord(scheme, "https") {
		return "", "", false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, target = rest[:end], rest[end:]
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	return authority, target, authority != ""
}

// readTarget parses the path, and keeps the query as it is.
func (x *exchange) readTarget(target string) (problem.Problem, bool) {
	for i := range len(target) {
		// HTTP/2 can carry a space or a line end in :path, which would end the
		// request line towards an HTTP/1 upstream (request splitting).
		if c := target[i]; c <= ' ' || c == 0x7f || c == '#' {
			return problem.Of(problem.BadPath), false
		}
	}
	raw, query, hasQuery := strings.Cut(target, "?")
	path, err := policy.ParsePath(raw)
	if err != nil {
		return problem.Of(problem.BadPath), false
	}
	if hasMethodOverride(query) {
		return badRequest("A method in the query is not accepted: use the method itself."), false
	}
	x.path, x.query, x.hasQuery = path, query, hasQuery
	return problem.Problem{}, true
}

// target is the request target as it came, for the way back after a login; with
// its origin where that is not the one of the login.
func (x *exchange) target() string {
	target := x.path.String()
	if x.hasQuery {
		target += "?" + x.query
	}
	if x.question != nil {
		target = x.question.back + target
	}
	return target
}

// hasMethodOverride finds the parameter _method, by which several frameworks
// let a POST be a DELETE, in every spelling that one of them reads as such:
// encoded, in any case, as an array, and as PHP mends names (".method",
// " _method", "[method"). The policy has decided on the method of the request line.
func hasMethodOverride(query string) bool {
	for len(query) >= len("_method") {
		var pair string
		if i := strings.IndexAny(query, "&;"); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			pair, query = query, ""
		}
		key, _, _ := strings.Cut(pair, "=")
		if len(key) >= len("_method") && isMethodKey(key) {
			return true
		}
	}
	return false
}

// isMethodKey tells whether a parameter's name is _method to some framework.
// What follows it may be an array's bracket, or a byte at which C programs stop
// reading.
func isMethodKey(key string) bool {
	key = strings.TrimLeft(unescapeLoosely(key), " ")
	if len(key) < len("_method") || !strings.EqualFold(key[1:len("_method")], "method") {
		return false
	}
	if !strings.ContainsRune("_.[", rune(key[0])) {
		return false
	}
	rest := key[len("_method"):]
	return rest == "" || rest[0] == '[' || rest[0] == 0 || rest[0] == ' '
}

// unescapeLoosely decodes what is a percent-encoding and leaves the rest, as
// lenient parsers do.
func unescapeLoosely(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// isHex tells a hexadecimal digit.
func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unhex is the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}
