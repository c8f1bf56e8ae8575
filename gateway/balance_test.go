package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// herd is several real servers of one application.
type herd struct {
	t       testing.TB
	mu      sync.Mutex // guards the servers, which are killed and raised
	servers []*httptest.Server
	hits    []atomic.Int64
	posts   atomic.Int64
}

// newHerd starts n servers. The handler is told which of them it is.
func newHerd(t testing.TB, n int, answer func(i int, w http.ResponseWriter, r *http.Request)) *herd {
	h := &herd{t: t, servers: make([]*httptest.Server, n), hits: make([]atomic.Int64, n)}
	for i := range n {
		h.raise(i, "127.0.0.1:0", answer)
	}
	t.Cleanup(func() {
		for i := range n {
			h.kill(i)
		}
	})
	return h
}

// raise starts one server at an address.
func (h *herd) raise(i int, address string, answer func(i int, w http.ResponseWriter, r *http.Request)) {
	h.t.Helper()
	l, err := net.Listen("tcp", address)
	must(h.t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.hits[i].Add(1)
		if r.Method == "POST" {
			h.posts.Add(1)
		}
		if answer != nil {
			answer(i, w, r)
			return
		}
		_, _ = fmt.Fprintf(w, "server %d", i)
	}))
	server.Config.ErrorLog = discardLog()
	server.Listener.Close()
	server.Listener = l
	server.Start()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.servers[i] = server
}

// kill ends a server as a signal would: nobody listens, all connections break.
func (h *herd) kill(i int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.servers[i].Listener.Close()
	h.servers[i].CloseClientConnections()
	h.servers[i].Close()
}

func (h *herd) urls() []string {
	var urls []string
	for _, s := range h.servers {
		urls = append(urls, s.URL)
	}
	return urls
}

// behind puts the servers behind a gateway.
func (h *herd) behind(changes ...func(*setup)) *stack {
	return newStack(h.t, append(changes, func(c *setup) { c.gateway.Upstreams[0].URLs = h.urls() })...)
}

// healthOf is what the metric says of an address.
func (s *stack) healthOf(url string) string {
	_, after, _ := strings.Cut(s.metricsText(), fmt.Sprintf("postern_upstream_healthy{upstream=\"app\",url=%q} ", url))
	value, _, _ := strings.Cut(after, "\n")
	return value
}

// keepAlive sends requests over kept connections, past the helpers that open
// one for each.
func (s *stack) keepAlive() *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// over asks for /public/x by way of c.
func (s *stack) over(c *http.Client, method string, body io.Reader) (int, string, error) {
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.server.Addr()+"/public/x", body)
	if err != nil {
		return 0, "", err
	}
	r.Host = "gw.test"
	res, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

func TestRequestsTakeTurnsAmongEquals(t *testing.T) {
	h := newHerd(t, 3, nil)
	s := h.behind()
	c := s.keepAlive()
	for range 30 {
		if status, text, err := s.over(c, "GET", nil); status != 200 {
			t.Fatal(status, text, err)
		}
	}
	for i := range 3 {
		if n := h.hits[i].Load(); n != 10 {
			t.Errorf("server %d got %d of 30 requests", i, n)
		}
		if s.healthOf(h.servers[i].URL) != "1" {
			t.Errorf("server %d does not count as healthy", i)
		}
	}
}

func TestTheLeastBusyTargetIsChosen(t *testing.T) {
	release := make(chan struct{})
	h := newHerd(t, 3, func(i int, w http.ResponseWriter, r *http.Request) {
		if i == 1 {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		_, _ = fmt.Fprintf(w, "server %d", i)
	})
	s := h.behind()
	c := s.keepAlive()
	var wg sync.WaitGroup
	for n := 0; h.hits[1].Load() == 0; n++ { // until one is stuck at the slow one
		if n > 3 {
			t.Fatal("server 1 is never asked")
		}
		wg.Go(func() { _, _, _ = s.over(c, "GET", nil) })
		eventually(t, "the request to arrive", func() bool { return h.hits[0].Load()+h.hits[1].Load()+h.hits[2].Load() > int64(n) })
	}
	eventually(t, "the others to be idle", func() bool {
		targets := s.gateway.snap.Load().upstreams[0].balancer.targets
		return targets[0].busy.Load()+targets[2].busy.Load() == 0
	})
	for range 20 {
		if status, text, err := s.over(c, "GET", nil); status != 200 {
			t.Fatal(status, text, err)
		}
	}
	if n := h.hits[1].Load(); n != 1 {
		t.Errorf("the busy server got %d requests", n)
	}
	close(release)
	wg.Wait()
}

func TestInTurnNobodysLoadIsHeeded(t *testing.T) {
	h := newHerd(t, 3, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/public/held" {
			<-r.Context().Done()
		}
	})
	s := h.behind(func(c *setup) { c.gateway.Upstreams[0].Balance = "round_robin" })
	ctx, end := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		r, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.server.Addr()+"/public/held", nil)
		must(t, err)
		r.Host = "gw.test"
		if res, err := s.keepAlive().Do(r); err == nil {
			res.Body.Close()
		}
	})
	eventually(t, "the request to be held", func() bool { return h.hits[0].Load()+h.hits[1].Load()+h.hits[2].Load() == 1 })
	c := s.keepAlive()
	for range 29 {
		if status, text, err := s.over(c, "GET", nil); status != 200 {
			t.Fatal(status, text, err)
		}
	}
	for i := range 3 {
		if n := h.hits[i].Load(); n != 10 {
			t.Errorf("server %d got %d of 30 requests", i, n)
		}
	}
	end()
	wg.Wait()
}

// The turn of one that is out is not its neighbour's: that one would get twice
// as much as the others.
func TestInTurnThoseThatAreOutAreLeftAlone(t *testing.T) {
	for name, inTurn := range map[string]bool{"in turn": true, "among equals": false} {
		t.Run(name, func(t *testing.T) {
			b, now := balancerOf(4), time.Now()
			b.inTurn = inTurn
			b.targets[1].health.refused(now)
			got := map[int]int{}
			for range 12 {
				one := b.choose(now, 0)
				one.release()
				got[one.index]++
			}
			if got[1] != 0 || got[0] != 4 || got[2] != 4 || got[3] != 4 {
				t.Errorf("chosen %v", got)
			}
		})
	}
}

func TestInTurnTheLastResortIsTried(t *testing.T) {
	b, now := balancerOf(3), time.Now()
	b.inTurn = true
	b.targets[1].health.refused(now)
	if c := b.choose(now, tries(0).with(b.targets[0]).with(b.targets[2])); c != b.targets[1] {
		t.Error("the last resort was not tried")
	}
}

func TestAWebSocketCountsForItsWholeLife(t *testing.T) {
	h := newHerd(t, 2, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(conn, conn)
	})
	s := h.behind()
	conn := s.dial()
	defer conn.Close()
	write(t, conn, "GET /public/ws HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://gw.test\r\n\r\n")
	line, err := newReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "101") {
		t.Fatal(line, err)
	}
	targets := s.gateway.snap.Load().upstreams[0].balancer.targets
	holder := 0
	if targets[1].busy.Load() == 1 {
		holder = 1
	}
	for range 10 {
		s.get("/public/x").wants(t, 200, "")
	}
	if h.hits[holder].Load() != 1 || h.hits[1-holder].Load() != 10 {
		t.Errorf("the server with the WebSocket got %d requests, the other %d", h.hits[holder].Load()-1, h.hits[1-holder].Load())
	}
	conn.Close()
	eventually(t, "the WebSocket to be over", func() bool { return targets[holder].busy.Load() == 0 })
}

// balancerOf makes targets that nobody listens behind.
func balancerOf(n int) *balancer {
	b := &balancer{}
	for i := range n {
		b.targets = append(b.targets, &target{serverAddress: serverAddress{label: fmt.Sprintf("http://app-%d", i)}, index: i})
	}
	return b
}

func TestChoosingDoesNotAllocate(t *testing.T) {
	b, now := balancerOf(5), time.Now()
	b.targets[1].health.refused(now)
	if n := testing.AllocsPerRun(1000, func() { b.choose(now, 0).release() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestATargetThatIsOutIsTriedByOneRequestInEachPeriod(t *testing.T) {
	b, now := balancerOf(2), time.Unix(1000, 0)
	away := b.targets[0]
	if !away.health.refused(now) || away.health.refused(now) {
		t.Fatal("many failures at once are not one")
	}
	chosen := func() (n int) {
		for range 20 {
			if b.choose(now, 0) == away {
				n++
			}
		}
		return n
	}
	if n := chosen(); n != 0 {
		t.Errorf("chosen %d times while it is out", n)
	}
	for _, wait := range []time.Duration{1, 2, 4, 8, 10, 10} { // seconds until the next try: doubled up to a bound
		now = now.Add(wait*time.Second - 1)
		if n := chosen(); n != 0 {
			t.Errorf("chosen %d times before %s", n, wait*time.Second)
		}
		now = now.Add(1)
		if n := chosen(); n != 1 {
			t.Errorf("chosen %d times after %s", n, wait*time.Second)
		}
		away.health.refused(now)
	}
	if away.health.healthy() {
		t.Error("it counts as healthy")
	}
	if away.health.answered(now.Add(-time.Hour)) {
		t.Error("an answer to an old request brings it back")
	}
	if !away.health.answered(now) || !away.health.healthy() {
		t.Error("an answer does not bring it back")
	}
	for b.choose(now, 0) != away { // least busy: at once
		b.targets[1].busy.Add(1)
	}
}

func TestWhenAllAreOutTheOneThatWasLeftAloneLongestIsTried(t *testing.T) {
	b, now := balancerOf(3), time.Unix(1000, 0)
	for _, i := range []int{2, 0, 1} {
		b.targets[i].health.refused(now)
		now = now.Add(time.Millisecond)
	}
	var got []int
	for range 4 {
		c := b.choose(now, 0)
		got = append(got, c.index)
		c.health.refused(now)
		now = now.Add(time.Millisecond)
	}
	if fmt.Sprint(got) != "[2 0 1 2]" {
		t.Errorf("tried %v", got)
	}
	all := tries(0).with(b.targets[0]).with(b.targets[1])
	if b.choose(now, all) != b.targets[2] || b.choose(now, all.with(b.targets[2])) != nil {
		t.Error("what was tried is not left out")
	}
}

func TestConnectionsThatBreakTakeATargetOutOnlyInARow(t *testing.T) {
	var h health
	now := time.Unix(1000, 0)
	for range 5 {
		for n := range brokenInARow - 1 {
			if h.broke(now) {
				t.Fatal("out after ", n+1)
			}
		}
		h.answered(now)
	}
	h.broke(now)
	h.broke(now)
	if !h.broke(now) || h.available(now.UnixNano()) {
		t.Error("not out after three")
	}
}

func TestAReloadHealsNobodyAndForgetsWhatItTookOut(t *testing.T) {
	h := newHerd(t, 2, nil)
	s := h.behind()
	gone := h.servers[1].URL
	h.kill(1)
	for range 4 {
		s.get("/public/x").wants(t, 200, "")
	}
	if s.healthOf(gone) != "0" {
		t.Fatal("still healthy")
	}
	s.rebuild()
	if s.healthOf(gone) != "0" {
		t.Error("healthy after a reload")
	}
	s.parts.Config.Upstreams[0].URLs = h.urls()[:1]
	s.rebuild()
	if strings.Contains(s.metricsText(), gone) {
		t.Error("the metrics still tell of an address that is gone")
	}
}

// rebuild swaps a snapshot of the changed parts in.
func (s *stack) rebuild() {
	s.t.Helper()
	snap, err := s.gateway.Build(s.parts)
	must(s.t, err)
	s.gateway.Swap(snap)
}

// TestEveryChoiceIsTheBestThereIs holds the balancer against what its promise
// says, whatever happens in whatever order.
func TestEveryChoiceIsTheBestThereIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, now := balancerOf(rapid.IntRange(1, 6).Draw(t, "targets")), time.Unix(1000, 0)
		var underWay []*target
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
			switch step := rapid.IntRange(0, 9).Draw(t, "step"); {
			case step < 5:
				underWay = append(underWay, chosenWell(t, b, now))
			case step < 7 && len(underWay) > 0:
				i := rapid.IntRange(0, len(underWay)-1).Draw(t, "ends")
				underWay[i].release()
				underWay[i].health.answered(now)
				underWay = append(underWay[:i], underWay[i+1:]...)
			case step == 7:
				b.targets[rapid.IntRange(0, len(b.targets)-1).Draw(t, "away")].health.refused(now)
			case step == 8:
				b.targets[rapid.IntRange(0, len(b.targets)-1).Draw(t, "breaks")].health.broke(now)
			case step == 9:
				b.targets[rapid.IntRange(0, len(b.targets)-1).Draw(t, "checked")].health.sick.Store(rapid.Bool().Draw(t, "sick"))
			}
		}
		var busy int64
		for _, c := range b.targets {
			busy += c.busy.Load()
		}
		if busy != int64(len(underWay)) {
			t.Fatalf("%d requests are under way, %d are counted", len(underWay), busy)
		}
	})
}

// chosenWell chooses, and judges the choice by what there was.
func chosenWell(t *rapid.T, b *balancer, now time.Time) *target {
	at, best, oldest := now.UnixNano(), int64(-1), int64(-1)
	for _, c := range b.targets {
		if n := c.busy.Load(); c.health.available(at) && (best < 0 || n < best) {
			best = n
		}
		if failed := c.health.failed.Load(); oldest < 0 || failed < oldest {
			oldest = failed
		}
	}
	was := make([]bool, len(b.targets))
	for i, c := range b.targets {
		was[i] = c.health.available(at)
	}
	c := b.choose(now, 0)
	switch {
	case best >= 0 && (!was[c.index] || c.busy.Load()-1 != best):
		t.Fatalf("chosen %d with %d under way, available %v; the least is %d", c.index, c.busy.Load()-1, was, best)
	case best < 0 && c.health.failed.Load() != oldest:
		t.Fatalf("all are out, and the one chosen failed at %d, the oldest at %d", c.health.failed.Load(), oldest)
	}
	return c
}

// TestManyChooseAtOnce and the counts come out even; of a target that is due
// one of them finds out whether it is back.
func TestManyChooseAtOnce(t *testing.T) {
	b, now := balancerOf(4), time.Unix(1000, 0)
	b.targets[3].health.refused(now)
	now = now.Add(outAtFirst)
	var wg sync.WaitGroup
	var probes atomic.Int64
	for range 8 {
		wg.Go(func() {
			for range 500 {
				c := b.choose(now, 0)
				if c.index == 3 {
					probes.Add(1)
				}
				c.release()
			}
		})
	}
	wg.Wait()
	for _, c := range b.targets {
		if n := c.busy.Load(); n != 0 {
			t.Errorf("%d are under way at %d", n, c.index)
		}
	}
	if n := probes.Load(); n != 1 {
		t.Errorf("%d requests tried the one that was out", n)
	}
}

func BenchmarkChoose(b *testing.B) {
	balancer, now := balancerOf(8), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		balancer.choose(now, 0).release()
	}
}
