// Package legacyhash verifies the password hashes that other systems made.
//
// An account that moves in keeps its password: the hash of the old system is
// stored as it is, the next login is held against it once, and the password is
// then kept in the gateway's own way. So this package reads and compares, and
// makes nothing:
//
//	h, err := legacyhash.Parse("pbkdf2_sha256$260000$bm9ib2R5$pZk...=")
//	if err != nil {
//		return err // never repeats the hash
//	}
//	ok := h.Matches("a password")
//
// The gateway's own hashes (argon2id, bcrypt and scrypt in their usual text
// forms) are among those that are read: there is one reader for all of them.
//
// # Why a table and strict shapes
//
// A hash is recognised by how it begins, in one table, and must then have the
// exact shape of its format. Nothing is tried out: a text that two formats
// could claim, a base64 with stray bits or a number with a leading zero is
// refused, since what it verifies would be anybody's guess.
//
// # Why everything is bounded
//
// A hash says itself how much it costs. A row that was imported or tampered
// with must not take the process down, so that each number in it has a bound
// before it is used: 256 MiB of memory, a few seconds of one core.
package legacyhash

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// What can be wrong with a hash. The texts are predicates, and all that is ever
// said about one: a hash is a secret, and so is a part of it.
var (
	ErrUnknown   = errors.New("is of no known format")
	ErrMalformed = errors.New("is damaged")
	ErrCostly    = errors.New("demands more memory or time than is accepted")
	ErrRefused   = errors.New("is of a kind that protects nothing")
)

// The bounds of what a hash may demand and of what is held against it.
const (
	maxText     = 4096      // bytes of a hash: Keycloak's JSON is the longest
	maxPassword = 1024      // bytes: nothing longer is hashed
	maxMemory   = 256 << 10 // KiB
	maxSalt     = 256       // bytes
	minDigest   = 16        // bytes: MD5 is the shortest there is
	maxDigest   = 128       // bytes
)

// Hash is a password hash that was read and found to be bounded. The zero Hash
// matches nothing.
type Hash struct {
	scheme string
	cost   string
	memory uint32 // KiB
	work   int    // how often the scheme repeats its step; tests hold it to its bound
	check  func(password string) bool
}

// Scheme names the format, for reports: "bcrypt", "django pbkdf2_sha256".
func (h Hash) Scheme() string { return h.scheme }

// Cost is what the hash demands, without its salt and digest: "m=19456,t=2,p=1".
// Two hashes of one scheme and cost are equally strong.
func (h Hash) Cost() string { return h.cost }

// Memory is how many KiB a comparison takes; 0 when it is not worth counting.
func (h Hash) Memory() uint32 { return h.memory }

// Matches reports whether the hash was made from the password. It takes as long
// for a wrong one as for the right one, and compares in constant time.
func (h Hash) Matches(password string) bool {
	return h.check != nil && len(password) <= maxPassword && h.check(password)
}

// Parse reads a hash and bounds everything that it demands. An error is one of
// this package's, and the Hash is then zero.
func Parse(text string) (Hash, error) {
	if len(text) > maxText {
		return Hash{}, ErrUnknown
	}
	return read(families(), text)
}

// family is one row of the table by which hashes are recognised.
type family struct {
	prefix string
	// read gets the whole text and what follows the prefix.
	read func(text, rest string) (Hash, error)
}

// families is that table. No prefix begins another one, so that their order
// plays no part. Where two systems use one word in braces, its case tells them
// apart: LDAP writes {SHA256}, Spring {sha256}.
func families() []family {
	return slices.Concat(cryptFamilies(), djangoFamilies(), passlibFamilies(), ldapFamilies(), springFamilies(), []family{
		{"$argon2id$", readArgon2}, {"$argon2i$", readArgon2},
		{"$scrypt$", readScrypt},
		{"$P$", readPHPass}, {"$H$", readPHPass}, {"$S$", readPHPass},
		{"$wp$", readWordPress},
		{"pbkdf2:", readWerkzeugPBKDF2}, {"scrypt:", readWerkzeugScrypt},
		{"$fbscrypt$", readFirebase},
		{`{"`, readKeycloak},
		{"A", readASPNET}, // base64 that begins with a byte 0 or 1 and is alone in having no mark
	})
}

// cryptFamilies are the formats of crypt(3), which LDAP's {CRYPT} holds too.
func cryptFamilies() []family {
	return []family{
		{"$1$", readMD5Crypt}, {"$apr1$", readMD5Crypt},
		{"$5$", readSHACrypt}, {"$6$", readSHACrypt},
		{"$7$", readScryptCrypt},
		{"$2a$", readBcrypt}, {"$2b$", readBcrypt}, {"$2y$", readBcrypt},
		// The first of these hashes without the NUL at the end, the second has
		// the bug by which half of the passwords were lost.
		{"$2$", refuse}, {"$2x$", refuse},
	}
}

// refuse is the reader of formats that are known and not accepted.
func refuse(string, string) (Hash, error) { return Hash{}, ErrRefused }

// within makes a reader of what stands behind another mark: it hands the rest to
// the one of some families that knows it.
func within(inner []family) func(text, rest string) (Hash, error) {
	return func(_, rest string) (Hash, error) { return read(inner, rest) }
}

// read finds the reader of a text in a table.
func read(table []family, text string) (Hash, error) {
	for _, f := range table {
		if rest, ok := strings.CutPrefix(text, f.prefix); ok {
			return f.read(text, rest)
		}
	}
	return Hash{}, ErrUnknown
}

// firstError is the first of some errors, nil when there is none.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// fields cuts a text at a separator into exactly n parts.
func fields(text, sep string, n int) ([]string, error) {
	parts := strings.Split(text, sep)
	if len(parts) != n {
		return nil, ErrMalformed
	}
	return parts, nil
}

// number reads a decimal number from low to high as a program writes one: no
// sign and no leading zero.
func number(text string, low, high int) (int, error) {
	if text == "" || strings.Trim(text, "0123456789") != "" || (text[0] == '0' && text != "0") {
		return 0, ErrMalformed
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n > high:
		return 0, ErrCostly // out of an int's range too
	case n < low:
		return 0, ErrMalformed
	}
	return n, nil
}

// decode reads the base64 of a salt or digest of low to high bytes.
func decode(enc *base64.Encoding, text string, low, high int) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") { // which encoding/base64 skips
		return nil, ErrMalformed
	}
	data, err := enc.Strict().DecodeString(text)
	if err != nil || len(data) < low || len(data) > high {
		return nil, ErrMalformed
	}
	return data, nil
}

// equal compares two digests in constant time.
func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
