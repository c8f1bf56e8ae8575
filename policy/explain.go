package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Step is one thing that was looked at on the way to a decision: a route, or a
// rule of one.
type Step struct {
	Route   RouteInfo
	Part    string // route | deny | allow
	Rule    Pos    // of a rule: where it stands
	Text    string // what is looked at, as a person would write it: role admin, methods GET
	Reading string // the reading of the request that it is asked about; empty: the path as it was sent
	Hit     bool   // the route answers, the rule holds
	Why     string // the caller has the roles user and mod
}

// Explanation is a decision and the way to it.
type Explanation struct {
	Decision Decision
	Path     string   // the path as it was sent
	Readings []string // every text that it is decided on, Path first
	Why      string   // the decision in a sentence
	Steps    []Step
}

// nearMisses bounds the routes that are told of although they do not answer: a
// policy may have a hundred thousand.
const nearMisses = 24

// Explain decides as Match and Decide do, and tells why. The steps are the
// routes in the order in which they are tried, those that answer and those that
// nearly do; then, for every reading of the request, the rules of the routes
// that it leads to, the denying ones first. The decision is the one that
// Match.Decide gives.
//
// It looks at every route, and allocates: it is for people who ask.
func (t *Table) Explain(method, host string, p Path, c Caller) Explanation {
	m := t.Match(method, host, p)
	x := explainer{table: t, match: &m, host: host, path: p, caller: c}
	x.Explanation = Explanation{Decision: m.Decide(c), Path: p.raw}
	if p.raw != "" {
		x.texts()
		x.routes()
	}
	if m.Refusal() == ReasonNone {
		x.rules()
	}
	x.Why = x.why()
	return x.Explanation
}

// explainer gathers an Explanation.
type explainer struct {
	Explanation
	table  *Table
	match  *Match
	host   string
	path   Path
	caller Caller
	lost   string // why no reading, or one of them, can be decided on
}

// texts lists what the path may be read as, as far as the route admits it.
func (x *explainer) texts() {
	x.Readings = []string{x.path.raw}
	if x.match.route == nil || x.path.doubts == 0 {
		return
	}
	admitted := x.match.route.admitted
	if refused := x.path.doubts &^ admitted; refused != 0 {
		x.lost = fmt.Sprintf("the path has what its route does not admit in path_options: %s", strings.Join(refused.names(), ", "))
		return
	}
	all, ok := readings(x.path, admitted)
	if !ok {
		x.lost = "one reading of the path is no path, or has what its route does not admit in path_options"
		return
	}
	for _, reading := range all[1:] {
		x.Readings = append(x.Readings, reading.raw)
	}
}

// names lists doubts by the options that admit them.
func (d doubt) names() []string {
	var list []string
	for i, name := range optionNames() {
		if d&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return list
}

// candidate is a route that answers, or how near it came.
type candidate struct {
	route *route
	miss  string // empty: host and path are the route's
	depth int    // how many segments agree
}

// routes tells of the routes that answer or nearly do, in the order in which
// they are tried.
func (x *explainer) routes() {
	var near []candidate
	for _, i := range x.table.Order() {
		if c, ok := x.candidate(x.table.routes[i]); ok {
			near = append(near, c)
		}
	}
	for _, c := range nearest(near) {
		step := Step{Route: c.route.info, Part: "route", Text: c.route.String(), Hit: x.answers(c.route), Why: c.miss}
		if c.miss == "" || step.Hit {
			step.Why, step.Reading = x.place(c.route)
		}
		x.Steps = append(x.Steps, step)
	}
}

// nearest keeps what matches, and of the others those that agree the furthest.
func nearest(list []candidate) []candidate {
	depths := []int{}
	for _, c := range list {
		if c.miss != "" {
			depths = append(depths, c.depth)
		}
	}
	if len(depths) <= nearMisses {
		return list
	}
	slices.Sort(depths)
	least := depths[len(depths)-nearMisses]
	kept, room := list[:0], nearMisses
	for _, c := range list {
		if c.miss == "" || c.depth >= least && room > 0 {
			kept = append(kept, c)
		}
		if c.miss != "" && c.depth >= least {
			room--
		}
	}
	return kept
}

// candidate compares one route with the request as the route's own application
// reads it. ok is false for a route that has nothing in common with it, unless
// no route answers. One for another host must match by its path to be told of.
func (x *explainer) candidate(r *route) (c candidate, ok bool) {
	f := profileForms(r.profile)[0]
	c = candidate{route: r}
	c.miss, c.depth = r.pattern.missed(f, f.change.apply(x.path.raw))
	if !r.answersHost(x.host) {
		if c.miss != "" {
			return c, x.answers(r)
		}
		c.miss = fmt.Sprintf("the host is %q, not %s", x.host, r.host)
		if r.host == "" {
			c.miss = fmt.Sprintf("%q is no host", x.host)
		}
	}
	return c, c.miss == "" || c.depth > 0 || x.match.route == nil || x.answers(r)
}

// answersHost reports whether the route is for requests to the host.
func (r *route) answersHost(host string) bool {
	var buffer [hostMax]byte
	name, ok := requestHost(&buffer, host)
	if suffix, wildcard := strings.CutPrefix(r.host, "*"); wildcard {
		return strings.HasSuffix(string(name), suffix) && len(name) > len(suffix)
	}
	return ok && (r.host == "" || string(name) == r.host)
}

// missed says where a text and the pattern part under a form, or nothing where
// the text matches; depth is how many segments agree before.
func (p pattern) missed(f form, text string) (why string, depth int) {
	at := 0
	for _, s := range p.segments {
		key := ""
		if s.literal != "" {
			if key = f.fold.key(s.literal); key == "" {
				continue
			}
		}
		if len(text)-at <= 1 {
			return fmt.Sprintf("the path ends before %s", s), depth
		}
		end := segmentEnd(text, at)
		word := text[at+1 : end]
		var buffer [literalMax]byte
		folded, ok := f.fold.apply(&buffer, word)
		switch {
		case word == "":
			return fmt.Sprintf("segment %d is empty, not %s", depth+1, s), depth
		case s.literal != "" && (!ok || string(folded) != key):
			return fmt.Sprintf("segment %d is %q, not %q", depth+1, decode(word), s.literal), depth
		}
		depth++
		at = end
	}
	return p.tail.missed(text[at:], f.loose), depth
}

// missed says how what is left of a path differs from what a pattern demands
// behind its last segment.
func (t tail) missed(left string, loose bool) string {
	switch {
	case t == tailRest:
		return ""
	case len(left) > 1:
		return "the path goes on where the route's ends"
	case !loose && left == "/" && t == tailEnd:
		return "the path has a slash at its end, the route's has none"
	case !loose && left == "" && t == tailSlash:
		return "the path has no slash at its end, the route's has one"
	}
	return ""
}

// String is the segment as a pattern has it.
func (s segment) String() string {
	switch {
	case s.literal != "":
		return fmt.Sprintf("%q", s.literal)
	case s.name != "":
		return "{" + s.name + "}"
	}
	return "*"
}

// String is the route as it is listed: GET, PUT app.example.com/users/{id}.
func (r *route) String() string {
	return strings.TrimPrefix(strings.Join(r.methods, ", ")+" "+r.info.Label, " ")
}

// answers reports whether the route is one of those that decide.
func (x *explainer) answers(r *route) bool {
	return r == x.match.route || x.hitOf(r) >= 0
}

// hitOf returns the first hit that leads to the route, or -1.
func (x *explainer) hitOf(r *route) int {
	for i := range x.match.hits() {
		for j := range x.match.methods() {
			if x.match.hitAt(i).end.choose(x.match.methodAt(j)) == r {
				return i
			}
		}
	}
	return -1
}

// place says which part a route plays whose path matches, and for which
// reading.
func (x *explainer) place(r *route) (why, reading string) {
	m := x.match
	switch i := x.hitOf(r); {
	case r == m.route && len(m.allowed) > 0 && r.end(m) == nil:
		return fmt.Sprintf("host and path are this route's; the method %s is not: %s", m.method, strings.Join(m.allowed, ", ")), ""
	case r == m.route:
		return "it answers: host and path match, and no route is more specific", ""
	case i >= 0 && m.hitAt(i).text == m.raw:
		return fmt.Sprintf("the application (router: %s) may take the path for this route's, so it must let the caller in too", m.route.profile), ""
	case i >= 0:
		return "the path may be read as this route's, so it must let the caller in too", m.hitAt(i).text
	case m.route != nil && r.compare(m.route) == 0:
		return fmt.Sprintf("the method is %s, not %s", m.method, strings.Join(r.methods, " or ")), ""
	case m.route != nil:
		return fmt.Sprintf("%s is more specific", line(m.route)), ""
	}
	return "its application reads the path in another way", ""
}

// end returns the route itself when it has a method that the request may be.
func (r *route) end(m *Match) *route { return (&target{route: *r}).choose(m.method) }

// String is the name of the profile.
func (p profile) String() string { return routerNames()[p] }

// rules tells of the rules of every route that decides.
func (x *explainer) rules() {
	m := x.match
	for i := range m.hits() {
		h := m.hitAt(i)
		for j := range m.methods() {
			q := question{caller: &x.caller, method: m.methodAt(j), raw: m.raw, text: h.text}
			reading := ""
			if h.text != m.raw {
				reading = h.text
			}
			if q.method != m.method {
				reading = q.method + " " + h.text
			}
			r := h.end.choose(q.method)
			x.list(r, "deny", r.deny, reading, &q)
			x.list(r, "allow", r.allow, reading, &q)
		}
	}
}

// list tells of one list of rules.
func (x *explainer) list(r *route, part string, rules []rule, reading string, q *question) {
	at := r.at
	if part == "allow" {
		at = at[len(r.deny):]
	}
	for i := range rules {
		v := rules[i].verdict(q)
		hit := v == holds || part == "deny" && v == unclear
		x.Steps = append(x.Steps, Step{
			Route: r.info, Part: part, Rule: at[i], Text: rules[i].text, Reading: reading,
			Hit: hit, Why: rules[i].why(q),
		})
	}
}

// why is the decision in a sentence.
func (x *explainer) why() string {
	switch d := x.Decision; d.Reason {
	case ReasonBadPath:
		if x.lost != "" {
			return x.lost
		}
		return "the path is none, or has what no route admits in path_options: " + strings.Join(x.path.doubts.names(), ", ")
	case ReasonNoRoute:
		if x.match.route != nil {
			return "the application may read the path in a way for which there is no route, or that is an alias's"
		}
		return "no route has this host and path"
	case ReasonMethodNotAllowed:
		return "the path has only " + strings.Join(x.match.allowed, ", ")
	}
	return x.decided()
}

// decided says what a decision that rests on rules rests on.
func (x *explainer) decided() string {
	d := x.Decision
	text := map[Reason]string{
		ReasonAnyone: "the path is open to everyone", ReasonRule: "a rule allows it", ReasonDenyRule: "a rule denies it",
		ReasonNoRule: "no rule allows it", ReasonUnauthenticated: "a login could allow it",
		ReasonReauthenticationRequired: fmt.Sprintf("the password must have been given within %s", age(d.MaxAge)),
		ReasonReading:                  "another reading of the request is refused",
	}[d.Reason]
	if place := d.Rule.String(); place != "" {
		text += " (" + place + ")"
	}
	if d.Observed {
		text += "; it passes because the route only observes"
	}
	return text
}
