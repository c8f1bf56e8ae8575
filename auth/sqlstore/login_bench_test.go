package sqlstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// BenchmarkLogin is what a login costs in the store, beside its hash: what is asked
// before, and the session. With TMPDIR=/dev/shm the disk is not in it.
func BenchmarkLogin(b *testing.B) {
	ctx := context.Background()
	s := openNew(b)
	if err := s.CreateAccount(ctx, auth.Account{ID: "a", Username: "alice", Roles: []string{"user"}, PasswordHash: "hash"}); err != nil {
		b.Fatal(err)
	}
	guess := auth.Guess{Name: "digest", Network: "192.0.2.7", Account: "a"}
	if err := s.RememberLogin(ctx, guess); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if _, err := s.FindAccount(ctx, "alice"); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Failures(ctx, guess); err != nil {
			b.Fatal(err)
		}
		now := time.Now()
		if _, err := s.CreateSession(ctx, auth.Session{ID: fmt.Sprint(n), AccountID: "a", Counter: 1, Floor: 1, Rotated: now, Created: now}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCountFailure is what a wrong password costs in the store.
func BenchmarkCountFailure(b *testing.B) {
	ctx := context.Background()
	s := openNew(b)
	limits := auth.FailureLimits{Pair: 1 << 30, Network: 1 << 30, Name: 1 << 30, Window: time.Hour, Duration: time.Hour}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.CountFailure(ctx, auth.Guess{Name: "digest", Network: "192.0.2.7"}, limits); err != nil {
			b.Fatal(err)
		}
	}
}
