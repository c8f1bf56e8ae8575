package gateway

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

// plainOf is the handler of the plain server before a gateway of gw.test.
func plainOf(t *testing.T, publicURL string) (*Server, *fetcher) {
	t.Helper()
	c := DefaultConfig()
	c.PublicURL = publicURL
	c.TLS.ACME = ACME{Domains: []string{"gw.test", "Café.test"}, DirectoryURL: "https://192.0.2.1/dir", HTTPListen: ":80"}
	s := newStack(t)
	public := NewServer(c, s.gateway, slog.New(slog.DiscardHandler))
	public.KeepCertificates(secretsOf(t))
	must(t, public.fetcher.open())
	t.Cleanup(public.fetcher.stop)
	return NewPlainServer(c, public, slog.New(slog.DiscardHandler)), public.fetcher
}

func TestThePlainListenerSendsOurNamesToHTTPSAndNobodyElsewhere(t *testing.T) {
	for _, test := range []struct {
		public, method, target, host string
		status                       int
		location                     string
	}{
		{"https://gw.test", "GET", "/a?b=c", "gw.test", 308, "https://gw.test/a?b=c"},
		{"https://gw.test", "GET", "/", "GW.TEST.:80", 308, "https://gw.test/"},
		{"https://gw.test", "GET", "/", "xn--caf-dma.test", 308, "https://xn--caf-dma.test/"},
		{"https://gw.test:8443", "PUT", "/a", "gw.test:80", 308, "https://gw.test:8443/a"},
		{"http://gw.test:8080", "GET", "/a", "gw.test", 308, "https://gw.test/a"},
		{"https://gw.test", "GET", "/", "evil.test", 421, ""},
		{"https://gw.test", "GET", "/", "gw.test@evil.test", 421, ""},
		{"https://gw.test", "GET", "/", "a.gw.test", 421, ""},
		{"https://gw.test", "GET", "/", "", 421, ""},
		{"https://gw.test", "GET", "http://evil.test/x", "evil.test", 421, ""},
		{"https://gw.test", "OPTIONS", "*", "gw.test", 400, ""},
		{"https://gw.test", "GET", "/.well-known/acme-challenge/", "gw.test", 404, ""},
		{"https://gw.test", "GET", "/.well-known/acme-challenge/../../secret", "gw.test", 404, ""},
		{"https://gw.test", "POST", "/.well-known/acme-challenge/x", "gw.test", 308, "https://gw.test/.well-known/acme-challenge/x"},
	} {
		plain, _ := plainOf(t, test.public)
		r, w := httptest.NewRequest(test.method, test.target, nil), httptest.NewRecorder()
		r.Host = test.host
		r.Header.Set("X-Request-Id", "not well formed")
		plain.http.Handler.ServeHTTP(w, r)
		if w.Code != test.status || w.Header().Get("Location") != test.location {
			t.Errorf("%s %s of %q: %d %q, want %d %q", test.method, test.target, test.host, w.Code, w.Header().Get("Location"), test.status, test.location)
		}
		if id := w.Header().Get("X-Request-Id"); !wellFormedID(id) {
			t.Errorf("%s of %q: X-Request-Id %q", test.target, test.host, id)
		}
	}
}

func TestAChallengeIsAnsweredWhereItWasSetAndForOurNamesAlone(t *testing.T) {
	plain, f := plainOf(t, "https://gw.test")
	must(t, f.shelf.Put(t.Context(), "token+http-01", []byte("token.thumbprint"))) // as another instance does
	must(t, f.shelf.Put(t.Context(), "acme_account+key", []byte("PRIVATE")))
	for _, test := range []struct {
		path, host string
		status     int
	}{
		{"token", "gw.test", 200}, {"token", "gw.test:80", 200}, {"token", "evil.test", 421}, {"other", "gw.test", 404},
		{"acme_account+key", "gw.test", 404}, {"gw.test", "gw.test", 404}, {"..%2facme_account+key", "gw.test", 404}, {"token+http-01", "gw.test", 404},
	} {
		r, w := httptest.NewRequest("GET", challengePath+test.path, nil), httptest.NewRecorder()
		r.Host = test.host
		plain.http.Handler.ServeHTTP(w, r)
		if w.Code != test.status || (w.Code == http.StatusOK) != (w.Body.String() == "token.thumbprint") || strings.Contains(w.Body.String(), "PRIVATE") {
			t.Errorf("%s of %s: %d %q, want %d", test.path, test.host, w.Code, w.Body, test.status)
		}
	}
}

func TestThePlainListenerIsThereWhereItIsAskedForAndWaitsForNobody(t *testing.T) {
	plain, f := plainOf(t, "https://gw.test")
	if plain.http.ReadTimeout <= 0 || plain.http.ReadTimeout > time.Minute || plain.http.WriteTimeout <= 0 || plain.http.TLSConfig != nil {
		t.Errorf("its timeouts are %s and %s", plain.http.ReadTimeout, plain.http.WriteTimeout)
	}
	if f.current.Load().answers == nil {
		t.Error("challenges over HTTP are not answered")
	}
	s := newStack(t)
	for name, change := range map[string]func(*Config){
		"without ACME":    func(c *Config) { c.TLS.ACME.Domains = nil },
		"without address": func(c *Config) { c.TLS.ACME.HTTPListen = "" },
	} {
		c := DefaultConfig()
		c.TLS.ACME.Domains, c.TLS.ACME.HTTPListen = []string{"gw.test"}, ":80"
		change(&c)
		if NewPlainServer(c, NewServer(c, s.gateway, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler)) != nil {
			t.Errorf("%s: there is one", name)
		}
	}
	quiet := newFetcher(ACME{Domains: []string{"gw.test"}, CacheDir: t.TempDir()}, slog.New(slog.DiscardHandler))
	must(t, quiet.open())
	if now := quiet.current.Load(); now.answers != nil || now.manager.Cache == autocert.Cache(nil) {
		t.Error("challenges over HTTP are tried where nobody listens")
	}
}

// TestThePlainListenerTakesNoMoreConnectionsThanThePublicOne: else whoever fills
// it would use up what the process may open, and with that the public one.
func TestThePlainListenerTakesNoMoreConnectionsThanThePublicOne(t *testing.T) {
	s := newStack(t)
	c := DefaultConfig()
	c.Limits.Connections = 4
	c.TLS.ACME = ACME{Domains: []string{"gw.test"}, DirectoryURL: "https://192.0.2.1/dir", HTTPListen: "127.0.0.1:0", CacheDir: t.TempDir()}
	public := NewServer(c, s.gateway, slog.New(slog.DiscardHandler))
	must(t, public.fetcher.open())
	plain := NewPlainServer(c, public, slog.New(slog.DiscardHandler))
	must(t, plain.Listen())
	served := make(chan error, 1)
	go func() { served <- plain.Serve() }()
	t.Cleanup(func() {
		public.fetcher.stop()
		_ = plain.Shutdown(context.Background())
		must(t, <-served)
	})
	for i := range 40 {
		conn, err := net.Dial("tcp", plain.Addr())
		must(t, err)
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET /a HTTP/1.1\r\nHost: gw.test\r\n\r\n") // it may be closed by now
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if taken := i < 4+8; taken != (err == nil) || taken && res.StatusCode != 308 { // 8 more, as the public one takes to tell them
			t.Fatalf("connection %d was answered %v, %v", i, res, err)
		}
	}
	if open := s.gateway.connections.Load(); open != 0 {
		t.Errorf("%d count as connections of the public listener", open)
	}
}
