package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// MasterKey seals the keys in the store. It lives in a file of its own, so
// that a copy of the store alone can neither sign nor refresh.
type MasterKey [32]byte

// ParseMasterKey reads the content of a key file: 64 hexadecimal digits, or
// base64 in either alphabet, with or without padding. White space around it is
// fine. The error never repeats the content.
func ParseMasterKey(text []byte) (MasterKey, error) {
	s := strings.TrimSpace(string(text))
	if b, err := hex.DecodeString(s); err == nil && len(b) == len(MasterKey{}) {
		return MasterKey(b), nil
	}
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	if b, err := base64.RawStdEncoding.Strict().DecodeString(s); err == nil && len(b) == len(MasterKey{}) {
		return MasterKey(b), nil
	}
	return MasterKey{}, errors.New("the key file must hold 32 bytes as 64 hexadecimal digits or as base64; " +
		"`openssl rand -hex 32` makes such a key")
}

// NewMasterKey makes a key and the text to write into the key file. It panics
// when rand fails: there is no safe way to go on.
func NewMasterKey(rand io.Reader) (MasterKey, string) {
	var k MasterKey
	if _, err := io.ReadFull(rand, k[:]); err != nil {
		panic("auth: no randomness for a master key: " + err.Error())
	}
	return k, hex.EncodeToString(k[:]) + "\n"
}

// useRefresh is the use of the keys that seal refresh tokens; the keys that
// sign access tokens have useSign and their algorithm.
const (
	useRefresh = "refresh"
	useSign    = "sign:"
)

// keyring is every key that counts: one to sign, those that verify, and those
// that seal refresh tokens. It never changes; a change makes another.
type keyring struct {
	algorithm algorithm
	sign      signKey            // the newest in use
	verify    map[string]signKey // by kid, of the one algorithm: a closed map
	refresh   map[int64][]byte   // by generation
	newest    int64              // generation that seals the next refresh token
	jwks      []byte
}

// signKey is a key of an access token, opened.
type signKey struct {
	id      string
	private any // as golang-jwt wants it for Sign
	public  any // and for Verify; the same secret for HMAC
}

// sealer opens and seals keys under the master key.
type sealer struct {
	master MasterKey
	rand   io.Reader
}

// additional binds a sealed key to its place: moved to another use, generation
// or id in the store it does not open.
func additional(k SealedKey) []byte {
	return []byte("postern key\x00" + k.Use + "\x00" + strconv.FormatInt(k.Generation, 10) + "\x00" + k.ID)
}

// seal encrypts a key with XChaCha20-Poly1305 under a random nonce, which
// stands before the ciphertext; 192 bits never repeat by chance.
func (s sealer) seal(k SealedKey, plain []byte) (SealedKey, error) {
	aead, err := chacha20poly1305.NewX(s.master[:])
	if err != nil {
		return SealedKey{}, fmt.Errorf("seal a key: %w", err)
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	if _, err := io.ReadFull(s.rand, nonce); err != nil {
		return SealedKey{}, fmt.Errorf("seal a key: %w", err)
	}
	k.Sealed = aead.Seal(nonce, nonce, plain, additional(k))
	return k, nil
}

// errMasterKey is what a person reads who started with another key file.
var errMasterKey = errors.New("the key file does not open the keys in this store: " +
	"put back the key file that belongs to it (store.key_file), " +
	"or start with an empty store; nothing was changed")

// open decrypts a key. The only ways to fail are another master key and a
// store that was tampered with.
func (s sealer) open(k SealedKey) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(s.master[:])
	if err != nil {
		return nil, fmt.Errorf("open a key: %w", err)
	}
	if len(k.Sealed) < aead.NonceSize() {
		return nil, fmt.Errorf("key %q: %w", k.ID, errMasterKey)
	}
	plain, err := aead.Open(nil, k.Sealed[:aead.NonceSize()], k.Sealed[aead.NonceSize():], additional(k))
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", k.ID, errMasterKey)
	}
	return plain, nil
}

// openKeyring reads the keys and makes those that are missing: one to sign with
// the algorithm, one for refresh tokens. Every key in the store is opened, also
// those of no use now: a wrong master key must not go unnoticed until the day
// it is needed. created are the keys that this call added.
func (s *Service) openKeyring(ctx context.Context, alg algorithm) (ring *keyring, created []SealedKey, err error) {
	keys, err := s.store.Keys(ctx)
	if err != nil {
		return nil, nil, unavailable("read the keys", err)
	}
	plain := make([][]byte, len(keys))
	for i, k := range keys {
		if plain[i], err = s.sealer.open(k); err != nil {
			return nil, nil, err
		}
	}
	for _, use := range []string{useSign + alg.name, useRefresh} {
		if hasKey(keys, use) {
			continue
		}
		k, p, err := s.addKey(ctx, use, alg)
		if err != nil {
			return nil, nil, err
		}
		keys, plain, created = append(keys, k), append(plain, p), append(created, k)
	}
	ring, err = newKeyring(alg, keys, plain, s.now())
	return ring, created, err
}

func hasKey(keys []SealedKey, use string) bool {
	for _, k := range keys {
		if k.Use == use && k.Retired.IsZero() {
			return true
		}
	}
	return false
}

// addKey makes the first key of a use. Of two instances that start at once the
// store's answer counts for both, so the key to use is the one that it opens to.
func (s *Service) addKey(ctx context.Context, use string, alg algorithm) (SealedKey, []byte, error) {
	if use == useRefresh {
		alg = algorithm{secret: sha256.Size}
	}
	plain, err := alg.generate(s.rand)
	if err != nil {
		return SealedKey{}, nil, fmt.Errorf("make a key: %w", err)
	}
	id, err := randomName(s.rand, 12)
	if err != nil {
		return SealedKey{}, nil, fmt.Errorf("make a key: %w", err)
	}
	k, err := s.sealer.seal(SealedKey{ID: id, Use: use, Generation: 1, Created: s.now()}, plain)
	if err != nil {
		return SealedKey{}, nil, err
	}
	if k, err = s.store.AddKey(ctx, k); err != nil {
		return SealedKey{}, nil, unavailable("add a key", err)
	}
	plain, err = s.sealer.open(k)
	return k, plain, err
}

// randomName is n random bytes in base64url.
func randomName(rand io.Reader, n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(rand, b); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// newKeyring sorts opened keys into their uses.
func newKeyring(alg algorithm, keys []SealedKey, plain [][]byte, now time.Time) (*keyring, error) {
	r := &keyring{algorithm: alg, verify: map[string]signKey{}, refresh: map[int64][]byte{}}
	var signing int64
	for i, k := range keys {
		// A retired key is one that must not be believed any more.
		if !k.Retired.IsZero() && !now.Before(k.Retired) {
			continue
		}
		switch k.Use {
		case useRefresh:
			r.refresh[k.Generation] = plain[i]
			r.newest = max(r.newest, k.Generation)
		case useSign + alg.name:
			opened, err := alg.parse(k.ID, plain[i])
			if err != nil {
				return nil, fmt.Errorf("key %q: %w", k.ID, err)
			}
			r.verify[k.ID] = opened
			if k.Generation > signing {
				signing, r.sign = k.Generation, opened
			}
		}
	}
	if signing == 0 || r.newest == 0 {
		return nil, errors.New("the store has no key in use to sign tokens with")
	}
	var err error
	r.jwks, err = jwkSet(alg, r.verify)
	return r, err
}

// refreshMAC is the seal of a refresh token; ok is false for a generation that
// has no key.
func (r *keyring) refreshMAC(generation int64, text string) (mac []byte, ok bool) {
	key, ok := r.refresh[generation]
	if !ok {
		return nil, false
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil), true
}

// JWKS is the JWK Set document (RFC 7517) with the public keys that verify this
// gateway's access tokens. With an HMAC algorithm it is empty: a symmetric key
// is never published.
func (s *Service) JWKS() []byte { return s.current.Load().ring.jwks }
