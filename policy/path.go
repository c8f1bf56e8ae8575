package policy

import "strings"

// A Path is the path of a request target that has one reading, or whose second
// readings are known and named (see Doubts). Only ParsePath makes one; the zero
// Path matches no route.
type Path struct {
	raw    string
	doubts doubt
	traits trait
}

// doubt is a set of the characters that programs read differently and that a
// route may admit.
type doubt uint8

const (
	doubtSlash     doubt = 1 << iota // %2f: a character of a segment, or a separator
	doubtPercent                     // %25: a percent sign, or an escape that is decoded again
	doubtHash                        // %23: a character, or the start of a fragment
	doubtQuestion                    // %3f: a character, or the start of a query
	doubtSemicolon                   // ; or %3b: a character, or the start of parameters
	doubtEmpty                       // //: an empty segment, or nothing
)

// trait is a set of the properties of a path that some router's folding can
// touch. A path without any is the same path for every router.
type trait uint8

const (
	traitUpper  trait = 1 << iota // has an upper-case ASCII letter
	traitEscape                   // has a percent-encoding
	traitTrim                     // has a segment that ends in a dot or a space, or has two colons
)

// badPath says what is wrong with a path, without the path.
type badPath string

// Error is the sentence for a log or an answer.
func (b badPath) Error() string { return string(b) }

const (
	faultSlash     badPath = "the path does not begin with a slash"
	faultControl   badPath = "the path has a control character or a space"
	faultRaw       badPath = "the path has a character outside ASCII that is not percent-encoded"
	faultBackslash badPath = "the path has a backslash"
	faultEscape    badPath = "the path has a broken percent-encoding"
	faultUTF8      badPath = "the path is not UTF-8 once it is decoded"
	faultDots      badPath = "the path has a dot segment"
	faultLookalike badPath = "the path has a character that is taken for a slash or a backslash"
	faultQuery     badPath = "the path has a query or a fragment in it"
	faultSlashes   badPath = "the path has three slashes in a row"
	faultStream    badPath = "the path names a stream of a Windows file system"
)

// ParsePath reads the path of a request target: the raw text, undecoded,
// without the query. It refuses, whatever a route says, what no honest client
// sends and two programs read in two ways:
//
//   - no slash in front, and a raw ? or #
//   - dot segments in any spelling: raw, encoded, with parameters (/..;/), with
//     spaces beside the dots (Windows drops them), before an encoded slash,
//     and of characters that NFKC makes dots (U+FF0E, U+2024, U+2025)
//   - backslashes, and characters that some file systems map to \ or /
//   - control characters, raw and encoded, and raw spaces
//   - broken percent-encodings (%zz, %u002e, a lone %, and %25u002e, which is
//     one to who decodes twice)
//   - three slashes in a row, which no path_options admit either
//   - :$ as in /x::$DATA, which is /x to NTFS (CVE-2010-2731)
//   - bytes outside ASCII that are not encoded (RFC 3986 section 2 has none;
//     Node reads them as Latin-1, Go as UTF-8), and what is not UTF-8 decoded
//
// Characters that a route can admit do not make it fail: they are refused by
// Table.Match unless the route does.
func ParsePath(raw string) (Path, error) {
	if raw == "" || raw[0] != '/' {
		return Path{}, faultSlash
	}
	s := scanner{raw: raw, at: 1}
	for s.at < len(raw) {
		if fault := s.next(); fault != "" {
			return Path{}, fault
		}
	}
	if fault := s.endSegment(); fault != "" {
		return Path{}, fault
	}
	return Path{raw: raw, doubts: s.doubts, traits: s.traits}, nil
}

// String returns the path byte for byte as ParsePath was given it. This is
// what an upstream must be sent.
func (p Path) String() string { return p.raw }

// Plain reports whether the path has none of the characters that a route must
// admit in path_options. The gateway's own endpoints answer plain paths only.
func (p Path) Plain() bool { return p.raw != "" && p.doubts == 0 }

// scanner reads a path once, from left to right, byte by decoded byte.
type scanner struct {
	raw    string
	at     int
	doubts doubt
	traits trait

	// Of the name since the last separator; parameters are no part of it.
	dots   int  // dots, or what stands for them
	others int  // any other character but spaces
	last   byte // the last decoded byte of the segment

	// Of the UTF-8 sequence under way.
	need      int  // continuation bytes still to come
	char, min rune // what was read of it, and the least it may come to (overlong below)
}

// next reads one character or one escape.
func (s *scanner) next() badPath {
	c := s.raw[s.at]
	switch {
	case c == '%':
		return s.escape()
	case c <= ' ' || c == 0x7f:
		return faultControl
	case c > 0x7f:
		return faultRaw
	case c == '?' || c == '#':
		return faultQuery
	case c == '/':
		s.at++
		return s.endSegment()
	case 'A' <= c && c <= 'Z':
		s.traits |= traitUpper
	}
	s.at++
	return s.decoded(c)
}

// escape reads one percent-encoding.
func (s *scanner) escape() badPath {
	b, ok := unescape(s.raw, s.at)
	if !ok {
		return faultEscape
	}
	s.at += 3
	s.traits |= traitEscape
	switch b {
	case '/':
		s.doubts |= doubtSlash
		s.last = b
		return s.endName()
	case '%':
		if unicodeEscape(s.raw[s.at:]) {
			return faultEscape
		}
	}
	return s.decoded(b)
}

// unicodeEscape reports whether a text, decoded, goes on with u and four
// digits: classic ASP decodes %u0061 in what others decoded before it.
func unicodeEscape(text string) bool {
	for i := range 5 {
		if text == "" {
			return false
		}
		b, size := unit(text, 0)
		if i == 0 && lower(b) != 'u' || i > 0 && unhex(b) > 15 {
			return false
		}
		text = text[size:]
	}
	return true
}

// decoded takes one byte of a segment, whichever way it was written.
func (s *scanner) decoded(b byte) badPath {
	if s.need > 0 || b >= 0x80 {
		return s.utf8(b)
	}
	switch {
	case b < ' ' || b == 0x7f:
		return faultControl
	case b == '\\':
		return faultBackslash
	case b == '$' && s.last == ':':
		return faultStream
	}
	return s.named(b)
}

// named counts one character, or the ASCII that a program may make of it.
func (s *scanner) named(b byte) badPath {
	if b == ':' && s.last == ':' {
		s.traits |= traitTrim
	}
	s.last = b
	switch b {
	case '#':
		s.doubts |= doubtHash
		return s.cut(b)
	case '?':
		s.doubts |= doubtQuestion
		return s.cut(b)
	case ';':
		s.doubts |= doubtSemicolon
		return s.cut(b)
	case '%':
		s.doubts |= doubtPercent
	case '.':
		s.dots++
		return ""
	case ' ': // Windows drops spaces beside dots
		return ""
	}
	s.others++
	return ""
}

// utf8 takes one byte of a character outside ASCII. Overlong forms, surrogates
// and what lies beyond Unicode are refused: %c0%ae was once a dot to IIS.
func (s *scanner) utf8(b byte) badPath {
	if s.need == 0 {
		switch {
		case b&0xe0 == 0xc0:
			s.need, s.char, s.min = 1, rune(b&0x1f), 0x80
		case b&0xf0 == 0xe0:
			s.need, s.char, s.min = 2, rune(b&0x0f), 0x800
		case b&0xf8 == 0xf0:
			s.need, s.char, s.min = 3, rune(b&0x07), 0x10000
		default:
			return faultUTF8
		}
		return ""
	}
	if b&0xc0 != 0x80 {
		return faultUTF8
	}
	s.char = s.char<<6 | rune(b&0x3f)
	s.need--
	if s.need > 0 {
		return ""
	}
	if s.char < s.min || s.char > 0x10ffff || 0xd800 <= s.char && s.char <= 0xdfff {
		return faultUTF8
	}
	return s.character(s.char)
}

// character takes one whole character outside ASCII. Software that applies
// NFKC or Windows' best fit makes ASCII of some: a name of fullwidth dots is
// a dot segment to it.
func (s *scanner) character(r rune) badPath {
	if r < 0xa0 { // C1 controls
		return faultControl
	}
	last := s.last
	s.last = 0x80
	switch r {
	case 0x2028, 0x2029: // line and paragraph separators
		return faultControl
	case 0x2044, 0x2215, 0x2216, 0x2100, 0x2101, 0x2105, 0x2106: // ⁄ ∕ ∖ ℀ ℁ ℅ ℆
		return faultLookalike
	case 0x2025, 0xfe30: // ‥ ︰
		s.dots += 2
		return ""
	case 0xad, 0x200b, 0x200c, 0x200d, 0x2060, 0xfeff: // which HFS+ drops from names
		return ""
	}
	switch b := narrow(r); b {
	case '/', '\\':
		return faultLookalike
	case 0:
		s.others++
		return ""
	default:
		s.last = last
		fault := s.decoded(b)
		if b == '.' || b == ' ' {
			s.last = 0x80 // Windows trims no others than its own
		}
		return fault
	}
}

// narrow returns the ASCII character that NFKC makes of a wide, small or
// vertical one, or 0. Of the others outside ASCII none becomes one of the
// characters that part a path.
func narrow(r rune) byte {
	switch r {
	case 0x2024, 0xfe52: // ․ ﹒
		return '.'
	case 0xa0, 0x202f, 0x205f, 0x3000:
		return ' '
	case 0xfe68: // ﹨
		return '\\'
	case 0xfe6a: // ﹪
		return '%'
	case 0x37e, 0xfe14, 0xfe54: // Greek question mark, ︔ ﹔
		return ';'
	case 0x2047, 0x2048, 0x2049, 0xfe16, 0xfe56: // ⁇ ⁈ ⁉ ︖ ﹖
		return '?'
	case 0xfe5f: // ﹟
		return '#'
	case 0xfe13, 0xfe55: // ︓ ﹕
		return ':'
	case 0xfe69: // ﹩
		return '$'
	}
	if 0x2000 <= r && r <= 0x200a {
		return ' '
	}
	if 0xff01 <= r && r <= 0xff5e { // fullwidth forms stand in the order of ASCII
		return byte(r - 0xff01 + '!')
	}
	return 0
}

// cut ends the name where a program might see parameters, a query or a
// fragment begin: /..;x/ is a dot segment to Tomcat.
func (s *scanner) cut(b byte) badPath {
	fault := s.endName()
	s.others++ // what follows is no name of its own
	s.last = b
	return fault
}

// endName checks the name that ends here, and starts another.
func (s *scanner) endName() badPath {
	if s.need > 0 {
		return faultUTF8
	}
	if s.others == 0 && (s.dots == 1 || s.dots == 2) {
		return faultDots
	}
	s.dots, s.others = 0, 0
	return ""
}

// endSegment checks the segment that a raw slash, or the end, closes.
func (s *scanner) endSegment() badPath {
	if s.emptyHere() {
		s.doubts |= doubtEmpty
		if s.at >= 3 && s.raw[s.at-3] == '/' {
			return faultSlashes
		}
	}
	if s.last == '.' || s.last == ' ' {
		s.traits |= traitTrim
	}
	s.last = 0
	return s.endName()
}

// emptyHere reports whether the slash just read follows another directly. The
// slash that ends a path makes no empty segment.
func (s *scanner) emptyHere() bool {
	return s.at >= 2 && s.raw[s.at-1] == '/' && s.raw[s.at-2] == '/'
}

// unescape decodes the percent-encoding at text[at].
func unescape(text string, at int) (b byte, ok bool) {
	if at+2 >= len(text) || text[at] != '%' {
		return 0, false
	}
	high, low := unhex(text[at+1]), unhex(text[at+2])
	return high<<4 | low, high < 16 && low < 16
}

// unhex returns the value of a hexadecimal digit, or 16.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// unit returns the byte that text stands for at this place, decoded, and the
// length of its spelling there: 1, or 3 for an escape.
func unit(text string, at int) (b byte, size int) {
	if b, ok := unescape(text, at); ok {
		return b, 3
	}
	return text[at], 1
}

// decode returns the text with its escapes resolved. It allocates only when
// there are any.
func decode(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	out := make([]byte, 0, len(text))
	for i, size := 0, 0; i < len(text); i += size {
		var b byte
		b, size = unit(text, i)
		out = append(out, b)
	}
	return string(out)
}

// sameDecoded reports whether two spellings decode to the same bytes, without
// allocating.
func sameDecoded(a, b string) bool {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		x, n := unit(a, i)
		y, m := unit(b, j)
		if x != y {
			return false
		}
		i, j = i+n, j+m
	}
	return i == len(a) && j == len(b)
}

// segmentAt returns the segment of that index, from 0, as it is written.
func segmentAt(text string, index int) (segment string, ok bool) {
	for at := 0; at < len(text); index-- {
		end := segmentEnd(text, at)
		if index == 0 {
			return text[at+1 : end], end > at+1
		}
		at = end
	}
	return "", false
}

// segmentEnd returns where the segment that follows the slash at text[at] ends.
func segmentEnd(text string, at int) int {
	if n := strings.IndexByte(text[at+1:], '/'); n >= 0 {
		return at + 1 + n
	}
	return len(text)
}
