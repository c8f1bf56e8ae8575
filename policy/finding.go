package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Finding is one thing that is wrong, or looks wrong, with a policy.
type Finding struct {
	Pos     Pos
	Message string // what it is and what to do about it
	Warning bool   // the policy can be served all the same
}

// String is the finding as compilers write it: gateway.yaml:42:7: message.
func (f Finding) String() string {
	text := f.Message
	if f.Warning {
		text = "warning: " + text
	}
	if place := f.Pos.String(); place != "" {
		return place + ": " + text
	}
	return text
}

// String is file:line:column, without what is not known.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return strings.TrimPrefix(fmt.Sprintf("%s:%d", p.File, p.Line), ":")
	}
	return strings.TrimPrefix(fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column), ":")
}

// sortFindings puts findings in the order of the file.
func sortFindings(list []Finding) {
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column), cmp.Compare(a.Message, b.Message))
	})
}

// line names another place in a message: "line 12", or the route's label where
// nothing is known of lines.
func line(r *route) string {
	if r.info.Pos.Line == 0 {
		return "route " + r.info.Label
	}
	return fmt.Sprintf("line %d", r.info.Pos.Line)
}

// Suggest is ` (did you mean "role"?)` for the known word that a typing slip
// could have turned into this one, or nothing.
func Suggest(word string, known []string) string {
	best, least := "", 1+min(max(1, len(word)/3), 4)
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least && d < len(k) {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance counts the letters that were added, lost, changed or swapped with
// their neighbour (Damerau-Levenshtein, optimal string alignment).
func distance(a, b string) int {
	const longest = 64 // no word is longer, and a file must not buy quadratic work
	if len(a) > longest || len(b) > longest {
		return longest
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			rows[i][j] = min(rows[i-1][j], rows[i][j-1], rows[i-1][j-1]) + 1
			if a[i-1] == b[j-1] {
				rows[i][j] = rows[i-1][j-1]
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
