package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Verify proves an access token. It asks nobody: the keys, the view of
// revocations and the cache are in memory. Only when the keys were not followed
// in time it reads them for a token that names one it does not know.
//
// With ErrTokenExpired, ErrTokenRevoked and ErrTokenOutdated the signature is
// genuine and the Principal is filled in, as a candidate: good for logging out
// or for a refresh, never for letting anybody in. With ErrTokenMalformed and
// ErrTokenInvalid it is zero. Callers must not change the Principal's lists.
func (s *Service) Verify(raw string) (Principal, error) {
	p, err := s.Prove(raw, s.now())
	if p == nil {
		return Principal{}, err
	}
	return *p, err
}

// Prove is Verify for one who knows the time, and makes no copy: the Principal,
// nil where Verify's is zero, is shared with everybody who brings the same token
// and must not be changed.
func (s *Service) Prove(raw string, now time.Time) (*Principal, error) {
	st := s.current.Load()
	p, ok := st.cache.get(raw)
	if !ok {
		var err error
		if p, err = st.proveOnce(raw, now); errors.Is(err, errUnknownKey) {
			st = s.catchUp()
			p, err = st.proveOnce(raw, now)
		}
		if errors.Is(err, errUnknownKey) {
			err = ErrTokenInvalid
		}
		if err != nil {
			return nil, err
		}
	}
	if !now.Before(p.Expires) {
		return p, ErrTokenExpired
	}
	if err := s.view.judge(p); err != nil {
		return p, err
	}
	if !ok {
		st.cache.put(raw, p)
	}
	return p, nil
}

// proveOnce is prove, done once for all who bring the same token while it lasts:
// a page asks for many things at once with a token that is new. Whoever comes
// later finds it in the cache.
func (st *state) proveOnce(raw string, now time.Time) (*Principal, error) {
	proven, err, _ := st.cache.proving.Do(raw, func() (any, error) { return st.prove(raw, now) })
	if err != nil {
		return nil, err
	}
	return proven.(*Principal), nil
}

// prove proves a token that was not seen before. Whether it has expired or was
// revoked is not judged here.
func (st *state) prove(raw string, now time.Time) (*Principal, error) {
	c, key, err := st.ring.openToken(raw)
	if err == nil {
		err = c.check(st.config.Issuer, st.config.Audience, now)
	}
	if err != nil {
		return nil, err
	}
	p := c.principal()
	// Revocations are kept for one lifetime. A token that was issued with a
	// longer one, before a reload or a restart, must not outlive them.
	if latest := p.IssuedAt.Add(st.config.longest()); p.Expires.After(latest) {
		p.Expires = latest
	}
	// And none outlives its key, whoever may have kept a copy of that.
	if !key.until.IsZero() && p.Expires.After(key.until) {
		p.Expires = key.until
	}
	return &p, nil
}

// Issuer is what names this gateway in its tokens.
func (s *Service) Issuer() string { return s.current.Load().config.Issuer }

// Issued reports whether a text looks like a token of this gateway, proven or
// not: a genuine refresh token, or a JWT that names it as the issuer. It reads
// leniently, where Verify is strict: what an application behind might take for
// one of ours must not pass as the application's own.
func (s *Service) Issued(raw string) bool {
	if _, ours := s.RefreshSession(raw); ours {
		return true
	}
	parts := strings.SplitN(raw, ".", 3)
	if len(raw) > 16*maxToken || len(parts) < 2 {
		return false
	}
	text := strings.NewReplacer("+", "-", "/", "_", "=", "", " ", "", "\t", "", "\r", "", "\n", "").Replace(parts[1])
	payload, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	return namesIssuer(payload, s.current.Load().config.Issuer)
}

// namesIssuer looks for the issuer among the outermost members of a JSON
// object, in any of several and however it is capitalised.
func namesIssuer(payload []byte, issuer string) bool {
	dec := json.NewDecoder(bytes.NewReader(payload))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return false
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return false
		}
		var named string
		text, _ := name.(string)
		if strings.EqualFold(text, "iss") && json.Unmarshal(value, &named) == nil && named == issuer {
			return true
		}
	}
	return false
}

// until is when the last access token that could exist now has expired: how
// long a revocation has to be remembered.
func (st *state) until(now time.Time) time.Time { return now.Add(st.horizon) }
