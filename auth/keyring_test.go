package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
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

func TestARetiredKeyVerifiesNothing(t *testing.T) {
	f := newForge(t, "ES256")
	raw := f.sign(f.header(), f.good())
	material := make([][]byte, 3)
	for i := range material {
		m, err := f.alg.generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		material[i] = m
	}
	material[2] = bytes.Repeat([]byte{7}, 32)
	keys := []SealedKey{
		{ID: "kid-1", Use: useSign + "ES256", Generation: 1, Retired: f.now},
		{ID: "kid-2", Use: useSign + "ES256", Generation: 2},
		{ID: "mac-1", Use: useRefresh, Generation: 1},
	}
	ring, err := newKeyring(f.alg, keys, material, f.now)
	if err != nil {
		t.Fatal(err)
	}
	st := *f.current.Load()
	st.ring, st.cache = ring, newTokenCache()
	f.current.Store(&st)
	f.refused(raw) // TK-21
	if ring.sign.id != "kid-2" || strings.Contains(string(ring.jwks), "kid-1") {
		t.Errorf("signs with %s, publishes %s", ring.sign.id, ring.jwks)
	}
	// Until it is retired the older key verifies, and the newer one signs.
	keys[0].Retired = f.now.Add(time.Minute)
	ring, err = newKeyring(f.alg, keys, material, f.now)
	if err != nil || ring.sign.id != "kid-2" || len(ring.verify) != 2 {
		t.Errorf("%v: signs with %s, verifies with %d", err, ring.sign.id, len(ring.verify))
	}
	if _, err := newKeyring(f.alg, keys[:1], material, f.now.Add(time.Hour)); err == nil {
		t.Error("a ring of nothing")
	}
}

func TestAKeyServesItsAlgorithmAlone(t *testing.T) {
	material := map[string][]byte{}
	for _, a := range algorithms() {
		material[a.name] = keyMaterial(t, a)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if material["1024 bits"], err = x509.MarshalPKCS8PrivateKey(short); err != nil {
		t.Fatal(err)
	}
	material["nothing"] = nil
	kind := func(name string) string {
		return strings.NewReplacer("PS", "RS", "384", "", "512", "", "256", "").Replace(name)
	}
	for _, a := range algorithms() {
		for of, m := range material {
			fits := of == a.name || kind(of) == kind(a.name) && kind(a.name) == "RS" ||
				a.secret > 0 && len(m) >= a.secret // any secret that is long enough
			if _, err := a.parse("kid", m); (err == nil) != fits {
				t.Errorf("%s takes a key of %s: %v", a.name, of, err)
			}
		}
	}
}

func TestTheJWKSetHoldsPublicKeysAlone(t *testing.T) {
	for _, a := range algorithms() {
		ring := forgeRing(t, a)
		var set struct{ Keys []map[string]string }
		if err := json.Unmarshal(ring.jwks, &set); err != nil {
			t.Fatal(err)
		}
		if a.secret > 0 {
			if string(ring.jwks) != `{"keys":[]}` {
				t.Errorf("%s publishes %s", a.name, ring.jwks)
			}
			continue
		}
		if len(set.Keys) != 1 {
			t.Fatalf("%s: %s", a.name, ring.jwks)
		}
		k := set.Keys[0]
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if _, leaked := k[private]; leaked {
				t.Errorf("%s publishes %q", a.name, private)
			}
		}
		if k["alg"] != a.name || k["kid"] != "kid-1" || k["use"] != "sig" {
			t.Errorf("%s: %v", a.name, k)
		}
		if !sameKey(ring.sign.public, k) {
			t.Errorf("%s: %v is not the key", a.name, k)
		}
	}
}

// sameKey reads a JWK back and compares it with the key that it was made of.
func sameKey(public any, k map[string]string) bool {
	n := func(member string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(k[member])
		if err != nil {
			return new(big.Int)
		}
		return new(big.Int).SetBytes(b)
	}
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return k["kty"] == "EC" && k["crv"] == key.Curve.Params().Name && key.Equal(ecKey(key.Curve, k["x"], k["y"]))
	case *rsa.PublicKey:
		return k["kty"] == "RSA" && k["e"] == "AQAB" && key.Equal(&rsa.PublicKey{N: n("n"), E: int(n("e").Int64())})
	case ed25519.PublicKey:
		return k["kty"] == "OKP" && k["crv"] == "Ed25519" && key.Equal(ed25519.PublicKey(n("x").FillBytes(make([]byte, 32))))
	}
	return false
}

// ecKey makes a public key of a JWK's coordinates, which have their full width.
func ecKey(curve elliptic.Curve, x, y string) *ecdsa.PublicKey {
	point := []byte{4}
	for _, coordinate := range []string{x, y} {
		b, err := base64.RawURLEncoding.DecodeString(coordinate)
		if err != nil {
			return nil
		}
		point = append(point, b...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil
	}
	return key
}

func FuzzParseRefresh(f *testing.F) {
	ring := forgeRing(f, algorithms()[0])
	good, err := ring.refreshToken(Session{ID: "AAAAAAAAAAAAAAAAAAAAAA", Counter: 12, Generation: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("AAAAAAAAAAAAAAAAAAAAAA.1.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("...")
	f.Fuzz(func(t *testing.T, raw string) {
		token, mac, ok := parseRefresh(raw)
		if ok && token.text()+"."+base64.RawURLEncoding.EncodeToString(mac) != raw {
			t.Errorf("%q has a second spelling, %q", raw, token.text())
		}
		if _, genuine := ring.openRefresh(raw); genuine && raw != good {
			t.Errorf("%q, which nobody made, is genuine", raw)
		}
	})
}

func TestARefreshTokenOfAKeyThatIsGoneIsRefused(t *testing.T) {
	ring := forgeRing(t, algorithms()[0])
	if _, err := ring.refreshToken(Session{ID: "AAAAAAAAAAAAAAAAAAAAAA", Counter: 1, Generation: 2}); err == nil {
		t.Error("sealed with no key")
	}
	if _, ok := ring.refreshMAC(2, "x"); ok {
		t.Error("a MAC of no key")
	}
}
