package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const secured = `
listen: {LISTEN}
public_url: https://gw.test
admin: { listen: "{ADMIN}" }
upstreams: [{ name: app, urls: ["http://{UPSTREAM}"] }]
routes: [{ path: /**, allow: anyone }]
tls: { cert_file: cert.pem, key_file: cert.key }
`

// shown is the certificate that the gateway shows, as bytes.
func (g *gateway) shown() string {
	cert, err := g.certificateFor("gw.test", nil)
	if err != nil {
		return err.Error()
	}
	return string(cert.Raw)
}

// TestACertificateIsTakenUpAndConnectionsStay: on SIGHUP, and when its files are
// replaced and nobody says so. What cannot be used is not.
func TestACertificateIsTakenUpAndConnectionsStay(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := prepare(t, strings.Replace(secured, "{UPSTREAM}", up.addr, 1))
	g.writeCertificate("gw.test")
	g.start()
	kept, err := tls.Dial("tcp", g.addr, &tls.Config{InsecureSkipVerify: true, ServerName: "gw.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	in := bufio.NewReader(kept)
	ask := func(when string) {
		t.Helper()
		kept.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(kept, "GET /x HTTP/1.1\r\nHost: gw.test\r\n\r\n")
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s the connection that stands: %v", when, err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %s, %v", when, resp.Status, err)
		}
	}
	ask("before")
	first := g.shown()

	g.writeCertificate("gw.test") // nobody says so
	eventually(t, "the second certificate", func() bool { return g.shown() != first })
	eventually(t, "the log line", func() bool { return len(g.entries("another certificate is in use")) > 0 })
	second := g.shown()
	ask("after a replacement")

	g.writeCertificate("gw.test")
	g.cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "the third certificate", func() bool { return g.shown() != second })
	third := g.shown()
	ask("after SIGHUP")

	g.write("cert.key", "no key")
	g.reload("reload")
	eventually(t, "the complaint", func() bool { return len(g.entries("the new certificate cannot be used, the old one stays")) > 0 })
	if g.shown() != third {
		t.Error("a key that is none changed the certificate")
	}
	ask("after a key that is none")
}

// issuer signs clients' certificates; its own is in the file ca.pem of the
// gateway's folder.
func (g *gateway) issuer() func(name string) tls.Certificate {
	g.t.Helper()
	must := func(err error) {
		if err != nil {
			g.t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	must(err)
	g.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return func(name string) tls.Certificate {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		der, err := x509.CreateCertificate(rand.Reader, leaf, root, &own.PublicKey, key)
		must(err)
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: own}
	}
}

// TestAClientsCertificateIsWhoItIs over HTTP/1.1 and HTTP/2: the one of the rule
// gets in, another of the same authority does not, one of another authority ends
// the handshake, and who has none is told that something else is needed.
func TestAClientsCertificateIsWhoItIs(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := prepare(t, strings.NewReplacer("{UPSTREAM}", up.addr, "cert.key }", "cert.key, client_ca_file: ca.pem }",
		"routes: [", `routes: [{ path: /machine/**, allow: { client_cert: { subject: "CN=backup" } } }, `).Replace(secured))
	g.writeCertificate("gw.test")
	strangers := g.issuer()
	ours := g.issuer()
	g.start()
	for _, http2 := range []bool{false, true} {
		for _, test := range []struct {
			name string
			cert []tls.Certificate
			want int // 0: no handshake
		}{
			{"backup", []tls.Certificate{ours("backup")}, 200}, {"another", []tls.Certificate{ours("other")}, 403},
			{"a stranger's", []tls.Certificate{strangers("backup")}, 0}, {"none", nil, 403},
		} {
			tr := dialing(g.addr)
			tr.ForceAttemptHTTP2 = http2
			tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if test.cert == nil {
					return new(tls.Certificate), nil
				}
				return &test.cert[0], nil // also where the gateway would not want it
			}}
			c := newClient(t, "https://gw.test")
			c.http.Transport = tr
			r, err := c.try("GET", "/machine/x", "")
			switch {
			case test.want == 0 && err == nil:
				t.Errorf("%s, HTTP/2 %v: answered %s", test.name, http2, r.Status)
			case test.want != 0 && (err != nil || r.StatusCode != test.want || r.ProtoMajor == 2 != http2):
				t.Errorf("%s, HTTP/2 %v: %v, %v; want %d", test.name, http2, r.Response, err, test.want)
			}
			tr.CloseIdleConnections()
		}
	}
	if seen := up.take(); len(seen) != 2 {
		t.Errorf("the application was asked %d times, want 2", len(seen))
	}
}

// TestCurlSpeaksHTTP2ToTheGateway: somebody else's client, with TLS.
func TestCurlSpeaksHTTP2ToTheGateway(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	up := newRecorder(t)
	g := prepare(t, strings.Replace(secured, "{UPSTREAM}", up.addr, 1))
	g.writeCertificate("gw.test")
	g.start()
	_, port, _ := net.SplitHostPort(g.addr)
	out, err := exec.Command("curl", "--silent", "--show-error", "--http2", "--insecure", "--resolve", "gw.test:"+port+":127.0.0.1",
		"--data", "a=b", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}", "https://gw.test:"+port+"/x").CombinedOutput()
	if err != nil || string(out) != "2 200" {
		t.Errorf("curl: %q, %v", out, err)
	}
	if seen := up.take(); len(seen) != 1 || seen[0].method != "POST" || seen[0].body != "a=b" {
		t.Errorf("the application saw %v", seen)
	}
}

// TestAUnixSocketIsAListener with the mode that was asked for; it goes with the
// gateway, and one that a killed gateway left behind is no obstacle.
func TestAUnixSocketIsAListener(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := prepare(t, "")
	path := filepath.Join(g.dir, "gw.sock")
	g.configure(strings.NewReplacer("{UPSTREAM}", up.addr, "listen: {LISTEN}", `listen: "unix:`+path+`|0660"`, "https://gw.test", "http://gw.test",
		"tls: { cert_file: cert.pem, key_file: cert.key }", "trusted_proxies: [unix]").Replace(secured))
	ask := func() {
		t.Helper()
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: gw.test\r\nX-Forwarded-For: 192.0.2.9\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(conn)
		if err != nil || statusOf(string(answer)) != 200 {
			t.Errorf("answered %q, %v", answer, err)
		}
		if seen := up.take(); len(seen) != 1 || strings.Join(seen[0].values("X-Forwarded-For"), "|") != "192.0.2.9" {
			t.Errorf("the application saw %v", seen)
		}
	}
	g.start()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	ask()
	g.kill()
	g.start()
	ask()
	if status := g.stop(); status != 0 {
		t.Errorf("ended with %d\n%s", status, g.stderr)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is still there")
	}
}

// TestTheServiceManagerHearsOfEveryStep: what systemd reads of Type=notify-reload,
// from a start to an end.
func TestTheServiceManagerHearsOfEveryStep(t *testing.T) {
	t.Parallel()
	g := prepare(t, goodConfig)
	path := filepath.Join(g.dir, "notify.sock")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	next := func() string {
		t.Helper()
		conn.SetReadDeadline(time.Now().Add(patience))
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	g.env = append(g.env, "NOTIFY_SOCKET="+path)
	g.launch("serve", "--config", "gateway.yaml")
	if got := next(); got != "READY=1" {
		t.Errorf("at the start %q", got)
	}
	if resp, err := http.Get("http://" + g.admin + "/readyz"); err != nil || resp.StatusCode != 200 {
		t.Errorf("it says that it is ready, and is not: %v, %v", resp, err)
	}
	g.cmd.Process.Signal(syscall.SIGHUP)
	state, micros, _ := strings.Cut(next(), "\nMONOTONIC_USEC=")
	if at, err := strconv.ParseInt(micros, 10, 64); state != "RELOADING=1" || err != nil || at <= 0 {
		t.Errorf("at a reload %q, %q", state, micros)
	}
	if got := next(); got != "READY=1" {
		t.Errorf("after a reload %q", got)
	}
	if status := g.stop(); status != 0 {
		t.Errorf("ended with %d", status)
	}
	if got := next(); got != "STOPPING=1" {
		t.Errorf("at the end %q", got)
	}
}

// TestProfilesAreForTheAdminListenerByChoiceAlone: Go's own tool reads them there;
// without the choice they are nowhere, and never on the public listener, whose
// paths are the application's.
func TestProfilesAreForTheAdminListenerByChoiceAlone(t *testing.T) {
	t.Parallel()
	for _, pprof := range []bool{true, false} {
		t.Run(fmt.Sprint(pprof), func(t *testing.T) {
			t.Parallel()
			up := newRecorder(t)
			g := prepare(t, strings.NewReplacer("http://127.0.0.1:1", "http://"+up.addr, "authenticated", "anyone", `"{ADMIN}" }`, fmt.Sprintf(`"{ADMIN}", pprof: %v }`, pprof)).Replace(goodConfig)).start()
			admin := newClient(t, "http://"+g.admin)
			want := map[bool]int{true: 200, false: 404}[pprof]
			for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=1", "/debug/pprof/symbol", "/debug/pprof/trace?seconds=0.1"} {
				admin.get(path).want(t, want, path)
			}
			admin.get("/debug/pprof/cmdline").want(t, 404, "the command line")
			admin.get("/healthz").want(t, 200, "a probe")
			admin.get("/metrics").want(t, 200, "metrics")
			for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap"} {
				if r := g.client().get(path); strings.Contains(r.body, "pprof") || r.Header.Get("Content-Type") == "application/octet-stream" {
					t.Errorf("the public listener has a profile at %s: %s", path, r.body)
				}
			}
			if seen := up.take(); len(seen) != 2 {
				t.Errorf("the application was asked %d times for its own paths, want 2", len(seen))
			}
			if !pprof {
				return
			}
			cmd := exec.Command("go", "tool", "pprof", "-top", "http://"+g.admin+"/debug/pprof/heap")
			cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir())
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Type: inuse_space") {
				t.Errorf("go tool pprof: %v\n%s", err, out)
			}
		})
	}
}
