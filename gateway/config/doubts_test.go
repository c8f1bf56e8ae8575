package config

import (
	"slices"
	"strings"
	"testing"
)

const oneUpstream = "upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\n"

func TestRoutesThatNoRequestReachesAreWarnedOf(t *testing.T) {
	route := func(r string) string { return oneUpstream + "routes:\n  - { " + r + ", allow: authenticated }\n" }
	const hosts = "public_url: https://gate.test\nhosts: [app.test:8080, B.test]\n"
	for _, test := range []struct{ name, yaml, want string }{
		{"none at all", oneUpstream, "gateway.yaml: warning: routes: there is none: every request will be answered with 404"},
		{"none, for a front end", "trusted_proxies: [127.0.0.1]\n", "gateway.yaml: warning: routes: there is none: every request will be answered with 404"},
		{"an empty list", oneUpstream + "routes: []\n", "gateway.yaml:2:9: warning: routes: there is none"},
		{"below the endpoints", route("path: /auth/app/**"), "gateway.yaml:3:13: warning: routes[0].path: is never reached: Postern itself answers /auth and all below it (auth.prefix)"},
		{"the endpoints' own", route("path: /auth"), "gateway.yaml:3:13: warning: routes[0].path: is never reached"},
		{"below another prefix", "auth: { prefix: /gate/v1 }\n" + route("path: '/gate/v1/{x}'"), "gateway.yaml:4:13: warning: routes[0].path: is never reached: Postern itself answers /gate/v1 "},
		{"a host that is not answered", hosts + route("path: /a, host: c.test"), "gateway.yaml:5:23: warning: routes[0].host: is never reached: c.test is neither the host of public_url nor in hosts"},

		{"beside the endpoints", route("path: /authors/**"), ""},
		{"beside another prefix", "auth: { prefix: /gate }\n" + route("path: /auth/x"), ""},
		{"everything", route("path: /**"), ""},
		{"the host of public_url", hosts + route("path: /a, host: gate.test"), ""},
		{"a host with a port in hosts", hosts + route("path: /a, host: app.test"), ""},
		{"a host in another case", hosts + route("path: /a, host: b.TEST"), ""},
		{"a pattern of hosts", hosts + route("path: /a, host: '*.test'"), ""},
		{"no hosts: all are answered", route("path: /a, host: c.test"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			file, findings := Check(Source{Path: "gateway.yaml", Data: []byte(test.yaml)})
			var got []string
			for _, f := range findings {
				got = append(got, f.String())
			}
			if file == nil || len(got) > 1 || (test.want == "") != (len(got) == 0) || !strings.HasPrefix(strings.Join(got, "\n"), test.want) {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n"), test.want)
			}
		})
	}
}

func TestRegistrationsThatMakeAdministratorsAreWarnedOf(t *testing.T) {
	const routes = oneUpstream + "routes: [{ path: /**, allow: authenticated }]\n"
	for _, test := range []struct{ registration, want string }{
		{"{ enabled: true }", ""},
		{"{ enabled: true, allow_roles: [user] }", ""},
		{"{ allow_roles: [admin] }", ""}, // nobody registers
		{"{ enabled: true, allow_roles: [user, admin] }", "gateway.yaml:3:53: warning: auth.registration.allow_roles: lets every stranger become an administrator"},
		{"{ enabled: true, default_roles: [admin] }", "gateway.yaml:3:55: warning: auth.registration.default_roles: lets every stranger become an administrator"},
		{"{ enabled: true, default_roles: [member] }", `gateway.yaml:3:56: auth.registration.default_roles[0]: unknown role "member"; auth.roles has user, admin`},
		{"{ enabled: true, default_roles: [member] }, roles: member", "gateway.yaml:3:74: auth.roles: must be a list"},
	} {
		got := checked(routes + "auth: { registration: " + test.registration + " }\n")
		if strings.Contains(got, "\n") || !strings.HasPrefix(got, test.want) || (test.want == "") != (got == "") {
			t.Errorf("%s\ngot  %s\nwant %s", test.registration, got, test.want)
		}
	}
}

// A doubt follows from values that are known, never from ones that could not
// be read.
func TestNothingIsSaidToBeUnreachableBecauseOfAValueThatCouldNotBeRead(t *testing.T) {
	for _, yaml := range []string{
		oneUpstream + "auth: { prefix: [/gate] }\nroutes: [{ path: /auth/x, allow: anyone }]\n",
		oneUpstream + "hosts: [5, a.test]\nroutes: [{ path: /a, host: c.test, allow: anyone }]\n",
		oneUpstream + "rutes: [{ path: /a, allow: anyone }]\n",
		oneUpstream + "routes: { path: /a, allow: anyone }\n",
	} {
		if got := checked(yaml); got == "" || strings.Contains(got, "\n") {
			t.Errorf("%s\ngot %s", yaml, got)
		}
	}
}

// One wrong type at auth.roles must not hide what is wrong with the routes;
// the look-up of role names alone has to wait.
func TestRolesThatCannotBeReadHideNothingElse(t *testing.T) {
	got := checked(oneUpstream + "auth: { roles: user }\nroutes:\n  - { path: app/**, allow: { any_role: [user, boss] } }\n  - { path: /b, upstream: nope, allow: { all_roles: [user] }, deny: { role: mallory } }\n" +
		"tests: [{ request: GET /c, as: { roles: [x] }, expect: no_route }]\n")
	lines := strings.Split(got, "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "gateway.yaml:2:16: auth.roles: must be a list") ||
		!strings.HasPrefix(lines[1], "gateway.yaml:4:5: ") || !strings.HasPrefix(lines[2], "gateway.yaml:5:5: ") || strings.Contains(got, "unknown role") {
		t.Errorf("got %s", got)
	}
}

func TestADomainThatIsNotAnsweredIsWarnedOf(t *testing.T) {
	const rest = oneUpstream + "public_url: https://gw.test\nroutes: [{ path: /**, allow: authenticated }]\n"
	for _, test := range []struct{ yaml, want string }{
		{"tls: { acme: { domains: [gw.test, two.test] } }\n" + rest, ""}, // every host is answered
		{"tls: { acme: { domains: [GW.test, two.test] } }\nhosts: [Two.test]\n" + rest, ""},
		{"tls: { acme: { domains: [gw.test, two.test] } }\nhosts: [three.test]\n" + rest, "gateway.yaml:1:35: warning: tls.acme.domains[1]: two.test is neither the host of public_url nor in hosts"},
		{"tls: { acme: { domains: [two.test] } }\n" + rest, "gateway.yaml:1:25: warning: tls.acme.domains: lacks the host of public_url, gw.test"},
		{"tls: { acme: { domains: ['*.gw.test'] } }\n" + rest, "gateway.yaml:1:26: tls.acme.domains[0]: \"*.gw.test\": a wildcard cannot be fetched"},
		{"tls: { acme: { email: root@gw.test } }\n" + rest, "gateway.yaml:1:14: tls.acme.domains: is empty"},
		{"tls: { cert_file: c.pem, key_file: k.pem, acme: { domains: [gw.test] } }\n" + rest, "gateway.yaml:1:60: tls.acme.domains: has certificates fetched"},
		{"tls: { cert_file: c.pem, key_file: k.pem }\nh2c: true\n" + rest, "gateway.yaml:2:6: h2c: is HTTP/2 without TLS"},
		{"admin: { listen: '', pprof: true }\n" + rest, "gateway.yaml:1:29: admin.pprof: needs admin.listen"},
	} {
		got := checked(test.yaml)
		if !slices.ContainsFunc(strings.Split(got, "\n"), func(line string) bool { return strings.HasPrefix(line, test.want) }) || (test.want == "") != (got == "") {
			t.Errorf("%s\ngot  %s\nwant %s", test.yaml, got, test.want)
		}
	}
}

func TestARuleOnCertificatesNeedsAnAuthority(t *testing.T) {
	const needs = "needs tls.client_ca_file: without it no client is asked for a certificate"
	const tls = "tls: { cert_file: c.pem, key_file: k.pem, client_ca_file: ca.pem }\n"
	rules := func(r string) string {
		return oneUpstream + "routes:\n  - { path: /**, " + r + " }\npublic_url: https://gw.test\n"
	}
	for _, test := range []struct{ yaml, want string }{
		{rules("allow: { client_cert: { subject: backup } }"), "gateway.yaml:3:40: routes[0].allow[0].client_cert: " + needs},
		{rules("allow: [{ role: user }, { role: admin, client_cert: { subject: backup } }]"), "gateway.yaml:3:70: routes[0].allow[1].client_cert: " + needs},
		{rules("allow: authenticated, deny: { client_cert: { subject: backup } }"), "gateway.yaml:3:61: routes[0].deny[0].client_cert: " + needs},
		{tls + rules("allow: { client_cert: { subject: backup } }"), ""},
		{tls + rules("allow: { client_cert: { subject: 'CN=backup,O=Example' } }"), ""},
		{tls + rules("allow: { client_cert: backup }"), "gateway.yaml:4:40: routes[0].allow[0].client_cert: must be a mapping of keys"},
		{tls + rules("allow: { client_cert: {} }"), "gateway.yaml:4:25: client_cert: `subject` is empty"},
		{tls + rules("allow: { client_cert: { subject: '' } }"), "gateway.yaml:4:51: routes[0].allow[0].client_cert.subject: is empty"},
		{tls + rules("allow: authenticated, deny: { client_cert: { subject: stolen } }"), "gateway.yaml:4:61: warning: routes[0].deny[0].client_cert: is evaded by showing no certificate"},
		{tls + rules("allow: [{ client_cert: { subject: backup } }, { role: admin }], deny: [{ user: bob }, { client_cert: { subject: stolen } }]"), "gateway.yaml:4:119: warning: routes[0].deny[1].client_cert: is evaded"},
		{tls + rules("allow: { role: admin, client_cert: { subject: backup } }, deny: { user: bob, client_cert: { subject: backup } }"), ""},
		{"tls: { client_ca_file: ca.pem }\n" + rules("allow: authenticated"), "gateway.yaml:1:24: tls.client_ca_file: needs cert_file and key_file"},
	} {
		if got := checked(test.yaml); strings.Contains(got, "\n") || !strings.HasPrefix(got, test.want) || (test.want == "") != (got == "") {
			t.Errorf("%s\ngot  %s\nwant %s", test.yaml, got, test.want)
		}
	}
}
