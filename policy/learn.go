package policy

import "iter"

// Observed is one request of an access log.
type Observed struct {
	Host, Method, Path string   // the path raw, without the query
	User               string   // empty: nobody was logged in
	Roles              []string // if known
	Decision           string   // the gateway's word: allow, deny, challenge, observe; empty: the log is not a gateway's
	Status             int      // what the client got
}

// Proposal is one route that a log suggests.
type Proposal struct {
	Host    string
	Path    string // a pattern
	Methods []string
	Count   int
}

// Lesson is what a log teaches.
type Lesson struct {
	Proposals []Proposal
}

// Learn proposes routes.
func Learn(requests iter.Seq[Observed], t *Table) Lesson { return Lesson{} }

// YAML is the routes section.
func (l Lesson) YAML() string { return "routes: []\n" }
