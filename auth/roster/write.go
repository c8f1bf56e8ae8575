package roster

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/auth"
)

// Write writes accounts as CSV or JSON lines, with their password hashes. Read
// gives the same accounts back.
//
// A cell that a spreadsheet would take for a formula is written as it is: what
// is altered for a spreadsheet would not come back.
func Write(w io.Writer, format Format, accounts []auth.Account) error {
	switch format {
	case CSV:
		return writeCSV(w, accounts)
	case JSONLines:
		return writeJSON(w, accounts)
	}
	return fmt.Errorf("the format %q is not written", format)
}

// written are the columns that are written, in their order. The version is not
// among them: it counts revocations of one store, and means nothing to another.
func written() []string {
	return []string{"id", "username", "email", "email_verified", "name", "roles", "disabled", "created", "password_hash", "fields"}
}

// writeCSV joins roles, which hold no |, and leaves quoting to encoding/csv.
func writeCSV(w io.Writer, accounts []auth.Account) error {
	out := csv.NewWriter(w)
	if err := out.Write(written()); err != nil {
		return err
	}
	for _, a := range accounts {
		// One column for all fields: their names are the configuration's, and
		// could be changed before the file is read again.
		fields, err := fieldsText(a)
		if err != nil {
			return err
		}
		if err := out.Write([]string{
			a.ID, a.Username, a.Email, verified(a), a.Name, strings.Join(a.Roles, "|"),
			strconv.FormatBool(a.Disabled), created(a), a.PasswordHash, fields,
		}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// verified says nothing where there is no address.
func verified(a auth.Account) string {
	if a.Email == "" {
		return ""
	}
	return strconv.FormatBool(a.EmailVerified)
}

// created keeps all that a store keeps of the time.
func created(a auth.Account) string {
	if a.Created.IsZero() {
		return ""
	}
	return a.Created.UTC().Format(time.RFC3339Nano)
}

// fieldsText is the JSON of the fields, "" of none. encoding/json sorts them, so
// that the same accounts are the same file.
func fieldsText(a auth.Account) (string, error) {
	if len(a.Fields) == 0 {
		return "", nil
	}
	text, err := json.Marshal(auth.FieldsData(a.Fields))
	return string(text), err
}

// writeJSON leaves out what is empty, but for roles, which clients loop over.
func writeJSON(w io.Writer, accounts []auth.Account) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, a := range accounts {
		row := struct {
			ID            string         `json:"id"`
			Username      string         `json:"username"`
			Email         string         `json:"email,omitempty"`
			EmailVerified *bool          `json:"email_verified,omitempty"`
			Name          string         `json:"name,omitempty"`
			Roles         []string       `json:"roles"`
			Disabled      bool           `json:"disabled"`
			Created       string         `json:"created,omitempty"`
			PasswordHash  string         `json:"password_hash,omitempty"`
			Fields        map[string]any `json:"fields,omitempty"`
		}{
			ID: a.ID, Username: a.Username, Email: a.Email, Name: a.Name, Roles: append([]string{}, a.Roles...),
			Disabled: a.Disabled, Created: created(a), PasswordHash: a.PasswordHash, Fields: auth.FieldsData(a.Fields),
		}
		if a.Email != "" {
			row.EmailVerified = &a.EmailVerified
		}
		if err := enc.Encode(row); err != nil {
			return err
		}
	}
	return nil
}
