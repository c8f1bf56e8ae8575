package auth

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// How the keys of one use follow each other. A new one is first published, and
// used keyActivation after it was made: by then every instance has read it.
// keyLag is how much later than that an instance may still use the one before.
const (
	keyActivation = 750 * time.Millisecond
	keyLag        = time.Second
)

// The uses of keys, as they are named in the store. Behind useSign and
// useAssert stands the algorithm: one key serves one algorithm (RFC 8725 3.1).
const (
	useRefresh = "refresh"
	useSign    = "sign:"
	useAssert  = "assert:"
)

// The same as people name them.
const (
	KeySign    = "sign"    // signs access tokens
	KeyRefresh = "refresh" // seals refresh tokens
	KeyAssert  = "assert"  // signs assertions, where there are any
)

// keyUse is one purpose that keys are made for.
type keyUse struct {
	kind      string // as people name it
	name      string // as the store names it
	algorithm algorithm
	published bool          // the public halves stand in the JWK Set
	proves    time.Duration // how long what a key made may be good
	known     time.Duration // and how long it is recognised, to be told expired
}

// keyUses are all purposes: what stands here is made at the first start,
// followed, rotated and pruned. That a key is in the table opens no door: what
// it proves is decided by the chain that a token is looked up in.
func keyUses(c Config) []keyUse {
	alg, _ := algorithmByName(c.AccessToken.Algorithm) // Validate knows it
	ttl, session := c.longest(), c.RefreshToken.SessionTTL
	uses := []keyUse{
		// An expired token is how a returning browser is known for as long as
		// its session may live.
		{kind: KeySign, name: useSign + alg.name, algorithm: alg, published: true, proves: ttl, known: max(ttl, session)},
		{kind: KeyRefresh, name: useRefresh, algorithm: refreshAlgorithm(), proves: session, known: session},
	}
	if c.Assertions {
		alg, _ := algorithmByName(assertionAlgorithm)
		uses = append(uses, keyUse{kind: KeyAssert, name: useAssert + alg.name, algorithm: alg, published: true, proves: maxAssertionLife, known: maxAssertionLife})
	}
	return uses
}

// refreshAlgorithm is what seals refresh tokens: HMAC-SHA256.
func refreshAlgorithm() algorithm { return algorithm{name: "HS256", secret: sha256.Size} }

// openedKey is a key of the store, decrypted and, where the configuration has a
// use for it, read.
type openedKey struct {
	SealedKey
	signKey
}

// signKey is a key's material.
type signKey struct {
	id      string
	private any // as golang-jwt wants it for Sign
	public  any // and for Verify; the same secret for HMAC
}

// keyring is every key that counts, by use. It never changes; a change makes
// another.
type keyring struct {
	keys    []openedKey // all of the store, in its order
	access  chain       // signs and proves access tokens
	refresh chain       // seals refresh tokens
	assert  chain       // signs assertions, and proves nothing; zero where there are none
	jwks    []byte

	named map[string]chainKey // of access, by the header that each writes: see ownHeaders
}

// newKeyring sorts opened keys into their uses, as they stand now.
func newKeyring(c Config, keys []openedKey, now time.Time) (*keyring, error) {
	r := &keyring{keys: keys}
	for _, use := range keyUses(c) {
		made := newChain(use, keys, now)
		if made.current.id == "" {
			return nil, fmt.Errorf("the store has no key in use for %s", use.name)
		}
		switch use.kind {
		case KeySign:
			r.access = made
			r.named = r.ownHeaders()
		case KeyRefresh:
			r.refresh = made
		case KeyAssert:
			r.assert = made
		}
	}
	var err error
	r.jwks, err = jwkSet(r.access, r.assert)
	return r, err
}

// waits is how long it is until the next key is used; zero: none waits.
func (r *keyring) waits(now time.Time) time.Duration {
	var soonest time.Duration
	for _, c := range []chain{r.access, r.refresh, r.assert} {
		for _, k := range c.known {
			if left := k.begins.Sub(now); left > 0 && k.generation > c.current.generation && (soonest == 0 || left < soonest) {
				soonest = left
			}
		}
	}
	return soonest
}

// alike reports whether both make and prove the same.
func (r *keyring) alike(other *keyring) bool {
	return r.access.alike(other.access) && r.refresh.alike(other.refresh) && r.assert.alike(other.assert)
}

// chain is the keys of one use: one makes what is new, and those before it are
// good until the last that they made is over.
type chain struct {
	use     keyUse
	current chainKey
	known   map[string]chainKey // by kid: a closed map
	byGen   map[int64]chainKey
	gone    []string // kids that nothing living can need
	now     time.Time
}

// chainKey is a key in its chain.
type chainKey struct {
	signKey
	generation int64
	begins     time.Time // when it makes what is new
	until      time.Time // what it made is good before; zero: no end yet
}

// newChain orders the keys of a use. It goes by generation from the newest
// back, so that each key is met by when the next had taken over. It depends on
// the rows, the terms and the time alone: every instance comes to the same, and
// so does a process that was killed half-way.
func newChain(use keyUse, keys []openedKey, now time.Time) chain {
	c := chain{use: use, known: map[string]chainKey{}, byGen: map[int64]chainKey{}, now: now}
	var over time.Time // when a newer key has taken over; zero: there is none
	var oldest chainKey
	for _, k := range newestFirst(use, keys) {
		// A retired key is one that must not be believed any more.
		if !k.Retired.IsZero() && !now.Before(k.Retired) {
			continue
		}
		key := chainKey{signKey: k.signKey, generation: k.Generation, begins: k.Created.Add(keyActivation)}
		if !over.IsZero() {
			key.until = over.Add(use.proves + keyLag)
		}
		if !k.Retired.IsZero() && (key.until.IsZero() || k.Retired.Before(key.until)) {
			key.until = k.Retired
		}
		if !over.IsZero() && !now.Before(over.Add(use.known+keyLag)) {
			c.gone = append(c.gone, key.id)
			continue
		}
		c.known[key.id], c.byGen[key.generation], oldest = key, key, key
		if c.current.id == "" && !now.Before(key.begins) {
			c.current = key
		}
		if over.IsZero() || key.begins.Before(over) {
			over = key.begins
		}
	}
	if c.current.id == "" {
		c.current = oldest // at the first start there is none to wait with
	}
	return c
}

// newestFirst picks the keys of one use, the highest generation first.
func newestFirst(use keyUse, keys []openedKey) []openedKey {
	var own []openedKey
	for _, k := range keys {
		if k.Use == use.name {
			own = append(own, k)
		}
	}
	slices.SortFunc(own, func(a, b openedKey) int { return cmp.Compare(b.Generation, a.Generation) })
	return own
}

// published are the keys that a verifier may meet in a good token, or will.
func (c chain) published() []chainKey {
	var list []chainKey
	for _, k := range c.known {
		if k.until.IsZero() || c.now.Before(k.until) {
			list = append(list, k)
		}
	}
	return list
}

// alike reports whether both make and prove the same. The JWK Set follows from
// it but for the keys whose time is over, which the count tells.
func (c chain) alike(other chain) bool {
	same := func(a, b chainKey) bool { return a.id == b.id && a.until.Equal(b.until) }
	return c.use.name == other.use.name && same(c.current, other.current) &&
		maps.EqualFunc(c.known, other.known, same) && len(c.published()) == len(other.published()) &&
		slices.Equal(c.gone, other.gone)
}

// refreshMAC is the seal of a refresh token; ok is false for a generation that
// has no key.
func (r *keyring) refreshMAC(generation int64, text string) (mac []byte, ok bool) {
	key, ok := r.refresh.byGen[generation]
	secret, isSecret := key.private.([]byte)
	if !ok || !isSecret {
		return nil, false
	}
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return h.Sum(nil), true
}

// errUnknownKey is a token that names a key which this instance has not seen,
// and which another one may have made a moment ago.
var errUnknownKey = errors.New("no such key")
