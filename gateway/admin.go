package gateway

import (
	"io"
	"net/http"
	"net/http/pprof"
)

// Admin answers on the admin listener: /healthz while the process runs,
// /readyz while it should get traffic, /metrics, and /decisions/{id} for
// `postern policy explain --request`.
//
// A store that does not answer degrades the gateway and does not take it out
// of service: tokens still verify, and taking every instance out at once would
// turn a login that fails into a site that is down.
func (g *Gateway) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, `{"status":"ok"}`)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case g.snap.Load() == nil:
			answerJSON(w, http.StatusServiceUnavailable, `{"status":"starting"}`)
		case g.draining.Load():
			answerJSON(w, http.StatusServiceUnavailable, `{"status":"draining"}`)
		case g.auth.Healthy() != nil:
			answerJSON(w, http.StatusOK, `{"status":"degraded","store":"unavailable"}`)
		default:
			answerJSON(w, http.StatusOK, `{"status":"ok"}`)
		}
	})
	mux.Handle("GET /metrics", g.metrics.handler())
	mux.Handle("GET /decisions/{id}", &g.decisions)
	return mux
}

// WithProfiles adds Go's profiles under /debug/pprof/ to what the admin listener
// answers: `go tool pprof http://127.0.0.1:9901/debug/pprof/heap`. They tell
// how the program runs and what it is busy with, not what it carries; the
// command line, which net/http/pprof has as well, is left out.
func WithProfiles(admin http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", admin)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	return mux
}

// answerJSON answers a probe, never from a cache.
func answerJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body+"\n") // a probe that has gone needs no answer
}
