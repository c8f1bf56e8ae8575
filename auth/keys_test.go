package auth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// header is the header of a token.
func header(t *testing.T, token string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// kids are the keys that a Service publishes, oldest kid first by name.
func kids(t *testing.T, s *auth.Service) []string {
	t.Helper()
	var set struct{ Keys []struct{ Kid string } }
	if err := json.Unmarshal(s.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, k := range set.Keys {
		list = append(list, k.Kid)
	}
	return list
}

// rotate rotates the keys as the command line does: with a Service of its own.
func (r *rig) rotate(uses ...string) []auth.KeyInfo {
	r.t.Helper()
	guest := r.opts
	guest.Guest = true
	s, err := auth.New(r.t.Context(), guest)
	if err != nil {
		r.t.Fatal(err)
	}
	made, err := s.RotateKeys(r.t.Context(), auth.Actor{By: "root"}, uses...)
	if err != nil {
		r.t.Fatal(err)
	}
	return made
}

func TestARotationRefusesNoTokenOnAnyInstance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *auth.Config) { c.AccessToken.TTL = time.Minute })
		other := r.restart()
		follow(t, r.svc)
		follow(t, other)
		first := kids(t, r.svc)
		old := r.begin()
		made := r.rotate()
		if len(made) != 2 || made[0].Use != auth.KeySign || made[0].Status != auth.KeyNext || made[1].Use != auth.KeyRefresh {
			t.Errorf("made %+v", made)
		}
		if !r.told(auth.EventKeyRotated, "") {
			t.Error("nobody was told")
		}
		// Every token that is made while the key changes hands is good everywhere.
		for range 40 {
			g := r.begin()
			for _, s := range []*auth.Service{r.svc, other} {
				if _, err := s.Verify(g.AccessToken); err != nil {
					t.Fatalf("refused: %v", err)
				}
			}
			if _, err := other.Refresh(t.Context(), g.RefreshToken, home()); err != nil {
				t.Fatalf("refresh elsewhere: %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		r.verify(old.AccessToken, nil)
		for _, s := range []*auth.Service{r.svc, other} {
			if got := kids(t, s); len(got) != 2 || !slices.Contains(got, first[0]) || !slices.Contains(got, made[0].ID) {
				t.Errorf("publishes %s", got)
			}
		}
		if g := r.begin(); !strings.Contains(header(t, g.AccessToken), made[0].ID) {
			t.Errorf("still signs with %s", header(t, g.AccessToken))
		}

		time.Sleep(r.opts.Config.AccessToken.TTL)
		for _, s := range []*auth.Service{r.svc, other} {
			if got := kids(t, s); !slices.Equal(got, []string{made[0].ID}) {
				t.Errorf("after the last token has expired it publishes %s", got)
			}
		}
		// A browser that comes back is known all the same, and refreshes.
		if p := r.verify(old.AccessToken, auth.ErrTokenExpired); p.Session != old.Session {
			t.Errorf("recognised as session %q", p.Session)
		}
		r.verify(r.refresh(old.RefreshToken).AccessToken, nil)
	})
}

func TestARepeatAcrossARotationIsByteIdentical(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		other := r.restart()
		follow(t, r.svc)
		follow(t, other)
		g := r.begin()
		second := r.refresh(g.RefreshToken)
		r.rotate(auth.KeyRefresh)
		time.Sleep(3 * time.Second)
		for _, s := range []*auth.Service{r.svc, other, r.restart()} {
			again, err := s.Refresh(t.Context(), g.RefreshToken, home())
			if err != nil || again.RefreshToken != second.RefreshToken {
				t.Errorf("%v: %q is not %q", err, again.RefreshToken, second.RefreshToken)
			}
		}
		// The next one is sealed with the new key, and repeats alike.
		third := r.refresh(second.RefreshToken)
		if strings.Split(third.RefreshToken, ".")[2] != "2" {
			t.Errorf("%q is not of generation 2", third.RefreshToken)
		}
		again, err := other.Refresh(t.Context(), second.RefreshToken, home())
		if err != nil || again.RefreshToken != third.RefreshToken {
			t.Errorf("%v: %q is not %q", err, again.RefreshToken, third.RefreshToken)
		}
	})
}

// An instance whose poll is late meets tokens of a key that it has not read.
func TestALateInstanceReadsTheKeysForATokenThatItDoesNotKnow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		late := r.restart() // and nobody follows
		follow(t, r.svc)
		made := r.rotate()
		time.Sleep(3 * time.Second)
		g := r.begin()
		if !strings.Contains(header(t, g.AccessToken), made[0].ID) {
			t.Fatal("the new key does not sign")
		}
		if _, err := late.Verify(g.AccessToken); err != nil {
			t.Errorf("verify: %v", err)
		}
		r.rotate(auth.KeyRefresh)
		time.Sleep(3 * time.Second)
		g = r.begin()
		if sid, ok := late.RefreshSession(g.RefreshToken); !ok || sid != g.Session {
			t.Error("does not know the refresh token")
		}
		// And it answers the repeat of what it did not know either.
		first := r.begin()
		r.rotate(auth.KeyRefresh)
		time.Sleep(3 * time.Second)
		second := r.refresh(first.RefreshToken)
		again, err := late.Refresh(t.Context(), first.RefreshToken, home())
		if err != nil || again.RefreshToken != second.RefreshToken {
			t.Errorf("%v: %q is not %q", err, again.RefreshToken, second.RefreshToken)
		}
	})
}

// counting is the real store, and how often its keys were read.
type counting struct {
	auth.Store
	reads atomic.Int64
}

func (s *counting) Keys(ctx context.Context) ([]auth.SealedKey, error) {
	s.reads.Add(1)
	return s.Store.Keys(ctx)
}

func TestInventedNamesOfKeysDoNotKeepTheStoreBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		store := &counting{Store: r.store}
		r.opts.Store = store
		svc := r.restart()
		g := r.begin()
		part := strings.Split(g.AccessToken, ".")
		forged := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"invented","typ":"at+jwt"}`)) + "." + part[1] + "." + part[2]
		refresh := strings.Replace(g.RefreshToken, ".1.1.", ".1.99.", 1)
		time.Sleep(time.Hour)
		before := store.reads.Load()
		for range 1000 {
			if _, err := svc.Verify(forged); !errors.Is(err, auth.ErrTokenInvalid) {
				t.Fatalf("verify: %v", err)
			}
			if _, err := svc.Refresh(t.Context(), refresh, home()); !errors.Is(err, auth.ErrRefreshInvalid) {
				t.Fatalf("refresh: %v", err)
			}
		}
		if n := store.reads.Load() - before; n != 1 {
			t.Errorf("the keys were read %d times", n)
		}
		// While they are followed, not at all beyond that.
		follow(t, svc)
		time.Sleep(1200 * time.Millisecond) // two polls, and none at this moment
		before = store.reads.Load()
		for range 1000 {
			_, err := svc.Verify(forged)
			wantError(t, err, auth.ErrTokenInvalid)
		}
		if n := store.reads.Load() - before; n != 0 {
			t.Errorf("the keys were read %d times more", n)
		}
	})
}

// halting is the real store, whose keys take a second to be read while it is
// slow, and longer for who reads first.
type halting struct {
	counting
	clock atomic.Int64 // nanoseconds since 1970
	slow  atomic.Bool
	begun chan struct{} // closed: the first reading is a second old
	free  chan struct{} // closed: it may end
}

func (s *halting) now() time.Time { return time.Unix(0, s.clock.Load()) }

func (s *halting) Keys(ctx context.Context) ([]auth.SealedKey, error) {
	if s.slow.Load() {
		s.clock.Add(int64(time.Second))
		if s.reads.Load() == 0 {
			close(s.begun)
			<-s.free
		}
	}
	return s.counting.Keys(ctx)
}

// While the store is slow, a reading takes longer than keys are fresh for. Those
// who wait behind one must not do the same again one after the other: the
// revocations wait in that queue too.
func TestAStoreThatIsSlowIsNotReadOnceForEachInventedKey(t *testing.T) {
	r := newRig(t)
	store := &halting{counting: counting{Store: r.store}, begun: make(chan struct{}), free: make(chan struct{})}
	store.clock.Store(time.Now().UnixNano())
	r.opts.Store, r.opts.Now = store, store.now
	svc := r.restart()
	part := strings.Split(r.begin().AccessToken, ".")
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"invented","typ":"at+jwt"}`)) + "." + part[1] + "." + part[2]
	store.clock.Add(int64(time.Hour))
	store.reads.Store(0)
	store.slow.Store(true)
	var done sync.WaitGroup
	stranger := func() {
		_, err := svc.Verify(forged)
		wantError(t, err, auth.ErrTokenInvalid)
	}
	const strangers = 50
	done.Go(stranger)
	<-store.begun
	for range strangers {
		done.Go(stranger)
	}
	for inside("auth.(*Service).catchUp(") < 1+strangers { // or they would come one after the other
		runtime.Gosched()
	}
	close(store.free)
	done.Wait()
	if n := store.reads.Load(); n > strangers/5 { // some may have only just come in
		t.Errorf("the keys were read %d times for %d tokens", n, strangers)
	}
}

// inside is how many goroutines are in a function, or in what it calls.
func inside(function string) int {
	var stacks strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
	return strings.Count(stacks.String(), function)
}

func TestTheKeysAreListedWithWhatBecomesOfThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		status := func(want ...string) {
			t.Helper()
			keys, err := r.svc.Keys(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, k := range keys {
				got = append(got, k.Use+" "+k.Algorithm+" "+k.Status)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		status("sign ES256 current", "refresh HS256 current")
		time.Sleep(time.Minute)
		r.rotate(auth.KeySign)
		status("sign ES256 current", "sign ES256 next", "refresh HS256 current")
		time.Sleep(2 * time.Second)
		status("sign ES256 previous", "sign ES256 current", "refresh HS256 current")
		time.Sleep(time.Hour)
		status("sign ES256 retired", "sign ES256 current", "refresh HS256 current")
		r.rotate(auth.KeyRefresh)
		time.Sleep(time.Hour)
		status("sign ES256 retired", "sign ES256 current", "refresh HS256 previous", "refresh HS256 current")
		r.opts.Config.AccessToken.Algorithm = "EdDSA"
		wantError(t, r.svc.Reconfigure(t.Context(), r.opts.Config), nil)
		status("sign ES256 unused", "sign ES256 unused", "sign EdDSA current", "refresh HS256 previous", "refresh HS256 current")
	})
}

func TestKeysThatNothingLivingNeedsArePruned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *auth.Config) {
			c.AccessToken.TTL, c.RefreshToken.TTL, c.RefreshToken.SessionTTL = time.Minute, 5*time.Minute, 10*time.Minute
		})
		left := func(want int) {
			t.Helper()
			keys, err := r.store.Keys(t.Context())
			if err != nil || len(keys) != want {
				t.Errorf("%d keys, want %d: %v", len(keys), want, err)
			}
		}
		time.Sleep(time.Minute)
		r.rotate()
		for _, wait := range []struct {
			time.Duration
			left int
		}{{time.Minute, 4}, {9*time.Minute + 900*time.Millisecond, 4}, {2 * time.Second, 2}, {time.Hour, 2}} {
			time.Sleep(wait.Duration)
			poll(t, r.svc)
			auth.Prune(t.Context(), r.svc)
			left(wait.left)
		}
		r.verify(r.begin().AccessToken, nil)
		r.svc = r.restart() // and the generations count on
		r.rotate()
		left(4)
	})
}

func TestOnlyUsesThatThereAreAreRotated(t *testing.T) {
	r := newRig(t)
	before := string(r.svc.JWKS())
	_, err := r.svc.RotateKeys(t.Context(), auth.Actor{By: "root"}, auth.KeySign, "master")
	var invalid *auth.InvalidError
	if !errors.As(err, &invalid) || invalid.Fields[0].Field != "use" {
		t.Errorf("got %v", err)
	}
	if keys, err := r.store.Keys(t.Context()); err != nil || len(keys) != 2 || string(r.svc.JWKS()) != before {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = r.svc.RotateKeys(t.Context(), auth.Actor{By: "root"})
	wantError(t, err, auth.ErrUnavailable)
}

func TestAKeyThatDoesNotOpenChangesNothingAndIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		follow(t, r.svc)
		g := r.begin()
		_, err := r.store.AddKey(t.Context(), auth.SealedKey{ID: "planted", Use: "sign:ES256", Generation: 2, Sealed: []byte("by who can write to the store"), Created: time.Now()})
		wantError(t, err, nil)
		time.Sleep(5 * time.Second)
		r.verify(g.AccessToken, nil)
		r.verify(r.begin().AccessToken, nil)
		if err := r.svc.Healthy(); err == nil || !strings.Contains(err.Error(), "planted") {
			t.Errorf("told: %v", err)
		}
		if strings.Contains(string(r.svc.JWKS()), "planted") {
			t.Error("published")
		}
	})
}

// What the command says takes effect within a second, as a revocation does.
func TestANewKeySignsWithinASecond(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		follow(t, r.svc)
		for wait := range 10 {
			time.Sleep(time.Duration(wait) * 70 * time.Millisecond) // wherever between two polls
			made := r.rotate()
			time.Sleep(time.Second)
			if g := r.begin(); !strings.Contains(header(t, g.AccessToken), made[0].ID) || strings.Split(g.RefreshToken, ".")[2] != strconv.FormatInt(made[1].Generation, 10) {
				t.Errorf("%d: not by %s: %s %s", wait, made[0].ID, header(t, g.AccessToken), g.RefreshToken)
			}
		}
	})
}

// Two administrators at once are no accident: whatever either was shown is in
// the store, one of a generation, and the newest comes into use.
func TestRotationsAtOnceLoseNoKey(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	shown := make([][]auth.KeyInfo, 6)
	for i := range shown {
		s := r.restart()
		wg.Go(func() {
			made, err := s.RotateKeys(t.Context(), auth.Actor{By: "root"}, auth.KeySign)
			if err != nil {
				t.Error(err)
			}
			shown[i] = made
		})
	}
	wg.Wait()
	keys, err := r.svc.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	generations := map[int64]bool{}
	for _, k := range keys {
		if k.Use == auth.KeySign && generations[k.Generation] {
			t.Errorf("two keys of generation %d", k.Generation)
		}
		generations[k.Generation] = generations[k.Generation] || k.Use == auth.KeySign
	}
	for _, made := range shown {
		if len(made) != 1 || !slices.ContainsFunc(keys, func(k auth.KeyInfo) bool { return k.ID == made[0].ID }) {
			t.Errorf("shown %+v, which is not in the store", made)
		}
	}
}
