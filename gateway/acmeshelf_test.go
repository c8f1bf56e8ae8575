package gateway

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

// TestAStoreThatIsAwayIsNoMiss: after a miss autocert makes another account and
// asks for another certificate, and the old ones are lost.
func TestAStoreThatIsAwayIsNoMiss(t *testing.T) {
	store, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "postern.db"))
	must(t, err)
	log := &logBuffer{}
	kept := &shelf{below: secretCache{auth.NewSecrets(store, auth.MasterKey{7}, rand.Reader)}, log: slog.New(slog.NewJSONHandler(log, nil))}
	if _, err := kept.Get(t.Context(), "gw.test"); !errors.Is(err, autocert.ErrCacheMiss) {
		t.Errorf("what is not there: %v", err)
	}
	must(t, kept.Put(t.Context(), "gw.test", []byte("hunter2")))
	if got, err := kept.Get(t.Context(), "gw.test"); err != nil || string(got) != "hunter2" {
		t.Errorf("%q, %v", got, err)
	}
	must(t, kept.Delete(t.Context(), "gw.test"))
	must(t, kept.Delete(t.Context(), "gw.test"))
	if log.String() != "" {
		t.Errorf("nothing went wrong, and the log has %s", log)
	}
	must(t, store.Close())
	_, err = kept.Get(t.Context(), "gw.test")
	for verb, err := range map[string]error{"get": err, "put": kept.Put(t.Context(), "gw.test", []byte("hunter2")), "delete": kept.Delete(t.Context(), "gw.test")} {
		if !errors.Is(err, errShelf) || errors.Is(err, autocert.ErrCacheMiss) || err.Error() != errShelf.Error() {
			t.Errorf("%s: %v, which a stranger may see", verb, err)
		}
	}
	log.entries(t, "a fetched certificate cannot be read", 1)
	log.entries(t, "a fetched certificate cannot be kept: it will be fetched again at the next start", 1)
	log.entries(t, "the answer to a challenge that is over cannot be deleted", 1)
	if strings.Contains(log.String(), "hunter2") {
		t.Error("what is kept is in the log")
	}
}

// stuck is a cache below that never answers.
type stuck struct{ autocert.Cache }

func (stuck) Get(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestACallerWhoLeavesDoesNotWaitForTheShelf(t *testing.T) {
	kept := &shelf{below: stuck{}, log: slog.New(slog.DiscardHandler)}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, err := kept.Get(ctx, "gw.test"); !errors.Is(err, errShelf) {
		t.Errorf("%v", err)
	}
}

func TestWhatDifferentAuthoritiesIssuedIsKeptApart(t *testing.T) {
	dir := t.TempDir()
	for _, directory := range []string{acme.LetsEncryptURL, "https://staging.test/dir", "https://ca.test/acme/a/directory", "https://ca.test/acme/b/directory"} {
		kept := &shelf{below: autocert.DirCache(dir), prefix: shelfPrefix(directory), log: slog.New(slog.DiscardHandler)}
		if _, err := kept.Get(t.Context(), "gw.test"); !errors.Is(err, autocert.ErrCacheMiss) {
			t.Errorf("%s: has another's: %v", directory, err)
		}
		must(t, kept.Put(t.Context(), "gw.test", []byte(directory)))
		if got, err := kept.Get(t.Context(), "gw.test"); err != nil || string(got) != directory {
			t.Errorf("%s: %q, %v", directory, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "gw.test")); err != nil {
		t.Errorf("the usual authority's has a name of its own: %v", err)
	}
}

func TestOnlyCertificatesAreLoggedAsFetched(t *testing.T) {
	dir := t.TempDir()
	cert := writeCertificate(t, dir)
	key, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	must(t, err)
	whole := append(key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	for _, test := range []struct {
		name  string
		value []byte
		ok    bool
	}{
		{"gw.test", whole, true}, {"gw.test+rsa", whole, true}, {"gw.test+token", whole, false}, {"acme_account+key", key, false}, {"tok+http-01", []byte("x"), false},
		{"gw.test", key, false}, {"gw.test", nil, false}, {"gw.test", append(key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("junk")})...), false},
	} {
		until, ok := certifiedUntil(test.name, test.value)
		if ok != test.ok || ok && !until.Equal(cert.NotAfter) {
			t.Errorf("%s, %d bytes: %v, %v", test.name, len(test.value), until, ok)
		}
	}
	log := &logBuffer{}
	kept := &shelf{below: autocert.DirCache(dir), log: slog.New(slog.NewJSONHandler(log, nil))}
	for _, name := range []string{"gw.test+rsa", "gw.test+token"} {
		must(t, kept.Put(t.Context(), name, whole))
	}
	if e := log.entries(t, "a certificate was fetched", 1); len(e) != 1 || e[0]["domain"] != "gw.test" || e[0]["until"] != cert.NotAfter.Format(time.RFC3339) {
		t.Errorf("logged %v", e)
	}
	if strings.Contains(log.String(), "PRIVATE") {
		t.Error("a key is in the log")
	}
}
