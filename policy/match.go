package policy

import "slices"

// Match is the route that answers a request, and every other route that the
// application behind might think is asked for. It is a value, made by
// Table.Match; the zero value refuses.
type Match struct {
	raw     string
	method  string
	route   *route
	refusal Reason
	allowed []string

	// The endpoints that the readings of the path lead to, the route's first.
	// Few enough paths have more than fit that these may allocate.
	few  [2]hit
	n    int
	more []hit
}

// hit is an endpoint and the reading that led there.
type hit struct {
	end  *target
	text string
}

// Match finds the route for the host and the path, and checks that it, and
// every route that another reading of the path leads to, has the method. The
// method is compared as it is, in upper case; CONNECT, TRACE and what is no
// method are for the caller to refuse.
//
// An ordinary path costs no allocation, and time by its depth, not by the
// number of routes.
func (t *Table) Match(method, host string, p Path) Match {
	m := Match{raw: p.raw, method: method, refusal: ReasonNoRoute}
	if p.raw == "" {
		m.refusal = ReasonBadPath
		return m
	}
	s := t.site(host)
	first, ok := m.choose(t, s, p)
	switch {
	case ok:
		m.refusal = m.complete(t, s, p, first)
		if m.refusal == ReasonNone && m.takes(t, p) {
			m.refusal = ReasonNoRoute
		}
	case p.doubts != 0:
		m.refusal = ReasonBadPath // no route admits them
	}
	return m
}

// matchAlone is Match for a path that is read in no other way than as it stands,
// whatever the route admits in it. No place that is taken has a doubt.
func (t *Table) matchAlone(method, host string, p Path) Match {
	m := Match{raw: p.raw, method: method, refusal: ReasonNoRoute}
	s := t.site(host)
	first, ok := m.choose(t, s, p)
	switch {
	case !ok || len(m.allowed) > 0 || p.doubts&^m.route.admitted != 0:
		m.refusal = ReasonBadPath
	default:
		m.refusal = m.read(t, s, p, first)
	}
	return m
}

// choose finds the route by the form that its own application's profile opens
// with. Where profiles differ, a route is chosen by its own alone: an
// exact look-up does not choose a route whose application folds case.
// It returns what was found, for complete to go on from.
func (m *Match) choose(t *Table, s *site, p Path) (first found, ok bool) {
	for i := range t.openers {
		o := &t.openers[i]
		first.form = t.reduce(o.form, p)
		if !t.look(s, p, &first) {
			continue
		}
		if m.accept(o, first.end) || m.accept(o, first.twin) {
			return first, true
		}
	}
	return first, false
}

// accept takes the first route at the endpoint that the opener may choose. A
// method that no route names leaves the choice to the first.
func (m *Match) accept(o *opener, e *target) bool {
	if e == nil {
		return false
	}
	for _, part := range e.parts() {
		if m.accept(o, part) {
			return true
		}
	}
	if e.conduct == nil {
		return false
	}
	r := e.choose(m.method)
	if r == nil {
		m.allowed = e.allowed()
		r = &e.route
	}
	if !o.profiles[r.profile] {
		return false
	}
	m.route = r
	return true
}

// complete collects what the readings lead to, and says what refuses the
// request whoever asks: the strictest of the readings, so the first fault.
func (m *Match) complete(t *Table, s *site, p Path, first found) Reason {
	if len(m.allowed) > 0 && p.doubts == 0 {
		return ReasonMethodNotAllowed
	}
	if len(m.allowed) > 0 || p.doubts&^m.route.admitted != 0 {
		return ReasonBadPath
	}
	if p.doubts == 0 {
		return m.read(t, s, p, first)
	}
	all, ok := readings(p, m.route.admitted)
	if !ok {
		return ReasonBadPath
	}
	for _, reading := range all {
		if refusal := m.read(t, s, reading, found{}); refusal != ReasonNone {
			return refusal
		}
	}
	return ReasonNone
}

// read collects what one text leads to under the forms of the route's profile.
// What was found already, for the same text, is not looked for again.
func (m *Match) read(t *Table, s *site, p Path, done found) Reason {
	var seen [profileCount]form // distinct forms, reduced; a profile has five at most
	n := 0
	if done.end != nil {
		seen[0], n = done.form, 1
		if refusal := m.addBoth(&done); refusal != ReasonNone || t.single(p) {
			return refusal
		}
	}
	for _, f := range t.forms[m.route.profile] {
		next := found{form: t.reduce(f, p)}
		if hasForm(seen[:n], next.form) {
			continue
		}
		seen[n] = next.form
		n++
		if !t.look(s, p, &next) {
			return ReasonNoRoute
		}
		if refusal := m.addBoth(&next); refusal != ReasonNone {
			return refusal
		}
	}
	return ReasonNone
}

// addBoth notes what a search found.
func (m *Match) addBoth(f *found) Reason {
	if refusal := m.add(f.end, f.text); refusal != ReasonNone {
		return refusal
	}
	return m.add(f.twin, f.text)
}

// add notes an endpoint, unless it lacks a method that the request may be.
func (m *Match) add(e *target, text string) Reason {
	if e == nil {
		return ReasonNone
	}
	for _, part := range e.parts() {
		if refusal := m.add(part, text); refusal != ReasonNone {
			return refusal
		}
	}
	if e.conduct == nil || m.has(hit{e, text}) {
		return ReasonNone
	}
	for i := range m.methods() {
		if e.choose(m.methodAt(i)) == nil {
			m.allowed = e.allowed()
			return ReasonMethodNotAllowed
		}
	}
	if m.n < len(m.few) {
		m.few[m.n] = hit{e, text}
		m.n++
	} else {
		m.more = append(m.more, hit{e, text})
	}
	return ReasonNone
}

// has reports whether the hit was noted.
func (m *Match) has(h hit) bool {
	for i := range m.hits() {
		if m.hitAt(i) == h {
			return true
		}
	}
	return false
}

// hits is how many there are.
func (m *Match) hits() int { return m.n + len(m.more) }

// hitAt returns one of them; the route's own is the first.
func (m *Match) hitAt(i int) hit {
	if i < m.n {
		return m.few[i]
	}
	return m.more[i-m.n]
}

// methods is how many methods the application may take the request's for: a
// POST may carry another one in _method.
func (m *Match) methods() int {
	if m.method == "POST" && m.route.override {
		return 4
	}
	return 1
}

// methodAt returns one of them.
func (m *Match) methodAt(i int) string {
	switch i {
	case 1:
		return "PUT"
	case 2:
		return "PATCH"
	case 3:
		return "DELETE"
	}
	return m.method
}

// Route returns the index into Config.Routes of the route that answers, or -1.
func (m *Match) Route() int {
	if m.route == nil {
		return -1
	}
	return m.route.index
}

// Routes visits, once each, the indexes of all routes that the application may
// take the request for, its own first: what a route limits must hold for every
// spelling of its path.
func (m *Match) Routes(visit func(index int) bool) {
	if m.Refusal() != ReasonNone {
		return
	}
	seen := make([]int, 0, 8)
	for i := range m.hits() {
		for j := range m.methods() {
			index := m.hitAt(i).end.choose(m.methodAt(j)).index
			if slices.Contains(seen, index) {
				continue
			}
			seen = append(seen, index)
			if !visit(index) {
				return
			}
		}
	}
}

// Refusal says why the request is refused whoever asks: bad_path, no_route or
// method_not_allowed. It is empty when the answer depends on Decide.
func (m *Match) Refusal() Reason {
	if m.route == nil && m.refusal == ReasonNone {
		return ReasonNoRoute // the zero value
	}
	return m.refusal
}

// Allowed lists, after method_not_allowed, the methods that are named, for the
// field Allow. The caller must not change it.
func (m *Match) Allowed() []string { return m.allowed }

// OpenToAnyone reports whether some rule of the route needs no identity, so
// that a credential that proves nothing counts as none. Every route that
// the path may be read as must have one.
func (m *Match) OpenToAnyone() bool {
	if m.Refusal() != ReasonNone {
		return false
	}
	for i := range m.hits() {
		for j := range m.methods() {
			method := m.methodAt(j)
			if !m.hitAt(i).end.choose(method).open(method) {
				return false
			}
		}
	}
	return true
}

// Decide says whether the caller may make the request. The strictest decision
// of all readings counts; a refusal that another reading than the route's own
// brought about has the reason ReasonReading.
func (m *Match) Decide(c Caller) Decision {
	if refusal := m.Refusal(); refusal != ReasonNone {
		return Decision{Effect: Deny, Reason: refusal}
	}
	q := question{caller: &c, method: m.method, raw: m.raw, text: m.few[0].text}
	strictest := m.few[0].end.choose(m.method).decide(&q)
	for i := range m.hits() {
		h := m.hitAt(i)
		q.text = h.text
		for j := range m.methods() {
			if i+j == 0 {
				continue
			}
			q.method = m.methodAt(j)
			d := h.end.choose(q.method).decide(&q)
			if !stricter(d, strictest) {
				continue
			}
			if d.Effect == Deny {
				d.Reason = ReasonReading
			}
			strictest = d
		}
	}
	return strictest
}
