package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// rulesOf compiles rules of the short form for one path.
func rulesOf(t *testing.T, path, text string) *route {
	t.Helper()
	return mustCompile(t, testConfig("any", Route{Path: path, Allow: compactRules(t, text)})).routes[0]
}

// inWords writes groups of callers, one a line.
func inWords(groups []attributes) string {
	var lines []string
	for _, g := range groups {
		lines = append(lines, g.text(func(i int) string { return fmt.Sprintf("{%d}", i) }))
	}
	return strings.Join(lines, "\n")
}

func TestTheLeastThatMeetsARule(t *testing.T) {
	for _, test := range []struct{ rules, want string }{
		{"anyone", "anyone"},
		{"authenticated", "anyone logged in"},
		{"cidr:10.0.0.0/8", "anyone"},
		{"methods:POST+role:mod", ""},
		{"methods:GET+role:mod", "role mod"},
		{"role:user|role:user", "role user"},
		{"role:user+all_roles:mod,admin", "role admin and role mod and role user"},
		{"any_role:user,mod", "role mod\nrole user"},
		{"any_role:user,mod+any_user:a,b", "role mod and user a\nrole mod and user b\nrole user and user a\nrole user and user b"},
		{"self:id", "the user of {1}"},
		{"self:id=email+user:bob", "user bob and the email of {1}"},
		{"field:tenant=acme|field:tenant={id}", "field tenant: acme\nfield tenant: {1}"},
		{"role:user+max_age:10m", "role user"},
		{"client_cert:CN=a", "anyone"},
	} {
		r := rulesOf(t, "/x/{id}", test.rules)
		if got := inWords(answer{r, "GET"}.terms(r.allow)); got != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", test.rules, got, test.want)
		}
	}
}

func TestWaysInAreOneRuleOfEachReading(t *testing.T) {
	a, b := rulesOf(t, "/x/{id}", "role:user|user:bob"), rulesOf(t, "/x/{id}", "role:mod|anyone")
	list, ok := waysIn([]answer{{a, "GET"}, {b, "GET"}})
	want := "role user\nuser bob\nrole mod and role user\nrole mod and user bob"
	if got := inWords(list); got != want || !ok {
		t.Errorf("got\n%s", got)
	}
	if list, ok := waysIn(nil); list != nil || !ok {
		t.Errorf("nothing matched, and the ways in are %v", list)
	}
}

func TestEveryGroupIsAskedForWithEachDenial(t *testing.T) {
	table := mustCompile(t, testConfig("any", Route{Path: "/x", Allow: compactRules(t, "role:user"), Deny: compactRules(t, "role:mod")}))
	list, ok := groups([2][]answer{{{table.routes[0], "GET"}}, nil})
	want := "anyone\nanyone logged in\nrole mod\nrole user\nrole mod and role user"
	if got := inWords(list); got != want || !ok {
		t.Errorf("got\n%s", got)
	}
}

func TestAddressesAndAgesThatRulesTellApart(t *testing.T) {
	r := rulesOf(t, "/x", "role:user+cidr:10.0.0.0/8,10.1.0.0/16+max_age:1h|role:mod+max_age:10m")
	var got []string
	for _, s := range stands([2][]answer{{{r, "GET"}}, nil}) {
		got = append(got, s.client.String()+" "+s.age.String()+" "+s.attributes.text(nil))
	}
	never := time.Duration(maxDuration).String()
	want := []string{
		"192.0.2.1 " + never + " anyone",
		"10.0.0.0 " + never + " anyone from 10.0.0.0/8",
		"10.1.0.0 " + never + " anyone from 10.0.0.0/8 from 10.1.0.0/16",
		"192.0.2.1 10m0s anyone with a password at most 10m old with a password at most 1h old",
		"192.0.2.1 1h0m0s anyone with a password at most 1h old",
		"10.0.0.0 10m0s anyone from 10.0.0.0/8 with a password at most 10m old with a password at most 1h old",
		"10.0.0.0 1h0m0s anyone from 10.0.0.0/8 with a password at most 1h old",
		"10.1.0.0 10m0s anyone from 10.0.0.0/8 from 10.1.0.0/16 with a password at most 10m old with a password at most 1h old",
		"10.1.0.0 1h0m0s anyone from 10.0.0.0/8 from 10.1.0.0/16 with a password at most 1h old",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestCertificatesThatRulesTellApart(t *testing.T) {
	r := rulesOf(t, "/x", "client_cert:CN=a,O=x|client_cert:a|client_cert:b+cidr:10.0.0.0/8|client_cert:CN=b|client_cert:CN=b,O=other")
	var got []string
	for _, s := range stands([2][]answer{{{r, "GET"}}, nil}) {
		got = append(got, s.client.String()+" "+s.cert.Subject+" "+s.attributes.text(nil))
	}
	want := []string{
		"192.0.2.1  anyone",
		"10.0.0.0  anyone from 10.0.0.0/8",
		"192.0.2.1 CN=a,O=x anyone with the certificate CN=a,O=x with the certificate a",
		"192.0.2.1 CN=b anyone with the certificate CN=b with the certificate b",
		"192.0.2.1 CN=b,O=other anyone with the certificate CN=b,O=other with the certificate b",
		"192.0.2.1 CN=a anyone with the certificate a",
		"192.0.2.1 CN=b,O=other,O=other anyone with the certificate b",
		"10.0.0.0 CN=a,O=x anyone from 10.0.0.0/8 with the certificate CN=a,O=x with the certificate a",
		"10.0.0.0 CN=b anyone from 10.0.0.0/8 with the certificate CN=b with the certificate b",
		"10.0.0.0 CN=b,O=other anyone from 10.0.0.0/8 with the certificate CN=b,O=other with the certificate b",
		"10.0.0.0 CN=a anyone from 10.0.0.0/8 with the certificate a",
		"10.0.0.0 CN=b,O=other,O=other anyone from 10.0.0.0/8 with the certificate b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestTheLastAddressOfANetwork(t *testing.T) {
	for network, want := range map[string]string{
		"10.0.0.0/8": "10.255.255.255", "10.1.2.3/32": "10.1.2.3", "0.0.0.0/0": "255.255.255.255",
		"fd00::/8": "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::1/128": "::1",
	} {
		if got := lastOf(netip.MustParsePrefix(network)).String(); got != want {
			t.Errorf("%s ends at %s", network, got)
		}
	}
}

// probeOf makes a probe; words that begin with ~ are fresh.
func probeOf(path string) *probe {
	p := &probe{host: "h"}
	for word := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		s := spelling{text: word, plain: word}
		if strings.HasPrefix(word, "~") {
			s = spelling{text: word, fresh: true}
		}
		p.segments = append(p.segments, s)
	}
	p.slash = strings.HasSuffix(path, "/")
	return p
}

func TestCallersAreMadeOfWhatIsTrueOfThem(t *testing.T) {
	for _, test := range []struct{ rules, path, want string }{
		{"role:user+role:user", "/x/~a", "/x/~a roles [user]"},
		{"self:id", "/x/~a", `/x/~a id "~a" roles []`},
		{"self:id=username+user:bob", "/x/~a", `/x/bob name "bob" roles []`},
		{"self:id=username+user:bob", "/x/carol", "nobody"},
		{"self:id=username+user:bob", "/x/bob", `/x/bob name "bob" roles []`},
		{"self:id=email+field:tenant={id}", "/x/~a", `/x/~a email "~a" roles [] tenant [~a]`},
		{"field:tenant=acme+role:mod", "/x/~a", "/x/~a roles [mod] tenant [acme]"},
		{"self:id", "/x", "nobody"},
		{"field:tenant={id}", "/x", "nobody"},
		{"self:id=username+user:a%2Fb", "/x/~a", `/x/a%252Fb name "a%2Fb" roles []`},
	} {
		r := rulesOf(t, "/x/{id}", test.rules)
		c, own, ok := r.allow[0].terms()[0].embody(probeOf(test.path), stand{})
		got := "nobody"
		if s := c.Subject; ok {
			got = own.raw()
			for _, named := range [][2]string{{"id", s.ID}, {"name", s.Username}, {"email", s.Email}} {
				if named[1] != nobodys {
					got += fmt.Sprintf(" %s %q", named[0], named[1])
				}
			}
			got += fmt.Sprintf(" roles %v", s.Roles)
			if s.Fields["tenant"] != nil {
				got += fmt.Sprintf(" tenant %v", s.Fields["tenant"])
			}
		}
		if got != test.want {
			t.Errorf("%s at %s: got %s, want %s", test.rules, test.path, got, test.want)
		}
	}
}

func TestTwoUsersAreNobody(t *testing.T) {
	a, b := rulesOf(t, "/x", "user:alice").allow[0].terms()[0], rulesOf(t, "/x", "user:bob").allow[0].terms()[0]
	if _, _, ok := a.with(b...).embody(probeOf("/x"), stand{}); ok {
		t.Error("somebody is alice and bob")
	}
}

func TestWhatTwoPatternsBothMatch(t *testing.T) {
	for _, test := range []struct{ a, b, want string }{
		{"/a", "/a", "/a"},
		{"/", "/", "/"},
		{"/**", "/a", "/a"},
		{"/**", "/a/", "/a/"},
		{"/**", "/a/**", "/a/**"},
		{"/a/**", "/{x}/b/**", "/a/b/**"},
		{"/{a}/settings", "/users/{b}", "/users/settings"},
		{"/x/{a}", "/x/*", "/x/{a}"},
		{"/x/*", "/x/*", "/x/*"},
		{"/a%20b/**", "/*/c/{d}", "/a%20b/c/{d}"},
		{"/a", "/b", ""},
		{"/a", "/a/", ""},
		{"/a", "/a/b", ""},
		{"/a/", "/a/**", "/a/"},
		{"/a/b", "/a/b/**", "/a/b"},
		{"/a/b/c", "/x/**", ""},
	} {
		for _, pair := range [][2]string{{test.a, test.b}, {test.b, test.a}} {
			a, _ := parsePattern(pair[0])
			b, _ := parsePattern(pair[1])
			if got, ok := meet(a, b); got != test.want && got != strings.ReplaceAll(test.want, "/*", "/{a}") || ok != (test.want != "") {
				t.Errorf("%s and %s: got %q, want %q", pair[0], pair[1], got, test.want)
			}
		}
	}
}

func TestExceptionsAreTheWidestGroupsWithin(t *testing.T) {
	term := func(text string) attributes { return rulesOf(t, "/x", text).allow[0].terms()[0] }
	login := term("authenticated")
	among := []attributes{nil, term("role:user"), term("role:user+user:bob"), term("user:eve"), term("role:admin"), term("role:mod")}
	names := func(int) string { return "" }
	if got, want := login.exceptions(among).text(names), ", except role user and user eve and role admin and others"; got != want {
		t.Errorf("got %q", got)
	}
	if got := term("role:user").exceptions(among).text(names); got != ", except user bob" {
		t.Errorf("got %q", got)
	}
	if got := term("user:eve").exceptions(among); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestFreshSegmentsAreEqualToNothing(t *testing.T) {
	table := mustCompile(t, testConfig("any", Route{Path: "/~~a/**", Allow: compactRules(t, "user:~~~x|field:tenant=~~~~")}))
	if got := unheardOf(table); got != "~~~~~" {
		t.Errorf("got %q", got)
	}
}

func TestEverySpellingIsReadAsTheLiteralByIIS(t *testing.T) {
	for _, literal := range []string{"admin", "Admin", "a1", "caf%C3%A9", "1", "a%20b"} {
		for _, text := range spellings(literal) {
			table := mustCompile(t, testConfig("iis", Route{Path: "/" + literal, Allow: []Rule{{Anyone: true}}}))
			p, err := ParsePath("/" + text)
			if err != nil {
				t.Errorf("%s: %v", text, err)
			} else if m := table.Match("GET", "", p); m.Route() != 0 {
				t.Errorf("%s is not read as %s", text, literal)
			}
		}
	}
}

func TestTheWalkComesByEveryRoute(t *testing.T) {
	config := testConfig("exact")
	for _, path := range []string{"/", "/a", "/a/", "/a/**", "/a/{x}/c", "/{x}/{y}", "/a/b/c", "/{x}/b/**", "/caf%C3%A9/*", "/a/{x}/", "/~a"} {
		for _, host := range []string{"", "a.example.com", "*.example.com", "*.b.example.com", "[::1]"} {
			config.Routes = append(config.Routes, Route{Host: host, Path: path, Allow: []Rule{{Anyone: true}}})
		}
	}
	table := mustCompile(t, config)
	met := make([]bool, len(config.Routes))
	e := newExplorer(table, &Table{})
	for _, host := range e.hosts() {
		e.walk(host, func(p *probe) {
			path, err := ParsePath(p.raw())
			if err != nil {
				t.Fatalf("%s: %v", p.raw(), err)
			}
			if m := table.Match("GET", p.host, path); m.Route() >= 0 {
				met[m.Route()] = true
			}
		})
	}
	for i, ok := range met {
		if !ok {
			t.Errorf("no probe is answered by %s", table.routes[i].info.Label)
		}
	}
}

func TestTheWalkEndsAtItsBound(t *testing.T) {
	table := grown(t, 100, "mod")
	e := newExplorer(table, table)
	e.left = 50
	visits := 0
	if e.walk("h", func(*probe) { visits++ }) || visits > 2*50 {
		t.Errorf("%d visits", visits)
	}
	d := newDiffer(table, grown(t, 100, "other"))
	d.paths.left = 0
	d.incomplete = !d.paths.walk("h", d.ask)
	if list := d.changes(); len(list) != 1 || !list[0].Opens {
		t.Errorf("a comparison that was not made says %+v", list)
	}
}

func TestHostsAreShownAsTheFileNamesThem(t *testing.T) {
	table := mustCompile(t, testConfig("any",
		Route{Host: "*.example.com", Path: "/a", Allow: []Rule{{Anyone: true}}}, Route{Host: "*.b.example.com", Path: "/a", Allow: []Rule{{Anyone: true}}},
		Route{Host: "A.example.com", Path: "/a", Allow: []Rule{{Anyone: true}}}))
	var got []string
	for _, host := range newExplorer(table, &Table{}).hosts() {
		got = append(got, shownHost(host))
	}
	if want := []string{"", "*.example.com", "*.b.example.com", "a.example.com"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestMethodsAreShownTogether(t *testing.T) {
	d := &differ{methods: []string{"DELETE", "GET", "HEAD", otherMethod}}
	for _, test := range []struct{ list, want string }{
		{"GET", "GET"}, {"HEAD GET", "GET, HEAD"}, {"DELETE GET HEAD " + otherMethod, "any"}, {otherMethod + " DELETE", "any but GET, HEAD"},
	} {
		if got := d.shownMethods(strings.Fields(test.list)); got != test.want {
			t.Errorf("%s: got %s", test.list, got)
		}
	}
}
