package gateway

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/posternhq/postern/auth"
)

// identity takes out of a request what only the gateway may say, and says it.
// It is made once per Snapshot and then only read.
type identity struct {
	headers  []identityHeader
	stripped map[string]bool // folded names: true is stripped, false is kept though a prefix matches
	prefixes [256][]string   // folded, by their first byte: most names match none
	own      map[string]bool // folded names of headers: an upstream may not echo them
}

// identityHeader is one header that an upstream is told.
type identityHeader struct {
	name      string // canonical
	value     string // what of the principal
	separator string // between roles
}

// newIdentity joins the configured headers with those of the presets in use.
// The first to name a header wins: what stands in the file counts before what
// a preset brings along.
func newIdentity(c Identity) *identity {
	id := &identity{stripped: map[string]bool{}, own: map[string]bool{}}
	for _, prefix := range strippedPrefixes() {
		id.prefixes[prefix[0]] = append(id.prefixes[prefix[0]], prefix)
	}
	for _, h := range c.Headers {
		id.add(h, ",")
	}
	for _, p := range presets() {
		for _, h := range p.headers {
			id.stripped[fold(h.Name)] = true
			if slices.Contains(c.Presets, p.name) {
				id.add(h, p.separator)
			}
		}
	}
	for _, name := range strippedNames() {
		id.stripped[fold(name)] = true
	}
	for _, name := range keptNames() {
		if !id.stripped[name] {
			id.stripped[name] = false
		}
	}
	return id
}

// add takes a header up, unless one of the same name, to the most forgiving
// reader, is there already.
func (id *identity) add(h Header, separator string) {
	folded := fold(h.Name)
	id.stripped[folded] = true
	if id.own[folded] {
		return
	}
	id.own[folded] = true
	id.headers = append(id.headers, identityHeader{textproto.CanonicalMIMEHeaderKey(h.Name), h.Value, separator})
}

// maxName bounds the names that are compared; longer ones match by prefix alone.
const maxName = 64

// fold is a header name as the most forgiving application reads it: CGI and
// WSGI make one variable of X-Auth-User, x_auth_user and X.Auth.User
// (CVE-2025-64484), some of any other sign too.
func fold(name string) string {
	var buf [maxName]byte
	return string(foldInto(&buf, name))
}

// foldInto is fold without an allocation, for the request's way.
func foldInto(buf *[maxName]byte, name string) []byte {
	n := min(len(name), maxName)
	for i := range n {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z':
			buf[i] = c + 'a' - 'A'
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			buf[i] = c
		default:
			buf[i] = '-'
		}
	}
	return buf[:n]
}

// isPlain tells whether a name consists of letters, digits and dashes: then no
// two programs spell it differently but for case.
func isPlain(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && c != '-' {
			return false
		}
	}
	return true
}

// strips tells whether a client's header of this name is taken out. keep lists
// names with other signs than dashes that the upstream wants, in lower case.
func (id *identity) strips(name string, keep []string) bool {
	if name == "" {
		return true
	}
	var buf [maxName]byte
	folded := foldInto(&buf, name)
	if stripped, known := id.stripped[string(folded)]; known { // no allocation: the compiler sees a map index
		return stripped || !isPlain(name)
	}
	for _, prefix := range id.prefixes[folded[0]] {
		if len(folded) >= len(prefix) && string(folded[:len(prefix)]) == prefix {
			return true
		}
	}
	if isPlain(name) {
		return false
	}
	return !slices.ContainsFunc(keep, func(k string) bool { return strings.EqualFold(k, name) })
}

// strip deletes by the very key that stands in the map: http.Header.Del would
// look for the canonical form of it.
func (id *identity) strip(h http.Header, keep []string) {
	for name := range h {
		if id.strips(name, keep) {
			delete(h, name)
		}
	}
}

// echoes tells whether a name of an upstream's answer is one that only the
// gateway says: clients and caches may believe it.
func (id *identity) echoes(name string) bool {
	var buf [maxName]byte
	return id.own[string(foldInto(&buf, name))]
}

// set tells the upstream who asks. What there is no value for is absent, not
// empty: an empty name means "nobody" to one application and "anybody" to
// another.
func (id *identity) set(h http.Header, p *auth.Principal) {
	values := make([]string, len(id.headers))
	for i := range id.headers {
		if v := id.headers[i].of(p); v != "" {
			values[i] = v
			h[id.headers[i].name] = values[i : i+1 : i+1]
		}
	}
}

// of is the header's value for a principal, empty when there is none.
func (h *identityHeader) of(p *auth.Principal) string {
	switch h.value {
	case "id":
		return headerValue(p.ID)
	case "username":
		return headerValue(p.Username)
	case "email":
		return headerValue(p.Email)
	case "name":
		return headerValue(p.Name)
	case "session":
		return headerValue(p.Session)
	case "roles":
		return joinRoles(p.Roles, h.separator)
	}
	return ""
}

// joinRoles leaves out a role that would read as two, or as none.
func joinRoles(roles []string, separator string) string {
	ok := func(r string) bool { return headerValue(r) != "" && !strings.Contains(r, separator) }
	if len(roles) == 1 && ok(roles[0]) {
		return roles[0]
	}
	var b strings.Builder
	for _, r := range roles {
		if !ok(r) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(separator)
		}
		b.WriteString(r)
	}
	return b.String()
}

// headerValue lets a value through that arrives as it was sent: no control
// character could end the line, and no space around it gets lost and makes
// another user of it.
func headerValue(v string) string {
	ascii := true
	for i := range len(v) {
		if c := v[i]; c < ' ' || c == 0x7f {
			return ""
		} else if c >= utf8.RuneSelf {
			ascii = false
		}
	}
	if !ascii && (!utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl)) {
		return ""
	}
	if strings.TrimSpace(v) != v {
		return ""
	}
	return v
}
