package auth

import (
	"strconv"
	"strings"
)

// The formats in which other backends wrote what an account holds.
const (
	FormatNumber    = "number"     // "42" as 42; a value that is no whole number stays a text
	FormatUpperRole = "role_upper" // admin as ROLE_ADMIN, as Spring Security and its imitators do
	FormatFirst     = "first"      // of several roles the first, as a text; "" of none
)

// FormatValue writes a value in a format; an empty or unknown one leaves it as
// it is.
func FormatValue(v any, format string) any {
	switch value := v.(type) {
	case string:
		if n, ok := ParseNumber(value); format == FormatNumber && ok {
			return n
		}
	case []string:
		return formatRoles(value, format)
	}
	return v
}

// FormatFault says why a value has no such format; "" when it has.
func FormatFault(value, format string) string {
	ofRoles := format == FormatUpperRole || format == FormatFirst
	switch {
	case format == "" || format == FormatNumber && value != "roles" || ofRoles && value == "roles":
		return ""
	case ofRoles:
		return "format " + format + " is for roles"
	case format == FormatNumber:
		return "format number is for single values"
	}
	return "unknown format " + strconv.Quote(format) + "; known are number, role_upper, first"
}

// maxNumber is the greatest integer up to which JavaScript tells each from the
// next (2^53 - 1; RFC 8259 section 6): past it two users could be one.
const maxNumber = 1<<53 - 1

// ParseNumber reads a whole number that every JSON parser keeps exact, in its one
// spelling: 7 and 007 are two accounts. ok is false for every other text.
func ParseNumber(text string) (n int64, ok bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	ok = err == nil && n <= maxNumber && n >= -maxNumber && strconv.FormatInt(n, 10) == text
	return n, ok
}

// formatRoles writes roles as an application expects them. With FormatFirst a
// user without roles has the empty text: no role is made up for anybody.
func formatRoles(roles []string, format string) any {
	switch format {
	case FormatUpperRole:
		upper := make([]string, len(roles))
		for i, r := range roles {
			upper[i] = "ROLE_" + strings.ToUpper(r)
		}
		return upper
	case FormatFirst:
		if len(roles) == 0 {
			return ""
		}
		return roles[0]
	}
	return roles
}
