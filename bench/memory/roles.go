package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/posternhq/postern/bench/bareproxy"
	"github.com/posternhq/postern/bench/loopback"
)

// The programs beside Postern are this one, which an environment variable makes
// play another part: there is nothing to build for them.
const (
	roleVariable = "POSTERN_BENCH_ROLE"
	roleApp      = "app"
	roleBare     = "bare"
)

// play plays a part until the process is killed. Without one it returns.
func play(role string, args []string) {
	var h http.Handler
	switch role {
	case "":
		return
	case roleApp:
		h = http.HandlerFunc(answer)
	case roleBare:
		h = bareproxy.New(&url.URL{Scheme: "http", Host: args[2]})
	}
	server := &http.Server{Addr: args[1], Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Minute}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	os.Exit(1)
}

// startRole starts this program in a part, with an address of its own.
func startRole(role string, args ...string) (*process, error) {
	addr := loopback.FreeAddress()
	cmd := exec.Command(os.Args[0], append([]string{addr}, args...)...)
	cmd.Env, cmd.Stderr = append(os.Environ(), roleVariable+"="+role), os.Stderr
	return run(cmd, addr, "")
}

// answer is the application: n bytes where the query asks for them, a short
// page where it does not, and to a body how long it was.
func answer(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, n)
		return
	}
	n, err := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
	if err != nil {
		n = 100
	}
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	_, _ = io.CopyN(w, zeros{}, n) // a client that leaves is no fault
}

// zeros is an endless body.
type zeros struct{}

// Read reads zeros.
func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// bare is httputil.ReverseProxy and nothing else, see bareproxy.
type bare struct{ app string }

func (*bare) name() string { return "bare httputil.ReverseProxy" }

// start begins a process that has served nothing yet, for one figure.
func (b *bare) start() (*process, error) { return startRole(roleBare, b.app) }
