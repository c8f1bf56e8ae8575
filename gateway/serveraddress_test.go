package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAddressesAreHostsOrSockets(t *testing.T) {
	for _, test := range []struct {
		raw       string
		complaint string // a part of it; empty: fine
		want      serverAddress
	}{
		{"http://app:3000", "", serverAddress{label: "http://app:3000", scheme: "http", host: "app:3000", name: "app:3000"}},
		{"https://app/base/", "", serverAddress{label: "https://app/base", scheme: "https", host: "app", name: "app", base: "/base"}},
		{"h2c://app:50051", "", serverAddress{label: "h2c://app:50051", scheme: "http", host: "app:50051", name: "app:50051", h2c: true}},
		{"unix:/run/app.sock", "", serverAddress{label: "unix:/run/app.sock", scheme: "http", host: "localhost", name: "localhost", socket: "/run/app.sock"}},
		{"unix:app.sock", "whole path", serverAddress{}},
		{"unix://run/app.sock", "whole path", serverAddress{}},
		{"unix:", "whole path", serverAddress{}},
		{"unix:/run/a\nb", "whole path", serverAddress{}},
		{"app:3000", "write http://app:3000", serverAddress{}},
		{"ws://app", "no URL of an application", serverAddress{}},
		{"h2c://", "no URL of an application", serverAddress{}},
		{"http://u:hunter2@app", "plain path", serverAddress{}},
		{"http://app/?a=hunter2", "plain path", serverAddress{}},
		{"http://app/a/..", "plain path", serverAddress{}},
	} {
		got, complaint := parseAddress(test.raw)
		if got != test.want || (complaint == "") != (test.complaint == "") || !strings.Contains(complaint, test.complaint) {
			t.Errorf("%q: %+v, %q", test.raw, got, complaint)
		}
		if strings.Contains(complaint, "hunter2") {
			t.Errorf("%q: a password is told: %s", test.raw, complaint)
		}
	}
}

func FuzzAddressIsSentAsItIs(f *testing.F) {
	for _, seed := range []string{"http://a", "https://a/b%20c/", "h2c://[::1]:1/x", "unix:/run/a.sock", "http://a//b", "http:///x", "http://a:99999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		a, complaint := parseAddress(raw)
		if complaint != "" {
			return
		}
		if u, ok := a.wireURL("/x", "q", true); !ok || u.RequestURI() != a.base+"/x?q" || u.Host == "" {
			t.Fatalf("%q is asked for %q at %q", raw, u.RequestURI(), u.Host)
		}
		if strings.ContainsAny(a.base, "?#\\;") {
			t.Fatalf("%q has the base %q", raw, a.base)
		}
	})
}

func TestAnApplicationBehindAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	l, err := net.Listen("unix", path)
	must(t, err)
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Host+" "+r.RequestURI+" "+string(body))
	}))
	app.Listener.Close()
	app.Listener = l
	app.Start()
	s := newStack(t)
	s.upstreamURL("unix:"+path, nil)
	if r := s.send("POST", "/public/a%20b?q=1;2", "body"); r.StatusCode != 200 || r.body != "gw.test /public/a%20b?q=1;2 body" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	s.upstreamURL("unix:"+path, func(u *Upstream) { u.Host = "rewrite" })
	if r := s.get("/public/x"); r.body != "localhost /public/x " {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if s.healthOf("unix:"+path) != "1" {
		t.Error("the socket does not count as healthy")
	}
	app.Close()
	r := s.get("/public/x")
	r.wants(t, 502, "upstream_unavailable")
	if strings.Contains(r.body, "app.sock") || s.healthOf("unix:"+path) != "0" {
		t.Errorf("the answer tells: %s", r.body)
	}
}

// newGRPC is an application that speaks HTTP/2 as gRPC does: it answers each
// message of a stream as it comes, and ends with the status in trailers.
func newGRPC(t testing.TB, secure bool) *httptest.Server {
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" { // a WebSocket on the same port
			http.Error(w, r.Proto, http.StatusUpgradeRequired)
			return
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.Header().Set("X-Seen", r.Proto+" "+r.Method+" "+r.RequestURI+" "+r.Header.Get("Te")+" "+r.Header.Get("Content-Type"))
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		buf := make([]byte, 64)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(bytes.ToUpper(buf[:n]))
			_ = http.NewResponseController(w).Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set("Grpc-Status", "0")
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", "fine")
		w.Header().Set(http.TrailerPrefix+"Set-Cookie", "postern=x")
	}))
	app.Config.ErrorLog = discardLog()
	if secure {
		app.EnableHTTP2 = true
		app.StartTLS()
	} else {
		app.Config.Protocols = new(http.Protocols)
		app.Config.Protocols.SetHTTP1(true)
		app.Config.Protocols.SetUnencryptedHTTP2(true)
		app.Start()
	}
	t.Cleanup(app.Close)
	return app
}

// h2Front is the gateway behind an HTTP/2 listener, and a client that speaks it.
func (s *stack) h2Front() (*httptest.Server, *http.Client) {
	front := httptest.NewUnstartedServer(s.gateway)
	front.EnableHTTP2 = true
	front.Config.ErrorLog = discardLog()
	front.StartTLS()
	s.t.Cleanup(front.Close)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: front.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}, ForceAttemptHTTP2: true}
	s.t.Cleanup(transport.CloseIdleConnections)
	return front, &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// TestGRPCStreamsBothWaysAndKeepsItsTrailers over h2c, and over the HTTP/2 that
// TLS negotiates.
func TestGRPCStreamsBothWaysAndKeepsItsTrailers(t *testing.T) {
	for _, name := range []string{"h2c", "https"} {
		t.Run(name, func(t *testing.T) {
			app := newGRPC(t, name == "https")
			s := newStack(t, func(c *setup) { c.grace = 100 * time.Millisecond })
			s.upstreamURL(strings.Replace(app.URL, "http://", "h2c://", 1), func(u *Upstream) {
				if name == "https" {
					u.TLS = UpstreamTLS{CAFile: filepath.Join(t.TempDir(), "ca.pem"), ServerName: "example.com"}
					must(t, os.WriteFile(u.TLS.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: app.Certificate().Raw}), 0o600))
				}
			})
			t.Cleanup(func() { s.gateway.snap.Load().closeIdle() })
			front, client := s.h2Front()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			pr, pw := io.Pipe()
			r, err := http.NewRequestWithContext(ctx, "POST", front.URL+"/public/pkg.Service/Call", pr)
			must(t, err)
			r.Host = "gw.test"
			r.Header.Set("Content-Type", "application/grpc")
			r.Header.Set("Te", "trailers")
			res, err := client.Do(r)
			must(t, err)
			defer res.Body.Close()
			if seen := res.Header.Get("X-Seen"); seen != "HTTP/2.0 POST /public/pkg.Service/Call trailers application/grpc" {
				t.Errorf("the application saw %q", seen)
			}
			for _, word := range []string{"one", "two"} { // each answered before the next is sent
				time.Sleep(150 * time.Millisecond) // more than the grace of a body that is one
				_, err = io.WriteString(pw, word)
				must(t, err)
				got := make([]byte, 3)
				if _, err = io.ReadFull(res.Body, got); err != nil || string(got) != strings.ToUpper(word) {
					t.Fatalf("%q, %v", got, err)
				}
			}
			pw.Close()
			_, err = io.ReadAll(res.Body)
			must(t, err)
			if res.Trailer.Get("Grpc-Status") != "0" || res.Trailer.Get("Grpc-Message") != "fine" || res.Trailer.Get("Set-Cookie") != "" {
				t.Errorf("trailers %v", res.Trailer)
			}
		})
	}
}

func TestAWebSocketToAnH2CApplicationIsHTTP1(t *testing.T) {
	app := newGRPC(t, false)
	s := newStack(t)
	s.upstreamURL(strings.Replace(app.URL, "http://", "h2c://", 1), nil)
	r := s.get("/public/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: http://gw.test")
	if r.StatusCode != http.StatusUpgradeRequired || strings.TrimSpace(r.body) != "HTTP/1.1" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// TestNoWordMakesASlowBodyFine: what calls itself gRPC and goes to a server of
// HTTP/1 has to keep arriving like any other.
func TestNoWordMakesASlowBodyFine(t *testing.T) {
	s := newStack(t, func(c *setup) { c.grace = 100 * time.Millisecond })
	front, client := s.h2Front()
	pr, pw := io.Pipe()
	defer pw.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", front.URL+"/public/pkg.Service/Call", pr)
	must(t, err)
	r.Host = "gw.test"
	r.Header.Set("Content-Type", "application/grpc")
	res, err := client.Do(r)
	must(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestTimeout {
		t.Errorf("answered %d", res.StatusCode)
	}
}
