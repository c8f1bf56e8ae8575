package auth

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// gate lets few password hashes run at once: more than there are cores make
// all of them slower, all cores starve the traffic, and each takes memory.
type gate struct {
	slots   *semaphore.Weighted // weighed in KiB
	unit    int64               // KiB that one slot is worth
	total   int64
	waiting atomic.Int64
	limit   int64 // of those that wait or run
	counts  *hashCounts
}

// queuePerSlot is how many may wait for each that runs: at some 40 ms for a
// hash about a second and a half, as long as a person waits before trying again.
const queuePerSlot = 32

// newGate makes a gate within a configuration's bounds; a slot is worth so many
// KiB as one of the gateway's own hashes takes.
func newGate(conf Password, memory uint32, counts *hashCounts) *gate {
	unit := int64(memory)
	n := int64(conf.MaxConcurrent)
	if n == 0 {
		n = int64(max(1, runtime.GOMAXPROCS(0)-1))
	}
	n = max(1, min(n, int64(conf.MemoryBudget>>10)/unit))
	return &gate{slots: semaphore.NewWeighted(n * unit), unit: unit, total: n * unit, limit: n * (1 + queuePerSlot), counts: counts}
}

// enter waits for a place, in turn, for a hash that takes so many KiB. One that
// takes more than a slot is worth takes several slots, one that takes more than
// there is runs alone. Without a place in the queue it answers a *BusyError at
// once.
func (g *gate) enter(ctx context.Context, memory uint32) (leave func(), err error) {
	if g.waiting.Add(1) > g.limit {
		g.waiting.Add(-1)
		g.counts.refused.Add(1)
		return nil, &BusyError{RetryAfter: 2 * time.Second}
	}
	weight := min(max(int64(memory), g.unit), g.total)
	if err := g.await(ctx, weight); err != nil {
		g.waiting.Add(-1)
		return nil, fmt.Errorf("wait to hash: %w", err)
	}
	g.counts.running.Add(1)
	return func() {
		g.counts.running.Add(-1)
		g.counts.done.Add(1)
		g.slots.Release(weight)
		g.waiting.Add(-1)
	}, nil
}

// await takes so many KiB of the slots, and counts how long that took.
func (g *gate) await(ctx context.Context, weight int64) error {
	if g.slots.TryAcquire(weight) { // nobody waits: no clock needs to be read
		return nil
	}
	begun := time.Now()
	g.counts.waiting.Add(1)
	defer func() {
		g.counts.waiting.Add(-1)
		g.counts.waited.Add(int64(time.Since(begun)))
	}()
	return g.slots.Acquire(ctx, weight)
}
