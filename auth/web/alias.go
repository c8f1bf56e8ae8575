package web

import (
	"encoding/json"
	"iter"
	"time"

	"github.com/posternhq/postern/auth"
)

// Alias maps another backend's endpoint onto one of this package's: another
// path, other names of fields, another shape of the answer. One with a Preset
// stands for all endpoints of a well-known backend.
//
// A path and a method belong to an alias; other methods at its path are the
// policy's, or the endpoint's where it stands at one. See aliasserve.go for what
// it does, presets.go for the presets.
type Alias struct {
	Preset         string         `yaml:"preset"`
	Path           string         `yaml:"path"`     // literal; for user with one {id}
	Method         string         `yaml:"method"`   // POST where it is left out; for user, GET
	Endpoint       string         `yaml:"endpoint"` // login, register, refresh, logout, me, password, user
	Status         int            `yaml:"status"`   // of a good answer; zero: the endpoint's own
	Request        []AliasField   `yaml:"request"`
	Response       []AliasField   `yaml:"response"` // the answer has exactly these; none: what the endpoint answers
	Body           string         `yaml:"body"`     // a field that is the whole body, as text, whatever Response says; none: no body; empty: see Response
	ResponseHeader string         `yaml:"response_header"`
	Mode           string         `yaml:"mode"`        // cookie or refresh_cookie, for clients that do not ask for it themselves
	Rotate         *bool          `yaml:"rotate"`      // nil: true, and in a preset what the original did
	AccessTTL      time.Duration  `yaml:"access_ttl"`  // of the sessions that it begins; zero: access_token.ttl
	SessionTTL     time.Duration  `yaml:"session_ttl"` // the same; zero: refresh_token.session_ttl, which bounds it
	TokenHeader    string         `yaml:"token_header"`
	Claims         []auth.Claim   `yaml:"claims"` // added to the access tokens of the sessions that it begins
	Problems       []AliasProblem `yaml:"problems"`
}

// AliasField is one field of a request or an answer: Field is its name before,
// As its name behind; a dot nests. In an answer it may be a constant instead.
type AliasField struct {
	Field  string   `yaml:"field"`
	As     string   `yaml:"as"`
	Value  Constant `yaml:"value"`
	Format string   `yaml:"format"` // see auth.FormatValue
}

// AliasProblem is how the original said a refusal.
type AliasProblem struct {
	Code     string       `yaml:"code"`    // of the problem; any
	Field    string       `yaml:"field"`   // narrows it to refusals that name this field
	Status   int          `yaml:"status"`  // zero: the problem's own
	Message  string       `yaml:"message"` // {error}: what is wrong; empty: the problem's own words
	Body     string       `yaml:"body"`    // message: the whole body is the message, as text
	Response []AliasField `yaml:"response"`
}

// Constant is a value that an answer has in any case. What reads as JSON is
// that value (true, 200, null, {}), anything else a text.
type Constant string

// UnmarshalText takes what stands in the file.
func (c *Constant) UnmarshalText(text []byte) error {
	*c = Constant(text)
	return nil
}

// decoded is the constant as encoding/json takes it.
func (c Constant) decoded() any {
	if json.Valid([]byte(c)) {
		return json.RawMessage(c)
	}
	return string(c)
}

// anyCode is the word for a problem of whatever code.
const anyCode = "any"

// The endpoints that aliases can stand for.
const (
	toLogin    = "login"
	toRegister = "register"
	toRefresh  = "refresh"
	toLogout   = "logout"
	toMe       = "me"
	toPassword = "password"
	toUser     = "user"
)

// methodsOf lists the methods that an alias of an endpoint may have, its default
// first; nil for a word that is no endpoint. A login's GET is the page.
func methodsOf(endpoint string) []string {
	switch endpoint {
	case toLogin:
		return []string{"POST", "GET"}
	case toRegister, toRefresh:
		return []string{"POST"}
	case toLogout:
		return []string{"POST", "GET", "DELETE"}
	case toMe:
		return []string{"GET", "PATCH", "PUT", "POST"}
	case toPassword:
		return []string{"POST", "PUT", "PATCH"}
	case toUser:
		return []string{"GET"}
	}
	return nil
}

// begins tells whether an endpoint begins sessions.
func begins(endpoint string) bool { return endpoint == toLogin || endpoint == toRegister }

// answersTokens tells whether an endpoint has tokens to answer.
func answersTokens(endpoint string) bool {
	return begins(endpoint) || endpoint == toRefresh || endpoint == toPassword
}

// has tells whether the answer has a field, in whatever way.
func (a Alias) has(field string) bool {
	switch {
	case a.Body == field, field == accessField && a.ResponseHeader != "":
		return true
	case a.Body != "":
		return false
	case len(a.Response) == 0:
		return true
	}
	for _, f := range a.Response {
		if f.Field == field {
			return true
		}
	}
	return false
}

const (
	accessField  = "access_token"
	refreshField = "refresh_token"
)

// terms are those of the sessions that an alias begins. One whose answer has no
// refresh token begins sessions that end with their access token; one that has
// no token at all begins none.
func (a Alias) terms() auth.Terms {
	t := auth.Terms{AccessTTL: a.AccessTTL, SessionTTL: a.SessionTTL, Claims: a.Claims}
	switch {
	case a.Mode == "" && !a.has(accessField):
		t.Without = true
	case a.Mode == "" && !a.has(refreshField):
		t.Refresh = auth.RefreshNone
	case a.Rotate != nil && !*a.Rotate:
		t.Refresh = auth.RefreshStays
	}
	return t
}

// aliasAt is an alias of the list that was written out, and where it was
// written.
type aliasAt struct {
	Alias
	key string // aliases[2]
}

// written writes the presets out. Where one does not exist it is left out:
// Validate says so.
func (c Config) written() []aliasAt {
	var all []aliasAt
	for i, a := range c.Aliases {
		key := item("aliases", i)
		if a.Preset == "" {
			all = append(all, aliasAt{c.completed(a), key})
			continue
		}
		for _, one := range presetNamed(a.Preset) {
			all = append(all, aliasAt{a.over(one), key})
		}
	}
	return all
}

// completed fills in what an alias leaves out. A refresh that says how tokens
// rotate says it for the logins beside it that do not.
func (c Config) completed(a Alias) Alias {
	if methods := methodsOf(a.Endpoint); a.Method == "" && methods != nil {
		a.Method = methods[0]
	}
	if !begins(a.Endpoint) {
		return a
	}
	for _, other := range c.Aliases {
		if other.Preset != "" || other.Endpoint != toRefresh {
			continue
		}
		if a.Rotate == nil {
			a.Rotate = other.Rotate
		}
		if a.AccessTTL == 0 {
			a.AccessTTL = other.AccessTTL
		}
		if a.SessionTTL == 0 {
			a.SessionTTL = other.SessionTTL
		}
	}
	return a
}

// over is one alias of a preset with what the file says beside its name.
func (a Alias) over(one Alias) Alias {
	if a.Path != "" {
		one.Path = a.Path
	}
	if a.Mode != "" && answersTokens(one.Endpoint) {
		one.Mode = a.Mode
	}
	if begins(one.Endpoint) {
		if a.Rotate != nil {
			one.Rotate = a.Rotate
		}
		if a.AccessTTL != 0 {
			one.AccessTTL = a.AccessTTL
		}
		if a.SessionTTL != 0 {
			one.SessionTTL = a.SessionTTL
		}
		one.Claims = append(append([]auth.Claim(nil), one.Claims...), a.Claims...)
	}
	one.Problems = append(append([]AliasProblem(nil), a.Problems...), one.Problems...)
	return one
}

// LongestAccess is the longest life that an alias gives to access tokens: for
// so long revocations have to be remembered.
func (c Config) LongestAccess() time.Duration {
	var longest time.Duration
	for _, a := range c.written() {
		longest = max(longest, a.AccessTTL)
	}
	return longest
}

// Places are the methods and paths of the aliases, but for paths with an id in
// them: those show what is public.
func (c Config) Places() iter.Seq2[string, string] {
	return func(yield func(method, path string) bool) {
		for _, a := range c.written() {
			if a.Endpoint != toUser && !yield(a.Method, a.Path) {
				return
			}
		}
	}
}
