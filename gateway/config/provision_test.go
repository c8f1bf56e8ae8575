package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

const (
	webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	twoUpstreams  = "upstreams: [{ name: app, urls: [http://127.0.0.1:9000] }, { name: other, urls: [http://127.0.0.1:9001] }]\n"
)

func TestWhoIsToldOfAccountsIsCheckedByLine(t *testing.T) {
	entry := func(keys string) string {
		return twoUpstreams + "routes: [{ path: /a, upstream: app, allow: authenticated }]\nprovision:\n  - { " + keys + " }\n"
	}
	const good = "upstream: app, path: /internal/accounts, secret: " + webhookSecret
	for _, test := range []struct{ name, yaml, want string }{
		{"good", entry(good), ""},
		{"all keys", entry(good + ", events: [created, deleted], timeout: 2s"), ""},
		{"a raw secret", entry("upstream: app, path: /x, secret: 0123456789abcdef01234567"), ""},
		{"no upstream", entry("path: /x, secret: " + webhookSecret), "gateway.yaml:4:5: provision[0].upstream: is missing"},
		{"an unknown upstream", entry("upstream: ap, path: /x, secret: " + webhookSecret), `gateway.yaml:4:17: provision[0].upstream: "ap" is not among upstreams (did you mean "app"?)`},
		{"an upstream twice", entry(good) + "  - { upstream: app, path: /y, secret: " + webhookSecret + " }\n", `gateway.yaml:5:17: provision[1].upstream: "app" is told of accounts already`},
		{"no path", entry("upstream: app, secret: " + webhookSecret), "gateway.yaml:4:5: provision[0].path: is missing"},
		{"a path with a query", entry("upstream: app, path: '/x?token=y', secret: " + webhookSecret), "gateway.yaml:4:28: provision[0].path: must be a plain path without a query"},
		{"a path that goes up", entry("upstream: app, path: /x/../y, secret: " + webhookSecret), "gateway.yaml:4:28: provision[0].path: must be a plain path"},
		{"a pattern", entry("upstream: app, path: '/x/{id}', secret: " + webhookSecret), "gateway.yaml:4:28: provision[0].path: must be a plain path"},
		{"a whole address", entry("upstream: app, path: 'http://127.0.0.1:9000/x', secret: " + webhookSecret), "gateway.yaml:4:28: provision[0].path: must be a plain path"},
		{"no secret", entry("upstream: app, path: /x"), "gateway.yaml:4:5: provision[0].secret: is missing: the application must be able to tell whom an event comes from"},
		{"an empty secret", entry("upstream: app, path: /x, secret: ''"), "gateway.yaml:4:40: provision[0].secret: is missing"},
		{"a short secret", entry("upstream: app, path: /x, secret: hunter2"), "gateway.yaml:4:40: provision[0].secret: has 7 bytes, and must have 24"},
		{"a short secret in base64", entry("upstream: app, path: /x, secret: whsec_aHVudGVyMg=="), "gateway.yaml:4:40: provision[0].secret: has 7 bytes"},
		{"a secret that is no base64", entry("upstream: app, path: /x, secret: whsec_hunter2hunter2"), "gateway.yaml:4:40: provision[0].secret: begins with whsec_, and what follows is no base64"},
		{"an unknown event", entry(good + ", events: [create]"), `provision[0].events[0]: "create" is none of created, changed, disabled, enabled, deleted (did you mean "created"?)`},
		{"an empty event", entry(good + ", events: ['']"), "provision[0].events[0]: is empty"},
		{"a timeout that is none", entry(good + ", timeout: 1ms"), "provision[0].timeout: 1ms is out of bounds: from 100ms to 1m0s"},
		{"a timeout without end", entry(good + ", timeout: 1h"), "provision[0].timeout: 1h0m0s is out of bounds"},
		{"an unknown key", entry(good + ", url: /x"), `unknown key "url"`},
	} {
		got := checked(test.yaml)
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) || strings.Contains(got, "\n") {
			t.Errorf("%s\ngot  %s\nwant %s", test.name, got, test.want)
		}
		if strings.Contains(got, "hunter2") || strings.Contains(got, "aHVudGVy") {
			t.Errorf("%s: the secret is shown: %s", test.name, got)
		}
		// The commands on accounts write for who is told, and so judge the same.
		file, findings := CheckAccounts(Source{Path: "gateway.yaml", Data: []byte(test.yaml)})
		if (file == nil) != (test.want != "") {
			t.Errorf("%s: the commands on accounts say %v", test.name, findings)
		}
	}
}

func TestASecretInAListMayStandInAFileOfItsOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(webhookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const frame = twoUpstreams + "routes: [{ path: /a, upstream: app, allow: authenticated }]\nprovision: [{ upstream: app, path: /x, %s }, { upstream: other, path: /x, secret: 0123456789abcdef01234567 }]\n"
	file, findings := Check(Source{Data: fmt.Appendf(nil, frame, "secret_file: "+path)})
	if file == nil || file.Provision[0].Secret != webhookSecret || file.Provision[1].Secret != "0123456789abcdef01234567" {
		t.Fatalf("%v", findings)
	}
	for entry, want := range map[string]string{
		"secret_file: /nowhere":                         "3:53: provision[0].secret_file: open /nowhere: no such file",
		"secret_file: nowhere":                          "nowhere: no such file or directory (in " + here + ")",
		"secret: " + webhookSecret + ", secret_file: x": "3:101: provision[0]: give either secret or secret_file, not both",
		"secret_file: ''":                               "provision[0].secret: is missing",
	} {
		if got := checked(fmt.Sprintf(frame, entry)); !strings.Contains(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%s\ngot  %s\nwant %s", entry, got, want)
		}
	}
}

func TestSubscribersAreTheUpstreamsWithTheirEventsInOneOrder(t *testing.T) {
	file, findings := Check(Source{Data: []byte(twoUpstreams + "routes: [{ path: /a, upstream: app, allow: authenticated }]\nprovision:\n" +
		"  - { upstream: app, path: /x, secret: " + webhookSecret + " }\n" +
		"  - { upstream: other, path: /x, secret: " + webhookSecret + ", events: [deleted, created] }\n")})
	if file == nil {
		t.Fatal(findings)
	}
	got := file.AuthConfig().Subscribers
	if len(got) != 2 || got[0].Name != "app" || !slices.Equal(got[0].Events, auth.AccountEvents()) || !slices.Equal(got[1].Events, []string{"created", "deleted"}) {
		t.Errorf("%+v", got)
	}
}

func TestAPathOfEventsThatClientsReachIsWarnedOf(t *testing.T) {
	provision := "provision: [{ upstream: app, path: /internal/accounts, secret: " + webhookSecret + " }]\n"
	for _, test := range []struct{ name, routes, reached string }{
		{"by no route", "{ path: /app/**, allow: authenticated }", ""},
		{"by the widest", "{ path: /**, allow: authenticated }", "/internal/accounts"},
		{"by an administrator", "{ path: /internal/accounts, allow: { role: admin } }", "/internal/accounts"},
		{"by a name in the path", "{ path: '/internal/{x}', allow: anyone }", "/internal/accounts"},
		{"on one host", "{ path: /**, host: '*.app.test', allow: anyone }", "/internal/accounts"},
		{"only read", "{ path: /**, methods: [GET], allow: anyone }", ""},
		{"shut by its own route", "{ path: /**, allow: authenticated }, { path: /internal/**, deny: anyone, allow: authenticated }", ""},
		{"shut, and observed alone", "{ path: /internal/**, deny: anyone, allow: authenticated, mode: observe }", "/internal/accounts"},
		{"another upstream's", "{ host: other.test, path: /**, allow: authenticated }", ""},
		{"past a prefix", "{ path: /app/**, strip_prefix: /app, allow: authenticated }", "/app/internal/accounts"},
		{"past a prefix that is not the route's", "{ path: /app/x/**, strip_prefix: /app, allow: authenticated }", ""},
		{"by a rewrite", "{ path: /api/**, rewrite: /internal/, allow: authenticated }", "/api/accounts"},
		{"by a rewrite of one path", "{ path: /api, rewrite: /internal/accounts, allow: authenticated }", "/api"},
		{"by a rewrite to elsewhere", "{ path: /api/**, rewrite: /v2/, allow: authenticated }", ""},
		{"by a rewrite to a name that begins alike", "{ path: /api/**, rewrite: /int, allow: authenticated }", ""},
		{"by a rewrite in place of a prefix", "{ path: /api/v1/**, strip_prefix: /api, rewrite: /internal, allow: authenticated }", ""},
		{"by a name that its rewrite keeps", "{ path: '/api/{x}', rewrite: /internal, allow: authenticated }", "/api/accounts"},
	} {
		routes := strings.NewReplacer("{ path", "{ upstream: app, path", "{ host", "{ upstream: other, host").Replace(test.routes)
		got := checked(twoUpstreams + "routes: [" + routes + "]\n" + provision)
		want := ""
		if test.reached != "" {
			want = "gateway.yaml:3:36: warning: provision[0].path: clients reach it too, as POST " + test.reached + " by the route at line 2: only the signature then tells an event from theirs; give the path a route of its own with deny: anyone"
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", test.name, got, want)
		}
	}
}
