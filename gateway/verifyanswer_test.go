package gateway

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/posternhq/postern/policy"
)

func TestA401LeadsToTheLoginAndBack(t *testing.T) {
	shared := func(c *setup) { c.web.Cookie.Domain = "gw.test" }
	hosts := func(c *setup) { c.gateway.Hosts = []string{"gw.test", "wiki.gw.test"} }
	anyHost := func(c *setup) { c.gateway.Hosts = nil }
	login := func(site, rd string) string { return site + "/auth/login?rd=" + url.QueryEscape(rd) }
	for _, test := range []struct {
		name   string
		change func(*setup)
		about  []string
		want   string
	}{
		{"the public host", hosts, asForwarded("GET", "gw.test", "/app/x?a=b&c=d"), login("http://gw.test", "/app/x?a=b&c=d")},
		{"the public host without its port", func(c *setup) { c.gateway.PublicURL = "http://gw.test:8080" }, asForwarded("GET", "gw.test", "/app/x"), login("http://gw.test:8080", "/app/x")},
		{"the public host in nginx", hosts, asOriginal("GET", "http://GW.test:80/app/x?a=b"), login("http://gw.test", "/app/x?a=b")},
		{"another host, with a login of its own", hosts, asForwarded("GET", "wiki.gw.test", "/app/x"), login("http://wiki.gw.test", "/app/x")},
		{"another host by https", hosts, asOriginal("GET", "https://wiki.gw.test/app/x"), login("https://wiki.gw.test", "/app/x")},
		{"another host that shares the login", func(c *setup) { hosts(c); shared(c) }, asForwarded("GET", "wiki.gw.test", "/app/x?y"), login("http://gw.test", "http://wiki.gw.test/app/x?y")},
		{"the public host of a shared login", func(c *setup) { hosts(c); shared(c) }, asForwarded("GET", "gw.test", "/app/x"), login("http://gw.test", "/app/x")},
		{"a host that nobody knows", anyHost, asForwarded("GET", "evil.test", "/app/x"), login("http://gw.test", "/app/x")},
		{"a host that nobody knows, and a shared login", func(c *setup) { anyHost(c); shared(c) }, asForwarded("GET", "evil.test", "/app/x"), login("http://gw.test", "/app/x")},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStack(t, behind, test.change)
			program := s.verify(test.about, "Accept: application/json")
			program.wants(t, 401, "token_missing")
			if got := program.Header.Get("X-Auth-Redirect"); got != test.want || program.Header["X-Auth-Redirect-Status"] != nil {
				t.Errorf("a program is led to %q %q, want %q", program.Header["X-Auth-Redirect-Status"], got, test.want)
			}
			person := s.verify(test.about, asPage)
			if got := person.Header.Get("X-Auth-Redirect"); got != test.want || person.Header.Get("X-Auth-Redirect-Status") != "303" {
				t.Errorf("a person is led to %q %q, want %q", person.Header["X-Auth-Redirect-Status"], got, test.want)
			}
		})
	}
}

func TestAPasswordThatIsTooOldIsAskedForAgain(t *testing.T) {
	s := newStack(t, behind, func(c *setup) {
		c.policy.Routes = []policy.Route{{Path: "/**", Allow: []policy.Rule{{Authenticated: true, MaxAge: 5 * time.Minute}}}}
	})
	token := s.token("alice")
	s.later(6 * time.Minute)
	r := s.verify(asForwarded("GET", "gw.test", "/x"), cookie(token), asPage)
	if got := r.Header.Get("X-Auth-Redirect"); r.StatusCode != 401 || got != "http://gw.test/auth/login?rd=%2Fx&again=1" || !strings.Contains(r.Header.Get("WWW-Authenticate"), `max_age="300"`) {
		t.Errorf("%d leads to %q with %q", r.StatusCode, got, r.Header.Get("WWW-Authenticate"))
	}
}

// TestAnExpiredCookieLeadsThroughTheRefresh where a carried request would be
// sent there, and never twice for one token.
func TestAnExpiredCookieLeadsThroughTheRefresh(t *testing.T) {
	s := newStack(t, behind)
	token := s.token("alice")
	s.later(16 * time.Minute)
	refresh, login := "http://gw.test/auth/refresh?rd=%2Fapp%2Fx%3Fa%3Db", "http://gw.test/auth/login?rd=%2Fapp%2Fx%3Fa%3Db"
	for _, test := range []struct {
		name, method, target string
		lines                []string
		to, how              string
	}{
		{"a navigation", "GET", "/app/x?a=b", []string{cookie(token), asPage}, refresh, "303"},
		{"a form", "POST", "/app/x?a=b", []string{cookie(token), asPage, "Origin: http://gw.test"}, refresh, "307"},
		{"a script of the site", "GET", "/app/x?a=b", []string{cookie(token), "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin"}, refresh, "303"},
		{"a program", "GET", "/app/x?a=b", []string{cookie(token)}, login, ""},
		{"a bearer", "GET", "/app/x?a=b", []string{bearer(token), asPage}, login, "303"},
		{"a handshake", "GET", "/app/x?a=b", []string{cookie(token), asPage, "Origin: http://gw.test", "Sec-WebSocket-Key: AAAA"}, login, ""},
		{"a browser that drops cookies", "GET", "/app/x?a=b", []string{"Cookie: postern=" + token + "; postern_retry=" + retryMark(token), asPage}, "http://gw.test/auth/login?error=cookies&rd=%2Fapp%2Fx%3Fa%3Db", "303"},
	} {
		r := s.verify(asForwarded(test.method, "gw.test", test.target), test.lines...)
		if to, how := r.Header.Get("X-Auth-Redirect"), r.Header.Get("X-Auth-Redirect-Status"); r.StatusCode != 401 || to != test.to || how != test.how {
			t.Errorf("%s: %d, %q to %q; want %q to %q", test.name, r.StatusCode, how, to, test.how, test.to)
		}
	}
	// An open page stays open: not every front end follows.
	r := s.verify(asForwarded("GET", "gw.test", "/public/x"), cookie(token), asPage)
	r.wants(t, 200, "")
	if r.Header.Get("X-Auth-User") != "" {
		t.Error("an expired token names its user")
	}
}

// TestAFormOfAnotherHostIsNotSentToThePublicOne: its post would be refused
// there as another site's.
func TestAFormOfAnotherHostIsNotSentToThePublicOne(t *testing.T) {
	s := newStack(t, behind, func(c *setup) {
		c.gateway.Hosts, c.web.Cookie.Domain = []string{"wiki.gw.test"}, "gw.test"
	})
	token := s.token("alice")
	s.later(16 * time.Minute)
	for method, want := range map[string]string{
		"GET":  "http://gw.test/auth/refresh?rd=http%3A%2F%2Fwiki.gw.test%2Fapp%2Fx",
		"POST": "http://gw.test/auth/login?rd=http%3A%2F%2Fwiki.gw.test%2Fapp%2Fx",
	} {
		r := s.verify(asForwarded(method, "wiki.gw.test", "/app/x"), cookie(token), asPage, "Origin: http://wiki.gw.test")
		if got := r.Header.Get("X-Auth-Redirect"); r.StatusCode != 401 || got != want {
			t.Errorf("%s: %d leads to %q, want %q", method, r.StatusCode, got, want)
		}
	}
}

// TestAGatewayWithoutUpstreamsOnlyAnswers questions and its own endpoints.
func TestAGatewayWithoutUpstreamsOnlyAnswers(t *testing.T) {
	s := newStack(t, behind, func(c *setup) {
		c.gateway.Upstreams, c.policy.Upstreams = nil, nil
	}, withLegacyToken)
	token := s.token("alice")
	r := s.verify(asForwarded("GET", "gw.test", "/app/x"), cookie(token))
	r.wants(t, 200, "")
	if r.Header.Get("X-Auth-User") != "alice" || r.Header.Get("X-Access-Token") == "" {
		t.Errorf("the front end is told %v", r.Header)
	}
	s.verify(asForwarded("GET", "gw.test", "/ADMIN/x"), cookie(token)).wants(t, 403, "") // as under router: any
	s.get("/auth/me", cookie(token)).wants(t, 200, "")
	s.get("/app/x", cookie(token)).wants(t, 502, "upstream_unavailable")
	s.get("/public/x", bearer("foreign")).wants(t, 502, "upstream_unavailable")
	s.get("/app/x").wants(t, 401, "token_missing")
	s.get("/nowhere").wants(t, 404, "no_route")
	for _, e := range s.log.entries(t, "request", 7) {
		if e["status"] == 502.0 && (e["decision"] != "allow" || e["failure"] != "there is no upstream: this gateway answers forward-auth alone") {
			t.Errorf("the log says %v", e)
		}
	}
}

func TestAGatewayWithoutUpstreamsNeedsAFrontEnd(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"nobody to answer", func(*Config) {}, "upstreams: there is none; name the application to protect"},
		{"a front end", func(c *Config) { c.TrustedProxies = []string{"127.0.0.1"} }, ""},
		{"an assertion for nobody", func(c *Config) { c.TrustedProxies, c.Identity.Assertion.Enabled = []string{"unix"}, true }, "identity.assertion.enabled: needs an upstream"},
		{"an upstream all the same", func(c *Config) { c.Upstreams = []Upstream{{Name: "app", URLs: []string{"http://127.0.0.1:3000"}}} }, ""},
	} {
		c := DefaultConfig()
		test.change(&c)
		err := faultsError(c.Validate(nil)) // warnings are none
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestThePasswordInAnAnswerIsWarnedOf where clients may reach the endpoint.
func TestThePasswordInAnAnswerIsWarnedOf(t *testing.T) {
	for _, trusted := range [][]string{nil, {"127.0.0.1"}} {
		c := DefaultConfig()
		c.Upstreams = []Upstream{{Name: "app", URLs: []string{"http://127.0.0.1:3000"}}}
		c.Identity.Basic, c.TrustedProxies = Basic{Enabled: true, Password: "p"}, trusted
		warned := false
		for _, f := range c.Validate(nil) {
			warned = warned || f.Warning && f.Path == "identity.basic.enabled" && strings.Contains(f.Message, "verify")
		}
		if warned != (trusted != nil) {
			t.Errorf("trusting %q: warned %v", trusted, warned)
		}
	}
}

// TestTheFrontEndsOfDeployCopyEveryIdentityHeader: one that they left out would
// be the client's word. Traefik is not in Debian, so its file is only read.
func TestTheFrontEndsOfDeployCopyEveryIdentityHeader(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("..", "deploy", name))
		must(t, err)
		return string(text)
	}
	var traefik struct {
		HTTP struct {
			Routers map[string]struct {
				Rule, Service string
				Middlewares   []string
			}
			Middlewares struct {
				Verify struct {
					ForwardAuth struct {
						Address             string
						TrustForwardHeader  bool     `yaml:"trustForwardHeader"`
						AuthResponseHeaders []string `yaml:"authResponseHeaders"`
					} `yaml:"forwardAuth"`
				}
				Login struct{ Errors map[string]any }
			}
			Services map[string]any
		}
	}
	strict := yaml.NewDecoder(strings.NewReader(read("traefik-forward-auth.yaml")))
	strict.KnownFields(true)
	must(t, strict.Decode(&traefik))
	verify := traefik.HTTP.Middlewares.Verify.ForwardAuth
	if verify.Address != "http://127.0.0.1:8080/auth/verify" || verify.TrustForwardHeader || strings.Join(traefik.HTTP.Routers["application"].Middlewares, " ") != "login verify" {
		t.Errorf("Traefik asks at %q", verify.Address)
	}
	copied := map[string]string{
		"nginx":   strings.Join(regexp.MustCompile(`proxy_set_header (X-Auth-\S+) \$postern`).FindAllString(read("nginx-forward-auth.conf"), -1), " ") + " ",
		"Caddy":   regexp.MustCompile(`copy_headers .*`).FindString(read("Caddyfile")) + " ",
		"HAProxy": strings.Join(regexp.MustCompile(`set-header X-Auth-\S+ %\[var`).FindAllString(read("haproxy-forward-auth.cfg"), -1), " ") + " ",
		"Traefik": " " + strings.Join(verify.AuthResponseHeaders, " ") + " ",
	}
	for _, h := range DefaultConfig().Identity.Headers {
		for front, names := range copied {
			if !strings.Contains(names, " "+h.Name+" ") {
				t.Errorf("%s does not copy %s: %q", front, h.Name, names)
			}
		}
	}
}
