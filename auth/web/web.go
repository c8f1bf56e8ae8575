// Package web is the HTTP face of package auth: the endpoints and pages with
// which people and programs log in, refresh, log out and look after their own
// account.
//
//	POST /auth/login      {"username": "alice", "password": "..."}
//	POST /auth/refresh    {"refresh_token": "..."}
//	POST /auth/logout     {"all": true}
//	GET  /auth/me
//	POST /auth/token      grant_type=password&username=alice&password=...
//
// A program gets its tokens in the body. A browser gets them in two cookies
// that no script can read: the access token for the whole site, the refresh
// token for the refresh endpoint's path alone, so that it travels only when it
// is spent.
//
// The gateway in front has checked the path, the Host, the origin of every
// state change and that there is one credential at most, and has authenticated
// it (auth.PresentedIn). This package decides what an account may do to itself.
//
// # Promises
//
//   - An answer with a token is no-store, and no token is ever in a URL.
//   - A refresh token that came in a cookie goes back in a cookie, never in a body.
//   - By cookie, both tokens must be of one session: a planted one is refused.
//   - rd leads to a path of this site, or with a cookie domain to a host that
//     shares the login, and nowhere else.
//   - An unknown name, a wrong password and a disabled account get one answer.
//   - A fault of the store is 503. It clears no cookie and makes nobody anonymous.
//   - A GET changes nothing, but for the rotation that a browser is sent to, and
//     an alias's logout of a program that shows its token in a header.
//   - An alias changes how things are said, never what is allowed.
//
// # Where to look
//
// login.go, refresh.go, logout.go and me.go hold the endpoints, openapi.yaml
// describes them; body.go reads what is sent, answers.go writes what is
// answered; cookies.go and redirect.go are the two places where a browser could
// be led astray. alias.go and its kin let clients of other backends speak to
// the same endpoints; the presets are data.
//
// # Why
//
// The refresh endpoint answers every method. A legacy application's page knows
// nothing of tokens; when its form is posted with an expired one, the gateway
// sends the browser here with a 307, and a 307 leads back, so the post arrives
// as it was sent.
//
// An alias does not call a handler and rewrite what comes out: it does the
// endpoint's deed through the same functions, and shapes the answer from what
// was done. So there is no answer that a shape forgot to cut.
package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// jwksPath is where verifiers look for keys (RFC 8615, RFC 7517).
const jwksPath = "/.well-known/jwks.json"

// Options is what a Handler is made of.
type Options struct {
	Service   *auth.Service
	Config    Config
	PublicURL *url.URL         // as browsers see the site; https makes the cookies Secure
	Hosts     []string         // the Host values answered; with cookie.domain rd may lead to them
	Log       *slog.Logger     // nil: slog.Default()
	Now       func() time.Time // nil: time.Now
}

// Handler serves the endpoints. It is immutable; a reload makes a new one.
type Handler struct {
	service *auth.Service
	config  Config
	cookies cookieJar
	rd      returner
	log     *slog.Logger
	now     func() time.Time
	// endpoints by path below the prefix, with {id} for an id in it
	endpoints map[string]endpoint
	aliases   aliases // of other paths, and over endpoints of this one
	docs      docs
	metadata  metadata // but for the issuer
}

// endpoint is what one path answers, by method. HEAD is answered as GET.
type endpoint map[string]http.HandlerFunc

// New makes a Handler, or says all that is wrong with the configuration.
func New(o Options) (*Handler, error) {
	if o.Service == nil || o.PublicURL == nil {
		return nil, errors.New("web: Options need a Service and a PublicURL")
	}
	var faults []error
	for _, f := range append(o.Config.Validate(), o.Config.ValidateFor(o.PublicURL)...) {
		faults = append(faults, fmt.Errorf("auth.%s: %s", f.Path, f.Message))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	h := &Handler{
		service:  o.Service,
		config:   o.Config,
		cookies:  newCookieJar(o.Config, o.PublicURL),
		docs:     newDocs(o.Config, o.PublicURL),
		metadata: newMetadata(o.Config, o.PublicURL),
		rd:       newReturner(o.Config, o.PublicURL, o.Hosts),
		log:      o.Log,
		now:      o.Now,
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	if h.now == nil {
		h.now = time.Now
	}
	h.endpoints = map[string]endpoint{
		"/login":                     {http.MethodGet: h.loginPage, http.MethodPost: h.login},
		"/refresh":                   {http.MethodPost: h.refresh},
		"/logout":                    {http.MethodGet: h.logoutPage, http.MethodPost: h.logout},
		"/me":                        {http.MethodGet: h.me, http.MethodPatch: h.changeProfile},
		"/me/password":               {http.MethodPost: h.changePassword},
		"/sessions":                  {http.MethodGet: h.sessions},
		"/sessions/{id}":             {http.MethodDelete: h.endSession},
		"/register":                  {http.MethodGet: h.registerPage, http.MethodPost: h.register},
		"/users/{id}":                {http.MethodGet: h.publicProfile},
		"/admin/users":               {http.MethodGet: h.asAdmin(h.users), http.MethodPost: h.asAdmin(h.addUser)},
		"/admin/users/{id}":          {http.MethodGet: h.asAdmin(h.user), http.MethodPatch: h.asAdmin(h.changeUser), http.MethodDelete: h.asAdmin(h.deleteUser)},
		"/admin/users/{id}/sessions": {http.MethodGet: h.asAdmin(h.userSessions), http.MethodDelete: h.asAdmin(h.endUserSessions)},
		"/token":                     {http.MethodPost: h.token},
		"/revoke":                    {http.MethodPost: h.revoke},
		"/introspect":                {http.MethodPost: h.asAdmin(h.introspect)},
		"/openapi.yaml":              {http.MethodGet: h.openAPI},
		"/docs":                      {http.MethodGet: h.docsPage},
	}
	h.aliases = h.newAliases()
	h.cookies.spentAt = append(h.cookies.spentAt, h.aliases.refresh...)
	return h, nil
}

// Owns tells whether a request is answered here: for the prefix, all below it,
// the .well-known documents, and what aliases have by path and method.
func (h *Handler) Owns(r *http.Request) bool {
	path := r.URL.Path
	return path == h.config.Prefix || strings.HasPrefix(path, h.config.Prefix+"/") || WellKnown(path) || h.ownsAlias(r)
}

// WellKnown tells whether a path is one of the documents that are found by their
// names, whatever the prefix.
func WellKnown(path string) bool { return path == jwksPath || path == metadataPath }

// HandlesTokens tells whether a request is for an endpoint that takes stale
// tokens as they are: those that give tokens, or take them away, and what is
// there for everybody outside of the prefix.
func (h *Handler) HandlesTokens(r *http.Request) bool {
	if endpoint := h.aliases.endpointOf(r); endpoint != "" {
		return endpoint != toMe && endpoint != toPassword
	}
	switch below, ok := strings.CutPrefix(r.URL.Path, h.config.Prefix); below {
	case "/login", "/refresh", "/logout", "/register", "/token", "/revoke":
		return true
	default:
		return !ok
	}
}

// ServeHTTP answers one request that Owns accepts.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store") // every answer here is somebody's own; the key set says otherwise
	e, ok := h.lookup(r.URL.Path)
	if !ok {
		h.allowOrigin(w, r, nil)
		h.writeProblem(w, r, problem.Of(problem.NoRoute))
		return
	}
	if h.allowOrigin(w, r, e.methods()) {
		return
	}
	// Before the method is looked at: the silent refresh of a PUT arrives as a
	// PUT.
	if r.URL.Path == h.config.Prefix+"/refresh" && r.URL.Query().Has("rd") {
		h.refreshAndReturn(w, r)
		return
	}
	serve, ok := e[answeredAs(r.Method)]
	if !ok {
		h.writeProblem(w, r, problem.Method(e.methods()...))
		return
	}
	serve(w, r)
}

// answeredAs is the method by whose handler a method is answered: a HEAD by GET's.
func answeredAs(method string) string {
	if method == http.MethodHead {
		return http.MethodGet
	}
	return method
}

// find answers the endpoint at a path.
func (h *Handler) find(path string) (endpoint, bool) {
	switch path {
	case jwksPath:
		return endpoint{http.MethodGet: h.keys}, true
	case metadataPath:
		return endpoint{http.MethodGet: h.describeServer}, true
	}
	below, ok := strings.CutPrefix(path, h.config.Prefix)
	if !ok || below == "/register" && !h.service.RegistrationOpen() {
		return nil, false
	}
	pattern, _ := withoutID(below)
	e, ok := h.endpoints[pattern]
	return e, ok
}

// withoutID is a path below the prefix as endpoints has it, and the id in it;
// of a path without one the path itself.
func withoutID(below string) (pattern, id string) {
	for _, before := range []string{"/sessions/", "/users/", "/admin/users/"} {
		rest, ok := strings.CutPrefix(below, before)
		if !ok {
			continue
		}
		id, after, more := strings.Cut(rest, "/")
		switch {
		case id == "":
			return below, ""
		case more:
			return before + "{id}/" + after, id
		}
		return before + "{id}", id
	}
	return below, ""
}

// idIn is the id in a request's path.
func (h *Handler) idIn(r *http.Request) string {
	_, id := withoutID(strings.TrimPrefix(r.URL.Path, h.config.Prefix))
	return id
}

// methods lists what an endpoint answers, for the Allow field.
func (e endpoint) methods() []string {
	var methods []string
	for m := range e {
		methods = append(methods, m)
		if m == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return methods
}

// keys answers the public keys. Anyone may have them, and keep them a while:
// who meets an unknown kid asks again.
func (h *Handler) keys(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodHead {
		_, _ = w.Write(h.service.JWKS()) // the client has gone: nobody is left to tell
	}
}

// client says where a request comes from. RemoteAddr is the real client's: the
// gateway has put it there.
func client(r *http.Request) auth.Client {
	return auth.Client{Address: addressOf(r.RemoteAddr), UserAgent: r.UserAgent(), RequestID: r.Header.Get("X-Request-Id")}
}
