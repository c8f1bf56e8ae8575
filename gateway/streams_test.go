package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/policy"
)

// lasting answers a WebSocket with an echo, /events with an event stream that
// never ends, /download with a body that ends when told.
func lasting(more chan string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/ws") && strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
			if r.Header.Get("Sec-Websocket-Version") != "13" {
				w.WriteHeader(http.StatusUpgradeRequired)
				return
			}
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: postern=evil\r\n\r\n")
			_, _ = io.Copy(conn, rw)
		case strings.HasSuffix(r.URL.Path, "/events"):
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case strings.HasSuffix(r.URL.Path, "/download"):
			for part := range more {
				_, _ = io.WriteString(w, part)
				_ = http.NewResponseController(w).Flush()
			}
		}
	}
}

const handshake = "GET %s HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// open starts a lasting exchange and reads until it is under way.
func (s *stack) open(path string, lines ...string) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	conn, request := s.dial(), "GET "+path+" HTTP/1.1\r\nHost: gw.test\r\n"
	if strings.HasSuffix(path, "/ws") {
		request = strings.Replace(handshake, "%s", path, 1)
	}
	write(s.t, conn, request+strings.Join(lines, "\r\n")+"\r\n\r\n")
	br := newReader(conn)
	res, err := http.ReadResponse(br, nil)
	must(s.t, err)
	if res.StatusCode != 101 && res.StatusCode != 200 || res.Header.Get("X-Request-Id") == "" || res.Header.Get("Set-Cookie") != "" {
		s.t.Fatalf("%s: %d %v", path, res.StatusCode, res.Header)
	}
	if res.StatusCode == 101 {
		write(s.t, conn, "ping")
		echo := make([]byte, 4)
		_, err = io.ReadFull(br, echo)
		must(s.t, err)
		return conn, br
	}
	line := make([]byte, 4)
	_, err = io.ReadFull(res.Body, line)
	must(s.t, err)
	return conn, br
}

// ends fails unless the connection is closed within a second or so.
func ends(t *testing.T, what string, conn net.Conn, br *bufio.Reader) {
	t.Helper()
	must(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	if _, err := io.Copy(io.Discard, br); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("%s is still open", what)
	}
	conn.Close()
}

// stays fails when the connection was closed.
func stays(t *testing.T, what string, conn net.Conn, br *bufio.Reader) {
	t.Helper()
	must(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	if _, err := io.Copy(io.Discard, br); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("%s was closed: %v", what, err)
	}
	conn.Close()
}

func TestAStreamEndsWithItsSession(t *testing.T) {
	more := make(chan string)
	defer close(more)
	for name, end := range map[string]func(*stack, auth.Grant) error{
		"session revoked": func(s *stack, g auth.Grant) error {
			return s.service.RevokeSession(s.t.Context(), "", g.Session, auth.Actor{By: "test", Client: clientForTest()})
		},
		"logout everywhere": func(s *stack, g auth.Grant) error {
			return s.service.LogoutAll(s.t.Context(), g.Account.ID, clientForTest())
		},
		"role change": func(s *stack, g auth.Grant) error { setRoles(s, "admin", "user"); return nil },
		"disabled": func(s *stack, g auth.Grant) error {
			yes := true
			_, err := s.service.SetAccount(s.t.Context(), g.Account.ID, auth.AccountChange{Disabled: &yes}, auth.Actor{By: "test"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, func(c *setup) { c.answer = lasting(more) })
			g, other := s.login("alice"), s.login("root")
			ws, wsr := s.open("/app/ws", bearer(g.AccessToken))
			sse, sser := s.open("/app/events", bearer(g.AccessToken))
			public, publicr := s.open("/public/ws", bearer(g.AccessToken))
			theirs, theirsr := s.open("/app/ws", cookie(other.AccessToken), "Origin: http://gw.test")
			s.later(16 * time.Minute) // they outlive their tokens
			must(t, end(s, g))
			ends(t, "the WebSocket", ws, wsr)
			ends(t, "the event stream", sse, sser)
			ends(t, "the WebSocket on an open route", public, publicr)
			stays(t, "the other user's", theirs, theirsr)
			eventually(t, "three log lines of streams that ended with their session", func() bool {
				ended := 0
				for _, e := range s.log.entries(t, "request", 0) {
					if e["reason"] == "session_ended" && e["decision"] == "allow" && e["failure"] == nil {
						ended++
					}
				}
				return ended == 3
			})
		})
	}
}

// ask has every stream that waits to ask about its session do so now.
func (s *stack) ask() {
	s.t.Helper()
	g := s.gateway
	g.streams.mu.Lock()
	var open []*stream
	for one := range g.streams.open {
		if one.ask != nil {
			open = append(open, one)
		}
	}
	g.streams.mu.Unlock()
	for _, one := range open {
		g.endWithSession(one)
	}
}

// Nobody tells of a session that runs out of time: idle for too long, or too
// old. One that is refreshed goes on, and so does everything while the store is
// away.
func TestAStreamEndsWhenItsSessionRunsOutOfTime(t *testing.T) {
	const day = 24 * time.Hour
	s := newStack(t, func(c *setup) {
		c.answer = lasting(nil)
		c.auth.RefreshToken.SessionTTL = 10 * day
	})
	idle, used := s.login("alice"), s.login("alice")
	idleWS, idleWSR := s.open("/app/ws", bearer(idle.AccessToken))
	idleSSE, idleSSER := s.open("/app/events", bearer(idle.AccessToken))
	usedWS, usedWSR := s.open("/app/ws", bearer(used.AccessToken))
	usedSSE, usedSSER := s.open("/app/events", bearer(used.AccessToken))
	anonymous, anonymousR := s.open("/public/ws", "Origin: http://gw.test")

	s.later(16 * time.Minute) // they outlive their tokens
	s.ask()
	s.later(6 * day)
	if _, err := s.service.Refresh(t.Context(), used.RefreshToken, clientForTest()); err != nil {
		t.Fatal(err)
	}
	s.later(day)
	s.ask()
	ends(t, "the idle session's WebSocket", idleWS, idleWSR)
	ends(t, "the idle session's event stream", idleSSE, idleSSER)
	stays(t, "the used session's WebSocket", usedWS, usedWSR)
	s.later(3 * day) // refreshed or not: it is too old
	s.ask()
	ends(t, "the used session's event stream", usedSSE, usedSSER)
	stays(t, "the anonymous WebSocket", anonymous, anonymousR)
}

func TestAStreamGoesOnWhileTheStoreIsAway(t *testing.T) {
	s := newStack(t, func(c *setup) { c.answer = lasting(nil) })
	ws, wsr := s.open("/app/ws", bearer(s.token("alice")))
	must(t, s.store.Close())
	s.later(16 * time.Minute)
	s.ask()
	stays(t, "the WebSocket", ws, wsr)
}

// The timer is wired: with the shortest lives that a configuration may have,
// streams end by themselves.
func TestAStreamAsksByItselfWhetherItsSessionIsOver(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.answer = lasting(nil)
		c.auth.AccessToken.TTL = time.Second
		c.auth.RefreshToken = auth.RefreshToken{TTL: 2 * time.Second, SessionTTL: 2 * time.Second}
	})
	ws, wsr := s.open("/app/ws", bearer(s.token("alice")))
	must(t, ws.SetReadDeadline(time.Now().Add(time.Minute)))
	if _, err := io.Copy(io.Discard, wsr); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("the WebSocket outlives its session")
	}
	ws.Close()
}

func TestShutdownEndsStreamsAndWaitsForTheRest(t *testing.T) {
	more := make(chan string, 1)
	more <- "data"
	s := newStack(t, func(c *setup) { c.answer = lasting(more) })
	token := bearer(s.token("alice"))
	ws, wsr := s.open("/app/ws", token)
	anonymous, anonymousr := s.open("/public/ws", "Origin: http://gw.test")
	sse, sser := s.open("/app/events", token)
	download, downloadr := s.open("/app/download", token)
	s.gateway.Drain()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.server.Shutdown(ctx) }()
	ends(t, "the WebSocket", ws, wsr)
	ends(t, "the anonymous WebSocket", anonymous, anonymousr)
	ends(t, "the event stream", sse, sser)
	more <- "the rest"
	close(more)
	if rest, _ := io.ReadAll(downloadr); !strings.Contains(string(rest), "the rest") || !strings.HasSuffix(string(rest), "0\r\n\r\n") {
		t.Errorf("the download was cut: %q", rest)
	}
	download.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAStreamThatOpensWhileTheGatewayStopsIsRefused(t *testing.T) {
	s := newStack(t, func(c *setup) { c.answer = lasting(nil) })
	must(t, s.gateway.streams.close(t.Context()))
	s.get("/public/events").wants(t, 503, "unavailable")
}

func TestASessionThatEndsWhileItsStreamOpensClosesIt(t *testing.T) {
	var s *stack
	var g auth.Grant
	s = newStack(t, func(c *setup) {
		c.answer = func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/app/late" { // the request was verified, the answer not yet registered
				must(t, s.service.RevokeSession(context.Background(), "", g.Session, auth.Actor{By: "test", Client: clientForTest()}))
				w.Header().Set("Content-Type", "text/event-stream")
			}
		}
	})
	g = s.login("alice")
	s.get("/app/late", bearer(g.AccessToken)).wants(t, 401, "token_revoked")
}

// A client that does not wait for the handshake's answer has its first words in
// the very packet that asks: net/http has read them by the time of the answer.
func TestWhatComesWithAHandshakeIsCarried(t *testing.T) {
	for _, transport := range []string{"lean", "standard"} {
		s := newStack(t, func(c *setup) {
			c.answer = lasting(nil)
			c.gateway.Upstreams[0].Transport = transport
		})
		conn := s.dial()
		request := strings.Replace(handshake, "%s", "/app/ws", 1) + bearer(s.token("alice")) + "\r\n\r\n"
		write(t, conn, request+"early")
		br := newReader(conn)
		res, err := http.ReadResponse(br, nil)
		must(t, err)
		write(t, conn, " late")
		echo := make([]byte, len("early late"))
		must(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
		if n, err := io.ReadFull(br, echo); res.StatusCode != 101 || string(echo) != "early late" {
			t.Errorf("%s: %d, then %q, %v", transport, res.StatusCode, echo[:n], err)
		}
		conn.Close()
	}
}

func TestAWebSocketMustComeFromThisSite(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.answer = lasting(nil)
		c.gateway.Hosts, c.gateway.PublicURL, c.gateway.TrustedProxies = nil, "http://public.test", []string{"127.0.0.1"}
		c.policy.Routes = append(c.policy.Routes, policy.Route{Path: "/open/**", Allow: []policy.Rule{{Anyone: true}}})
	})
	token := s.token("alice")
	request := strings.Replace(handshake, "%s", "/app/ws", 1)
	for _, test := range []struct {
		name, lines string
		status      int
	}{
		{"own origin", cookie(token) + "\r\nOrigin: http://gw.test", 101},
		{"own origin, default port", cookie(token) + "\r\nOrigin: http://gw.test:80", 101},
		{"public_url", cookie(token) + "\r\nOrigin: http://public.test", 101},
		{"behind a proxy", cookie(token) + "\r\nOrigin: https://front.test\r\nX-Forwarded-Host: front.test\r\nX-Forwarded-Proto: https", 101},
		{"bearer without Origin", bearer(token), 101},
		{"another site", cookie(token) + "\r\nOrigin: http://evil.test", 403},
		{"another scheme", cookie(token) + "\r\nOrigin: https://gw.test", 403},
		{"another port", cookie(token) + "\r\nOrigin: http://gw.test:81", 403},
		{"null", cookie(token) + "\r\nOrigin: null", 403},
		{"two", cookie(token) + "\r\nOrigin: http://gw.test\r\nOrigin: http://gw.test", 403},
		{"cookie without Origin", cookie(token), 403},
		{"bearer from another site", bearer(token) + "\r\nOrigin: http://evil.test", 403},
		{"SM-047 nobody", "Origin: http://gw.test", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := s.dial()
			defer conn.Close()
			before := s.app.count()
			write(t, conn, request+test.lines+"\r\n\r\n")
			res, err := http.ReadResponse(newReader(conn), nil)
			must(t, err)
			if res.StatusCode != test.status {
				t.Errorf("%d, want %d", res.StatusCode, test.status)
			}
			if test.status != 101 && s.app.count() != before {
				t.Error("the application was asked")
			}
		})
	}
}

func TestNoOtherUpgradeIsLetThrough(t *testing.T) {
	s := newStack(t)
	alice := bearer(s.token("alice"))
	for id, lines := range map[string][]string{
		"h2c":                  {"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"},
		"SM-050":               {"Connection: Upgrade", "Upgrade: TLS/1.0"},
		"both":                 {"Connection: Upgrade", "Upgrade: websocket, h2c"},
		"two":                  {"Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"},
		"no connection option": {"Upgrade: websocket", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"},
	} {
		t.Run(id, func(t *testing.T) {
			saw := s.get("/app/home", append(lines, alice)...).saw(t)
			for _, name := range []string{"Upgrade", "Http2-Settings", "Connection"} {
				if got := values(saw.header, name); got != nil {
					t.Errorf("%s %q arrived", name, got)
				}
			}
		})
	}
	s.get("/admin/panel", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c").wants(t, 401, "token_missing") // SM-044
}

// A body has no place in a handshake. One that goes along is read by some
// applications and left by others, as the first frames or the next request, on a
// connection that is used again (nghttpx, CVE-2026-58055).
func TestAHandshakeHasNoBody_CVE202658055(t *testing.T) {
	s := newStack(t)
	smuggled := "GET /admin/x HTTP/1.1\r\nHost: gw.test\r\n\r\n"
	for _, framed := range []string{"Content-Length: " + strconv.Itoa(len(smuggled)) + "\r\n\r\n" + smuggled, "Transfer-Encoding: chunked\r\n\r\n" + strconv.FormatInt(int64(len(smuggled)), 16) + "\r\n" + smuggled + "\r\n0\r\n\r\n"} {
		request := strings.Replace(handshake, "%s", "/app/ws", 1) + "Origin: http://gw.test\r\n" + bearer(s.token("alice")) + "\r\n" + framed
		saw := s.raw(request).saw(t)
		if got := values(saw.header, "Upgrade"); got != nil || saw.body != smuggled {
			t.Errorf("Upgrade %q arrived with the body %q", got, saw.body)
		}
	}
}

func TestAHandshakeThatFailsOpensNoTunnel_SM049(t *testing.T) {
	s := newStack(t, func(c *setup) { c.answer = lasting(nil) })
	conn := s.dial()
	defer conn.Close()
	request := strings.Replace(strings.Replace(handshake, "%s", "/app/ws", 1), "Version: 13", "Version: 1337", 1)
	write(t, conn, request+bearer(s.token("alice"))+"\r\n\r\nGET /admin/smuggled HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n")
	br := newReader(conn)
	s.read(br, "GET", 0).wants(t, 426, "")
	s.read(br, "GET", 1).wants(t, 401, "token_missing")
}

func TestIdentityArrivesWithAHandshakeThatNamesItHopByHop_SM051(t *testing.T) {
	s := newStack(t, func(c *setup) { c.answer = lasting(nil) })
	conn, _ := s.open("/app/ws", bearer(s.token("alice")), "Connection: X-Auth-User")
	conn.Close()
	if got := s.app.after(0).header["X-Auth-User"]; len(got) != 1 || got[0] != "alice" {
		t.Errorf("X-Auth-User %q", got)
	}
}
