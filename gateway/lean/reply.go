package lean

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// reply is the http.ResponseWriter of a request that is answered here. It sends
// what net/http's own would (FuzzReply).
//
// What is written is kept until there is more than heldBack of it, or the handler
// has returned: then its length is known, and need not be told in chunks.
type reply struct {
	conn   *ServerConn
	cancel context.CancelFunc // ends the request when the client cannot be written to
	room   *room              // nil: the handler has returned, and nothing is written any more
	header http.Header

	status   int      // zero: none was given yet
	over     bool     // the handler has returned
	typed    bool     // the type of the body was told, or is none of our business
	dated    bool     // so was the date
	closes   bool     // the connection ends with this answer
	trailing bool     // trailers are announced
	trailers []string // those that the handler named
	length   int64    // of the body; negative: not known
	written  int64
	begun    bool // the head is on its way
	chunked  bool
}

// heldBack is how much of a body is kept to learn its length, as in net/http.
const heldBack = 2 << 10

// room is what an answer is put together in. It is used again.
type room struct {
	head []byte
	body *bufio.Writer // to reply.send
	out  *bufio.Writer // to the client
}

// newReply makes the writer for one request of a connection.
func newReply(c *ServerConn, cancel context.CancelFunc) *reply {
	r, ok := c.s.rooms.Get().(*room)
	if !ok {
		r = &room{body: bufio.NewWriterSize(nil, heldBack), out: bufio.NewWriterSize(nil, 4<<10)}
	}
	w := &reply{conn: c, cancel: cancel, room: r, header: make(http.Header), length: -1}
	r.body.Reset((*framer)(w))
	r.out.Reset((*sender)(w))
	return w
}

// Header is the header, and then the trailers.
func (w *reply) Header() http.Header { return w.header }

// WriteHeader sends an informational answer, or settles the header of the final
// one.
func (w *reply) WriteHeader(status int) {
	switch {
	case w.status != 0 || w.room == nil:
		return
	case status < 100 || status > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // as net/http does
	case status < 200 && status != http.StatusSwitchingProtocols:
		head := appendHeader(appendStatus(w.room.head[:0], status), w.header, "Content-Length", "Transfer-Encoding")
		w.room.head = append(head, "\r\n"...)
		_, _ = w.room.out.Write(w.room.head)
		_ = w.room.out.Flush()
		return
	}
	w.status = status
	w.look()
	omitted := []string{"Content-Length", "Transfer-Encoding"}
	if w.closes {
		omitted = append(omitted, "Connection")
	}
	if status == http.StatusNotModified {
		omitted = append(omitted, "Content-Type")
	}
	w.room.head = appendHeader(appendStatus(w.room.head[:0], status), w.header, omitted...)
}

// look takes from the header what says something about the answer as a whole.
func (w *reply) look() {
	_, w.typed = w.header["Content-Type"]
	w.typed = w.typed || w.header.Get("Content-Encoding") != ""
	_, w.dated = w.header["Date"]
	w.closes = w.header.Get("Connection") == "close"
	if length, err := strconv.ParseUint(w.header.Get("Content-Length"), 10, 63); err == nil {
		w.length = int64(length)
	}
	for name := range w.header {
		w.trailing = w.trailing || strings.HasPrefix(name, http.TrailerPrefix)
	}
	for _, list := range w.header["Trailer"] {
		w.trailing = true
		for name := range strings.SplitSeq(list, ",") {
			if name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)); httpguts.ValidTrailerHeader(name) {
				w.trailers = append(w.trailers, name)
			}
		}
	}
}

// Write sends a part of the body.
func (w *reply) Write(p []byte) (int, error) {
	if w.room == nil {
		return 0, net.ErrClosed
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case len(p) == 0:
		return 0, nil
	case !bodyAllowed(w.status):
		return 0, http.ErrBodyNotAllowed
	}
	w.written += int64(len(p))
	if w.length >= 0 && w.written > w.length {
		return 0, http.ErrContentLength
	}
	return w.room.body.Write(p)
}

// FlushError sends what was written so far.
func (w *reply) FlushError() error {
	if w.room == nil {
		return net.ErrClosed
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	_ = w.room.body.Flush() // its error is out's
	w.begin(nil)
	return w.room.out.Flush()
}

// finish sends what is left. An error says that nothing can follow on this
// connection.
func (w *reply) finish() error {
	w.over = true
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	_ = w.room.body.Flush()
	w.begin(nil)
	if w.chunked {
		_, _ = w.room.out.WriteString("0\r\n")
		w.sendTrailers()
		_, _ = w.room.out.WriteString("\r\n")
	}
	err := w.room.out.Flush()
	if err == nil && (w.closes || w.length >= 0 && bodyAllowed(w.status) && w.written != w.length) {
		err = net.ErrClosed
	}
	return err
}

// leave gives the room back. What has been framed is sent also when the handler
// did not get to its end.
func (w *reply) leave() {
	r := w.room
	w.room = nil
	_ = r.out.Flush()
	r.body.Reset(nil)
	r.out.Reset(nil)
	w.conn.s.rooms.Put(r)
}

// begin sends the head, now that the body begins with p or there is none. It says
// how the end of the body can be told (RFC 9112, section 6.3).
func (w *reply) begin(p []byte) {
	if w.begun {
		return
	}
	w.begun = true
	b := w.room.head
	if !w.typed && len(p) > 0 {
		b = append(append(append(b, "Content-Type: "...), http.DetectContentType(p)...), "\r\n"...)
	}
	if !w.dated {
		b = append(append(append(b, "Date: "...), w.conn.s.date(time.Now())...), "\r\n"...)
	}
	if w.closes = w.closes || w.conn.parting(); w.closes {
		b = append(b, "Connection: close\r\n"...)
	}
	switch {
	case !bodyAllowed(w.status):
	case w.length < 0 && (!w.over || w.trailing):
		w.chunked = true
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	default:
		if w.length < 0 {
			w.length = int64(len(p))
		}
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), w.length, 10), "\r\n"...)
	}
	w.room.head = append(b, "\r\n"...)
	_, _ = w.room.out.Write(w.room.head)
}

// framer is a reply to which parts of the body are written as they are sent.
type framer reply

// Write sends a part of the body, as a chunk where it has no length.
func (f *framer) Write(p []byte) (int, error) {
	w := (*reply)(f)
	w.begin(p)
	if !w.chunked {
		return w.room.out.Write(p)
	}
	w.room.head = append(strconv.AppendInt(w.room.head[:0], int64(len(p)), 16), "\r\n"...)
	_, _ = w.room.out.Write(w.room.head)
	n, err := w.room.out.Write(p)
	_, _ = w.room.out.WriteString("\r\n")
	return n, err
}

// sender is a reply to which bytes are written as they go to the client.
type sender reply

// Write sends. When that fails the request ends.
func (s *sender) Write(p []byte) (int, error) {
	n, err := s.conn.Conn.Write(p)
	if err != nil {
		s.cancel()
	}
	return n, err
}

// sendTrailers sends the trailers that were announced, and those that need not be
// (http.TrailerPrefix).
func (w *reply) sendTrailers() {
	trailers := make(http.Header)
	for name, values := range w.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			trailers[name] = values
		}
	}
	for _, name := range w.trailers {
		trailers[name] = append(trailers[name], w.header[name]...)
	}
	w.room.head = appendHeader(w.room.head[:0], trailers)
	_, _ = w.room.out.Write(w.room.head)
}

// bodyAllowed tells whether an answer may have a body (RFC 9110, sections 15.2 to
// 15.4).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// appendStatus writes the line of an answer.
func appendStatus(b []byte, status int) []byte {
	b = append(strconv.AppendInt(append(b, plainVersion...), int64(status), 10), ' ')
	text := http.StatusText(status)
	if text == "" {
		text = "status code " + strconv.Itoa(status)
	}
	return append(append(b, text...), "\r\n"...)
}

// newlines are not to end a field, see http.Header.Write.
var newlines = strings.NewReplacer("\n", " ", "\r", " ")

// appendHeader writes a header in the order of the alphabet, as http.Header.Write
// does, but for some fields. http.TrailerPrefix makes a name that is none.
func appendHeader(b []byte, h http.Header, omitted ...string) []byte {
	var few [32]string // without an allocation for what applications send
	names := few[:0]
	for name := range h {
		if !slices.Contains(omitted, name) && httpguts.ValidHeaderFieldName(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range h[name] {
			b = append(append(append(b, name...), ": "...), textproto.TrimString(newlines.Replace(value))...)
			b = append(b, "\r\n"...)
		}
	}
	return b
}
