package lean

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// A request may have come in part with the one before, or while that was answered,
// and net/http have it while it waits, or need not even wait. What comes then is the
// rest of that request: its fields, or its body, and no request however much it
// looks like one.
func TestTheRestOfARequestIsNoRequest(t *testing.T) {
	s := newTestServer(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	s.more = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			entered <- struct{}{}
			<-leave
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, r.Method, r.URL.Path, " ", string(body))
	}
	const first = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
	const inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n"
	head := fmt.Sprintf("POST /outer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(inner))
	for _, came := range []struct {
		name  string
		first func(n int) int // how many of n bytes came along with the request before, and not during its answer
	}{
		{"along", func(n int) int { return n }},
		{"during the answer", func(int) int { return 0 }},
		{"along and during the answer", func(n int) int { return n / 2 }},
	} {
		for cut := range len(head) + 1 {
			early, during, late := head[:came.first(cut)], head[came.first(cut):cut], head[cut:]
			t.Run(fmt.Sprintf("%d bytes came %s", cut, came.name), func(t *testing.T) {
				conn := s.dial(t)
				defer conn.Close()
				br := bufio.NewReader(conn)
				for _, sent := range []struct {
					text string
					then func()
				}{
					{first + early, func() { <-entered }},
					{during, func() {
						s.drain()
						apart()
						leave <- struct{}{}
						next(t, br)
						s.settle(t)
						apart()
					}},
					{late, apart},
					{inner, func() {}},
				} {
					_, err := io.WriteString(conn, sent.text)
					must(t, err)
					sent.then()
				}
				if got, want := next(t, br), "POST/outer "+inner; got != want {
					t.Errorf("%q, want %q", got, want)
				}
				if got, want := get(t, conn, br, "/after"), "GET/after "; got != want {
					t.Errorf("%q, want %q", got, want)
				}
			})
		}
	}
}

// drain forgets what net/http waited for before.
func (s *testServer) drain() {
	select {
	case <-s.idle:
	default:
	}
}

// apart lets what was sent be read before more is, so that the two come apart. When
// they do not the answers are the same.
func apart() { time.Sleep(2 * time.Millisecond) }
