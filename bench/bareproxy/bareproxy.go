// Package bareproxy is what the gateway is measured against:
// httputil.ReverseProxy with a tuned transport, and nothing else. It knows
// nobody and refuses nothing. Every measurement takes this one, or "bare" would
// mean something else in each table.
package bareproxy

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// New is the proxy before one application. It has the settings without which it
// would be a bad one: the defaults keep two connections per host, ask for gzip,
// and make a new buffer for every answer.
func New(to *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() },
		BufferPool: new(buffers),
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 512,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
		},
	}
}

// buffers lends the buffers that answers are copied with.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

// Get lends a buffer.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

// Put takes it back.
func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }
