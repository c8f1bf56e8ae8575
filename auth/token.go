package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxToken is the longest access token that is looked at, in bytes. It fits
// into a cookie's neighbourhood and into every server's header limit.
const maxToken = 8 << 10

// maxDepth is how deep the JSON of a token may nest: claims, fields, a list of
// values, and one more.
const maxDepth = 4

// typeAccess is the typ of an access token (RFC 9068 2.1).
const typeAccess = "at+jwt"

// tokenHeader is all that the header of an own token holds. It is decoded with
// unknown members refused: crit, jwk, jku, x5u, x5c, x5t, zip and b64 are ways
// to make a verifier use another key or read another text (RFC 8725 3.1, 3.10).
type tokenHeader struct {
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Typ string `json:"typ"`
}

// claims is the payload of an access token (RFC 9068 2.2).
type claims struct {
	Issuer   string              `json:"iss"`
	Subject  string              `json:"sub"`
	Audience audience            `json:"aud"`
	Expires  int64               `json:"exp"`
	Issued   int64               `json:"iat"`
	Before   int64               `json:"nbf,omitempty"` // never set by us, heeded all the same
	ID       string              `json:"jti"`
	Session  string              `json:"sid"`
	Roles    []string            `json:"roles"`
	Username string              `json:"username"`
	Name     string              `json:"name,omitempty"`
	Email    string              `json:"email,omitempty"` // only a verified one
	AuthTime int64               `json:"auth_time"`
	Version  int64               `json:"ver"`
	Fields   map[string][]string `json:"fields,omitempty"`

	added map[string]any // for frontends; written, never read
}

// audience is a string or a list of strings (RFC 7519 4.1.3). One audience is
// written as a string, which the simplest of clients can compare.
type audience []string

// MarshalJSON writes one audience as a string, several as a list.
func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON reads either form.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if err := json.Unmarshal(text, &one); err == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// sign makes a compact JWS of the current key.
func (c chain) sign(typ string, payload []byte) (string, error) {
	if c.current.id == "" {
		return "", fmt.Errorf("sign a token: there is no key for %s", typ)
	}
	header, err := c.header(typ, c.current.id)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64(header) + "." + b64(payload)
	sig, err := c.use.algorithm.method.Sign(text, c.current.private)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return text + "." + b64(sig), nil
}

// header is the header of what a key signs.
func (c chain) header(typ, kid string) ([]byte, error) {
	return json.Marshal(tokenHeader{Alg: c.use.algorithm.name, Kid: kid, Typ: typ})
}

// signToken makes an access token.
func (r *keyring) signToken(c claims) (string, error) {
	payload, err := c.payload()
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	raw, err := r.access.sign(typeAccess, payload)
	if err != nil {
		return "", err
	}
	if len(raw) > maxToken && c.added != nil {
		// The bounds of an account's parts leave no room for what repeats them.
		// A token without what a frontend would like to read is still good here.
		c.added = nil
		return r.signToken(c)
	}
	if len(raw) > maxToken {
		return "", fmt.Errorf("sign a token: %d bytes are more than the %d that are accepted; the account has too many roles or fields", len(raw), maxToken)
	}
	return raw, nil
}

// payload writes the claims, and after them those that are added. None of the
// two can have a name of the other's: ClaimFault sees to that.
func (c claims) payload() ([]byte, error) {
	// Without HTML escapes, which make six bytes of one "<": the bound on an
	// account's parts counts on at most two.
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(c); err != nil {
		return nil, err
	}
	own := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	if len(c.added) == 0 {
		return own, nil
	}
	own = bytes.Clone(own)
	text.Reset()
	if err := enc.Encode(c.added); err != nil { // in the order of their names
		return nil, err
	}
	more := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	return append(append(own[:len(own)-1], ','), more[1:]...), nil
}

// jwsParts splits a compact JWS (RFC 7515 7.1) and decodes it, strictly: there
// is one spelling of the same bytes. (Of ECDSA there are two good signatures,
// so nothing may rest on a token's text; sessions and versions are revoked, not
// tokens.) No part of the answer is proven.
func jwsParts(raw string) (header, payload, sig []byte, err error) {
	if len(raw) > maxToken {
		return nil, nil, nil, ErrTokenMalformed
	}
	first, rest, _ := strings.Cut(raw, ".")
	second, third, two := strings.Cut(rest, ".")
	// Even when strict, encoding/base64 skips line ends. It refuses every other
	// byte that is not of its alphabet, and so a third dot.
	if !two || strings.Contains(raw, "\n") || strings.Contains(raw, "\r") {
		return nil, nil, nil, ErrTokenMalformed
	}
	strict := base64.RawURLEncoding.Strict()
	decoded, ends := make([]byte, 0, strict.DecodedLen(len(raw))), [3]int{}
	for i, part := range [...]string{first, second, third} {
		if decoded, err = strict.AppendDecode(decoded, []byte(part)); err != nil {
			return nil, nil, nil, ErrTokenMalformed
		}
		ends[i] = len(decoded)
	}
	a, b := ends[0], ends[1]
	return decoded[:a:a], decoded[a:b:b], decoded[b:], nil
}

// verifySignature checks the signature alone, with the one algorithm and the
// one key, whatever a header claims.
func verifySignature(alg algorithm, key signKey, raw string, sig []byte) error {
	text := raw[:strings.LastIndexByte(raw, '.')]
	if len(sig) == 0 || alg.method.Verify(text, sig, key.public) != nil {
		return ErrTokenInvalid
	}
	return nil
}

// openToken reads and proves an access token; what it answers besides an error
// is not proven. Time and revocation are not judged here, and neither is the
// key's time: it comes back with the claims.
//
// A key of another use is not among those that are looked at, even where it has
// the same algorithm and is published: an assertion for an upstream is no access
// token.
func (r *keyring) openToken(raw string) (claims, chainKey, error) {
	header, payload, sig, err := jwsParts(raw)
	if err != nil {
		return claims{}, chainKey{}, err
	}
	key, own := r.named[string(header)]
	if !own {
		if key, err = r.keyFor(header); err != nil {
			return claims{}, chainKey{}, err
		}
	}
	if err := verifySignature(r.access.use.algorithm, key.signKey, raw, sig); err != nil {
		return claims{}, chainKey{}, err
	}
	c, err := readClaims(payload)
	if err != nil {
		return claims{}, chainKey{}, ErrTokenInvalid
	}
	return c, key, nil
}

// keyFor finds the key that the header of an access token names.
func (r *keyring) keyFor(header []byte) (chainKey, error) {
	var h tokenHeader
	if err := decodeStrict(header, &h, true); err != nil {
		return chainKey{}, ErrTokenMalformed
	}
	if h.Alg != r.access.use.algorithm.name || !isAccessTokenType(h.Typ) {
		return chainKey{}, ErrTokenInvalid
	}
	key, ok := r.access.known[h.Kid]
	if !ok {
		return chainKey{}, errUnknownKey
	}
	return key, nil
}

// ownHeaders are the headers that signToken writes, or wrote with an older key,
// and what keyFor says of each, so that it is not asked for every new token.
func (r *keyring) ownHeaders() map[string]chainKey {
	named := make(map[string]chainKey, len(r.access.known))
	for kid := range r.access.known {
		header, err := r.access.header(typeAccess, kid)
		if key, refused := r.keyFor(header); err == nil && refused == nil {
			named[string(header)] = key
		}
	}
	return named
}

// isAccessTokenType reports whether typ is an access token's (RFC 9068 4; media
// types ignore case, and their "application/" may be left out: RFC 7515 4.1.9).
// Another kind of JWT under the same key must never pass for one.
func isAccessTokenType(typ string) bool {
	return strings.EqualFold(typ, typeAccess) || strings.EqualFold(typ, "application/"+typeAccess)
}

// check judges everything in proven claims but expiry and revocation.
func (c claims) check(issuer string, audiences []string, now time.Time) error {
	ours := slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(audiences, a) })
	positive := min(c.Expires, c.Issued, c.AuthTime, c.Version) > 0
	begun := max(c.Issued, c.Before) <= now.Unix() // one clock, no leeway
	complete := c.Subject != "" && c.Session != "" && c.Username != "" && c.Roles != nil
	named := !slices.Contains(c.Roles, "") // null in a list is read so
	if issuer == "" || c.Issuer != issuer || !ours || !positive || !begun || !complete || !named {
		return ErrTokenInvalid
	}
	if anyControl(c.Subject, c.Session, c.Username, c.Name, c.Email) || anyControl(c.Roles...) {
		return ErrTokenInvalid // these become header fields
	}
	return nil
}

// principal is whom the claims speak of.
func (c claims) principal() Principal {
	return Principal{
		ID: c.Subject, Username: c.Username, Email: c.Email, Name: c.Name,
		Roles: c.Roles, Fields: c.Fields,
		Session: c.Session, Version: c.Version,
		AuthTime: time.Unix(c.AuthTime, 0).UTC(),
		IssuedAt: time.Unix(c.Issued, 0).UTC(),
		Expires:  time.Unix(c.Expires, 0).UTC(),
	}
}

// maxMembers is how many members one object of a token may have: names are
// compared with each other, and a stranger chooses those of a header.
const maxMembers = 64

// decodeStrict decodes one JSON object that has one reading. closed refuses
// members that into does not have.
func decodeStrict(text []byte, into any, closed bool) error {
	if !json.Valid(text) || text[0] != '{' || text[len(text)-1] != '}' || !unambiguous(text) {
		return errors.New("not a JSON object with one reading")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if closed {
		dec.DisallowUnknownFields()
	}
	return dec.Decode(into)
}

// unambiguous reports whether valid JSON means the same to everybody: it is not
// nested deeply, and no object has a member twice or two that differ by case
// alone. encoding/json matches names without regard to case and lets the last
// one win, so {"roles":["user"],"ROLES":["admin"]} would make an administrator.
// A name that means something is in lower case where it stands outermost, and all
// are ASCII without escapes: there are letters that fold to others (the Kelvin
// sign to k).
func unambiguous(text []byte) bool {
	var open [maxDepth + 1][][]byte // the names so far of each object around
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if depth++; depth > maxDepth {
				return false
			}
			open[depth] = open[depth][:0]
		case '}', ']':
			depth--
		case '"':
			start := i + 1
			i = endOfString(text, start)
			// In valid JSON a string before a colon is a name, and only that.
			if !bytes.HasPrefix(bytes.TrimLeft(text[i+1:], " \t\r\n"), []byte(":")) {
				continue
			}
			if !plainName(text[start:i], depth == 1) || containsFold(open[depth], text[start:i]) || len(open[depth]) == maxMembers {
				return false
			}
			open[depth] = append(open[depth], text[start:i])
		}
	}
	return true
}

// endOfString is where the quote stands that ends a string of valid JSON.
func endOfString(text []byte, i int) int {
	for ; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i
}

// plainName admits ASCII without escapes, and outermost no other spelling of a
// name that means something: encoding/json would read "ISS" into iss.
func plainName(name []byte, outermost bool) bool {
	upper := false
	for _, b := range name {
		if b < ' ' || b > '~' || b == '\\' {
			return false
		}
		upper = upper || 'A' <= b && b <= 'Z'
	}
	return !outermost || !upper || !isReserved(string(name))
}

// containsFold finds a member twice in an object, also in another case of its
// letters. Decoders differ in which of the two they believe.
func containsFold(names [][]byte, name []byte) bool {
	return slices.ContainsFunc(names, func(other []byte) bool { return bytes.EqualFold(other, name) })
}
