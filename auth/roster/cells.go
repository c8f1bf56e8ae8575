package roster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// fieldPrefix begins the name of a column that holds a profile field.
const fieldPrefix = "field:"

// columnNames are the columns of CSV and the members of JSON lines, beside
// those of profile fields.
func columnNames() []string {
	return []string{"id", "username", "email", "email_verified", "name", "first_name", "last_name", "roles", "password_hash", "disabled", "active", "created", "fields"}
}

// known tells whether a column of that name means something.
func known(name string) bool {
	return slices.Contains(columnNames(), name) || strings.HasPrefix(name, fieldPrefix) && name != fieldPrefix
}

// dumpColumns are the meanings of the columns of other systems' tables. What
// is not among them is left out, and named.
func dumpColumns(f Format) map[string]string {
	switch f {
	case Django:
		return map[string]string{
			"id": "id", "username": "username", "email": "email", "first_name": "first_name", "last_name": "last_name",
			"password": "password_hash", "is_active": "active", "date_joined": "created",
		}
	// Applications add columns to this table at will; the last three are of Devise
	// itself and of the two libraries that mark accounts as deleted.
	case Devise:
		return map[string]string{
			"id": "id", "username": "username", "email": "email", "name": "name", "first_name": "first_name", "last_name": "last_name",
			"encrypted_password": "password_hash", "created_at": "created",
			"confirmed_at": "confirmed", "deleted_at": "deleted", "discarded_at": "deleted",
		}
	// spam and deleted are flags of an installation with many sites.
	case WordPress:
		return map[string]string{
			"id": "id", "user_login": "username", "user_email": "email", "display_name": "name",
			"user_pass": "password_hash", "user_registered": "created", "spam": "deleted", "deleted": "deleted",
		}
	}
	return nil
}

// cell is one value and what it means. An empty value is the same as no cell:
// neither format of a table can tell the two apart.
type cell struct{ column, value string }

// fill puts the cells of a record into its account.
func (e *Entry) fill(cells []cell) {
	first, last := "", ""
	for _, c := range cells {
		switch a := &e.Account; c.column {
		case "id":
			a.ID = c.value
		case "username":
			a.Username = c.value
		case "email":
			a.Email = c.value
		case "name":
			a.Name = c.value
		case "first_name":
			first = c.value
		case "last_name":
			last = c.value
		case "password_hash":
			a.PasswordHash = c.value
		case "roles":
			a.Roles = splitRoles(c.value)
		default:
			e.fillMore(c)
		}
	}
	// A table that has a whole name has it as its owner writes it; parts are
	// joined in the order that most of those do.
	if whole := strings.TrimSpace(first + " " + last); e.Account.Name == "" {
		e.Account.Name = whole
	}
}

// fillMore is fill for values that have a form.
func (e *Entry) fillMore(c cell) {
	switch a := &e.Account; c.column {
	case "email_verified":
		a.Unverified = !e.yes(c, true)
	// Several columns may speak of it, in any order: one that says no is enough.
	case "disabled":
		a.Disabled = a.Disabled || e.yes(c, false)
	case "active":
		a.Disabled = a.Disabled || !e.yes(c, true)
	case "confirmed": // a time, or nothing for an address that was never confirmed
		a.Unverified = c.value == ""
	case "deleted": // a time or a flag of an account that its owner or an administrator had deleted
		a.Disabled = a.Disabled || c.value != "" && c.value != "0"
	case "created":
		var err error
		if a.Created, err = instant(c.value); err != nil {
			e.fault(c.column, "%v", err)
		}
	case "fields":
		e.fillFields(c.value)
	default:
		if name, ok := strings.CutPrefix(c.column, fieldPrefix); ok && c.value != "" {
			e.setField(name, []string{c.value})
		}
	}
}

// setField gives the account a profile field.
func (e *Entry) setField(name string, values []string) {
	if e.Account.Fields == nil {
		e.Account.Fields = map[string][]string{}
	}
	e.Account.Fields[name] = values
}

// fillFields reads the fields of a profile: a JSON object.
func (e *Entry) fillFields(text string) {
	if text == "" {
		return
	}
	members, err := parseObject(text)
	if err != nil {
		e.fault("fields", "%v", err)
		return
	}
	e.takeFields(members)
}

// takeFields takes the members of an object as fields of a profile.
func (e *Entry) takeFields(members []member) {
	for _, m := range members {
		values, err := texts(m.value)
		switch {
		case err != nil: // which field it was would be a name from the file
			e.fault("fields", "%v", err)
		case len(values) > 0:
			e.setField(m.name, values)
		}
	}
}

// texts reads a text, a list of texts, or null for none.
func texts(value any) ([]string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		var all []string
		for _, one := range v {
			text, ok := one.(string)
			if !ok {
				return nil, errors.New("must be a text or a list of texts")
			}
			all = append(all, text)
		}
		return all, nil
	}
	return nil, errors.New("must be a text or a list of texts")
}

// splitRoles reads roles that are joined with |, which no role may hold. Spaces
// around it come from people who edit the file by hand.
func splitRoles(text string) []string {
	var roles []string
	for role := range strings.SplitSeq(text, "|") {
		if role = strings.TrimSpace(role); role != "" {
			roles = append(roles, role)
		}
	}
	return roles
}

// yes reads a yes or no as databases and spreadsheets write it; an empty cell
// is what is usual.
func (e *Entry) yes(c cell, usual bool) bool {
	switch strings.ToLower(c.value) {
	case "":
		return usual
	case "true", "t", "yes", "y", "1":
		return true
	case "false", "f", "no", "n", "0":
		return false
	}
	e.fault(c.column, "must be true or false")
	return usual
}

// instant reads a time as databases write it; without a zone it is UTC. Nothing
// is the zero time, and so is MySQL's zero date.
func instant(text string) (time.Time, error) {
	if text == "" || strings.HasPrefix(text, "0000-00-00") {
		return time.Time{}, nil
	}
	// PostgreSQL, MySQL, Rails and Python; all take fractions of a second.
	for _, layout := range []string{
		time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07", "2006-01-02 15:04:05 UTC", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("must be a time such as %s", time.RFC3339)
}
