package policy

import (
	"fmt"
	"strings"
)

// pattern is a route's path, read: its segments, and how it ends.
type pattern struct {
	text     string
	segments []segment
	tail     tail
}

// segment is one segment of a pattern. With neither a literal nor a name it is
// a *.
type segment struct {
	literal string // decoded
	name    string // of {name}
}

// tail is what a pattern demands behind its last segment.
type tail uint8

const (
	tailEnd   tail = iota // nothing: /a
	tailSlash             // a slash: /a/
	tailRest              // anything, also nothing: /a/**
)

// literalMax is how long a literal may be, decoded, in bytes. Request segments
// are folded in a buffer of that size; a longer one is no literal.
const literalMax = 255

// parsePattern reads a route's path:
//
//	/literal/{name}/*/**
//
// A literal stands for itself, decoded: /a%20b and /café match every spelling
// of a request that decodes to the same (how a router that compares undecoded
// sees it is a matter of readings). {name} and * match one segment that is not
// empty, ** at the end the rest, none included. Errors name the offset in
// bytes, from 0, at which the pattern stops making sense.
func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	if text == "" || text[0] != '/' {
		return pattern{}, patternError(text, 0, "a path begins with a slash")
	}
	for at := 0; at < len(text); {
		end := segmentEnd(text, at)
		word := text[at+1 : end]
		last := end == len(text)
		switch {
		case word == "" && last:
			p.tail = tailSlash
		case word == "**" && last:
			p.tail = tailRest
		case word == "**":
			return pattern{}, patternError(text, at+1, "** stands only at the end")
		default:
			s, err := parseSegment(text, at+1, word)
			if err != nil {
				return pattern{}, err
			}
			if s.name != "" && p.index(s.name) >= 0 {
				return pattern{}, patternError(text, at+1, "{%s} is there twice", s.name)
			}
			p.segments = append(p.segments, s)
		}
		at = end
	}
	return p, nil
}

// index returns the place of the segment {name}, or -1.
func (p pattern) index(name string) int {
	for i, s := range p.segments {
		if s.name == name {
			return i
		}
	}
	return -1
}

// parseSegment reads one word of a pattern; at is where it stands in the text.
func parseSegment(text string, at int, word string) (segment, error) {
	switch {
	case word == "":
		return segment{}, patternError(text, at, "an empty segment; no request has one unless path_options admits it, and then ** matches it")
	case word == "*":
		return segment{}, nil
	case strings.ContainsAny(word, "{}"):
		name := strings.TrimSuffix(strings.TrimPrefix(word, "{"), "}")
		if len(name) != len(word)-2 || !isName(name) {
			return segment{}, patternError(text, at, "a parameter is a whole segment, {name} with letters, digits and _")
		}
		return segment{name: name}, nil
	case strings.Contains(word, "*"):
		return segment{}, patternError(text, at+strings.Index(word, "*"), "* stands for a whole segment and ** for the rest; neither is part of a name")
	}
	return parseLiteral(text, at, word)
}

// parseLiteral reads a literal segment. It must be written as a client would:
// what ParsePath refuses could never match, and what a router might read in a
// second way belongs into a {name} or ** of a route with path_options.
func parseLiteral(text string, at int, word string) (segment, error) {
	for i := 0; i < len(word); i++ {
		if why := literalFault(word, i); why != "" {
			return segment{}, patternError(text, at+i, "%s", why)
		}
	}
	literal := decode(word)
	if p, err := ParsePath("/" + escape(literal)); err != nil {
		return segment{}, patternError(text, at, "%v", err)
	} else if !p.Plain() {
		return segment{}, patternError(text, at, "a literal has no encoded slash, percent, # or ? and no semicolon; use {name} or ** and path_options")
	}
	if len(literal) > literalMax {
		return segment{}, patternError(text, at, "a literal has at most %d bytes", literalMax)
	}
	return segment{literal: literal}, nil
}

// literalFault says what is wrong with the character at word[i], or nothing.
func literalFault(word string, i int) string {
	switch c := word[i]; {
	case c == '?':
		return "a path has no query; policies do not see it"
	case c == '#':
		return "a path has no fragment"
	case c == '\\':
		return "a path has no backslash, and a pattern is no regular expression"
	case c == ' ':
		return "a space is written %20"
	case strings.IndexByte("\"<>[]^`|", c) >= 0:
		return fmt.Sprintf("%q is written %%%02X; a pattern is no regular expression", c, c)
	case c != '%':
		return ""
	}
	b, ok := unescape(word, i)
	if !ok {
		return "a broken percent-encoding"
	}
	if plainByte(b) {
		return fmt.Sprintf("%s is written %c", word[i:i+3], b)
	}
	if canonical := fmt.Sprintf("%%%02X", b); canonical != word[i:i+3] {
		return fmt.Sprintf("%s is written %s", word[i:i+3], canonical)
	}
	return ""
}

// plainByte reports whether a path holds the byte unencoded: RFC 3986 section
// 3.3, pchar, without the semicolon.
func plainByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' ||
		strings.IndexByte("-._~!$&'()*+,=:@", b) >= 0
}

// escape writes a decoded literal the canonical way.
func escape(literal string) string {
	var b strings.Builder
	for i := 0; i < len(literal); i++ {
		if plainByte(literal[i]) {
			b.WriteByte(literal[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", literal[i])
		}
	}
	return b.String()
}

// isName reports whether a parameter may be called so.
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// patternError is a fault of a pattern and its place in it.
func patternError(text string, at int, format string, args ...any) error {
	return fmt.Errorf("path %q, at %d: %s", text, at, fmt.Sprintf(format, args...))
}
