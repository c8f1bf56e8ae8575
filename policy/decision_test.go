package policy

import (
	"bufio"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// callers are the people of testdata/decisions.txt.
func callers() map[string]Subject {
	just, yesterday := noon().Add(-30*time.Second), noon().Add(-24*time.Hour)
	tenant := map[string][]string{"tenant": {"acme"}, "team": {"red", "blue"}}
	return map[string]Subject{
		"nobody": {},
		"alice":  {ID: "42", Username: "alice", Email: "alice@example.com", Roles: []string{"user"}, Fields: tenant, AuthTime: just},
		"old":    {ID: "42", Username: "alice", Roles: []string{"user"}, AuthTime: yesterday},
		"bob":    {ID: "43", Username: "bob", Roles: []string{"user"}, AuthTime: just},
		"mod":    {ID: "44", Username: "mod", Roles: []string{"user", "mod"}, AuthTime: just},
		// Somebody called so that a second decoding would make another of them.
		"percent": {ID: "42%", Username: "percent", Roles: []string{"user"}, Fields: map[string][]string{"tenant": {"100%"}}, AuthTime: just},
		"root":    {ID: "1", Username: "root", Roles: []string{"admin"}, AuthTime: just},
	}
}

// asked is one line of testdata/decisions.txt: METHOD HOST/PATH WHO[@ADDRESS][#SUBJECT] -> EXPECT.
func asked(t *testing.T, table *Table, line string) (got, want string) {
	t.Helper()
	request, want, ok := strings.Cut(line, " -> ")
	words := strings.Fields(request)
	if !ok || len(words) != 3 {
		t.Fatalf("not a question: %q", line)
	}
	host, path, _ := strings.Cut(words[1], "/")
	who, cert, _ := strings.Cut(words[2], "#")
	who, from, _ := strings.Cut(who, "@")
	subject, known := callers()[who]
	if !known {
		t.Fatalf("nobody is called %s: %q", who, line)
	}
	caller := Caller{Subject: subject, Client: netip.MustParseAddr("192.0.2.7"), Now: noon()}
	caller.Cert = Certificate{Subject: cert, Hidden: cert == "hidden"}
	if from != "" {
		caller.Client, _ = netip.ParseAddr(from)
	}
	p, err := ParsePath("/" + path)
	if err != nil {
		return string(ReasonBadPath), want
	}
	m := table.Match(words[0], host, p)
	d := m.Decide(caller)
	switch {
	case m.Refusal() != ReasonNone:
		return string(m.Refusal()), want
	case d.Observed:
		return "observed", want
	case d.Effect == Allow:
		return "allow", want
	case d.Reason == ReasonReauthenticationRequired:
		return "reauthenticate", want
	case d.Effect == Challenge:
		return string(d.Reason), want
	}
	return "forbidden", want
}

// compact reads a route in the short form of the table:
// route PATH key=value ..., rules parted by |, conditions by +.
func compact(t *testing.T, line string) Route {
	t.Helper()
	words := strings.Fields(line)
	r := Route{Path: words[1]}
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "host":
			r.Host = value
		case "methods":
			r.Methods = strings.Split(value, ",")
		case "mode":
			r.Mode = value
		case "options":
			r.PathOptions = strings.Split(value, ",")
		case "allow":
			r.Allow = compactRules(t, value)
		case "deny":
			r.Deny = compactRules(t, value)
		default:
			t.Fatalf("unknown word %q in %q", word, line)
		}
	}
	return r
}

func compactRules(t *testing.T, text string) (rules []Rule) {
	t.Helper()
	for alternative := range strings.SplitSeq(text, "|") {
		var r Rule
		for condition := range strings.SplitSeq(alternative, "+") {
			name, value, _ := strings.Cut(condition, ":")
			compactCondition(t, &r, name, value)
		}
		rules = append(rules, r)
	}
	return rules
}

func compactCondition(t *testing.T, r *Rule, name, value string) {
	t.Helper()
	left, right, _ := strings.Cut(value, "=")
	switch name {
	case "anyone", "authenticated":
		if err := r.UnmarshalText([]byte(name)); err != nil {
			t.Fatal(err)
		}
	case "role":
		r.Role = value
	case "any_role":
		r.AnyRole = strings.Split(value, ",")
	case "all_roles":
		r.AllRoles = strings.Split(value, ",")
	case "user":
		r.User = value
	case "any_user":
		r.AnyUser = strings.Split(value, ",")
	case "self":
		r.Self = &SelfRule{Name: left, Is: right}
	case "field":
		r.Field = &FieldRule{Name: left, Equals: right}
	case "methods":
		r.Methods = strings.Split(value, ",")
	case "cidr":
		r.CIDR = strings.Split(value, ",")
	case "client_cert":
		r.ClientCert = &ClientCert{value}
	case "max_age":
		age, err := time.ParseDuration(value)
		if err != nil {
			t.Fatal(err)
		}
		r.MaxAge = age
	default:
		t.Fatalf("unknown condition %q", name)
	}
}

// testConfig is a policy with the names that the tests use.
func testConfig(router string, routes ...Route) Config {
	return Config{
		Routes:    routes,
		Roles:     []string{"user", "mod", "admin"},
		Upstreams: []Upstream{{Name: "app", Router: router}},
		Fields:    []Field{{Name: "tenant"}, {Name: "team"}, {Name: "phone", Editable: true}},
	}
}

// failer is what mustCompile needs of a test, of rapid's too.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// mustCompile fails the test for errors; warnings are other tests' business.
func mustCompile(t failer, config Config) *Table {
	t.Helper()
	table, findings := Compile(config)
	if table == nil {
		t.Fatalf("the policy does not compile: %v", findings)
	}
	return table
}

func TestDecisions(t *testing.T) {
	file, err := os.Open("testdata/decisions.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var config Config
	var table *Table
	asks, number := 0, 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		number++
		line := lines.Text()
		switch {
		case line == "":
		case line[0] == '#':
			config, table = testConfig("any"), nil
		case strings.HasPrefix(line, "router "):
			config.Upstreams[0].Router = strings.TrimPrefix(line, "router ")
		case strings.HasPrefix(line, "route "):
			config.Routes = append(config.Routes, compact(t, line))
		default:
			if table == nil {
				table = mustCompile(t, config)
			}
			asks++
			if got, want := asked(t, table, line); got != want {
				t.Errorf("decisions.txt:%d: %s: got %s", number, line, got)
			}
		}
	}
	if asks < 200 {
		t.Errorf("only %d decisions were read", asks)
	}
}
