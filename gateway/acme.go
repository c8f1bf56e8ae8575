package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/net/idna"

	"github.com/posternhq/postern/auth"
)

// fetcher has the certificates of the public listener that come from a
// certificate authority (CA) by ACME. autocert does the work; around it stand
// a list of names that is asked first, a shelf that says when it fails, and a
// line to the CA that is logged, which autocert does not do of itself.
//
// A name that is not on the list gets no certificate and costs nothing: neither
// the store nor the CA is asked for it, nor is it answered for a challenge.
type fetcher struct {
	conf    ACME
	log     *slog.Logger
	secrets *auth.Secrets // what is fetched is kept there, where conf names no directory

	shelf   autocert.Cache // set by open, as what follows
	roots   *x509.CertPool // whom the CA itself is believed by; nil: the system's
	until   context.Context
	stop    context.CancelFunc // ends until, and with it all talk with the CA
	changed chan struct{}      // holds one when there are other domains

	current atomic.Pointer[fetching]
	waiting atomic.Int64 // handshakes of domains that have no certificate yet

	expiry *atomic.Int64 // of the certificate that expires first, in Unix seconds; nil: nobody wants to know

	mu   sync.Mutex           // guards the following
	told map[string]time.Time // when a domain's failure was logged last
	ends map[string]time.Time // when the certificate expires that is kept under a name
}

// fetching is the work for one list of domains. Another list gets another one:
// autocert renews what it once had for as long as it lives, also a name that is
// no longer ours. So the old one's line to the CA is cut. Its timers live on
// and find it cut, or that their certificate was renewed by the other.
type fetching struct {
	domains map[string]bool
	manager *autocert.Manager
	answers http.Handler // of challenges over HTTP; nil where conf.HTTPListen is empty
	cut     context.CancelFunc
}

// failureEvery is how often the failure of a domain is logged. autocert itself
// tries again at most once a minute.
const failureEvery = time.Minute

// newFetcher makes one that has read nothing and talks to nobody: that begins
// with open.
func newFetcher(conf ACME, log *slog.Logger) *fetcher {
	f := &fetcher{conf: conf, log: log, changed: make(chan struct{}, 1), told: map[string]time.Time{}, ends: map[string]time.Time{}}
	f.until, f.stop = context.WithCancel(context.Background())
	return f
}

// open finds the places that the configuration names.
func (f *fetcher) open() error {
	if f.conf.CAFile != "" {
		var err error
		if f.roots, err = readAuthorities("tls.acme.ca_file", f.conf.CAFile); err != nil {
			return err
		}
	}
	below, err := f.place()
	if err != nil {
		return err
	}
	f.shelf = &shelf{below: below, prefix: shelfPrefix(f.conf.DirectoryURL), log: f.log, note: f.note}
	f.serve(f.conf.Domains)
	return nil
}

// place is where certificates are kept.
func (f *fetcher) place() (autocert.Cache, error) {
	dir := f.conf.CacheDir
	switch {
	case dir == "" && f.secrets == nil:
		return nil, errors.New("tls.acme: there is no place for what is fetched") // wired wrongly
	case dir == "":
		return secretCache{f.secrets}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("tls.acme.cache_dir: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("tls.acme.cache_dir: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		f.log.Warn("the directory of the fetched certificates' keys can be read by other users of this machine: chmod 700 "+dir, "mode", info.Mode().Perm().String())
	}
	return autocert.DirCache(dir), nil
}

// shelfPrefix keeps what different CAs issued apart: else, after a rehearsal
// with a CA's staging directory, its certificates would be served on until they
// are due. The usual CA has none.
func shelfPrefix(directory string) string {
	if directory == acme.LetsEncryptURL {
		return ""
	}
	digest := sha256.Sum256([]byte(directory))
	return hex.EncodeToString(digest[:4]) + "_"
}

// serve begins with other domains, or does nothing where they are the same.
func (f *fetcher) serve(domains []string) {
	names := make(map[string]bool, len(domains))
	for _, d := range domains {
		if name := asciiName(d); name != "" {
			names[name] = true
		}
	}
	old := f.current.Load()
	if old != nil && maps.Equal(old.domains, names) {
		return
	}
	ctx, cut := context.WithCancel(f.until)
	next := &fetching{domains: names, cut: cut}
	next.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, // as the manual says of the key
		Cache:  f.shelf,
		Email:  f.conf.Email,
		HostPolicy: func(_ context.Context, host string) error { // asked again by autocert, before it asks the CA
			if !names[asciiName(hostname(host))] {
				return errForeignName
			}
			return nil
		},
		Client: &acme.Client{
			DirectoryURL: f.conf.DirectoryURL,
			UserAgent:    "postern",
			HTTPClient:   &http.Client{Timeout: caTimeout, Transport: newCALine(ctx, f.roots, f.log)},
		},
	}
	if f.conf.HTTPListen != "" {
		next.answers = next.manager.HTTPHandler(http.NotFoundHandler())
	}
	f.current.Store(next)
	if old != nil {
		old.cut()
	}
	select {
	case f.changed <- struct{}{}:
	default: // it has not heard of the last ones yet, and will see these
	}
}

var errForeignName = errors.New("not one of tls.acme.domains")

// asciiName is a name as certificates have it, or empty for what is none.
func asciiName(name string) string {
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(name, "."))
	if err != nil {
		return ""
	}
	return ascii
}

// certificate finds or fetches the one for a handshake. Nothing at all for a name that is
// not ours has the client told that it is unknown here.
func (f *fetcher) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	now, name := f.current.Load(), asciiName(hello.ServerName)
	if name == "" || !now.domains[name] {
		return nil, nil
	}
	asked, _ := readHello(hello, name)
	cert, err := now.manager.GetCertificate(asked)
	if err != nil && f.until.Err() == nil && f.first(name) {
		f.log.Error("there is no certificate for a domain, clients of it are turned away", "domain", name, "error", err.Error())
	}
	return cert, err
}

// admitted is certificate for clients. As long as a domain has no certificate
// they wait for the CA, which may take minutes in which nobody can tear their
// connections off: so only some may. The CA itself is never one too many.
func (f *fetcher) admitted(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if _, kept := readHello(hello, asciiName(hello.ServerName)); kept == "" || f.has(kept) {
		return f.certificate(hello)
	}
	defer f.waiting.Add(-1)
	if f.waiting.Add(1) > maxWaiting {
		return nil, errWaiting
	}
	return f.certificate(hello)
}

// maxWaiting is how many handshakes may wait for the CA.
const maxWaiting = 64

var errWaiting = errors.New("too many wait for a certificate already")

// has tells whether there is a certificate under this name, found or fetched.
func (f *fetcher) has(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Before(f.ends[name])
}

// note remembers when a certificate expires, as it is found or put on the shelf
// under its name, and tells of the first that will.
func (f *fetcher) note(name string, ends time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	domains := f.current.Load().domains
	if !domains[domainOf(name)] { // no longer ours
		return
	}
	f.ends[name] = ends
	first := ends
	for other, then := range f.ends {
		switch {
		case !domains[domainOf(other)]:
			delete(f.ends, other)
		case then.Before(first):
			first = then
		}
	}
	if f.expiry != nil {
		f.expiry.Store(first.Unix())
	}
}

// first tells whether a failure is to be logged: any stranger can repeat it.
func (f *fetcher) first(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if last, ok := f.told[name]; ok && now.Sub(last) < failureEvery {
		return false
	}
	f.told[name] = now
	return true
}

// fetch sees to it that there is a certificate for each domain before the first
// client asks, and that each is renewed although nobody does: autocert knows of
// a name from the first handshake on. One domain comes after the other, so that
// all share one account with the CA. It goes on when the domains change, until
// ctx ends. What fails is logged; the next handshake tries again.
func (f *fetcher) fetch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.changed:
		}
		for _, name := range slices.Sorted(maps.Keys(f.current.Load().domains)) {
			done := make(chan struct{})
			go func() { // autocert heeds no context, and waits as long as the CA has it wait; without its line it ends soon
				defer close(done)
				_, _ = f.certificate(&tls.ClientHelloInfo{ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
			}()
			select {
			case <-ctx.Done():
				f.stop()
				return
			case <-done:
			}
		}
	}
}
