package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/posternhq/postern/gateway/lean"
)

// socket is where a unix socket is, and who may connect to it.
type socket struct {
	path string
	mode fs.FileMode // zero: as the umask says
}

// parseSocket reads unix:PATH, or unix:PATH|MODE with the mode in octal digits:
// unix:/run/postern.sock|0660. ok is false for an address that is no socket's.
func parseSocket(address string) (s socket, ok bool, err error) {
	rest, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return socket{}, false, nil
	}
	path, mode, hasMode := strings.Cut(rest, "|")
	if path == "" {
		return socket{}, true, errors.New("names no socket: write unix:/run/postern.sock")
	}
	if !hasMode {
		return socket{path: path}, true, nil
	}
	bits, err := strconv.ParseUint(mode, 8, 32)
	if err != nil || bits == 0 || bits > 0o777 {
		return socket{}, true, fmt.Errorf("%q is no mode of a socket: write unix:%s|0660", mode, path)
	}
	return socket{path, fs.FileMode(bits)}, true, nil
}

// bind makes the listener of an address.
func bind(address string) (net.Listener, error) {
	at, ok, err := parseSocket(address)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return net.Listen("tcp", address)
	}
	removeStale(at.path)
	if at.mode == 0 {
		return net.Listen("unix", at.path)
	}
	conf := net.ListenConfig{Control: beforeBind(at.mode)}
	l, err := conf.Listen(context.Background(), "unix", at.path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(at.path, at.mode); err != nil { // what the umask took away
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeStale removes the socket of a program that was killed. One that is
// still answered is left alone, and binding fails.
func removeStale(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path) // else binding says what is wrong
	}
}

// front is the public listener: it believes what trusted peers say in PROXY
// protocol of where a connection comes from, and bounds how many there are.
type front struct {
	net.Listener
	trusts func(netip.Addr) bool
	most   int          // of connections; zero: as many as the system gives
	plain  *lean.Server // answers plain requests, which can be read: there is no TLS (plainConn). Nil: there is
	open   *atomic.Int64
	idle   func() time.Duration // for which a client may take nothing

	log       *slog.Logger
	crowd     *crowd              // of each client; nil: no limit
	refused   *refusedConnections // nil: they are not counted
	strangers *strangers          // nil: nobody is told of them
}

// Accept answers the next connection. Above the most that there may be, some
// more are accepted to be told so, and those after them are closed at once: a
// connection that waits unanswered in the system's queue looks like a gateway
// that hangs.
func (f *front) Accept() (net.Conn, error) {
	for {
		conn, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		n := int(f.open.Add(1))
		counted := &countedConn{Conn: &patientConn{Conn: newWatchedConn(conn), patience: f.idle}, open: f.open, crowd: f.crowd}
		if f.most > 0 && n > f.most {
			counted.crowded.Store(uint32(crowdOfAll))
			f.refused.count(crowdOfAll)
		}
		if f.most > 0 && n > withMargin(f.most) {
			_ = counted.Close() // nobody is there yet to be told
			continue
		}
		if conn := f.proxied(counted); conn != nil {
			return f.readable(conn), nil
		}
	}
}

// readable lets request lines be looked at where they can be read.
func (f *front) readable(conn net.Conn) net.Conn {
	if f.plain == nil {
		return conn
	}
	return newPlainConn(f.plain.Conn(conn), f.log)
}

// proxied lets a trusted peer say for whom it has connected. One that says
// nothing is who it is. From everybody else the header is not read: a request
// that begins with one is malformed, and answered 400. It answers nil for a
// connection that it closed, because its client has far too many.
func (f *front) proxied(conn *countedConn) net.Conn {
	peer := addressOf(conn.RemoteAddr())
	if f.trusts(peer) {
		return &proxiedConn{Conn: proxyproto.NewConn(conn, proxyproto.WithPolicy(proxyproto.USE),
			proxyproto.SetReadHeaderTimeout(readHeaderTimeout), proxyproto.ValidateHeader(validProxied)), front: f, counted: conn}
	}
	conn.strangers = f.strangers
	if !f.admit(conn, peer) {
		return nil
	}
	return conn
}

// addressOf is a peer's address as the trusted ones are written; invalid for a
// unix socket's.
func addressOf(a net.Addr) netip.Addr {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// errNoStream refuses a connection that the proxy says is none of TCP.
var errNoStream = errors.New("proxy protocol: not of a TCP connection")

// validProxied refuses senders that no client of HTTP can be: a unix socket's
// path, read as an address, would be the unix peer that may be trusted.
func validProxied(h *proxyproto.Header) error {
	if h.Command.IsLocal() || h.TransportProtocol == proxyproto.TCPv4 || h.TransportProtocol == proxyproto.TCPv6 {
		return nil
	}
	return errNoStream
}

// proxiedConn is a connection of a trusted peer. Its header is read by the
// goroutine that serves it, at the first use: a peer that says nothing holds
// up nobody else.
type proxiedConn struct {
	*proxyproto.Conn
	front   *front
	counted *countedConn
	known   sync.Once // whose it is
}

// RemoteAddr is client, whom the connection counts for from then on: net/http
// asks for it before anything else.
func (c *proxiedConn) RemoteAddr() net.Addr {
	client := c.client()
	c.known.Do(func() { c.front.admit(c.counted, addressOf(client)) })
	return client
}

// client is the client's address, as the proxy says. The proxy's own
// connection (LOCAL, a health check) is the proxy's. Where the proxy does not
// know (PROXY UNKNOWN) it is no address at all: taken for the proxy, the client
// would be trusted as one.
func (c *proxiedConn) client() net.Addr {
	h := c.ProxyHeader()
	if h != nil && h.Version == 1 && h.TransportProtocol == proxyproto.UNSPEC {
		return &net.TCPAddr{IP: net.IPv4zero}
	}
	return c.Conn.RemoteAddr()
}

// CloseWrite lets net/http end an answer that the client can still read.
func (c *proxiedConn) CloseWrite() error { return closeWrite(c.Raw()) }

// countedConn counts until it is closed.
type countedConn struct {
	net.Conn
	open      *atomic.Int64
	once      sync.Once
	crowd     *crowd // nil: there is no limit to each client's
	place     crowdPlace
	crowded   atomic.Uint32 // a crowding: of which there were too many
	strangers *strangers    // is told how it begins; Read's alone. Nil: it has begun, or is believed
}

// Read reads, and looks at how the connection begins.
func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.strangers != nil && n > 0 {
		if isProxyHeader(p[:n]) {
			c.strangers.note(addressOf(c.RemoteAddr()))
		}
		c.strangers = nil
	}
	return n, err
}

// Close closes the connection, and makes room for another.
func (c *countedConn) Close() error {
	c.once.Do(func() {
		c.open.Add(-1)
		c.crowd.leave(&c.place)
	})
	return c.Conn.Close()
}

// CloseWrite is proxiedConn's.
func (c *countedConn) CloseWrite() error { return closeWrite(c.Conn) }

// closeWrite ends what we send, and no more.
func closeWrite(conn any) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// crowdedKey is the context key of connections that are one too many, or may
// turn out to be once it is known whose they are.
type crowdedKey struct{}

// noteConn is http.Server.ConnContext.
func noteConn(ctx context.Context, conn net.Conn) context.Context {
	ctx = noteCrowd(ctx, conn)
	if c, ok := conn.(*plainConn); ok {
		ctx = context.WithValue(ctx, plainKey{}, c)
		c.SetContext(ctx)
	}
	return ctx
}

// noteIdle is http.Server.ConnState: after an answer comes another request.
func noteIdle(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*plainConn); ok && state == http.StateIdle {
		c.idle()
	}
}

// noteCrowd puts a connection that is one too many into its context. It must not
// ask for the connection's addresses: it runs before the next one is accepted.
func noteCrowd(ctx context.Context, conn net.Conn) context.Context {
	for {
		switch c := conn.(type) {
		case interface{ NetConn() net.Conn }: // TLS, or plainConn
			conn = c.NetConn()
		case *proxiedConn:
			if c.front.crowd != nil {
				return context.WithValue(ctx, crowdedKey{}, c.counted)
			}
			conn = c.Raw()
		case *countedConn:
			if c.crowded.Load() != uint32(roomy) {
				return context.WithValue(ctx, crowdedKey{}, c)
			}
			return ctx
		default:
			return ctx
		}
	}
}

// crowdingOf tells whether the connection of a request is one too many.
func crowdingOf(ctx context.Context) crowding {
	c, ok := ctx.Value(crowdedKey{}).(*countedConn)
	if !ok {
		return roomy
	}
	return crowding(c.crowded.Load())
}

// crowdedRetry is when a client that found too many connections should try
// again: those that others leave unused end by then.
const crowdedRetry = 10 * time.Second
