package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// herdAddress is the environment variable that makes the test binary an
// application of its own, which can be killed as such.
const herdAddress = "E2E_HERD_ADDRESS"

// serveHerd answers on an address until the process is killed. It takes a
// moment for each request, so that some are always under way, and writes down
// which POSTs arrived.
func serveHerd(addr string) {
	err := http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost {
			fmt.Printf("POST %s\n", r.URL.RawQuery)
		}
		time.Sleep(2 * time.Millisecond)
		_, _ = fmt.Fprintf(w, "%s says hello", addr)
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// animal is one process of an application that has several.
type animal struct {
	t    testing.TB
	addr string
	said []*output // one for each life
	cmd  *exec.Cmd

	variable string // of the environment, which says which application it is
}

func newAnimal(t testing.TB) *animal { return raise(t, herdAddress) }

// raise starts the application that the variable names.
func raise(t testing.TB, variable string) *animal {
	t.Helper()
	a := &animal{t: t, addr: freeAddr(t), variable: variable}
	a.start()
	t.Cleanup(a.kill)
	return a
}

// start runs the process, and returns when it listens.
func (a *animal) start() {
	a.t.Helper()
	out := newOutput(a.t)
	a.said = append(a.said, out)
	a.cmd = exec.Command(os.Args[0])
	a.cmd.Env, a.cmd.Stdout, a.cmd.Stderr = append(cleanEnv(), a.variable+"="+a.addr), out.file, out.file
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	eventually(a.t, "the application listens", func() bool {
		conn, err := net.Dial("tcp", a.addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// kill is kill -9.
func (a *animal) kill() {
	_ = a.cmd.Process.Kill()
	_ = a.cmd.Wait()
}

// load is clients that ask a gateway without a pause, until end.
type load struct {
	sent, failed atomic.Int64
	stop         context.CancelFunc
	clients      sync.WaitGroup
	posts        atomic.Int64
}

// newLoad starts n clients; the first sends POSTs as well, each with a number
// of its own. A GET that is not answered with 200 fails the test, and where all
// is set a POST too.
func newLoad(g *gateway, n int, all bool) *load {
	ctx, cancel := context.WithCancel(g.t.Context())
	l := &load{stop: cancel}
	g.t.Cleanup(cancel)
	for i := range n {
		transport := &http.Transport{}
		c := &http.Client{Transport: transport, Timeout: patience}
		l.clients.Go(func() {
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				method, target := "GET", "http://"+g.addr+"/page"
				if i == 0 && l.sent.Load()%3 == 0 {
					method, target = "POST", fmt.Sprintf("%s?n=%d", target, l.posts.Add(1))
				}
				l.ask(g, c, method, target, method == "GET" || all)
			}
		})
	}
	return l
}

// ask sends one request to its end: to stop the load breaks off none.
func (l *load) ask(g *gateway, c *http.Client, method, target string, must bool) {
	r, err := http.NewRequest(method, target, nil)
	if err != nil {
		g.t.Error(err)
		return
	}
	defer l.sent.Add(1)
	res, err := c.Do(r)
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	if must && (err != nil || res.StatusCode != 200) {
		if l.failed.Add(1) < 5 {
			g.t.Errorf("%s %s: %v %v", method, target, res, err)
		}
	}
}

// more waits until so many more requests were answered.
func (l *load) more(t testing.TB, n int64) {
	t.Helper()
	want := l.sent.Load() + n
	eventually(t, fmt.Sprint(n, " more requests"), func() bool { return l.sent.Load() >= want })
}

// end stops the clients and tells how many requests there were.
func (l *load) end(t testing.TB) {
	t.Helper()
	l.stop()
	l.clients.Wait()
	t.Logf("%d requests, %d failed", l.sent.Load(), l.failed.Load())
}

const herdConfig = `
listen: {LISTEN}
public_url: {URL}
admin: { listen: "{ADMIN}" }
upstreams:
  - { name: app, urls: [URLS] }
routes:
  - { path: /**, allow: anyone }
`

// urlsOf is a list of the addresses for gateway.yaml.
func urlsOf(animals ...*animal) string {
	var urls []string
	for _, a := range animals {
		urls = append(urls, "http://"+a.addr)
	}
	return "[" + strings.Join(urls, ", ") + "]"
}

// healthOf is what the metric says of an address.
func healthOf(t *testing.T, g *gateway, a *animal) string {
	return metric(t, g, fmt.Sprintf(`postern_upstream_healthy{upstream="app",url="http://%s"}`, a.addr))
}

// TestOneOfThreeApplicationsIsKilledUnderLoad with kill -9, and started again:
// no GET fails, no POST arrives twice, and it gets its share again.
func TestOneOfThreeApplicationsIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	herd := []*animal{newAnimal(t), newAnimal(t), newAnimal(t)}
	g := prepare(t, strings.Replace(herdConfig, "[URLS]", urlsOf(herd...), 1)).start()
	l := newLoad(g, 8, false)
	l.more(t, 200)
	herd[1].kill()
	eventually(t, "the killed one to count as down", func() bool { return healthOf(t, g, herd[1]) == "0" })
	l.more(t, 500)
	herd[1].start()
	eventually(t, "the started one to count as up", func() bool { return healthOf(t, g, herd[1]) == "1" })
	l.more(t, 500)
	l.end(t)
	if n := l.failed.Load(); n != 0 {
		t.Errorf("%d of %d GETs failed", n, l.sent.Load())
	}
	times := map[string]int{}
	for _, a := range herd {
		for _, out := range a.said {
			for line := range strings.Lines(out.String()) {
				times[line]++
			}
		}
	}
	for post, n := range times {
		if n > 1 {
			t.Errorf("%s arrived %d times", strings.TrimSpace(post), n)
		}
	}
	if len(times) == 0 {
		t.Error("no POST arrived")
	}
	if status := g.stop(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestAReloadChangesTheAddressesUnderLoad: no request fails, whatever its
// method, and health checks go along.
func TestAReloadChangesTheAddressesUnderLoad(t *testing.T) {
	t.Parallel()
	a, b, c := newAnimal(t), newAnimal(t), newAnimal(t)
	lists := []string{urlsOf(a, b), urlsOf(b, c), urlsOf(c), urlsOf(c, a)}
	config := strings.Replace(herdConfig, "[URLS] }", lists[0]+", health: { path: /healthz, interval: 50ms, timeout: 20s } }", 1)
	g := prepare(t, config).start()
	l := newLoad(g, 8, true)
	for i := range len(lists) {
		l.more(t, 50)
		g.amend(lists[i], lists[(i+1)%len(lists)])
	}
	l.more(t, 50)
	l.end(t)
	if n := l.failed.Load(); n != 0 {
		t.Errorf("%d of %d requests failed", n, l.sent.Load())
	}
	body := newClient(t, "http://"+g.admin).get("/metrics").want(t, 200, "metrics").body
	if n := strings.Count(body, "\npostern_upstream_healthy{"); n != 2 {
		t.Errorf("%d addresses are in the metrics", n)
	}
}
