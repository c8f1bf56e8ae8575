package policy

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// compiler turns a Config into a Table and gathers what is wrong with it.
type compiler struct {
	config   Config
	table    *Table
	findings []Finding
	patterns []pattern              // by route; zero where the path is no pattern
	ends     map[string][]*endpoint // by host, in the order of the file
	at       map[string]*endpoint   // by host and shape of the path
	shapes   map[*endpoint]pattern
	conducts map[string][]*conduct // by the words of the rules
	places   []Pos                 // of the rules
	records  []record              // of the routes, together: the collector has one thing to look at, not one for each
}

// endpoint is all the routes of one host and path; their methods differ.
type endpoint struct {
	routes []*route
}

// Compile makes a Table of a policy. It reports everything that is wrong at
// once, in the order of the file; the Table is nil when any finding is more
// than a warning, so that a policy is served whole or not at all.
func Compile(config Config) (*Table, []Finding) {
	c := &compiler{
		config:   config,
		table:    &Table{exact: map[string]*site{}, wildcards: map[string]*site{}, everyHost: &site{}},
		ends:     map[string][]*endpoint{},
		at:       map[string]*endpoint{},
		shapes:   map[*endpoint]pattern{},
		conducts: map[string][]*conduct{},
		records:  make([]record, len(config.Routes)),
	}
	c.upstreams()
	for i := range config.Routes {
		c.route(i, &config.Routes[i])
	}
	c.overlaps()
	c.twins()
	sortFindings(c.findings)
	if slices.ContainsFunc(c.findings, func(f Finding) bool { return !f.Warning }) {
		return nil, c.findings
	}
	c.build()
	return c.table, c.findings
}

// fault notes an error.
func (c *compiler) fault(pos Pos, format string, args ...any) {
	c.findings = append(c.findings, Finding{Pos: pos, Message: fmt.Sprintf(format, args...)})
}

// warn notes a warning.
func (c *compiler) warn(pos Pos, format string, args ...any) {
	c.findings = append(c.findings, Finding{Pos: pos, Message: fmt.Sprintf(format, args...), Warning: true})
}

// upstreams checks what the policy needs of the upstreams.
func (c *compiler) upstreams() {
	for _, u := range c.config.Upstreams {
		if _, ok := profileOf(u.Router); !ok {
			c.fault(Pos{}, "upstream %q: unknown router %q%s; it is one of %s", u.Name, u.Router, Suggest(u.Router, routerNames()), strings.Join(routerNames(), ", "))
		}
	}
}

// route compiles one route and files it under its host and path.
func (c *compiler) route(index int, in *Route) {
	r := &route{index: index, conduct: &conduct{}, record: &c.records[index]}
	r.info = RouteInfo{Label: label(in.Host, in.Path), Pos: in.Pos, Methods: in.Methods}
	c.table.routes = append(c.table.routes, r)

	p, err := parsePattern(in.Path)
	if err != nil {
		c.fault(in.Pos, "%v", err)
	}
	c.patterns = append(c.patterns, p)
	host := c.host(in)
	r.host, r.pattern = host, p
	c.upstream(r, in)
	r.methods = in.Methods
	c.methods(in.Pos, in.Methods)
	c.options(r, in)
	switch in.Mode {
	case "":
	case "observe":
		r.observe, r.info.Observe = true, true
	default:
		c.fault(in.Pos, "unknown mode %q%s; the only one is observe", in.Mode, Suggest(in.Mode, []string{"observe"}))
	}
	c.rules(r, in, p)
	if err == nil {
		c.file(r, host, p)
	}
}

// host returns a route's host as the table's key: *.example.com for a wildcard.
func (c *compiler) host(in *Route) string {
	if in.Host == "" {
		return ""
	}
	host, wildcard, err := parseHost(in.Host)
	if err != nil {
		c.fault(in.Pos, "%v", err)
	}
	if wildcard {
		return "*." + host
	}
	return host
}

// upstream resolves the application that a route leads to. A policy without
// any upstream can still be compiled, to be tested or explained.
func (c *compiler) upstream(r *route, in *Route) {
	var names []string
	for _, u := range c.config.Upstreams {
		names = append(names, u.Name)
		if u.Name != in.Upstream && (in.Upstream != "" || len(c.config.Upstreams) != 1) {
			continue
		}
		r.info.Upstream = u.Name
		r.profile, _ = profileOf(u.Router)
		r.override = u.MethodOverride
	}
	switch {
	case r.info.Upstream != "" || len(names) == 0 && in.Upstream == "":
	case in.Upstream == "":
		c.fault(in.Pos, "route %s names no upstream, and there are several: %s", r.info.Label, strings.Join(names, ", "))
	default:
		c.fault(in.Pos, "unknown upstream %q%s", in.Upstream, Suggest(in.Upstream, names))
	}
	missing := func(method string) bool { return !contains(in.Methods, method) }
	if r.override && contains(in.Methods, "POST") && slices.ContainsFunc([]string{"PUT", "PATCH", "DELETE"}, missing) {
		c.warn(in.Pos, "upstream %q heeds _method, so a POST must also be allowed as PUT, PATCH and DELETE: unless routes of this path name them, every POST is refused", r.info.Upstream)
	}
}

// methods checks a list of methods.
func (c *compiler) methods(pos Pos, methods []string) {
	if methods != nil && len(methods) == 0 {
		c.fault(pos, "`methods` is empty; leave it out for every method")
	}
	for i, m := range methods {
		switch upper := strings.ToUpper(m); {
		case m == "" || strings.Trim(upper, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "":
			c.fault(pos, "%q is no method", m)
		case m != upper:
			c.fault(pos, "method %q: methods are case-sensitive (RFC 9110 section 9.1); write %s", m, upper)
		case m == "CONNECT" || m == "TRACE" || m == "TRACK":
			c.fault(pos, "method %s never reaches a route: the gateway refuses it", m)
		case slices.Contains(methods[:i], m):
			c.fault(pos, "method %s is there twice", m)
		}
	}
}

// options resolves path_options.
func (c *compiler) options(r *route, in *Route) {
	names := optionNames()
	if in.PathOptions != nil && len(in.PathOptions) == 0 {
		c.fault(in.Pos, "`path_options` is empty; leave it out")
	}
	for _, option := range in.PathOptions {
		i := slices.Index(names, option)
		if i < 0 {
			c.fault(in.Pos, "unknown path option %q%s; they are %s", option, Suggest(option, names), strings.Join(names, ", "))
			continue
		}
		r.admitted |= 1 << i
	}
}

// optionNames lists the path options in the order of the doubts they admit.
func optionNames() []string {
	return []string{"encoded_slash", "encoded_percent", "encoded_hash", "encoded_question", "semicolon", "empty_segment"}
}

// shape is a pattern without the names of its parameters: /x/{a} and /x/* are
// one path.
func (p pattern) shape() string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		if s.literal == "" {
			b.WriteByte('*') // which no literal is
		} else {
			b.WriteString(escape(s.literal))
		}
	}
	return b.String() + [...]string{tailEnd: "", tailSlash: "/", tailRest: "/**"}[p.tail]
}

// file puts the route with the others of its host and path, and refuses what
// would leave two answers.
func (c *compiler) file(r *route, host string, p pattern) {
	key := host + p.shape()
	e := c.at[key]
	if e == nil {
		e = &endpoint{}
		c.at[key] = e
		c.shapes[e] = p
		c.ends[host] = append(c.ends[host], e)
	}
	for _, other := range e.routes {
		c.beside(r, other)
	}
	e.routes = append(e.routes, r)
}

// beside checks two routes of one host and path.
func (c *compiler) beside(r, other *route) {
	pos := r.info.Pos
	if (len(r.methods) == 0) != (len(other.methods) == 0) {
		c.fault(pos, "%s and %s are one path (%s), and only one of them names methods: give both `methods`, or make one route of them and put `methods` on its rules", line(other), line(r), r.info.Label)
		return
	}
	if len(r.methods) == 0 {
		c.fault(pos, "%s and %s are routes for the same host, path and methods (%s): make one of them", line(other), line(r), r.info.Label)
		return
	}
	for _, m := range r.methods {
		if contains(other.methods, m) {
			c.fault(pos, "%s and %s are both routes for %s %s: make one of them", line(other), line(r), m, r.info.Label)
		}
	}
}

// build makes the trees. It is only called for a policy without errors.
func (c *compiler) build() {
	t := c.table
	t.fixed = c.foldable()
	rules := 0
	for _, r := range t.routes {
		r.conduct = c.share(r.conduct)
		rules += len(r.at)
	}
	c.places = make([]Pos, 0, rules)
	for _, host := range slices.Sorted(maps.Keys(c.ends)) {
		c.plant(t.newSite(host), c.ends[host])
	}
	t.ordinary = !t.slashes && t.fixed == [foldCount]bool{true, true, true, true}
	for host, s := range t.exact {
		s.wider = t.widerThan(host)
	}
	for host, s := range t.wildcards {
		s.wider = t.widerThan(host)
	}
	for _, r := range t.routes {
		if t.forms[r.profile] == nil {
			t.forms[r.profile] = profileForms(r.profile)
		}
	}
	for p := range profileCount {
		if t.forms[p] != nil {
			t.openers = addOpener(t.openers, p)
		}
	}
	t.taken = t.takenBy(c.config.Taken)
}

// foldable tells for each folding whether it changes no literal at all.
func (c *compiler) foldable() (fixed [foldCount]bool) {
	for f := range foldCount {
		fixed[f] = true
		for _, p := range c.patterns {
			for _, s := range p.segments {
				fixed[f] = fixed[f] && (s.literal == "" || f.key(s.literal) == s.literal)
			}
		}
	}
	return fixed
}

// newSite returns the site of a host's key.
func (t *Table) newSite(host string) *site {
	if host == "" {
		return t.everyHost
	}
	s := &site{}
	if suffix, ok := strings.CutPrefix(host, "*."); ok {
		t.wildcards[suffix] = s
	} else {
		t.exact[host] = s
	}
	return s
}

// widerThan returns the site that answers what the host's own does not: the
// longest wildcard above it, or the routes of every host.
func (t *Table) widerThan(host string) *site {
	for {
		_, rest, ok := strings.Cut(host, ".")
		if !ok {
			return t.everyHost
		}
		if s := t.wildcards[rest]; s != nil {
			return s
		}
		host = rest
	}
}

// plant makes the trees of a site. Where a folding changes no literal, its tree
// is the exact one; the others lead to the targets of that.
func (c *compiler) plant(s *site, ends []*endpoint) {
	list := make([]entry, len(ends))
	for i, e := range ends {
		p := c.shapes[e]
		c.table.slashes = c.table.slashes || p.tail == tailSlash && len(p.segments) > 0
		list[i] = entry{keys: p.keys(foldExact), pattern: p, target: e.target()}
	}
	exact := newTree(list) // which sorts the list
	for i := range list {
		t := &exact.targets[i]
		c.settle(t)
		list[i].target = target{more: &company{parts: []*target{t}}}
	}
	for f := range foldCount {
		s.trees[f] = exact
		if f == foldExact || c.table.fixed[f] {
			continue
		}
		for i := range list {
			list[i].keys = list[i].pattern.keys(f)
		}
		s.trees[f] = newTree(slices.Clone(list))
	}
}

// target makes a target of the routes.
func (e *endpoint) target() target {
	t := target{route: *e.routes[0]}
	if len(e.routes) > 1 {
		t.more = &company{}
		for _, r := range e.routes[1:] {
			t.more.routes = append(t.more.routes, *r)
		}
	}
	return t
}

// settle makes the table's list of routes point to where they are now, and puts
// the places of their rules behind one another in the same order.
func (c *compiler) settle(t *target) {
	for _, r := range t.all() {
		c.table.routes[r.index] = r
		c.places = append(c.places, r.at...)
		r.at = c.places[len(c.places)-len(r.at):]
	}
}

// share replaces a conduct by the first one that is the same. That the words are
// the same only brings the two together: what counts is that every field is.
func (c *compiler) share(own *conduct) *conduct {
	var words strings.Builder
	for _, list := range [][]rule{own.allow, own.deny} {
		for i := range list {
			words.WriteString(list[i].text)
			words.WriteByte('\n')
		}
	}
	alike := c.conducts[words.String()]
	for _, known := range alike {
		if reflect.DeepEqual(known, own) {
			return known
		}
	}
	c.conducts[words.String()] = append(alike, own)
	return own
}
