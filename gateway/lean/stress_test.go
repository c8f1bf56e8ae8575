package lean

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// faulty answers each request with its own path, in one of the ways in which
// servers do well or badly. It says whether the connection goes on.
func faulty(conn net.Conn, r *http.Request) (goesOn bool) {
	id := r.URL.Path
	whole := fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(id), id)
	chunks := fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Id: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", id, len(id), id)
	late := strings.Replace(whole, id, "/stray", 2)
	if r.Method == "HEAD" {
		_, _ = io.WriteString(conn, whole[:len(whole)-len(id)])
		return true
	}
	switch rand.IntN(14) {
	case 0:
		return false
	case 1:
		_, _ = io.WriteString(conn, whole[:rand.IntN(len(whole))])
		return false
	case 2:
		_, _ = io.WriteString(conn, chunks[:rand.IntN(len(chunks))])
		return false
	case 3: // a second answer that nobody asked for
		_, _ = io.WriteString(conn, whole+late)
	case 4: // the answer's last byte is late
		_, _ = io.WriteString(conn, whole[:len(whole)-1])
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
		_, _ = io.WriteString(conn, whole[len(whole)-1:]+late)
		return false
	case 5: // a length that is too short
		_, _ = io.WriteString(conn, strings.Replace(whole, "\r\n\r\n", "\r\n\r\n"+id, 1))
	case 6: // in two pieces
		at := rand.IntN(len(whole))
		_, _ = io.WriteString(conn, whole[:at])
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		_, _ = io.WriteString(conn, whole[at:])
	case 7:
		_, _ = io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nX-Id: /stray\r\n\r\n"+whole)
	case 8, 9:
		_, _ = io.WriteString(conn, chunks)
	case 10:
		_, _ = io.WriteString(conn, strings.Replace(whole, "\r\n", "\r\nConnection: close\r\n", 1))
		return false
	default:
		_, _ = io.WriteString(conn, whole)
	}
	return true
}

// TestNoAnswerReachesAnotherRequest, whatever servers do and whenever clients
// leave: an answer that came whole has the id of its request. (What comes
// unasked before the next request is written has its own test; what comes after
// that is its answer, to anybody.)
func TestNoAnswerReachesAnotherRequest(t *testing.T) {
	u := newUpstream(t, func(u *upstream, _ int64, conn net.Conn, br *bufio.Reader) {
		for r := u.next(br); r != nil && faulty(conn, r); r = u.next(br) {
		}
	})
	lean := u.lean(t)
	lean.watchAfter = time.Millisecond
	var good, bad atomic.Int64
	var wg sync.WaitGroup
	for client := range 16 {
		wg.Go(func() {
			for i := range 250 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%4 == 0 {
					time.AfterFunc(time.Duration(rand.IntN(2000))*time.Microsecond, cancel)
				}
				id := fmt.Sprintf("/%d-%d", client, i)
				r := newRequest(t, []string{"GET", "GET", "HEAD", "POST"}[i%4], id).WithContext(ctx)
				if i%8 == 7 {
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader("body")), 4
				}
				got := ask(lean, r)
				if got.Fault != "" || got.BodyFault != "" {
					bad.Add(1)
				} else {
					good.Add(1)
				}
				if got.Fault == "" && got.Header.Get("X-Id") != id || got.BodyFault == "" && got.Fault == "" && r.Method != "HEAD" && got.Body != id {
					t.Errorf("%s got %+v", id, got)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if good.Load() < 1000 || bad.Load() < 100 || u.opened.Load() >= u.requests.Load() {
		t.Errorf("%d good, %d bad, %d requests over %d connections: nothing was tested", good.Load(), bad.Load(), u.requests.Load(), u.opened.Load())
	}
}

// FuzzAnswer gives both transports the same answer: both make the same of it,
// and here the connection is used again only when http.Transport would too, and
// nothing is left on it.
func FuzzAnswer(f *testing.F) {
	for _, test := range rawAnswers() {
		if len(test.raw) < 1000 {
			f.Add(test.method == "HEAD", test.raw)
		}
	}
	var raw atomic.Pointer[string]
	u := newUpstream(f, func(u *upstream, _ int64, conn net.Conn, br *bufio.Reader) {
		if u.next(br) != nil {
			_, _ = io.WriteString(conn, *raw.Load())
			_ = conn.(*net.UnixConn).CloseWrite()
			_, _ = io.Copy(io.Discard, br)
		}
	})
	lean, usual := u.lean(f), u.usual(f)
	f.Fuzz(func(t *testing.T, head bool, answer string) {
		raw.Store(&answer)
		method := map[bool]string{true: "HEAD", false: "GET"}[head]
		got, want := ask(lean, newRequest(t, method, "/")), ask(usual, newRequest(t, method, "/"))
		lean.CloseIdleConnections()
		usual.CloseIdleConnections()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q\ngot  %+v\nwant %+v", answer, got, want)
		}
	})
}
