package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// failurePromises are about counting failed logins. A count that is lost is a
// guess for nothing; one against the wrong thing shuts out somebody else.
func failurePromises() []Promise {
	return []Promise{
		{Name: "a failed login counts against what has a limit and nothing else", Check: checkCount},
		{Name: "what reaches its limit is locked for its duration", Check: checkLock},
		{Name: "what has ended counts for nothing and begins anew", Check: checkEnded},
		{Name: "no failure of many at once is lost", Shared: true, Check: checkCountRace},
		{Name: "a login forgets the failures of the two and makes the network known", Check: checkRemember},
		{Name: "an account has a bounded number of known networks", Check: checkKnownBound},
		{Name: "failures are forgotten by name or by network", Check: checkForget},
	}
}

// The guesses of the checks: at alice and at a name that is nobody's, from two
// networks.
const (
	networkA, networkB = "192.0.2.1", "2001:db8:0:7::/64"
	digestA, digestB   = "digest of alice", "digest of nobody"
)

// limits are far enough away to count without locking.
func limits() auth.FailureLimits {
	return auth.FailureLimits{Pair: 100, Network: 100, Name: 100, Window: time.Hour, Duration: time.Hour}
}

// failures reads what is counted against a guess.
func failures(t testing.TB, s auth.Store, g auth.Guess) auth.Failures {
	t.Helper()
	found, err := s.Failures(context.Background(), g)
	must(t, "read failures", err)
	return found
}

// fail counts a failed login.
func fail(t testing.TB, s auth.Store, g auth.Guess, l auth.FailureLimits) {
	t.Helper()
	must(t, "count a failure", s.CountFailure(context.Background(), g, l))
}

// counts are how many failures there are of the two together, of the network
// and of the name.
type counts [3]int

// counted fails t unless so many failures are counted against a guess.
func counted(t testing.TB, s auth.Store, g auth.Guess, want counts) {
	t.Helper()
	found := failures(t, s, g)
	same(t, "failures of "+g.Name+" from "+g.Network, counts{found.Pair.Failed, found.Network.Failed, found.Name.Failed}, want)
}

// checkCount counts from several sides and looks from each.
func checkCount(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice")
	here, there := auth.Guess{Name: digestA, Network: networkA, Account: a.ID}, auth.Guess{Name: digestA, Network: networkB, Account: a.ID}
	nobody := auth.Guess{Name: digestB, Network: networkA}
	counted(t, s, here, counts{0, 0, 0})
	fail(t, s, here, limits())
	fail(t, s, here, limits())
	fail(t, s, there, limits())
	fail(t, s, nobody, limits())
	for _, limited := range []auth.FailureLimits{{Pair: 100}, {Network: 100}} {
		limited.Window, limited.Duration = time.Hour, time.Hour
		fail(t, s, nobody, limited)
	}
	counted(t, other, here, counts{2, 4, 3})
	counted(t, other, there, counts{1, 1, 3})
	counted(t, other, nobody, counts{2, 4, 1})
	counted(t, other, auth.Guess{Name: digestB, Network: networkB}, counts{0, 1, 1})

	found := failures(t, s, here)
	if left := found.Pair.Ends.Sub(found.Now); left <= 0 || left > time.Hour || found.Pair.Locked || !found.Known.IsZero() {
		t.Errorf("two failures within an hour: %+v", found)
	}
	if d := found.Now.Sub(now()); d.Abs() > time.Minute {
		t.Errorf("the store's clock is off by %s", d)
	}
}

// checkLock counts up to a limit and past it, as instances do that have not
// heard of each other yet.
func checkLock(t testing.TB, s, other auth.Store) {
	g := auth.Guess{Name: digestA, Network: networkA}
	l := limits()
	l.Pair, l.Name, l.Window, l.Duration = 3, 5, time.Minute, time.Hour
	for i := 1; i <= 5; i++ {
		fail(t, s, g, l)
		found := failures(t, other, g)
		same(t, "locked after "+numbered("failure", i), [3]bool{found.Pair.Locked, found.Network.Locked, found.Name.Locked}, [3]bool{i >= 3, false, i >= 5})
		for _, c := range []struct {
			what  string
			tally auth.Tally
		}{{"pair", found.Pair}, {"network", found.Network}, {"name", found.Name}} {
			least, most := time.Duration(0), time.Minute
			if c.tally.Locked {
				least, most = time.Minute, time.Hour
			}
			if left := c.tally.Ends.Sub(found.Now); left <= least || left > most {
				t.Errorf("after %d failures the %s ends in %s: %+v", i, c.what, left, c.tally)
			}
		}
	}
	one := limits()
	one.Pair = 1
	g.Network = networkB
	fail(t, s, g, one)
	same(t, "locked at the first", failures(t, s, g).Pair.Locked, true)
	locks, err := other.Locks(context.Background(), digestA)
	must(t, "list the locks", err)
	var from []string
	for _, lock := range locks {
		from = append(from, lock.Network)
		if left := lock.Until.Sub(now()); left <= 0 || left > time.Hour {
			t.Errorf("a lock of an hour ends in %s", left)
		}
	}
	same(t, "locks", from, []string{"", networkA, networkB})
}

// checkEnded counts in windows, and with locks, that are over at once.
func checkEnded(t testing.TB, s, _ auth.Store) {
	g := auth.Guess{Name: digestA, Network: networkA}
	over := limits()
	over.Window = -time.Minute
	fail(t, s, g, over)
	counted(t, s, g, counts{0, 0, 0})
	fail(t, s, g, limits())
	counted(t, s, g, counts{1, 1, 1})
	lock := limits()
	lock.Pair, lock.Duration = 2, -time.Minute
	fail(t, s, g, lock) // a lock that is over
	counted(t, s, g, counts{0, 2, 2})
	locks, err := s.Locks(context.Background(), digestA)
	must(t, "list the locks", err)
	same(t, "locks that are over", len(locks), 0)
	fail(t, s, g, limits())
	counted(t, s, g, counts{1, 3, 3})
	if failures(t, s, g).Pair.Locked {
		t.Error("what begins anew is locked still")
	}
}

// checkCountRace has many fail at once, at one name from one network.
func checkCountRace(t testing.TB, s, other auth.Store) {
	g := auth.Guess{Name: digestA, Network: networkA}
	race(s, other, func(_ int, s auth.Store) {
		if err := s.CountFailure(context.Background(), g, limits()); err != nil {
			t.Errorf("count: %v", err)
		}
	})
	counted(t, s, g, counts{racers, racers, racers})
}

// checkRemember logs in after failures, from one network of two.
func checkRemember(t testing.TB, s, other auth.Store) {
	a, b := account(t, s, "alice"), account(t, s, "bob")
	here, there := auth.Guess{Name: digestA, Network: networkA, Account: a.ID}, auth.Guess{Name: digestA, Network: networkB, Account: a.ID}
	his := auth.Guess{Name: digestB, Network: networkA, Account: b.ID}
	for _, g := range []auth.Guess{here, there, his} {
		fail(t, s, g, limits())
	}
	must(t, "remember", s.RememberLogin(context.Background(), here))
	must(t, "remember again", s.RememberLogin(context.Background(), here))
	counted(t, other, here, counts{0, 2, 2})
	counted(t, other, there, counts{1, 1, 2})
	counted(t, other, his, counts{1, 2, 1})
	for _, c := range []struct {
		g     auth.Guess
		known bool
	}{{here, true}, {there, false}, {his, false}, {auth.Guess{Name: digestA, Network: networkA}, false}} {
		found := failures(t, other, c.g)
		if !found.Known.IsZero() != c.known || found.Now.Before(found.Known) {
			t.Errorf("%+v is known since %v, want %v", c.g, found.Known, c.known)
		}
	}
	gone := auth.Guess{Name: digestB, Network: networkB, Account: "nobody"}
	must(t, "remember an account that has gone", s.RememberLogin(context.Background(), gone))
	same(t, "known to nobody", failures(t, s, gone).Known.IsZero(), true)
	unknown := auth.Guess{Name: digestA, Network: auth.UnknownNetwork, Account: a.ID}
	must(t, "remember no address", s.RememberLogin(context.Background(), unknown))
	same(t, "no address is known", failures(t, s, unknown).Known.IsZero(), true)
	must(t, "delete", s.DeleteAccount(context.Background(), a.ID, auth.Removal{Until: later()}))
	same(t, "known to a deleted account", failures(t, s, here).Known.IsZero(), true)
}

// checkKnownBound logs in from more networks than are kept. A person on trains
// must not fill the table.
func checkKnownBound(t testing.TB, s, _ auth.Store) {
	a, b := account(t, s, "alice"), account(t, s, "bob")
	at := func(id string, i int) auth.Guess {
		return auth.Guess{Name: digestA, Network: numbered("network", i), Account: id}
	}
	must(t, "remember", s.RememberLogin(context.Background(), at(b.ID, 0)))
	for i := range auth.MaxKnown + 8 {
		must(t, "remember", s.RememberLogin(context.Background(), at(a.ID, i)))
	}
	known := 0
	for i := range auth.MaxKnown + 8 {
		if !failures(t, s, at(a.ID, i)).Known.IsZero() {
			known++
		}
	}
	same(t, "networks that alice is known from", known, auth.MaxKnown)
	same(t, "bob is known", failures(t, s, at(b.ID, 0)).Known.IsZero(), false)
}

// checkForget forgets from each side. An empty name must not be taken for that
// of the counters that have none.
func checkForget(t testing.TB, s, other auth.Store) {
	all := []auth.Guess{{Name: digestA, Network: networkA}, {Name: digestA, Network: networkB}, {Name: digestB, Network: networkA}}
	for _, g := range all {
		fail(t, s, g, limits())
	}
	forget := func(name, network string, want int) {
		t.Helper()
		n, err := other.ForgetFailures(context.Background(), name, network)
		must(t, "forget", err)
		same(t, "things forgotten", n, want)
	}
	forget("", "", 0)
	forget(digestA, "", 3)
	counted(t, s, all[0], counts{0, 2, 0})
	counted(t, s, all[2], counts{1, 2, 1})
	forget("", networkA, 1)
	counted(t, s, all[2], counts{1, 0, 1})
	counted(t, s, all[1], counts{0, 1, 0})
	forget(digestB, networkB, 3)
	for _, g := range all {
		counted(t, s, g, counts{0, 0, 0})
	}
}
