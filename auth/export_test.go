package auth

import (
	"context"
	"net/netip"
	"testing"
)

// ForgetTokens empties the cache of verified tokens, for benchmarks of the
// first sight.
func ForgetTokens(s *Service) {
	st := *s.current.Load()
	st.cache = newTokenCache()
	s.current.Store(&st)
}

// Begin begins a session as Login does once the password is proven, for tests
// that need many sessions and no hash.
func Begin(ctx context.Context, s *Service, a Account, c Client) (Grant, error) {
	return s.begin(ctx, s.current.Load(), a, c)
}

// Decoy is the hash that a password for a name that is nobody's is compared with.
func Decoy(ctx context.Context, s *Service, name string) (string, error) { return s.decoy(ctx, name) }

// Try is one attempt at a password, without the cost of comparing one.
type Try struct {
	attempt *attempt
	account string
}

// BeginTry begins an attempt at an account or, without one, at a name.
func BeginTry(ctx context.Context, s *Service, account, name string, from netip.Addr) (Try, error) {
	a, err := s.throttle.begin(ctx, s.current.Load().config.Lockout, s.throttle.guess(account, name, from))
	return Try{a, account}, err
}

// Failed ends the attempt with a wrong password.
func (t Try) Failed(ctx context.Context) error { return t.attempt.failed(ctx) }

// Succeeded ends the attempt with the right password.
func (t Try) Succeeded(ctx context.Context) error { return t.attempt.succeeded(ctx, t.account) }

// Cancelled ends the attempt without a comparison.
func (t Try) Cancelled() { t.attempt.cancelled() }

// Flying says how many things have attempts under way.
func Flying(s *Service) int {
	s.throttle.mu.Lock()
	defer s.throttle.mu.Unlock()
	return len(s.throttle.flying)
}

// GuessAt is how the store sees an attempt.
func GuessAt(s *Service, account, name string, from netip.Addr) Guess {
	return s.throttle.guess(account, name, from)
}

// SignAccessAsAssertion signs the claims of an access token, as the access
// token that they make, with the key of assertions.
func SignAccessAsAssertion(s *Service, access string) (string, error) {
	_, payload, _, err := jwsParts(access)
	if err != nil {
		return "", err
	}
	return s.current.Load().ring.assert.sign(typeAccess, payload)
}

// OwnSpelling reports whether an access token is read the short way: its header
// is known, and its claims are spelled as the gateway spells them.
func OwnSpelling(s *Service, access string) bool {
	header, payload, _, err := jwsParts(access)
	_, named := s.current.Load().ring.named[string(header)]
	_, own := ownClaims(string(payload))
	return err == nil && named && own
}

// Poll reads the feed and the keys as Follow does twice a second.
func Poll(ctx context.Context, s *Service) error { return s.poll(ctx) }

// Prune has the store forget as Forget does once an hour.
func Prune(ctx context.Context, s *Service) { s.prune(ctx) }

// Queue is a gate with one place.
type Queue struct{ gate *gate }

// OneAtATime makes a Queue whose one place is taken until leave is called.
func OneAtATime(t testing.TB) (leave func(), q Queue) {
	q = Queue{newGate(Password{MaxConcurrent: 1, MemoryBudget: 256 << 20}, argonMemory, new(hashCounts))}
	leave, err := q.gate.enter(t.Context(), argonMemory)
	if err != nil {
		t.Fatal(err)
	}
	return leave, q
}

// Enter waits for a turn.
func (q Queue) Enter(ctx context.Context) error {
	_, err := q.gate.enter(ctx, argonMemory)
	return err
}

// Stats are what was counted.
func (q Queue) Stats() HashStats { return q.gate.counts.read(q.gate.limit) }
