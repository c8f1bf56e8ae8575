package e2e

import (
	"crypto/tls"
	"crypto/x509"
	wire "encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

var pebbleOnce sync.Once

// pebble is the path of the ACME server of the people behind Let's Encrypt, made
// for tests: it looks at domains as theirs does, sends one nonce in twenty back,
// and forgets everything when it ends.
func pebble(t testing.TB) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(postern(t)), "pebble")
	pebbleOnce.Do(func() {
		out, err := exec.Command("go", "build", "-C", "../tools", "-o", path, "github.com/letsencrypt/pebble/v2/cmd/pebble").CombinedOutput()
		if err != nil {
			t.Logf("build pebble: %v\n%s", err, out)
		}
	})
	if _, err := os.Stat(path); err != nil {
		lack(t, "pebble (go build -C tools)")
	}
	return path
}

// authority is a running Pebble.
type authority struct {
	t testing.TB
	app
	directory string // its directory's URL
	ca        string // file: who vouches for Pebble's own certificate
	roots     *x509.CertPool
}

// startAuthority runs one that believes of every name that it leads to this
// machine, and connects to these ports of it to see. What it issues is good for
// so many seconds.
func startAuthority(t testing.TB, tlsAddr, httpAddr string, seconds int) *authority {
	t.Helper()
	path, dir := pebble(t), t.TempDir()
	g := &gateway{t: t, dir: dir}
	g.writeCertificate("localhost")
	listen, manage := freeAddr(t), freeAddr(t)
	conf, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": manage, "certificate": "cert.pem", "privateKey": "cert.key",
		"tlsPort": portOf(tlsAddr), "httpPort": portOf(httpAddr), "keyAlgorithm": "ecdsa",
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles":   map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": seconds}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	g.write("pebble.json", string(conf))
	a := &authority{t: t, directory: "https://localhost:" + strconv.Itoa(portOf(listen)) + "/dir", ca: filepath.Join(dir, "cert.pem")}
	a.app = startApp(t, listen, dir, []string{"PEBBLE_VA_NOSLEEP=1"}, path, "-config", "pebble.json", "-dnsserver", nameserver(t))
	a.roots = a.fetchRoots(manage)
	return a
}

func portOf(addr string) int {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return n
}

// fetchRoots asks Pebble for the root that it has made for this run.
func (a *authority) fetchRoots(manage string) *x509.CertPool {
	a.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	pool := x509.NewCertPool()
	eventually(a.t, "Pebble's root", func() bool {
		resp, err := client.Get("https://" + manage + "/roots/0")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return pool.AppendCertsFromPEM(text)
	})
	return pool
}

// nameserver answers every question for an address with this machine's.
func nameserver(t testing.TB) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		for answerName(conn) == nil {
		}
	})
}

// answerName answers one question of DNS over TCP.
func answerName(conn net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	text := make([]byte, wire.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, text); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(text); err != nil {
		return err
	}
	m.Response, m.Additionals = true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}})
		}
	}
	answer, err := m.AppendPack(size[:])
	if err != nil {
		return err
	}
	wire.BigEndian.PutUint16(answer, uint16(len(answer)-2))
	_, err = conn.Write(answer)
	return err
}
