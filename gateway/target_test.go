package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestATargetIsOriginFormOrAbsoluteForm(t *testing.T) {
	for _, test := range []struct {
		raw, authority, target string
		ok                     bool
	}{
		{"/", "", "/", true},
		{"/a?b", "", "/a?b", true},
		{"//a", "", "//a", true},
		{"/http://a/b", "", "/http://a/b", true},
		{"http://gw.test/a?b", "gw.test", "/a?b", true},
		{"HTTPS://gw.test:8080/", "gw.test:8080", "/", true},
		{"http://gw.test", "gw.test", "/", true},
		{"http://gw.test?a", "gw.test", "/?a", true},
		{"http://gw.test#a", "gw.test", "/#a", true},
		{"http://u@gw.test/a", "u@gw.test", "/a", true},
		{"http:///a", "", "", false},
		{"http:/a", "", "", false},
		{"ftp://gw.test/a", "", "", false},
		{"file:///etc/passwd", "", "", false},
		{"javascript://gw.test/a", "", "", false},
		{"gw.test:443", "", "", false},
		{"*", "", "", false},
		{"", "", "", false},
	} {
		authority, target, ok := splitTarget(test.raw)
		if ok != test.ok || ok && (authority != test.authority || target != test.target) {
			t.Errorf("%q: %q %q %v", test.raw, authority, target, ok)
		}
	}
}

func TestAByteThatEndsARequestLineIsRefused_SM064(t *testing.T) {
	for c := range 256 {
		target := "/public/x?a" + string([]byte{byte(c)}) + "b"
		_, ok := (&exchange{}).readTarget(target)
		if bad := c <= ' ' || c == 0x7f || c == '#'; ok == bad {
			t.Errorf("byte %#x in the query: accepted %v", c, ok)
		}
	}
	for _, c := range []string{" ", "\r\n", "\x00", "\x7f", "\t", "#"} {
		if _, ok := (&exchange{}).readTarget("/a" + c + "b"); ok {
			t.Errorf("%q in the path is accepted", c)
		}
	}
}

func TestAMethodInTheQueryIsFoundInEverySpelling(t *testing.T) {
	for query, found := range map[string]bool{
		"":                     false,
		"_method":              true,
		"_method=":             true,
		"_method=PUT":          true,
		"_METHOD=PUT":          true,
		"a=1&_method=PUT":      true,
		"a=1;_method=PUT":      true,
		"_method=PUT&a=1":      true,
		"%5fmethod=PUT":        true,
		"%5Fmethod=PUT":        true,
		"_%6d%65thod=PUT":      true,
		"_method%00x=PUT":      true,
		"_method[]=PUT":        true,
		"_method%5B0%5D=PUT":   true,
		"+_method=PUT":         true,
		"%20.method=PUT":       true,
		"[method=PUT":          true,
		"&&_method=PUT":        true,
		"_method+=PUT":         true,
		"x_method=PUT":         false,
		"_methods=PUT":         false,
		"method=PUT":           false,
		"q=_method":            false,
		"q=a%26_method=b":      false,
		"_metho":               false,
		"_metho%":              false,
		"%5fmetho%zz=PUT":      false,
		"-method=PUT":          false,
		"a=1&b=2&c=3&d=method": false,
	} {
		if got := hasMethodOverride(query); got != found {
			t.Errorf("%q: %v", query, got)
		}
	}
}

func FuzzMethodOverride(f *testing.F) {
	for _, seed := range []string{"_method=x", "%5fmethod", "a;b=c", "%", "+_Method"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		found := hasMethodOverride(query)
		for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
			key, _, _ := strings.Cut(pair, "=")
			if strings.EqualFold(key, "_method") && !found {
				t.Fatalf("%q: not found", query)
			}
		}
		if unescapeLoosely(query) == query && found && !strings.Contains(strings.ToLower(query), "method") {
			t.Fatalf("%q: found what is not there", query)
		}
	})
}

func TestWhatIsNoEncodingStaysAsItIs(t *testing.T) {
	for in, want := range map[string]string{"": "", "a": "a", "%41": "A", "%4": "%4", "%": "%", "%zz": "%zz", "a+b": "a b", "%2B": "+", "%c3%A9": "é", "%%41": "%A"} {
		if got := unescapeLoosely(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestHostsAreOneThingOrRefused(t *testing.T) {
	for host, ok := range map[string]bool{
		"gw.test": true, "GW.test": true, "gw": true, "gw.test:8080": true, "127.0.0.1": true, "127.0.0.1:80": true, "[::1]": true, "[::1]:8080": true,
		"under_score.test": true, "gw.test.": true, "xn--bcher-kva.test": true,
		"": false, ":80": false, "gw.test:": false, "gw.test:http": false, "gw.test:123456": false, "::1": false, "[::1": false, "::1]": false, "[gw.test]": false,
		"[::1%25eth0]": false, "[127.0.0.1]": false, "a/b": false, "a@b": false, "a?b": false, "a#b": false, "a\\b": false, "a b": false, "a,b": false, "a%2eb": false,
		"bücher.test": false, strings.Repeat("a", 254): false, ".": false, "..": false, "gw..test": false, "gw.test..": false, ".gw.test": false, "gw.test:80:90": false,
	} {
		if got := validHost(host); got != ok {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestHostsAreComparedWithoutWhatSaysNothing(t *testing.T) {
	for _, test := range []struct{ host, scheme, name, canonical string }{
		{"gw.test", "http", "gw.test", "gw.test"},
		{"GW.Test.", "http", "gw.test", "gw.test"},
		{"gw.test:80", "http", "gw.test", "gw.test"},
		{"gw.test:443", "https", "gw.test", "gw.test"},
		{"gw.test:443", "http", "gw.test", "gw.test:443"},
		{"gw.test.:8080", "http", "gw.test", "gw.test:8080"},
		{"[2001:DB8::1]:80", "http", "2001:db8::1", "[2001:db8::1]"},
		{"[2001:DB8::1]:81", "http", "2001:db8::1", "[2001:db8::1]:81"},
		{"[2001:DB8::1]", "http", "2001:db8::1", "[2001:db8::1]"},
	} {
		if name, canonical := hostname(test.host), canonicalHost(test.host, test.scheme); name != test.name || canonical != test.canonical {
			t.Errorf("%s over %s: %q %q", test.host, test.scheme, name, canonical)
		}
	}
}

func TestOnlyAWholeHandshakeIsAnUpgrade(t *testing.T) {
	for _, test := range []struct {
		name   string
		method string
		minor  int // of HTTP/1
		length int64
		header http.Header
		ok     bool
	}{
		{"a handshake", "GET", 1, 0, http.Header{"Upgrade": {"WebSocket"}, "Connection": {"keep-alive, Upgrade"}}, true},
		{"over two lines", "GET", 1, 0, http.Header{"Upgrade": {"websocket"}, "Connection": {"keep-alive", "upgrade"}}, true},
		{"a POST", "POST", 1, 0, http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}, false},
		{"HTTP/1.0, which knows no 101", "GET", 0, 0, http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}, false},
		{"HTTP/2", "GET", -1, 0, http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}, false},
		{"with a body, CVE-2026-58055", "GET", 1, 9, http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}, false},
		{"with a body of any length", "GET", 1, -1, http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}, false},
		{"no connection option", "GET", 1, 0, http.Header{"Upgrade": {"websocket"}, "Connection": {"upgraded"}}, false},
		{"a list", "GET", 1, 0, http.Header{"Upgrade": {"websocket, h2c"}, "Connection": {"Upgrade"}}, false},
		{"with a version", "GET", 1, 0, http.Header{"Upgrade": {"websocket/13"}, "Connection": {"Upgrade"}}, false},
		{"two", "GET", 1, 0, http.Header{"Upgrade": {"websocket", "websocket"}, "Connection": {"Upgrade"}}, false},
		{"h2c", "GET", 1, 0, http.Header{"Upgrade": {"h2c"}, "Connection": {"Upgrade"}}, false},
		{"none", "GET", 1, 0, http.Header{}, false},
	} {
		x := &exchange{r: &http.Request{Method: test.method, ProtoMajor: 1, ProtoMinor: test.minor, ContentLength: test.length, Header: test.header}}
		if test.minor < 0 {
			x.r.ProtoMajor, x.r.ProtoMinor = 2, 0
		}
		x.readUpgrade()
		if x.websocket != test.ok {
			t.Errorf("%s: %v", test.name, x.websocket)
		}
		if _, left := test.header["Upgrade"]; left != test.ok {
			t.Errorf("%s: Upgrade left in the header: %v", test.name, left)
		}
	}
}

// A host that is taken as it stands is the one that a look at it would find.
func TestAHostTakenAsItStandsIsWhatALookFinds(t *testing.T) {
	for _, public := range []string{"http://gw.test", "https://GW.test.", "http://gw.test:8080", "https://[2001:db8::1]", "http://127.0.0.1:80"} {
		c := DefaultConfig()
		c.PublicURL, c.Hosts = public, []string{"b.test", "UPPER.test", "dot.test.", "10.0.0.1", "[::1]", "port.test:81", "", ".", "a..b"}
		u, err := url.Parse(public)
		must(t, err)
		quick := &Snapshot{publicURL: u}
		quick.buildHosts(c)
		slow := &Snapshot{publicURL: u, known: quick.known}
		if len(quick.plainHosts) == 0 {
			t.Fatal("no host is taken as it stands")
		}
		for host := range quick.known {
			for _, host := range []string{host, strings.ToUpper(host), host + ".", host + ":80", host + ":443", "[" + host + "]", "x" + host} {
				for _, scheme := range []string{"http", "https"} {
					a := &exchange{snap: quick, r: &http.Request{}, scheme: scheme}
					b := &exchange{snap: slow, r: &http.Request{}, scheme: scheme}
					_, x := a.admitHost(host)
					_, y := b.admitHost(host)
					if x != y || a.host != b.host || a.r.Host != b.r.Host {
						t.Errorf("%q over %s: %v %q, looked at %v %q", host, scheme, x, a.host, y, b.host)
					}
				}
			}
		}
	}
}

func TestAPeerIsWrittenAsNetipWritesIt(t *testing.T) {
	for remote, want := range map[string]string{
		"127.0.0.1:1": "127.0.0.1", "0.0.0.0:0": "0.0.0.0", "255.255.255.255:65535": "255.255.255.255",
		"[2001:DB8:0::1]:80": "2001:db8::1", "[::ffff:1.2.3.4]:5": "1.2.3.4", "[fe80::1%eth0]:5": "fe80::1",
		"@": "", "": "", "1.2.3.4": "", "01.2.3.4:5": "",
	} {
		peer, text := readPeer(remote)
		if text != want || peer.IsValid() != (want != "") || peer.IsValid() && peer.String() != want {
			t.Errorf("%q: %v, %q", remote, peer, text)
		}
	}
}
