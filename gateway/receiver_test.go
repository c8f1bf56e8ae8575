package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
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
