package policy

import (
	"slices"
	"strings"
)

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

	taken *taken // nil: nothing is
}

// site is what one host answers: a tree for each folding. A folding that
// changes no literal shares the tree of the exact one.
type site struct {
	trees [foldCount]*tree
	wider *site
}

// target is what a path leads to: all the routes of one host and path, whose
// methods differ. It holds the first of them itself and has 64 bytes, one line of
// a cache: all that a match has to fetch for a route.
type target struct {
	route // the only one, nearly always
	more  *company
}

// company is what few targets have.
type company struct {
	routes []route   // the others
	parts  []*target // in a folded tree: the targets that the folding makes one; then there is no route
}

// route is a compiled Route: what it does, and what it is.
type route struct {
	index    int
	at       []Pos // where its rules stand: those of deny, then those of allow
	admitted doubt
	profile  profile
	override bool // the application heeds _method
	observe  bool
	*conduct
	*record
}

// conduct is what a route does with a request. Routes that do the same share
// it: a hundred thousand routes have a handful, which stay in the cache.
type conduct struct {
	methods []string // empty: all
	allow   []rule
	deny    []rule
}

// record is what people want to know of a route. No decision needs it.
type record struct {
	info    RouteInfo
	host    string // as the trees' key: empty, exact or *.example.com
	pattern pattern
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

// choose returns the route for the method, or nil when none names it. GET
// includes HEAD unless another route of this path names HEAD.
func (e *target) choose(method string) *route {
	if e.names(method) {
		return &e.route
	}
	if e.more != nil {
		for i := range e.more.routes {
			if r := &e.more.routes[i]; r.names(method) {
				return r
			}
		}
	}
	if method == "HEAD" {
		return e.choose("GET")
	}
	return nil
}

// names reports whether the route is for the method.
func (r *route) names(method string) bool {
	return len(r.methods) == 0 || contains(r.methods, method)
}

// parts returns the targets that a folded tree's stands for.
func (e *target) parts() []*target {
	if e.more == nil {
		return nil
	}
	return e.more.parts
}

// all returns the routes of the target, for those who have time.
func (e *target) all() []*route {
	list := []*route{&e.route}
	if e.more != nil {
		for i := range e.more.routes {
			list = append(list, &e.more.routes[i])
		}
	}
	return list
}

// allowed lists the methods that the routes name, for the field Allow.
func (e *target) allowed() []string { return methodsOf(e.all()) }

// methodsOf lists the methods that routes of one path name, sorted, with the HEAD
// that GET includes. Nil means every method.
func methodsOf(routes []*route) []string {
	var list []string
	for _, r := range routes {
		list = append(list, r.methods...)
	}
	if contains(list, "GET") && !contains(list, "HEAD") {
		list = append(list, "HEAD")
	}
	slices.Sort(list)
	return list
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

	end, twin *target // the twin differs by a trailing slash
}

// find looks for the path in the sites from here on, the most specific first:
// a host without a route for this path leaves it to a less specific one.
func (w *found) find(s *site) bool {
	for ; s != nil; s = s.wider {
		if t := s.trees[w.form.fold]; t != nil && w.descend(t, 0, 0) {
			return true
		}
	}
	return false
}

// label names a route in logs and metrics.
func label(host, path string) string { return strings.ToLower(host) + path }
