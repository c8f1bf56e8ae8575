package policy

import "slices"

// overlaps warns where a route does what its author may not have meant because
// of another one.
func (c *compiler) overlaps() {
	for host, ends := range c.ends {
		for _, e := range ends {
			if p := c.shapes[e]; host != "" && p.tail == tailRest && len(p.segments) == 0 {
				c.hidden(host, e)
			}
			c.hole(host, e)
		}
	}
}

// hidden warns of hostless routes that are stricter than the host's own /**,
// which answers in their stead.
func (c *compiler) hidden(host string, outer *endpoint) {
	for _, inner := range c.ends[""] {
		if c.at[host+c.shapes[inner].shape()] != nil {
			continue
		}
		if r, s := someStricter(inner, outer); r != nil {
			c.warn(s.info.Pos, "%s hides the stricter route %s (%s): at %s, %s alone decides; repeat the route there if it is meant to hold", s.info.Label, r.info.Label, line(r), host, line(s))
		}
	}
}

// hole warns of a route that is open to everyone inside a closed one. It asks
// for the patterns that could enclose it, not for all there are: a policy may
// have a hundred thousand routes.
func (c *compiler) hole(host string, inner *endpoint) {
	i := slices.IndexFunc(inner.routes, (*route).openToAll)
	if i < 0 {
		return
	}
	open, p := inner.routes[i], c.shapes[inner]
	for n := len(p.segments); n > 0; n-- {
		outer := c.at[host+pattern{segments: p.segments[:n], tail: tailRest}.shape()]
		if outer != nil && outer != inner && !slices.ContainsFunc(outer.routes, (*route).openToAll) {
			c.warn(open.info.Pos, "route %s is open to everyone and lies inside %s (%s), which is not", open.info.Label, outer.routes[0].info.Label, line(outer.routes[0]))
			return
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
