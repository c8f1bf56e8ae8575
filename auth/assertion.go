package auth

import (
	"encoding/json"
	"fmt"
	"time"
)

// typeAssertion is the typ of an assertion: with it, and under a key of its
// own, one is never an access token to anybody who looks (RFC 8725 3.11).
const typeAssertion = "postern-assertion+jwt"

// maxAssertionLife is how long an assertion may be good at most; the key that
// signed one is published for so long after the last.
const maxAssertionLife = time.Hour

// assertionAlgorithm signs assertions, whatever signs access tokens: who reads
// one holds no secret of the gateway's.
const assertionAlgorithm = "ES256"

// assertionClaims is the payload of an assertion.
type assertionClaims struct {
	Issuer   string              `json:"iss"`
	Subject  string              `json:"sub"`
	Audience string              `json:"aud"`
	Expires  int64               `json:"exp"`
	Issued   int64               `json:"iat"`
	ID       string              `json:"jti"`
	Session  string              `json:"sid"`
	AuthTime int64               `json:"auth_time"`
	Username string              `json:"username"`
	Email    string              `json:"email,omitempty"`
	Name     string              `json:"name,omitempty"`
	Roles    []string            `json:"roles"`
	Fields   map[string][]string `json:"fields,omitempty"`
}

// Assert signs a statement about a proven principal for one audience: a JWT
// that the audience verifies with the JWKS, and that proves nothing to this
// gateway. It needs Config.Assertions. It asks nobody, and is good until
// expires, of which the caller decides; an hour at most.
func (s *Service) Assert(p *Principal, audience string, expires time.Time) (string, error) {
	st, now := s.current.Load(), s.now()
	if latest := now.Add(maxAssertionLife); expires.After(latest) {
		expires = latest
	}
	id, err := randomName(s.rand, 16)
	if err != nil {
		return "", fmt.Errorf("sign an assertion: %w", err)
	}
	payload, err := json.Marshal(assertionClaims{
		Issuer: st.config.Issuer, Subject: p.ID, Audience: audience, Expires: expires.Unix(), Issued: now.Unix(), ID: id,
		Session: p.Session, AuthTime: p.AuthTime.Unix(), Username: p.Username, Email: p.Email, Name: p.Name, Roles: append([]string{}, p.Roles...), Fields: p.Fields,
	})
	if err != nil {
		return "", fmt.Errorf("sign an assertion: %w", err)
	}
	return st.ring.assert.sign(typeAssertion, payload)
}
