package config

import (
	"strings"
	"testing"
)

func checked(yaml string) string {
	_, findings := Check(Source{Path: "gateway.yaml", Data: []byte(yaml)})
	var all []string
	for _, f := range findings {
		if !strings.Contains(f.Message, "upstreams: there is none") {
			all = append(all, f.String())
		}
	}
	return strings.Join(all, "\n")
}

func TestFindingsOfThePackagesStandAtTheValueTheyAreAbout(t *testing.T) {
	for _, test := range []struct{ name, yaml, want string }{
		{"a value in the file", "auth:\n  access_token:\n    algorithm: none\n", "gateway.yaml:3:16: auth.access_token.algorithm: unknown algorithm"},
		{"an entry of a list", "auth:\n  roles: [user, '']\n", "gateway.yaml:2:17: auth.roles[1]: "},
		{"a key of an entry", "auth:\n  profile:\n    fields:\n      - name: '?'\n", "gateway.yaml:4:15: auth.profile.fields[0].name: "},
		{"a number of bytes that was meant as MiB", "auth: { password: { memory_budget: 256 } }\n", "gateway.yaml:1:36: auth.password.memory_budget: needs a unit, 256 alone are bytes: write 256MiB"},
		{"too little memory", "auth: { password: { memory_budget: 1MiB } }\n", "gateway.yaml:1:36: auth.password.memory_budget: 1MiB is too little"},
		{"the web's part", "auth:\n  prefix: auth\n", "gateway.yaml:2:11: auth.prefix: must be a path such as /auth"},
		{"what does not fit the public URL", "public_url: https://a.test\nauth: { cookie: { domain: b.test } }\n", "gateway.yaml:2:27: auth.cookie.domain: is b.test, but "},
		{"a host that cannot share the login", "public_url: https://a.x.test\nhosts: [b.x.test, 'X.test:8443', bx.test]\nauth: { cookie: { domain: x.test } }\n", "gateway.yaml:2:34: warning: hosts[2]: bx.test is outside auth.cookie.domain (x.test): "},
		{"an alias's path", "auth:\n  aliases:\n    - path: /a/../b\n      endpoint: login\n", "gateway.yaml:3:13: auth.aliases[0].path: \"..\" is no literal segment"},
		{"an alias's endpoint", "auth:\n  aliases:\n    - path: /in\n      endpoint: admin\n", "gateway.yaml:4:17: auth.aliases[0].endpoint: unknown endpoint \"admin\""},
		{"an alias's field", "auth:\n  aliases:\n    - path: /in\n      endpoint: login\n      response:\n        - { field: access_token }\n        - { field: password, as: p }\n", "gateway.yaml:7:20: auth.aliases[0].response[1].field: \"password\" is no field of this answer"},
		{"an alias's problem", "auth: { aliases: [{ path: /in, endpoint: login, problems: [{ code: nope }] }] }\n", "gateway.yaml:1:68: auth.aliases[0].problems[0].code: unknown code \"nope\""},
		{"an alias's claim", "auth: { aliases: [{ preset: spring, claims: [{ name: sub, constant: root }] }] }\n", "gateway.yaml:1:46: auth.aliases[0].claims[0]: \"sub\" is what every token has"},
		{"an alias's role", "auth: { aliases: [{ preset: spring, claims: [{ name: isBoss, has_role: boss }] }] }\n", "gateway.yaml:1:72: auth.aliases[0].claims[0].has_role: role \"boss\" is not one of auth.roles"},
		{"an alias for a place that is taken", "auth:\n  aliases:\n    - preset: spring\n    - path: /login\n      endpoint: login\n", "gateway.yaml:4:7: auth.aliases[1]: POST /login is what aliases[0] is for already"},
		{"an alias's time", "auth:\n  aliases:\n    - preset: spring\n      access_ttl: 31d\n", "gateway.yaml:4:19: auth.aliases[0].access_ttl: 744h0m0s is out of bounds"},
		{"the store", "store: { driver: postgres }\n", "gateway.yaml:1:18: store.driver: postgres comes with a later version of Postern; use sqlite"},
		{"an empty file name", "store: { path: '' }\n", "gateway.yaml:1:16: store.path: must name the file of the database"},
		{"a route's rule", "upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\nroutes:\n  - path: /**\n    allow: { role: boss }\n", "gateway.yaml:4:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := checked(test.yaml); !strings.HasPrefix(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestFindingsAboutTheEnvironmentNameIt(t *testing.T) {
	file, findings := Check(Source{Path: "gateway.yaml", Data: []byte("auth:\n  prefix: /fine\n  roles: [user, admin]\n"), Env: []string{"POSTERN_AUTH_PREFIX=auth", "POSTERN_AUTH_ROLES=user,user"}})
	var got []string
	for _, f := range findings {
		got = append(got, f.String())
	}
	if file != nil || len(got) != 3 || !strings.HasPrefix(got[0], "POSTERN_AUTH_PREFIX: auth.prefix: must be a path") || !strings.HasPrefix(got[1], "POSTERN_AUTH_ROLES: auth.roles[1]: ") {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}

func TestTheFlagForTheUpstreamIsSaidOnce(t *testing.T) {
	_, findings := Check(Source{Flags: map[string]string{"upstream": "localhost:3000"}})
	if len(findings) != 1 || findings[0].String() != `--upstream: "localhost:3000" is no URL: write http://localhost:3000` {
		t.Errorf("got %v", findings)
	}
}

// One slip is one finding: what could not be read is not also reported as
// missing, unknown or empty.
func TestOneMistakeIsOneFinding(t *testing.T) {
	const head = "upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\nauth: { roles: [editor] }\n"
	for _, test := range []struct{ name, yaml string }{
		{"a rule's key", head + "routes:\n  - path: /a\n    allow: { rolse: editor }\n"},
		{"a rule's value", head + "routes:\n  - path: /a\n    allow: { role: 5 }\n"},
		{"the rules", head + "routes:\n  - path: /a\n    alow: { role: editor }\n"},
		{"the path", head + "routes:\n  - paht: /a\n    allow: { role: editor }\n"},
		{"the key roles", "upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\nauth: { rolles: [editor] }\nroutes: [{ path: /a, allow: { role: editor } }]\n"},
		{"the value of roles", "upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\nauth: { roles: editor }\nroutes: [{ path: /a, allow: { role: editor } }]\n"},
		{"the key upstreams", "upstream: [{ name: app, urls: [http://127.0.0.1:9000] }]\nauth: { roles: [editor] }\nroutes: [{ path: /a, upstream: app, allow: { role: editor } }]\n"},
		{"the upstream's name", "upstreams: [{ nam: app, urls: [http://127.0.0.1:9000] }]\nauth: { roles: [editor] }\nroutes: [{ path: /a, upstream: app, allow: { role: editor } }]\n"},
		{"a duration", "auth: { access_token: { ttl: 15 } }\n"},
		{"the driver", "store: { driver: 5 }\n"},
		{"a key of a header", "identity: { headers: [{ nam: X-Auth-User, value: username }] }\n"},
		{"the prefix", "auth: { prefix: [/auth] }\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := checked(test.yaml); got == "" || strings.Contains(got, "\n") {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

func TestMistakesOfEveryKindComeTogether(t *testing.T) {
	got := checked("lissten: a\nstore: { driver: oracle }\nauth: { access_token: { ttl: 15 }, id_format: serial }\nupstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\nroutes:\n  - path: admin\n    allow: anyone\n")
	for _, want := range []string{"gateway.yaml:1:1: unknown key", "\ngateway.yaml:2:18: store.driver", "\ngateway.yaml:3:30: auth.access_token.ttl: 15 needs a unit", "\ngateway.yaml:3:47: auth.id_format: ", "\ngateway.yaml:6:5: "} {
		if !strings.Contains("\n"+got, want) {
			t.Errorf("missing %q in\n%s", want, got)
		}
	}
}

// An empty file is no gateway. But `user add` works on the store alone, and
// needs no upstream.
func TestAFileWithoutAnUpstreamIsEnoughForAccountsAlone(t *testing.T) {
	for _, yaml := range []string{"", "listen: :80\n"} {
		src := Source{Path: "gateway.yaml", Data: []byte(yaml)}
		file, findings := Check(src)
		if file != nil || len(findings) != 1 || findings[0].Warning || !strings.HasPrefix(findings[0].String(), "gateway.yaml: upstreams: there is none") {
			t.Errorf("%q: got %v", yaml, findings)
		}
		if file, findings := CheckAccounts(src); file == nil || len(findings) != 0 {
			t.Errorf("%q for accounts: got %v", yaml, findings)
		}
	}
}

func TestTheCommandsOnAccountsHeedTheStoreAndTheRulesForAccounts(t *testing.T) {
	yaml := "store: { driver: postgres }\nauth: { password: { min_length: -1 } }\nroutes: [{ path: nonsense }]\n"
	file, findings := CheckAccounts(Source{Path: "gateway.yaml", Data: []byte(yaml)})
	if file != nil || len(findings) != 2 {
		t.Errorf("got %v", findings)
	}
}

// CF-03: a file that lists no route is a policy that lets nothing through.
func TestAFileWithoutRoutesIsGood(t *testing.T) {
	if got := checked("upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\nroutes: []\n"); strings.Contains(got, "routes: ") && !strings.Contains(got, "warning") {
		t.Errorf("got %s", got)
	}
}
