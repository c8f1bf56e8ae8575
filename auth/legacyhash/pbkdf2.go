package legacyhash

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
)

// The bounds of PBKDF2: of its rounds, and of those times the blocks that a long
// digest takes. Keycloak's 1.3 million rounds of SHA-1 for 64 bytes are four
// blocks each.
const (
	maxPBKDF2Rounds = 5_000_000
	maxPBKDF2Work   = 6_000_000
)

// pbkdf2Hash is a hash of PBKDF2 with HMAC, however its system writes it.
type pbkdf2Hash struct {
	prf          string // sha1, sha256, sha384 or sha512
	rounds       int
	salt, digest []byte
}

// hash makes the Hash of it, unless it demands too much.
func (p pbkdf2Hash) hash(scheme string) (Hash, error) {
	algorithm := digestNamed(p.prf)
	if algorithm == nil {
		return Hash{}, ErrMalformed
	}
	size := algorithm().Size()
	work := p.rounds * ((len(p.digest) + size - 1) / size)
	if work > maxPBKDF2Work {
		return Hash{}, ErrCostly
	}
	check := func(password string) bool {
		key, err := pbkdf2.Key(algorithm, password, p.salt, p.rounds, len(p.digest))
		return err == nil && equal(key, p.digest)
	}
	cost := fmt.Sprintf("%s,rounds=%d,digest=%d", p.prf, p.rounds, len(p.digest))
	return Hash{scheme: scheme, cost: cost, work: work, check: check}, nil
}

// digestNamed is a digest of the SHA family; nil when there is none of that name.
func digestNamed(name string) func() hash.Hash {
	switch name {
	case "sha1":
		return sha1.New
	case "sha256":
		return sha256.New
	case "sha384":
		return sha512.New384
	case "sha512":
		return sha512.New
	}
	return nil
}
