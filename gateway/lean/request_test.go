package lean

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// TestOnlyPlainRequestsAreCarried: the others go to http.Transport, which knows
// what to do.
func TestOnlyPlainRequestsAreCarried(t *testing.T) {
	u := answers(t, empty)
	lean := u.lean(t)
	hurried, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, test := range []struct {
		name   string
		change func(r *http.Request)
		plain  bool
	}{
		{"a GET", func(*http.Request) {}, true},
		{"a method of the application's own", func(r *http.Request) { r.Method = "PROPFIND" }, true},
		{"a query", func(r *http.Request) { r.URL.RawQuery = "a=b&c" }, true},
		{"an opaque target", func(r *http.Request) { r.URL.Opaque = "/a%2fb" }, true},
		{"trailers that it would take", func(r *http.Request) { r.Header["Te"] = []string{"trailers"} }, true},
		{"an address", func(r *http.Request) { r.Host = "[::1]:8080" }, true},
		{"a small body", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("ab")), 2 }, true},
		{"a deadline", func(r *http.Request) { *r = *r.WithContext(hurried) }, true},
		{"a small body and a deadline", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("ab")), 2
			*r = *r.WithContext(hurried)
		}, false},
		{"a large body", func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, maxBody+1 }, false},
		{"a body of no length", func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, -1 }, false},
		{"a body that may be empty", func(r *http.Request) { r.Body = http.NoBody }, false},
		{"a length without a body", func(r *http.Request) { r.ContentLength = 5 }, false},
		{"chunks", func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, false},
		{"trailers", func(r *http.Request) { r.Trailer = http.Header{"X-A": nil} }, false},
		{"https", func(r *http.Request) { r.URL.Scheme = "https" }, false},
		{"no URL", func(r *http.Request) { r.URL = nil }, false},
		{"no header", func(r *http.Request) { r.Header = nil }, false},
		{"CONNECT", func(r *http.Request) { r.Method = "CONNECT" }, false},
		{"an upgrade", func(r *http.Request) { r.Header["Upgrade"] = []string{"h2c"} }, false},
		{"Connection", func(r *http.Request) { r.Header["Connection"] = []string{"x-a"} }, false},
		{"Expect", func(r *http.Request) { r.Header["Expect"] = []string{"100-continue"} }, false},
		{"close", func(r *http.Request) { r.Close = true }, false},
		{"a method that is none", func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX:" }, false},
		{"an asterisk", func(r *http.Request) { r.URL.Opaque = "*" }, false},
		{"a path with a space", func(r *http.Request) { r.URL.Opaque = "/a b" }, false},
		{"a path with a line end", func(r *http.Request) { r.URL.Opaque = "/a\r\nX: y" }, false},
		{"a query with a line end", func(r *http.Request) { r.URL.RawQuery = "a\r\nX: y" }, false},
		{"a host with a line end", func(r *http.Request) { r.Host = "a\r\nX: y" }, false},
		{"a host that is not ASCII", func(r *http.Request) { r.Host = "bücher.example" }, false},
		{"a host with a zone", func(r *http.Request) { r.Host = "[fe80::1%25en0]" }, false},
		{"no host", func(r *http.Request) { r.Host, r.URL.Host = "", "" }, false},
		{"a name that is none", func(r *http.Request) { r.Header["X A"] = []string{"1"} }, false},
		{"a value with a line end", func(r *http.Request) { r.Header["X-A"] = []string{"1\r\nX: y"} }, false},
		{"an agent with a line end", func(r *http.Request) { r.Header["User-Agent"] = []string{"1\r\nX: y"} }, false},
	} {
		r := newRequest(t, "GET", "/")
		test.change(r)
		if _, err := lean.RoundTrip(r); errors.Is(err, errNotPlain) == test.plain || test.plain && err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if n := lean.idle(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Fields beside the header are written behind it; where the request is handed
// on they are in it.
func TestMoreFieldsAreSentOrHandedOn(t *testing.T) {
	more := Fields{{"X-User", "alice"}, {"A-Last", " 2 "}}
	r := newRequest(t, "GET", "/x")
	r.Header = http.Header{"B": {"1"}, "A": {"3"}}
	got, ok := appendHead(nil, r, more)
	if want := "GET /x HTTP/1.1\r\nHost: app\r\nA: 3\r\nB: 1\r\nX-User: alice\r\nA-Last: 2\r\n\r\n"; !ok || string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if _, ok := appendHead(nil, r, Fields{{"X-User", "a\r\nX-Role: admin"}}); ok {
		t.Error("a line end was written")
	}

	lean := echo(t).lean(t)
	handed := handing{}
	lean.Else = &handed
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Close = true },
		func(r *http.Request) { r.Header["Expect"] = []string{"100-continue"} },
		func(r *http.Request) { // comes in pieces
			r.Body, r.ContentLength = io.NopCloser(iotest.OneByteReader(strings.NewReader("abc"))), 3
		},
	} {
		r := newRequest(t, "POST", "/x")
		r.Header["X-User"] = []string{"mallory"}
		change(r)
		if _, err := lean.Send(r, more); !errors.Is(err, errNotPlain) {
			t.Fatal(err)
		}
		if h := handed.header; len(h["X-User"]) != 1 || h.Get("X-User") != "alice" || h.Get("A-Last") != " 2 " {
			t.Errorf("handed on with %v", h)
		}
	}
}

// handing keeps the header of what it is handed.
type handing struct{ header http.Header }

func (h *handing) RoundTrip(r *http.Request) (*http.Response, error) {
	h.header = r.Header
	return nil, errNotPlain
}

// FuzzHead writes the head of a request where it is plain, byte for byte as
// net/http does.
func FuzzHead(f *testing.F) {
	f.Add("GET", "app.test", "/a", "b=c", true, "X-A", " 1 ", "curl")
	f.Add("POST", "app.test:80", "//a", "", true, "Te", "trailers", "")
	f.Add("PUT", "", "", "?", false, "Content-Length", "7", "a\tb")
	f.Add("G T", "a b", "/\x00", "\n", false, "Host", "\n", "\r")
	f.Fuzz(func(t *testing.T, method, host, target, query string, force bool, name, value, agent string) {
		r := &http.Request{Method: method, Host: host, URL: &url.URL{Scheme: "http", Host: "app", Opaque: target, RawQuery: query, ForceQuery: force},
			Header: http.Header{name: {value, "second"}, "User-Agent": {agent}, "B": {"2"}, "A": {"1", "3"}}}
		if !plain(r) {
			return
		}
		got, ok := appendHead(nil, r, nil)
		if !ok {
			return
		}
		var want bytes.Buffer
		w := bufio.NewWriter(&want)
		if err := r.Write(w); err != nil {
			t.Fatalf("net/http refuses %q: %v", got, err)
		}
		must(t, w.Flush())
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("got  %q\nwant %q", got, want.Bytes())
		}
		read, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(got)))
		if err == nil && read.Method != method {
			t.Errorf("%q is read as %s", got, read.Method)
		}
	})
}

// echo answers with what it was sent.
func echo(t testing.TB) *upstream {
	return newUpstream(t, func(u *upstream, _ int64, conn net.Conn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			u.requests.Add(1)
			text := fmt.Sprintf("%s %d %s", r.Method, r.ContentLength, body)
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		}
	})
}

// watched is a body that tells whether it was closed.
type watched struct {
	io.Reader
	closed bool
}

func (w *watched) Close() error { w.closed = true; return nil }

// TestASmallBodyThatComesInOnePieceIsCarried; one that comes in pieces goes on
// to http.Transport, whole.
func TestASmallBodyThatComesInOnePieceIsCarried(t *testing.T) {
	const text = "hello world"
	broken := errors.New("broke off")
	for _, test := range []struct {
		name   string
		body   io.Reader
		length int64
		fault  string
		usual  bool // by http.Transport
	}{
		{"in one piece", strings.NewReader(text), 11, "", false},
		{"its end with it", iotest.DataErrReader(strings.NewReader(text)), 11, "", false},
		{"in pieces", iotest.OneByteReader(strings.NewReader(text)), 11, "", true},
		{"in halves", iotest.HalfReader(strings.NewReader(text)), 11, "", true},
		{"longer than it says", strings.NewReader(text + "!"), 11, errBodyTooLong.Error(), false},
		{"shorter than it says", iotest.DataErrReader(strings.NewReader(text)), 12, "broke", false},
		{"broken off", iotest.ErrReader(broken), 11, broken.Error(), false},
		{"broken at its end", io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), 11, broken.Error(), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			u, beside := echo(t), echo(t)
			lean := u.lean(t)
			lean.Else = beside.usual(t)
			for range 2 { // over a new connection, and over one that was kept
				ask(lean, newRequest(t, "GET", "/"))
			}
			before := u.requests.Load()
			body := &watched{Reader: test.body}
			r := newRequest(t, "POST", "/")
			r.Body, r.ContentLength = body, test.length
			got := ask(lean, r)
			if test.fault == "" && got.Body != "POST 11 "+text || got.Fault != test.fault {
				t.Errorf("%+v", got)
			}
			if !body.closed {
				t.Error("the body was not closed")
			}
			if usual := beside.requests.Load() == 1; usual != test.usual {
				t.Errorf("by http.Transport: %v", usual)
			}
			if test.fault != "" && u.requests.Load() != before {
				t.Error("it was sent")
			}
			if ask(lean, newRequest(t, "GET", "/")); u.opened.Load() != 1 {
				t.Errorf("%d connections", u.opened.Load())
			}
		})
	}
}

// A client may take its time with a body. The connection that waits for it may
// be gone by then, and nothing was sent: it is no repetition to take another.
func TestAConnectionThatEndsWhileABodyIsWaitedForIsReplaced(t *testing.T) {
	hungUp := make(chan struct{})
	held := make(chan struct{})
	u := newUpstream(t, func(u *upstream, n int64, conn net.Conn, br *bufio.Reader) {
		for u.next(br) != nil {
			_, _ = io.WriteString(conn, empty)
			if n == 1 {
				<-held
				conn.Close()
				close(hungUp)
				return
			}
		}
	})
	lean := u.lean(t)
	ask(lean, newRequest(t, "GET", "/"))
	r := newRequest(t, "POST", "/")
	r.Body, r.ContentLength = io.NopCloser(readerFunc(func(p []byte) (int, error) {
		close(held)
		<-hungUp
		return copy(p, "ab"), io.EOF
	})), 2
	if got := ask(lean, r); got.Code != 204 || u.requests.Load() != 2 || u.opened.Load() != 2 {
		t.Errorf("%+v: %d requests over %d connections", got, u.requests.Load(), u.opened.Load())
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// An upstream may answer a body that it does not read, and hang up.
func TestAnAnswerToABodyThatWasNotReadIsSeen(t *testing.T) {
	u := newUpstream(t, func(u *upstream, _ int64, conn net.Conn, br *bufio.Reader) {
		_, _ = br.ReadString('\n')
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
	})
	lean := u.lean(t)
	for range 20 {
		r := newRequest(t, "POST", "/")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", maxBody))), maxBody
		got := ask(lean, r)
		if got.Code != 413 && got.Fault != "broke" { // the reset may be faster than the answer
			t.Errorf("%+v", got)
		}
	}
}

func TestInformationalAnswersGoToTheTrace(t *testing.T) {
	u := answers(t, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Long: "+strings.Repeat("x", testMaxHeader*2/3)+
		"\r\n\r\nHTTP/1.1 200 OK\r\nX-Long: "+strings.Repeat("x", testMaxHeader*2/3)+"\r\nContent-Length: 0\r\n\r\n")
	lean := u.lean(t)
	var seen []string
	stop := error(nil)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		seen = append(seen, fmt.Sprint(code, h.Get("Link")))
		return stop
	}})
	if got := ask(lean, newRequest(t, "GET", "/").WithContext(ctx)); got.Code != 200 || strings.Join(seen, " ") != "100 103</a>" {
		t.Errorf("%d %v", got.Code, seen)
	}
	stop = errors.New("enough")
	if got := ask(lean, newRequest(t, "GET", "/").WithContext(ctx)); got.Fault != "enough" {
		t.Errorf("%+v", got)
	}
	// Nobody looks at them: together they may be as long as one.
	if got := ask(lean, newRequest(t, "GET", "/")); got.Fault != "header too long" {
		t.Errorf("%+.200v", got)
	}
}

func TestFieldsThatWereSetAreTakenOutOfACopy(t *testing.T) {
	h := http.Header{"X-Mine": {"a", "b"}}
	more := Fields{{"X-Ours", "1"}, {"X-Other", "2"}}
	more.Set(h)
	again := more.Without(h)
	if len(again) != 1 || len(again["X-Mine"]) != 2 {
		t.Errorf("the copy is %v", again)
	}
	if len(h) != 3 || h.Get("X-Ours") != "1" {
		t.Errorf("what may still be read has become %v", h)
	}
}
