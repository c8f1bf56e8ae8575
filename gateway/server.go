package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/lean"
)

// Limits of the public listener. There is no write timeout: an event stream or
// a large download may take as long as its reader does, see patientConn.
const (
	readHeaderTimeout = 10 * time.Second // against slow headers (Slowloris)
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10    // what is longer is refused as every bad request is
	readHeaderBytes   = 96 << 10    // and what is longer than this by net/http, in its own words
	defaultClientIdle = time.Minute // Limits.ClientIdle
	maxH2Streams      = 250
)

// Server is a listener and the http.Server behind it. Listen, then Serve, then
// Shutdown.
type Server struct {
	address           string
	key               string // of the configuration: listen, or admin.listen
	certFile, keyFile string
	clientCAFile      string   // empty: clients are asked for no certificate
	fetcher           *fetcher // of certificates by ACME; nil: none
	log               *slog.Logger
	http              *http.Server
	plain             *lean.Server // answers requests beside http; nil: over TLS
	streams           *streams     // nil: none
	listener          net.Listener
	trusts            func(netip.Addr) bool // whose PROXY protocol is believed; nil: nobody's
	connections       int                   // at most; zero: no limit
	perClient         int                   // and of each client's
	refused           *refusedConnections   // counts those above; nil: nothing does
	open              *atomic.Int64         // counts the connections
	strangers         *strangers            // nil: nothing tells of them
	idle              func() time.Duration  // for which a client may take nothing
	reading           sync.Mutex            // of the certificate's files: what was read last is what counts
	certificate       atomic.Pointer[tls.Certificate]
	expiry            *atomic.Int64 // of the certificate, in Unix seconds
}

// NewServer makes the public server of a Gateway.
func NewServer(c Config, g *Gateway, log *slog.Logger) *Server {
	s := &Server{address: c.Listen, key: "listen", certFile: c.TLS.CertFile, keyFile: c.TLS.KeyFile, clientCAFile: c.TLS.ClientCAFile, log: log, http: newHTTPServer(handled(g), log), streams: &g.streams,
		trusts: g.trusts, connections: c.Limits.Connections, perClient: c.Limits.ConnectionsPerClient, refused: g.refused, open: &g.connections, idle: g.clientIdle, expiry: &g.certificate,
		strangers: &strangers{log: log, now: g.now}}
	s.http.ConnContext, s.http.ConnState = noteConn, noteIdle
	s.http.HTTP2.WriteByteTimeout = orDefault(c.Limits.ClientIdle, defaultClientIdle) // of the connection; answer has those of its streams
	switch {
	case c.TLS.ACME.Enabled():
		s.fetcher = newFetcher(c.TLS.ACME, log)
		s.fetcher.expiry = &g.fetched
		s.http.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"h2", "http/1.1", acme.ALPNProto}, // the last is the CA's, for its challenge (RFC 8737)
			GetCertificate: s.fetcher.admitted,
		}
	case s.certFile != "":
		s.http.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS12,
			NextProtos: []string{"h2", "http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				return s.certificate.Load(), nil
			},
		}
	case c.H2C:
		s.http.Protocols = new(http.Protocols)
		s.http.Protocols.SetHTTP1(true)
		s.http.Protocols.SetUnencryptedHTTP2(true)
	}
	if s.http.TLSConfig == nil {
		s.plain = &lean.Server{Handler: g, IdleTimeout: idleTimeout, Off: g.standard}
	}
	return s
}

// KeepCertificates says where certificates that are fetched by ACME are kept,
// unless the configuration names a directory. Call it before Listen.
func (s *Server) KeepCertificates(secrets *auth.Secrets) {
	if s.fetcher != nil {
		s.fetcher.secrets = secrets
	}
}

// FetchCertificates fetches the certificates of the configured domains, and
// those of others once there are (FetchFor), until ctx ends. Without ACME it
// does nothing. It needs the server to serve: the CA comes to see whose the
// domain is.
func (s *Server) FetchCertificates(ctx context.Context) error {
	if s.fetcher != nil {
		s.fetcher.fetch(ctx)
	}
	return nil
}

// FetchFor has certificates fetched for these domains from now on, and for no
// others. Connections that stand stay. Without ACME, and without domains, it
// does nothing: to end or begin it is for the next start.
func (s *Server) FetchFor(domains []string) {
	if s.fetcher != nil && len(domains) > 0 {
		s.fetcher.serve(domains)
	}
}

// NewAdminServer makes the server for probes and metrics. It speaks plain HTTP:
// it belongs on a loopback address or a private network.
func NewAdminServer(c Config, h http.Handler, log *slog.Logger) *Server {
	return &Server{address: c.Admin.Listen, key: "admin.listen", http: newHTTPServer(h, log)}
}

// newHTTPServer has the limits. What net/http has to say, mostly of clients
// that talk nonsense, goes to the log at level debug: anybody can make it talk.
func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:                      h,
		DisableGeneralOptionsHandler: true, // OPTIONS * is a request like any other, and refused like one
		ReadHeaderTimeout:            readHeaderTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               readHeaderBytes - 4<<10, // net/http adds 4 KiB of slack
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: maxH2Streams},
	}
}

// Listen binds the address: a port in use is an error at the start, not a line
// in a log later.
func (s *Server) Listen() error {
	if err := s.ReloadCertificate(); err != nil {
		return err
	}
	if s.fetcher != nil {
		if err := s.fetcher.open(); err != nil {
			return err
		}
	}
	if s.clientCAFile != "" {
		if err := askForCertificates(s.http.TLSConfig, s.clientCAFile); err != nil {
			return err
		}
	}
	if s.listener != nil { // inherited
		s.listener = s.wrapped(s.listener)
		return nil
	}
	l, err := bind(s.address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s: another program has it already; stop that one, or set %s (POSTERN_%s) to another address",
			s.address, s.key, strings.ToUpper(strings.ReplaceAll(s.key, ".", "_")))
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen on %s: not permitted; set %s to a port from 1024 up, or give the program CAP_NET_BIND_SERVICE", s.address, s.key)
	case err != nil:
		return fmt.Errorf("listen on %s: %w", s.address, err)
	}
	s.listener = s.wrapped(l)
	return nil
}

// Inherit has the server take a listener that is bound already, in place of its
// address. Listen then binds nothing.
func (s *Server) Inherit(l net.Listener) { s.listener = l }

// wrapped is the public listener as front, and the admin listener as it is.
func (s *Server) wrapped(l net.Listener) net.Listener {
	if s.trusts == nil {
		return l
	}
	return &front{Listener: l, trusts: s.trusts, most: s.connections, open: s.open, idle: s.idle, plain: s.plain,
		log: s.log, crowd: newCrowd(s.perClient), refused: s.refused, strangers: s.strangers}
}

// ReloadCertificate reads the certificate's files again; without any it does
// nothing. On an error the old one stays.
func (s *Server) ReloadCertificate() error {
	if s.certFile == "" {
		return nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	cert, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
	if err != nil {
		return fmt.Errorf("tls.cert_file %s and tls.key_file %s: %w", s.certFile, s.keyFile, err)
	}
	if old := s.certificate.Swap(&cert); old != nil && !bytes.Equal(old.Certificate[0], cert.Certificate[0]) {
		s.log.Info("another certificate is in use", "file", s.certFile, "until", cert.Leaf.NotAfter)
	}
	if s.expiry != nil {
		s.expiry.Store(cert.Leaf.NotAfter.Unix())
	}
	return nil
}

// Addr is the bound address, for :0. Empty before Listen.
func (s *Server) Addr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Serve answers requests until Shutdown, and then returns nil.
func (s *Server) Serve() error {
	var err error
	if s.http.TLSConfig != nil {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", s.address, err)
}

// Shutdown stops listening, ends WebSockets and event streams, waits for the
// other requests until ctx ends, and then tears off what is left.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.fetcher != nil {
		s.fetcher.stop()
	}
	ended := make(chan error, 1)
	go func() { ended <- s.shutdown(ctx) }()
	var err error
	if s.streams != nil {
		err = s.streams.close(ctx)
	}
	err = errors.Join(err, <-ended)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		err = errCut
	}
	return errors.Join(fmt.Errorf("drain: %w", err), s.http.Close())
}

// errCut is a stop that some requests outlasted.
var errCut = fmt.Errorf("requests that had not ended within shutdown.timeout were cut off; raise it if they should have: %w", context.DeadlineExceeded)

// shutdown waits for the requests under way, of net/http and beside it.
func (s *Server) shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if s.plain != nil {
		err = errors.Join(err, s.plain.Shutdown(ctx))
	}
	return err
}
