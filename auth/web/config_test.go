package web

import (
	"net/url"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

func TestTheDefaultsAreValid(t *testing.T) {
	if faults := DefaultConfig().Validate(); faults != nil {
		t.Error(faults)
	}
}

func TestTheZeroConfigIsRefused(t *testing.T) {
	if faults := (Config{}).Validate(); len(faults) < 4 {
		t.Error(faults)
	}
}

func TestABadValueIsNamedByItsKey(t *testing.T) {
	for _, test := range []struct {
		key    string
		values []string
		set    func(*Config, string)
	}{
		{"prefix", []string{"", "/", "auth", "/auth/", "//auth", "/a//b", "/a/../b", "/a/./b", "/.auth", "/a%2fb", "/a;b", "/a b", "/{x}",
			"/*", "/a\\b", "/.well-known", "/ä", "/a?b", "/a#b"}, func(c *Config, v string) { c.Prefix = v }},
		{"token_sources", []string{"", "query", "query:token", "header", "header:", "header:a b", "header:Authorization", "header:cookie",
			"header:X-Forwarded-User", "header:Sec-Token", "header:x_token", "digest", "Basic", "Bearer", "cookie"},
			func(c *Config, v string) { c.TokenSources = []string{"cookie", v} }},
		{"cookie.name", []string{"", "a b", "a;b", "a=b", "__Host-postern", "__secure-x", "ä"}, func(c *Config, v string) { c.Cookie.Name = v }},
		{"cookie.domain", []string{".example.com", "com", "Example.com", "https://example.com", "example.com:443", "192.0.2.1", "::1",
			"example..com", "-a.com", "example.com/"}, func(c *Config, v string) { c.Cookie.Domain = v }},
		{"cookie.same_site", []string{"", "none", "Lax"}, func(c *Config, v string) { c.Cookie.SameSite = v }},
		{"cors.origins", []string{"*", "null", "", "app.example.com", "https://app.example.com/", "https://*.example.com", "https://App.example.com",
			"ftp://x.example.com", "https://app.example.com:443", "http://app.example.com:80", "https://u@app.example.com"},
			func(c *Config, v string) { c.CORS.Origins = []string{v} }},
	} {
		for _, value := range test.values {
			c := DefaultConfig()
			test.set(&c, value)
			if faults := c.Validate(); len(faults) != 1 || faults[0].Path != test.key || faults[0].Message == "" {
				t.Errorf("%s %q: %v", test.key, value, faults)
			}
		}
	}
}

func TestAWrongTokenSourceIsToldOfEveryRightOne(t *testing.T) {
	c := DefaultConfig()
	c.TokenSources = []string{"Bearer"}
	faults := c.Validate()
	if len(faults) != 1 {
		t.Fatal(faults)
	}
	for _, right := range []string{"bearer", "basic", "cookie", "header:NAME"} {
		if !strings.Contains(faults[0].Message, right) {
			t.Errorf("%s is not told of: %s", right, faults[0].Message)
		}
	}
}

func TestGoodValuesPass(t *testing.T) {
	c := DefaultConfig()
	c.Prefix = "/_gate/v1.0"
	c.TokenSources = []string{"cookie", "header:x-access-token", "bearer", "basic"}
	c.Cookie = Cookie{Name: "my_app", Domain: "apps.example.com", SameSite: "strict"}
	c.CORS = CORS{Origins: []string{"https://spa.example.com", "http://localhost:5173", "https://[2001:db8::1]:8443"}, Credentials: true}
	if faults := c.Validate(); faults != nil {
		t.Error(faults)
	}
}

func TestNoTokenSourceAtAllIsAFault(t *testing.T) {
	c := DefaultConfig()
	c.TokenSources = nil
	if faults := c.Validate(); len(faults) != 1 || faults[0].Path != "token_sources" {
		t.Error(faults)
	}
}

func TestCredentialsWithoutOriginsIsAFault(t *testing.T) {
	c := DefaultConfig()
	c.CORS.Credentials = true
	if faults := c.Validate(); len(faults) != 1 || faults[0].Path != "cors.credentials" {
		t.Error(faults)
	}
}

func TestTheCookieDomainMustHoldThePublicURL(t *testing.T) {
	for public, ok := range map[string]bool{"https://example.com": true, "https://gw.example.com:8443": true, "https://GW.Example.com": true,
		"https://badexample.com": false, "https://example.com.evil.test": false, "http://localhost:8080": false} {
		c := DefaultConfig()
		c.Cookie.Domain = "example.com"
		u, err := url.Parse(public)
		if err != nil {
			t.Fatal(err)
		}
		if faults := c.ValidateFor(u); (faults == nil) != ok {
			t.Errorf("%s: %v", public, faults)
		}
	}
}

func TestNewRefusesABadConfigurationWithAllItsFaults(t *testing.T) {
	c := DefaultConfig()
	c.Prefix, c.Cookie.SameSite, c.Cookie.Domain = "auth", "none", "example.com"
	_, err := New(Options{Service: new(auth.Service), Config: c, PublicURL: &url.URL{Scheme: "http", Host: "localhost"}})
	for _, key := range []string{"auth.prefix: ", "auth.cookie.same_site: ", "auth.cookie.domain: "} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not name %s", err, key)
		}
	}
	if _, err := New(Options{Config: DefaultConfig()}); err == nil {
		t.Error("a Handler without a Service")
	}
}

func FuzzValidate(f *testing.F) {
	f.Add("/auth", "bearer", "postern", "example.com", "https://a.example.com")
	f.Fuzz(func(t *testing.T, prefix, source, name, domain, origin string) {
		c := Config{Prefix: prefix, TokenSources: []string{source}, Cookie: Cookie{Name: name, Domain: domain, SameSite: "lax"}, CORS: CORS{Origins: []string{origin}}}
		if c.Validate() != nil {
			return
		}
		if u, err := url.Parse(prefix); err != nil || u.EscapedPath() != prefix || u.Path != prefix {
			t.Errorf("prefix %q has two readings", prefix)
		}
		if u, err := url.Parse(origin); err != nil || u.Scheme+"://"+u.Host != origin {
			t.Errorf("origin %q", origin)
		}
	})
}
