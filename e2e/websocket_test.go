package e2e

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// chat is an application that speaks WebSocket by a library of its own, as the
// client of these tests does: what the gateway puts between their frames both
// have to understand.
type chat struct {
	addr  string
	ended chan websocket.CloseError // how each conversation ended
}

// newChat repeats what it is told at /echo, and at /flood sends messages of size
// bytes until it is told to stop.
func newChat(t *testing.T, size int) *chat {
	t.Helper()
	c := &chat{ended: make(chan websocket.CloseError, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		options := &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionContextTakeover}
		if size > 0 { // so many bytes on the wire, in one frame
			options.CompressionMode = websocket.CompressionDisabled
		}
		conn, err := websocket.Accept(w, r, options)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(-1)
		if strings.HasSuffix(r.URL.Path, "/flood") {
			go flood(r.Context(), conn, size)
		}
		for {
			kind, text, err := conn.Read(r.Context())
			if err != nil {
				var how websocket.CloseError
				errors.As(err, &how)
				c.ended <- how
				return
			}
			if conn.Write(r.Context(), kind, text) != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	c.addr = strings.TrimPrefix(server.URL, "http://")
	return c
}

// flood sends message after message, until the conversation is over.
func flood(ctx context.Context, conn *websocket.Conn, size int) {
	for message := make([]byte, size); ; message[0]++ {
		if conn.Write(ctx, websocket.MessageBinary, message) != nil {
			return
		}
	}
}

// serve runs a gateway before the chat.
func (c *chat) serve(t *testing.T, more string) *gateway {
	t.Helper()
	g := prepare(t, strings.NewReplacer("{UPSTREAM}", c.addr, "http://gw.test", "{URL}", "hosts: [gw.test]", "").Replace(corpusPolicy)+more)
	g.addUser("alice", "user")
	return g.start()
}

// converse opens a conversation, and ends when the test does.
func (g *gateway) converse(path string, header ...string) (context.Context, *websocket.Conn) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.(*testing.T).Context(), patience)
	g.t.Cleanup(cancel)
	fields := http.Header{"Origin": {"http://" + g.addr}}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		fields.Set(name, value)
	}
	conn, _, err := websocket.Dial(ctx, "ws://"+g.addr+path, &websocket.DialOptions{HTTPHeader: fields, CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(-1)
	return ctx, conn
}

// echoed fails unless what is said comes back.
func echoed(t *testing.T, ctx context.Context, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.Read(ctx); err != nil || string(got) != text {
		t.Fatalf("%.100q came back as %.100q, %v", text, got, err)
	}
}

// goodbye fails unless the conversation ends with a close frame of that code.
func goodbye(t *testing.T, ctx context.Context, conn *websocket.Conn, code websocket.StatusCode) {
	t.Helper()
	for {
		_, _, err := conn.Read(ctx)
		if err == nil {
			continue // said before
		}
		if websocket.CloseStatus(err) != code {
			t.Fatalf("the client's conversation ended with %v, want code %d", err, code)
		}
		return
	}
}

func (c *chat) goodbye(t *testing.T, code websocket.StatusCode) {
	t.Helper()
	select {
	case how := <-c.ended:
		if how.Code != code {
			t.Errorf("the application's conversation ended with %v, want code %d", how, code)
		}
	case <-time.After(patience):
		t.Error("the application's conversation goes on")
	}
}

// TestAStopSaysGoodbyeToWebSockets: both sides learn that the gateway is going
// away (1001), by a close frame and not by a connection that breaks.
func TestAStopSaysGoodbyeToWebSockets(t *testing.T) {
	t.Parallel()
	c := newChat(t, 0)
	g := c.serve(t, "")
	token := g.client().login("alice").AccessToken
	ctx, conn := g.converse("/app/echo", bearer(token))
	_, second := g.converse("/public/echo")
	echoed(t, ctx, conn, strings.Repeat("a long message, in a frame with a length of eight bytes ", 5000))
	echoed(t, ctx, second, "hello")
	stopped := make(chan int, 1)
	go func() { stopped <- g.stop() }()
	goodbye(t, ctx, conn, websocket.StatusGoingAway)
	goodbye(t, ctx, second, websocket.StatusGoingAway)
	c.goodbye(t, websocket.StatusGoingAway)
	c.goodbye(t, websocket.StatusGoingAway)
	if status := <-stopped; status != 0 {
		t.Errorf("exit status %d\n%s", status, g.stderr)
	}
	for _, e := range g.entries("request") {
		if path, _ := e["path"].(string); strings.HasSuffix(path, "/echo") && (e["status"] != 101.0 || e["reason"] != "stopping" || e["bytes_in"] == 0.0 || e["bytes_out"] == 0.0) {
			t.Errorf("logged %v", e)
		}
	}
}

// TestAStopPutsNoCloseFrameIntoAnother: while messages of many frames' length go
// by, the client gets whole ones alone, and then the goodbye.
func TestAStopPutsNoCloseFrameIntoAnother(t *testing.T) {
	t.Parallel()
	const size = 1<<20 + 1
	c := newChat(t, size)
	g := c.serve(t, "")
	ctx, conn := g.converse("/public/flood")
	stopped := make(chan int, 1)
	for i := 0; ; i++ {
		_, message, err := conn.Read(ctx)
		if err != nil {
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("after %d messages: %v", i, err)
			}
			break
		}
		want := make([]byte, size)
		want[0] = byte(i)
		if !bytes.Equal(message, want) {
			t.Fatalf("message %d is not what was sent", i)
		}
		if i == 3 {
			go func() { stopped <- g.stop() }()
		}
	}
	if status := <-stopped; status != 0 {
		t.Errorf("exit status %d\n%s", status, g.stderr)
	}
}

// TestTheEndOfASessionIsSaidToItsWebSockets, with the code for a policy (1008);
// those of others go on.
func TestTheEndOfASessionIsSaidToItsWebSockets(t *testing.T) {
	t.Parallel()
	c := newChat(t, 0)
	g := c.serve(t, "")
	token := g.client().login("alice").AccessToken
	ctx, conn := g.converse("/app/echo", bearer(token))
	_, other := g.converse("/app/echo", bearer(g.client().login("alice").AccessToken))
	echoed(t, ctx, conn, "hello")
	g.client().do("POST", "/auth/logout", "", bearer(token)).want(t, 204, "logout")
	goodbye(t, ctx, conn, websocket.StatusPolicyViolation)
	c.goodbye(t, websocket.StatusPolicyViolation)
	echoed(t, ctx, other, "still there")
	if err := other.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Errorf("a client that says goodbye: %v", err)
	}
	c.goodbye(t, websocket.StatusNormalClosure)
}
