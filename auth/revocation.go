package auth

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

// How often the revocation feed is read, and how often the store forgets what
// is over. Other instances must hear of a revocation within a second.
const (
	followEvery = 500 * time.Millisecond
	pruneEvery  = time.Hour
	pollTimeout = 5 * time.Second

	pruneTimeout = 10 * time.Minute // of a table of millions
)

// revocations is what was revoked within one lifetime of an access token: all
// that a token which still verifies has to be compared with. It never asks the
// store, so that tokens verify on while it is away.
type revocations struct {
	mu       sync.RWMutex // guards the following
	sessions map[string]time.Time
	accounts map[string]accountRevocation
	seq      int64 // of the last entry read from the feed
	fault    error // why the feed could not be read last; nil when it could

	listeners []func(Revocation)
}

// accountRevocation outdates an account's tokens below a version.
type accountRevocation struct {
	version int64
	until   time.Time
}

// newRevocations knows of nothing yet. It must read the feed before it judges a
// token, or one that was revoked before the start would pass.
func newRevocations() *revocations {
	return &revocations{
		sessions: map[string]time.Time{},
		accounts: map[string]accountRevocation{},
	}
}

// judge says what became of a token since it was issued.
func (v *revocations) judge(p *Principal) error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if _, gone := v.sessions[p.Session]; gone {
		return ErrTokenRevoked
	}
	if a, changed := v.accounts[p.ID]; changed && p.Version < a.version {
		return ErrTokenOutdated
	}
	return nil
}

// apply takes a revocation in and tells the listeners, unless it is known
// already: the one that an instance makes comes back to it in the feed.
func (v *revocations) apply(r Revocation) {
	v.mu.Lock()
	known := false
	switch r.Kind {
	case RevokeSessionTokens:
		_, known = v.sessions[r.ID]
		v.sessions[r.ID] = later(r.Until, v.sessions[r.ID])
	case RevokeAccountTokens:
		old := v.accounts[r.ID]
		known = old.version >= r.Version
		v.accounts[r.ID] = accountRevocation{version: max(r.Version, old.version), until: later(r.Until, old.until)}
	}
	v.seq = max(v.seq, r.Seq)
	listeners := v.listeners // which only grows
	v.mu.Unlock()
	if known {
		return
	}
	for _, tell := range listeners {
		tell(r)
	}
}

// later makes what is known of a revocation outlast either end it was given: the
// earlier one would bring a revoked token back to life.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// forget drops what no living token can meet.
func (v *revocations) forget(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	maps.DeleteFunc(v.sessions, func(_ string, until time.Time) bool { return !now.Before(until) })
	maps.DeleteFunc(v.accounts, func(_ string, a accountRevocation) bool { return !now.Before(a.until) })
}

// OnRevoke has f told of every revocation, made here or elsewhere, once. f must
// be quick and must not block: it runs where the revocation was made.
func (s *Service) OnRevoke(f func(Revocation)) {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	s.view.listeners = append(s.view.listeners, f)
}

// Follow keeps the view of revocations current until ctx ends. It never gives
// up: while the store is away the view keeps what it knows and Healthy tells
// why. It answers ctx's error.
func (s *Service) Follow(ctx context.Context) error {
	poll := time.NewTicker(followEvery)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
			s.poll(ctx)
			poll.Reset(s.pace())
		}
	}
}

// Forget has the store forget what is over, now and then until ctx ends. It is
// not for the goroutine of Follow: it may take minutes, and a revocation is heard
// within a second. It answers ctx's error.
func (s *Service) Forget(ctx context.Context) error {
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-prune.C:
			s.prune(ctx)
		}
	}
}

// pace is how long to wait with the next poll: until a new key's time has come, so
// that all instances take to it at once.
func (s *Service) pace() time.Duration {
	if wait := s.current.Load().ring.waits(s.now()); wait > 0 {
		return min(wait, followEvery)
	}
	return followEvery
}

// poll reads the feed on from where it was left, and the keys.
func (s *Service) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	v := s.view
	v.mu.RLock()
	after := v.seq
	v.mu.RUnlock()
	feed, err := s.store.Revocations(ctx, after)
	if err != nil {
		err = unavailable("read the revocations", err)
	}
	err = errors.Join(err, s.followKeys(ctx))
	v.mu.Lock()
	v.fault = err
	v.mu.Unlock()
	now := s.now()
	for _, r := range feed {
		// Who made it may have reckoned with a shorter access_token.ttl than
		// this instance's, and then the revoked token would come back to life.
		r.Until = later(r.Until, s.current.Load().until(now))
		v.apply(r)
	}
	v.forget(now)
	return err
}

// prune has the store forget. A fault of it is told by the next poll.
func (s *Service) prune(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pruneTimeout)
	defer cancel()
	conf := s.current.Load().config.RefreshToken
	now := s.now()
	err := unavailable("prune the sessions", s.store.PruneSessions(ctx, now.Add(-conf.TTL), now.Add(-conf.SessionTTL)))
	if err = errors.Join(err, s.pruneKeys(ctx)); err != nil {
		s.view.mu.Lock()
		s.view.fault = err
		s.view.mu.Unlock()
	}
}

// Healthy is nil, or why the store did not answer when it was last followed.
// Access tokens verify all the same, with the revocations known so far.
func (s *Service) Healthy() error {
	s.view.mu.RLock()
	defer s.view.mu.RUnlock()
	return s.view.fault
}
