package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fetching is a configuration that fetches certificates from an authority of the
// test's own.
func fetching(a *authority, upstream, domains, more string) string {
	return strings.NewReplacer("{UPSTREAM}", upstream, "{DOMAINS}", domains, "{DIRECTORY}", a.directory, "{CA}", a.ca, "{MORE}", more).Replace(`
listen: {LISTEN}
public_url: https://gw.test
admin: { listen: "{ADMIN}" }
upstreams: [{ name: app, urls: ["http://{UPSTREAM}"] }]
routes: [{ path: /**, allow: anyone }]
tls:
  acme: { domains: [{DOMAINS}], email: root@example.com, directory_url: "{DIRECTORY}", ca_file: "{CA}"{MORE} }
`)
}

// certificateFor is what the gateway shows for a name; whether it is worth
// anything is the roots' affair, nil: no matter.
func (g *gateway) certificateFor(name string, roots *x509.CertPool) (*x509.Certificate, error) {
	conn, err := tls.Dial("tcp", g.addr, &tls.Config{ServerName: name, RootCAs: roots, InsecureSkipVerify: roots == nil})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

// awaitCertificate waits until the gateway has a good one for a name, other than
// those that are known.
func (g *gateway) awaitCertificate(name string, roots *x509.CertPool, known ...*big.Int) *x509.Certificate {
	g.t.Helper()
	var cert *x509.Certificate
	eventually(g.t, "a certificate for "+name, func() bool {
		got, err := g.certificateFor(name, roots)
		if err != nil {
			return false
		}
		for _, serial := range known {
			if got.SerialNumber.Cmp(serial) == 0 {
				return false
			}
		}
		cert = got
		return true
	})
	return cert
}

// TestCertificatesAreFetchedSharedAndOutliveTheAuthority: the whole life of
// certificates that come by ACME, from a real authority that really connects to
// see whose the domain is.
func TestCertificatesAreFetchedSharedAndOutliveTheAuthority(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := prepare(t, "")
	ca := startAuthority(t, g.addr, freeAddr(t), 90*24*3600)
	g.configure(fetching(ca, up.addr, "gw.test, Other.gw.test", ""))
	g.start()

	// Fetched without anybody asking for it, and good for HTTP/2.
	eventually(t, "both are fetched", func() bool { return len(g.entries("a certificate was fetched")) == 2 })
	cert := g.awaitCertificate("gw.test", ca.roots)
	c := newClient(t, "https://gw.test")
	transport := dialing(g.addr)
	transport.TLSClientConfig, transport.ForceAttemptHTTP2 = &tls.Config{RootCAs: ca.roots}, true
	c.http.Transport = transport
	if r := c.get("/hello").want(t, 200, "over https"); r.ProtoMajor != 2 {
		t.Errorf("answered by %s", r.Proto)
	}

	if got := metric(t, g, `postern_tls_certificate_expiry_timestamp_seconds{source="acme"}`); got == "" || got == "0" {
		t.Errorf("the metric of when the first certificate expires is %q", got)
	}

	// A foreign name is told so, and the authority never hears of it.
	for _, name := range []string{"foreign.test", "sub.gw.test", "localhost", "127.0.0.1", ""} {
		if _, err := g.certificateFor(name, nil); err == nil || name != "" && name != "127.0.0.1" && !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("a handshake for %q: %v", name, err)
		}
	}
	// Nor does who speaks the CA's own protocol learn anything, or HTTP.
	conn, err := tls.Dial("tcp", g.addr, &tls.Config{ServerName: "gw.test", NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	if err == nil {
		t.Error("a challenge that nobody set was answered")
		conn.Close()
	}
	if said := ca.output.String(); strings.Contains(said, "foreign.test") || strings.Contains(said, "sub.gw.test") {
		t.Error("the authority was asked for a foreign name")
	}

	// Sealed in the store.
	for _, name := range []string{"postern.db", "postern.db-wal"} {
		if data, err := os.ReadFile(filepath.Join(g.dir, name)); err == nil && bytes.Contains(data, []byte("PRIVATE KEY")) {
			t.Errorf("%s has a key in the clear", name)
		}
	}

	// The authority goes. Another instance with the same store, and this one after
	// a start, have what was fetched; a new name finds none, and the log says why.
	ca.stop()
	second := prepare(t, "")
	second.configure(fetching(ca, up.addr, "gw.test", "") + "store: { path: " + filepath.Join(g.dir, "postern.db") + ", key_file: " + filepath.Join(g.dir, "postern.key") + " }\n")
	second.start()
	g.stop()
	g.start()
	for _, instance := range []*gateway{g, second} {
		if got, err := instance.certificateFor("gw.test", ca.roots); err != nil || got.SerialNumber.Cmp(cert.SerialNumber) != 0 {
			t.Errorf("without the authority: %v", err)
		}
	}
	g.amend("domains: [gw.test, ", "domains: [gw.test, late.test, ")
	if _, err := g.certificateFor("late.test", nil); err == nil {
		t.Error("there is a certificate that nobody issued")
	}
	eventually(t, "the log says that the authority is away", func() bool { return len(g.entries("the certificate authority does not answer")) > 0 })
	if _, err := g.certificateFor("gw.test", ca.roots); err != nil {
		t.Errorf("the others suffer: %v", err)
	}
	if r := c.get("/hello"); r.StatusCode != 200 {
		t.Errorf("answered %s", r.Status)
	}
}

// TestDomainsChangeWithAReload: a name that was added is fetched, one that was
// taken away is foreign from then on, and what needs a start is named. All is
// kept in a directory for its owner alone, where one is named.
func TestDomainsChangeWithAReload(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := prepare(t, "")
	ca := startAuthority(t, g.addr, freeAddr(t), 90*24*3600)
	g.configure(fetching(ca, up.addr, "gw.test, old.test", ", cache_dir: certs"))
	g.start()
	g.awaitCertificate("old.test", ca.roots)
	g.amend("gw.test, old.test", "gw.test, new.test")
	g.awaitCertificate("new.test", ca.roots)
	g.awaitCertificate("gw.test", ca.roots)
	if _, err := g.certificateFor("old.test", nil); err == nil {
		t.Error("a domain that was taken away is still served")
	}
	info, err := os.Stat(filepath.Join(g.dir, "certs"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info, err)
	}
	files, err := os.ReadDir(filepath.Join(g.dir, "certs"))
	if err != nil || len(files) < 4 { // an account and three certificates
		t.Errorf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if info, err := file.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", file.Name(), info.Mode())
		}
	}
	g.amend("root@example.com", "else@example.com")
	if e := g.entries("this key changed, and takes effect at the next start"); len(e) == 0 || e[len(e)-1]["key"] != "tls.acme, but its domains" {
		t.Errorf("of an address that changed: %v", e)
	}
}

// TestCertificatesAreRenewedBeforeTheyEnd, without a request and without a start.
func TestCertificatesAreRenewedBeforeTheyEnd(t *testing.T) {
	t.Parallel()
	g := prepare(t, "")
	ca := startAuthority(t, g.addr, freeAddr(t), 18)
	g.configure(fetching(ca, "127.0.0.1:1", "gw.test", ""))
	g.start()
	first := g.awaitCertificate("gw.test", ca.roots)
	g.awaitCertificate("gw.test", ca.roots, first.SerialNumber)
}

// TestAChallengeOverHTTPWhereTheTLSPortIsOutOfReach: the CA comes by port 80
// instead; it says why the other way failed, and the log repeats it. Everybody
// else who comes there is sent to https, and learns nothing.
func TestAChallengeOverHTTPWhereTheTLSPortIsOutOfReach(t *testing.T) {
	t.Parallel()
	g := prepare(t, "")
	plain := freeAddr(t)
	ca := startAuthority(t, freeAddr(t), plain, 90*24*3600)
	g.configure(strings.Replace(fetching(ca, "127.0.0.1:1", "gw.test", ", http_listen: \""+plain+"\""), "https://gw.test", "https://gw.test:8443", 1))
	g.start()
	g.awaitCertificate("gw.test", ca.roots)
	if e := g.entries("the certificate authority could not verify a domain"); len(e) == 0 || e[0]["domain"] != "gw.test" || e[0]["challenge"] != "tls-alpn-01" || e[0]["detail"] == "" {
		t.Errorf("logged %v", e)
	}
	c := newClient(t, "http://gw.test")
	c.http.Transport = dialing(plain)
	for _, test := range []struct {
		method, path, host string
		status             int
		location           string
	}{
		{"GET", "/a%2Fb?q=1&r=//evil.test", "gw.test", 308, "https://gw.test:8443/a%2Fb?q=1&r=//evil.test"},
		{"POST", "/auth/login", "GW.test:80", 308, "https://gw.test:8443/auth/login"},
		{"GET", "//evil.test/", "gw.test", 308, "https://gw.test:8443//evil.test/"},
		{"GET", "/", "evil.test", 421, ""},
		{"GET", "/.well-known/acme-challenge/x", "evil.test", 421, ""},
		{"GET", "/.well-known/acme-challenge/x", "gw.test", 404, ""},
		{"GET", "/.well-known/acme-challenge/acme_account+key", "gw.test", 404, ""},
		{"POST", "/.well-known/acme-challenge/x", "gw.test", 308, "https://gw.test:8443/.well-known/acme-challenge/x"},
	} {
		req, err := http.NewRequest(test.method, "http://gw.test"+test.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = test.host
		resp, err := c.http.Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != test.status || resp.Header.Get("Location") != test.location || bytes.Contains(body, []byte("PRIVATE")) {
			t.Errorf("%s %s of %s: %d, Location %q, want %d, %q\n%s", test.method, test.path, test.host, resp.StatusCode, resp.Header.Get("Location"), test.status, test.location, body)
		}
		if resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s %s of %s: no request id", test.method, test.path, test.host)
		}
	}
}
