// Package problem answers refused requests: problem documents (RFC 9457) for
// programs, pages for people.
//
//	problem.Write(w, r, problem.Of(problem.Forbidden))
//
// answers a program
//
//	HTTP/1.1 403 Forbidden
//	Content-Type: application/problem+json
//	Cache-Control: no-store
//
//	{"type":"about:blank","title":"Forbidden","status":403,
//	 "detail":"This is not open to you, or not from where you are.",
//	 "code":"forbidden","request_id":"018f..."}
//
// and a browser that navigates a page that says the same in words for people,
// with a way on. A caller adds what only it knows (Allow, RetryAfter, Errors;
// Prefix and User for the page) to the value that Of answers.
//
// # Why
//
// One function writes every refusal, so that what must never be told cannot be
// told by accident: a Problem has no place for an error value, and the words
// come from a closed list. The type is about:blank because the code says all
// that a type would, in a form that a switch statement likes.
package problem

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// realm is the protection space that every challenge names (RFC 9110 section
// 11.5).
const realm = "postern"

// Problem is a refusal as its receiver sees it. Start from Of; the zero value
// is answered as Unavailable.
type Problem struct {
	Status     int           // of the answer
	Code       string        // one of the list
	Title      string        // the heading of the page; the document has the status's own phrase, as about:blank asks
	Detail     string        // for the one who made the request; never an internal error's text
	Errors     []FieldError  // with Invalid and BadRequest: what is wrong with which field
	RetryAfter time.Duration // 0: not told; else rounded up to seconds
	Allow      []string      // with MethodNotAllowed: the methods there are
	Basic      bool          // a 401 names the scheme Basic too: for clients that know no other
	MaxAge     time.Duration // with ReauthenticationRequired: how fresh the password must be
	Prefix     string        // for the page's links: below it are login and logout; empty: the page has no links
	User       string        // for the page: the name of who is logged in; empty: nobody, or it is not known
}

// FieldError says what is wrong with one field of the input.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// document is the JSON form. max_age repeats RFC 9470's parameter for clients
// that cannot read response fields.
type document struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail"`
	Code      string       `json:"code"`
	RequestID string       `json:"request_id"`
	Errors    []FieldError `json:"errors,omitempty"`
	MaxAge    *int64       `json:"max_age,omitempty"`
}

// Write answers r with p: a page when a browser navigates, else a problem
// document. The request's id is read from its X-Request-Id field. The answer
// is no-store, and has no body when the method is HEAD.
func Write(w http.ResponseWriter, r *http.Request, p Problem) {
	if p.Code == "" || p.Status < 400 {
		p = Of(Unavailable)
	}
	Prepare(w, r, p)
	if WantsPage(r) {
		WritePage(w, r, p.Status, problemPage(r, p))
		return
	}
	doc := document{Type: "about:blank", Title: http.StatusText(p.Status), Status: p.Status, Detail: p.Detail,
		Code: p.Code, RequestID: r.Header.Get("X-Request-Id"), Errors: p.Errors}
	if p.Code == ReauthenticationRequired {
		seconds := int64(p.MaxAge / time.Second)
		doc.MaxAge = &seconds
	}
	body, err := json.Marshal(doc)
	if err != nil { // strings and numbers alone: cannot be
		body = []byte(`{"type":"about:blank"}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	write(w, r, p.Status, append(body, '\n'))
}

// Prepare sets the fields that p demands of an answer in any form, for a
// caller that writes the body itself (the login page that says what went
// wrong).
func Prepare(w http.ResponseWriter, r *http.Request, p Problem) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept, Sec-Fetch-Mode")
	if id := r.Header.Get("X-Request-Id"); id != "" && h.Get("X-Request-Id") == "" {
		h.Set("X-Request-Id", id)
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", p.challenge())
		if p.Basic && p.Code != ReauthenticationRequired { // for which there is no word in Basic
			h.Add("WWW-Authenticate", `Basic realm="`+realm+`", charset="UTF-8"`)
		}
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(p.RetryAfter.Seconds())), 10))
	}
	if p.Status == http.StatusMethodNotAllowed {
		h.Set("Allow", strings.Join(p.Allow, ", "))
	}
	if mustClose(r) {
		h.Set("Connection", "close")
	}
}

// challenge is the WWW-Authenticate of a 401. RFC 6750 section 3.1: a request
// without a token gets no error code; all else is invalid_token and no more,
// so that a guesser learns nothing from it.
func (p Problem) challenge() string {
	scheme := `Bearer realm="` + realm + `"`
	switch p.Code {
	case TokenMissing, InvalidCredentials:
		return scheme
	case ReauthenticationRequired: // RFC 9470 section 3
		return scheme + `, error="insufficient_user_authentication", max_age="` + strconv.FormatInt(int64(p.MaxAge/time.Second), 10) + `"`
	}
	return scheme + `, error="invalid_token"`
}

// drainable is how much of an unread body net/http may read off the wire to
// keep a connection.
const drainable = 64 << 10

// mustClose tells whether the connection ends with this refusal. What follows
// on it could otherwise be the rest of a body, read as the next request
// (CWE-444): so it ends unless the body is known to be empty or small enough
// for net/http to drain, and always after a Transfer-Encoding. (After an
// unanswered "Expect: 100-continue" net/http ends it by itself.) Only HTTP/1 has
// this trouble.
func mustClose(r *http.Request) bool {
	if r.ProtoMajor >= 2 {
		return false
	}
	return len(r.TransferEncoding) > 0 || r.ContentLength < 0 || r.ContentLength > drainable
}

// write sends status and body; a HEAD gets the fields alone.
func write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client has gone: nobody is left to tell
	}
}
