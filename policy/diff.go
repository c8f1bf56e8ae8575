package policy

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Change is one difference between two policies: what a group of requests by a
// group of callers got, and what it gets.
type Change struct {
	Host   string // empty: every host without routes of its own for the path
	Method string // GET, or several: GET, HEAD; any; any but GET
	Path   string // a pattern
	Who    string // anyone, role user, the user of {id}
	From   string // allow, observe (let through by an observing route), or why not
	To     string
	Opens  bool // somebody gets in, or is allowed to, who was not
}

// Diff lists who gets in by the next policy and did not by the old one, and the
// other way round, in a fixed order. That a refusal becomes another refusal is
// no change: nobody gets in. A nil table has no routes.
//
// It asks both tables real questions, and enough of them: a request that no
// pattern and no condition of either table tells from a probe gets the
// probe's answer from both. What tells paths apart is in explorer, what tells
// callers apart in groups; hosts differ by the sites, methods by being named.
// Characters that path_options admit are asked for, each by itself, where the two
// tables admit different ones; where they admit the same, a difference shows at
// one of the readings too, since the strictest of them decided, unless a rule
// compares the segment with the caller (see diffvalues.go). An empty
// segment is unlike any other, so there are probes with one. They are decided by
// that reading alone: it may differ where no plain path shows it, and which others
// it has depends on what follows.
//
// A request for which several readings count, such as /ADMIN, or /b/ where the
// application may answer it as /b, is listed only when none of its plain readings
// is: then the reading itself is what changed.
//
// The cost is bounded by diffMax paths for each method. Where that is not
// enough to tell, the last change says so, and counts as opening.
func Diff(old, next *Table) []Change {
	if old == nil {
		old = &Table{}
	}
	if next == nil {
		next = &Table{}
	}
	d := newDiffer(old, next)
	for _, host := range d.paths.hosts() {
		d.incomplete = !d.paths.walk(host, d.ask) || d.incomplete
	}
	return d.changes()
}

// differ asks, and gathers what differs.
type differ struct {
	tables     [2]*Table
	paths      *explorer
	methods    []string
	asked      map[string]bool // the pairs of answers that were compared
	ends       map[*target]uint64
	found      []difference
	spelled    map[Change]bool // the odd spellings that were found
	incomplete bool
}

// difference is a change for one method, before methods are put together.
type difference struct {
	change     Change
	attributes attributes
	probe      *probe
}

// otherMethod stands for every method that neither table names.
const otherMethod = "ANY-OTHER-METHOD"

// newDiffer prepares the questions.
func newDiffer(old, next *Table) *differ {
	d := &differ{tables: [2]*Table{old, next}, paths: newExplorer(old, next), asked: map[string]bool{}, ends: map[*target]uint64{}, spelled: map[Change]bool{}}
	var named []string
	for _, t := range d.tables {
		for _, r := range t.routes {
			named = append(named, r.methods...)
			if r.override {
				named = append(named, "POST", "PUT", "PATCH", "DELETE")
			}
			for _, rule := range append(slices.Clip(r.allow), r.deny...) {
				named = append(named, rule.methods...)
			}
		}
	}
	if contains(named, "GET") {
		named = append(named, "HEAD")
	}
	slices.Sort(named)
	d.methods = append(slices.Compact(named), otherMethod)
	return d
}

// ask asks for one probe, in every method.
func (d *differ) ask(p *probe) {
	for _, method := range d.methods {
		both := d.match(method, p)
		d.compare(method, p, both)
		for _, doubtful := range d.doubtful(p, &both) {
			d.compare(method, doubtful, d.match(method, doubtful))
		}
	}
}

// match asks both tables for the route.
func (d *differ) match(method string, p *probe) (both [2]Match) {
	path, err := ParsePath(p.raw())
	if err != nil {
		return both // refused by both
	}
	for i, t := range d.tables {
		if hasEmpty(p.segments) {
			both[i] = t.matchAlone(method, p.host, path)
		} else {
			both[i] = t.Match(method, p.host, path)
		}
	}
	return both
}

// key names what both tables found: which endpoints have a say. Where this is
// the same, so are the answers to all callers.
func (d *differ) key(method string, p *probe, both *[2]Match) string {
	key := []byte(method + p.doubt)
	value, compared := slices.IndexFunc(p.segments, spelling.isOddValue), false
	for i := range both {
		m := &both[i]
		key = append(append(key, '/'), m.Refusal()...)
		key = binary.AppendVarint(key, int64(m.Route()))
		if m.Refusal() != ReasonNone {
			continue
		}
		for j := range m.hits() {
			h := m.hitAt(j)
			if d.ends[h.end] == 0 {
				d.ends[h.end] = uint64(len(d.ends)) + 1
			}
			key = binary.AppendUvarint(key, d.ends[h.end])
			key = append(key, b2i(h.text == m.raw))
			compared = compared || value >= 0 && h.end.compares(value)
		}
	}
	if compared {
		key = tell(key, p.segments)
	}
	return string(key)
}

// b2i is 1 for true.
func b2i(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// compare asks both tables for all groups of callers, once for each pair of
// what they find.
func (d *differ) compare(method string, p *probe, both [2]Match) {
	if both[0].Refusal() != ReasonNone && both[1].Refusal() != ReasonNone {
		return
	}
	key := d.key(method, p, &both)
	asked := key + d.apart(p)
	if d.asked[asked] || asked != key && d.plainlySo(method, key, p) {
		return
	}
	sides := [2][]answer{both[0].answers(), both[1].answers()}
	people, ok := groups(sides)
	if !ok {
		d.incomplete = true
		return
	}
	var here []difference
	var same []attributes
	plainly := false
	for _, at := range stands(sides) {
		for _, who := range people {
			caller, own, ok := who.embody(p, at)
			if !ok {
				continue // nobody is like that
			}
			change, ok := d.decide(method, key, p, own, caller)
			switch all := who.with(at.attributes...); {
			case !ok:
				same = append(same, all)
			case d.shownPlainly(own, caller, change):
				plainly = true
			case !d.shownAsValue(p, at, who, change):
				here = append(here, difference{change, all, p})
			}
		}
	}
	// What was left out here may be needed at another path with this key.
	d.asked[asked] = !plainly
	d.keep(here, same, &both)
}

// apart sets an odd path apart from the plain ones with the same key: what is listed
// for it does not speak for them, nor for those with another number of segments.
func (d *differ) apart(p *probe) string {
	switch {
	case !d.paths.apart || !slices.ContainsFunc(p.segments, spelling.isOdd):
		return ""
	case slices.ContainsFunc(p.segments, spelling.vanishes):
		return " odd dots"
	}
	return " odd"
}

// plainlySo reports whether both tables find the same at the plain spelling of an
// odd path: then nothing is to be asked here.
func (d *differ) plainlySo(method, key string, p *probe) bool {
	plain := d.reading(p, spelling.plain0)
	both := d.match(method, plain)
	return d.key(method, plain, &both) == key
}

// decide asks both tables for one caller, at the path that is the caller's own.
// It fails where they agree.
func (d *differ) decide(method, key string, p, own *probe, c Caller) (Change, bool) {
	both := d.match(method, own)
	if own.raw() != p.raw() && d.key(method, p, &both) != key {
		return Change{}, false // with these values the path is another one
	}
	from, to := both[0].Decide(c), both[1].Decide(c)
	change := Change{Method: method, From: word(from), To: word(to), Opens: passes(to) > passes(from)}
	return change, passes(from) != passes(to)
}

// passes is how far a decision lets through.
func passes(d Decision) int {
	switch {
	case d.Effect != Allow:
		return 0
	case d.Observed:
		return 1
	}
	return 2
}

// shownPlainly reports whether the same change shows at a plain reading of an
// odd path, where it is listed.
func (d *differ) shownPlainly(p *probe, c Caller, change Change) bool {
	readings := []*probe{d.reading(p, spelling.plain0), d.reading(p, spelling.unknown), d.reading(p, spelling.value)}
	if end, ok := d.withoutSlash(change.Method, p); ok {
		readings = append(readings, d.reading(end, spelling.plain0))
	}
	for _, r := range readings {
		if r.raw() == p.raw() {
			continue
		}
		if d.alike(r, c, change) {
			return true
		}
	}
	return false
}

// alike reports whether the caller sees the same change at another path.
func (d *differ) alike(p *probe, c Caller, change Change) bool {
	both := d.match(change.Method, p)
	from, to := passes(both[0].Decide(c)), passes(both[1].Decide(c))
	return from != to && (to > from) == change.Opens
}

// shownAsValue reports whether the same change shows for the like callers of another
// value, where a rule compares an odd segment with the caller.
func (d *differ) shownAsValue(p *probe, at stand, who attributes, change Change) bool {
	if !slices.ContainsFunc(p.segments, spelling.isOddValue) {
		return false
	}
	r := d.reading(p, spelling.unknown)
	for i := range r.segments {
		r.segments[i].fresh = strings.HasPrefix(r.segments[i].text, d.paths.fresh)
	}
	caller, own, ok := who.embody(r, at)
	return ok && d.alike(own, caller, change)
}

// reading is the probe with each segment read in one way. What is left of a
// segment of dots may be nothing.
func (d *differ) reading(p *probe, read func(s spelling, fresh string) string) *probe {
	next := &probe{host: p.host, slash: p.slash}
	for _, s := range p.segments {
		if text := read(s, d.paths.fresh); text != "" {
			next.segments = append(next.segments, spelling{text: text})
		}
		next.slash = next.slash || strings.HasPrefix(s.text, ";") // parameters of nothing
	}
	return next
}

// withoutSlash is the probe without its final slash, where both tables read it so
// as well and have no route for the slash.
func (d *differ) withoutSlash(method string, p *probe) (*probe, bool) {
	if !p.slash || len(p.segments) == 0 || p.endsEmpty() {
		return p, false
	}
	end := &probe{host: p.host, segments: p.segments}
	here, there := d.match(method, p), d.match(method, end)
	for i := range here {
		if here[i].route == nil {
			continue
		}
		if here[i].route.pattern.tail == tailSlash || !here[i].leadsTo(there[i].few[0].end) {
			return p, false
		}
	}
	return end, true
}

// leadsTo reports whether some reading leads to the endpoint.
func (m *Match) leadsTo(e *target) bool {
	for i := range m.hits() {
		if m.hitAt(i).end == e {
			return true
		}
	}
	return false
}

// plain0 is the segment as the file has it, and a fresh or empty one as it is.
func (s spelling) plain0(string) string {
	if s.isOdd() {
		return s.plain
	}
	return s.text
}

// unknown is the segment to an application that sees a name it does not know.
func (s spelling) unknown(fresh string) string {
	if s.isOdd() {
		return fresh
	}
	return s.text
}

// value is the segment as the file has it, and a name of dots as a value.
func (s spelling) value(fresh string) string {
	if s.isOdd() && s.plain == "" {
		return fresh
	}
	return s.plain0(fresh)
}

// keep notes the changes at one pair of answers. A group of callers whose
// change follows from that of a wider group is left out; one within it for whom
// nothing changes is an exception.
func (d *differ) keep(here []difference, same []attributes, both *[2]Match) {
	for i := range here {
		x := &here[i]
		found, _ := patterns(x.probe, both)
		name := func(i int) string { return nameAt(found, i) }
		implied := slices.ContainsFunc(here, func(y difference) bool {
			return len(y.attributes) < len(x.attributes) && y.attributes.within(x.attributes) && y.change.Opens == x.change.Opens && y.change.To == x.change.To
		})
		if implied {
			continue
		}
		x.change.Host = shownHost(x.probe.host)
		x.change.Path = d.shownPath(x.probe, both)
		x.change.Who = x.attributes.text(name)
		if len(x.attributes) == 0 && !loggedInToo(here, x) {
			x.change.Who = "anyone not logged in"
		} else if but := x.attributes.exceptions(same); len(but) > 0 {
			x.change.Who += but.text(name)
		}
		if !d.likeAnother(x) {
			d.found = append(d.found, *x)
		}
	}
}

// likeAnother reports whether another odd spelling of the same path was found
// to change alike: one is enough to show what is meant.
func (d *differ) likeAnother(x *difference) bool {
	if !slices.ContainsFunc(x.probe.segments, spelling.isOdd) {
		return false
	}
	like := x.change
	like.Path = x.probe.doubt + d.reading(x.probe, spelling.plain0).raw()
	if d.spelled[like] {
		return true
	}
	d.spelled[like] = true
	return false
}

// loggedInToo reports whether a login changes nothing about the difference.
func loggedInToo(here []difference, x *difference) bool {
	login := x.attributes.with(attribute{kind: attrLogin, segment: -1})
	return slices.ContainsFunc(here, func(y difference) bool {
		return slices.Equal(y.attributes, login) && y.change.Opens == x.change.Opens
	})
}
