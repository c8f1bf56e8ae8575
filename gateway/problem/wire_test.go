package problem

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// exchange sends raw bytes and then nothing more to a server that refuses
// everything. It answers the statuses that come back, and whether the last
// answer announces the end of the connection.
func exchange(t *testing.T, raw string) (statuses []int, closed bool) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/smuggled" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		Write(w, r, Of(Forbidden))
	}))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(reader, nil)
		if err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Fatal("the server keeps the connection for itself")
			}
			return statuses, closed
		}
		statuses, closed = append(statuses, res.StatusCode), res.Close
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
	}
}

// CWE-444: after a refusal, what the client sends on as the body must not be
// read as a request of its own.
func TestNoRestOfARefusedBodyIsReadAsARequest(t *testing.T) {
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: gw.test\r\n\r\n"
	for name, raw := range map[string]string{
		"a length that never comes":    "POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 1073741824\r\n\r\n" + smuggled,
		"chunks":                       "POST / HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"SM-001, chunks with a length": "POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
	} {
		statuses, closed := exchange(t, raw)
		if len(statuses) != 1 || statuses[0] != 403 || !closed {
			t.Errorf("%s: answers %v, closed %v", name, statuses, closed)
		}
	}
}

func TestAClientThatWaitsIsRefusedWithoutBeingAskedForTheBody(t *testing.T) {
	raw := "POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
	if statuses, closed := exchange(t, raw); len(statuses) != 1 || statuses[0] != 403 || !closed {
		t.Errorf("answers %v, closed %v", statuses, closed)
	}
}

// To close after every refusal would cost each client of an expired token a
// new connection.
func TestASmallRefusedBodyKeepsTheConnection(t *testing.T) {
	raw := "POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 5\r\n\r\nhello" +
		"GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n"
	if statuses, closed := exchange(t, raw); len(statuses) != 2 || !closed {
		t.Errorf("answers %v, closed %v", statuses, closed)
	}
}

// What a Problem cannot hold it cannot tell: there is no place for an error, or
// for anything that is not a word, a number or a list of them.
func TestAProblemHasNoPlaceForAnInternalError(t *testing.T) {
	of := reflect.TypeFor[Problem]()
	for i := range of.NumField() {
		switch kind := of.Field(i).Type.Kind(); kind {
		case reflect.Interface, reflect.Pointer, reflect.Func, reflect.Map:
			t.Errorf("%s could carry anything", of.Field(i).Name)
		}
	}
}

func TestTheWordsTellNothingOfTheInside(t *testing.T) {
	for _, code := range Codes() {
		words := strings.ToLower(Of(code).Title + " " + Of(code).Detail)
		for _, inside := range []string{"sql", "database", "store", "upstream", "internal", "panic", "dial", "go:", "error:", "127.0.0.1"} {
			if strings.Contains(words, inside) {
				t.Errorf("%s says %q", code, inside)
			}
		}
	}
}

// The same answer for an unknown user, a wrong password and a disabled
// account: the words must fit all three and hint at none.
func TestInvalidCredentialsHintAtNothing(t *testing.T) {
	words := strings.ToLower(Of(InvalidCredentials).Detail)
	for _, hint := range []string{"exist", "unknown", "disabled", "found", "account"} {
		if strings.Contains(words, hint) {
			t.Errorf("it says %q", hint)
		}
	}
}

func TestAnIDThatTheGatewaySetBeforeIsKept(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Request-Id", "theirs")
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "ours")
	Write(w, r, Of(NoRoute))
	if got := w.Header().Values("X-Request-Id"); len(got) != 1 || got[0] != "ours" {
		t.Error(got)
	}
}

func TestVaryIsAddedToWhatIsThere(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Vary", "Origin")
	Write(w, httptest.NewRequest(http.MethodGet, "/", nil), Of(NoRoute))
	if got := w.Header().Values("Vary"); len(got) != 2 {
		t.Errorf("Vary is %q", got)
	}
}
