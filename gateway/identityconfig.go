package gateway

import (
	"time"

	"github.com/posternhq/postern/policy"
)

// Identity says what an upstream is told about who asks. Whatever it is told
// in is stripped from what clients send, in every spelling, and from what the
// upstream answers.
type Identity struct {
	Headers     []Header    `yaml:"headers"`
	Presets     []string    `yaml:"presets"` // well-known sets, added to the above; see presets
	Assertion   Assertion   `yaml:"assertion"`
	LegacyToken LegacyToken `yaml:"legacy_token"`
	Basic       Basic       `yaml:"basic"`
}

// Header is one identity header. It holds a part of the account, or one of
// its profile fields: value or field, not both.
type Header struct {
	Pos       policy.Pos `yaml:"-"`
	Name      string     `yaml:"name"`
	Value     string     `yaml:"value"`     // username | id | email | name | roles | session
	Field     string     `yaml:"field"`     // the name of a profile field
	Separator string     `yaml:"separator"` // between the items of a list: one sign, or one and a space; default ,
	Encoding  string     `yaml:"encoding"`  // of what is not ASCII, see encodings; default raw
}

// Assertion is a signed statement about who asks, a JWT for one upstream. Its
// key is the gateway's own, for nothing else, and stands in the JWKS.
type Assertion struct {
	Enabled bool          `yaml:"enabled"`
	Header  string        `yaml:"header"`
	TTL     time.Duration `yaml:"ttl"`
}

// LegacyToken is the token that an application expects, which verifies it by
// itself with a secret that it shares with the gateway. There is none without
// a secret. In the header Authorization the token has "Bearer " before it.
type LegacyToken struct {
	Header         string        `yaml:"header"`
	Algorithm      string        `yaml:"algorithm"` // HS256 | HS384 | HS512
	Secret         string        `yaml:"secret,secret"`
	SecretEncoding string        `yaml:"secret_encoding"` // text (default) | base64: what the application makes of it
	TTL            time.Duration `yaml:"ttl"`
	Claims         []LegacyClaim `yaml:"claims"`
}

// LegacyClaim is one claim of a LegacyToken, beside iat and exp, which every
// one has. It has one source: value, field, has_role or constant.
type LegacyClaim struct {
	Pos      policy.Pos `yaml:"-"`
	Name     string     `yaml:"name"`     // a dot nests: user.id
	Value    string     `yaml:"value"`    // as Header.Value
	Field    string     `yaml:"field"`    // as Header.Field
	HasRole  string     `yaml:"has_role"` // whether the caller has the role: a boolean
	Constant string     `yaml:"constant"` // the same for everybody
	Type     string     `yaml:"type"`     // text | number | boolean | list; default: list for roles, else text
}

// Basic is an Authorization field with the username and one password for
// everybody, for an application that knows nothing else.
type Basic struct {
	Enabled  bool   `yaml:"enabled"`
	Password string `yaml:"password,secret"`
}

// defaultIdentity is the identity of an empty file.
func defaultIdentity() Identity {
	return Identity{
		Headers: []Header{
			{Name: "X-Auth-User", Value: "username"},
			{Name: "X-Auth-User-Id", Value: "id"},
			{Name: "X-Auth-Email", Value: "email"},
			{Name: "X-Auth-Roles", Value: "roles"},
		},
		Assertion:   Assertion{Header: "X-Auth-Assertion", TTL: time.Minute},
		LegacyToken: LegacyToken{Header: "X-Access-Token", Algorithm: "HS256", SecretEncoding: "text", TTL: time.Minute},
	}
}

// isMeant tells whether the section is in use: with claims and no secret it
// makes no token, but lets none of a client's through either.
func (l *LegacyToken) isMeant() bool { return l.Secret != "" || len(l.Claims) > 0 }

// ownsAuthorization is the key by which the gateway writes Authorization
// itself; empty: by none.
func (c *Identity) ownsAuthorization() string {
	switch {
	case c.Basic.Enabled:
		return "identity.basic"
	case c.LegacyToken.isMeant() && fold(c.LegacyToken.Header) == "authorization":
		return "identity.legacy_token"
	}
	return ""
}
