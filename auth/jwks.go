package auth

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
)

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

// jwkSet is the JWK Set document of the keys that are to be published, ordered
// by kid so that it is the same on every instance.
func jwkSet(chains ...chain) ([]byte, error) {
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, c := range chains {
		if !c.use.published || c.use.algorithm.secret > 0 {
			continue // a symmetric key in a public document would let anybody sign
		}
		for _, k := range c.published() {
			j, err := publicJWK(k.public)
			if err != nil {
				return nil, err
			}
			j.Use, j.Alg, j.Kid = "sig", c.use.algorithm.name, k.id
			set.Keys = append(set.Keys, j)
		}
	}
	slices.SortFunc(set.Keys, func(a, b jwk) int { return cmp.Compare(a.Kid, b.Kid) })
	return json.Marshal(set)
}

// publicJWK writes a public key as RFC 7518 section 6 and RFC 8037 section 2 have
// it. Only public types are listed, so that a private key which strays here is an
// error and is not published. Coordinates keep their leading zeros (6.2.1.2).
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

// JWKS is the JWK Set document (RFC 7517) with the public keys that verify what
// this gateway signs: the one in use, those before it until their last token has
// expired, and the next one before it is used; of access tokens and, where there
// are any, of assertions. A symmetric key is never published: with an HMAC
// algorithm there is none for access tokens.
func (s *Service) JWKS() []byte { return s.current.Load().ring.jwks }
