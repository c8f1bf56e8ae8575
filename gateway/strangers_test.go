package gateway

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const strangerLine = "PROXY protocol from a peer that is not trusted was refused: if it is a front end of yours, list it under trusted_proxies, else have it send none"

// TestWhoeverForgotToTrustAFrontEndReadsItInTheLog, with TLS and without, once
// for however many connections.
func TestWhoeverForgotToTrustAFrontEndReadsItInTheLog(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	for _, secure := range []bool{false, true} {
		for name, header := range map[string]string{
			"version 1": "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n", "version 1, not known": "PROXY UNKNOWN\r\n",
			"version 2": proxyV2(1, 0x11, "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x01\xbb"),
		} {
			s := newStack(t, func(c *setup) {
				c.gateway.TrustedProxies = []string{"192.0.2.0/24"}
				if secure {
					c.gateway.PublicURL = "https://gw.test"
					c.gateway.TLS = TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
				}
			})
			s.fresh = true
			for range 3 {
				conn := s.dial()
				write(t, conn, header)
				if secure {
					_ = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).Handshake()
				} else {
					write(t, conn, plainGet)
					_, _ = io.ReadAll(conn)
				}
				conn.Close()
			}
			lines := s.log.entries(t, strangerLine, 1)
			if len(lines) != 1 || lines[0]["peer"] != "127.0.0.1" || lines[0]["level"] != "WARN" {
				t.Errorf("%s, TLS %t: logged %v", name, secure, lines)
			}
		}
	}
}

func TestWhoIsTrustedOrSpeaksHTTPIsNoStranger(t *testing.T) {
	for _, test := range []struct {
		trusted []string
		request string
	}{
		{nil, plainGet},
		{nil, "POST /public/x HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\nContent-Length: 10\r\n\r\nPROXY TCP4"},
		{[]string{"127.0.0.1"}, "PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n" + plainGet},
	} {
		s := newStack(t, func(c *setup) { c.gateway.TrustedProxies = test.trusted })
		s.fresh = true
		s.raw(test.request)
		if strings.Contains(s.log.String(), "PROXY protocol") {
			t.Errorf("%.20q: logged %s", test.request, s.log)
		}
	}
}

func TestAFloodOfStrangersIsAFewLines(t *testing.T) {
	log, now := &logBuffer{}, time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := &strangers{log: slog.New(slog.NewJSONHandler(log, nil)), now: func() time.Time { return now }}
	s.note(netip.Addr{})
	for i := range 1000 {
		s.note(netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i%100)))
	}
	lines := log.entries(t, strangerLine, 1)
	if len(lines) != maxStrangers || lines[0]["peer"] != "unix" || lines[1]["peer"] != "192.0.2.0" {
		t.Fatalf("logged %v", lines)
	}
	now = now.Add(strangersEvery - 1)
	s.note(netip.MustParseAddr("2001:db8::1"))
	now = now.Add(1)
	s.note(netip.MustParseAddr("2001:db8::1"))
	lines = log.entries(t, strangerLine, 1)
	if len(lines) != maxStrangers+1 || lines[maxStrangers]["peer"] != "2001:db8::1" || lines[maxStrangers]["more_since_the_last_line"] != float64(1000-maxStrangers+1+1) {
		t.Errorf("a minute later: logged %v", lines[maxStrangers:])
	}
	if len(s.told) != 1 {
		t.Errorf("%v are remembered", s.told)
	}
}

func TestHowPROXYProtocolBegins(t *testing.T) {
	for begin, want := range map[string]bool{
		"PROXY TCP4 1": true, "PROXY TCP6 ::": true, "PROXY UNKNOWN\r\n": true, "\r\n\r\n\x00\r\nQUIT\n\x21": true,
		"PROXY / HTTP/1.1\r\n": false, "GET / HTTP/1.1\r\n": false, "\r\n\r\nGET / HTTP/1.1\r\n": false, "PRO": false, "": false, "\x16\x03\x01": false,
	} {
		if got := isProxyHeader([]byte(begin)); got != want {
			t.Errorf("%q: %t", begin, got)
		}
	}
}
