package gateway

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/policy"
)

// faults collects what is wrong with a configuration.
type faults []Fault

// add says that something is wrong.
func (f *faults) add(path, format string, args ...any) {
	*f = append(*f, Fault{Path: path, Message: fmt.Sprintf(format, args...)})
}

// warn says that something is doubtful.
func (f *faults) warn(path, format string, args ...any) {
	*f = append(*f, Fault{Path: path, Message: fmt.Sprintf(format, args...), Warning: true})
}

// oneOf complains of a word that is not in the list; empty is the default.
func (f *faults) oneOf(path, value string, words ...string) {
	if value != "" && !slices.Contains(words, value) {
		f.add(path, "%q is none of %s%s", value, strings.Join(words, ", "), policy.Suggest(value, words))
	}
}

// Validate answers everything that is wrong with the configuration and with
// the options of the routes, and what is doubtful, as warnings. It reads no
// file and changes nothing.
func (c Config) Validate(routes []RouteOptions) []Fault {
	var f faults
	c.validateFront(&f)
	c.validateTrust(&f)
	names := map[string]bool{}
	c.validateQuestions(&f)
	for i := range c.Upstreams {
		path, u := fmt.Sprintf("upstreams[%d]", i), &c.Upstreams[i]
		if names[u.Name] {
			f.add(path+".name", "%q is the name of another upstream already", u.Name)
		}
		names[u.Name] = true
		u.validate(&f, path)
		c.validateCircle(&f, path+".urls", u.URLs)
		c.validateKept(&f, path+".keep_headers", u.KeepHeaders)
	}
	c.Identity.validate(&f)
	c.validateAuthorization(&f)
	c.validateProvision(&f)
	for i := range routes {
		routes[i].validate(&f, fmt.Sprintf("routes[%d]", i))
	}
	return f
}

// validateQuestions looks at what forward-auth needs: a gateway without
// upstreams can serve a front end that asks it about requests and carries them
// itself, if it trusts one. And it warns of a secret in the answer: a client
// that a trusted proxy lets through to the endpoint reads it.
func (c *Config) validateQuestions(f *faults) {
	switch {
	case len(c.Upstreams) > 0:
	case len(c.TrustedProxies) == 0:
		f.add("upstreams", "there is none; name the application to protect: - { name: app, urls: [http://127.0.0.1:3000] }; or, to answer the forward-auth of nginx, Caddy or Traefik alone, name the front end under trusted_proxies")
	case c.Identity.Assertion.Enabled:
		f.add("identity.assertion.enabled", "needs an upstream: an assertion is for the application that its aud names; add it under upstreams, as the front end reaches it")
	}
	if c.Identity.Basic.Enabled && len(c.TrustedProxies) > 0 {
		f.warn("identity.basic.enabled", "the answers of verify (forward-auth) hold the password: let the proxies under trusted_proxies pass no client's request to that path")
	}
}

// validateFront looks at what faces the clients.
func (c *Config) validateFront(f *faults) {
	validateListen(f, "listen", c.Listen, true)
	if c.Admin.Listen != "" {
		validateListen(f, "admin.listen", c.Admin.Listen, false)
	}
	if c.Admin.Listen != "" && c.Admin.Listen == c.Listen && !strings.HasSuffix(c.Listen, ":0") { // port 0 is another one each time
		f.add("admin.listen", "is the public listener's address; metrics and probes do not belong there")
	}
	c.validatePublicURL(f)
	for i, h := range c.Hosts {
		if !validHost(h) {
			f.add(fmt.Sprintf("hosts[%d]", i), "%q is no host name: write app.example.com, without scheme and path, and each one by itself", h)
		}
	}
	c.validateTLS(f)
	c.Limits.validate(f)
	if c.Shutdown.Delay < 0 {
		f.add("shutdown.delay", "must not be negative")
	}
	if c.Shutdown.Timeout <= 0 {
		f.add("shutdown.timeout", "must be more than 0: it is how long requests under way may take to end; write 25s")
	}
	f.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	f.oneOf("log.format", c.Log.Format, "auto", "json", "text")
	if c.Log.File != "" && filepath.Clean(c.Log.File) == filepath.Clean(c.Log.AuditFile) {
		f.add("log.audit_file", "is log.file as well: leave it out to have both in one file")
	}
}

// validate looks at the bounds of the public listener.
func (l *Limits) validate(f *faults) {
	if l.Connections < 0 {
		f.add("limits.connections", "must not be negative; 0 is no limit")
	}
	if l.ConnectionsPerClient < 0 {
		f.add("limits.connections_per_client", "must not be negative; 0 is no limit")
	}
	if all := l.Connections; all > 0 && l.ConnectionsPerClient >= all {
		f.warn("limits.connections_per_client", "bounds nothing: limits.connections lets all clients together have %d; write less", all)
	}
	if l.ClientIdle < time.Second && l.ClientIdle != 0 {
		f.add("limits.client_idle", "must be 1s or more")
	}
}

// validatePublicURL wants a bare site: cookies, redirects and the issuer are
// made from it, and none of them has a place for a path.
func (c *Config) validatePublicURL(f *faults) {
	u, err := url.Parse(c.PublicURL)
	switch {
	case validHost(c.PublicURL) && loopback(hostname(c.PublicURL)):
		f.add("public_url", "%q is no URL: write http://%s", c.PublicURL, c.PublicURL)
	case validHost(c.PublicURL):
		f.add("public_url", "%q is no URL: write https://%s", c.PublicURL, c.PublicURL)
	case err != nil || !isSite(u):
		f.add("public_url", "%q is no URL of a site; write https://app.example.com", c.PublicURL)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil || u.Fragment != "":
		f.add("public_url", "%q must end after the host: the gateway stands at the root of its site", u.Redacted())
	}
}

// isSite tells whether a URL has a scheme and a host that HTTP can be spoken to.
func isSite(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && validHost(u.Host)
}

// validateListen accepts host:port, :port and, where unix is true, unix:path.
func validateListen(f *faults, path, address string, unix bool) {
	if _, ok, err := parseSocket(address); ok && unix {
		if err != nil {
			f.add(path, "%v", err)
		}
		return
	}
	_, port, found := strings.Cut(address[max(0, strings.LastIndexByte(address, ':')):], ":")
	if !found || port == "" || strings.Trim(port, "0123456789") != "" || len(port) > 5 {
		port := "8080"
		if strings.Trim(address, "0123456789") == "" && address != "" && len(address) <= 5 {
			port = address
		}
		f.add(path, "%q is no address to listen on; write 127.0.0.1:%s, or :%s for every address", address, port, port)
	}
}

// validateTrust warns of a trust in everybody: then every client says for
// itself where it comes from (CVE-2026-20896).
func (c *Config) validateTrust(f *faults) {
	for i, item := range c.TrustedProxies {
		path := fmt.Sprintf("trusted_proxies[%d]", i)
		if item == "unix" {
			continue
		}
		p, err := parsePrefix(item)
		if err != nil {
			f.add(path, "%q is neither an address, a CIDR nor unix", item)
		} else if p.Bits() == 0 || p == netip.MustParsePrefix("::ffff:0:0/96") {
			f.warn(path, "%s trusts every client to say where it comes from and which host it asked for; list the proxies alone", item)
		}
	}
}

// validate looks at one upstream, but for keep_headers, which depend on the
// identity headers as well.
func (u *Upstream) validate(f *faults, path string) {
	if u.Name == "" {
		f.add(path+".name", "is missing")
	}
	u.validateURLs(f, path+".urls")
	f.oneOf(path+".authorization", u.Authorization, "strip", "pass")
	f.oneOf(path+".host", u.Host, "keep", "rewrite")
	f.oneOf(path+".router", u.Router, "any", "exact", "express", "spring", "django", "tomcat", "iis")
	f.oneOf(path+".transport", u.Transport, "lean", "standard")
	f.oneOf(path+".balance", u.Balance, "least_connections", "round_robin")
	u.Health.validate(f, path+".health")
	if u.ForwardToken && u.Authorization == "pass" {
		f.add(path+".forward_token", "goes into Authorization, which authorization: pass leaves to the application")
	}
	if (u.TLS.CertFile == "") != (u.TLS.KeyFile == "") {
		f.add(path+".tls", "cert_file and key_file belong together")
	}
	if min(u.Timeouts.Dial, u.Timeouts.ResponseHeader, u.Timeouts.Write, u.Timeouts.Idle) < 0 {
		f.add(path+".timeouts", "must not be negative")
	}
}

// validate wants a plain path, that may have a query.
func (h *Health) validate(f *faults, path string) {
	plain, query, _ := strings.Cut(h.Path, "?")
	p, err := policy.ParsePath(plain)
	switch {
	case *h == Health{}:
	case h.Path == "":
		f.add(path+".path", "is missing; write what the application answers with 200 while it is well: /healthz")
	case err != nil || !p.Plain() || !isPrintable(query):
		f.add(path+".path", "%q is no plain path; write /healthz", plain)
	}
	if min(h.Interval, h.Timeout) < 0 {
		f.add(path, "must not be negative")
	}
}

// isPrintable tells what a request line bears: ASCII without spaces, and no
// fragment.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' })
}

// validateURLs accepts addresses, each one once. What it says repeats none of
// a URL: there may be a password in it.
func (u *Upstream) validateURLs(f *faults, path string) {
	if len(u.URLs) == 0 {
		f.add(path, "is missing; write the application's address: [http://127.0.0.1:3000]")
	}
	if len(u.URLs) > maxTargets {
		f.add(path, "are more than %d addresses; put a load balancer behind, or several upstreams", maxTargets)
	}
	seen := map[string]bool{}
	for i, raw := range u.URLs {
		a, complaint := parseAddress(raw)
		if complaint != "" {
			f.add(fmt.Sprintf("%s[%d]", path, i), "%s", complaint)
			continue
		}
		if seen[a.label] {
			f.add(fmt.Sprintf("%s[%d]", path, i), "is listed already")
		}
		seen[a.label] = true
	}
}

// validateCircle refuses an application that is the gateway itself.
func (c *Config) validateCircle(f *faults, path string, urls []string) {
	own, _, _ := parseSocket(c.Listen)
	for i, raw := range urls {
		if own.path != "" && raw == "unix:"+own.path {
			f.add(fmt.Sprintf("%s[%d]", path, i), "is Postern itself (listen): requests would go round in circles")
			continue
		}
		t, err := url.Parse(raw)
		if err != nil || t.Host == "" {
			continue
		}
		if key := c.ownAddress(t); key != "" {
			f.add(fmt.Sprintf("%s[%d]", path, i), "%s://%s is Postern itself (%s): requests would go round in circles", t.Scheme, t.Host, key)
		}
	}
}

// validateKept refuses to keep a header that some application reads as one of
// ours, or as part of the message itself.
func (c *Config) validateKept(f *faults, path string, names []string) {
	id := newIdentity(c.Identity)
	for i, name := range names {
		switch fold(name) {
		case "host", "cookie", "authorization", "connection", "content-length", "content-type", "transfer-encoding", "upgrade", "te", "trailer", "expect":
			f.add(fmt.Sprintf("%s[%d]", path, i), "%q reads as %s to some applications", name, fold(name))
			continue
		}
		if !validToken(name) || len(name) > maxName {
			f.add(fmt.Sprintf("%s[%d]", path, i), "%q is no header name", name)
		} else if id.yields(name, []string{name}) {
			f.warn(fmt.Sprintf("%s[%d]", path, i), "%s says who asks, to some applications, and any client can send it now: list it only where a program in front of Postern replaces it", name)
		} else if id.strips(name, []string{name}) {
			f.add(fmt.Sprintf("%s[%d]", path, i), "%q is an identity or forwarding header to some applications, and always stripped", name)
		}
	}
}

// validToken is RFC 9110's token.
func validToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// validate looks at what a route asks of the gateway.
func (o *RouteOptions) validate(f *faults, path string) {
	if o.RateLimit != nil {
		o.RateLimit.validate(f, path+".rate_limit")
	}
	if o.Timeout < 0 {
		f.add(path+".timeout", "must not be negative")
	}
	if o.MaxBody < 0 {
		f.add(path+".max_body", "must not be negative")
	}
	if o.StripPrefix != "" {
		p, err := policy.ParsePath(o.StripPrefix)
		if err != nil || !p.Plain() || strings.HasSuffix(o.StripPrefix, "/") {
			f.add(path+".strip_prefix", "%q must begin with / and not end with it, and be plain", o.StripPrefix)
		}
	}
	if p, err := policy.ParsePath(o.Rewrite); o.Rewrite != "" && (err != nil || !p.Plain() || strings.ContainsAny(o.Rewrite, "?#{}*")) {
		f.add(path+".rewrite", "%q must be a plain path, without {name} and *: what the route leaves over is put behind it; write /v2/", o.Rewrite)
	}
	if o.CORS != nil {
		o.CORS.validate(f, path+".cors")
	}
}

// validate wants all three keys: none of them has a value that would suit most.
func (l *RateLimit) validate(f *faults, path string) {
	if l.Per == "" {
		f.add(path+".per", "is missing; write user or client")
	}
	f.oneOf(path+".per", l.Per, "user", "client")
	if l.Requests < 1 {
		f.add(path+".requests", "must be 1 or more")
	}
	if l.Window < time.Second {
		f.add(path+".window", "must be 1s or more")
	}
}

// validate refuses what would let every site act as the user, and origins that
// no browser would send.
func (c *CORS) validate(f *faults, path string) {
	if len(c.Origins) == 0 {
		f.add(path+".origins", "is missing")
	}
	for i, o := range c.Origins {
		u, err := url.Parse(o)
		switch {
		case o == "*" && c.Credentials:
			f.add(fmt.Sprintf("%s.origins[%d]", path, i), "any origin with credentials lets every site act as the user; list the origins")
		case o == "*":
		case err != nil || u.Host == "" || u.Scheme == "" || o != u.Scheme+"://"+u.Host:
			f.add(fmt.Sprintf("%s.origins[%d]", path, i), "%q is no origin; write https://app.example.com", o)
		}
	}
	if c.MaxAge < 0 {
		f.add(path+".max_age", "must not be negative")
	}
}
