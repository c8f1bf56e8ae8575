package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Test is one line of a policy's own tests: who asks for what, and what the
// client must get. See interface.md 4.4.
type Test struct {
	Pos     Pos         `yaml:"-"`
	Request string      `yaml:"request"` // GET /path, or GET https://host/path
	As      *TestCaller `yaml:"as"`      // absent: nobody is logged in
	Expect  string      `yaml:"expect"`  // allow | unauthenticated | forbidden | no_route | method_not_allowed | bad_path
}

// TestCaller is who a test asks as. Whatever is named but Client and Cert means somebody
// who is logged in; what of them is not named is their own and equal to nothing
// in the path or in the policy, so that a test passes by no accident.
type TestCaller struct {
	User   string        `yaml:"user"` // the username
	ID     string        `yaml:"id"`
	Email  string        `yaml:"email"`
	Roles  []string      `yaml:"roles"` // [] is somebody without a role
	Fields []TestField   `yaml:"fields"`
	Client string        `yaml:"client"`      // the address; default 192.0.2.1, which stands for anywhere
	Cert   string        `yaml:"client_cert"` // the subject, or the common name, of the client's certificate
	Age    time.Duration `yaml:"age"`         // since the password was given; default: just now
}

// TestField is a field of the account. A field with several values is there
// several times.
type TestField struct {
	Name   string `yaml:"name"`
	Equals string `yaml:"equals"`
}

// TestResult is what a test came to.
type TestResult struct {
	Test Test
	Got  string // one of the words of Expect
	Why  string // the reason, and the route and the rule that decided
	Pass bool
}

// Request is a request as tests and commands write it.
type Request struct {
	Method string
	Host   string // empty: a host that no route names
	Path   string // raw, for ParsePath
}

// ParseRequest reads METHOD and a target: a path, or a URL with http or https.
// A query is dropped, since no policy sees it. The path is only cut out and not
// checked: that is ParsePath's, and a test may well expect bad_path.
func ParseRequest(text string) (Request, error) {
	method, target, ok := strings.Cut(text, " ")
	if err := checkMethod(method); err != nil {
		return Request{}, err
	}
	if !ok || target == "" {
		return Request{}, fmt.Errorf("request %q has no path; write GET /path or GET https://host/path", text)
	}
	if strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return Request{}, fmt.Errorf("request %q has a space or a control character in its target; write METHOD and target only, a space in a path as %%20", text)
	}
	host, path, err := splitTarget(target)
	if err != nil {
		return Request{}, err
	}
	path, _, _ = strings.Cut(path, "?")
	return Request{Method: method, Host: host, Path: path}, nil
}

// checkMethod says what is wrong with a method, as the compiler does.
func checkMethod(method string) error {
	var c compiler
	c.methods(Pos{}, []string{method})
	if len(c.findings) > 0 {
		return fmt.Errorf("request: %s", c.findings[0].Message)
	}
	return nil
}

// splitTarget parts a URL into host and path. The host of a mere path is empty.
func splitTarget(target string) (host, path string, err error) {
	if target[0] == '/' {
		return "", target, nil
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || strings.ToLower(scheme) != "http" && strings.ToLower(scheme) != "https" {
		return "", "", fmt.Errorf("target %q begins neither with a slash nor with http:// or https://; is /%s meant?", target, target)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, path = rest[:end], rest[end:]
	var buffer [hostMax]byte
	if name, ok := requestHost(&buffer, host); !ok || len(name) == 0 {
		return "", "", fmt.Errorf("target %q has no host that a client could ask", target)
	}
	if path == "" || path[0] != '/' {
		path = "/" + path // RFC 9112 section 3.2.1
	}
	return host, path, nil
}

// expectations lists the words of Test.Expect.
func expectations() []string {
	return []string{"allow", "unauthenticated", "forbidden", "no_route", "method_not_allowed", "bad_path"}
}

// CheckTests reports everything that is wrong with how tests are written, in
// the order of the file. The Config says which roles and fields exist: a test
// as a role that does not would show nothing.
func CheckTests(tests []Test, config Config) []Finding {
	c := &compiler{config: config}
	for i := range tests {
		c.test(&tests[i])
	}
	sortFindings(c.findings)
	return c.findings
}

// test checks one test.
func (c *compiler) test(t *Test) {
	if _, err := ParseRequest(t.Request); err != nil {
		c.fault(t.Pos, "%v", err)
	}
	if !contains(expectations(), t.Expect) {
		c.fault(t.Pos, "expect: unknown word %q%s; it is %s", t.Expect, suggestExpect(t.Expect), strings.Join(expectations(), ", "))
	}
	if t.As == nil {
		return
	}
	if !t.As.loggedIn() && t.As.Client == "" && t.As.Cert == "" {
		c.fault(t.Pos, "`as` is empty; leave it out for nobody, or write { roles: [] } for somebody without a role")
	}
	for _, role := range t.As.Roles {
		c.role(t.Pos, role)
	}
	if t.As.Client != "" {
		if _, err := netip.ParseAddr(t.As.Client); err != nil {
			c.fault(t.Pos, "client %q is no address such as 10.1.2.3 or fd00::1", t.As.Client)
		}
	}
	if t.As.Cert != "" {
		c.clientCert(t.Pos, &ClientCert{t.As.Cert})
	}
	if t.As.Age < 0 {
		c.fault(t.Pos, "age %s: nobody gives a password in the future", t.As.Age)
	}
	c.testFields(t)
}

// testFields checks the fields that a test's caller has.
func (c *compiler) testFields(t *Test) {
	var names []string
	for _, f := range c.config.Fields {
		names = append(names, f.Name)
	}
	for _, f := range t.As.Fields {
		if !contains(names, f.Name) {
			c.fault(t.Pos, "unknown field %q%s; auth.profile.fields has them", f.Name, Suggest(f.Name, names))
		}
	}
}

// suggestExpect is suggest, and knows the other words people have for answers.
func suggestExpect(word string) string {
	meant := ""
	switch strings.ToLower(word) {
	case "200", "ok", "allowed", "pass", "observe":
		meant = "allow"
	case "401", "challenge", "login", "anonymous", "reauthentication_required":
		meant = "unauthenticated"
	case "403", "deny", "denied", "refused":
		meant = "forbidden"
	case "404", "not_found":
		meant = "no_route"
	case "405":
		meant = "method_not_allowed"
	case "400":
		meant = "bad_path"
	default:
		return Suggest(word, expectations())
	}
	return fmt.Sprintf(" (did you mean %q?)", meant)
}

// RunTests asks the table what each test asks. Tests that CheckTests finds
// fault with fail and say why.
//
// What a test expects is what the client gets. So a challenge for a fresher
// password is unauthenticated, as its status 401 says, and a route that only
// observes allows: Why tells that it would have refused. The gateway's own
// endpoints, hosts and credentials are not the policy's and not tested here.
func (t *Table) RunTests(tests []Test) []TestResult {
	results := make([]TestResult, len(tests))
	for i, test := range tests {
		got, why := t.run(test)
		results[i] = TestResult{Test: test, Got: got, Why: why, Pass: got == test.Expect && got != ""}
	}
	return results
}

// run answers one test.
func (t *Table) run(test Test) (got, why string) {
	request, err := ParseRequest(test.Request)
	if err != nil {
		return "", err.Error()
	}
	caller, err := test.As.caller()
	if err != nil {
		return "", err.Error()
	}
	path, err := ParsePath(request.Path)
	if err != nil {
		return string(ReasonBadPath), err.Error()
	}
	m := t.Match(request.Method, request.Host, path)
	if refusal := m.Refusal(); refusal != ReasonNone {
		return string(refusal), t.whyRefused(&m)
	}
	d := m.Decide(caller)
	return answerOf(d), t.whyDecided(&m, d)
}

// answerOf is a decision as the client sees it.
func answerOf(d Decision) string {
	switch d.Effect {
	case Allow:
		return "allow"
	case Challenge:
		return "unauthenticated"
	}
	return "forbidden"
}

// whyRefused explains a refusal that does not depend on who asks.
func (t *Table) whyRefused(m *Match) string {
	switch m.Refusal() {
	case ReasonMethodNotAllowed:
		return "the path has only " + strings.Join(m.Allowed(), ", ")
	case ReasonBadPath:
		return "the path has a character that the route does not admit in path_options"
	}
	return "no route has this path"
}

// whyDecided names the route, the reason and the rule.
func (t *Table) whyDecided(m *Match, d Decision) string {
	why := fmt.Sprintf("route %s: %s", t.routes[m.Route()].info.Label, d.Reason)
	if d.MaxAge > 0 {
		why += fmt.Sprintf(" (at most %s old)", d.MaxAge)
	}
	if place := d.Rule.String(); place != "" {
		why += " at " + place
	}
	if d.Observed {
		why += "; let through because the route only observes"
	}
	return why
}

// nobodys is an id and a name that no path and no rule has: ParsePath refuses
// the control character in every spelling.
const nobodys = "\x00"

// loggedIn reports whether the test names anything of an account.
func (c *TestCaller) loggedIn() bool {
	return c.User != "" || c.ID != "" || c.Email != "" || c.Roles != nil || c.Fields != nil || c.Age != 0
}

// caller makes the caller of a test. Ages are all that a policy knows of time,
// so the hour at which tests run is made up.
func (c *TestCaller) caller() (Caller, error) {
	asks := Caller{Client: netip.AddrFrom4([4]byte{192, 0, 2, 1}), Now: time.Unix(1<<32, 0)}
	if c == nil {
		return asks, nil
	}
	if c.Client != "" {
		addr, err := netip.ParseAddr(c.Client)
		if err != nil {
			return Caller{}, fmt.Errorf("client %q is no address", c.Client)
		}
		asks.Client = addr
	}
	asks.Cert = CertificateOf(c.Cert)
	if !c.loggedIn() {
		return asks, nil
	}
	asks.Subject = Subject{ID: nobodys, Username: nobodys, Email: c.Email, Roles: c.Roles, AuthTime: asks.Now.Add(-c.Age)}
	if c.ID != "" {
		asks.Subject.ID = c.ID
	}
	if c.User != "" {
		asks.Subject.Username = c.User
	}
	asks.Subject.Fields = map[string][]string{}
	for _, f := range c.Fields {
		asks.Subject.Fields[f.Name] = append(asks.Subject.Fields[f.Name], f.Equals)
	}
	return asks, nil
}
