package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIdentityTellsOnlyWhatThereIs(t *testing.T) {
	const (
		up     = "upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\nroutes: [{ path: /**, allow: authenticated }]\n"
		fields = "auth: { roles: [user, admin], profile: { fields: [{ name: tenant }, { name: phone, editable: true }] } }\n"
		secret = "secret: 0123456789abcdef0123456789abcdef"
	)
	for _, test := range []struct{ name, yaml, want string }{
		{"a field", "identity: { headers: [{ name: X-Tenant, field: tenant }] }", ""},
		{"a field that there is not", "identity: { headers: [{ name: X-Tenant, field: tenat }] }", `identity.headers[0].field: "tenat" is not among auth.profile.fields (did you mean "tenant"?)`},
		{"claims", "identity: { legacy_token: { " + secret + ", claims: [{ name: isAdmin, has_role: admin }, { name: t, field: tenant }] } }", ""},
		{"a claim of a field that there is not", "identity: { legacy_token: { " + secret + ", claims: [{ name: t, field: x }] } }", `identity.legacy_token.claims[0].field: "x" is not among auth.profile.fields`},
		{"a claim of a role that there is not", "identity: { legacy_token: { " + secret + ", claims: [{ name: isAdmin, has_role: amdin }] } }", `identity.legacy_token.claims[0].has_role: "amdin" is not among auth.roles (did you mean "admin"?)`},
		{"ids that are no numbers", "identity: { legacy_token: { " + secret + ", claims: [{ name: id, value: id, type: number }] } }", "warning: identity.legacy_token.claims[0].type: asks for ids that are numbers"},
		{"an assertion", "identity: { assertion: { enabled: true } }", ""},
		{"an assertion for the audience of access tokens", "identity: { assertion: { enabled: true } }\nupstreams: [{ name: postern, urls: [http://127.0.0.1:9000] }]", `upstreams[0].name: "postern" is in auth.audience`},
		{"what interface.md shows", "identity: { presets: [], assertion: { enabled: false, header: X-Auth-Assertion, ttl: 60s }, legacy_token: { header: X-Access-Token, algorithm: HS256, secret_file: \"\", ttl: 60s, claims: [ { name: id, value: id } ] } }", "warning: identity.legacy_token.secret: is missing"},
		{"both secrets", "identity: { legacy_token: { " + secret + ", secret_file: /nowhere, claims: [{ name: id, value: id }] } }", "secret_file"},
		{"a value in two readings", "identity: { headers: [{ name: X-A, value: id, separator: '|' }] }", "identity.headers[0].separator: is for lists"},
	} {
		yaml := test.yaml + "\n" + fields
		if !strings.Contains(yaml, "upstreams:") {
			yaml = up + yaml
		} else {
			yaml += "routes: [{ path: /**, allow: authenticated }]\n"
		}
		_, findings := Check(Source{Path: "f", Data: []byte(yaml)})
		var got []string
		for _, f := range findings {
			got = append(got, f.String())
		}
		if all := strings.Join(got, "\n"); test.want == "" && all != "" || !strings.Contains(all, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, all, test.want)
		}
	}
}

func TestALegacySecretComesFromAFileOrTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const base = "upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\nroutes: [{ path: /**, allow: authenticated }]\n"
	const claims = "claims: [{ name: id, value: id }]"
	write("0123456789abcdef0123456789abcdef\n")
	for name, src := range map[string]Source{
		"a file":            {Data: []byte(base + "identity: { legacy_token: { secret_file: " + path + ", " + claims + " } }")},
		"a variable":        {Data: []byte(base + "identity: { legacy_token: { " + claims + " } }"), Env: []string{"POSTERN_IDENTITY_LEGACY_TOKEN_SECRET=0123456789abcdef0123456789abcdef"}},
		"a variable's file": {Data: []byte(base + "identity: { legacy_token: { " + claims + " } }"), Env: []string{"POSTERN_IDENTITY_LEGACY_TOKEN_SECRET_FILE=" + path}},
	} {
		file, findings := Check(src)
		if file == nil || len(findings) > 0 || file.Identity.LegacyToken.Secret != "0123456789abcdef0123456789abcdef" {
			t.Errorf("%s: %v", name, findings)
		}
	}
	write("\n")
	if file, findings := Check(Source{Data: []byte(base + "identity: { legacy_token: { secret_file: " + path + ", " + claims + " } }")}); file != nil || !strings.Contains(findings[0].Message, "empty") {
		t.Errorf("an empty file: %v", findings)
	}
	file, findings := Check(Source{Data: []byte(base), Env: []string{"POSTERN_IDENTITY_BASIC_ENABLED=true", "POSTERN_IDENTITY_BASIC_PASSWORD=s3cret"}})
	if file == nil || len(findings) > 0 || !file.Identity.Basic.Enabled || file.Identity.Basic.Password != "s3cret" {
		t.Errorf("basic from the environment: %v", findings)
	}
}
