package policy

import (
	"iter"
	"slices"
	"strings"
)

// Observed is one request of an access log.
type Observed struct {
	Host, Method, Path string   // the path raw, without the query
	User               string   // username; empty: nobody was logged in
	Roles              []string // nil: not known
	Client             string   // the address; empty: not known
	Decision           string   // the gateway's: allow, deny, challenge, observe; empty: the log is the application's own
	Status             int      // what the client got
}

// Proposal is one route that a log suggests.
type Proposal struct {
	Host    string // only a host that the current policy names
	Path    string // a pattern; what looks like an identifier is {id}
	Methods []string
	Allow   Rule

	Requests  int      // that the application answered
	Anonymous int      // of these without a login
	Users     []string // a few of those who asked
	Instead   string   // of which observing route of the same path, by its line
}

// Coverage is a route of the current policy and the requests it decided.
type Coverage struct {
	Route    string
	Pos      Pos
	Requests int
}

// LeftOut is why requests taught nothing, with the first such path.
type LeftOut struct {
	Why      string
	Requests int
	Example  string
}

// Lesson is what a log teaches.
type Lesson struct {
	Requests  int
	Proposals []Proposal // what no route covers yet, by host and path
	Covered   []Coverage // what the current policy lets in as the application did
	Observed  []Coverage // what came by routes that only observe: proposed
	Refused   []Coverage // what the application answered and the policy's route refuses
	LeftOut   []LeftOut
}

const (
	// manyValues is how many names at one place make it a place for values.
	manyValues = 20
	// learnMax bounds the places that are remembered, so that a log in which
	// every path is another one fills no memory.
	learnMax = 50000
	// publicRequests and publicClients are how often, and by how many, a page must
	// have been read without a login before it is thought to be public.
	publicRequests, publicClients = 10, 3
)

// Learn proposes routes for what an access log shows to be in use and the
// current policy (nil: none) does not cover.
//
// The log is not trusted: whoever can send requests writes into it. Only what
// the application itself answered with success counts; a redirect without a
// login is as likely the way to the login page. What was seen with a login is
// never proposed for anyone, and what was seen without one only if it was read,
// not written, and by several clients: an intruder alone opens nothing. Roles
// are proposed as narrow as they were seen. Read every line all the same.
func Learn(requests iter.Seq[Observed], t *Table) Lesson {
	if t == nil {
		t = &Table{}
	}
	l := newLearner(t)
	for o := range requests {
		l.requests++
		if why := l.take(&o); why != "" {
			l.leave(why, o.Path)
		}
	}
	return l.lesson()
}

// learner gathers what was seen.
type learner struct {
	table    *Table
	requests int
	branches int
	sites    map[*site]string   // the host that a site is of
	roots    map[string]*branch // by host
	covered  map[int]int        // requests by route
	observed map[int]int
	refused  map[int]int
	left     map[string]*LeftOut
}

// branch is a place where paths lead to: a tree of what was seen.
type branch struct {
	below map[string]*branch // by segment, escaped; "" is a final slash
	value *branch            // all identifiers
	seen  map[string]*evidence
}

// newLearner names the sites of the table.
func newLearner(t *Table) *learner {
	l := &learner{
		table: t, sites: map[*site]string{}, roots: map[string]*branch{},
		covered: map[int]int{}, observed: map[int]int{}, refused: map[int]int{}, left: map[string]*LeftOut{},
	}
	for host, s := range t.exact {
		l.sites[s] = host
	}
	for suffix, s := range t.wildcards {
		l.sites[s] = "*." + suffix
	}
	return l
}

// leave notes that a request teaches nothing.
func (l *learner) leave(why, example string) {
	if l.left[why] == nil {
		l.left[why] = &LeftOut{Why: why, Example: example}
	}
	l.left[why].Requests++
}

// take learns from one request, or says why not.
func (l *learner) take(o *Observed) string {
	if o.Method == "HEAD" {
		o.Method = "GET"
	}
	if why := o.proves(); why != "" {
		return why
	}
	path, err := ParsePath(o.Path)
	if err != nil || !path.Plain() {
		return "the path can be read in two ways"
	}
	if l.known(o, path) {
		return ""
	}
	segments := strings.Split(path.String(), "/")[1:]
	for i, s := range segments {
		segments[i] = escape(decode(s))
		if !plainName(segments[i]) && s != "" {
			return "the path has other characters than letters, digits and -._~"
		}
	}
	if o.User != "" && slices.ContainsFunc(o.Roles, func(role string) bool { return !plainName(role) }) {
		return "a role has other characters than letters, digits and -._~"
	}
	e := l.evidence(l.sites[l.table.site(o.Host)], o.Method, segments)
	if e == nil {
		return "the log has too many different paths"
	}
	e.add(o)
	return ""
}

// proves says why a request does not prove that the application has the page.
func (o *Observed) proves() string {
	switch {
	case o.Decision != "" && o.Decision != "allow" && o.Decision != "observe":
		return "the gateway refused it"
	case o.Status < 200 || o.Status > 399:
		return "the application did not answer with success"
	case o.Status >= 300 && o.Status != 304 && o.User == "":
		return "a redirect of somebody not logged in, perhaps to the login page"
	case o.Method == "OPTIONS":
		return "OPTIONS, which the gateway answers itself for `cors`"
	case checkMethod(o.Method) != nil:
		return "the method is none that a route can have"
	}
	return ""
}

// plainName reports whether a segment or a role can stand in YAML and in a
// pattern as it is. An attacker who chooses names shall not write in the file.
func plainName(s string) bool {
	if s == "" || len(s) > literalMax {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isName("_"+s[i:i+1]) && strings.IndexByte("-._~", c) < 0 {
			return false
		}
	}
	return true
}

// known notes a request that the current policy has an answer for. A route that
// only observes has none yet, not even for whom its rules let in: to find its
// rules is what a log is read for, and routes inside it take paths from it.
func (l *learner) known(o *Observed, path Path) bool {
	m := l.table.Match(o.Method, o.Host, path)
	if m.Refusal() != ReasonNone {
		return false
	}
	caller := Caller{}
	if o.User != "" {
		caller.Subject = Subject{ID: nobodys, Username: o.User, Roles: o.Roles}
	}
	switch d := m.Decide(caller); {
	case l.table.routes[m.Route()].observe:
		l.observed[m.Route()]++
		return false
	case o.Decision == "allow" || d.Effect == Allow:
		l.covered[m.Route()]++
	default:
		l.refused[m.Route()]++
	}
	return true
}

// evidence finds or makes the place of a path and what is known of the method
// there. It is nil when there are too many places.
func (l *learner) evidence(host, method string, segments []string) *evidence {
	if l.roots[host] == nil {
		l.roots[host] = &branch{}
	}
	p := l.roots[host]
	for _, s := range segments {
		next := p.below[s]
		if identifier(s) {
			next = p.value
		}
		if next == nil {
			if l.branches++; l.branches > learnMax {
				return nil
			}
			next = p.add(s)
		}
		p = next
	}
	if p.seen == nil {
		p.seen = map[string]*evidence{}
	}
	if p.seen[method] == nil {
		p.seen[method] = &evidence{}
	}
	return p.seen[method]
}

// add makes the place for a segment.
func (p *branch) add(segment string) *branch {
	next := &branch{}
	if identifier(segment) {
		p.value = next
		return next
	}
	if p.below == nil {
		p.below = map[string]*branch{}
	}
	p.below[segment] = next
	return next
}

// identifier reports whether a segment looks like the name of one thing among
// many: a number, a UUID, or at least 24 hexadecimal digits.
func identifier(s string) bool {
	digits, hex, dashes := 0, 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits++
			hex++
		case unhex(c) < 16:
			hex++
		case c == '-':
			dashes++
		default:
			return false
		}
	}
	uuid := len(s) == 36 && dashes == 4 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
	return s != "" && (digits == len(s) || hex == len(s) && hex >= 24 || uuid)
}
