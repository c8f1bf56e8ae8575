package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/posternhq/postern/auth/legacyhash"
)

func newTestHasher(t testing.TB, change func(*Password)) *hasher {
	t.Helper()
	conf := DefaultConfig().Password
	if change != nil {
		change(&conf)
	}
	h, err := newHasher(conf, rand.Reader, func() {}, new(hashCounts))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Whoever makes room for a hash must hear of each, before it takes its memory.
func TestEachHashIsToldBeforeItBegins(t *testing.T) {
	told := 0
	conf := DefaultConfig().Password
	conf.MaxConcurrent = 1
	h, err := newHasher(conf, rand.Reader, func() { told++ }, new(hashCounts))
	if err != nil {
		t.Fatal(err)
	}
	compare := func(ctx context.Context, hash string) func() error {
		return func() error { _, err := h.compare(ctx, hash, "x"); return err }
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name string
		do   func() error
		want int
	}{
		{"a new password", func() error { _, err := h.hash(t.Context(), "some password"); return err }, 1},
		{"a password of nobody", compare(t.Context(), ""), 1},
		{"another system's", compare(t.Context(), "{SSHA}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1J"), 1},
		{"time that is spent", func() error { return h.spend(t.Context(), "{SSHA}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1J", "x") }, 1},
		{"nothing to spend", func() error { return h.spend(t.Context(), h.text(make([]byte, hashSalt), make([]byte, hashSum)), "x") }, 0},
		{"one that is not waited for", func() error {
			leave, err := h.gate.enter(t.Context(), argonMemory)
			if err != nil {
				return err
			}
			defer leave()
			if err := compare(gone, "")(); !errors.Is(err, context.Canceled) {
				return fmt.Errorf("it came in: %w", err)
			}
			return nil
		}, 0},
	} {
		told = 0
		if err := test.do(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if told != test.want {
			t.Errorf("%s: told %d times, want %d", test.name, told, test.want)
		}
	}
}

func TestBcryptTellsNoTwoPasswordsForOne(t *testing.T) {
	base := strings.Repeat("a", 72)
	for stored, other := range map[string]string{base: base + "Y", "a": "a\x00a"} {
		text, err := bcrypt.GenerateFromPassword([]byte(stored), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		// The library takes the other for the same: that is what we guard from.
		if bcrypt.CompareHashAndPassword(text, []byte(other)) != nil {
			t.Errorf("%q: the library got better, the guard may go", other)
		}
		h := newTestHasher(t, nil)
		right, err1 := h.compare(t.Context(), string(text), stored)
		wrong, err2 := h.compare(t.Context(), string(text), other)
		if !right || wrong || err1 != nil || err2 != nil {
			t.Errorf("%q passes for %q (%v, %v)", other, stored, err1, err2)
		}
	}
}

// LG-02: who has no account, or no password, costs the hash that a new
// password would be kept with.
func TestLG02TheDummyHashHasTheParametersOfARealOne(t *testing.T) {
	for _, algorithm := range []string{"argon2id", "bcrypt", "scrypt"} {
		h := newTestHasher(t, func(p *Password) { p.Algorithm = algorithm })
		made, err := h.hash(t.Context(), "some password")
		if err != nil {
			t.Fatal(err)
		}
		real, err := legacyhash.Parse(made)
		if err != nil {
			t.Fatal(err)
		}
		if real.Scheme() != h.dummy.Scheme() || real.Cost() != h.dummy.Cost() || real.Memory() != h.dummy.Memory() {
			t.Errorf("%s: a dummy of %s, a hash of %s", algorithm, h.dummy.Cost(), real.Cost())
		}
		if h.outdated(made, "some password") {
			t.Errorf("%s: its own hash is outdated", algorithm)
		}
		if algorithm != "argon2id" {
			continue // too slow to try under the race detector: e2e does
		}
		if !real.Matches("some password") || real.Matches("some passwords") || h.dummy.Matches("some password") {
			t.Errorf("%s: %s does not tell its password from others", algorithm, made)
		}
	}
}

// LG-02, the other half: every comparison goes through the gate and computes.
func TestLG02EveryComparisonWaitsForItsTurn(t *testing.T) {
	h := newTestHasher(t, nil)
	good, err := h.hash(t.Context(), "right")
	if err != nil {
		t.Fatal(err)
	}
	for name, hash := range map[string]string{"unknown": "", "known": good, "unusable": "x"} {
		full, _ := h.gate.enter(t.Context(), 1<<30)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.compare(ctx, hash, "right"); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v from a full gate", name, err)
		}
		full()
		same, err := h.compare(t.Context(), hash, "right")
		if same != (name == "known") || errors.Is(err, errHash) != (name == "unusable") {
			t.Errorf("%s: %t %v", name, same, err)
		}
	}
	if same, err := h.compare(t.Context(), good, "wrong"); same || err != nil {
		t.Errorf("a wrong password: %t %v", same, err)
	}
}

func TestNewPasswordsAreBounded(t *testing.T) {
	h := newTestHasher(t, nil)
	for password, says := range map[string]string{
		"1234567": "at least 8", "ééééééé": "at least 8", strings.Repeat("x", 257): "at most 256",
		strings.Repeat("🐘", 257): "at most 256", "\xff2345678": "UTF-8", "": "at least 8",
	} {
		if msg := h.fault(password, 8); !strings.Contains(msg, says) {
			t.Errorf("%.20q: %q, want %q", password, msg, says)
		}
	}
	for _, password := range []string{"12345678", strings.Repeat("🐘", 256), "with \x00 nul"} {
		if msg := h.fault(password, 8); msg != "" {
			t.Errorf("%.20q: %s", password, msg)
		}
	}
	b := newTestHasher(t, func(p *Password) { p.Algorithm = "bcrypt" })
	if b.fault(strings.Repeat("é", 37), 8) == "" || b.fault("12345678\x00", 8) == "" || b.fault(strings.Repeat("é", 36), 8) != "" {
		t.Error("bcrypt's bounds do not hold")
	}
	if b.outdated("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", strings.Repeat("x", 73)) {
		t.Error("would rehash a password that bcrypt cannot keep")
	}
}

func TestAHashWithoutRandomnessIsAnError(t *testing.T) {
	if _, err := newHasher(DefaultConfig().Password, bytes.NewReader(nil), func() {}, new(hashCounts)); err == nil {
		t.Error("a dummy without randomness")
	}
	h := newTestHasher(t, nil)
	h.rand = bytes.NewReader(nil)
	if hash, err := h.hash(t.Context(), "password"); err == nil {
		t.Errorf("made %s", hash)
	}
}

// LG-02 for accounts that moved in: a SHA-1 is compared in a microsecond, and a
// wrong password for it must not be answered sooner than a name that is
// nobody's. The memory that argon2id takes shows that it ran.
func TestLG02ACheapHashCostsAnOwnOneToo(t *testing.T) {
	const cheap = "{SSHA}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1J"
	h := newTestHasher(t, nil)
	taken := func(hash, password string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := h.compare(t.Context(), hash, password); err != nil && !errors.Is(err, errHash) {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) >> 10
	}
	for name, hash := range map[string]string{"unknown": "", "cheap": cheap, "unusable": "{noop}wrong", "own": h.text(make([]byte, hashSalt), make([]byte, hashSum))} {
		if n := taken(hash, "wrong"); n < argonMemory || n > 2*argonMemory {
			t.Errorf("%s: a wrong password took %d KiB, want one hash of %d", name, n, argonMemory)
		}
	}
	if n := taken(cheap, "correct horse"); n >= argonMemory {
		t.Errorf("the right one took %d KiB: it is kept anew, and that costs enough", n)
	}
}

// What is stored elsewhere weighs what it says.
func TestAStoredHashWeighsItsMemory(t *testing.T) {
	h := newTestHasher(t, func(p *Password) { p.MaxConcurrent, p.MemoryBudget = 4, 256<<20 })
	// 64 MiB are four of four slots: nobody else may be inside.
	const heavy = "$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	leave, err := h.gate.enter(t.Context(), argonMemory)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.compare(ctx, heavy, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("a heavy hash entered beside another: %v", err)
	}
	if _, err := h.compare(t.Context(), "{SSHA}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1J", "x"); err != nil {
		t.Errorf("a light one did not: %v", err)
	}
}

// Of a disabled account nothing is kept anew: its right password must not be
// answered before a wrong one is. What argon2id takes of memory shows that it ran.
func TestACheapHashOfADisabledAccountCostsAsMuchForTheRightPassword(t *testing.T) {
	h := newTestHasher(t, nil)
	sum := sha1.Sum([]byte("right" + "salt"))
	cheap := "{SSHA}" + base64.StdEncoding.EncodeToString(append(sum[:], "salt"...))
	for _, password := range []string{"right", "wrong"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		why, err := provePassword(t.Context(), &state{hasher: h}, Account{ID: "1", PasswordHash: cheap, Disabled: true}, password)
		runtime.ReadMemStats(&after)
		if want := map[string]string{"right": "disabled", "wrong": "wrong password"}[password]; why != want || err != nil {
			t.Errorf("%s: %q, %v", password, why, err)
		}
		if after.TotalAlloc-before.TotalAlloc < argonMemory<<10 {
			t.Errorf("%s: no hash of our own was computed", password)
		}
	}
}
