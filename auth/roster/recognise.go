package roster

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// peeked is how much of a file is looked at to recognise it: no header is longer.
const peeked = 64 << 10

// skipMark skips the mark that some programs put before UTF-8, and refuses
// files in other encodings.
func skipMark(in *bufio.Reader) error {
	mark, _ := in.Peek(3) // too short a file has none
	switch {
	case bytes.HasPrefix(mark, []byte{0xef, 0xbb, 0xbf}):
		_, err := in.Discard(3)
		return err
	case bytes.HasPrefix(mark, []byte{0xff, 0xfe}), bytes.HasPrefix(mark, []byte{0xfe, 0xff}):
		return errors.New("is UTF-16: save it as UTF-8")
	}
	return nil
}

// passwordLine is how a line of an htpasswd file begins. It is tried after the
// header, which may hold field:NAME.
var passwordLine = regexp.MustCompile(`^[^:,;\t"]+:\S`)

// recognise says how a file is written by its first line.
func recognise(in *bufio.Reader, columns map[string]string) (Format, error) {
	// Only looked at: whoever reads the file then begins at its beginning.
	start, err := in.Peek(peeked)
	if len(start) == 0 {
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return "", errors.New("is empty")
	}
	line := firstLine(string(start))
	switch {
	case strings.HasPrefix(line, "{"):
		return JSONLines, nil
	case strings.HasPrefix(line, "["):
		return "", errors.New("is one JSON array: write one object on each line, as jq -c '.[]' does")
	}
	if format := formatOf(headerOf(line), columns); format != "" {
		return format, nil
	}
	if passwordLine.MatchString(line) {
		return HTPasswd, nil
	}
	return "", errors.New("is of no format that is recognised: give the columns names in the first line, or say --format")
}

// firstLine is the first line that is neither empty nor a comment.
func firstLine(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

// headerOf reads the names of columns, in lower case.
func headerOf(line string) []string {
	r := csv.NewReader(strings.NewReader(line))
	r.Comma = separator(line)
	names, err := r.Read()
	if err != nil {
		return nil
	}
	for i, name := range names {
		names[i] = columnName(name)
	}
	return names
}

// columnName is a column's name as it is compared. What follows field: is a
// name of the configuration, which keeps its case.
func columnName(name string) string {
	name = strings.TrimSpace(name)
	if rest, ok := strings.CutPrefix(name, fieldPrefix); ok {
		return fieldPrefix + rest
	}
	return strings.ToLower(name)
}

// separator is what stands between the columns of a header. Spreadsheets write
// semicolons where the comma is for decimals, databases write tabs.
func separator(header string) rune {
	// The most frequent one: a name in quotes may hold another.
	best, most := ',', 0
	for _, r := range ",;\t" {
		if n := strings.Count(header, string(r)); n > most {
			best, most = r, n
		}
	}
	return best
}

// formatOf says which table has such columns; "" none.
func formatOf(header []string, columns map[string]string) Format {
	has := func(name string) bool { return slices.Contains(header, name) }
	// By the columns that only this table has; the order does not matter then.
	switch {
	case has("user_login") && has("user_pass"):
		return WordPress
	case has("encrypted_password"):
		return Devise
	case has("username") && has("password") && (has("is_active") || has("date_joined") || has("is_superuser")):
		return Django
	}
	for _, name := range header {
		if meaning, given := columns[name]; given {
			name = meaning
		}
		if name == "username" || name == "email" {
			return CSV
		}
	}
	return ""
}

// clean tells whether a text is UTF-8 throughout.
func clean(cells []string) bool {
	return !slices.ContainsFunc(cells, func(c string) bool { return !utf8.ValidString(c) })
}
