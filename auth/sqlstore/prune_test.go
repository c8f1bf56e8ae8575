package sqlstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// crowded is a store with a crowd in it.
func crowded(t testing.TB, n int) *Store {
	t.Helper()
	s := openNew(t)
	crowd(t, s, n)
	return s
}

// crowd makes an account with many sessions, of which every second was not used
// for a day, every tenth has ended by itself, and every hundredth was revoked.
func crowd(t testing.TB, s *Store, n int) {
	t.Helper()
	at := s.now()
	a := auth.Account{ID: "crowd", Username: "crowd", Created: at}
	if err := s.CreateAccount(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	err := s.write(t.Context(), func(ctx context.Context, q querier) error {
		_, err := q.ExecContext(ctx, fmt.Sprintf(`WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM g WHERE n < %d)
			INSERT INTO sessions (id, account_id, counter, floor, generation, rotated, auth_time, address, user_agent, created, last_seen, revoked, ends)
			SELECT printf('s%%09d', n), 'crowd', 1, 1, 1, CASE n%%2 WHEN 0 THEN %d ELSE %d END, 1, '', '', %[3]d, 1, n%%100 = 0, CASE n%%10 WHEN 1 THEN 1 ELSE 0 END FROM g`,
			n, millis(at.Add(-24*time.Hour)), millis(at)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The numbers are around those of one slice, and of several.
func TestPruningInSlicesForgetsWhatItShould(t *testing.T) {
	for _, n := range []int{0, 1, pruneSlice - 1, pruneSlice, pruneSlice + 1, 3*pruneSlice + 7} {
		s := crowded(t, n)
		if err := s.PruneSessions(t.Context(), s.now().Add(-time.Hour), time.Time{}); err != nil {
			t.Fatal(err)
		}
		want := 0
		for i := 1; i <= n; i++ {
			if i%2 == 1 && i%10 != 1 {
				want++
			}
		}
		if got, err := s.CountSessions(t.Context()); err != nil || got != want {
			t.Errorf("of %d sessions %d are left, not %d: %v", n, got, want, err)
		}
	}
}

func TestRevokedSessionsAreNotCounted(t *testing.T) {
	s := crowded(t, 1000)
	if n, err := s.CountSessions(t.Context()); err != nil || n != 990 {
		t.Errorf("%d sessions: %v", n, err)
	}
}

// Whoever logs in while a large table is pruned waits for a slice, not for all of it.
func TestOthersWriteWhilePruningGoesOn(t *testing.T) {
	s := crowded(t, 20*pruneSlice)
	count := func() int {
		n, err := s.CountSessions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	all := count()
	done := make(chan error, 1)
	go func() { done <- s.PruneSessions(t.Context(), s.now().Add(-time.Hour), time.Time{}) }()
	for half := 0; ; {
		if err := s.RememberLogin(t.Context(), auth.Guess{Name: "alice", Network: "192.0.2.1"}); err != nil {
			t.Fatal(err)
		}
		if n := count(); half == 0 && n < all {
			half = n
		}
		select {
		case err := <-done:
			if err != nil || half <= count() {
				t.Errorf("nobody else got a turn: %v", err)
			}
			return
		default:
		}
	}
}
