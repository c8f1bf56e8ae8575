package lean

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"golang.org/x/net/http/httpguts"
)

// asServed is what net/http's server makes of a request before a handler sees it:
// http.ReadRequest, and what it refuses after that. Nothing: it does not serve it.
func asServed(br *bufio.Reader) *http.Request {
	r, err := http.ReadRequest(br) // deletes Host
	if err != nil || !httpguts.ValidHostHeader(r.Host) {
		return nil
	}
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			return nil
		}
	}
	return r
}

// compareRequest checks that a request which is read here is what net/http's
// server makes of it, that it has no body and asks for nothing of the connection,
// and that it is all that has come.
func compareRequest(t *testing.T, raw []byte) (plain bool) {
	t.Helper()
	given := bytes.Clone(raw)
	got, plain := plainRequest(given)
	if !bytes.Equal(given, raw) {
		t.Fatal("what was looked at has changed")
	}
	if !plain {
		return false
	}
	br := bufio.NewReader(bytes.NewReader(raw))
	want := asServed(br)
	if want == nil {
		t.Fatalf("net/http does not serve %q", raw)
	}
	if body, err := io.ReadAll(want.Body); len(body) > 0 || err != nil || want.Body != http.NoBody {
		t.Errorf("its body: %q, %v", body, err)
	}
	if rest, _ := io.ReadAll(br); len(rest) > 0 {
		t.Errorf("something follows: %q", rest)
	}
	if want.Close || want.Header.Get("Expect") != "" || want.Header.Get("Upgrade") != "" {
		t.Error("it asks for something of the connection")
	}
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("got  %+v\nwant %+v", &got, want)
	}
	checkRoom(t, got.Header)
	return true
}

// rawRequests are requests, and which of them are plain.
func rawRequests() []struct {
	name, raw string
	plain     bool
} {
	const get, host = "GET /a HTTP/1.1\r\n", "Host: a.example\r\n"
	return []struct {
		name, raw string
		plain     bool
	}{
		{"as most are", get + host + "User-Agent: x\r\naccept: */*\r\nCookie: a=1; b=2\r\n\r\n", true},
		{"no more than a host", get + host + "\r\n", true},
		{"a port", get + "Host: a.example:8080\r\n\r\n", true},
		{"an IPv6 address", get + "Host: [::1]:80\r\n\r\n", true},
		{"kept by its word", get + host + "Connection: keep-alive\r\n\r\n", true},
		{"a query", "GET /a/b?c=d&e=%20+ HTTP/1.1\r\n" + host + "\r\n", true},
		{"a question mark alone", "GET /a? HTTP/1.1\r\n" + host + "\r\n", true},
		{"an encoded slash", "GET /a%2fb/..%2F HTTP/1.1\r\n" + host + "\r\n", true},
		{"a fragment", "GET /a#b HTTP/1.1\r\n" + host + "\r\n", true},
		{"two slashes", "GET //b.example/a HTTP/1.1\r\n" + host + "\r\n", true},
		{"three slashes", "GET ///a HTTP/1.1\r\n" + host + "\r\n", true},
		{"other letters in the path", "GET /\xff\xc3\xbc HTTP/1.1\r\n" + host + "\r\n", true},
		{"other letters in a value", get + host + "X: \xff\xc3\xbc\r\n\r\n", true},
		{"a field twice", get + host + "X-A: 1\r\nx-a: 2\r\nX-A: 3\r\n\r\n", true},
		{"spaces around", get + "Host:\ta.example \r\nX:  a b \t\r\n\r\n", true},
		{"no value", get + host + "X:\r\n\r\n", true},
		{"a name with an underscore", get + host + "X_A: 1\r\n\r\n", true},
		{"not all has come", get + host + "\r", false},
		{"another follows", get + host + "\r\n" + get + host + "\r\n", false},
		{"a byte follows", get + host + "\r\n\r", false},
		{"empty lines follow", get + host + "\r\n\r\n", false},
		{"empty lines before", "\r\n" + get + host + "\r\n", false},
		{"no host", get + "X: 1\r\n\r\n", false},
		{"an empty host", get + "Host:\r\n\r\n", false},
		{"two hosts", get + host + host + "\r\n", false},
		{"a host that is none", get + "Host: a/b\r\n\r\n", false},
		{"a host in other letters", get + "Host: b\xc3\xbccher.example\r\n\r\n", false},
		{"HEAD", "HEAD /a HTTP/1.1\r\n" + host + "\r\n", false},
		{"POST", "POST /a HTTP/1.1\r\n" + host + "\r\n", false},
		{"another method that begins like it", "GETS /a HTTP/1.1\r\n" + host + "\r\n", false},
		{"lower case", "get /a HTTP/1.1\r\n" + host + "\r\n", false},
		{"two spaces", "GET  /a HTTP/1.1\r\n" + host + "\r\n", false},
		{"a space in the path", "GET /a b HTTP/1.1\r\n" + host + "\r\n", false},
		{"a space at the end", "GET /a HTTP/1.1 \r\n" + host + "\r\n", false},
		{"a tab", "GET /a\tHTTP/1.1\r\n" + host + "\r\n", false},
		{"HTTP/1.0", "GET /a HTTP/1.0\r\n" + host + "\r\n", false},
		{"HTTP/1.2", "GET /a HTTP/1.2\r\n" + host + "\r\n", false},
		{"HTTP/0.9", "GET /a\r\n\r\n", false},
		{"an absolute form", "GET http://a.example/a HTTP/1.1\r\n" + host + "\r\n", false},
		{"a star", "GET * HTTP/1.1\r\n" + host + "\r\n", false},
		{"no path", "GET ?a HTTP/1.1\r\n" + host + "\r\n", false},
		{"a broken encoding", "GET /a%zz HTTP/1.1\r\n" + host + "\r\n", false},
		{"a control character", "GET /a\x7f HTTP/1.1\r\n" + host + "\r\n", false},
		{"a null byte", "GET /a\x00 HTTP/1.1\r\n" + host + "\r\n", false},
		{"a length", get + host + "Content-Length: 0\r\n\r\n", false},
		{"a body", get + host + "Content-Length: 1\r\n\r\na", false},
		{"chunks", get + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
		{"chunks by another name", get + host + "transfer-encoding: \tchunked\r\n\r\n", false},
		{"a space before the colon", get + host + "Transfer-Encoding : chunked\r\n\r\n", false},
		{"close", get + host + "Connection: close\r\n\r\n", false},
		{"a list", get + host + "Connection: keep-alive, X-A\r\n\r\n", false},
		{"an upgrade", get + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false},
		{"an upgrade without its word", get + host + "Upgrade: h2c\r\n\r\n", false},
		{"an expectation", get + host + "Expect: 100-continue\r\n\r\n", false},
		{"trailers", get + host + "Trailer: X\r\n\r\n", false},
		{"Pragma", get + host + "Pragma: no-cache\r\n\r\n", false},
		{"a folded line", get + host + "X: a\r\n b\r\n\r\n", false},
		{"a folded first line", get + " " + host + "\r\n", false},
		{"a bare line feed", get + host + "X: a\nContent-Length: 5\r\n\r\n", false},
		{"a bare carriage return", get + host + "X: a\rContent-Length: 5\r\n\r\n", false},
		{"line feeds alone", "GET /a HTTP/1.1\nHost: a.example\n\n", false},
		{"a header that ends early", get + host + "X: a\n\nX: b\r\n\r\n", false},
		{"no colon", get + host + "X\r\n\r\n", false},
		{"a field without a name", get + host + ": x\r\n\r\n", false},
		{"a name that is none", get + host + "X(: 5\r\n\r\n", false},
		{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false},
		{"PROXY protocol", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get + host + "\r\n", false},
		{"nothing", "", false},
		{"the end alone", "\r\n\r\n", false},
		{"a method alone", "GET \r\n\r\n", false},
		{"a method that meets the version", "GET HTTP/1.1\r\n\r\n", false},
	}
}

// A request that two could read in two ways is smuggling's beginning: those are
// net/http's, which refuses most of them.
func TestPlainRequestsAreThoseThatCanBeReadInOneWay(t *testing.T) {
	for _, test := range rawRequests() {
		t.Run(test.name, func(t *testing.T) {
			if plain := compareRequest(t, []byte(test.raw)); plain != test.plain {
				t.Errorf("plain: %v", plain)
			}
		})
	}
}

// With one byte changed, put in, or taken away, at each place, a request is none, or
// is what net/http makes of it.
func TestAPlainRequestWithAnotherByteIsReadAsNetHTTPReadsIt(t *testing.T) {
	const raw = "GET /a%2f?b#c HTTP/1.1\r\nHost: a:1\r\nX: y\r\nx:\tz \r\n\r\n"
	plain := 0
	for i := range len(raw) + 1 {
		for b := range 256 {
			for _, taken := range []int{0, 1} {
				changed := raw[:i] + string([]byte{byte(b)}) + raw[min(i+taken, len(raw)):]
				if compareRequest(t, []byte(changed)) {
					plain++
				}
			}
		}
		compareRequest(t, []byte(raw[:i]+raw[min(i+1, len(raw)):]))
	}
	if plain < 1000 {
		t.Errorf("only %d of them were plain", plain)
	}
}

// FuzzPlainRequest holds that what is read here is what net/http's server reads.
func FuzzPlainRequest(f *testing.F) {
	for _, test := range rawRequests() {
		f.Add([]byte(test.raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		compareRequest(t, raw)
		// Most of what a fuzzer makes of a whole request is none. So also as its
		// path, and as the fields of one that is plain but for them.
		compareRequest(t, append(append([]byte("GET /"), raw...), " HTTP/1.1\r\nHost: a\r\n\r\n"...))
		compareRequest(t, append(append([]byte("GET / HTTP/1.1\r\nHost: a\r\n"), raw...), "\r\n\r\n"...))
	})
}

// BenchmarkPlainRequest beside http.ReadRequest, for a request as a browser has it.
func BenchmarkPlainRequest(b *testing.B) {
	raw := []byte("GET /app/items/1?page=2 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\n" +
		"Accept-Language: en\r\nAccept-Encoding: gzip\r\nCookie: __Host-postern=" + string(bytes.Repeat([]byte("x"), 300)) + "\r\nConnection: keep-alive\r\n\r\n")
	src := bytes.NewReader(nil)
	br := bufio.NewReader(src)
	for _, bench := range []struct {
		name string
		read func() bool
	}{
		{"plain", func() bool { _, ok := plainRequest(raw); return ok }},
		{"http.ReadRequest", func() bool { src.Reset(raw); br.Reset(src); return asServed(br) != nil }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !bench.read() {
					b.Fatal("not read")
				}
			}
		})
	}
}
