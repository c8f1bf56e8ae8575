package roster

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// readCSV reads CSV of any of the formats.
func (l *List) readCSV(in *bufio.Reader, columns map[string]string) error {
	// A short file ends within what is looked at; its error comes again below.
	start, _ := in.Peek(peeked)
	header, _, _ := strings.Cut(strings.TrimLeft(string(start), "\r\n"), "\n")
	r := csv.NewReader(in)
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
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var bad *csv.ParseError
		if err != nil && !errors.As(err, &bad) {
			return err
		}
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
	var faults []error
	meanings, dump, there := make([]string, len(names)), dumpColumns(l.Format), map[string]bool{}
	given := map[string]bool{}
	for i, name := range names {
		name = columnName(name)
		meaning, ok := columns[name]
		given[name] = ok
		switch {
		case ok:
		case dump != nil:
			if meaning = dump[name]; meaning == "" {
				l.LeftOut = append(l.LeftOut, name)
			}
		case known(name):
			meaning = name
		case name == "password":
			faults = append(faults, errors.New(`the column "password": passwords in clear are not taken; where it holds hashes, say --column password=password_hash`))
		default:
			faults = append(faults, fmt.Errorf("the column %q means nothing here: correct it, give it a meaning with --column %[1]s=field:NAME, or leave it out with --column %[1]s=", shorten(name)))
		}
		if there[meaning] && meaning != "" && meaning != "deleted" {
			faults = append(faults, fmt.Errorf("two columns mean %s", meaning))
		}
		meanings[i], there[meaning] = meaning, true
	}
	for name, meaning := range columns {
		if !given[name] {
			faults = append(faults, fmt.Errorf("there is no column %q", name))
		} else if meaning != "" && !known(meaning) {
			faults = append(faults, fmt.Errorf("--column %s=%s: the meanings are %s and field:NAME", name, meaning, strings.Join(columnNames(), ", ")))
		}
	}
	if !there["username"] && !there["email"] {
		faults = append(faults, errors.New("no column means username or email: is there a header?"))
	}
	return meanings, errors.Join(faults...)
}

// shorten keeps a name that a file gave from filling the screen; the first
// line of a file without a header may be anything.
func shorten(name string) string {
	const most = 40
	if len(name) > most {
		return strings.ToValidUTF8(name[:most], "") + "..."
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
