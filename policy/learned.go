package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// evidence is what was seen of one method at one place.
type evidence struct {
	requests  int
	anonymous int
	clients   []string // a few of those without a login
	users     []string // a few
	unknown   bool     // somebody's roles are not known, or are none
	common    []string // the roles that all had
	all       []string // the roles that some had
}

// fewMax is how many names evidence keeps.
const fewMax = 5

// add takes one request in.
func (e *evidence) add(o *Observed) {
	e.requests++
	if o.User == "" {
		e.anonymous++
		e.clients = keepFew(e.clients, o.Client)
		return
	}
	first := e.requests-e.anonymous == 1
	e.users = keepFew(e.users, o.User)
	e.roles(o.Roles, o.Roles, first)
	e.unknown = e.unknown || len(o.Roles) == 0
}

// roles narrows what all had and widens what some had.
func (e *evidence) roles(common, all []string, first bool) {
	if first {
		e.common = slices.Clone(common)
	}
	e.common = slices.DeleteFunc(e.common, func(r string) bool { return !contains(common, r) })
	for _, role := range all {
		if !contains(e.all, role) {
			e.all = append(e.all, role)
		}
	}
}

// keepFew adds a name to a short list.
func keepFew(list []string, name string) []string {
	if name == "" || len(list) == fewMax || contains(list, name) {
		return list
	}
	return append(list, name)
}

// merge takes in the evidence for another value of the same place.
func (e *evidence) merge(o *evidence) {
	if named := o.requests - o.anonymous; named > 0 {
		e.roles(o.common, o.all, e.requests == e.anonymous)
	}
	e.requests, e.anonymous, e.unknown = e.requests+o.requests, e.anonymous+o.anonymous, e.unknown || o.unknown
	for _, u := range o.users {
		e.users = keepFew(e.users, u)
	}
	for _, c := range o.clients {
		e.clients = keepFew(e.clients, c)
	}
}

// rule is the narrowest that lets in who was seen. What nobody vouches for by a
// login stays closed to those without one, unless it is plainly public.
func (e *evidence) rule(method string) Rule {
	if e.requests == e.anonymous {
		public := method == "GET" && e.anonymous >= publicRequests && len(e.clients) >= publicClients
		return Rule{Anyone: public, Authenticated: !public}
	}
	slices.Sort(e.common)
	slices.Sort(e.all)
	switch {
	case e.unknown:
		return Rule{Authenticated: true}
	case len(e.common) == 1:
		return Rule{Role: e.common[0]}
	case len(e.common) > 1:
		return Rule{AllRoles: e.common}
	}
	return Rule{AnyRole: e.all}
}

// lesson closes the book.
func (l *learner) lesson() Lesson {
	lesson := Lesson{Requests: l.requests, Covered: l.coverage(l.covered), Observed: l.coverage(l.observed), Refused: l.coverage(l.refused)}
	for _, host := range slices.Sorted(maps.Keys(l.roots)) {
		l.roots[host].fold(0)
		l.roots[host].propose(host, "", 0, &lesson.Proposals)
	}
	for i := range lesson.Proposals {
		lesson.Proposals[i].Instead = l.instead(&lesson.Proposals[i])
	}
	for _, why := range slices.Sorted(maps.Keys(l.left)) {
		lesson.LeftOut = append(lesson.LeftOut, *l.left[why])
	}
	return lesson
}

// instead names the route that has the very path of a proposal and observes:
// the two cannot stand in one file.
func (l *learner) instead(p *Proposal) string {
	read, err := parsePattern(p.Path)
	if err != nil {
		return ""
	}
	for i := range l.observed {
		if r := l.table.routes[i]; r.host == p.Host && r.pattern.shape() == read.shape() {
			return line(r)
		}
	}
	return ""
}

// coverage lists routes in the order of the file.
func (l *learner) coverage(counts map[int]int) (list []Coverage) {
	for _, i := range slices.Sorted(maps.Keys(counts)) {
		info := l.table.routes[i].info
		list = append(list, Coverage{Route: info.Label, Pos: info.Pos, Requests: counts[i]})
	}
	return list
}

// fold makes one {id} of many names at one place. Only names that were used
// alike are folded: a page that only administrators read stays by itself among
// those that all read. The first segment is never folded, since /{id} would be
// the whole site.
func (p *branch) fold(depth int) {
	alike := map[string][]string{}
	for name, below := range p.below {
		below.fold(depth + 1)
		if name != "" && depth > 0 {
			key := below.key()
			alike[key] = append(alike[key], name)
		}
	}
	if p.value != nil {
		p.value.fold(depth + 1)
	}
	for _, key := range slices.Sorted(maps.Keys(alike)) {
		names := alike[key]
		if len(names) <= manyValues || p.value != nil && p.value.key() != key {
			continue
		}
		slices.Sort(names)
		for _, name := range names {
			if p.value == nil {
				p.value = &branch{}
			}
			p.value.merge(p.below[name])
			delete(p.below, name)
		}
	}
}

// key says how a place and what is below it is used: places with one key are
// used alike.
func (p *branch) key() string {
	var b strings.Builder
	for _, method := range slices.Sorted(maps.Keys(p.seen)) {
		e := p.seen[method]
		fmt.Fprintf(&b, "%s %v %s;", method, e.anonymous == e.requests, e.rule(method))
	}
	for _, name := range slices.Sorted(maps.Keys(p.below)) {
		fmt.Fprintf(&b, "/%s{%s}", name, p.below[name].key())
	}
	if p.value != nil {
		fmt.Fprintf(&b, "/*{%s}", p.value.key())
	}
	return b.String()
}

// merge takes in a place that is used alike.
func (p *branch) merge(o *branch) {
	for method, e := range o.seen {
		if p.seen == nil {
			p.seen = map[string]*evidence{}
		}
		if p.seen[method] == nil {
			p.seen[method] = e
		} else {
			p.seen[method].merge(e)
		}
	}
	for name, below := range o.below {
		if p.below[name] == nil {
			p.add(name)
		}
		p.below[name].merge(below)
	}
	if o.value != nil {
		if p.value == nil {
			p.value = &branch{}
		}
		p.value.merge(o.value)
	}
}

// propose lists the routes at a place and below it. Methods for the same people
// share a route.
func (p *branch) propose(host, path string, values int, list *[]Proposal) {
	start := len(*list)
	for _, method := range slices.Sorted(maps.Keys(p.seen)) {
		e := p.seen[method]
		one := Proposal{
			Host: host, Path: path, Methods: []string{method}, Allow: e.rule(method),
			Requests: e.requests, Anonymous: e.anonymous, Users: slices.Sorted(slices.Values(e.users)),
		}
		same := slices.IndexFunc((*list)[start:], func(o Proposal) bool { return o.Allow.String() == one.Allow.String() })
		if same < 0 {
			*list = append(*list, one)
			continue
		}
		(*list)[start+same].join(one)
	}
	for _, name := range slices.Sorted(maps.Keys(p.below)) {
		p.below[name].propose(host, path+"/"+name, values, list)
	}
	if p.value != nil {
		name := "{id}"
		if values > 0 {
			name = fmt.Sprintf("{id%d}", values+1)
		}
		p.value.propose(host, path+"/"+name, values+1, list)
	}
}

// join takes in the same route's other method.
func (p *Proposal) join(o Proposal) {
	p.Methods = append(p.Methods, o.Methods...)
	p.Requests += o.Requests
	p.Anonymous += o.Anonymous
	for _, u := range o.Users {
		p.Users = keepFew(p.Users, u)
	}
	slices.Sort(p.Users)
}

// YAML writes the proposals as a `routes:` section, with comments that say what
// each rests on.
func (l Lesson) YAML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Proposed from %d requests. A log shows what was asked, not what should be: read every line.\n", l.Requests)
	for _, c := range l.Covered {
		fmt.Fprintf(&b, "# covered already: %s (%s)\n", comment(c.Route), times(c.Requests))
	}
	for _, c := range l.Observed {
		fmt.Fprintf(&b, "# seen at route %s, which only observes (%s): proposed below\n", comment(c.Route), times(c.Requests))
	}
	for _, c := range l.Refused {
		fmt.Fprintf(&b, "# the application answered what route %s refuses (%s): see its rules\n", comment(c.Route), times(c.Requests))
	}
	for _, o := range l.LeftOut {
		fmt.Fprintf(&b, "# left out, %s: %s, such as %s\n", times(o.Requests), o.Why, comment(o.Example))
	}
	if len(l.Proposals) == 0 {
		return b.String() + "routes: []\n"
	}
	b.WriteString("routes:\n")
	for _, p := range l.Proposals {
		p.yaml(&b)
	}
	return b.String()
}

// yaml writes one route.
func (p *Proposal) yaml(b *strings.Builder) {
	fmt.Fprintf(b, "  # %s, %s\n", times(p.Requests), p.askers())
	if p.Instead != "" {
		fmt.Fprintf(b, "  # instead of the route that observes this path, %s\n", comment(p.Instead))
	}
	item := "  - "
	if p.Host != "" {
		fmt.Fprintf(b, "%shost: %q\n", item, p.Host)
		item = "    "
	}
	fmt.Fprintf(b, "%spath: %s\n    methods: [%s]\n    allow: %s\n", item, p.Path, strings.Join(p.Methods, ", "), p.Allow.yaml())
}

// askers says by whom the requests were.
func (p *Proposal) askers() string {
	switch {
	case p.Allow.Anyone:
		return "none with a login"
	case p.Requests == p.Anonymous:
		return "none with a login; write anyone if it is meant to be public"
	}
	users := make([]string, len(p.Users))
	for i, u := range p.Users {
		users[i] = comment(u)
	}
	text := "by " + strings.Join(users, ", ")
	if p.Anonymous > 0 {
		text += fmt.Sprintf("; %d without a login", p.Anonymous)
	}
	return text
}

// yaml writes a proposed rule. Roles are quoted: one may be called no.
func (r *Rule) yaml() string {
	quoted := func(list []string) string {
		words := make([]string, len(list))
		for i, w := range list {
			words[i] = fmt.Sprintf("%q", w)
		}
		return strings.Join(words, ", ")
	}
	switch {
	case r.Anyone:
		return "anyone"
	case r.Role != "":
		return fmt.Sprintf("{ role: %q }", r.Role)
	case len(r.AllRoles) > 0:
		return "{ all_roles: [" + quoted(r.AllRoles) + "] }"
	case len(r.AnyRole) > 0:
		return "{ any_role: [" + quoted(r.AnyRole) + "] }"
	}
	return "authenticated"
}

// times is a count in words.
func times(n int) string {
	if n == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", n)
}

// comment makes a text from the log fit for a comment: it ends no line, and
// sends nothing to a terminal.
func comment(text string) string {
	if len(text) > 80 {
		text = text[:80] + "..."
	}
	quoted := fmt.Sprintf("%+q", text)
	if quoted[1:len(quoted)-1] == text {
		return text
	}
	return quoted
}
