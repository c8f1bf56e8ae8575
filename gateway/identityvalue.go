package gateway

import (
	"encoding/base64"
	"net/textproto"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/posternhq/postern/auth"
)

// valueRoles is the one part of an account that is a list.
const valueRoles = "roles"

// The ways to write what is not ASCII, of which HTTP says nothing (RFC 9110
// 5.5). Which one is right is the application's word; ASCII is the same in
// all of them, but for the sign that each escapes with.
const (
	// encodingRaw is UTF-8 as it is: right for Go, Ruby and Rust. Node, Java
	// and Python's WSGI read Latin-1, and get the bytes back from that.
	encodingRaw = "raw"
	// encodingRFC2047 is =?utf-8?b?...?=, as in mail: Gatekeeper's, and what
	// Python's and Java's mail libraries read.
	encodingRFC2047 = "rfc2047"
	// encodingQuotedPrintable is =C3=BC, without soft line breaks: Grafana's
	// headers_encoded.
	encodingQuotedPrintable = "quoted-printable"
	// encodingPercent is %C3%BC, for decodeURIComponent and its like.
	encodingPercent = "percent"
)

// encodings are the words that Header.Encoding may be.
func encodings() []string {
	return []string{encodingRaw, encodingRFC2047, encodingQuotedPrintable, encodingPercent}
}

// identityHeader is one header that an upstream is told. It has no pointers to
// compare, so that == tells whether two say the same.
type identityHeader struct {
	name      string // canonical
	value     string // what of the principal; or else
	field     string // which profile field
	list      bool   // one item may not hold the separator either
	separator string // between the items of a list
	encoding  string
}

// newIdentityHeader fills in what a header of the file leaves open.
func newIdentityHeader(h Header, separator string) identityHeader {
	made := identityHeader{
		name: textproto.CanonicalMIMEHeaderKey(h.Name), value: h.Value, field: h.Field,
		list: h.Value == valueRoles || h.Separator != "", separator: h.Separator, encoding: h.Encoding,
	}
	if made.separator == "" {
		made.separator = separator
	}
	if made.encoding == "" {
		made.encoding = encodingRaw
	}
	return made
}

// of is the header's value for a principal, empty when there is none.
func (h *identityHeader) of(p *auth.Principal) string {
	var v string
	switch {
	case h.field != "" && !h.list && len(p.Fields[h.field]) == 1:
		v = headerValue(p.Fields[h.field][0])
	case h.field != "":
		v = join(p.Fields[h.field], h.separator)
	case h.value == valueRoles:
		v = join(p.Roles, h.separator)
	default:
		v = headerValue(part(p, h.value))
	}
	return encode(h.encoding, v)
}

// part is what of an account a word names; roles are not among it.
func part(p *auth.Principal, word string) string {
	switch word {
	case "id":
		return p.ID
	case "username":
		return p.Username
	case "email":
		return p.Email
	case "name":
		return p.Name
	case "session":
		return p.Session
	}
	return ""
}

// join leaves out an item that would read as two, or as none. A separator is a
// sign with or without a space: readers are known to split at the sign alone.
func join(items []string, separator string) string {
	ok := func(item string) bool { return headerValue(item) != "" && !strings.Contains(item, separator[:1]) }
	if len(items) == 1 && ok(items[0]) {
		return items[0]
	}
	var b strings.Builder
	for _, item := range items {
		if !ok(item) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(separator)
		}
		b.WriteString(item)
	}
	return b.String()
}

// headerValue lets a value through that arrives as it was sent: no control
// character could end the line, and no space around it gets lost and makes
// another user of it.
func headerValue(v string) string {
	if v == "" {
		return ""
	}
	ascii := true
	for i := range len(v) {
		if c := v[i]; c < ' ' || c == 0x7f {
			return ""
		} else if c >= utf8.RuneSelf {
			ascii = false
		}
	}
	if v[0] == ' ' || v[len(v)-1] == ' ' {
		return ""
	}
	if !ascii && (!utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) || strings.TrimSpace(v) != v) {
		return ""
	}
	return v
}

// encode writes a value that headerValue let through. What comes out is one
// line, and decodes to the very value.
func encode(encoding, v string) string {
	switch encoding {
	case encodingRFC2047:
		return encodeWords(v)
	case encodingQuotedPrintable:
		return escape(v, '=')
	case encodingPercent:
		return escape(v, '%')
	}
	return v
}

// escape writes the bytes that are not ASCII, and the sign itself, as the sign
// and two hexadecimal digits.
func escape(v string, sign byte) string {
	const hex = "0123456789ABCDEF"
	n := 0
	for i := range len(v) {
		if v[i] >= utf8.RuneSelf || v[i] == sign {
			n++
		}
	}
	if n == 0 {
		return v
	}
	out := make([]byte, 0, len(v)+2*n)
	for i := range len(v) {
		if c := v[i]; c >= utf8.RuneSelf || c == sign {
			out = append(out, sign, hex[c>>4], hex[c&15])
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

// wordBytes is how much one encoded word holds: 60 letters of base64 and 12
// around them are less than the 75 that RFC 2047 section 2 allows.
const wordBytes = 45

// encodeWords writes encoded words (RFC 2047) with one space between them,
// which belongs to no value. ASCII stays as it is, but for what would read as
// such a word. mime.WordEncoder would let that through.
func encodeWords(v string) string {
	if isASCII(v) && !strings.Contains(v, "=?") {
		return v
	}
	var b strings.Builder
	for v != "" {
		n := min(len(v), wordBytes)
		for n < len(v) && !utf8.RuneStart(v[n]) {
			n-- // a letter must not be cut in two
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(v[:n])) + "?=")
		v = v[n:]
	}
	return b.String()
}

// isASCII tells whether every reader of a header field takes a value for the same
// text (RFC 9110 section 5.5).
func isASCII(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool { return r >= utf8.RuneSelf })
}
