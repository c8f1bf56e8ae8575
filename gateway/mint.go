package gateway

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/posternhq/postern/auth"
)

// minted is what was signed for a principal and one upstream; the parts are
// empty where they are not configured.
type minted struct {
	assertion string
	legacy    string // with the scheme, where there is one
}

// mint signs what an upstream is told, and remembers it for half of its life:
// an application that is asked a hundred times by one page gets a hundred
// times the same, and a signature costs as much as all the rest of a request.
type mint struct {
	audience string // the upstream's name
	identity *identity
	assert   func(*auth.Principal, string, time.Time) (string, error) // Authenticator.Assert

	seed   maphash.Seed
	shards [mintShards]mintShard
}

// The bounds of what a mint remembers: 4,096 tokens, in shards so that cores
// seldom wait for each other. At 2 KiB for one that is 8 MiB.
const (
	mintShards    = 32
	mintShardSize = 128
)

// mintShard holds what was minted, by hash of the access token.
type mintShard struct {
	mu      sync.RWMutex // guards the following
	entries map[uint64]mintEntry
}

// mintEntry is what was minted for an access token. Tokens are compared in
// full: the hash only finds the place.
type mintEntry struct {
	raw   string
	until time.Time // when it is minted anew
	minted
}

// newMint is nil where nothing is minted, so that a request then costs nothing.
func newMint(audience string, id *identity, assert func(*auth.Principal, string, time.Time) (string, error)) *mint {
	if id.assertion == "" && id.legacy == nil {
		return nil
	}
	return &mint{audience: audience, identity: id, assert: assert, seed: maphash.MakeSeed()}
}

// of is what there is for a proven principal, remembered or made. An error is
// a fault of ours: the request must not go on as if nobody asked.
func (m *mint) of(x *auth.Presented, now time.Time) (minted, error) {
	sum := maphash.String(m.seed, x.Token)
	shard := &m.shards[sum%mintShards]
	shard.mu.RLock()
	e, ok := shard.entries[sum]
	shard.mu.RUnlock()
	if ok && e.raw == x.Token && now.Before(e.until) {
		return e.minted, nil
	}
	e, err := m.make(x.Principal, now)
	if err != nil {
		return minted{}, err
	}
	e.raw = strings.Clone(x.Token) // a part of a request's header block, all of which it would keep alive
	shard.put(sum, e, now)
	return e.minted, nil
}

// make signs all that is configured.
func (m *mint) make(p *auth.Principal, now time.Time) (e mintEntry, err error) {
	shortest := maxMintTTL
	if m.identity.assertion != "" {
		expires := lifeEnd(p, now, m.identity.assertionTTL)
		shortest = expires.Sub(now)
		if e.assertion, err = m.assert(p, m.audience, expires); err != nil {
			return e, fmt.Errorf("sign an assertion: %w", err)
		}
	}
	if l := m.identity.legacy; l != nil {
		expires := lifeEnd(p, now, l.ttl)
		shortest = min(shortest, expires.Sub(now))
		if e.legacy, err = l.sign(p, now, expires); err != nil {
			return e, err
		}
	}
	e.until = now.Add(shortest / 2)
	return e, nil
}

// lifeEnd is when a token made now expires: after its ttl, and with the access
// token that it was made for, though not before the application had a chance
// to look at it.
func lifeEnd(p *auth.Principal, now time.Time, ttl time.Duration) time.Time {
	end := now.Add(ttl)
	if p.Expires.Before(end) {
		end = p.Expires
	}
	if least := now.Add(minMintTTL); end.Before(least) {
		end = least
	}
	return end
}

// put remembers an entry. A full shard gives up what is over, or else any one.
func (s *mintShard) put(sum uint64, e mintEntry, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = make(map[uint64]mintEntry)
	}
	if _, there := s.entries[sum]; !there && len(s.entries) >= mintShardSize {
		s.forget(now)
	}
	s.entries[sum] = e
}

// forget makes room for one entry at least.
func (s *mintShard) forget(now time.Time) {
	for sum, e := range s.entries {
		if !now.Before(e.until) {
			delete(s.entries, sum)
		}
	}
	for sum := range s.entries {
		if len(s.entries) < mintShardSize {
			break
		}
		delete(s.entries, sum)
	}
}
