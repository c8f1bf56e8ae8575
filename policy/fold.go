package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// change is what a profile does to the text of a path before it compares.
type change uint8

const (
	changeNone change = iota
	changeCut         // parameters
	changeTrim        // dots and spaces at the end of each segment, and from :: on
)

// apply returns the changed text. It allocates, but only for paths that have
// what is to be changed.
func (c change) apply(text string) string {
	switch c {
	case changeCut:
		return cutParameters(text)
	case changeTrim:
		return trimNames(text)
	}
	return text
}

// trimNames reads a path as Windows does: dots and spaces at the end of a name
// are nothing, and so is a name of these alone. Two colons begin what is not
// the file's name; one alone names another stream than the file's own.
func trimNames(text string) string {
	var b strings.Builder
	for at := 0; at < len(text); {
		end := segmentEnd(text, at)
		if name := trimName(text[at+1 : end]); name != "" || end == at+1 {
			b.WriteByte('/')
			b.WriteString(name)
		}
		at = end
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// trimName drops the dots and spaces at the end of a name, and two colons with
// what follows, in any spelling.
func trimName(name string) string {
	name = cutStream(name)
	for {
		shorter := name
		for _, end := range []string{".", " ", "%2e", "%2E", "%20"} {
			shorter = strings.TrimSuffix(shorter, end)
		}
		if shorter == name {
			return name
		}
		name = shorter
	}
}

// cutStream ends a name where two colons stand.
func cutStream(name string) string {
	colon := -1 // where the last character began, if it was one
	for at := 0; at < len(name); {
		b, size := unit(name, at)
		switch {
		case b != ':':
			colon = -1
		case colon >= 0:
			return name[:colon]
		default:
			colon = at
		}
		at += size
	}
	return name
}

// fold says how a router compares a segment with a literal.
type fold uint8

const (
	foldExact     fold = iota // decoded
	foldLower                 // decoded, ASCII case apart (also K, the kelvin's sign)
	foldUndecoded             // as it is written, ASCII case apart
	foldWindows               // decoded, case and width apart (also É), without dots and spaces at the end
	foldCount
)

// key returns a literal as the fold's tree has it.
func (f fold) key(literal string) string {
	switch f {
	case foldExact:
		return literal
	case foldUndecoded:
		literal = escape(literal)
	case foldWindows:
		literal, _, _ = strings.Cut(literal, "::")
		literal = strings.TrimRight(literal, ". ")
	}
	buffer := []byte(literal)
	for i, b := range buffer {
		buffer[i] = lower(b)
	}
	return string(f.letters(buffer))
}

// apply folds a request's segment, as written, into the buffer. A segment that
// does not fit is no literal.
func (f fold) apply(buffer *[literalMax]byte, segment string) (folded []byte, ok bool) {
	out := buffer[:0]
	for i := 0; i < len(segment); {
		b, size := segment[i], 1
		if f != foldUndecoded {
			b, size = unit(segment, i)
		}
		if len(out) == len(buffer) {
			return nil, false
		}
		if f != foldExact {
			b = lower(b)
		}
		out = append(out, b)
		i += size
	}
	return f.letters(out), true
}

// lower folds an ASCII letter.
func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + ('a' - 'A')
	}
	return b
}

// letters folds the letters outside ASCII, in place: none becomes longer.
func (f fold) letters(text []byte) []byte {
	if f == foldExact || f == foldUndecoded {
		return text
	}
	out := text[:0]
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			out = append(out, text[i])
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if folded := f.letter(r); utf8.RuneLen(folded) <= size {
			out = utf8.AppendRune(out, folded)
		} else {
			out = append(out, text[i:i+size]...)
		}
		i += size
	}
	return out
}

// letter folds one letter outside ASCII. Java and Go find i, k and s in four
// of them when they ignore case; which of the four depends on the way they
// do it, so all count. Windows compares by the simple upper case, and its
// best fit takes fullwidth letters for plain ones.
func (f fold) letter(r rune) rune {
	switch r {
	case 0x130, 0x131: // İ ı
		return 'i'
	case 0x212a: // the sign of the kelvin
		return 'k'
	case 0x17f: // ſ
		return 's'
	}
	if f != foldWindows {
		return r
	}
	if b := narrow(r); 0xff01 <= r && b != 0 {
		return rune(lower(b))
	}
	return unicode.ToUpper(r)
}
