package gateway

import (
	"bytes"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// The lines about peers that speak PROXY protocol and are not trusted: one for
// each of them in strangersEvery, and of no more than maxStrangers of them.
// Anybody can be such a peer.
const (
	strangersEvery = time.Minute
	maxStrangers   = 8
)

// strangers tells in the log who speaks PROXY protocol and is not believed. For
// the operator who forgot to trust a front end nothing else works, and nothing
// else says why: net/http answers 400 by itself, and TLS hangs up.
type strangers struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex // guards the following
	since  time.Time
	told   map[netip.Addr]bool // since then
	untold int                 // connections that no line told of, since the last line
}

// isProxyHeader recognises how a connection of PROXY protocol begins, version 1
// and 2.
func isProxyHeader(b []byte) bool {
	return bytes.HasPrefix(b, []byte("PROXY TCP")) || bytes.HasPrefix(b, []byte("PROXY UNKNOWN")) ||
		bytes.HasPrefix(b, []byte("\r\n\r\n\x00\r\nQUIT\n"))
}

// note tells of a peer; one that is no address is a unix socket's.
func (s *strangers) note(peer netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.told == nil || now.Sub(s.since) >= strangersEvery {
		s.since, s.told = now, map[netip.Addr]bool{}
	}
	if s.told[peer] || len(s.told) >= maxStrangers {
		s.untold++
		return
	}
	s.told[peer] = true
	name := "unix"
	if peer.IsValid() {
		name = peer.String()
	}
	s.log.Warn("PROXY protocol from a peer that is not trusted was refused: if it is a front end of yours, list it under trusted_proxies, else have it send none",
		"peer", name, "more_since_the_last_line", s.untold)
	s.untold = 0
}
