package gateway

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// ReverseProxy no longer sees the header that it would take the fields out of:
// what is done in its place must come to the same.
func TestHopByHopFieldsAreDroppedAsReverseProxyDoes(t *testing.T) {
	names := []string{"Connection", "Upgrade", "Te", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "Trailer",
		"Transfer-Encoding", "X-Auth-User", "X-A", "Cookie", "Host"}
	values := []string{"", "close", "upgrade", "Upgrade, X-A", "x-auth-user,te", "websocket", "WebSocket", "h2c", "trailers", "gzip, Trailers", "x", " x-a ,, cookie", "te;q=1", "web\u017focket", "websoc\u212aet", "trailer\u017f"}
	rapid.Check(t, func(t *rapid.T) {
		h := http.Header{}
		for range rapid.IntRange(0, 8).Draw(t, "fields") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			h[name] = append(h[name], rapid.SampledFrom(values).Draw(t, "value"))
		}
		x := &exchange{r: &http.Request{Method: "GET", ProtoMajor: 1, ProtoMinor: 1, Header: h.Clone()}}
		x.readUpgrade()
		want := upstreamHeader(x.r)
		new(identity).cleanRequest(x.r.Header, nil, x.websocket, false)
		if !maps.EqualFunc(x.r.Header, want, slices.Equal) {
			t.Fatalf("of %v\ngot  %v\nwant %v", h, x.r.Header, want)
		}
	})
}

// TestAHeaderThatLooksNativeHasNothingToTakeOut: the one glance at each name that
// spares most requests a second walk must miss nothing of what that would find,
// whatever the configuration claims and the client names in Connection.
func TestAHeaderThatLooksNativeHasNothingToTakeOut(t *testing.T) {
	names := slices.Concat(ordinaryNames(), ordinaryNames(), ordinaryNames(), strippedNames(), keptNames(), []string{"Connection", "Connection", "Expect", "Tracestate",
		"Traceparent", "Te", "Upgrade", "Trailer", "Keep-Alive", "Proxy-Connection", "X_auth_user", "X.auth.user", "X-Forwarded-Any", "Remote-Any", "Api_key", "SM_USER", "X", "Xy", "Accept_", ""})
	claims := []Header{{Name: "Accept", Value: "id"}, {Name: "X-Request-Id", Value: "id"}, {Name: "Referer", Value: "id"}, {Name: "Connection", Value: "id"}, {Name: "X-Mine", Value: "id"}}
	natives := 0
	rapid.Check(t, func(t *rapid.T) {
		c := defaultIdentity()
		c.Headers = append(c.Headers, rapid.SliceOfN(rapid.SampledFrom(claims), 0, 2).Draw(t, "claims")...)
		c.Basic.Enabled = rapid.Bool().Draw(t, "basic")
		snap := &Snapshot{identity: newIdentity(c)}
		u := &upstream{keepHeaders: rapid.SampledFrom([][]string{nil, {"api_key"}, {"SM_USER"}}).Draw(t, "kept")}
		h := http.Header{}
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 6).Draw(t, "names") {
			h[name] = []string{rapid.SampledFrom(append(names, "keep-alive, Accept", "close")).Draw(t, "value")}
		}
		cleaned := func(glance bool) (http.Header, bool) {
			x := &exchange{snap: snap, ids: [1]string{"id"}, r: &http.Request{Method: "GET", ProtoMajor: 1, ProtoMinor: 1, Header: h.Clone()}}
			if _, ok := x.checkHeader(); !ok {
				t.Fatal("refused")
			}
			x.native = x.native && glance
			u.clean(x, x.r.Header)
			return x.r.Header, x.native
		}
		want, _ := cleaned(false)
		got, native := cleaned(true)
		if !maps.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("of %v\ngot  %v\nwant %v", h, got, want)
		}
		if _, named := h["Connection"]; native && !named { // then it is not even cleaned
			natives++
			if delete(want, "X-Request-Id"); len(h["X-Request-Id"]) > 0 {
				want["X-Request-Id"] = h["X-Request-Id"]
			}
			if !maps.EqualFunc(h, want, slices.Equal) {
				t.Fatalf("of %v\nwould be left, and should be %v", h, want)
			}
		}
	})
	if natives == 0 {
		t.Error("no header was native")
	}
}

// Two names in one place would cost time alone, and nobody would notice.
func TestEachOrdinaryNameHasItsPlace(t *testing.T) {
	id := newIdentity(DefaultConfig().Identity)
	for _, name := range ordinaryNames() {
		if http.CanonicalHeaderKey(name) != name || !id.isOrdinary(name) || id.foreign(name) {
			t.Errorf("%s is not known as ordinary", name)
		}
	}
	for name := range benchRequest("/x", "t").Header {
		if !id.isOrdinary(name) {
			t.Errorf("a browser sends %s", name)
		}
	}
}

// upstreamHeader is what ReverseProxy makes of a request's header by itself.
func upstreamHeader(in *http.Request) (out http.Header) {
	r := httptest.NewRequest("GET", "/", nil).WithContext(context.Background())
	r.Header = in.Header
	p := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL = &url.URL{Scheme: "http", Host: "app"}
			out = pr.Out.Header.Clone()
		},
		Transport:    roundTrip(func(*http.Request) (*http.Response, error) { return nil, context.Canceled }),
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {},
	}
	p.ServeHTTP(httptest.NewRecorder(), r)
	return out
}

// One line of each: a list of two, of which one is the client's, is two answers
// to the question who asks.
func TestWhatTheGatewaySaysArrivesOnce(t *testing.T) {
	for _, transport := range []string{"lean", "standard"} {
		s := newStack(t, func(c *setup) {
			c.gateway.Upstreams[0].Transport = transport
			c.gateway.Identity.Assertion.Enabled = true
		})
		said := []string{"X-Auth-User", "X-Auth-User-Id", "X-Auth-Roles", "X-Auth-Assertion", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Traceparent", "X-Request-Id"}
		lines := []string{bearer(s.token("alice"))}
		for _, name := range said {
			lines = append(lines, name+": evil", name+": evil too")
		}
		lines = append(lines, "Connection: "+strings.Join(said, ", ")) // CVE-2025-48865
		for _, method := range []string{"GET", "POST", "HEAD"} {       // plain, with a body, and one that is handed on
			r := s.send(method, "/app/x", "", lines...)
			if r.StatusCode != 200 || r.seen == nil {
				t.Fatalf("%s %s: %d %s", transport, method, r.StatusCode, r.body)
			}
			for _, name := range said {
				if got := r.seen.header[name]; len(got) != 1 || got[0] == "" || got[0] == "evil" {
					t.Errorf("%s %s: %s is %q", transport, method, name, got)
				}
			}
		}
	}
}

// A request that is sent again by another transport has one of each as well:
// some applications make "user,user" or "alice,alice" of two.
func TestWhatTheGatewaySaysArrivesOnceAlsoWhenItIsSentAgain(t *testing.T) {
	for _, first := range []string{"https://", "h2c://"} { // nobody is there
		s := newStack(t, func(c *setup) { c.gateway.Identity.Assertion.Enabled = true })
		s.upstreamURL("", func(u *Upstream) {
			u.URLs, u.Balance = []string{first + closedAddress(t), s.app.server.URL}, "round_robin"
		})
		for _, method := range []string{"GET", "HEAD", "GET", "PUT", "GET"} { // in turn, so that each address comes first
			r := s.send(method, "/app/x", "", bearer(s.token("alice")), "X-Mine: a", "X-Mine: b")
			if r.StatusCode != 200 || r.seen == nil {
				t.Fatalf("%s %s: %d %s", first, method, r.StatusCode, r.body)
			}
			for name, got := range r.seen.header {
				if (len(got) == 2) != (name == "X-Mine") {
					t.Errorf("%s %s: %s is %q", first, method, name, got)
				}
			}
			if got := r.seen.header["X-Auth-User"]; len(got) != 1 || got[0] != "alice" {
				t.Errorf("%s %s: X-Auth-User is %q", first, method, got)
			}
			s.later(time.Hour) // the address that is out is tried again
		}
	}
}

func TestTheFieldsOfAnAnswerJoinThoseThatAreThere(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Vary", "Origin")
	a := &answer{ResponseWriter: w}
	res := &http.Response{Header: http.Header{"Vary": {"Accept", "Cookie"}, "Content-Type": {"text/plain"}, "Set-Cookie": {"a=1", "b=2"}}}
	a.take(res)
	want := http.Header{"Vary": {"Origin", "Accept", "Cookie"}, "Content-Type": {"text/plain"}, "Set-Cookie": {"a=1", "b=2"}}
	if !maps.EqualFunc(w.Header(), want, slices.Equal) || len(res.Header) != 0 {
		t.Errorf("the client gets %v, and %v is left", w.Header(), res.Header)
	}
}

// An application that says no type, and that none is to be guessed, has its
// answer shown as a page by no browser.
func TestAnAnswerGetsNoTypeThatItDidNotHave(t *testing.T) {
	for _, transport := range []string{"lean", "standard"} {
		untyped := func(c *setup) {
			c.gateway.Upstreams[0].Transport = transport
			c.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				w.Header().Set("X-Content-Type-Options", "nosniff")
				_, _ = io.WriteString(w, "<html><script>alert(1)</script>")
			}
		}
		secure := newStack(t, untyped, func(c *setup) { behindTLS(t, c) })
		for version, res := range map[string]*http.Response{"1.1": newStack(t, untyped).get("/public/x").Response, "2": secure.h2(t, "/public/x")} {
			if types, said := res.Header["Content-Type"]; said || res.StatusCode != http.StatusOK {
				t.Errorf("%s, HTTP/%s: %d with Content-Type %q", transport, version, res.StatusCode, types)
			}
		}
	}
}
