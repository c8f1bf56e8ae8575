package gateway

import (
	"context"
	"encoding/pem"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

func TestTheSignatureIsThatOfTheSpecification(t *testing.T) {
	key, err := (&Provision{Secret: webhookSecret}).key()
	must(t, err)
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAnAccountEventIsASignedWebhookAndSpeaksForNobody(t *testing.T) {
	a := newReceiver(t)
	s := telling(t, a)
	c := newCourier(s.gateway, "app")
	s.round(c)
	a.hears("created alice", "created root")
	s.set("alice", named("Alice <A>"))
	s.round(c)
	all := a.received()
	if len(all) != 1 {
		t.Fatalf("%d events", len(all))
	}
	e := all[0]
	want := `{"type":"account.changed","timestamp":"` + e.Timestamp.Format(time.RFC3339Nano) + `","data":{"id":"` + e.Data.ID +
		`","username":"alice","email":"alice@gw.test","name":"Alice \u003cA\u003e","roles":["user"],"fields":{},"disabled":false}}`
	if e.body != want {
		t.Errorf("got  %s\nwant %s", e.body, want)
	}
	if e.host != "gw.test" || e.target != "/internal/accounts" || e.header.Get("Content-Type") != "application/json" || strings.Contains(e.id, ".") {
		t.Errorf("%s %s %v", e.host, e.target, e.header)
	}
	if sent, err := strconv.ParseInt(e.timestamp, 10, 64); err != nil || time.Since(time.Unix(sent, 0)).Abs() > time.Minute {
		t.Errorf("sent at %q", e.timestamp)
	}
	for name := range e.header {
		if !slices.Contains([]string{"Accept-Encoding", "Content-Length", "Content-Type", "User-Agent", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}, name) {
			t.Errorf("it is sent %s", name)
		}
	}
	if strings.Contains(s.log.String(), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") {
		t.Error("the secret is in the log")
	}
}

func TestWhatFailsIsTriedAgainUnderTheSameIdUntilItIsTaken(t *testing.T) {
	for _, status := range []int{500, 404, 410, 401, 302, 503, 429} {
		a := newReceiver(t)
		s := telling(t, a)
		c := newCourier(s.gateway, "app")
		s.round(c)
		a.received()
		a.answer = func(*event) int { return status }
		s.set("alice", named("A"))
		s.round(c)
		s.round(c) // it is not due
		first := a.received()
		if len(first) != 1 {
			t.Fatalf("%d: tried %d times", status, len(first))
		}
		s.set("alice", named("B")) // waits behind it
		for range 5 {
			s.later(time.Hour)
			s.round(c)
		}
		again := a.received()
		if len(again) != 5 {
			t.Fatalf("%d: tried %d times in five hours", status, len(again))
		}
		for _, e := range again {
			if e.id != first[0].id || e.body != first[0].body || e.timestamp == first[0].timestamp {
				t.Errorf("%d: first %+v, then %+v", status, first[0], e)
			}
		}
		if lines := s.log.entries(t, "an account event was not delivered, and is tried again until it is", 1); len(lines) != 1 || lines[0]["status"] != float64(status) || lines[0]["upstream"] != "app" {
			t.Errorf("%d: the log says %v", status, lines)
		}
		a.answer = nil
		s.later(time.Hour)
		s.round(c)
		a.hears("changed alice", "changed alice")
		s.log.entries(t, "account events are delivered again", 1)
		results := map[string]int{}
		for _, result := range []string{resultDelivered, resultRefused, resultFailed} {
			results[result] = tried(t, s, result)
		}
		if want := map[string]int{resultDelivered: 4, resultRefused: 6, resultFailed: 0}; !maps.Equal(results, want) {
			t.Errorf("%d: counted %v, want %v", status, results, want)
		}
	}
}

func TestAnAccountThatIsRefusedDoesNotKeepOthersWaiting(t *testing.T) {
	a := newReceiver(t)
	s := telling(t, a)
	c := newCourier(s.gateway, "app")
	a.answer = func(e *event) int {
		if e.Data.Username == "alice" {
			return 422
		}
		return 200
	}
	s.round(c)
	a.received()
	for i := range 20 {
		s.later(time.Minute)
		s.set("alice", named(strconv.Itoa(i)))
		s.set("root", named(strconv.Itoa(i)))
		s.round(c)
		if got := a.heard(); !slices.Contains(got, "changed root") || slices.Contains(got, "changed alice") {
			t.Fatalf("in minute %d the application heard %q", i, got)
		}
	}
	if n := len(s.log.entries(t, "an account event was not delivered, and is tried again until it is", 1)); n != 1 {
		t.Errorf("%d log lines for one event", n)
	}
	a.answer = nil
	s.later(time.Hour)
	s.round(c)
	if got := a.heard(); !slices.Equal(got, []string{"created alice", "changed alice"}) {
		t.Errorf("then it heard %q", got)
	}
}

// TestAnApplicationThatIsAwayIsAskedSlowlyAndThenToldAll has many accounts
// change while nobody listens.
func TestAnApplicationThatIsAwayIsAskedSlowlyAndThenToldAll(t *testing.T) {
	a := newReceiver(t)
	s := telling(t, a)
	c := newCourier(s.gateway, "app")
	s.round(c)
	a.received()
	a.answer = func(*event) int { return 502 }
	want := []string{}
	for i := range 30 {
		name := "user-" + strconv.Itoa(i)
		_, err := s.service.AddAccount(t.Context(), auth.NewAccount{Username: name}, auth.Actor{})
		must(t, err)
		want = append(want, "created "+name)
	}
	s.round(c)
	if n := len(a.received()); n != awayAfter {
		t.Errorf("at once it was asked %d times, want %d", n, awayAfter)
	}
	for range 60 {
		s.later(time.Minute)
		s.round(c)
	}
	if n := len(a.received()); n != 60 {
		t.Errorf("in an hour it was asked %d times, want once a minute", n)
	}
	if n := len(s.log.entries(t, "an account event was not delivered, and is tried again until it is", 1)); n != 1 {
		t.Errorf("%d log lines while it was away", n)
	}
	if text := scrape(t, s); !strings.Contains(text, `postern_provision_pending{upstream="app"} 30`) || !strings.Contains(text, `postern_provision_oldest_age_seconds{upstream="app"} 36`) {
		t.Errorf("the metrics say\n%s", text)
	}
	a.answer = nil
	s.later(time.Minute)
	s.round(c)
	a.hears(want...)
	if text := scrape(t, s); !strings.Contains(text, `postern_provision_pending{upstream="app"} 0`) || !strings.Contains(text, `postern_provision_oldest_age_seconds{upstream="app"} 0`) {
		t.Errorf("the metrics say\n%s", text)
	}
}

// TestAnotherReasonForTheSameFailureIsLogged once, whether one account's events
// are refused or the application takes nothing.
func TestAnotherReasonForTheSameFailureIsLogged(t *testing.T) {
	const first, another = "an account event was not delivered, and is tried again until it is", "account events still are not delivered, by now for another reason"
	for _, accounts := range []int{1, 6} {
		a := newReceiver(t)
		s := telling(t, a)
		c := newCourier(s.gateway, "app")
		s.round(c)
		a.received()
		status := 0
		a.answer = func(*event) int { return status }
		for i := range accounts {
			_, err := s.service.AddAccount(t.Context(), auth.NewAccount{Username: "user-" + strconv.Itoa(i)}, auth.Actor{})
			must(t, err)
		}
		for _, status = range []int{401, 401, 502, 502, 503, 401} {
			for range 5 {
				s.later(time.Hour)
				s.round(c)
			}
		}
		var got []float64
		for _, line := range append(s.log.entries(t, first, 1), s.log.entries(t, another, 3)...) {
			got = append(got, line["status"].(float64))
		}
		if want := []float64{401, 502, 503, 401}; !slices.Equal(got, want) {
			t.Errorf("%d accounts: the log tells of %v, want %v", accounts, got, want)
		}
	}
}

// The words of a failure have the port that it was tried from.
func TestAFailureFromAnotherPortIsTheSameFailure(t *testing.T) {
	reset := func(port int) outcome {
		return outcome{err: &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: port}, Addr: &net.TCPAddr{Port: 80}, Err: syscall.ECONNRESET}}
	}
	lookup := func(words string, missing bool) outcome {
		return outcome{err: &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: words, Name: "app", IsNotFound: missing}}}
	}
	kinds := map[string]string{}
	for _, test := range []struct {
		name string
		o    outcome
		like string
	}{
		{"reset", reset(1), ""}, {"from another port", reset(2), "reset"},
		{"no such name", lookup("no such host", true), ""}, {"no name server", lookup("read udp :1->:53: timeout", false), ""},
		{"the same from another port", lookup("read udp :2->:53: timeout", false), "no name server"},
		{"status", outcome{status: 500}, ""}, {"another status", outcome{status: 501}, ""}, {"late", outcome{err: context.DeadlineExceeded}, ""},
	} {
		kind := test.o.kind()
		if like, ok := kinds[kind]; kind == "" || ok != (test.like != "") || like != test.like {
			t.Errorf("%s: %q is that of %q", test.name, kind, like)
		}
		if test.like == "" {
			kinds[kind] = test.name
		}
	}
}

func TestAnApplicationThatNobodyAnswersForIsNoAnswer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := "http://" + ln.Addr().String()
	must(t, ln.Close())
	a := newReceiver(t)
	s := telling(t, a, func(c *setup) { c.gateway.Upstreams[0].URLs = []string{address} })
	c := newCourier(s.gateway, "app")
	s.round(c)
	if n := tried(t, s, resultFailed); n != 2 {
		t.Errorf("%d tries failed, want one for each account", n)
	}
	// Of several addresses the next is asked, within the same try.
	s.parts.Config.Upstreams[0].URLs = []string{address, a.server.URL}
	snap, err := s.gateway.Build(s.parts)
	must(t, err)
	s.gateway.Swap(snap) // and a reload is reason to try again at once
	s.round(c)
	a.hears("created alice", "created root")
	if n := tried(t, s, resultFailed); n != 2 {
		t.Errorf("%d tries failed", n)
	}
}

func TestAnAnswerThatDoesNotComeIsGivenUp(t *testing.T) {
	a, gone := newReceiver(t), make(chan struct{})
	defer close(gone)
	hang := true
	a.answer = func(*event) int {
		a.mu.Lock()
		wait := hang
		hang = false
		a.mu.Unlock()
		if wait {
			<-gone
		}
		return 200
	}
	s := telling(t, a, func(c *setup) { c.gateway.Provision[0].Timeout = minProvisionTimeout })
	c := newCourier(s.gateway, "app")
	s.round(c)
	line := s.log.entries(t, "an account event was not delivered, and is tried again until it is", 1)[0]
	if line["status"] != float64(0) || line["error"] != "timeout" {
		t.Errorf("the log says %v", line)
	}
	if n := len(a.heard()); n != 1 {
		t.Errorf("%d accounts were told of past the one that hangs", n)
	}
	s.later(time.Minute)
	s.round(c)
	if n := len(a.heard()); n != 1 {
		t.Errorf("the one that hung was told %d times", n)
	}
}

func TestOfTwoGatewaysOnOneStoreEachEventIsDeliveredByOne(t *testing.T) {
	a := newReceiver(t)
	s := telling(t, a)
	for i := range 20 {
		_, err := s.service.AddAccount(t.Context(), auth.NewAccount{Username: "user-" + strconv.Itoa(i)}, auth.Actor{})
		must(t, err)
	}
	other := New(Options{Auth: s.service, Outbox: s.store, Log: s.gateway.log, Now: s.now})
	snap, err := other.Build(s.parts)
	must(t, err)
	other.Swap(snap)
	t.Cleanup(snap.closeIdle)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, g := range []*Gateway{s.gateway, other} {
		running.Go(func() { must(t, g.Provision(ctx)) })
	}
	eventually(t, "all events", func() bool {
		all, err := s.store.Backlogs(t.Context())
		return err == nil && len(all) == 0
	})
	stop()
	running.Wait()
	seen := map[string]int{}
	for _, e := range a.received() {
		seen[e.id]++
	}
	if len(seen) != 22 {
		t.Errorf("%d events", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
}

// TestATryThatAStopBreaksOffIsMadeAgainByTheNextStart: at least once, and under
// the same id.
func TestATryThatAStopBreaksOffIsMadeAgainByTheNextStart(t *testing.T) {
	a, asked, gone := newReceiver(t), make(chan string, 2), make(chan struct{})
	s := telling(t, a)
	a.answer = func(e *event) int {
		asked <- e.id
		<-gone
		return 200
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.gateway.Provision(ctx) }()
	id := <-asked
	stop()
	must(t, <-ended) // though the application has not answered
	close(gone)
	eventually(t, "the application's answer", func() bool { return len(a.received()) == 1 })
	a.answer = nil
	s.round(newCourier(s.gateway, "app"))
	all := a.received()
	if len(all) != 2 || all[0].id != id && all[1].id != id {
		t.Errorf("%+v, want %s among them", all, id)
	}
	if strings.Contains(s.log.String(), "was not delivered") {
		t.Error("a stop counts as a failure")
	}
}

func TestAReloadMovesTakesOutAndBringsBack(t *testing.T) {
	a := newReceiver(t)
	s := telling(t, a)
	c := newCourier(s.gateway, "app")
	s.round(c)
	a.hears("created alice", "created root")
	reload := func(change func(*Parts)) {
		parts := s.parts
		change(&parts)
		snap, err := s.gateway.Build(parts)
		must(t, err)
		s.gateway.Swap(snap)
	}
	reload(func(p *Parts) { p.Config.Provision = nil })
	s.set("alice", named("A"))
	s.round(c)
	a.hears()
	reload(func(p *Parts) {
		p.Config.Provision = []Provision{{Upstream: "app", Path: "/hooks", Secret: webhookSecret}}
	})
	s.round(c)
	if all := a.received(); len(all) != 1 || all[0].target != "/hooks" {
		t.Errorf("%+v", all)
	}
}

// TestNoClientReachesTheApplicationWhereNoRouteLeads: the path of the events is
// like any other.
func TestNoClientReachesThePathOfTheEventsWithoutARoute(t *testing.T) {
	a := newReceiver(t)
	s := telling(t, a)
	for _, line := range []string{"X-None: 1", bearer(s.token("root"))} {
		s.send("POST", "/internal/accounts", "{}", line, "Content-Type: application/json").wants(t, 404, "no_route")
	}
	a.hears()
}

func TestAStoreThatIsAwayMakesNobodyHearAnything(t *testing.T) {
	a := newReceiver(t)
	s := telling(t, a)
	must(t, s.store.Close())
	c := newCourier(s.gateway, "app")
	s.round(c)
	a.hears()
	if text := scrape(t, s); !strings.Contains(text, `postern_provision_pending{upstream="app"} NaN`) {
		t.Errorf("the metrics say\n%s", text)
	}
	s.gateway.outbox = nil
	ctx, stop := context.WithCancel(t.Context())
	stop()
	must(t, s.gateway.Provision(ctx))
}

func TestWaitsGrowUpToABound(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1000: time.Minute} {
		if got := wait(failures, longestAway); got != want {
			t.Errorf("after %d failures %s, want %s", failures, got, want)
		}
	}
	if got := wait(1<<40, longestRefuse); got != time.Hour {
		t.Errorf("%s", got)
	}
}

// TestEventsTakeTheUpstreamsOwnWay: over TLS with its authorities, and over a
// unix socket, with the Host that the upstream is to see.
func TestEventsTakeTheUpstreamsOwnWay(t *testing.T) {
	dir := t.TempDir()
	a := newReceiver(t)
	secure := httptest.NewTLSServer(http.HandlerFunc(a.serve))
	defer secure.Close()
	ca := filepath.Join(dir, "ca.pem")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600))
	socket := filepath.Join(dir, "app.sock")
	ln, err := net.Listen("unix", socket)
	must(t, err)
	local := &http.Server{Handler: http.HandlerFunc(a.serve)}
	go func() { _ = local.Serve(ln) }()
	defer local.Close()
	for _, test := range []struct {
		upstream Upstream
		host     string
		taken    bool
	}{
		{Upstream{URLs: []string{secure.URL}, TLS: UpstreamTLS{CAFile: ca}}, "gw.test", true},
		{Upstream{URLs: []string{secure.URL + "/base"}, TLS: UpstreamTLS{CAFile: ca}, Host: "rewrite"}, strings.TrimPrefix(secure.URL, "https://"), true},
		{Upstream{URLs: []string{secure.URL}}, "", false}, // nobody vouches for it
		{Upstream{URLs: []string{"unix:" + socket}}, "gw.test", true},
		{Upstream{URLs: []string{"unix:" + socket}, Host: "rewrite"}, "localhost", true},
	} {
		test.upstream.Name = "app"
		s := telling(t, a, func(c *setup) { c.gateway.Upstreams[0] = test.upstream })
		s.round(newCourier(s.gateway, "app"))
		all := a.received()
		if (len(all) == 2) != test.taken {
			t.Errorf("%+v: %d events", test.upstream, len(all))
		}
		for _, e := range all {
			if e.host != test.host || !strings.HasSuffix(e.target, "/internal/accounts") || strings.Contains(test.upstream.URLs[0], "/base") != strings.HasPrefix(e.target, "/base/") {
				t.Errorf("%+v: asked for %s of %s", test.upstream, e.target, e.host)
			}
		}
	}
}
