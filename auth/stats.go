package auth

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Stats are the numbers of a Service, for whoever watches it. Counts are since
// it was made and never fall. The words of each map are a closed list, and all
// of them are there from the start: an alert on the first of something needs
// the zero before it.
type Stats struct {
	Logins        map[string]uint64 // by result; a wrong current password counts as failed
	Refreshes     map[string]uint64 // by result
	Registrations map[string]uint64 // by result
	Hashing       HashStats
	Tokens        TokenStats
}

// HashStats are of the queue before the password hashes.
type HashStats struct {
	Running, Waiting int64         // now
	Places           int64         // for those that run or wait; one more is refused
	Done, Refused    uint64        // hashes, and those for which there was no place
	Waited           time.Duration // for a turn, all together
}

// TokenStats are of the memory of access tokens that were proven.
type TokenStats struct {
	Hits, Misses uint64
	Kept         int // now
}

// tally counts by the words of a closed list.
type tally struct {
	words []string
	n     []atomic.Uint64
}

// newTally counts from zero. The words are all that will ever be counted, the one
// for faults last.
func newTally(words ...string) tally { return tally{words, make([]atomic.Uint64, len(words))} }

// add counts a word. One that is not on the list is a mistake of this package,
// which its tests find; it counts as the last one, which is for faults.
func (t *tally) add(word string) {
	for i, w := range t.words {
		if w == word || i == len(t.words)-1 {
			t.n[i].Add(1)
			return
		}
	}
}

// read copies the counts, each word's, also those that are still zero: a counter
// that appears with its first event has no rate for it.
func (t *tally) read() map[string]uint64 {
	m := make(map[string]uint64, len(t.words))
	for i, w := range t.words {
		m[w] = t.n[i].Load()
	}
	return m
}

// The results that are counted. Clients are told less: see ErrInvalidCredentials.
const (
	resultSuccess     = "success"
	resultFailed      = "failed"      // a password that is not right, for whatever reason
	resultLocked      = "locked"      // too many failed before, or too many came
	resultBusy        = "busy"        // no place in the queue of password hashes
	resultCanceled    = "canceled"    // the client went
	resultUnavailable = "unavailable" // the store did not answer, or another fault
	resultInvalid     = "invalid"
	resultTaken       = "taken"    // a name that somebody has
	resultRepeated    = "repeated" // within the grace: the same tokens once more
	resultReused      = "reused"   // a copy is about: the session ends by it
	resultEnded       = "ended"    // of a session that was ended so before
	resultExpired     = "expired"
	resultDisabled    = "disabled"
)

// counts are what Stats are read from.
type counts struct {
	logins, refreshes, registrations tally
	hashing                          hashCounts
}

// newCounts lists what logins, refreshes and registrations can come to. The
// metrics' help texts and the docs name the same words.
func newCounts() *counts {
	return &counts{
		logins:        newTally(resultSuccess, resultFailed, resultLocked, resultBusy, resultCanceled, resultUnavailable),
		refreshes:     newTally(resultSuccess, resultRepeated, resultReused, resultEnded, resultExpired, resultInvalid, resultDisabled, resultCanceled, resultUnavailable),
		registrations: newTally(resultSuccess, resultTaken, resultInvalid, resultLocked, resultBusy, resultCanceled, resultUnavailable),
	}
}

// Stats reads the numbers. It asks no store.
func (s *Service) Stats() Stats {
	st := s.current.Load()
	return Stats{
		Logins: s.counts.logins.read(), Refreshes: s.counts.refreshes.read(), Registrations: s.counts.registrations.read(),
		Hashing: s.counts.hashing.read(st.hasher.gate.limit),
		Tokens:  st.cache.stats(),
	}
}

// resultOf is the word for an error of a login or a registration.
func resultOf(err error) string {
	var locked *LockedError
	var busy *BusyError
	var invalid *InvalidError
	var taken *ConflictError
	switch {
	case err == nil:
		return resultSuccess
	case errors.Is(err, ErrInvalidCredentials):
		return resultFailed
	case errors.As(err, &locked):
		return resultLocked
	case errors.As(err, &busy):
		return resultBusy
	case errors.As(err, &invalid):
		return resultInvalid
	case errors.As(err, &taken):
		return resultTaken
	case errors.Is(err, context.Canceled):
		return resultCanceled
	}
	return resultUnavailable
}

// refreshResult is the word for what a refresh came to.
func refreshResult(outcome refreshOutcome, err error) string {
	known := err == nil || errors.Is(err, ErrRefreshInvalid) || errors.Is(err, ErrRefreshExpired) || errors.Is(err, ErrRefreshReused)
	if !known {
		return resultOf(err)
	}
	switch outcome {
	case refreshRotated:
		return resultSuccess
	case refreshRepeated:
		return resultRepeated
	case refreshReused:
		return resultReused
	case refreshEnded:
		return resultEnded
	case refreshExpired:
		return resultExpired
	case refreshDisabled:
		return resultDisabled
	}
	return resultInvalid
}

// hashCounts are what happens at the gate, whichever gate a reload has put up.
type hashCounts struct {
	running, waiting atomic.Int64
	done, refused    atomic.Uint64
	waited           atomic.Int64 // nanoseconds
}

// read copies the numbers one by one: together they are near one moment, not at
// it.
func (c *hashCounts) read(places int64) HashStats {
	return HashStats{
		Running: c.running.Load(), Waiting: c.waiting.Load(), Places: places,
		Done: c.done.Load(), Refused: c.refused.Load(), Waited: time.Duration(c.waited.Load()),
	}
}
