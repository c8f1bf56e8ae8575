package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// An alias stands before the application's own login. Whatever the application
// takes for that login's path has no route, however wide the routes are.
func TestWhatAnApplicationTakesForAnAliasHasNoRoute(t *testing.T) {
	all := anyoneAt("/**")
	all.PathOptions = []string{"semicolon", "empty_segment", "encoded_slash", "encoded_percent"}
	for _, test := range []struct {
		router, lines string
	}{
		{"any", `POST /API/Auth/signin nobody -> no_route
			POST /api/auth/signin/ nobody -> no_route
			POST /api/auth/signin;x nobody -> no_route
			POST /api//auth/signin nobody -> no_route
			POST /api/auth%2fsignin nobody -> no_route
			POST /api/auth/%2573ignin nobody -> no_route
			POST /api/auth/signin. nobody -> no_route
			POST /api/auth/sign%C4%B1n nobody -> no_route
			POST /api/auth/refreshtoken nobody -> no_route
			HEAD /api/auth/ME nobody -> no_route
			GET /api/token nobody -> no_route
			GET /api/auth/ME nobody -> no_route
			GET /api/auth/SIGNIN nobody -> allow
			PUT /api/auth/signin/ nobody -> allow
			POST /api/auth/signin/x nobody -> allow
			POST /api/auth nobody -> allow
			POST / nobody -> allow`},
		{"express", `POST /API/auth/signin nobody -> no_route
			POST /api/auth/signin/ nobody -> no_route
			POST /api/auth/%73IGNIN nobody -> no_route
			POST /api/auth/signin. nobody -> allow`},
		{"exact", `POST /API/auth/signin nobody -> allow
			POST /api/auth/signin/ nobody -> allow
			POST /api//auth/signin nobody -> no_route`},
		{"spring", `POST /API/auth/signin nobody -> allow
			POST /api/auth/signin/ nobody -> no_route
			POST /api/auth/signin;jsessionid=1 nobody -> no_route`},
		{"django", "POST /api/auth/signin/ nobody -> no_route\nGET /api/token nobody -> no_route\nGET /api/Token nobody -> allow"},
		{"tomcat", "POST /api/auth;x/signin nobody -> no_route\nPOST /api/auth/signin/ nobody -> allow"},
		{"iis", "POST /api/auth./Signin%20 nobody -> no_route\nPOST /api/auth/sign nobody -> allow"},
	} {
		config := testConfig(test.router, all)
		config.Taken = []Place{{"POST", "/api/auth/signin"}, {"POST", "/api/auth/refreshToken"}, {"GET", "/api/auth/me"}, {"GET", "/api/token/"}}
		table := mustCompile(t, config)
		for line := range strings.Lines(test.lines) {
			if got, want := asked(t, table, strings.TrimSpace(line)); got != want {
				t.Errorf("%s: %s, got %s", test.router, strings.TrimSpace(line), got)
			}
		}
	}
}

// Of an application that heeds _method a POST may be the PUT that is an alias's.
func TestAMethodInAFormIsNoWayPastAnAlias(t *testing.T) {
	config := testConfig("exact", anyoneAt("/**"))
	config.Taken = []Place{{"PUT", "/users/profile"}}
	for override, want := range map[bool]string{false: "allow", true: "no_route"} {
		config.Upstreams[0].MethodOverride = override
		if got, _ := asked(t, mustCompile(t, config), "POST /users/profile nobody -> "); got != want {
			t.Errorf("override %v: %s, want %s", override, got, want)
		}
	}
}

// A stricter decision of the routes stays, and who asks about the very place is
// told of the routes: it is answered before them.
func TestAnAliasOpensNothing(t *testing.T) {
	config := testConfig("any", Route{Path: "/api/**", Allow: []Rule{{Role: "admin"}}})
	config.Taken = []Place{{"POST", "/api/login"}, {"POST", "/login"}}
	table := mustCompile(t, config)
	for _, line := range []string{"POST /api/login nobody -> unauthenticated", "POST /api/LOGIN root -> no_route", "POST /login root -> no_route", "POST /api/%zz root -> bad_path", "POST /api//login root -> bad_path"} {
		if got, want := asked(t, table, line); got != want {
			t.Errorf("%s, got %s", line, got)
		}
	}
}

func TestPathsBesideAnAliasCostNoAllocation(t *testing.T) {
	config := testConfig("any", anyoneAt("/api/**"))
	config.Taken = []Place{{"POST", "/api/login"}}
	table := mustCompile(t, config)
	p, err := ParsePath("/api/things/7")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { table.Match("POST", "", p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What a route of the same path would answer is what a place of it takes: both
// are found by the same readings.
func TestPlacesAreReadAsRoutesAre(t *testing.T) {
	letters := rapid.SampledFrom(strings.Split("a A b . / // ; %2f %41 %61 %20 : k %E2%84%AA", " "))
	rapid.Check(t, func(t *rapid.T) {
		router := rapid.SampledFrom(routerNames()).Draw(t, "router")
		text := "/" + strings.Join(rapid.SliceOfN(letters, 1, 6).Draw(t, "path"), "")
		place := rapid.SampledFrom([]string{"/a", "/A", "/a/b", "/a/B/", "/k", "/ab"}).Draw(t, "place")
		p, err := ParsePath(text)
		if err != nil {
			return
		}
		wide := anyoneAt("/**")
		wide.PathOptions = optionNames()
		narrow := Route{Path: place, Allow: []Rule{{Role: "admin"}}, PathOptions: optionNames()}
		routed := mustCompile(t, testConfig(router, wide, narrow))
		config := testConfig(router, wide)
		config.Taken = []Place{{"GET", place}}
		without, with := routed.Match("GET", "", p), mustCompile(t, config).Match("GET", "", p)
		if with.Refusal() == ReasonBadPath || without.Refusal() == ReasonBadPath {
			return // no route admits it
		}
		met := without.Decide(Caller{}).Effect != Allow
		exact, _ := form{}.spell(p.raw)
		if itself := exact == place && p.doubts == 0; !itself && met != (with.Refusal() == ReasonNoRoute) {
			t.Fatalf("%s: %s beside %s: as a route %v, as a place %v", router, text, place, met, with.Refusal())
		}
	})
}
