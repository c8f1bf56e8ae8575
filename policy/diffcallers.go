package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// attribute is one thing that can be true of a caller and that some rule asks for.
type attribute struct {
	kind    attrKind
	name    string // of a role, a user, a field, a network; what self compares
	value   string // of a field
	segment int    // of self, and of a field that is compared with the path; else -1
	age     time.Duration
}

type attrKind uint8

const (
	attrLogin   attrKind = iota // somebody is logged in
	attrRole                    // has the role
	attrUser                    // is called so
	attrSelf                    // is the one in the path
	attrField                   // has the field's value
	attrNetwork                 // asks from inside
	attrCert                    // has a certificate that is named so
	attrFresh                   // gave the password no longer ago
)

// attributes is what is true of a group of callers, sorted. Rules only ever ask for
// attributes, never for their absence, so whoever has more attributes meets more rules.
type attributes []attribute

// compareAttributes orders attributes.
func compareAttributes(a, b attribute) int {
	return cmp.Or(
		cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value),
		cmp.Compare(a.segment, b.segment), cmp.Compare(a.age, b.age))
}

// with is the union.
func (f attributes) with(more ...attribute) attributes {
	all := append(slices.Clip(f), more...)
	slices.SortFunc(all, compareAttributes)
	return slices.Compact(all)
}

// within reports whether all these attributes are among the others.
func (f attributes) within(others attributes) bool {
	for _, one := range f {
		if !slices.Contains(others, one) {
			return false
		}
	}
	return true
}

// termsMax bounds the groups of callers of one group of requests.
const termsMax = 4096

// groups lists the groups of callers who have to be asked for, given the rules
// that decide in the old and in the next policy. It fails when there are more
// than termsMax.
//
// Why these are enough: take any caller who gets in under one policy and not
// under the other. They get in because of one allowing rule for each route that
// the request is read as, and are kept out there by one denying rule, or for
// want of an allowing one. Keep only the attributes that those few rules ask for.
// Fewer attributes meet no more rules: so nothing denies in the first policy
// that did not before, and nothing allows in the other. These few attributes show
// the same difference, and they are a union that is listed here.
func groups(sides [2][]answer) (list []attributes, ok bool) {
	login := attribute{kind: attrLogin, segment: -1}
	list = []attributes{nil, {login}}
	var denials []attributes
	for _, side := range sides {
		entries, fits := waysIn(side)
		if !fits {
			return nil, false
		}
		list = append(list, entries...)
		for _, a := range side {
			denials = append(denials, a.terms(a.route.deny)...)
		}
	}
	list = uniqueSets(append(list, denials...))
	denials = uniqueSets(denials)
	if len(list)*(len(denials)+1) > termsMax {
		return nil, false
	}
	for _, some := range slices.Clip(list) {
		for _, denial := range denials {
			list = append(list, some.with(denial...))
		}
	}
	return uniqueSets(list), true
}

// uniqueSets sorts, fewer attributes first, and drops what is there twice.
func uniqueSets(list []attributes) []attributes {
	slices.SortFunc(list, func(a, b attributes) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), slices.CompareFunc(a, b, compareAttributes))
	})
	return slices.CompactFunc(list, func(a, b attributes) bool { return slices.Equal(a, b) })
}

// answer is a route that has a say in a decision, and the method it is asked.
type answer struct {
	route  *route
	method string
}

// answers lists the routes that have a say in a match.
func (m *Match) answers() (list []answer) {
	if m.Refusal() != ReasonNone {
		return nil
	}
	for i := range m.hits() {
		for j := range m.methods() {
			a := answer{m.hitAt(i).end.choose(m.methodAt(j)), m.methodAt(j)}
			if !slices.Contains(list, a) {
				list = append(list, a)
			}
		}
	}
	return list
}

// waysIn lists the attributes that let in by one rule of each route. A route
// that observes asks for none.
func waysIn(side []answer) (list []attributes, ok bool) {
	if len(side) == 0 {
		return nil, true
	}
	list = []attributes{nil}
	for _, a := range side {
		var next []attributes
		terms := a.terms(a.route.allow)
		if a.route.observe {
			terms = append(terms, nil)
		}
		for _, term := range terms {
			for _, so := range list {
				next = append(next, so.with(term...))
			}
		}
		if list = uniqueSets(next); len(list) > termsMax {
			return nil, false
		}
	}
	return list, true
}

// terms lists the least attributes that meet one of the rules. Where a client asks
// from, its certificate, and how old a password is, are asked for by themselves.
func (a answer) terms(rules []rule) (list []attributes) {
	for i := range rules {
		r := &rules[i]
		if len(r.methods) > 0 && !namesMethod(r.methods, a.method) {
			continue
		}
		list = append(list, r.terms()...)
	}
	return uniqueSets(list)
}

// terms lists the least attributes that meet the rule.
func (r *rule) terms() []attributes {
	if !r.identity {
		return []attributes{nil}
	}
	all := attributes{{kind: attrLogin, segment: -1}}
	for _, role := range r.allRoles {
		all = all.with(attribute{kind: attrRole, name: role, segment: -1})
	}
	if r.role != "" {
		all = all.with(attribute{kind: attrRole, name: r.role, segment: -1})
	}
	if r.user != "" {
		all = all.with(attribute{kind: attrUser, name: r.user, segment: -1})
	}
	if r.self != nil {
		all = all.with(attribute{kind: attrSelf, name: r.self.is, segment: r.self.segment})
	}
	if r.field != nil {
		all = all.with(attribute{kind: attrField, name: r.field.name, value: r.field.value, segment: r.field.segment})
	}
	list := []attributes{all}
	list = withAny(list, attrRole, r.anyRole)
	return withAny(list, attrUser, r.anyUser)
}

// withAny adds one of the names to each.
func withAny(list []attributes, kind attrKind, names []string) (all []attributes) {
	if len(names) == 0 {
		return list
	}
	for _, so := range list {
		for _, name := range names {
			all = append(all, so.with(attribute{kind: kind, name: name, segment: -1}))
		}
	}
	return all
}

// text says in words who has the attributes; names are those of the path's segments.
func (f attributes) text(names func(segment int) string) string {
	var who, where []string
	for _, one := range f {
		switch one.kind {
		case attrRole:
			who = append(who, "role "+one.name)
		case attrUser:
			who = append(who, "user "+one.name)
		case attrSelf:
			what := "the user of "
			if one.name != "" && one.name != "id" {
				what = "the " + one.name + " of "
			}
			who = append(who, what+names(one.segment))
		case attrField:
			value := one.value
			if one.segment >= 0 {
				value = names(one.segment)
			}
			who = append(who, fmt.Sprintf("field %s: %s", one.name, value))
		case attrNetwork:
			where = append(where, "from "+one.name)
		case attrCert:
			where = append(where, "with the certificate "+one.name)
		case attrFresh:
			where = append(where, "with a password at most "+age(one.age)+" old")
		}
	}
	if len(who) == 0 {
		who = []string{"anyone"}
		if len(f) > 0 && f[0].kind == attrLogin {
			who = []string{"anyone logged in"}
		}
	}
	return strings.Join(append([]string{strings.Join(who, " and ")}, where...), " ")
}

// exceptions are groups of callers within a wider one.
type exceptions []attributes

// exceptions lists the widest groups within this one, without what they share.
func (f attributes) exceptions(among []attributes) (list exceptions) {
	inside := slices.DeleteFunc(slices.Clone(among), func(g attributes) bool { return len(g) <= len(f) || !f.within(g) })
	for _, g := range inside {
		wider := slices.ContainsFunc(inside, func(h attributes) bool { return len(h) < len(g) && h.within(g) })
		if !wider {
			list = append(list, slices.DeleteFunc(slices.Clone(g), func(a attribute) bool { return slices.Contains(f, a) }))
		}
	}
	return list
}

// exceptionsMax is how many exceptions a line names.
const exceptionsMax = 3

// text names the exceptions.
func (list exceptions) text(names func(segment int) string) string {
	var words []string
	for i, g := range list {
		if i == exceptionsMax {
			words = append(words, "others")
			break
		}
		words = append(words, strings.TrimPrefix(g.text(names), "anyone "))
	}
	return ", except " + strings.Join(words, " and ")
}
