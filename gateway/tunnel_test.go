package gateway

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// side is one of the two that talk through a tunnel. It reads what it is told
// until the end.
type side struct {
	net.Conn
	mu   sync.Mutex // guards the following
	told bytes.Buffer
	gone bool
}

func (s *side) listen() {
	for b := make([]byte, 1<<10); ; {
		n, err := s.Read(b)
		s.mu.Lock()
		s.told.Write(b[:n])
		s.gone = s.gone || err != nil
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// heard is all that it was told, once nothing more comes by itself.
func (s *side) heard() []byte {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told.Bytes())
}

func (s *side) isGone() bool {
	s.heard()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// between makes a tunnel, and copies as httputil.ReverseProxy does, in a bubble
// whose clock moves when all wait.
func between(t *testing.T, test func(tn *tunnel, client, upstream *side)) {
	synctest.Test(t, func(t *testing.T) {
		c1, c2 := net.Pipe()
		u1, u2 := net.Pipe()
		client, upstream := &side{Conn: c2}, &side{Conn: u2}
		tn := newTunnel(u1, time.Minute)
		user, back := tn.attach(c1, nil), upstreamEnd{tn}
		var copies sync.WaitGroup
		copies.Go(func() { _, _ = io.Copy(user, back); _ = user.(*clientEnd).CloseWrite() })
		copies.Go(func() { _, _ = io.Copy(back, user); _ = back.CloseWrite() })
		copies.Go(client.listen)
		copies.Go(upstream.listen)
		test(tn, client, upstream)
		_ = user.Close()
		copies.Wait()
	})
}

func says(t *testing.T, who string, s *side, want ...[]byte) {
	t.Helper()
	if got := s.heard(); !bytes.Equal(got, slices.Concat(want...)) {
		t.Errorf("the %s heard %q, want %q", who, got, slices.Concat(want...))
	}
}

// unmasked is a masked frame as its receiver reads it.
func unmasked(t *testing.T, frame []byte) []byte {
	t.Helper()
	if len(frame) < 6 || frame[1]&frameMasked == 0 {
		t.Fatalf("%q is not masked", frame)
	}
	plain := []byte{frame[0], frame[1] &^ frameMasked}
	for i, c := range frame[6:] {
		plain = append(plain, c^frame[2+i%maskLength])
	}
	return plain
}

func TestAWebSocketIsEndedWithACloseFrameToBothSides(t *testing.T) {
	between(t, func(tn *tunnel, client, upstream *side) {
		began := time.Now()
		hello := frame(0x81, 5, false)
		write(t, upstream, string(hello))
		client.heard()
		tn.end(closingDown)
		tn.end(closingSession) // the first reason counts
		says(t, "client", client, hello, closeFrame(closingDown, false))
		if got := unmasked(t, upstream.heard()); !bytes.Equal(got, closeFrame(closingDown, false)) {
			t.Errorf("the upstream heard %q", got)
		}
		write(t, upstream, string(frame(0x82, 9, false))) // too late
		write(t, client, string(frame(0x82, 9, true)))
		write(t, client, string(frame(0x88, 2, true)))
		if client.isGone() {
			t.Error("the upstream is not waited for")
		}
		write(t, upstream, string(frame(0x88, 2, false)))
		if !client.isGone() || !upstream.isGone() || time.Since(began) > 0 {
			t.Error("both have said goodbye, and are still connected")
		}
		says(t, "client", client, hello, closeFrame(closingDown, false))
	})
}

func TestAFrameThatIsOnItsWayComesToItsEndWhenTheGatewayStops(t *testing.T) {
	between(t, func(tn *tunnel, client, upstream *side) {
		long := frame(0x82, 300, false)
		write(t, upstream, string(long[:200]))
		client.heard()
		tn.end(closingDown)
		says(t, "client", client, long[:200])
		write(t, upstream, string(slices.Concat(long[200:], frame(0x81, 5, false))))
		says(t, "client", client, long, closeFrame(closingDown, false))
	})
}

func TestNothingMoreIsCarriedAfterASession(t *testing.T) {
	between(t, func(tn *tunnel, client, upstream *side) {
		long := frame(0x82, 300, true)
		write(t, client, string(long[:200]))
		upstream.heard()
		tn.end(closingSession)
		says(t, "client", client, closeFrame(closingSession, false))
		write(t, client, string(slices.Concat(long[200:], frame(0x88, 2, true))))
		says(t, "upstream", upstream, long[:200])
		if !client.isGone() || !upstream.isGone() {
			t.Error("the client has said goodbye, and is still connected")
		}
	})
	between(t, func(tn *tunnel, client, upstream *side) {
		long := frame(0x82, 300, false)
		write(t, upstream, string(long[:200]))
		client.heard()
		tn.end(closingSession)
		if !client.isGone() || !upstream.isGone() {
			t.Error("a client in the middle of a frame is still connected")
		}
		says(t, "client", client, long[:200])
	})
}

func TestWhoDoesNotSayGoodbyeIsCutOff(t *testing.T) {
	between(t, func(tn *tunnel, client, upstream *side) {
		tn.end(closingDown)
		client.heard()
		time.Sleep(farewell - time.Millisecond)
		if client.isGone() {
			t.Error("cut off before the time")
		}
		time.Sleep(time.Millisecond)
		if !client.isGone() || !upstream.isGone() {
			t.Error("still connected")
		}
	})
}

func TestWhoHasSaidGoodbyeIsNotToldSo(t *testing.T) {
	between(t, func(tn *tunnel, client, upstream *side) {
		bye := frame(0x88, 2, false)
		write(t, upstream, string(bye))
		client.heard()
		tn.end(closingDown)
		says(t, "client", client, bye)
		if upstream.heard() == nil {
			t.Error("the upstream has no answer")
		}
	})
}

func TestNoFrameComesBeforeTheHandshakeIsOver(t *testing.T) {
	c1, c2 := net.Pipe()
	u1, u2 := net.Pipe()
	defer c2.Close()
	defer u2.Close()
	tn := newTunnel(u1, time.Minute)
	user := tn.attach(c1, nil)
	tn.end(closingDown) // would block on the pipes if it wrote
	heard := make(chan []byte, 1)
	go func() {
		_, _ = io.CopyN(io.Discard, u2, int64(len(closeFrame(closingDown, true))))
	}()
	go func() {
		b := make([]byte, len(closeFrame(closingDown, false)))
		_, _ = io.ReadFull(c2, b)
		heard <- b
		_, _ = c2.Write(frame(0x88, 2, true))
	}()
	if _, err := user.Read(make([]byte, 64)); err != nil {
		t.Error(err)
	}
	if got := <-heard; !bytes.Equal(got, closeFrame(closingDown, false)) {
		t.Errorf("the client heard %q", got)
	}
	_ = user.Close()
}

func TestAClientThatTakesNothingIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c1, c2 := net.Pipe() // nobody reads from c2
		u1, u2 := net.Pipe()
		tn := newTunnel(u1, time.Minute)
		user, began := tn.attach(c1, nil), time.Now()
		go func() { _, _ = u2.Write(frame(0x81, 5, false)) }()
		if _, err := io.Copy(user, upstreamEnd{tn}); err == nil || !tn.stalled.Load() || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v, stalled %v", time.Since(began), err, tn.stalled.Load())
		}
		_ = user.Close()
		_, _ = c2.Close(), u2.Close()
	})
}

func TestAClosedSideKeepsNoTunnelOpen(t *testing.T) {
	between(t, func(_ *tunnel, client, upstream *side) {
		began := time.Now()
		_ = upstream.Close()
		for !client.isGone() {
			time.Sleep(time.Second)
		}
		if time.Since(began) != time.Minute {
			t.Errorf("the client was let go after %v", time.Since(began))
		}
	})
}

func TestAClientThatComesTooLateIsClosed(t *testing.T) {
	c1, c2 := net.Pipe()
	u1, u2 := net.Pipe()
	defer u2.Close()
	tn := newTunnel(u1, time.Minute)
	tn.tear()
	tn.tearAfter(time.Hour) // nothing is left to do
	tn.attach(c1, nil)
	if _, err := c2.Read(make([]byte, 1)); err == nil || tn.limit != nil {
		t.Error("the client is connected to nobody")
	}
}

// Else one who opens many WebSockets and reads from none could hold up the
// revocation of everybody else's sessions.
func TestEndingOneThatTakesNothingHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c1, c2 := net.Pipe() // nobody reads at either end
		u1, u2 := net.Pipe()
		tn := newTunnel(u1, time.Minute)
		user := tn.attach(c1, nil)
		tn.begin()
		began := time.Now()
		tn.end(closingSession)
		if took := time.Since(began); took > 0 {
			t.Errorf("whoever ends it waited %v", took)
		}
		if n, err := user.Write(frame(0x81, 5, false)); err != nil || n != 7 || tn.down.carried() != 0 {
			t.Errorf("%d bytes, %v, were carried after the session", n, err)
		}
		time.Sleep(farewell)
		synctest.Wait()
		if _, err := c2.Write([]byte{0}); err == nil {
			t.Error("the client is still connected")
		}
		_ = u2.Close()
	})
}
