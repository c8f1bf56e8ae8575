package roster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// member is one member of a JSON object.
type member struct {
	name string
	// What encoding/json makes, but for objects, which keep order and doubles.
	value any // string, json.Number, bool, nil, []any, []member
}

// maxNesting is how deep a line's JSON may be nested.
const maxNesting = 4

// parseObject reads exactly one JSON object. encoding/json alone would take the
// last of two members with one name and mend broken UTF-8.
func parseObject(text string) ([]member, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("is not UTF-8")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	value, err := parseValue(d, maxNesting)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errNotObject
		}
	}
	var twice *doubled
	if errors.As(err, &twice) {
		return nil, twice
	}
	members, ok := value.([]member)
	if err != nil || !ok {
		return nil, errNotObject // not its own words: they quote the text
	}
	return members, nil
}

// errNotObject is all that is said of broken JSON. The decoder's own errors
// quote the character that they stumbled on.
var errNotObject = errors.New("must be one JSON object")

// doubled is a member that is there twice.
type doubled struct{ name string }

func (e *doubled) Error() string { return fmt.Sprintf("has the member %q twice", show(e.name)) }

// parseValue reads the next value, no deeper than depth.
func parseValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth == 0 {
		return nil, errNotObject
	}
	if delim == '{' {
		return parseMembers(d, depth-1)
	}
	items := []any{}
	for d.More() {
		item, err := parseValue(d, depth-1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err = d.Token()
	return items, err
}

// parseMembers reads the rest of an object whose brace has been read. It keeps
// the order, in which faults are told.
func parseMembers(d *json.Decoder, depth int) ([]member, error) {
	members, seen := []member{}, map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		if seen[name] {
			return nil, &doubled{name}
		}
		seen[name] = true
		value, err := parseValue(d, depth)
		if err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
	}
	_, err := d.Token()
	return members, err
}

// lines hands each line to take, without its end, with its number.
func lines(in *bufio.Reader, take func(number int, line string) error) error {
	s := bufio.NewScanner(in)
	// A line is bounded, and not only the file: one account is never so long, and
	// the line number is worth more than the end of the file.
	s.Buffer(make([]byte, 0, peeked), maxLine)
	number := 0
	for s.Scan() {
		number++
		if err := take(number, strings.TrimSuffix(s.Text(), "\r")); err != nil {
			return err
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d KiB", number+1, maxLine>>10)
	}
	return s.Err()
}

// readJSON reads JSON lines. A line that is no object is an entry with nothing
// but its fault, so that it is counted and told like any other.
func (l *List) readJSON(in *bufio.Reader, columns map[string]string) error {
	if err := checkColumns(nil, columns); err != nil {
		return err
	}
	return lines(in, func(number int, line string) error {
		if strings.TrimSpace(line) == "" {
			return nil
		}
		e := Entry{Line: number}
		members, err := parseObject(line)
		if err != nil {
			e.fault("line", "%v", err)
		}
		var cells []cell
		for _, m := range members {
			if c, ok := e.cell(m, columns); ok {
				cells = append(cells, c)
			}
		}
		e.fill(cells)
		return l.add(e)
	})
}

// cell reads a member of an object as a cell. Roles and fields, which have a
// shape of their own in JSON, go straight into the account.
func (e *Entry) cell(m member, columns map[string]string) (cell, bool) {
	column, given := columns[m.name]
	if !given {
		column = m.name
	}
	fields, isObject := m.value.([]member)
	list, isList := m.value.([]any)
	// null is how programs write what is not there, for every column that is one.
	switch {
	case given && column == "" || m.value == nil && known(column):
		return cell{}, false
	case !known(column):
		e.fault(show(m.name), "means nothing here")
		return cell{}, false
	case column == "fields" && isObject:
		e.takeFields(fields)
		return cell{}, false
	case isList && strings.HasPrefix(column, fieldPrefix):
		e.takeFields([]member{{strings.TrimPrefix(column, fieldPrefix), list}})
		return cell{}, false
	case column == "roles" && isList:
		return e.roles(list)
	}
	text, ok := scalar(column, m.value)
	if !ok {
		e.fault(column, "is of another type")
	}
	return cell{column, text}, ok
}

// roles joins a list of roles. One that holds the separator would become two.
func (e *Entry) roles(list []any) (cell, bool) {
	roles, err := texts(list)
	if err == nil && strings.Contains(strings.Join(roles, ""), "|") {
		err = errors.New("must not contain |")
	}
	if err != nil {
		e.fault("roles", "%v", err)
	}
	return cell{"roles", strings.Join(roles, "|")}, err == nil
}

// scalar is a value as it would stand in a cell. Ids may be numbers, and what
// is a yes or no may be true or false.
func scalar(column string, value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), column == "id"
	case bool:
		return fmt.Sprint(v), column == "disabled" || column == "active" || column == "email_verified"
	}
	return "", false
}
