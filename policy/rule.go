package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// rule is a compiled Rule. It does not know where it stands: rules of many
// routes are one where they ask for the same.
type rule struct {
	text     string // see Rule.String
	anyone   bool
	identity bool // some condition is about who asks
	role     string
	anyRole  []string
	allRoles []string
	user     string
	anyUser  []string
	self     *selfCondition
	field    *fieldCondition
	methods  []string
	networks []netip.Prefix
	cert     string        // of the client, see certificate; empty: none is asked for
	maxAge   time.Duration // zero: none
}

// selfCondition compares a segment of the path with the caller.
type selfCondition struct {
	segment int
	is      string
}

// fieldCondition compares a field with a value, or with a segment of the path.
type fieldCondition struct {
	name    string
	value   string
	segment int // -1: value counts
}

// question is what rules are asked: one reading of one request.
type question struct {
	caller *Caller
	method string
	raw    string // the path as it was sent
	text   string // and as it is read
}

// verdict is a rule's answer.
type verdict uint8

const (
	never     verdict = iota // whoever asks, or not this caller
	unclear                  // it cannot be told: no for allow, yes for deny
	needLogin                // an identity might make it hold
	needFresh                // a password given again would make it hold
	holds
)

// verdict tries the conditions. Those that no identity can change come first,
// so that nobody is sent to log in for nothing.
func (r *rule) verdict(q *question) verdict {
	if len(r.methods) > 0 && !namesMethod(r.methods, q.method) {
		return never
	}
	if len(r.networks) > 0 {
		if v := inside(r.networks, q.caller.Client); v != holds {
			return v
		}
	}
	if r.cert != "" {
		if v := certificate(r.cert, q.caller.Cert); v != holds {
			return v
		}
	}
	if !r.identity {
		return holds
	}
	if !r.pathClear(q) {
		return unclear
	}
	s := &q.caller.Subject
	if s.anonymous() {
		return needLogin
	}
	if !r.roles(s) || !r.users(s) || !r.path(s, q) {
		return never
	}
	if r.maxAge > 0 && !fresh(q.caller, r.maxAge) {
		return needFresh
	}
	return holds
}

// anonymous reports whether nothing is known of who asks.
func (s *Subject) anonymous() bool {
	return s.ID == "" && s.Username == "" && len(s.Roles) == 0
}

// namesMethod reports whether the list has the method; GET includes HEAD.
func namesMethod(list []string, method string) bool {
	return contains(list, method) || method == "HEAD" && contains(list, "GET")
}

// inside tells whether the address is in one of the networks. An IPv4 address
// is one however it is written: ::ffff:10.0.0.1 is in 10.0.0.0/8.
func inside(networks []netip.Prefix, client netip.Addr) verdict {
	if !client.IsValid() {
		return unclear
	}
	client = client.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(client) {
			return holds
		}
	}
	return never
}

// roles checks the three role conditions.
func (r *rule) roles(s *Subject) bool {
	if r.role != "" && !contains(s.Roles, r.role) {
		return false
	}
	for _, role := range r.allRoles {
		if !contains(s.Roles, role) {
			return false
		}
	}
	return len(r.anyRole) == 0 || intersect(r.anyRole, s.Roles)
}

// intersect reports whether the lists have a word in common.
func intersect(a, b []string) bool {
	for _, word := range a {
		if contains(b, word) {
			return true
		}
	}
	return false
}

// users checks the two user conditions, by username.
func (r *rule) users(s *Subject) bool {
	if r.user == "" && len(r.anyUser) == 0 {
		return true
	}
	if s.Username == "" || r.user != "" && s.Username != r.user {
		return false
	}
	return len(r.anyUser) == 0 || contains(r.anyUser, s.Username)
}

// pathClear reports whether the path's values that the rule rests on are the
// same in this reading as in the path that was sent. Where they are not, the
// application may see a third.
func (r *rule) pathClear(q *question) bool {
	if r.self != nil && !q.clear(r.self.segment) {
		return false
	}
	return r.field == nil || r.field.segment < 0 || q.clear(r.field.segment)
}

// path checks the conditions that compare something with the caller exactly:
// no case is folded, and nothing empty is equal to anything.
func (r *rule) path(s *Subject, q *question) bool {
	if r.self != nil && !q.segmentIs(r.self.segment, s.named(r.self.is)) {
		return false
	}
	if r.field == nil {
		return true
	}
	for _, value := range s.Fields[r.field.name] {
		if r.field.segment < 0 && value == r.field.value && value != "" {
			return true
		}
		if r.field.segment >= 0 && q.segmentIs(r.field.segment, value) {
			return true
		}
	}
	return false
}

// named returns what self compares with.
func (s *Subject) named(is string) string {
	switch is {
	case "username":
		return s.Username
	case "email":
		return s.Email
	}
	return s.ID
}

// clear reports whether a segment reads as it was sent. One with an encoded
// percent sign never does: Tomcat can be told to hand that on undecoded
// (encodedSolidusHandling="passthrough"), so 42%25 is 42%25 there and 42% here.
func (q *question) clear(index int) bool {
	segment, ok := segmentAt(q.text, index)
	if !ok || strings.Contains(segment, "%25") {
		return false
	}
	if len(q.text) == len(q.raw) && q.text == q.raw {
		return true
	}
	sent, ok := segmentAt(q.raw, index)
	return ok && sameDecoded(segment, sent)
}

// segmentIs reports whether a segment decodes to the value.
func (q *question) segmentIs(index int, value string) bool {
	segment, ok := segmentAt(q.text, index)
	return ok && value != "" && decodesTo(segment, value)
}

// decodesTo reports whether a segment, decoded, is the value. The value is no
// spelling: a percent sign in it is a percent sign.
func decodesTo(segment, value string) bool {
	i, j := 0, 0
	for ; i < len(segment) && j < len(value); j++ {
		b, size := unit(segment, i)
		if b != value[j] {
			return false
		}
		i += size
	}
	return i == len(segment) && j == len(value)
}

// fresh reports whether the password was given no longer ago than that. A time
// that is unknown, or more than clocks differ ahead of ours, is not fresh.
func fresh(c *Caller, maxAge time.Duration) bool {
	if c.Now.IsZero() || c.Subject.AuthTime.IsZero() {
		return false
	}
	age := c.Now.Sub(c.Subject.AuthTime)
	return age <= maxAge && age >= -time.Minute
}

// UnmarshalText reads the rules that are words: anyone and authenticated.
func (r *Rule) UnmarshalText(text []byte) error {
	switch string(text) {
	case "anyone":
		r.Anyone = true
	case "authenticated":
		r.Authenticated = true
	default:
		return fmt.Errorf("rule %q is not `anyone` or `authenticated`; a role is written { role: %s }", text, text)
	}
	return nil
}

// UnmarshalText reads the short form: the name of the path's value, which is
// then the caller's id.
func (s *SelfRule) UnmarshalText(text []byte) error {
	s.Name = strings.TrimSpace(string(text))
	return nil
}
