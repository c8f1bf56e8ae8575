package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// webhookSecret is that of the specification's own example.
const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// event is an account event as an application receives it.
type event struct {
	id, timestamp, body string
	header              http.Header
	host, target        string
	Type                string
	Timestamp           time.Time
	Data                struct {
		ID, Username, Name string
		Roles              []string
		Disabled           bool
	}
}

// receiver is an application that keeps rows of its own. It believes what is
// signed, and answers what the test wants.
type receiver struct {
	t      testing.TB
	server *httptest.Server
	answer func(e *event) int // nil: 204

	mu     sync.Mutex // guards the following
	events []event
}

func newReceiver(t testing.TB) *receiver {
	a := &receiver{t: t}
	a.server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(func() { a.server.CloseClientConnections(); a.server.Close() })
	return a
}

func (a *receiver) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e := event{id: r.Header.Get("webhook-id"), timestamp: r.Header.Get("webhook-timestamp"), body: string(body), header: r.Header.Clone(), host: r.Host, target: r.RequestURI}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(webhookSecret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", e.id, e.timestamp, e.body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want || r.Method != "POST" {
		a.t.Errorf("%s %s: the signature is %q, want %q", r.Method, r.URL, r.Header.Get("webhook-signature"), want)
	}
	if err := json.Unmarshal(body, &e); err != nil {
		a.t.Errorf("%s: %v", body, err)
	}
	status := http.StatusNoContent
	if a.answer != nil {
		status = a.answer(&e)
	}
	a.mu.Lock()
	a.events = append(a.events, e)
	a.mu.Unlock()
	w.WriteHeader(status)
}

// heard is what has come so far, as "created alice", and forgets it.
func (a *receiver) heard() []string {
	list := []string{}
	for _, e := range a.received() {
		list = append(list, strings.TrimPrefix(e.Type, "account.")+" "+e.Data.Username)
	}
	return list
}

func (a *receiver) received() []event {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.events
	a.events = nil
	return all
}

// telling is a stack whose upstream is the receiver, and is told of accounts.
func telling(t testing.TB, a *receiver, more ...func(*setup)) *stack {
	return newStack(t, append([]func(*setup){func(c *setup) {
		c.gateway.Upstreams[0].URLs = []string{a.server.URL}
		c.gateway.Provision = []Provision{{Upstream: "app", Path: "/internal/accounts", Secret: webhookSecret}}
	}}, more...)...)
}

// round has a courier deliver all that is due, with nothing on the side.
func (s *stack) round(c *courier) { c.round(s.t.Context()) }

// hears fails unless the application has heard this, in any order of accounts.
func (a *receiver) hears(want ...string) {
	a.t.Helper()
	got := a.heard()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		a.t.Fatalf("the application heard %q, want %q", got, want)
	}
}

func (s *stack) set(name string, ch auth.AccountChange) {
	s.t.Helper()
	a, err := s.service.FindAccount(s.t.Context(), name)
	must(s.t, err)
	_, err = s.service.SetAccount(s.t.Context(), a.ID, ch, auth.Actor{By: "test"})
	must(s.t, err)
}

func named(name string) auth.AccountChange { return auth.AccountChange{Name: &name} }

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

// scrape is what /metrics says of provisioning.
func scrape(t testing.TB, s *stack) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.gateway.Admin().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "postern_provision_") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// tried is how many tries the metric counts with a result.
func tried(t testing.TB, s *stack, result string) int {
	t.Helper()
	_, after, found := strings.Cut(scrape(t, s), `postern_provision_deliveries_total{result="`+result+`",upstream="app"} `)
	number, _, _ := strings.Cut(after, "\n")
	n, err := strconv.Atoi(number)
	if !found || err != nil {
		t.Fatalf("%s is not counted: %v", result, err)
	}
	return n
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
