package lean

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server answers the plain requests of connections that an http.Server serves,
// while that one waits for the next request; see ServerConn. Its fields are set
// before the first connection.
type Server struct {
	// Handler answers the requests.
	Handler http.Handler

	// IdleTimeout is how long a connection may wait for the next request after
	// one that was answered here: what the http.Server has.
	IdleTimeout time.Duration

	// Off tells whether requests are to be left to the http.Server. Nil: they
	// are not.
	Off func() bool

	watchAfter time.Duration // zero: the constant, for which tests cannot wait

	rooms sync.Pool // of *room
	clock atomic.Pointer[second]

	mu    sync.Mutex // guards the following
	held  map[*ServerConn]struct{}
	freed chan struct{} // closed when none is held any more; nil: nobody waits
}

// Conn makes a connection one whose plain requests are answered here.
func (s *Server) Conn(c net.Conn) *ServerConn {
	sc := &ServerConn{Conn: c, s: s}
	sc.watch.ended.L = &sc.watch.mu
	return sc
}

// second is a second of time, as the Date of an answer has it.
type second struct {
	unix int64
	date string
}

// date is the Date of an answer. It is written once a second, for all of them.
func (s *Server) date(now time.Time) string {
	if last := s.clock.Load(); last != nil && last.unix == now.Unix() {
		return last.date
	}
	date := now.UTC().Format(http.TimeFormat)
	s.clock.Store(&second{now.Unix(), date})
	return date
}

// Shutdown waits for the answers under way on connections that the http.Server
// has closed, which it takes for idle. So it comes after that one's Shutdown. When
// ctx ends first these are cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	freed := make(chan struct{})
	if len(s.held) == 0 {
		close(freed)
	} else {
		s.freed = freed
	}
	s.mu.Unlock()
	select {
	case <-freed:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := ctx.Err()
	for c := range s.held {
		err = errors.Join(err, c.cut())
	}
	return err
}

// hold keeps a connection in mind that is to be closed when its answer has ended.
func (s *Server) hold(c *ServerConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = make(map[*ServerConn]struct{})
	}
	s.held[c] = struct{}{}
}

// free lets go of one that was held.
func (s *Server) free(c *ServerConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, c)
	if len(s.held) == 0 && s.freed != nil {
		close(s.freed)
		s.freed = nil
	}
}
