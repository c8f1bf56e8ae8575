package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// rules compiles what a route allows and denies.
func (c *compiler) rules(r *route, in *Route, p pattern) {
	if len(in.Allow) == 0 {
		c.fault(in.Pos, "route %s allows nobody: give it `allow`, with anyone, authenticated or a list of rules", r.info.Label)
	}
	if in.Deny != nil && len(in.Deny) == 0 {
		c.fault(in.Pos, "`deny` is empty; leave it out")
	}
	r.deny = c.list(r, in, in.Deny, p)
	r.allow = c.list(r, in, in.Allow, p)
	c.unreachable(r.deny, r.at)
	c.unreachable(r.allow, r.at[len(r.deny):])
	for i := range r.allow {
		rule := &r.allow[i]
		if !rule.anyone && !rule.identity && len(rule.networks) == 0 && rule.cert == "" && len(rule.methods) > 0 {
			c.warn(r.at[len(r.deny)+i], "this rule names only methods, so it lets everyone in for %s; add `role` or another condition if a login is meant", strings.Join(rule.methods, ", "))
		}
	}
}

// list compiles rules and notes where each stands: at its route, if it is not
// known better.
func (c *compiler) list(r *route, in *Route, from []Rule, p pattern) (list []rule) {
	for i := range from {
		pos := cmp.Or(from[i].Pos, in.Pos)
		r.at = append(r.at, pos)
		list = append(list, c.rule(pos, &from[i], p))
		c.moved(pos, r, &list[i], p)
	}
	return list
}

// moved refuses a rule on a segment behind a name that Windows takes for nothing:
// the request is then compared by the segment after it, which is somebody else's.
func (c *compiler) moved(pos Pos, r *route, made *rule, p pattern) {
	if !slices.ContainsFunc(profileForms(r.profile), func(f form) bool { return f.change == changeTrim }) {
		return
	}
	at := -1
	if made.self != nil {
		at = made.self.segment
	}
	if made.field != nil {
		at = max(at, made.field.segment)
	}
	for _, s := range p.segments[:max(at, 0)] {
		if s.literal != "" && foldWindows.key(s.literal) == "" {
			c.fault(pos, "Windows takes %q for no segment, so {%s} behind it would be another one: name `router:` if the application reads paths otherwise, or put the value in front", s.literal, p.segments[at].name)
		}
	}
}

// unreachable warns of rules that come after one that covers them.
func (c *compiler) unreachable(list []rule, at []Pos) {
	for i := range list {
		j := slices.IndexFunc(list[:i], func(before rule) bool { return before.covers(&list[i]) })
		if j >= 0 {
			c.warn(at[i], "this rule is never needed: whoever it is for is covered by the rule before it (%s)", list[j].describe(at[j]))
		}
	}
}

// covers reports whether whoever the other rule is for is surely covered by
// this one. It may miss cases; it never claims one.
func (r *rule) covers(other *rule) bool {
	if r.anyone {
		return true
	}
	plain := len(r.methods) == 0 && len(r.networks) == 0 && r.cert == "" && r.maxAge == 0
	return plain && r.onlyAuthenticated() && other.identity || r.text == other.text
}

// onlyAuthenticated reports whether the rule asks for a login and no more.
func (r *rule) onlyAuthenticated() bool {
	return r.identity && r.role == "" && len(r.anyRole) == 0 && len(r.allRoles) == 0 &&
		r.user == "" && len(r.anyUser) == 0 && r.self == nil && r.field == nil
}

// rule compiles one rule and notes what is wrong with it.
func (c *compiler) rule(pos Pos, from *Rule, p pattern) rule {
	r := rule{
		text: from.String(), anyone: from.Anyone,
		role: from.Role, anyRole: from.AnyRole, allRoles: from.AllRoles,
		user: from.User, anyUser: from.AnyUser, methods: from.Methods, maxAge: from.MaxAge,
	}
	c.later(pos, from)
	c.names(pos, from)
	c.methods(pos, from.Methods)
	r.self = c.self(pos, from.Self, p)
	r.field = c.field(pos, from.Field, p)
	r.networks = c.networks(pos, from.CIDR)
	r.cert = c.clientCert(pos, from.ClientCert)
	if r.maxAge < 0 {
		c.fault(pos, "max_age %s: no password was given in the future", r.maxAge)
	}
	r.identity = from.Authenticated || from.MaxAge != 0 || from.MFA || from.who()
	fixed := from.CIDR != nil || from.Methods != nil || from.ClientCert != nil
	if !r.anyone && !r.identity && !fixed && from.empty() {
		c.fault(pos, "a rule without any condition; write `anyone` where everyone is meant")
	}
	if r.anyone && (r.identity || fixed) {
		c.fault(pos, "`anyone` stands alone: it has no further conditions")
	}
	return r
}

// who reports whether the rule asks for somebody in particular.
func (r *Rule) who() bool {
	return r.Role != "" || len(r.AnyRole) > 0 || len(r.AllRoles) > 0 ||
		r.User != "" || len(r.AnyUser) > 0 || r.Self != nil || r.Field != nil
}

// empty reports whether no list of the rule is there, not even an empty one:
// those are reported by themselves.
func (r *Rule) empty() bool {
	return r.AnyRole == nil && r.AllRoles == nil && r.AnyUser == nil
}

// later refuses the conditions that do not work yet. A condition that is read
// and not enforced would be a hole.
func (c *compiler) later(pos Pos, from *Rule) {
	if from.MFA {
		c.fault(pos, "`mfa` comes with a later version of Postern; leave it out, or demand something else beside the login: "+
			"a password given lately (`max_age: 10m`), a network (`cidr`), or a certificate (`client_cert`)")
	}
}

// names checks the roles and users that a rule names.
func (c *compiler) names(pos Pos, from *Rule) {
	if from.Role != "" {
		c.role(pos, from.Role)
	}
	for name, list := range map[string][]string{"any_role": from.AnyRole, "all_roles": from.AllRoles} {
		for _, role := range list {
			c.role(pos, role)
		}
		if list != nil && len(list) == 0 {
			c.fault(pos, "`%s` is empty", name)
		}
	}
	if from.AnyUser != nil && len(from.AnyUser) == 0 {
		c.fault(pos, "`any_user` is empty")
	}
	if slices.Contains(from.AnyUser, "") {
		c.fault(pos, "`any_user` has an empty name")
	}
	for _, user := range append([]string{from.User}, from.AnyUser...) {
		if user != strings.TrimSpace(user) || strings.ContainsFunc(user, unicode.IsControl) {
			c.fault(pos, "%q is no username: nobody's has spaces around it or control characters", user)
		}
	}
}

// role checks that a role exists.
func (c *compiler) role(pos Pos, role string) {
	if !contains(c.config.Roles, role) {
		c.fault(pos, "unknown role %q%s; the roles are %s (auth.roles)", role, Suggest(role, c.config.Roles), strings.Join(c.config.Roles, ", "))
	}
}

// self compiles a self condition.
func (c *compiler) self(pos Pos, from *SelfRule, p pattern) *selfCondition {
	if from == nil {
		return nil
	}
	switch from.Is {
	case "", "id", "username", "email":
	default:
		c.fault(pos, "self: unknown `is: %s`%s; it is id, username or email", from.Is, Suggest(from.Is, []string{"id", "username", "email"}))
	}
	return &selfCondition{segment: c.segment(pos, "self", parameter(from.Name), p), is: from.Is}
}

// segment finds the segment that a rule names.
func (c *compiler) segment(pos Pos, condition, name string, p pattern) int {
	index := -1
	if name != "" {
		index = p.index(name)
	}
	if index < 0 && p.text != "" {
		var names []string
		for _, s := range p.segments {
			if s.name != "" {
				names = append(names, s.name)
			}
		}
		c.fault(pos, "%s: the path %s has no {%s}%s", condition, p.text, name, Suggest(name, names))
	}
	return index
}

// field compiles a field condition.
func (c *compiler) field(pos Pos, from *FieldRule, p pattern) *fieldCondition {
	if from == nil {
		return nil
	}
	var names []string
	found := false
	for _, f := range c.config.Fields {
		names = append(names, f.Name)
		if f.Name != from.Name {
			continue
		}
		found = true
		if f.Editable {
			c.fault(pos, "field %q may be edited by its owner, so no rule can rest on it: set `editable: false`", f.Name)
		}
	}
	if !found {
		c.fault(pos, "unknown field %q%s; auth.profile.fields has them", from.Name, Suggest(from.Name, names))
	}
	condition := &fieldCondition{name: from.Name, value: from.Equals, segment: -1}
	inner, open := strings.CutPrefix(from.Equals, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	switch {
	case from.Equals == "":
		c.fault(pos, "field %q: `equals` is empty; nothing is equal to nothing", from.Name)
	case open && closed:
		condition.segment = c.segment(pos, "field", inner, p)
	case strings.ContainsAny(from.Equals, "{}"):
		c.fault(pos, "field %q: `equals` is a value, or {NAME} of the path and nothing beside it", from.Name)
	}
	return condition
}

// networks compiles a cidr condition. A single address is a network of one.
func (c *compiler) networks(pos Pos, list []string) []netip.Prefix {
	if list != nil && len(list) == 0 {
		c.fault(pos, "`cidr` is empty")
	}
	var networks []netip.Prefix
	for _, text := range list {
		prefix, err := parseNetwork(text)
		if err != nil {
			c.fault(pos, "cidr: %v", err)
			continue
		}
		networks = append(networks, prefix)
	}
	return networks
}

// parseNetwork reads an address or a network. Bits beyond the mask are refused:
// 10.1.2.3/8 is more likely a slip than a wish for all of 10.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no network such as 10.0.0.0/8 or fd00::/8", text)
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its mask; is %s meant, or %s/%d?", text, prefix.Masked(), prefix.Addr(), prefix.Addr().BitLen())
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 network in IPv6 clothes; write it as IPv4", text)
	}
	return prefix, nil
}

// describe is the rule for a message.
func (r *rule) describe(at Pos) string {
	if at.Line > 0 {
		return fmt.Sprintf("line %d, %s", at.Line, r.text)
	}
	return r.text
}
