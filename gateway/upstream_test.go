package gateway

import (
	"bufio"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// upstreamURL swaps in a snapshot with another application.
func (s *stack) upstreamURL(url string, change func(*Upstream)) {
	s.t.Helper()
	s.parts.Config.Upstreams = []Upstream{{Name: "app", URLs: []string{url}}}
	if change != nil {
		change(&s.parts.Config.Upstreams[0])
	}
	snap, err := s.gateway.Build(s.parts)
	must(s.t, err)
	s.gateway.Swap(snap)
}

func TestAnApplicationThatIsAwayIs502AndTellsNoAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := l.Addr().String()
	l.Close()
	s := newStack(t)
	s.upstreamURL("http://"+address, nil)
	r := s.get("/public/x")
	r.wants(t, 502, "upstream_unavailable")
	if strings.Contains(r.body, "127.0.0.1") || strings.Contains(r.body, "refused") {
		t.Errorf("the answer tells: %s", r.body)
	}
	entry := s.log.entries(t, "request", 1)[0]
	if entry["decision"] != "allow" || entry["reason"] != "upstream_unavailable" || !strings.Contains(entry["failure"].(string), "refused") {
		t.Errorf("logged %v", entry)
	}
	if m := s.metricsText(); !strings.Contains(m, `postern_upstream_healthy{upstream="app",url="http://`+address+`"} 0`) {
		t.Error("the upstream counts as healthy")
	}
}

func TestAnApplicationThatIsSlowIs504(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	s := newStack(t, func(c *setup) {
		c.answer = func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		c.options = make([]RouteOptions, 5)
		c.options[0].Timeout = 50 * time.Millisecond
	})
	s.get("/public/x").wants(t, 504, "upstream_timeout")
	s.parts.Routes = nil
	s.upstreamURL(s.app.server.URL, func(u *Upstream) { u.Timeouts.ResponseHeader = 50 * time.Millisecond })
	s.get("/public/x").wants(t, 504, "upstream_timeout")
}

// A body that nobody takes must not hold its client for ever.
func TestAnApplicationThatTakesNoMoreOfABodyIs504(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	s := newStack(t)
	s.upstreamURL("http://"+l.Addr().String(), func(u *Upstream) { u.Timeouts.Write = 100 * time.Millisecond })
	r := s.send("POST", "/public/x", strings.Repeat("x", 32<<20)) // more than the sockets' buffers take
	r.wants(t, 504, "upstream_timeout")
	s.upstreamURL(s.app.server.URL, func(u *Upstream) { u.Timeouts.Write = 10 * time.Second })
	if got := s.send("POST", "/public/x", strings.Repeat("y", 1<<20)); got.StatusCode != 200 || len(got.saw(t).body) != 1<<20 {
		t.Errorf("a body that is taken: %d", got.StatusCode)
	}
}

func TestAnAnswerThatIsNoHTTPIs502(t *testing.T) {
	for name, text := range map[string]string{"garbage": "SSH-2.0-x\r\n\r\n", "nothing": "", "a huge header": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 300<<10) + "\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = bufio.NewReader(conn).ReadString('\n')
					_, _ = io.WriteString(conn, text)
					conn.Close()
				}
			}()
			s := newStack(t)
			s.upstreamURL("http://"+l.Addr().String(), nil)
			s.get("/public/x").wants(t, 502, "upstream_unavailable")
		})
	}
}

func TestAnAnswerThatBreaksOffDoesNotLookWhole_RS18(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.answer = func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	conn := s.dial()
	defer conn.Close()
	write(t, conn, "GET /public/x HTTP/1.1\r\nHost: gw.test\r\n\r\n")
	all, _ := io.ReadAll(conn)
	if !strings.Contains(string(all), "half") || strings.HasSuffix(string(all), "0\r\n\r\n") {
		t.Errorf("the client got %q", all)
	}
	if entry := s.log.entries(t, "request", 1)[0]; entry["status"] != 200.0 {
		t.Errorf("logged %v", entry["status"])
	}
	s.get("/auth/login").wants(t, 200, "")
}

// An answer with status 200 that its client did not get whole: without a word
// of it nobody finds out why.
func TestTheLogSaysWhoBrokeAnAnswerOff(t *testing.T) {
	for _, test := range []struct {
		name, kind string
		timeout    time.Duration
		want       any
	}{
		{"the application, a download", "text/plain", 0, "the answer broke off"},
		{"the application, an event stream", "text/event-stream", 0, "the answer broke off"},
		{"the route, an event stream", "text/event-stream", 2 * time.Second, "the timeout of the route ended the answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStack(t, func(c *setup) {
				c.options = make([]RouteOptions, 5)
				c.options[0].Timeout = test.timeout
				c.answer = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", test.kind)
					_, _ = io.WriteString(w, "data: half\n\n")
					_ = http.NewResponseController(w).Flush()
					if test.timeout > 0 {
						<-r.Context().Done()
					}
					panic(http.ErrAbortHandler)
				}
			})
			conn := s.dial()
			defer conn.Close()
			write(t, conn, "GET /public/x HTTP/1.1\r\nHost: gw.test\r\n\r\n")
			_, _ = io.ReadAll(conn)
			if e := s.log.entries(t, "request", 1)[0]; e["status"] != 200.0 || e["failure"] != test.want {
				t.Errorf("logged %v", e)
			}
		})
	}
}

func TestAClientThatLeavesIsLoggedAs499AndBlamesNobody(t *testing.T) {
	arrived := make(chan struct{})
	s := newStack(t, func(c *setup) {
		c.answer = func(_ http.ResponseWriter, r *http.Request) { close(arrived); <-r.Context().Done() }
	})
	conn := s.dial()
	write(t, conn, "GET /public/x HTTP/1.1\r\nHost: gw.test\r\n\r\n")
	<-arrived
	conn.Close()
	if entry := s.log.entries(t, "request", 1)[0]; entry["status"] != 499.0 || entry["reason"] != "client_gone" || entry["decision"] != "allow" {
		t.Errorf("logged %v %v %v", entry["status"], entry["reason"], entry["decision"])
	}
	if !strings.Contains(s.metricsText(), `} 1`+"\n") || strings.Contains(s.metricsText(), "postern_upstream_healthy{upstream=\"app\",url=\""+s.app.server.URL+"\"} 0") {
		t.Error("the upstream was blamed")
	}
}

// TestTheBodyOfAnAnswerToHEADIsNobodysAnswer: an application that answers HEAD as
// GET sends a body that http has no place for. It may come when the connection
// already carries somebody else's request, as here in any case.
func TestTheBodyOfAnAnswerToHEADIsNobodysAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go func() {
				defer conn.Close()
				br, unwanted := bufio.NewReader(conn), ""
				for r, err := http.ReadRequest(br); err == nil; r, err = http.ReadRequest(br) {
					_, _ = io.WriteString(conn, unwanted+"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n")
					unwanted = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
					if r.Method != "HEAD" {
						_, _ = io.WriteString(conn, unwanted)
						unwanted = ""
					}
				}
			}()
		}
	}()
	for _, transport := range []string{"lean", "standard"} {
		s := newStack(t)
		s.upstreamURL("http://"+l.Addr().String(), func(u *Upstream) { u.Transport = transport })
		for range 3 {
			s.send("HEAD", "/public/x", "").wants(t, 200, "")
			if r := s.get("/public/x"); r.StatusCode != 200 || r.ContentLength != 44 {
				t.Errorf("%s: the next was answered %d with %d bytes: %q", transport, r.StatusCode, r.ContentLength, r.body)
			}
		}
	}
}

// TestWhoHasSaidTheirLastGetsNoMadeUpAnswer: a client that closes its side of the
// connection counts as gone, though it can still read. An answer that no
// application gave, as net/http's empty 200, could be kept by a cache.
func TestWhoHasSaidTheirLastGetsNoMadeUpAnswer(t *testing.T) {
	for name, request := range map[string]string{
		"without a body":   "GET /public/x HTTP/1.1\r\nHost: gw.test\r\n\r\n",
		"within a body":    "POST /public/x HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 9\r\n\r\nabc",
		"within a chunk":   "GET /public/x HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
		"before its chunk": "GET /public/x HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		s := newStack(t, func(c *setup) {
			c.answer = func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			}
		})
		conn := s.dial()
		write(t, conn, request)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if all, _ := io.ReadAll(conn); strings.Contains(string(all), "HTTP/1.1 2") {
			t.Errorf("%s: the client got %q", name, all)
		}
		if entry := s.log.entries(t, "request", 1)[0]; entry["status"] != 499.0 || entry["reason"] != "client_gone" {
			t.Errorf("%s: logged %v %v", name, entry["status"], entry["reason"])
		}
	}
}

func TestABodyIsBoundedWhateverItSaysOfItself(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.options = make([]RouteOptions, 5)
		c.options[0].MaxBody = 10
	})
	s.send("POST", "/public/x", "0123456789").wants(t, 200, "")
	r := s.send("POST", "/public/x", "0123456789a")
	r.wants(t, 413, "too_large")
	r.notAsked(t)
	r = s.raw("POST /public/x HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n")
	r.wants(t, 413, "too_large")
	if r.Header.Get("Connection") != "close" && !r.Close {
		t.Error("the connection stays open with a body on it")
	}
}

func TestASlowBodyIsGivenUp_RS02(t *testing.T) {
	s := newStack(t, func(c *setup) { c.grace = 100 * time.Millisecond })
	for _, path := range []string{"/public/x", "/auth/login"} {
		conn := s.dial()
		write(t, conn, "POST "+path+" HTTP/1.1\r\nHost: gw.test\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
		res, err := http.ReadResponse(newReader(conn), nil)
		must(t, err)
		if res.StatusCode != 408 && res.StatusCode != 400 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
		conn.Close()
	}
	r := s.raw("POST /app/form HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 1000000\r\n\r\nx") // denied: answered at once, and closed
	if r.wants(t, 401, ""); !r.Close {
		t.Error("the connection stays open with a body on it")
	}
}

func TestASlowApplicationIsNotBlamedOnTheClient(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.grace = 200 * time.Millisecond
		c.answer = func(_ http.ResponseWriter, r *http.Request) {
			time.Sleep(400 * time.Millisecond)
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(400 * time.Millisecond)
		}
	})
	s.send("POST", "/public/x", strings.Repeat("x", 4<<20)).wants(t, 200, "")
}

func TestMalformedChunksEndTheRequest(t *testing.T) {
	s := newStack(t)
	alice := bearer(s.token("alice"))
	const smuggled = "GET /admin/smuggled HTTP/1.1\r\nHost: gw.test\r\nX-Auth-User: root\r\n\r\n"
	for id, body := range map[string]string{
		"SM-030": "1\r\r\na\r\n0\r\n\r\n", "SM-033": "-1\r\na\r\n0\r\n\r\n", "SM-034": "FFFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n",
		"SM-036": " 1\r\na\r\n0\r\n\r\n", "SM-037": "1_0\r\naaaaaaaaaaaaaaaa\r\n0\r\n\r\n",
	} {
		r := s.raw("POST /app/form HTTP/1.1\r\nHost: gw.test\r\n" + alice + "\r\nTransfer-Encoding: chunked\r\n\r\n" + body + smuggled)
		if r.StatusCode != 400 && r.StatusCode != 502 || !r.Close {
			t.Errorf("%s: %d, close %v", id, r.StatusCode, r.Close)
		}
	}
	if strings.Contains(s.app.raw(), "/admin/smuggled") {
		t.Error("smuggled")
	}
}

func TestTwoLengthsAreNeverTwoRequests(t *testing.T) {
	s := newStack(t)
	const smuggled = "GET /admin/smuggled HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\nX-Auth-User: root\r\n\r\n"
	for id, request := range map[string]string{
		"SM-001": "POST /public/x HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 71\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"SM-003": "POST /public/x HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 6\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"SM-016": "POST /public/x HTTP/1.1\r\nHost: gw.test\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"SM-017": "POST /public/x HTTP/1.0\r\nHost: gw.test\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"SM-018": "POST /public/x HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
		"SM-057": "GET /public/x HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		t.Run(id, func(t *testing.T) {
			conn := s.dial()
			defer conn.Close()
			write(t, conn, request+smuggled)
			all, _ := io.ReadAll(conn) // until the gateway closes: a connection that stays open fails by its deadline
			switch n := strings.Count(string(all), "HTTP/1."); {
			case id == "SM-016": // the underscore is no framing: a second, own request
				if n < 2 || !strings.Contains(string(all), "401 Unauthorized") {
					t.Errorf("%s", all)
				}
			case n != 1:
				t.Errorf("%d answers: %s", n, all)
			}
		})
	}
	if strings.Contains(s.app.raw(), "smuggled") {
		t.Error("smuggled")
	}
}

func TestAnHTTPSUpstreamIsVerified(t *testing.T) {
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") }))
	app.Config.ErrorLog = discardLog()
	app.StartTLS()
	defer app.Close()
	s := newStack(t)
	s.upstreamURL(app.URL, nil)
	s.get("/public/x").wants(t, 502, "upstream_unavailable")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: app.Certificate().Raw}), 0o600))
	s.upstreamURL(app.URL, func(u *Upstream) { u.TLS = UpstreamTLS{CAFile: ca, ServerName: "example.com"} })
	if r := s.get("/public/x"); r.StatusCode != 200 || r.body != "secret" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	s.upstreamURL(app.URL, func(u *Upstream) { u.TLS = UpstreamTLS{CAFile: ca, ServerName: "evil.test"} })
	s.get("/public/x").wants(t, 502, "upstream_unavailable")
	s.parts.Config.Upstreams[0].TLS.CAFile = filepath.Join(t.TempDir(), "absent.pem")
	if _, err := s.gateway.Build(s.parts); err == nil || !strings.Contains(err.Error(), "tls.ca_file") {
		t.Errorf("an absent ca_file: %v", err)
	}
}

func TestExpectIsAnsweredOnceTheApplicationWantsTheBody(t *testing.T) {
	s := newStack(t)
	conn := s.dial()
	defer conn.Close()
	write(t, conn, "POST /public/x HTTP/1.1\r\nHost: gw.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n")
	br := newReader(conn)
	line, err := br.ReadString('\n')
	must(t, err)
	if !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("got %q", line)
	}
	_, _ = br.ReadString('\n')
	write(t, conn, "body")
	r := s.read(br, "POST", 0)
	if saw := r.saw(t); saw.body != "body" || saw.header.Get("Expect") != "100-continue" {
		t.Errorf("arrived %q, Expect %q", saw.body, saw.header.Get("Expect"))
	}
}

func TestARouteAnswersPreflightsForItsApplication(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.options = make([]RouteOptions, 5)
		c.options[1].CORS = &CORS{Origins: []string{"https://spa.test"}, Headers: []string{"Authorization"}, Credentials: true, MaxAge: time.Hour}
		c.options[4].CORS = &CORS{Origins: []string{"*"}}
		c.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Access-Control-Allow-Credentials", "true")
		}
	})
	ask := func(path, method, origin string) *reply {
		return s.send("OPTIONS", path, "", "Origin: "+origin, "Access-Control-Request-Method: "+method, "Access-Control-Request-Headers: X-A")
	}
	r := ask("/app/x", "PUT", "https://spa.test")
	want := map[string]string{"Access-Control-Allow-Origin": "https://spa.test", "Access-Control-Allow-Methods": "PUT", "Access-Control-Allow-Headers": "Authorization",
		"Access-Control-Allow-Credentials": "true", "Access-Control-Max-Age": "3600"}
	for name, v := range want {
		if r.StatusCode != 204 || r.Header.Get(name) != v {
			t.Errorf("%d, %s %q, want %q", r.StatusCode, name, r.Header.Get(name), v)
		}
	}
	r.notAsked(t)
	if r = ask("/app/x", "PUT", "https://evil.test"); r.StatusCode != 204 || r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("evil: %d %v", r.StatusCode, r.Header)
	}
	if r = ask("/api/users/7", "DELETE", "https://any.test"); r.Header.Get("Access-Control-Allow-Methods") != "DELETE" || r.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("the route of the method asked about: %d %v", r.StatusCode, r.Header)
	}
	ask("/api/users/7", "GET", "https://any.test").wants(t, 405, "method_not_allowed")
	r = ask("/admin/panel", "DELETE", "https://evil.test") // MC-04
	r.wants(t, 401, "token_missing")
	r.notAsked(t)
	r = s.get("/app/x", bearer(s.token("alice")), "Origin: https://spa.test")
	if got := values(r.Header, "Access-Control-Allow-Origin"); !slices.Equal(got, []string{"https://spa.test"}) || !slices.Contains(values(r.Header, "Vary"), "Origin") {
		t.Errorf("Access-Control-Allow-Origin %q, Vary %q", got, values(r.Header, "Vary"))
	}
	r = s.get("/app/x", bearer(s.token("alice")), "Origin: https://evil.test")
	if r.Header.Get("Access-Control-Allow-Origin") != "" || r.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("evil: %v", r.Header)
	}
}
