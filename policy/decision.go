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
	ReasonAnyone                   Reason = "anyone"        // allowed: open to everyone
	ReasonRule                     Reason = "rule"          // allowed: a rule holds
	ReasonDenyRule                 Reason = "deny_rule"     // a deny rule holds
	ReasonNoRule                   Reason = "no_rule"       // no allow rule holds
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

// Caller is who asks: a subject, at an address, at a time.
type Caller struct {
	Subject Subject
	Client  netip.Addr
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
