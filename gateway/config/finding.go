package config

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/posternhq/postern/policy"
)

// Finding is something wrong, or with Warning doubtful, in a configuration.
type Finding struct {
	File    string // or what else the value comes from: POSTERN_LISTEN, --upstream
	Line    int    // from 1; zero: no particular place
	Column  int    // from 1, counted in characters; zero: no particular place
	Message string
	Warning bool
}

// String is the finding as compilers print theirs, which editors can jump to:
// gateway.yaml:42:7: unknown key "rolse" (did you mean "role"?)
func (f Finding) String() string {
	message := f.Message
	if f.Warning {
		message = "warning: " + message
	}
	switch {
	case f.File == "":
		return message
	case f.Line == 0:
		return fmt.Sprintf("%s: %s", f.File, message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, message)
}

// Failed tells whether any finding is an error, so that the configuration
// must not be used.
func Failed(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return !f.Warning })
}

// outcome is what was read, or nothing when a finding is an error, and the
// findings in the order of the file.
func outcome[T any](read T, findings []Finding) (T, []Finding) {
	findings = sortFindings(findings)
	if Failed(findings) {
		var nothing T
		return nothing, findings
	}
	return read, findings
}

// sortFindings puts findings in the order of the file, and what has no place
// in it last; it drops repetitions.
func sortFindings(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(min(b.Line, 1), min(a.Line, 1)),
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(findings)
}

// at is an error at a place in a file; a warning is made of it by who warns.
func at(pos policy.Pos, format string, args ...any) Finding {
	return Finding{File: pos.File, Line: pos.Line, Column: pos.Column, Message: fmt.Sprintf(format, args...)}
}
