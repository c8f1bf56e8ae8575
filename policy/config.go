package policy

import "time"

// Pos is a place in a configuration file, for findings and for explanations.
type Pos struct {
	File         string
	Line, Column int // from 1; zero: unknown
}

// SetPos is called by the configuration reader with the place where the value
// stands.
func (p *Pos) SetPos(file string, line, column int) { *p = Pos{file, line, column} }

// Config is what a policy is compiled from: the routes as they stand in the
// file, and what the rest of the configuration says that they may refer to.
type Config struct {
	Routes    []Route
	Roles     []string // the roles that exist
	Upstreams []Upstream
	Fields    []Field // the profile fields that exist
	Taken     []Place // what the gateway answers by itself
}

// Upstream is what the policy has to know of an application behind the
// gateway: how it reads what is forwarded to it.
type Upstream struct {
	Name           string
	Router         string // any | exact | express | spring | django | tomcat | iis; empty: any
	MethodOverride bool   // the application heeds _method in a form
}

// Field is a field of an account's profile.
type Field struct {
	Name     string
	Editable bool // by its owner: then no rule may rest on it
}

// Route says who may make the requests for one host and path.
type Route struct {
	Pos         Pos      `yaml:"-"`
	Host        string   `yaml:"host"`
	Path        string   `yaml:"path"`
	Methods     []string `yaml:"methods"`
	Upstream    string   `yaml:"upstream"`
	Allow       []Rule   `yaml:"allow,single"`
	Deny        []Rule   `yaml:"deny,single"`
	Mode        string   `yaml:"mode"` // "" or observe
	PathOptions []string `yaml:"path_options"`
}

// Rule is a set of conditions that must all hold. See interface.md 4.2.
type Rule struct {
	Pos           Pos           `yaml:"-"`
	Anyone        bool          `yaml:"-"` // the rule `anyone`
	Authenticated bool          `yaml:"-"` // the rule `authenticated`
	Role          string        `yaml:"role"`
	AnyRole       []string      `yaml:"any_role"`
	AllRoles      []string      `yaml:"all_roles"`
	User          string        `yaml:"user"`
	AnyUser       []string      `yaml:"any_user"`
	Self          *SelfRule     `yaml:"self"`
	Field         *FieldRule    `yaml:"field"`
	Methods       []string      `yaml:"methods"`
	CIDR          []string      `yaml:"cidr"`
	MaxAge        time.Duration `yaml:"max_age"` // zero: no condition
	MFA           bool          `yaml:"mfa"`
	ClientCert    *ClientCert   `yaml:"client_cert"`
}

// SelfRule holds when the path's value Name is the caller's own id, username
// or e-mail.
type SelfRule struct {
	Name string `yaml:"name"`
	Is   string `yaml:"is"` // id (default) | username | email
}

// FieldRule holds when the account's field Name is, or as a list has, Equals.
type FieldRule struct {
	Name   string `yaml:"name"`
	Equals string `yaml:"equals"` // a value, or {NAME} of the path
}

// ClientCert holds when the client showed a certificate of its own that has
// the subject.
type ClientCert struct {
	Subject string `yaml:"subject"` // as RFC 4514 writes it, or a common name alone
}
