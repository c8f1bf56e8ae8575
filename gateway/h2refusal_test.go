package gateway

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// refusedH2 posts a body of five bytes over HTTP/2, after the gateway has had the
// head for a while. reset: the stream was reset, though the answer was whole.
func refusedH2(t *testing.T, addr, path string, more ...[2]string) (status string, reset bool) {
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	write(t, conn, http2.ClientPreface)
	must(t, f.WriteSettings())
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, field := range append([][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "gw.test"}, {":path", path}, {"content-type", "text/plain"}, {"content-length", "5"}}, more...) {
		must(t, enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
	}
	must(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}))
	const last = 50 // there and back, each
	must(t, f.WritePing(false, [8]byte{0}))
	ended := false
	for {
		frame, err := f.ReadFrame()
		must(t, err)
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			status = frame.PseudoValue("status")
			ended = ended || frame.StreamEnded()
		case *http2.DataFrame:
			ended = ended || frame.StreamEnded()
		case *http2.RSTStreamFrame:
			reset = true
		case *http2.GoAwayFrame:
			t.Fatalf("%s: ends the connection, which others use too", path)
		case *http2.PingFrame:
			switch n := frame.Data[0]; {
			case n == last+1:
				if ended {
					return status, reset
				}
				must(t, f.WritePing(false, frame.Data))
			case n == last:
				must(t, f.WriteData(1, true, []byte("hello")))
				fallthrough
			default:
				must(t, f.WritePing(false, [8]byte{n + 1}))
			}
		}
	}
}

// A stream that is reset while its client sends the body has cost curl (7.88) the
// answer: it said "Stream error" where a 401 or 404 had been sent.
func TestARefusalOverHTTP2OutlivesAShortBody(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.H2C = true })
	for path, want := range map[string]string{"/app/x": "401", "/nowhere": "404", "/public/..%2fx": "400", "/auth/me": "405", "/auth/login": "415", "/auth/nowhere": "404"} {
		reset := true
		for tries := 0; reset && tries < 5; tries++ { // a machine that stands still for lingering is no mistake
			var status string
			if status, reset = refusedH2(t, s.server.Addr(), path); status != want {
				t.Errorf("%s: %s, want %s", path, status, want)
			}
		}
		if reset {
			t.Errorf("%s: the stream was reset", path)
		}
	}
}

// The length that a front end asks with may be that of the original request, whose
// body stays where it is. To wait for it would hold up every answer.
func TestAQuestionOverHTTP2WaitsForNoBody(t *testing.T) {
	s := newStack(t, behind, func(c *setup) { c.gateway.H2C = true })
	for target, want := range map[string]string{"/app/x": "401", "/public/x": "200", "/nowhere": "403", "/auth/me": "403", "/auth/verify": "403", "/public/..%2fx": "403"} {
		reset := false
		for tries := 0; !reset && tries < 5; tries++ { // a machine that stands still until the body has come is no mistake
			var status string
			status, reset = refusedH2(t, s.server.Addr(), "/auth/verify", [2]string{"x-original-method", "POST"}, [2]string{"x-original-url", "http://gw.test" + target})
			if status != want {
				t.Errorf("%s: %s, want %s", target, status, want)
			}
		}
		if !reset {
			t.Errorf("%s: the body was waited for", target)
		}
	}
}
