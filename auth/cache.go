package auth

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/singleflight"
)

// The bounds of the cache of verified tokens: 64 shards so that cores seldom
// wait for each other, 512 tokens in each. At about 1 KiB for a token and its
// principal that is 32 MiB at most.
const (
	cacheShards = 64
	cacheShard  = 512
)

// tokenCache remembers access tokens that were proven: issuer, audience, types
// and signature. Whether one has expired or was revoked is judged at each
// sight, and a refusal is never remembered. Tokens are compared in full, so a
// hit is as good as a verification; the hash only finds the place.
type tokenCache struct {
	seed   maphash.Seed
	shards [cacheShards]cacheShardMap
	sights *[cacheShards]sights // shared with the cache that takes this one's place

	proving singleflight.Group // of tokens that are not in it yet, see proveOnce
}

// sights counts how tokens of a shard were met: in it, or not. Each shard has
// its own, or all cores would write to one place on every request.
type sights struct{ hits, misses atomic.Uint64 }

type cacheShardMap struct {
	mu      sync.RWMutex // guards the following
	entries map[uint64]cacheEntry
}

type cacheEntry struct {
	raw       string
	principal *Principal // shared with every caller that asks; never changed
}

func newTokenCache() *tokenCache {
	return &tokenCache{seed: maphash.MakeSeed(), sights: new([cacheShards]sights)}
}

// emptied is a new cache that counts on.
func (c *tokenCache) emptied() *tokenCache {
	return &tokenCache{seed: maphash.MakeSeed(), sights: c.sights}
}

// stats reads the numbers.
func (c *tokenCache) stats() TokenStats {
	var t TokenStats
	for i := range c.shards {
		shard := &c.shards[i]
		shard.mu.RLock()
		t.Kept += len(shard.entries)
		shard.mu.RUnlock()
		t.Hits += c.sights[i].hits.Load()
		t.Misses += c.sights[i].misses.Load()
	}
	return t
}

// get finds the principal of a token seen before.
func (c *tokenCache) get(raw string) (*Principal, bool) {
	sum := maphash.String(c.seed, raw)
	shard := &c.shards[sum%cacheShards]
	shard.mu.RLock()
	e, ok := shard.entries[sum]
	shard.mu.RUnlock()
	if !ok || e.raw != raw {
		c.sights[sum%cacheShards].misses.Add(1)
		return nil, false
	}
	c.sights[sum%cacheShards].hits.Add(1)
	return e.principal, true
}

// put remembers a token. Only what this gateway has signed comes here, so
// nobody can push others out by inventing tokens. A full shard gives up any
// one of its tokens: the next sight of it costs one verification.
func (c *tokenCache) put(raw string, p *Principal) {
	sum := maphash.String(c.seed, raw)
	shard := &c.shards[sum%cacheShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.entries == nil {
		shard.entries = make(map[uint64]cacheEntry)
	}
	for old := range shard.entries {
		if len(shard.entries) < cacheShard {
			break
		}
		delete(shard.entries, old)
	}
	// The text is a part of a request's header block, all of which it would
	// keep alive.
	shard.entries[sum] = cacheEntry{raw: strings.Clone(raw), principal: p}
}
