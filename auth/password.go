package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"

	"github.com/posternhq/postern/auth/legacyhash"
)

// How a new password is kept: argon2id or scrypt as OWASP's cheat sheet
// recommends them, or bcrypt, where the configuration says so.
const (
	argonMemory  = 19456 // KiB
	argonTime    = 2
	argonThreads = 1
	scryptLog    = 17 // of N: with r = 8 it takes 128 MiB
	scryptBlock  = 8
	scryptLanes  = 1
	hashSalt     = 16
	hashSum      = 32
	bcryptCost   = 12
	bcryptSum    = 23
)

// scryptMemory is what one hash of scrypt takes, in KiB.
const scryptMemory = 128 * scryptBlock << scryptLog >> 10

// The bounds of a password, in bytes: what login reads at all, and what bcrypt
// takes. Go's bcrypt compares the first 72 bytes and ignores the rest.
const (
	maxPassword = 1024
	maxBcrypt   = 72
)

// errHash is what is said about a stored hash that cannot be used, and why: its
// text is a secret.
var errHash = errors.New("the stored password hash cannot be used")

// hasher makes and compares password hashes, a few at a time.
type hasher struct {
	conf  Password
	rand  io.Reader
	begin func() // is called before each hash
	gate  *gate
	dummy legacyhash.Hash
}

// newHasher makes the hasher and its dummy: a hash of nothing with the
// configured parameters, compared for those who have none, so that an unknown
// name takes as long as a wrong password.
func newHasher(conf Password, rand io.Reader, begin func(), counts *hashCounts) (*hasher, error) {
	h := &hasher{conf: conf, rand: rand, begin: begin}
	noise := make([]byte, hashSalt+hashSum)
	if _, err := io.ReadFull(rand, noise); err != nil {
		return nil, fmt.Errorf("make a salt: %w", err)
	}
	var err error
	if h.dummy, err = legacyhash.Parse(h.text(noise[:hashSalt], noise[hashSalt:])); err != nil {
		return nil, fmt.Errorf("make a dummy hash: it %w", err)
	}
	h.gate = newGate(conf, max(argonMemory, h.dummy.Memory()), counts)
	return h, nil
}

// enter waits for a place as gate.enter does, and says that a hash begins.
func (h *hasher) enter(ctx context.Context, memory uint32) (leave func(), err error) {
	if leave, err = h.gate.enter(ctx, memory); err == nil {
		h.begin()
	}
	return leave, err
}

// compare reports whether the password is the one of the hash; "" is no
// password, costs the same and is never right. An error is a *BusyError or
// ctx's; a hash that cannot be used is errHash, at the same cost.
//
// A hash of another system may be as cheap as a SHA-1. A wrong password for it
// then costs one of our own as well: no account may answer faster than a name
// that is nobody's. (The right one costs that too, since it is kept anew, or
// else by spend.) One that is dearer than ours shows until its first login.
func (h *hasher) compare(ctx context.Context, hash, password string) (bool, error) {
	stored, bad := h.dummy, error(nil)
	if hash != "" {
		var err error
		if stored, err = legacyhash.Parse(hash); err != nil {
			stored, bad = h.dummy, fmt.Errorf("%w: it %w", errHash, err)
		}
	}
	leave, err := h.enter(ctx, max(stored.Memory(), h.dummy.Memory()))
	if err != nil {
		return false, err
	}
	defer leave()
	same := stored.Matches(password)
	if !same && !h.own(stored) {
		h.dummy.Matches(password)
	}
	return same && hash != "" && bad == nil, bad
}

// spend costs what keeping a password anew does, where it is right and the hash
// another system's but nothing is kept.
func (h *hasher) spend(ctx context.Context, hash, password string) error {
	if stored, err := legacyhash.Parse(hash); err != nil || h.own(stored) {
		return nil
	}
	leave, err := h.enter(ctx, h.dummy.Memory())
	if err != nil {
		return err
	}
	defer leave()
	h.dummy.Matches(password)
	return nil
}

// hash makes the hash of a new password, which must be acceptable. An error is
// a *BusyError, ctx's or want of randomness.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx, h.dummy.Memory())
	if err != nil {
		return "", err
	}
	defer leave()
	if h.conf.Algorithm == "bcrypt" {
		text, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
		return string(text), err
	}
	salt := make([]byte, hashSalt)
	if _, err := io.ReadFull(h.rand, salt); err != nil {
		return "", fmt.Errorf("make a salt: %w", err)
	}
	if h.conf.Algorithm == "scrypt" {
		sum, err := scrypt.Key([]byte(password), salt, 1<<scryptLog, scryptBlock, scryptLanes, hashSum)
		return h.text(salt, sum), err
	}
	return h.text(salt, argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, hashSum)), nil
}

// text writes a hash as an account keeps it.
func (h *hasher) text(salt, sum []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	switch h.conf.Algorithm {
	case "bcrypt":
		b64 = base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding).EncodeToString
		return fmt.Sprintf("$2b$%02d$%s%s", bcryptCost, b64(salt), b64(sum[:bcryptSum]))
	case "scrypt":
		return fmt.Sprintf("$scrypt$ln=%d,r=%d,p=%d$%s$%s", scryptLog, scryptBlock, scryptLanes, b64(salt), b64(sum))
	}
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads, b64(salt), b64(sum))
}

// own reports whether a hash is kept as a new one would be.
func (h *hasher) own(stored legacyhash.Hash) bool {
	return stored.Scheme() == h.dummy.Scheme() && stored.Cost() == h.dummy.Cost()
}

// outdated reports whether a hash is kept in another way than a new one would
// be, and the password can be kept in that way at all.
func (h *hasher) outdated(hash, password string) bool {
	stored, err := legacyhash.Parse(hash)
	return (err != nil || !h.own(stored)) && h.fault(password, 0) == ""
}

// fault says what is wrong with a new password of at least min characters.
func (h *hasher) fault(password string, min int) string {
	n := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return "must be valid UTF-8"
	case n < min:
		return fmt.Sprintf("must be at least %d characters", min)
	case n > h.conf.MaxLength || len(password) > maxPassword:
		return fmt.Sprintf("must be at most %d characters", h.conf.MaxLength)
	case h.conf.Algorithm == "bcrypt":
		return bcryptFault(password)
	}
	return ""
}

// bcryptFault says why bcrypt cannot tell a password from others: it ignores
// what follows 72 bytes, and reads the text as an endless repetition of itself
// and a NUL, so that "a" and "a\x00a" are one.
func bcryptFault(password string) string {
	switch {
	case len(password) > maxBcrypt:
		return fmt.Sprintf("must be at most %d bytes: bcrypt takes no more", maxBcrypt)
	case strings.ContainsRune(password, 0):
		return "must not contain a NUL character: bcrypt cannot tell it from another"
	}
	return ""
}
