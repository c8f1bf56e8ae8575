package auth

import (
	"hash/maphash"
	"strings"
	"sync"
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
}

type cacheShardMap struct {
	mu      sync.RWMutex // guards the following
	entries map[uint64]cacheEntry
}

type cacheEntry struct {
	raw       string
	principal *Principal // shared with every caller that asks; never changed
}

func newTokenCache() *tokenCache { return &tokenCache{seed: maphash.MakeSeed()} }

// get finds the principal of a token seen before.
func (c *tokenCache) get(raw string) (*Principal, bool) {
	sum := maphash.String(c.seed, raw)
	shard := &c.shards[sum%cacheShards]
	shard.mu.RLock()
	e, ok := shard.entries[sum]
	shard.mu.RUnlock()
	if !ok || e.raw != raw {
		return nil, false
	}
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
