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

// Suggest is ` (did you mean "role"?)` when one of the known words is near.
func Suggest(word string, known []string) string {
	best, least := "", 3
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

// distance is Levenshtein's: how many letters to change, add or drop.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
