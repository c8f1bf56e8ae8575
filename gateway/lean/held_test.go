package lean

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A request may have come in part with the one before, and net/http have it while it
// waits, or need not even wait. What comes then is the rest of that request: its
// fields, or its body, and no request however much it looks like one.
func TestTheRestOfARequestIsNoRequest(t *testing.T) {
	s := newTestServer(t)
	s.more = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/inner" {
			t.Error("a body was answered as a request")
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, r.Method, r.URL.Path, " ", string(body))
	}
	const inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n"
	const warm = "GET /warm HTTP/1.1\r\nHost: a\r\n\r\n"
	head := fmt.Sprintf("POST /outer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(inner))
	for cut := range len(head) + 1 {
		early, late := head[:cut], head[cut:]
		t.Run(fmt.Sprintf("%d bytes came early", cut), func(t *testing.T) {
			conn := s.dial(t)
			defer conn.Close()
			select {
			case <-s.idle:
			default:
			}
			_, err := io.WriteString(conn, warm+early)
			must(t, err)
			br := bufio.NewReader(conn)
			next(t, br)
			s.settle(t)
			s.apart()
			if late != "" {
				_, err = io.WriteString(conn, late)
				must(t, err)
				s.apart()
			}
			_, err = io.WriteString(conn, inner)
			must(t, err)
			if got, want := next(t, br), "POST/outer "+inner; got != want {
				t.Errorf("%q, want %q", got, want)
			}
			if got := get(t, conn, br, "/after"); !strings.HasPrefix(got, "GET/after") {
				t.Error(got)
			}
		})
	}
}

// apart lets what was sent be read before more is, so that the two come apart. When
// they do not the answers are the same.
func (s *testServer) apart() { time.Sleep(2 * time.Millisecond) }
