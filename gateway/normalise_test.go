package gateway

import (
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/policy"
)

func TestTheTargetArrivesByteForByte(t *testing.T) {
	s := newStack(t)
	for id, target := range map[string]string{
		"CT-11": "/public/caf%C3%A9", "CT-12": "/public/a%20b", "CT-13": "/public/file.tar.gz", "CT-14": "/public/..foo/bar..",
		"CT-15": "/public/...", "CT-16": "/public/a+b&c=d@e:f,g!$*()", "CT-17": "/public/?q=../../admin&u=http://x//y",
		"CT-18": "/public/x?redirect=https%3A%2F%2Fwww.example.com%2Fauth", "PC-106": "/public/x?a=1;role=admin&b=%zz",
		"lower-case escapes": "/public/%c3%a9", "needless escapes": "/public/%41%7e", "empty query": "/public/x?",
		"question marks": "/public/x?a?b??", "plus": "/public/a+b", "quotes": "/public/it's", "trailing slash": "/public/x/",
		"query in UTF-8": "/public/x?q=\xc3\xa9", "query with a hash's escape": "/public/x?q=%23", "bracket": "/public/x?a[]=1",
		"PC-107": "/public/x?" + strings.Repeat("&", 10000) + "hidden=y",
	} {
		t.Run(id, func(t *testing.T) {
			if got := s.get(target).saw(t).target; got != target {
				t.Errorf("arrived as %.200q", got)
			}
		})
	}
}

func TestTheBasePathOfAnUpstreamIsJoined(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.gateway.Upstreams[0].Host = "rewrite"
	})
	base := s.app.server.URL
	s.parts.Config.Upstreams[0].URLs = []string{base + "/base%20path/"}
	snap, err := s.gateway.Build(s.parts)
	must(t, err)
	s.gateway.Swap(snap)
	saw := s.get("/public/%7e?x=%zz").saw(t)
	if saw.target != "/base%20path/public/%7e?x=%zz" || "http://"+saw.host != base {
		t.Errorf("arrived as %q for %q", saw.target, saw.host)
	}
}

func TestStripPrefixCutsAfterTheDecision(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.options = make([]RouteOptions, 5)
		c.options[0].StripPrefix = "/public"
	})
	for target, want := range map[string]string{"/public/x?y": "/x?y", "/public": "/", "/public/": "/", "/public/a%20b/": "/a%20b/"} {
		saw := s.get(target).saw(t)
		if saw.target != want {
			t.Errorf("%s arrived as %s, want %s", target, saw.target, want)
		}
		if got := values(saw.header, "X-Forwarded-Prefix"); !slices.Equal(got, []string{"/public"}) {
			t.Errorf("X-Forwarded-Prefix %q", got)
		}
	}
	r := s.get("/%70ublic/x")
	if r.StatusCode != 400 && r.StatusCode != 404 {
		t.Errorf("the prefix in another spelling: %d", r.StatusCode)
	}
	r.notAsked(t)
}

func TestStripPrefixNeverMakesATargetForAnotherHost(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.policy.Routes[0].PathOptions = []string{"empty_segment"}
		c.options = make([]RouteOptions, 5)
		c.options[0].StripPrefix = "/public"
	})
	r := s.get("/public//evil.test/x")
	if r.seen != nil && strings.HasPrefix(r.seen.target, "//") {
		t.Errorf("arrived as %q", r.seen.target)
	}
}

func TestAnEmptySegmentThatIsAdmittedArrivesAsItIs(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.policy.Routes = []policy.Route{{Path: "/**", PathOptions: []string{"empty_segment"}, Allow: []policy.Rule{{Anyone: true}}}}
	})
	for _, target := range []string{"/a//b", "//a/b", "//a%20b", `//a"b`} {
		r := s.get(target)
		if r.seen == nil && r.StatusCode != 400 || r.seen != nil && r.seen.target != target {
			t.Errorf("%s: %d, arrived as %+v", target, r.StatusCode, r.seen)
		}
	}
}

func TestWhatHasTwoReadingsIsRefused(t *testing.T) {
	s := newStack(t)
	root := bearer(s.token("root"))
	for _, test := range []struct{ name, target, code string }{
		{"PC-062 fragment", "/public/x#/../../admin/panel", "bad_path"},
		{"dot segment", "/public/../admin", "bad_path"},
		{"encoded dots", "/public/%2e%2e/admin", "bad_path"},
		{"encoded slash", "/public/..%2fadmin", "bad_path"},
		{"backslash", "/public\\..\\admin", "bad_path"},
		{"doubled slash", "//public/x", "bad_path"},
		{"semicolon", "/public/..;/admin", "bad_path"},
		{"own endpoint, doubled slash", "/auth//login", "bad_path"},
		{"own endpoint, encoded slash", "/auth/x%2flogin", "bad_path"},
		{"MC-20", "/public/x?_method=DELETE", "bad_request"},
		{"encoded _method", "/public/x?a=1&%5FMethod=DELETE", "bad_request"},
		{"_method after a semicolon", "/public/x?a=1;_METHOD=DELETE", "bad_request"},
		{"_method as an array", "/public/x?_method[]=DELETE", "bad_request"},
		{"_method as PHP reads it", "/public/x?%20.method=DELETE", "bad_request"},
		{"asterisk", "*", "bad_request"},
		{"file:", "file:///etc/passwd", "bad_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := s.get(test.target, root)
			if r.StatusCode != 400 {
				t.Fatalf("%d %s", r.StatusCode, r.body)
			}
			r.notAsked(t)
			if got := r.code(); got != test.code && got != "" {
				t.Errorf("code %q, want %q", got, test.code)
			}
		})
	}
	s.get("/public/x?my_method=1&methods=2&x=_method").wants(t, 200, "")
}

func TestAnAbsoluteTargetMustNameAKnownHost(t *testing.T) {
	s := newStack(t)
	for _, hosts := range [][]string{{"gw.test"}, nil} {
		s.parts.Config.Hosts = hosts
		snap, err := s.gateway.Build(s.parts)
		must(t, err)
		s.gateway.Swap(snap)
		s.get("http://gw.test/public/x").wants(t, 200, "")                                    // PC-069
		s.get("http://GW.test:80/public/x").wants(t, 200, "")                                 // the same host
		s.get("https://gw.test/admin/panel", bearer(s.token("alice"))).wants(t, 403, "")      // PC-073
		s.get("http://evil.test/public/x").wants(t, 421, "unknown_host")                      // PC-070
		s.get("http://gw.test@evil.test/public/x").wants(t, 421, "unknown_host")              // PC-072
		s.get("http://evil.test?/gw.test").wants(t, 421, "unknown_host")                      // no path
		s.get("http://gw.test/auth/me", bearer(s.token("alice"))).wants(t, http.StatusOK, "") // own endpoints too
	}
}

func TestOnlyKnownHostsAreAnswered(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.Hosts = []string{"other.test"} })
	for host, status := range map[string]int{
		"gw.test": 200, "GW.TEST": 200, "gw.test:8080": 200, "gw.test.": 200, "other.test": 200,
		"evil.test": 421, "gw.test.evil.test": 421, "": 421, "gw.test,evil.test": 400, "gw.test:": 400, "gw.test:x": 400, "[::1": 400,
	} {
		r := s.raw("GET /public/x HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
		if r.StatusCode != status {
			t.Errorf("host %q: %d, want %d", host, r.StatusCode, status)
		}
	}
	if got := s.raw("GET /public/x HTTP/1.1\r\nHost: Other.test:81\r\nConnection: close\r\n\r\n").saw(t).host; got != "Other.test:81" {
		t.Errorf("the application was told %q", got)
	}
}

func TestMethodsThatAreNotForApplicationsAreRefused(t *testing.T) {
	s := newStack(t)
	alice := bearer(s.token("alice"))
	for id, test := range map[string]struct {
		line   string
		status int
	}{
		"MC-06": {"TRACE /public/x", 405}, "MC-07": {"TRACK /public/x", 405}, "MC-11": {"get /public/x", 400},
		"MC-19": {strings.Repeat("A", 33) + " /public/x", 400}, "SM-046": {"PRI *", 405}, "symbol": {"GET! /public/x", 400},
	} {
		t.Run(id, func(t *testing.T) {
			r := s.raw(test.line + " HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n" + alice + "\r\nX-Secret: s3cret\r\n\r\n")
			if r.StatusCode != test.status || strings.Contains(r.body, "s3cret") {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
			if test.status == 405 && r.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			r.notAsked(t)
		})
	}
	r := s.raw("CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n") // MC-08
	if r.StatusCode != 405 {
		t.Errorf("CONNECT: %d", r.StatusCode)
	}
	s.send("MKCALENDAR", "/app/x", "", alice).saw(t)
}

func TestTooManyHeadersOrCookiesAreRefused_RS06_RS07(t *testing.T) {
	s := newStack(t)
	s.get("/public/x", repeat("X-A: b", 90)...).wants(t, 200, "")
	s.get("/public/x", repeat("X-A: b", 101)...).wants(t, 431, "bad_request")
	s.get("/public/x", "Cookie: "+strings.Repeat("a=b; ", 45)+"c=d").wants(t, 200, "")
	s.get("/public/x", "Cookie: "+strings.Repeat("a=b; ", 60)+"c=d").wants(t, 431, "bad_request")
	r := s.get("/public/x", "X-A: "+strings.Repeat("a", 70<<10)) // RS-05
	if r.StatusCode != 431 && r.StatusCode != 400 {
		t.Errorf("70 KiB of header: %d", r.StatusCode)
	}
}

func repeat(line string, n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = line
	}
	return lines
}

func TestForwardingHeadersOfStrangersAreReplaced(t *testing.T) {
	s := newStack(t)
	alice := bearer(s.token("alice"))
	saw := s.get("/app/home", alice, "X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 127.0.0.9", "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https",
		"X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil", "X-Forwarded-Uri: /public/x", "X-Forwarded-Method: GET", "Forwarded: for=10.0.0.1", "X-Real-IP: 10.0.0.1",
		"True-Client-IP: 10.0.0.1", "CF-Connecting-IP: 10.0.0.1", "X-Client-IP: 10.0.0.1", "X-Cluster-Client-IP: 10.0.0.1", "X-Original-URL: /admin", "X-Rewrite-URL: /admin",
		"X-Forwarded-Tls-Client-Cert: x", "X-SSL-Client-CN: root", "X-Client-Verify: SUCCESS", "Proxy: http://evil.test", "X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE",
		"X-Method-Override: DELETE").saw(t) // HS-036 to HS-055
	for name, want := range map[string][]string{
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"gw.test"}, "X-Forwarded-Proto": {"http"}, "X-Real-Ip": {"127.0.0.1"},
		"X-Forwarded-Port": nil, "X-Forwarded-Prefix": nil, "X-Forwarded-Uri": nil, "X-Forwarded-Method": nil, "Forwarded": nil, "True-Client-Ip": nil,
		"Cf-Connecting-Ip": nil, "X-Client-Ip": nil, "X-Forwarded": nil, "Forwarded-For": nil, "X-Originating-Ip": nil, "Fly-Client-Ip": nil,
		"X-Cluster-Client-Ip": nil, "X-Original-Url": nil, "X-Rewrite-Url": nil, "X-Forwarded-Tls-Client-Cert": nil,
		"X-Ssl-Client-Cn": nil, "X-Client-Verify": nil, "Proxy": nil, "X-Http-Method-Override": nil, "X-Http-Method": nil, "X-Method-Override": nil,
	} {
		if got := values(saw.header, name); !slices.Equal(got, want) {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
}

func TestForwardingHeadersOfTrustedProxiesAreBelieved(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.gateway.TrustedProxies = []string{"::ffff:127.0.0.0/104", "10.0.0.0/8"} // CF-16: written in IPv6
		c.gateway.Hosts = []string{"gw.test", "front.test"}
	})
	alice := bearer(s.token("alice"))
	saw := s.get("/app/home", alice, "X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.7", "X-Forwarded-Host: lie.test, Front.test", "X-Forwarded-Proto: https").saw(t)
	for name, want := range map[string]string{"X-Forwarded-For": "203.0.113.9, 10.0.0.7, 127.0.0.1", "X-Real-Ip": "203.0.113.9",
		"X-Forwarded-Host": "front.test", "X-Forwarded-Proto": "https"} {
		if got := saw.header.Get(name); got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	if saw.host != "front.test" {
		t.Errorf("Host %q", saw.host)
	}
	if entry := s.log.entries(t, "request", 1)[0]; entry["client"] != "203.0.113.9" || entry["host"] != "front.test" {
		t.Errorf("logged client %v, host %v", entry["client"], entry["host"])
	}
	s.get("/app/home", alice, "X-Forwarded-Host: evil.test").wants(t, 421, "unknown_host")
	if strings.Count(s.log.String(), "a trusted proxy says https") != 1 {
		t.Error("https behind an http public_url is warned of once")
	}
}

func TestTheClientIsFoundFromTheRight(t *testing.T) {
	s := &Snapshot{proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, test := range []struct{ peer, forwarded, client, sent string }{
		{"192.0.2.1:5", "1.1.1.1", "192.0.2.1", "192.0.2.1"},
		{"10.0.0.1:5", "", "invalid IP", "10.0.0.1"}, // sent, and says nothing
		{"10.0.0.1:5", "1.1.1.1", "1.1.1.1", "1.1.1.1, 10.0.0.1"},
		{"[::ffff:10.0.0.1]:5", "1.1.1.1", "1.1.1.1", "1.1.1.1, 10.0.0.1"},
		{"10.0.0.1:5", "6.6.6.6, 1.1.1.1", "1.1.1.1", "1.1.1.1, 10.0.0.1"},
		{"10.0.0.1:5", "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1", "1.1.1.1, 10.0.0.2, 10.0.0.1"},
		{"10.0.0.1:5", "junk, 10.0.0.2", "invalid IP", "10.0.0.2, 10.0.0.1"}, // not the proxy: it is inside what clients are not
		{"10.0.0.1:5", "1.1.1.1:443", "1.1.1.1", "1.1.1.1, 10.0.0.1"},
		{"10.0.0.1:5", "[2001:db8::1]:443", "2001:db8::1", "2001:db8::1, 10.0.0.1"},
		{"10.0.0.1:5", "[2001:db8::1]", "2001:db8::1", "2001:db8::1, 10.0.0.1"},
		{"10.0.0.1:5", "10.0.0.3, 10.0.0.2", "10.0.0.3", "10.0.0.3, 10.0.0.2, 10.0.0.1"},
		{"@", "1.1.1.1", "invalid IP", ""},
	} {
		x := &exchange{snap: s, r: &http.Request{RemoteAddr: test.peer, Header: http.Header{"X-Forwarded-For": {test.forwarded}}}}
		x.readClient()
		if x.client.String() != test.client || x.forwarded != test.sent {
			t.Errorf("%s says %q: client %s, sent on %q", test.peer, test.forwarded, x.client, x.forwarded)
		}
	}
	x := &exchange{snap: s, r: &http.Request{RemoteAddr: "10.0.0.1:5", Header: http.Header{}}}
	if x.readClient(); x.client.String() != "10.0.0.1" || x.forwarded != "10.0.0.1" {
		t.Errorf("a proxy that asks for itself: %s, %q", x.client, x.forwarded)
	}
	x = &exchange{snap: &Snapshot{trustUnix: true}, r: &http.Request{RemoteAddr: "@", Header: http.Header{"X-Forwarded-For": {"1.1.1.1"}}}}
	if x.readClient(); x.client.String() != "1.1.1.1" || x.forwarded != "1.1.1.1" {
		t.Errorf("a trusted socket: %s, %q", x.client, x.forwarded)
	}
}

// A client inside of trusted_proxies can say thousands of hops, and each counts
// once: to copy what was found at each took 400 MiB for this one request.
func TestALongWayCostsAsMuchAsItIsLong(t *testing.T) {
	const hops = 6000
	x := &exchange{snap: &Snapshot{proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, r: &http.Request{RemoteAddr: "127.0.0.1:1", Header: http.Header{"X-Forwarded-For": {"10.9.8.7" + strings.Repeat(",127.0.0.2", hops)}}}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	x.readClient()
	runtime.ReadMemStats(&after)
	if got := x.clientText(); got != "10.9.8.7" || strings.Count(x.forwarded, ", ") != hops+1 || !strings.HasPrefix(x.forwarded, "10.9.8.7, 127.0.0.2, ") || !strings.HasSuffix(x.forwarded, ", 127.0.0.1") {
		t.Errorf("the client is %s, by way of %.40s...", got, x.forwarded)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 16<<20 {
		t.Errorf("%d hops took %d KiB", hops, spent>>10)
	}
}

func TestARequestKeepsItsIdAndItsTrace(t *testing.T) {
	s := newStack(t)
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	r := s.get("/public/x", "X-Request-Id: abc-123.DEF_4", "traceparent: "+parent, "tracestate: a=b")
	if r.Header.Get("X-Request-Id") != "abc-123.DEF_4" || r.saw(t).header.Get("X-Request-Id") != "abc-123.DEF_4" {
		t.Errorf("id %q", r.Header.Get("X-Request-Id"))
	}
	sent := r.seen.header.Get("Traceparent")
	if len(sent) != 55 || sent[:36] != parent[:36] || sent[36:52] == parent[36:52] || sent[52:] != "-01" || r.seen.header.Get("Tracestate") != "a=b" {
		t.Errorf("traceparent %q", sent)
	}
	if entry := s.log.entries(t, "request", 1)[0]; entry["request_id"] != "abc-123.DEF_4" || entry["trace_id"] != parent[3:35] {
		t.Errorf("logged %v, %v", entry["request_id"], entry["trace_id"])
	}
	for _, bad := range [][]string{{"X-Request-Id: a b"}, {"X-Request-Id: " + strings.Repeat("a", 65)}, {"X-Request-Id: a", "X-Request-Id: b"}, {`X-Request-Id: a"b`}} {
		if got := s.get("/public/x", bad...).saw(t).header["X-Request-Id"]; len(got) != 1 || len(got[0]) != 32 {
			t.Errorf("%q became %q", bad, got)
		}
	}
	for _, bad := range []string{"00-" + strings.Repeat("0", 32) + parent[35:], strings.ToUpper(parent), "ff" + parent[2:], parent + "-x", "01" + parent[2:] + "x", parent[:54], parent[:35] + "-0000000000000000-01", parent[:53] + "0g", "", "0x" + parent[2:]} {
		saw := s.get("/public/x", "traceparent: "+bad, "tracestate: a=b").saw(t)
		if got := saw.header.Get("Traceparent"); got == bad || !validTraceparent(got) || saw.header.Get("Tracestate") != "" {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

// TestATraceOfALaterVersionIsContinued as the first: what is known of it is kept.
func TestATraceOfALaterVersionIsContinued(t *testing.T) {
	const ids = "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"
	for given, flags := range map[string]string{
		"00" + ids + "00": "00", "00" + ids + "03": "03", "00" + ids + "fd": "01", "00" + ids + "ae": "02",
		"01" + ids + "01": "01", "cc" + ids + "01-what-the-future-brings": "01", "01" + ids + "ff": "03",
	} {
		got := continueTrace([]string{given})
		if !got.known || got.id() != ids[1:33] || got.parent[:36] != "00"+ids[:34] || got.parent[52:] != "-"+flags || !validTraceparent(got.parent) {
			t.Errorf("%s: %+v, want flags %s", given, got, flags)
		}
	}
	if got := continueTrace([]string{"00" + ids + "01", "00" + ids + "01"}); got.known {
		t.Error("two are one too many")
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x")
	f.Fuzz(func(t *testing.T, given string) {
		got := continueTrace([]string{given})
		if !validTraceparent(got.parent) || len(got.parent) != 55 || got.known && given[3:35] != got.id() {
			t.Fatalf("%q became %+v", given, got)
		}
	})
}

func FuzzNormalise(f *testing.F) {
	for _, seed := range []string{"/a", "/a?b", "//a", "/a#b", "http://gw.test/a", "http://gw.test", "*", "/%2e%2e/a", "/a?_method=x", "http://a@gw.test/", "/\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		authority, target, ok := splitTarget(raw)
		if !ok {
			return
		}
		if !strings.HasPrefix(target, "/") {
			t.Fatalf("%q has the target %q", raw, target)
		}
		if authority == "" && target != raw {
			t.Fatalf("%q was changed to %q", raw, target)
		}
		x := &exchange{}
		if _, ok := x.readTarget(target); !ok {
			return
		}
		if x.target() != target {
			t.Fatalf("%q is kept as %q", target, x.target())
		}
		u, ok := (&serverAddress{scheme: "http", host: "app"}).wireURL(x.path.String(), x.query, x.hasQuery)
		if got := u.RequestURI(); ok && got != target {
			t.Fatalf("%q would be sent as %q", target, got)
		}
	})
}

func FuzzHostIsNeverTwoThings(f *testing.F) {
	for _, seed := range []string{"gw.test", "gw.test:80", "[::1]:80", "::1", "a:b", "a@b", "a/b", "gw.test."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if !validHost(host) {
			return
		}
		if strings.ContainsAny(host, "/@?#\\ \t\r\n,;%<>\"'") {
			t.Fatalf("%q is accepted", host)
		}
		if once := canonicalHost(host, "http"); canonicalHost(once, "http") != once && !strings.HasSuffix(host, "..") && !strings.Contains(host, ".:") {
			t.Fatalf("%q, %q, %q", host, once, canonicalHost(once, "http"))
		}
	})
}
