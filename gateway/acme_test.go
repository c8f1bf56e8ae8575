package gateway

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

// refusing is a certificate authority that refuses everything, and counts how
// often it was asked. Real ones are met in e2e.
type refusing struct {
	*httptest.Server
	asked atomic.Int64
	file  string // the authority (PEM) of its certificate
}

func newRefusing(t *testing.T) *refusing {
	t.Helper()
	ca := &refusing{file: filepath.Join(t.TempDir(), "ca.pem")}
	ca.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ca.asked.Add(1)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(403)
		_, _ = io.WriteString(w, `{"type":"urn:ietf:params:acme:error:unauthorized","detail":"not you"}`)
	}))
	t.Cleanup(ca.Close)
	must(t, os.WriteFile(ca.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate().Raw}), 0o600))
	return ca
}

// fetcherOf is an opened fetcher of gw.test, with what it logs.
func fetcherOf(t *testing.T, conf ACME) (*fetcher, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	f := newFetcher(conf, slog.New(slog.NewJSONHandler(log, nil)))
	f.secrets = secretsOf(t)
	must(t, f.open())
	t.Cleanup(f.stop)
	return f, log
}

func secretsOf(t *testing.T) *auth.Secrets {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "postern.db"))
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return auth.NewSecrets(store, auth.MasterKey{7}, rand.Reader)
}

func hello(name string, protocols ...string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: name, SupportedProtos: protocols, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
}

// counting counts what is asked of a cache.
type counting struct {
	autocert.Cache
	asked atomic.Int64
}

func (c *counting) Get(ctx context.Context, name string) ([]byte, error) {
	c.asked.Add(1)
	return c.Cache.Get(ctx, name)
}

func TestAForeignNameGetsNoCertificateAndCostsNothing(t *testing.T) {
	ca := newRefusing(t)
	f, log := fetcherOf(t, ACME{Domains: []string{"gw.test", "Café.test"}, DirectoryURL: ca.URL, CAFile: ca.file})
	kept := &counting{Cache: f.shelf}
	f.current.Load().manager.Cache = kept
	for _, name := range []string{"", "other.test", "gw.tes", "a.gw.test", "gw.test.", "127.0.0.1", "*.test", "..", "gw.test:443", "caf.test", strings.Repeat("a", 300), "gw.test\x00"} {
		if name == "gw.test." { // the root's dot is no other name
			continue
		}
		for _, protocols := range [][]string{nil, {"h2"}, {acme.ALPNProto}} {
			if cert, err := f.certificate(hello(name, protocols...)); cert != nil || err != nil {
				t.Errorf("%q %v: %v, %v", name, protocols, cert, err)
			}
		}
	}
	if kept.asked.Load() != 0 || ca.asked.Load() != 0 || log.String() != "" {
		t.Errorf("the store was asked %d times, the CA %d times, and the log has %q", kept.asked.Load(), ca.asked.Load(), log)
	}
	for _, name := range []string{"gw.test", "GW.Test.", "xn--caf-dma.test"} {
		if cert, err := f.certificate(hello(name)); cert != nil || err == nil {
			t.Errorf("%q, which the CA refuses: %v, %v", name, cert, err)
		}
	}
	if ca.asked.Load() == 0 {
		t.Error("nobody asked the CA for our own")
	}
	if cert, err := f.certificate(hello("gw.test", acme.ALPNProto)); cert != nil || err == nil {
		t.Errorf("a challenge that nobody set: %v, %v", cert, err)
	}
}

func TestAFailureIsLoggedOnceAndNotAsOftenAsStrangersAsk(t *testing.T) {
	ca := newRefusing(t)
	f, log := fetcherOf(t, ACME{Domains: []string{"gw.test", "two.test"}, DirectoryURL: ca.URL, CAFile: ca.file})
	for range 20 {
		for _, name := range []string{"gw.test", "two.test"} {
			if _, err := f.certificate(hello(name)); err == nil {
				t.Fatal("there is a certificate")
			}
		}
	}
	var domains []any
	for _, e := range log.entries(t, "there is no certificate for a domain, clients of it are turned away", 2) {
		domains = append(domains, e["domain"])
	}
	if !slices.Equal(domains, []any{"gw.test", "two.test"}) {
		t.Errorf("logged of %v", domains)
	}
	refusals := log.entries(t, "the certificate authority refused a request", 2)
	if e := refusals[0]; e["detail"] != "not you" || e["status"] != 403.0 {
		t.Errorf("logged %v", e)
	}
}

func TestOtherDomainsCutTheLineOfTheOldOnesAndTheSameDoNothing(t *testing.T) {
	ca := newRefusing(t)
	f, _ := fetcherOf(t, ACME{Domains: []string{"gw.test", "two.test"}, DirectoryURL: ca.URL, CAFile: ca.file})
	old := f.current.Load()
	f.serve([]string{"TWO.test", "gw.test"})
	if f.current.Load() != old {
		t.Error("the same domains began anew")
	}
	f.serve([]string{"gw.test", "three.test"})
	if f.current.Load() == old {
		t.Fatal("other domains changed nothing")
	}
	client := old.manager.Client.HTTPClient
	if _, err := client.Get(ca.URL); err == nil || ca.asked.Load() != 0 {
		t.Errorf("the old line still carries: %v", err)
	}
	if resp, err := f.current.Load().manager.Client.HTTPClient.Get(ca.URL); err != nil {
		t.Error(err)
	} else {
		resp.Body.Close()
	}
	if err := old.manager.HostPolicy(t.Context(), "three.test"); !errors.Is(err, errForeignName) {
		t.Errorf("the old policy: %v", err)
	}
	f.stop()
	if _, err := f.current.Load().manager.Client.HTTPClient.Get(ca.URL); err == nil || ca.asked.Load() != 1 {
		t.Errorf("after the end: %v", err)
	}
}

func TestFetchingGoesOnWithEveryOtherListUntilTheEnd(t *testing.T) {
	ca := newRefusing(t)
	f, log := fetcherOf(t, ACME{Domains: []string{"b.test", "a.test"}, DirectoryURL: ca.URL, CAFile: ca.file})
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); f.fetch(ctx) }()
	const failed = "there is no certificate for a domain, clients of it are turned away"
	log.entries(t, failed, 2)
	f.serve([]string{"c.test"})
	log.entries(t, failed, 3)
	end()
	<-ended
	var domains []any
	for _, e := range log.entries(t, failed, 3) {
		domains = append(domains, e["domain"])
	}
	if !slices.Equal(domains, []any{"a.test", "b.test", "c.test"}) {
		t.Errorf("fetched for %v", domains)
	}
}

// newSilent is an authority that takes a request and never answers. It tells of
// the first.
func newSilent(t *testing.T) (ca *httptest.Server, file string, reached chan struct{}) {
	t.Helper()
	reached, release := make(chan struct{}, 100), make(chan struct{})
	ca = httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(ca.Close)
	t.Cleanup(func() { close(release) })
	file = filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate().Raw}), 0o600))
	return ca, file, reached
}

// TestOnlySomeHandshakesWaitForTheAuthority: a stranger who opens connection
// after connection while it thinks holds no more than those; domains that have
// a certificate, and the CA that comes to look, are not held up by them.
func TestOnlySomeHandshakesWaitForTheAuthority(t *testing.T) {
	ca, file, _ := newSilent(t)
	f, _ := fetcherOf(t, ACME{Domains: []string{"gw.test", "two.test"}, DirectoryURL: ca.URL, CAFile: file})
	f.expiry = new(atomic.Int64)
	dir := t.TempDir()
	cert := writeCertificate(t, dir)
	key, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	must(t, err)
	must(t, f.shelf.Put(t.Context(), "gw.test", append(key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)))
	served := func() {
		t.Helper()
		if got, err := f.admitted(hello("gw.test", "h2")); err != nil || got == nil || !got.Leaf.Equal(cert) {
			t.Errorf("the domain that has one: %v, %v", got, err)
		}
	}
	served()
	ended := make(chan error, maxWaiting)
	for range maxWaiting {
		go func() {
			_, err := f.admitted(hello("two.test"))
			ended <- err
		}()
	}
	eventually(t, "all wait", func() bool { return f.waiting.Load() == maxWaiting })
	for name, more := range map[string]*tls.ClientHelloInfo{
		"one more":                                hello("two.test"),
		"who names the challenge beside others":   hello("two.test", acme.ALPNProto, "h2"),
		"who wants the other kind, not there yet": {ServerName: "gw.test", CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}},
	} {
		if _, err := f.admitted(more); !errors.Is(err, errWaiting) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.admitted(hello("two.test", acme.ALPNProto)); err == nil || errors.Is(err, errWaiting) {
		t.Errorf("the CA: %v", err)
	}
	served()
	f.stop()
	for range maxWaiting {
		if err := <-ended; err == nil || errors.Is(err, errWaiting) {
			t.Errorf("one that waited: %v", err)
		}
	}
	if f.waiting.Load() != 0 {
		t.Errorf("%d wait after the end", f.waiting.Load())
	}
}

// TestTheMetricTellsOfTheCertificateThatExpiresFirst, as it is found, fetched or
// renewed, without a client who asks; of a domain that is no longer ours, nothing.
func TestTheMetricTellsOfTheCertificateThatExpiresFirst(t *testing.T) {
	f, _ := fetcherOf(t, ACME{Domains: []string{"gw.test", "two.test"}, DirectoryURL: "https://192.0.2.1/dir"})
	f.expiry = new(atomic.Int64)
	start := time.Now()
	in := func(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }
	for _, step := range []struct {
		name  string
		ends  time.Time
		first int // of the hours
		has   bool
	}{
		{"gw.test", in(5), 5, true}, {"two.test", in(3), 3, true}, {"two.test", in(9), 5, true}, {"gw.test", in(20), 9, true}, {"foreign.test", in(1), 9, false}, {"gw.test", in(-1), -1, false},
	} {
		f.note(step.name, step.ends)
		if got := f.expiry.Load(); got != in(step.first).Unix() || f.has(step.name) != step.has {
			t.Errorf("after %s until %s: %d, want %d; has %v", step.name, step.ends, got, in(step.first).Unix(), f.has(step.name))
		}
	}
	f.serve([]string{"two.test"})
	f.note("two.test", in(30))
	f.note("gw.test", in(1))
	if got := f.expiry.Load(); got != in(30).Unix() || f.has("gw.test") {
		t.Errorf("of a domain that was taken away: %d", got)
	}
}

// TestTheEndDoesNotWaitForTheAuthority, which may have us wait for very long.
func TestTheEndDoesNotWaitForTheAuthority(t *testing.T) {
	ca, file, reached := newSilent(t)
	f, log := fetcherOf(t, ACME{Domains: []string{"gw.test"}, DirectoryURL: ca.URL, CAFile: file})
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); f.fetch(ctx) }()
	<-reached
	end()
	<-ended
	if text := log.String(); text != "" {
		t.Errorf("an end is no failure, and the log has %s", text)
	}
}

func TestPlacesThatAreNoneAreRefusedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte("no certificate"), 0o600))
	for words, conf := range map[string]ACME{
		"tls.acme.ca_file: open":            {CAFile: filepath.Join(dir, "none")},
		"there is no certificate (PEM)":     {CAFile: file},
		"tls.acme.cache_dir: mkdir":         {CacheDir: file},
		"tls.acme.cache_dir: mkdir " + file: {CacheDir: filepath.Join(file, "below")},
	} {
		f := newFetcher(conf, slog.New(slog.DiscardHandler))
		f.secrets = secretsOf(t)
		if err := f.open(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want %s, got %v", words, err)
		}
	}
	if err := newFetcher(ACME{}, slog.New(slog.DiscardHandler)).open(); err == nil {
		t.Error("there is nowhere to keep anything, and nobody minds")
	}
}

func TestADirectoryThatOthersCanReadIsWarnedOf(t *testing.T) {
	for mode, want := range map[os.FileMode]int{0o700: 0, 0o755: 1, 0o770: 1} {
		dir, log := filepath.Join(t.TempDir(), "certs"), &logBuffer{}
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.Chmod(dir, mode))
		f := newFetcher(ACME{CacheDir: dir}, slog.New(slog.NewJSONHandler(log, nil)))
		must(t, f.open())
		if got := strings.Count(log.String(), "chmod 700"); got != want {
			t.Errorf("mode %s: warned %d times, want %d", mode, got, want)
		}
	}
	made := filepath.Join(t.TempDir(), "new", "certs")
	must(t, newFetcher(ACME{CacheDir: made}, slog.New(slog.DiscardHandler)).open())
	if info, err := os.Stat(made); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("made with %v, %v", info, err)
	}
}

func TestACMEFaultsSayWhatToDo(t *testing.T) {
	good := func() Config {
		c := DefaultConfig()
		c.Upstreams = []Upstream{{Name: "app", URLs: []string{"http://127.0.0.1:3000"}}}
		c.PublicURL, c.TLS.ACME.Domains = "https://gw.test", []string{"gw.test", "Other.test"}
		return c
	}
	if c := good(); len(c.Validate(nil)) != 0 {
		t.Fatalf("the good one has faults: %v", c.Validate(nil))
	}
	for _, test := range []struct {
		path, words string
		warning     bool
		change      func(*Config)
	}{
		{"tls.acme.domains", "leave out the one or the other", false, func(c *Config) { c.TLS.CertFile, c.TLS.KeyFile = "a", "b" }},
		{"tls.acme.domains", "is empty", false, func(c *Config) { c.TLS.ACME = ACME{Email: "a@b.test"} }},
		{"tls.acme.domains", "is empty", false, func(c *Config) { c.TLS.ACME = ACME{CacheDir: "certs"} }},
		{"tls.acme.domains", "is empty", false, func(c *Config) { c.TLS.ACME = ACME{HTTPListen: ":80"} }},
		{"tls.acme.domains", "is empty", false, func(c *Config) { c.TLS.ACME = ACME{DirectoryURL: "https://ca.test"} }},
		{"tls.acme.domains[0]", "wildcard", false, func(c *Config) { c.TLS.ACME.Domains[0] = "*.gw.test" }},
		{"tls.acme.domains[0]", "is an address", false, func(c *Config) { c.TLS.ACME.Domains[0] = "192.0.2.1" }},
		{"tls.acme.domains[0]", "is an address", false, func(c *Config) { c.TLS.ACME.Domains[0] = "[2001:db8::1]" }},
		{"tls.acme.domains[0]", "without scheme", false, func(c *Config) { c.TLS.ACME.Domains[0] = "https://gw.test" }},
		{"tls.acme.domains[0]", "without scheme", false, func(c *Config) { c.TLS.ACME.Domains[0] = "gw.test:443" }},
		{"tls.acme.domains[0]", "without scheme", false, func(c *Config) { c.TLS.ACME.Domains[0] = "gw_1.test" }},
		{"tls.acme.domains[0]", "without scheme", false, func(c *Config) { c.TLS.ACME.Domains[0] = "" }},
		{"tls.acme.domains[0]", "without scheme", false, func(c *Config) { c.TLS.ACME.Domains[0] = "gw..test" }},
		{"tls.acme.domains[0]", "write all of it", false, func(c *Config) { c.TLS.ACME.Domains[0] = "localhost" }},
		{"tls.acme.domains[1]", "already", false, func(c *Config) { c.TLS.ACME.Domains[1] = "GW.test" }},
		{"tls.acme.email", "no e-mail", false, func(c *Config) { c.TLS.ACME.Email = "Root <root@gw.test>" }},
		{"tls.acme.directory_url", "no https URL", false, func(c *Config) { c.TLS.ACME.DirectoryURL = "http://ca.test" }},
		{"tls.acme.directory_url", "no https URL", false, func(c *Config) { c.TLS.ACME.DirectoryURL = "" }},
		{"tls.acme.directory_url", "no https URL", false, func(c *Config) { c.TLS.ACME.DirectoryURL = "https://u:hunter2@ca.test" }},
		{"tls.acme.http_listen", "another listener", false, func(c *Config) { c.TLS.ACME.HTTPListen = c.Listen }},
		{"tls.acme.http_listen", "another listener", false, func(c *Config) { c.TLS.ACME.HTTPListen = c.Admin.Listen }},
		{"tls.acme.http_listen", "127.0.0.1:8080", false, func(c *Config) { c.TLS.ACME.HTTPListen = "here" }},
		{"public_url", "write https", true, func(c *Config) { c.PublicURL = "http://gw.test" }},
		{"public_url", "write https", true, func(c *Config) {
			c.PublicURL, c.TLS = "http://gw.test", TLS{CertFile: "c.pem", KeyFile: "k.pem"}
		}},
		{"tls.acme.domains", "lacks the host of public_url", true, func(c *Config) { c.PublicURL = "https://www.gw.test" }},
		{"h2c", "leave it out", false, func(c *Config) { c.H2C = true }},
		{"admin.pprof", "needs admin.listen", false, func(c *Config) { c.Admin = Admin{PProf: true} }},
	} {
		c := good()
		test.change(&c)
		f := c.Validate(nil)
		if !slices.ContainsFunc(f, func(f Fault) bool {
			return f.Path == test.path && strings.Contains(f.Message, test.words) && f.Warning == test.warning
		}) {
			t.Errorf("want %s: ...%s..., got %v", test.path, test.words, f)
		}
		if slices.ContainsFunc(f, func(f Fault) bool { return strings.Contains(f.Message, "hunter2") }) {
			t.Errorf("a password is told: %v", f)
		}
	}
	c := good()
	c.TLS.ClientCAFile, c.TLS.ACME.HTTPListen, c.TLS.ACME.Email = "ca.pem", ":80", "root@gw.test"
	if f := c.Validate(nil); len(f) != 0 {
		t.Errorf("with everything: %v", f)
	}
}
