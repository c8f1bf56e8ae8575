package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// files are a directory of certificates and keys.
type files struct {
	t   *testing.T
	dir string
	now time.Time
}

func (f *files) path(name string) string { return filepath.Join(f.dir, name) }

func (f *files) write(name string, blocks ...*pem.Block) {
	f.t.Helper()
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	must(f.t, os.WriteFile(f.path(name), text, 0o600))
}

// pair makes a certificate of a life of which so much is left, and its key.
func (f *files) pair(life, left time.Duration, names ...string) (cert, key *pem.Block) {
	f.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(f.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: f.now.Add(left - life), NotAfter: f.now.Add(left), IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(f.t, err)
	raw, err := x509.MarshalECPrivateKey(private)
	must(f.t, err)
	return &pem.Block{Type: "CERTIFICATE", Bytes: der}, &pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}
}

// newFiles has everything that the table below names.
func newFiles(t *testing.T) *files {
	f := &files{t, t.TempDir(), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	const day = 24 * time.Hour
	cert, key := f.pair(366*day, 365*day, "gw.test", "*.apps.test")
	ca, _ := f.pair(366*day, 365*day, "ca.test")
	f.write("good.pem", cert, ca)
	f.write("key.pem", &pem.Block{Type: "EC PARAMETERS", Bytes: []byte{1}}, key)
	f.write("both.pem", key, cert)
	f.write("turned.pem", ca, cert)
	f.write("locked.pem", &pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("hunter2")})
	f.write("oldlocked.pem", &pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("hunter2")})
	f.write("brokenkey.pem", &pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("hunter2")})
	f.write("brokencert.pem", &pem.Block{Type: "CERTIFICATE", Bytes: []byte("hunter2")})
	f.write("empty.pem")
	for name, times := range map[string]struct{ life, left time.Duration }{
		"expired": {90 * day, -time.Second}, "soon": {90 * day, 13 * day}, "later": {90 * day, 15 * day}, "short": {6 * day, 25 * time.Hour}, "shorter": {6 * day, 23 * time.Hour},
	} {
		cert, key := f.pair(times.life, times.left, "gw.test")
		f.write(name+".pem", cert, key)
	}
	must(t, syscall.Mkfifo(f.path("fifo"), 0o600))
	return f
}

func TestTheFilesOfCertificatesAreLookedInto(t *testing.T) {
	f := newFiles(t)
	for _, test := range []struct {
		name, cert, key string
		want            string // key: words; of a warning behind a question mark; empty: good
	}{
		{"good", "good.pem", "key.pem", ""},
		{"both in one file", "both.pem", "both.pem", ""},
		{"no file", "none.pem", "key.pem", "?tls.cert_file: none.pem: no such file or directory: where the gateway runs it must be there"},
		{"no file of the key", "good.pem", "none.pem", "?tls.key_file: none.pem: no such file"},
		{"a directory", ".", "key.pem", "tls.cert_file: is a directory"},
		{"nothing in it", "empty.pem", "key.pem", "tls.cert_file: there is no certificate (PEM) in empty.pem"},
		{"the key in the place of the certificate", "locked.pem", "key.pem", "tls.cert_file: there is no certificate (PEM) in locked.pem, but ENCRYPTED PRIVATE KEY"},
		{"the certificate in the place of the key", "good.pem", "good.pem", "tls.key_file: there is no private key (PEM) in good.pem, but CERTIFICATE"},
		{"a certificate that is none", "brokencert.pem", "key.pem", "tls.cert_file: the first certificate in brokencert.pem cannot be read"},
		{"a key that is none", "good.pem", "brokenkey.pem", "tls.key_file: brokenkey.pem and good.pem cannot be used"},
		{"another's key", "good.pem", "soon.pem", "tls.key_file: soon.pem is the key of another certificate than the first one in good.pem"},
		{"the chain before the certificate", "turned.pem", "key.pem", "?tls.cert_file: turned.pem is not for the host of public_url, gw.test, but for ca.test, 192.0.2.1: browsers"},
		{"a passphrase", "good.pem", "locked.pem", "tls.key_file: locked.pem is locked by a passphrase"},
		{"a passphrase of old", "good.pem", "oldlocked.pem", "tls.key_file: oldlocked.pem is locked by a passphrase"},
		{"expired", "expired.pem", "expired.pem", "?tls.cert_file: expired.pem expired at 2026-05-01T11:59:59Z: renew it"},
		{"soon expired", "soon.pem", "soon.pem", "?tls.cert_file: soon.pem expires at 2026-05-14T12:00:00Z: renew it"},
		{"in time", "later.pem", "later.pem", ""},
		{"of a short life, in time", "short.pem", "short.pem", ""},
		{"of a short life, nearly over", "shorter.pem", "shorter.pem", "?tls.cert_file: shorter.pem expires at"},
		{"what can be read once", "fifo", "fifo", ""},
	} {
		c := Config{PublicURL: "https://gw.test:8443", TLS: TLS{CertFile: f.path(test.cert), KeyFile: f.path(test.key)}}
		f.finds(test.name, c.ExamineFiles(f.now, false), test.want)
	}
}

// finds compares the first of the faults.
func (f *files) finds(name string, faults []Fault, want string) {
	f.t.Helper()
	got := ""
	if len(faults) > 0 {
		got = faults[0].Path + ": " + faults[0].Message
		if faults[0].Warning {
			got = "?" + got
		}
	}
	if strings.Contains(got, "hunter2") {
		f.t.Errorf("%s: what is in a file is told: %s", name, got)
	}
	key, words, _ := strings.Cut(want, ": ")
	plain := strings.ReplaceAll(got, f.dir+string(filepath.Separator), "")
	if (got == "") != (want == "") || !strings.HasPrefix(got, key) || !strings.Contains(plain, words) {
		f.t.Errorf("%s\ngot  %s\nwant %s", name, plain, want)
	}
}

// TestWhereTheGatewayRunsItsFilesMustBeGood: the doctor's measure.
func TestWhereTheGatewayRunsItsFilesMustBeGood(t *testing.T) {
	f := newFiles(t)
	for cert, want := range map[string]string{
		"none.pem":    "tls.cert_file: none.pem: no such file or directory: name the file, in PEM",
		"expired.pem": "tls.cert_file: expired.pem expired at",
		"soon.pem":    "?tls.cert_file: soon.pem expires at",
	} {
		c := Config{PublicURL: "https://gw.test", TLS: TLS{CertFile: f.path(cert), KeyFile: f.path(cert)}}
		f.finds(cert, c.ExamineFiles(f.now, true), want)
	}
	early := f.now.Add(-48 * time.Hour)
	c := Config{PublicURL: "https://gw.test", TLS: TLS{CertFile: f.path("good.pem"), KeyFile: f.path("key.pem")}}
	f.finds("not good yet", c.ExamineFiles(early, true), "tls.cert_file: good.pem is good from 2026-04-30T12:00:00Z on, and this machine's clock says 2026-04-29T12:00:00Z")
}

func TestACertificateIsForTheHostThatBrowsersAskFor(t *testing.T) {
	f := newFiles(t)
	for site, good := range map[string]bool{
		"https://gw.test": true, "https://GW.test:444": true, "https://a.apps.test": true, "https://192.0.2.1": true, "http://other.test": true,
		"https://other.test": false, "https://a.b.apps.test": false, "https://apps.test": false, "https://[2001:db8::1]:444": false,
	} {
		c := Config{PublicURL: site, TLS: TLS{CertFile: f.path("good.pem"), KeyFile: f.path("key.pem")}}
		want := ""
		if !good {
			want = "?tls.cert_file: is not for the host of public_url"
		}
		f.finds(site, c.ExamineFiles(f.now, true), want)
	}
}

func TestTheFilesOfUpstreamsAndAuthoritiesAreLookedIntoAsWell(t *testing.T) {
	f := newFiles(t)
	for want, change := range map[string]func(*Config){
		"": func(c *Config) {
			c.TLS.ClientCAFile, c.Upstreams[0].TLS.CAFile = f.path("good.pem"), f.path("good.pem")
		},
		"?tls.client_ca_file: none.pem: no such file":                                    func(c *Config) { c.TLS.ClientCAFile = f.path("none.pem") },
		"tls.client_ca_file: there is no certificate (PEM) in locked.pem, but ENCRYPTED": func(c *Config) { c.TLS.ClientCAFile = f.path("locked.pem") },
		"tls.acme.ca_file: there is no certificate (PEM) in empty.pem":                   func(c *Config) { c.TLS.ACME.CAFile = f.path("empty.pem") },
		"upstreams[0].tls.ca_file: there is no certificate (PEM) in empty.pem":           func(c *Config) { c.Upstreams[0].TLS.CAFile = f.path("empty.pem") },
		"upstreams[0].tls.key_file: is the key of another certificate": func(c *Config) {
			c.Upstreams[0].TLS.CertFile, c.Upstreams[0].TLS.KeyFile = f.path("good.pem"), f.path("soon.pem")
		},
	} {
		c := Config{PublicURL: "https://other.test", Upstreams: []Upstream{{Name: "app"}}}
		change(&c)
		f.finds(want, c.ExamineFiles(f.now, false), want)
	}
}

func TestAFileThatIsTooLargeIsNotRead(t *testing.T) {
	f := newFiles(t)
	must(t, os.Truncate(f.path("good.pem"), 1<<40)) // to read it would end the test
	c := Config{TLS: TLS{CertFile: f.path("good.pem"), KeyFile: f.path("key.pem")}}
	found := c.ExamineFiles(f.now, true)
	if len(found) != 1 || !found[0].Warning || found[0].Path != "tls.cert_file" || !strings.Contains(found[0].Message, "more than 8 MiB") {
		t.Errorf("%+v", found)
	}
}

func TestAFileThatThisUserMayNotReadIsNoFault(t *testing.T) {
	f := newFiles(t)
	must(t, os.Chmod(f.path("key.pem"), 0))
	for _, open := range []string{f.path("good.pem"), f.path("."), f.path("..")} { // for everybody else
		must(t, os.Chmod(open, 0o755))
	}
	c := Config{PublicURL: "https://gw.test", TLS: TLS{CertFile: f.path("good.pem"), KeyFile: f.path("key.pem")}}
	var found []Fault
	asNobody(t, func() { found = c.ExamineFiles(f.now, true) })
	f.finds("locked away", found, "?tls.key_file: key.pem: permission denied: this user cannot tell")
}

func FuzzFilesOfCertificates(f *testing.F) {
	for _, seed := range []string{"", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "-----BEGIN EC PRIVATE KEY-----\nDEK-Info: x\n\nAA==\n-----END EC PRIVATE KEY-----\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var e examiner
		good := e.certificate("c", "file", data, "gw.test")
		if refused := slices.ContainsFunc(e.faults, func(f Fault) bool { return !f.Warning }); good == refused {
			t.Fatalf("%t, and said is %v", good, e.faults)
		}
		e = examiner{}
		if good := e.key("k", "file", data); good != (len(e.faults) == 0) {
			t.Fatalf("%t, and said is %v", good, e.faults)
		}
	})
}
