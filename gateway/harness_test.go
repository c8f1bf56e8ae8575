package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
	"github.com/posternhq/postern/auth/web"
	"github.com/posternhq/postern/policy"
)

// TestMain fails the package when a goroutine outlives the tests: a gateway
// that was shut down leaves nothing behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(bothTransports{m}) }

// bothTransports runs all tests over the lean transport, and where nobody asked
// for some of them, those of what is carried once more over net/http's.
type bothTransports struct{ m *testing.M }

// transportVariable has the transport that newStack configures.
const transportVariable = "POSTERN_TEST_TRANSPORT"

func (b bothTransports) Run() int {
	code := b.m.Run()
	for _, chosen := range []string{"test.run", "test.bench", "test.fuzz", "test.list"} {
		if flag.Lookup(chosen).Value.String() != "" {
			return code
		}
	}
	var names []string
	for _, of := range []string{"balance", "body", "check", "gateway", "probe", "retry", "streams", "upstream"} {
		text, err := os.ReadFile(of + "_test.go")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		for _, name := range regexp.MustCompile(`(?m)^func (Test\w+)`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, name[1])
		}
	}
	os.Setenv(transportVariable, "standard")
	if err := flag.Set("test.run", "^("+strings.Join(names, "|")+")$"); err != nil {
		return 1
	}
	return max(code, b.m.Run())
}

const testPassword = "wonderland-1865"

// stack is a whole gateway between two real servers: a recording application
// behind, a real listener in front, the real Service on a real SQLite file and
// the real login endpoints beside.
type stack struct {
	t       testing.TB
	gateway *Gateway
	server  *Server
	service *auth.Service
	store   *sqlstore.Store
	app     *application
	log     *logBuffer
	parts   Parts
	path    string // of the store
	start   func() // again, on the same store, after stop
	stop    func()
	epoch   time.Time    // zero: the clock runs; else it stands there, but for what it is ahead
	ahead   atomic.Int64 // nanoseconds by which the clock is ahead
	fresh   bool         // what is tested is how connections begin
}

// setup is what a test changes of a stack before it is made.
type setup struct {
	gateway Config
	auth    auth.Config
	web     web.Config
	policy  policy.Config
	options []RouteOptions
	answer  http.HandlerFunc
	grace   time.Duration
	idle    time.Duration // Limits.ClientIdle, shorter than a configuration may have it
	epoch   time.Time     // where the clock stands; zero: it runs
	wrap    func(Own) Own
}

// corpusPolicy is the POLICY of shared/security: public, app, admin and an API.
func corpusPolicy() policy.Config {
	return policy.Config{Roles: []string{"user", "admin"}, Upstreams: []policy.Upstream{{Name: "app"}}, Routes: []policy.Route{
		{Path: "/public/**", Allow: []policy.Rule{{Anyone: true}}},
		{Path: "/app/**", Allow: []policy.Rule{{Authenticated: true}}},
		{Path: "/admin/**", Allow: []policy.Rule{{Role: "admin"}}},
		{Path: "/api/users/{id}", Methods: []string{"GET"}, Allow: []policy.Rule{{AnyRole: []string{"user", "admin"}}}},
		{Path: "/api/users/{id}", Methods: []string{"DELETE"}, Allow: []policy.Rule{{Role: "admin"}}},
	}}
}

func newStack(t testing.TB, changes ...func(*setup)) *stack {
	t.Helper()
	conf := setup{gateway: DefaultConfig(), auth: auth.DefaultConfig(), web: web.DefaultConfig(), policy: corpusPolicy()}
	conf.gateway.Listen, conf.gateway.PublicURL, conf.gateway.Hosts = "127.0.0.1:0", "http://gw.test", []string{"gw.test"}
	conf.gateway.Upstreams = []Upstream{{Name: "app"}}
	for _, change := range changes {
		change(&conf)
	}
	s := &stack{t: t, app: newApplication(t, conf.answer), log: &logBuffer{}, epoch: conf.epoch}
	for i := range conf.gateway.Upstreams {
		u := &conf.gateway.Upstreams[i]
		if u.URLs == nil {
			u.URLs = []string{s.app.server.URL}
		}
		if u.Transport == "" {
			u.Transport = os.Getenv(transportVariable)
		}
	}
	s.serve(&conf)
	return s
}

// serve starts the stack on a new store, until the test ends.
func (s *stack) serve(conf *setup) {
	s.path = filepath.Join(s.t.TempDir(), "postern.db")
	s.start = func() { s.stop = s.wire(conf) }
	s.start()
	s.t.Cleanup(func() { s.stop() })
	s.add("alice", "user")
	s.add("root", "admin")
}

// wire puts the parts together as cmd/postern does, on the store that is there or a new
// one. close ends what it started and tears off what is left.
func (s *stack) wire(conf *setup) (close func()) {
	t := s.t
	conf.auth.Issuer, conf.auth.Assertions = conf.gateway.PublicURL, conf.gateway.Identity.Assertion.Enabled
	conf.auth.Subscribers = conf.gateway.Subscribers()
	store, err := sqlstore.Open(t.Context(), s.path)
	must(t, err)
	store.Now = s.now
	s.store = store
	log := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.service, err = auth.New(t.Context(), auth.Options{Store: store, Master: auth.MasterKey{7}, Config: conf.auth, Now: s.now})
	must(t, err)
	public, err := url.Parse(conf.gateway.PublicURL)
	must(t, err)
	own, err := web.New(web.Options{Service: s.service, Config: conf.web, PublicURL: public, Log: log, Now: s.now})
	must(t, err)
	table, findings := policy.Compile(conf.policy)
	if table == nil {
		t.Fatal(findings)
	}
	access, refresh := web.CookieNames(conf.web, public)
	s.parts = Parts{Config: conf.gateway, Table: table, Routes: conf.options, Own: own, Prefix: conf.web.Prefix,
		Cookies: Cookies{Access: access, Refresh: refresh}, CookieDomain: conf.web.Cookie.Domain, TokenSources: conf.web.TokenSources, CORSOrigins: conf.web.CORS.Origins}
	if conf.wrap != nil {
		s.parts.Own = conf.wrap(own)
	}
	s.gateway = New(Options{Auth: s.service, Outbox: store, Log: log, Now: s.now})
	if conf.grace > 0 {
		s.gateway.bodyGrace = conf.grace
	}
	snap, err := s.gateway.Build(s.parts)
	must(t, err)
	if conf.idle > 0 {
		snap.clientIdle = conf.idle
	}
	s.gateway.Swap(snap)
	s.server = NewServer(conf.gateway, s.gateway, log)
	s.server.http.Handler = warmable(s.server.http.Handler)
	must(t, s.server.Listen())
	served := make(chan error, 1)
	go func() { served <- s.server.Serve() }()
	return func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.server.Shutdown(over)
		if err := <-served; err != nil {
			t.Error(err)
		}
		s.gateway.snap.Load().closeIdle()
		_ = store.Close()
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stack) now() time.Time {
	if !s.epoch.IsZero() {
		return s.epoch.Add(time.Duration(s.ahead.Load()))
	}
	return time.Now().Add(time.Duration(s.ahead.Load()))
}

func (s *stack) later(d time.Duration) { s.ahead.Add(int64(d)) }

func (s *stack) add(name string, roles ...string) {
	s.t.Helper()
	_, err := s.service.AddAccount(s.t.Context(), auth.NewAccount{Username: name, Email: name + "@gw.test", Name: "Dr. " + name,
		Password: testPassword, Roles: roles}, auth.Actor{By: "test"})
	must(s.t, err)
}

// login answers a fresh grant, past HTTP: the endpoints have their own tests.
func (s *stack) login(name string) auth.Grant {
	s.t.Helper()
	g, err := s.service.Login(s.t.Context(), auth.Credentials{Username: name, Password: testPassword}, auth.Client{})
	must(s.t, err)
	return g
}

func (s *stack) token(name string) string { return s.login(name).AccessToken }

// reply is an answer, and what the application saw of its request.
type reply struct {
	*http.Response
	body string
	seen *seen // nil: the application was not asked
}

func (r *reply) code() string {
	var doc struct{ Code string }
	_ = json.Unmarshal([]byte(r.body), &doc)
	return doc.Code
}

// raw sends bytes over a connection of their own and reads one answer.
func (s *stack) raw(request string) *reply {
	s.t.Helper()
	conn := s.dial()
	defer conn.Close()
	before := s.app.count()
	// A request that is refused early need not be read to its end, and a slow writer
	// then finds the connection closed; its answer has come all the same.
	_, _ = io.WriteString(conn, request)
	return s.read(bufio.NewReader(conn), request, before)
}

func (s *stack) read(br *bufio.Reader, request string, before int) *reply {
	s.t.Helper()
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		s.t.Fatalf("no answer to %.200q: %v", request, err)
	}
	body, _ := io.ReadAll(res.Body)
	return &reply{Response: res, body: string(body), seen: s.app.after(before)}
}

// get sends a GET with more header lines, "Name: value".
func (s *stack) get(path string, lines ...string) *reply {
	s.t.Helper()
	return s.send("GET", path, "", lines...)
}

func (s *stack) send(method, path, body string, lines ...string) *reply {
	s.t.Helper()
	var b strings.Builder
	b.WriteString(method + " " + path + " HTTP/1.1\r\nHost: gw.test\r\n")
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	if body != "" || method == "POST" {
		b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	return s.raw(b.String() + "\r\n" + body)
}

func bearer(token string) string { return "Authorization: Bearer " + token }

func cookie(token string) string { return "Cookie: postern=" + token }

// wants fails unless the answer has the status and, when not empty, the code.
func (r *reply) wants(t testing.TB, status int, code string) {
	t.Helper()
	if r.StatusCode != status || code != "" && r.code() != code {
		t.Fatalf("answered %d %s, want %d %s: %.300s", r.StatusCode, r.code(), status, code, r.body)
	}
}

// notAsked fails when the application saw the request.
func (r *reply) notAsked(t testing.TB) {
	t.Helper()
	if r.seen != nil {
		t.Fatalf("the application was asked: %s %s", r.seen.method, r.seen.target)
	}
}

// saw answers what the application saw, and fails when it was not asked.
func (r *reply) saw(t testing.TB) *seen {
	t.Helper()
	if r.seen == nil {
		t.Fatalf("the application was not asked; answered %d %.300s", r.StatusCode, r.body)
	}
	return r.seen
}

// seen is a request as the application received it.
type seen struct {
	method, target, host string
	header               http.Header
	trailer              http.Header
	body                 string
}

// application records what reaches it, parsed and as raw bytes.
type application struct {
	server *httptest.Server
	mu     sync.Mutex // guards the following
	seen   []seen
	bytes  bytes.Buffer
}

func newApplication(t testing.TB, answer http.HandlerFunc) *application {
	a := &application{}
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer != nil && r.Header.Get("X-Record-First") == "" {
			a.record(r, nil)
			answer(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		a.record(r, body)
		_, _ = io.WriteString(w, "hello from the application")
	}))
	a.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	a.server.Listener = &teeListener{a.server.Listener, a}
	a.server.Start()
	t.Cleanup(func() { a.server.CloseClientConnections(); a.server.Close() })
	return a
}

func (a *application) record(r *http.Request, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, seen{r.Method, r.RequestURI, r.Host, r.Header.Clone(), r.Trailer.Clone(), string(body)})
}

func (a *application) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

func (a *application) after(n int) *seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.seen) <= n {
		return nil
	}
	return &a.seen[n]
}

func (a *application) raw() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bytes.String()
}

// teeListener keeps a copy of every byte that the application is sent.
type teeListener struct {
	net.Listener
	app *application
}

func (l *teeListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &teeConn{conn, l.app}, nil
}

type teeConn struct {
	net.Conn
	app *application
}

func (c *teeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.app.mu.Lock()
	defer c.app.mu.Unlock()
	c.app.bytes.Write(p[:n])
	return n, err
}

// logBuffer is a log that is read while it is written.
type logBuffer struct {
	mu  sync.Mutex // guards the following
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// entries answers the log lines with a message, waiting until there are n: a
// line is written after its answer was sent.
func (l *logBuffer) entries(t testing.TB, msg string, n int) []map[string]any {
	t.Helper()
	var found []map[string]any
	eventually(t, msg+" log lines", func() bool {
		found = nil
		for line := range strings.Lines(l.String()) {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == msg {
				found = append(found, entry)
			}
		}
		return len(found) >= n
	})
	return found
}

// eventually waits for what happens on another goroutine.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s", what)
}

func values(h http.Header, name string) []string { return slices.Clone(h.Values(name)) }

func newReader(conn net.Conn) *bufio.Reader { return bufio.NewReader(conn) }

func write(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	must(t, err)
}

func clientForTest() auth.Client { return auth.Client{RequestID: "test"} }

func roleChange(roles []string) auth.AccountChange { return auth.AccountChange{Roles: &roles} }
