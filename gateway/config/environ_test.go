package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNoTwoKeysShareAnEnvironmentName(t *testing.T) {
	taken := make(map[string]string)
	claim := func(name, path string) {
		if other, ok := taken[name]; ok {
			t.Errorf("%s is both %s and %s", name, other, path)
		}
		taken[name] = path
	}
	for _, k := range settableKeys(fileShape(), "", nil) {
		claim(k.env(), k.path)
		if k.shape.secret {
			claim(envName(k.path+twinSuffix), k.path+twinSuffix)
		}
		if isIgnored(k.env(), nil) {
			t.Errorf("%s is %s, and cannot be set", k.env(), k.path)
		}
	}
	for _, name := range []string{"POSTERN_CONFIG", "POSTERN_ADMIN_PASSWORD", "POSTERN_TEST_POSTGRES"} {
		claim(name, "the name of a command")
	}
	for _, name := range []string{"POSTERN_LISTEN", "POSTERN_STORE_DSN", "POSTERN_STORE_DSN_FILE", "POSTERN_ADMIN_LISTEN", "POSTERN_AUTH_ROLES", "POSTERN_AUTH_ACCESS_TOKEN_TTL", "POSTERN_TRUSTED_PROXIES"} {
		if taken[name] == "" {
			t.Errorf("%s is no name", name)
		}
	}
}

func TestFlagGoesBeforeEnvironmentBeforeFileBeforeDefault(t *testing.T) {
	yaml := []byte("listen: from-file\npublic_url: http://from-file\nstore: { path: from-file }\nauth: { roles: [from, file] }\n")
	env := []string{"POSTERN_LISTEN=from-env", "POSTERN_PUBLIC_URL=http://from-env", "POSTERN_AUTH_ROLES=From, env ,,", "POSTERN_AUTH_REFRESH_TOKEN_TTL=1d", "POSTERN_AUTH_COOKIE_PERSISTENT=false"}
	file := mustLoad(t, Source{Data: yaml, Env: env, Flags: map[string]string{"listen": "from-flag"}})
	for _, test := range []struct{ what, got, want string }{
		{"flag", file.Listen, "from-flag"},
		{"environment", file.PublicURL, "http://from-env"},
		{"file", file.Store.Path, "from-file"},
		{"default", file.Store.KeyFile, "postern.key"},
		{"a list of the environment", strings.Join(file.Auth.Accounts.Roles, "|"), "From|env"},
		{"a duration of the environment", file.Auth.Accounts.RefreshToken.TTL.String(), (24 * time.Hour).String()},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", test.what, test.got, test.want)
		}
	}
	if file.Auth.Web.Cookie.Persistent {
		t.Error("a boolean of the environment was not heeded")
	}
}

func TestAnEmptyVariableIsAsIfItWereNotSet(t *testing.T) {
	file := mustLoad(t, Source{Data: []byte("listen: a\n"), Env: []string{"POSTERN_LISTEN=", "POSTERN_STORE_DSN_FILE=", "POSTERN_NONSENSE="}})
	if file.Listen != "a" {
		t.Errorf("listen is %q", file.Listen)
	}
}

func TestMistakesInEnvironmentAndFlagsNameTheirSource(t *testing.T) {
	for _, test := range []struct {
		name  string
		yaml  string
		env   []string
		flags map[string]string
		want  string
	}{
		{name: "a duration without a unit", env: []string{"POSTERN_AUTH_ACCESS_TOKEN_TTL=15"}, want: "POSTERN_AUTH_ACCESS_TOKEN_TTL: 15 needs a unit: write 15m or 15s"},
		{name: "a bad boolean", env: []string{"POSTERN_AUTH_COOKIE_PERSISTENT=yes"}, want: "POSTERN_AUTH_COOKIE_PERSISTENT: must be true or false: write true for yes"},
		{name: "a bad number", env: []string{"POSTERN_AUTH_LOCKOUT_ATTEMPTS=0x5"}, want: `POSTERN_AUTH_LOCKOUT_ATTEMPTS: must be a whole number in decimal digits, not "0x5"`},
		{name: "a bad size", env: []string{"POSTERN_AUTH_PASSWORD_MEMORY_BUDGET=lots"}, want: `POSTERN_AUTH_PASSWORD_MEMORY_BUDGET: "lots" is no amount of memory; write it as 256MiB, 64KiB, 1GiB or a number of bytes`},
		{name: "a line break", env: []string{"POSTERN_LISTEN=a\nb"}, want: "POSTERN_LISTEN: must not hold a control character"},
		{name: "a flag", flags: map[string]string{"auth.access_token.ttl": "15"}, want: "--auth-access-token-ttl: 15 needs a unit: write 15m or 15s"},
		{name: "a flag that is none", flags: map[string]string{"nonsense": "15"}, want: "--nonsense: no such setting"},
		{name: "the file is judged although the environment goes before it", yaml: "listen: 5\n", env: []string{"POSTERN_LISTEN=:80"}, want: `gateway.yaml:1:9: listen: must be an address: write ":5", or 127.0.0.1:5 for this machine alone`},
		{name: "an unknown name", env: []string{"POSTERN_LISTN=:80"}, want: `POSTERN_LISTN: warning: no such setting (did you mean "POSTERN_LISTEN"?)`},
		{name: "a name in a list of the file", env: []string{"POSTERN_ROUTES=x"}, want: "POSTERN_ROUTES: warning: routes is a list of objects, which cannot come from the environment: write it in gateway.yaml"},
		{name: "another list of objects", env: []string{"POSTERN_UPSTREAMS=http://a"}, want: "POSTERN_UPSTREAMS: warning: upstreams is a list of objects, which cannot come from the environment: write it in gateway.yaml"},
		{name: "a list of objects further down", env: []string{"POSTERN_IDENTITY_HEADERS=X-A"}, want: "POSTERN_IDENTITY_HEADERS: warning: identity.headers is a list of objects, which cannot come from the environment: write it in gateway.yaml"},
		{name: "a group", env: []string{"POSTERN_ADMIN=:9901"}, want: `POSTERN_ADMIN: warning: admin is a group of settings (did you mean "POSTERN_ADMIN_LISTEN"?)`},
		{name: "a group of lists of objects", env: []string{"POSTERN_AUTH_PROFILE=x"}, want: "POSTERN_AUTH_PROFILE: warning: auth.profile is a group of settings that cannot come from the environment: write it in gateway.yaml"},
		{name: "a group further down", env: []string{"POSTERN_AUTH_ACCESS_TOKEN=15m"}, want: `POSTERN_AUTH_ACCESS_TOKEN: warning: auth.access_token is a group of settings (did you mean "POSTERN_AUTH_ACCESS_TOKEN_TTL"?)`},
		{name: "what Kubernetes makes", env: []string{"POSTERN_PORT=tcp://10.0.0.1:80", "POSTERN_PORT_80_TCP_ADDR=10.0.0.1", "POSTERN_SERVICE_HOST=10.0.0.1", "POSTERN_SERVICE_PORT_HTTP=80"}},
		{name: "what a command knows", env: []string{"POSTERN_CONFIG=x", "POSTERN_ADMIN_PASSWORD=x", "POSTERN_TEST_A=x"}},
		{name: "what is not Postern's", env: []string{"PATH=/bin", "POSTERNLISTEN=x", "postern_listen=x", "POSTERN", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, findings := readSource(Source{
				Path: "gateway.yaml", Data: []byte(test.yaml), Env: test.env, Flags: test.flags,
				Known: []string{"POSTERN_CONFIG", "POSTERN_ADMIN_PASSWORD", "POSTERN_TEST_*"},
			})
			var got []string
			for _, f := range findings {
				got = append(got, f.String())
			}
			if strings.Join(got, "\n") != test.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n"), test.want)
			}
		})
	}
}

func TestASecretMayStandInAFileOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two, crlf := write("one", "postgres://one\n"), write("two", "postgres://two\n\n"), write("crlf", "postgres://crlf\r\n")
	for _, test := range []struct {
		name, yaml string
		env        []string
		flags      map[string]string
		want       string
	}{
		{name: "named in the file", yaml: "store: { dsn_file: " + one + " }", want: "postgres://one"},
		{name: "named in the environment", env: []string{"POSTERN_STORE_DSN_FILE=" + one}, want: "postgres://one"},
		{name: "written on Windows", env: []string{"POSTERN_STORE_DSN_FILE=" + crlf}, want: "postgres://crlf"},
		{name: "the environment's file goes before the file's secret", yaml: "store: { dsn: x }", env: []string{"POSTERN_STORE_DSN_FILE=" + one}, want: "postgres://one"},
		{name: "the environment's secret goes before the file's file, which is not even read", yaml: "store: { dsn_file: /nowhere }", env: []string{"POSTERN_STORE_DSN=x"}, want: "x"},
		{name: "a flag goes before both", yaml: "store: { dsn_file: /nowhere }", env: []string{"POSTERN_STORE_DSN_FILE=/nowhere"}, flags: map[string]string{"store.dsn": "y"}, want: "y"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := mustLoad(t, Source{Data: []byte(test.yaml), Env: test.env, Flags: test.flags}).Store.DSN; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	for _, test := range []struct {
		name string
		env  []string
		want string
	}{
		{"both", []string{"POSTERN_STORE_DSN=s3cret", "POSTERN_STORE_DSN_FILE=" + one}, "POSTERN_STORE_DSN_FILE: set either POSTERN_STORE_DSN or POSTERN_STORE_DSN_FILE, not both"},
		{"a file that is not there", []string{"POSTERN_STORE_DSN_FILE=" + dir + "/no"}, "POSTERN_STORE_DSN_FILE: open " + dir + "/no: no such file or directory"},
		{"an empty file", []string{"POSTERN_STORE_DSN_FILE=" + write("empty", "\n")}, "POSTERN_STORE_DSN_FILE: " + dir + "/empty: the file is empty"},
		{"a directory", []string{"POSTERN_STORE_DSN_FILE=" + dir}, "POSTERN_STORE_DSN_FILE: read " + dir + ": is a directory"},
		{"a file of several lines is not shown", []string{"POSTERN_STORE_DSN_FILE=" + two}, "POSTERN_STORE_DSN_FILE: must not hold a control character"},
		{"a file without end", []string{"POSTERN_STORE_DSN_FILE=/dev/zero"}, "POSTERN_STORE_DSN_FILE: /dev/zero: more than 64 KiB is no secret"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file, findings := readSource(Source{Env: test.env})
			if file != nil || len(findings) != 1 || findings[0].String() != test.want {
				t.Errorf("got %v\nwant %s", findings, test.want)
			}
		})
	}
}

func TestASecretsFileThatTheFileNamesIsRefusedByPlaceAndKey(t *testing.T) {
	dir := t.TempDir()
	lines := filepath.Join(dir, "lines")
	if err := os.WriteFile(lines, []byte("s3cret\ns3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const claims = "claims: [{ name: id, value: id }]"
	for yaml, want := range map[string]string{
		"store: { dsn_file: " + dir + "/no }":                                                  "gateway.yaml:1:20: store.dsn_file: open " + dir + "/no: no such file or directory",
		"store: { dsn_file: " + lines + " }":                                                   "gateway.yaml:1:20: store.dsn_file: must not hold a control character",
		"identity:\n  legacy_token: { secret_file: " + dir + ", " + claims + " }\nstore: {}\n": "gateway.yaml:2:32: identity.legacy_token.secret_file: read " + dir + ": is a directory",
	} {
		file, findings := readSource(Source{Path: "gateway.yaml", Data: []byte(yaml)})
		if file != nil || len(findings) != 1 || findings[0].String() != want {
			t.Errorf("got  %v\nwant %s", findings, want)
		}
	}
}

func TestUpstreamFlagNeedsNoFile(t *testing.T) {
	file := mustLoad(t, Source{Flags: map[string]string{"upstream": "http://127.0.0.1:3000"}})
	if len(file.Upstreams) != 1 || file.Upstreams[0].Name != "app" || !slices.Equal(file.Upstreams[0].URLs, []string{"http://127.0.0.1:3000"}) {
		t.Errorf("upstreams: %+v", file.Upstreams)
	}
	if len(file.Routes) != 1 || file.Routes[0].Path != "/**" || len(file.Routes[0].Allow) != 1 || !file.Routes[0].Allow[0].Authenticated || file.Routes[0].Allow[0].Anyone {
		t.Errorf("routes: %+v", file.Routes)
	}
}

func TestUpstreamFlagStandsForTheOnlyUpstreamOfTheFile(t *testing.T) {
	yaml := "upstreams: [{ name: shop, urls: [http://a:1], router: django }]\nroutes: []\n"
	file := mustLoad(t, Source{Data: []byte(yaml), Flags: map[string]string{"upstream": "http://b:2"}})
	if up := file.Upstreams[0]; up.Name != "shop" || up.Router != "django" || up.URLs[0] != "http://b:2" {
		t.Errorf("upstream: %+v", up)
	}
	if len(file.Routes) != 0 {
		t.Errorf("a file that allows nothing got routes: %+v", file.Routes)
	}
	_, findings := readSource(Source{Data: []byte("upstreams: [{ name: a }, { name: b }]"), Flags: map[string]string{"upstream": "http://b:2"}})
	if len(findings) != 1 || findings[0].String() != "--upstream: the file has 2 upstreams; the flag is for one" {
		t.Errorf("got %v", findings)
	}
}
