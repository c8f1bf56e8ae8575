package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// leaving is a body without end, whose sender gives up after a while.
type leaving struct {
	left  int
	leave context.CancelFunc
}

func (b *leaving) Read(p []byte) (int, error) {
	if b.left -= len(p); b.left <= 0 {
		b.leave()
	}
	return len(p), nil
}

// TestCVE202344487AStreamThatItsClientResetsIsLetGo: net/http keeps a stream, and
// the body that came with it, for as long as a deadline of it lasts that was set
// after its end. A client that resets one stream after the other would fill the
// memory with them: half a megabyte each, for a minute.
func TestCVE202344487AStreamThatItsClientResetsIsLetGo(t *testing.T) {
	s := newStack(t, func(c *setup) { c.answer = endless(make(chan struct{}, 1<<10)) })
	var streams, collected atomic.Int64
	server := newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		streams.Add(1)
		runtime.SetFinalizer(r.Context(), func(context.Context) { collected.Add(1) }) // the stream's own
		s.gateway.ServeHTTP(w, r)
	}), slog.New(slog.DiscardHandler))
	server.Protocols = new(http.Protocols)
	server.Protocols.SetUnencryptedHTTP2(true)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	transport := &http.Transport{Protocols: server.Protocols}
	for _, what := range []string{"POST /public/upload", "POST /app/refused", "POST /auth/login", "GET /public/download", "GET /nowhere"} {
		method, path, _ := strings.Cut(what, " ")
		for range 40 {
			ctx, leave := context.WithCancel(t.Context())
			var body io.Reader
			if method == "POST" {
				body = &leaving{100_000, leave}
			}
			r, err := http.NewRequestWithContext(ctx, method, "http://"+listener.Addr().String()+path, body)
			must(t, err)
			r.Host = "gw.test"
			if res, err := transport.RoundTrip(r); err == nil {
				_, _ = io.CopyN(io.Discard, res.Body, 50)
				leave()
				res.Body.Close()
			}
			leave()
		}
	}
	// One in a thousand is reset just while its last deadline is set, and kept.
	eventually(t, "the streams to be let go", func() bool {
		runtime.GC()
		return streams.Load() > 100 && collected.Load() >= streams.Load()*95/100
	})
	transport.CloseIdleConnections()
}
