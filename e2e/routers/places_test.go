package routers

import (
	"slices"
	"testing"

	"github.com/posternhq/postern/policy"
)

// place is a handler of the application and the route that the policy has for
// it. The handler answers with its name.
type place struct {
	name string
	path string
	rule policy.Rule
}

// places lists what every application of testdata serves. The wide open ones at
// the end catch whatever a router does not take for a closed one, so that a
// difference between the two readings shows.
func places() []place {
	anyone := policy.Rule{Anyone: true}
	admin := policy.Rule{Role: "admin"}
	self := policy.Rule{Self: &policy.SelfRule{Name: "id"}}
	return []place{
		{"root", "/", anyone},
		{"exact", "/exact", anyone},
		{"panel", "/Panel/**", admin},
		{"admin", "/admin/**", admin},
		{"secret", "/items/secret", admin},
		{"item", "/items/{id}", anyone},
		{"users", "/users", anyone},
		{"user", "/users/{id}/**", self},
		{"closed", "/closed/", admin},
		{"page", "/my%20page", admin},
		{"cafe", "/caf%C3%A9", admin},
		{"staff", "/open/staff/**", admin},
		{"open", "/open/**", anyone},
		{"report", "/files/report.txt", admin},
		{"deep", "/files/deep/report.txt", admin},
		{"files", "/files/**", anyone},
		{"rest", "/**", anyone},
	}
}

// isClosed reports whether the place is for administrators alone. What is no
// place, an error page say, is not closed.
func isClosed(name string) bool {
	return slices.ContainsFunc(places(), func(p place) bool { return p.name == name && p.rule.Role != "" })
}

// options lists the sets of path_options that are tried: none, each alone, all.
func options() [][]string {
	all := []string{"encoded_slash", "encoded_percent", "encoded_hash", "encoded_question", "semicolon", "empty_segment"}
	sets := [][]string{nil, all}
	for _, o := range all {
		sets = append(sets, []string{o})
	}
	return sets
}

// judge is the places' policy as one profile and one set of options read it.
type judge struct {
	router  string
	options []string
	table   *policy.Table
}

// judges compiles the policy for each profile and each set of options. The last
// of each profile admits everything on the open routes and nothing on others.
func judges(t testing.TB, routers ...string) []judge {
	t.Helper()
	var list []judge
	for _, router := range routers {
		for _, set := range options() {
			list = append(list, judge{router, set, table(t, router, set, true)})
		}
		all := options()[1]
		list = append(list, judge{router, append([]string{"open routes only"}, all...), table(t, router, all, false)})
	}
	return list
}

// table compiles the policy of the places; closedToo gives the options to the
// closed routes as well.
func table(t testing.TB, router string, set []string, closedToo bool) *policy.Table {
	t.Helper()
	conf := policy.Config{
		Roles:     []string{"admin"},
		Upstreams: []policy.Upstream{{Name: "app", Router: router}},
	}
	for _, p := range places() {
		r := policy.Route{Path: p.path, Upstream: "app", Allow: []policy.Rule{p.rule}}
		if closedToo || p.rule.Role == "" {
			r.PathOptions = set
		}
		conf.Routes = append(conf.Routes, r)
	}
	compiled, findings := policy.Compile(conf)
	if compiled == nil {
		t.Fatalf("the policy of the places does not compile: %v", findings)
	}
	return compiled
}

// place returns the name of the place that the policy takes the path for, and
// what it says to a caller who is called id, or to an anonymous one.
func (j judge) place(p policy.Path) (name string, refusal policy.Reason) {
	m := j.table.Match("GET", "app", p)
	if m.Refusal() != policy.ReasonNone {
		return "", m.Refusal()
	}
	return places()[m.Route()].name, policy.ReasonNone
}

// lets reports whether the policy lets a request through for a caller with this
// id and no role; the empty id is anonymous.
func (j judge) lets(p policy.Path, id string) bool {
	m := j.table.Match("GET", "app", p)
	if m.Refusal() != policy.ReasonNone {
		return false
	}
	return m.Decide(policy.Caller{Subject: policy.Subject{ID: id, Username: id}}).Effect == policy.Allow
}
