package gateway

import (
	"sync/atomic"
	"time"
)

// How long a target that could not be reached is left alone: the first time,
// and at most. The time doubles with each attempt to see whether it is back.
const (
	outAtFirst = time.Second
	outAtMost  = 10 * time.Second
)

// brokenInARow is how many connections may break, without an answer on any
// between them, before a target counts as away: something accepts for it, and
// nobody is behind. One that breaks may as well be the request's fault.
const brokenInARow = 3

// health is how a target has been doing. The requests tell (passive health),
// and where there are health checks these. The zero value is healthy.
//
// A target that cannot be reached is out for a while, and then one request in
// each such while finds out whether it is back. That is all the circuit
// breaking there is: a wider stream flows only after an answer.
type health struct {
	until  atomic.Int64 // when it is tried again, in Unix nanoseconds; zero: it is in
	failed atomic.Int64 // when it failed last; zero: never
	period atomic.Int64 // how long it is out now
	broken atomic.Int64 // connections that broke since the last answer
	sick   atomic.Bool  // the last health check failed
}

// available tells whether a target may be asked at a time.
func (h *health) available(at int64) bool {
	return !h.sick.Load() && h.until.Load() <= at // zero as well
}

// claim takes a target that is available. Of the requests that find it due to
// be tried again only one may, until the next time.
func (h *health) claim(at int64) bool {
	until := h.until.Load()
	if until == 0 {
		return true
	}
	if until > at {
		return false
	}
	period := min(2*h.period.Load(), int64(outAtMost))
	if !h.until.CompareAndSwap(until, at+period) {
		return false
	}
	h.period.Store(period)
	return true
}

// refused notes that no connection could be made, and tells whether the target
// was in until now. Whoever fails while it is out makes it be out no longer:
// many requests that were under way together are one failure.
func (h *health) refused(now time.Time) bool {
	at := now.UnixNano()
	h.failed.Store(at)
	if !h.until.CompareAndSwap(0, at+int64(outAtFirst)) {
		return false
	}
	h.period.Store(int64(outAtFirst))
	return true
}

// broke notes that a connection broke before an answer, and tells whether the
// target is out because of that.
func (h *health) broke(now time.Time) bool {
	return h.broken.Add(1) >= brokenInARow && h.refused(now)
}

// answered notes an answer to what was sent at a time, and tells whether the
// target was out until now. An answer to a request that is older than the last
// failure proves nothing: a program that is stopping answers those it has, and
// takes no more.
func (h *health) answered(sent time.Time) bool {
	if h.broken.Load() != 0 {
		h.broken.Store(0)
	}
	until := h.until.Load()
	if until == 0 || sent.UnixNano() < h.failed.Load() {
		return false
	}
	return h.until.CompareAndSwap(until, 0)
}

// healthy is what the metric says.
func (h *health) healthy() bool { return !h.sick.Load() && h.until.Load() == 0 }

// inherit takes over what the last snapshot knew of the same target: a reload
// heals nobody.
func (h *health) inherit(from *health) {
	h.until.Store(from.until.Load())
	h.failed.Store(from.failed.Load())
	h.period.Store(from.period.Load())
	h.broken.Store(from.broken.Load())
	h.sick.Store(from.sick.Load())
}
