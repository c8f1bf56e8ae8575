package policy

// Change is one difference between two policies: what a group of requests by a
// group of callers got, and what it gets.
type Change struct {
	Host   string // empty: any that has no routes of its own
	Method string // GET, or GET, HEAD, or any
	Path   string // a pattern
	Who    string // anyone, role user, the user of {id}
	From   string
	To     string
	Opens  bool // the next policy lets in whom the old one did not
}

// Diff lists what changes.
func Diff(old, next *Table) []Change { return nil }
