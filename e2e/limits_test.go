package e2e

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
)

// unannounced is a body of any length that is announced nowhere.
type unannounced struct{ left int }

func (e *unannounced) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), e.left)], bytes.Repeat([]byte("x"), min(len(p), e.left)))
	e.left -= n
	return n, nil
}

// TestWhatIsTooLargeIsToldSo: heads and bodies that are larger than they may be
// are answered by problem documents that say so, over every protocol, and no
// upstream gets them whole; what is just as large as it may be goes through.
func TestWhatIsTooLargeIsToldSo(t *testing.T) {
	t.Parallel()
	app := startLegacy(t, nil)
	const config = `
listen: {LISTEN}
public_url: http://gw.test
admin: { listen: "{ADMIN}" }
{MORE}
upstreams: [{ name: app, urls: ["{UPSTREAM}"] }]
routes:
  - { path: /small/**, allow: anyone, max_body: 64KiB }
  - { path: /**, allow: anyone }
`
	for name, more := range map[string]string{"HTTP/1.1": "", "HTTP/2": "tls: { cert_file: cert.pem, key_file: cert.key }", "h2c": "h2c: true"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := prepare(t, strings.NewReplacer("{UPSTREAM}", app.URL, "{MORE}", more).Replace(config))
			g.writeCertificate("gw.test")
			g.start()
			tr, scheme := dialing(g.addr), "http"
			switch name {
			case "HTTP/2":
				scheme, tr.ForceAttemptHTTP2, tr.TLSClientConfig = "https", true, &tls.Config{InsecureSkipVerify: true}
			case "h2c":
				tr = cleartext(g.addr)
			}
			defer tr.CloseIdleConnections()
			checkLimits(t, tr, scheme, name != "HTTP/1.1")
			for _, a := range app.arrived("/small/") {
				if len(a.body) > 64<<10 {
					t.Errorf("the application got a body of %d bytes whole", len(a.body))
				}
			}
		})
	}
}

// checkLimits asks for what is too large, and for what is just not.
func checkLimits(t *testing.T, tr *http.Transport, scheme string, http2 bool) {
	t.Helper()
	many := func(n int) http.Header {
		h := http.Header{}
		for range n {
			h.Add("X-A", "b")
		}
		return h
	}
	length := func(n int) io.Reader { return bytes.NewReader(make([]byte, n)) }
	const limit = 64 << 10
	for _, test := range []struct {
		name, path string
		head       http.Header
		body       io.Reader
		want       int
		code       string // empty: no problem document of ours (net/http answers by itself)
	}{
		{"some headers and cookies", "/x", http.Header{"X-A": many(80)["X-A"], "Cookie": {strings.Repeat("a=b; ", 40) + "c=d"}}, nil, 200, ""},
		{"too many headers", "/x", many(101), nil, 431, "bad_request"},
		{"too many cookies", "/x", http.Header{"Cookie": {strings.Repeat("a=b; ", 60) + "c=d"}}, nil, 431, "bad_request"},
		{"a long header", "/x", http.Header{"X-A": {strings.Repeat("a", 40<<10)}}, nil, 200, ""},
		{"too long a header", "/x", http.Header{"X-A": {strings.Repeat("a", 66<<10)}}, nil, 431, "bad_request"},
		{"too long headers", "/x", http.Header{"X-A": {strings.Repeat("a", 33<<10)}, "X-B": {strings.Repeat("b", 33<<10)}}, nil, 431, "bad_request"},
		{"too long a path", "/" + strings.Repeat("a", 66<<10), nil, nil, 431, "bad_request"},
		{"far too long a header", "/x", http.Header{"X-A": {strings.Repeat("a", 200<<10)}}, nil, 431, ""},
		{"a body that just fits", "/small/x", nil, length(limit), 200, ""},
		{"a body that announces too much", "/small/x", nil, length(limit + 1), 413, "too_large"},
		{"a body in pieces that just fits", "/small/x", nil, &unannounced{limit}, 200, ""},
		{"a body in pieces that grows too large", "/small/x", nil, &unannounced{limit + 1}, 413, "too_large"},
		{"a body in pieces without an end in sight", "/small/x", nil, &unannounced{32 << 20}, 413, "too_large"},
		{"a large body on a route without a limit", "/x", nil, &unannounced{4 << 20}, 200, ""},
	} {
		req, err := http.NewRequest("POST", scheme+"://gw.test"+test.path, test.body)
		if err != nil {
			t.Fatal(err)
		}
		if test.head != nil {
			req.Header = test.head
		}
		resp, err := tr.RoundTrip(req)
		if test.want == 431 && test.code == "" && http2 && err != nil {
			continue // a client of HTTP/2 knows the limit, and does not even send it
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		r := reply{resp, string(text)}
		if r.StatusCode != test.want || r.ProtoMajor == 2 != http2 {
			t.Errorf("%s: %s by %s, want %d\n%.300s", test.name, r.Status, r.Proto, test.want, r.body)
		}
		if test.code != "" && (r.code() != test.code || r.Header.Get("Content-Type") != "application/problem+json" || r.Header.Get("X-Request-Id") == "") {
			t.Errorf("%s: not the problem %s: %v %s", test.name, test.code, r.Header, r.body)
		}
	}
}

// TestOneConnectionTooManyIsToldSo over HTTP/1.1 and HTTP/2, be it of all or of
// one client: with when to come back, and there is room again when another has
// gone.
func TestOneConnectionTooManyIsToldSo(t *testing.T) {
	t.Parallel()
	app := startLegacy(t, nil)
	for name, over := range map[string]func(addr string) *http.Transport{"HTTP/1.1": dialing, "HTTP/2": cleartext} {
		for _, limit := range []string{"connections", "connections_per_client"} {
			t.Run(name+" "+limit, func(t *testing.T) {
				t.Parallel()
				g := prepare(t, strings.NewReplacer("http://127.0.0.1:1", app.URL, "authenticated", "anyone").Replace(goodConfig)+"limits: { "+limit+": 2 }\nh2c: true\n").start()
				fillTwo(t, g, over)
			})
		}
	}
}

// fillTwo finds that two connections are served and a third one is refused.
func fillTwo(t *testing.T, g *gateway, over func(addr string) *http.Transport) {
	t.Helper()
	join := func() (*client, *http.Transport) { // each a connection of its own, which it keeps
		tr := over(g.addr)
		tr.IdleConnTimeout = 0
		t.Cleanup(tr.CloseIdleConnections)
		c := newClient(t, "http://"+g.addr)
		c.http.Transport = tr
		return c, tr
	}
	first, leaves := join()
	second, _ := join()
	for _, c := range []*client{first, second} {
		c.get("/x").want(t, 200, "one of two")
	}
	third, _ := join()
	if r := third.get("/x").want(t, 503, "one too many"); r.code() != "unavailable" || r.Header.Get("Retry-After") == "" || r.Header.Get("X-Request-Id") == "" {
		t.Errorf("one too many: %v %s", r.Header, r.body)
	}
	second.get("/x").want(t, 200, "those that were there")
	leaves.CloseIdleConnections()
	eventually(t, "room for another", func() bool {
		c, tr := join()
		defer tr.CloseIdleConnections()
		r, err := c.try("GET", "/x", "")
		return err == nil && r.StatusCode == 200
	})
}

// TestARateLimitSaysWhenToComeBack, to each account and each address by itself.
func TestARateLimitSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	app := startLegacy(t, nil)
	g := prepare(t, strings.NewReplacer("http://127.0.0.1:1", app.URL, "  - { path: /**, allow: authenticated }\n", `
  - { path: /open, allow: anyone, rate_limit: { per: client, requests: 3, window: 10h } }
  - { path: /mine, allow: authenticated, rate_limit: { per: user, requests: 2, window: 10h } }
`).Replace(goodConfig))
	g.addUser("alice", "user")
	g.addUser("bob", "user")
	g.start()
	spend := func(who string, c *client, path string, times int, header ...string) {
		t.Helper()
		for range times {
			r := c.get(path, header...).want(t, 200, who)
			if r.Header.Get("RateLimit") == "" || r.Header.Get("RateLimit-Policy") == "" {
				t.Errorf("%s is not told what is left: %v", who, r.Header)
			}
		}
		r := c.get(path, header...).want(t, 429, who+", once more")
		if r.code() != "rate_limited" || r.Header.Get("Retry-After") == "" || !strings.Contains(r.Header.Get("RateLimit"), "r=0") {
			t.Errorf("%s is not told when to come back: %v %s", who, r.Header, r.body)
		}
	}
	before, after := g.from("127.0.0.8"), g.from("127.0.0.9")
	spend("an address", before, "/open", 3)
	spend("another address", after, "/open", 3)
	alice, bob := bearer(g.client().login("alice").AccessToken), bearer(g.client().login("bob").AccessToken)
	before.get("/mine", alice).want(t, 200, "alice")
	spend("alice, from elsewhere", after, "/mine", 1, alice)
	spend("bob", after, "/mine", 2, bob)
	if n := len(app.arrived("/")); n != 3+3+2+2 {
		t.Errorf("the application was asked %d times", n)
	}
}
