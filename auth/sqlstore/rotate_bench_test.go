package sqlstore

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// BenchmarkRotate compares group commit with one transaction for each write,
// for 1, 16 and 64 sessions that rotate at the same time.
func BenchmarkRotate(b *testing.B) {
	for _, mode := range []struct {
		name  string
		limit int
	}{{"each", 1}, {"group", groupLimit}} {
		for _, workers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/workers=%d", mode.name, workers), func(b *testing.B) {
				s, err := Open(context.Background(), filepath.Join(b.TempDir(), "postern.db"))
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				s.group.limit = mode.limit
				benchmarkRotate(b, s, workers)
			})
		}
	}
}

// benchmarkRotate shares b.N rotations among the workers, each with a session
// of its own.
func benchmarkRotate(b *testing.B, s *Store, workers int) {
	now := time.Now()
	if err := s.CreateAccount(context.Background(), auth.Account{ID: "a", Username: "alice", Roles: []string{"user"}}); err != nil {
		b.Fatal(err)
	}
	for w := range workers {
		if _, err := s.CreateSession(context.Background(), auth.Session{ID: fmt.Sprint(w), AccountID: "a", Counter: 1, Floor: 1, Rotated: now, Created: now}); err != nil {
			b.Fatal(err)
		}
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ResetTimer()
	for w := range workers {
		all.Go(func() {
			for counter := int64(1); left.Add(-1) >= 0; counter++ {
				got, err := s.RotateSession(context.Background(), auth.Rotation{
					Session: fmt.Sprint(w), Presented: counter, Grace: 30 * time.Second, IdleLimit: time.Hour, AgeLimit: time.Hour,
				})
				if err != nil || !got.Swapped {
					b.Errorf("worker %d, counter %d: %v", w, counter, err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rotations/s")
}
