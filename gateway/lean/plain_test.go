package lean

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"
)

// readPlain gives an answer to plainAnswer, and tells what is left unread.
func readPlain(method string, raw []byte) (res *http.Response, head []byte, c *conn) {
	c = &conn{br: bufio.NewReaderSize(bytes.NewReader(raw), bufferSize)}
	_, _ = c.br.Peek(1)
	head = bytes.Clone(c.head())
	return c.plainAnswer(&http.Request{Method: method}, c.head()), head, c
}

// comparePlain checks that an answer which is read here is what
// http.ReadResponse makes of it, body and rest included, and that its connection
// would have been used again; and that of all others nothing was read.
func comparePlain(t *testing.T, method string, raw []byte) (plain bool) {
	t.Helper()
	got, head, c := readPlain(method, raw)
	if got == nil {
		if rest, _ := io.ReadAll(c.br); !bytes.Equal(rest, raw) {
			t.Fatalf("%d bytes of %d are left", len(rest), len(raw))
		}
		return false
	}
	br := bufio.NewReaderSize(bytes.NewReader(raw), bufferSize)
	want, err := http.ReadResponse(br, got.Request)
	if err != nil {
		t.Fatalf("http.ReadResponse: %v", err)
	}
	if !c.reusable(want, head) {
		t.Error("the connection would not be used again")
	}
	gotBody, gotErr := io.ReadAll(got.Body)
	wantBody, wantErr := io.ReadAll(want.Body)
	if !bytes.Equal(gotBody, wantBody) || gotErr != wantErr {
		t.Errorf("the body: %q, %v; want %q, %v", gotBody, gotErr, wantBody, wantErr)
	}
	if (got.Body == http.NoBody) != (want.Body == http.NoBody) {
		t.Errorf("the body is a %T, want a %T", got.Body, want.Body)
	}
	gotRest, _ := io.ReadAll(c.br)
	wantRest, _ := io.ReadAll(br)
	if !bytes.Equal(gotRest, wantRest) {
		t.Errorf("left over: %q, want %q", gotRest, wantRest)
	}
	got.Body, want.Body = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	checkRoom(t, got.Header)
	return true
}

// checkRoom checks that whoever adds to a field does not write into another.
func checkRoom(t *testing.T, h http.Header) {
	t.Helper()
	for name, values := range h {
		if len(values) != cap(values) && len(values) == 1 {
			t.Errorf("%s has room for others", name)
		}
	}
}

func TestPlainAnswersAreThoseThatSayTheirLengthOnce(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, test := range []struct {
		name, raw string
		plain     bool
	}{
		{"as most are", ok + "Content-Type: text/html\r\ncontent-length: 5\r\nDate: x\r\n\r\nhello", true},
		{"empty", ok + "Content-Length: 0\r\n\r\n", true},
		{"kept by its word", ok + "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nhello", true},
		{"cookies", ok + "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nset-cookie: c=3\r\nContent-Length: 5\r\n\r\nhello", true},
		{"spaces around", ok + "X:  a b \t\r\nContent-Length:\t5 \r\n\r\nhello", true},
		{"no value", ok + "X:\r\nContent-Length: 5\r\n\r\nhello", true},
		{"zeros", ok + "Content-Length: 005\r\n\r\nhello", true},
		{"no reason", "HTTP/1.1 404\r\nContent-Length: 5\r\n\r\nhello", true},
		{"an empty reason", "HTTP/1.1 404 \r\nContent-Length: 5\r\n\r\nhello", true},
		{"cut off", ok + "Content-Length: 5\r\n\r\nhell", true},
		{"followed by more", ok + "Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n", true},
		{"other letters", ok + "X: \xff\xc3\xbc\r\nContent-Length: 5\r\n\r\nhello", true},
		{"not all has come", ok + "Content-Length: 5\r\n", false},
		{"close", ok + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", false},
		{"the length twice", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", false},
		{"a list of lengths", ok + "Content-Length: 5, 5\r\n\r\nhello", false},
		{"a signed length", ok + "Content-Length: +5\r\n\r\nhello", false},
		{"an empty length", ok + "Content-Length:\r\n\r\nhello", false},
		{"a length beyond all", ok + "Content-Length: 9223372036854775808\r\n\r\nhello", false},
		{"chunks", ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
		{"trailers", ok + "Content-Length: 5\r\nTrailer: X\r\n\r\nhello", false},
		{"Pragma", ok + "Content-Length: 5\r\nPragma: no-cache\r\n\r\nhello", false},
		{"a folded line", ok + "X: a\r\n b\r\nContent-Length: 5\r\n\r\nhello", false},
		{"a bare line feed", ok + "X: a\nContent-Length: 5\r\n\r\nhello", false},
		{"a header that ends early", ok + "X: a\n\nContent-Length: 5\r\n\r\nhello", false},
		{"a bare carriage return", ok + "X: a\rY: b\r\nContent-Length: 5\r\n\r\nhello", false},
		{"a control character", ok + "X: a\x00\r\nContent-Length: 5\r\n\r\nhello", false},
		{"a space before the colon", ok + "Content-Length : 5\r\n\r\nhello", false},
		{"a name that is none", ok + "X(: 5\r\nContent-Length: 5\r\n\r\nhello", false},
		{"a field without a name", ok + ": x\r\nContent-Length: 5\r\n\r\nhello", false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
		{"four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello", false},
		{"a sign", "HTTP/1.1 +20 OK\r\nContent-Length: 5\r\n\r\nhello", false},
		{"two spaces", "HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
		{"informational", "HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\nhello", false},
		{"no content", "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\nhello", false},
		{"not modified", "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\nhello", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if plain := comparePlain(t, "GET", []byte(test.raw)); plain != test.plain {
				t.Errorf("plain: %v", plain)
			}
			if comparePlain(t, "HEAD", []byte(test.raw)) {
				t.Error("an answer to HEAD has no body, whatever its length")
			}
		})
	}
}

// FuzzPlainAnswer holds that what is read here is what http.ReadResponse reads.
func FuzzPlainAnswer(f *testing.F) {
	for _, test := range rawAnswers() {
		if len(test.raw) < bufferSize {
			f.Add(test.method, []byte(test.raw))
		}
	}
	f.Add("POST", fmt.Appendf(nil, "HTTP/1.1 201 Created\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 2\r\nServer: %s\r\n\r\nab", strings.Repeat("x", 100)))
	f.Fuzz(func(t *testing.T, method string, raw []byte) {
		comparePlain(t, method, raw)
		// Most of what a fuzzer makes of a whole answer is none. So also as the
		// fields of one that is plain but for them.
		comparePlain(t, "GET", append(append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"), raw...), "\r\n\r\nab"...))
	})
}

// BenchmarkPlainAnswer beside http.ReadResponse, for an answer as Express gives it.
func BenchmarkPlainAnswer(b *testing.B) {
	raw := []byte("HTTP/1.1 200 OK\r\nX-Powered-By: Express\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 100\r\n" +
		"ETag: W/\"64-x\"\r\nDate: Thu, 26 Nov 2026 20:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n" + strings.Repeat("x", 100))
	r := &http.Request{Method: "GET"}
	src := bytes.NewReader(raw)
	c := &conn{br: bufio.NewReaderSize(src, bufferSize)}
	for _, bench := range []struct {
		name string
		read func() *http.Response
	}{
		{"plain", func() *http.Response { return c.plainAnswer(r, c.head()) }},
		{"http.ReadResponse", func() *http.Response { res, _ := http.ReadResponse(c.br, r); return res }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(raw)
				c.br.Reset(src)
				_, _ = c.br.Peek(1)
				if res := bench.read(); res == nil {
					b.Fatal("it is not read")
				}
			}
		})
	}
}

func TestAValueIsValidWhereHttpgutsSaysSo(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for b := range 256 {
				for _, others := range []string{"a", "\x20", "\xff", "\x80", "\t"} {
					value := []byte(strings.Repeat(others, length))
					value[at] = byte(b)
					if want := httpguts.ValidHeaderFieldValue(string(value)); validValue(string(value)) != want {
						t.Fatalf("%q: not %t", value, want)
					}
				}
			}
		}
	}
}
