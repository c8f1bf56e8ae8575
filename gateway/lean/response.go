package lean

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"sync"
	"time"
)

// receive reads the header of the answer. Informational ones before it go to
// the httptrace of the request, as http.Transport hands them out, and each that
// was taken there may be as long as the header itself.
func (c *conn) receive(r *http.Request) (*http.Response, error) {
	c.inHeader, c.left = true, c.t.MaxHeader
	if _, err := c.br.Peek(1); err != nil {
		return nil, waited(err)
	}
	c.answered = true
	for {
		head := c.head()
		if res := c.plainAnswer(r, head); res != nil {
			c.inHeader = false
			c.hand(res, true)
			return res, nil
		}
		res, err := http.ReadResponse(c.br, r)
		if err != nil {
			return nil, c.brokeOff(err)
		}
		if res.StatusCode/100 != 1 || res.StatusCode == http.StatusSwitchingProtocols {
			c.inHeader = false
			c.hand(res, c.reusable(res, head))
			return res, nil
		}
		if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header)); err != nil {
				return nil, err
			}
			c.left = c.t.MaxHeader
		}
	}
}

// head is the header that is read next, if all of it has come; else nil. It
// holds until more is read from the connection.
func (c *conn) head() []byte {
	come, _ := c.br.Peek(c.br.Buffered())
	end := bytes.Index(come, []byte("\r\n\r\n"))
	if end < 0 {
		return nil
	}
	return come[:end+2]
}

// reusable tells whether the connection may carry another request after this
// answer. http.ReadResponse heeds Transfer-Encoding where there is a
// Content-Length too, and forgets the latter: somebody between here and the
// application may have heeded that. So the header is looked at as it came, and
// one that came in pieces is not trusted.
func (c *conn) reusable(res *http.Response, head []byte) bool {
	switch {
	case res.Close || res.ProtoMajor != 1 || res.ProtoMinor != 1 || res.StatusCode < 200:
		return false
	case len(res.TransferEncoding) == 0:
		return res.StatusCode != http.StatusNoContent || res.Header["Content-Length"] == nil
	case res.Body == http.NoBody: // chunks that must not be, and may come
		return false
	}
	return head != nil && !hasField(head, "Content-Length")
}

// hasField tells whether a header has a field. It needs no more than to be
// right about those that http.ReadResponse accepts.
func hasField(head []byte, name string) bool {
	for line := range bytes.Lines(head) {
		if len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return true
		}
	}
	return false
}

// hand makes the connection the answer's, or puts it back where there is no
// body.
func (c *conn) hand(res *http.Response, reusable bool) {
	if res.Body == http.NoBody {
		c.release(reusable)
		return
	}
	c.deadline = time.Time{}
	if c.stop != nil { // else the watch that begins with the next wait lifts it
		_ = c.nc.SetDeadline(c.deadline)
	}
	res.Body = &body{c: c, src: res.Body, reusable: reusable}
}

// waited names the timeout that ended the wait for an answer: the texts of
// package net name addresses, which clients of a log need not see twice.
func waited(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return headerTimedOut()
	}
	return err
}

// brokeOff is why a header could not be read of which a part has come; the parser
// may have taken the end of that for the end of a line. The end of the
// connection is no longer that of one which carried no answer.
func (c *conn) brokeOff(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(c.fault, errHeaderTooLong):
		return c.fault
	case errors.Is(c.fault, os.ErrDeadlineExceeded):
		return headerTimedOut()
	case errors.As(err, &op) || errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %v", io.ErrUnexpectedEOF, err)
	}
	return err
}

// body is the body of an answer, and holds its connection.
//
// Close may be called by anybody at any time, also while the connection goes
// back to be used again: whoever is first to end the body says what becomes of
// it, and the second does nothing.
type body struct {
	c        *conn
	src      io.ReadCloser
	reusable bool // when src has ended

	mu  sync.Mutex // guards the following
	end error      // why nothing more is read; nil: it goes on
}

// Read reads on. At the end it puts the connection back.
func (b *body) Read(p []byte) (int, error) {
	if err := b.over(); err != nil {
		return 0, err
	}
	n, err := b.src.Read(p)
	if err == nil {
		return n, nil
	}
	ctx := b.c.ctx
	if err != io.EOF && ctx.Err() != nil {
		err = ctx.Err()
	}
	if b.settle(err) {
		b.c.release(b.reusable && err == io.EOF)
	}
	return n, b.over()
}

// Close ends the body. What was not read of it is not looked at: the connection
// ends with it.
func (b *body) Close() error {
	if b.settle(http.ErrBodyReadAfterClose) {
		b.c.abandon()
	}
	return nil
}

// over says why nothing more is read.
func (b *body) over() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.end
}

// settle ends the body for a reason, and answers false when it has ended before.
func (b *body) settle(err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end != nil {
		return false
	}
	b.end = err
	return true
}
