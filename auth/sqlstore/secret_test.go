package sqlstore_test

import (
	"context"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/storetest"
)

func TestSecretStoreKeepsEveryPromise(t *testing.T) {
	storetest.RunSecrets(t, func(t *testing.T) storetest.SecretStore { return openAt(t, file(t)) })
}

func TestTwoInstancesKeepEveryPromiseOfSecrets(t *testing.T) {
	storetest.RunSharedSecrets(t, func(t *testing.T) (s, other storetest.SecretStore) {
		path := file(t)
		return openAt(t, path), openAt(t, path)
	})
}

// wrongSecrets is a SecretStore in which some verbs are replaced.
type wrongSecrets struct {
	storetest.SecretStore
	read   func(context.Context, string) ([]byte, error)
	put    func(context.Context, string, []byte) error
	remove func(context.Context, string) error
}

func (w *wrongSecrets) Secret(ctx context.Context, name string) ([]byte, error) {
	return or(w.read, w.read != nil, w.SecretStore.Secret)(ctx, name)
}
func (w *wrongSecrets) PutSecret(ctx context.Context, name string, sealed []byte) error {
	return or(w.put, w.put != nil, w.SecretStore.PutSecret)(ctx, name, sealed)
}
func (w *wrongSecrets) DeleteSecret(ctx context.Context, name string) error {
	return or(w.remove, w.remove != nil, w.SecretStore.DeleteSecret)(ctx, name)
}

// TestWrongSecretStoresFail: each fault is found by the promise that is about
// it.
func TestWrongSecretStoresFail(t *testing.T) {
	for _, f := range []struct {
		name, promise string
		spoil         func(w *wrongSecrets, real storetest.SecretStore)
	}{
		{"ignores the case of a name", "a secret comes back", func(w *wrongSecrets, real storetest.SecretStore) {
			w.read = func(ctx context.Context, name string) ([]byte, error) { return real.Secret(ctx, strings.ToLower(name)) }
			w.put = func(ctx context.Context, name string, sealed []byte) error {
				return real.PutSecret(ctx, strings.ToLower(name), sealed)
			}
		}},
		{"cuts what is long", "a secret comes back", func(w *wrongSecrets, real storetest.SecretStore) {
			w.put = func(ctx context.Context, name string, sealed []byte) error {
				return real.PutSecret(ctx, name, sealed[:min(len(sealed), 4096)])
			}
		}},
		{"keeps the first", "a secret takes the place", func(w *wrongSecrets, real storetest.SecretStore) {
			w.put = func(ctx context.Context, name string, sealed []byte) error {
				if _, err := real.Secret(ctx, name); err == nil {
					return nil
				}
				return real.PutSecret(ctx, name, sealed)
			}
		}},
		{"deletes nothing", "a secret that was deleted", func(w *wrongSecrets, real storetest.SecretStore) {
			w.remove = func(context.Context, string) error { return nil }
		}},
		{"complains of what is not there", "a secret that was deleted", func(w *wrongSecrets, real storetest.SecretStore) {
			w.remove = func(ctx context.Context, name string) error {
				if _, err := real.Secret(ctx, name); err != nil {
					return err
				}
				return real.DeleteSecret(ctx, name)
			}
		}},
		{"puts for a caller who left", "a caller who left", func(w *wrongSecrets, real storetest.SecretStore) {
			w.put = func(ctx context.Context, name string, sealed []byte) error {
				_ = real.PutSecret(context.WithoutCancel(ctx), name, sealed)
				return ctx.Err()
			}
		}},
		{"takes a fault for unknown", "a closed store", func(w *wrongSecrets, real storetest.SecretStore) {
			w.read = func(ctx context.Context, name string) ([]byte, error) {
				sealed, err := real.Secret(ctx, name)
				if err != nil && ctx.Err() == nil {
					err = auth.ErrNotFound
				}
				return sealed, err
			}
		}},
	} {
		t.Run(f.name, func(t *testing.T) {
			found := false
			for _, p := range storetest.SecretPromises() {
				if !strings.HasPrefix(p.Name, f.promise) {
					continue
				}
				real := openAt(t, file(t))
				w := &wrongSecrets{SecretStore: real}
				f.spoil(w, real)
				found = found || fails(t, func(t testing.TB) { p.Check(t, w, w) })
			}
			if !found {
				t.Errorf("%q does not notice", f.promise)
			}
		})
	}
}
