package gateway

import (
	"sync/atomic"
	"time"
)

// maxTargets bounds the urls of an upstream: what a request has tried is a set
// of bits.
const maxTargets = 64

// balancer shares the requests of an upstream out among its targets: to the one
// with the fewest under way, and in turn among equals. A WebSocket or a stream
// is under way for as long as it lasts. With inTurn all count as equals.
type balancer struct {
	targets []*target
	inTurn  bool
	turn    atomic.Uint32
}

// target is one address of an upstream, with its connections and its health.
type target struct {
	serverAddress
	index     int
	transport transport
	busy      atomic.Int64 // requests under way
	health    health
}

// tries is the set of targets that a request was sent to, by index.
type tries uint64

// has tells whether a target is in the set.
func (s tries) has(t *target) bool { return s&(1<<t.index) != 0 }

// with is the set and one more.
func (s tries) with(t *target) tries { return s | 1<<t.index }

// choose picks the target of the next attempt, and counts the request there
// until release. When all that were not tried are out it is the one of them
// that was left alone the longest: an application that may be back is better
// than a certain refusal. It is nil only when all were tried.
func (b *balancer) choose(now time.Time, tried tries) *target {
	at := now.UnixNano()
	for {
		t := b.least(at, tried)
		if t == nil {
			t = b.longestOut(tried)
			if t != nil {
				t.busy.Add(1)
			}
			return t
		}
		if t.health.claim(at) {
			t.busy.Add(1)
			return t
		} // else another request was faster to see whether it is back
	}
}

// release ends what choose began.
func (t *target) release() { t.busy.Add(-1) }

// least is the target with the fewest requests under way among those that are
// not out; in turn, the next of these. The search begins at another one each
// time, so that equals take turns.
func (b *balancer) least(at int64, tried tries) *target {
	var best *target
	var fewest int64
	n := len(b.targets)
	start := b.first(at, tried)
	for i := range n {
		t := b.targets[(start+i)%n]
		if tried.has(t) || !t.health.available(at) {
			continue
		}
		if b.inTurn {
			return t
		}
		if busy := t.busy.Load(); best == nil || busy < fewest {
			best, fewest = t, busy
		}
	}
	return best
}

// first is the index of the target whose turn it is. The turns are of those
// that can be chosen: that of one that is out would always be its neighbour's,
// who would get twice as much as the others.
func (b *balancer) first(at int64, tried tries) int {
	able := uint32(0)
	for _, t := range b.targets {
		if !tried.has(t) && t.health.available(at) {
			able++
		}
	}
	if able < 2 {
		return 0
	}
	left := b.turn.Add(1) % able
	for i, t := range b.targets {
		switch {
		case tried.has(t) || !t.health.available(at):
		case left == 0:
			return i
		default:
			left--
		}
	}
	return 0 // one more is out by now
}

// longestOut is the target whose last failure is the oldest.
func (b *balancer) longestOut(tried tries) *target {
	var oldest *target
	for _, t := range b.targets {
		if !tried.has(t) && (oldest == nil || t.health.failed.Load() < oldest.health.failed.Load()) {
			oldest = t
		}
	}
	return oldest
}
