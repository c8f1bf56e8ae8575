package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestApplicationsBehindASocketAndHTTP2: what the gateway speaks to the
// application is no business of the client's, who speaks HTTP/1.1 here, and
// neither is where the application's paths really are.
func TestApplicationsBehindASocketAndHTTP2(t *testing.T) {
	t.Parallel()
	tell := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = io.WriteString(w, r.Proto+" "+r.Method+" "+r.RequestURI+" "+string(body))
		_ = http.NewResponseController(w).Flush() // so that there is no length: HTTP/1.1 has trailers only without one
		w.Header().Set("Grpc-Status", "0")
	}
	socket := filepath.Join(t.TempDir(), "app.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewUnstartedServer(http.HandlerFunc(tell))
	plain.Listener.Close()
	plain.Listener = l
	plain.Start()
	t.Cleanup(plain.Close)
	h2c := httptest.NewUnstartedServer(http.HandlerFunc(tell))
	h2c.Config.Protocols = new(http.Protocols)
	h2c.Config.Protocols.SetUnencryptedHTTP2(true)
	h2c.Start()
	t.Cleanup(h2c.Close)

	g := prepare(t, `
listen: {LISTEN}
public_url: {URL}
admin: { listen: "{ADMIN}" }
upstreams:
  - { name: socket, urls: "unix:`+socket+`" }
  - { name: calls, urls: `+strings.Replace(h2c.URL, "http://", "h2c://", 1)+`, health: { path: /healthz, interval: 100ms, timeout: 20s } }
routes:
  - { path: /socket/**, upstream: socket, rewrite: /v2/, allow: anyone }
  - { path: /calls/**, upstream: calls, strip_prefix: /calls, allow: anyone }
  - { path: /v2/**, upstream: socket, allow: { role: admin } }
`).start()
	for _, test := range []struct{ target, want string }{
		{"/socket/a%20b?q=1;2", "HTTP/1.1 POST /v2/a%20b?q=1;2 hello"},
		{"/calls/pkg.Service/Call", "HTTP/2.0 POST /pkg.Service/Call hello"},
	} {
		res, err := http.Post("http://"+g.addr+test.target, "application/grpc", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 || string(body) != test.want || res.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("%s: %d %s, trailers %v, %v; want %s", test.target, res.StatusCode, body, res.Trailer, err, test.want)
		}
	}
	g.client().get("/v2/x").want(t, 401, "the path that another route is rewritten to")
	body := newClient(t, "http://"+g.admin).get("/metrics").want(t, 200, "metrics").body
	for _, want := range []string{`{upstream="socket",url="unix:` + socket + `"} 1`, `{upstream="calls",url="h2c://`} {
		if !strings.Contains(body, "postern_upstream_healthy"+want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	plain.Close()
	r := g.client().get("/socket/x")
	r.want(t, 502, "an application that is down")
	if strings.Contains(r.body, "sock") {
		t.Errorf("the answer tells: %s", r.body)
	}
	if entries := g.entries("an address of an upstream is out"); len(entries) != 1 || entries[0]["url"] != "unix:"+socket {
		t.Errorf("logged %v", entries)
	}
	newClient(t, "http://"+g.admin).get("/readyz").want(t, 200, "readyz with an application down")
}
