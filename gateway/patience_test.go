package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// long is an answer that no buffer between the gateway and its client holds.
const long = 4 << 20

// minute is a patience.
func minute() time.Duration { return time.Minute }

// hatch is a listener of one connection.
type hatch struct{ conns chan net.Conn }

// opened is a hatch through which a connection has come.
func opened(conn net.Conn) hatch {
	h := hatch{make(chan net.Conn, 1)}
	h.conns <- conn
	return h
}

func (h hatch) Accept() (net.Conn, error) {
	conn, ok := <-h.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (h hatch) Close() error   { close(h.conns); return nil }
func (h hatch) Addr() net.Addr { return &net.UnixAddr{Name: "hatch", Net: "unix"} }

// sender answers with a long body in one write, and says how that ended.
func sender(ended chan<- *answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a := &answer{ResponseWriter: w, conn: http.NewResponseController(w)}
		_, err := a.Write(make([]byte, long))
		ended <- a
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	})
}

// toSlow has the gateway's http.Server answer over a connection whose clock
// moves when all wait, and which holds nothing itself.
func toSlow(t *testing.T, certificates string, client func(slow *slowConn, conn net.Conn, ended <-chan *answer)) {
	synctest.Test(t, func(t *testing.T) {
		near, pipe := net.Pipe()
		slow := &slowConn{Conn: pipe}
		far := net.Conn(slow)
		ended := make(chan *answer, 1)
		server := newHTTPServer(sender(ended), slog.New(slog.DiscardHandler))
		listener := net.Listener(opened(&patientConn{Conn: near, patience: minute}))
		if certificates != "" {
			cert, err := tls.LoadX509KeyPair(filepath.Join(certificates, "cert.pem"), filepath.Join(certificates, "key.pem"))
			must(t, err)
			listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{cert}})
			far = tls.Client(far, &tls.Config{InsecureSkipVerify: true})
		}
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		write(t, far, "GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n")
		client(slow, far, ended)
		_ = far.Close()
		must(t, server.Close())
		<-served
	})
}

// secured are the directories of the certificates to try with: none, and one.
func secured(t *testing.T) map[string]string {
	dir := t.TempDir()
	writeCertificate(t, dir)
	return map[string]string{"plain": "", "TLS": dir}
}

// slowConn takes a few KiB at a time, after half of the patience each.
type slowConn struct {
	net.Conn
	slow bool // from now on
}

func (c *slowConn) Read(p []byte) (int, error) {
	if c.slow {
		time.Sleep(minute() / 2)
		p = p[:min(len(p), 5<<10)]
	}
	return c.Conn.Read(p)
}

func TestAClientThatTakesALittleNowAndThenGetsALongAnswerWhole(t *testing.T) {
	for name, certificates := range secured(t) {
		t.Run(name, func(t *testing.T) {
			toSlow(t, certificates, func(slow *slowConn, conn net.Conn, ended <-chan *answer) {
				slow.slow = true
				res, err := http.ReadResponse(newReader(conn), nil)
				must(t, err)
				if n, err := io.Copy(io.Discard, res.Body); n != long || err != nil {
					t.Errorf("%d bytes have come, %v", n, err)
				}
				if a := <-ended; a.failed || a.stalled || a.bytes != long {
					t.Errorf("failed %v, stalled %v, %d bytes", a.failed, a.stalled, a.bytes)
				}
			})
		})
	}
}

func TestAClientThatTakesNothingOfALongAnswerIsCut(t *testing.T) {
	for name, certificates := range secured(t) {
		for _, taken := range []int64{0, 100 << 10} { // it may have begun to
			t.Run(name, func(t *testing.T) {
				toSlow(t, certificates, func(_ *slowConn, conn net.Conn, ended <-chan *answer) {
					_, err := io.CopyN(io.Discard, conn, taken)
					must(t, err)
					if a := <-ended; !a.failed || !a.stalled {
						t.Errorf("failed %v, stalled %v", a.failed, a.stalled)
					}
				})
			})
		}
	}
}

func TestAClientThatLeavesALongAnswerHasNotStalled(t *testing.T) {
	for name, certificates := range secured(t) {
		t.Run(name, func(t *testing.T) {
			toSlow(t, certificates, func(slow *slowConn, conn net.Conn, ended <-chan *answer) {
				slow.slow = true
				_, err := io.CopyN(io.Discard, conn, 100<<10) // for longer than it may take nothing
				must(t, err)
				must(t, conn.Close())
				if a := <-ended; !a.failed || a.stalled {
					t.Errorf("failed %v, stalled %v", a.failed, a.stalled)
				}
			})
		})
	}
}

// A deadline that somebody sets is the end of a write, taken from or not: those
// who set one have their own patience.
func TestADeadlineThatIsSetCountsInPlaceOfThePatience(t *testing.T) {
	const idle = 10 * time.Second // of who sets one
	for _, test := range []struct {
		name  string
		prime func(c *patientConn)
		lasts time.Duration // of a write of which a byte is taken every idle/2; zero: until it is whole
	}{
		{"none", func(*patientConn) {}, 0},
		{"one", func(c *patientConn) { _ = c.SetWriteDeadline(time.Now().Add(idle)) }, idle},
		{"one of both directions", func(c *patientConn) { _ = c.SetDeadline(time.Now().Add(idle)) }, idle},
		{"one that has passed", func(c *patientConn) { _ = c.SetWriteDeadline(time.Unix(1, 0)) }, time.Nanosecond},
		{"one that is set meanwhile", func(c *patientConn) {
			time.AfterFunc(minute(), func() { _ = c.SetWriteDeadline(time.Now().Add(idle)) })
		}, minute() + idle},
		{"one that was lifted", func(c *patientConn) { _ = c.SetWriteDeadline(time.Now()); _ = c.SetDeadline(time.Time{}) }, 0},
		{"one that was lifted, and set", func(c *patientConn) {
			for _, d := range []time.Time{time.Now().Add(idle), {}, {}, time.Now().Add(idle)} {
				_ = c.SetWriteDeadline(d)
			}
		}, idle},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				c := &patientConn{Conn: near, patience: minute}
				var taker sync.WaitGroup
				taker.Go(func() {
					for _, err := far.Read(make([]byte, 1)); err == nil; _, err = far.Read(make([]byte, 1)) {
						time.Sleep(idle / 2)
					}
				})
				write(t, c, "x") // has armed a deadline
				test.prime(c)
				began := time.Now()
				n, err := c.Write(make([]byte, 100))
				lasted := time.Since(began)
				if whole := n == 100 && err == nil; whole != (test.lasts == 0) {
					t.Errorf("wrote %d: %v", n, err)
				}
				if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || lasted > test.lasts) {
					t.Errorf("after %v, want %v: %v", lasted, test.lasts, err)
				}
				must(t, c.Close())
				taker.Wait()
			})
		})
	}
}
