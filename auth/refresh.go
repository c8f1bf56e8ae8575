package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxRefresh is the longest refresh token that is looked at, in bytes: a
// session id of 22, two numbers of at most 19 digits, a MAC of 43, three dots.
const maxRefresh = 22 + 19 + 19 + 43 + 3

// refreshToken is `session.counter.generation.MAC`, MAC being HMAC-SHA256 of
// what stands before it under the key of that generation. Nothing but the key
// is secret, and the key is not in the store in the clear: a copy of the store
// makes no token.
type refreshToken struct {
	session    string
	counter    int64
	generation int64
}

// parseRefresh reads a refresh token and its MAC, in its one spelling: a number
// has no sign and no leading zero, base64 no padding and no stray bits.
func parseRefresh(raw string) (t refreshToken, mac []byte, ok bool) {
	if len(raw) > maxRefresh || strings.Count(raw, ".") != 3 {
		return refreshToken{}, nil, false
	}
	parts := strings.Split(raw, ".")
	counter, ok1 := canonical(parts[1])
	generation, ok2 := canonical(parts[2])
	id, err1 := decodeCanonical(parts[0])
	mac, err2 := decodeCanonical(parts[3])
	if !ok1 || !ok2 || err1 != nil || err2 != nil || len(id) != 16 || len(mac) != sha256.Size {
		return refreshToken{}, nil, false
	}
	return refreshToken{session: parts[0], counter: counter, generation: generation}, mac, true
}

// canonical reads a positive number that can be counted on from.
func canonical(digits string) (int64, bool) {
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n > 0 && n < math.MaxInt64 && strconv.FormatInt(n, 10) == digits
}

// decodeCanonical reads base64url and refuses the line ends that even the
// strict decoder skips.
func decodeCanonical(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("line end")
	}
	return base64.RawURLEncoding.Strict().DecodeString(text)
}

// text is what the MAC seals.
func (t refreshToken) text() string {
	return t.session + "." + strconv.FormatInt(t.counter, 10) + "." + strconv.FormatInt(t.generation, 10)
}

// refreshToken is the current refresh token of a session: a function of the
// row, so that a repeat within the grace is the very same.
func (r *keyring) refreshToken(s Session) (string, error) {
	text := refreshToken{session: s.ID, counter: s.Counter, generation: s.Generation}.text()
	mac, ok := r.refreshMAC(s.Generation, text)
	if !ok {
		return "", fmt.Errorf("seal a refresh token: no key of generation %d in this store", s.Generation)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(mac), nil
}

// sealed tells whether a MAC is the one of a token. It costs no look-up.
func (r *keyring) sealed(t refreshToken, mac []byte) bool {
	want, ok := r.refreshMAC(t.generation, t.text())
	return ok && hmac.Equal(mac, want)
}

// RefreshSession is the session that a genuine refresh token belongs to; the
// token may be spent. It checks the MAC and asks no store.
func (s *Service) RefreshSession(token string) (sid string, ok bool) {
	_, t, ok := s.openRefresh(token)
	return t.session, ok
}

// openRefresh proves a refresh token, and answers the state that has its key:
// another instance may have sealed it under one that is new here.
func (s *Service) openRefresh(token string) (*state, refreshToken, bool) {
	t, mac, ok := parseRefresh(token)
	if !ok {
		return s.current.Load(), refreshToken{}, false
	}
	st := s.sealing(t.generation)
	if !st.ring.sealed(t, mac) {
		return st, refreshToken{}, false
	}
	return st, t, true
}

// Refresh spends a refresh token and answers its successor with a new access
// token. Roles and the account's state are read from the store.
//
// A spent token within the grace gets the very same current token again. Later
// it ends the session and is ErrRefreshReused: somebody else has a copy. From
// then on every token of that session is ErrRefreshReused: its owner, who holds
// the last one, must learn why the session is over. A forged or unknown one, and
// one of a session or an account that was ended otherwise, is ErrRefreshInvalid,
// one past its time ErrRefreshExpired.
func (s *Service) Refresh(ctx context.Context, token string, c Client) (_ Grant, err error) {
	outcome := refreshInvalid
	defer func() { s.counts.refreshes.add(refreshResult(outcome, err)) }()
	st, t, ok := s.openRefresh(token)
	if !ok {
		s.tell(ctx, Event{Name: EventRefreshFailed, Client: c, Detail: "invalid"})
		return Grant{}, ErrRefreshInvalid
	}
	c.UserAgent = truncate(c.UserAgent, maxUserAgent)
	found, err := s.store.RotateSession(ctx, st.rotation(t.session, t.counter, c))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Grant{}, unavailable("rotate a session", err)
	}
	if err == nil {
		outcome = s.judgeRefresh(st, t, found)
		// It may be a repeat, of what another instance has sealed just now.
		st = s.sealing(found.Session.Generation)
	}
	return s.answerRefresh(ctx, st, found, outcome, c)
}

// rotation asks the store to spend the token with this counter.
func (st *state) rotation(session string, counter int64, c Client) Rotation {
	conf := st.config.RefreshToken
	return Rotation{
		Session: session, Presented: counter, Generation: st.ring.refresh.current.generation,
		Grace: conf.grace(), IdleLimit: conf.TTL, AgeLimit: conf.SessionTTL, Client: c,
	}
}

// refreshOutcome is what a presented refresh token came to; zero refuses.
type refreshOutcome uint8

const (
	refreshInvalid  refreshOutcome = iota
	refreshDisabled                // the account is: the session ends too
	refreshExpired
	refreshReused
	refreshEnded    // the session was, when a copy of one of its tokens was used
	refreshRepeated // within the grace: the same answer again
	refreshRotated
	refreshConfused // the store neither swapped nor shows a reason
)

// judgeRefresh is the rule of refresh: what the row says about a genuine token.
func (s *Service) judgeRefresh(st *state, t refreshToken, found Rotated) refreshOutcome {
	conf, row, now := st.config.RefreshToken, found.Session, found.Now
	behind := row.Counter - t.counter
	switch {
	case found.Swapped:
		return refreshRotated
	case !row.Revoked.IsZero() && row.RevokedFor == RevokedForReuse:
		return refreshEnded
	case !row.Revoked.IsZero():
		return refreshInvalid
	case found.Account.Disabled:
		return refreshDisabled
	case row.over(conf, now):
		return refreshExpired
	case row.Refresh != RefreshRotates && behind > 0, row.Refresh == RefreshNone:
		// A changed password gave the session another token, or none was ever
		// given out. That proves no theft: nothing rotates here.
		return refreshInvalid
	case behind <= 0:
		return refreshConfused
	case t.counter >= row.Floor && now.Sub(row.Rotated).Abs() < conf.grace():
		return refreshRepeated
	case behind == 1 && t.counter >= row.Floor && s.now().Sub(s.started) < conf.grace():
		// The answer to the rotation may have died with the last process.
		return refreshRepeated
	}
	return refreshReused
}

// answerRefresh does and answers what an outcome demands.
func (s *Service) answerRefresh(ctx context.Context, st *state, found Rotated, outcome refreshOutcome, c Client) (Grant, error) {
	e := Event{Name: EventRefreshFailed, User: found.Account.Username, Client: c, Detail: "invalid"}
	var refused error
	switch outcome {
	case refreshRotated, refreshRepeated:
		g, err := s.grant(st, found.Account, found.Session)
		if err != nil {
			return Grant{}, err
		}
		e.Name, e.Detail = EventRefresh, ""
		if outcome == refreshRepeated {
			e.Detail = "repeat"
		}
		s.tell(ctx, e)
		return g, nil
	case refreshExpired:
		refused, e.Detail = ErrRefreshExpired, "expired"
	case refreshDisabled:
		if err := s.end(ctx, st, found.Session.ID, RevokedByChoice); err != nil {
			return Grant{}, err
		}
		refused, e.Detail = ErrRefreshInvalid, "disabled"
	case refreshReused:
		// A copy is about. Which of the two is the thief cannot be told, so
		// all tokens of the session end (RFC 9700 4.14.2).
		if err := s.end(ctx, st, found.Session.ID, RevokedForReuse); err != nil {
			return Grant{}, err
		}
		refused, e.Name, e.Detail = ErrRefreshReused, EventRefreshReused, ""
	case refreshEnded: // told as refresh_reused when it happened
		refused, e.Detail = ErrRefreshReused, "reused"
	case refreshConfused:
		return Grant{}, fmt.Errorf("rotate a session: %w: the store did not swap and shows no reason", ErrUnavailable)
	default:
		refused = ErrRefreshInvalid
	}
	s.tell(ctx, e)
	return Grant{}, refused
}

// end revokes a session in the store and, once that is sure, at once here.
func (s *Service) end(ctx context.Context, st *state, sid string, why RevokeReason) error {
	until := st.until(s.now())
	// A client that hangs up must not be able to stop a revocation half-way.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := s.store.RevokeSession(ctx, sid, why, until); err != nil && !errors.Is(err, ErrNotFound) {
		return unavailable("revoke a session", err)
	}
	s.view.apply(Revocation{Kind: RevokeSessionTokens, ID: sid, Until: until})
	return nil
}

// endTimeout bounds the writes that outlast their request. It is longer than the
// store waits for another process' lock, so that the store's answer comes first.
const endTimeout = 10 * time.Second
