package policy

// Path is a request's path.
type Path struct{ raw string }

// ParsePath reads a request target's path.
func ParsePath(raw string) (Path, error) { return Path{raw}, nil }

// String is the raw text.
func (p Path) String() string { return p.raw }

// Plain reports whether the path holds none of the characters that a route has to admit with path_options.
func (p Path) Plain() bool { return true }

// Finding is one thing wrong with a configuration.
type Finding struct {
	Pos     Pos
	Message string
	Warning bool
}

// String is file:line:column: message.
func (f Finding) String() string { return f.Message }

// Table is a compiled policy.
type Table struct{}

// RouteInfo describes a route.
type RouteInfo struct {
	Label    string
	Pos      Pos
	Upstream string
	Methods  []string
	Observe  bool
}

// Compile compiles.
func Compile(c Config) (*Table, []Finding) { return &Table{}, nil }

// Routes lists the routes in the order of Config.Routes.
func (t *Table) Routes() []RouteInfo { return nil }

// Match finds the route.
func (t *Table) Match(method, host string, p Path) Match { return Match{} }

// Match is the answer.
type Match struct{}

// Route is the index into Config.Routes.
func (m *Match) Route() int { return -1 }

// Refusal says why no route answers.
func (m *Match) Refusal() Reason { return ReasonNoRoute }

// Allowed lists methods.
func (m *Match) Allowed() []string { return nil }

// OpenToAnyone reports whether an allow rule needs no identity.
func (m *Match) OpenToAnyone() bool { return false }

// Decide decides.
func (m *Match) Decide(c Caller) Decision { return Decision{} }

// UnmarshalText reads anyone or authenticated.
func (r *Rule) UnmarshalText(text []byte) error { return nil }

// UnmarshalText reads the name.
func (s *SelfRule) UnmarshalText(text []byte) error { return nil }
