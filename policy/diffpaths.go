package policy

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// explorer walks the trees of two tables side by side and visits one path for
// each way in which the trees can be gone through: a probe.
//
// A segment of a request does no more to a table than to lead each of its
// trees from some places to others. So segments that lead all trees to the
// same places are one segment, and paths that end at the same places are one
// path. Of segments there are, at any spot: a fresh one that is no literal,
// each literal that goes on from there, and, where applications may read
// names loosely, the spellings of it that some reading tells from others. Where
// a route admits it there is the empty one as well, which ** alone takes.
type explorer struct {
	tables [2]*Table
	folds  [2][foldCut + 1]bool // which trees some reading uses
	apart  bool                 // not all applications read alike
	odd    bool                 // spellings can matter
	folded bool                 // some reading is not by the letter
	values map[spot]bool        // which {name} rules compare with the caller
	empty  bool                 // some route admits empty segments
	cuts   bool                 // some route admits parameters, which not all applications cut
	fresh  string               // begins what no literal, user or value begins with
	ids    map[spot]uint64
	seen   map[string]bool // the fronts of this host
	left   int             // how many fronts may still be visited
}

// diffMax bounds how many fronts are visited: what a walk costs is proportional
// to it. A policy of a thousand routes has a few thousand.
const diffMax = 1 << 17

// spot is where a tree can be: at a node, or in a ** that takes everything.
type spot struct {
	tree *tree
	node uint32
	rest *target
}

// front is where all trees are, each in the order of precedence.
type front [2][foldCut + 1][]spot

// foldCut is the exact tree again, as a reading that cuts parameters goes through it.
const foldCut = foldCount

// probe is one path to ask both tables for.
type probe struct {
	host     string
	segments []spelling
	slash    bool
	doubt    string // a character that path_options may admit is in it
}

// emptySegment is the text of a segment of nothing. No other segment has a slash.
const emptySegment = "/"

// raw is the path as a request has it.
func (p *probe) raw() string {
	return p.join(func(s spelling) string { return s.text })
}

// join writes the path with each segment as wanted, and without those for which
// nothing is wanted.
func (p *probe) join(text func(spelling) string) string {
	var b strings.Builder
	for _, s := range p.segments {
		if word := text(s); word != "" {
			b.WriteByte('/')
			b.WriteString(strings.TrimPrefix(word, emptySegment))
		}
	}
	if p.slash || b.Len() == 0 {
		b.WriteByte('/')
	}
	return b.String()
}

// endsEmpty reports whether the last segment is an empty one. A path has a slash
// behind it.
func (p *probe) endsEmpty() bool {
	n := len(p.segments)
	return n > 0 && p.segments[n-1].text == emptySegment
}

// newExplorer prepares a walk.
func newExplorer(old, next *Table) *explorer {
	e := &explorer{tables: [2]*Table{old, next}, values: map[spot]bool{}, ids: map[spot]uint64{}, left: diffMax}
	var used [2][profileCount]bool
	for i, t := range e.tables {
		for p, forms := range t.forms {
			used[i][p] = forms != nil
			for _, f := range forms {
				e.folds[i][f.fold] = true
				e.folded = e.folded || f.fold != foldExact
			}
		}
	}
	e.apart = used[0] != used[1] || e.mixed()
	e.odd = e.apart || !old.ordinary || !next.ordinary
	e.cuts = e.cutsApart(used) && (old.admits(doubtSemicolon) || next.admits(doubtSemicolon))
	e.folds[0][foldCut], e.folds[1][foldCut] = e.cuts, e.cuts
	e.empty = old.admits(doubtEmpty) || next.admits(doubtEmpty)
	e.fresh = unheardOf(old, next)
	return e
}

// admits reports whether some route has the path option.
func (t *Table) admits(d doubt) bool {
	return slices.ContainsFunc(t.routes, func(r *route) bool { return r.admitted&d != 0 })
}

// cutsApart reports whether some applications in use cut parameters and some do not.
func (e *explorer) cutsApart(used [2][profileCount]bool) bool {
	var ways [2]bool
	for p := range profileCount {
		if used[0][p] || used[1][p] {
			ways[b2i(profileForms(p)[0].change == changeCut)] = true
		}
	}
	return ways[0] && ways[1]
}

// mixed reports whether a table serves applications that read differently.
func (e *explorer) mixed() bool {
	for _, t := range e.tables {
		for _, r := range t.routes {
			if r.profile != t.routes[0].profile {
				return true
			}
		}
	}
	return false
}

// unheardOf returns the beginning of a segment that neither table knows.
func unheardOf(tables ...*Table) string {
	longest := 0 // run of ~
	for _, t := range tables {
		for _, r := range t.routes {
			longest = max(longest, r.tildes())
		}
	}
	return strings.Repeat("~", longest+1)
}

// tildes is a bound for the ~ in a row in whatever of a route a segment could be
// equal to.
func (r *route) tildes() (most int) {
	for _, word := range r.words() {
		most = max(most, strings.Count(word, "~"))
	}
	return most
}

// words lists what of a route a segment could be equal to.
func (r *route) words() []string {
	words := []string{r.info.Label}
	for _, list := range [][]rule{r.allow, r.deny} {
		for i := range list {
			words = append(append(words, list[i].user), list[i].anyUser...)
			if list[i].field != nil {
				words = append(words, list[i].field.value)
			}
		}
	}
	return words
}

// hosts lists one host for each site of either table, wider ones first: what
// is found below a wildcard is found again at the hosts that leave it to it.
func (e *explorer) hosts() []string {
	exact, below := map[string]bool{}, map[string]bool{}
	for _, t := range e.tables {
		for host := range t.exact {
			exact[host] = true
		}
		for suffix := range t.wildcards {
			below[stars+"."+suffix] = true
		}
	}
	list := append([]string{stars + ".invalid"}, slices.SortedFunc(maps.Keys(below), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})...)
	return append(list, slices.Sorted(maps.Keys(exact))...)
}

// stars is a label that no route names, for a host below a wildcard.
const stars = "any-other-host"

// walk visits every probe of a host, shorter ones first, of one length those with
// fresh segments first, and last of all those with empty segments: what ** gives
// them shows at a plain path where one is left to it. It reports whether it could
// visit all.
func (e *explorer) walk(host string, visit func(*probe)) bool {
	e.seen = map[string]bool{}
	type stop struct {
		segments []spelling
		front    front
	}
	queue, last := []stop{{front: e.start(host)}}, []stop(nil)
	for len(queue) > 0 {
		if e.left--; e.left < 0 {
			return false
		}
		here := queue[0]
		e.visit(host, here.segments, visit)
		for _, s := range e.segments(&here.front, here.segments) {
			next := stop{append(slices.Clip(here.segments), s), e.step(&here.front, s.text)}
			key := e.key(&next.front, next.segments)
			if e.seen[key] {
				continue
			}
			e.seen[key] = true
			if hasEmpty(next.segments) {
				last = append(last, next)
			} else {
				queue = append(queue, next)
			}
		}
		if queue = queue[1:]; len(queue) == 0 {
			queue, last = last, nil
		}
	}
	return true
}

// visit asks for the paths of these segments: without a slash behind them, with one,
// and with one that only parameters follow.
func (e *explorer) visit(host string, segments []spelling, ask func(*probe)) {
	p := probe{host: host, segments: segments}
	if slices.ContainsFunc(segments, spelling.hasParameters) {
		p.doubt = ";"
	}
	with, behind := p, p
	with.slash = true
	if len(segments) > 0 && !p.endsEmpty() {
		ask(&p)
	}
	ask(&with)
	if e.cuts && !p.endsEmpty() {
		behind.segments = append(slices.Clip(segments), spelling{text: ";" + e.fresh})
		behind.doubt = ";"
		ask(&behind)
	}
}

// hasEmpty reports whether one of the segments is empty.
func hasEmpty(segments []spelling) bool {
	return slices.Contains(segments, spelling{text: emptySegment})
}

// start is the front at the root.
func (e *explorer) start(host string) (f front) {
	for i, t := range e.tables {
		for fold := range foldCut + 1 {
			if e.folds[i][fold] {
				f[i][fold] = roots(t.site(host), fold)
			}
		}
	}
	return f
}

// roots are those of a site and of what it leaves its paths to.
func roots(s *site, f fold) (spots []spot) {
	if f == foldCut {
		f = foldExact
	}
	for ; s != nil; s = s.wider {
		if root := s.trees[f]; root != nil {
			spots = append(spots, spot{tree: root})
		}
	}
	return spots
}

// step leads every tree on by one segment.
func (e *explorer) step(f *front, segment string) (next front) {
	for i := range f {
		for fold := range foldCut + 1 {
			next[i][fold] = stepTree(f[i][fold], fold, segment)
		}
	}
	return next
}

// stepTree leads one tree on. What comes after a ** is never tried.
func stepTree(from []spot, f fold, segment string) (to []spot) {
	empty := segment == emptySegment
	if f == foldWindows && !empty {
		if segment = trimName(segment); segment == "" {
			return from
		}
	}
	if f == foldCut {
		f = foldExact
		segment, _, _ = strings.Cut(segment, ";")
	}
	w := found{form: form{fold: f}}
	for _, p := range from {
		if p.rest != nil {
			return append(to, p)
		}
		n := &p.tree.nodes[p.node]
		if next := w.literal(p.tree, p.node, segment); next != 0 && !empty {
			to = append(to, spot{tree: p.tree, node: next})
		}
		if n.marks&markAny != 0 && !empty {
			to = append(to, spot{tree: p.tree, node: p.node + 1})
		}
		if rest := p.tree.target(n, tailRest); rest != nil {
			return append(to, spot{rest: rest})
		}
	}
	return to
}

// key names a front, what of the way there rules can tell from another one, and
// whether an empty segment led there: then the route has to admit it, wherever it
// stands.
func (e *explorer) key(f *front, segments []spelling) string {
	key := tell([]byte{b2i(hasEmpty(segments))}, segments)
	for i := range f {
		for _, spots := range f[i] {
			key = append(e.name(key, spots), 0)
		}
	}
	return string(key)
}

// name adds the names of the spots, in their order.
func (e *explorer) name(key []byte, spots []spot) []byte {
	for _, p := range spots {
		if e.ids[p] == 0 {
			e.ids[p] = uint64(len(e.ids)) + 1
		}
		key = binary.AppendUvarint(key, e.ids[p])
	}
	return key
}
