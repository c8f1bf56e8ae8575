package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

const (
	attempts      = 5   // of the default configuration
	networkLimit  = 50  // ten times as many
	nameLimit     = 500 // a hundred times
	lockDuration  = 15 * time.Minute
	failureWindow = 10 * time.Minute
)

// guess is an attempt with a wrong password, at an account or at a name.
func (r *rig) guess(account, name, from string) error {
	r.t.Helper()
	try, err := auth.BeginTry(r.t.Context(), r.svc, account, name, address(from))
	if err != nil {
		return err
	}
	if err := try.Failed(r.t.Context()); err != nil {
		r.t.Fatalf("count a failure: %v", err)
	}
	return nil
}

// succeed is an attempt at an account with the right password.
func (r *rig) succeed(account, from string) error {
	r.t.Helper()
	try, err := auth.BeginTry(r.t.Context(), r.svc, account, "", address(from))
	if err != nil {
		return err
	}
	return try.Succeeded(r.t.Context())
}

// address is a text's address; "" is none.
func address(text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(text)
}

// host is the i-th of many addresses.
func host(i int) string {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String()
}

// wantLock fails the test unless err is a lock of that length.
func wantLock(t *testing.T, err error, length time.Duration) {
	t.Helper()
	var l *auth.LockedError
	if !errors.As(err, &l) || l.RetryAfter != length {
		t.Errorf("got %v (%+v), want a lock of %s", err, l, length)
	}
}

func TestLG06SprayingOnePasswordOverManyNamesIsStopped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		compared := 0
		for i := range 2 * networkLimit {
			if r.guess("", fmt.Sprintf("user%d", i), "203.0.113.9") == nil {
				compared++
			}
		}
		if compared != networkLimit {
			t.Errorf("%d names were tried", compared)
		}
		wantLock(t, r.guess("", "user7", "203.0.113.9"), lockDuration)
		wantError(t, r.guess("", "user7", "203.0.113.10"), nil)
	})
}

// Distributed guessing: a hundred hosts, each well below its own limit.
func TestAnAccountThatManyHostsGuessAtIsSlowedToStrangersAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		const home, office = "192.0.2.7", "198.51.100.20"
		wantError(t, r.succeed(r.alice.ID, home), nil)
		compared := 0
		for i := range nameLimit + 100 {
			if r.guess(r.alice.ID, "", host(i)) == nil {
				compared++
			}
		}
		if compared != nameLimit {
			t.Errorf("%d guesses were compared", compared)
		}
		wantLock(t, r.guess(r.alice.ID, "", office), lockDuration)
		for range attempts - 1 {
			wantError(t, r.guess(r.alice.ID, "", home), nil) // she mistypes
		}
		wantError(t, r.succeed(r.alice.ID, home), nil)
		wantError(t, r.succeed(r.root.ID, office), nil)
		time.Sleep(lockDuration)
		wantError(t, r.succeed(r.alice.ID, office), nil)
	})
}

func TestANetworkThatIsLockedIsOpenToWhoIsKnownThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		const office = "203.0.113.9"
		wantError(t, r.succeed(r.alice.ID, office), nil)
		for i := range networkLimit {
			wantError(t, r.guess("", fmt.Sprintf("user%d", i), office), nil)
		}
		wantLock(t, r.succeed(r.root.ID, office), lockDuration)
		for range attempts - 1 {
			wantError(t, r.guess(r.alice.ID, "", office), nil)
		}
		wantError(t, r.succeed(r.alice.ID, office), nil)
		// Known is not free: the limit of the two together holds there as well.
		for range attempts {
			wantError(t, r.guess(r.alice.ID, "", office), nil)
		}
		wantLock(t, r.succeed(r.alice.ID, office), lockDuration)
	})
}

func TestAGoodHistoryIsOfOneAccountAndOneNetworkAndEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		const office = "2001:db8:0:7::1"
		wantError(t, r.succeed(r.alice.ID, office), nil)
		spray := func() {
			for i := range networkLimit {
				_ = r.guess("", fmt.Sprintf("user%d", i), "2001:db8:0:7::9")
			}
		}
		spray()
		wantError(t, r.succeed(r.alice.ID, "2001:db8:0:7:ffff::2"), nil) // the same /64
		wantLock(t, r.succeed(r.root.ID, office), lockDuration)
		time.Sleep(auth.KnownFor - time.Hour)
		spray()
		wantError(t, r.succeed(r.alice.ID, office), nil) // and known for as long again
		time.Sleep(auth.KnownFor)
		spray()
		wantLock(t, r.succeed(r.alice.ID, office), lockDuration)
	})
}

// Whoever fails does not become known, and who is known elsewhere is a stranger
// here.
func TestNobodyBecomesKnownByGuessing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		wantError(t, r.succeed(r.alice.ID, "192.0.2.7"), nil)
		for i := range networkLimit {
			wantError(t, r.guess(r.alice.ID, fmt.Sprint(i), host(i/4)), nil)
			wantError(t, r.guess("", fmt.Sprint("user", i), "203.0.113.9"), nil)
		}
		wantLock(t, r.guess(r.alice.ID, "", "203.0.113.9"), lockDuration)
	})
}

func TestAddressesCountAsTheirNetwork(t *testing.T) {
	r := newRig(t)
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8::1", "2001:db8::ffff", true},
		{"2001:db8:0:0:1::1", "2001:db8::1", true},
		{"2001:db8:0:1::1", "2001:db8::1", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"", "192.0.2.1", false},
	} {
		a, b := auth.GuessAt(r.svc, "", "x", address(test.a)), auth.GuessAt(r.svc, "", "x", address(test.b))
		if (a == b) != test.same || a.Network == "" {
			t.Errorf("%s is %q and %s is %q", test.a, a.Network, test.b, b.Network)
		}
	}
}

func TestWithoutAnAddressOnlyTheNameCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		wantError(t, r.succeed(r.root.ID, ""), nil)
		for i := range networkLimit + 1 {
			wantError(t, r.guess("", fmt.Sprintf("user%d", i), ""), nil)
		}
		for range attempts {
			wantError(t, r.guess(r.root.ID, "", ""), nil)
		}
		wantLock(t, r.guess(r.root.ID, "", ""), lockDuration)
		if found, err := r.store.Failures(t.Context(), auth.GuessAt(r.svc, r.root.ID, "", address(""))); err != nil || !found.Known.IsZero() {
			t.Errorf("%+v, %v: no address is an address", found, err)
		}
	})
}

func TestFailuresOutsideTheWindowDoNotAdd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		for range 4 * attempts {
			wantError(t, r.guess(r.alice.ID, "", "203.0.113.9"), nil)
			time.Sleep(failureWindow / (attempts - 1))
		}
	})
}

// The network keeps its failures when one of its names succeeds: an attacker
// with an account of his own must not be able to clear them.
func TestASuccessDoesNotClearTheNetwork(t *testing.T) {
	r := newRig(t)
	failures := 0
	for i := range 2 * networkLimit {
		if r.succeed(r.root.ID, "203.0.113.9") != nil {
			t.Fatal("who is known is shut out")
		}
		if r.guess("", fmt.Sprintf("user%d", i), "203.0.113.9") == nil {
			failures++
		}
	}
	if failures != networkLimit {
		t.Errorf("%d failures", failures)
	}
}

func TestAnAttemptThatComparedNothingDoesNotCount(t *testing.T) {
	r := newRig(t)
	for range 100 {
		try, err := auth.BeginTry(t.Context(), r.svc, r.alice.ID, "", address("203.0.113.9"))
		if err != nil {
			t.Fatal(err)
		}
		try.Cancelled()
	}
	if n := auth.Flying(r.svc); n != 0 {
		t.Errorf("%d things have attempts under way", n)
	}
}

// Attempts under way fill the limit and give it back, whichever way they end.
func TestAttemptsUnderWayFillTheLimitAndGiveItBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		for range 3 {
			var under []auth.Try
			for range attempts {
				try, err := auth.BeginTry(t.Context(), r.svc, r.alice.ID, "", address("203.0.113.9"))
				if err != nil {
					t.Fatal(err)
				}
				under = append(under, try)
			}
			wantLock(t, r.guess(r.alice.ID, "", "203.0.113.9"), time.Second)
			wantError(t, under[0].Succeeded(t.Context()), nil)
			wantError(t, under[1].Failed(t.Context()), nil)
			for _, try := range under[2:] {
				try.Cancelled()
			}
			wantError(t, r.succeed(r.alice.ID, "203.0.113.9"), nil)
		}
		if n := auth.Flying(r.svc); n != 0 {
			t.Errorf("%d things have attempts under way", n)
		}
	})
}

// LG-05: the counters outlast a restart, and every instance reads them.
func TestALockOutlastsARestartAndHoldsOnEveryInstance(t *testing.T) {
	r := newRig(t)
	other := openStore(t, r.path)
	opts := r.opts
	opts.Store = other
	elsewhere, err := auth.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range attempts {
		svc := r.svc
		if i%2 == 1 {
			svc = elsewhere
		}
		try, err := auth.BeginTry(t.Context(), svc, r.alice.ID, "", address("203.0.113.9"))
		wantError(t, err, nil)
		wantError(t, try.Failed(t.Context()), nil)
	}
	for name, svc := range map[string]*auth.Service{"here": r.svc, "elsewhere": elsewhere, "restarted": r.restart()} {
		if _, err := auth.BeginTry(t.Context(), svc, r.alice.ID, "", address("203.0.113.9")); !locked(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// brittle is a store whose counting fails, or is slow.
type brittle struct {
	auth.Store
	failures func() error
	count    func() error
	remember func() error
}

func (s brittle) Failures(ctx context.Context, g auth.Guess) (auth.Failures, error) {
	if err := s.failures(); err != nil {
		return auth.Failures{}, err
	}
	return s.Store.Failures(ctx, g)
}

func (s brittle) CountFailure(ctx context.Context, g auth.Guess, l auth.FailureLimits) error {
	if err := s.count(); err != nil {
		return err
	}
	return s.Store.CountFailure(ctx, g, l)
}

func (s brittle) RememberLogin(ctx context.Context, g auth.Guess) error {
	if err := s.remember(); err != nil {
		return err
	}
	return s.Store.RememberLogin(ctx, g)
}

// A disk that is full takes no failures: then nobody may learn whether a guess
// was right. It is neither a lock nor a wrong password, and it leaves nothing
// under way.
func TestGuessingIsNotFreeWhileTheStoreTakesNoWrites(t *testing.T) {
	full, fine := func() error { return auth.ErrUnavailable }, func() error { return nil }
	for name, store := range map[string]brittle{
		"no reading": {failures: full, count: fine, remember: fine},
		"no writing": {failures: fine, count: full, remember: full},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			store.Store = r.store
			r.opts.Store = store
			r.svc = r.restart()
			for range 2 * attempts {
				for _, test := range [][2]string{{"alice", "wrong"}, {"alice", password}, {"nobody", "wrong"}} {
					err := r.try(test[0], test[1], "192.0.2.7")
					if !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrInvalidCredentials) || locked(err) {
						t.Errorf("%s: %v", test[0], err)
					}
				}
			}
			if r.told(auth.EventLocked, "alice") || auth.Flying(r.svc) != 0 {
				t.Errorf("an outage locks: %d under way", auth.Flying(r.svc))
			}
		})
	}
}

// Who hangs up once the password was compared has still guessed.
func TestHangingUpDoesNotMakeAGuessFree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		for range attempts {
			ctx, cancel := context.WithCancel(t.Context())
			try, err := auth.BeginTry(ctx, r.svc, r.alice.ID, "", address("203.0.113.9"))
			wantError(t, err, nil)
			cancel()
			wantError(t, try.Failed(ctx), nil)
		}
		wantLock(t, r.guess(r.alice.ID, "", "203.0.113.9"), lockDuration)
	})
}

// The happy path of a login must not wait for the disk more often than it has
// to: it writes the session, and once a day that the network is known.
func TestALoginThatGoesWellCountsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		writes := 0
		fine, noted := func() error { return nil }, func() error { writes++; return nil }
		r.opts.Store = brittle{Store: r.store, failures: fine, count: noted, remember: noted}
		r.svc = r.restart()
		for _, step := range []struct {
			pause time.Duration
			wrong bool
			want  int
		}{{0, false, 1}, {time.Hour, false, 1}, {time.Hour, false, 1}, {0, true, 2}, {0, false, 3}, {0, false, 3}, {23 * time.Hour, false, 3}, {2 * time.Hour, false, 4}} {
			time.Sleep(step.pause)
			if step.wrong {
				wantError(t, r.guess(r.alice.ID, "", "192.0.2.7"), nil)
			} else {
				wantError(t, r.succeed(r.alice.ID, "192.0.2.7"), nil)
			}
			if writes != step.want {
				t.Errorf("%+v: %d writes", step, writes)
			}
		}
	})
}

// People type passwords into the field for the name.
func TestTheCountersDoNotGiveAwayWhatWasTyped(t *testing.T) {
	r := newRig(t)
	const typed = "my secret passphrase"
	wantError(t, r.try(typed, "wrong", "192.0.2.7"), auth.ErrInvalidCredentials)
	mine := auth.GuessAt(r.svc, "", typed, address("192.0.2.7"))
	r.opts.Master = auth.MasterKey{9}
	r.opts.Store = openStore(t, filepath.Join(t.TempDir(), "other.db"))
	if other := auth.GuessAt(r.restart(), "", typed, address("192.0.2.7")); other.Name == mine.Name {
		t.Error("the digest needs no key: a dictionary would undo it")
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), mine.Name) || strings.Contains(string(content), typed) {
		t.Error("the store has to hold the digest and not the text")
	}
}

func TestUnlockTakesEffectOnTheNextLogin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		for i := range nameLimit {
			wantError(t, r.guess(r.alice.ID, "", host(i/attempts)), nil)
		}
		wantLock(t, r.succeed(r.alice.ID, "192.0.2.7"), lockDuration)
		for range attempts {
			wantError(t, r.guess(r.root.ID, "", host(0)), nil)
		}
		if locks, err := r.svc.Locks(t.Context(), r.alice.ID); err != nil || len(locks) != 1+nameLimit/attempts || locks[0].Network != "" || locks[1].Network != host(0) || locks[0].Until.IsZero() {
			t.Errorf("locks %+v, %v", locks, err)
		}
		serving := r.svc
		r.svc = r.restart() // as a command on the same store
		wantError(t, r.svc.Unlock(t.Context(), r.alice.ID, auth.Actor{By: "root"}), nil)
		if !r.told(auth.EventUserUnlocked, "alice") {
			t.Error("the audit log does not know who unlocked whom")
		}
		r.svc = serving
		wantError(t, r.succeed(r.alice.ID, "192.0.2.7"), nil)
		wantError(t, r.succeed(r.alice.ID, host(0)), nil)
		wantLock(t, r.succeed(r.root.ID, host(0)), lockDuration)
		if locks, err := r.svc.Locks(t.Context(), r.alice.ID); err != nil || len(locks) != 0 {
			t.Errorf("locks afterwards: %+v, %v", locks, err)
		}
		wantError(t, r.svc.Unlock(t.Context(), "nobody", auth.Actor{}), auth.ErrNotFound)
	})
}

func TestUnlockingAnAddressUnlocksNoName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		const office = "2001:db8:0:7::1"
		for i := range networkLimit {
			_ = r.guess("", fmt.Sprintf("user%d", i%(networkLimit/attempts)), office)
		}
		wantLock(t, r.succeed(r.alice.ID, office), lockDuration)
		wantError(t, r.svc.UnlockAddress(t.Context(), address("2001:db8:0:7::ff"), auth.Actor{By: "root"}), nil)
		if !r.told(auth.EventUserUnlocked, "") {
			t.Error("the audit log does not know of it")
		}
		wantError(t, r.succeed(r.alice.ID, office), nil)
		wantLock(t, r.guess("", "user0", office), lockDuration)
	})
}

// Between the comparison and the commit a failure must not be nowhere: a burst
// would slip through.
func TestAFailureIsUnderWayUntilItIsInTheStore(t *testing.T) {
	r := newRig(t)
	var meanwhile error
	fine := func() error { return nil }
	r.opts.Store = brittle{Store: r.store, failures: fine, remember: fine, count: func() error {
		_, meanwhile = auth.BeginTry(t.Context(), r.svc, r.alice.ID, "", address("203.0.113.9"))
		return nil
	}}
	plain := r.svc
	for range attempts - 1 {
		wantError(t, r.guess(r.alice.ID, "", "203.0.113.9"), nil)
	}
	r.svc = r.restart()
	wantError(t, r.guess(r.alice.ID, "", "203.0.113.9"), nil)
	wantLock(t, meanwhile, time.Second)
	if _, err := auth.BeginTry(t.Context(), plain, r.alice.ID, "", address("203.0.113.9")); !locked(err) {
		t.Errorf("once it is in the store: %v", err)
	}
}

// A limit that a reload has lowered holds for what was counted before.
func TestALoweredLimitHoldsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		for range attempts - 1 {
			wantError(t, r.guess(r.alice.ID, "", "203.0.113.9"), nil)
		}
		conf := r.opts.Config
		conf.Lockout.Attempts = 2
		wantError(t, r.svc.Reconfigure(t.Context(), conf), nil)
		wantLock(t, r.guess(r.alice.ID, "", "203.0.113.9"), failureWindow)
		time.Sleep(failureWindow)
		wantError(t, r.guess(r.alice.ID, "", "203.0.113.9"), nil)
	})
}

// The documented overrun: each instance counts its own attempts under way, so
// two may compare twice the limit, once.
func TestABurstOverTwoInstancesComparesTheLimitTwiceAtMost(t *testing.T) {
	r := newRig(t)
	opts := r.opts
	opts.Store = openStore(t, r.path)
	other, err := auth.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	var compared atomic.Int32
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range 60 {
		svc := r.svc
		if i%2 == 1 {
			svc = other
		}
		all.Go(func() {
			<-start
			try, err := auth.BeginTry(t.Context(), svc, r.alice.ID, "", address("203.0.113.9"))
			if err != nil {
				return
			}
			compared.Add(1)
			if err := try.Failed(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
	// Who ends while another looks may be seen twice, so fewer are fine too.
	for r.guess(r.alice.ID, "", "203.0.113.9") == nil {
		compared.Add(1)
	}
	if n := compared.Load(); n < attempts || n > 2*attempts {
		t.Errorf("%d guesses were compared", n)
	}
	for _, svc := range []*auth.Service{r.svc, other} {
		if _, err := auth.BeginTry(t.Context(), svc, r.alice.ID, "", address("203.0.113.9")); !locked(err) {
			t.Errorf("afterwards: %v", err)
		}
	}
}
