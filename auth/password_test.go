package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func newTestHasher(t testing.TB, change func(*Password)) *hasher {
	t.Helper()
	conf := DefaultConfig().Password
	if change != nil {
		change(&conf)
	}
	h, err := newHasher(conf, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A vector of the reference implementation (phc-winner-argon2, test.c), and
// one of OpenBSD's bcrypt.
func TestHashesOfOtherSystemsAreRead(t *testing.T) {
	for hash, password := range map[string]string{
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4": "password",
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW":                         "U*U",
		"$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW":                         "U*U",
	} {
		h, err := parseHash(hash)
		if err != nil {
			t.Errorf("%s: %v", hash, err)
			continue
		}
		if !h.matches(password) || h.matches(password+"x") || h.matches("") {
			t.Errorf("%s does not tell %q from others", hash, password)
		}
		if h.String() != hash {
			t.Errorf("%s was read as %s", hash, h)
		}
	}
}

func TestEveryParameterOfAHashIsBounded(t *testing.T) {
	const salt, sum = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	argon := func(params string) string { return "$argon2id$v=19$" + params + "$" + salt + "$" + sum }
	for _, hash := range []string{
		"", "x", "plain text", "$argon2id$", "{SSHA}abc", "$1$salt$abc",
		argon("m=262145,t=1,p=1"), argon("m=9999999,t=1,p=1"), argon("m=4294967296,t=1,p=1"), argon("m=19456,t=9999,p=1"), argon("m=262144,t=5,p=1"),
		argon("m=19456,t=2,p=17"), argon("m=19456,t=2,p=0"), argon("m=0,t=2,p=1"), argon("m=7,t=2,p=1"), argon("m=19456,t=0,p=1"),
		argon("m=019456,t=2,p=1"), argon("m=-1,t=2,p=1"), argon("m=19456,p=1,t=2"), argon("m=19456,t=2,p=1,keyid=x"), argon("t=2,p=1"),
		"$argon2id$v=16$m=256,t=2,p=1$" + salt + "$" + sum,
		"$argon2i$v=19$m=256,t=2,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=256,t=2,p=1$$" + sum, "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$", "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$YWJj",
		"$argon2id$v=19$m=256,t=2,p=1$" + strings.Repeat("A", 1000) + "$" + sum,
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHR$" + sum, // stray bits
		argon("m=256,t=2,p=1") + "\n", " " + argon("m=256,t=2,p=1"),
		"$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", // the sign-extension bug
		"$2$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", // a month
		"$2a$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2a$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
	} {
		_, err := parseHash(hash)
		if !errors.Is(err, errHash) {
			t.Errorf("%.80q: %v", hash, err)
		} else if hash != "" && strings.Contains(err.Error(), hash) && len(hash) > 10 {
			t.Errorf("the error repeats the hash: %v", err)
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
		h, err := parseHash(string(text))
		if err != nil || !h.matches(stored) || h.matches(other) {
			t.Errorf("%q passes for %q (%v)", other, stored, err)
		}
	}
}

// LG-02: who has no account, or no password, costs the hash that a new
// password would be kept with.
func TestLG02TheDummyHashHasTheParametersOfARealOne(t *testing.T) {
	for _, algorithm := range []string{"argon2id", "bcrypt"} {
		h := newTestHasher(t, func(p *Password) { p.Algorithm = algorithm })
		made, err := h.hash(t.Context(), "some password")
		if err != nil {
			t.Fatal(err)
		}
		real, err := parseHash(made)
		if err != nil {
			t.Fatal(err)
		}
		dummy, err := parseHash(h.dummy.String())
		if err != nil {
			t.Fatal(err)
		}
		if real.memory != dummy.memory || real.time != dummy.time || real.threads != dummy.threads || real.cost != dummy.cost ||
			len(real.salt) != len(dummy.salt) || len(real.sum) != len(dummy.sum) {
			t.Errorf("%s: a dummy of %s, a hash of %s", algorithm, dummy, real)
		}
		if h.outdated(made, "some password") {
			t.Errorf("%s: its own hash is outdated", algorithm)
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
		full, _ := h.gate.enter(t.Context(), storedHash{memory: 1 << 30})
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

func TestTheGateLetsFewInAndQueuesFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Password{MaxConcurrent: 2, MemoryBudget: 256 << 20})
		var inside, most atomic.Int64
		results := make(chan error, 200)
		for range 200 {
			go func() {
				leave, err := g.enter(t.Context(), storedHash{memory: argonMemory})
				if err == nil {
					most.Store(max(most.Load(), inside.Add(1)))
					time.Sleep(40 * time.Millisecond)
					inside.Add(-1)
					leave()
				}
				results <- err
			}()
			synctest.Wait() // they come one after the other
		}
		done := 0
		for range 200 {
			err := <-results
			var busy *BusyError
			if err == nil {
				done++
			} else if !errors.As(err, &busy) || busy.RetryAfter <= 0 {
				t.Error(err)
			}
		}
		if most.Load() != 2 || done != 2*(1+queuePerSlot) {
			t.Errorf("%d ran at once and %d in all", most.Load(), done)
		}
	})
}

func TestTheGateKeepsTheMemoryBudget(t *testing.T) {
	for _, test := range []struct {
		concurrent int
		budget     Bytes
		want       int64
	}{{8, 256 << 20, 8}, {8, 64 << 20, 3}, {8, 19 << 20, 1}, {1, 1 << 40, 1}} {
		g := newGate(Password{MaxConcurrent: test.concurrent, MemoryBudget: test.budget})
		if g.total/g.unit != test.want {
			t.Errorf("%d at once within %s: %d", test.concurrent, test.budget, g.total/g.unit)
		}
	}
	// A hash of three slots' memory takes three of four places.
	g := newGate(Password{MaxConcurrent: 4, MemoryBudget: 256 << 20})
	leave, err := g.enter(t.Context(), storedHash{memory: 3 * argonMemory})
	if err != nil || !g.slots.TryAcquire(g.unit) || g.slots.TryAcquire(g.unit) {
		t.Error("weighed wrongly", err)
	}
	leave()
}

func TestAHashWithoutRandomnessIsAnError(t *testing.T) {
	if _, err := newHasher(DefaultConfig().Password, bytes.NewReader(nil)); err == nil {
		t.Error("a dummy without randomness")
	}
	h := newTestHasher(t, nil)
	h.rand = bytes.NewReader(nil)
	if hash, err := h.hash(t.Context(), "password"); err == nil {
		t.Errorf("made %s", hash)
	}
}

func FuzzDecodeHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
	f.Add("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err != nil {
			if fmt.Sprint(h) != fmt.Sprint(storedHash{}) {
				t.Errorf("%q: an error and %+v", text, h)
			}
			return
		}
		if h.String() != text {
			t.Errorf("%q was read as %q", text, h)
		}
		if h.memory > boundMemory || uint64(h.memory)*uint64(h.time) > boundWork || h.threads > boundThreads || h.cost > boundCost || len(h.salt) > 64 || len(h.sum) > 64 {
			t.Errorf("%q is out of bounds", text)
		}
	})
}
