package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const keptGet = "GET /public/x HTTP/1.1\r\nHost: gw.test\r\n\r\n"

// twoEach is a stack that lets each client have two connections.
func twoEach(t *testing.T, changes ...func(*setup)) *stack {
	return newStack(t, append([]func(*setup){func(c *setup) { c.gateway.Limits.ConnectionsPerClient = 2 }}, changes...)...)
}

// trusting believes what 127.0.0.1 says.
func trusting(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1"} }

// from dials from another address of this machine.
func (s *stack) from(address string) net.Conn {
	s.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	conn, err := d.DialContext(s.t.Context(), "tcp", s.server.Addr())
	must(s.t, err)
	must(s.t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// asks sends a request behind a header of PROXY protocol, or none, and leaves the
// connection open.
func (s *stack) asks(conn net.Conn, header string) *reply {
	s.t.Helper()
	write(s.t, conn, header+keptGet)
	return s.read(newReader(conn), keptGet, s.app.count())
}

func TestOneConnectionTooManyOfAClientIsToldSo(t *testing.T) {
	s := twoEach(t)
	held := s.from("127.0.0.1")
	s.asks(held, "").wants(t, 200, "")
	s.asks(s.from("127.0.0.1"), "").wants(t, 200, "")
	before := s.app.count()
	r := s.asks(s.from("127.0.0.1"), "")
	r.wants(t, 503, "unavailable")
	if !r.Close || r.Header.Get("Retry-After") != "10" || s.app.count() != before {
		t.Errorf("answered %v, closes %t", r.Header, r.Close)
	}
	if entry := s.log.entries(t, "request", 3)[2]; entry["reason"] != "client_connection_limit" || entry["decision"] != "deny" || entry["client"] != "127.0.0.1" {
		t.Errorf("logged %v", entry)
	}
	s.asks(s.from("127.0.0.2"), "").wants(t, 200, "")
	s.counts(`postern_connections_refused_total{limit="connections_per_client"} 1`, `postern_connections_refused_total{limit="connections"} 0`)
	held.Close()
	eventually(t, "room for another connection", func() bool { return s.asks(s.from("127.0.0.1"), "").StatusCode == 200 })
}

// However many one client opens, no more stay than it may have, and a few to be
// told, and none of them keeps others out.
func TestOneClientDoesNotTakeAllConnections(t *testing.T) {
	s := twoEach(t, func(c *setup) { c.gateway.Limits.Connections = 20 })
	var conns []net.Conn
	for range 40 {
		conns = append(conns, s.from("127.0.0.1"))
	}
	closed := 0
	for _, conn := range conns[10:] { // 2, and 8 to be told
		if _, err := conn.Read(make([]byte, 1)); err != nil && !strings.Contains(err.Error(), "timeout") {
			closed++
		}
	}
	if closed != 30 {
		t.Errorf("%d of 30 were closed", closed)
	}
	s.asks(s.from("127.0.0.2"), "").wants(t, 200, "")
	s.counts(`postern_connections_refused_total{limit="connections_per_client"} 38`)
	for _, conn := range conns {
		conn.Close()
	}
	eventually(t, "the client's connections to be forgotten", func() bool { return s.clients() == 1 })
}

// clients is how many clients are remembered for their connections.
func (s *stack) clients() int {
	c := s.server.listener.(*front).crowd
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// TestATrustedPeersConnectionsDoNotCountButItsClientsDo: a front end carries
// everybody, and where it says for whom, each of them is one.
func TestATrustedPeersConnectionsDoNotCountButItsClientsDo(t *testing.T) {
	s := twoEach(t, trusting)
	const v4 = "\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x01\xbb"
	for _, header := range []string{"", "PROXY UNKNOWN\r\n", proxyV2(0, 0x00, ""), "PROXY TCP4 127.0.0.1 10.0.0.1 4660 443\r\n"} {
		for range 4 {
			s.asks(s.from("127.0.0.1"), header).wants(t, 200, "")
		}
	}
	for name, headers := range map[string][]string{
		"an address":      {"PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n"},
		"both versions":   {"PROXY TCP4 192.0.2.7 10.0.0.1 4660 443\r\n", proxyV2(1, 0x11, v4)},
		"one /64 of IPv6": {"PROXY TCP6 2001:db8::1 ::1 4660 443\r\n", "PROXY TCP6 2001:db8::ffff:2 ::1 4660 443\r\n"},
		"another /64":     {"PROXY TCP6 2001:db8:0:1::1 ::1 4660 443\r\n"},
	} {
		for i, status := range []int{200, 200, 503, 503} {
			if r := s.asks(s.from("127.0.0.1"), headers[i%len(headers)]); r.StatusCode != status {
				t.Errorf("%s: connection %d is answered %d, want %d", name, i+1, r.StatusCode, status)
			}
		}
	}
	s.asks(s.from("127.0.0.2"), "").wants(t, 200, "")
	s.counts(`postern_connections_refused_total{limit="connections_per_client"} 8`)
}

func TestFarTooManyConnectionsOfAProxiedClientAreClosed(t *testing.T) {
	s := twoEach(t, trusting)
	for range 20 {
		write(t, s.from("127.0.0.1"), "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n")
	}
	eventually(t, "all but 2, and 8 to be told, to be closed", func() bool {
		return s.server.listener.(*front).open.Load() == 10 && strings.Contains(s.metricsText(), `postern_connections_refused_total{limit="connections_per_client"} 18`)
	})
}

func TestAClientsConnectionsCountUnderTLSAndPROXYProtocol(t *testing.T) {
	dir := t.TempDir()
	trust := writeCertificate(t, dir)
	s := twoEach(t, trusting, func(c *setup) {
		c.gateway.PublicURL = "https://gw.test"
		c.gateway.TLS = TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	})
	pool := x509.NewCertPool()
	pool.AddCert(trust)
	for i, status := range []int{200, 200, 503} {
		conn := s.from("127.0.0.1")
		write(t, conn, "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n")
		secure := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "gw.test"})
		if r := s.asks(secure, ""); r.StatusCode != status {
			t.Errorf("connection %d is answered %d, want %d", i+1, r.StatusCode, status)
		}
	}
}

func TestACrowdForgetsWhoHasLeft(t *testing.T) {
	c := newCrowd(1)
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.1")
	places := make([]crowdPlace, 4)
	for i, want := range []int{1, 2} {
		if n := c.enter(&places[i], []netip.Addr{one, other}[i]); n != want {
			t.Errorf("connection %d counts as %d", i+1, n)
		}
	}
	if n := c.enter(&places[0], one); n != 0 {
		t.Errorf("the same connection counts twice: %d", n)
	}
	c.leave(&places[2]) // closed before it was known whose it is
	if n := c.enter(&places[2], one); n != 0 {
		t.Errorf("a closed connection counts: %d", n)
	}
	for i := range places {
		c.leave(&places[i])
		c.leave(&places[i])
	}
	if len(c.open) != 0 {
		t.Errorf("%v is remembered", c.open)
	}
	if newCrowd(0) != nil {
		t.Error("no limit is one")
	}
	newCrowd(0).leave(&places[0])
}
