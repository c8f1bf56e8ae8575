package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/auth"
)

// siege is a series of logins at a few accounts from a few networks, and a
// model of what is counted: three maps and a rule.
type siege struct {
	*rapid.T
	clock   *atomic.Int64 // unix milliseconds
	svc     *auth.Service
	run     int // tells the names of one series from those of the others
	hosts   int // that a mob has used so far
	pairs   map[[2]string]tally
	nets    map[string]tally
	names   map[string]tally
	known   map[[2]string]time.Time
	flying  []flying
	account map[string]string // ids by name; others are nobody's
}

// tally is the model of a counter.
type tally struct {
	failed int
	locked bool
	ends   time.Time
}

// flying is an attempt under way, and what was known when it began.
type flying struct {
	try       auth.Try
	name, net string
	known     time.Time
	failed    bool // the two together had failures
}

// The lockout of the siege.
var siegeRules = auth.Lockout{Attempts: 2, Window: 10 * time.Minute, Duration: 15 * time.Minute}

func (s *siege) now() time.Time { return time.UnixMilli(s.clock.Load()).UTC() }

// live is a counter unless its time is over.
func (s *siege) live(t tally) tally {
	if !s.now().Before(t.ends) {
		return tally{}
	}
	return t
}

// fail is the rule of counting: a window from the first failure, a lock from
// the one that reaches the limit.
func (s *siege) fail(t tally, limit int) tally {
	t = s.live(t)
	if t.failed == 0 {
		t.ends = s.now().Add(siegeRules.Window)
	}
	if t.failed++; t.failed >= limit {
		t.locked, t.ends = true, s.now().Add(siegeRules.Duration)
	}
	return t
}

// wait is the rule of refusing.
func (s *siege) wait(t tally, under, limit int) time.Duration {
	switch t = s.live(t); {
	case t.locked:
		return t.ends.Sub(s.now())
	case t.failed+under >= limit:
		return time.Second
	}
	return 0
}

// under counts the attempts under way at a name, from a network, or both; ""
// is any.
func (s *siege) under(name, net string) (n int) {
	for _, f := range s.flying {
		if (name == "" || f.name == name) && (net == "" || f.net == net) {
			n++
		}
	}
	return n
}

// wants is how long the model has an attempt wait.
func (s *siege) wants(name, net string) time.Duration {
	key, limit := [2]string{name, net}, siegeRules.Attempts
	if s.under(name, net) >= limit {
		return time.Second
	}
	wait := s.wait(s.pairs[key], s.under(name, net), limit)
	if s.knows(key).IsZero() {
		wait = max(wait, s.wait(s.nets[net], s.under("", net), 10*limit), s.wait(s.names[name], s.under(name, ""), 100*limit))
	}
	return wait
}

func (s *siege) knows(key [2]string) time.Time {
	if since := s.known[key]; s.now().Sub(since) < auth.KnownFor {
		return since
	}
	return time.Time{}
}

// begin begins an attempt and compares the answer with the model's.
func (s *siege) begin(name, net string) {
	id, key := s.account[name], [2]string{name, net}
	want := s.wants(name, net)
	try, err := auth.BeginTry(context.Background(), s.svc, id, fmt.Sprintf("%s %d", name, s.run), netip.MustParseAddr(net))
	var locked *auth.LockedError
	switch {
	case err == nil && want == 0:
		s.flying = append(s.flying, flying{try, name, net, s.knows(key), s.live(s.pairs[key]).failed > 0})
	case errors.As(err, &locked) && locked.RetryAfter == want:
	default:
		s.Fatalf("%s from %s: got %v (%+v), want a wait of %s", name, net, err, locked, want)
	}
}

// end ends an attempt under way: how is right, wrong, or without a comparison.
func (s *siege) end(i int, how string) {
	f := s.flying[i]
	s.flying = append(s.flying[:i:i], s.flying[i+1:]...)
	key, err := [2]string{f.name, f.net}, error(nil)
	switch how {
	case "right":
		err = f.try.Succeeded(context.Background())
		if f.failed || s.now().Sub(f.known) >= 24*time.Hour || f.known.IsZero() {
			delete(s.pairs, key)
			s.known[key] = s.now()
		}
	case "wrong":
		err = f.try.Failed(context.Background())
		s.count(f)
	default:
		f.try.Cancelled()
	}
	if err != nil {
		s.Fatal(err)
	}
}

// count is what a failed attempt does in the model.
func (s *siege) count(f flying) {
	key := [2]string{f.name, f.net}
	s.pairs[key] = s.fail(s.pairs[key], siegeRules.Attempts)
	s.nets[f.net] = s.fail(s.nets[f.net], 10*siegeRules.Attempts)
	if f.known.IsZero() {
		s.names[f.name] = s.fail(s.names[f.name], 100*siegeRules.Attempts)
	}
}

// mob has ninety new hosts guess at a name once, all at the same moment.
func (s *siege) mob(name string) {
	var all []flying
	for range 90 {
		s.hosts++
		before := len(s.flying)
		s.begin(name, fmt.Sprintf("2001:db8:%x:%x::1", s.run, s.hosts))
		all = append(all, s.flying[before:]...)
	}
	var done sync.WaitGroup
	for _, f := range all {
		done.Go(func() {
			if err := f.try.Failed(context.Background()); err != nil {
				s.Error(err)
			}
		})
	}
	done.Wait()
	s.flying = s.flying[:len(s.flying)-len(all)]
	for _, f := range all {
		s.count(f)
	}
}

// Any interleaving of right, wrong and broken-off logins, pauses, mobs and
// unlocking is refused exactly when the rule says so, for exactly as long.
func TestTheThrottleDoesWhatItsRuleSays(t *testing.T) {
	store, clock := newStoryStore(t)
	conf := auth.DefaultConfig()
	conf.Issuer, conf.Lockout = issuer, siegeRules
	svc, err := auth.New(t.Context(), auth.Options{Store: store, Master: auth.MasterKey{1}, Config: conf, Now: store.Now})
	if err != nil {
		t.Fatal(err)
	}
	run, enough := 0, 30
	if os.Getenv("POSTERN_TEST_SOAK") != "" {
		enough = 1000
	}
	rapid.Check(t, func(rt *rapid.T) {
		if run++; run > enough { // each series waits for the disk some hundred times
			return
		}
		s := &siege{T: rt, clock: clock, svc: svc, run: run, pairs: map[[2]string]tally{}, nets: map[string]tally{},
			names: map[string]tally{}, known: map[[2]string]time.Time{}, account: map[string]string{}}
		for _, name := range []string{"alice", "bob"} {
			a, err := svc.AddAccount(context.Background(), auth.NewAccount{Username: fmt.Sprintf("%s-%d", name, run)}, auth.Actor{})
			if err != nil {
				rt.Fatal(err)
			}
			s.account[name] = a.ID
		}
		// Networks of this series alone, and nothing left under way by one
		// that was broken off.
		s.proceed(rapid.IntRange(8, 20).Draw(rt, "steps"), fmt.Sprintf("10.%d.%d.", run>>8, run&0xff))
		for len(s.flying) > 0 {
			s.end(0, "broken off")
		}
		if n := auth.Flying(svc); n != 0 {
			rt.Fatalf("%d things have attempts under way", n)
		}
	})
}

// proceed takes steps.
func (s *siege) proceed(steps int, prefix string) {
	for i := range steps {
		name := rapid.SampledFrom([]string{"alice", "alice", "bob", "nobody"}).Draw(s.T, fmt.Sprintf("name %d", i))
		net := prefix + rapid.SampledFrom([]string{"1", "1", "2", "3"}).Draw(s.T, fmt.Sprintf("network %d", i))
		switch what := rapid.IntRange(0, 39).Draw(s.T, fmt.Sprintf("what %d", i)); {
		case what == 0:
			s.mob(name)
		case what <= 2: // many names from one network
			for j := range 10 {
				s.whole(fmt.Sprintf("spray %d %d", i, j), net, "wrong")
			}
		case what <= 6:
			s.clock.Add(rapid.Int64Range(0, (20*time.Minute).Milliseconds()).Draw(s.T, fmt.Sprintf("pause %d", i)))
		case what == 7:
			s.clock.Add(rapid.Int64Range(0, (20*24*time.Hour).Milliseconds()).Draw(s.T, fmt.Sprintf("holiday %d", i)))
		case what == 8:
			s.unlock(name)
		case what <= 13:
			s.begin(name, net)
		case what <= 18 && len(s.flying) > 0:
			how := rapid.SampledFrom([]string{"right", "wrong", "broken off"}).Draw(s.T, fmt.Sprintf("end %d", i))
			if n := rapid.IntRange(0, len(s.flying)-1).Draw(s.T, fmt.Sprintf("which %d", i)); how != "right" || s.account[s.flying[n].name] != "" {
				s.end(n, how)
			}
		case what <= 28:
			s.whole(name, net, "wrong")
		case s.account[name] != "":
			s.whole(name, net, "right")
		}
	}
}

// whole is an attempt that begins and ends, unless it is refused.
func (s *siege) whole(name, net, how string) {
	before := len(s.flying)
	s.begin(name, net)
	if len(s.flying) > before {
		s.end(before, how)
	}
}

// unlock is the administrator's.
func (s *siege) unlock(name string) {
	id := s.account[name]
	if id == "" {
		return
	}
	if err := s.svc.Unlock(context.Background(), id, auth.Actor{By: "root"}); err != nil {
		s.Fatal(err)
	}
	delete(s.names, name)
	for key := range s.pairs {
		if key[0] == name {
			delete(s.pairs, key)
		}
	}
}
