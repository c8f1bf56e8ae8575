package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// soakAddress is the environment variable that makes the test binary the
// application of the soak.
const soakAddress = "E2E_SOAK_ADDRESS"

// serveSoak answers on an address until the process is killed. Every answer
// says whose it is: the id of the request, the user that the gateway named, and
// a body that follows from the id alone.
func serveSoak(addr string) {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/{area}/echo", soakEcho)
	mux.HandleFunc("/{area}/digest", soakDigest)
	mux.HandleFunc("/{area}/stream", soakStream)
	mux.HandleFunc("/{area}/events", soakEvents)
	mux.Handle("/{area}/ws", websocket.Server{Handler: soakTalk}) // the origin is the gateway's business
	server := &http.Server{Addr: addr, ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo-Id", r.Header.Get("X-Request-Id"))
		w.Header().Set("X-Echo-User", r.Header.Get("X-Auth-User"))
		mux.ServeHTTP(w, r)
	})}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	os.Exit(1)
}

// sequence is a stream of bytes that follows from an id and from nothing else.
func sequence(id string) io.Reader { return rand.NewChaCha8(sha256.Sum256([]byte(id))) }

// sequenceOf is the beginning of a sequence.
func sequenceOf(id string, n int) []byte {
	p := make([]byte, n)
	_, _ = sequence(id).Read(p) // never fails
	return p
}

// asked is the number n of a request's query.
func asked(r *http.Request) int {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	return n
}

// soakEcho answers n bytes of the sequence, and before them what it was sent.
func soakEcho(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil { // a client that broke off, or the gateway did for it
		panic(http.ErrAbortHandler)
	}
	time.Sleep(time.Millisecond) // so that some are always under way
	_, _ = w.Write(append(body, sequenceOf(r.Header.Get("X-Request-Id"), asked(r))...))
}

// soakDigest answers the digest of what it was sent, which it does not keep.
func soakDigest(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(w, hex.EncodeToString(sum.Sum(nil)))
}

// soakStream answers n bytes of the sequence, without a length where there is no
// l.
func soakStream(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("l") {
		w.Header().Set("Content-Length", strconv.Itoa(asked(r)))
	}
	_, _ = io.CopyN(w, sequence(r.Header.Get("X-Request-Id")), int64(asked(r)))
}

// soakEvents is an event stream of n events, each with the id and its number.
func soakEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range asked(r) {
		_, _ = fmt.Fprintf(w, "data: %s %d\n\n", r.Header.Get("X-Request-Id"), i)
		_ = http.NewResponseController(w).Flush()
		time.Sleep(5 * time.Millisecond)
	}
}

// soakTalk repeats each message of a WebSocket behind the id of its request.
func soakTalk(conn *websocket.Conn) {
	id := conn.Request().Header.Get("X-Request-Id")
	for {
		var message string
		if websocket.Message.Receive(conn, &message) != nil {
			return
		}
		if websocket.Message.Send(conn, id+" "+message) != nil {
			return
		}
	}
}

// newSoakApp starts an application of the soak. It is an animal, and dies alike.
func newSoakApp(t testing.TB) *animal { return raise(t, soakAddress) }

// TestTheSoakNoticesAWrongAnswer: what is checked for in the soak is told from
// what is right, or a soak that passes says nothing.
func TestTheSoakNoticesAWrongAnswer(t *testing.T) {
	t.Parallel()
	good := sequenceOf("a", 100_000)
	if err := sameSequence("a", bytes.NewReader(good), len(good)); err != nil {
		t.Errorf("the right answer: %v", err)
	}
	for name, body := range map[string][]byte{
		"another's":   sequenceOf("b", len(good)),
		"short":       good[:len(good)-1],
		"long":        append(bytes.Clone(good), 0),
		"one bit off": append(append(bytes.Clone(good[:70_000]), good[70_000]^1), good[70_001:]...),
		"none":        nil,
	} {
		if sameSequence("a", bytes.NewReader(body), len(good)) == nil {
			t.Errorf("%s passes for the right answer", name)
		}
	}
}

// sameSequence tells whether a body is the beginning of a sequence, whole.
func sameSequence(id string, body io.Reader, n int) error {
	want, got, chunk := sequence(id), 0, make([]byte, 32<<10)
	ours := make([]byte, len(chunk))
	for {
		m, err := body.Read(chunk)
		_, _ = want.Read(ours[:m]) // never fails
		if !bytes.Equal(chunk[:m], ours[:m]) {
			return fmt.Errorf("the body is another's, or spoiled, somewhere in bytes %d to %d", got, got+m)
		}
		switch got += m; {
		case got > n:
			return fmt.Errorf("the body has more than %d bytes", n)
		case err == io.EOF && got < n:
			return fmt.Errorf("the body ends after %d of %d bytes", got, n)
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("after %d of %d bytes: %w", got, n, err)
		}
	}
}
