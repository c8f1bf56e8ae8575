package policy

import (
	"fmt"
	"testing"
	"unsafe"
)

// crowded is a policy in which nodes have one literal more than are compared
// one by one, and a thousand times as many; capitals make each folding a tree
// of its own.
func crowded(router string) Config {
	var routes []Route
	for i := range few + 1 {
		for j := range 1000 {
			routes = append(routes, anyoneAt(fmt.Sprintf("/Group%d/item%d/end", i, j)), anyoneAt(fmt.Sprintf("/Group%d/{id}/item%d", i, j)))
		}
	}
	return testConfig(router, routes...)
}

func TestEveryLiteralOfACrowdIsFoundAndNoOther(t *testing.T) {
	for router, item := range map[string]string{"any": "item%d", "exact": "%%69tem%d", "iis": "ITEM%d."} {
		table := mustCompile(t, crowded(router))
		for n := range table.routes {
			i, word := n/2000, fmt.Sprintf(item, n/2%1000)
			raw, stranger := fmt.Sprintf("/Group%d/%s/end", i, word), fmt.Sprintf("/Group%d/%s/bend", i, word)
			if n%2 == 1 { // by way of {id}
				raw, stranger = fmt.Sprintf("/Group%d/x/%s", i, word), fmt.Sprintf("/Group%d/x/0%s", i, word)
			}
			if got := routeOf(t, table, raw); got != n {
				t.Fatalf("%s, %s: route %d, not %d", router, raw, got, n)
			}
			if got := routeOf(t, table, stranger); got != -1 {
				t.Fatalf("%s, %s: route %d, not none", router, stranger, got)
			}
		}
	}
}

// routeOf returns the route that answers a GET, or -1.
func routeOf(t *testing.T, table *Table, raw string) int {
	p, err := ParsePath(raw)
	if err != nil {
		t.Fatal(err)
	}
	m := table.Match("GET", "", p)
	if m.Refusal() != ReasonNone {
		return -1
	}
	return m.Route()
}

func TestALiteralOfACrowdIsFoundOnlyUnderItsOwnNode(t *testing.T) {
	var routes []Route
	for i := range few + 1 {
		for j := range few + 1 {
			routes = append(routes, anyoneAt(fmt.Sprintf("/g%d/only%d-%d", i, i, j)))
		}
	}
	table := mustCompile(t, testConfig("", routes...))
	tree := table.everyHost.trees[foldExact]
	for i := range few + 1 {
		group := under(tree, 0, fmt.Sprintf("g%d", i))
		for j := range few + 1 {
			for other := range few + 1 {
				literal := fmt.Sprintf("only%d-%d", other, j)
				if place := under(tree, group, []byte(literal)); (place != 0) != (other == i) {
					t.Errorf("%s under g%d leads to %d", literal, i, place)
				}
			}
		}
	}
}

func TestRoutesThatDoTheSameShareItAndKeepTheirPlaces(t *testing.T) {
	first, second, third := anyoneAt("/a"), anyoneAt("/b"), anyoneAt("/c")
	first.Pos, second.Pos, third.Pos = Pos{"f", 1, 1}, Pos{"f", 2, 1}, Pos{"f", 3, 1}
	third.Methods = []string{"GET"}
	table := mustCompile(t, testConfig("", third, first, second))
	if table.routes[1].conduct != table.routes[2].conduct || table.routes[0].conduct == table.routes[1].conduct {
		t.Error("what routes do is shared wrongly")
	}
	for path, line := range map[string]int{"/a": 1, "/b": 2, "/c": 3} {
		p, _ := ParsePath(path)
		m := table.Match("GET", "", p)
		if d := m.Decide(Caller{}); d.Rule.Line != line {
			t.Errorf("%s is decided at line %d, not %d", path, d.Rule.Line, line)
		}
	}
}

// Roles may have any name, a comma in it too.
func TestRulesThatReadNearlyTheSameAreNotShared(t *testing.T) {
	table := mustCompile(t, Config{
		Roles:     []string{"a", "b", "a, b"},
		Upstreams: []Upstream{{Name: "app"}},
		Routes:    []Route{{Path: "/one", Allow: []Rule{{AnyRole: []string{"a, b"}}}}, {Path: "/two", Allow: []Rule{{AnyRole: []string{"a", "b"}}}}},
	})
	if table.routes[0].conduct == table.routes[1].conduct {
		t.Error("the rules are taken for the same")
	}
}

func TestATargetIsOneLineOfACacheAndANodeAQuarter(t *testing.T) {
	if size := unsafe.Sizeof(target{}); size != 64 {
		t.Errorf("a target has %d bytes", size)
	}
	if size := unsafe.Sizeof(node{}); size != 16 {
		t.Errorf("a node has %d bytes", size)
	}
}
