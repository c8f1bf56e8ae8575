package auth

import "context"

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
