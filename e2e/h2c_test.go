package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// cleartext is a transport that begins with HTTP/2 without TLS.
func cleartext(addr string) *http.Transport {
	tr := dialing(addr)
	tr.Protocols = new(http.Protocols)
	tr.Protocols.SetUnencryptedHTTP2(true)
	return tr
}

// caller is an application that answers calls as gRPC does: each piece is sent
// back at once, and how the call ended stands in trailers.
func caller(t *testing.T) string {
	t.Helper()
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		stream := http.NewResponseController(w)
		_ = stream.Flush()
		for buf := make([]byte, 64); ; {
			n, err := r.Body.Read(buf)
			_, _ = io.WriteString(w, r.Proto+" "+string(buf[:n]))
			_ = stream.Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set("Grpc-Status", "7")
		w.Header().Set("Grpc-Message", "for "+r.Header.Get("X-Auth-User")+r.Trailer.Get("X-Auth-User"))
	}))
	app.Config.Protocols = new(http.Protocols)
	app.Config.Protocols.SetUnencryptedHTTP2(true)
	app.Start()
	t.Cleanup(app.Close)
	return strings.Replace(app.URL, "http://", "h2c://", 1)
}

const calls = `
listen: {LISTEN}
public_url: {URL}
h2c: true
admin: { listen: "{ADMIN}" }
upstreams: [{ name: app, urls: ["{UPSTREAM}"] }]
routes: [{ path: /public/**, allow: anyone }, { path: /**, allow: authenticated }]
`

// TestCallsGoThroughWithoutTLSBothWays: a call of gRPC from a client that knows
// that there is HTTP/2, with messages both ways in turn and trailers at the end.
func TestCallsGoThroughWithoutTLSBothWays(t *testing.T) {
	t.Parallel()
	g := prepare(t, strings.Replace(calls, "{UPSTREAM}", caller(t), 1))
	g.addUser("alice", "user")
	g.start()
	c := newClient(t, "http://"+g.addr)
	c.http.Transport = cleartext(g.addr)
	token := c.login("alice").AccessToken

	messages, send := io.Pipe()
	req, err := http.NewRequest("POST", "http://"+g.addr+"/pkg.Service/Talk", messages)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "Authorization": {"Bearer " + token}, "X-Auth-User": {"root"}}
	req.Trailer = http.Header{"X-Auth-User": {"root"}}
	resp, err := c.http.Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
		t.Fatalf("answered %s by %s", resp.Status, resp.Proto)
	}
	in := bufio.NewReader(resp.Body)
	for _, message := range []string{"one\n", "two\n", "three\n"} { // each is answered before the next is sent
		if _, err := io.WriteString(send, message); err != nil {
			t.Fatal(err)
		}
		if line, err := in.ReadString('\n'); err != nil || line != "HTTP/2.0 "+message {
			t.Fatalf("after %q: %q, %v", message, line, err)
		}
	}
	send.Close()
	if rest, err := io.ReadAll(in); err != nil {
		t.Errorf("at the end %q, %v", rest, err)
	}
	if status, message := resp.Trailer.Get("Grpc-Status"), resp.Trailer.Get("Grpc-Message"); status != "7" || message != "for alice" {
		t.Errorf("the trailers are %v", resp.Trailer)
	}

	// A call without a token is refused, and never made.
	if r := c.do("POST", "/pkg.Service/Talk", "x", "Content-Type: application/grpc").want(t, 401, "nobody's call"); r.code() != "token_missing" {
		t.Error(r.body)
	}
	// Everybody else speaks HTTP/1.1 as before.
	answer := exchange(t, g.addr, "GET /public/%zz HTTP/1.1\r\nHost: "+g.addr+"\r\nConnection: close\r\n\r\n")
	if !strings.Contains(answer, `"bad_path"`) || !strings.Contains(answer, "X-Request-Id") {
		t.Errorf("a bad path over HTTP/1.1 is no problem document:\n%s", answer)
	}
	// SIGTERM lets go of connections that wait.
	if status := g.stop(); status != 0 {
		t.Errorf("ended with %d\n%s", status, g.stderr)
	}
}

// TestNobodyUpgradesToHTTP2: the dance from HTTP/1.1 makes a tunnel whose requests
// nobody would be asked about. It is never danced, whatever h2c says; and where
// h2c is not set the preface of HTTP/2 is no request.
func TestNobodyUpgradesToHTTP2(t *testing.T) {
	t.Parallel()
	for _, h2c := range []bool{true, false} {
		t.Run(fmt.Sprint(h2c), func(t *testing.T) {
			t.Parallel()
			up := newRecorder(t)
			g := prepare(t, strings.NewReplacer("{UPSTREAM}", "http://"+up.addr, "h2c: true", fmt.Sprint("h2c: ", h2c)).Replace(calls)).start()
			for _, path := range []string{"/public/x", "/admin"} {
				answer := exchange(t, g.addr, "GET "+path+" HTTP/1.1\r\nHost: "+g.addr+"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
				if strings.HasPrefix(answer, "HTTP/1.1 101") || strings.Contains(answer, "\x00") {
					t.Errorf("%s: %q", path, answer)
				}
			}
			for _, r := range up.take() {
				if len(r.values("Upgrade"))+len(r.values("HTTP2-Settings")) > 0 {
					t.Errorf("the application was asked to dance:\n%s", r.raw)
				}
			}
			conn, err := net.Dial("tcp", g.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			io.WriteString(conn, http2.ClientPreface)
			framer := http2.NewFramer(conn, conn)
			if h2c {
				checkSettings(t, framer)
				return
			}
			answer, _ := io.ReadAll(conn)
			if !strings.HasPrefix(string(answer), "HTTP/1.1 4") && !strings.HasPrefix(string(answer), "HTTP/1.1 505") {
				t.Errorf("answered %q", answer)
			}
			if seen := up.take(); len(seen) > 0 {
				t.Errorf("the application saw %q", seen[0].raw)
			}
		})
	}
}

// checkSettings wants the gateway to bound what a connection may ask at once.
func checkSettings(t *testing.T, framer *http2.Framer) {
	t.Helper()
	framer.WriteSettings()
	frame, err := framer.ReadFrame()
	settings, ok := frame.(*http2.SettingsFrame)
	if err != nil || !ok {
		t.Fatalf("the first frame: %v, %v", frame, err)
	}
	for id, most := range map[http2.SettingID]uint32{http2.SettingMaxConcurrentStreams: 250, http2.SettingMaxHeaderListSize: 96 << 10} {
		if got, ok := settings.Value(id); !ok || got > most {
			t.Errorf("%s is %d, want at most %d", id, got, most)
		}
	}
}
