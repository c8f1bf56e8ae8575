package gateway

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"reflect"
	"strings"

	"golang.org/x/crypto/acme"
)

// validateTLS looks at what the public listener speaks.
func (c *Config) validateTLS(f *faults) {
	files := c.TLS.CertFile != "" || c.TLS.KeyFile != ""
	served := files || c.TLS.ACME.Enabled()
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		f.add("tls", "cert_file and key_file belong together")
	}
	if files && c.TLS.ACME.Enabled() {
		f.add("tls.acme.domains", "has certificates fetched, and cert_file and key_file name one: leave out the one or the other")
	}
	if c.TLS.ClientCAFile != "" && !served {
		f.add("tls.client_ca_file", "needs cert_file and key_file, or acme: only clients of https show certificates")
	}
	if c.H2C && served {
		f.add("h2c", "is HTTP/2 without TLS, and there is TLS, which has HTTP/2 anyway: leave it out")
	}
	if c.Admin.PProf && c.Admin.Listen == "" {
		f.add("admin.pprof", "needs admin.listen: profiles are never on the public listener")
	}
	if u, err := url.Parse(c.PublicURL); err == nil && u.Scheme == "http" && served {
		f.warn("public_url", "says http, and the gateway speaks https alone: write https, so that redirects and cookies are right")
	}
	c.validateACME(f)
}

// validateACME looks at how certificates are fetched.
func (c *Config) validateACME(f *faults) {
	a := &c.TLS.ACME
	if !a.Enabled() {
		if a.isSet() {
			f.add("tls.acme.domains", "is empty: list the names that certificates are to be fetched for, or leave out tls.acme")
		}
		return
	}
	c.validateDomains(f)
	if at, err := mail.ParseAddress(a.Email); a.Email != "" && (err != nil || at.Address != a.Email) {
		f.add("tls.acme.email", "%q is no e-mail address", a.Email)
	}
	if u, err := url.Parse(a.DirectoryURL); err != nil || !isSite(u) || u.Scheme != "https" || u.User != nil {
		f.add("tls.acme.directory_url", "is no https URL: write where the CA has its directory, or leave it out for %s", acme.LetsEncryptURL)
	}
	c.validateHTTPListen(f)
}

// isSet tells whether anything is said about fetching, beside for whom.
func (a *ACME) isSet() bool {
	bare := ACME{DirectoryURL: acme.LetsEncryptURL, Domains: a.Domains}
	return !reflect.DeepEqual(*a, bare) && !reflect.DeepEqual(*a, ACME{Domains: a.Domains})
}

// validateDomains looks at the names, and whether browsers find one.
func (c *Config) validateDomains(f *faults) {
	a, seen := &c.TLS.ACME, map[string]bool{}
	for i, d := range a.Domains {
		path := fmt.Sprintf("tls.acme.domains[%d]", i)
		validateDomain(f, path, d)
		if seen[asciiName(d)] {
			f.add(path, "%q is listed already", d)
		}
		seen[asciiName(d)] = true
	}
	if u, err := url.Parse(c.PublicURL); err == nil && isSite(u) && u.Scheme == "https" && !seen[asciiName(u.Hostname())] {
		f.warn("tls.acme.domains", "lacks the host of public_url, %s: browsers that go there find no certificate", u.Hostname())
	}
}

// validateHTTPListen wants an address of its own.
func (c *Config) validateHTTPListen(f *faults) {
	const path = "tls.acme.http_listen"
	address := c.TLS.ACME.HTTPListen
	if address == "" {
		return
	}
	validateListen(f, path, address, false)
	if (address == c.Listen || address == c.Admin.Listen) && !strings.HasSuffix(address, ":0") {
		f.add(path, "is another listener's address; write the one that http:// leads to, such as :80")
	}
}

// validateDomain wants a name that a CA can look at over the network. That of a
// single label is of no use outside, and a wildcard can only be proven by DNS.
func validateDomain(f *faults, path, domain string) {
	name := asciiName(domain)
	_, err := netip.ParseAddr(strings.Trim(domain, "[]"))
	switch {
	case strings.HasPrefix(domain, "*"):
		f.add(path, "%q: a wildcard cannot be fetched in this way; list the names one by one, or get the certificate elsewhere and name its files", domain)
	case err == nil:
		f.add(path, "%q is an address: certificates are fetched for names", domain)
	case name == "" || !validName(name) || strings.HasSuffix(domain, "."):
		f.add(path, "%q is no host name: write app.example.com, without scheme, port and path", domain)
	case !strings.Contains(name, "."):
		f.add(path, "%q is no name that a CA could look up: write all of it, app.example.com", domain)
	}
}
