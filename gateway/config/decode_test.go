package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/policy"
)

// messages loads a file with no environment and returns its findings as a
// user sees them.
func messages(yaml string) []string {
	_, findings := readSource(Source{Path: "gateway.yaml", Data: []byte(yaml)})
	var all []string
	for _, f := range findings {
		all = append(all, f.String())
	}
	return all
}

// readSource is Check without what the packages say of their parts.
func readSource(src Source) (*File, []Finding) {
	file, d := load(src)
	return outcome(file, d.findings)
}

func mustLoad(t *testing.T, src Source) *File {
	t.Helper()
	file, findings := readSource(src)
	for _, f := range findings {
		t.Errorf("finding: %s", f)
	}
	if file == nil {
		t.FailNow()
	}
	return file
}

func TestEveryMistakeIsReportedAtItsPlaceWithWhatToWrite(t *testing.T) {
	for _, test := range []struct{ name, yaml, want string }{
		{"a key with a slip", "routes:\n  - path: /a\n    allow:\n      - rolse: admin\n", `gateway.yaml:4:9: unknown key "rolse" (did you mean "role"?)`},
		{"two letters swapped", "lisetn: :80\n", `gateway.yaml:1:1: unknown key "lisetn" (did you mean "listen"?)`},
		{"a key like no other", "colour: red\n", `gateway.yaml:1:1: unknown key "colour"`},
		{"a key of another case", "Listen: \":80\"\n", `gateway.yaml:1:1: unknown key "Listen" (did you mean "listen"?)`},
		{"a key that is a number", "1: x\n", `gateway.yaml:1:1: unknown key "1"`},
		{"a key that is a list", "? [a, b]\n: x\n", `gateway.yaml:1:3: a key must be a word, not a list`},
		{"a key that is nothing", "? \n", `gateway.yaml:1:2: a key has no name: write one before the colon, or remove the line`},
		{"a value without a key", "listen: :80\n'': deny\n", `gateway.yaml:2:1: a key has no name: write one before the colon, or remove the line`},
		{"a key that is an empty text", "store:\n  \"\": a.db\n", `gateway.yaml:2:3: store: a key has no name: write one before the colon, or remove the line`},
		{"a key that stands twice", "store:\n  path: a.db\n  path: b.db\n", `gateway.yaml:3:3: duplicate key "path": it stands in line 2 already`},
		{"a key that is the path of another", "store: { path: a.db }\nstore.path: b.db\n", `gateway.yaml:2:1: unknown key "store.path"`},
		{"a key that is the path of a list's entry", "hosts: [a]\nhosts[0]: b\n", `gateway.yaml:2:1: unknown key "hosts[0]"`},
		{"a key that is the path of another, before it", "store.path: b.db\nstore: { path: 5 }\n", "gateway.yaml:1:1: unknown key \"store.path\"\ngateway.yaml:2:16: store.path: must be a text: put it in quotes, \"5\""},
		{"a key that stands twice and is unknown", "colour: red\ncolour: red\n", "gateway.yaml:1:1: unknown key \"colour\"\ngateway.yaml:2:1: duplicate key \"colour\": it stands in line 1 already"},

		{"a number for a text", "listen: 8080\n", `gateway.yaml:1:9: listen: must be an address: write ":8080", or 127.0.0.1:8080 for this machine alone`},
		{"a port for the admin's address", "admin: { listen: 9901 }\n", `gateway.yaml:1:18: admin.listen: must be an address: write 127.0.0.1:9901`},
		{"a number for another text", "store: { path: 5 }\n", `gateway.yaml:1:16: store.path: must be a text: put it in quotes, "5"`},
		{"a list of roles in a rule", "routes:\n  - path: /a\n    allow: { roles: [admin] }\n", `gateway.yaml:3:14: unknown key "roles" (did you mean "any_role"?)`},
		{"a list of users in a rule", "routes:\n  - path: /a\n    allow: { users: [alice] }\n", `gateway.yaml:3:14: unknown key "users" (did you mean "any_user"?)`},
		{"one role in a rule", "routes:\n  - path: /a\n    allow: { roles: admin }\n", `gateway.yaml:3:14: unknown key "roles" (did you mean "role"?)`},
		{"a truth for a text", "auth: { issuer: true }\n", `gateway.yaml:1:17: auth.issuer: must be a text: put it in quotes, "true"`},
		{"a list for a text", "listen: [a]\n", `gateway.yaml:1:9: listen: must be a text, not a list`},
		{"a mapping for a text", "listen:\n  port: 80\n", `gateway.yaml:2:3: listen: must be a text, not a mapping of keys`},
		{"a text with a line break", "listen: \"a\\nb\"\n", `gateway.yaml:1:9: listen: must not hold a control character`},
		{"a text for a list", "hosts: app.example.com\n", `gateway.yaml:1:8: hosts: must be a list, not a text: put it in brackets, [ and ]`},
		{"a mapping for a list", "upstreams:\n  name: app\n", `gateway.yaml:2:3: upstreams: must be a list, not a mapping of keys: put a dash (- ) before it`},
		{"a text for a mapping", "store: postern.db\n", `gateway.yaml:1:8: store: must be a mapping of keys, not a text`},
		{"a list for a mapping", "store: [postern.db]\n", `gateway.yaml:1:8: store: must be a mapping of keys, not a list`},
		{"a list for the file", "- a\n", `gateway.yaml:1:1: must be a mapping of keys, not a list`},
		{"a text for the file", "hello\n", `gateway.yaml:1:1: must be a mapping of keys, not a text`},

		{"a duration without a unit", "auth: { access_token: { ttl: 15 } }\n", `gateway.yaml:1:30: auth.access_token.ttl: 15 needs a unit: write 15m or 15s`},
		{"a quoted duration without a unit", "auth: { access_token: { ttl: \"15\" } }\n", `gateway.yaml:1:30: auth.access_token.ttl: 15 needs a unit: write 15m or 15s`},
		{"zero without a unit", "auth: { refresh_token: { reuse_grace: 0 } }\n", `gateway.yaml:1:39: auth.refresh_token.reuse_grace: 0 needs a unit: write 0m or 0s`},
		{"a duration below zero", "auth: { access_token: { ttl: -5m } }\n", `gateway.yaml:1:30: auth.access_token.ttl: must be a duration such as 90s, 15m, 12h or 7d, not "-5m"`},
		{"weeks", "auth: { access_token: { ttl: 2w } }\n", `gateway.yaml:1:30: auth.access_token.ttl: must be a duration such as 90s, 15m, 12h or 7d, not "2w"`},
		{"no end of days", "auth: { access_token: { ttl: 40000d } }\n", `gateway.yaml:1:30: auth.access_token.ttl: 40000d is too long`},

		{"yes for true", "auth: { cookie: { persistent: yes } }\n", `gateway.yaml:1:31: auth.cookie.persistent: must be true or false: write true for yes`},
		{"off for false", "auth: { cookie: { persistent: off } }\n", `gateway.yaml:1:31: auth.cookie.persistent: must be true or false: write false for off`},
		{"True for true", "auth: { cookie: { persistent: True } }\n", `gateway.yaml:1:31: auth.cookie.persistent: must be true or false: write true for True`},
		{"1 for true", "auth: { cookie: { persistent: 1 } }\n", `gateway.yaml:1:31: auth.cookie.persistent: must be true or false: write true for 1`},
		{"true in quotes", "auth: { cookie: { persistent: \"true\" } }\n", `gateway.yaml:1:31: auth.cookie.persistent: must be true or false: leave out the quotes`},
		{"a number in quotes", "auth: { lockout: { attempts: '5' } }\n", `gateway.yaml:1:30: auth.lockout.attempts: must be a whole number: leave out the quotes`},
		{"an octal number", "auth: { lockout: { attempts: 010 } }\n", `gateway.yaml:1:30: auth.lockout.attempts: must be a whole number in decimal digits, not "010"`},
		{"a hexadecimal number", "auth: { lockout: { attempts: 0x10 } }\n", `gateway.yaml:1:30: auth.lockout.attempts: must be a whole number in decimal digits, not "0x10"`},
		{"a number with an underscore", "auth: { lockout: { attempts: 1_000 } }\n", `gateway.yaml:1:30: auth.lockout.attempts: must be a whole number in decimal digits, not "1_000"`},
		{"half a number", "auth: { lockout: { attempts: 2.5 } }\n", `gateway.yaml:1:30: auth.lockout.attempts: must be a whole number in decimal digits, not "2.5"`},
		{"a number beyond all bounds", "auth: { lockout: { attempts: 99999999999999999999 } }\n", `gateway.yaml:1:30: auth.lockout.attempts: 99999999999999999999 is too large`},

		{"an anchor and its alias", "hosts: &h [a]\nauth: { audience: *h }\n", "gateway.yaml:1:8: anchors (&h) are not supported: write the value out where it is needed\ngateway.yaml:2:19: aliases (*h) are not supported: write the value out"},
		{"a merge key", "store:\n  <<: { path: a.db }\n", `gateway.yaml:2:3: store: merge keys (<<) are not supported: write the keys out`},
		{"a tag", "listen: !!str 80\n", `gateway.yaml:1:9: tags (!!str) are not supported`},
		{"a tag of one's own", "listen: !env LISTEN\n", `gateway.yaml:1:9: tags (!env) are not supported`},
		{"a second document", "listen: :80\n---\nlisten: :81\n", `gateway.yaml:2:1: a second document starts here (---): gateway.yaml is one document`},
		{"an empty second document", "listen: :80\n---\n", `gateway.yaml:2:1: a second document starts here (---): gateway.yaml is one document`},

		{"an empty entry", "hosts: [a, ]\nauth:\n  roles:\n    - user\n    -\n", `gateway.yaml:5:6: auth.roles[1]: an empty entry: fill it in or remove it`},
		{"an entry that lost its value", "upstreams:\n  - name:\n    urls: [http://a]\n", `gateway.yaml:2:10: upstreams[0].name: has no value: give it one, or leave the key out`},

		{"a secret twice", "store: { dsn: a, dsn_file: b }\n", `gateway.yaml:1:28: store: give either dsn or dsn_file, not both`},
		{"a number for a secret is not shown", "store: { dsn: 4711 }\n", `gateway.yaml:1:15: store.dsn: must be a text: put it in quotes`},
		{"a twin of what is no secret", "store: { path_file: b }\n", `gateway.yaml:1:10: unknown key "path_file"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(messages(test.yaml), "\n"); got != test.want {
				t.Errorf("%s\ngot  %s\nwant %s", test.yaml, got, test.want)
			}
		})
	}
}

// A rule that loses a condition lets more people in, so nothing that looks
// like a condition may count as none (oauth2-proxy CVE-2021-21411, CF-04).
func TestARuleNeverLosesAConditionByAccident(t *testing.T) {
	for _, rule := range []string{
		"{ role: '', methods: [GET] }",
		"{ role: , methods: [GET] }",
		"{ role: ~, methods: [GET] }",
		"{ role: null, methods: [GET] }",
		"{ any_role: [], methods: [GET] }",
		"{ any_role: [''], methods: [GET] }",
		"{ any_role: [~], methods: [GET] }",
		"{ any_role: , methods: [GET] }",
		"{ roles: admin, methods: [GET] }",
		"{ role: admin, methods: [] }",
		"{ role: admin, methods: }",
		"{ role: admin, cidr: [] }",
		"{ role: [admin] }",
		"{ role: { name: admin } }",
		"{ Role: admin, methods: [GET] }",
		"{ role : admin, <<: { methods: [GET] } }",
		"{ self: '' }",
		"{ self: , role: user }",
		"{ field: { name: tenant, equals: '' } }",
		"{ field: , role: user }",
		"[[{ role: admin }]]",
		"~",
		"[~]",
		"!!str anyone",
		"&a anyone",
	} {
		for _, key := range []string{"allow", "deny"} {
			yaml := "routes:\n  - path: /**\n    " + key + ": " + rule + "\n"
			if file, findings := readSource(Source{Data: []byte(yaml)}); file != nil || !Failed(findings) {
				t.Errorf("%s: %s was taken", key, rule)
			}
		}
	}
}

func TestAllMistakesAreReportedAtOnceInTheOrderOfTheFile(t *testing.T) {
	got := messages(`lissten: :80
auth:
  access_token: { ttl: 15, algorithm: [ES256] }
  rolles: [user]
routes:
  - path: 5
    allow: { role: admin, rolse: x }
    methods: GET
`)
	want := []string{
		`gateway.yaml:1:1: unknown key "lissten" (did you mean "listen"?)`,
		`gateway.yaml:3:24: auth.access_token.ttl: 15 needs a unit: write 15m or 15s`,
		`gateway.yaml:3:39: auth.access_token.algorithm: must be a text, not a list`,
		`gateway.yaml:4:3: unknown key "rolles" (did you mean "roles"?)`,
		`gateway.yaml:6:11: routes[0].path: must be a text: put it in quotes, "5"`,
		`gateway.yaml:7:27: unknown key "rolse" (did you mean "role"?)`,
		`gateway.yaml:8:14: routes[0].methods: must be a list, not a text: put it in brackets, [ and ]`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnEmptyFileIsAllDefaults(t *testing.T) {
	want := defaults()
	for _, yaml := range []string{"", "\n", "# nothing\n", "---\n", "{}\n", "\ufeff", "store:\nauth:\nroutes:\nupstreams:\n", "auth: { access_token: { ttl: } }\n", "auth: { access_token: ~ }"} {
		got := mustLoad(t, Source{Data: []byte(yaml)})
		want.Digest = got.Digest // of the text, and no setting
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q\ngot  %+v\nwant %+v", yaml, got, want)
		}
	}
	if len(want.Routes) != 0 || len(want.Upstreams) != 0 {
		t.Errorf("the defaults let something through: %+v", want)
	}
}

func TestValuesArriveAsWritten(t *testing.T) {
	file := mustLoad(t, Source{Path: "gateway.yaml", Data: []byte("\ufefflisten: ':80'\n" + `
hosts: [Billing.Example.COM]
store: { path: /var/lib/postern.db }
upstreams:
  - name: Billing.App
    urls: http://127.0.0.1:9000
    method_override: true
    timeouts: { dial: 1m30s }
auth:
  roles: [user, Admin]
  audience: []
  access_token: { ttl: 1d12h }
  refresh_token: { ttl: 7d }
  password: { memory_budget: 64MiB, min_length: 12 }
  profile: { fields: [{ name: tenant }] }
routes:
  - path: /t/{tenant}/**
    host: "*.Example.com"
    methods: [GET, POST]
    upstream: Billing.App
    timeout: 5s
    max_body: 1048576
    allow:
      - authenticated
      - role: Admin
        methods: [POST]
      - field: { name: tenant, equals: "{tenant}" }
      - self: tenant
      - self: { name: tenant, is: username }
    deny: { any_user: [mallory, 2024-01-01] }
  - path: /public/**
    allow: anyone
`)})
	if file.Listen != ":80" || file.Hosts[0] != "Billing.Example.COM" || file.Store.Path != "/var/lib/postern.db" || file.Store.KeyFile != "postern.key" {
		t.Errorf("scalars: %+v", file)
	}
	if up := file.Upstreams[0]; up.Name != "Billing.App" || !slices.Equal(up.URLs, []string{"http://127.0.0.1:9000"}) || !up.MethodOverride || up.Timeouts.Dial != 90*time.Second {
		t.Errorf("upstream: %+v", up)
	}
	accounts := file.AuthConfig()
	if accounts.AccessToken.TTL != 36*time.Hour || accounts.RefreshToken.TTL != 7*24*time.Hour || accounts.AccessToken.Algorithm != "ES256" {
		t.Errorf("tokens: %+v", accounts)
	}
	if accounts.Password.MemoryBudget != 64<<20 || accounts.Password.MinLength != 12 || accounts.Password.MaxLength != 256 || len(accounts.Audience) != 0 {
		t.Errorf("accounts: %+v", accounts)
	}
	if accounts.Issuer != "http://localhost:8080" {
		t.Errorf("issuer %q, want the public URL", accounts.Issuer)
	}
	where := func(line, column int) policy.Pos { return policy.Pos{File: "gateway.yaml", Line: line, Column: column} }
	want := policy.Config{
		Routes: []policy.Route{
			{
				Pos: where(18, 5), Path: "/t/{tenant}/**", Host: "*.Example.com", Methods: []string{"GET", "POST"}, Upstream: "Billing.App",
				Allow: []policy.Rule{
					{Pos: where(25, 9), Authenticated: true},
					{Pos: where(26, 9), Role: "Admin", Methods: []string{"POST"}},
					{Pos: where(28, 9), Field: &policy.FieldRule{Name: "tenant", Equals: "{tenant}"}},
					{Pos: where(29, 9), Self: &policy.SelfRule{Name: "tenant"}},
					{Pos: where(30, 9), Self: &policy.SelfRule{Name: "tenant", Is: "username"}},
				},
				Deny: []policy.Rule{{Pos: where(31, 11), AnyUser: []string{"mallory", "2024-01-01"}}},
			},
			{Pos: where(32, 5), Path: "/public/**", Allow: []policy.Rule{{Pos: where(33, 12), Anyone: true}}},
		},
		Roles:     []string{"user", "Admin"},
		Upstreams: []policy.Upstream{{Name: "Billing.App", MethodOverride: true}},
		Fields:    []policy.Field{{Name: "tenant"}},
	}
	if got := file.Policy(); !reflect.DeepEqual(got, want) {
		t.Errorf("policy\ngot  %+v\nwant %+v", got, want)
	}
	options := file.RouteOptions()
	if len(options) != 2 || options[0].Timeout != 5*time.Second || options[0].MaxBody != 1<<20 || options[1].Timeout != 0 {
		t.Errorf("route options: %+v", options)
	}
}

func TestAListInTheFileReplacesTheDefaultWhole(t *testing.T) {
	file := mustLoad(t, Source{Data: []byte("identity: { headers: [] }\nauth: { roles: [editor], token_sources: [cookie] }\n")})
	if len(file.Identity.Headers) != 0 || !slices.Equal(file.Policy().Roles, []string{"editor"}) || !slices.Equal(file.WebConfig().TokenSources, []string{"cookie"}) {
		t.Errorf("got %+v", file)
	}
}

// CF-08: no file costs more than its length.
func TestAFileCannotGrowInTheReading(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+",", 9) + "]\n"
	}
	for _, test := range []struct{ name, yaml, want string }{
		{"aliases of aliases", bomb, "aliases (*a) are not supported"},
		{"an alias of itself", "hosts: &a [*a]\n", "aliases (*a) are not supported"},
		{"brackets in brackets", "hosts: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "\n", "nested more than 32 levels deep"},
		{"no end of brackets", "hosts: " + strings.Repeat("[", 500000), "not YAML"},
		{"sixteen megabytes and more", strings.Repeat("#", maxFile) + "\n", "the file has more than 16 MiB"},
		{"a key of a megabyte", strings.Repeat("k", 1<<20) + ": 1\n", "not YAML: mapping values are not allowed in this context"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(messages(test.yaml), "\n"); !strings.Contains(got, test.want) {
				t.Errorf("got %.300s\nwant %s", got, test.want)
			}
		})
	}
}

func TestBrokenYAMLIsReportedWithItsLine(t *testing.T) {
	for _, test := range []struct{ name, yaml, want string }{
		{"a tab", "store:\n\tpath: a.db\n", "gateway.yaml:2:1: not YAML: found character that cannot start any token; there is a tab, and YAML indents by spaces only"},
		{"an open quote", "listen: \"a\n", "gateway.yaml:1:1: not YAML: found unexpected end of stream; is a quote not closed?"},
		{"an open bracket", "hosts: [a\nlisten: b\n", "gateway.yaml:1:1: not YAML: did not find expected ',' or ']'"},
		{"an open bracket far above the end", "# words\nlisten: a\nhosts:\n  [a\nstore:\n  path: b\n", "gateway.yaml:4:3: not YAML: did not find expected ',' or ']'; is a bracket not closed"},
		{"an entry in the wrong place", "listen: a\n - b\n c: d\n", "gateway.yaml:3:2: not YAML: mapping values are not allowed in this context; is a line indented differently"},
		{"in the second document", "listen: a\n---\nhosts: [\n", "gateway.yaml:3:1: not YAML: did not find expected node content"},
		{"one blank too little", "listen: a\nroutes:\n  - path: /a\n    # words\n   methods: [GET]\n    allow: anyone\n", "gateway.yaml:5:4: not YAML: did not find expected '-' indicator; is a line indented differently"},
		{"one blank too many", "store:\n  path: a.db\n   driver: sqlite\nlisten: a\n", "gateway.yaml:3:4: not YAML: mapping values are not allowed in this context; is a line indented differently"},
		{"brackets over several lines above the mistake", "hosts: [\n  a,\n  b\n]\nstore:\n  path: a.db\n driver: sqlite\n", "gateway.yaml:7:2: not YAML: did not find expected key"},
		{"a dash missing", "hosts:\n  - a\n  b\n  - c\n", "gateway.yaml:3:3: not YAML: could not find expected ':'; is a line indented differently"},
		{"a star", "routes:\n  - path: *\n    allow: anyone\n", "gateway.yaml:2:3: not YAML: did not find expected alphabetic or numeric character; a text that begins with * or & needs quotes"},
		{"an at sign", "listen: a\npublic_url: @b\n", "gateway.yaml:2:1: not YAML: found character that cannot start any token; a text that begins with this character needs quotes"},
		{"a NUL", "listen: \x00\n", "gateway.yaml:1:1: not YAML: control characters are not allowed"},
		{"not UTF-8", "listen: a\nhosts: [\xff]\n", "gateway.yaml:2:9: not UTF-8 text"},
		{"UTF-16", "\xff\xfel\x00", "gateway.yaml:1:1: not UTF-8 text"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(messages(test.yaml), "\n"); !strings.HasPrefix(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// The manual file invites it: the "#" of a key is removed, and the one of the
// key above it is forgotten.
func TestAKeyWhoseParentIsStillCommentedOutIsFoundInTheManualFile(t *testing.T) {
	broken := strings.Replace(reference, "#  level: info", "  level: info", 1)
	line := 1 + strings.Count(broken[:strings.Index(broken, "  level: info")], "\n")
	want := fmt.Sprintf("gateway.yaml:%d:3: not YAML: did not find expected key; is a line indented differently from its neighbours, or is the key above it still commented out?", line)
	_, findings := Check(Source{Path: "gateway.yaml", Data: []byte(broken)})
	if len(findings) != 1 || findings[0].String() != want {
		t.Errorf("got  %v\nwant %s, and nothing else", findings, want)
	}
}

// What cannot be read at all says nothing of upstreams, routes or roles.
func TestNoOtherFindingFollowsTextThatIsNotYAML(t *testing.T) {
	for _, yaml := range []string{"listen: [\n", "store:\n\tpath: a\n", "listen: \xff\n", strings.Repeat("#", maxFile+1), "- a\n"} {
		src := Source{Path: "gateway.yaml", Data: []byte(yaml)}
		for name, check := range map[string]func(Source) (*File, []Finding){"Check": Check, "CheckAccounts": CheckAccounts, "CheckPolicy": CheckPolicy} {
			if file, findings := check(src); file != nil || len(findings) != 1 {
				t.Errorf("%s of %.20q: %v", name, yaml, findings)
			}
		}
	}
}

// CF-08: a quote that nothing closes makes every prefix of the file a candidate.
func TestTheSearchForTheBrokenLineIsBounded(t *testing.T) {
	got := messages("listen: \"a\n" + strings.Repeat("b\n", 1<<19))
	if len(got) != 1 || !strings.Contains(got[0], "not YAML: found unexpected end of stream") {
		t.Errorf("got %.300s", got)
	}
}

// FuzzLoad: whatever the file, reading it ends, and every finding stands
// inside it.
func FuzzLoad(f *testing.F) {
	for _, seed := range append(sections(uncommented()), "", "a: [", "routes: [{path: /, allow: [anyone]}]", "? a", "- - -", "a: &b *b", "auth: {access_token: {ttl: 1d}}", "x: !!binary a", "\ufeff---\n---") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, yaml string) {
		file, findings := readSource(Source{Path: "f", Data: []byte(yaml)})
		if (file == nil) != Failed(findings) {
			t.Fatalf("file %v with findings %v", file, findings)
		}
		lines := strings.Count(yaml, "\n") + strings.Count(yaml, "\r") + strings.Count(yaml, "\u0085") + strings.Count(yaml, "\u2028") + strings.Count(yaml, "\u2029") + 2
		for _, finding := range findings {
			if finding.File != "f" || finding.Line < 1 || finding.Line > lines || finding.Column < 1 || finding.Message == "" {
				t.Fatalf("finding outside of the file (%d lines): %+v", lines, finding)
			}
		}
	})
}
