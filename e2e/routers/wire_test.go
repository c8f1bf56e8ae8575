package routers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// wire speaks to one application, byte for byte: no client library comes
// between that would clean the path.
type wire struct {
	addr   string
	conn   net.Conn
	reader *bufio.Reader
}

// reply is what an application said: which place it took the path for (empty
// when it refused or found nothing), and the value that it read from it.
type reply struct {
	status int
	place  string
	value  string
}

// reader is an application that can be asked, over the wire or in this process.
type reader interface {
	ask(t testing.TB, path string) reply
}

// readReply reads a status and a body.
func readReply(status int, body string) (r reply) {
	r.status = status
	if status == http.StatusOK {
		r.place, r.value, _ = strings.Cut(body, "\t")
	}
	return r
}

// ask sends the path and reads the answer.
func (w *wire) ask(t testing.TB, path string) reply {
	t.Helper()
	fresh := w.conn == nil
	r, err := w.try(path)
	if err != nil && !fresh { // the application may have closed an idle connection
		r, err = w.try(path)
	}
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return r
}

// try does so once, on the open connection if there is one.
func (w *wire) try(path string) (r reply, err error) {
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.conn == nil {
		if w.conn, err = net.Dial("tcp", w.addr); err != nil {
			return reply{}, err
		}
		w.reader = bufio.NewReader(w.conn)
	}
	w.conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(w.conn, "GET %s HTTP/1.1\r\nHost: app\r\n\r\n", path); err != nil {
		return reply{}, err
	}
	answer, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return reply{}, err
	}
	if answer.Close {
		w.close()
	}
	if answer.StatusCode >= http.StatusInternalServerError {
		return reply{}, fmt.Errorf("the application is broken: %s\n%s", answer.Status, body)
	}
	return readReply(answer.StatusCode, string(body)), nil
}

// close ends the connection; the next question opens another.
func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
	}
	w.conn = nil
}
