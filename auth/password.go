package auth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"
)

// How a new password is kept: argon2id as OWASP's cheat sheet recommends it,
// or bcrypt where the configuration says so.
const (
	argonMemory  = 19456 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSalt    = 16
	argonSum     = 32
	bcryptCost   = 12
)

// The bounds of a password, in bytes: what login reads at all, and what bcrypt
// takes. Go's bcrypt compares the first 72 bytes and ignores the rest.
const (
	maxPassword = 1024
	maxBcrypt   = 72
)

// The bounds of what a stored hash may demand. A row that was imported or
// tampered with must not take the process down.
const (
	boundMemory  = 256 << 10       // KiB
	boundWork    = 4 * (256 << 10) // KiB times passes: about two seconds
	boundThreads = 16
	boundCost    = 15 // of bcrypt: about two and a half seconds
)

// storedHash is a password hash as it was read from an account: a PHC string of
// argon2id or a bcrypt string.
type storedHash struct {
	memory  uint32 // KiB; 0: bcrypt
	time    uint32
	threads uint8
	salt    []byte
	sum     []byte
	cost    int    // of bcrypt
	text    string // of bcrypt
}

// errHash is all that is ever said about a hash that cannot be used: its text
// is a secret.
var errHash = errors.New("the stored password hash is of no kind or strength that is accepted")

var (
	argonForm  = regexp.MustCompile(`^\$argon2id\$v=19\$m=([1-9][0-9]{0,6}),t=([1-9][0-9]{0,3}),p=([1-9][0-9]{0,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$`)
	bcryptForm = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)
)

// parseHash reads a stored hash and bounds everything that it demands.
func parseHash(text string) (storedHash, error) {
	if m := bcryptForm.FindStringSubmatch(text); m != nil {
		cost, err := strconv.Atoi(m[1])
		if err != nil || cost < bcrypt.MinCost || cost > boundCost {
			return storedHash{}, errHash
		}
		return storedHash{cost: cost, text: text}, nil
	}
	m := argonForm.FindStringSubmatch(text)
	if m == nil {
		return storedHash{}, errHash
	}
	var n [3]uint64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseUint(m[i+1], 10, 32); err != nil {
			return storedHash{}, errHash
		}
	}
	if n[0] > boundMemory || n[0]*n[1] > boundWork || n[2] > boundThreads || n[0] < 8*n[2] {
		return storedHash{}, errHash
	}
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(m[4])
	sum, err2 := base64.RawStdEncoding.Strict().DecodeString(m[5])
	if err1 != nil || err2 != nil {
		return storedHash{}, errHash
	}
	return storedHash{memory: uint32(n[0]), time: uint32(n[1]), threads: uint8(n[2]), salt: salt, sum: sum}, nil
}

// String writes the hash as an account keeps it.
func (h storedHash) String() string {
	if h.memory == 0 {
		return h.text
	}
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads, b64(h.salt), b64(h.sum))
}

// matches computes the hash of a password and compares it in constant time.
func (h storedHash) matches(password string) bool {
	if h.memory > 0 {
		sum := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.sum)))
		return subtle.ConstantTimeCompare(sum, h.sum) == 1
	}
	same := bcrypt.CompareHashAndPassword([]byte(h.text), []byte(password)) == nil
	return same && bcryptFault(password) == ""
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

// hasher makes and compares password hashes, a few at a time.
type hasher struct {
	conf  Password
	rand  io.Reader
	gate  *gate
	dummy storedHash
}

// newHasher makes the hasher and its dummy: a hash of nothing with the
// configured parameters, compared for those who have none, so that an unknown
// name takes as long as a wrong password.
func newHasher(conf Password, rand io.Reader) (*hasher, error) {
	h := &hasher{conf: conf, rand: rand, gate: newGate(conf)}
	noise := make([]byte, argonSalt+argonSum)
	if _, err := io.ReadFull(rand, noise); err != nil {
		return nil, fmt.Errorf("make a salt: %w", err)
	}
	h.dummy = storedHash{memory: argonMemory, time: argonTime, threads: argonThreads, salt: noise[:argonSalt], sum: noise[argonSalt:]}
	if conf.Algorithm == "bcrypt" {
		b64 := base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding)
		text := fmt.Sprintf("$2b$%02d$%s%s", bcryptCost, b64.EncodeToString(noise[:16]), b64.EncodeToString(noise[16:39]))
		h.dummy = storedHash{cost: bcryptCost, text: text}
	}
	return h, nil
}

// compare reports whether the password is the one of the hash; "" is no
// password, costs the same and is never right. An error is a *BusyError or
// ctx's; a hash that cannot be used is errHash, at the same cost.
func (h *hasher) compare(ctx context.Context, hash, password string) (bool, error) {
	stored, bad := h.dummy, error(nil)
	if hash != "" {
		if stored, bad = parseHash(hash); bad != nil {
			stored = h.dummy
		}
	}
	leave, err := h.gate.enter(ctx, stored)
	if err != nil {
		return false, err
	}
	defer leave()
	same := stored.matches(password)
	return same && hash != "" && bad == nil, bad
}

// hash makes the hash of a new password, which must be acceptable. An error is
// a *BusyError, ctx's or want of randomness.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.gate.enter(ctx, h.dummy)
	if err != nil {
		return "", err
	}
	defer leave()
	if h.conf.Algorithm == "bcrypt" {
		text, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
		return string(text), err
	}
	salt := make([]byte, argonSalt)
	if _, err := io.ReadFull(h.rand, salt); err != nil {
		return "", fmt.Errorf("make a salt: %w", err)
	}
	sum := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonSum)
	return storedHash{memory: argonMemory, time: argonTime, threads: argonThreads, salt: salt, sum: sum}.String(), nil
}

// outdated reports whether a hash is kept in another way than a new one would
// be, and the password can be kept in that way at all.
func (h *hasher) outdated(hash, password string) bool {
	s, err := parseHash(hash)
	d := h.dummy
	same := err == nil && s.memory == d.memory && s.time == d.time && s.threads == d.threads && s.cost == d.cost && len(s.sum) == len(d.sum)
	return !same && h.fault(password, 0) == ""
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

// gate lets few password hashes run at once: more than there are cores make
// all of them slower, all cores starve the traffic, and each takes memory.
type gate struct {
	slots   *semaphore.Weighted // weighed in KiB
	unit    int64               // KiB that one slot is worth
	total   int64
	waiting atomic.Int64
	limit   int64 // of those that wait or run
}

// queuePerSlot is how many may wait for each that runs: at some 40 ms for a
// hash about a second and a half, as long as a person waits before trying again.
const queuePerSlot = 32

func newGate(conf Password) *gate {
	unit := int64(argonMemory)
	n := int64(conf.MaxConcurrent)
	if n == 0 {
		n = int64(max(1, runtime.GOMAXPROCS(0)-1))
	}
	n = max(1, min(n, int64(conf.MemoryBudget>>10)/unit))
	return &gate{slots: semaphore.NewWeighted(n * unit), unit: unit, total: n * unit, limit: n * (1 + queuePerSlot)}
}

// enter waits for a place, in turn. A hash that takes more memory than a slot
// takes several, one that takes more than there is runs alone. Without a place
// in the queue it answers a *BusyError at once.
func (g *gate) enter(ctx context.Context, h storedHash) (leave func(), err error) {
	if g.waiting.Add(1) > g.limit {
		g.waiting.Add(-1)
		return nil, &BusyError{RetryAfter: 2 * time.Second}
	}
	weight := min(max(int64(h.memory), g.unit), g.total)
	if err := g.slots.Acquire(ctx, weight); err != nil {
		g.waiting.Add(-1)
		return nil, fmt.Errorf("wait to hash: %w", err)
	}
	return func() {
		g.slots.Release(weight)
		g.waiting.Add(-1)
	}, nil
}
