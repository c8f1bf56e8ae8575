package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/policy"
)

// authority signs clients' certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ours"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &authority{t, cert, key, file}
}

// issue makes a client's certificate, as change wants it.
func (a *authority) issue(subject pkix.Name, change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: subject, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	must(a.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// machines is a stack over TLS that asks for certificates: /machine/** is the
// backup's, /both/** the backup's when an administrator asks, and /unless/** is
// everybody's but the backup's.
func machines(t *testing.T, ca *authority, changes ...func(*setup)) (*stack, *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	trust := x509.NewCertPool()
	trust.AddCert(writeCertificate(t, dir))
	cert := &policy.ClientCert{Subject: "CN=backup,O=Example"}
	return newStack(t, append([]func(*setup){func(c *setup) {
		c.gateway.PublicURL = "https://gw.test"
		c.gateway.TLS = TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), ClientCAFile: ca.file}
		c.policy.Routes = append(c.policy.Routes,
			policy.Route{Path: "/machine/**", Allow: []policy.Rule{{ClientCert: cert}}},
			policy.Route{Path: "/both/**", Allow: []policy.Rule{{ClientCert: cert, Role: "admin"}}},
			policy.Route{Path: "/unless/**", Allow: []policy.Rule{{Anyone: true}}, Deny: []policy.Rule{{ClientCert: cert}}})
	}}, changes...)...), trust
}

// askWith sends one GET with the certificate, if any, over HTTP/1.1 or 2. A refused
// handshake is status 0.
func (s *stack) askWith(trust *x509.CertPool, version int, cert *tls.Certificate, path string, fields ...string) (int, string) {
	s.t.Helper()
	conf := &tls.Config{RootCAs: trust, ServerName: "gw.test"}
	if cert != nil {
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	tr := &http.Transport{ForceAttemptHTTP2: version == 2, TLSClientConfig: conf, DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequest("GET", "https://"+s.server.Addr()+path, nil)
	must(s.t, err)
	r.Host = "gw.test"
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Set(name, value)
	}
	res, err := tr.RoundTrip(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.ProtoMajor != version {
		s.t.Errorf("HTTP/%d, want %d", res.ProtoMajor, version)
	}
	return res.StatusCode, string(body)
}

func example(name string) pkix.Name {
	return pkix.Name{CommonName: name, Organization: []string{"Example"}}
}

func TestACertificateIsWhoTheClientIs(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	s, trust := machines(t, ca)
	root, alice := bearer(s.token("root")), bearer(s.token("alice"))
	backup, web := ca.issue(example("backup"), nil), ca.issue(example("web"), nil)
	stranger := other.issue(example("backup"), nil)
	expired := ca.issue(example("backup"), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	server := ca.issue(example("backup"), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	wide := ca.issue(pkix.Name{CommonName: "backup", Organization: []string{"Example"}, Country: []string{"DE"}}, nil)
	lie := ca.issue(pkix.Name{CommonName: "CN=backup,O=Example"}, nil)
	for _, test := range []struct {
		name   string
		cert   *tls.Certificate
		path   string
		token  string
		status int
	}{
		{"the one", &backup, "/machine/x", "", 200},
		{"another", &web, "/machine/x", "", 403},
		{"none", nil, "/machine/x", "", 403},
		{"none, and an administrator", nil, "/machine/x", root, 403},
		{"a subject with more to it", &wide, "/machine/x", "", 403},
		{"a common name that reads like the subject", &lie, "/machine/x", "", 403},
		{"of another authority of that name", &stranger, "/machine/x", "", 0},
		{"expired", &expired, "/machine/x", "", 0},
		{"made for servers", &server, "/machine/x", "", 0},
		{"none, where anyone may", nil, "/public/x", "", 200},
		{"of another authority, where anyone may", &stranger, "/public/x", "", 0},
		{"certificate and role", &backup, "/both/x", root, 200},
		{"certificate without the role", &backup, "/both/x", alice, 403},
		{"certificate without a login", &backup, "/both/x", "", 401},
		{"role without the certificate", nil, "/both/x", root, 403},
		{"neither", nil, "/both/x", "", 403},
		{"denied by certificate", &backup, "/unless/x", "", 403},
		{"not denied", &web, "/unless/x", "", 200},
	} {
		for _, version := range []int{1, 2} {
			var fields []string
			if test.token != "" {
				fields = []string{test.token}
			}
			if got, body := s.askWith(trust, version, test.cert, test.path, fields...); got != test.status {
				t.Errorf("%s, HTTP/%d: %d, want %d: %.200s", test.name, version, got, test.status, body)
			}
		}
	}
}

// A header is no certificate, whoever writes it.
func TestNoHeaderStandsForACertificate(t *testing.T) {
	ca := newAuthority(t)
	for _, trusted := range [][]string{nil, {"127.0.0.1"}} {
		s, trust := machines(t, ca, func(c *setup) { c.gateway.TrustedProxies = trusted })
		for _, name := range []string{"X-SSL-Client-S-DN", "X-SSL-Client-Verify", "X-Client-Cert", "X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "Client-Cert", "SSL_CLIENT_S_DN"} {
			if got, _ := s.askWith(trust, 1, nil, "/machine/x", name+": CN=backup,O=Example"); got != 403 {
				t.Errorf("%s: %d", name, got)
			}
		}
	}
}

// The certificate of a trusted proxy is the proxy's, not that of the clients
// whose requests it carries; and what they have is not known.
func TestAProxysCertificateIsNotItsClients(t *testing.T) {
	ca := newAuthority(t)
	backup := ca.issue(example("backup"), nil)
	s, trust := machines(t, ca, func(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1"} })
	for _, fields := range [][]string{nil, {from("192.0.2.1")}} {
		if got, _ := s.askWith(trust, 2, &backup, "/machine/x", fields...); got != 403 {
			t.Errorf("allowed by its proxy's certificate: %d", got)
		}
		if got, _ := s.askWith(trust, 2, nil, "/unless/x", fields...); got != 403 {
			t.Errorf("not denied, though its certificate is not known: %d", got)
		}
	}
	conn := s.dial() // but through PROXY protocol TLS is the client's own
	defer conn.Close()
	write(t, conn, "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n")
	secure := tls.Client(conn, &tls.Config{RootCAs: trust, ServerName: "gw.test", Certificates: []tls.Certificate{backup}})
	request := strings.Replace(plainGet, "/public/", "/machine/", 1)
	write(t, secure, request)
	s.read(newReader(secure), request, s.app.count()).wants(t, 200, "")
}

func TestACertificateEndsOnAConnectionThatLivesOn(t *testing.T) {
	ca := newAuthority(t)
	s, trust := machines(t, ca)
	backup := ca.issue(example("backup"), nil)
	conn := s.dial()
	defer conn.Close()
	secure := tls.Client(conn, &tls.Config{RootCAs: trust, ServerName: "gw.test", Certificates: []tls.Certificate{backup}})
	request := strings.NewReplacer("/public/", "/machine/", "Connection: close\r\n", "").Replace(plainGet)
	br := newReader(secure)
	write(t, secure, request)
	s.read(br, request, s.app.count()).wants(t, 200, "")
	s.later(2 * time.Hour)
	write(t, secure, request)
	s.read(br, request, s.app.count()).wants(t, 403, "forbidden")
}

func TestADecisionRemembersTheCertificate(t *testing.T) {
	ca := newAuthority(t)
	s, trust := machines(t, ca)
	backup := ca.issue(example("backup"), nil)
	s.askWith(trust, 1, &backup, "/both/x", "X-Request-Id: with", bearer(s.token("root")))
	s.askWith(trust, 1, nil, "/both/x", "X-Request-Id: without")
	if d := s.recorded("with"); d.Certificate != "CN=backup,O=Example" || d.User != "root" || d.Roles != "admin" || d.Decision != "allow" {
		t.Errorf("recorded %+v", d)
	}
	if d := s.recorded("without"); d.Certificate != "" || d.Roles != "" || d.CertHidden {
		t.Errorf("recorded %+v", d)
	}
	s, trust = machines(t, ca, func(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1"} })
	s.askWith(trust, 1, &backup, "/unless/x", "X-Request-Id: proxied")
	if d := s.recorded("proxied"); d.Certificate != "" || !d.CertHidden || d.Decision != "deny" { // else explain would say that it is allowed
		t.Errorf("recorded %+v", d)
	}
}

func TestAnAuthorityThatCannotBeReadFailsTheStart(t *testing.T) {
	s := newStack(t)
	dir := t.TempDir()
	writeCertificate(t, dir)
	conf := DefaultConfig()
	conf.Listen = "127.0.0.1:0"
	for _, test := range []struct{ file, words string }{{"none.pem", "client_ca_file"}, {"key.pem", "there is no certificate"}} {
		conf.TLS = TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), ClientCAFile: filepath.Join(dir, test.file)}
		if err := NewServer(conf, s.gateway, slog.New(slog.DiscardHandler)).Listen(); err == nil || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: %v", test.file, err)
		}
	}
}

// The authorities of directories write DC and UID, of which crypto/x509 knows
// no names: a rule that names such a subject as openssl prints it must be met.
func TestASubjectOfADirectoryMeetsTheRuleThatNamesIt(t *testing.T) {
	ca := newAuthority(t)
	named := &policy.ClientCert{Subject: "CN=backup,DC=corp"}
	s, trust := machines(t, ca, func(c *setup) {
		c.policy.Routes = append(c.policy.Routes,
			policy.Route{Path: "/directory", Allow: []policy.Rule{{ClientCert: named}}},
			policy.Route{Path: "/outside", Allow: []policy.Rule{{ClientCert: &policy.ClientCert{Subject: "backup"}}}, Deny: []policy.Rule{{ClientCert: named}}})
	})
	domain := func(value string) pkix.RDNSequence {
		return pkix.RDNSequence{{{Type: []int{0, 9, 2342, 19200300, 100, 1, 25}, Value: value}}, {{Type: []int{2, 5, 4, 3}, Value: "backup"}}}
	}
	for value, status := range map[string][2]int{"corp": {200, 403}, "other": {403, 200}} {
		raw, err := asn1.Marshal(domain(value))
		must(t, err)
		cert := ca.issue(pkix.Name{}, func(c *x509.Certificate) { c.RawSubject = raw })
		for i, path := range []string{"/directory", "/outside"} {
			if got, body := s.askWith(trust, 1, &cert, path); got != status[i] {
				t.Errorf("DC=%s at %s: %d, want %d: %.200s", value, path, got, status[i], body)
			}
		}
	}
}

// A name of which two programs take different parts is nobody's for a rule that
// allows, and somebody's for one that denies; and so is one that cannot be read.
func TestASubjectOfTwoNamesOrNoneIsUnclear(t *testing.T) {
	ca := newAuthority(t)
	name := &policy.ClientCert{Subject: "backup"}
	s, trust := machines(t, ca, func(c *setup) {
		c.policy.Routes = append(c.policy.Routes,
			policy.Route{Path: "/in", Allow: []policy.Rule{{ClientCert: name}}},
			policy.Route{Path: "/out", Allow: []policy.Rule{{Anyone: true}}, Deny: []policy.Rule{{ClientCert: name}}})
	})
	commonName := func(v string) pkix.RelativeDistinguishedNameSET {
		return pkix.RelativeDistinguishedNameSET{{Type: []int{2, 5, 4, 3}, Value: v}}
	}
	raw, err := asn1.Marshal(pkix.RDNSequence{commonName("backup"), commonName("other")})
	must(t, err)
	two := ca.issue(pkix.Name{}, func(c *x509.Certificate) { c.RawSubject = raw })
	for _, path := range []string{"/in", "/out"} {
		if got, body := s.askWith(trust, 1, &two, path); got != 403 {
			t.Errorf("%s: %d: %.200s", path, got, body)
		}
	}
}
