package policy

import (
	"net/netip"
	"time"
)

// Effect is what a decision comes to. Its zero value denies.
type Effect uint8

const (
	// Deny refuses, whoever asks.
	Deny Effect = iota
	// Challenge refuses for now: a proven (or a fresher) identity could change it.
	Challenge
	// Allow lets the request through.
	Allow
)

// Reason says why a decision came out as it did. The list is closed: logs,
// metrics and tests share its words.
type Reason string

// The reasons of decisions.
const (
	ReasonNone                     Reason = ""
	ReasonAnyone                   Reason = "anyone"    // allowed: open to everyone
	ReasonRule                     Reason = "rule"      // allowed: a rule holds
	ReasonDenyRule                 Reason = "deny_rule" // a deny rule holds
	ReasonNoRule                   Reason = "no_rule"   // no allow rule holds
	ReasonUnauthenticated          Reason = "unauthenticated"
	ReasonReauthenticationRequired Reason = "reauthentication_required"
	ReasonNoRoute                  Reason = "no_route"
	ReasonMethodNotAllowed         Reason = "method_not_allowed"
	ReasonBadPath                  Reason = "bad_path"
	ReasonReading                  Reason = "reading" // another reading of the path is stricter
)

// Subject is the party a decision is about, always proven. The zero value is
// anonymous.
type Subject struct {
	ID       string
	Username string
	Email    string // only an address that may be relied on
	Roles    []string
	Fields   map[string][]string
	AuthTime time.Time // when the password was last given
}

// Caller is who asks: a subject, at an address, with a certificate, at a time.
type Caller struct {
	Subject Subject
	Client  netip.Addr
	Cert    Certificate
	Now     time.Time
}

// Decision is the answer to one request.
type Decision struct {
	Effect   Effect
	Reason   Reason
	Rule     Pos           // the rule that decided; zero: none did
	MaxAge   time.Duration // with ReasonReauthenticationRequired: how fresh the password must be
	Observed bool          // Effect is Allow only because the route observes: it would have been refused
}

// decide answers for this route and one reading. Denying rules go first; then
// any one allowing rule is enough.
func (r *route) decide(q *question) Decision {
	d := r.enforce(q)
	if r.observe && d.Effect != Allow {
		d.Effect, d.Observed = Allow, true
	}
	return d
}

// enforce decides as if the route did not merely observe.
func (r *route) enforce(q *question) Decision {
	for i := range r.deny {
		if v := r.deny[i].verdict(q); v == holds || v == unclear {
			return Decision{Effect: Deny, Reason: ReasonDenyRule, Rule: r.at[i]}
		}
	}
	refused := Decision{Effect: Deny, Reason: ReasonNoRule}
	for i := range r.allow {
		rule := &r.allow[i]
		switch rule.verdict(q) {
		case holds:
			return Decision{Effect: Allow, Reason: rule.reason(), Rule: r.at[len(r.deny)+i]}
		case needFresh:
			if rule.maxAge > refused.MaxAge { // the least that would do
				refused = Decision{Effect: Challenge, Reason: ReasonReauthenticationRequired, Rule: r.at[len(r.deny)+i], MaxAge: rule.maxAge}
			}
		case needLogin:
			if refused.Effect == Deny {
				refused = Decision{Effect: Challenge, Reason: ReasonUnauthenticated}
			}
		}
	}
	return refused
}

// reason is why a request was allowed when this rule holds.
func (r *rule) reason() Reason {
	if r.anyone {
		return ReasonAnyone
	}
	return ReasonRule
}

// open reports whether some rule lets a request with the method in without an
// identity.
func (r *route) open(method string) bool {
	for i := range r.allow {
		rule := &r.allow[i]
		if !rule.identity && (len(rule.methods) == 0 || namesMethod(rule.methods, method)) {
			return true
		}
	}
	return false
}

// stricter reports whether a is stricter than b: refusing before challenging
// before observing before allowing; of two challenges for a fresh password
// the one that demands the fresher.
func stricter(a, b Decision) bool {
	if a.Effect != b.Effect {
		return a.Effect < b.Effect
	}
	if a.Observed != b.Observed {
		return a.Observed
	}
	return a.MaxAge > 0 && b.MaxAge > 0 && a.MaxAge < b.MaxAge
}
