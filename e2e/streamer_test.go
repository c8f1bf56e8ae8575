package e2e

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// streamer is an application of large bodies and long answers.
type streamer struct {
	server *httptest.Server
	heard  chan struct{} // the client has heard the event that was said last
	left   chan struct{} // an event stream, or a request at /wait, has ended with its client
	came   chan struct{} // one has come to /wait
}

func newStreamer(t *testing.T) *streamer {
	t.Helper()
	a := &streamer{heard: make(chan struct{}), left: make(chan struct{}, 100), came: make(chan struct{}, 100)}
	mux := http.NewServeMux()
	mux.HandleFunc("/public/events", a.sayEvents)
	mux.HandleFunc("/public/wait", func(_ http.ResponseWriter, r *http.Request) {
		a.came <- struct{}{}
		<-r.Context().Done()
		a.left <- struct{}{}
	})
	mux.HandleFunc("/public/upload", func(w http.ResponseWriter, r *http.Request) {
		sum := crc32.NewIEEE()
		n, err := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %x %d %v", n, sum.Sum32(), r.ContentLength, err)
	})
	mux.HandleFunc("/public/download", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		}
		_, _ = io.Copy(w, newPattern(n))
	})
	mux.HandleFunc("/public/call", answerCall)
	mux.HandleFunc("/public/full", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no more than a gigabyte", http.StatusRequestEntityTooLarge)
	})
	a.server = httptest.NewUnstartedServer(mux)
	a.server.Config.Protocols = new(http.Protocols)
	a.server.Config.Protocols.SetHTTP1(true)
	a.server.Config.Protocols.SetUnencryptedHTTP2(true)
	a.server.Start()
	t.Cleanup(func() { a.server.CloseClientConnections(); a.server.Close() })
	return a
}

// answerCall answers each message of a call as it comes, in capitals, and says in
// trailers how it went.
func answerCall(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "Grpc-Status")
	w.WriteHeader(http.StatusOK)
	for message := make([]byte, 1<<10); ; {
		_ = http.NewResponseController(w).Flush()
		n, err := r.Body.Read(message)
		_, _ = w.Write(bytes.ToUpper(message[:n]))
		if err != nil {
			break
		}
	}
	w.Header().Set("Grpc-Status", "0")
}

// sayEvents says one event after the other: the next only when the client has
// heard the last. An event that waits in a buffer is the last of all.
func (a *streamer) sayEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i := 0; ; i++ {
		fmt.Fprintf(w, "data: %d\n\n", i)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-a.heard:
		case <-r.Context().Done():
			a.left <- struct{}{}
			return
		}
	}
}

// serve runs a gateway before the application, reached over HTTP/1.1.
func (a *streamer) serve(t *testing.T, more string) *gateway {
	t.Helper()
	config := strings.NewReplacer("{UPSTREAM}", strings.TrimPrefix(a.server.URL, "http://"), "http://gw.test", "{URL}", "hosts: [gw.test]", "").Replace(corpusPolicy)
	return prepare(t, config+more).start()
}

// events opens an event stream, and hears the first three events.
func (a *streamer) events(t *testing.T, g *gateway) *http.Response {
	t.Helper()
	res, err := http.Get("http://" + g.addr + "/public/events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	a.hear(t, res, 0, 3)
	return res
}

// hear hears the events from one number to the one before another.
func (a *streamer) hear(t *testing.T, res *http.Response, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		want := fmt.Sprintf("data: %d\n\n", i)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != want {
			t.Fatalf("event %d: %q, %v", i, got, err)
		}
		if i < to-1 {
			a.heard <- struct{}{}
		}
	}
}

// pattern are bytes until a length. What they begin with comes again after a
// number of bytes that no buffer has: parts that are lost, doubled or exchanged
// change the whole.
type pattern struct {
	period   []byte
	at, left int64
}

func newPattern(n int64) *pattern {
	p := &pattern{period: make([]byte, 1<<20+7), left: n}
	rand.NewChaCha8([32]byte{}).Read(p.period)
	return p
}

// Read copies the next ones.
func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(p.left, int64(len(b)))], p.period[p.at%int64(len(p.period)):])
	p.at, p.left = p.at+int64(n), p.left-int64(n)
	return n, nil
}

// sumOf is the checksum of a pattern.
func sumOf(n int64) uint32 {
	_, sum, _ := sumUp(newPattern(n))
	return sum
}

// sumUp reads to the end.
func sumUp(r io.Reader) (int64, uint32, error) {
	sum := crc32.NewIEEE()
	n, err := io.Copy(sum, r)
	return n, sum.Sum32(), err
}
