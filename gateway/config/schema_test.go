package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	faults "github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v3"
)

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("gateway.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("gateway.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asJSON is a YAML file as an editor hands it to a schema.
func asJSON(t *testing.T, data string) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(data), &value); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if document == nil {
		return map[string]any{} // an empty file
	}
	return document
}

func TestTheSchemaTakesTheReference(t *testing.T) {
	schema := compileSchema(t)
	for name, data := range map[string][]byte{"as it stands": Reference(), "uncommented": uncommented()} {
		if err := schema.Validate(asJSON(t, string(data))); err != nil {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

func TestSchemaAndDecoderAgree(t *testing.T) {
	schema := compileSchema(t)
	const up = "upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\n"
	rule := func(allow string) string { return up + "routes: [{ path: /**, allow: " + allow + " }]" }
	for _, test := range []struct {
		good bool
		yaml string
	}{
		{true, ""}, {true, "store:\n"}, {true, "store: { path: }"}, {true, "listen: ~"},
		{true, up},
		{true, "upstreams: [{ name: app, urls: http://127.0.0.1:9000 }]"},
		{true, rule("anyone")}, {true, rule("authenticated")}, {true, rule("[anyone]")},
		{true, rule("{ role: admin }")}, {true, rule("[authenticated, { role: admin, methods: [GET] }]")},
		{true, up + "routes: [{ path: '/u/{id}', allow: { self: id } }]"},
		{true, up + "routes: [{ path: '/u/{id}', allow: { self: { name: id, is: username } } }]"},
		{true, up + "routes: [{ path: /a, allow: anyone, timeout: 5s, max_body: 10MiB }]"},
		{true, up + "routes: [{ path: /a, allow: anyone, max_body: 1048576 }]"},
		{true, up + "routes: [{ path: /a, allow: anyone, rate_limit: { per: user, requests: 100, window: 1m } }]"},
		{false, up + "routes: [{ path: /a, allow: anyone, rate_limit: { per: user, requests: 100 } }]"}, {false, up + "routes: [{ path: /a, allow: anyone, rate_limit: 100 }]"}, {false, up + "routes: [{ path: /a, allow: anyone, rate_limit: { per: role, requests: 100, window: 1m } }]"},
		{true, up + "routes: [{ path: /a, allow: anyone, path_options: [encoded_slash] }]"},
		{true, "auth: { access_token: { ttl: 1d12h, algorithm: RS256 } }"},
		{true, "auth: { cookie: { persistent: false } }"},
		{true, "tests: []"}, {true, "tests: [{ request: GET /, expect: unauthenticated }, { request: GET /, as: { user: a, id: '1', roles: [], age: 2h, client: 10.0.0.1 }, expect: allow }]"}, {true, "auth: { migrate_from: { login_url: '' } }"}, {true, "auth: { aliases: }"},

		{false, "lissten: a"}, {false, "listen: 5"}, {false, "listen: [a]"}, {false, "listen: true"}, {false, "listen: \"a\\nb\""},
		{false, "hosts: a"}, {false, "hosts: [5]"}, {false, "hosts: [~]"}, {false, "store: a"}, {false, "store: []"},
		{false, "store: { driver: oracle }"}, {false, "store: { dsn: a, dsn_file: b }"}, {false, "store: { path_file: b }"},
		{false, "auth: { access_token: { ttl: 15 } }"}, {false, "auth: { access_token: { ttl: '15' } }"}, {false, "auth: { access_token: { ttl: '' } }"}, {false, "auth: { access_token: { ttl: 2w } }"}, {false, "auth: { access_token: { ttl: -5m } }"},
		{false, "auth: { access_token: { algorithm: none } }"},
		{false, "auth: { cookie: { persistent: 'true' } }"}, {false, "auth: { cookie: { persistent: yes } }"}, {false, "auth: { cookie: { persistent: 1 } }"},
		{false, "auth: { lockout: { attempts: '5' } }"}, {false, "auth: { lockout: { attempts: 2.5 } }"},
		{false, "auth: { password: { memory_budget: lots } }"}, {false, "auth: { password: { memory_budget: -1 } }"}, {true, "auth: { password: { memory_budget: 256 MiB } }"}, {false, "auth: { password: { memory_budget: +256MiB } }"},
		{false, "store: { path: a.db }\nstore.path: b.db"},
		{false, "upstreams: { name: app }"}, {false, "upstreams: [app]"}, {false, "upstreams: [{ name: }]"}, {false, "upstreams: [~]"},
		{false, "tests: [{ request: GET / }]"}, {false, "tests: [{ request: GET /, expect: ok }]"}, {false, "tests: [{ request: GET /, as: { role: user }, expect: allow }]"},
		{true, "auth: { migrate_from: { login_url: http://old/login, format: form, fields: [{ field: user.id, as: id }], roles: [{ role: ADMIN, as: admin }], timeout: 2s } }"},
		{false, "auth: { migrate_from: { format: xml } }"}, {false, "auth: { migrate_from: { fields: [{ field: id }] } }"}, {false, "auth: { migrate_from: { roles: [{ as: admin }] } }"},
		{false, rule("")}, {false, rule("~")}, {false, rule("everyone")}, {false, rule("[]")}, {false, rule("[~]")}, {false, rule("5")}, {false, rule("true")}, {false, rule("[[anyone]]")},
		{false, rule("{ role: '' }")}, {false, rule("{ role: }")}, {false, rule("{ rolse: admin }")}, {false, rule("{ role: [admin] }")}, {false, rule("{ any_role: [] }")}, {false, rule("{ role: admin, methods: [] }")}, {false, rule("{ self: '' }")}, {false, up + "routes: [{ path: '/{true}', allow: { self: true } }]"}, {true, up + "routes: [{ path: '/{true}', allow: { self: 'true' } }]"}, {false, rule("{ self: \"a\\tb\" }")}, {false, rule("{ role: admin, max_age: 0s }")}, {false, rule("{ max_age: 10 }")}, {true, rule("{ max_age: 1d12h }")},
		{false, up + "routes: [{ path: /a, allow: anyone, methods: GET }]"},
		{true, up + "provision: [{ upstream: app, path: /x, secret: 0123456789abcdef01234567, events: [], timeout: 5s }]"}, {true, up + "provision: []"}, {true, up + "provision:"},
		{false, up + "provision: [{ upstream: app, secret: 0123456789abcdef01234567 }]"}, {false, up + "provision: [{ path: /x, secret: 0123456789abcdef01234567 }]"},
		{false, up + "provision: [{ upstream: app, path: /x, secret: }]"}, {false, up + "provision: [{ upstream: app, path: /x, secret_file: }]"}, {false, up + "provision: { upstream: app, path: /x }"},
		{false, up + "provision: [{ upstream: app, path: /x, secret: 0123456789abcdef01234567, secret_file: f }]"}, {false, up + "provision: [{ upstream: app, path: /x, secret: 0123456789abcdef01234567, events: [renamed] }]"},
		{false, up + "routes: [{ path: /a, allow: anyone, path_options: [slashes] }]"},
		{false, up + "routes: { path: /a, allow: anyone }"},
		{false, up + "routes: [{ path: /a }]"}, {false, up + "routes: [{ allow: anyone }]"},
	} {
		// The schema cannot know of a flag, so it demands no upstream.
		file, findings := Check(Source{Path: "gateway.yaml", Data: []byte(test.yaml), Flags: map[string]string{"upstream": "http://127.0.0.1:9000"}})
		if (file != nil) != test.good {
			t.Errorf("good is %t, the decoder says %v\n%s", test.good, findings, test.yaml)
		}
		if err := schema.Validate(asJSON(t, test.yaml)); (err == nil) != test.good {
			t.Errorf("good is %t, the schema says %v\n%s", test.good, err, test.yaml)
		}
	}
}

// The packages judge their words. Where they learn a new one, or unlearn one,
// the schema has to follow.
func TestTheClosedListsAreWhatThePackagesTake(t *testing.T) {
	const up = "upstreams: [{ name: app, urls: [http://127.0.0.1:9000], %s }]\n"
	const route = "upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\nroutes: [{ path: '/{id}', %s }]\n"
	frames := map[string]string{
		"store.driver":                          "store: { driver: %s }",
		"log.level":                             "log: { level: %s }",
		"log.format":                            "log: { format: %s }",
		"upstreams.router":                      fmt.Sprintf(up, "router: %s"),
		"upstreams.authorization":               fmt.Sprintf(up, "authorization: %s"),
		"upstreams.host":                        fmt.Sprintf(up, "host: %s"),
		"upstreams.transport":                   fmt.Sprintf(up, "transport: %s"),
		"upstreams.balance":                     fmt.Sprintf(up, "balance: %s"),
		"identity.headers.value":                "identity: { headers: [{ name: X-Auth-One, value: %s }] }",
		"identity.headers.encoding":             "identity: { headers: [{ name: X-Auth-One, value: name, encoding: %s }] }",
		"identity.presets":                      "identity: { presets: [%s] }",
		"identity.legacy_token.algorithm":       "identity: { legacy_token: { algorithm: %s, secret: 0123456789abcdef0123456789abcdef, claims: [{ name: id, value: id }] } }",
		"identity.legacy_token.secret_encoding": "identity: { legacy_token: { secret_encoding: %s, secret: 0123456789abcdef0123456789abcdef, claims: [{ name: id, value: id }] } }",
		"identity.legacy_token.claims.value":    "identity: { legacy_token: { secret: 0123456789abcdef0123456789abcdef, claims: [{ name: id, value: %s }] } }",
		"identity.legacy_token.claims.type":     "identity: { legacy_token: { secret: 0123456789abcdef0123456789abcdef, claims: [{ name: x, value: name, type: %s }] } }",
		"provision.events":                      "provision: [{ upstream: app, path: /x, secret: 0123456789abcdef0123456789abcdef, events: [%s] }]",
		"auth.access_token.algorithm":           "auth: { access_token: { algorithm: %s } }",
		"auth.id_format":                        "auth: { id_format: %s }",
		"auth.migrate_from.format":              "auth: { migrate_from: { format: %s } }",
		"auth.password.algorithm":               "auth: { password: { algorithm: %s } }",
		"auth.aliases.preset":                   "auth: { aliases: [{ preset: %s }] }",
		"auth.aliases.mode":                     "auth: { aliases: [{ path: /in, endpoint: login, mode: %s }] }",
		"auth.aliases.claims.value":             "auth: { aliases: [{ path: /in, endpoint: login, claims: [{ name: x, value: %s }] }] }",
		"auth.aliases.problems.body":            "auth: { aliases: [{ path: /in, endpoint: login, problems: [{ code: any, body: %s }] }] }",
		"auth.cookie.same_site":                 "auth: { cookie: { same_site: %s } }",
		"routes.rate_limit.per":                 fmt.Sprintf(route, "rate_limit: { per: %s, requests: 100, window: 1m }, allow: authenticated"),
		"routes.mode":                           fmt.Sprintf(route, "mode: %s, allow: authenticated"),
		"routes.path_options":                   fmt.Sprintf(route, "path_options: [%s], allow: authenticated"),
		"routes.allow.self.is":                  fmt.Sprintf(route, "allow: { self: { name: id, is: %s } }"),
		"tests.expect":                          fmt.Sprintf(up, "") + "tests: [{ request: GET /, expect: %s }]",
		"routes.deny.self.is":                   fmt.Sprintf(route, "deny: { self: { name: id, is: %s } }, allow: authenticated"),
	}
	for path, words := range closedLists() {
		frame, ok := frames[path]
		if !ok {
			t.Errorf("%s: no file to try its words in", path)
			continue
		}
		for _, word := range append(slices.Clone(words), "nonsense", strings.ToUpper(words[0])+"x") {
			if !strings.Contains(frame, "upstreams:") {
				frame += "\nupstreams: [{ name: app, urls: [http://127.0.0.1:9000] }]\n"
			}
			_, findings := Check(Source{Path: "f", Data: fmt.Appendf(nil, frame, word)})
			findings = slices.DeleteFunc(findings, func(f Finding) bool { return strings.HasPrefix(f.Message, "test failed") })
			if want := slices.Contains(words, word); Failed(findings) == want {
				t.Errorf("%s: %s: listed %t, but %v", path, word, want, findings)
			}
		}
	}
}

func TestTheSchemaShowsDefaultsAsAPersonWritesThem(t *testing.T) {
	var root struct {
		Properties map[string]struct {
			Default    any
			Properties map[string]struct {
				Default    any
				Properties map[string]struct{ Default any }
			}
		}
	}
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	auth := root.Properties["auth"].Properties
	for _, test := range []struct{ got, want any }{
		{root.Properties["listen"].Default, "127.0.0.1:8080"},
		{root.Properties["store"].Properties["path"].Default, "postern.db"},
		{auth["access_token"].Properties["ttl"].Default, "15m"},
		{auth["refresh_token"].Properties["ttl"].Default, "7d"},
		{auth["refresh_token"].Properties["reuse_grace"].Default, "30s"},
		{auth["password"].Properties["memory_budget"].Default, "256MiB"},
		{auth["lockout"].Properties["attempts"].Default, 5.0},
		{auth["cookie"].Properties["persistent"].Default, true},
	} {
		if test.got != test.want {
			t.Errorf("got %v, want %v", test.got, test.want)
		}
	}
}

// FuzzSchema: an editor never marks as wrong what Postern takes, as a file or as
// the value of any one key.
func FuzzSchema(f *testing.F) {
	schema, files := compileSchema(f), framesOf(fileShape(), "", "%s\n")
	for _, seed := range []string{"", "listen: :80\nhosts: [a]\n", "store:\ntests: []\n", "?\n", "store: { path: a }\nstore.path: b\n", "auth: { aliases: [{ problems: [{ code: any, body: A }] }] }"} {
		f.Add(seed, uint16(0))
	}
	for _, section := range sections(uncommented()) {
		f.Add(section, uint16(0))
	}
	for i, value := range []string{"a", "''", "~", "5", "010", "'+5'", "1.5", ".nan", "true", "1d12h", "0s", "1 GiB", "2001-01-01", "2001-01-01T00:00:00-24:00", "\"a\\tb\"", "[a]", "[]", "{}", "{ a: b }", "anyone"} {
		f.Add(value, uint16(7*i))
	}
	f.Fuzz(func(t *testing.T, data string, key uint16) {
		data = strings.Replace(files[int(key)%len(files)], "%s", data, 1)
		file, _ := readSource(Source{Data: []byte(data)})
		if file == nil || slices.ContainsFunc(file.Routes, func(r Route) bool { return r.Path == "" || r.Allow == nil }) {
			return // refused, or lacks what Check and schema demand
		}
		var value any
		if yaml.Unmarshal([]byte(data), &value) != nil {
			return // a key that is no text in another reader's eyes
		}
		if _, err := json.Marshal(value); err != nil {
			return // a value that JSON cannot write, such as .nan
		}
		if problems := shapeFaults(schema.Validate(asJSON(t, data))); problems != "" {
			t.Fatalf("%s\n%s", problems, data)
		}
	})
}

// framesOf are files that lack one value each, where %s stands: the whole, and
// that of every key there is. What an entry of a list must have beside it is
// there.
func framesOf(s *shape, path, frame string) []string {
	files := []string{frame}
	put := func(text string) string { return strings.Replace(frame, "%s", text, 1) }
	if s.kind == list {
		return append(files, framesOf(s.item, path, put("[%s]"))...)
	}
	for _, f := range s.fields {
		beside := ""
		for _, name := range requiredKeys()[path] {
			if name != f.name {
				beside += ", " + name + ": " + cmp.Or(map[string]string{"allow": "anyone", "requests": "1", "window": "1m"}[name], "a")
			}
		}
		files = append(files, framesOf(f.shape, join(path, f.name), put("{ "+f.name+": %s"+beside+" }"))...)
		if f.shape.secret {
			files = append(files, put("{ "+f.name+twinSuffix+": %s"+beside+" }"))
		}
	}
	return files
}

// shapeFaults is what a schema says, without the words and keys that only
// Check judges.
func shapeFaults(err error) string {
	if fault, ok := errors.AsType[*jsonschema.ValidationError](err); err == nil || ok && left(fault) {
		return ""
	}
	return err.Error()
}

// left tells whether a fault is nothing but what is left to Check. Of forms, any
// of which would do, one has to be right but for that.
func left(fault *jsonschema.ValidationError) bool {
	switch fault.ErrorKind.(type) {
	case *faults.Enum, *faults.Required:
		return true
	case *faults.AnyOf:
		return slices.ContainsFunc(fault.Causes, left)
	}
	return len(fault.Causes) > 0 && !slices.ContainsFunc(fault.Causes, func(one *jsonschema.ValidationError) bool { return !left(one) })
}
