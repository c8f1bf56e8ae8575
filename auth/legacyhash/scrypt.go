package legacyhash

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/scrypt"
)

// The bounds of scrypt beside its memory, which is 128 bytes times N times r.
const (
	maxScryptLog   = 21
	maxScryptBlock = 64      // r
	maxScryptLanes = 64      // p
	maxScryptWork  = 1 << 22 // N times r times p: about two seconds
)

// scryptCost is how much one hash of scrypt demands.
type scryptCost struct{ n, r, p int }

// scryptNumbers reads the three parameters where N is written in full.
func scryptNumbers(n, r, p string) (scryptCost, error) {
	var c scryptCost
	var err1, err2, err3 error
	c.n, err1 = number(n, 2, 1<<maxScryptLog)
	c.r, err2 = number(r, 1, maxScryptBlock)
	c.p, err3 = number(p, 1, maxScryptLanes)
	return c, firstError(err1, err2, err3)
}

// scryptLog is the same where N is given by its logarithm.
func scryptLog(log, r, p string) (scryptCost, error) {
	n, err := number(log, 1, maxScryptLog)
	if err != nil {
		return scryptCost{}, err
	}
	return scryptNumbers(fmt.Sprint(1<<n), r, p)
}

// fault says what is wrong with the three together.
func (c scryptCost) fault() error {
	switch {
	case c.n < 2 || c.n&(c.n-1) != 0 || c.r < 1 || c.p < 1:
		return ErrMalformed // N is a power of two
	case c.r > maxScryptBlock || c.p > maxScryptLanes || c.n > maxScryptWork || c.n*c.r*c.p > maxScryptWork || c.memory() > maxMemory:
		return ErrCostly
	}
	return nil
}

// memory is in KiB.
func (c scryptCost) memory() int { return max(1, c.n*c.r/8) }

// key computes scrypt of a password; nil when the parameters do not go together.
func (c scryptCost) key(password string, salt []byte, size int) []byte {
	key, err := scrypt.Key([]byte(password), salt, c.n, c.r, c.p, size)
	if err != nil {
		return nil
	}
	return key
}

// hash makes the Hash of these costs, unless they are too much together.
func (c scryptCost) hash(scheme string, salt, digest []byte) (Hash, error) {
	if err := c.fault(); err != nil {
		return Hash{}, err
	}
	check := func(password string) bool { return equal(digest, c.key(password, salt, len(digest))) }
	return Hash{scheme: scheme, cost: c.text(len(digest)), memory: uint32(c.memory()), work: c.n * c.r * c.p, check: check}, nil
}

// text is the cost as Hash tells it.
func (c scryptCost) text(digest int) string {
	return fmt.Sprintf("n=%d,r=%d,p=%d,digest=%d", c.n, c.r, c.p, digest)
}

var scryptForm = regexp.MustCompile(`^\$scrypt\$ln=([0-9]{1,10}),r=([0-9]{1,10}),p=([0-9]{1,10})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$`)

// readScrypt reads a PHC string of scrypt, as passlib and the gateway write it:
//
//	$scrypt$ln=17,r=8,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR...
func readScrypt(text, _ string) (Hash, error) {
	m := scryptForm.FindStringSubmatch(text)
	if m == nil {
		return Hash{}, ErrMalformed
	}
	c, err1 := scryptLog(m[1], m[2], m[3])
	salt, err2 := decode(base64.RawStdEncoding, m[4], 1, maxSalt)
	digest, err3 := decode(base64.RawStdEncoding, m[5], minDigest, maxDigest)
	if err := firstError(err1, err2, err3); err != nil {
		return Hash{}, err
	}
	return c.hash("scrypt", salt, digest)
}

var scryptCryptForm = regexp.MustCompile(`^\$7\$([./0-9A-Za-z])([./0-9A-Za-z]{5})([./0-9A-Za-z]{5})([./0-9A-Za-z]{1,86})\$([./0-9A-Za-z]{43})$`)

// readScryptCrypt reads scrypt as crypt(3) writes it: the logarithm of N in one
// letter, r and p in five each, and the salt as the very text that stands there.
func readScryptCrypt(text, _ string) (Hash, error) {
	m := scryptCryptForm.FindStringSubmatch(text)
	if m == nil {
		return Hash{}, ErrMalformed
	}
	log := crypt64Number(m[1])
	if log > maxScryptLog {
		return Hash{}, ErrCostly
	}
	c := scryptCost{n: 1 << log, r: crypt64Number(m[2]), p: crypt64Number(m[3])}
	if err := c.fault(); err != nil {
		return Hash{}, err
	}
	salt, want := []byte(m[4]), []byte(m[5])
	check := func(password string) bool {
		return equal(want, crypt64(c.key(password, salt, 32)))
	}
	return Hash{scheme: "crypt scrypt", cost: c.text(32), memory: uint32(c.memory()), work: c.n * c.r * c.p, check: check}, nil
}

// crypt64Alphabet is the alphabet of crypt(3), in the order of its values.
const crypt64Alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// crypt64 writes bytes as crypt(3) does: three at a time, the low bits first.
func crypt64(data []byte) []byte {
	var out []byte
	for len(data) > 0 {
		n := min(3, len(data))
		value := 0
		for i := range n {
			value |= int(data[i]) << (8 * i)
		}
		for range n + 1 {
			out = append(out, crypt64Alphabet[value&63])
			value >>= 6
		}
		data = data[n:]
	}
	return out
}

// crypt64Number reads a number of that alphabet, the low digits first.
func crypt64Number(text string) int {
	value := 0
	for i := range len(text) {
		value |= strings.IndexByte(crypt64Alphabet, text[i]) << (6 * i)
	}
	return value
}
