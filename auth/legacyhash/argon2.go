package legacyhash

import (
	"encoding/base64"
	"fmt"
	"regexp"

	"golang.org/x/crypto/argon2"
)

// The bounds of Argon2 beside its memory.
const (
	maxArgon2Work    = 4 * maxMemory // KiB times passes: about two seconds
	maxArgon2Passes  = 9999
	maxArgon2Threads = 16
)

var argon2Form = regexp.MustCompile(`^\$(argon2id|argon2i)\$v=19\$m=([0-9]{1,10}),t=([0-9]{1,10}),p=([0-9]{1,10})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$`)

// argon2Cost is how much one hash of Argon2 demands.
type argon2Cost struct {
	kind                    string // argon2id or argon2i
	memory, passes, threads int    // memory in KiB
}

// readArgon2 reads a PHC string of argon2id or argon2i, version 1.3:
//
//	$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4
//
// Older versions and argon2d are refused: Go has neither. Without "v" a string
// is of version 1.0.
func readArgon2(text, _ string) (Hash, error) {
	m := argon2Form.FindStringSubmatch(text)
	if m == nil {
		return Hash{}, ErrMalformed
	}
	c := argon2Cost{kind: m[1]}
	var err1, err2, err3 error
	c.memory, err1 = number(m[2], 8, maxMemory)
	c.passes, err2 = number(m[3], 1, maxArgon2Passes)
	c.threads, err3 = number(m[4], 1, maxArgon2Threads)
	salt, err4 := decode(base64.RawStdEncoding, m[5], 8, maxSalt)
	digest, err5 := decode(base64.RawStdEncoding, m[6], minDigest, maxDigest)
	if err := firstError(err1, err2, err3, err4, err5); err != nil {
		return Hash{}, err
	}
	return c.hash(salt, digest)
}

// hash makes the Hash of these costs, unless they are too much together.
func (c argon2Cost) hash(salt, digest []byte) (Hash, error) {
	if c.memory*c.passes > maxArgon2Work {
		return Hash{}, ErrCostly
	}
	if c.memory < 8*c.threads {
		return Hash{}, ErrMalformed
	}
	key := argon2.IDKey
	if c.kind == "argon2i" {
		key = argon2.Key
	}
	check := func(password string) bool {
		return equal(digest, key([]byte(password), salt, uint32(c.passes), uint32(c.memory), uint8(c.threads), uint32(len(digest))))
	}
	cost := fmt.Sprintf("m=%d,t=%d,p=%d,digest=%d", c.memory, c.passes, c.threads, len(digest))
	return Hash{scheme: c.kind, cost: cost, memory: uint32(c.memory), work: c.memory * c.passes, check: check}, nil
}
