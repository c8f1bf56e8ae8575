package gateway

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// closedRoad is a way that must not be taken.
type closedRoad struct{}

var errClosedRoad = errors.New("this way is closed")

func (closedRoad) RoundTrip(*http.Request) (*http.Response, error) { return nil, errClosedRoad }

// TestTheConfigurationChoosesTheTransport: plain requests go over the lean one
// unless it is turned off, and all others over net/http's.
func TestTheConfigurationChoosesTheTransport(t *testing.T) {
	for _, test := range []struct {
		transport, url string
		lean           bool
	}{
		{"", "http://app.test", true}, {"lean", "http://app.test", true}, {"lean", "unix:/run/app.sock", true},
		{"standard", "http://app.test", false}, {"standard", "unix:/run/app.sock", false},
		{"lean", "https://app.test", false}, {"lean", "h2c://app.test", false},
	} {
		made, err := newTransports(&Upstream{Transport: test.transport})
		must(t, err)
		a, _ := parseAddress(test.url)
		if tr := made.of(&a); tr.lean != nil != test.lean || tr.usual == nil {
			t.Errorf("%q to %s: lean %v", test.transport, test.url, tr.lean != nil)
		}
	}

	s := newStack(t, func(c *setup) { c.gateway.Upstreams[0].Transport = "lean" })
	s.gateway.snap.Load().upstreams[0].balancer.targets[0].transport.lean.Else = closedRoad{}
	s.get("/public/x?a=b").wants(t, 200, "")
	s.send("DELETE", "/public/x", "").wants(t, 200, "")
	if r := s.send("POST", "/public/x", "small"); r.StatusCode != 200 || r.saw(t).body != "small" {
		t.Errorf("a small body: %d", r.StatusCode)
	}
	s.send("POST", "/public/x", strings.Repeat("x", 1<<20)).wants(t, 502, "upstream_unavailable")
	s.raw("POST /public/x HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").wants(t, 502, "upstream_unavailable")
}

func TestAnAddressWithoutAPortHasThatOfHTTP(t *testing.T) {
	for host, want := range map[string]string{"app": "app:80", "app:9000": "app:9000", "[::1]": "[::1]:80", "[::1]:9000": "[::1]:9000", "10.0.0.1": "10.0.0.1:80"} {
		if got := withPort(host); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

// TestAKeptConnectionThatHangsUpIsNobodysFault: the request is sent again, which
// the budget bounds, and the target is not blamed.
func TestAKeptConnectionThatHangsUpIsNobodysFault(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	var requests atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // answers one request, and hangs up on the second
				defer conn.Close()
				br := bufio.NewReader(conn)
				for _, answer := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""} {
					if _, err := http.ReadRequest(br); err != nil {
						return
					}
					requests.Add(1)
					_, _ = io.WriteString(conn, answer)
				}
			}()
		}
	}()
	s := newStack(t, func(c *setup) {
		c.gateway.Upstreams[0].Transport, c.gateway.Upstreams[0].URLs = "lean", []string{"http://" + l.Addr().String()}
	})
	for range 2 * brokenInARow {
		s.get("/public/x").wants(t, 200, "")
	}
	u := s.gateway.snap.Load().upstreams[0]
	target := u.balancer.targets[0]
	if n := requests.Load(); n != 4*brokenInARow-1 || target.health.broken.Load() != 0 || !target.health.healthy() {
		t.Errorf("%d requests, %d broken", n, target.health.broken.Load())
	}
	u.budget.mu.Lock()
	u.budget.tokens = -retrySaved // nothing is left, for a good while
	u.budget.mu.Unlock()
	s.get("/public/x").wants(t, 502, "upstream_unavailable")
	s.get("/public/x").wants(t, 200, "") // over a new connection
	s.send("POST", "/public/x", "").wants(t, 502, "upstream_unavailable")
}
