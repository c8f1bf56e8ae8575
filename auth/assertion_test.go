package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/posternhq/postern/auth"
)

// asserting is the setup of a gateway whose upstreams are sent assertions.
func asserting(c *auth.Config) { c.Assertions = true }

// published are the ES256 keys of a JWK Set document, by kid.
func published(t *testing.T, jwks []byte) map[string]*ecdsa.PublicKey {
	t.Helper()
	var set struct {
		Keys []struct{ Kid, Alg, Use, Crv, X, Y string }
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, k := range set.Keys {
		if k.Alg != "ES256" || k.Crv != "P-256" || k.Use != "sig" {
			continue
		}
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil {
			t.Fatal(err)
		}
		y, err := base64.RawURLEncoding.DecodeString(k.Y)
		if err != nil {
			t.Fatal(err)
		}
		if keys[k.Kid], err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...)); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// believe reads an assertion as an upstream does, with the JWKS alone.
func believe(t *testing.T, jwks []byte, raw, audience string, now time.Time) (*jwt.Token, error) {
	t.Helper()
	keys := published(t, jwks)
	return jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(audience), jwt.WithIssuer(issuer), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithTimeFunc(func() time.Time { return now })).Parse(raw, func(token *jwt.Token) (any, error) {
		key, ok := keys[token.Header["kid"].(string)]
		if !ok || token.Header["typ"] != "postern-assertion+jwt" {
			return nil, errors.New("not an assertion of this gateway")
		}
		return key, nil
	})
}

func TestAnAssertionSaysWhoAsksToOneAudience(t *testing.T) {
	for _, algorithm := range []string{"ES256", "HS256", "RS256", "EdDSA"} {
		r := newRig(t, asserting, func(c *auth.Config) { c.AccessToken.Algorithm = algorithm })
		g := r.login()
		p, err := r.svc.Verify(g.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		p.Fields = map[string][]string{"tenant": {"acme"}}
		now := time.Now()
		raw, err := r.svc.Assert(&p, "app", now.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		token, err := believe(t, r.svc.JWKS(), raw, "app", now.Add(time.Second))
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		claims := token.Claims.(jwt.MapClaims)
		for name, want := range map[string]any{
			"sub": r.alice.ID, "sid": g.Session, "aud": "app", "iss": issuer, "username": "alice", "email": "alice@example.com", "name": "Alice",
			"roles": []any{"user"}, "fields": map[string]any{"tenant": []any{"acme"}}, "exp": float64(now.Add(time.Minute).Unix()), "auth_time": float64(p.AuthTime.Unix()),
		} {
			if !reflect.DeepEqual(claims[name], want) {
				t.Errorf("%s: %s is %v, want %v", algorithm, name, claims[name], want)
			}
		}
		if jti, _ := claims["jti"].(string); len(jti) < 16 {
			t.Errorf("%s: jti %q", algorithm, jti)
		}
		if _, err := believe(t, r.svc.JWKS(), raw, "other", now); !errors.Is(err, jwt.ErrTokenInvalidAudience) {
			t.Errorf("%s: another upstream: %v", algorithm, err)
		}
		if _, err := believe(t, r.svc.JWKS(), raw, "app", now.Add(2*time.Minute)); !errors.Is(err, jwt.ErrTokenExpired) {
			t.Errorf("%s: after its end: %v", algorithm, err)
		}
	}
}

// TestAnAssertionIsNeverAnAccessToken: what an upstream is told must not open
// the gateway, though the claims are alike and the issuer is the same.
func TestAnAssertionIsNeverAnAccessToken(t *testing.T) {
	for _, algorithm := range []string{"ES256", "HS256", "PS256"} {
		r := newRig(t, asserting, func(c *auth.Config) { c.AccessToken.Algorithm = algorithm })
		g := r.login()
		p, err := r.svc.Verify(g.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := r.svc.Assert(&p, "postern", time.Now().Add(time.Minute)) // the very audience of access tokens
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.svc.Verify(raw); !errors.Is(err, auth.ErrTokenInvalid) || got.ID != "" {
			t.Errorf("%s: %v, %v", algorithm, got, err)
		}
		if !r.svc.Issued(raw) {
			t.Errorf("%s: would pass for an application's own", algorithm)
		}
		// Not even with the claims and the type of an access token.
		forged, err := auth.SignAccessAsAssertion(r.svc, g.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(header(t, forged), `"typ":"at+jwt"`) {
			t.Errorf("%s: the test signs %s", algorithm, header(t, forged))
		}
		if got, err := r.svc.Verify(forged); !errors.Is(err, auth.ErrTokenInvalid) || got.ID != "" {
			t.Errorf("%s: the key of assertions proves an access token: %v, %v", algorithm, got, err)
		}
	}
}

func TestAssertionsHaveAKeyOnlyWhereTheyAreMeant(t *testing.T) {
	r := newRig(t, func(c *auth.Config) { c.AccessToken.Algorithm = "HS256" })
	if keys := published(t, r.svc.JWKS()); len(keys) != 0 {
		t.Errorf("published %d keys", len(keys))
	}
	p := auth.Principal{ID: "1", Username: "alice"}
	if raw, err := r.svc.Assert(&p, "app", time.Now().Add(time.Minute)); err == nil || raw != "" {
		t.Errorf("without a key: %q, %v", raw, err)
	}
	r.opts.Config.Assertions = true
	if err := r.svc.Reconfigure(t.Context(), r.opts.Config); err != nil {
		t.Fatal(err)
	}
	keys := published(t, r.svc.JWKS())
	if len(keys) != 1 || r.count(auth.EventKeyCreated) != 3 {
		t.Errorf("after a reload published %d keys, %d were made", len(keys), r.count(auth.EventKeyCreated))
	}
	raw, err := r.svc.Assert(&p, "app", time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	other := r.restart() // the same key, on every instance and after a restart
	if _, err := believe(t, other.JWKS(), raw, "app", time.Now()); err != nil {
		t.Error(err)
	}
	r.opts.Config.Assertions = false
	if err := r.svc.Reconfigure(t.Context(), r.opts.Config); err != nil {
		t.Fatal(err)
	}
	if keys := published(t, r.svc.JWKS()); len(keys) != 0 {
		t.Errorf("turned off, still published %d keys", len(keys))
	}
	if _, err := r.svc.Assert(&p, "app", time.Now().Add(time.Minute)); err == nil {
		t.Error("turned off, still asserts")
	}
	r.opts.Config.Assertions = true
	if err := r.svc.Reconfigure(t.Context(), r.opts.Config); err != nil {
		t.Fatal(err)
	}
	if again := published(t, r.svc.JWKS()); !reflect.DeepEqual(again, keys) {
		t.Error("turned on again, another key")
	}
}

func TestAnAssertionLivesForAnHourAtMost(t *testing.T) {
	r := newRig(t, asserting)
	now := time.Now()
	raw, err := r.svc.Assert(&auth.Principal{ID: "1", Username: "alice"}, "app", now.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := believe(t, r.svc.JWKS(), raw, "app", now.Add(59*time.Minute)); err != nil {
		t.Error(err)
	}
	if _, err := believe(t, r.svc.JWKS(), raw, "app", now.Add(61*time.Minute)); !errors.Is(err, jwt.ErrTokenExpired) {
		t.Errorf("after an hour: %v", err)
	}
}

// TestAnAssertionOutlivesTheRotationOfItsKey: an upstream that was told a
// moment ago can verify for as long as what it was told is good.
func TestAnAssertionOutlivesTheRotationOfItsKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, asserting, func(c *auth.Config) { c.AccessToken.TTL = time.Minute })
		other := r.restart()
		stop := []func(){follow(t, r.svc), follow(t, other)}
		p := r.verify(r.begin().AccessToken, nil)
		assert := func() string {
			raw, err := r.svc.Assert(&p, "app", time.Now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
		old := assert()
		made := r.rotate(auth.KeyAssert)
		if len(made) != 1 || made[0].Use != auth.KeyAssert || made[0].Algorithm != "ES256" || made[0].Status != auth.KeyNext {
			t.Fatalf("made %+v", made)
		}
		for range 40 {
			for _, s := range []*auth.Service{r.svc, other} {
				if _, err := believe(t, s.JWKS(), assert(), "app", time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if now := assert(); !strings.Contains(header(t, now), made[0].ID) || strings.Contains(header(t, old), made[0].ID) {
			t.Errorf("signed with %s, before with %s", header(t, now), header(t, old))
		}
		for _, stop := range stop {
			stop()
		}
		time.Sleep(50 * time.Minute)
		poll(t, other)
		if _, err := believe(t, other.JWKS(), old, "app", time.Now()); err != nil {
			t.Errorf("before its end: %v", err)
		}
		time.Sleep(time.Hour)
		poll(t, r.svc)
		if n := len(published(t, r.svc.JWKS())); n != 2 { // one of each use
			t.Errorf("an hour later %d keys are published", n)
		}
	})
}
