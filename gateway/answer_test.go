package gateway

import (
	"crypto/tls"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// endless answers until nobody listens any more, and then says so.
func endless(gone chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/public/endless" {
			return
		}
		part := make([]byte, 64<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(part); err != nil {
				break
			}
		}
		gone <- struct{}{}
	}
}

// behindTLS has a stack speak HTTP/2 to those who want it.
func behindTLS(t *testing.T, c *setup) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	c.gateway.PublicURL = "https://gw.test"
	c.gateway.TLS = TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
}

// h2 asks over HTTP/2.
func (s *stack) h2(t *testing.T, path string) *http.Response {
	t.Helper()
	tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	r, err := http.NewRequest("GET", "https://"+s.server.Addr()+path, nil)
	must(t, err)
	r.Host = "gw.test"
	res, err := tr.RoundTrip(r)
	must(t, err)
	t.Cleanup(func() { res.Body.Close() })
	if res.ProtoMajor != 2 {
		t.Fatalf("answered in %s", res.Proto)
	}
	return res
}

func TestAClientThatStopsReadingIsLetGo(t *testing.T) {
	for name, read := range map[string]func(*testing.T, *stack){
		"HTTP/1.1": func(t *testing.T, s *stack) {
			conn := s.dial()
			t.Cleanup(func() { conn.Close() })
			write(t, conn, "GET /public/endless HTTP/1.1\r\nHost: gw.test\r\n\r\n")
		},
		"HTTP/2": func(t *testing.T, s *stack) { s.h2(t, "/public/endless") },
	} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{}, 1)
			s := newStack(t, func(c *setup) {
				c.idle, c.answer = 300*time.Millisecond, endless(gone)
				if name == "HTTP/2" {
					behindTLS(t, c)
				}
			})
			read(t, s)
			<-gone // the application is not kept either
			if e := s.log.entries(t, "request", 1)[0]; e["status"] != 499.0 || e["reason"] != "client_stalled" || e["decision"] != "allow" {
				t.Errorf("logged %v", e)
			}
		})
	}
}

// A stream on which nothing is said for longer than a client may block is not
// the client's fault, and neither is a request that comes that late.
func TestAQuietStreamLivesOn(t *testing.T) {
	const idle = 200 * time.Millisecond
	quiet := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		for _, event := range []string{"data: 1\n\n", "data: 2\n\n"} {
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(3 * idle)
		}
	}
	s := newStack(t, func(c *setup) { c.idle, c.answer = idle, quiet })
	conn := s.dial()
	defer conn.Close()
	br := newReader(conn)
	for i := range 2 { // of one connection
		write(t, conn, "GET /public/events HTTP/1.1\r\nHost: gw.test\r\n\r\n")
		if r := s.read(br, "GET", i); r.body != "data: 1\n\ndata: 2\n\n" {
			t.Errorf("HTTP/1.1, request %d: %q", i, r.body)
		}
		time.Sleep(3 * idle)
	}
	write(t, conn, "GET / HTTP/1.1\r\nHost gw.test\r\n\r\n") // no request: net/http refuses it by itself
	s.read(br, "GET", 0).wants(t, 400, "")
	s = newStack(t, func(c *setup) { c.idle, c.answer = idle, quiet; behindTLS(t, c) })
	if body, err := io.ReadAll(s.h2(t, "/public/events").Body); err != nil || string(body) != "data: 1\n\ndata: 2\n\n" {
		t.Errorf("HTTP/2: %q, %v", body, err)
	}
	s = newStack(t, func(c *setup) { c.idle, c.answer = idle, lasting(nil) })
	ws, wsr := s.open("/public/ws", "Origin: http://gw.test")
	defer ws.Close()
	time.Sleep(3 * idle)
	write(t, ws, "pong")
	echo := make([]byte, 4)
	if _, err := io.ReadFull(wsr, echo); err != nil || string(echo) != "pong" {
		t.Errorf("a quiet WebSocket: %q, %v", echo, err)
	}
}

// A good average of the past is no leave to keep the gateway waiting for ever.
func TestABodyThatStopsIsGivenUpHoweverMuchHasCome(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.idle = 300 * time.Millisecond
		c.answer = func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
	})
	conn := s.dial()
	defer conn.Close()
	write(t, conn, "POST /public/x HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 8000000\r\n\r\n"+strings.Repeat("x", 4<<20))
	s.read(newReader(conn), "POST", 0).wants(t, 408, "bad_request")
	if e := s.log.entries(t, "request", 1)[0]; e["status"] != 408.0 || e["reason"] != "client_stalled" || e["failure"] != nil || e["bytes_in"] != float64(4<<20) {
		t.Errorf("logged %v", e)
	}
}

func TestAClientThatLeavesADownloadIsLoggedAs499(t *testing.T) {
	gone := make(chan struct{}, 1)
	s := newStack(t, func(c *setup) { c.answer = endless(gone) })
	conn := s.dial()
	write(t, conn, "GET /public/endless HTTP/1.1\r\nHost: gw.test\r\n\r\n")
	if _, err := io.ReadFull(conn, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	<-gone
	if e := s.log.entries(t, "request", 1)[0]; e["status"] != 499.0 || e["reason"] != "client_gone" || e["failure"] != nil {
		t.Errorf("logged %v", e)
	}
}

func TestWhileTheGatewayDrainsClientsAreAskedToComeBackOnAnotherConnection(t *testing.T) {
	s := newStack(t)
	if r := s.raw("GET /public/x HTTP/1.1\r\nHost: gw.test\r\n\r\n"); r.Close {
		t.Error("before it drains the connection is closed")
	}
	if conf := s.gateway.Drain(); conf != DefaultConfig().Shutdown {
		t.Errorf("to end as %+v", conf)
	}
	r := s.raw("GET /public/x HTTP/1.1\r\nHost: gw.test\r\n\r\n")
	if r.wants(t, 200, ""); !r.Close {
		t.Error("the connection is kept")
	}
}

func TestTimesThatMeanNothingAreRefused(t *testing.T) {
	for _, test := range []struct {
		path, words string
		change      func(*Config)
	}{
		{"limits.client_idle", "1s or more", func(c *Config) { c.Limits.ClientIdle = time.Millisecond }},
		{"limits.client_idle", "1s or more", func(c *Config) { c.Limits.ClientIdle = -time.Second }},
		{"shutdown.delay", "negative", func(c *Config) { c.Shutdown.Delay = -1 }},
		{"shutdown.timeout", "write 25s", func(c *Config) { c.Shutdown.Timeout = 0 }},
	} {
		c := DefaultConfig()
		c.Upstreams = []Upstream{{Name: "app", URLs: []string{"http://127.0.0.1:9000"}}}
		test.change(&c)
		if faults := c.Validate(nil); len(faults) != 1 || faults[0].Path != test.path || !strings.Contains(faults[0].Message, test.words) || faults[0].Warning {
			t.Errorf("%s: %+v", test.path, faults)
		}
	}
}
