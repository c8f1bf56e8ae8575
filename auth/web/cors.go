package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/posternhq/postern/gateway/problem"
)

// allowOrigin sets the CORS fields for the origins that the configuration
// lists, and answers a preflight; done is true when it has. Without listed
// origins nothing is set, and browsers keep other sites out. An origin is
// allowed by being equal to a listed one, and named as itself: never "*", which
// with credentials browsers refuse and careless proxies reflect.
func (h *Handler) allowOrigin(w http.ResponseWriter, r *http.Request, methods []string) (done bool) {
	if len(h.config.CORS.Origins) == 0 {
		return false
	}
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	preflight := r.Method == http.MethodOptions && origin != "" && r.Header.Get("Access-Control-Request-Method") != "" && methods != nil
	if !slices.Contains(h.config.CORS.Origins, origin) {
		if preflight {
			h.writeProblem(w, r, problem.Of(problem.CrossOrigin))
		}
		return preflight
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	if h.config.CORS.Credentials {
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	}
	if !preflight {
		w.Header().Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, WWW-Authenticate")
		return false
	}
	w.Header().Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	w.Header().Set("Access-Control-Allow-Headers", strings.Join(h.requestHeaders(), ", "))
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// requestHeaders are the fields that a listed application may send: those the
// endpoints read.
func (h *Handler) requestHeaders() []string {
	headers := []string{"Authorization", "Content-Type", "X-Request-Id", "X-Requested-With"}
	for _, source := range h.config.Sources() {
		if name, ok := strings.CutPrefix(source, "header:"); ok {
			headers = append(headers, name)
		}
	}
	return headers
}
