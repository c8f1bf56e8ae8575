package gateway

import "net/http"

// answer is the http.ResponseWriter of an exchange. It counts what goes to the
// client, names the request in every answer, and keeps out of informational
// answers (103) what an upstream may not set.
//
// httputil.ReverseProxy reaches Flush and Hijack through Unwrap.
type answer struct {
	http.ResponseWriter
	id         []string // X-Request-Id
	closes     bool     // the connection ends with this answer
	oldClient  bool     // HTTP/1.0: knows no informational answers
	rateLimit  []string // RateLimit; nil: the route has no limit
	ratePolicy []string // RateLimit-Policy
	status     int      // zero: nothing sent yet
	bytes      int64
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
		if a.oldClient {
			return // who would take it for the final one
		}
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
	if a.ratePolicy != nil { // beside an application's own: the fields are lists
		h["RateLimit"], h["RateLimit-Policy"] = a.rateLimit, a.ratePolicy
	}
	if a.closes {
		h["Connection"] = []string{"close"}
	}
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
