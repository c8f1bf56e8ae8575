package policy

import (
	"encoding/binary"
	"slices"
)

// Rules compare some segments with the caller, byte by byte, and take a value for
// unclear where a reading has changed it: then an allowing rule does not hold, and a
// denying one does. So at these segments spellings can differ that lead every
// tree to the same places: /A is /a to Windows, and not a's own path; /bob. is /bob
// there, and a rule that denies bob at {name} denies everybody.
//
// One such segment in a path is enough. What an allowing rule does not get for want
// of a clear value, a caller without the attribute does not get either, at the plain
// path; and a denying rule needs no more than one value to be unclear.

// compared reports whether a rule compares the segment that may follow a front, if
// it is a {name} there.
func (e *explorer) compared(f *front, depth int) bool {
	named := func(p spot) bool {
		return p.tree != nil && p.tree.nodes[p.node].marks&markAny != 0 && e.compares(p.tree, p.node+1, depth)
	}
	for i := range f {
		for _, spots := range f[i] {
			if slices.ContainsFunc(spots, named) {
				return true
			}
		}
	}
	return false
}

// compares reports whether a rule of some target under a node compares the segment.
func (e *explorer) compares(t *tree, place uint32, segment int) bool {
	at := spot{tree: t, node: place}
	known, ok := e.values[at]
	if ok {
		return known
	}
	end := uint32(len(t.targets))
	if next := t.nodes[place].next; int(next) < len(t.nodes) {
		end = t.nodes[next].first
	}
	under := t.targets[t.nodes[place].first:end]
	e.values[at] = slices.ContainsFunc(under, func(o target) bool { return o.compares(segment) })
	return e.values[at]
}

// compares reports whether some rule of the target's routes compares the segment.
func (e *target) compares(segment int) bool {
	if parts := e.parts(); len(parts) > 0 {
		return slices.ContainsFunc(parts, func(part *target) bool { return part.compares(segment) })
	}
	return slices.ContainsFunc(e.all(), func(r *route) bool {
		compares := func(one rule) bool {
			return one.self != nil && one.self.segment == segment || one.field != nil && one.field.segment == segment
		}
		return slices.ContainsFunc(r.allow, compares) || slices.ContainsFunc(r.deny, compares)
	})
}

// tell adds to a key what tells these segments from others that lead to the same
// places: the first that is compared and is not the value of the plain spelling, and
// what makes it another.
func tell(key []byte, segments []spelling) []byte {
	for i, s := range segments {
		if !s.isOddValue() {
			continue
		}
		return append(binary.AppendUvarint(key, uint64(i)+1), b2i(trimName(s.text) != s.text), b2i(s.hasParameters()))
	}
	return append(key, 0)
}

// alone reports whether an odd value would be the only odd segment so far, as it has
// to be where all applications read alike.
func (e *explorer) alone(before []spelling) bool {
	return e.apart || !slices.ContainsFunc(before, spelling.isOdd)
}

// spelled reports whether the spellings of a segment are of use: to some reading, or
// to a rule that compares it.
func (e *explorer) spelled(before []spelling, compared bool) bool {
	if !e.apart && slices.ContainsFunc(before, spelling.isOddValue) {
		return false
	}
	return e.odd || e.folded && compared
}

// isOddValue reports whether a rule compares the segment, which has not the value
// of its plain spelling.
func (s spelling) isOddValue() bool {
	return s.compared && s.plain != "" && decode(s.text) != decode(s.plain)
}

// doubtful lists the probe again with each character that path_options admit: in
// the last segment those that only one of the tables admits, and in one that a
// rule compares those that both do. It has to be a fresh one.
func (d *differ) doubtful(p *probe, both *[2]Match) (list []*probe) {
	if both[0].route == nil || both[1].route == nil {
		return nil
	}
	old, next := both[0].route.admitted, both[1].route.admitted
	for at, s := range p.segments {
		var asked doubt
		if at == len(p.segments)-1 {
			asked = old ^ next
		}
		if s.compared {
			asked |= old & next
		}
		if !s.fresh || asked == 0 {
			continue
		}
		for i, char := range []string{"%2f", "%25", "%23", "%3f", ";"} { // the walk has empty segments
			if asked&(1<<i) == 0 {
				continue
			}
			other := &probe{host: p.host, segments: slices.Clone(p.segments), slash: p.slash, doubt: char}
			other.segments[at] = spelling{text: s.text + char + s.text, plain: s.text, compared: s.compared}
			list = append(list, other)
		}
	}
	return list
}
