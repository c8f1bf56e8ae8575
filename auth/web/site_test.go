package web

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

const (
	alicePassword = "wonderland-1865"
	rootPassword  = "looking-glass-1871"
)

// site is the handler on a real Service on a real SQLite file, behind a front
// that plays the gateway's part.
type site struct {
	t       *testing.T
	handler *Handler
	service *auth.Service
	store   *sqlstore.Store
	address string // of the client
	log     *strings.Builder
	ahead   atomic.Int64 // nanoseconds by which the clock is ahead
}

// setup changes what a site is made of.
type setup struct {
	auth   auth.Config
	web    Config
	public string
	hosts  []string
	audit  func(context.Context, auth.Event)
}

func newSite(t *testing.T, changes ...func(*setup)) *site {
	t.Helper()
	conf := setup{auth: auth.DefaultConfig(), web: DefaultConfig(), public: "http://gw.test"}
	for _, change := range changes {
		change(&conf)
	}
	conf.auth.Issuer = conf.public
	store, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s := &site{t: t, store: store, address: "192.0.2.7", log: &strings.Builder{}}
	store.Now = s.now
	s.service, err = auth.New(t.Context(), auth.Options{Store: store, Master: auth.MasterKey{1, 2, 3}, Config: conf.auth, Now: s.now, Audit: conf.audit})
	if err != nil {
		t.Fatal(err)
	}
	public, err := url.Parse(conf.public)
	if err != nil {
		t.Fatal(err)
	}
	s.handler, err = New(Options{Service: s.service, Config: conf.web, PublicURL: public, Hosts: conf.hosts, Now: s.now,
		Log: slog.New(slog.NewTextHandler(s.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.add("alice", alicePassword, "user")
	return s
}

func https(s *setup) { s.public = "https://gw.test" }

func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// later moves the clock of the service and the store.
func (s *site) later(d time.Duration) { s.ahead.Add(int64(d)) }

func (s *site) add(name, password string, roles ...string) auth.Account {
	s.t.Helper()
	a, err := s.service.AddAccount(s.t.Context(), auth.NewAccount{Username: name, Email: name + "@example.com", Name: "Dear " + name,
		Roles: roles, Password: password}, auth.Actor{By: "test"})
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// answer is a response that has been read.
type answer struct {
	*http.Response
	body string
}

// with is a change of a request.
type with func(*http.Request)

func bearer(token string) with { return header("Authorization", "Bearer "+token) }

func header(name, value string) with { return func(r *http.Request) { r.Header.Set(name, value) } }

func cookie(name, value string) with {
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: name, Value: value}) }
}

func navigation(r *http.Request) { r.Header.Set("Accept", "text/html,*/*;q=0.8") }

func body(media, text string) with {
	return func(r *http.Request) {
		r.Header.Set("Content-Type", media)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
}

func asJSON(text string) with { return body("application/json", text) }

func asForm(pairs ...string) with {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return body("application/x-www-form-urlencoded", values.Encode())
}

// ask sends a request as the gateway hands it on: with the client's address,
// an id, and what became of the credential.
func (s *site) ask(method, target string, changes ...with) answer {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, target, nil)
	r.Host = "gw.test"
	r.Header.Set("User-Agent", "test browser")
	for _, change := range changes {
		change(r)
	}
	r.RemoteAddr = net.JoinHostPort(s.address, "0")
	r.Header.Set("X-Request-Id", "req-1")
	r = r.WithContext(auth.WithPresented(r.Context(), s.present(r)))
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if s.handler.config.Prefix == DefaultConfig().Prefix && len(s.handler.config.Aliases) == 0 {
		conform(s.t, r, w.Code, w.Result().Header, w.Body.String())
	}
	return answer{w.Result(), w.Body.String()}
}

// present authenticates as the gateway does: one bearer token or one access
// cookie.
func (s *site) present(r *http.Request) auth.Presented {
	p := auth.Presented{}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		p.Kind, p.Token = auth.BearerCredential, token
	} else if c, err := r.Cookie(s.handler.cookies.access); err == nil {
		p.Kind, p.Token = auth.CookieCredential, c.Value
	}
	for _, source := range s.handler.config.Sources() {
		if name, ok := strings.CutPrefix(source, "header:"); ok && r.Header.Get(name) != "" {
			p.Kind, p.Token = auth.HeaderCredential, r.Header.Get(name)
		}
	}
	if p.Kind != auth.NoCredential {
		who, err := s.service.Verify(p.Token)
		p.Principal, p.Err = &who, err
	}
	return p
}

// want checks a status and, where it is not empty, a problem's code.
func (a answer) want(t *testing.T, status int, code string) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("answered %d, want %d: %s", a.StatusCode, status, a.body)
	}
	if code != "" && a.text(t, "code") != code {
		t.Fatalf("code %s, want %s", a.text(t, "code"), code)
	}
	return a
}

func (a answer) bytes() []byte { return []byte(a.body) }

// text reads a member of the answer's JSON object.
func (a answer) text(t *testing.T, name string) string {
	t.Helper()
	s, _ := a.object(t)[name].(string)
	return s
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(a.body), &o); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return o
}

// cookie answers a Set-Cookie of the answer.
func (a answer) cookie(t *testing.T, name string) *http.Cookie {
	t.Helper()
	var found *http.Cookie
	for _, c := range a.Cookies() {
		if c.Name == name {
			if found != nil {
				t.Fatalf("%s is set twice", name)
			}
			found = c
		}
	}
	return found
}

// value answers the value of a Set-Cookie, which must be there.
func (a answer) value(t *testing.T, name string) string {
	t.Helper()
	c := a.cookie(t, name)
	if c == nil || c.Value == "" {
		t.Fatalf("cookie %s is not set: %v", name, a.Header["Set-Cookie"])
	}
	return c.Value
}

// pair is a login's tokens.
type pair struct{ access, refresh string }

// login logs somebody in by JSON.
func (s *site) login(name, password string) pair {
	s.t.Helper()
	a := s.ask("POST", "/auth/login", asJSON(`{"username":"`+name+`","password":"`+password+`"}`)).want(s.t, 200, "")
	return pair{a.text(s.t, "access_token"), a.text(s.t, "refresh_token")}
}

func (s *site) alice() pair { s.t.Helper(); return s.login("alice", alicePassword) }

// loginCookies logs alice in by the form.
func (s *site) loginCookies() pair {
	s.t.Helper()
	a := s.ask("POST", "/auth/login", asForm("username", "alice", "password", alicePassword)).want(s.t, 303, "")
	return pair{a.value(s.t, s.handler.cookies.access), a.value(s.t, s.handler.cookies.refresh)}
}

// cookies sends both tokens as the refresh path gets them.
func (s *site) cookies(p pair) with {
	return func(r *http.Request) {
		cookie(s.handler.cookies.access, p.access)(r)
		cookie(s.handler.cookies.refresh, p.refresh)(r)
	}
}

// alive tells whether an access token still opens /auth/me.
func (s *site) alive(access string) bool {
	s.t.Helper()
	return s.ask("GET", "/auth/me", bearer(access)).StatusCode == 200
}
