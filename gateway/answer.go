package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// answer is the http.ResponseWriter of an exchange. It counts what goes to the
// client, names the request in every answer, and keeps out of informational
// answers (103) what an upstream may not set.
//
// httputil.ReverseProxy reaches Flush and Hijack through Unwrap.
type answer struct {
	http.ResponseWriter
	id     []string // X-Request-Id
	status int      // zero: nothing sent yet
	bytes  int64
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader sends the status. Of an informational answer only Link is let
// through: ReverseProxy copies the upstream's fields unfiltered into it, and
// Set-Cookie there would be an upstream setting our cookies.
func (a *answer) WriteHeader(status int) {
	h := a.Header()
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		for name := range h {
			if name != "Link" {
				delete(h, name)
			}
		}
		a.ResponseWriter.WriteHeader(status)
		return
	}
	if a.status != 0 {
		return
	}
	a.status = status
	h["X-Request-Id"] = a.id
	a.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// A body must keep arriving: after bodyGrace, at bodyRate bytes per second on
// average. Otherwise a client could hold a connection, and the upstream's
// worker behind it, for one byte now and then (R-U-Dead-Yet, slow POST).
const (
	bodyGrace = 20 * time.Second
	bodyRate  = 1 << 10
)

var errBodyTooLarge = errors.New("request body too large")

// requestBody is the request's body on its way to the upstream: counted,
// bounded, and not too slow.
type requestBody struct {
	conn   *http.ResponseController
	body   io.ReadCloser
	grace  time.Duration // bodyGrace, but in tests
	limit  int64         // zero: none
	bytes  int64
	waited time.Duration // for the client; an upstream that takes its time is not the client's fault
	ended  bool
	err    error // why reading ended, when not at the end of the body
}

// Read reads on, within the limits. The read deadline is lifted at the end of
// the body: net/http watches the connection from then on, and would take a
// deadline that passes during a long answer for a client that has gone.
func (b *requestBody) Read(p []byte) (int, error) {
	began := time.Now()
	allowed := b.grace + time.Duration(b.bytes/bodyRate)*time.Second - b.waited
	_ = b.conn.SetReadDeadline(began.Add(allowed)) // not supported: only in tests without a connection
	n, err := b.body.Read(p)
	b.waited += time.Since(began)
	b.bytes += int64(n)
	if b.limit > 0 && b.bytes > b.limit {
		b.err = errBodyTooLarge
		return 0, b.err
	}
	if err == io.EOF {
		b.ended = true
		_ = b.conn.SetReadDeadline(time.Time{})
	} else if err != nil {
		b.err = err
	}
	return n, err
}

// Close closes the body.
func (b *requestBody) Close() error { return b.body.Close() }

// tooSlow tells whether the body was given up on.
func (b *requestBody) tooSlow() bool { return errors.Is(b.err, os.ErrDeadlineExceeded) }
