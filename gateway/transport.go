package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/posternhq/postern/gateway/lean"
)

// Defaults of Timeouts.
const (
	defaultDial           = 2 * time.Second
	defaultResponseHeader = 30 * time.Second
	defaultWrite          = time.Minute
	defaultIdle           = 90 * time.Second
)

// continueTimeout is how long an upstream may take to say that it wants a body,
// where it is asked.
const continueTimeout = time.Second

// maxResponseHeader bounds the header of an upstream's answer, in bytes.
const maxResponseHeader = 256 << 10

// transport is how requests reach a target: over HTTP/1.1 or what TLS
// negotiates, and where that is wanted over HTTP/2 without TLS. A lean one
// carries what is plain, and hands the rest to the usual.
type transport struct {
	usual *http.Transport
	h2c   *http.Transport // nil: not wanted
	lean  *lean.Transport // nil: not wanted, or not without TLS
}

// roundTrip sends a request to the target, with more fields than are in its
// Header. WebSockets are HTTP/1.1, which servers of h2c speak on the same port.
func (t *target) roundTrip(r *http.Request, more lean.Fields, websocket bool) (*http.Response, error) {
	if t.transport.lean != nil && !websocket {
		return t.transport.lean.Send(r, more)
	}
	more.Set(r.Header)
	if t.transport.h2c != nil && !websocket {
		return t.transport.h2c.RoundTrip(r)
	}
	return t.transport.usual.RoundTrip(r)
}

// multiplexes tells whether the target may speak HTTP/2, where a request that
// takes its time holds a stream and no connection.
func (t *target) multiplexes() bool { return t.h2c || t.scheme == "https" }

// closeIdle lets go of the connections that no request uses.
func (t transport) closeIdle() {
	t.usual.CloseIdleConnections()
	if t.lean != nil {
		t.lean.CloseIdleConnections()
	}
	if t.h2c != nil {
		t.h2c.CloseIdleConnections()
	}
}

// transports makes those of one upstream. Its hosts share theirs; a unix socket
// has its own.
type transports struct {
	conf   *Upstream
	tls    *tls.Config
	dialer *net.Dialer
	hosts  transport
}

// newTransports reads what they need.
func newTransports(c *Upstream) (*transports, error) {
	tlsConfig, err := upstreamTLS(&c.TLS)
	if err != nil {
		return nil, err
	}
	return &transports{conf: c, tls: tlsConfig,
		dialer: &net.Dialer{Timeout: orDefault(c.Timeouts.Dial, defaultDial), KeepAlive: 30 * time.Second}}, nil
}

// of is what leads to an address.
func (ts *transports) of(a *serverAddress) transport {
	if a.socket != "" {
		path := a.socket
		t := ts.make(func(ctx context.Context, _, _ string) (net.Conn, error) {
			return ts.dial(ctx, "unix", path)
		})
		t.Protocols.SetHTTP1(true)
		return transport{usual: t, lean: ts.lean("unix", path, t)}
	}
	if ts.hosts.usual == nil {
		ts.hosts.usual = ts.make(ts.dial)
		ts.hosts.usual.Protocols.SetHTTP1(true)
		ts.hosts.usual.Protocols.SetHTTP2(true) // where TLS negotiates it
	}
	if !a.h2c {
		usual := transport{usual: ts.hosts.usual}
		if a.scheme == "http" {
			usual.lean = ts.lean("tcp", withPort(a.host), usual.usual)
		}
		return usual
	}
	if ts.hosts.h2c == nil {
		ts.hosts.h2c = ts.make(ts.dial)
		ts.hosts.h2c.Protocols.SetUnencryptedHTTP2(true)
	}
	return ts.hosts
}

// dial makes a connection for bodies and streams. An upstream that takes nothing
// more is given up: else an upload to an application that hangs would hold its
// client, both connections and a goroutine for as long as the client has patience.
func (ts *transports) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := ts.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	patience := orDefault(ts.conf.Timeouts.Write, defaultWrite)
	return &patientConn{Conn: conn, patience: func() time.Duration { return patience }}, nil
}

// lean tells whether its plain requests go past net/http. One of them all and
// requests of clients are answered past it too, see lean.Server.
func (u Upstream) lean() bool { return u.Transport != "standard" }

// lean is what carries plain requests to one address, or nothing where the
// configuration wants net/http's own transport alone. Each address has its own.
func (ts *transports) lean(network, address string, usual *http.Transport) *lean.Transport {
	if !ts.conf.lean() {
		return nil
	}
	return &lean.Transport{
		Dial:          func(ctx context.Context) (net.Conn, error) { return ts.dialer.DialContext(ctx, network, address) },
		Else:          usual,
		HeaderTimeout: usual.ResponseHeaderTimeout,
		MaxHeader:     usual.MaxResponseHeaderBytes,
		IdleTimeout:   usual.IdleConnTimeout,
		MaxIdle:       usual.MaxIdleConnsPerHost,
	}
}

// withPort is an address of a URL with the port that http has where it names
// none.
func withPort(host string) string {
	u := url.URL{Host: host}
	if u.Port() != "" {
		return host
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

// make makes connections of one kind. It keeps many idle ones: net/http's
// default of two per host makes a busy proxy dial for nearly every request. It
// adds no Accept-Encoding, which the client did not send, and heeds no proxy of
// the environment.
func (ts *transports) make(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        ts.tls.Clone(),
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  continueTimeout,
		MaxIdleConns:           0, // no bound but the next
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        orDefault(ts.conf.Timeouts.Idle, defaultIdle),
		ResponseHeaderTimeout:  orDefault(ts.conf.Timeouts.ResponseHeader, defaultResponseHeader),
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true,
		WriteBufferSize:        8 << 10,
		ReadBufferSize:         8 << 10,
		Protocols:              new(http.Protocols),
	}
}

// orDefault fills in for a duration that was left out.
func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}

// upstreamTLS reads the files of an https upstream. Without a ca_file the
// system's roots count; there is no way to switch verification off.
func upstreamTLS(c *UpstreamTLS) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		var err error
		if conf.RootCAs, err = readAuthorities("tls.ca_file", c.CAFile); err != nil {
			return nil, err
		}
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}
