package gateway

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/policy"
)

// series are the names with labels of what a scrape answers, without values.
func (s *stack) series() map[string]bool {
	s.t.Helper()
	found := map[string]bool{}
	for line := range strings.Lines(s.metricsText()) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			found[line[:at]] = true
		}
	}
	return found
}

// counts fails the test unless a scrape has each of the lines.
func (s *stack) counts(lines ...string) {
	s.t.Helper()
	text := s.metricsText()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			s.t.Errorf("no %s", line)
		}
	}
}

// TestAFloodOfNamesMakesNoSeries: whatever a client sends, in any place, names
// no series. What it asks for decides among the closed lists alone.
func TestAFloodOfNamesMakesNoSeries_ML01(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.policy.Routes = append(c.policy.Routes, policy.Route{Path: "/status/{code}", Allow: []policy.Rule{{Anyone: true}}})
		c.answer = func(w http.ResponseWriter, r *http.Request) {
			code := http.StatusOK
			_, _ = fmt.Sscanf(r.URL.Path, "/status/%d", &code)
			w.WriteHeader(code)
		}
	})
	ask := func(i int) {
		word := fmt.Sprintf("stranger%d", i)
		for _, path := range []string{"/app/" + word, "/nowhere/" + word, "/public/" + word + "?" + word + "=1", "/api/users/" + word, "/%zz" + word} {
			s.get(path, "X-Request-Id: "+word, "User-Agent: "+word)
			s.get(path, bearer(word), "X-"+word+": 1")
		}
		s.raw(strings.ToUpper(word) + " /app/x HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n")
		s.raw("GET /app/x HTTP/1.1\r\nHost: " + word + ".test\r\nConnection: close\r\n\r\n")
		s.get(fmt.Sprintf("/status/%d", 600+i))
		s.get(fmt.Sprintf("/status/%d", 430+i%2)) // 430 has no name, 431 has
		_, _ = s.service.Login(t.Context(), auth.Credentials{Username: word, Password: word}, auth.Client{UserAgent: word})
		_, _ = s.service.Refresh(t.Context(), word, auth.Client{RequestID: word})
	}
	for i := range 4 { // each kind once
		ask(i)
	}
	before := s.series()
	for i := range 12 {
		ask(100 + i)
	}
	for name := range s.series() {
		if !before[name] {
			t.Errorf("the flood made %s", name)
		}
		if strings.Contains(name, "stranger") {
			t.Errorf("a client's word is in %s", name)
		}
	}
	s.counts(`postern_logins_total{result="failed"} 16`, `postern_refreshes_total{result="invalid"} 16`)
}

func TestWhatAnAlertWaitsForIsThereFromTheStart(t *testing.T) {
	s := newStack(t)
	s.counts(`postern_refreshes_total{result="reused"} 0`, `postern_logins_total{result="locked"} 0`, `postern_logins_total{result="busy"} 0`,
		`postern_registrations_total{result="success"} 0`, `postern_store_errors_total{operation="rotate"} 0`, `postern_config_reloads_total{result="refused"} 0`,
		`postern_log_errors_total{log="audit"} 0`, `postern_password_hashes_refused_total 0`, `postern_password_hashes_waiting 0`, `postern_store_available 1`,
		`postern_streams_open 0`)
}

func TestTheServicesNumbersAreMetrics(t *testing.T) {
	s := newStack(t)
	g := s.login("alice")
	s.get("/app/x", bearer(g.AccessToken)).wants(t, 200, "")
	s.get("/app/x", bearer(g.AccessToken)).wants(t, 200, "")
	for range 2 {
		if _, err := s.service.Refresh(t.Context(), g.RefreshToken, auth.Client{}); err != nil {
			t.Fatal(err)
		}
	}
	s.counts(`postern_logins_total{result="success"} 1`, `postern_refreshes_total{result="success"} 1`, `postern_refreshes_total{result="repeated"} 1`,
		`postern_token_cache_lookups_total{result="hit"} 1`, `postern_token_cache_lookups_total{result="miss"} 1`, `postern_token_cache_entries 1`,
		`postern_password_hashes_total 3`, `postern_sessions 1`) // two accounts were made
	s.gateway.auth = awayStore{s.service}
	away := &stack{t: t, gateway: New(Options{Auth: awayStore{s.service}, Log: slog.New(slog.DiscardHandler), Version: "v1",
		LogErrors: func() LogErrors { return LogErrors{Main: 1, Audit: 2} }})}
	away.counts(`postern_sessions NaN`, `postern_store_available 0`, `postern_log_errors_total{log="main"} 1`, `postern_log_errors_total{log="audit"} 2`)
	if !strings.Contains(away.metricsText(), `postern_build_info{goversion="go1`) || !strings.Contains(away.metricsText(), `version="v1"} 1`) {
		t.Error("the build is not named")
	}
}

func TestTheStoreIsMeasured(t *testing.T) {
	s := newStack(t)
	s.gateway.ObserveStore(auth.StoreCall{Operation: "rotate", Took: 3 * time.Millisecond})
	s.gateway.ObserveStore(auth.StoreCall{Operation: "rotate", Took: 3 * time.Second, Fault: true})
	s.gateway.ObserveStore(auth.StoreCall{Operation: "what nobody knows", Took: time.Second})
	s.counts(`postern_store_duration_seconds_bucket{operation="rotate",le="0.005"} 1`, `postern_store_duration_seconds_count{operation="rotate"} 2`,
		`postern_store_errors_total{operation="rotate"} 1`, `postern_store_errors_total{operation="keys"} 0`)
	if strings.Contains(s.metricsText(), "nobody knows") {
		t.Error("a word that is not on the list became a label")
	}
}

// TestConnectionsAndStreamsAreCountedWhileTheyLast also where there is no limit.
func TestConnectionsAndStreamsAreCountedWhileTheyLast(t *testing.T) {
	for _, limit := range []int{0, 100} {
		release := make(chan struct{})
		s := newStack(t, func(c *setup) {
			c.gateway.Limits.Connections = limit
			c.answer = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_ = http.NewResponseController(w).Flush()
				<-release
			}
		})
		conn := s.dial()
		_, err := io.WriteString(conn, "GET /public/x HTTP/1.1\r\nHost: gw.test\r\n\r\n")
		must(t, err)
		_, err = conn.Read(make([]byte, 1))
		must(t, err)
		s.counts(`postern_connections_open 1`, `postern_streams_open 1`)
		close(release)
		conn.Close()
		for !strings.Contains(s.metricsText(), "\npostern_connections_open 0\n") || !strings.Contains(s.metricsText(), "\npostern_streams_open 0\n") {
			time.Sleep(time.Millisecond)
		}
	}
}

// TestACertificatesEndIsAMetric and moves with the certificate.
func TestACertificatesEndIsAMetric(t *testing.T) {
	dir := t.TempDir()
	conf := DefaultConfig()
	conf.Listen, conf.TLS = "127.0.0.1:0", TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	writeCertificate(t, dir)
	s := newStack(t)
	if strings.Contains(s.metricsText(), "postern_tls_certificate_expiry") {
		t.Error("without TLS there is a certificate")
	}
	server := NewServer(conf, s.gateway, slog.New(slog.DiscardHandler))
	must(t, server.ReloadCertificate())
	pair, err := tls.LoadX509KeyPair(conf.TLS.CertFile, conf.TLS.KeyFile)
	must(t, err)
	s.counts(fmt.Sprintf(`postern_tls_certificate_expiry_timestamp_seconds{source="file"} %v`, float64(pair.Leaf.NotAfter.Unix())))
}

func TestAStatusThatHTTPHasNoWordForIsOther(t *testing.T) {
	for status, want := range map[int]string{200: "200", 404: "404", 499: "499", 503: "503", 299: "other", 520: "other", 999: "other", 0: "other", -1: "other"} {
		if got := codeLabel(status); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
}

// TestWhateverAnApplicationAnswersDoesNotFillTheMemory: counters at hand are
// bounded, and what is not among them is counted all the same.
func TestWhateverAnApplicationAnswersDoesNotFillTheMemory(t *testing.T) {
	m, rt := newMetrics(""), &route{label: "/app/**"}
	for range 2 {
		for status := 100; status < 1000; status++ {
			m.request(&exchange{rt: rt, label: rt.label, decision: decisionAllow, reason: "anyone"}, status, time.Millisecond)
		}
	}
	kept := 0
	for c := rt.counted.first.Load(); c != nil; c = c.next {
		kept++
	}
	if kept != maxCounted {
		t.Errorf("%d are kept, want %d", kept, maxCounted)
	}
	if line := `postern_requests_total{code="404",decision="allow",reason="anyone",route="/app/**"} 2`; !strings.Contains(scraped(m), line+"\n") {
		t.Errorf("no %s", line)
	}
}

// TestRequestsAreCountedByAllThatTheyAreCountedBy: also those of a route, whose
// counters are at hand, and those that meet there for the first time.
func TestRequestsAreCountedByAllThatTheyAreCountedBy(t *testing.T) {
	m := newMetrics("")
	app, other := &route{label: "/app/**"}, &route{label: "/other/**"}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 100 {
				for _, x := range []*exchange{
					{rt: app, label: app.label, decision: decisionAllow, reason: "authenticated"},
					{rt: app, label: app.label, decision: decisionDeny, reason: "forbidden"},
					{rt: other, label: other.label, decision: decisionAllow, reason: "authenticated"},
					{label: labelNone, decision: decisionDeny, reason: "no_route"},
					{label: labelOwn, decision: decisionAllow, reason: "authenticated"},
				} {
					m.request(x, 200, time.Millisecond)
					m.request(x, 404, time.Millisecond)
				}
			}
		})
	}
	group.Wait()
	text := scraped(m)
	for _, key := range []requestKey{
		{"/app/**", decisionAllow, "authenticated", 200}, {"/app/**", decisionDeny, "forbidden", 404}, {"/other/**", decisionAllow, "authenticated", 200},
		{labelNone, decisionDeny, "no_route", 404}, {labelOwn, decisionAllow, "authenticated", 200},
	} {
		line := fmt.Sprintf("postern_requests_total{code=\"%d\",decision=%q,reason=%q,route=%q} 400\n", key.status, key.decision, key.reason, key.route)
		if !strings.Contains(text, line) {
			t.Errorf("no %s", line)
		}
	}
}

// scraped is what a scrape answers.
func scraped(m *metrics) string {
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func BenchmarkCountingARequest(b *testing.B) {
	m, rt := newMetrics(""), &route{label: "/app/**"}
	x := &exchange{rt: rt, label: rt.label, decision: decisionAllow, reason: "authenticated"}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.request(x, 200, time.Millisecond)
		}
	})
}

// With many routes each is asked for the first time, and nothing about the
// others may cost then.
func BenchmarkCountingTheFirstRequestsOfManyRoutes(b *testing.B) {
	labels := make([]string, 20000)
	for i := range labels {
		labels[i] = fmt.Sprintf("/r%d/**", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		m := newMetrics("")
		for _, label := range labels {
			m.request(&exchange{rt: &route{label: label}, label: label, decision: decisionAllow, reason: "authenticated"}, 200, time.Millisecond)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(labels)), "ns/route")
}
