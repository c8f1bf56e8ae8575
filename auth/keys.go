package auth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// keysFresh is how old the keys in memory may be when a token names one that is
// not among them. It is more than followEvery, so that strangers with invented
// names of keys cause no reading while the store is followed in time; and less
// than keyActivation, so that a key which signs already is in what was read.
const keysFresh = 600 * time.Millisecond

// KeyInfo is a key as lists show it. Nothing in it is secret.
type KeyInfo struct {
	ID         string // kid
	Use        string // KeySign, KeyRefresh, KeyAssert
	Algorithm  string
	Generation int64
	Status     string // one of the words below
	Created    time.Time
	Begins     time.Time // when it makes what is new
	Until      time.Time // when the last that it made is over; zero: not known yet
}

// What becomes of a key.
const (
	KeyNext     = "next"     // published, and used within a second
	KeyCurrent  = "current"  // makes what is new
	KeyPrevious = "previous" // what it made is good until it is over
	KeyRetired  = "retired"  // proves nothing any more
	KeyUnused   = "unused"   // of an algorithm that is not configured
)

// openKeyring reads the keys and makes those that are missing, one for each
// use. Every key in the store is opened, also those of no use now: a wrong
// master key must not go unnoticed until the day it is needed. created are the
// keys that this call added.
func (s *Service) openKeyring(ctx context.Context, c Config) (ring *keyring, created []SealedKey, err error) {
	keys, err := s.readKeys(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	for _, use := range keyUses(c) {
		if hasKey(keys, use.name) {
			continue
		}
		k, err := s.addKey(ctx, use, 1)
		if err != nil {
			return nil, nil, err
		}
		keys, created = append(keys, k), append(created, k.SealedKey)
	}
	ring, err = newKeyring(c, keys, s.now())
	return ring, created, err
}

// hasKey tells whether a use has a key that is not retired: a retired one proves
// nothing any more, so a use that has no other gets a new one.
func hasKey(keys []openedKey, use string) bool {
	return slices.ContainsFunc(keys, func(k openedKey) bool { return k.Use == use && k.Retired.IsZero() })
}

// readKeys reads the keys of the store and opens them.
func (s *Service) readKeys(ctx context.Context, c Config) ([]openedKey, error) {
	s.keysRead.Store(s.now().UnixNano())
	sealed, err := s.store.Keys(ctx)
	if err != nil {
		return nil, unavailable("read the keys", err)
	}
	var known []openedKey
	if st := s.current.Load(); st != nil && st.config.AccessToken.Algorithm == c.AccessToken.Algorithm && st.config.Assertions == c.Assertions {
		known = st.ring.keys
	}
	opened := make([]openedKey, len(sealed))
	for i, k := range sealed {
		// Twice a second nothing is new, and an RSA key takes a while to read.
		same := func(o openedKey) bool { return o.ID == k.ID && bytes.Equal(o.Sealed, k.Sealed) }
		if j := slices.IndexFunc(known, same); j >= 0 {
			opened[i] = openedKey{k, known[j].signKey}
			continue
		}
		if opened[i], err = s.openKey(k, c); err != nil {
			return nil, err
		}
	}
	return opened, nil
}

// openKey decrypts a key and, where there is a use for it, reads it.
func (s *Service) openKey(k SealedKey, c Config) (openedKey, error) {
	plain, err := s.sealer.open(k)
	if err != nil {
		return openedKey{}, err
	}
	for _, use := range keyUses(c) {
		if use.name != k.Use {
			continue
		}
		read, err := use.algorithm.parse(k.ID, plain)
		if err != nil {
			return openedKey{}, fmt.Errorf("key %q: %w", k.ID, err)
		}
		return openedKey{k, read}, nil
	}
	return openedKey{SealedKey: k}, nil
}

// addKey makes a key. Of two instances that do so at once the store's answer
// counts for both, so the key to use is the one that it opens to.
func (s *Service) addKey(ctx context.Context, use keyUse, generation int64) (openedKey, error) {
	plain, err := use.algorithm.generate(s.rand)
	if err != nil {
		return openedKey{}, fmt.Errorf("make a key: %w", err)
	}
	id, err := randomName(s.rand, 12)
	if err != nil {
		return openedKey{}, fmt.Errorf("make a key: %w", err)
	}
	k, err := s.sealer.seal(SealedKey{ID: id, Use: use.name, Generation: generation, Created: s.now()}, plain)
	if err != nil {
		return openedKey{}, err
	}
	if k, err = s.store.AddKey(ctx, k); err != nil {
		return openedKey{}, unavailable("add a key", err)
	}
	if plain, err = s.sealer.open(k); err != nil {
		return openedKey{}, err
	}
	read, err := use.algorithm.parse(k.ID, plain)
	return openedKey{k, read}, err
}

// randomName is n random bytes in base64url. It begins with no -, at which a
// command would take it for a flag.
func randomName(rand io.Reader, n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(rand, b); err != nil {
		return "", err
	}
	name := base64.RawURLEncoding.EncodeToString(b)
	if rest, found := strings.CutPrefix(name, "-"); found {
		name = "_" + rest
	}
	return name, nil
}

// RotateKeys makes the next key of the uses (KeySign, KeyRefresh, KeyAssert; none
// named: of all) and answers them.
//
// No token is refused for it, and no session ends: for keyActivation the key
// before makes what is new, so that every instance knows the new one first; and
// what the old key made is good until it is over.
func (s *Service) RotateKeys(ctx context.Context, by Actor, kinds ...string) ([]KeyInfo, error) {
	conf := s.current.Load().config
	var known, rotated []string
	for _, use := range keyUses(conf) {
		known = append(known, use.kind)
	}
	for _, kind := range kinds {
		if !slices.Contains(known, kind) {
			return nil, &InvalidError{Fields: []FieldError{{Field: "use", Message: "must be one of " + strings.Join(known, ", ")}}}
		}
	}
	keys, err := s.readKeys(ctx, conf)
	if err != nil {
		return nil, err
	}
	for _, use := range keyUses(conf) {
		if len(kinds) > 0 && !slices.Contains(kinds, use.kind) {
			continue
		}
		generation := int64(1)
		if own := newestFirst(use, keys); len(own) > 0 {
			generation = own[0].Generation + 1
		}
		k, err := s.addKey(ctx, use, generation)
		if err != nil {
			return nil, err
		}
		rotated = append(rotated, k.ID)
		s.tell(ctx, Event{Name: EventKeyRotated, By: by.By, Client: by.Client, Detail: use.name + " " + k.ID})
	}
	if err := s.followKeys(ctx); err != nil {
		return nil, err
	}
	all, err := s.Keys(ctx)
	if err != nil {
		return nil, err
	}
	made := slices.DeleteFunc(all, func(k KeyInfo) bool { return !slices.Contains(rotated, k.ID) })
	slices.SortFunc(made, func(a, b KeyInfo) int { // in the order of the uses
		return cmp.Compare(slices.Index(rotated, a.ID), slices.Index(rotated, b.ID))
	})
	return made, nil
}

// Keys lists the keys of the store by use, the oldest first.
func (s *Service) Keys(ctx context.Context) ([]KeyInfo, error) {
	conf, now := s.current.Load().config, s.now()
	keys, err := s.readKeys(ctx, conf)
	if err != nil {
		return nil, err
	}
	list := make([]KeyInfo, len(keys))
	for i, k := range keys {
		list[i] = KeyInfo{ID: k.ID, Use: k.Use, Generation: k.Generation, Status: KeyUnused, Created: k.Created, Until: k.Retired}
		if alg, ok := strings.CutPrefix(k.Use, useSign); ok {
			list[i].Use, list[i].Algorithm = KeySign, alg
		} else if alg, ok := strings.CutPrefix(k.Use, useAssert); ok {
			list[i].Use, list[i].Algorithm = KeyAssert, alg
		}
	}
	for _, use := range keyUses(conf) {
		c := newChain(use, keys, now)
		for i := range list {
			if keys[i].Use == use.name {
				c.describe(&list[i])
			}
		}
	}
	slices.SortStableFunc(list, func(a, b KeyInfo) int { return cmp.Compare(b.Use, a.Use) }) // those that sign first
	return list, nil
}

// describe fills in what a chain makes of one of its keys.
func (c chain) describe(i *KeyInfo) {
	i.Use, i.Algorithm = c.use.kind, c.use.algorithm.name
	k, known := c.known[i.ID]
	if !known {
		i.Status = KeyRetired
		return
	}
	i.Begins, i.Until = k.begins, k.until
	switch {
	case i.ID == c.current.id:
		i.Status = KeyCurrent
	case c.now.Before(k.begins):
		i.Status = KeyNext
	case k.until.IsZero() || c.now.Before(k.until):
		i.Status = KeyPrevious
	default:
		i.Status = KeyRetired
	}
}

// followKeys takes up what became of the keys since they were read: new ones
// that another process made, and those whose time has come or is over. Nothing
// is taken up by halves: with a key that cannot be opened the ring stays.
func (s *Service) followKeys(ctx context.Context) error {
	s.reconfigure.Lock()
	defer s.reconfigure.Unlock()
	return s.takeUpKeys(ctx)
}

// takeUpKeys is followKeys for who holds the lock.
func (s *Service) takeUpKeys(ctx context.Context) error {
	st := *s.current.Load()
	keys, err := s.readKeys(ctx, st.config)
	if err != nil {
		return err
	}
	ring, err := newKeyring(st.config, keys, s.now())
	if err != nil || ring.alike(st.ring) {
		return err
	}
	// What the cache has proven may have been proven by a key that counts no
	// longer.
	st.ring, st.cache = ring, st.cache.emptied()
	s.current.Store(&st)
	return nil
}

// catchUp reads the keys when that was not done for a while, and answers the
// state as it is then. It is for a token that names a key which this instance
// does not know: the process that signed it may have been faster. However many
// such tokens come, there is one reading at a time and a pause after it; what was
// read while one waited will do, however long the reading took.
func (s *Service) catchUp() *state {
	arrival := s.now()
	stale := func() bool { return arrival.Sub(time.Unix(0, s.keysRead.Load())) >= keysFresh }
	if !stale() {
		return s.current.Load()
	}
	s.reconfigure.Lock()
	defer s.reconfigure.Unlock()
	if stale() {
		ctx, cancel := context.WithTimeout(context.Background(), catchUpTimeout)
		defer cancel()
		_ = s.takeUpKeys(ctx) // the token is refused then; the next poll tells why
	}
	return s.current.Load()
}

// catchUpTimeout bounds how long a token with an unknown key waits for the
// store.
const catchUpTimeout = 2 * time.Second

// sealing is the state that has the refresh key of a generation, if there is
// such a key.
func (s *Service) sealing(generation int64) *state {
	st := s.current.Load()
	if _, ok := st.ring.refresh.byGen[generation]; ok {
		return st
	}
	return s.catchUp()
}

// pruneKeys has the store forget the keys that nothing living can need.
func (s *Service) pruneKeys(ctx context.Context) error {
	ring := s.current.Load().ring
	gone := slices.Concat(ring.access.gone, ring.refresh.gone, ring.assert.gone)
	if len(gone) == 0 {
		return nil
	}
	if err := s.store.DeleteKeys(ctx, gone); err != nil {
		return unavailable("prune the keys", err)
	}
	return nil
}
