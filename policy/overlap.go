package policy

import "strings"

// overlaps warns where a route does what its author may not have meant because
// of another one.
func (c *compiler) overlaps() {
	for host, ends := range c.ends {
		for _, outer := range ends {
			if c.shapes[outer].tail != tailRest {
				continue
			}
			if host != "" && len(c.shapes[outer].segments) == 0 {
				c.hidden(outer)
			}
			if len(c.shapes[outer].segments) > 0 {
				c.holes(outer, ends)
			}
		}
	}
}

// hidden warns of hostless routes that are stricter than the host's own /**,
// which answers in their stead.
func (c *compiler) hidden(outer *endpoint) {
	host, _, _ := strings.Cut(outer.routes[0].info.Label, "/")
	for _, inner := range c.ends[""] {
		if c.at[host+c.shapes[inner].shape()] != nil {
			continue
		}
		if r, s := someStricter(inner, outer); r != nil {
			c.warn(s.info.Pos, "%s hides the stricter route %s (%s): at %s, %s alone decides; repeat the route there if it is meant to hold", s.info.Label, r.info.Label, line(r), host, line(s))
		}
	}
}

// holes warns of routes that are open to everyone inside a closed one.
func (c *compiler) holes(outer *endpoint, ends []*endpoint) {
	shape := strings.TrimSuffix(c.shapes[outer].shape(), "**")
	for _, inner := range ends {
		if inner == outer || !strings.HasPrefix(c.shapes[inner].shape()+"/", shape) {
			continue
		}
		for _, r := range inner.routes {
			if r.openToAll() && !outer.routes[0].openToAll() {
				c.warn(r.info.Pos, "route %s is open to everyone and lies inside %s (%s), which is not", r.info.Label, outer.routes[0].info.Label, line(outer.routes[0]))
			}
		}
	}
}

// openToAll reports whether the route lets everyone in for every method.
func (r *route) openToAll() bool {
	for i := range r.allow {
		if r.allow[i].anyone {
			return true
		}
	}
	return false
}

// someStricter returns a route of one endpoint that may refuse what some route
// of the other lets in, and that other.
func someStricter(a, b *endpoint) (strict, free *route) {
	for _, r := range a.routes {
		for _, s := range b.routes {
			if !r.freerThan(s) {
				return r, s
			}
		}
	}
	return nil, nil
}

// freerThan reports whether the route surely lets in whoever the other does.
func (r *route) freerThan(other *route) bool {
	for i := range other.allow {
		if !coveredBy(r.allow, &other.allow[i]) {
			return false
		}
	}
	for i := range r.deny {
		if !coveredBy(other.deny, &r.deny[i]) {
			return false
		}
	}
	return true
}

// coveredBy reports whether one of the rules covers the rule.
func coveredBy(list []rule, r *rule) bool {
	for i := range list {
		if list[i].covers(r) {
			return true
		}
	}
	return false
}
