package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHAProxySpeaksProxyProtocol: a real front end says for whom it connects,
// in both versions and with its health checks, and the gateway believes it
// where it is trusted, and where it is not answers 400 and says why in its log.
func TestHAProxySpeaksProxyProtocol(t *testing.T) {
	t.Parallel()
	haproxy := program(t, "haproxy")
	up := newRecorder(t)
	g := prepare(t, strings.Replace(`listen: {LISTEN}
public_url: {URL}
trusted_proxies: [127.0.0.1]
admin: { listen: {ADMIN} }
upstreams: [{ name: app, urls: ["http://{UPSTREAM}"] }]
routes:
  - { path: /**, allow: anyone }
  - { path: /inside, allow: { cidr: [127.0.0.2/32] } }
`, "{UPSTREAM}", up.addr, 1))
	g.start()
	doors := map[string]string{"send-proxy": freeAddr(t), "send-proxy-v2": freeAddr(t)}
	var conf strings.Builder
	conf.WriteString("defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n")
	for option, door := range doors {
		// The client's address is 127.0.0.2 to the gateway only if PROXY
		// protocol says so: HAProxy itself connects from 127.0.0.1.
		conf.WriteString("listen " + option + "\n bind " + door + "\n server gw " + g.addr + " source 127.0.0.1 check inter 100ms " + option + " check-send-proxy\n")
	}
	file := filepath.Join(g.dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	startApp(t, doors["send-proxy"], g.dir, nil, haproxy, "-db", "-f", file)
	for option, door := range doors {
		for path, want := range map[string]int{"/x": 200, "/inside": 200} {
			if got := statusFrom(t, "127.0.0.2", door, path); got != want {
				t.Errorf("%s: GET %s from 127.0.0.2: %d, want %d", option, path, got, want)
			}
		}
		if got := statusFrom(t, "127.0.0.3", door, "/inside"); got != 403 {
			t.Errorf("%s: GET /inside from 127.0.0.3: %d", option, got)
		}
	}
	for _, req := range up.take() {
		if got := req.values("X-Forwarded-For"); len(got) != 1 || got[0] != "127.0.0.2" {
			t.Errorf("the application is told X-Forwarded-For %q", got)
		}
	}
	g.amend("trusted_proxies: [127.0.0.1]", "trusted_proxies: []")
	for option, door := range doors {
		if got := statusFrom(t, "127.0.0.2", door, "/x"); got != 400 {
			t.Errorf("%s, not trusted: %d", option, got)
		}
	}
	for _, line := range g.entries("PROXY protocol from a peer that is not trusted was refused: if it is a front end of yours, list it under trusted_proxies, else have it send none") {
		if line["peer"] == "127.0.0.1" {
			return
		}
	}
	t.Error("no line of the log says that HAProxy is not trusted")
}

// statusFrom asks from an address of this machine's own, and answers the status.
func statusFrom(t *testing.T, from, door, path string) int {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}).Dial("tcp", door)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, door)
	answer, _ := io.ReadAll(conn)
	return statusOf(string(answer))
}
