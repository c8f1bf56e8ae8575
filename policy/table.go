package policy

import "strings"

// A Table is a compiled policy: for each host a tree of segments. It is
// immutable and safe for concurrent use. Its zero value has no route, so it
// refuses everything.
type Table struct {
	routes []*route // as in Config.Routes

	// The trees, by host. A site leads on to the next less specific one, the
	// last of which is everyHost.
	exact     map[string]*site
	wildcards map[string]*site // by what follows the *.
	everyHost *site

	// What readings need to know: see readings.go.
	openers  []opener             // the readings that choose the route, in order
	forms    [profileCount][]form // how each profile in use reads a path
	fixed    [foldCount]bool      // folding changes no literal of this table
	slashes  bool                 // some pattern ends in a slash
	ordinary bool                 // neither: every profile reads an ordinary path alike
}

// site is what one host answers: a tree for each folding. A folding that
// changes no literal shares the tree of the exact one.
type site struct {
	trees [foldCount]*node
	wider *site
}

// node is a place in a tree: what may follow the segments that lead here.
type node struct {
	literals map[string]*node
	any      *node     // {name} and *
	end      *endpoint // the path ends here
	slash    *endpoint // it ends here with a slash
	rest     *endpoint // **
}

// endpoint is all the routes of one host and path; their methods differ.
type endpoint struct {
	routes  []*route
	allowed []string    // for the field Allow; sorted
	parts   []*endpoint // in a folded tree: the endpoints that the folding makes one
}

// route is a compiled Route.
type route struct {
	index    int
	info     RouteInfo
	host     string // as the trees' key: empty, exact or *.example.com
	pattern  pattern
	methods  []string // empty: all
	admitted doubt
	profile  profile
	override bool // the application heeds _method
	observe  bool
	allow    []rule
	deny     []rule
}

// RouteInfo is a route as it is listed, logged and counted.
type RouteInfo struct {
	Label    string // host and pattern as in the file: a closed set, fit for a metric
	Pos      Pos
	Upstream string
	Methods  []string // empty: all
	Observe  bool
}

// Routes lists the routes in the order of Config.Routes, so that Match.Route
// is an index into it. The caller must not change the methods.
func (t *Table) Routes() []RouteInfo {
	list := make([]RouteInfo, len(t.routes))
	for i, r := range t.routes {
		list[i] = r.info
	}
	return list
}

// site returns the most specific site for a request's host, or nil for what is
// no host at all.
func (t *Table) site(host string) *site {
	if len(t.exact)+len(t.wildcards) == 0 {
		return t.everyHost
	}
	var buffer [hostMax]byte
	name, ok := requestHost(&buffer, host)
	if !ok {
		return nil
	}
	if s := t.exact[string(name)]; s != nil {
		return s
	}
	for i, c := range name {
		if c != '.' || i == 0 {
			continue
		}
		if s := t.wildcards[string(name[i+1:])]; s != nil {
			return s
		}
	}
	return t.everyHost
}

// route returns the route for the method, or nil when none names it. GET
// includes HEAD unless another route of this path names HEAD.
func (e *endpoint) route(method string) *route {
	for _, r := range e.routes {
		if len(r.methods) == 0 || contains(r.methods, method) {
			return r
		}
	}
	if method == "HEAD" {
		return e.route("GET")
	}
	return nil
}

// contains is slices.Contains without its generic call, on the hot path.
func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// found is one search of a tree: under which form, and what it came to.
type found struct {
	form  form
	text  string
	plain bool // no segment needs folding: look up the text as it is

	end, twin *endpoint // the twin differs by a trailing slash
}

// find looks for the path in the sites from here on, the most specific first:
// a host without a route for this path leaves it to a less specific one.
func (w *found) find(s *site) bool {
	for ; s != nil; s = s.wider {
		if root := s.trees[w.form.fold]; root != nil && w.descend(root, 0) {
			return true
		}
	}
	return false
}

// descend matches text[at:], which is empty or begins with a slash, against
// what may follow n. The order of the attempts is the order of precedence, from
// left to right: literal, {name} or *, the end, **.
//
// The tree is as deep as its longest pattern, so a long path costs no more
// than a short one.
func (w *found) descend(n *node, at int) bool {
	if len(w.text)-at <= 1 {
		if w.finish(n, at) {
			return true
		}
	} else if w.step(n, at) {
		return true
	}
	if n.rest == nil {
		return false
	}
	w.end, w.twin = n.rest, nil
	return true
}

// step goes on with the segment at text[at+1:].
func (w *found) step(n *node, at int) bool {
	end := segmentEnd(w.text, at)
	if next := w.literal(n, w.text[at+1:end]); next != nil && w.descend(next, end) {
		return true
	}
	return n.any != nil && end > at+1 && w.descend(n.any, end)
}

// finish takes the endpoint at n for a path that ends here.
func (w *found) finish(n *node, at int) bool {
	w.end, w.twin = n.end, nil
	other := n.slash
	if at < len(w.text) {
		w.end, other = n.slash, n.end
	}
	if w.form.loose {
		w.twin = other
	}
	if w.end == nil {
		w.end, w.twin = w.twin, nil
	}
	return w.end != nil
}

// literal returns the node that the segment leads to as a literal.
func (w *found) literal(n *node, segment string) *node {
	if n.literals == nil {
		return nil
	}
	if w.plain {
		return n.literals[segment]
	}
	var buffer [literalMax]byte
	folded, ok := w.form.fold.apply(&buffer, segment)
	if !ok {
		return nil
	}
	return n.literals[string(folded)]
}

// insert adds an endpoint to the tree under the pattern, folded.
func (n *node) insert(p pattern, f fold, e *endpoint) {
	for _, s := range p.segments {
		if s.literal == "" {
			if n.any == nil {
				n.any = &node{}
			}
			n = n.any
			continue
		}
		key := f.key(s.literal)
		if key == "" {
			continue // a name of dots, which Windows takes for nothing
		}
		if n.literals == nil {
			n.literals = make(map[string]*node)
		}
		if n.literals[key] == nil {
			n.literals[key] = &node{}
		}
		n = n.literals[key]
	}
	switch p.tail {
	case tailEnd:
		n.end = join(n.end, e)
	case tailSlash:
		n.slash = join(n.slash, e)
	case tailRest:
		n.rest = join(n.rest, e)
	}
}

// join makes one endpoint of two that a folding does not tell apart.
func join(a, b *endpoint) *endpoint {
	if a == nil {
		return b
	}
	return &endpoint{parts: append(a.each(), b)}
}

// each returns the endpoints that this one stands for.
func (e *endpoint) each() []*endpoint {
	if len(e.parts) == 0 {
		return []*endpoint{e}
	}
	return e.parts
}

// label names a route in logs and metrics.
func label(host, path string) string { return strings.ToLower(host) + path }
