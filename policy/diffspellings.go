package policy

import (
	"maps"
	"slices"
	"strings"
)

// spelling is one segment of a probe.
type spelling struct {
	text  string // as a request has it
	plain string // as the file has it; empty: a fresh one, or one of dots
	fresh bool

	compared bool // some rule compares it with the caller
}

// isOdd reports whether the segment is not spelled as the file has it.
func (s spelling) isOdd() bool { return !s.fresh && s.text != s.plain && s.text != emptySegment }

// vanishes reports whether nothing is left of the segment under Windows.
func (s spelling) vanishes() bool { return s.text == "..." }

// hasParameters reports whether parameters are in the segment.
func (s spelling) hasParameters() bool { return strings.Contains(s.text, ";") }

// segments lists what may follow a front: fresh ones, then literals, then
// their other spellings.
func (e *explorer) segments(f *front, before []spelling) []spelling {
	depth := len(before)
	fresh := e.fresh + string(rune('a'+depth%26)) + strings.Repeat("~", depth/26)
	list := []spelling{{text: fresh, fresh: true}}
	if e.empty {
		list = append(list, spelling{text: emptySegment})
	}
	literals := e.literals(f)
	for _, text := range literals {
		list = append(list, spelling{text: text, plain: text})
	}
	compared := e.alone(before) && e.compared(f, depth)
	for i := range list {
		list[i].compared = compared && list[i].text != emptySegment
	}
	if !e.spelled(before, compared) {
		return list
	}
	if compared {
		list = append(list, spelling{text: fresh + ".", plain: fresh, compared: true})
	}
	for _, text := range literals {
		for _, other := range spellings(text) {
			list = append(list, spelling{text: other, plain: text, compared: compared})
		}
	}
	if e.odd {
		list = append(list, spelling{text: "..."})
	}
	if e.cuts {
		for _, text := range append(literals, fresh) {
			list = append(list, spelling{text: text + ";" + fresh, plain: text, compared: compared})
		}
	}
	return list
}

// literals lists those that may follow a front, as a request has them.
func (e *explorer) literals(f *front) []string {
	set := map[string]bool{}
	for i := range f {
		for fold := range foldCount {
			for _, p := range f[i][fold] {
				addLiterals(set, p, fold)
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// addLiterals notes the literals that go on from a node, as a request has them.
func addLiterals(set map[string]bool, p spot, f fold) {
	if p.tree == nil {
		return
	}
	for literal := range p.tree.literals(p.node) {
		if f != foldUndecoded {
			literal = escape(literal)
		}
		set[literal] = true
	}
}

// spellings lists what a literal may also be written as: in the other case,
// with a letter encoded, both, and with a dot behind.
func spellings(text string) []string {
	flipped := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, decode(text))
	return []string{escape(flipped), encodeFirst(decode(text)), encodeFirst(flipped), text + "."}
}

// encodeFirst writes a literal with its first byte encoded, needlessly.
func encodeFirst(literal string) string {
	const digits = "0123456789ABCDEF"
	c := literal[0]
	return "%" + string(digits[c>>4]) + string(digits[c&15]) + escape(literal[1:])
}
