package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What the peers' tokens say. Postern makes its own, with the same claims; the
// single role is for HAProxy 2.6, whose queries read no lists.
const (
	secret   = "a-secret-of-the-comparison-1865-wonderland"
	issuer   = "http://bench.example"
	audience = "postern"
	subject  = "alice"
)

// signed is a token for the peers, as long as one of Postern's: its length is part
// of what verifying costs.
func signed(role, key string, life time.Duration, n int) (string, error) {
	now := time.Now()
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": issuer, "sub": subject, "aud": audience, "iat": now.Unix(), "exp": now.Add(life).Unix(),
		"jti": fmt.Sprintf("1c6d6a3e-50c2-4a5e-9d31-%012d", n), "sid": "8f14e45f-ceea-467f-a0e6-5e2b9b8c1a77",
		"username": subject, "roles": []string{role}, "role": role, "ver": 1,
	})
	t.Header["typ"], t.Header["kid"] = "at+jwt", "bench"
	return t.SignedString([]byte(key))
}

// credentials are the tokens that a contender is tried with.
type credentials struct{ admin, user, expired, forged string }

// peerCredentials are those of everybody but Postern.
func peerCredentials() (c credentials, err error) {
	for _, t := range []struct {
		into      *string
		role, key string
		life      time.Duration
	}{{&c.admin, "admin", secret, time.Hour}, {&c.user, "user", secret, time.Hour}, {&c.expired, "admin", secret, -time.Minute}, {&c.forged, "admin", "another " + secret, time.Hour}} {
		if *t.into, err = signed(t.role, t.key, t.life, 0); err != nil {
			return c, err
		}
	}
	return c, nil
}

// expiry is when a token is over, as it says itself.
func expiry(token string) (time.Time, error) {
	claims := &jwt.RegisteredClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		return time.Time{}, err
	}
	if claims.ExpiresAt == nil {
		return time.Time{}, errors.New("a token without an expiry")
	}
	return claims.ExpiresAt.Time, nil
}

// peerTokens are so many for the load, all different.
func peerTokens(n int) (tokens []string, err error) {
	for i := range n {
		token, err := signed("admin", secret, 12*time.Hour, i+1)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}
