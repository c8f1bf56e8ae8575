package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// route is a valid route, for tests that then spoil it.
func anyoneAt(path string) Route { return Route{Path: path, Allow: []Rule{{Anyone: true}}} }

func ruled(r Rule) Route { return Route{Path: "/t/{id}", Allow: []Rule{r}} }

func TestFaultsSayWhatToDo(t *testing.T) {
	with := func(change func(*Route)) Route {
		r := anyoneAt("/a")
		change(&r)
		return r
	}
	for _, test := range []struct {
		name, says string
		route      Route
	}{
		{"CF-09 traversal", "dot segment", anyoneAt("/a/../b")},
		{"CF-09 missing slash", "begins with a slash", anyoneAt("public/**")},
		{"unknown role", `unknown role "admn" (did you mean "admin"?)`, ruled(Rule{Role: "admn"})},
		{"unknown role in a list", `unknown role "x"`, ruled(Rule{AllRoles: []string{"user", "x"}})},
		{"no allow", "allows nobody", Route{Path: "/a"}},
		{"empty allow", "allows nobody", Route{Path: "/a", Allow: []Rule{}}},
		{"empty deny", "`deny` is empty", with(func(r *Route) { r.Deny = []Rule{} })},
		{"empty rule", "without any condition", ruled(Rule{})},
		{"empty list of roles", "`any_role` is empty", ruled(Rule{AnyRole: []string{}})},
		{"empty list of users", "`any_user` is empty", ruled(Rule{AnyUser: []string{}})},
		{"empty list of methods", "`methods` is empty", ruled(Rule{Role: "user", Methods: []string{}})},
		{"empty list of networks", "`cidr` is empty", ruled(Rule{CIDR: []string{}})},
		{"anyone with more", "stands alone", ruled(Rule{Anyone: true, Role: "user"})},
		{"lower-case method", "write GET", with(func(r *Route) { r.Methods = []string{"get"} })},
		{"no method", "is no method", with(func(r *Route) { r.Methods = []string{"G T"} })},
		{"method twice", "twice", with(func(r *Route) { r.Methods = []string{"GET", "GET"} })},
		{"TRACE", "never reaches", with(func(r *Route) { r.Methods = []string{"TRACE"} })},
		{"unknown upstream", `unknown upstream "ap" (did you mean "app"?)`, with(func(r *Route) { r.Upstream = "ap" })},
		{"unknown option", `did you mean "encoded_slash"?`, with(func(r *Route) { r.PathOptions = []string{"encoded_slsh"} })},
		{"unknown mode", `did you mean "observe"?`, with(func(r *Route) { r.Mode = "observ" })},
		{"host with a port", "without scheme and port", with(func(r *Route) { r.Host = "a.example:80" })},
		{"undeclared self", `has no {ids} (did you mean "id"?)`, ruled(Rule{Self: &SelfRule{Name: "ids"}})},
		{"empty self", "has no {}", ruled(Rule{Self: &SelfRule{}})},
		{"self of what", `did you mean "email"?`, ruled(Rule{Self: &SelfRule{Name: "id", Is: "emil"}})},
		{"self behind what Windows takes for nothing", `"..." for no segment`, Route{Path: "/.../{id}/**", Allow: []Rule{{Self: &SelfRule{Name: "id"}}}}},
		{"a field behind it", `"::" for no segment`, Route{Path: "/a/::/{id}", Allow: []Rule{{Field: &FieldRule{Name: "tenant", Equals: "{id}"}}}}},
		{"a denial behind it", `"..." for no segment`, Route{Path: "/.../{id}", Allow: []Rule{{Anyone: true}}, Deny: []Rule{{Self: &SelfRule{Name: "id"}}}}},
		{"undeclared field value", "has no {x}", ruled(Rule{Field: &FieldRule{Name: "tenant", Equals: "{x}"}})},
		{"half a field value", "nothing beside it", ruled(Rule{Field: &FieldRule{Name: "tenant", Equals: "a{id}"}})},
		{"empty field value", "`equals` is empty", ruled(Rule{Field: &FieldRule{Name: "tenant"}})},
		{"unknown field", `did you mean "tenant"?`, ruled(Rule{Field: &FieldRule{Name: "tenat", Equals: "x"}})},
		{"editable field", "edited by its owner", ruled(Rule{Field: &FieldRule{Name: "phone", Equals: "x"}})},
		{"bad cidr", "is no network", ruled(Rule{CIDR: []string{"10.0.0/8"}})},
		{"cidr with host bits", "is 10.0.0.0/8 meant", ruled(Rule{CIDR: []string{"10.1.2.3/8"}})},
		{"negative max_age", "in the future", ruled(Rule{MaxAge: -time.Minute})},
		{"mfa", "comes with a later version of Postern; leave it out, or demand something else beside the login: a password given lately (`max_age: 10m`)", ruled(Rule{Role: "user", MFA: true})},
		{"a certificate without a subject", "`subject` is empty", ruled(Rule{ClientCert: &ClientCert{}})},
		{"a subject as openssl shows it", "-nameopt RFC2253", ruled(Rule{ClientCert: &ClientCert{Subject: "O = Example, CN = alice"}})},
		{"a subject with slashes", "-nameopt RFC2253", ruled(Rule{ClientCert: &ClientCert{Subject: "/O=Example/CN=alice"}})},
		{"a subject with a space before it", "spaces around it", ruled(Rule{ClientCert: &ClientCert{Subject: " CN=alice"}})},
		{"anyone with a certificate", "stands alone", ruled(Rule{Anyone: true, ClientCert: &ClientCert{Subject: "alice"}})},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.route.Pos = Pos{"gateway.yaml", 7, 5}
			table, findings := Compile(testConfig("", test.route))
			if table != nil || len(findings) != 1 || !strings.Contains(findings[0].String(), test.says) || !strings.HasPrefix(findings[0].String(), "gateway.yaml:7:5: ") {
				t.Errorf("findings %q, want one with %q", findings, test.says)
			}
		})
	}
}

func TestAllFaultsComeAtOnceInTheOrderOfTheFile(t *testing.T) {
	config := testConfig("tomcta",
		Route{Pos: Pos{"f", 9, 1}, Path: "/b", Allow: []Rule{{Pos: Pos{"f", 10, 3}, Role: "x"}, {Pos: Pos{"f", 11, 3}, Role: "y"}}},
		Route{Pos: Pos{"f", 3, 1}, Path: "a", Allow: []Rule{{Anyone: true}}})
	_, findings := Compile(config)
	var lines []int
	for _, f := range findings {
		lines = append(lines, f.Pos.Line)
	}
	if len(lines) != 4 || lines[0] != 0 || lines[1] != 3 || lines[2] != 10 || lines[3] != 11 {
		t.Errorf("findings at lines %v: %v", lines, findings)
	}
}

func TestTwoRoutesForOneRequestAreRefusedWithBothLines(t *testing.T) {
	at := func(line int, path string, methods ...string) Route {
		r := anyoneAt(path)
		r.Pos, r.Methods = Pos{"f", line, 1}, methods
		if len(methods) == 0 {
			r.Methods = nil
		}
		return r
	}
	for _, test := range []struct {
		a, b Route
		says string
	}{
		{at(3, "/x/{a}"), at(8, "/x/*"), "line 3 and line 8 are routes for the same"},
		{at(3, "/x", "GET", "PUT"), at(8, "/x", "PUT"), "both routes for PUT"},
		{at(3, "/x", "GET"), at(8, "/x"), "`methods` on its rules"},
		{at(3, "/caf%C3%A9"), at(8, "/café"), "line 3 and line 8"},
	} {
		if table, findings := Compile(testConfig("", test.a, test.b)); table != nil || len(findings) != 1 || !strings.Contains(findings[0].Message, test.says) {
			t.Errorf("%s and %s: %v, want %q", test.a.Path, test.b.Path, findings, test.says)
		}
	}
}

func TestWhatLooksWrongIsWarnedOf(t *testing.T) {
	role := func(path, host, role string) Route {
		return Route{Path: path, Host: host, Allow: []Rule{{Role: role}}}
	}
	for _, test := range []struct {
		name, says string
		routes     []Route
	}{
		{"a rule after anyone", "never needed", []Route{{Path: "/a", Allow: []Rule{{Anyone: true}, {Role: "user"}}}}},
		{"a role after authenticated", "never needed", []Route{{Path: "/a", Allow: []Rule{{Authenticated: true}, {Role: "user"}}}}},
		{"the same rule twice", "never needed", []Route{{Path: "/a", Allow: []Rule{{Role: "user"}, {Role: "user"}}}}},
		{"only methods", "lets everyone in for GET", []Route{{Path: "/a", Allow: []Rule{{Methods: []string{"GET"}}}}}},
		{"a hole", "lies inside /app/**", []Route{role("/app/**", "", "user"), anyoneAt("/app/login")}},
		{"a host that hides", "hides the stricter route /admin/**", []Route{role("/**", "a.example", "user"), role("/admin/**", "", "admin")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			table, findings := Compile(testConfig("", test.routes...))
			if table == nil || len(findings) != 1 || !findings[0].Warning || !strings.Contains(findings[0].Message, test.says) {
				t.Errorf("findings %v, want one warning with %q", findings, test.says)
			}
		})
	}
	for _, quiet := range [][]Route{
		{role("/**", "", "user"), anyoneAt("/public/**")},
		{role("/**", "a.example", "user"), role("/admin/**", "", "admin"), role("/admin/**", "a.example", "admin")},
		{role("/**", "[::0:1]", "user"), role("/admin/**", "", "admin"), role("/admin/**", "[::1]", "admin")},
		{role("/**", "a.example", "user"), anyoneAt("/health")},
	} {
		if _, findings := Compile(testConfig("", quiet...)); len(findings) != 0 {
			t.Errorf("warned of %v", findings)
		}
	}
}

func TestSeveralUpstreamsMustBeNamed(t *testing.T) {
	config := testConfig("", anyoneAt("/a"))
	config.Upstreams = append(config.Upstreams, Upstream{Name: "other"})
	if table, findings := Compile(config); table != nil || len(findings) != 1 || !strings.Contains(findings[0].Message, "names no upstream") {
		t.Errorf("findings %v", findings)
	}
}

func TestAPostMayBeEveryMethodThatAnApplicationReadsInIt(t *testing.T) {
	admin := Route{Path: "/a", Allow: []Rule{{Role: "user", Methods: []string{"GET", "POST", "PUT", "PATCH"}}, {Role: "admin"}}}
	named := Route{Path: "/b", Methods: []string{"GET", "POST"}, Allow: []Rule{{Role: "user"}}}
	config := testConfig("", admin, named)
	config.Upstreams[0].MethodOverride = true
	table, findings := Compile(config)
	if table == nil || len(findings) != 1 || !findings[0].Warning || !strings.Contains(findings[0].Message, "_method") {
		t.Fatalf("findings %v", findings)
	}
	for line, want := range map[string]string{
		"POST /a alice -> x": "forbidden", "PUT /a alice -> x": "allow", "POST /a root -> x": "allow",
		"POST /b alice -> x": "method_not_allowed", "GET /b alice -> x": "allow",
	} {
		if got, _ := asked(t, table, line); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

func TestTheZeroValuesRefuse(t *testing.T) {
	var table Table
	var m Match
	p, _ := ParsePath("/")
	asked := table.Match("GET", "", p)
	if asked.Refusal() != ReasonNoRoute || m.Refusal() == ReasonNone || m.Decide(Caller{}).Effect != Deny || m.Route() != -1 || m.OpenToAnyone() {
		t.Error("a zero value lets something through")
	}
	full := mustCompile(t, testConfig("", anyoneAt("/**")))
	if m := full.Match("GET", "", Path{}); m.Refusal() != ReasonBadPath {
		t.Errorf("the zero path: %q", m.Refusal())
	}
}

func TestAMethodThatIsNotNamedIsAnsweredWithThoseThatAre(t *testing.T) {
	r := anyoneAt("/a")
	r.Methods = []string{"PUT", "GET"}
	p, _ := ParsePath("/a")
	m := mustCompile(t, testConfig("", r)).Match("DELETE", "", p)
	if got := strings.Join(m.Allowed(), ","); m.Refusal() != ReasonMethodNotAllowed || got != "GET,HEAD,PUT" || m.Route() != 0 {
		t.Errorf("%q, Allow %q, route %d", m.Refusal(), got, m.Route())
	}
}

func TestOpenToAnyoneIsSaidOfRulesThatNeedNoIdentity(t *testing.T) {
	table := mustCompile(t, testConfig("", anyoneAt("/a"), Route{Path: "/n", Allow: []Rule{{CIDR: []string{"10.0.0.0/8"}}}},
		Route{Path: "/r", Allow: []Rule{{Role: "user"}}}, Route{Path: "/A2", Allow: []Rule{{Role: "user"}}}, anyoneAt("/a2")))
	for path, want := range map[string]bool{"/a": true, "/n": true, "/r": false, "/none": false, "/a2": false} {
		p, _ := ParsePath(path)
		if m := table.Match("GET", "", p); m.OpenToAnyone() != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
}

func TestRoutesAreListedAsTheyStandInTheFile(t *testing.T) {
	r := anyoneAt("/a/{id}")
	r.Host, r.Pos = "APP.example", Pos{"f", 4, 5}
	list := mustCompile(t, testConfig("", anyoneAt("/**"), r)).Routes()
	if len(list) != 2 || list[0].Label != "/**" || list[1].Label != "app.example/a/{id}" || list[1].Pos.Line != 4 || list[1].Upstream != "app" {
		t.Errorf("%+v", list)
	}
}

func TestDecidingAnOrdinaryPathDoesNotAllocate(t *testing.T) {
	table, paths := benchTable(t, 100, "any")
	caller := Caller{Subject: callers()["alice"], Now: noon()}
	for _, raw := range append(paths[:4], "/SERVICE1/v0/users/42", "/service1/v1/users/%34%32", "/service1/v1/users/") {
		if n := testing.AllocsPerRun(50, func() {
			p, _ := ParsePath(raw)
			m := table.Match("GET", "App.example.com:80", p)
			m.Decide(caller)
		}); n != 0 {
			t.Errorf("%s: %v allocations", raw, n)
		}
	}
}

func TestAllRoutesThatTheApplicationMayTakeARequestForAreKnown(t *testing.T) {
	anyone := []Rule{{Anyone: true}}
	table, findings := Compile(Config{Upstreams: []Upstream{{Name: "app", MethodOverride: true}}, Routes: []Route{
		{Path: "/**", Allow: anyone}, {Path: "/login", Methods: []string{"GET"}, Allow: anyone},
		{Path: "/login", Methods: []string{"POST", "PUT", "PATCH"}, Allow: anyone}, {Path: "/login", Methods: []string{"DELETE"}, Allow: anyone}}})
	if table == nil {
		t.Fatal(findings)
	}
	for request, want := range map[string]string{
		"GET /x": "[0]", "GET /login": "[1]", "HEAD /login": "[1]", "GET /LOGIN": "[0 1]", "GET /login/": "[0 1]",
		"POST /login": "[2 3]", "POST /Login": "[0 2 3]", "GET /x/../y": "[]",
	} {
		method, path, _ := strings.Cut(request, " ")
		p, _ := ParsePath(path)
		m := table.Match(method, "", p)
		got := []int{}
		for i := range m.Routes {
			got = append(got, i)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: routes %v, want %s", request, got, want)
		}
	}
	for range (&Match{}).Routes {
		t.Error("no request has a route")
	}
}

// Elsewhere a name of dots is a name, and before it a value is where the pattern
// has it.
func TestANameOfDotsIsFineWhereItMovesNoValue(t *testing.T) {
	self := []Rule{{Self: &SelfRule{Name: "id"}}}
	for _, test := range []struct{ router, path string }{{"exact", "/.../{id}"}, {"express", "/.../{id}"}, {"iis", "/{id}/..."}, {"any", "/a./{id}"}} {
		if table, findings := Compile(testConfig(test.router, Route{Path: test.path, Allow: self})); table == nil {
			t.Errorf("router %s: %s: %v", test.router, test.path, findings)
		}
	}
}
