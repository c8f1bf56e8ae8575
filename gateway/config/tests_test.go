package config

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/policy"
)

const tested = `upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]
auth: { roles: [user, admin], profile: { fields: [{ name: tenant }] } }
routes:
  - { path: /public/**, allow: anyone }
  - { path: /admin/**, allow: { role: admin, max_age: 1h } }
  - { path: "/t/{tenant}/**", allow: { field: { name: tenant, equals: "{tenant}" } } }
  - { path: /lan, allow: { cidr: [10.0.0.0/8] } }
`

func TestTheFilesOwnTestsRunWhenItIsChecked(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"{ request: GET /public/x, expect: allow }", ""},
		{"{ request: GET /admin/x, as: { roles: [user] }, expect: forbidden }", ""},
		{"{ request: GET /admin/x, as: { roles: [admin], age: 2h }, expect: unauthenticated }", ""},
		{"{ request: GET /t/acme/x, as: { fields: [{ name: tenant, equals: acme }] }, expect: allow }", ""},
		{"{ request: GET /lan, as: { client: 10.1.2.3 }, expect: allow }", ""},
		{"{ request: GET /nowhere, expect: no_route }", ""},
		{"{ request: GET /admin/x, as: { user: bob, id: '7', email: b@c.test, roles: [admin] }, expect: forbidden }",
			"gateway.yaml:9:5: test failed: GET /admin/x as user bob, id 7, email b@c.test, roles [admin]: expected forbidden, got allow (route /admin/**: rule at gateway.yaml:5:31)"},
		{"{ request: GET /admin/x, expect: allow }", "gateway.yaml:9:5: test failed: GET /admin/x as nobody: expected allow, got unauthenticated (route /admin/**: unauthenticated)"},
		{"{ request: GET /lan, as: { client: 11.1.2.3, roles: [], age: 5m }, expect: allow }", "gateway.yaml:9:5: test failed: GET /lan as roles [], client 11.1.2.3, age 5m0s: expected allow, got forbidden"},
		{"{ request: GET /t/acme/x, as: { fields: [{ name: tenant, equals: other }] }, expect: allow }", "gateway.yaml:9:5: test failed: GET /t/acme/x as field tenant=other: expected allow"},
		{"{ request: GET /admin/x, as: { roles: [boss] }, expect: forbidden }", `gateway.yaml:9:5: unknown role "boss"`},
		{"{ request: GET /admin/x, as: { role: user }, expect: forbidden }", `gateway.yaml:9:36: unknown key "role"`},
		{"{ request: GET /admin/x, expect: 403 }", "gateway.yaml:9:38: tests[0].expect: must be a text"},
		{"{ request: /admin/x, expect: forbidden }", "gateway.yaml:9:5: "},
	} {
		got := checked(tested + "tests:\n  - " + test.line + "\n")
		if test.want == "" && got != "" || !strings.HasPrefix(got, test.want) || strings.Contains(got, "\n") {
			t.Errorf("%s\ngot  %s\nwant %s", test.line, got, test.want)
		}
	}
}

// A policy that is refused anyway is not tested: every test would fail, and
// bury the one mistake.
func TestTestsOfABrokenPolicyAreNotRun(t *testing.T) {
	got := checked(strings.Replace(tested, "role: admin", "role: boss", 1) + "tests: [{ request: GET /public/x, expect: forbidden }]\n")
	if !strings.Contains(got, `unknown role "boss"`) || strings.Contains(got, "test failed") {
		t.Errorf("got %s", got)
	}
}

// To explain a decision helps most while a test of it fails.
func TestAFailingTestDoesNotKeepThePolicyFromBeingLookedAt(t *testing.T) {
	src := Source{Path: "gateway.yaml", Data: []byte(tested + "tests: [{ request: GET /public/x, expect: forbidden }]\n")}
	if file, findings := CheckPolicy(src); file == nil || len(file.Tests) != 1 {
		t.Errorf("got %v", findings)
	}
	if file, _ := Check(src); file != nil {
		t.Error("a failing test was let through")
	}
}

func TestAFileOfTestsIsReadAsStrictlyAsTheConfiguration(t *testing.T) {
	conf := policy.Config{Roles: []string{"user"}}
	for _, test := range []struct{ yaml, want string }{
		{"tests:\n  - { request: GET /, as: { roles: [user] }, expect: allow }\n", ""},
		{"tests:\n  - { request: GET /, expct: allow }\n", `t.yaml:2:23: unknown key "expct" (did you mean "expect"?)`},
		{"test:\n  - { request: GET /, expect: allow }\n", `t.yaml:1:1: unknown key "test" (did you mean "tests"?)`},
		{"routes: []\ntests: [{ request: GET /, expect: allow }]\n", `t.yaml:1:1: unknown key "routes"`},
		{"tests: [{ request: GET /, as: { roles: [boss] }, expect: allow }]\n", `t.yaml:1:9: unknown role "boss"`},
		{"tests: [{ request: GET /, as: { id: 42 }, expect: allow }]\n", `t.yaml:1:37: tests[0].as.id: must be a text: put it in quotes, "42"`},
		{"tests: [{ request: GET /, as: { age: 5 }, expect: allow }]\n", `t.yaml:1:38: tests[0].as.age: 5 needs a unit`},
		{"", "t.yaml: tests: there is none"}, {"tests: []\n", "t.yaml: tests: there is none"},
		{"tests: [\n", "t.yaml:"}, {"\xff", "t.yaml:1:1: not UTF-8 text"},
	} {
		tests, findings := LoadTests("t.yaml", []byte(test.yaml), conf)
		got := ""
		for _, f := range findings {
			got += f.String() + "\n"
		}
		if (tests != nil) != (test.want == "") || !strings.HasPrefix(got, test.want) {
			t.Errorf("%q:\ngot  %s\nwant %s", test.yaml, got, test.want)
		}
	}
}
