package auth

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheGateLetsFewInAndQueuesFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Password{MaxConcurrent: 2, MemoryBudget: 256 << 20}, argonMemory, new(hashCounts))
		var inside, most atomic.Int64
		results := make(chan error, 200)
		for range 200 {
			go func() {
				leave, err := g.enter(t.Context(), argonMemory)
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
		g := newGate(Password{MaxConcurrent: test.concurrent, MemoryBudget: test.budget}, argonMemory, new(hashCounts))
		if g.total/g.unit != test.want {
			t.Errorf("%d at once within %s: %d", test.concurrent, test.budget, g.total/g.unit)
		}
	}
	// A hash of three slots' memory takes three of four places.
	g := newGate(Password{MaxConcurrent: 4, MemoryBudget: 256 << 20}, argonMemory, new(hashCounts))
	leave, err := g.enter(t.Context(), 3*argonMemory)
	if err != nil || !g.slots.TryAcquire(g.unit) || g.slots.TryAcquire(g.unit) {
		t.Error("weighed wrongly", err)
	}
	leave()
}
