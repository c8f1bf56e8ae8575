package gateway

import (
	"bytes"
	"io"
	"net/http"
	"strconv"

	"github.com/posternhq/postern/gateway/problem"
)

// plainKey is the context key of a request's plainConn.
type plainKey struct{}

// handled gives the requests that net/http could read to a handler, and tells their
// connection: what is written from then on are the handler's words.
func handled(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(plainKey{}).(*plainConn); ok {
			c.unheard.Store(false)
		}
		h.ServeHTTP(w, r)
	})
}

// Write writes. What net/http says of a request that it cannot read (no Host, two
// of them, a broken field, a header that is too long) it says before there is a
// handler, as text and without an id. In its place goes a problem with one, that can
// be found in the log.
func (c *plainConn) Write(p []byte) (int, error) {
	status, ok := ownRefusal(p)
	if !ok || !c.unheard.Swap(false) {
		return c.ServerConn.Write(p)
	}
	id := requestID(nil)
	c.log.Info("a request that cannot be read was refused", "request_id", id, "peer", c.RemoteAddr().String(), "status", status)
	if _, err := c.ServerConn.Write(refusalOfMalformed(id, status)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ownRefusal reads the status of an answer that is a refusal.
func ownRefusal(p []byte) (status int, ok bool) {
	line, found := bytes.CutPrefix(p, []byte("HTTP/1.1 "))
	if !found || len(line) < 3 {
		return 0, false
	}
	status, err := strconv.Atoi(string(line[:3]))
	return status, err == nil && status >= 400 && status < 600
}

// refusalOfMalformed is the answer to what could not be read. It ends the
// connection: nobody knows where the next request would begin.
func refusalOfMalformed(id string, status int) []byte {
	p := problem.Of(problem.BadRequest)
	p.Status = status
	p.Detail = "The request cannot be read as HTTP: " + http.StatusText(status) + "."
	w := &written{header: make(http.Header)}
	problem.Write(w, &http.Request{Method: http.MethodGet, Header: http.Header{"X-Request-Id": {id}}}, p)
	var out bytes.Buffer
	res := http.Response{StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header, Close: true,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len())}
	_ = res.Write(&out) // to memory
	return out.Bytes()
}

// written is an http.ResponseWriter that keeps what is written.
type written struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the header.
func (w *written) Header() http.Header { return w.header }

// WriteHeader keeps the status.
func (w *written) WriteHeader(status int) { w.status = status }

// Write keeps a part of the body.
func (w *written) Write(p []byte) (int, error) { return w.body.Write(p) }
