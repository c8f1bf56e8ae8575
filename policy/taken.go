package policy

import "strings"

// Place is a method and a literal path that the gateway answers by itself,
// wherever the routes lead: an alias that stands before the application's own
// login.
type Place struct{ Method, Path string }

// taken is the places, by how each profile in use reads them. Nil: there are none.
//
// The gateway compares a place byte by byte. An application that ignores case
// or a final slash answers /login for /LOGIN/ too, and a wide route would lead
// there, past the one that stands in its stead. So what the application may
// take for a place has no route, unless it is the place: that is answered
// before the policy is asked.
type taken struct {
	forms map[form]map[string][]string // methods, by the path as a form spells it
	// ordinary is the same for paths without anything that a form could change:
	// by profile, for one look-up and no allocation.
	ordinary [profileCount]map[string][]string
}

// takenBy gathers the places for the profiles in use.
func (t *Table) takenBy(places []Place) *taken {
	if len(places) == 0 {
		return nil
	}
	all := &taken{forms: map[form]map[string][]string{{}: {}}}
	for p, forms := range t.forms {
		all.ordinary[p] = map[string][]string{}
		for _, f := range forms {
			if all.forms[f] == nil {
				all.forms[f] = map[string][]string{}
			}
			for _, place := range places {
				key := f.literal(place.Path)
				all.ordinary[p][key] = append(all.ordinary[p][key], place.Method)
			}
		}
	}
	for f, paths := range all.forms {
		for _, place := range places {
			key := f.literal(place.Path)
			paths[key] = append(paths[key], place.Method)
		}
	}
	return all
}

// literal spells a path of literals as the form compares them.
func (f form) literal(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = f.fold.key(s)
	}
	return f.end(strings.Join(segments, "/"))
}

// spell spells a request's path so. ok is false for one with a segment that is
// too long to be a literal.
func (f form) spell(path string) (spelled string, ok bool) {
	var b strings.Builder
	var buffer [literalMax]byte
	for i, s := range strings.Split(f.change.apply(path), "/") {
		folded, ok := f.fold.apply(&buffer, s)
		if !ok {
			return "", false
		}
		if i > 0 {
			b.WriteByte('/')
		}
		b.Write(folded)
	}
	return f.end(b.String()), true
}

// end leaves out a final slash that does not matter.
func (f form) end(path string) string {
	if f.loose && len(path) > 1 {
		return strings.TrimSuffix(path, "/")
	}
	return path
}

// takes tells whether the application of the route may take the request for one
// that is for a place.
func (m *Match) takes(t *Table, p Path) bool {
	if t.taken == nil {
		return false
	}
	plain := p.doubts == 0 && p.traits == 0 && p.raw[len(p.raw)-1] != '/'
	if plain && t.taken.ordinary[m.route.profile][p.raw] == nil {
		return false
	}
	exact, ok := form{}.spell(p.raw)
	if ok && p.doubts == 0 && namesMethod(t.taken.forms[form{}][exact], m.method) {
		return false // the place itself, which is answered elsewhere
	}
	all, _ := readings(p, m.route.admitted) // complete has refused what has none
	for _, reading := range all {
		for _, f := range t.forms[m.route.profile] {
			spelled, ok := f.spell(reading.raw)
			if ok && m.isOneOf(t.taken.forms[f][spelled]) {
				return true
			}
		}
	}
	return false
}

// isOneOf tells whether the application may take the request's method for one
// of some.
func (m *Match) isOneOf(methods []string) bool {
	for i := range m.methods() {
		if namesMethod(methods, m.methodAt(i)) {
			return true
		}
	}
	return false
}
