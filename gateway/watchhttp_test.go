package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/gateway/lean"
)

// echo answers with the path and the body of a request: at once, or after a time
// in which its client is watched by the system.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if strings.HasPrefix(r.URL.Path, "/public/slow") {
		time.Sleep(2 * lean.WatchAfter) // not to wait for something: it is the time that matters
	}
	fmt.Fprintf(w, "%s %s", r.URL.Path, body)
}

// TestEachKindOfRequestIsAnsweredOnAConnectionThatIsWatched, one after the other
// and sent together, by applications that are quick and that are not.
func TestEachKindOfRequestIsAnsweredOnAConnectionThatIsWatched(t *testing.T) {
	kinds := []struct{ line, rest, body string }{
		{"GET", "\r\n", ""},
		{"POST", "Content-Length: 5\r\n\r\nhello", "hello"},
		{"POST", "Content-Length: 1\r\n\r\nx", "x"},
		{"DELETE", "\r\n", ""},
		{"POST", "Content-Length: 0\r\n\r\n", ""},
	}
	for name, change := range map[string]func(*setup){
		"as it is":       func(*setup) {},
		"or HTTP/2":      func(c *setup) { c.gateway.H2C = true },
		"PROXY protocol": func(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1"} },
	} {
		for _, together := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, together %v", name, together), func(t *testing.T) {
				s := newStack(t, change, func(c *setup) { c.answer = echo })
				s.fresh = name == "PROXY protocol"
				conn := s.dial()
				defer conn.Close()
				br := newReader(conn)
				if name == "PROXY protocol" {
					write(t, conn, "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n")
				}
				var all, request strings.Builder
				var want []string
				ask := func(text string, answers ...string) {
					write(t, conn, text)
					for _, answer := range answers {
						if r := s.read(br, "GET", 0); r.body != answer {
							t.Fatalf("answered %d %q, want %q", r.StatusCode, r.body, answer)
						}
					}
				}
				for i, kind := range kinds {
					for _, pace := range []string{"slow", "fast", "fast"} {
						path := fmt.Sprintf("/public/%s%d", pace, i)
						request.Reset()
						fmt.Fprintf(&request, "%s %s HTTP/1.1\r\nHost: gw.test\r\n%s", kind.line, path, kind.rest)
						if !together {
							ask(request.String(), path+" "+kind.body)
						}
						all.WriteString(request.String())
						want = append(want, path+" "+kind.body)
					}
				}
				if together {
					ask(all.String(), want...)
				}
				ask("PUT /public/slow HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n5\r\nhello\r\n0\r\n\r\n", "/public/slow xhello")
			})
		}
	}
}

func TestAClientThatWaitsToBeToldToGoOnIsToldOnAConnectionThatIsWatched(t *testing.T) {
	s := newStack(t, func(c *setup) { c.answer = echo })
	conn := s.dial()
	defer conn.Close()
	br := newReader(conn)
	for _, path := range []string{"/public/slow", "/public/fast", "/public/slow"} {
		write(t, conn, "POST "+path+" HTTP/1.1\r\nHost: gw.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		if r := s.read(br, "GET", 0); r.StatusCode != http.StatusContinue {
			t.Fatalf("told %d", r.StatusCode)
		}
		write(t, conn, "hello")
		if r := s.read(br, "GET", 0); r.body != path+" hello" {
			t.Errorf("answered %d %q", r.StatusCode, r.body)
		}
	}
}

// TestWhoLeavesIsNoticed before the system watches, and after, also of who has
// sent a body first.
func TestWhoLeavesIsNoticedBeforeAndAfterTheSystemWatches(t *testing.T) {
	for _, pause := range []time.Duration{0, 2 * lean.WatchAfter} {
		for _, rest := range []string{"\r\n", "Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"} {
			arrived, gone := make(chan struct{}), make(chan struct{})
			s := newStack(t, func(c *setup) {
				c.answer = func(_ http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					close(arrived)
					<-r.Context().Done()
					close(gone)
				}
			})
			conn := s.dial()
			write(t, conn, "POST /public/x HTTP/1.1\r\nHost: gw.test\r\n"+rest)
			<-arrived
			time.Sleep(pause) // not to wait for something: it is the time that matters
			conn.Close()
			<-gone
			if e := s.log.entries(t, "request", 1)[0]; e["status"] != 499.0 || e["reason"] != "client_gone" {
				t.Errorf("after %v, %.20q: logged %v", pause, rest, e)
			}
		}
	}
}

// TestConnectionsThatAreWatchedEndWithTheServer, whether a request is under way
// on them or none.
func TestConnectionsThatAreWatchedEndWithTheServer(t *testing.T) {
	arrived := make(chan struct{})
	s := newStack(t, func(c *setup) {
		c.answer = func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/public/endless" {
				arrived <- struct{}{}
				<-r.Context().Done()
			}
		}
	})
	var conns []net.Conn
	for _, path := range []string{"/public/done", "/public/endless", "/public/endless"} {
		conn := s.dial()
		defer conn.Close()
		write(t, conn, "GET "+path+" HTTP/1.1\r\nHost: gw.test\r\n\r\n")
		if path == "/public/done" {
			s.read(newReader(conn), "GET", 0).wants(t, 200, "")
		} else {
			<-arrived
		}
		conns = append(conns, conn)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.server.Shutdown(over); err == nil {
		t.Error("nothing was cut")
	}
	for _, conn := range conns {
		_, _ = io.Copy(io.Discard, conn) // to the end that the server made
	}
	eventually(t, "all connections to be over", func() bool { return s.server.listener.(*front).open.Load() == 0 })
}
