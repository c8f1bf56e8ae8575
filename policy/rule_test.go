package policy

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// max_age counts to the second that it names. A clock ahead of ours by more
// than clocks differ proves nothing.
func TestAPasswordIsFreshUpToItsAgeAndNotFromTheFuture(t *testing.T) {
	for _, test := range []struct {
		age  time.Duration
		want bool
	}{
		{0, true}, {10 * time.Minute, true}, {10*time.Minute + 1, false}, {-time.Minute, true}, {-time.Minute - 1, false}, {24 * time.Hour, false},
	} {
		c := Caller{Subject: Subject{AuthTime: noon().Add(-test.age)}, Now: noon()}
		if got := fresh(&c, 10*time.Minute); got != test.want {
			t.Errorf("given %v ago: fresh is %v", test.age, got)
		}
	}
	if fresh(&Caller{Now: noon()}, time.Hour) || fresh(&Caller{Subject: Subject{AuthTime: noon()}}, time.Hour) {
		t.Error("a time that is not known is fresh")
	}
}

func TestAnAddressIsTheSameHoweverItIsWritten(t *testing.T) {
	for _, test := range []struct {
		network, client string
		want            verdict
	}{
		{"10.0.0.0/8", "10.255.0.1", holds}, {"10.0.0.0/8", "11.0.0.0", never}, {"10.0.0.0/8", "::ffff:10.0.0.1", holds}, {"10.0.0.1", "10.0.0.1", holds}, {"10.0.0.1", "10.0.0.2", never},
		{"fd00::/8", "fd12::1", holds}, {"fd00::/8", "fd12::1%eth0", holds}, {"fd00::/8", "fe80::1", never}, {"0.0.0.0/0", "::1", never}, {"::/0", "10.0.0.1", never},
		{"::ffff:10.0.0.1", "10.0.0.1", holds}, {"10.0.0.0/8", "", unclear},
	} {
		network, err := parseNetwork(test.network)
		if err != nil {
			t.Fatal(err)
		}
		client, _ := netip.ParseAddr(test.client)
		if got := inside([]netip.Prefix{network}, client); got != test.want {
			t.Errorf("%s in %s: %d, want %d", test.client, test.network, got, test.want)
		}
	}
}

// An address that is not known is outside what is allowed and inside what is
// denied.
func TestAnUnknownAddressIsRefusedBothWays(t *testing.T) {
	lan := []Rule{{CIDR: []string{"10.0.0.0/8"}}}
	table := mustCompile(t, testConfig("", Route{Path: "/in", Allow: lan}, Route{Path: "/out", Allow: []Rule{{Anyone: true}}, Deny: lan}))
	for line, want := range map[string]string{
		"GET /in nobody@10.0.0.1 -> ": "allow", "GET /in nobody@none -> ": "forbidden", "GET /out nobody@10.0.0.1 -> ": "forbidden",
		"GET /out nobody@none -> ": "forbidden", "GET /out nobody -> ": "allow",
	} {
		if got, _ := asked(t, table, line); got != want {
			t.Errorf("%s%s, want %s", line, got, want)
		}
	}
}

// Comparing a segment with an id must be comparing what it decodes to, byte for
// byte, whatever the id looks like.
func FuzzSegmentIsAValue(f *testing.F) {
	for _, seed := range [][2]string{{"42", "42"}, {"%34%32", "42"}, {"42%", "42%25"}, {"a%2Fb", "a/b"}, {"", ""}, {"%", "%"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, segment, value string) {
		if got := decodesTo(segment, value); got != (decode(segment) == value) {
			t.Fatalf("%q is %q: %v", segment, value, got)
		}
		if got := sameDecoded(segment, value); got != (decode(segment) == decode(value)) {
			t.Fatalf("%q and %q are one: %v", segment, value, got)
		}
		if !decodesTo(escape(value), value) {
			t.Fatalf("%q is not what %q stands for", value, escape(value))
		}
	})
}

func TestNothingEmptyIsEqualToAnything(t *testing.T) {
	table := mustCompile(t, testConfig("",
		Route{Path: "/id/{id}", Allow: []Rule{{Self: &SelfRule{Name: "id"}}}},
		Route{Path: "/mail/{id}", Allow: []Rule{{Self: &SelfRule{Name: "id", Is: "email"}}}},
		Route{Path: "/t/{id}/**", Allow: []Rule{{Field: &FieldRule{Name: "tenant", Equals: "{id}"}}}}))
	blank := Caller{Subject: Subject{Roles: []string{"user"}, Fields: map[string][]string{"tenant": {""}}}, Now: noon()}
	for _, raw := range []string{"/id/x", "/mail/x", "/t/x/y", "/id/%20", "/t/%20/"} {
		p, _ := ParsePath(raw)
		m := table.Match("GET", "", p)
		if d := m.Decide(blank); d.Effect == Allow {
			t.Errorf("%s: %+v", raw, d)
		}
	}
}

// The strictest decision must not depend on the order of the readings.
func TestStrictnessIsAnOrder(t *testing.T) {
	list := []Decision{
		{}, {Reason: ReasonNoRule}, {Effect: Challenge, MaxAge: time.Minute}, {Effect: Challenge, MaxAge: time.Hour}, {Effect: Challenge},
		{Effect: Allow, Observed: true}, {Effect: Allow},
	}
	for i, a := range list {
		for j, b := range list {
			if stricter(a, b) && stricter(b, a) {
				t.Errorf("each of %d and %d is stricter", i, j)
			}
			if a.Effect < b.Effect && !stricter(a, b) {
				t.Errorf("%+v is not stricter than %+v", a, b)
			}
		}
	}
	if !stricter(list[2], list[3]) || !stricter(list[5], list[6]) {
		t.Error("a fresher password, or observing, is no stricter")
	}
}

// A deny rule may only take away, whatever else the policy says.
func TestAddingADenyRuleNeverMakesADecisionFreer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawAsked(t, optionNames())
		before := outcome(mustCompile(t, d.config), d.method, d.host, d.raw, d.caller)
		d.config.Routes = slices.Clone(d.config.Routes)
		i := rapid.IntRange(0, len(d.config.Routes)-1).Draw(t, "route")
		deny := drawRule(t, d.config.Routes[i].Path)
		d.config.Routes[i].Deny = append(slices.Clone(d.config.Routes[i].Deny), deny)
		table, _ := Compile(d.config)
		if table == nil {
			return // the drawn rule has no condition
		}
		if after := outcome(table, d.method, d.host, d.raw, d.caller); after > before {
			t.Fatalf("%s %s%s: %d becomes %d by deny %s", d.method, d.host, d.raw, before, after, deny)
		}
	})
}

// A role may only give, unless a deny rule names it.
func TestARoleMoreNeverTakesAwayWithoutADenyRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawAsked(t, optionNames())
		d.config.Routes = slices.Clone(d.config.Routes)
		for i := range d.config.Routes {
			d.config.Routes[i].Deny = nil
		}
		table := mustCompile(t, d.config)
		before := outcome(table, d.method, d.host, d.raw, d.caller)
		d.caller.Subject.Roles = append(slices.Clone(d.caller.Subject.Roles), "r0", "r1", "r2")
		after := outcome(table, d.method, d.host, d.raw, d.caller)
		if before == outAllow && after != outAllow {
			t.Fatalf("%s %s%s: %d becomes %d with every role", d.method, d.host, d.raw, before, after)
		}
	})
}

func TestATableIsSafeForManyAtOnce(t *testing.T) {
	table, paths := benchTable(t, 200, "any")
	caller := Caller{Subject: callers()["alice"], Now: noon()}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 500 {
				k := (i*31 + j) % len(paths)
				p, _ := ParsePath(paths[k])
				m := table.Match("GET", "app.example.com", p)
				if m.Route() != k || m.Decide(caller).Effect != Allow {
					t.Errorf("%s: route %d", paths[k], m.Route())
					return
				}
			}
		})
	}
	group.Wait()
}

func TestFindingsSayWhereAndSuggest(t *testing.T) {
	for _, test := range []struct {
		finding Finding
		want    string
	}{
		{Finding{Message: "m"}, "m"}, {Finding{Message: "m", Warning: true}, "warning: m"},
		{Finding{Pos: Pos{"f", 3, 4}, Message: "m"}, "f:3:4: m"}, {Finding{Pos: Pos{"f", 3, 0}, Message: "m"}, "f:3: m"},
		{Finding{Pos: Pos{"", 3, 4}, Message: "m"}, "3:4: m"}, {Finding{Pos: Pos{"f", 0, 0}, Message: "m", Warning: true}, "f: warning: m"},
	} {
		if got := test.finding.String(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestSuggestionsAreForSlipsOnly(t *testing.T) {
	keys := []string{"role", "any_role", "all_roles", "user", "self", "methods", "allow", "deny", "path", "host"}
	for _, test := range []struct{ typed, want string }{
		{"rolse", "role"}, {"roles", "role"}, {"Role", "role"}, {"rol", "role"}, {"orle", "role"}, {"any-role", "any_role"}, {"anyrole", "any_role"},
		{"allroles", "all_roles"}, {"method", "methods"}, {"alow", "allow"}, {"pathh", "path"}, {"hots", "host"},
		{"permit", ""}, {"x", ""}, {"", ""}, {"group", ""}, {"authorization", ""}, {strings.Repeat("role", 500), ""},
	} {
		want := ""
		if test.want != "" {
			want = ` (did you mean "` + test.want + `"?)`
		}
		if got := Suggest(test.typed, keys); got != want {
			t.Errorf("%s: got %q, want %q", test.typed, got, want)
		}
	}
}

func TestEditDistanceIsADistance(t *testing.T) {
	words := []string{"", "a", "role", "rolse", "roles", "orle", "user", "métier", "all_roles"}
	for _, a := range words {
		for _, b := range words {
			d := distance(a, b)
			if (d == 0) != (a == b) || d != distance(b, a) || d > max(len(a), len(b)) || d < len(a)-len(b) {
				t.Errorf("%q to %q: %d", a, b, d)
			}
		}
	}
	for _, test := range []struct {
		a, b string
		want int
	}{{"role", "rolse", 1}, {"role", "orle", 1}, {"listen", "lisetn", 1}, {"kitten", "sitting", 3}, {"role", "", 4}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q to %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestShortFormsOfRulesAreRead(t *testing.T) {
	var r Rule
	if err := r.UnmarshalText([]byte("everyone")); err == nil || !strings.Contains(err.Error(), "{ role: everyone }") || r.Anyone {
		t.Errorf("%v, %+v", err, r)
	}
	var s SelfRule
	if err := s.UnmarshalText([]byte(" id ")); err != nil || s != (SelfRule{Name: "id"}) {
		t.Errorf("%v, %+v", err, s)
	}
}
