package policy

import (
	"slices"
	"strings"
)

// twins warns of routes whose paths are two in the policy and one to the
// application behind, when their methods differ. A request must be allowed by
// both, so a method that only one of them names is answered 405: safe, and
// surely not what was meant.
func (c *compiler) twins() {
	warned := map[[2]*endpoint]bool{}
	for _, f := range c.joining() {
		for _, ends := range c.ends {
			c.joined(f, ends, warned)
		}
	}
}

// joined warns of the endpoints of one host that a form makes one, each pair
// once.
func (c *compiler) joined(f form, ends []*endpoint, warned map[[2]*endpoint]bool) {
	first := map[string]*endpoint{}
	for _, e := range ends {
		key := c.shapes[e].folded(f)
		other := first[key]
		if other == nil {
			first[key] = e
			continue
		}
		if pair := [2]*endpoint{other, e}; !warned[pair] && (other.readBy(f) || e.readBy(f)) {
			warned[pair] = true
			c.twin(other, e)
		}
	}
}

// joining lists the forms that make one path of two in this policy: those that
// fold some literal, and, where a path ends in a slash, those that do not heed
// it. Most policies have none, and a hundred thousand routes cost nothing.
func (c *compiler) joining() (forms []form) {
	slashes := slices.ContainsFunc(c.patterns, func(p pattern) bool { return p.tail == tailSlash && len(p.segments) > 0 })
	fixed := c.foldable()
	for p := range profileCount {
		for _, f := range profileForms(p) {
			f.change = changeNone
			if (!fixed[f.fold] || f.loose && slashes) && !hasForm(forms, f) {
				forms = append(forms, f)
			}
		}
	}
	return forms
}

// readBy reports whether the application behind one of the routes reads by the
// form.
func (e *endpoint) readBy(f form) bool {
	return slices.ContainsFunc(e.routes, func(r *route) bool {
		return slices.ContainsFunc(profileForms(r.profile), func(g form) bool { return g.fold == f.fold && g.loose == f.loose })
	})
}

// folded is the pattern's shape as a form reads it.
func (p pattern) folded(f form) string {
	var segments []segment
	for _, s := range p.segments {
		if s.literal != "" {
			if s.literal = f.fold.key(s.literal); s.literal == "" {
				continue
			}
		}
		segments = append(segments, s)
	}
	p.segments = segments
	if f.loose && p.tail == tailSlash {
		p.tail = tailEnd
	}
	return p.shape()
}

// twin warns of two endpoints that are one, if their methods differ.
func (c *compiler) twin(a, b *endpoint) {
	r, s := a.routes[0], b.routes[0]
	left, right := methodsOf(a.routes), methodsOf(b.routes)
	if slices.Equal(left, right) {
		return
	}
	c.warn(s.info.Pos, "%s (%s) and %s are one path to an application that reads as `router: %s`, and a request must be allowed by both; but %s has %s and %s has %s: give both the same methods, or name the application's router",
		r.info.Label, line(r), s.info.Label, s.profile, r.info.Label, methodsText(left), s.info.Label, methodsText(right))
}

// methodsText lists the methods of an endpoint.
func methodsText(methods []string) string {
	if len(methods) == 0 {
		return "every method"
	}
	return strings.Join(methods, ", ")
}
