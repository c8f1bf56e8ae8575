package e2e

import (
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// servedUntil runs a gateway before an application, with lines about its end.
func servedUntil(t *testing.T, up *recorder, end string) *gateway {
	t.Helper()
	config := strings.NewReplacer("{UPSTREAM}", up.addr, "http://gw.test", "{URL}", "hosts: [gw.test]", "").Replace(corpusPolicy)
	return prepare(t, config+end).start()
}

// exits waits for the process to end, and answers how.
func (g *gateway) exits() *syscall.WaitStatus {
	g.t.Helper()
	select {
	case <-g.exited:
	case <-time.After(patience):
		g.t.Fatalf("the gateway goes on\n%s", g.stdout)
	}
	status := g.cmd.ProcessState.Sys().(syscall.WaitStatus)
	g.cmd = nil
	return &status
}

// unready waits until the gateway says that it is going.
func (g *gateway) unready() {
	g.t.Helper()
	eventually(g.t, "readyz to fail", func() bool {
		r, err := http.Get("http://" + g.admin + "/readyz")
		if err != nil {
			g.t.Fatalf("the admin listener has gone: %v", err)
		}
		r.Body.Close()
		return r.StatusCode == http.StatusServiceUnavailable
	})
}

// TestReadyzFailsFirstAndASecondSignalEndsAtOnce: in the delay the gateway serves
// as before, new connections too, and asks for no more of the same connection.
func TestReadyzFailsFirstAndASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	g := servedUntil(t, newRecorder(t), "shutdown: { delay: 1h }\n")
	if r := g.client().get("/public/x").want(t, 200, "a page"); r.Close {
		t.Error("the connection is closed for no reason")
	}
	g.cmd.Process.Signal(syscall.SIGTERM)
	g.unready()
	for range 3 {
		if r := g.client().get("/public/x").want(t, 200, "a page in the delay"); !r.Close {
			t.Error("the client is not asked to come back on another connection")
		}
	}
	g.client().get("/app/home").want(t, 401, "a page that needs a login, in the delay")
	if e := g.entries("draining"); len(e) != 1 || e[0]["delay"] != "1h0m0s" || e[0]["timeout"] != "25s" {
		t.Errorf("logged %v", e)
	}
	g.cmd.Process.Signal(syscall.SIGTERM)
	if status := g.exits(); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v after the second signal", *status)
	}
}

// TestAfterTheDelayTheGatewayEnds, and what is in force then says how.
func TestAfterTheDelayTheGatewayEnds(t *testing.T) {
	t.Parallel()
	g := servedUntil(t, newRecorder(t), "shutdown: { delay: 1h, timeout: 1h }\n")
	g.amend("delay: 1h", "delay: 1s")
	g.cmd.Process.Signal(syscall.SIGINT)
	g.unready()
	if status := g.exits(); status.ExitStatus() != 0 {
		t.Errorf("exit status %d\n%s", status.ExitStatus(), g.stderr)
	}
	if conn, err := net.Dial("tcp", g.addr); err == nil {
		conn.Close()
		t.Error("somebody still listens")
	}
	if len(g.entries("stopped")) != 1 || g.entries("draining")[0]["delay"] != "1s" {
		t.Errorf("logged %s", g.stdout)
	}
}

// TestARequestThatDoesNotEndIsCutWhenItsTimeIsOver: it does not look whole, and
// the exit status says that something was cut.
func TestARequestThatDoesNotEndIsCutWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	up := newRecorder(t)
	g := servedUntil(t, up, "shutdown: { timeout: 300ms }\n")
	up.answer = func(received) string { return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n" }
	res, err := http.Get("http://" + g.addr + "/public/x")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if half := make([]byte, 4); true {
		if _, err := io.ReadFull(res.Body, half); err != nil || string(half) != "half" {
			t.Fatalf("%q, %v", half, err)
		}
	}
	g.cmd.Process.Signal(syscall.SIGTERM)
	if rest, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("the answer looks whole: %q", rest)
	}
	if status := g.exits(); status.ExitStatus() != 1 || !strings.Contains(g.stderr.String(), "raise it") {
		t.Errorf("exit status %d\n%s", status.ExitStatus(), g.stderr)
	}
}

// TestAStopEndsEventStreamsAsTheirApplicationWould: the client has all that there
// was to have.
func TestAStopEndsEventStreamsAsTheirApplicationWould(t *testing.T) {
	t.Parallel()
	app := newStreamer(t)
	g := app.serve(t, "")
	res := app.events(t, g)
	stopped := make(chan int, 1)
	go func() { stopped <- g.stop() }()
	if rest, err := io.ReadAll(res.Body); err != nil {
		t.Errorf("the stream broke off after %q: %v", rest, err)
	}
	if status := <-stopped; status != 0 {
		t.Errorf("exit status %d\n%s", status, g.stderr)
	}
	<-app.left // the application's request has ended too
}
