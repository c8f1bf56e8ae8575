package gateway_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/gateway"
)

func TestAProbeAsksEveryAddressAsNobody(t *testing.T) {
	var asked []*http.Request
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r)
		w.Header().Set("Location", "/login") // not followed
		w.Header().Set("Date", "Fri, 01 May 2026 12:00:00 GMT")
		w.WriteHeader(http.StatusFound)
	})
	app := httptest.NewServer(answer)
	defer app.Close()
	socket := filepath.Join(t.TempDir(), "app.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	local := &httptest.Server{Listener: ln, Config: &http.Server{Handler: answer}}
	local.Start()
	defer local.Close()

	u := &gateway.Upstream{Name: "app", URLs: []string{app.URL + "/base", "unix:" + socket, "http://127.0.0.1:9"}}
	u.Health.Path = "/health"
	probes, err := gateway.ProbeUpstream(t.Context(), u, "app.example.com")
	if err != nil || len(probes) != 3 {
		t.Fatalf("%+v, %v", probes, err)
	}
	for i, want := range []struct{ url, address, path string }{
		{app.URL + "/base", strings.TrimPrefix(app.URL, "http://"), "/base/health"},
		{"unix:" + socket, "", "/health"},
	} {
		p := probes[i]
		if p.URL != want.url || p.Address != want.address || p.Status != http.StatusFound || p.Err != nil || p.Date.Unix() != 1777636800 {
			t.Errorf("%+v", p)
		}
		r := asked[i]
		if r.URL.Path != want.path || r.Host != "app.example.com" || r.Method != "GET" || r.Header.Get("Cookie")+r.Header.Get("X-Auth-User") != "" {
			t.Errorf("asked %s %s of %s: %v", r.Method, r.URL, r.Host, r.Header)
		}
	}
	if p := probes[2]; p.Err == nil || p.Status != 0 || p.Address != "127.0.0.1:9" {
		t.Errorf("of nobody: %+v", p)
	}
	if len(asked) != 2 {
		t.Errorf("%d requests", len(asked))
	}
}

func TestAProbeNamesTheUpstreamItselfWhereRequestsDo(t *testing.T) {
	var host string
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { host = r.Host }))
	defer app.Close()
	if _, err := gateway.ProbeUpstream(t.Context(), &gateway.Upstream{URLs: []string{app.URL}, Host: "rewrite"}, "app.example.com"); err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimPrefix(app.URL, "http://"); host != want {
		t.Errorf("Host: %s, want %s", host, want)
	}
}

func TestAProbeWithoutItsCertificateIsAnError(t *testing.T) {
	u := &gateway.Upstream{URLs: []string{"https://127.0.0.1:9"}, TLS: gateway.UpstreamTLS{CAFile: "/nowhere/ca.pem"}}
	if _, err := gateway.ProbeUpstream(t.Context(), u, ""); err == nil || !strings.Contains(err.Error(), "tls.ca_file") {
		t.Errorf("got %v", err)
	}
}
