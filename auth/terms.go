package auth

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Terms are what a session is begun with beside the configuration's own: how
// long its access tokens live, what its refresh token does, which claims are
// added. They are settled once, at the login or the registration, and stand in
// the session's row. So nobody makes a token that rotates into one that stays by
// choosing where to refresh it.
//
// The zero value is a session as access_token and refresh_token say.
type Terms struct {
	Refresh    RefreshKind
	AccessTTL  time.Duration // of its access tokens; zero: access_token.ttl
	SessionTTL time.Duration // the session's end, from its login; zero: refresh_token.session_ttl, which bounds it in any case
	Claims     []Claim       // added to its access tokens
	Without    bool          // no session is begun: a registration whose answer has no place for tokens
}

// RefreshKind says what the refresh token of a session does. The zero value is
// the safest.
type RefreshKind uint8

// The kinds of refresh token.
const (
	// RefreshRotates: each is spent once, and a spent one that comes back ends
	// the session.
	RefreshRotates RefreshKind = iota
	// RefreshStays: one token, the same until the session ends. For clients of
	// backends that never rotated: they keep the first token for ever, and
	// under rotation their second refresh would look like a theft. A stolen one
	// is found out by nobody, so such a session has an end that no refresh moves.
	RefreshStays
	// RefreshNone: none is given out. The session ends with its access token.
	RefreshNone
)

// Claim is one that an access token has beside RFC 9068's, for a frontend that
// reads another backend's. Exactly one of Value, HasRole and Constant says what is
// in it.
type Claim struct {
	Name     string `yaml:"name" json:"name"`
	Value    string `yaml:"value" json:"value,omitempty"`       // id | username | email | name | roles | session
	Format   string `yaml:"format" json:"format,omitempty"`     // of the value, see FormatValue
	HasRole  string `yaml:"has_role" json:"has_role,omitempty"` // true or false
	Constant string `yaml:"constant" json:"constant,omitempty"` // the same for everybody
}

// The bounds of what a configuration adds to a token.
const (
	maxClaims    = 16
	maxClaimText = 128
)

// claimName is what an added claim may be called: ASCII of one spelling, as
// decodeStrict demands of every member of a token.
var claimName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)

// reservedClaims are the names that mean something to a verifier, here or
// anywhere (RFC 7519, 7800, 8693, 9068, OpenID Connect), in any case: that of
// a member of a token's header too, which is read by the same rules.
func reservedClaims() []string {
	return []string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "roles", "username", "name", "email", "auth_time", "ver", "fields",
		"alg", "kid", "typ", "scope", "client_id", "azp", "act", "cnf", "acr", "amr", "nonce", "at_hash", "groups", "entitlements", "may_act", "events",
	}
}

// ClaimFault says what is wrong with an added claim; "" when nothing is.
func ClaimFault(c Claim) string {
	ways := 0
	for _, way := range []string{c.Value, c.HasRole, c.Constant} {
		if way != "" {
			ways++
		}
	}
	switch {
	case !claimName.MatchString(c.Name):
		return fmt.Sprintf("%q is no name for a claim: a letter or _, then letters, digits, _ or -, at most 64", c.Name)
	case isReserved(c.Name):
		return fmt.Sprintf("%q is what every token has already, or means something to every verifier; choose another name", c.Name)
	case ways != 1:
		return fmt.Sprintf("claim %s: needs one of value, has_role and constant", c.Name)
	case c.Value != "" && !slices.Contains(accountValues(), c.Value):
		return fmt.Sprintf("claim %s: unknown value %q; known are %s", c.Name, c.Value, strings.Join(accountValues(), ", "))
	case len(c.Constant) > maxClaimText || strings.ContainsFunc(c.Constant, isControl):
		return fmt.Sprintf("claim %s: constant is at most %d bytes without control characters", c.Name, maxClaimText)
	}
	return FormatFault(c.Value, c.Format)
}

// ClaimsFault says what is wrong with a list of claims as a whole.
func ClaimsFault(list []Claim) string {
	if len(list) > maxClaims {
		return fmt.Sprintf("%d claims are too many: at most %d", len(list), maxClaims)
	}
	for i, c := range list {
		if slices.ContainsFunc(list[:i], func(other Claim) bool { return strings.EqualFold(other.Name, c.Name) }) {
			return fmt.Sprintf("claim %s is there twice", c.Name)
		}
	}
	return ""
}

// isReserved tells whether a claim is the gateway's own, in any case of its
// letters: encoding/json reads "ISS" into iss, and other applications' decoders
// may too.
func isReserved(name string) bool {
	return slices.ContainsFunc(reservedClaims(), func(r string) bool { return strings.EqualFold(r, name) })
}

// added is what the claims come to for an account and a session.
func added(list []Claim, a Account, sid string) map[string]any {
	if len(list) == 0 {
		return nil
	}
	values := make(map[string]any, len(list))
	for _, c := range list {
		switch {
		case c.HasRole != "":
			values[c.Name] = slices.Contains(a.Roles, c.HasRole)
		case c.Constant != "":
			values[c.Name] = c.Constant
		default:
			values[c.Name] = FormatValue(a.value(c.Value, sid), c.Format)
		}
	}
	return values
}

// accountValues are the words for what of an account a claim may hold.
func accountValues() []string {
	return []string{"id", "username", "email", "name", "roles", "session"}
}

// value is what accountValues' words stand for. An address that was never
// verified stays out of tokens, as it stays out of the standard claim.
func (a Account) value(word, sid string) any {
	switch word {
	case "id":
		return a.ID
	case "username":
		return a.Username
	case "name":
		return a.Name
	case "roles":
		return append([]string{}, a.Roles...)
	case "session":
		return sid
	case "email":
		if a.EmailVerified {
			return a.Email
		}
	}
	return ""
}

// over says whether a session can give no tokens any more. The store judges by
// the same rule when it rotates and when it prunes.
func (r Session) over(conf RefreshToken, now time.Time) bool {
	idle := r.Refresh == RefreshRotates && now.Sub(r.Rotated) >= conf.TTL
	ended := !r.Ends.IsZero() && !now.Before(r.Ends)
	return !r.Revoked.IsZero() || idle || ended || now.Sub(r.Created) >= conf.SessionTTL
}

// expires is when a session is over unless its refresh token is used.
func (r Session) expires(conf RefreshToken) time.Time {
	end := r.Created.Add(conf.SessionTTL)
	if !r.Ends.IsZero() && r.Ends.Before(end) {
		end = r.Ends
	}
	if idle := r.Rotated.Add(conf.TTL); r.Refresh == RefreshRotates && idle.Before(end) {
		end = idle
	}
	return end
}

// settle writes the terms into the row of a session that begins.
func (t Terms) settle(row *Session, conf Config) {
	row.Refresh, row.AccessTTL, row.Claims = t.Refresh, t.AccessTTL, t.Claims
	if t.SessionTTL > 0 {
		row.Ends = row.Created.Add(min(t.SessionTTL, conf.RefreshToken.SessionTTL))
	}
	switch t.Refresh {
	case RefreshStays:
		if row.Ends.IsZero() {
			row.Ends = row.Created.Add(conf.RefreshToken.SessionTTL)
		}
	case RefreshNone:
		life := min(conf.accessTTL(*row), conf.RefreshToken.SessionTTL)
		if end := row.Created.Add(life); row.Ends.IsZero() || end.Before(row.Ends) {
			row.Ends = end
		}
	}
}

// accessTTL is the life of a session's access tokens. What a session was
// promised under an earlier configuration is bounded by the present one:
// revocations are not kept for longer.
func (c Config) accessTTL(row Session) time.Duration {
	if row.AccessTTL == 0 {
		return c.AccessToken.TTL
	}
	return min(row.AccessTTL, c.longest())
}

// longest is the longest life of any access token: for how long a revocation
// has to be remembered.
func (c Config) longest() time.Duration { return max(c.AccessToken.TTL, c.LongestAccess) }
