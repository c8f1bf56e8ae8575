package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestABodyRemembersHowItEnded(t *testing.T) {
	conn := http.NewResponseController(httptest.NewRecorder())
	body := func(r io.Reader, limit int64) *requestBody {
		return &requestBody{conn: conn, body: io.NopCloser(r), grace: time.Minute, limit: limit}
	}
	b := body(strings.NewReader("0123456789"), 10)
	if text, err := io.ReadAll(b); err != nil || string(text) != "0123456789" || !b.isRead() || b.fault() != nil || b.received() != 10 {
		t.Errorf("within the limit: %q %v, ended %v", text, err, b.isRead())
	}
	b = body(strings.NewReader("0123456789a"), 10)
	if _, err := io.ReadAll(b); !errors.Is(err, errBodyTooLarge) || b.isRead() || isTooSlow(b.fault()) {
		t.Errorf("over the limit: %v", err)
	}
	torn := errors.New("torn off")
	b = body(io.MultiReader(strings.NewReader("01"), errorReader{torn}), 0)
	if _, err := io.ReadAll(b); !errors.Is(err, torn) || !errors.Is(b.fault(), torn) || isTooSlow(b.fault()) || b.received() != 2 {
		t.Errorf("torn off: %v", err)
	}
	b = body(errorReader{os.ErrDeadlineExceeded}, 0)
	if _, err := io.ReadAll(b); err == nil || !isTooSlow(b.fault()) {
		t.Errorf("too slow: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// connection is a client's end that counts how often its deadline is set.
type connection struct {
	http.ResponseWriter
	deadlines atomic.Int64
}

func (c *connection) SetReadDeadline(time.Time) error {
	c.deadlines.Add(1)
	return nil
}

// gate is a body that arrives when it is opened.
type gate chan struct{}

func (g gate) Read(p []byte) (int, error) {
	<-g
	return copy(p, "late"), io.EOF
}

// The transport may still read when the upstream has answered early. What it
// reads then belongs to no exchange: over HTTP/2 the deadline of a finished
// stream ends the process, over HTTP/1 it is the next request's.
func TestABodyThatIsStillReadAfterTheExchangeTouchesNoConnection(t *testing.T) {
	conn := &connection{ResponseWriter: httptest.NewRecorder()}
	arrive := make(gate)
	b := &requestBody{conn: http.NewResponseController(conn), body: io.NopCloser(arrive), grace: time.Minute}
	read := make(chan error, 1)
	go func() {
		_, err := b.Read(make([]byte, 8))
		read <- err
	}()
	for conn.deadlines.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	b.release()
	close(arrive)
	if err := <-read; err != io.EOF {
		t.Errorf("the read that was under way: %v", err)
	}
	if n := conn.deadlines.Load(); n != 1 || b.received() != 0 || b.isRead() {
		t.Errorf("%d deadlines, %d bytes, ended %v after the exchange", n, b.received(), b.isRead())
	}
	if _, err := b.Read(make([]byte, 8)); err == nil || conn.deadlines.Load() != 1 {
		t.Errorf("a later read: %v", err)
	}
}

// An upstream that answers before it has the body (404, 401, 413) and a client
// that ends its body at that very moment: one such client ended the process.
func TestAnEarlyAnswerOverHTTP2EndsNoProcess(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	s := newStack(t, func(c *setup) {
		c.gateway.PublicURL = "https://gw.test"
		c.gateway.TLS = TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
		c.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
	})
	tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	for i := range 150 {
		body := io.MultiReader(strings.NewReader("x"), lateEnd(time.Duration(i%30)*100*time.Microsecond))
		r, err := http.NewRequest("POST", "https://"+s.server.Addr()+"/public/x", io.NopCloser(body))
		must(t, err)
		r.Host = "gw.test"
		res, err := tr.RoundTrip(r)
		if err != nil {
			continue // the stream may be reset; the gateway must live
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	r, err := http.NewRequest("GET", "https://"+s.server.Addr()+"/public/x", nil)
	must(t, err)
	r.Host = "gw.test"
	res, err := tr.RoundTrip(r)
	must(t, err)
	res.Body.Close()
}

// lateEnd is the end of a body, after a while.
type lateEnd time.Duration

func (d lateEnd) Read([]byte) (int, error) {
	time.Sleep(time.Duration(d))
	return 0, io.EOF
}
