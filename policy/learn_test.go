package policy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the golden files expect")

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test -run %s -update writes it anew. Got:\n%s", path, t.Name(), got)
	}
}

// seen is a request that the application answered with 200.
func seen(method, path, user string, roles ...string) Observed {
	return Observed{Method: method, Path: path, User: user, Roles: roles, Client: "192.0.2.1", Status: 200}
}

// public is a page read by several, none of them logged in.
func public(path string, times int) (list []Observed) {
	for i := range times {
		list = append(list, Observed{Method: "GET", Path: path, Client: fmt.Sprintf("192.0.2.%d", i%4), Status: 200})
	}
	return list
}

// day is a day of a small application.
func day() (list []Observed) {
	list = append(list, public("/", 12)...)
	list = append(list, public("/about", 3)...)
	for i := range 30 {
		list = append(list, seen("GET", fmt.Sprintf("/api/users/%d", i), "alice", "user"), seen("GET", fmt.Sprintf("/api/users/%d", i), "root", "admin", "user"))
		list = append(list, seen("GET", fmt.Sprintf("/docs/page-%c%d", 'a'+i%26, i), "bob", "user"))
		list = append(list, public(fmt.Sprintf("/news/title-%c%d", 'a'+i%26, i), 1)...)
	}
	list = append(list,
		seen("DELETE", "/api/users/7", "root", "admin", "user"),
		seen("GET", "/api/users/7/files/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "alice", "user"),
		seen("GET", "/docs/secret", "root", "admin"),
		seen("GET", "/items/507f1f77bcf86cd799439011/", "alice", "user"),
		seen("GET", "/inbox", "alice", "user"), seen("HEAD", "/inbox", "mod", "mod"),
		seen("GET", "/legacy", "carol"),
		seen("POST", "/login", ""),
		Observed{Method: "GET", Path: "/admin", Status: 302},
		Observed{Method: "GET", Path: "/wp-login.php", Status: 404},
		Observed{Method: "POST", Path: "/inbox", Status: 405, User: "alice"},
		Observed{Method: "GET", Path: "/secret", Status: 200, Decision: "deny"},
		Observed{Method: "GET", Path: "/x\n  - path: /**\n    allow: anyone", Status: 200},
		seen("GET", "/a%20b", "alice", "user"),
		seen("GET", "/quote'\"", "alice", "user"),
		seen("GET", "/{x}", "alice", "user"),
		seen("GET", "/x", "alice", "user\n"),
		seen("OPTIONS", "/api/users/7", ""),
		seen("get", "/api/users/7", "alice", "user"),
	)
	return list
}

func TestAProposalFromALog(t *testing.T) {
	golden(t, "learn/day.yaml", Learn(slices.Values(day()), nil).YAML())
}

func TestAProposalLeavesOutWhatThePolicyCovers(t *testing.T) {
	table := mustCompile(t, testConfig("any",
		Route{Pos: Pos{Line: 3}, Path: "/api/**", Allow: []Rule{{Role: "user"}}},
		Route{Pos: Pos{Line: 5}, Path: "/docs/**", Mode: "observe", Allow: []Rule{{Role: "admin"}}},
		Route{Pos: Pos{Line: 6}, Path: "/legacy", Mode: "observe", Allow: []Rule{{Role: "admin"}}},
		Route{Pos: Pos{Line: 9}, Path: "/inbox", Allow: []Rule{{Role: "mod"}}},
		Route{Pos: Pos{Line: 7}, Host: "shop.example.com", Path: "/cart", Allow: []Rule{{Anyone: true}}}))
	log := append(day(), Observed{Host: "shop.example.com", Method: "GET", Path: "/orders/1", User: "alice", Status: 200, Decision: "observe"})
	golden(t, "learn/covered.yaml", Learn(slices.Values(log), table).YAML())
}

func TestAnObservingRouteIsLearnedFrom(t *testing.T) {
	table := mustCompile(t, testConfig("any", Route{Pos: Pos{Line: 3}, Path: "/**", Mode: "observe", Allow: []Rule{{Role: "admin"}}}))
	log := slices.Collect(func(yield func(Observed) bool) {
		for _, o := range day() {
			if o.Decision == "" {
				o.Decision = "observe"
			}
			if !yield(o) {
				return
			}
		}
	})
	alone, observed := Learn(slices.Values(day()), nil), Learn(slices.Values(log), table)
	same := func(a, b Proposal) bool {
		return a.Path == b.Path && slices.Equal(a.Methods, b.Methods) && a.Allow.String() == b.Allow.String()
	}
	if !slices.EqualFunc(observed.Proposals, alone.Proposals, same) {
		t.Errorf("without a policy %+v are proposed, with one that observes %+v", alone.Proposals, observed.Proposals)
	}
	if len(observed.Observed) != 1 || len(observed.Covered) != 0 || len(observed.Refused) != 0 {
		t.Errorf("got %+v", observed)
	}
}

func TestNothingProposedOpensToOneWhoOnlyTried(t *testing.T) {
	for name, log := range map[string][]Observed{
		"one client, very often":         slices.Repeat([]Observed{{Method: "GET", Path: "/admin", Client: "192.0.2.1", Status: 200}}, 500),
		"several clients, a few times":   public("/admin", 9),
		"a page behind a login":          append(public("/admin", 100), seen("GET", "/admin", "root", "admin")),
		"one id of many behind a login":  append(public("/files/1", 100), seen("GET", "/files/2", "root", "admin")),
		"a form":                         slices.Repeat([]Observed{{Method: "POST", Path: "/admin", Client: "192.0.2.1", Status: 200}, {Method: "POST", Path: "/admin", Client: "192.0.2.2", Status: 200}, {Method: "POST", Path: "/admin", Client: "192.0.2.3", Status: 200}}, 50),
		"clients that the log names not": slices.Repeat([]Observed{{Method: "GET", Path: "/admin", Status: 200}}, 500),
	} {
		t.Run(name, func(t *testing.T) {
			lesson := Learn(slices.Values(log), nil)
			if len(lesson.Proposals) != 1 {
				t.Fatalf("proposals: %+v", lesson.Proposals)
			}
			if lesson.Proposals[0].Allow.Anyone {
				t.Errorf("%s is proposed for anyone", lesson.Proposals[0].Path)
			}
		})
	}
}

func TestWhatWasRefusedProvesNoPage(t *testing.T) {
	for _, o := range []Observed{
		{Status: 404}, {Status: 400}, {Status: 405}, {Status: 401}, {Status: 403}, {Status: 500}, {Status: 101}, {Status: 0},
		{Status: 200, Decision: "deny"}, {Status: 303, Decision: "challenge"}, {Status: 200, Decision: "anything else"},
		{Status: 302}, {Status: 307},
	} {
		o.Method, o.Path = "GET", "/page"
		if lesson := Learn(slices.Values([]Observed{o}), nil); len(lesson.Proposals) != 0 || len(lesson.LeftOut) != 1 {
			t.Errorf("%+v: %+v", o, lesson)
		}
	}
}

func TestRolesAreProposedAsNarrowAsTheyWereSeen(t *testing.T) {
	for _, test := range []struct {
		log  []Observed
		want string
	}{
		{[]Observed{seen("GET", "/a", "root", "admin", "user")}, `{ all_roles: ["admin", "user"] }`},
		{[]Observed{seen("GET", "/a", "root", "admin", "user"), seen("GET", "/a", "bob", "user")}, `{ role: "user" }`},
		{[]Observed{seen("GET", "/a", "root", "admin"), seen("GET", "/a", "bob", "user")}, `{ any_role: ["admin", "user"] }`},
		{[]Observed{seen("GET", "/a", "root", "admin"), seen("GET", "/a", "bob")}, `authenticated`},
		{[]Observed{seen("GET", "/a", "root", "no")}, `{ role: "no" }`},
	} {
		lesson := Learn(slices.Values(test.log), nil)
		if got := lesson.Proposals[0].Allow.yaml(); got != test.want {
			t.Errorf("%+v: got %s, want %s", test.log, got, test.want)
		}
	}
}

func TestIdentifiersAreFolded(t *testing.T) {
	for text, want := range map[string]bool{
		"1": true, "0042": true, "3f2504e0-4f89-11d3-9a0c-0305e82c3301": true, "3F2504E0-4F89-11D3-9A0C-0305E82C3301": true,
		"507f1f77bcf86cd799439011": true, "": false, "v1": false, "507f1f77bcf86cd79943901": false, "face": false,
		"3f2504e04f89-11d3-9a0c-0305e82c330-1": false, "2024-11-22": false, "507f1f77bcf86cd79943901g": false,
	} {
		if got := identifier(text); got != want {
			t.Errorf("identifier(%q) = %v", text, got)
		}
	}
}

func TestTheFirstSegmentIsNeverFolded(t *testing.T) {
	var log []Observed
	for i := range 100 {
		log = append(log, seen("GET", fmt.Sprintf("/page-%d", i), "alice", "user"))
	}
	if got := len(Learn(slices.Values(log), nil).Proposals); got != 100 {
		t.Errorf("%d proposals for 100 first segments", got)
	}
}

func TestALogOfEndlessPathsIsBounded(t *testing.T) {
	endless := func(yield func(Observed) bool) {
		for i := range learnMax + 10 {
			if !yield(seen("GET", fmt.Sprintf("/p-%d", i), "alice", "user")) {
				return
			}
		}
	}
	lesson := Learn(endless, nil)
	if len(lesson.Proposals) != learnMax || len(lesson.LeftOut) != 1 || lesson.LeftOut[0].Requests != 10 {
		t.Errorf("%d proposals, left out %+v", len(lesson.Proposals), lesson.LeftOut)
	}
}

// What is proposed must compile, and let in whom it was learned from.
func TestProposalsLetInWhoWasSeen(t *testing.T) {
	lesson := Learn(slices.Values(day()), nil)
	config := Config{Roles: []string{"user", "mod", "admin"}, Upstreams: []Upstream{{Name: "app"}}}
	for _, p := range lesson.Proposals {
		config.Routes = append(config.Routes, Route{Path: p.Path, Methods: p.Methods, Allow: []Rule{p.Allow}})
	}
	table := mustCompile(t, config)
	learned := 0
	for _, o := range day() {
		p, err := ParsePath(o.Path)
		if err != nil || o.User == "" || o.proves() != "" {
			continue
		}
		m := table.Match(o.Method, "", p)
		if m.Refusal() == ReasonNone && m.Decide(Caller{Subject: Subject{Username: o.User, Roles: o.Roles}}).Effect == Allow {
			learned++
		} else if !strings.ContainsAny(o.Path, "%'{\n") && o.Path != "/x" && o.Method != "OPTIONS" && o.Method != "get" {
			t.Errorf("%s %s by %s is refused: %s", o.Method, o.Path, o.User, m.Refusal())
		}
	}
	if learned < 90 {
		t.Errorf("only %d requests were checked", learned)
	}
}

func TestMethodsForTheSamePeopleShareARoute(t *testing.T) {
	lesson := Learn(slices.Values([]Observed{
		seen("PUT", "/a", "alice", "user"), seen("GET", "/a", "bob", "user"), seen("DELETE", "/a", "root", "admin"),
	}), nil)
	var got []string
	for _, p := range lesson.Proposals {
		got = append(got, fmt.Sprintf("%s %v %s %d %v", p.Path, p.Methods, p.Allow, p.Requests, p.Users))
	}
	want := []string{"/a [DELETE] role admin 1 [root]", "/a [GET PUT] role user 2 [alice bob]"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestWhatIsBelowFoldedNamesIsFoldedWithThem(t *testing.T) {
	var log []Observed
	for i := range manyValues + 5 {
		name := fmt.Sprintf("/teams/team-%c/", 'a'+i)
		log = append(log, seen("GET", name+"7", "alice", "user"), seen("GET", name+"files/x", "alice", "user"))
	}
	log = append(log, seen("GET", "/teams/odd/7", "root", "admin"))
	var got []string
	for _, p := range Learn(slices.Values(log), nil).Proposals {
		got = append(got, fmt.Sprintf("%s %s %d", p.Path, p.Allow, p.Requests))
	}
	want := []string{"/teams/odd/{id} role admin 1", "/teams/{id}/files/x role user 25", "/teams/{id}/{id2} role user 25"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
