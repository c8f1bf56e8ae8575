package legacyhash

import (
	"bytes"
	"fmt"
	"hash"
	"regexp"
)

// The bounds of the hashes that take the whole password into every round.
const (
	maxCryptRounds   = 1 << 20
	minCryptRounds   = 1000 // below it crypt(3) takes this many
	defCryptRounds   = 5000
	maxCryptPassword = 512 // bytes: crypt(3) takes no more
)

var shaCryptForm = regexp.MustCompile(`^\$[56]\$(?:rounds=([0-9]{1,10})\$)?([./0-9A-Za-z]{1,16})\$([./0-9A-Za-z]{43}|[./0-9A-Za-z]{86})$`)

// shaCrypt is one of the two SHA hashes of glibc's crypt(3).
type shaCrypt struct {
	name   string
	new    func() hash.Hash
	order  []byte // in which the bytes of the digest are written
	rounds int
	salt   []byte
}

// readSHACrypt reads $5$ (SHA-256) and $6$ (SHA-512), with or without a number
// of rounds:
//
//	$6$saltstring$svn8UoSVapNt...
//	$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6B...
//
// A number that crypt(3) would raise or lower is refused: no program writes one.
func readSHACrypt(text, _ string) (Hash, error) {
	m := shaCryptForm.FindStringSubmatch(text)
	if m == nil {
		return Hash{}, ErrMalformed
	}
	c := shaCrypt{name: "sha256", order: sha256CryptOrder(), rounds: defCryptRounds, salt: []byte(m[2])}
	if text[1] == '6' {
		c.name, c.order = "sha512", sha512CryptOrder()
	}
	c.new = digestNamed(c.name)
	want := []byte(m[3])
	if len(want) != len(crypt64(c.order)) {
		return Hash{}, ErrMalformed
	}
	if m[1] != "" {
		var err error
		if c.rounds, err = number(m[1], minCryptRounds, maxCryptRounds); err != nil {
			return Hash{}, err
		}
	}
	check := func(password string) bool {
		return len(password) <= maxCryptPassword && equal(want, c.letters([]byte(password)))
	}
	return Hash{scheme: "crypt " + c.name, cost: fmt.Sprintf("rounds=%d", c.rounds), work: c.rounds, check: check}, nil
}

// letters computes what stands after the salt. The names of the sums are those
// of Ulrich Drepper's specification, "Unix crypt using SHA-256 and SHA-512".
func (c shaCrypt) letters(password []byte) []byte {
	b := c.join(password, c.salt, password)
	a := c.new()
	a.Write(password)
	a.Write(c.salt)
	a.Write(stretch(b, len(password)))
	for bits := len(password); bits > 0; bits >>= 1 {
		if bits&1 == 1 {
			a.Write(b)
		} else {
			a.Write(password)
		}
	}
	sum := a.Sum(nil)
	dp := c.join(bytes.Repeat(password, len(password)))
	ds := c.join(bytes.Repeat(c.salt, 16+int(sum[0])))
	p, s := stretch(dp, len(password)), stretch(ds, len(c.salt))
	for round := range c.rounds {
		sum = cryptRound(c.join, round, sum, p, s)
	}
	return crypt64(permute(sum, c.order))
}

// join is the digest of some texts one after the other.
func (c shaCrypt) join(parts ...[]byte) []byte {
	h := c.new()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// stretch repeats a digest until it has n bytes.
func stretch(digest []byte, n int) []byte {
	return bytes.Repeat(digest, n/len(digest)+1)[:n]
}

// sha256CryptOrder and sha512CryptOrder are from the specification.
func sha256CryptOrder() []byte {
	return []byte{
		20, 10, 0, 11, 1, 21, 2, 22, 12, 23, 13, 3, 14, 4, 24, 5, 25, 15,
		26, 16, 6, 17, 7, 27, 8, 28, 18, 29, 19, 9, 30, 31,
	}
}

// sha512CryptOrder lists which byte of the digest is written when, in threes that
// make four characters each; the last byte stands alone.
func sha512CryptOrder() []byte {
	return []byte{
		42, 21, 0, 1, 43, 22, 23, 2, 44, 45, 24, 3, 4, 46, 25, 26, 5, 47,
		48, 27, 6, 7, 49, 28, 29, 8, 50, 51, 30, 9, 10, 52, 31, 32, 11, 53,
		54, 33, 12, 13, 55, 34, 35, 14, 56, 57, 36, 15, 16, 58, 37, 38, 17, 59,
		60, 39, 18, 19, 61, 40, 41, 20, 62, 63,
	}
}
