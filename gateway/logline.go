package gateway

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// LogLines is where slog's handlers should write log lines to. They escape what
// would break a line, and leave what a terminal obeys or what turns a text
// around: DEL, the C1 controls (U+009B begins what colours and clears), marks of
// direction, the separators of lines. Those are written \u009b here: inside the
// strings of JSON that means the same, and in text it can be read.
func LogLines(w io.Writer) io.Writer { return &logLines{w} }

type logLines struct{ w io.Writer }

// Write writes one line or more.
func (l *logLines) Write(text []byte) (int, error) {
	if isBelowDEL(text) { // as nearly always
		return l.w.Write(text)
	}
	if _, err := l.w.Write(escaped(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// isBelowDEL tells whether all bytes are below DEL, eight at a time: adding one
// sets the highest bit of DEL, and those above it have it set.
func isBelowDEL(text []byte) bool {
	const ones, highest = 0x0101010101010101, 0x8080808080808080
	for ; len(text) >= 8; text = text[8:] {
		if word := binary.LittleEndian.Uint64(text); (word|(word+ones))&highest != 0 {
			return false
		}
	}
	for _, b := range text {
		if b >= 0x7f {
			return false
		}
	}
	return true
}

// escaped is the text with such characters written out.
func escaped(text []byte) []byte {
	out := make([]byte, 0, len(text)+16)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			out = append(out, `\ufffd`...)
		case r >= 0x7f && (unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	return out
}
