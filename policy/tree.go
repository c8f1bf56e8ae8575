package policy

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"
	"strings"
)

// tree is the paths of one site under one folding, in a few flat arrays: a
// policy of a hundred thousand routes has to live in a processor's cache, and a
// search to stay within a few lines of it. It holds no pointer from node to
// node, so the garbage collector has nothing to follow either.
type tree struct {
	nodes   []node // the root first, and each before what lies under it
	text    string // the literals, each once
	targets []target
	slots   []slot // the literals of crowded nodes; a power of two, at most half of them taken
}

// node is a place in a tree: what may follow the segments that lead here. Under
// it lie the nodes up to next: first that of {name} and *, if there is one, then
// those of the literals, in order.
type node struct {
	literal uint32 // where in the text the last segment that leads here begins
	size    uint16 // and how long it is; zero: {name} or *
	marks   mark
	next    uint32 // the first node that does not lie under this one
	first   uint32 // its first target; those of the end, the slash and ** stand in this order
}

// mark is a set of what a node has. The first bits are the tails.
type mark uint8

const (
	markAny   mark = 8 << iota // the first node under this one is that of {name} and *
	markCrowd                  // it has more than few literals, to be found by slots
)

// few is how many literals are compared one by one. They lie side by side, so
// that is quicker than hashing.
const few = 8

// slot is where the hash of a literal and of the node above it leads. Whoever
// chooses the segments of requests does not choose the literals, so the hash needs
// no secret.
type slot struct {
	hash  uint32
	above uint32
	place uint32 // zero: the slot is free
}

// descend matches text[at:], which is empty or begins with a slash, against
// what may follow the node. The order of the attempts is the order of
// precedence, from left to right: literal, {name} or *, the end, **.
//
// The tree is as deep as its longest pattern, so a long path costs no more
// than a short one.
func (w *found) descend(t *tree, place uint32, at int) bool {
	n := &t.nodes[place]
	if len(w.text)-at <= 1 {
		if w.finish(t, n, at) {
			return true
		}
	} else if w.step(t, place, at) {
		return true
	}
	w.end, w.twin = t.target(n, tailRest), nil
	return w.end != nil
}

// step goes on with the segment at text[at+1:]. An empty one is nothing but **:
// the node of {name} and * has no literal, so it must not be looked up as one.
func (w *found) step(t *tree, place uint32, at int) bool {
	end := segmentEnd(w.text, at)
	if end == at+1 {
		return false
	}
	if next := w.literal(t, place, w.text[at+1:end]); next != 0 && w.descend(t, next, end) {
		return true
	}
	return t.nodes[place].marks&markAny != 0 && w.descend(t, place+1, end)
}

// finish takes the target at n for a path that ends here.
func (w *found) finish(t *tree, n *node, at int) bool {
	end, other := tailEnd, tailSlash
	if at < len(w.text) {
		end, other = other, end
	}
	w.end, w.twin = t.target(n, end), nil
	if w.form.loose {
		w.twin = t.target(n, other)
	}
	if w.end == nil {
		w.end, w.twin = w.twin, nil
	}
	return w.end != nil
}

// target returns the node's target for a tail, or nil for none.
func (t *tree) target(n *node, at tail) *target {
	bit := mark(1) << at
	if n.marks&bit == 0 {
		return nil
	}
	return &t.targets[n.first+uint32(bits.OnesCount8(uint8(n.marks&(bit-1))))]
}

// literal returns the node that the segment leads to as a literal, or zero.
func (w *found) literal(t *tree, place uint32, segment string) uint32 {
	if w.plain {
		return under(t, place, segment)
	}
	var buffer [literalMax]byte
	folded, ok := w.form.fold.apply(&buffer, segment)
	if !ok {
		return 0
	}
	return under(t, place, folded)
}

// under returns the node under this one of that literal, or zero. It takes bytes
// as well, since making a string of them would allocate.
func under[T string | []byte](t *tree, place uint32, literal T) uint32 {
	if t.nodes[place].marks&markCrowd != 0 {
		hash := hashOf(place, literal)
		for i := hash; ; i++ {
			s := &t.slots[i&uint32(len(t.slots)-1)]
			if s.place == 0 || s.hash == hash && s.above == place && t.literal(s.place) == string(literal) {
				return s.place
			}
		}
	}
	end := t.nodes[place].next
	for i := place + 1; i < end; i = t.nodes[i].next {
		if int(t.nodes[i].size) == len(literal) && t.literal(i) == string(literal) {
			return i
		}
	}
	return 0
}

// hashOf hashes a literal under a node: FNV-1a, folded.
func hashOf[T string | []byte](place uint32, literal T) uint32 {
	h := uint64(14695981039346656037) + uint64(place)
	for i := range len(literal) {
		h = (h ^ uint64(literal[i])) * 1099511628211
	}
	return uint32(h>>32) ^ uint32(h)
}

// literal returns the literal that leads to a node.
func (t *tree) literal(place uint32) string {
	n := &t.nodes[place]
	return t.text[n.literal : n.literal+uint32(n.size)]
}

// literals yields each literal under a node.
func (t *tree) literals(place uint32) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := place + 1; i < t.nodes[place].next; i = t.nodes[i].next {
			if t.nodes[i].size > 0 && !yield(t.literal(i)) {
				return
			}
		}
	}
}

// entry is a target on its way into a tree.
type entry struct {
	keys    []string // its segments: a literal as folded, or empty for {name} and *
	pattern pattern
	target  target
}

// keys folds the segments of a pattern; that of {name} and * is empty.
func (p pattern) keys(f fold) []string {
	keys := make([]string, 0, len(p.segments))
	for _, s := range p.segments {
		switch key := f.key(s.literal); {
		case s.literal == "":
			keys = append(keys, "")
		case key != "": // else a name of dots, which Windows takes for nothing
			keys = append(keys, key)
		}
	}
	return keys
}

// newTree builds a tree. It sorts the list; unless two entries are one under the
// folding, the tree has their targets in the same order.
func newTree(list []entry) *tree {
	slices.SortStableFunc(list, func(a, b entry) int {
		return cmp.Or(slices.Compare(a.keys, b.keys), cmp.Compare(a.pattern.tail, b.pattern.tail))
	})
	b := builder{tree: tree{targets: make([]target, 0, len(list))}, known: map[string]uint32{}}
	b.add("", list, 0)
	b.tree.text = b.text.String()
	b.tree.nodes = slices.Clip(b.nodes)
	b.hash()
	return &b.tree
}

// builder lays out a tree.
type builder struct {
	tree
	text  strings.Builder
	known map[string]uint32 // where in the text a literal is
	crowd []slot            // what is to be found by slots
}

// add appends the node that a literal leads to, and all under it: the entries
// have as many first keys in common as the node is deep.
func (b *builder) add(literal string, list []entry, depth int) {
	place := len(b.nodes)
	b.nodes = append(b.nodes, node{literal: b.intern(literal), size: uint16(len(literal)), first: uint32(len(b.targets))})
	for ; len(list) > 0 && len(list[0].keys) == depth; list = list[1:] {
		b.finish(&b.nodes[place], &list[0])
	}
	if len(list) > 0 && list[0].keys[depth] == "" {
		b.nodes[place].marks |= markAny
	}
	var literals []slot
	for len(list) > 0 {
		key, n := list[0].keys[depth], 1
		for n < len(list) && list[n].keys[depth] == key {
			n++
		}
		if key != "" {
			literals = append(literals, slot{hash: hashOf(uint32(place), key), above: uint32(place), place: uint32(len(b.nodes))})
		}
		b.add(key, list[:n], depth+1)
		list = list[n:]
	}
	if len(literals) > few {
		b.nodes[place].marks |= markCrowd
		b.crowd = append(b.crowd, literals...)
	}
	b.nodes[place].next = uint32(len(b.nodes))
}

// finish ends an entry's pattern at the node.
func (b *builder) finish(n *node, e *entry) {
	bit := mark(1) << e.pattern.tail
	if n.marks&bit == 0 {
		n.marks |= bit
		b.targets = append(b.targets, e.target)
		return
	}
	last := &b.targets[len(b.targets)-1] // the folding does not tell them apart
	last.more = &company{parts: append(last.parts(), e.target.parts()...)}
}

// intern returns where the literal is in the text.
func (b *builder) intern(literal string) uint32 {
	at, ok := b.known[literal]
	if !ok {
		at = uint32(b.text.Len())
		b.known[literal] = at
		b.text.WriteString(literal)
	}
	return at
}

// hash fills the slots.
func (b *builder) hash() {
	if len(b.crowd) == 0 {
		return
	}
	b.slots = make([]slot, 2<<bits.Len(uint(len(b.crowd)-1)))
	for _, s := range b.crowd {
		i := s.hash
		for b.slots[i&uint32(len(b.slots)-1)].place != 0 {
			i++
		}
		b.slots[i&uint32(len(b.slots)-1)] = s
	}
}
