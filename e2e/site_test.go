package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// writeCertificate makes a pair of cert.pem and cert.key that nobody vouches for.
func (g *gateway) writeCertificate(host string) {
	g.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		g.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		g.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		g.t.Fatal(err)
	}
	g.write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	g.write("cert.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// legacy is an application that knows nothing of tokens: it serves pages and
// writes down what they send.
type legacy struct {
	*httptest.Server
	mu   sync.Mutex
	seen []arrival
}

// arrival is a request as the application got it.
type arrival struct {
	method, target, user, email, kind, body string
}

// startLegacy serves pages by their path; all else is answered "ok".
func startLegacy(t *testing.T, pages map[string]string) *legacy {
	t.Helper()
	l := &legacy{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the test misses it
		}
		l.mu.Lock()
		l.seen = append(l.seen, arrival{r.Method, r.URL.RequestURI(), r.Header.Get("X-Auth-User"), r.Header.Get("X-Auth-Email"), r.Header.Get("Content-Type"), string(body)})
		l.mu.Unlock()
		page, ok := pages[r.URL.Path]
		if !ok || r.Method != http.MethodGet {
			page = "ok"
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
	}))
	t.Cleanup(l.Close)
	return l
}

// arrived are the requests whose target begins so, oldest first.
func (l *legacy) arrived(target string) []arrival {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []arrival
	for _, a := range l.seen {
		if strings.HasPrefix(a.target, target) {
			found = append(found, a)
		}
	}
	return found
}

// publish runs a gateway before a legacy application as a site of its own:
// public is the URL without the port, which is the gateway's own. With https
// it ends TLS itself. more is laid over the auth section. It answers the whole
// public URL.
func publish(t *testing.T, l *legacy, public, more string) (*gateway, string) {
	t.Helper()
	config := strings.NewReplacer("{UPSTREAM}", strings.TrimPrefix(l.URL, "http://"), "auth:\n", "auth:\n"+more).Replace(corpusPolicy)
	g := prepare(t, "")
	_, port, _ := net.SplitHostPort(g.addr)
	site := public + ":" + port
	_, host, _ := strings.Cut(public, "://")
	config = strings.NewReplacer("http://gw.test", site, "[gw.test]", "["+host+"]").Replace(config)
	if strings.HasPrefix(public, "https:") {
		g.writeCertificate(host)
		config += "tls: { cert_file: cert.pem, key_file: cert.key }\n"
	}
	g.configure(config)
	g.addUser("alice", "user")
	g.start()
	return g, site
}

// visitor is a client of a published site that finds it under any of its names.
func (g *gateway) visitor(site string) *client {
	c := newClient(g.t, site)
	transport := dialing(g.addr)
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the certificate is this test's own
	c.http.Transport = transport
	return c
}
