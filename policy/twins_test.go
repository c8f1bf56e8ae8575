package policy

import (
	"slices"
	"strings"
	"testing"
)

// withMethods is a route open to everyone for these methods.
func withMethods(path string, methods ...string) Route {
	r := anyoneAt(path)
	r.Methods = methods
	return r
}

func TestRoutesThatShutEachOtherOutAreWarnedOf(t *testing.T) {
	for _, test := range []struct {
		router string
		a, b   Route
		warned bool
	}{
		{"any", withMethods("/items", "GET"), withMethods("/items/", "POST"), true},
		{"django", withMethods("/items", "GET"), withMethods("/items/", "POST"), true},
		{"spring", withMethods("/items", "GET"), withMethods("/items/", "POST"), true},
		{"exact", withMethods("/items", "GET"), withMethods("/items/", "POST"), false},
		{"tomcat", withMethods("/items", "GET"), withMethods("/items/", "POST"), false},
		{"any", withMethods("/items", "GET"), withMethods("/items/", "GET"), false},
		{"any", withMethods("/items", "GET"), withMethods("/items/", "GET", "HEAD"), false},
		{"any", withMethods("/items", "GET"), anyoneAt("/items/"), true},
		{"any", withMethods("/Api", "GET"), withMethods("/api", "POST"), true},
		{"express", withMethods("/Api", "GET"), withMethods("/api", "POST"), true},
		{"django", withMethods("/Api", "GET"), withMethods("/api", "POST"), false},
		{"iis", withMethods("/api.", "GET"), withMethods("/api", "POST"), true},
		{"iis", withMethods("/a/.../b", "GET"), withMethods("/a/b", "POST"), true},
		{"express", withMethods("/api.", "GET"), withMethods("/api", "POST"), false},
		{"any", withMethods("/API/{id}", "GET"), withMethods("/api/*", "POST"), true},
		{"any", withMethods("/api/{id}", "GET"), withMethods("/api/**", "POST"), false},
		{"any", withMethods("/", "GET"), withMethods("/**", "POST"), false},
	} {
		_, findings := Compile(testConfig(test.router, test.a, test.b))
		warned := slices.ContainsFunc(findings, func(f Finding) bool { return f.Warning && strings.Contains(f.Message, "one path to an application") })
		if warned != test.warned || len(findings) > 1 {
			t.Errorf("%s: %s %v and %s %v: %v", test.router, test.a.Path, test.a.Methods, test.b.Path, test.b.Methods, findings)
		}
	}
}

// The application of either route may be the one that takes both for one.
func TestAWarningOfTwinsLooksAtTheRouterOfEachRoute(t *testing.T) {
	config := testConfig("exact", withMethods("/Api", "GET"), withMethods("/api", "POST"))
	config.Upstreams = append(config.Upstreams, Upstream{Name: "node", Router: "express"})
	config.Routes[0].Upstream, config.Routes[1].Upstream = "app", "app"
	if _, findings := Compile(config); len(findings) != 0 {
		t.Errorf("two routes of an exact router: %v", findings)
	}
	config.Routes[1].Upstream = "node"
	if _, findings := Compile(config); len(findings) != 1 {
		t.Errorf("one of them is behind Express: %v", findings)
	}
	config.Routes[1].Host = "other.example"
	if _, findings := Compile(config); len(findings) != 0 {
		t.Errorf("on two hosts: %v", findings)
	}
}
