package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// String is the rule as a person would say it, in the words of the file:
// role admin, methods [GET, PUT]. Two rules of one route that say the same are
// the same rule.
func (r Rule) String() string {
	switch {
	case r.Anyone:
		return "anyone"
	case r.Authenticated && r.conditions() == "":
		return "authenticated"
	}
	return r.conditions()
}

// conditions joins the conditions of a rule in the order of interface.md 4.2.
func (r Rule) conditions() string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	add("role", r.Role)
	add("any_role", words(r.AnyRole))
	add("all_roles", words(r.AllRoles))
	add("user", r.User)
	add("any_user", words(r.AnyUser))
	if r.Self != nil {
		add("self", r.Self.String())
	}
	if r.Field != nil {
		add("field", r.Field.Name+" is "+r.Field.Equals)
	}
	add("methods", words(r.Methods))
	add("cidr", words(r.CIDR))
	add("max_age", age(r.MaxAge))
	if r.ClientCert != nil {
		add("client_cert", r.ClientCert.Subject)
	}
	return strings.Join(parts, ", ")
}

// words writes a list; one word stands for itself.
func words(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// age writes a duration as a person would: 7d, 12h, 1h30m.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return ""
	case d >= day && d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

// String is the short form where that says all.
func (s SelfRule) String() string {
	if s.Is == "" || s.Is == "id" {
		return parameter(s.Name)
	}
	return parameter(s.Name) + " is " + s.Is
}

// parameter is a path value's name, which may be written with its braces.
func parameter(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, "{"), "}")
}

// Order lists the routes, as indexes into Config.Routes, in the order in which
// they are tried: the most specific first. Routes that no path tells apart
// stand in the order of the file.
func (t *Table) Order() []int {
	order := make([]int, len(t.routes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return t.routes[i].compare(t.routes[j]) })
	return order
}

// compare is negative when the route is tried before the other one.
func (r *route) compare(other *route) int {
	return cmp.Or(compareHosts(r.host, other.host), slices.CompareFunc(r.pattern.places(), other.pattern.places(), func(a, b precedence) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.literal, b.literal))
	}))
}

// compareHosts puts exact hosts before wildcards, a longer wildcard before a
// shorter one, and the routes of every host last.
func compareHosts(a, b string) int {
	kind := func(host string) int {
		switch {
		case host == "":
			return 2
		case strings.HasPrefix(host, "*."):
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(kind(a), kind(b)), cmp.Compare(strings.Count(b, "."), strings.Count(a, ".")), cmp.Compare(a, b))
}

// precedence is what decides at one place of a pattern: a literal goes before
// {name} and *, these before the end, and that before **.
type precedence struct {
	rank    int
	literal string
}

// places lists what decides between patterns, from left to right.
func (p pattern) places() []precedence {
	list := make([]precedence, 0, len(p.segments)+1)
	for _, s := range p.segments {
		if s.literal == "" {
			list = append(list, precedence{rank: 1})
			continue
		}
		list = append(list, precedence{literal: s.literal})
	}
	return append(list, precedence{rank: 2 + int(p.tail)})
}

// sentence joins phrases as people do.
func sentence(phrases []string) string {
	if len(phrases) < 2 {
		return strings.Join(phrases, "")
	}
	return fmt.Sprintf("%s and %s", strings.Join(phrases[:len(phrases)-1], ", "), phrases[len(phrases)-1])
}
