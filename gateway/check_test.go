package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// checks runs the health checks of a stack until the test ends.
func (s *stack) checks() {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.gateway.CheckUpstreams(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
}

// TestATargetThatFailsItsChecksGetsNoRequests until it passes one; readyz does
// not care: taking every gateway out at once makes nothing better.
func TestATargetThatFailsItsChecksGetsNoRequests(t *testing.T) {
	var unwell atomic.Bool
	var saw atomic.Value
	var served atomic.Int64 // by the unwell one
	h := newHerd(t, 2, func(i int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			served.Add(int64(i))
			return
		}
		saw.Store(fmt.Sprint(r.Host, " ", r.RequestURI, " ", r.Close))
		if i == 1 && unwell.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	s := h.behind(func(c *setup) {
		c.gateway.Upstreams[0].Health = Health{Path: "/healthz?full=1", Interval: 10 * time.Millisecond, Timeout: 5 * time.Second}
	})
	s.checks()
	url := h.servers[1].URL
	unwell.Store(true)
	eventually(t, "the target to be out", func() bool { return s.healthOf(url) == "0" })
	for range 8 {
		if r := s.get("/public/x"); r.StatusCode != 200 {
			t.Fatal(r.StatusCode)
		}
	}
	if n := served.Load(); n != 0 {
		t.Errorf("the unwell target got %d requests", n)
	}
	if status := s.adminStatus("/readyz"); status != 200 {
		t.Errorf("readyz answers %d", status)
	}
	unwell.Store(false)
	eventually(t, "the target to be back", func() bool { return s.healthOf(url) == "1" })
	if got := saw.Load(); got != "gw.test /healthz?full=1 true" {
		t.Errorf("asked for %v; the connection is to be closed: it must not be another's when a reload cancels the check", got)
	}
	if log := s.log.String(); !strings.Contains(log, "an address of an upstream is out") || !strings.Contains(log, "an address of an upstream is back") || !strings.Contains(log, "answered with an error: 500") {
		t.Error("the log does not say so")
	}
}

func (s *stack) adminStatus(path string) int {
	w := httptest.NewRecorder()
	s.gateway.Admin().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code
}

func TestChecksFollowAReload(t *testing.T) {
	h := newHerd(t, 2, nil)
	s := h.behind(func(c *setup) { c.gateway.Upstreams[0].Health = Health{Path: "/old", Interval: 10 * time.Millisecond} })
	urls := h.urls()
	s.parts.Config.Upstreams[0].URLs = urls[:1]
	s.rebuild()
	s.checks()
	eventually(t, "a check of the first", func() bool { return h.hits[0].Load() > 0 })
	if h.hits[1].Load() != 0 {
		t.Error("the second is checked and not configured")
	}
	s.parts.Config.Upstreams[0].URLs = urls[1:]
	s.rebuild()
	eventually(t, "a check of the second", func() bool { return h.hits[1].Load() > 0 })
	before := h.hits[0].Load()
	second := h.hits[1].Load()
	eventually(t, "more checks", func() bool { return h.hits[1].Load() > second+3 })
	if h.hits[0].Load() != before {
		t.Error("the first is still checked")
	}
	s.parts.Config.Upstreams[0].Health = Health{}
	s.rebuild()
	second = h.hits[1].Load()
	s.get("/public/x").wants(t, 200, "")
	if n := h.hits[1].Load(); n > second+2 { // the request, and a check that was on its way
		t.Errorf("%d more checks", n-second)
	}
}

// TestTheTimesOfChecks in a bubble: at once, at each interval, and a timeout.
func TestTheTimesOfChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status atomic.Int64 // zero: no answer
		var asked atomic.Int64
		status.Store(204)
		transport1 := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				defer there.Close()
				if _, err := http.ReadRequest(bufio.NewReader(there)); err != nil {
					return
				}
				asked.Add(1)
				if code := status.Load(); code != 0 {
					_, _ = fmt.Fprintf(there, "HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n", code)
				}
				_, _ = io.Copy(io.Discard, there)
			}()
			return here, nil
		}}
		u := &upstream{name: "app", log: slog.New(slog.DiscardHandler), now: time.Now, checkup: newCheckup(&Upstream{Health: Health{Path: "/healthz"}}, "gw.test")}
		target := &target{serverAddress: serverAddress{scheme: "http", host: "app", name: "app"}, transport: transport{usual: transport1}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); u.watch(ctx, target) }()
		wants := func(wait time.Duration, n int64, healthy bool) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			if asked.Load() != n || target.health.healthy() != healthy {
				t.Errorf("asked %d times, want %d; healthy %v", asked.Load(), n, target.health.healthy())
			}
		}
		wants(0, 1, true)
		status.Store(404)
		wants(5*time.Second-1, 1, true)
		wants(1, 2, false)
		status.Store(302)
		wants(5*time.Second, 3, true)
		status.Store(0)
		wants(5*time.Second, 4, true) // the last answer counts until the timeout
		wants(time.Second, 4, false)
		status.Store(399)
		wants(4*time.Second, 5, true)
		target.health.refused(time.Now().Add(-time.Millisecond))
		wants(5*time.Second, 6, true) // a check that passes is an answer
		cancel()
		<-done
		wants(time.Minute, 6, true)
	})
}
