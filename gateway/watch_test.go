package gateway

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// past and future are deadlines: net/http's own to break off what reads, and one
// that no test lives to see.
func past() time.Time   { return time.Unix(1, 0) }
func future() time.Time { return time.Now().Add(time.Hour) }

// socketPair are the two ends of a connection of the system's.
func socketPair(t interface{ Fatal(...any) }, dir string) (near, far net.Conn) {
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if far, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// got is how a read ended.
type got struct {
	text  string
	fault string
}

// gotOf reads.
func gotOf(conn net.Conn, size int) got {
	p := make([]byte, size)
	n, err := conn.Read(p)
	g := got{text: string(p[:n])}
	var timeout net.Error
	switch {
	case err == nil:
	case err == io.EOF:
		g.fault = "the end"
	case errors.Is(err, os.ErrDeadlineExceeded) && errors.As(err, &timeout) && timeout.Timeout():
		g.fault = "too late"
	case errors.Is(err, net.ErrClosed):
		g.fault = "closed"
	default:
		g.fault = err.Error()
	}
	return g
}

// twoConns are a watched connection and a plain one, with which the same is done.
type twoConns struct {
	conns, peers [2]net.Conn
	pending      chan [2]got // of a read; nil: none is under way
	deadline     time.Time
	there        int  // bytes to be read
	over         bool // the peer has closed
	closed       bool
}

// read begins a read on each.
func (c *twoConns) read(size int) {
	c.pending = make(chan [2]got, 1)
	go func(pending chan<- [2]got) {
		var both [2]got
		var reads sync.WaitGroup
		for i, conn := range c.conns {
			reads.Go(func() { both[i] = gotOf(conn, size) })
		}
		reads.Wait()
		pending <- both
	}(c.pending)
}

// settle waits for the read, where something has ended it. A watched one that
// waits is told that it has waited for long enough.
func (c *twoConns) settle(t *rapid.T) {
	ends := c.closed || c.there > 0 || c.over || !c.deadline.IsZero() && c.deadline.Before(time.Now())
	if c.pending == nil || !ends {
		return
	}
	watched := c.conns[0].(*watchedConn)
	for {
		select {
		case both := <-c.pending:
			if both[0] != both[1] {
				t.Fatalf("the watched one read %+v, and the plain one %+v", both[0], both[1])
			}
			c.pending, c.there = nil, c.there-len(both[0].text)
			return
		case <-time.After(time.Millisecond):
			watched.tick()
		}
	}
}

// both does the same with each of two.
func both(conns [2]net.Conn, f func(net.Conn) error) {
	for _, conn := range conns {
		_ = f(conn) // of a closed one: what reads says so
	}
}

// untilOver waits until a deadline has passed for a connection too: the runtime
// finds that out by a timer, which can be later than the clock.
func untilOver(conn net.Conn) error {
	for {
		if _, err := conn.Write(nil); err != nil {
			return err
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// TestAWatchedConnectionReadsAsAPlainOne, whatever is done in whatever order.
func TestAWatchedConnectionReadsAsAPlainOne(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		var c twoConns
		for i := range c.conns {
			c.conns[i], c.peers[i] = socketPair(t, dir)
		}
		c.conns[0] = newWatchedConn(c.conns[0])
		defer both(c.peers, net.Conn.Close)
		setDeadline := func(d time.Time, set func(net.Conn, time.Time) error) {
			c.deadline = d
			both(c.conns, func(conn net.Conn) error { return set(conn, d) })
		}
		t.Repeat(map[string]func(*rapid.T){
			"": c.settle,
			"read": func(t *rapid.T) {
				if c.pending == nil {
					c.read(rapid.IntRange(1, 3).Draw(t, "size"))
				}
			},
			"watch": func(t *rapid.T) {
				if c.pending == nil {
					setDeadline(time.Time{}, net.Conn.SetReadDeadline)
					c.read(1)
				}
			},
			"break off": func(*rapid.T) { setDeadline(past(), net.Conn.SetReadDeadline) },
			"lift":      func(*rapid.T) { setDeadline(time.Time{}, net.Conn.SetReadDeadline) },
			"deadline": func(t *rapid.T) {
				d := rapid.SampledFrom([]time.Time{future(), past(), {}, time.Now().Add(time.Millisecond)}).Draw(t, "deadline")
				setDeadline(d, net.Conn.SetDeadline)
				if !d.IsZero() && d.Before(future().Add(-time.Minute)) {
					both(c.conns, untilOver)
				}
			},
			"time passes": func(*rapid.T) { c.conns[0].(*watchedConn).tick() },
			"the peer writes": func(t *rapid.T) {
				if !c.over && !c.closed {
					text := rapid.StringN(1, 4, 4).Draw(t, "text")
					both(c.peers, func(conn net.Conn) error { _, err := io.WriteString(conn, text); return err })
					c.there += len(text)
				}
			},
			"the peer closes its side": func(*rapid.T) {
				c.over = true
				both(c.peers, func(conn net.Conn) error { return closeWrite(conn) })
			},
			"close": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "whether") == 0 {
					c.closed = true
					both(c.conns, net.Conn.Close)
				}
			},
		})
		c.closed = true
		both(c.conns, net.Conn.Close)
		c.settle(t)
	})
}

// watching is a connection with a read that watches, in one of the ways in which
// one can be met.
func watching(t *testing.T, how string) (c *watchedConn, far net.Conn, read <-chan got) {
	near, far := socketPair(t, t.TempDir())
	c = newWatchedConn(near)
	t.Cleanup(func() { c.Close(); far.Close() })
	must(t, c.SetReadDeadline(time.Time{}))
	result := make(chan got, 1)
	if how == "before it begins" {
		return c, far, result
	}
	go func() { result <- gotOf(c, 1) }()
	eventually(t, "the read to wait", func() bool { return c.is(func() bool { return c.waiting || c.reading > 0 }) })
	if how == "while the system is at it" {
		eventually(t, "the system to be at it", func() bool { c.tick(); return c.is(func() bool { return c.reading > 0 }) })
	}
	return c, far, result
}

// is looks at a connection.
func (c *watchedConn) is(so func() bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return so()
}

// phases are when a read can be broken off.
var phases = []string{"before it begins", "while it waits", "while the system is at it"}

func TestAReadThatWatchesIsBrokenOffAndLeavesNothingBehind(t *testing.T) {
	for _, phase := range phases {
		t.Run(phase, func(t *testing.T) {
			c, far, read := watching(t, phase)
			must(t, c.SetReadDeadline(past()))
			want := got{fault: "too late"}
			if phase == "before it begins" {
				if g := gotOf(c, 1); g != want {
					t.Errorf("read %+v", g)
				}
			} else if g := <-read; g != want {
				t.Errorf("read %+v", g)
			}
			if g := gotOf(c, 1); g != want { // it counts until it is lifted
				t.Errorf("read %+v", g)
			}
			for range 2 { // and once it is, for no other read
				must(t, c.SetReadDeadline(time.Time{}))
				write(t, far, "ab")
				if a, b := gotOf(c, 1), gotOf(c, 1); a != (got{text: "a"}) || b != (got{text: "b"}) {
					t.Errorf("read %+v, then %+v", a, b)
				}
				must(t, c.SetReadDeadline(past()))
			}
		})
	}
}

func TestAReadThatWatchesEndsWithItsConnection(t *testing.T) {
	for _, phase := range phases[1:] {
		for fault, end := range map[string]func(near, far net.Conn){
			"closed":  func(near, _ net.Conn) { near.Close() },
			"the end": func(_, far net.Conn) { far.Close() },
		} {
			t.Run(phase+", "+fault, func(t *testing.T) {
				c, far, read := watching(t, phase)
				end(c, far)
				if g := <-read; g.fault != fault {
					t.Errorf("read %+v", g)
				}
			})
		}
	}
}

// A deadline that is yet to come is one for a read that waits as well.
func TestAReadThatWatchesHeedsADeadlineThatIsSetMeanwhile(t *testing.T) {
	for _, phase := range phases[1:] {
		c, far, read := watching(t, phase)
		must(t, c.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		if g := <-read; g != (got{fault: "too late"}) {
			t.Errorf("%s: read %+v", phase, g)
		}
		must(t, c.SetReadDeadline(future()))
		write(t, far, "x")
		if g := gotOf(c, 8); g != (got{text: "x"}) {
			t.Errorf("%s: read %+v", phase, g)
		}
	}
}

// asked counts the deadlines that the system is given.
type asked struct {
	net.Conn
	deadlines int
}

func (a *asked) SetReadDeadline(t time.Time) error {
	a.deadlines++
	return a.Conn.SetReadDeadline(t)
}

// TestRequestsInARowCostOneDeadline: what net/http sets around each is no news
// to the system.
func TestRequestsInARowCostOneDeadline(t *testing.T) {
	near, far := socketPair(t, t.TempDir())
	defer far.Close()
	counted := &asked{Conn: near}
	c := newWatchedConn(counted)
	defer c.Close()
	for range 10 {
		must(t, c.SetReadDeadline(time.Now().Add(idleTimeout)))
		write(t, far, "request")
		if g := gotOf(c, 100); g.text != "request" {
			t.Fatalf("read %+v", g)
		}
		must(t, c.SetReadDeadline(time.Now().Add(readHeaderTimeout)))
		must(t, c.SetReadDeadline(time.Time{}))
		must(t, c.SetReadDeadline(time.Time{}))
		watch := make(chan got, 1)
		go func() { watch <- gotOf(c, 1) }()
		must(t, c.SetReadDeadline(past()))
		if g := <-watch; g.fault != "too late" {
			t.Fatalf("read %+v", g)
		}
		must(t, c.SetReadDeadline(time.Time{}))
	}
	if counted.deadlines != 1 {
		t.Errorf("%d deadlines", counted.deadlines)
	}
}

// TestNothingIsLostBetweenWatchesAndReads, however they meet what comes: the
// pipelined requests of a client in a hurry.
func TestNothingIsLostBetweenWatchesAndReads(t *testing.T) {
	near, far := socketPair(t, t.TempDir())
	c := newWatchedConn(near)
	defer c.Close()
	sent := make([]byte, 20_000)
	for i := range sent {
		sent[i] = byte(rand.N(256))
	}
	go func() {
		for rest := sent; len(rest) > 0; {
			n, err := far.Write(rest[:min(len(rest), 1+rand.N(20))])
			if err != nil {
				return // the other goroutine tells
			}
			rest = rest[n:]
			time.Sleep(time.Duration(rand.N(3)) * 10 * time.Microsecond) // their order is what is tried
		}
		far.Close()
	}()
	var came []byte
	for over := false; !over; {
		watch := make(chan got, 1)
		must(t, c.SetReadDeadline(time.Time{}))
		go func() { watch <- gotOf(c, 1) }()
		if rand.N(4) == 0 {
			c.tick()
			c.tick()
		}
		time.Sleep(time.Duration(rand.N(3)) * 10 * time.Microsecond)
		must(t, c.SetReadDeadline(past()))
		g := <-watch
		came = append(came, g.text...)
		if g.fault != "" && g.fault != "too late" && g.fault != "the end" {
			t.Fatalf("read %+v", g)
		}
		must(t, c.SetReadDeadline(future()))
		g = gotOf(c, 1+rand.N(20))
		came = append(came, g.text...)
		over = g.fault == "the end"
	}
	if !bytes.Equal(came, sent) {
		t.Errorf("%d bytes came of %d, or others", len(came), len(sent))
	}
}

// An idle connection keeps no timer, and none runs for it.
func TestWhereNothingWaitsNothingTicks(t *testing.T) {
	c, _, read := watching(t, "while it waits")
	must(t, c.SetReadDeadline(past()))
	<-read
	eventually(t, "the ticks to end", func() bool { return c.is(func() bool { return c.ticks == nil }) })
}
