package auth

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"

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

func algorithmByName(name string) (algorithm, bool) {
	for _, a := range algorithms() {
		if a.name == name {
			return a, true
		}
	}
	return algorithm{}, false
}

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

// jwk is a public key as RFC 7517 and RFC 7518 6 write it.
type jwk struct {
	Kty string `json:"kty"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Crv string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
}

// jwkSet writes the public halves, ordered by kid so that the document is the
// same on every instance.
func jwkSet(alg algorithm, keys map[string]signKey) ([]byte, error) {
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, k := range keys {
		if alg.secret > 0 {
			break // a symmetric key in a public document would let anybody sign
		}
		j, err := publicJWK(k.public)
		if err != nil {
			return nil, err
		}
		j.Use, j.Alg, j.Kid = "sig", alg.name, k.id
		set.Keys = append(set.Keys, j)
	}
	slices.SortFunc(set.Keys, func(a, b jwk) int { return cmp.Compare(a.Kid, b.Kid) })
	return json.Marshal(set)
}

func publicJWK(public any) (jwk, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, then both coordinates in full width
		if err != nil {
			return jwk{}, err
		}
		half := (len(point) - 1) / 2
		return jwk{Kty: "EC", Crv: k.Curve.Params().Name, X: b64(point[1 : 1+half]), Y: b64(point[1+half:])}, nil
	case *rsa.PublicKey:
		return jwk{Kty: "RSA", N: b64(k.N.Bytes()), E: b64(big.NewInt(int64(k.E)).Bytes())}, nil
	case ed25519.PublicKey:
		return jwk{Kty: "OKP", Crv: "Ed25519", X: b64(k)}, nil
	}
	return jwk{}, errors.New("no JWK form for this key")
}
