package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"time"
)

// answer is the http.ResponseWriter of an exchange. It counts what goes to the
// client, names the request in every answer, and keeps out of informational
// answers (103) what an upstream may not set.
//
// It gives up on a client that takes nothing more of what is there for it. An
// answer may last as long as it likes, and so may a write whose client takes
// something now and then. Over HTTP/1 that is seen to by the connection
// (patientConn). Over HTTP/2 many answers share one: there a write that is
// blocked has a deadline, renewed with each write.
type answer struct {
	http.ResponseWriter
	id         []string // X-Request-Id
	closes     bool     // the connection ends with this answer
	oldClient  bool     // HTTP/1.0: knows no informational answers
	failed     bool     // the client could not be written to
	stalled    bool     // because it took nothing for too long
	rateLimit  []string // RateLimit; nil: the route has no limit
	ratePolicy []string // RateLimit-Policy
	status     int      // zero: nothing sent yet
	bytes      int64

	conn   *http.ResponseController // of ResponseWriter
	idle   time.Duration            // HTTP/2: for which a write may be blocked; zero: the connection knows
	tunnel *tunnel                  // a WebSocket; nil: none
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader sends the status. Of an informational answer only Link is let
// through: ReverseProxy copies the upstream's fields unfiltered into it, and
// Set-Cookie there would be an upstream setting our cookies. It also empties the
// header after each: what the final answer must have is set with that one.
func (a *answer) WriteHeader(status int) {
	h := a.Header()
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		if a.oldClient || status == http.StatusContinue {
			return // an old client would take it for the final one; and to go on net/http says, once the body is read
		}
		for name := range h {
			if name != "Link" {
				delete(h, name)
			}
		}
		began := a.begin()
		a.ResponseWriter.WriteHeader(status)
		a.end(began, nil)
		return
	}
	if a.status != 0 {
		return
	}
	a.status = status
	h["X-Request-Id"] = a.id
	if a.ratePolicy != nil { // beside an application's own: the fields are lists
		h["RateLimit"], h["RateLimit-Policy"] = a.rateLimit, a.ratePolicy
	}
	if a.closes {
		h["Connection"] = []string{"close"}
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body. Over HTTP/2 it does so in pieces: each has a
// deadline, and what a client must take within one is not to depend on how much
// an answer is copied with.
func (a *answer) Write(p []byte) (n int, err error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	for a.idle > 0 && len(p)-n > copyBuffer && err == nil {
		var m int
		m, err = a.writePiece(p[n : n+copyBuffer])
		n += m
	}
	if err != nil {
		return n, err
	}
	m, err := a.writePiece(p[n:])
	return n + m, err
}

// writePiece is Write for what has one deadline.
func (a *answer) writePiece(p []byte) (int, error) {
	began := a.begin()
	n, err := a.ResponseWriter.Write(p)
	a.end(began, err)
	a.bytes += int64(n)
	return n, err
}

// FlushError sends what was written so far.
func (a *answer) FlushError() error {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	began := a.begin()
	err := a.conn.Flush()
	a.end(began, err)
	return err
}

// take makes the fields of an upstream's answer the client's. ReverseProxy would
// copy them, and finds none left. It looks at those of an event stream, which
// are left to it.
func (a *answer) take(res *http.Response) {
	h := a.Header()
	for name, values := range res.Header {
		if there := h[name]; len(there) > 0 {
			values = slices.Concat(there, values)
		}
		h[name] = values
	}
	if _, said := h["Content-Type"]; !said {
		h["Content-Type"] = nil // net/http would guess one, and nosniff would not hold
	}
	res.Header = nil
}

// Hijack takes the connection over, for a WebSocket. What net/http has read of it
// already goes along: ReverseProxy reads from the connection alone.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := a.conn.Hijack()
	if err != nil || a.tunnel == nil {
		return conn, rw, err
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered()) // what is buffered can be had
	return a.tunnel.attach(conn, bytes.Clone(early)), rw, nil
}

// begin sets the time until which the client may block what is written now.
func (a *answer) begin() time.Time {
	if a.idle == 0 {
		return time.Time{}
	}
	now := time.Now()
	if a.conn.SetWriteDeadline(now.Add(a.idle)) != nil {
		a.idle = 0 // not supported: only in tests without a connection
	}
	return now
}

// end notes how a write ended, and lifts the deadline: it would end a stream
// that is only quiet.
func (a *answer) end(began time.Time, err error) {
	if a.idle > 0 {
		_ = a.conn.SetWriteDeadline(time.Time{})
	}
	if err != nil && !a.failed { // the first tells why; what follows only that the connection is closed
		a.failed = true
		a.stalled = errors.Is(err, os.ErrDeadlineExceeded) || a.idle > 0 && time.Since(began) >= a.idle
	}
}

// finish gives net/http, which sends what is left once the handler has returned,
// the same time. It comes last: the stream is not the answer's then. One that its
// client has reset, which ends ctx, gets none: net/http would keep it until then,
// and who resets one after the other would fill the memory (CVE-2023-44487).
func (a *answer) finish(ctx context.Context) {
	if a.idle == 0 || ctx.Err() != nil {
		return
	}
	a.begin()
	runtime.Gosched() // a goroutine of the connection takes up the deadline, or a reset
	if ctx.Err() != nil {
		a.end(time.Time{}, nil)
	}
}
