package policy

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
	few  [6]hit
	n    int
	more []hit
}

// hit is an endpoint and the reading that led there.
type hit struct {
	end  *endpoint
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
	if s == nil || !m.choose(t, s, p) {
		if p.doubts != 0 {
			m.refusal = ReasonBadPath // no route admits them
		}
		return m
	}
	m.refusal = m.complete(t, s, p)
	return m
}

// choose finds the route by the form that its own application's profile opens
// with. Where profiles differ, a route is chosen by its own alone: an
// exact look-up does not choose a route whose application folds case.
func (m *Match) choose(t *Table, s *site, p Path) bool {
	for i := range t.openers {
		o := &t.openers[i]
		w, ok := t.look(s, t.reduce(o.form, p), p)
		if !ok {
			continue
		}
		for _, e := range [...]*endpoint{w.end, w.twin} {
			if m.accept(o, e) {
				return true
			}
		}
	}
	return false
}

// accept takes the first route at the endpoint that the opener may choose. A
// method that no route names leaves the choice to the first.
func (m *Match) accept(o *opener, e *endpoint) bool {
	if e == nil {
		return false
	}
	for _, part := range e.parts {
		if m.accept(o, part) {
			return true
		}
	}
	if len(e.routes) == 0 {
		return false
	}
	r := e.route(m.method)
	if r == nil {
		m.allowed = e.allowed
		r = e.routes[0]
	}
	if !o.profiles[r.profile] {
		return false
	}
	m.route = r
	return true
}

// complete collects what the readings lead to, and says what refuses the
// request whoever asks: the strictest of the readings, so the first fault.
func (m *Match) complete(t *Table, s *site, p Path) Reason {
	if len(m.allowed) > 0 && p.doubts == 0 {
		return ReasonMethodNotAllowed
	}
	if len(m.allowed) > 0 || p.doubts&^m.route.admitted != 0 {
		return ReasonBadPath
	}
	if p.doubts == 0 {
		return m.read(t, s, p)
	}
	all, ok := readings(p, m.route.admitted)
	if !ok {
		return ReasonBadPath
	}
	for _, reading := range all {
		if refusal := m.read(t, s, reading); refusal != ReasonNone {
			return refusal
		}
	}
	return ReasonNone
}

// read collects what one text leads to under the forms of the route's profile.
func (m *Match) read(t *Table, s *site, p Path) Reason {
	var seen [8]form // distinct forms, reduced; a profile has five at most
	n := 0
next:
	for _, f := range t.forms[m.route.profile] {
		f = t.reduce(f, p)
		for _, done := range seen[:n] {
			if f == done {
				continue next
			}
		}
		seen[n] = f
		n++
		w, ok := t.look(s, f, p)
		if !ok {
			return ReasonNoRoute
		}
		for _, e := range [...]*endpoint{w.end, w.twin} {
			if refusal := m.add(e, w.text); refusal != ReasonNone {
				return refusal
			}
		}
	}
	return ReasonNone
}

// add notes an endpoint, unless it lacks a method that the request may be.
func (m *Match) add(e *endpoint, text string) Reason {
	if e == nil {
		return ReasonNone
	}
	for _, part := range e.parts {
		if refusal := m.add(part, text); refusal != ReasonNone {
			return refusal
		}
	}
	if len(e.routes) == 0 || m.has(hit{e, text}) {
		return ReasonNone
	}
	for _, method := range m.methods() {
		if method != "" && e.route(method) == nil {
			m.allowed = e.allowed
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
	for i := range m.few[:m.n] {
		if m.few[i] == h {
			return true
		}
	}
	for i := range m.more {
		if m.more[i] == h {
			return true
		}
	}
	return false
}

// methods returns what the application may take the request's method for;
// empty strings are none. A POST may carry any of these in _method.
func (m *Match) methods() [4]string {
	if m.route.override && m.method == "POST" {
		return [...]string{"POST", "PUT", "PATCH", "DELETE"}
	}
	return [4]string{m.method}
}

// Route returns the index into Config.Routes of the route that answers, or -1.
func (m *Match) Route() int {
	if m.route == nil {
		return -1
	}
	return m.route.index
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
	open := true
	m.each(func(h hit, method string) {
		open = open && h.end.route(method).open(method)
	})
	return open
}

// Decide says whether the caller may make the request. The strictest decision
// of all readings counts; a refusal that another reading than the route's own
// brought about has the reason ReasonReading.
func (m *Match) Decide(c Caller) Decision {
	if refusal := m.Refusal(); refusal != ReasonNone {
		return Decision{Effect: Deny, Reason: refusal}
	}
	var strictest Decision
	first := true
	m.each(func(h hit, method string) {
		r := h.end.route(method)
		d := r.decide(question{caller: &c, method: method, raw: m.raw, text: h.text})
		if first || stricter(d, strictest) {
			if r != m.route && d.Effect == Deny && !first {
				d.Reason = ReasonReading
			}
			strictest = d
		}
		first = false
	})
	return strictest
}

// each calls do for every endpoint and method that the request may be.
func (m *Match) each(do func(hit, string)) {
	for i := range m.n + len(m.more) {
		h := hit{}
		if i < m.n {
			h = m.few[i]
		} else {
			h = m.more[i-m.n]
		}
		for _, method := range m.methods() {
			if method != "" {
				do(h, method)
			}
		}
	}
}
