package gateway

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// identityOf is the default with a change, for one application.
func identityOf(change func(*Config)) Config {
	c := DefaultConfig()
	c.Upstreams = []Upstream{{Name: "app", URLs: []string{"http://127.0.0.1:3000"}}}
	change(&c)
	return c
}

// legacy is a sound legacy_token with a change.
func legacy(change func(*LegacyToken)) func(*Config) {
	return func(c *Config) {
		l := &c.Identity.LegacyToken
		l.Secret, l.Claims = "hunter2 hunter2 hunter2 hunter2!", []LegacyClaim{{Name: "id", Value: "id"}}
		change(l)
	}
}

func claim(claims ...LegacyClaim) func(*Config) {
	return legacy(func(l *LegacyToken) { l.Claims = claims })
}

func headers(h ...Header) func(*Config) { return func(c *Config) { c.Identity.Headers = h } }

func TestIdentityFaultsNameTheirKey(t *testing.T) {
	for _, test := range []struct {
		path, words string
		change      func(*Config)
	}{
		{"identity.headers[0].encoding", "quoted-printable", headers(Header{Name: "X-A", Value: "id", Encoding: "base64"})},
		{"identity.headers[0].encoding", `did you mean "percent"`, headers(Header{Name: "X-A", Value: "id", Encoding: "precent"})},
		{"identity.headers[0].value", `did you mean "username"`, headers(Header{Name: "X-A", Value: "user_name"})},
		{"identity.presets[0]", `did you mean "grafana"`, func(c *Config) { c.Identity.Presets = []string{"graphana"} }},
		{"identity.headers[0].separator", "lists", headers(Header{Name: "X-A", Value: "id", Separator: "|"})},
		{"identity.headers[0].separator", "no separator", headers(Header{Name: "X-A", Value: "roles", Separator: "a"})},
		{"identity.headers[0].separator", "no separator", headers(Header{Name: "X-A", Value: "roles", Separator: "||"})},
		{"identity.headers[0].separator", "no separator", headers(Header{Name: "X-A", Value: "roles", Separator: "é"})},
		{"identity.headers[0].separator", "no separator", headers(Header{Name: "X-A", Value: "roles", Separator: "\n"})},
		{"identity.headers[0].separator", "percent", headers(Header{Name: "X-A", Value: "roles", Separator: "%", Encoding: "percent"})},
		{"identity.headers[0].separator", "quoted-printable", headers(Header{Name: "X-A", Value: "roles", Separator: "=", Encoding: "quoted-printable"})},
		{"identity.headers[0].field", "one of them", headers(Header{Name: "X-A", Value: "id", Field: "tenant"})},
		{"identity.headers[0].value", "field: NAME", headers(Header{Name: "X-A"})},
		{"identity.assertion.header", "twice", func(c *Config) { c.Identity.Assertion = Assertion{true, "x_auth_user", time.Minute} }},
		{"identity.assertion.header", "message itself", func(c *Config) { c.Identity.Assertion = Assertion{true, "Authorization", time.Minute} }},
		{"identity.assertion.header", "no header name", func(c *Config) { c.Identity.Assertion = Assertion{true, "", time.Minute} }},
		{"identity.assertion.ttl", "from 5s", func(c *Config) { c.Identity.Assertion = Assertion{true, "X-A", time.Second} }},
		{"identity.assertion.ttl", "to 1h", func(c *Config) { c.Identity.Assertion = Assertion{true, "X-A", 2 * time.Hour} }},
		{"identity.legacy_token.header", "twice", legacy(func(l *LegacyToken) { l.Header = "X-Auth_User" })},
		{"identity.legacy_token.header", "message itself", legacy(func(l *LegacyToken) { l.Header = "Cookie" })},
		{"identity.legacy_token.header", "no header name", legacy(func(l *LegacyToken) { l.Header = "" })},
		{"identity.legacy_token.algorithm", "HS512", legacy(func(l *LegacyToken) { l.Algorithm = "none" })},
		{"identity.legacy_token.algorithm", "HS512", legacy(func(l *LegacyToken) { l.Algorithm = "RS256" })},
		{"identity.legacy_token.secret_encoding", "base64", legacy(func(l *LegacyToken) { l.SecretEncoding = "hex" })},
		{"identity.legacy_token.secret", "no base64", legacy(func(l *LegacyToken) { l.SecretEncoding = "base64" })},
		{"identity.legacy_token.secret", "is empty", legacy(func(l *LegacyToken) { l.Secret, l.SecretEncoding = "==", "base64" })},
		{"identity.legacy_token.ttl", "out of bounds", legacy(func(l *LegacyToken) { l.TTL = 0 })},
		{"identity.legacy_token.claims", "missing", claim()},
		{"identity.legacy_token.claims[0].name", "no name", claim(LegacyClaim{Value: "id"})},
		{"identity.legacy_token.claims[0].name", "no name", claim(LegacyClaim{Name: "user.", Value: "id"})},
		{"identity.legacy_token.claims[0].name", "set anyway", claim(LegacyClaim{Name: "exp", Value: "id"})},
		{"identity.legacy_token.claims[1].name", "twice", claim(LegacyClaim{Name: "id", Value: "id"}, LegacyClaim{Name: "id", Value: "name"})},
		{"identity.legacy_token.claims[1].name", "at once", claim(LegacyClaim{Name: "user", Value: "id"}, LegacyClaim{Name: "user.name", Value: "name"})},
		{"identity.legacy_token.claims[1].name", "at once", claim(LegacyClaim{Name: "user.name", Value: "id"}, LegacyClaim{Name: "user", Value: "name"})},
		{"identity.legacy_token.claims[0]", "needs one of", claim(LegacyClaim{Name: "id"})},
		{"identity.legacy_token.claims[0]", "needs one of", claim(LegacyClaim{Name: "id", Value: "id", HasRole: "admin"})},
		{"identity.legacy_token.claims[0].value", "username", claim(LegacyClaim{Name: "id", Value: "password"})},
		{"identity.legacy_token.claims[0].type", "boolean", claim(LegacyClaim{Name: "id", Value: "id", Type: "integer"})},
		{"identity.legacy_token.claims[0].type", "has_role", claim(LegacyClaim{Name: "id", HasRole: "admin", Type: "number"})},
		{"identity.legacy_token.claims[0].constant", "no number", claim(LegacyClaim{Name: "v", Constant: "one", Type: "number"})},
		{"identity.basic.password", "missing", func(c *Config) { c.Identity.Basic.Enabled = true }},
		{"identity.legacy_token.header", "identity.basic's", func(c *Config) {
			legacy(func(l *LegacyToken) { l.Header = "Authorization" })(c)
			c.Identity.Basic = Basic{true, "hunter2"}
		}},
		{"upstreams[0].authorization", "identity.basic", func(c *Config) {
			c.Identity.Basic, c.Upstreams[0].Authorization = Basic{true, "hunter2"}, "pass"
		}},
		{"upstreams[0].authorization", "identity.legacy_token", func(c *Config) {
			legacy(func(l *LegacyToken) { l.Header = "authorization" })(c)
			c.Upstreams[0].Authorization = "pass"
		}},
		{"upstreams[0].forward_token", "identity.basic", func(c *Config) {
			c.Identity.Basic, c.Upstreams[0].ForwardToken = Basic{true, "hunter2"}, true
		}},
		{"upstreams[0].keep_headers[0]", "always stripped", func(c *Config) {
			legacy(func(l *LegacyToken) {})(c)
			c.Upstreams[0].KeepHeaders = []string{"x_access_token"}
		}},
		{"upstreams[0].keep_headers[0]", "always stripped", func(c *Config) { // what the gateway says itself
			c.Identity.Headers = []Header{{Name: "SM-User", Value: "username"}}
			c.Upstreams[0].KeepHeaders = []string{"SM_USER"}
		}},
	} {
		f := identityOf(test.change).Validate(nil)
		if !slices.ContainsFunc(f, func(f Fault) bool {
			return f.Path == test.path && strings.Contains(f.Message, test.words) && !f.Warning
		}) {
			t.Errorf("want %s: ...%s..., got %v", test.path, test.words, f)
		}
		if text, _ := json.Marshal(f); strings.Contains(string(text), "hunter2") {
			t.Errorf("a secret is told: %s", text)
		}
	}
}

func TestWhatIsDoubtfulInIdentityIsWarnedOf(t *testing.T) {
	for _, test := range []struct {
		path, words string
		change      func(*Config)
	}{
		{"identity.legacy_token.secret", "has 7 bytes", legacy(func(l *LegacyToken) { l.Secret = "hunter2" })},
		{"identity.legacy_token.secret", "has 5 bytes", legacy(func(l *LegacyToken) {
			l.Secret, l.SecretEncoding = base64.StdEncoding.EncodeToString([]byte("12345")), "base64"
		})},
		{"identity.legacy_token.secret", "is missing", legacy(func(l *LegacyToken) { l.Secret = "" })},
		{"identity.presets[1]", "X-Forwarded-Groups", func(c *Config) { c.Identity.Presets = []string{"jenkins", "sonarqube"} }},
		{"identity.presets[1]", "X-Forwarded-User", func(c *Config) { c.Identity.Presets = []string{"jenkins", "x-forwarded-user"} }},
		{"upstreams[0].keep_headers[1]", "any client can send it", func(c *Config) { c.Upstreams[0].KeepHeaders = []string{"api_key", "SM_USER"} }},
	} {
		f := identityOf(test.change).Validate(nil)
		if slices.ContainsFunc(f, func(f Fault) bool { return !f.Warning }) || !slices.ContainsFunc(f, func(f Fault) bool { return f.Path == test.path && strings.Contains(f.Message, test.words) }) {
			t.Errorf("want the warning %s: ...%s..., got %v", test.path, test.words, f)
		}
	}
}

func TestWhatIsSoundInIdentityPasses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"a legacy token":           legacy(func(*LegacyToken) {}),
		"one in Authorization":     legacy(func(l *LegacyToken) { l.Header = "authorization" }),
		"basic":                    func(c *Config) { c.Identity.Basic = Basic{true, "x"} },
		"an assertion":             func(c *Config) { c.Identity.Assertion.Enabled = true },
		"separators":               headers(Header{Name: "X-A", Value: "roles", Separator: ", "}, Header{Name: "X-B", Field: "f", Separator: "|", Encoding: "rfc2047"}, Header{Name: "X-C", Value: "roles", Separator: " "}),
		"presets of the same mind": func(c *Config) { c.Identity.Presets = []string{"authelia", "remote-user", "grafana", "gitea"} },
		"a preset that the file corrects": func(c *Config) {
			c.Identity.Presets = []string{"jenkins", "sonarqube"}
			headers(Header{Name: "X-Forwarded-Groups", Value: "roles"})(c)
		},
		"claims":  claim(LegacyClaim{Name: "user.id", Value: "id", Type: "number"}, LegacyClaim{Name: "user.name", Value: "name"}, LegacyClaim{Name: "users", Constant: "1", Type: "number"}),
		"nothing": func(*Config) {},
	} {
		if f := identityOf(change).Validate(nil); len(f) > 0 {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// TestNoIdentityGoesIntoAHeaderOfTheMessage names those by which a message is
// read, carried or allowed across origins.
func TestNoIdentityGoesIntoAHeaderOfTheMessage(t *testing.T) {
	for _, name := range []string{"Host", "Cookie", "Set-Cookie", "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding",
		"Upgrade", "Content-Length", "Content-Type", "Content-Anything", "Expect", "Origin", "Access-Control-Allow-Origin", "Access-Control-Request-Method",
		"Sec-Fetch-Site", "Sec-WebSocket-Key", "If-None-Match", "Range", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X_Forwarded_Proto", "X-Real-IP", "Via", "Authorization", "X-Request-Id", "content.length"} {
		f := identityOf(headers(Header{Name: name, Value: "id"})).Validate(nil)
		if len(f) != 1 || f[0].Path != "identity.headers[0].name" || !strings.Contains(f[0].Message, "message itself") {
			t.Errorf("%s: %v", name, f)
		}
	}
}
