package gateway

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// BenchmarkServe measures the gateway's own part of a request: everything from
// ServeHTTP to the upstream's connection and back, without the client's.
func BenchmarkServe(b *testing.B) {
	s := newStack(b)
	s.gateway.log = slog.New(slog.NewJSONHandler(io.Discard, nil))
	token := s.token("alice")
	b.Run("bare ReverseProxy", func(b *testing.B) { // what there is to compare with
		b.ReportAllocs()
		snap := s.gateway.snap.Load()
		target := snap.upstreams[0].balancer.targets[0]
		to := &url.URL{Scheme: target.scheme, Host: target.host}
		proxy := &httputil.ReverseProxy{Transport: target.transport.usual, BufferPool: &loan{pool: &s.gateway.buffers}, Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(to) }}
		for b.Loop() {
			proxy.ServeHTTP(httptest.NewRecorder(), benchRequest("/public/x", ""))
		}
	})
	for _, bench := range []struct{ name, path, token string }{{"anyone", "/public/x", ""}, {"authenticated", "/app/x", token}, {"refused", "/app/x", ""}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				s.gateway.ServeHTTP(w, benchRequest(bench.path, bench.token))
				if w.Code != 200 && bench.name != "refused" {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}

// BenchmarkSteps measures the steps before the upstream alone.
func BenchmarkSteps(b *testing.B) {
	s := newStack(b)
	snap, token := s.gateway.snap.Load(), s.token("alice")
	for n, name := range []string{"begin", "decide", "tell"} { // each with those before it
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r, w := benchRequest("/app/x", token), httptest.NewRecorder()
			credential := r.Header["Authorization"]
			for b.Loop() {
				x := s.gateway.begin(snap, w, r)
				if n == 0 {
					continue
				}
				if _, ok := x.normalise(); !ok || !x.route() || !s.gateway.authenticate(x) || !s.gateway.decide(x) {
					b.Fatal(x.reason)
				}
				if n == 2 {
					x.rt.upstream.outgoing(x)
					r.Header["Authorization"] = credential // it was taken out
				}
			}
		})
	}
	b.Run("strip", func(b *testing.B) {
		b.ReportAllocs()
		h := benchRequest("/app/x", token).Header
		for b.Loop() {
			snap.identity.strip(h, nil)
		}
	})
}

// benchRequest is what a browser sends, as far as the gateway looks at it.
func benchRequest(path, token string) *http.Request {
	r := httptest.NewRequest("GET", path, nil)
	r.RequestURI, r.Host = path, "gw.test"
	for name, v := range map[string]string{"Accept": "application/json", "Accept-Language": "de,en", "Accept-Encoding": "gzip, br", "User-Agent": "Mozilla/5.0",
		"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Sec-Ch-Ua": "x", "Cookie": "app=1; theme=dark", "Referer": "http://gw.test/"} {
		r.Header.Set(name, v)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// BenchmarkIdentity measures what it costs to tell an upstream who asks.
// Minted tokens are remembered, so that cold is once in half their life.
func BenchmarkIdentity(b *testing.B) {
	p := &auth.Principal{ID: "0198f0c2-7b1e-7cc0-9c5d-2f6e3d1a7b4c", Username: "alice", Email: "alice@gw.test", Name: "Alice", Roles: []string{"user"}, Expires: time.Now().Add(time.Hour)}
	legacy := LegacyToken{Header: "X-Access-Token", Secret: legacySecret, TTL: time.Minute, Claims: []LegacyClaim{{Name: "id", Value: "id"}, {Name: "isAdmin", HasRole: "admin"}}}
	for _, bench := range []struct {
		name   string
		change func(*Identity)
		cold   bool
	}{
		{"headers", func(*Identity) {}, false},
		{"basic", func(c *Identity) { c.Basic = Basic{true, "s3cret"} }, false},
		{"percent", func(c *Identity) { c.Headers[0].Encoding = "percent" }, false},
		{"legacy token", func(c *Identity) { c.LegacyToken = legacy }, false},
		{"legacy token, cold", func(c *Identity) { c.LegacyToken = legacy }, true},
		{"assertion", func(c *Identity) { c.Assertion.Enabled = true }, false},
		{"assertion, cold", func(c *Identity) { c.Assertion.Enabled = true }, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			c := defaultIdentity()
			bench.change(&c)
			id, s := newIdentity(c), newStack(b, withAssertion)
			own := *p
			x := &auth.Presented{Kind: auth.BearerCredential, Token: s.token("alice"), Principal: &own}
			now, h := time.Now(), http.Header{}
			m := newMint("app", id, s.service.Assert)
			for b.Loop() {
				var told minted
				if m != nil {
					var err error
					if told, err = m.of(x, now); err != nil {
						b.Fatal(err)
					}
				}
				id.set(h, x.Principal, told)
				if bench.cold {
					now = now.Add(time.Minute)
					x.Principal.Expires = now.Add(time.Hour)
				}
			}
		})
	}
}
