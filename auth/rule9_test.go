package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// Rule 9 of the security rules, clause by clause: what an access token must be
// before anything in it is believed. token_test.go has the published attacks;
// here each clause is held for every algorithm, with the gateway's own key, so
// that nothing but the clause can be what refuses.

// eachAlgorithm runs a test under every algorithm that can be configured.
func eachAlgorithm(t *testing.T, test func(t *testing.T, f *forge)) {
	for _, name := range algorithmNames() {
		t.Run(name, func(t *testing.T) { test(t, newForge(t, name)) })
	}
}

// signBy signs with the gateway's key, and with another algorithm.
func (f *forge) signBy(method jwt.SigningMethod, header map[string]any) (raw string, ok bool) {
	text := encodePart(f.t, header) + "." + encodePart(f.t, f.good())
	sig, err := method.Sign(text, f.current.Load().ring.access.current.private)
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), err == nil
}

// The same RSA key could sign RS256, RS512 and PS256, the same secret all of
// HMAC: each is another algorithm, and the key has one.
func TestRule9OneFixedAlgorithmForEachKey(t *testing.T) {
	signed := 0
	eachAlgorithm(t, func(t *testing.T, f *forge) {
		for _, other := range algorithms() {
			if other.name == f.alg.name {
				continue
			}
			for _, claimed := range []string{f.alg.name, other.name} {
				raw, ok := f.signBy(other.method, with(f.header(), "alg", claimed))
				if !ok {
					continue // the key is not of that kind
				}
				signed++
				f.refused(raw)
			}
			f.refused(f.sign(with(f.header(), "alg", other.name), f.good()))
		}
		raw, ok := f.signBy(f.alg.method, f.header())
		if _, err := f.Verify(raw); !ok || err != nil {
			t.Errorf("its own is refused: %v", err)
		}
	})
	if signed < 2*(3*2+4*3) { // three of HMAC, four of RSA, with each other
		t.Errorf("only %d tokens of another algorithm were made", signed)
	}
}

// The key is found by its name in a map of those that sign access tokens. The
// refresh key is a secret of the right length for HS256, and no such key.
func TestRule9TheKeyIsChosenByKidFromAClosedMap(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, f *forge) {
		for _, kid := range []any{"", "kid-2", "mac-1", "kid-1 ", " kid-1", "kid-1\x00", "kid-1/../kid-1", 1, nil, []string{"kid-1"}, map[string]string{"kid-1": ""}} {
			f.refused(f.sign(with(f.header(), "kid", kid), f.good()))
		}
		f.refused(f.sign(without(f.header(), "kid"), f.good()))
	})
	f := newForge(t, "HS256")
	text := encodePart(t, with(f.header(), "kid", "mac-1")) + "." + encodePart(t, f.good())
	sig, err := f.alg.method.Sign(text, f.current.Load().ring.refresh.current.private)
	if err != nil {
		t.Fatal(err)
	}
	f.refused(text + "." + base64.RawURLEncoding.EncodeToString(sig))
}

// A header with another member than ours is refused, whatever the member is:
// one that would name a key, one that must be understood, and any unknown one.
func TestRule9TheHeaderIsClosed(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, f *forge) {
		for _, member := range []string{"crit", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "zip", "b64", "cty", "enc", "epk", "p2c", "iss", "nonce", "Alg", "ALG", "KID", "Typ", "later"} {
			for _, value := range []any{nil, "", "x", 1, true, []string{member}, map[string]string{}} {
				f.refused(f.sign(with(f.header(), member, value), f.good()))
			}
		}
	})
}

func TestRule9TheTypeIsAnAccessTokens(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, f *forge) {
		for _, typ := range []any{"", "JWT", "jwt", "at", "at+jwt ", " at+jwt", "at+jwt;x", "application/jwt", "text/at+jwt", "postern-assertion+jwt", "secevent+jwt", "logout+jwt", "dpop+jwt", nil, 1, []string{"at+jwt"}} {
			f.refused(f.sign(with(f.header(), "typ", typ), f.good()))
		}
		f.refused(f.sign(without(f.header(), "typ"), f.good()))
	})
}

// Expiration, issuer, audience and the time of issue are required and exact.
func TestRule9TheClaimsThatMustBeThereMustBeRight(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, f *forge) {
		for _, claim := range []string{"exp", "iss", "aud", "iat", "sub", "sid", "roles", "username", "ver", "auth_time"} {
			f.refused(f.sign(f.header(), without(f.good(), claim)))
			for _, value := range []any{nil, "", true, map[string]string{}, []any{}, []any{nil}} {
				if list, ok := value.([]any); ok && claim == "roles" && len(list) == 0 {
					continue // nobody's roles are a good list
				}
				f.refused(f.sign(f.header(), with(f.good(), claim, value)))
			}
		}
	})
}

// Length and characters are judged before anything is decoded.
func TestRule9LengthAndCharactersAreJudgedFirst(t *testing.T) {
	f := newForge(t, "ES256")
	long := func(n int) string {
		// Three bytes are four characters, so not every length can be had.
		for pad := range n {
			raw := f.sign(f.header(), with(f.good(), "pad", strings.Repeat("x", n*3/4-600+pad)))
			if len(raw) >= n {
				return raw
			}
		}
		t.Fatal("not long enough")
		return ""
	}
	fits := long(maxToken - 3)
	if _, err := f.Verify(fits); err != nil || len(fits) > maxToken {
		t.Errorf("%d bytes are refused: %v", len(fits), err)
	}
	if over := long(maxToken + 1); !errors.Is(verifyError(f, over), ErrTokenMalformed) {
		t.Errorf("%d bytes: %v", len(over), verifyError(f, over))
	}
	raw := f.sign(f.header(), f.good())
	for b := range 256 {
		c := byte(b)
		if c == '.' || c == '-' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			continue
		}
		for _, i := range []int{0, 5, strings.IndexByte(raw, '.'), len(raw) / 2, strings.LastIndexByte(raw, '.') + 1, len(raw)} {
			if err := verifyError(f, raw[:i]+string([]byte{c})+raw[i:]); !errors.Is(err, ErrTokenMalformed) {
				t.Fatalf("byte %#x at %d: %v", c, i, err)
			}
		}
	}
	for _, dots := range []string{"", "a", "a.b", "a.b.c.d", raw + ".", "." + raw, strings.Replace(raw, ".", "..", 1)} {
		if err := verifyError(f, dots); !errors.Is(err, ErrTokenMalformed) {
			t.Errorf("%.40s: %v", dots, err)
		}
	}
}

func verifyError(f *forge, raw string) error { _, err := f.Verify(raw); return err }

// A claim that is there twice, or in another case, has two readings.
func TestRule9NoClaimHasTwoReadings(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, f *forge) {
		text := jsonText(t, f.good())
		for _, claim := range []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "roles", "username", "auth_time", "ver"} {
			value := jsonText(t, with(f.good(), "nbf", f.now.Unix(), "jti", "j")[claim])
			for _, name := range []string{claim, strings.ToUpper(claim), strings.ToUpper(claim[:1]) + claim[1:]} {
				twice := strings.TrimSuffix(f.withClaim(text, claim), "}") + `,"` + name + `":` + value + "}"
				f.refused(f.sign(f.header(), twice))
			}
		}
	})
}

// withClaim is the text of the claims with one that good may not have.
func (f *forge) withClaim(text, claim string) string {
	if strings.Contains(text, `"`+claim+`":`) {
		return text
	}
	return strings.TrimSuffix(text, "}") + fmt.Sprintf(`,"%s":%d}`, claim, f.now.Unix())
}
