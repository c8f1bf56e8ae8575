package routers

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// serveMux is the places of places_test.go in Go's own router. /closed is named
// because the router would send it on to /closed/.
func serveMux(t testing.TB) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, name := range map[string]string{
		"/{$}": "root", "/exact": "exact", "/Panel": "panel", "/Panel/": "panel", "/admin": "admin", "/admin/": "admin",
		"/items/secret": "secret", "/items/{id}": "item", "/users": "users", "/users/{id}": "user", "/users/{id}/": "user", "/closed/{$}": "closed", "/closed": "rest",
		"/my%20page": "page", "/caf%C3%A9": "cafe", "/open/staff": "staff", "/open/staff/": "staff", "/open": "open", "/open/": "open", "/": "rest",
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name+"\t"+r.PathValue("id")) })
	}
	mux.Handle("/files/", http.StripPrefix("/files/", http.FileServer(http.Dir(testdata(t, "files")))))
	return mux
}

// TestServeMuxReadsLikeTheExactProfile holds Go's own router to that profile.
func TestServeMuxReadsLikeTheExactProfile(t *testing.T) {
	witness{addr: startMux(t), profiles: []string{"exact", "any"}}.testify(t)
}

// startMux returns the address of a server with that router.
func startMux(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(serveMux(t))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// muxReader asks a handler in this process. Its requests are read from bytes,
// as net/http's server does.
type muxReader struct{ http.Handler }

// ask sends the target and reads the answer.
func (m muxReader) ask(t testing.TB, target string) reply {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: app\r\n\r\n")))
	if err != nil {
		return reply{status: http.StatusBadRequest}
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return readReply(w.Code, w.Body.String())
}
