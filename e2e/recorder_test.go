package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is an upstream that writes down what it is sent, byte by byte. It is
// not net/http: that would tidy up the very spellings the tests ask about.
type recorder struct {
	addr string
	mu   sync.Mutex
	seen []received
	busy int // requests whose first byte is here and whose last is not
	// answer, if set, is sent in place of the usual answer.
	answer func(received) string
}

// received is one request as it came over the wire.
type received struct {
	raw            string // the head, whole
	method, target string
	fields         []field
	body           string
	trailers       []field
}

type field struct{ name, value string }

// values are the values of a field, whatever the case of its name.
func (r received) values(name string) []string {
	var found []string
	for _, f := range r.fields {
		if strings.EqualFold(f.name, name) {
			found = append(found, f.value)
		}
	}
	return found
}

func newRecorder(t testing.TB) *recorder {
	t.Helper()
	r := &recorder{}
	r.addr = listen(t, r.serve)
	return r
}

// take hands over what has been recorded and starts anew. What the gateway has
// sent may still be on its way: take gives it a moment, and waits for requests
// that have begun.
func (r *recorder) take() []received {
	time.Sleep(5 * time.Millisecond)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		if r.busy == 0 || time.Now().After(deadline) {
			seen := r.seen
			r.seen = nil
			r.mu.Unlock()
			return seen
		}
		r.mu.Unlock()
	}
}

func (r *recorder) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		if _, err := in.Peek(1); err != nil {
			return
		}
		r.count(1, nil)
		req, err := readRequest(in)
		r.count(-1, &req)
		if err != nil {
			return // a body that ended early: nothing to answer
		}
		if _, err := io.WriteString(conn, r.reply(req)); err != nil || isUpgrade(req) {
			return
		}
	}
}

func (r *recorder) count(change int, req *received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy += change
	if req != nil {
		r.seen = append(r.seen, *req)
	}
}

// reply is what the application answers: /app/ws is a WebSocket, and everything
// else a page that repeats nothing of the request.
func (r *recorder) reply(req received) string {
	if r.answer != nil {
		if text := r.answer(req); text != "" {
			return text
		}
	}
	path, _, _ := strings.Cut(req.target, "?")
	switch {
	case path == "/app/ws" && isUpgrade(req):
		return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	case path == "/app/ws":
		return "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"
	case req.method == "HEAD":
		return "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
	}
	return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\npage"
}

func isUpgrade(req received) bool {
	return slices.Equal(req.values("Sec-WebSocket-Version"), []string{"13"}) &&
		slices.Equal(req.values("Upgrade"), []string{"websocket"})
}

func readRequest(in *bufio.Reader) (received, error) {
	var req received
	first, err := in.ReadString('\n')
	if err != nil {
		return req, err
	}
	req.raw = first
	parts := strings.SplitN(strings.TrimRight(first, "\r\n"), " ", 3)
	if len(parts) != 3 {
		return req, fmt.Errorf("request line %q", first)
	}
	req.method, req.target = parts[0], parts[1]
	if req.fields, err = readFields(in, &req.raw); err != nil {
		return req, err
	}
	if encoding := req.values("Transfer-Encoding"); len(encoding) > 0 {
		req.body, err = readChunks(in)
		if err == nil {
			req.trailers, err = readFields(in, &req.raw)
		}
		return req, err
	}
	length := strings.Join(req.values("Content-Length"), ",") // two lengths are no number
	if length == "" {
		return req, nil
	}
	n, err := strconv.Atoi(length)
	if err != nil {
		return req, err
	}
	body := make([]byte, n)
	_, err = io.ReadFull(in, body)
	req.body = string(body)
	return req, err
}

// readFields reads up to and with the empty line.
func readFields(in *bufio.Reader, raw *string) ([]field, error) {
	var fields []field
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return fields, err
		}
		*raw += line
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			return fields, nil
		}
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, field{name, textproto.TrimString(value)})
	}
}

func readChunks(in *bufio.Reader) (string, error) {
	var body strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return body.String(), err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
		if err != nil || size == 0 {
			return body.String(), err
		}
		if _, err := io.CopyN(&body, in, size); err != nil {
			return body.String(), err
		}
		if _, err := in.Discard(2); err != nil {
			return body.String(), err
		}
	}
}
