package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// checked is one condition, how it came out, and what there is to say of it.
type checked struct {
	ok   bool
	text string
}

// why says what makes the rule hold, or the first thing that keeps it from it.
// It goes through the conditions in the order of verdict.
func (r *rule) why(q *question) string {
	if r.anyone {
		return "everyone may"
	}
	var held []string
	for _, f := range r.facts(q) {
		if !f.ok {
			return f.text
		}
		held = append(held, f.text)
	}
	return sentence(held)
}

// facts says how each condition of the rule came out.
func (r *rule) facts(q *question) (list []checked) {
	add := func(ok bool, format string, args ...any) {
		list = append(list, checked{ok, fmt.Sprintf(format, args...)})
	}
	s := &q.caller.Subject
	if len(r.methods) > 0 {
		add(namesMethod(r.methods, q.method), "the method is %s", q.method)
	}
	if len(r.networks) > 0 {
		v := inside(r.networks, q.caller.Client)
		add(v == holds, "the client's address is %s", orUnknown(address(q.caller.Client)))
	}
	if r.cert != "" {
		add(certificate(r.cert, q.caller.Cert) == holds, "%s", q.caller.Cert.describe())
	}
	if !r.identity {
		return list
	}
	if !r.pathClear(q) {
		add(false, "the application may see another value in the path than this reading does")
	}
	if s.anonymous() || r.onlyAuthenticated() {
		add(!s.anonymous(), "%s", s.who())
	}
	if r.role != "" || len(r.anyRole) > 0 || len(r.allRoles) > 0 {
		add(r.roles(s), "the caller has %s%s", s.has(), unless(r.roles(s), ", not "+wants(r.role, r.anyRole, r.allRoles)))
	}
	if r.user != "" || len(r.anyUser) > 0 {
		add(r.users(s), "the caller is %s%s", orUnknown(s.Username), unless(r.users(s), ", not "+wants(r.user, r.anyUser, nil)))
	}
	return append(list, r.values(q)...)
}

// unless returns the text where the condition does not hold.
func unless(ok bool, text string) string {
	if ok {
		return ""
	}
	return text
}

// wants names what a condition on roles or users asks for.
func wants(one string, some, all []string) string {
	var list []string
	if one != "" {
		list = append(list, one)
	}
	if len(some) > 0 {
		list = append(list, "one of "+strings.Join(some, ", "))
	}
	if len(all) > 0 {
		list = append(list, "all of "+strings.Join(all, ", "))
	}
	return sentence(list)
}

// address is empty for an address that is not known.
func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// describe says what is known of the certificate.
func (c Certificate) describe() string {
	switch {
	case c.Hidden:
		return "the client's certificate is not known: the connection is a proxy's, or the subject cannot be read"
	case c.Subject == "":
		return "the client has no certificate"
	}
	return "the client's certificate is " + c.Subject
}

// values says how the conditions on the path's values, fields and the age of
// the login came out.
func (r *rule) values(q *question) (list []checked) {
	s := &q.caller.Subject
	if r.self != nil {
		is := r.self.is
		if is == "" {
			is = "id"
		}
		value, _ := segmentAt(q.text, r.self.segment)
		list = append(list, checked{q.segmentIs(r.self.segment, s.named(is)), fmt.Sprintf("the path has %q and the caller's %s is %q", decode(value), is, s.named(is))})
	}
	if r.field != nil {
		without := *r
		without.self = nil
		text := fmt.Sprintf("the caller's %s is %s", r.field.name, orUnknown(strings.Join(s.Fields[r.field.name], ", ")))
		if r.field.segment >= 0 {
			value, _ := segmentAt(q.text, r.field.segment)
			text = fmt.Sprintf("the path has %q and %s", decode(value), text)
		}
		list = append(list, checked{without.path(s, q), text})
	}
	if r.maxAge > 0 {
		text := "it is not known when the password was given"
		if !s.AuthTime.IsZero() && !q.caller.Now.IsZero() {
			text = fmt.Sprintf("the password was given %s ago", cmp.Or(age(q.caller.Now.Sub(s.AuthTime).Round(time.Second)), "0s"))
		}
		list = append(list, checked{fresh(q.caller, r.maxAge), text})
	}
	return list
}

// who says whether anybody is logged in.
func (s *Subject) who() string {
	switch {
	case s.anonymous():
		return "nobody is logged in"
	case s.Username != "":
		return s.Username + " is logged in"
	}
	return "somebody is logged in"
}

// has says which roles the subject has.
func (s *Subject) has() string {
	switch len(s.Roles) {
	case 0:
		return "no role"
	case 1:
		return "the role " + s.Roles[0]
	}
	return "the roles " + sentence(s.Roles)
}

// orUnknown names what may be missing.
func orUnknown(value string) string {
	if value == "" {
		return "not known"
	}
	return value
}
