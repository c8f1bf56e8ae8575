package gateway

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"github.com/posternhq/postern/auth"
)

// secretCache is an autocert.Cache in the store.
type secretCache struct{ *auth.Secrets }

// Get implements autocert.Cache. Only what is not there is a miss: after a miss
// autocert makes a new account, or asks for another certificate.
func (c secretCache) Get(ctx context.Context, name string) ([]byte, error) {
	value, err := c.Secrets.Get(ctx, name)
	if errors.Is(err, auth.ErrNotFound) {
		return nil, autocert.ErrCacheMiss
	}
	return value, err
}

// shelf is the autocert.Cache that certificates are kept on. It bounds how long
// the one below may take: handshakes wait for it. And it logs what goes wrong
// there: autocert tells nobody that it could not keep a certificate, which is
// then fetched again at each start until the CA has had enough.
type shelf struct {
	below  autocert.Cache
	prefix string // of all names, see shelfPrefix
	log    *slog.Logger
	note   func(name string, until time.Time) // hears of each certificate; nil: nobody
}

// shelfTimeout bounds one use of the store or of a file.
const shelfTimeout = 10 * time.Second

// errShelf is all that a stranger may learn; what it is stands in the log.
var errShelf = errors.New("what was fetched before cannot be read or kept")

// Get implements autocert.Cache.
func (s *shelf) Get(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, shelfTimeout)
	defer cancel()
	value, err := s.below.Get(ctx, s.prefix+name)
	if err != nil && !errors.Is(err, autocert.ErrCacheMiss) {
		s.log.Error("a fetched certificate cannot be read", "name", name, "error", err.Error())
		return nil, errShelf
	}
	s.see(name, value)
	return value, err
}

// see tells of a certificate that was found or put, and until when it is good.
func (s *shelf) see(name string, value []byte) (until time.Time, ok bool) {
	until, ok = certifiedUntil(name, value)
	if ok && s.note != nil {
		s.note(name, until)
	}
	return until, ok
}

// domainOf is whose certificate is kept under a name: a domain may have two, one
// for old clients.
func domainOf(name string) string { return strings.TrimSuffix(name, oldClients) }

// Put implements autocert.Cache.
func (s *shelf) Put(ctx context.Context, name string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, shelfTimeout)
	defer cancel()
	if until, ok := s.see(name, value); ok {
		s.log.Info("a certificate was fetched", "domain", domainOf(name), "until", until)
	}
	if err := s.below.Put(ctx, s.prefix+name, value); err != nil {
		s.log.Error("a fetched certificate cannot be kept: it will be fetched again at the next start", "name", name, "error", err.Error())
		return errShelf
	}
	return nil
}

// Delete implements autocert.Cache.
func (s *shelf) Delete(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, shelfTimeout)
	defer cancel()
	if err := s.below.Delete(ctx, s.prefix+name); err != nil {
		s.log.Warn("the answer to a challenge that is over cannot be deleted", "name", name, "error", err.Error())
		return errShelf
	}
	return nil
}

// certifiedUntil is when the certificate that is kept under a name ends, or false
// for an account's key or an answer to a challenge.
func certifiedUntil(name string, value []byte) (time.Time, bool) {
	if strings.Contains(domainOf(name), "+") {
		return time.Time{}, false
	}
	_, chain := pem.Decode(value) // the key
	leaf, _ := pem.Decode(chain)
	if leaf == nil {
		return time.Time{}, false
	}
	cert, err := x509.ParseCertificate(leaf.Bytes)
	if err != nil {
		return time.Time{}, false
	}
	return cert.NotAfter, true
}
