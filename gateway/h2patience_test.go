package gateway

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// slowH2 asks for something over HTTP/2, lets a piece of the answer come now and
// then, and counts what came until the stream ended. whole: it ended as answers do.
func slowH2(t *testing.T, conn net.Conn, piece uint32, every time.Duration) (n int, whole bool) {
	f := http2.NewFramer(conn, conn)
	write(t, conn, http2.ClientPreface)
	must(t, f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: piece}))
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "gw.test"}, {":path", "/"}} {
		must(t, enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
	}
	must(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return n, false
		}
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return n, false
		case *http2.DataFrame:
			if frame.StreamEnded() {
				return n + len(frame.Data()), true
			}
			n += len(frame.Data())
			if n%int(piece) == 0 && len(frame.Data()) > 0 {
				time.Sleep(every)
				must(t, f.WriteWindowUpdate(0, piece))
				must(t, f.WriteWindowUpdate(1, piece))
			}
		}
	}
}

// Over HTTP/2 the deadline is that of a write. It must not be a matter of how much
// an answer is copied with: four times as much would make it four times as short.
func TestOverHTTP2AClientMayTakeAsLongForEachPieceHoweverMuchIsWrittenAtOnce(t *testing.T) {
	for _, test := range []struct {
		name  string
		every time.Duration // for half of copyBuffer
		whole bool
	}{
		{"slow", minute() / 3, true},
		{"hardly at all", 2 * minute(), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				ended := make(chan *answer, 1)
				server := newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					a := &answer{ResponseWriter: w, conn: http.NewResponseController(w), idle: minute()}
					_, _ = a.Write(make([]byte, largeBuffer))
					ended <- a
				}), slog.New(slog.DiscardHandler))
				server.Protocols = new(http.Protocols)
				server.Protocols.SetUnencryptedHTTP2(true)
				served := make(chan error, 1)
				go func() { served <- server.Serve(opened(near)) }()
				n, whole := slowH2(t, far, copyBuffer/2, test.every)
				a := <-ended
				if whole != test.whole || a.stalled == test.whole || whole && n != largeBuffer {
					t.Errorf("%d bytes have come, whole %v, stalled %v", n, whole, a.stalled)
				}
				go func() { _, _ = io.Copy(io.Discard, far) }()
				must(t, server.Close())
				_ = far.Close()
				<-served
			})
		})
	}
}
