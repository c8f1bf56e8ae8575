package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"

	"github.com/golang-jwt/jwt/v5"
)

// algorithm is one way to sign an access token (RFC 7518 3.1, RFC 8037).
type algorithm struct {
	name   string
	method jwt.SigningMethod
	curve  elliptic.Curve // of ECDSA
	secret int            // bytes of an HMAC key: its hash's, RFC 7518 3.2
}

// rsaBits is the size of a new RSA key; 2048 is the least that RFC 7518 3.3
// allows and what every client can verify.
const rsaBits = 2048

// algorithms are all that may be configured. "none" is not among them.
func algorithms() []algorithm {
	return []algorithm{
		{name: "HS256", method: jwt.SigningMethodHS256, secret: 32},
		{name: "HS384", method: jwt.SigningMethodHS384, secret: 48},
		{name: "HS512", method: jwt.SigningMethodHS512, secret: 64},
		{name: "RS256", method: jwt.SigningMethodRS256},
		{name: "RS384", method: jwt.SigningMethodRS384},
		{name: "RS512", method: jwt.SigningMethodRS512},
		{name: "PS256", method: strictPSS()},
		{name: "ES256", method: jwt.SigningMethodES256, curve: elliptic.P256()},
		{name: "ES384", method: jwt.SigningMethodES384, curve: elliptic.P384()},
		{name: "EdDSA", method: jwt.SigningMethodEdDSA},
	}
}

// strictPSS is PS256 with a salt as long as the hash, as RFC 7518 3.5 demands;
// the library's own verifier takes any length.
func strictPSS() jwt.SigningMethod {
	return &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: jwt.SigningMethodPS256.SigningMethodRSA,
		Options:          &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash},
	}
}

// algorithmByName finds an algorithm by its exact name; "none" is not found, and
// neither is any other that is not listed.
func algorithmByName(name string) (algorithm, bool) {
	for _, a := range algorithms() {
		if a.name == name {
			return a, true
		}
	}
	return algorithm{}, false
}

// algorithmNames is what a message offers in place of a name that is not known.
func algorithmNames() []string {
	var names []string
	for _, a := range algorithms() {
		names = append(names, a.name)
	}
	return names
}

// generate makes a key and answers it as it is sealed: the secret itself for
// HMAC, else PKCS #8.
func (a algorithm) generate(rand io.Reader) ([]byte, error) {
	var key any
	var err error
	switch {
	case a.secret > 0:
		secret := make([]byte, a.secret)
		_, err = io.ReadFull(rand, secret)
		return secret, err
	case a.curve != nil:
		key, err = ecdsa.GenerateKey(a.curve, rand)
	case a.name == "EdDSA":
		_, key, err = ed25519.GenerateKey(rand)
	default:
		key, err = rsa.GenerateKey(rand, rsaBits)
	}
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

// parse reads what generate made. A key that is not of the algorithm's kind is
// an error: one key serves one algorithm (RFC 8725 3.1).
func (a algorithm) parse(id string, plain []byte) (signKey, error) {
	if a.secret > 0 {
		if len(plain) < a.secret {
			return signKey{}, fmt.Errorf("is too short for %s", a.name)
		}
		return signKey{id: id, private: plain, public: plain}, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return signKey{}, fmt.Errorf("read: %w", err)
	}
	fits := false
	switch k := parsed.(type) {
	case *ecdsa.PrivateKey:
		fits = a.curve != nil && k.Curve == a.curve
	case *rsa.PrivateKey:
		fits = a.curve == nil && a.name != "EdDSA" && k.N.BitLen() >= rsaBits
	case ed25519.PrivateKey:
		fits = a.name == "EdDSA"
	}
	signer, ok := parsed.(crypto.Signer)
	if !fits || !ok {
		return signKey{}, fmt.Errorf("is not a key for %s", a.name)
	}
	return signKey{id: id, private: parsed, public: signer.Public()}, nil
}
