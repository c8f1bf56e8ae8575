package gateway

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/gateway/problem"
)

// challengePath is below which a CA looks for answers (RFC 8555, 8.3).
const challengePath = "/.well-known/acme-challenge/"

// NewPlainServer makes the server of tls.acme.http_listen, for the fetcher of
// the public one: it answers the CA's challenges over HTTP (http-01), and sends
// all others of our names to https. Nothing is served there and nobody's tokens
// are looked at. Nil where there is no such listener.
func NewPlainServer(c Config, public *Server, log *slog.Logger) *Server {
	if public.fetcher == nil || c.TLS.ACME.HTTPListen == "" {
		return nil
	}
	h := &toHTTPS{fetcher: public.fetcher}
	if u, err := url.Parse(c.PublicURL); err == nil && u.Scheme == "https" && u.Port() != "" {
		h.port = ":" + u.Port()
	}
	s := &Server{address: c.TLS.ACME.HTTPListen, key: "tls.acme.http_listen", http: newHTTPServer(h, log),
		trusts: func(netip.Addr) bool { return false }, connections: c.Limits.Connections, open: new(atomic.Int64),
		idle: func() time.Duration { return defaultClientIdle }}
	s.http.ConnState = noteIdle
	s.http.ReadTimeout, s.http.WriteTimeout = readHeaderTimeout, readHeaderTimeout // nobody has a body to send here, or a long answer to read
	return s
}

// toHTTPS is its handler.
type toHTTPS struct {
	fetcher *fetcher
	port    string // with a colon; empty: https's own
}

// ServeHTTP implements http.Handler. A Host that is not ours is not written into
// a redirect: it would lead wherever a stranger says.
func (h *toHTTPS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now, name := h.fetcher.current.Load(), asciiName(hostname(r.Host))
	id := requestID(r.Header["X-Request-Id"])
	r.Header.Set("X-Request-Id", id)
	w.Header().Set("X-Request-Id", id)
	switch {
	case name == "" || !now.domains[name]:
		problem.Write(w, r, problem.Of(problem.UnknownHost))
	case !strings.HasPrefix(r.URL.Path, "/"): // OPTIONS *, CONNECT
		problem.Write(w, r, problem.Of(problem.BadRequest))
	case strings.HasPrefix(r.URL.Path, challengePath) && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		w.Header().Set("Cache-Control", "no-store")
		now.answers.ServeHTTP(w, r)
	default:
		w.Header().Set("Location", "https://"+name+h.port+r.URL.RequestURI())
		w.WriteHeader(http.StatusPermanentRedirect)
	}
}
