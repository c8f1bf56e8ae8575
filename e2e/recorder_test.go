package e2e

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// recorder is an upstream that writes down what it is sent, byte by byte. It is
// not net/http: that would tidy up the very spellings the tests ask about.
type recorder struct {
	addr string
	mu   sync.Mutex
	seen []received
	open map[string]*recordedConn // by the address of the other side
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
	r := &recorder{open: make(map[string]*recordedConn)}
	r.addr = acceptEach(t, func(conn net.Conn) {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			return
		}
		c := &recordedConn{Conn: conn, raw: raw, of: r}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.open[conn.RemoteAddr().String()] = c
		go c.serve()
	})
	return r
}

// take hands over what has been recorded and starts anew. The gateway gets a
// moment to send what it has not sent; what it has sent is waited for.
func (r *recorder) take() []received {
	time.Sleep(5 * time.Millisecond)
	for deadline := time.Now().Add(5 * time.Second); !r.quiet() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}

// quiet tells whether all that has been sent is recorded: a connection that comes
// last finds all others accepted, and of those none has anything to read.
func (r *recorder) quiet() bool {
	last, err := net.Dial("tcp", r.addr)
	if err != nil {
		return false
	}
	defer last.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.open {
		if c.busy || c.unread() {
			return false
		}
	}
	return r.open[last.LocalAddr().String()] != nil
}

// recordedConn is a connection to a recorder.
type recordedConn struct {
	net.Conn
	raw  syscall.RawConn
	of   *recorder
	busy bool // a request has begun and is not recorded; of.mu guards it
}

// Read reads under the recorder's lock: whoever holds it finds every byte either
// unread or on a connection that is busy.
func (c *recordedConn) Read(p []byte) (n int, err error) {
	ended := c.raw.Read(func(fd uintptr) bool {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		n, err = syscall.Read(int(fd), p)
		c.busy = c.busy || n > 0
		return !errors.Is(err, syscall.EAGAIN)
	})
	if err := cmp.Or(ended, err); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// unread tells whether bytes are here that nobody has read.
func (c *recordedConn) unread() (some bool) {
	_ = c.raw.Control(func(fd uintptr) { // a closed one has none
		n, _, _ := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		some = n > 0
	})
	return some
}

// serve answers the requests on a connection until it is closed.
func (c *recordedConn) serve() {
	defer c.close()
	in := bufio.NewReader(c)
	for {
		if _, err := in.Peek(1); err != nil {
			return
		}
		req, err := readRequest(in)
		c.record(req, in.Buffered() > 0)
		if err != nil {
			return // a body that ended early: nothing to answer
		}
		if _, err := io.WriteString(c, c.of.reply(req)); err != nil || isUpgrade(req) {
			return
		}
	}
}

// record writes down a request, which more follows or not.
func (c *recordedConn) record(req received, more bool) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.seen, c.busy = append(c.of.seen, req), more
}

func (c *recordedConn) close() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	delete(c.of.open, c.RemoteAddr().String())
	c.Conn.Close()
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
