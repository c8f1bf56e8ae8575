package config

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/posternhq/postern/policy"
)

// syntax reports what the YAML parser could not read, at the line of the
// mistake. The parser's own number is that of the mapping or list around it,
// which may begin a hundred lines earlier.
func (d *decoder) syntax(err error, data []byte) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if before, rest, ok := strings.Cut(message, ": "); ok && strings.HasPrefix(before, "line ") {
		message = rest
	}
	line, text := brokenLine(data)
	column := 1 + len(text) - len(strings.TrimLeft(text, " "))
	if strings.HasPrefix(text[column-1:], "\t") {
		message += "; there is a tab, and YAML indents by spaces only"
	} else {
		message += advice(message)
	}
	d.fail(policy.Pos{File: d.file, Line: line, Column: column}, "", "not YAML: %s", message)
}

// advice says what a message of the parser most often comes from.
func advice(message string) string {
	for _, one := range []struct{ in, say string }{
		{"did not find expected key", "; is a line indented differently from its neighbours, or is the key above it still commented out?"},
		{"did not find expected '-' indicator", "; is a line indented differently from its neighbours, or is a dash missing?"},
		{"could not find expected ':'", "; is a line indented differently from its neighbours, or is a colon or a dash missing?"},
		{"mapping values are not allowed", "; is a line indented differently from its neighbours, or does a text with a colon need quotes?"},
		{"alphabetic or numeric character", "; a text that begins with * or & needs quotes"},
		{"did not find expected ','", "; is a bracket not closed, or does a text in it need quotes?"},
		{"unexpected end of stream", "; is a quote not closed?"},
		{"cannot start any token", "; a text that begins with this character needs quotes"},
	} {
		if strings.Contains(message, one.in) {
			return one.say
		}
	}
	return ""
}

// searchBudget bounds what is parsed in search of a broken line, in bytes.
const searchBudget = 4 << 20

// brokenLine finds the first line after which the text is no longer YAML, and
// never becomes YAML again: the one after the longest run of whole lines that
// parses. For a bracket or a quote that nothing closes it is the line that
// opens it. The search goes back from the line at which the parser gave up; it
// is given up itself, at that line, after budget bytes were parsed, so that a
// file cannot buy quadratic work (CF-08).
func brokenLine(data []byte) (number int, text string) {
	lines := bytes.SplitAfter(data, []byte("\n"))
	reader := &lineReader{lines: lines}
	_ = drain(reader)
	last := min(max(reader.read, 1), len(lines))
	end := 0
	for _, line := range lines[:last] {
		end += len(line)
	}
	for n, budget := last, searchBudget; n > 0 && budget > 0; n-- {
		end -= len(lines[n-1])
		budget -= end
		if drain(bytes.NewReader(data[:end])) == nil {
			last = n
			break
		}
	}
	return last, strings.TrimRight(string(lines[last-1]), "\r\n")
}

// drain parses all documents of a text.
func drain(r io.Reader) error {
	for stream := yaml.NewDecoder(r); ; {
		var document yaml.Node
		if err := stream.Decode(&document); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// lineReader hands out a text line by line, and so knows how far the parser,
// which asks for more as it needs it, came.
type lineReader struct {
	lines [][]byte
	rest  []byte
	read  int // lines of which something was handed out
}

// Read implements io.Reader.
func (l *lineReader) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		if l.read == len(l.lines) {
			return 0, io.EOF
		}
		l.rest = l.lines[l.read]
		l.read++
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// invalidAt is the place of the first byte that is no UTF-8.
func invalidAt(file string, data []byte) policy.Pos {
	line, column := 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
		data = data[size:]
	}
	return policy.Pos{File: file, Line: line, Column: column}
}
