package auth

// ForgetTokens empties the cache of verified tokens, for benchmarks of the
// first sight.
func ForgetTokens(s *Service) {
	st := *s.current.Load()
	st.cache = newTokenCache()
	s.current.Store(&st)
}
