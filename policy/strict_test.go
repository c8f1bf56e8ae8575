package policy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawn is a policy with every kind of rule, and a request with doubts.
type drawn struct {
	config            Config
	method, host, raw string
	caller            Caller
}

func drawAsked(t *rapid.T, options []string) drawn {
	words := rapid.SliceOfN(rapid.SampledFrom(doubtfulWords()), 0, 4)
	return drawn{
		config: drawPolicy(t, options),
		method: rapid.SampledFrom([]string{"GET", "HEAD", "POST", "DELETE"}).Draw(t, "method"),
		host:   rapid.SampledFrom([]string{"", "a.b.example", "x.b.example", "example"}).Draw(t, "host"),
		raw:    "/" + strings.Join(words.Draw(t, "request"), "/"),
		caller: drawAnyCaller(t),
	}
}

// under is the outcome for the policy with another router.
func (d drawn) under(t *rapid.T, router string) int {
	config := d.config
	config.Upstreams = []Upstream{{Name: "app", Router: router}}
	table, _ := Compile(config)
	if table == nil {
		t.Skip("a rule does not load for the router")
	}
	return outcome(table, d.method, d.host, d.raw, d.caller)
}

// The default router must be safe before every application: what it allows,
// each named one allows.
func TestAnyIsNeverFreerThanANamedRouter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawAsked(t, optionNames())
		if d.under(t, "any") != outAllow {
			return
		}
		for _, router := range routerNames() {
			if got := d.under(t, router); got != outAllow {
				t.Fatalf("%s %s%s is allowed under any, and %d under %s\n%s", d.method, d.host, d.raw, got, router, printRoutes(d.config))
			}
		}
	})
}

// A doubtful character may only take away: whoever may ask for the path with
// it may ask for each path that a program could make of it.
func TestADoubtNeverMakesADecisionFreer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawAsked(t, optionNames())
		table := mustCompile(t, d.config)
		if outcome(table, d.method, d.host, d.raw, d.caller) != outAllow {
			return
		}
		for _, reading := range restate(d.raw) {
			if got := outcome(table, d.method, d.host, reading, d.caller); got != outAllow {
				t.Fatalf("%s %s%s is allowed, and its reading %s is not: %d\n%s", d.method, d.host, d.raw, reading, got, printRoutes(d.config))
			}
		}
	})
}

// An option admits a character and changes nothing for paths without it.
func TestPathOptionsChangeNothingForPlainPaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawAsked(t, nil)
		without := outcome(mustCompile(t, d.config), d.method, d.host, d.raw, d.caller)
		for i := range d.config.Routes {
			d.config.Routes[i].PathOptions = optionNames()
		}
		with := outcome(mustCompile(t, d.config), d.method, d.host, d.raw, d.caller)
		if p, err := ParsePath(d.raw); err == nil && p.Plain() && with != without {
			t.Fatalf("%s %s%s: %d without options, %d with them", d.method, d.host, d.raw, without, with)
		}
	})
}

// Each route is read by its own application: what a policy over two routers
// allows, the router of the route that answers allows by itself.
func TestMixedRoutersAreEachAsStrictAsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawAsked(t, optionNames())
		both := d
		both.config = mixed(t, d.config)
		both.config.Routes = slices.Clone(both.config.Routes)
		for i := range both.config.Upstreams {
			both.config.Upstreams[i].MethodOverride = false
		}
		table := mustCompile(t, both.config)
		if outcome(table, d.method, d.host, d.raw, d.caller) != outAllow {
			return
		}
		p, _ := ParsePath(d.raw)
		m := table.Match(d.method, d.host, p)
		for _, u := range both.config.Upstreams {
			if u.Name != both.config.Routes[m.Route()].Upstream {
				continue
			}
			alone := d
			alone.config.Routes = slices.Clone(both.config.Routes)
			for i := range alone.config.Routes {
				alone.config.Routes[i].Upstream = ""
			}
			if got := alone.under(t, u.Router); got != outAllow {
				t.Fatalf("%s %s%s is allowed by route %d, and under %s alone %d\n%s", d.method, d.host, d.raw, m.Route(), u.Router, got, printRoutes(both.config))
			}
		}
	})
}

// An application that heeds _method may take a POST for more, never for less.
func TestMethodOverrideNeverMakesADecisionFreer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawAsked(t, nil)
		outcomes := map[bool]int{}
		for _, override := range []bool{false, true} {
			d.config.Upstreams[0].MethodOverride = override
			outcomes[override] = outcome(mustCompile(t, d.config), d.method, d.host, d.raw, d.caller)
		}
		if outcomes[true] > outcomes[false] || d.method != "POST" && outcomes[true] != outcomes[false] {
			t.Fatalf("%s %s%s: %d becomes %d", d.method, d.host, d.raw, outcomes[false], outcomes[true])
		}
	})
}

// Observing changes what is done with a refusal, not what is refused: never a
// bad path, a method or a missing route, and never another route's word.
func TestObservingLetsThroughOnlyWhatItsOwnRulesRefuse(t *testing.T) {
	admin := []Rule{{Role: "admin"}}
	observed := Route{Path: "/**", Mode: "observe", Allow: admin}
	posts := Route{Path: "/posts", Mode: "observe", Methods: []string{"GET"}, Allow: admin}
	table := mustCompile(t, testConfig("any", observed, posts, Route{Path: "/admin/**", Allow: admin}))
	for line, want := range map[string]string{
		"GET /x nobody -> ": "observed", "GET /x root -> ": "allow", "GET /x alice -> ": "observed",
		"GET /admin/x nobody -> ": "unauthenticated", "GET /ADMIN/x nobody -> ": "unauthenticated", "GET /admin./x alice -> ": "forbidden",
		"GET /posts nobody -> ": "observed", "PUT /posts nobody -> ": "method_not_allowed", "GET /x;y nobody -> ": "bad_path", "GET /x//y root -> ": "bad_path",
	} {
		if got, _ := asked(t, table, line); got != want {
			t.Errorf("%s%s, want %s", line, got, want)
		}
	}
	inner := mustCompile(t, testConfig("any", Route{Path: "/**", Allow: admin}, Route{Path: "/admin/**", Mode: "observe", Allow: admin}))
	for line, want := range map[string]string{"GET /admin/x nobody -> ": "observed", "GET /ADMIN/x nobody -> ": "unauthenticated", "GET /x nobody -> ": "unauthenticated"} {
		if got, _ := asked(t, inner, line); got != want {
			t.Errorf("%s%s, want %s", line, got, want)
		}
	}
}

func TestLongPathsWithDoubtsAreRefused(t *testing.T) {
	r := anyoneAt("/**")
	r.PathOptions = optionNames()
	table := mustCompile(t, testConfig("", r))
	for _, test := range []struct {
		raw  string
		want Reason
	}{
		{"/a;b/" + strings.Repeat("x", doubtfulMax-5), ReasonNone},
		{"/a;b/" + strings.Repeat("x", doubtfulMax-4), ReasonBadPath},
		{"/ab/" + strings.Repeat("x", 9000), ReasonNone},
		{"/" + strings.Repeat("%25", 60) + "41", ReasonNone},
		{"/%" + strings.Repeat("25", 80) + "41", ReasonBadPath}, // a reading for each 25
	} {
		p, err := ParsePath(test.raw)
		if err != nil {
			t.Fatal(err)
		}
		if m := table.Match("GET", "", p); m.Refusal() != test.want {
			t.Errorf("%.20s... of %d bytes: %q, want %q", test.raw, len(test.raw), m.Refusal(), test.want)
		}
	}
}

// The reader of the configuration refuses these with better words; a Config
// made by a program must not be wider for it.
func TestNoEmptyConditionCompiles(t *testing.T) {
	for _, r := range []Rule{
		{}, {Role: " "}, {AnyRole: []string{}}, {AnyRole: []string{""}}, {AllRoles: []string{}}, {AllRoles: []string{"user", ""}},
		{AnyUser: []string{}}, {AnyUser: []string{"alice", ""}}, {User: " "}, {User: "alice "}, {User: "a\x00"}, {AnyUser: []string{" alice"}},
		{Self: &SelfRule{}}, {Self: &SelfRule{Name: "{}"}}, {Field: &FieldRule{}}, {Field: &FieldRule{Name: "tenant"}},
		{Field: &FieldRule{Name: "tenant", Equals: "{}"}}, {Field: &FieldRule{Equals: "x"}},
		{Methods: []string{}}, {Methods: []string{""}}, {CIDR: []string{}}, {CIDR: []string{""}}, {MaxAge: -1}, {ClientCert: &ClientCert{}},
		{Role: "user", Methods: []string{}}, {Role: "user", CIDR: []string{}}, {Authenticated: true, AnyRole: []string{}},
	} {
		for part, route := range map[string]Route{"allow": ruled(r), "deny": {Path: "/t/{id}", Allow: []Rule{{Anyone: true}}, Deny: []Rule{r}}} {
			if table, findings := Compile(testConfig("", route)); table != nil || len(findings) == 0 {
				t.Errorf("%s %+v compiles, with %v", part, r, findings)
			}
		}
	}
}
