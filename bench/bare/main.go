// Package main is what the gateway is measured against: httputil.ReverseProxy
// with a tuned transport, and nothing else. It knows nobody and refuses nothing.
package main

import (
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// main serves until it is killed, which compare does when it is done.
func main() {
	listen := flag.String("listen", "127.0.0.1:8081", "address to listen on")
	upstream := flag.String("upstream", "http://127.0.0.1:9000", "URL of the application")
	flag.Parse()
	to, err := url.Parse(*upstream)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(newServer(*listen, to).ListenAndServe())
}

// newServer is the proxy, with the timeouts that nobody should be without.
func newServer(listen string, to *url.URL) *http.Server {
	return &http.Server{
		Addr:              listen,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		Handler: &httputil.ReverseProxy{
			Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() },
			BufferPool: new(buffers),
			Transport: &http.Transport{ // the defaults keep two connections per host, and ask for gzip
				MaxIdleConnsPerHost: 512,
				IdleConnTimeout:     90 * time.Second,
				DisableCompression:  true,
			},
		},
	}
}

// buffers lends the buffers that answers are copied with.
type buffers struct{ pool sync.Pool }

// Get lends a buffer.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return p[:]
	}
	return make([]byte, 32<<10)
}

// Put takes it back.
func (b *buffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
