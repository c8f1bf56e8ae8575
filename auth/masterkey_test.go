package auth

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func TestAMasterKeyIsReadAsItIsWritten(t *testing.T) {
	key, text := NewMasterKey(rand.Reader)
	std := base64.StdEncoding.EncodeToString(key[:])
	url := base64.RawURLEncoding.EncodeToString(key[:])
	for _, form := range []string{text, strings.ToUpper(text), std, std + "\n", url, "  " + text + "\r\n", base64.URLEncoding.EncodeToString(key[:])} {
		if got, err := ParseMasterKey([]byte(form)); err != nil || got != key {
			t.Errorf("%q: %v", form, err)
		}
	}
	for _, bad := range []string{"", "secret", text[:63], text + "00", std[:40], strings.Repeat("g", 64), "\x00", strings.Repeat("A", 1<<20)} {
		_, err := ParseMasterKey([]byte(bad))
		if err == nil || bad != "" && len(bad) > 4 && strings.Contains(err.Error(), bad) {
			t.Errorf("%.70q: %v", bad, err)
		}
	}
}

func TestNoRandomnessMakesNoMasterKey(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("made a key of nothing")
		}
	}()
	NewMasterKey(bytes.NewReader(nil))
}

// A sealed key is bound to its place: who can write to the store must not be
// able to make a verifying key of another, or an old one of a new one.
func TestASealedKeyOpensInItsPlaceAlone(t *testing.T) {
	s := sealer{master: MasterKey{1}, rand: rand.Reader}
	sealed, err := s.seal(SealedKey{ID: "k", Use: useRefresh, Generation: 1}, []byte("secret key"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := s.open(sealed); err != nil || string(plain) != "secret key" {
		t.Fatalf("%q %v", plain, err)
	}
	again, err := s.seal(SealedKey{ID: "k", Use: useRefresh, Generation: 1}, []byte("secret key"))
	if err != nil || bytes.Equal(again.Sealed, sealed.Sealed) || bytes.Contains(sealed.Sealed, []byte("secret")) {
		t.Error("sealed without a nonce of its own")
	}
	for name, spoil := range map[string]func(*SealedKey, *sealer){
		"use":        func(k *SealedKey, _ *sealer) { k.Use = "sign:HS256" },
		"generation": func(k *SealedKey, _ *sealer) { k.Generation = 2 },
		"id":         func(k *SealedKey, _ *sealer) { k.ID = "other" },
		"bit":        func(k *SealedKey, _ *sealer) { k.Sealed[len(k.Sealed)-1] ^= 1 },
		"nonce":      func(k *SealedKey, _ *sealer) { k.Sealed[0] ^= 1 },
		"cut":        func(k *SealedKey, _ *sealer) { k.Sealed = k.Sealed[:5] },
		"empty":      func(k *SealedKey, _ *sealer) { k.Sealed = nil },
		"master key": func(_ *SealedKey, s *sealer) { s.master = MasterKey{2} },
	} {
		k, other := sealed, s
		k.Sealed = bytes.Clone(sealed.Sealed)
		spoil(&k, &other)
		if plain, err := other.open(k); !errors.Is(err, errMasterKey) || plain != nil {
			t.Errorf("another %s: %q %v", name, plain, err)
		}
	}
}
