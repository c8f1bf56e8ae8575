package sqlstore

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// flood counts a failure of n names, each from a network of its own, in as few
// commits as a busy machine would.
func flood(t testing.TB, s *Store, n int) {
	t.Helper()
	l := auth.FailureLimits{Pair: 5, Network: 50, Name: 500, Window: time.Hour, Duration: time.Hour}
	const together = 1000
	for from := 0; from < n; from += together {
		err := s.write(context.Background(), func(ctx context.Context, q querier) error {
			for i := from; i < min(from+together, n); i++ {
				g := auth.Guess{Name: fmt.Sprintf("flood %d", i), Network: fmt.Sprintf("network %d", i)}
				if err := s.countFailure(ctx, q, g, l); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// rows counts a table.
func rows(t testing.TB, s *Store, table string) (n int) {
	t.Helper()
	if err := s.readers.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// LG-10. Endless names and addresses take bounded room; and they do not push
// out the counters that hold the attacker back.
func TestLG10AFloodOfNamesTakesBoundedRoomAndUnlocksNothing(t *testing.T) {
	s := openImpatient(t, filepath.Join(t.TempDir(), "postern.db"))
	s.maxFailures = 1000
	ctx, l := context.Background(), auth.FailureLimits{Pair: 5, Network: 50, Name: 500, Window: time.Hour, Duration: time.Hour}
	locked := auth.Guess{Name: "alice", Network: "192.0.2.1"}
	nearly := auth.Guess{Name: "bob", Network: "192.0.2.1"}
	for i := range 9 {
		g := locked
		if i%2 == 1 {
			g = nearly
		}
		if err := s.CountFailure(ctx, g, l); err != nil {
			t.Fatal(err)
		}
	}
	flood(t, s, 5_000) // three counters each
	if n := rows(t, s, "failures"); n > s.maxFailures+3*sweepEvery {
		t.Errorf("%d counters", n)
	}
	if found, err := s.Failures(ctx, locked); err != nil || !found.Pair.Locked || found.Network.Failed != 9 {
		t.Errorf("alice's lock: %+v, %v", found, err)
	}
	if found, err := s.Failures(ctx, nearly); err != nil || found.Pair.Failed != 4 {
		t.Errorf("bob's failures: %+v, %v", found, err)
	}
}

func TestWhatHasEndedLeavesTheTables(t *testing.T) {
	s := openImpatient(t, filepath.Join(t.TempDir(), "postern.db"))
	now := time.Date(2040, 1, 2, 3, 4, 5, 0, time.UTC)
	s.Now = func() time.Time { return now }
	ctx := context.Background()
	if err := s.CreateAccount(ctx, auth.Account{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := s.RememberLogin(ctx, auth.Guess{Name: "a", Network: "192.0.2.1", Account: "a"}); err != nil {
		t.Fatal(err)
	}
	flood(t, s, 10)
	for _, c := range []struct {
		at              time.Duration
		failures, known int
	}{{time.Hour - time.Millisecond, 30, 1}, {time.Hour, 0, 1}, {auth.KnownFor - time.Millisecond, 0, 1}, {auth.KnownFor, 0, 0}} {
		now = time.Date(2040, 1, 2, 3, 4, 5, 0, time.UTC).Add(c.at)
		if err := s.PruneSessions(ctx, time.Time{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if f, k := rows(t, s, "failures"), rows(t, s, "known_networks"); f != c.failures || k != c.known {
			t.Errorf("after %s: %d failures, %d known networks; want %d and %d", c.at, f, k, c.failures, c.known)
		}
	}
}

// The times of a lock and of a good history are the store's own, to the
// millisecond.
func TestALockAndAHistoryEndByTheStoresClock(t *testing.T) {
	s := openImpatient(t, filepath.Join(t.TempDir(), "postern.db"))
	start := time.Date(2040, 1, 2, 3, 4, 5, 0, time.UTC)
	now := start
	s.Now = func() time.Time { return now }
	ctx, g := context.Background(), auth.Guess{Name: "n", Network: "192.0.2.1", Account: "a"}
	if err := s.CreateAccount(ctx, auth.Account{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := s.RememberLogin(ctx, g); err != nil {
		t.Fatal(err)
	}
	if err := s.CountFailure(ctx, g, auth.FailureLimits{Pair: 1, Window: time.Second, Duration: time.Minute}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at            time.Duration
		locked, known bool
	}{{time.Minute - time.Millisecond, true, true}, {time.Minute, false, true}, {auth.KnownFor - time.Millisecond, false, true}, {auth.KnownFor, false, false}} {
		now = start.Add(c.at)
		found, err := s.Failures(ctx, g)
		if err != nil || found.Pair.Locked != c.locked || found.Known.IsZero() == c.known || !found.Now.Equal(now) {
			t.Errorf("after %s: %+v, %v", c.at, found, err)
		}
	}
}

// BenchmarkFailures is what a login pays for being counted: the look before
// the password is compared, and the write after a wrong one. The table is full.
func BenchmarkFailures(b *testing.B) {
	s := openImpatient(b, filepath.Join(b.TempDir(), "postern.db"))
	flood(b, s, 40_000)
	b.Logf("%d rows after 40,000 names and addresses", rows(b, s, "failures"))
	g := auth.Guess{Name: "alice", Network: "192.0.2.1", Account: "a"}
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Failures(context.Background(), g); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("count", func(b *testing.B) {
		l := auth.FailureLimits{Pair: 1 << 30, Network: 1 << 30, Name: 1 << 30, Window: time.Hour, Duration: time.Hour}
		for b.Loop() {
			if err := s.CountFailure(context.Background(), g, l); err != nil {
				b.Fatal(err)
			}
		}
	})
}
