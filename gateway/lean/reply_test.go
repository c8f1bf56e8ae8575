package lean

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A script is what a handler does, one byte for each step: two bits say what, six
// with which of the menu.
const (
	stepSet = iota
	stepStatus
	stepWrite
	stepOther
)

var (
	// scriptFields are put beside what is there. Of a length that is none, and of
	// two lengths, net/http makes chunks: no handler here has either.
	scriptFields = [...][2]string{
		{"Content-Type", "text/plain"}, {"Content-Length", "5"}, {"Content-Length", "2048"}, {"Content-Length", "0"},
		{"Date", "Thu, 26 Nov 2026 20:00:00 GMT"}, {"Connection", "close"}, {"Connection", "keep-alive"}, {"X-A", " a\r\nX-B: b \n"},
		{"X-A", "again"}, {"Bad Name", "x"}, {"Content-Encoding", "gzip"}, {"Content-Encoding", ""}, {"Trailer", "X-T, x-u"}, {"Trailer", "Content-Length"},
		{"X-T", "declared"}, {http.TrailerPrefix + "X-P", "undeclared"}, {"Etag", `"a"`}, {"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"}, {"Link", "</a>"},
		{"x-lower", "as it is"}, {"X-Empty", ""},
	}
	scriptStatus = [...]int{200, 204, 304, 404, 500, 103, 102, 100, 299, 999, 206, 416}
	scriptSizes  = [...]int{0, 1, 5, 10, 511, 512, 2043, 2047, 2048, 2049, 4096, 4097, 9000}
)

// play does what a script says.
func play(w http.ResponseWriter, script string) {
	for _, step := range []byte(script) {
		which := int(step & 63)
		switch step >> 6 {
		case stepSet:
			f := scriptFields[which%len(scriptFields)]
			if f[0] == "Content-Length" || f[0] == "Connection" {
				w.Header().Del(f[0])
			}
			w.Header()[f[0]] = append(w.Header()[f[0]], f[1])
		case stepStatus:
			w.WriteHeader(scriptStatus[which%len(scriptStatus)])
		case stepWrite:
			_, _ = w.Write(bytes.Repeat([]byte("<b>"), scriptSizes[which%len(scriptSizes)])[:scriptSizes[which%len(scriptSizes)]])
		default:
			switch which % 4 {
			case 0:
				panic(http.ErrAbortHandler)
			case 1:
				w.Header()["Content-Type"] = nil
			default:
				_ = http.NewResponseController(w).Flush()
			}
		}
	}
}

// answerTo asks the server for something, on a connection on which it was asked
// before or not, and reads until it ends the connection.
func answerTo(t *testing.T, s *testServer, kept bool, request string) []byte {
	t.Helper()
	conn := s.dial(t)
	defer conn.Close()
	if kept {
		s.warm(t, conn)
	}
	_, err := io.WriteString(conn, request)
	must(t, err)
	must(t, conn.(*net.UnixConn).CloseWrite())
	raw, err := io.ReadAll(conn)
	must(t, err)
	return raw
}

// normal brings an answer into one form: net/http writes the fields that it adds
// behind the others, and the date changes.
func normal(t *testing.T, raw []byte) string {
	t.Helper()
	var all []string
	for {
		head, rest, found := bytes.Cut(raw, []byte("\r\n\r\n"))
		lines := strings.Split(string(head), "\r\n")
		for i, line := range lines {
			if strings.HasPrefix(line, "Date: ") && !strings.Contains(line, "26 Nov 2026 20:00:00") {
				lines[i] = "Date: now"
			}
		}
		slices.Sort(lines[1:])
		all = append(all, lines...)
		if !found || !strings.HasPrefix(lines[0], "HTTP/1.1 1") {
			return strings.Join(append(all, string(rest)), "\n")
		}
		raw = rest
	}
}

// compareReply checks that what the handler does makes the same answer here and in
// net/http's server.
func compareReply(t *testing.T, s *testServer, script string) {
	t.Helper()
	if len(script) > 64 {
		return
	}
	before := s.here.Load()
	request := "GET /script HTTP/1.1\r\nHost: a\r\nScript: " + hexed(script) + "\r\n\r\n"
	want := normal(t, answerTo(t, s, false, request))
	if s.here.Load() != before {
		t.Fatal("the first request of a connection was answered here")
	}
	got := normal(t, answerTo(t, s, true, request))
	if s.here.Load() == before {
		t.Fatal("the second request was not answered here")
	}
	if got != want {
		t.Errorf("script %q\ngot  %q\nwant %q", script, got, want)
	}
}

// scripts are what handlers do, in the steps of play.
func scripts() [][]byte {
	set := func(i byte) byte { return stepSet<<6 | i }
	status := func(i byte) byte { return stepStatus<<6 | i }
	write := func(i byte) byte { return stepWrite<<6 | i }
	const abort, untyped, flush = stepOther << 6, stepOther<<6 | 1, stepOther<<6 | 2
	return [][]byte{
		{}, {write(2)}, {set(0), write(2)}, {set(1), write(2)}, {set(1), write(1)}, {set(1), write(3)}, {set(1), write(1), write(3)},
		{set(2), write(8)}, {set(2), write(9)}, {set(3)}, {set(3), write(1)}, {write(8)}, {write(9)}, {write(12)}, {write(11), write(11)},
		{write(1), flush, write(2)}, {flush}, {flush, flush, write(0), write(4), flush}, {write(1), write(8)}, {write(3), write(12)},
		{status(1)}, {status(1), write(2)}, {set(1), status(1)}, {status(2), write(2)}, {set(0), set(1), status(2)}, {status(3), write(5)}, {status(8), write(2)}, {status(9)},
		{set(19), status(5), set(0), write(2)}, {set(19), set(1), status(6), status(7), status(0), write(2)}, {status(5), flush}, {status(0), status(3), write(2)},
		{set(5), write(2)}, {set(6), write(2)}, {set(5), set(6), write(2)}, {set(6), set(5), write(2)}, {set(7), set(8), set(9), write(1)}, {set(10), write(2)}, {set(11), write(2)}, {untyped, write(2)},
		{set(12), write(2), set(14)}, {set(12), set(14), write(2)}, {set(12), set(1), write(2), set(14)}, {set(13), write(2)}, {write(2), set(15)}, {set(15), write(2)}, {set(15)}, {write(2), flush, set(15), set(14)},
		{write(9), set(15)}, {set(12), status(1), set(14)}, {set(4), set(16), set(17), set(18), set(20), set(21), write(2)},
		{abort}, {write(2), abort}, {write(9), abort}, {write(2), flush, abort}, {set(1), write(1), flush, abort}, {write(2), set(0), write(2)},
	}
}

func TestAnswersAreThoseOfNetHTTP(t *testing.T) {
	s := newTestServer(t)
	for _, script := range scripts() {
		compareReply(t, s, string(script))
	}
}

// FuzzReply holds that what is answered here is what net/http's server answers.
func FuzzReply(f *testing.F) {
	s := newTestServer(f)
	for _, script := range scripts() {
		f.Add(string(script))
	}
	f.Fuzz(func(t *testing.T, script string) { compareReply(t, s, script) })
}

// BenchmarkReply beside net/http's server, over a connection of the system's.
func BenchmarkReply(b *testing.B) {
	for _, bench := range []struct {
		name string
		off  bool
	}{{"here", false}, {"net/http", true}} {
		b.Run(bench.name, func(b *testing.B) {
			s := newTestServer(b)
			s.lean.Off = func() bool { return bench.off }
			conn := s.dial(b)
			defer conn.Close()
			s.warm(b, conn)
			br := bufio.NewReader(conn)
			request := []byte("GET /script HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nAccept: */*\r\nScript: " + hexed(string([]byte{0, 16, stepWrite<<6 | 4})) + "\r\n\r\n")
			b.ReportAllocs()
			for b.Loop() {
				_, err := conn.Write(request)
				must(b, err)
				res, err := http.ReadResponse(br, nil)
				must(b, err)
				_, _ = io.Copy(io.Discard, res.Body)
			}
		})
	}
}

func TestTheDateOfAnAnswerIsThatOfItsSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(Server)
		for range 5 {
			now := time.Now()
			if got, want := s.date(now), now.UTC().Format(http.TimeFormat); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			time.Sleep(400 * time.Millisecond)
		}
	})
}
