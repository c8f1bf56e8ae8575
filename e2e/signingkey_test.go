package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

// vault is the store of a gateway in the hands of one who has its master key
// too: an insider. It reads the keys as an independent program would.
type vault struct {
	store  *sqlstore.Store
	master auth.MasterKey
}

func openVault(t *testing.T, dir string) vault {
	t.Helper()
	store, err := sqlstore.Open(context.Background(), filepath.Join(dir, "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	text, err := os.ReadFile(filepath.Join(dir, "postern.key"))
	if err != nil {
		t.Fatal(err)
	}
	master, err := auth.ParseMasterKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return vault{store, master}
}

// label is what a sealed key is bound to.
func label(k auth.SealedKey) []byte {
	return []byte("postern key\x00" + k.Use + "\x00" + strconv.FormatInt(k.Generation, 10) + "\x00" + k.ID)
}

// signingKey opens the key that signs access tokens.
func (v vault) signingKey(t *testing.T, kid string) *ecdsa.PrivateKey {
	t.Helper()
	keys, err := v.store.Keys(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	aead, err := chacha20poly1305.NewX(v.master[:])
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.ID != kid {
			continue
		}
		n := aead.NonceSize()
		plain, err := aead.Open(nil, k.Sealed[:n], k.Sealed[n:], label(k))
		if err != nil {
			t.Fatal("open the signing key: ", err)
		}
		key, err := x509.ParsePKCS8PrivateKey(plain)
		if err != nil {
			t.Fatal(err)
		}
		return key.(*ecdsa.PrivateKey)
	}
	t.Fatalf("the store has no key %s", kid)
	return nil
}

// addRetiredKey puts a genuine key into the store whose time is over.
func (v vault) addRetiredKey(t *testing.T, kid string) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := chacha20poly1305.NewX(v.master[:])
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-2 * time.Hour)
	k := auth.SealedKey{ID: kid, Use: "sign:ES256", Generation: 1000, Created: past, Retired: past.Add(time.Hour)}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	k.Sealed = aead.Seal(nonce, nonce, plain, label(k))
	if _, err := v.store.AddKey(context.Background(), k); err != nil {
		t.Fatal(err)
	}
	return key
}
