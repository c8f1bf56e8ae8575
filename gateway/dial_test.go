package gateway

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"time"
)

// warmPath is answered past the gateway, by net/http alone.
const warmPath = "/.warm"

// warmable answers warmPath in the place of a handler.
func warmable(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != warmPath {
			h.ServeHTTP(w, r)
		}
	})
}

// dial opens a connection on which something was asked already, so that what comes
// next may be answered beside net/http; see lean.Server. In the run with
// transport: standard nothing is.
func (s *stack) dial() net.Conn {
	s.t.Helper()
	conn := s.dialFresh()
	if s.fresh || s.server.plain == nil {
		return conn
	}
	_, err := io.WriteString(conn, "GET "+warmPath+" HTTP/1.1\r\nHost: gw.test\r\n\r\n")
	must(s.t, err)
	answer := make([]byte, 0, 256)
	for !bytes.HasSuffix(answer, []byte("\r\n\r\n")) {
		n, err := conn.Read(answer[len(answer):cap(answer)])
		must(s.t, err)
		answer = answer[:len(answer)+n]
	}
	return conn
}

// dialFresh opens a connection.
func (s *stack) dialFresh() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.server.Addr())
	must(s.t, err)
	must(s.t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	return conn
}
