package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/posternhq/postern/auth"
)

// SecretStore is an auth.SecretStore whose use can be ended.
type SecretStore interface {
	auth.SecretStore
	Close() error
}

// SecretPromise is one thing that every auth.SecretStore keeps. Promise tells
// what its parts are.
type SecretPromise struct {
	Name   string
	Shared bool
	Check  func(t testing.TB, s, other SecretStore)
}

// SecretPromises lists them all.
func SecretPromises() []SecretPromise {
	return []SecretPromise{
		{Name: "a secret comes back byte for byte", Shared: true, Check: checkSecretKept},
		{Name: "a secret takes the place of the one before", Shared: true, Check: checkSecretReplaced},
		{Name: "a secret that was deleted is not there, and deleting it again is no fault", Shared: true, Check: checkSecretDeleted},
		{Name: "of those who put one secret at once one wins whole", Shared: true, Check: checkSecretRace},
		{Name: "a caller who left gets no secret and puts none", Check: checkSecretCancelled},
		{Name: "a closed store has no secret and says that it is unavailable", Check: checkSecretClosed},
	}
}

// RunSecrets checks every promise with a store of its own, which open makes.
func RunSecrets(t *testing.T, open func(t *testing.T) SecretStore) {
	t.Helper()
	for _, p := range SecretPromises() {
		t.Run(p.Name, func(t *testing.T) {
			s := open(t)
			p.Check(t, s, s)
		})
	}
}

// RunSharedSecrets checks the promises that hold between two instances.
func RunSharedSecrets(t *testing.T, open func(t *testing.T) (s, other SecretStore)) {
	t.Helper()
	for _, p := range SecretPromises() {
		if p.Shared {
			t.Run("two instances: "+p.Name, func(t *testing.T) {
				s, other := open(t)
				p.Check(t, s, other)
			})
		}
	}
}

// secret reads one that has to be there.
func secret(t testing.TB, s auth.SecretStore, name string) []byte {
	t.Helper()
	got, err := s.Secret(context.Background(), name)
	must(t, "read secret "+name, err)
	return got
}

// absent wants a name to be unknown, which is no outage.
func absent(t testing.TB, s auth.SecretStore, name string) {
	t.Helper()
	_, err := s.Secret(context.Background(), name)
	want(t, "read secret "+name, err, auth.ErrNotFound)
	if errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("read secret %s: the store blames itself for what is not there: %v", name, err)
	}
}

// checkSecretKept holds that a value is bytes and a name is itself: no text, no
// pattern, and no other case of its letters stands for it.
func checkSecretKept(t testing.TB, s, other SecretStore) {
	all := make([]byte, 64<<10) // a chain of certificates is some KiB
	for i := range all {
		all[i] = byte(i)
	}
	kept := map[string][]byte{"gw.test": all, "gw.test+rsa": {0}, "GW.test": []byte("other"), "": []byte("of no name")}
	for name, value := range kept {
		must(t, "put "+name, s.PutSecret(context.Background(), name, value))
	}
	for name, value := range kept {
		if got := secret(t, other, name); !bytes.Equal(got, value) {
			t.Errorf("secret %q: %d bytes came back, %d were put", name, len(got), len(value))
		}
	}
	absent(t, other, "gw.tes")
	absent(t, other, "gw.test%")
}

// checkSecretReplaced puts a name twice, the second time by another instance; the
// names beside it stay as they are.
func checkSecretReplaced(t testing.TB, s, other SecretStore) {
	must(t, "put", s.PutSecret(context.Background(), "a", []byte("first")))
	must(t, "put beside it", s.PutSecret(context.Background(), "b", []byte("beside")))
	must(t, "put again", other.PutSecret(context.Background(), "a", []byte("second")))
	same(t, "the secret", string(secret(t, s, "a")), "second")
	same(t, "the one beside it", string(secret(t, s, "b")), "beside")
}

// checkSecretDeleted deletes twice: two instances may give up one certificate,
// and the second one has done nothing wrong. The name is free again after it.
func checkSecretDeleted(t testing.TB, s, other SecretStore) {
	for _, name := range []string{"a", "b"} {
		must(t, "put "+name, s.PutSecret(context.Background(), name, []byte(name)))
	}
	for range 2 {
		must(t, "delete", s.DeleteSecret(context.Background(), "a"))
		absent(t, other, "a")
	}
	same(t, "the one beside it", string(secret(t, other, "b")), "b")
	must(t, "put again", other.PutSecret(context.Background(), "a", []byte("back")))
	same(t, "the one that is back", string(secret(t, s, "a")), "back")
}

// checkSecretRace has many put one name at once. Half of one certificate with
// half of another would be worse than either.
func checkSecretRace(t testing.TB, s, other SecretStore) {
	values := make([]string, racers)
	for i := range values {
		values[i] = string(bytes.Repeat([]byte{byte('a' + i)}, 8<<10))
	}
	contest(s, other, func(i int, s SecretStore) {
		if err := s.PutSecret(context.Background(), "a", []byte(values[i])); err != nil {
			t.Errorf("put: %v", err)
		}
	})
	got := string(secret(t, s, "a"))
	for _, v := range values {
		if got == v {
			return
		}
	}
	t.Errorf("what stands there is none of those that were put: %.8q...", got)
}

// secretVerbs are all verbs of a SecretStore.
func secretVerbs() map[string]func(context.Context, auth.SecretStore) error {
	return map[string]func(context.Context, auth.SecretStore) error{
		"Secret":       func(ctx context.Context, s auth.SecretStore) error { _, err := s.Secret(ctx, "a"); return err },
		"PutSecret":    func(ctx context.Context, s auth.SecretStore) error { return s.PutSecret(ctx, "a", []byte("new")) },
		"DeleteSecret": func(ctx context.Context, s auth.SecretStore) error { return s.DeleteSecret(ctx, "a") },
	}
}

// checkSecretCancelled holds that a store does nothing for a caller who is gone,
// and says why in the context's words, not as an outage.
func checkSecretCancelled(t testing.TB, s, _ SecretStore) {
	must(t, "put", s.PutSecret(context.Background(), "a", []byte("old")))
	left, leave := context.WithCancel(context.Background())
	leave()
	late, end := context.WithDeadline(context.Background(), now().AddDate(0, 0, -1))
	defer end()
	for name, call := range secretVerbs() {
		want(t, name, call(left, s), context.Canceled)
		want(t, name, call(late, s), context.DeadlineExceeded)
	}
	same(t, "the secret", string(secret(t, s, "a")), "old")
}

// checkSecretClosed holds that an outage never looks like an absence: who takes
// it for one would order a certificate anew at every start, up to the
// authority's limit.
func checkSecretClosed(t testing.TB, s, _ SecretStore) {
	must(t, "put", s.PutSecret(context.Background(), "a", []byte("old")))
	must(t, "close", s.Close())
	for name, call := range secretVerbs() {
		err := call(context.Background(), s)
		want(t, name, err, auth.ErrUnavailable)
		if errors.Is(err, auth.ErrNotFound) {
			t.Errorf("%s takes a store that is closed for one without the secret", name)
		}
	}
}
