package auth

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

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
