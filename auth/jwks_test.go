package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"
)

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
		if !sameKey(ring.access.current.public, k) {
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
