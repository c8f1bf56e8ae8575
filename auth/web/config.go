package web

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/posternhq/postern/auth"
)

// Config is the part of gateway.yaml's `auth` section that this package heeds:
// where the endpoints are and how a browser keeps its tokens.
type Config struct {
	Prefix       string   `yaml:"prefix"`        // where the endpoints live, e.g. /auth
	TokenSources []string `yaml:"token_sources"` // bearer, basic, cookie, header:NAME; the gateway reads them
	Cookie       Cookie   `yaml:"cookie"`
	CORS         CORS     `yaml:"cors"`
	Aliases      []Alias  `yaml:"aliases"`
}

// Cookie says how a browser keeps its tokens.
type Cookie struct {
	Name       string `yaml:"name"`       // of the access token's cookie, without __Host- or __Secure-
	Domain     string `yaml:"domain"`     // empty: this host alone
	Persistent bool   `yaml:"persistent"` // false: until the browser closes
	SameSite   string `yaml:"same_site"`  // lax or strict
}

// CORS lists the single-page applications elsewhere that may call the
// endpoints.
type CORS struct {
	Origins     []string `yaml:"origins"`     // exact: https://app.example.com
	Credentials bool     `yaml:"credentials"` // whether they may send cookies
}

// DefaultConfig is the configuration of an empty file.
func DefaultConfig() Config {
	return Config{
		Prefix:       "/auth",
		TokenSources: []string{"bearer", "cookie"},
		Cookie:       Cookie{Name: "postern", Persistent: true, SameSite: "lax"},
	}
}

// Shapes of what a user writes.
var (
	// Plain on purpose: a prefix with an escape would have two spellings, and
	// one of them would pass for the application's.
	segment  = regexp.MustCompile(`^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$`)
	token    = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") // RFC 9110 section 5.6.2
	hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)
)

// Validate lists what is wrong with c, by key below `auth`; nil when nothing
// is. ValidateFor adds what depends on the public URL.
func (c Config) Validate() []auth.Fault {
	var faults []auth.Fault
	fault := func(key, message string) { faults = append(faults, auth.Fault{Path: key, Message: message}) }
	if m := prefixFault(c.Prefix); m != "" {
		fault("prefix", m)
	}
	if len(c.TokenSources) == 0 {
		fault("token_sources", "is empty, so nobody could log in; list bearer, basic, cookie, or header:NAME")
	}
	for i, source := range c.TokenSources {
		if m := sourceFault(source); m != "" {
			fault("token_sources", m)
		} else if slices.Contains(c.TokenSources[:i], source) {
			fault("token_sources", "lists "+source+" twice")
		}
	}
	if m := cookieNameFault(c.Cookie.Name); m != "" {
		fault("cookie.name", m)
	}
	if m := domainFault(c.Cookie.Domain); m != "" {
		fault("cookie.domain", m)
	}
	if c.Cookie.SameSite != "lax" && c.Cookie.SameSite != "strict" {
		fault("cookie.same_site", "must be lax or strict; none would send the login along with every other site's requests")
	}
	for _, origin := range c.CORS.Origins {
		if m := originFault(origin); m != "" {
			fault("cors.origins", m)
		}
	}
	if c.CORS.Credentials && len(c.CORS.Origins) == 0 {
		fault("cors.credentials", "is true, but cors.origins names no origin")
	}
	return append(faults, c.validateAliases()...)
}

// ValidateFor lists what does not fit the URL that browsers use.
func (c Config) ValidateFor(publicURL *url.URL) []auth.Fault {
	host := strings.ToLower(publicURL.Hostname())
	if d := c.Cookie.Domain; d != "" && host != d && !strings.HasSuffix(host, "."+d) {
		return []auth.Fault{{Path: "cookie.domain", Message: "is " + d + ", but public_url's host " + host +
			" is not inside it, so browsers would drop the cookies"}}
	}
	return nil
}

// prefixFault demands a prefix that has one reading only.
func prefixFault(prefix string) string {
	switch {
	case !strings.HasPrefix(prefix, "/") || prefix == "/":
		return "must be a path such as /auth"
	case strings.HasSuffix(prefix, "/"):
		return "must not end with a slash: " + strings.TrimRight(prefix, "/")
	}
	for s := range strings.SplitSeq(prefix[1:], "/") {
		if !segment.MatchString(s) {
			return "may have letters, digits, - . _ and ~ between its slashes, and no segment that begins with a dot"
		}
	}
	return ""
}

// sourceFault demands bearer, basic, cookie or a header that carries nothing else.
func sourceFault(source string) string {
	name, isHeader := strings.CutPrefix(source, "header:")
	switch {
	case source == "bearer" || source == "basic" || source == "cookie":
		return ""
	case source == "query" || strings.HasPrefix(source, "query:"):
		return "never reads the query: addresses end up in logs and histories"
	case !isHeader:
		return "has " + source + "; it may list bearer, basic, cookie, and header:NAME"
	case !token.MatchString(name) || strings.ContainsAny(name, "_."):
		return source + ": this is no header name; letters, digits and - will do"
	}
	// Fields that the connection, browsers or other credentials live in.
	taken := []string{"Authorization", "Cookie", "Host", "Connection", "Content-Type", "Content-Length", "Origin",
		"Transfer-Encoding", "Te", "Trailer", "Upgrade", "Proxy-Authorization", "Forwarded"}
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	if slices.Contains(taken, canonical) || strings.HasPrefix(canonical, "X-Forwarded-") || strings.HasPrefix(canonical, "Sec-") {
		return source + ": this field has another meaning; name one of the application's own, such as header:x-access-token"
	}
	return ""
}

// cookieNameFault demands a cookie-name (RFC 6265 section 4.1.1) that browsers
// give no meaning of their own.
func cookieNameFault(name string) string {
	lower := strings.ToLower(name)
	switch {
	case !token.MatchString(name):
		return "is no cookie name; letters, digits, - and _ will do"
	case strings.HasPrefix(lower, "__host-") || strings.HasPrefix(lower, "__secure-"):
		return "must not begin with __Host- or __Secure-: Postern adds the prefix that fits the public URL"
	}
	return ""
}

// domainFault demands a domain that a browser takes: no address, no single
// label, no leading dot (RFC 6265 section 5.2.3 ignores one, people do not).
func domainFault(domain string) string {
	if domain == "" {
		return ""
	}
	if _, err := netip.ParseAddr(domain); err == nil || len(domain) > 253 || !hostName.MatchString(domain) {
		return "must be a domain such as example.com: lower case, without scheme, port or leading dot, and with a dot inside"
	}
	return ""
}

// originFault demands an origin just as browsers write it, because origins are
// compared byte for byte.
func originFault(origin string) string {
	if origin == "*" || origin == "null" {
		return "must list exact origins such as https://app.example.com, never " + origin
	}
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.Scheme+"://"+u.Host != origin ||
		strings.ToLower(u.Host) != u.Host || strings.Contains(u.Host, "*") {
		return "has " + origin + ", which is no origin; write scheme and host as browsers do, such as https://app.example.com"
	}
	if (u.Scheme == "https" && u.Port() == "443") || (u.Scheme == "http" && u.Port() == "80") {
		return "has " + origin + "; browsers leave out the default port: " + u.Scheme + "://" + u.Hostname()
	}
	return ""
}

// sameSite is the cookies' attribute; strict unless lax was chosen.
func (c Cookie) sameSite() http.SameSite {
	if c.SameSite == "lax" {
		return http.SameSiteLaxMode
	}
	return http.SameSiteStrictMode
}
