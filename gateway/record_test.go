package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/policy"
)

// decided asks the admin listener for a recorded decision.
func (s *stack) decided(id string) (status int, d Decided) {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.gateway.Admin().ServeHTTP(w, httptest.NewRequest("GET", "/decisions/"+id, nil))
	must(s.t, json.Unmarshal(w.Body.Bytes(), &d))
	return w.Code, d
}

// recorded waits for a decision: it is kept after its answer was sent.
func (s *stack) recorded(id string) (d Decided) {
	s.t.Helper()
	eventually(s.t, "the decision "+id, func() bool {
		status, found := s.decided(id)
		d = found
		return status == http.StatusOK
	})
	return d
}

func TestADecisionIsFoundByItsRequestsID(t *testing.T) {
	s := newStack(t, func(conf *setup) {
		for i := range conf.policy.Routes {
			conf.policy.Routes[i].Allow[0].Pos = policy.Pos{File: "gateway.yaml", Line: 10 + i, Column: 5}
		}
	})
	token := s.token("alice")
	for _, test := range []struct {
		name, method, path string
		lines              []string
		want               Decided
	}{
		{"allowed", "GET", "/app/x?secret=hunter2", []string{bearer(token)}, Decided{Method: "GET", Path: "/app/x", User: "alice", Roles: "user", Decision: "allow", Reason: "rule", Route: "/app/**", Rule: "gateway.yaml:11:5", Status: 200}},
		{"refused", "GET", "/admin/x", []string{bearer(token)}, Decided{Method: "GET", Path: "/admin/x", User: "alice", Roles: "user", Decision: "deny", Reason: "no_rule", Route: "/admin/**", Status: 403}},
		{"nobody", "GET", "/app/x", nil, Decided{Method: "GET", Path: "/app/x", Decision: "challenge", Reason: "token_missing", Route: "/app/**", Status: 401}},
		{"no route", "DELETE", "/nowhere", nil, Decided{Method: "DELETE", Path: "/nowhere", Decision: "deny", Reason: "no_route", Route: "none", Status: 404}},
		{"no path", "GET", "/app/%2e%2e/x?secret=hunter2", nil, Decided{Method: "GET", Path: "/app/%2e%2e/x", Decision: "deny", Reason: "bad_path", Route: "none", Status: 400}},
		{"our own", "GET", "/auth/me", []string{bearer(token)}, Decided{Method: "GET", Path: "/auth/me", User: "alice", Roles: "user", Decision: "allow", Reason: "gateway", Route: "gateway", Status: 200}},
	} {
		id := strings.ReplaceAll(test.name, " ", "-")
		s.send(test.method, test.path, "", append(test.lines, "X-Request-Id: "+id)...)
		got := s.recorded(id)
		if got.Time.IsZero() || got.Client != "127.0.0.1" || got.Host != "gw.test" || got.Snapshot != "1" || got.Scheme != "http" || got.SchemeFrom != SchemeOfPublicURL {
			t.Errorf("%s: %+v", test.name, got)
		}
		if (got.User == "") != (got.UserID == "") || (got.User == "") != got.AuthTime.IsZero() {
			t.Errorf("%s: half an identity: %+v", test.name, got)
		}
		got.RequestID, got.Time, got.Client, got.Host, got.Snapshot, got.UserID, got.AuthTime = "", time.Time{}, "", "", "", "", time.Time{}
		got.Scheme, got.SchemeFrom = "", ""
		if got != test.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", test.name, got, test.want)
		}
	}
}

func TestTheLogNamesTheRuleThatRefusedOrWouldHave(t *testing.T) {
	place := func(line int) policy.Pos { return policy.Pos{File: "gateway.yaml", Line: line, Column: 5} }
	s := newStack(t, func(conf *setup) {
		conf.policy.Routes = []policy.Route{
			{Pos: place(10), Path: "/watch/**", Mode: "observe", Allow: []policy.Rule{{Pos: place(11), Role: "admin"}}, Deny: []policy.Rule{{Pos: place(12), User: "alice"}}},
			{Pos: place(20), Path: "/admin/**", Allow: []policy.Rule{{Pos: place(21), Role: "admin"}}},
			{Pos: place(30), Path: "/app/**", Allow: []policy.Rule{{Pos: place(31), Authenticated: true}}},
		}
	})
	token := s.token("alice")
	for i, test := range []struct {
		path, token, decision string
		rule                  any
	}{
		{"/watch/x", token, "observe", "gateway.yaml:12:5"}, // the rule that holds
		{"/watch/x", "", "observe", "gateway.yaml:10:5"},    // none does: the route
		{"/admin/x", token, "deny", "gateway.yaml:20:5"},
		{"/app/x", "", "challenge", "gateway.yaml:30:5"},
		{"/app/x", token, "allow", nil},
		{"/nowhere", token, "deny", nil},
	} {
		var lines []string
		if test.token != "" {
			lines = append(lines, bearer(test.token))
		}
		s.get(test.path, lines...)
		if entry := s.log.entries(t, "request", i+1)[i]; entry["decision"] != test.decision || entry["rule"] != test.rule {
			t.Errorf("%s: %v by %v, want %s by %v", test.path, entry["decision"], entry["rule"], test.decision, test.rule)
		}
	}
}

func TestADecisionThatIsNotKeptIsNotFound(t *testing.T) {
	s := newStack(t)
	w := httptest.NewRecorder()
	s.gateway.Admin().ServeHTTP(w, httptest.NewRequest("GET", "/decisions/unheard-of", nil))
	if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "4096") || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestWhereNobodyCanAskNothingIsKept: without an admin listener neither a
// decision nor a count; and with one, both.
func TestWhereNobodyCanAskNothingIsKept(t *testing.T) {
	for _, unwatched := range []bool{false, true} {
		s := newStack(t)
		s.gateway.unwatched = unwatched
		s.get("/public/x", "X-Request-Id: asked-for").wants(t, 200, "")
		s.log.entries(t, "request", 1) // it is over
		if _, kept := s.gateway.decisions.find("asked-for"); kept == unwatched {
			t.Errorf("unwatched %v: the decision is kept: %v", unwatched, kept)
		}
		if counted := strings.Contains(scraped(s.gateway.metrics), "postern_requests_total{"); counted == unwatched {
			t.Errorf("unwatched %v: the request is counted: %v", unwatched, counted)
		}
	}
}

// ended is an exchange as account sees it.
func ended(id, path string) *exchange {
	return &exchange{snap: &Snapshot{id: "1"}, id: id, r: &http.Request{Method: "GET", RequestURI: path}, start: time.Unix(1, 0)}
}

// A client may choose the id, and so may choose that of somebody else's
// refusal: both are true, and the later one is what is asked about.
func TestOfTwoDecisionsWithOneIDTheNewestIsFound(t *testing.T) {
	c := &record{}
	for i := range 3 * recordSize / 2 {
		c.add(ended("same", fmt.Sprint("/", i)), 200)
		if got, ok := c.find("same"); i%500 == 0 && (!ok || got.Path != fmt.Sprint("/", i)) {
			t.Fatalf("after %d: %+v %v", i, got, ok)
		}
	}
}

func TestTheRecordForgetsTheOldestFirst(t *testing.T) {
	c := &record{}
	for i := range recordSize + 10 {
		c.add(ended(fmt.Sprint("r", i), "/"), 200)
	}
	for i, want := range map[int]bool{0: false, 9: false, 10: true, recordSize + 9: true} {
		if _, ok := c.find(fmt.Sprint("r", i)); ok != want {
			t.Errorf("entry %d: found %v", i, ok)
		}
	}
	if _, ok := c.find(""); ok {
		t.Error("an empty id found something")
	}
}

// A request brings up to 64 KiB, of which nobody may make us keep 4096 times.
func TestARecordedDecisionIsBoundedInBytes(t *testing.T) {
	c, long := &record{}, strings.Repeat("x", 60<<10)
	for i := range 2 * recordSize {
		x := ended(fmt.Sprint("r", i), "/"+long+"?secret=hunter2")
		x.id, x.r.Method, x.r.Host = x.id+long, long, long
		x.presented.Kind = 1
		x.presented.Principal = &auth.Principal{ID: long, Username: long, Roles: []string{strings.Repeat("a", 100), strings.Repeat("b", 100), strings.Repeat("c", 100)}}
		c.add(x, 200)
	}
	total := 0
	for i := range c.slots {
		total += cap(c.slots[i].text)
	}
	if most := recordSize * 1536; total > most {
		t.Errorf("%d bytes are kept, at most %d are promised", total, most)
	}
	d := c.slots[7].decided()
	if d.Roles != strings.Repeat("a", 100)+","+strings.Repeat("b", 100) || len(d.Path) != RecordedPath || len(d.User) != recordedName {
		t.Errorf("cut wrongly: %+v", d)
	}
}

func TestKeepingADecisionAllocatesNothingOnceTheRingHasGoneRound(t *testing.T) {
	c, x := &record{}, ended("id", "/some/path")
	for range recordSize {
		c.add(x, 200)
	}
	if n := testing.AllocsPerRun(recordSize, func() { c.add(x, 200) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDecisionsAreKeptFromManyGoroutinesAtOnce(t *testing.T) {
	c, done := &record{}, make(chan bool)
	for g := range 8 {
		go func() {
			for i := range 2000 {
				c.add(ended(fmt.Sprint("g", g, "-", i), "/"), 200)
			}
			done <- true
		}()
	}
	for range 8 {
		c.find("g0-0")
		<-done
	}
	for i := range c.slots {
		if n := c.slots[i].number; n <= 16000-recordSize || n > 16000 {
			t.Fatalf("slot %d holds decision %d of 16000", i, n)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	c, x := &record{}, ended("0123456789abcdef0123456789abcdef", "/api/users/42/orders")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.add(x, 200)
		}
	})
}

// TestADecisionRemembersWhoToldTheScheme: the doctor asks for it, to find a
// proxy on the way that loses it.
func TestADecisionRemembersWhoToldTheScheme(t *testing.T) {
	trusting := newStack(t, func(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1"} })
	strict := newStack(t)
	secure := newStack(t, func(c *setup) { c.gateway.PublicURL = "https://gw.test" })
	for i, test := range []struct {
		s          *stack
		said       string
		want, from string
	}{
		{trusting, "X-Forwarded-Proto: https", "https", SchemeOfProxy},
		{trusting, "X-Forwarded-Proto: http", "http", SchemeOfProxy},
		{trusting, "X-Forwarded-Proto: gopher", "http", SchemeOfPublicURL},
		{trusting, "X-A: b", "http", SchemeOfPublicURL},
		{strict, "X-Forwarded-Proto: https", "http", SchemeOfPublicURL}, // a stranger's word
		{secure, "X-Forwarded-Proto: http", "https", SchemeOfPublicURL},
	} {
		id := fmt.Sprintf("scheme-%d", i)
		test.s.get("/public/x", test.said, "X-Request-Id: "+id)
		if d := test.s.recorded(id); d.Scheme != test.want || d.SchemeFrom != test.from {
			t.Errorf("%s: %s from %s, want %s from %s", test.said, d.Scheme, d.SchemeFrom, test.want, test.from)
		}
	}
}
