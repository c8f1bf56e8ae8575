package roster

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/posternhq/postern/auth"
)

// readCSV reads CSV of any of the formats, as RFC 4180 has it: cells in quotes
// may hold separators and line ends, and a quote in them is doubled. What a
// database wrote with backslashes instead is told as a fault of its line.
func (l *List) readCSV(in *bufio.Reader, columns map[string]string) error {
	// A short file ends within what is looked at; its error comes again below.
	start, _ := in.Peek(peeked)
	header, _, _ := strings.Cut(strings.TrimLeft(string(start), "\r\n"), "\n")
	records := &perRecord{r: in, left: peeked}
	r := csv.NewReader(records)
	r.Comma = separator(header)
	r.FieldsPerRecord = -1 // a record of another length is a fault of its line, not the end
	names, err := r.Read()
	if err != nil {
		return fmt.Errorf("the header cannot be read: %w", plain(err))
	}
	meanings, err := l.meanings(names, columns)
	if err != nil {
		return err
	}
	for {
		records.left = maxLine
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if errors.Is(err, errLongRecord) {
			return fmt.Errorf("what follows line %d is longer than %d KiB: is there a quote too many?", l.lastLine(), maxLine>>10)
		}
		var bad *csv.ParseError
		if err != nil && !errors.As(err, &bad) {
			return err
		}
		// The reader goes on with the line after a broken one, so one typing error
		// does not hide the next.
		if bad != nil {
			e := Entry{Line: bad.StartLine}
			e.fault("line", "%v", bad.Err)
			err = l.add(e)
		} else {
			line, _ := r.FieldPos(0)
			err = l.add(l.entry(line, meanings, record))
		}
		if err != nil {
			return err
		}
	}
}

// lastLine is where the last record began that was read; the header is the first.
func (l *List) lastLine() int {
	if len(l.Entries) == 0 {
		return 1
	}
	return l.Entries[len(l.Entries)-1].Line
}

// perRecord bounds what is read for one record. A cell costs a hundred times the
// comma that it is made of, and one missing quote makes one cell of all the rest.
type perRecord struct {
	r    io.Reader
	left int // for this record, and what is read ahead of the next
}

var errLongRecord = errors.New("is too long")

// Read fails once the record has had its share. What csv reads ahead counts for
// the record that it is read in, so the bound is true up to csv's buffer.
func (p *perRecord) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, errLongRecord
	}
	n, err := p.r.Read(b[:min(len(b), p.left)])
	p.left -= n
	return n, err
}

// plain is a fault of CSV without the place in it: what it stands for has one.
func plain(err error) error {
	var bad *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("there is none")
	case errors.As(err, &bad):
		return bad.Err
	}
	return err
}

// meanings says what each column of a header means, "" for nothing. Columns
// that are missing, doubled or unknown are errors, all of them at once.
func (l *List) meanings(names []string, columns map[string]string) ([]string, error) {
	if !clean(names) {
		return nil, errors.New("is not UTF-8: save it as that")
	}
	faults := []error{checkColumns(names, columns)}
	meanings, there := make([]string, len(names)), map[string]bool{}
	for i, name := range names {
		meaning, err := l.meaning(columnName(name), columns)
		faults = append(faults, err)
		// Several columns may each say that an account was deleted.
		if there[meaning] && meaning != "" && meaning != "deleted" {
			faults = append(faults, fmt.Errorf("two columns mean %s", meaning))
		}
		meanings[i], there[meaning] = meaning, true
	}
	if !there["username"] && !there["email"] {
		faults = append(faults, errors.New("no column means username or email: is there a header?"))
	}
	return meanings, errors.Join(faults...)
}

// meaning says what one column means. What the caller says of it goes before
// what its name says.
func (l *List) meaning(name string, columns map[string]string) (string, error) {
	if meaning, given := columns[name]; given {
		return meaning, nil
	}
	if dump := dumpColumns(l.Format); dump != nil {
		if dump[name] == "" {
			l.LeftOut = append(l.LeftOut, show(name))
		}
		return dump[name], nil
	}
	switch {
	case known(name):
		return name, nil
	case name == "password":
		return "", errors.New(`the column "password": passwords in clear are not taken; where it holds hashes, say --column password=password_hash`)
	}
	return "", fmt.Errorf("the column %q means nothing here: correct it, give it a meaning with --column %[1]s=field:NAME, or leave it out with --column %[1]s=", show(name))
}

// checkColumns refuses what is said of columns that are not there, and
// meanings that are none. names is nil where columns come line by line.
func checkColumns(names []string, columns map[string]string) error {
	var faults []error
	for name, meaning := range columns {
		same := func(other string) bool { return columnName(other) == name }
		if names != nil && !slices.ContainsFunc(names, same) {
			faults = append(faults, fmt.Errorf("there is no column %q", name))
		}
		if meaning != "" && !known(meaning) {
			faults = append(faults, fmt.Errorf("--column %s=%s: the meanings are %s and field:NAME", name, meaning, strings.Join(columnNames(), ", ")))
		}
	}
	return errors.Join(faults...)
}

// show is a name that a file gave, as it may be shown. The first line of a file
// without a header holds anything, a hash and control characters among it.
func show(name string) string {
	const most = 40 // more would fill the screen
	if len(name) > most || !auth.IsPresentable(name) {
		return "(not shown)"
	}
	return name
}

// entry reads one record.
func (l *List) entry(line int, meanings, record []string) Entry {
	e := Entry{Line: line}
	if !clean(record) {
		e.fault("line", "is not UTF-8")
		return e
	}
	if len(record) != len(meanings) {
		e.fault("line", "has %d columns, the header has %d", len(record), len(meanings))
	}
	var cells []cell
	for i := range min(len(record), len(meanings)) {
		cells = append(cells, cell{meanings[i], l.undump(meanings[i], record[i])})
	}
	e.fill(cells)
	return e
}

// undump takes out what tables of other systems have in place of no value:
// databases write NULL, MySQL \N, and Django a hash that begins with ! for an
// account without a password.
func (l *List) undump(meaning, value string) string {
	switch {
	case l.Format == CSV:
		return value
	case value == `\N`, value == "NULL" && meaning != "username":
		return ""
	case l.Format == Django && meaning == "password_hash" && strings.HasPrefix(value, "!"):
		return ""
	}
	return value
}
