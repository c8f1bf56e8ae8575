package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// implied is what the steps of an explanation come to: every reading must have
// an allowing rule that holds and no denying one, or be of an observing route.
func implied(x Explanation) (allowed bool) {
	type question struct{ route, reading string }
	lets := map[question]bool{}
	denied := map[question]bool{}
	for _, s := range x.Steps {
		q := question{fmt.Sprint(s.Route.Pos, s.Route.Label, s.Route.Methods), s.Reading}
		switch s.Part {
		case "deny":
			denied[q] = denied[q] || s.Hit && !s.Route.Observe
		case "allow":
			lets[q] = lets[q] || s.Hit || s.Route.Observe
		}
	}
	for q, ok := range lets {
		if !ok || denied[q] {
			return false
		}
	}
	return len(lets) > 0
}

// An explanation that tells another story than the gateway acts on is worse
// than none.
func TestExplainAndDecideNeverDisagree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := mixed(t, drawPolicy(t, rapid.SampledFrom([][]string{nil, optionNames()}).Draw(t, "options")))
		table := mustCompile(t, config)
		raw := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(doubtfulWords()), 0, 4).Draw(t, "request"), "/")
		p, _ := ParsePath(raw)
		method := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "DELETE"}).Draw(t, "method")
		host := rapid.SampledFrom([]string{"", "a.b.example", "x.b.example:80", "example", "a..b"}).Draw(t, "host")
		caller := drawAnyCaller(t)
		m := table.Match(method, host, p)
		x := table.Explain(method, host, p, caller)
		if want := m.Decide(caller); x.Decision != want {
			t.Fatalf("%s %s%s: explained as %+v, decided %+v", method, host, raw, x.Decision, want)
		}
		if m.Refusal() == ReasonNone && implied(x) != (x.Decision.Effect == Allow) {
			t.Fatalf("%s %s%s: the steps tell another story than %+v\n%+v", method, host, raw, x.Decision, x.Steps)
		}
		chosen := 0
		for _, s := range x.Steps {
			if s.Why == "" || s.Text == "" {
				t.Fatalf("a step says nothing: %+v", s)
			}
			if s.Part == "route" && s.Hit && s.Route.Label == label(config.Routes[max(m.Route(), 0)].Host, config.Routes[max(m.Route(), 0)].Path) {
				chosen++
			}
		}
		if x.Why == "" || m.Route() >= 0 && chosen == 0 {
			t.Fatalf("%s %s%s: no step names the route, or no word says why: %+v", method, host, raw, x)
		}
	})
}

// mixed spreads the routes over applications with other routers.
func mixed(t *rapid.T, config Config) Config {
	config.Upstreams = append(slices.Clone(config.Upstreams), Upstream{Name: "other", Router: rapid.SampledFrom(routerNames()).Draw(t, "other")})
	for i := range config.Routes {
		config.Routes[i].Upstream = rapid.SampledFrom([]string{"app", "other"}).Draw(t, "upstream")
	}
	if table, _ := Compile(config); table == nil {
		t.Skip("a rule does not load for the other router")
	}
	return config
}

// story prints the steps that a test asks about: a mark, the part, the text.
func story(x Explanation) []string {
	var lines []string
	for _, s := range x.Steps {
		mark := "miss"
		if s.Hit {
			mark = "hit"
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s: %s %s", mark, s.Part, s.Text, s.Why, s.Reading)))
	}
	return append(lines, string(x.Decision.Reason)+": "+x.Why)
}

func TestAnExplanationGoesRouteByRouteAndRuleByRule(t *testing.T) {
	users := Route{Pos: Pos{"g.yaml", 3, 5}, Path: "/users/{id}", PathOptions: []string{"semicolon"},
		Allow: []Rule{{Pos: Pos{"g.yaml", 5, 7}, Role: "admin"}, {Pos: Pos{"g.yaml", 6, 7}, Self: &SelfRule{Name: "{id}"}, Methods: []string{"GET"}}},
		Deny:  []Rule{{Pos: Pos{"g.yaml", 7, 7}, User: "mallory"}}}
	rest := Route{Pos: Pos{"g.yaml", 9, 5}, Path: "/users/**", Allow: []Rule{{Role: "mod"}}}
	named := Route{Pos: Pos{"g.yaml", 12, 5}, Path: "/users/{id}", Host: "*.example.com", Allow: []Rule{{Role: "mod"}}}
	form := withMethods("/form", "GET", "POST")
	form.Pos = Pos{"g.yaml", 15, 5}
	table := mustCompile(t, testConfig("", users, rest, named, form))
	ask := func(method, host, raw, who string) []string {
		p, err := ParsePath(raw)
		if err != nil {
			t.Fatal(err)
		}
		return story(table.Explain(method, host, p, Caller{Subject: callers()[who], Now: noon(), Client: netip.MustParseAddr("192.0.2.7")}))
	}
	for _, test := range []struct {
		method, host, raw, who string
		want                   []string
	}{
		{"GET", "", "/users/42", "alice", []string{
			`miss route *.example.com/users/{id}: the host is "", not *.example.com`,
			"hit route /users/{id}: it answers: host and path match, and no route is more specific",
			"miss route /users/**: line 3 is more specific",
			"miss deny user mallory: the caller is alice, not mallory",
			"miss allow role admin: the caller has the role user, not admin",
			`hit allow self id, methods GET: the method is GET and the path has "42" and the caller's id is "42"`,
			"rule: a rule allows it (g.yaml:6:7)",
		}},
		{"POST", "", "/users/a;b", "nobody", []string{
			`miss route *.example.com/users/{id}: the host is "", not *.example.com`,
			"hit route /users/{id}: it answers: host and path match, and no route is more specific",
			"miss route /users/**: line 3 is more specific",
			"miss deny user mallory: nobody is logged in",
			"miss allow role admin: nobody is logged in",
			"miss allow self id, methods GET: the method is POST",
			"miss deny user mallory: nobody is logged in /users/a",
			"miss allow role admin: nobody is logged in /users/a",
			"miss allow self id, methods GET: the method is POST /users/a",
			"unauthenticated: a login could allow it",
		}},
		{"GET", "", "/USERS/42", "alice", []string{
			`miss route GET, POST /form: segment 1 is "USERS", not "form"`,
			`miss route /users/{id}: segment 1 is "USERS", not "users"`,
			`miss route /users/**: segment 1 is "USERS", not "users"`,
			"no_route: no route has this host and path",
		}},
		{"PUT", "", "/form", "alice", []string{
			"hit route GET, POST /form: host and path are this route's; the method PUT is not: GET, HEAD, POST",
			"method_not_allowed: the path has only GET, HEAD, POST",
		}},
		{"GET", "", "/users/a%2fb", "alice", []string{
			`miss route *.example.com/users/{id}: the host is "", not *.example.com`,
			"hit route /users/{id}: it answers: host and path match, and no route is more specific",
			"miss route /users/**: line 3 is more specific",
			"bad_path: the path has what its route does not admit in path_options: encoded_slash",
		}},
	} {
		got := ask(test.method, test.host, test.raw, test.who)
		got = slices.DeleteFunc(got, func(s string) bool { return strings.Contains(s, "*.example.com") && !slices.Contains(test.want, s) })
		if !slices.Equal(got, test.want) {
			t.Errorf("%s %s%s by %s:\n%s\nwant\n%s", test.method, test.host, test.raw, test.who, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
	}
}

func TestEveryConditionSaysWhyItMissed(t *testing.T) {
	alice := Caller{Subject: callers()["alice"], Now: noon(), Client: netip.MustParseAddr("192.0.2.7")}
	many := alice
	many.Subject = callers()["mod"]
	stale := alice
	stale.Subject = callers()["old"]
	nowhere := alice
	nowhere.Client = netip.Addr{}
	timeless := alice
	timeless.Subject.AuthTime = time.Time{}
	for _, test := range []struct {
		rule   Rule
		caller Caller
		hit    bool
		why    string
	}{
		{Rule{Anyone: true}, Caller{}, true, "everyone may"},
		{Rule{Authenticated: true}, alice, true, "alice is logged in"},
		{Rule{Authenticated: true}, Caller{Subject: Subject{ID: "7"}}, true, "somebody is logged in"},
		{Rule{Authenticated: true}, Caller{}, false, "nobody is logged in"},
		{Rule{Role: "user"}, alice, true, "the caller has the role user"},
		{Rule{Role: "admin"}, Caller{Subject: Subject{ID: "7"}}, false, "the caller has no role, not admin"},
		{Rule{AnyRole: []string{"admin", "mod"}}, alice, false, "the caller has the role user, not one of admin, mod"},
		{Rule{AllRoles: []string{"user", "admin"}}, many, false, "the caller has the roles user and mod, not all of user, admin"},
		{Rule{User: "bob"}, alice, false, "the caller is alice, not bob"},
		{Rule{AnyUser: []string{"bob", "eve"}}, Caller{Subject: Subject{ID: "7"}}, false, "the caller is not known, not one of bob, eve"},
		{Rule{Self: &SelfRule{Name: "id", Is: "username"}}, alice, false, `the path has "42" and the caller's username is "alice"`},
		{Rule{Self: &SelfRule{Name: "id"}}, alice, true, `the path has "42" and the caller's id is "42"`},
		{Rule{Field: &FieldRule{Name: "tenant", Equals: "other"}}, alice, false, "the caller's tenant is acme"},
		{Rule{Field: &FieldRule{Name: "tenant", Equals: "{id}"}}, many, false, `the path has "42" and the caller's tenant is not known`},
		{Rule{Methods: []string{"PUT"}, Role: "user"}, alice, false, "the method is GET"},
		{Rule{CIDR: []string{"10.0.0.0/8"}}, alice, false, "the client's address is 192.0.2.7"},
		{Rule{CIDR: []string{"192.0.2.0/24"}}, alice, true, "the client's address is 192.0.2.7"},
		{Rule{CIDR: []string{"10.0.0.0/8"}}, nowhere, false, "the client's address is not known"},
		{Rule{ClientCert: &ClientCert{"CN=alice,O=x"}}, Caller{Cert: Certificate{Subject: "CN=alice,O=x"}}, true, "the client's certificate is CN=alice,O=x"},
		{Rule{ClientCert: &ClientCert{"alice"}}, Caller{Cert: Certificate{Subject: "CN=bob"}}, false, "the client's certificate is CN=bob"},
		{Rule{ClientCert: &ClientCert{"alice"}}, alice, false, "the client has no certificate"},
		{Rule{ClientCert: &ClientCert{"alice"}, Role: "user"}, Caller{Cert: Certificate{Subject: "CN=alice", Hidden: true}}, false, "the client's certificate is not known: the connection is a proxy's, or the subject cannot be read"},
		{Rule{MaxAge: time.Hour}, stale, false, "the password was given 1d ago"},
		{Rule{MaxAge: time.Hour}, timeless, false, "it is not known when the password was given"},
		{Rule{MaxAge: time.Hour, Role: "user"}, alice, true, "the caller has the role user and the password was given 30s ago"},
	} {
		table := mustCompile(t, testConfig("", ruled(test.rule)))
		p, _ := ParsePath("/t/42")
		x := table.Explain("GET", "", p, test.caller)
		last := x.Steps[len(x.Steps)-1]
		if last.Hit != test.hit || last.Why != test.why || last.Text != test.rule.String() {
			t.Errorf("%s: %+v, want %v %q", test.rule, last, test.hit, test.why)
		}
	}
}

func TestAValueThatOneReadingChangesIsSaidToBeUnclear(t *testing.T) {
	r := ruled(Rule{Self: &SelfRule{Name: "id"}})
	r.PathOptions = []string{"semicolon"}
	p, _ := ParsePath("/t/42;x")
	x := mustCompile(t, testConfig("", r)).Explain("GET", "", p, Caller{Subject: callers()["alice"], Now: noon()})
	if !slices.Equal(x.Readings, []string{"/t/42;x", "/t/42"}) || x.Decision.Effect != Deny {
		t.Errorf("%q: %+v", x.Readings, x.Decision)
	}
	if last := x.Steps[len(x.Steps)-1]; !strings.Contains(last.Why, "another value") || last.Reading != "/t/42" {
		t.Errorf("%+v", last)
	}
}

func TestAnExplanationNamesTheMethodsThatAPostMayBe(t *testing.T) {
	config := testConfig("", Route{Path: "/t/{id}", Allow: []Rule{{Role: "user", Methods: []string{"GET", "POST", "PUT", "PATCH"}}}})
	config.Upstreams[0].MethodOverride = true
	table, _ := Compile(config)
	p, _ := ParsePath("/t/1")
	x := table.Explain("POST", "", p, Caller{Subject: callers()["alice"], Now: noon()})
	if last := x.Steps[len(x.Steps)-1]; last.Reading != "DELETE /t/1" || last.Hit || x.Decision.Reason != ReasonReading {
		t.Errorf("%+v, %+v", x.Decision, last)
	}
}

func TestAnExplanationOfAThousandRoutesIsShort(t *testing.T) {
	var routes []Route
	for i := range 1000 {
		routes = append(routes, anyoneAt(fmt.Sprintf("/api/r%d", i)))
	}
	routes = append(routes, anyoneAt("/api/near/a/b"), anyoneAt("/api/near/x"))
	p, _ := ParsePath("/api/near/a/c")
	x := mustCompile(t, testConfig("", routes...)).Explain("GET", "", p, Caller{})
	if len(x.Steps) != nearMisses {
		t.Fatalf("%d steps", len(x.Steps))
	}
	near := slices.IndexFunc(x.Steps, func(s Step) bool { return s.Route.Label == "/api/near/a/b" })
	if near < 0 || x.Steps[near].Why != `segment 4 is "c", not "b"` {
		t.Errorf("the nearest route is not told of: %+v", x.Steps)
	}
}

func TestRulesReadAsPeopleWriteThem(t *testing.T) {
	for _, test := range []struct {
		rule Rule
		want string
	}{
		{Rule{}, ""}, {Rule{Anyone: true}, "anyone"}, {Rule{Authenticated: true}, "authenticated"}, {Rule{Authenticated: true, MaxAge: time.Minute}, "max_age 1m"},
		{Rule{Role: "admin", Methods: []string{"GET"}}, "role admin, methods GET"},
		{Rule{AnyRole: []string{"a", "b"}, CIDR: []string{"10.0.0.0/8", "fd00::/8"}}, "any_role [a, b], cidr [10.0.0.0/8, fd00::/8]"},
		{Rule{AllRoles: []string{"a", "b"}, User: "u", AnyUser: []string{"v"}}, "all_roles [a, b], user u, any_user v"},
		{Rule{Self: &SelfRule{Name: "{id}", Is: "id"}}, "self id"}, {Rule{Self: &SelfRule{Name: "id", Is: "email"}}, "self id is email"},
		{Rule{Field: &FieldRule{Name: "tenant", Equals: "{t}"}, MaxAge: 7 * 24 * time.Hour}, "field tenant is {t}, max_age 7d"},
		{Rule{MaxAge: 90 * time.Minute}, "max_age 1h30m"}, {Rule{MaxAge: 36 * time.Hour}, "max_age 36h"}, {Rule{MaxAge: time.Second}, "max_age 1s"}, {Rule{MaxAge: 10 * time.Hour}, "max_age 10h"},
	} {
		if got := test.rule.String(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestRoutesAreOrderedByPrecedence(t *testing.T) {
	at := func(host, path string) Route { r := anyoneAt(path); r.Host = host; return r }
	want := []Route{
		at("a.b.example", "/**"), at("*.b.example", "/a"), at("*.example", "/a"),
		at("", "/a/b"), at("", "/a/{id}/x"), at("", "/a/{id}"), at("", "/a/*/**"), at("", "/a"), at("", "/a/"), at("", "/a/**"), at("", "/{x}"), at("", "/"), at("", "/**"),
	}
	shuffled := slices.Clone(want)
	slices.Reverse(shuffled)
	table := mustCompile(t, testConfig("", shuffled...))
	for i, index := range table.Order() {
		if got := shuffled[index]; got.Host != want[i].Host || got.Path != want[i].Path {
			t.Errorf("place %d is %s%s, want %s%s", i, got.Host, got.Path, want[i].Host, want[i].Path)
		}
	}
}
