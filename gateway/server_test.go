package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/policy"
)

func discardLog() *log.Logger { return slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) }

func (s *stack) admin(path string) (int, string) {
	w := httptest.NewRecorder()
	s.gateway.Admin().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func (s *stack) metricsText() string {
	_, text := s.admin("/metrics")
	return text
}

func TestOneLinePerRequestWithTheseKeys(t *testing.T) {
	s := newStack(t)
	token := s.token("alice")
	s.send("POST", "/app/home?password=s3cret&access_token="+token, "12345", bearer(token), "Cookie: app=c00kie").wants(t, 200, "")
	entry := s.log.entries(t, "request", 1)[0]
	want := map[string]any{"method": "POST", "host": "gw.test", "path": "/app/home", "route": "/app/**", "decision": "allow", "reason": "rule", "user": "alice",
		"status": 200.0, "bytes_in": 5.0, "bytes_out": 26.0, "client": "127.0.0.1", "upstream": "app"}
	for key, v := range want {
		if entry[key] != v {
			t.Errorf("%s %v, want %v", key, entry[key], v)
		}
	}
	var keys []string
	for key := range entry {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if got := strings.Join(keys, " "); got != "bytes_in bytes_out client decision duration_ms host level method msg path reason request_id route status time trace_id upstream user" {
		t.Errorf("keys %s", got)
	}
}

func TestNoSecretIsLogged_IL01(t *testing.T) {
	s := newStack(t)
	g := s.login("alice")
	for _, path := range []string{"/app/x", "/admin/x", "/nowhere", "/app//x", "/auth/me", "/auth/refresh", "/public/x?_method=PUT"} {
		q := "?"
		if strings.Contains(path, "?") {
			q = "&"
		}
		s.get(path+q+"access_token="+g.AccessToken, bearer(g.AccessToken))
		s.get(path+q+"token="+g.RefreshToken, "Cookie: postern="+g.AccessToken+"; postern_refresh="+g.RefreshToken)
	}
	s.send("POST", "/auth/login", `{"username":"alice","password":"`+testPassword+`"}`, "Content-Type: application/json").wants(t, 200, "")
	s.log.entries(t, "request", 15)
	for _, secret := range []string{g.AccessToken, g.RefreshToken, testPassword} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("%.20s... is in the log", secret)
		}
	}
}

func TestEveryRefusalHasAReasonOfTheClosedList(t *testing.T) {
	s := newStack(t)
	token := s.token("alice")
	for _, test := range []struct{ path, line, route, decision, reason string }{
		{"/app/x", "X-A: b", "/app/**", "challenge", "token_missing"},
		{"/admin/x", bearer(token), "/admin/**", "deny", "no_rule"},
		{"/admin/x", bearer("a.b.c"), "/admin/**", "challenge", "token_invalid"},
		{"/nowhere", "X-A: b", "none", "deny", "no_route"},
		{"/app//x", "X-A: b", "/app/**", "deny", "bad_path"},
		{"/app/%2e%2e/x", "X-A: b", "none", "deny", "bad_path"},
		{"/app/x", "Accept: text/html", "/app/**", "challenge", "token_missing"},
		{"/auth/login", "X-A: b", "gateway", "allow", "gateway"},
		{"/public/x", "X-A: b", "/public/**", "allow", "anyone"},
		{"/public/x", "Cookie: postern=a; postern=b", "/public/**", "deny", "bad_request"},
	} {
		before := len(s.log.entries(t, "request", 0))
		r := s.get(test.path, test.line)
		entry := s.log.entries(t, "request", before+1)[before]
		if entry["route"] != test.route || entry["decision"] != test.decision || entry["reason"] != test.reason && entry["reason"] != "token_malformed" {
			t.Errorf("%s %s: %v %v %v", test.path, test.line, entry["route"], entry["decision"], entry["reason"])
		}
		line := `postern_requests_total{code="` + strconv.Itoa(r.StatusCode) + `",decision="` + test.decision + `",reason="` + entry["reason"].(string) + `",route="` + test.route + `"}`
		if !strings.Contains(s.metricsText(), line) {
			t.Errorf("not counted: %s", line)
		}
	}
}

func TestAuditAndItsCounters(t *testing.T) {
	s := newStack(t)
	for _, name := range []string{"login", "login_failed", "locked", "refresh", "refresh_reused", "logout"} {
		s.gateway.Audit(t.Context(), auth.Event{Name: name, User: "alice", By: "root", Client: auth.Client{RequestID: "r1"}, Detail: "why"})
	}
	entries := s.log.entries(t, "audit", 6)
	if e := entries[1]; e["event"] != "login_failed" || e["user"] != "alice" || e["by"] != "root" || e["request_id"] != "r1" || e["client"] != "" {
		t.Errorf("logged %v", e)
	}
	for i, want := range []string{"INFO", "WARN", "WARN", "INFO", "WARN", "INFO"} { // alerts go by the level
		if entries[i]["level"] != want {
			t.Errorf("%s is %s, want %s", entries[i]["event"], entries[i]["level"], want)
		}
	}
	text := s.metricsText()
	for _, line := range []string{`postern_audit_events_total{event="login"} 1`, `postern_audit_events_total{event="refresh_reused"} 1`, "postern_sessions 0", "postern_config_last_reload_successful 1"} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("not counted: %s", line)
		}
	}
	quiet := New(Options{Auth: s.service, Log: slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelError}))})
	quiet.Audit(t.Context(), auth.Event{Name: "key_rotated"})
	s.log.entries(t, "audit", 7)
}

func TestProbesSayWhatToDoWithTraffic(t *testing.T) {
	s := newStack(t)
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok"} {
		if status, body := s.admin(path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	away := New(Options{Auth: awayStore{s.service}, Log: slog.New(slog.DiscardHandler)})
	starting := &stack{t: t, gateway: away}
	if status, _ := starting.admin("/readyz"); status != 503 {
		t.Errorf("before the first snapshot: %d", status)
	}
	away.snap.Store(s.gateway.snap.Load())
	if status, body := starting.admin("/readyz"); status != 200 || !strings.Contains(body, "degraded") {
		t.Errorf("without a store: %d %s", status, body)
	}
	s.gateway.Drain()
	if status, body := s.admin("/readyz"); status != 503 || !strings.Contains(body, "draining") {
		t.Errorf("draining: %d %s", status, body)
	}
	if status, _ := s.admin("/healthz"); status != 200 {
		t.Errorf("draining, alive: %d", status)
	}
	s.get("/public/x").wants(t, 200, "")
	if r := s.get("/metrics"); r.StatusCode != 404 {
		t.Errorf("metrics on the public listener: %d", r.StatusCode)
	}
}

// awayStore is the real Service at a time when its store does not answer.
type awayStore struct{ *auth.Service }

func (awayStore) Healthy() error { return auth.ErrUnavailable }

func (awayStore) SessionCount(context.Context) (int, error) { return 0, auth.ErrUnavailable }

func TestAReloadIsWholeOrNotAtAll_CF02(t *testing.T) {
	s := newStack(t)
	old := s.gateway.snap.Load()
	err := s.gateway.Reload(t.Context(), func() (*Snapshot, error) { return nil, errors.New("gateway.yaml:3:1: no") })
	if err == nil || s.gateway.snap.Load() != old || !strings.Contains(s.metricsText(), "postern_config_last_reload_successful 0") {
		t.Errorf("a refused reload: %v", err)
	}
	s.get("/admin/panel").wants(t, 401, "token_missing")
	s.parts.Table, _ = policy.Compile(policy.Config{Roles: []string{"user"}, Upstreams: []policy.Upstream{{Name: "app"}},
		Routes: []policy.Route{{Path: "/admin/**", Allow: []policy.Rule{{Anyone: true}}}}})
	must(t, s.gateway.Reload(t.Context(), func() (*Snapshot, error) { return s.gateway.Build(s.parts) }))
	s.get("/admin/panel").wants(t, 200, "")
	s.get("/public/x").wants(t, 404, "no_route")
	text := s.metricsText()
	if !strings.Contains(text, "postern_config_last_reload_successful 1") || !strings.Contains(text, `postern_config_info{snapshot="2"} 1`) || strings.Contains(text, `postern_config_info{snapshot="1"}`) {
		t.Error("metrics do not tell of the new snapshot")
	}
	entries := s.log.entries(t, "audit", 2)
	if entries[0]["event"] != "reload_refused" || entries[0]["level"] != "WARN" || entries[1]["event"] != "reload" || !strings.Contains(entries[0]["detail"].(string), "gateway.yaml:3:1") {
		t.Errorf("audit %v", entries)
	}
}

func TestARequestKeepsTheSnapshotItBeganWith(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := newStack(t, func(c *setup) {
		c.answer = func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/slow") {
				close(arrived)
				<-release
			}
			_, _ = io.WriteString(w, "done")
		}
	})
	old := s.gateway.snap.Load()
	got := make(chan *reply, 1)
	go func() { got <- s.get("/public/slow") }()
	<-arrived
	fresh, err := s.gateway.Build(s.parts)
	must(t, err)
	s.gateway.Swap(fresh)
	if !old.retired.Load() || old.requests.Load() != 1 {
		t.Errorf("retired %v, requests %d", old.retired.Load(), old.requests.Load())
	}
	close(release)
	(<-got).wants(t, 200, "")
	eventually(t, "the last request of the old snapshot", func() bool { return old.requests.Load() == 0 })
}

func TestAPanicIsAnsweredLoggedAndGoesNoFurther(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.wrap = func(o Own) Own { return panicking{o} }
	})
	s.get("/auth/panic").wants(t, 500, "")
	s.get("/public/x").wants(t, 200, "")
	if entry := s.log.entries(t, "panic", 1)[0]; entry["fault"] != "ouch" || !strings.Contains(entry["stack"].(string), "server_test.go") {
		t.Errorf("logged %v", entry)
	}
	if entry := s.log.entries(t, "request", 1)[0]; entry["status"] != 500.0 || entry["reason"] != "internal_error" {
		t.Errorf("logged %v", entry)
	}
}

// panicking is the real endpoints with a fault.
type panicking struct{ Own }

func (p panicking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/auth/panic" {
		panic("ouch")
	}
	p.Own.ServeHTTP(w, r)
}

func TestOwnEndpointsGetANormalisedRequest(t *testing.T) {
	var got *http.Request
	s := newStack(t, func(c *setup) {
		c.gateway.TrustedProxies, c.gateway.Hosts = []string{"127.0.0.1"}, []string{"front.test"}
		c.wrap = func(o Own) Own { return spy{o, &got} }
	})
	g := s.login("alice")
	s.get("/auth/me", bearer(g.AccessToken), "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Host: front.test").wants(t, 200, "")
	p := auth.PresentedIn(got.Context())
	if got.Host != "front.test" || got.RemoteAddr != "203.0.113.9:0" || len(got.Header.Get("X-Request-Id")) != 32 || p.Kind != auth.BearerCredential || p.Principal.Session != g.Session {
		t.Errorf("host %s, address %s, id %q, %v %v", got.Host, got.RemoteAddr, got.Header.Get("X-Request-Id"), p.Kind, p.Principal)
	}
}

type spy struct {
	Own
	got **http.Request
}

func (s spy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	*s.got = r
	s.Own.ServeHTTP(w, r)
}

func TestAPortInUseIsSaidAtTheStart(t *testing.T) {
	s := newStack(t)
	conf := DefaultConfig()
	conf.Listen, conf.Admin.Listen = s.server.Addr(), s.server.Addr()
	if err := NewServer(conf, s.gateway, slog.New(slog.DiscardHandler)).Listen(); err == nil || !strings.Contains(err.Error(), "another program has it already") || !strings.Contains(err.Error(), "POSTERN_LISTEN") {
		t.Errorf("%v", err)
	}
	if err := NewAdminServer(conf, s.gateway.Admin(), slog.New(slog.DiscardHandler)).Listen(); err == nil || !strings.Contains(err.Error(), "POSTERN_ADMIN_LISTEN") {
		t.Errorf("%v", err)
	}
}

func TestAUnixSocketIsServedAndAStaleOneReplaced(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.TrustedProxies = []string{"unix"} })
	path := filepath.Join(t.TempDir(), "s.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	must(t, err)
	stale.SetUnlinkOnClose(false)
	conf := s.parts.Config
	conf.Listen = "unix:" + path
	if err := NewServer(conf, s.gateway, slog.New(slog.DiscardHandler)).Listen(); err == nil {
		t.Error("a socket that is in use was taken")
	}
	stale.Close()
	server := NewServer(conf, s.gateway, slog.New(slog.DiscardHandler))
	must(t, server.Listen())
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	conn, err := net.Dial("unix", path)
	must(t, err)
	request := "GET /public/x HTTP/1.1\r\nHost: gw.test\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n\r\n"
	write(t, conn, request)
	if got := s.read(newReader(conn), request, 0).saw(t).header.Get("X-Forwarded-For"); got != "203.0.113.9" {
		t.Errorf("X-Forwarded-For %q", got)
	}
	conn.Close()
	must(t, server.Shutdown(t.Context()))
	must(t, <-served)
}

func TestTLSServesHTTP2AndReloadsItsCertificate(t *testing.T) {
	dir := t.TempDir()
	first := writeCertificate(t, dir)
	s := newStack(t, func(c *setup) {
		c.gateway.PublicURL = "https://gw.test"
		c.gateway.TLS = TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	})
	alice := s.token("alice")
	get := func(trust *x509.Certificate, fields ...string) (*http.Response, error) {
		pool := x509.NewCertPool()
		pool.AddCert(trust)
		tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "gw.test"}, DisableKeepAlives: true}
		defer tr.CloseIdleConnections()
		r, _ := http.NewRequest("GET", "https://"+s.server.Addr()+"/app/home", nil)
		r.Host = "gw.test"
		for i := 0; i < len(fields); i += 2 {
			r.Header[fields[i]] = append(r.Header[fields[i]], fields[i+1])
		}
		res, err := tr.RoundTrip(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		return res, err
	}
	res, err := get(first, "Authorization", "Bearer "+alice, "x-auth-user", "root", "x_auth_user", "root") // SM-071
	must(t, err)
	saw := s.app.after(0)
	if res.ProtoMajor != 2 || res.StatusCode != 200 || !slices.Equal(values(saw.header, "X-Auth-User"), []string{"alice"}) || saw.header["X_auth_user"] != nil || saw.header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("HTTP/%d %d, saw %v", res.ProtoMajor, res.StatusCode, saw.header)
	}
	res, err = get(first, "Cookie", "__Host-postern=a", "Cookie", "__Host-postern=b") // SM-074
	must(t, err)
	if res.StatusCode != 400 {
		t.Errorf("two cookies over HTTP/2: %d", res.StatusCode)
	}
	second := writeCertificate(t, dir)
	must(t, s.server.ReloadCertificate())
	if _, err = get(first); err == nil {
		t.Error("the old certificate is still served")
	}
	if res, err = get(second); err != nil || res.StatusCode != 401 {
		t.Errorf("the new certificate: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "key.pem"), []byte("junk"), 0o600))
	if err := s.server.ReloadCertificate(); err == nil || !strings.Contains(err.Error(), "key.pem") {
		t.Errorf("junk was loaded, or nobody is told from where: %v", err)
	}
	if _, err = get(second); err != nil {
		t.Errorf("after a failed reload: %v", err)
	}
}

func writeCertificate(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"gw.test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert
}

func TestABoundOfEachClientThatBoundsNothingIsWarnedOf(t *testing.T) {
	for _, test := range []struct{ all, each int }{{0, 5}, {5, 0}, {5, 4}, {5, 5}, {5, 6}} {
		c := DefaultConfig()
		c.Upstreams = []Upstream{{Name: "app", URLs: []string{"http://127.0.0.1:1"}}}
		c.Limits.Connections, c.Limits.ConnectionsPerClient = test.all, test.each
		found := c.Validate(nil)
		if warned := len(found) == 1 && found[0].Warning && found[0].Path == "limits.connections_per_client"; warned != (test.each >= 5 && test.all > 0) || len(found) > 1 {
			t.Errorf("%+v: %v", test, found)
		}
	}
}

func TestConfigurationFaultsSayWhatToDo(t *testing.T) {
	for _, test := range []struct {
		path, words string
		change      func(*Config, *RouteOptions)
	}{
		{"upstreams", "name the application", func(c *Config, _ *RouteOptions) { c.Upstreams = nil }},
		{"listen", "127.0.0.1:8080", func(c *Config, _ *RouteOptions) { c.Listen = "here" }},
		{"admin.listen", "public listener", func(c *Config, _ *RouteOptions) { c.Admin.Listen = c.Listen }},
		{"public_url", "write https://gw.test", func(c *Config, _ *RouteOptions) { c.PublicURL = "gw.test" }},
		{"public_url", "root of its site", func(c *Config, _ *RouteOptions) { c.PublicURL = "https://u:hunter2@gw.test/x" }},
		{"hosts[0]", "no host name", func(c *Config, _ *RouteOptions) { c.Hosts = []string{"a/b"} }},
		{"tls", "belong together", func(c *Config, _ *RouteOptions) { c.TLS.CertFile = "x" }},
		{"tls.client_ca_file", "needs cert_file", func(c *Config, _ *RouteOptions) { c.TLS.ClientCAFile = "x" }},
		{"limits.connections", "negative", func(c *Config, _ *RouteOptions) { c.Limits.Connections = -1 }},
		{"limits.connections_per_client", "negative", func(c *Config, _ *RouteOptions) { c.Limits.ConnectionsPerClient = -1 }},
		{"log.level", "debug", func(c *Config, _ *RouteOptions) { c.Log.Level = "loud" }},
		{"log.format", "json", func(c *Config, _ *RouteOptions) { c.Log.Format = "xml" }},
		{"trusted_proxies[0]", "CIDR", func(c *Config, _ *RouteOptions) { c.TrustedProxies = []string{"proxy"} }},
		{"upstreams[0].name", "missing", func(c *Config, _ *RouteOptions) { c.Upstreams[0].Name = "" }},
		{"upstreams[1].name", "already", func(c *Config, _ *RouteOptions) { c.Upstreams = append(c.Upstreams, c.Upstreams[0]) }},
		{"upstreams[0].urls", "missing", func(c *Config, _ *RouteOptions) { c.Upstreams[0].URLs = nil }},
		{"upstreams[0].urls[1]", "listed already", func(c *Config, _ *RouteOptions) { c.Upstreams[0].URLs = []string{"http://a", "http://a/"} }},
		{"upstreams[0].urls[1]", "no URL of an application", func(c *Config, _ *RouteOptions) { c.Upstreams[0].URLs = []string{"http://a", "ftp://u:hunter2@b"} }},
		{"upstreams[0].urls", "more than 64", func(c *Config, _ *RouteOptions) {
			for i := range 64 {
				c.Upstreams[0].URLs = append(c.Upstreams[0].URLs, "http://app-"+strconv.Itoa(i))
			}
		}},
		{"upstreams[0].urls[0]", "whole path", func(c *Config, _ *RouteOptions) { c.Upstreams[0].URLs = []string{"unix:app.sock"} }},
		{"upstreams[0].urls[0]", "plain path", func(c *Config, _ *RouteOptions) { c.Upstreams[0].URLs = []string{"h2c://u:hunter2@a"} }},
		{"upstreams[0].urls[0]", "write http://localhost:3000", func(c *Config, _ *RouteOptions) { c.Upstreams[0].URLs = []string{"localhost:3000"} }},
		{"upstreams[0].urls[0]", "plain path", func(c *Config, _ *RouteOptions) { c.Upstreams[0].URLs = []string{"http://a/../b"} }},
		{"upstreams[0].authorization", "pass", func(c *Config, _ *RouteOptions) { c.Upstreams[0].Authorization = "keep" }},
		{"upstreams[0].host", "rewrite", func(c *Config, _ *RouteOptions) { c.Upstreams[0].Host = "x" }},
		{"upstreams[0].router", "express", func(c *Config, _ *RouteOptions) { c.Upstreams[0].Router = "rails" }},
		{"upstreams[0].transport", "standard", func(c *Config, _ *RouteOptions) { c.Upstreams[0].Transport = "fast" }},
		{"upstreams[0].health.path", "is missing", func(c *Config, _ *RouteOptions) { c.Upstreams[0].Health.Interval = 1 }},
		{"upstreams[0].health.path", "no plain path", func(c *Config, _ *RouteOptions) { c.Upstreams[0].Health.Path = "healthz" }},
		{"upstreams[0].health.path", "no plain path", func(c *Config, _ *RouteOptions) { c.Upstreams[0].Health.Path = "/../healthz" }},
		{"upstreams[0].health.path", "no plain path", func(c *Config, _ *RouteOptions) { c.Upstreams[0].Health.Path = "/healthz?a b" }},
		{"upstreams[0].health", "negative", func(c *Config, _ *RouteOptions) { c.Upstreams[0].Health = Health{Path: "/healthz", Timeout: -1} }},
		{"upstreams[0].timeouts", "negative", func(c *Config, _ *RouteOptions) { c.Upstreams[0].Timeouts.Dial = -1 }},
		{"upstreams[0].tls", "belong together", func(c *Config, _ *RouteOptions) { c.Upstreams[0].TLS.KeyFile = "x" }},
		{"upstreams[0].forward_token", "authorization: pass", func(c *Config, _ *RouteOptions) {
			c.Upstreams[0].ForwardToken, c.Upstreams[0].Authorization = true, "pass"
		}},
		{"upstreams[0].keep_headers[0]", "always stripped", func(c *Config, _ *RouteOptions) { c.Upstreams[0].KeepHeaders = []string{"X_Auth_User"} }},
		{"upstreams[0].keep_headers[0]", "reads as", func(c *Config, _ *RouteOptions) { c.Upstreams[0].KeepHeaders = []string{"Transfer_Encoding"} }},
		{"upstreams[0].keep_headers[0]", "no header name", func(c *Config, _ *RouteOptions) { c.Upstreams[0].KeepHeaders = []string{"a b"} }},
		{"identity.headers[0].name", "message itself", func(c *Config, _ *RouteOptions) { c.Identity.Headers = []Header{{Name: "Cookie", Value: "id"}} }},
		{"identity.headers[0].name", "no header name", func(c *Config, _ *RouteOptions) { c.Identity.Headers = []Header{{Name: "A B", Value: "id"}} }},
		{"identity.headers[1].name", "twice", func(c *Config, _ *RouteOptions) {
			c.Identity.Headers = []Header{{Name: "X-A", Value: "id"}, {Name: "x_a", Value: "name"}}
		}},
		{"identity.headers[0].value", "missing", func(c *Config, _ *RouteOptions) { c.Identity.Headers = []Header{{Name: "X-A"}} }},
		{"identity.headers[0].value", "username", func(c *Config, _ *RouteOptions) { c.Identity.Headers = []Header{{Name: "X-A", Value: "password"}} }},
		{"identity.presets[0]", "grafana", func(c *Config, _ *RouteOptions) { c.Identity.Presets = []string{"kibana"} }},
		{"routes[0].rewrite", "plain path", func(_ *Config, o *RouteOptions) { o.Rewrite = "v2" }},
		{"routes[0].rewrite", "plain path", func(_ *Config, o *RouteOptions) { o.Rewrite = "/v2/../x" }},
		{"routes[0].rewrite", "plain path", func(_ *Config, o *RouteOptions) { o.Rewrite = "//evil.test/" }},
		{"routes[0].rewrite", "plain path", func(_ *Config, o *RouteOptions) { o.Rewrite = "/v2/{id}" }},
		{"routes[0].rewrite", "plain path", func(_ *Config, o *RouteOptions) { o.Rewrite = "/v2?x=" }},
		{"routes[0].rewrite", "plain path", func(_ *Config, o *RouteOptions) { o.Rewrite = "/a%2fb" }},
		{"routes[0].rate_limit.per", "user or client", func(_ *Config, o *RouteOptions) { o.RateLimit = &RateLimit{} }},
		{"routes[0].rate_limit.per", "none of user, client", func(_ *Config, o *RouteOptions) { o.RateLimit = &RateLimit{Per: "address"} }},
		{"routes[0].rate_limit.requests", "1 or more", func(_ *Config, o *RouteOptions) { o.RateLimit = &RateLimit{Per: "user", Window: time.Minute} }},
		{"routes[0].rate_limit.window", "1s or more", func(_ *Config, o *RouteOptions) { o.RateLimit = &RateLimit{Per: "user", Requests: 1} }},
		{"routes[0].timeout", "negative", func(_ *Config, o *RouteOptions) { o.Timeout = -1 }},
		{"routes[0].max_body", "negative", func(_ *Config, o *RouteOptions) { o.MaxBody = -1 }},
		{"routes[0].strip_prefix", "begin with /", func(_ *Config, o *RouteOptions) { o.StripPrefix = "/a/" }},
		{"routes[0].cors.origins", "missing", func(_ *Config, o *RouteOptions) { o.CORS = &CORS{} }},
		{"routes[0].cors.origins[0]", "every site", func(_ *Config, o *RouteOptions) { o.CORS = &CORS{Origins: []string{"*"}, Credentials: true} }},
		{"routes[0].cors.origins[0]", "no origin", func(_ *Config, o *RouteOptions) { o.CORS = &CORS{Origins: []string{"https://a/"}} }},
		{"routes[0].cors.max_age", "negative", func(_ *Config, o *RouteOptions) { o.CORS = &CORS{Origins: []string{"https://a"}, MaxAge: -1} }},
	} {
		c, o := DefaultConfig(), RouteOptions{}
		c.Upstreams = []Upstream{{Name: "app", URLs: []string{"http://127.0.0.1:3000"}}}
		if f := c.Validate([]RouteOptions{o}); len(f) != 0 {
			t.Fatalf("the default has faults: %v", f)
		}
		test.change(&c, &o)
		f := c.Validate([]RouteOptions{o})
		if !slices.ContainsFunc(f, func(f Fault) bool {
			return f.Path == test.path && strings.Contains(f.Message, test.words) && !f.Warning
		}) {
			t.Errorf("want %s: ...%s..., got %v", test.path, test.words, f)
		}
		if text, _ := json.Marshal(f); strings.Contains(string(text), "hunter2") {
			t.Errorf("a password is told: %s", text)
		}
	}
}

func TestTrustInEverybodyIsWarnedOf_CF15(t *testing.T) {
	for _, all := range []string{"0.0.0.0/0", "::/0", "::ffff:0:0/96"} {
		c := DefaultConfig()
		c.Upstreams, c.TrustedProxies = []Upstream{{Name: "app", URLs: []string{"http://127.0.0.1:3000"}}}, []string{all}
		if f := c.Validate(nil); len(f) != 1 || !f[0].Warning || f[0].Path != "trusted_proxies[0]" {
			t.Errorf("%s: %v", all, f)
		}
	}
}

func TestBuildRefusesWhatDoesNotFitTogether(t *testing.T) {
	s := newStack(t)
	for words, change := range map[string]func(*Parts){
		"are missing":           func(p *Parts) { p.Own = nil },
		"cookies' names":        func(p *Parts) { p.Cookies.Access = "" },
		"the options are for 1": func(p *Parts) { p.Routes = make([]RouteOptions, 1) },
		"is no source":          func(p *Parts) { p.TokenSources = []string{"query"} },
		"cors.origins":          func(p *Parts) { p.CORSOrigins = []string{"spa.test"} },
		"does not exist": func(p *Parts) {
			p.Config.Upstreams = []Upstream{{Name: "a", URLs: []string{"http://a"}}, {Name: "b", URLs: []string{"http://b"}}}
		},
	} {
		p := s.parts
		change(&p)
		if _, err := s.gateway.Build(p); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want ...%s..., got %v", words, err)
		}
	}
}
