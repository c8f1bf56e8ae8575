// Package roster reads and writes lists of accounts as files: CSV, JSON lines,
// htpasswd, and the user tables of Django, Devise and WordPress as their
// databases write them out.
//
//	list, err := roster.Read(file, roster.Options{})
//	for _, e := range list.Entries {
//		// e.Line, e.Account, and e.Faults: what could not be read of it
//	}
//
// It knows how files are written and nothing of what an account may be: which
// names are taken, which roles exist and which hashes can be verified is for
// package auth, whose Imported it fills.
//
// # Nothing is lost silently
//
// In CSV and JSON lines a column that has no meaning here is an error, because
// it is more likely misspelt than superfluous. A table of another system has
// columns that mean nothing here; those are left out, and List.LeftOut names
// them. Options.Columns gives any column a meaning, or takes it away.
//
// # No secret leaves
//
// Faults and errors never repeat a cell: where columns have slipped, any of
// them may be a password hash.
package roster

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/posternhq/postern/auth"
)

// Format is how a list of accounts is written.
type Format string

// The formats that are read. CSV and JSONLines are written too.
const (
	CSV       Format = "csv"
	JSONLines Format = "jsonl"
	HTPasswd  Format = "htpasswd"
	Django    Format = "django"    // the table auth_user as CSV
	Devise    Format = "devise"    // the table users of a Rails application as CSV
	WordPress Format = "wordpress" // the table wp_users as CSV
)

// Formats lists them all.
func Formats() []Format { return []Format{CSV, JSONLines, HTPasswd, Django, Devise, WordPress} }

// The bounds of a file. All of it becomes one transaction of the store, for
// which a serving gateway waits.
const (
	maxBytes   = 128 << 20
	maxEntries = 100_000
	maxLine    = 1 << 20 // of JSON lines and htpasswd
)

// Options says how to read a file.
type Options struct {
	Format Format // "": recognise it by how the file begins
	// Columns gives columns, by their name in the file, another meaning: the
	// name of a column of this package's CSV, or "" to leave them out.
	Columns map[string]string
}

// Entry is one account of a file.
type Entry struct {
	Line    int // where it begins, from 1
	Account auth.Imported
	Faults  []auth.FieldError // what could not be read of it
}

// fault adds what could not be read.
func (e *Entry) fault(field, format string, args ...any) {
	e.Faults = append(e.Faults, auth.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// List is what a file says.
type List struct {
	Format  Format
	Entries []Entry
	LeftOut []string // columns that mean nothing here
}

// Read reads a whole file. An error says why it cannot be read at all; what is
// wrong with single lines is in their entries.
func Read(r io.Reader, o Options) (*List, error) {
	in := bufio.NewReaderSize(&bounded{r: r, left: maxBytes}, peeked)
	if err := skipMark(in); err != nil {
		return nil, err
	}
	columns := make(map[string]string, len(o.Columns))
	for name, meaning := range o.Columns {
		columns[columnName(name)] = meaning
	}
	if o.Format == "" {
		var err error
		if o.Format, err = recognise(in, columns); err != nil {
			return nil, err
		}
	}
	list := &List{Format: o.Format}
	var err error
	switch o.Format {
	case JSONLines:
		err = list.readJSON(in, o.Columns) // members have one spelling
	case HTPasswd:
		if len(o.Columns) > 0 {
			return nil, errors.New("an htpasswd file has no columns to give a meaning to")
		}
		err = list.readHTPasswd(in)
	case CSV, Django, Devise, WordPress:
		err = list.readCSV(in, columns)
	default:
		err = fmt.Errorf("unknown format %q", o.Format)
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

// add puts an entry at the end.
func (l *List) add(e Entry) error {
	if len(l.Entries) == maxEntries {
		return fmt.Errorf("has more than %d accounts: split it, and import one part after the other", maxEntries)
	}
	l.Entries = append(l.Entries, e)
	return nil
}

// bounded reads at most left bytes, and then an error and not the end.
type bounded struct {
	r    io.Reader
	left int64
}

var errTooLarge = fmt.Errorf("is larger than %d MiB: split it, and import one part after the other", maxBytes>>20)

// Read ends in errTooLarge where io.LimitReader would end in io.EOF: a list that
// is cut off must not be imported as if it were whole.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}
