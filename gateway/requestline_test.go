package gateway

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func TestAPathThatNobodyCanParseIsRefusedAsEveryBadPath(t *testing.T) {
	s := newStack(t)
	for _, path := range []string{
		"/public/%zz", "/public/%", "/public/%4", "/public/a%2", "/%", "/public/%%34", "/public/%zz?x=1", "/public/%g0/y",
		"/public/\x01", "/public/a\tb", "/public/\x7f", "/public/\x00", "/none/%zz", "/auth/%zz",
	} {
		r := s.send("GET", path, "", "X-Request-Id: mine-42")
		r.wants(t, 400, "bad_path")
		r.notAsked(t)
		if got := r.Header.Get("X-Request-Id"); got != "mine-42" {
			t.Errorf("%q: X-Request-Id %q", path, got)
		}
		if r := s.send("POST", path, "x=1"); r.StatusCode != 400 || r.code() != "bad_path" || r.seen != nil {
			t.Errorf("POST %q: %d %s", path, r.StatusCode, r.code())
		}
	}
	for _, entry := range s.log.entries(t, "request", 28) {
		if entry["reason"] != "bad_path" || entry["decision"] != "deny" {
			t.Errorf("the access log has %v", entry)
		}
	}
}

func TestEveryRequestOfAConnectionIsLookedAt(t *testing.T) {
	for _, changes := range [][]func(*setup){
		nil,
		{func(c *setup) { c.gateway.Limits.Connections = 5 }},
		{func(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1"} }},
		{func(c *setup) { c.gateway.H2C = true }},
	} {
		s := newStack(t, changes...)
		conn := s.dial()
		defer conn.Close()
		br := bufio.NewReader(conn)
		for _, test := range []struct {
			path   string
			status int
		}{{"/public/a", 200}, {"/public/%zz", 400}, {"/public/b?x=%zz", 200}, {"/public/c%", 400}, {"/public/d", 200}} {
			before, request := s.app.count(), "GET "+test.path+" HTTP/1.1\r\nHost: gw.test\r\n\r\n"
			_, err := io.WriteString(conn, request)
			must(t, err)
			r := s.read(br, request, before)
			if r.StatusCode != test.status || test.status == 400 && r.code() != "bad_path" {
				t.Fatalf("%s: %d %s", test.path, r.StatusCode, r.code())
			}
			if test.status == 200 && r.saw(t).target != test.path {
				t.Errorf("%s: the application saw %s", test.path, r.seen.target)
			}
		}
	}
}

func TestBodiesAreNotTakenForRequestLines(t *testing.T) {
	for _, h2c := range []bool{false, true} { // with it the first read of a connection is a short one
		checkBodies(t, newStack(t, func(c *setup) { c.gateway.H2C = h2c }))
	}
}

func checkBodies(t *testing.T, s *stack) {
	t.Helper()
	body := "GET /public/%zz HTTP/1.1\r\nHost: gw.test\r\n\r\n"
	head := "POST /public/upload HTTP/1.1\r\nHost: gw.test\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	conn := s.dial()
	defer conn.Close()
	br := bufio.NewReader(conn)
	for _, pieces := range [][]string{{head + body}, {head, body}, {head + body[:7], body[7:]}} {
		before := s.app.count()
		for _, piece := range pieces {
			_, err := io.WriteString(conn, piece)
			must(t, err)
		}
		r := s.read(br, head, before)
		r.wants(t, 200, "")
		if got := r.saw(t).body; got != body {
			t.Errorf("in %d pieces: the application got %q", len(pieces), got)
		}
	}
}

func TestARequestLineInPiecesIsRefusedAllTheSame(t *testing.T) {
	s := newStack(t)
	conn := s.dial()
	defer conn.Close()
	before := s.app.count()
	for _, piece := range []string{"GET /public/", "%z", "z HTTP/1.1\r\nHost: gw.test\r\n\r\n"} {
		_, err := io.WriteString(conn, piece)
		must(t, err)
	}
	r := s.read(bufio.NewReader(conn), "GET", before)
	r.wants(t, 400, "")
	r.notAsked(t)
}

func TestOnlyWhatIsBrokenInAPathIsMarked(t *testing.T) {
	const same = "the same"
	for _, test := range []struct{ line, want string }{
		{"GET /a%zz HTTP/1.1\r\n", `GET /a\zz HTTP/1.1` + "\r\n"},
		{"GET /a%2 HTTP/1.1\r\n", `GET /a\2 HTTP/1.1` + "\r\n"},
		{"GET /%%41 HTTP/1.0\r\nX: %zz\r\n", `GET /\%41 HTTP/1.0` + "\r\nX: %zz\r\n"},
		{"GET /%2f%zz?%zz HTTP/1.1\r\n", `GET /%2f\zz?%zz HTTP/1.1` + "\r\n"},
		{"GET /a%2f HTTP/1.1\r\n%zz", same}, {"GET /a?%zz HTTP/1.1\r\n", same}, {"GET /a%zz", same}, {"GET /a%zz HTTP/1.1", same},
		{"GET /a%zz\r\n", same}, {"GET /a%zz HTTP/2.0\r\n", same}, {"get /a%zz HTTP/1.1\r\n", same}, {" /a%zz HTTP/1.1\r\n", same},
		{"GET a%zz HTTP/1.1\r\n", same}, {"GET http://x/%zz HTTP/1.1\r\n", same}, {"\x16\x03\x01", same}, {"", same}, {"\n", same},
	} {
		got := []byte(test.line)
		markBroken(got)
		want := strings.ReplaceAll(test.want, same, test.line)
		if string(got) != want {
			t.Errorf("%q became %q, want %q", test.line, got, want)
		}
	}
}

func FuzzMarkBroken(f *testing.F) {
	for _, seed := range []string{"GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n", "POST /%?%zz HTTP/1.0\n%", "GET /\x01\x7f%4 HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := bytes.Clone(b)
		markBroken(got)
		line, _, _ := bytes.Cut(b, []byte("\n"))
		for i := range b {
			if got[i] != b[i] && (got[i] != '\\' || i >= len(line) || b[i] != '%' && b[i] >= ' ' && b[i] != 0x7f) {
				t.Fatalf("%q became %q", b, got)
			}
		}
		again := bytes.Clone(got)
		if markBroken(again); !bytes.Equal(again, got) {
			t.Fatalf("%q is marked twice: %q, %q", b, got, again)
		}
	})
}

// TestAWebSocketOpensWhereHTTP2MayComeAsWell: what was read ahead to see how a
// connection begins arrives, in however many pieces it came.
func TestAWebSocketOpensWhereHTTP2MayComeAsWell(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.H2C, c.answer = true, lasting(nil) })
	request := strings.Replace(handshake, "%s", "/app/ws", 1) + bearer(s.token("alice")) + "\r\n\r\n"
	for _, size := range []int{len(request), 20, 14, 3} {
		conn := s.dial()
		for rest := request; rest != ""; {
			n := min(size, len(rest))
			write(t, conn, rest[:n])
			rest = rest[n:]
		}
		br := newReader(conn)
		res, err := http.ReadResponse(br, nil)
		must(t, err)
		if res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("in pieces of %d: %s", size, res.Status)
		}
		write(t, conn, "GET /public/%zz HTTP/1.1\r\n") // a message that looks like what it is not
		got := make([]byte, len("GET /public/%zz HTTP/1.1\r\n"))
		if _, err := io.ReadFull(br, got); err != nil || string(got) != "GET /public/%zz HTTP/1.1\r\n" {
			t.Errorf("in pieces of %d: %q came back, %v", size, got, err)
		}
		conn.Close()
	}
}
