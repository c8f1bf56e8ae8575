package gateway

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// oddH2 is an application that speaks HTTP/2 without TLS, and answers each
// request with the fields that it is given, as they are, and a body.
func oddH2(t *testing.T, body string, fields ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answerOddly(conn, body, fields)
		}
	}()
	return "h2c://" + l.Addr().String()
}

// answerOddly serves one connection until its end.
func answerOddly(conn net.Conn, body string, fields []string) {
	defer conn.Close()
	if _, err := io.CopyN(io.Discard, conn, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(conn, conn)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			var block bytes.Buffer
			enc := hpack.NewEncoder(&block)
			_ = enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			for _, field := range fields {
				name, value, _ := strings.Cut(field, ": ")
				_ = enc.WriteField(hpack.HeaderField{Name: name, Value: value})
			}
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: frame.StreamID, BlockFragment: block.Bytes(), EndHeaders: true})
			_ = f.WriteData(frame.StreamID, true, []byte(body))
		}
	}
}

// What bounds an answer over HTTP/2 is its frames. The fields that would bound it
// over HTTP/1.1 are the application's words, and must not make two answers of it
// for a client of HTTP/1.1, or for the proxy in front (CVE-2026-78660).
func TestAnAnswerOverHTTP2IsOneAnswerToAClientOfHTTP1_CVE202678660(t *testing.T) {
	body := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	length := "content-length: " + strconv.Itoa(len(body))
	s := newStack(t)
	for _, fields := range [][]string{
		{length}, {length, length}, {"content-length: 0", length}, {length, "content-length: 0"}, {"content-length: 0, 42"}, {"content-length: x"}, {"content-length: +42"},
		{"content-length: -1"}, {"content-length: 0x2a"}, {"transfer-encoding: chunked"}, {"transfer-encoding: chunked", length}, {"connection: content-length", length},
	} {
		t.Run(strings.Join(fields, " "), func(t *testing.T) {
			s.upstreamURL(oddH2(t, body, fields...), nil)
			conn := s.dial()
			defer conn.Close()
			write(t, conn, "GET /public/x HTTP/1.1\r\nHost: gw.test\r\n\r\n"+"GET /admin/x HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n")
			all, err := io.ReadAll(conn)
			must(t, err)
			head, _, _ := strings.Cut(string(all), "\r\n\r\n")
			bounds := strings.Count(head, "\r\nContent-Length: ") + strings.Count(head, "\r\nTransfer-Encoding: chunked")
			if bounds != 1 || strings.Contains(head, "+") {
				t.Fatalf("the answer has %d ends:\n%s", bounds, all)
			}
			br := bufio.NewReader(bytes.NewReader(all))
			if r := s.read(br, "GET", 0); r.StatusCode != 200 || r.body != body {
				t.Errorf("the first answer is %d %q", r.StatusCode, r.body)
			}
			s.read(br, "GET", 0).wants(t, 401, "token_missing")
		})
	}
}
