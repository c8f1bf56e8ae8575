// Package main serves bareproxy, as the process that the gateway is measured
// against.
package main

import (
	"flag"
	"log"
	"net/http"
	"net/url"
	"time"

	"github.com/posternhq/postern/bench/bareproxy"
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
		Handler:           bareproxy.New(to),
	}
}
