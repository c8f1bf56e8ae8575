package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Defaults of Timeouts.
const (
	defaultDial           = 2 * time.Second
	defaultResponseHeader = 30 * time.Second
	defaultIdle           = 90 * time.Second
)

// maxResponseHeader bounds the header of an upstream's answer, in bytes.
const maxResponseHeader = 256 << 10

// newTransport makes the connections to one upstream. It keeps many idle ones:
// net/http's default of two per host makes a busy proxy dial for nearly every
// request. It speaks HTTP/1.1, adds no Accept-Encoding, which the client did
// not send, and heeds no proxy of the environment.
func newTransport(c *Upstream) (*http.Transport, error) {
	dialer := &net.Dialer{Timeout: orDefault(c.Timeouts.Dial, defaultDial), KeepAlive: 30 * time.Second}
	tlsConfig, err := upstreamTLS(&c.TLS)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           0, // no bound but the next
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        orDefault(c.Timeouts.Idle, defaultIdle),
		ResponseHeaderTimeout:  orDefault(c.Timeouts.ResponseHeader, defaultResponseHeader),
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true,
		WriteBufferSize:        8 << 10,
		ReadBufferSize:         8 << 10,
	}, nil
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
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s holds no PEM certificate", c.CAFile)
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

// bufferPool lends ReverseProxy the buffers that it copies answers with.
type bufferPool struct{ pool sync.Pool }

const copyBuffer = 32 << 10

// Get lends a buffer.
func (b *bufferPool) Get() []byte {
	if p, ok := b.pool.Get().(*[copyBuffer]byte); ok {
		return p[:]
	}
	return make([]byte, copyBuffer)
}

// Put takes a buffer back.
func (b *bufferPool) Put(p []byte) {
	if len(p) == copyBuffer {
		b.pool.Put((*[copyBuffer]byte)(p))
	}
}
