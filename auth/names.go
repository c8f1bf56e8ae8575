package auth

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// The formats of a new account's id.
const (
	formatUUID     = "uuid"
	formatInteger  = "integer"
	formatObjectID = "objectid"
)

// The sizes of an account's parts, in bytes. All of them travel in the access
// token, and a token longer than maxToken is refused: their sum must fit even
// when JSON doubles every byte and base64 adds a third.
const (
	maxID       = 128
	maxUsername = 128
	maxEmail    = 254 // RFC 5321 4.5.3.1.3, less the angle brackets
	maxName     = 200
	maxRole     = 64
	maxRoles    = 896 // of all roles together
	maxFields   = 896 // of all fields together, names and values
	perText     = 3   // what JSON needs besides: two quotes and a comma
)

// Fold is the form under which a name is unique and is looked up: Unicode
// compatibility composition (NFKC) and full case folding. "Ａlice" (fullwidth)
// and "ALICE" are the name "alice".
func Fold(name string) string {
	// Folding can leave a text that is not composed, and composing can make a
	// character that folds again: the second round reaches the fixed point.
	for range 2 {
		name = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(name)))
	}
	return name
}

// idForm is what an id looks like in any of the formats. A username must not:
// names and ids are one namespace, and who could be called "42" could be taken
// for the account 42 by an application that is told either. Digits of any
// script make a number to some of them.
var idForm = regexp.MustCompile(`^(?:\p{Nd}+|[0-9a-f]{24}|\{?(?:urn:uuid:)?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?)$`)

// isControlOrSpace finds what has no place in a name that becomes a header
// field, a token claim and a log entry. Format characters are invisible, and
// make two names that look alike.
func isControlOrSpace(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError
}

// isControl is isControlOrSpace for texts that may hold plain spaces.
func isControl(r rune) bool { return r != ' ' && isControlOrSpace(r) }

// anyControl reports whether one of the texts has such a character. Almost all
// are printable ASCII, which has none.
func anyControl(texts ...string) bool {
	for _, text := range texts {
		odd := 0
		for odd < len(text) && ' ' <= text[odd] && text[odd] <= '~' {
			odd++
		}
		if strings.ContainsFunc(text[odd:], isControl) {
			return true
		}
	}
	return false
}

// foldShort is Fold for what a stranger sends: of a text that is longer than any
// name it answers nothing. Folding takes time and memory, many times as much as
// the text has where one character becomes eighteen.
func foldShort(text string) string {
	if len(text) > maxEmail {
		return ""
	}
	return Fold(text)
}

// usernameFault says what is wrong with a username; email is that account's
// own, "" for none.
func usernameFault(name, email string) string {
	folded, foldedEmail := foldShort(name), foldShort(email)
	switch {
	case name == "":
		return "must not be empty"
	case len(name) > maxEmail || len(name) > maxUsername && foldedEmail != folded:
		return fmt.Sprintf("is longer than %d bytes", maxUsername)
	case strings.ContainsFunc(name, isControl) || name != strings.TrimSpace(name):
		return "must not contain control characters, or spaces at its ends"
	case strings.ContainsAny(folded, ",|"):
		return "must not contain a comma or |"
	case strings.Contains(folded, "@") && folded != foldedEmail:
		return "must not contain @ unless it is the account's own e-mail address"
	case idForm.MatchString(folded):
		return "must not look like an id (a number, a UUID or 24 hexadecimal digits)"
	}
	return ""
}

// emailFault says what is wrong with an e-mail address. It does not try to be
// RFC 5322: an address that no header, log line or template can misread is
// enough, and a mail that arrives is the only proof.
func emailFault(email string) string {
	local, domain, found := strings.Cut(email, "@")
	switch {
	case len(email) > maxEmail:
		return fmt.Sprintf("is longer than %d bytes", maxEmail)
	case !found || local == "" || domain == "" || strings.Count(Fold(email), "@") != 1:
		return "must look like name@example.com"
	case strings.ContainsFunc(email, isControlOrSpace) || strings.ContainsAny(Fold(email), `,|<>"`):
		return `must not contain spaces, control characters or any of , | < > "`
	}
	return ""
}

// idFault says what is wrong with an id that was given, by an import.
func idFault(id string) string {
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, isControlOrSpace) || strings.ContainsAny(id, `,|@/\`) {
		return fmt.Sprintf(`must be 1 to %d bytes without spaces, control characters or any of , | @ / \`, maxID)
	}
	return ""
}

// nameFault says what is wrong with a person's name.
func nameFault(name string) string {
	if len(name) > maxName || strings.ContainsFunc(name, isControl) {
		return fmt.Sprintf("must be at most %d bytes without control characters", maxName)
	}
	return ""
}

// roleFault says what is wrong with a role's name. Roles are joined with ","
// for upstreams and with "|" in CSV: a role that holds one would be two.
func roleFault(role string) string {
	if role == "" || len(role) > maxRole || strings.ContainsFunc(role, isControlOrSpace) || strings.ContainsAny(role, ",|") {
		return fmt.Sprintf("a role is 1 to %d bytes without spaces, control characters, comma or |", maxRole)
	}
	return ""
}

// newID makes an account's id.
//
// An integer is random in [10^9, 2^31): applications keep foreign keys to it in
// INTEGER columns, which in most databases end at 2^31-1, and their own rows
// count up from 1. Counting on from the highest account instead would give the
// id of a deleted account, and with it all it owned in the application, to the
// next one that is made. The store refuses the rare id that is taken, and
// AddAccount tries again.
func newID(format string, rand io.Reader, now time.Time) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	switch format {
	case formatInteger:
		const low, high = 1_000_000_000, 1 << 31
		// 64 random bits over 2^30 values: the bias is below 2^-33.
		return strconv.FormatUint(low+binary.BigEndian.Uint64(b[:8])%(high-low), 10), nil
	case formatObjectID:
		binary.BigEndian.PutUint32(b[:4], uint32(now.Unix()))
		return hex.EncodeToString(b[:12]), nil
	}
	// Version 4: unlike version 7 it does not tell when the account was made.
	id, err := uuid.NewRandomFromReader(strings.NewReader(string(b[:])))
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return id.String(), nil
}

// roleFaults checks the roles of an account against those that exist.
func roleFaults(roles, known []string) []FieldError {
	var faults []FieldError
	total := 0
	for i, r := range roles {
		total += len(r) + perText
		if !slices.Contains(known, r) {
			faults = append(faults, FieldError{"roles", fmt.Sprintf("unknown role %q; known are %s", r, strings.Join(known, ", "))})
		}
		if slices.Index(roles, r) < i {
			faults = append(faults, FieldError{"roles", fmt.Sprintf("%q is listed twice", r)})
		}
	}
	if total > maxRoles {
		faults = append(faults, FieldError{"roles", fmt.Sprintf("are longer than %d bytes together", maxRoles)})
	}
	return faults
}
