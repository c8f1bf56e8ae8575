package auth_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

func TestASecretComesBackAndIsSealedInTheStore(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "postern.db"))
	secrets := auth.NewSecrets(store, auth.MasterKey{1}, rand.Reader)
	if _, err := secrets.Get(t.Context(), "gw.test"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("before it is there: %v", err)
	}
	for _, value := range []string{"PRIVATE KEY one", "PRIVATE KEY two", ""} {
		if err := secrets.Put(t.Context(), "gw.test", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got, err := secrets.Get(t.Context(), "gw.test"); err != nil || string(got) != value {
			t.Errorf("%q, %v; want %q", got, err, value)
		}
		if sealed, err := store.Secret(t.Context(), "gw.test"); err != nil || bytes.Contains(sealed, []byte("PRIVATE")) {
			t.Errorf("the store has it in the clear: %q, %v", sealed, err)
		}
	}
	if err := secrets.Delete(t.Context(), "gw.test"); err != nil {
		t.Error(err)
	}
	if _, err := secrets.Get(t.Context(), "gw.test"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("after it was deleted: %v", err)
	}
}

// TestASecretThatWasMovedOrChangedDoesNotOpen: who writes into the store without
// the key cannot have one name's value used for another's, and what does not
// open is never taken for absent: then it would be made anew, and overwritten.
func TestASecretThatWasMovedOrChangedDoesNotOpen(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "postern.db"))
	secrets := auth.NewSecrets(store, auth.MasterKey{1}, rand.Reader)
	if err := secrets.Put(t.Context(), "gw.test", []byte("hunter2")); err != nil {
		t.Fatal(err)
	}
	sealed, err := store.Secret(t.Context(), "gw.test")
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, value := range map[string][]byte{"moved": sealed, "changed": changed, "cut": sealed[:7], "empty": {}} {
		if err := store.PutSecret(t.Context(), name, value); err != nil {
			t.Fatal(err)
		}
		got, err := secrets.Get(t.Context(), name)
		if err == nil || got != nil || errors.Is(err, auth.ErrNotFound) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	other := auth.NewSecrets(store, auth.MasterKey{2}, rand.Reader)
	if got, err := other.Get(t.Context(), "gw.test"); err == nil || got != nil || errors.Is(err, auth.ErrNotFound) {
		t.Errorf("under another master key: %q, %v", got, err)
	}
}

func TestAStoreThatIsAwayHasNoSecretAndSaysSo(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "postern.db"))
	secrets := auth.NewSecrets(store, auth.MasterKey{1}, rand.Reader)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := secrets.Get(t.Context(), "a")
	for verb, err := range map[string]error{"get": err, "put": secrets.Put(t.Context(), "a", nil), "delete": secrets.Delete(t.Context(), "a")} {
		if !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrNotFound) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	without := auth.NewSecrets(store, auth.MasterKey{1}, bytes.NewReader(nil))
	if err := without.Put(context.Background(), "a", nil); err == nil {
		t.Error("sealed without randomness")
	}
}
