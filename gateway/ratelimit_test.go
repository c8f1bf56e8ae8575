package gateway

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/policy"
)

// limited is a stack whose /app/** takes so many requests a minute. The proxy
// in front of it, 127.0.0.1, is believed.
func limited(t *testing.T, per string, requests int, changes ...func(*setup)) *stack {
	return newStack(t, append([]func(*setup){func(c *setup) {
		c.gateway.TrustedProxies = []string{"127.0.0.1"}
		c.options = make([]RouteOptions, len(c.policy.Routes))
		for i := range c.options[:2] { // /public/** and /app/**
			c.options[i].RateLimit = &RateLimit{Per: per, Requests: requests, Window: time.Minute}
		}
	}}, changes...)...)
}

func from(address string) string { return "X-Forwarded-For: " + address }

func TestWhoAsksMoreThanTheLimitIsToldWhenToComeBack(t *testing.T) {
	s := limited(t, "user", 3)
	token := s.token("alice")
	for i, left := range []string{"2", "1", "0"} {
		r := s.get("/app/x", bearer(token))
		r.wants(t, 200, "")
		want := `"gateway";r=` + left + `;t=` + strconv.Itoa(20*(i+1))
		if got := r.Header.Get("RateLimit"); got != want || r.Header.Get("RateLimit-Policy") != `"gateway";q=3;w=60` {
			t.Errorf("RateLimit %q, RateLimit-Policy %q, want %q", got, r.Header.Get("RateLimit-Policy"), want)
		}
	}
	r := s.get("/app/x", bearer(token))
	r.wants(t, 429, "rate_limited")
	r.notAsked(t)
	if got := r.Header.Get("Retry-After"); got != "20" {
		t.Errorf("Retry-After %q, want 20", got)
	}
	if r.Header.Get("RateLimit") != `"gateway";r=0;t=60` || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("answered %v", r.Header)
	}
	entry := s.log.entries(t, "request", 4)[3]
	if entry["decision"] != "deny" || entry["reason"] != "rate_limited" || entry["user"] != "alice" || entry["status"] != 429.0 {
		t.Errorf("logged %v", entry)
	}
	if line := `postern_requests_total{code="429",decision="deny",reason="rate_limited",route="/app/**"} 1`; !strings.Contains(s.metricsText(), line) {
		t.Errorf("not counted: %s", line)
	}
	s.later(21 * time.Second)
	s.get("/app/x", bearer(token)).wants(t, 200, "")
	s.get("/app/x", bearer(token)).wants(t, 429, "rate_limited")
	s.later(2 * time.Minute)
	if r := s.get("/app/x", bearer(token)); r.Header.Get("RateLimit") != `"gateway";r=2;t=20` {
		t.Errorf("after two minutes: %q", r.Header.Get("RateLimit"))
	}
}

func TestARouteWithoutALimitSaysNothingOfOne(t *testing.T) {
	s := newStack(t)
	r := s.get("/public/x")
	r.wants(t, 200, "")
	if r.Header.Get("RateLimit") != "" || r.Header.Get("RateLimit-Policy") != "" {
		t.Errorf("answered %v", r.Header)
	}
}

func TestARefusedRequestTakesNothingFromTheQuota(t *testing.T) {
	s := limited(t, "client", 2)
	token := s.token("alice")
	for range 5 {
		r := s.get("/app/x")
		r.wants(t, 401, "token_missing")
		if r.Header.Get("RateLimit") != "" {
			t.Errorf("a refusal tells of the quota: %q", r.Header.Get("RateLimit"))
		}
		s.get("/app/x", bearer("a.b.c")).wants(t, 401, "")
		s.get("/app//x", bearer(token)).wants(t, 400, "bad_path")
	}
	s.get("/app/x", bearer(token)).wants(t, 200, "")
	s.get("/app/x", bearer(token)).wants(t, 200, "")
	s.get("/app/x", bearer(token)).wants(t, 429, "rate_limited")
}

func TestWhoseQuotaARequestComesFrom(t *testing.T) {
	for _, test := range []struct {
		name, per string
		one, two  []string // header lines; alice, root: their tokens
		shared    bool
	}{
		{"one account from two addresses", "user", []string{"alice", from("192.0.2.1")}, []string{"alice", from("192.0.2.2")}, true},
		{"two accounts at one address", "user", []string{"alice"}, []string{"root"}, false},
		{"an account and nobody at one address", "user", []string{"alice"}, nil, false},
		{"nobody at two addresses", "user", []string{from("192.0.2.1")}, []string{from("192.0.2.2")}, false},
		{"nobody at one address twice", "user", []string{from("192.0.2.1")}, []string{from("192.0.2.1")}, true},
		{"nobody with two bad tokens", "user", []string{bearer("a.b.c")}, []string{bearer("d.e.f")}, true},
		{"two accounts at one address, per client", "client", []string{"alice"}, []string{"root"}, true},
		{"one account from two addresses, per client", "client", []string{"alice", from("192.0.2.1")}, []string{"alice", from("192.0.2.2")}, false},
		{"two addresses of one /64", "client", []string{from("2001:db8:1:2:3::4")}, []string{from("2001:db8:1:2:ffff::1")}, true},
		{"two /64s", "client", []string{from("2001:db8:1:2::1")}, []string{from("2001:db8:1:3::1")}, false},
		{"an IPv4 address in IPv6 clothes", "client", []string{from("::ffff:192.0.2.1")}, []string{from("192.0.2.1")}, true},
		{"a lie to the left of the client", "client", []string{from("192.0.2.9, 198.51.100.1")}, []string{from("192.0.2.8, 198.51.100.1")}, true},
		{"clients that nobody knows", "client", []string{from("unknown")}, []string{from("nonsense")}, true},
	} {
		s := limited(t, test.per, 1)
		tokens := map[string]string{"alice": bearer(s.token("alice")), "root": bearer(s.token("root"))}
		for _, lines := range [][]string{test.one, test.two} {
			for i, line := range lines {
				if token, ok := tokens[line]; ok {
					lines[i] = token
				}
			}
		}
		s.get("/public/x", test.one...).wants(t, 200, "")
		want := 200
		if test.shared {
			want = 429
		}
		if got := s.get("/public/x", test.two...).StatusCode; got != want {
			t.Errorf("%s: the second is answered %d, want %d", test.name, got, want)
		}
		s.get("/public/x", test.one...).wants(t, 429, "rate_limited")
	}
}

func TestAnUntrustedPeerCannotChooseItsQuota(t *testing.T) {
	s := limited(t, "client", 1, func(c *setup) { c.gateway.TrustedProxies = nil })
	s.get("/public/x", from("192.0.2.1")).wants(t, 200, "")
	s.get("/public/x", from("192.0.2.2"), "Forwarded: for=192.0.2.3", "X-Real-IP: 192.0.2.4").wants(t, 429, "rate_limited")
}

func TestEachRouteHasItsOwnQuota(t *testing.T) {
	s := limited(t, "user", 1)
	token := bearer(s.token("alice"))
	s.get("/public/x", token).wants(t, 200, "")
	s.get("/app/x", token).wants(t, 200, "")
	s.get("/public/y", token).wants(t, 429, "rate_limited")
	s.get("/app/y", token).wants(t, 429, "rate_limited")
}

func TestAReloadIsNoWayToAFreshQuota(t *testing.T) {
	s := limited(t, "user", 1)
	token := bearer(s.token("alice"))
	s.get("/app/x", token).wants(t, 200, "")
	reload := func() {
		t.Helper()
		s.reload(t)
	}
	reload()
	s.get("/app/x", token).wants(t, 429, "rate_limited")
	reload()
	reload()
	s.get("/app/x", token).wants(t, 429, "rate_limited")
	changed := *s.parts.Routes[1].RateLimit
	changed.Requests = 2
	s.parts.Routes = append([]RouteOptions(nil), s.parts.Routes...)
	s.parts.Routes[1].RateLimit = &changed
	reload()
	s.get("/app/x", token).wants(t, 200, "")
	s.get("/app/x", token).wants(t, 200, "")
	s.get("/app/x", token).wants(t, 429, "rate_limited")
}

// reload builds the parts as they now are, and puts them in force.
func (s *stack) reload(t *testing.T) {
	t.Helper()
	snap, err := s.gateway.Build(s.parts)
	must(t, err)
	s.gateway.Swap(snap)
}

func TestALimitHoldsOnARouteThatObserves(t *testing.T) {
	s := limited(t, "client", 1, func(c *setup) { c.policy.Routes[1].Mode = "observe" })
	s.get("/app/x").wants(t, 200, "")
	s.get("/app/x").wants(t, 429, "rate_limited")
}

func TestAPreflightIsNotCounted(t *testing.T) {
	s := limited(t, "client", 1, func(c *setup) { c.options[0].CORS = &CORS{Origins: []string{"https://spa.test"}} })
	for range 3 {
		s.send("OPTIONS", "/public/x", "", "Origin: https://spa.test", "Access-Control-Request-Method: GET").wants(t, 204, "")
	}
	s.get("/public/x", "Origin: https://spa.test").wants(t, 200, "")
	r := s.get("/public/x", "Origin: https://spa.test")
	r.wants(t, 429, "rate_limited")
	if r.Header.Get("Access-Control-Allow-Origin") != "https://spa.test" {
		t.Error("the page elsewhere cannot read why it was refused")
	}
}

func TestAnApplicationsOwnLimitIsToldBesideOurs(t *testing.T) {
	s := limited(t, "client", 5, func(c *setup) {
		c.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("RateLimit", `"app";r=7`)
		}
	})
	r := s.raw("GET /public/x HTTP/1.0\r\nHost: gw.test\r\n\r\n")
	r.wants(t, 200, "")
	if got := values(r.Header, "RateLimit"); len(got) != 2 || !strings.Contains(strings.Join(got, ","), `"app";r=7`) {
		t.Errorf("RateLimit %q", got)
	}
}

func address(n int) bucketKey {
	return bucketKey{network: networkOf(netip.AddrFrom4([4]byte{byte(10 + n>>24), byte(n >> 16), byte(n >> 8), byte(n)}))}
}

func newBucket() *rate.Limiter { return rate.NewLimiter(1, 60) }

func TestEndlessAddressesNeitherGrowTheTableNorPushOutWhoComesBack(t *testing.T) {
	b, now := newBuckets(100, time.Minute), time.Now()
	honest := bucketKey{account: "honest"}
	mine := b.of(honest, now, newBucket)
	b.of(honest, now, newBucket)
	mine.AllowN(now, 60)
	for i := range 10_000 {
		b.of(address(i), now, newBucket)
		if len(b.byKey) > 100 {
			t.Fatalf("%d buckets are kept", len(b.byKey))
		}
	}
	if b.of(honest, now, newBucket) != mine {
		t.Error("whoever came back was forgotten for strangers seen once")
	}
	for i := range 70 { // seen twice, but honest came between
		b.of(address(i), now, newBucket)
		b.of(address(i), now, newBucket)
	}
	if b.of(honest, now, newBucket) != mine {
		t.Error("whoever came back was forgotten for fewer than fit")
	}
}

func TestABucketIsForgottenWhenItIsFullAgain(t *testing.T) {
	b, now := newBuckets(100, time.Minute), time.Now()
	for i := range 50 {
		b.of(address(i), now, newBucket).AllowN(now, 60)
	}
	now = now.Add(time.Minute - 1)
	b.of(address(1000), now, newBucket)
	if len(b.byKey) != 51 {
		t.Errorf("%d buckets are kept, of 51 that are not full", len(b.byKey))
	}
	now = now.Add(time.Second)
	for i := range 13 {
		b.of(address(2000+i), now, newBucket)
	}
	if len(b.byKey) != 14 {
		t.Errorf("%d buckets are kept, of 14 that are not full", len(b.byKey))
	}
}

// The lists and the index tell of the same buckets, whatever is asked in which
// order, and none is forgotten early while there is room.
func TestTheTableKeepsItsPromisesInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 12).Draw(t, "most")
		b, now := newBuckets(most, time.Minute), time.Now()
		for range rapid.IntRange(1, 80).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			key := address(rapid.IntRange(0, 20).Draw(t, "address"))
			e, known := b.byKey[key]
			got := b.of(key, now, newBucket)
			if known && now.Sub(e.Value.(*bucket).used) < time.Minute && e.Value.(*bucket).tokens != got {
				t.Fatal("a bucket that was there was made anew")
			}
			once, more := b.seenOnce.Len(), b.seenMore.Len()
			if once+more != len(b.byKey) || len(b.byKey) > most || more > most {
				t.Fatalf("%d once, %d more, %d indexed, at most %d", once, more, len(b.byKey), most)
			}
			for key, e := range b.byKey {
				if e.Value.(*bucket).key != key {
					t.Fatal("the index leads to another's bucket")
				}
			}
		}
	})
}

func TestNoWindowSeesMoreThanTwiceTheQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requests := rapid.IntRange(1, 20).Draw(t, "requests")
		l := newRateLimit(&RateLimit{Per: "client", Requests: requests, Window: time.Minute}, "/", nil)
		now := time.Now()
		var granted []time.Time
		for range 200 {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			if !l.addresses.of(address(1), now, l.fresh).AllowN(now, 1) {
				continue
			}
			granted = append(granted, now)
			inWindow := 0
			for _, at := range granted {
				if now.Sub(at) < time.Minute {
					inWindow++
				}
			}
			if inWindow > 2*requests {
				t.Fatalf("%d of at most %d within a minute", inWindow, requests)
			}
		}
	})
}

func BenchmarkRateLimit(b *testing.B) {
	l := newRateLimit(&RateLimit{Per: "client", Requests: 1 << 30, Window: time.Minute}, "/", nil)
	x := &exchange{rt: &route{limit: l}, client: netip.MustParseAddr("192.0.2.1"), rule: policy.Pos{}}
	b.ReportAllocs()
	for b.Loop() {
		if !x.limitRate(time.Now()) {
			b.Fatal("refused")
		}
	}
}

// What a wider route answers, and the application may take for the limited one,
// is no way past the limit: else passwords could be guessed at /API/LOGIN.
func TestAnotherSpellingOfThePathIsNoWayPastALimit(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.policy.Routes = append(c.policy.Routes, policy.Route{Path: "/api/login", Allow: []policy.Rule{{Anyone: true}}}, policy.Route{Path: "/**", Allow: []policy.Rule{{Anyone: true}}})
		c.options = make([]RouteOptions, len(c.policy.Routes))
		c.options[len(c.options)-2] = RouteOptions{RateLimit: &RateLimit{Per: "client", Requests: 2, Window: time.Minute}, MaxBody: 10}
	})
	s.get("/api/login").wants(t, 200, "")
	s.get("/api/LOGIN").wants(t, 200, "")
	for _, path := range []string{"/api/login", "/api/LOGIN", "/API/login", "/api/login/", "/api/log%69n", "/aPi/log%49n/"} {
		r := s.get(path)
		r.wants(t, 429, "rate_limited")
		r.notAsked(t)
		if r.Header.Get("RateLimit-Policy") == "" {
			t.Errorf("%s: refused without a word of the limit", path)
		}
	}
	s.get("/api/logout").wants(t, 200, "")
	s.later(time.Minute)
	for _, path := range []string{"/api/login", "/api/LOGIN"} {
		r := s.raw("POST " + path + " HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 11\r\nConnection: close\r\n\r\n12345678901")
		r.wants(t, 413, "too_large")
		r.notAsked(t)
	}
}
