package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What net/http refuses before there is a handler is a problem with an id, which the
// log has too; on the first request of a connection and on a later one.
func TestWhatCannotBeReadIsAProblemWithAnID(t *testing.T) {
	const get, host = "GET /public/x HTTP/1.1\r\n", "Host: gw.test\r\n"
	for _, test := range []struct {
		name, request string
		status        int
	}{
		{"no host", get + "\r\n", 400},
		{"two hosts", get + host + host + "\r\n", 400},
		{"a host that is none", get + "Host: a/b\r\n\r\n", 400},
		{"a name that is none", get + host + "X(: y\r\n\r\n", 400},
		{"a value that is none", get + host + "X: y\x00\r\n\r\n", 400},
		{"a line without a colon", get + host + "X\r\n\r\n", 400},
		{"a method that is none", "G(T /public/x HTTP/1.1\r\n" + host + "\r\n", 400},
		{"no version", "GET /public/x\r\n\r\n", 400},
		{"two lengths", "POST /public/x HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
		{"an encoding that is not known", "POST /public/x HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"an expectation that is not known", get + host + "Expect: x\r\n\r\n", 417},
		{"a later version", "GET /public/x HTTP/2.0\r\n" + host + "\r\n", 505},
		{"a header without an end", get + host + "X: " + strings.Repeat("y", readHeaderBytes+8<<10) + "\r\n\r\n", 431},
	} {
		for _, fresh := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, first %v", test.name, fresh), func(t *testing.T) {
				s := newStack(t)
				s.fresh = fresh
				r := s.raw(test.request)
				r.wants(t, test.status, "")
				var doc struct {
					Code      string
					Status    int
					RequestID string `json:"request_id"`
				}
				must(t, json.Unmarshal([]byte(r.body), &doc))
				id := r.Header.Get("X-Request-Id")
				if doc.Code != "bad_request" || doc.Status != test.status || id == "" || doc.RequestID != id || !r.Close {
					t.Errorf("%s %v", r.body, r.Header)
				}
				if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
					t.Error(got)
				}
				if e := s.log.entries(t, "a request that cannot be read was refused", 1)[0]; e["request_id"] != id || e["status"] != float64(test.status) {
					t.Errorf("logged %v", e)
				}
			})
		}
	}
}

// An application may say what net/http says: that is handed on.
func TestARefusalOfAnApplicationIsHandedOn(t *testing.T) {
	const words = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
	s := newStack(t, func(c *setup) {
		c.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			for range 3 {
				_, _ = io.WriteString(w, words)
				_ = http.NewResponseController(w).Flush()
			}
		}
	})
	for _, method := range []string{"GET", "POST"} {
		r := s.send(method, "/public/x", "")
		if r.wants(t, 400, ""); r.body != strings.Repeat(words, 3) {
			t.Errorf("%s: %q", method, r.body)
		}
	}
}
