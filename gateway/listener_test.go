package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/policy"
)

// believing is a stack that believes what 127.0.0.1 says.
func believing(t *testing.T, changes ...func(*setup)) *stack {
	s := newStack(t, append([]func(*setup){func(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1"} }}, changes...)...)
	s.fresh = true
	return s
}

// proxyV2 is a header of version 2: its command, family and transport, and
// what follows.
func proxyV2(command, family byte, block string) string {
	head := "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{0x20 | command, family})
	return head + string(binary.BigEndian.AppendUint16(nil, uint16(len(block)))) + block
}

const plainGet = "GET /public/x HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n"

func TestATrustedPeerSaysForWhomItConnects(t *testing.T) {
	v4 := "\xc0\x00\x02\x01" + "\x0a\x00\x00\x01" + "\x12\x34" + "\x01\xbb"
	v6 := "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x07" + strings.Repeat("\x00", 16) + "\x12\x34" + "\x01\xbb"
	tlv := "\x04\x00\x03abc" // PP2_TYPE_NOOP, with a value
	for _, test := range []struct{ name, header, lines, client string }{
		{"nothing is said", "", "", "127.0.0.1"},
		{"version 1", "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n", "", "192.0.2.1"},
		{"version 1 of IPv6", "PROXY TCP6 2001:db8::7 ::1 4660 443\r\n", "", "2001:db8::7"},
		{"version 1, not known", "PROXY UNKNOWN\r\n", "", "0.0.0.0"},
		{"version 1, not known, with words", "PROXY UNKNOWN 192.0.2.1 10.0.0.1 4660 443\r\n", "", "0.0.0.0"},
		{"version 2", proxyV2(1, 0x11, v4), "", "192.0.2.1"},
		{"version 2 with more than addresses", proxyV2(1, 0x11, v4+tlv), "", "192.0.2.1"},
		{"version 2 of IPv6", proxyV2(1, 0x21, v6), "", "2001:db8::7"},
		{"version 2, the proxy's own connection", proxyV2(0, 0x00, ""), "", "127.0.0.1"},
		{"version 2, its own, with addresses", proxyV2(0, 0x11, v4), "", "127.0.0.1"},
		{"the client lies about who sent it", "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n", "X-Forwarded-For: 198.51.100.1\r\n", "192.0.2.1"},
		{"a client nobody knows lies", "PROXY UNKNOWN\r\n", "X-Forwarded-For: 198.51.100.1\r\n", "0.0.0.0"},
		{"the client is a trusted proxy itself", "PROXY TCP4 127.0.0.1 10.0.0.1 4660 443\r\n", "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"},
	} {
		s := believing(t)
		r := s.raw(test.header + "GET /public/x HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n" + test.lines + "\r\n")
		r.wants(t, 200, "")
		got := s.log.entries(t, "request", 1)[0]["client"]
		chain := strings.Join(values(r.saw(t).header, "X-Forwarded-For"), "|")
		client := test.client
		if client == "0.0.0.0" { // for upstreams, which may take no address for the gateway's; here it is none
			client = ""
		}
		if got != client || !strings.HasPrefix(chain, test.client) || strings.Contains(chain, "198.51.100.1") != (test.client == "198.51.100.1") {
			t.Errorf("%s: the client is %v, X-Forwarded-For %q, want %s", test.name, got, chain, test.client)
		}
	}
}

// Somebody whom the proxy does not know may be anywhere: no to a rule that
// allows a network, yes to one that denies it, and no proxy of ours.
func TestAClientThatTheProxyDoesNotKnowIsNowhere(t *testing.T) {
	s := believing(t, func(c *setup) {
		c.gateway.TrustedProxies = []string{"127.0.0.1", "0.0.0.0/0"}
		any := []policy.Rule{{Anyone: true}}
		c.policy.Routes = append(c.policy.Routes,
			policy.Route{Path: "/not-from", Allow: any, Deny: []policy.Rule{{CIDR: []string{"192.0.2.0/24"}}}},
			policy.Route{Path: "/from", Allow: []policy.Rule{{CIDR: []string{"0.0.0.0/0", "::/0"}}}})
	})
	for _, path := range []string{"/not-from", "/from", "/auth/verify"} {
		request := strings.Replace(plainGet, "/public/x", path, 1)
		r := s.raw("PROXY UNKNOWN\r\n" + strings.Replace(request, "\r\n\r\n", "\r\nX-Original-Method: GET\r\nX-Original-URL: /public/x\r\n\r\n", 1))
		r.wants(t, 403, "forbidden")
		r.notAsked(t)
	}
	r := s.raw("PROXY TCP4 198.51.100.1 10.0.0.1 4660 443\r\n" + strings.Replace(plainGet, "/public/x", "/not-from", 1))
	r.wants(t, 200, "")
}

func TestAllRequestsOfAProxiedConnectionAreItsClients(t *testing.T) {
	s := believing(t)
	conn := s.dial()
	defer conn.Close()
	br := newReader(conn)
	keep := strings.Replace(plainGet, "Connection: close\r\n", "", 1)
	write(t, conn, "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n")
	for range 3 {
		before := s.app.count()
		write(t, conn, keep)
		if got := s.read(br, keep, before).saw(t).header.Get("X-Forwarded-For"); got != "192.0.2.1" {
			t.Errorf("X-Forwarded-For %q", got)
		}
	}
	write(t, conn, "PROXY TCP4 192.0.2.2 10.0.0.1 4660 443\r\n"+keep)
	s.read(br, keep, s.app.count()).wants(t, 400, "")
}

// Version 1 has to come in one piece, as its specification lets a receiver
// demand (section 2.1).
func TestAHeaderInThreePiecesIsOneHeader(t *testing.T) {
	s := believing(t)
	conn := s.dial()
	defer conn.Close()
	header := proxyV2(1, 0x11, "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x01\xbb")
	for _, piece := range []string{header[:5], header[5:20], header[20:] + plainGet} {
		write(t, conn, piece)
		time.Sleep(20 * time.Millisecond) // so that they are read apart; the answer is the same if not
	}
	if got := s.read(newReader(conn), plainGet, 0).saw(t).header.Get("X-Forwarded-For"); got != "192.0.2.1" {
		t.Errorf("X-Forwarded-For %q", got)
	}
}

func TestFromAnUntrustedPeerProxyProtocolIsNoRequest(t *testing.T) {
	for _, trusted := range [][]string{nil, {"unix"}, {"10.0.0.0/8"}} {
		s := newStack(t, func(c *setup) { c.gateway.TrustedProxies = trusted })
		s.fresh = true
		for _, header := range []string{"PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n", "PROXY UNKNOWN\r\n", proxyV2(1, 0x11, "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x01\xbb")} {
			r := s.raw(header + plainGet)
			r.wants(t, 400, "")
			r.notAsked(t)
		}
		s.raw(plainGet).wants(t, 200, "")
	}
}

func TestAHeaderThatCannotBeReadEndsTheConnection(t *testing.T) {
	s := believing(t, func(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1", "unix"} })
	for name, header := range map[string]string{
		"no address":              "PROXY TCP4 here there 1 2\r\n",
		"a family that is not so": "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
		"too long":                "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443" + strings.Repeat(" ", 200) + "\r\n",
		"no end of line":          "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\n",
		"a port too high":         "PROXY TCP4 192.0.2.1 10.0.0.1 99999 443\r\n",
		"datagrams":               proxyV2(1, 0x12, "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x01\xbb"),
		"a unix socket":           proxyV2(1, 0x31, "/tmp/a"+strings.Repeat("\x00", 102)+"/tmp/b"+strings.Repeat("\x00", 102)),
		"cut short":               proxyV2(1, 0x11, "\xc0\x00"),
		"an unknown command":      proxyV2(7, 0x11, "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x01\xbb"),
	} {
		conn := s.dial()
		write(t, conn, header+plainGet)
		answer, _ := io.ReadAll(conn)
		if strings.Contains(string(answer), " 200 ") {
			t.Errorf("%s: answered %.80q", name, answer)
		}
		conn.Close()
	}
	if s.app.count() != 0 {
		t.Errorf("the application was asked %d times", s.app.count())
	}
}

func TestTrustInProxyProtocolFollowsAReload(t *testing.T) {
	s := newStack(t)
	s.fresh = true
	header := "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n"
	s.raw(header+plainGet).wants(t, 400, "")
	s.parts.Config.TrustedProxies = []string{"127.0.0.0/8"}
	s.reload(t)
	s.raw(header+plainGet).wants(t, 200, "")
}

func TestProxyProtocolGoesBeforeTLS(t *testing.T) {
	dir := t.TempDir()
	trust := writeCertificate(t, dir)
	s := believing(t, func(c *setup) {
		c.gateway.PublicURL, c.gateway.Limits.Connections = "https://gw.test", 10
		c.gateway.TLS = TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	})
	conn := s.dial()
	defer conn.Close()
	write(t, conn, "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n")
	pool := x509.NewCertPool()
	pool.AddCert(trust)
	secure := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "gw.test"})
	write(t, secure, plainGet)
	if got := s.read(newReader(secure), plainGet, 0).saw(t).header.Get("X-Forwarded-For"); got != "192.0.2.1" {
		t.Errorf("X-Forwarded-For %q", got)
	}
}

func TestAUnixPeerIsBelievedWhereUnixIsTrusted(t *testing.T) {
	for _, test := range []struct {
		trusted string
		status  int
	}{{"unix", 200}, {"127.0.0.1", 400}} {
		s := newStack(t, func(c *setup) { c.gateway.TrustedProxies = []string{test.trusted} })
		conf := s.parts.Config
		conf.Listen = "unix:" + filepath.Join(t.TempDir(), "s.sock")
		server := NewServer(conf, s.gateway, slog.New(slog.DiscardHandler))
		must(t, server.Listen())
		served := make(chan error, 1)
		go func() { served <- server.Serve() }()
		conn, err := net.Dial("unix", strings.TrimPrefix(conf.Listen, "unix:"))
		must(t, err)
		write(t, conn, "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n"+plainGet)
		r := s.read(newReader(conn), plainGet, 0)
		r.wants(t, test.status, "")
		if r.seen != nil && r.seen.header.Get("X-Forwarded-For") != "192.0.2.1" {
			t.Errorf("X-Forwarded-For %q", r.seen.header.Get("X-Forwarded-For"))
		}
		conn.Close()
		must(t, server.Shutdown(t.Context()))
		must(t, <-served)
	}
}

func TestOneConnectionTooManyIsToldSo(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.Limits.Connections = 2 })
	var held []net.Conn
	for range 2 {
		conn := s.dial()
		defer conn.Close()
		keep := strings.Replace(plainGet, "Connection: close\r\n", "", 1)
		write(t, conn, keep)
		s.read(newReader(conn), keep, s.app.count()).wants(t, 200, "")
		held = append(held, conn)
	}
	before := s.app.count()
	r := s.raw(strings.Replace(plainGet, "Connection: close\r\n", "", 1))
	r.wants(t, 503, "unavailable")
	if !r.Close || r.Header.Get("Retry-After") != "10" || s.app.count() != before {
		t.Errorf("answered %v, closes %t", r.Header, r.Close)
	}
	if entry := s.log.entries(t, "request", 3)[2]; entry["reason"] != "connection_limit" || entry["decision"] != "deny" || entry["path"] != "/public/x" || entry["client"] != "127.0.0.1" {
		t.Errorf("logged %v", entry)
	}
	held[0].Close()
	eventually(t, "room for another connection", func() bool { return s.raw(plainGet).StatusCode == 200 })
}

// However many come, no more are open than there may be, and a few to be told.
func TestConnectionsAreBounded(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.Limits.Connections = 4 })
	s.fresh = true
	var conns []net.Conn
	for range 40 {
		conn := s.dial()
		defer conn.Close()
		conns = append(conns, conn)
	}
	closed := 0
	for _, conn := range conns[13:] { // 4, and 8 to be told
		must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
		if _, err := conn.Read(make([]byte, 1)); err != nil && !strings.Contains(err.Error(), "timeout") {
			closed++
		}
	}
	if open := s.server.listener.(*front).open.Load(); closed != 27 || open > 13 {
		t.Errorf("%d of 27 were closed, %d are open", closed, open)
	}
	for _, conn := range conns {
		conn.Close()
	}
	eventually(t, "all connections to be over", func() bool { return s.server.listener.(*front).open.Load() == 0 })
	s.raw(plainGet).wants(t, 200, "")
}

func TestATooLongAddressIsSaidToBeOne(t *testing.T) {
	s := newStack(t)
	for _, test := range []struct {
		target string
		status int
	}{
		{"/public/" + strings.Repeat("a", 16<<10-8), 200},
		{"/public/" + strings.Repeat("a", 16<<10-7), 414},
		{"/public/x?" + strings.Repeat("a", 20<<10), 414},
		{"/admin/" + strings.Repeat("a", 30<<10), 414},
		{"/public/" + strings.Repeat("a", 70<<10), 431},
		{"/public/" + strings.Repeat("a", 110<<10), 431}, // net/http's
	} {
		r := s.raw(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n", test.target))
		if r.StatusCode != test.status || test.status == 414 && r.code() != "bad_request" {
			t.Errorf("%d bytes: answered %d %s, want %d", len(test.target), r.StatusCode, r.code(), test.status)
		}
		if test.status != 200 {
			r.notAsked(t)
		}
	}
}

func TestASocketsAddress(t *testing.T) {
	for _, test := range []struct {
		address string
		want    socket
		is      bool
		fault   string
	}{
		{"127.0.0.1:80", socket{}, false, ""},
		{"unix:/run/a.sock", socket{path: "/run/a.sock"}, true, ""},
		{"unix:a.sock", socket{path: "a.sock"}, true, ""},
		{"unix:/run/a.sock|0660", socket{"/run/a.sock", 0o660}, true, ""},
		{"unix:/run/a.sock|600", socket{"/run/a.sock", 0o600}, true, ""},
		{"unix:", socket{}, true, "names no socket"},
		{"unix:|0660", socket{}, true, "names no socket"},
		{"unix:/run/a.sock|", socket{}, true, "write unix:/run/a.sock|0660"},
		{"unix:/run/a.sock|0", socket{}, true, "is no mode"},
		{"unix:/run/a.sock|0888", socket{}, true, "is no mode"},
		{"unix:/run/a.sock|4755", socket{}, true, "is no mode"},
		{"unix:/run/a.sock|rw", socket{}, true, "is no mode"},
		{"unix:/run/a.sock|0660|0600", socket{}, true, "is no mode"},
	} {
		got, is, err := parseSocket(test.address)
		if got != test.want || is != test.is || (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%s: %v %t %v", test.address, got, is, err)
		}
		var f faults
		if validateListen(&f, "listen", test.address, true); (len(f) == 0) != (test.fault == "") {
			t.Errorf("%s: %v", test.address, f)
		}
	}
	var f faults
	if validateListen(&f, "admin.listen", "unix:/run/a.sock", false); len(f) != 1 {
		t.Errorf("admin.listen on a socket: %v", f)
	}
}

func FuzzParseSocket(f *testing.F) {
	for _, seed := range []string{"unix:/a|0660", "unix:", "unix:a|", "unix:|", ":80", "unix:/a|00000000660"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		s, is, err := parseSocket(address)
		if err != nil && s != (socket{}) || is && err == nil && s.path == "" || s.mode&^0o777 != 0 || !is && s.path != "" {
			t.Fatalf("%q: %+v %t %v", address, s, is, err)
		}
	})
}

func TestASocketHasTheModeThatIsAskedFor(t *testing.T) {
	s := newStack(t)
	for _, mode := range []string{"0600", "0660", "0666"} {
		conf := s.parts.Config
		path := filepath.Join(t.TempDir(), "s.sock")
		conf.Listen = "unix:" + path + "|" + mode
		server := NewServer(conf, s.gateway, slog.New(slog.DiscardHandler))
		must(t, server.Listen())
		info, err := os.Stat(path)
		must(t, err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != mode {
			t.Errorf("mode %s, want %s", got, mode)
		}
		must(t, server.listener.Close())
		if _, err := os.Stat(path); err == nil {
			t.Error("the socket is left behind")
		}
	}
}

func TestAnInheritedListenerIsServedAsIfItWereBound(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1"} })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	conf := s.parts.Config
	conf.Listen = "192.0.2.1:1" // which nobody here can bind
	server := NewServer(conf, s.gateway, slog.New(slog.DiscardHandler))
	server.Inherit(l)
	must(t, server.Listen())
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	conn, err := net.Dial("tcp", server.Addr())
	must(t, err)
	defer conn.Close()
	write(t, conn, "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n"+plainGet)
	if got := s.read(newReader(conn), plainGet, 0).saw(t).header.Get("X-Forwarded-For"); got != "192.0.2.1" {
		t.Errorf("X-Forwarded-For %q", got)
	}
	must(t, server.Shutdown(t.Context()))
	must(t, <-served)
}
