package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestTheApplicationAnswersByThePath, several requests on one connection, also
// when they come at once.
func TestTheApplicationAnswersByThePath(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(l, 100) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	const echo = "GET /app/echo HTTP/1.1\r\nHost: x\r\nX-Auth-User: alice\r\n\r\n"
	if _, err := io.WriteString(conn, "GET /app/items/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /app/large HTTP/1.1\r\nHost: x\r\n\r\n"+echo+"GET /large?/echo HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	for _, want := range []string{strings.Repeat("x", 100), strings.Repeat("x", 1<<20), echo, "GET /large?/echo HTTP/1.1\r\n\r\n"} {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || string(body) != want {
			t.Errorf("%s, %d bytes, %v: want %d bytes, %.60q", res.Status, len(body), err, len(want), want)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("it still serves")
	}
}
