package policy

import (
	"cmp"
	"slices"
	"strings"
)

// word is a decision in one word.
func word(d Decision) string {
	switch {
	case d.Observed:
		return "observe"
	case d.Effect == Deny && (d.Reason == ReasonNoRule || d.Reason == ReasonDenyRule || d.Reason == ReasonReading):
		return "forbidden"
	case d.Effect != Allow:
		return string(d.Reason)
	}
	return "allow"
}

// shownHost is the host as a file would name it.
func shownHost(host string) string {
	rest, below := strings.CutPrefix(host, stars+".")
	switch {
	case !below:
		return host
	case rest == "invalid":
		return ""
	}
	return "*." + rest
}

// patterns are those of the routes that were found, the next policy's before
// the old one's: of several that some reading leads to, the one that the
// probe is spelled as. It reports whether there is one for each policy.
func patterns(p *probe, both *[2]Match) (found []pattern, spelled bool) {
	spelled = true
	for _, i := range []int{1, 0} {
		m := &both[i]
		if m.route == nil {
			continue
		}
		best := m.route.pattern
		for j := range m.hits() {
			if other := m.hitAt(j).end.route.pattern; !best.takes(p) && other.takes(p) {
				best = other
			}
		}
		spelled = spelled && best.takes(p)
		found = append(found, best)
	}
	return found, spelled && len(found) > 0
}

// takes reports whether the probe is spelled as the pattern, but for a final
// slash.
func (p pattern) takes(asked *probe) bool {
	n := len(p.segments)
	if n > len(asked.segments) || n < len(asked.segments) && p.tail != tailRest {
		return false
	}
	for i, s := range p.segments {
		if s.literal != "" && s.literal != decode(asked.segments[i].text) {
			return false
		}
	}
	return true
}

// nameAt is the name of a segment, {id}.
func nameAt(patterns []pattern, i int) string {
	for _, p := range patterns {
		if i < len(p.segments) && p.segments[i].name != "" {
			return "{" + p.segments[i].name + "}"
		}
	}
	return "*"
}

// shownPath is the pattern of what changed: what the patterns of both have in
// common. For an odd path, which is read in several ways, and for one with an empty
// segment it is the probe.
func (d *differ) shownPath(p *probe, both *[2]Match) string {
	patterns, spelled := patterns(p, both)
	if spelled && !hasEmpty(p.segments) && !slices.ContainsFunc(p.segments, spelling.isOdd) {
		if text, ok := meet(patterns[0], patterns[len(patterns)-1]); ok {
			return text
		}
	}
	i := -1
	text := p.join(func(s spelling) string {
		i++
		if s.fresh {
			return nameAt(patterns, i)
		}
		if strings.HasPrefix(s.plain, d.paths.fresh) {
			return strings.ReplaceAll(s.text, s.plain, "*")
		}
		if name, _, ok := strings.Cut(s.text, ";"); ok {
			return name + ";*"
		}
		return s.text
	})
	// Behind an empty segment there is only **, whatever follows.
	if p.endsEmpty() || both[0].onlyRests() && both[1].onlyRests() {
		return strings.TrimSuffix(text, "/") + "/**"
	}
	return text
}

// onlyRests reports whether whatever follows the path is found alike.
func (m *Match) onlyRests() bool {
	for i := range m.hits() {
		if m.hitAt(i).end.route.pattern.tail != tailRest {
			return false
		}
	}
	return true
}

// meet writes the pattern of the paths that two patterns both match.
func meet(a, b pattern) (string, bool) {
	if len(a.segments) < len(b.segments) {
		a, b = b, a
	}
	end := a.tail
	switch longer := len(a.segments) > len(b.segments); {
	case b.tail == tailRest || !longer && a.tail == b.tail:
	case !longer && a.tail == tailRest:
		end = b.tail
	default:
		return "", false
	}
	var text strings.Builder
	for i, s := range a.segments {
		if i < len(b.segments) && b.segments[i].literal != "" {
			if s.literal != "" && s.literal != b.segments[i].literal {
				return "", false
			}
			s = b.segments[i]
		}
		text.WriteString("/")
		if s.literal != "" {
			text.WriteString(escape(s.literal))
		} else {
			text.WriteString(nameAt([]pattern{a, b}, i))
		}
	}
	return text.String() + [...]string{tailEnd: "", tailSlash: "/", tailRest: "/**"}[end], true
}

// changes puts the methods together and sorts.
func (d *differ) changes() []Change {
	byRest := map[Change][]string{}
	for _, f := range d.found {
		rest := f.change
		rest.Method = ""
		if !contains(byRest[rest], f.change.Method) {
			byRest[rest] = append(byRest[rest], f.change.Method)
		}
	}
	list := make([]Change, 0, len(byRest))
	for c, methods := range byRest {
		c.Method = d.shownMethods(methods)
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Change) int {
		return cmp.Or(
			cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method),
			cmp.Compare(a.Who, b.Who), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	if d.incomplete {
		const unknown = "not compared: the policies have too many rules or paths"
		list = append(list, Change{Method: "any", Path: "/**", Who: "anyone", From: unknown, To: unknown, Opens: true})
	}
	return list
}

// shownMethods writes a list of methods.
func (d *differ) shownMethods(methods []string) string {
	if !contains(methods, otherMethod) {
		slices.Sort(methods)
		return strings.Join(methods, ", ")
	}
	var but []string
	for _, m := range d.methods {
		if !contains(methods, m) {
			but = append(but, m)
		}
	}
	if len(but) == 0 {
		return "any"
	}
	return "any but " + strings.Join(but, ", ")
}
