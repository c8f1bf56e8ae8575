package gateway

import (
	"encoding/base64"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/lean"
)

// identity takes out of a request what only the gateway may say, and says it.
// It is made once per Snapshot and then only read.
type identity struct {
	headers  []identityHeader
	stripped map[string]bool // folded names: true is stripped, false is kept though a prefix matches
	prefixes [256][]string   // folded, by their first byte
	families [256]uint32     // of prefixes: bit n of a first byte, for a third one that is n but for its case
	shapes   [256]uint64     // of stripped: bit n of a first byte, for a name of n bytes
	ordinary [256]string     // names that strip leaves, each in its place; see isOrdinary
	own      map[string]bool // folded names of headers: an upstream may not echo them

	assertion    string // canonical name of its header; empty: none
	assertionTTL time.Duration
	legacy       *legacyToken // nil: none
	basic        string       // the password; empty: none
	most         int          // how many headers there are at most
	names        []string     // of all of them, canonical
}

// newIdentity joins the configured headers with those of the presets in use.
// The first to name a header wins: what stands in the file counts before what
// a preset brings along.
func newIdentity(c Identity) *identity {
	id := &identity{stripped: map[string]bool{}, own: map[string]bool{}}
	for _, prefix := range strippedPrefixes() {
		id.prefixes[prefix[0]] = append(id.prefixes[prefix[0]], prefix)
		id.families[prefix[0]] |= 1 << (prefix[2] % 32)
	}
	for _, h := range c.Headers {
		id.add(h, ",")
	}
	id.addMinted(&c)
	for _, p := range presets() {
		for _, h := range p.headers {
			id.stripped[fold(h.Name)] = true
		}
	}
	for _, name := range c.Presets {
		p, _ := presetOf(name) // Validate knows it
		for _, h := range p.headers {
			id.add(h, p.separator)
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
	for name := range id.stripped {
		if name != "" { // of a configuration that is being refused
			id.shapes[name[0]] |= 1 << (len(name) % maxName)
		}
	}
	for _, name := range ordinaryNames() {
		if !endsHere(name) && !id.strips(name, nil) {
			id.ordinary[placeOf(name)] = name
		}
	}
	id.most = len(id.own)
	return id
}

// add takes a header up, unless one of the same name, to the most forgiving
// reader, is there already.
func (id *identity) add(h Header, separator string) {
	if id.claim(h.Name) {
		id.headers = append(id.headers, newIdentityHeader(h, separator))
	}
}

// claim makes a name the gateway's own, towards both sides. It is false for
// one that is that already.
func (id *identity) claim(name string) bool {
	folded := fold(name)
	id.stripped[folded] = true
	if id.own[folded] {
		return false
	}
	id.own[folded] = true
	id.names = append(id.names, textproto.CanonicalMIMEHeaderKey(name))
	return true
}

// addMinted takes up what is made for each principal. Authorization becomes
// the gateway's own where it is written here: then no bearer of a client's
// passes, not even one that is none of ours.
func (id *identity) addMinted(c *Identity) {
	if c.Assertion.Enabled && id.claim(c.Assertion.Header) {
		id.assertion = textproto.CanonicalMIMEHeaderKey(c.Assertion.Header)
		id.assertionTTL = c.Assertion.TTL
	}
	if c.LegacyToken.isMeant() && id.claim(c.LegacyToken.Header) {
		id.legacy = newLegacyToken(&c.LegacyToken)
	}
	if c.Basic.Enabled && id.claim("Authorization") {
		id.basic = c.Basic.Password
	}
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
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', '0' <= c && c <= '9': // in the order in which they are met
		default:
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
	if !id.maybe(name) {
		return !isPlain(name) && !isKept(name, keep)
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
	return !isPlain(name) && !isKept(name, keep)
}

// isAlias tells a name that only some applications read as one that is taken
// out: with another sign in place of a dash. A front end that asks about a
// request replaces X-Auth-User and hands X.Auth.User on (CVE-2026-88011).
func (id *identity) isAlias(name string) bool {
	return !isPlain(name) && id.strips(name, []string{name})
}

// maybe tells whether a name may be one that is listed, by its first byte and its
// length, or by its first byte and its third, which is a letter in every prefix.
// Most of what browsers send is not.
func (id *identity) maybe(name string) bool {
	first := name[0]
	if 'A' <= first && first <= 'Z' {
		first += 'a' - 'A'
	} else if !isAlnum(first) {
		first = '-'
	}
	return len(name) >= maxName || id.shapes[first]&(1<<len(name)) != 0 || len(name) > 2 && id.families[first]&(1<<(name[2]%32)) != 0
}

// isKept tells whether a name stands in a list, in whatever case.
func isKept(name string, keep []string) bool {
	return slices.ContainsFunc(keep, func(k string) bool { return strings.EqualFold(k, name) })
}

// yields tells whether a name that is stripped as a foreign one is let through
// because the upstream's list has it: somebody else says it there, in front of
// the gateway. What the gateway says itself it never is.
func (id *identity) yields(name string, keep []string) bool {
	return isKept(name, yieldingNames()) && isKept(name, keep) && !id.own[fold(name)]
}

// foreign tells the names that upstream.clean has to look for: whatever it may
// take out, for any upstream, but for Connection.
func (id *identity) foreign(name string) bool {
	switch {
	case id.isOrdinary(name), name == "Connection":
		return false
	case name == "Expect", name == "Tracestate":
		return true
	}
	return endsHere(name) || id.strips(name, nil)
}

// isOrdinary knows most of what browsers send at one glance. It answers false for
// other names, whatever they are.
func (id *identity) isOrdinary(name string) bool {
	return len(name) > 2 && id.ordinary[placeOf(name)] == name
}

// placeOf is where a name of three bytes or more stands in ordinary: no two of
// ordinaryNames have the same place.
func placeOf(name string) uint8 {
	n := len(name)
	return uint8(n) + 8*name[n-1] + name[n-3]
}

// strip deletes what ends here and what only the gateway says, in one walk. It
// deletes by the very key that stands in the map: http.Header.Del would look for
// the canonical form of it.
func (id *identity) strip(h http.Header, keep []string) {
	for name := range h {
		if !id.isOrdinary(name) && (endsHere(name) || id.strips(name, keep) && !id.yields(name, keep)) {
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

// fields adds what tells the upstream who asks, and is the one place where that
// is said. What there is no value for is absent, not empty: an empty name means
// "nobody" to one application and "anybody" to another.
func (id *identity) fields(list lean.Fields, p *auth.Principal, m minted) lean.Fields {
	put := func(name, value string) {
		if value != "" {
			list = append(list, lean.Field{Name: name, Value: value})
		}
	}
	for i := range id.headers {
		put(id.headers[i].name, id.headers[i].of(p))
	}
	if id.basic != "" {
		put("Authorization", basicAuthorization(p.Username, id.basic))
	}
	put(id.assertion, m.assertion)
	if id.legacy != nil {
		put(id.legacy.header, m.legacy)
	}
	return list
}

// set puts the same into a header.
func (id *identity) set(h http.Header, p *auth.Principal, m minted) {
	id.fields(nil, p, m).Set(h)
}

// blank says of everything that set may say that there is nothing: what a front
// end copies from an answer then replaces what the client sent.
func (id *identity) blank(h http.Header) {
	for _, name := range id.names {
		h[name] = []string{""}
	}
}

// basicAuthorization is the field for a user (RFC 7617). A colon would move
// the end of the name, and of other letters than ASCII nobody knows how they
// are read: for such a name there is none, and the application asks.
func basicAuthorization(username, password string) string {
	if headerValue(username) == "" || !isASCII(username) || strings.Contains(username, ":") {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}
