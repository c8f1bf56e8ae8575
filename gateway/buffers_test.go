package gateway

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"testing"
)

func TestAnAnswerIsLentWhatItsLengthIsWorth(t *testing.T) {
	var pool bufferPool
	for range 3 { // the first are new
		for length, want := range map[int64]int{
			-1: copyBuffer, 0: copyBuffer, 100: copyBuffer, copyBuffer: copyBuffer, copyBuffer + 1: largeBuffer, 1 << 40: largeBuffer,
		} {
			l := loan{&pool, length}
			p := l.Get()
			if len(p) != want {
				t.Errorf("%d bytes for an answer of %d, want %d", len(p), length, want)
			}
			l.Put(p)
		}
	}
	(&loan{pool: &pool}).Put(make([]byte, 10)) // not ours
	if p := (&loan{pool: &pool}).Get(); len(p) != copyBuffer || pool.lent.Load() != 0 {
		t.Errorf("%d bytes, %d large ones are lent", len(p), pool.lent.Load())
	}
}

// TestLargeBuffersAreBounded: clients who take their time over long answers hold
// no more memory than with small ones, but for a few MiB.
func TestLargeBuffersAreBounded(t *testing.T) {
	var pool bufferPool
	long := loan{&pool, 1 << 30}
	var lent [][]byte
	held := 0
	for range 1000 {
		lent = append(lent, long.Get())
		held += len(lent[len(lent)-1])
	}
	if more := held - 1000*copyBuffer; more > 8<<20 {
		t.Errorf("%d bytes more than small ones", more)
	}
	for _, p := range lent {
		long.Put(p)
	}
	if p := long.Get(); len(p) != largeBuffer {
		t.Errorf("%d bytes once all are back", len(p))
	}
}

func TestAnswersOfEveryLengthArriveWhole(t *testing.T) {
	body := make([]byte, 3*largeBuffer+1)
	rand.Read(body)
	s := newStack(t, func(c *setup) {
		c.answer = func(w http.ResponseWriter, r *http.Request) {
			n, _ := strconv.Atoi(r.URL.Query().Get("n"))
			if r.URL.Query().Has("length") {
				w.Header().Set("Content-Length", strconv.Itoa(n))
			}
			w.WriteHeader(200)
			_, _ = w.Write(body[:n])
		}
	})
	for _, n := range []int{0, 1, copyBuffer - 1, copyBuffer, copyBuffer + 1, largeBuffer - 1, largeBuffer, largeBuffer + 1, len(body)} {
		for _, known := range []string{"", "&length"} {
			r := s.get("/public/x?n=" + strconv.Itoa(n) + known)
			if r.wants(t, 200, ""); r.body != string(body[:n]) {
				t.Errorf("%d bytes%s: %d came, or others", n, known, len(r.body))
			}
		}
	}
	if lent := s.gateway.buffers.lent.Load(); lent != 0 {
		t.Errorf("%d large buffers are not back", lent)
	}
}
