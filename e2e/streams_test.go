package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestAnEventIsHeardBeforeTheNextIsSaid: nothing waits in a buffer, on a stream
// that says what it is and on one that only has no length.
func TestAnEventIsHeardBeforeTheNextIsSaid(t *testing.T) {
	t.Parallel()
	a := newStreamer(t)
	g := a.serve(t, "")
	for range 2 { // a stream that was left disturbs no other
		res := a.events(t, g)
		a.heard <- struct{}{}
		a.hear(t, res, 3, 6)
		res.Body.Close()
		<-a.left
	}
	eventually(t, "the log lines", func() bool { return len(g.entries("request")) == 2 })
	for _, e := range g.entries("request") {
		if e["status"] != 200.0 || e["bytes_out"] != 54.0 || e["upstream_url"] != nil {
			t.Errorf("logged %v", e)
		}
	}
}

// TestACallOfManyMessagesGoesBothWays: gRPC over HTTP/2 from the client to the
// application, which answers each message before the next is sent, and says in
// trailers how it ended.
func TestACallOfManyMessagesGoesBothWays(t *testing.T) {
	t.Parallel()
	a := newStreamer(t)
	g := prepare(t, strings.NewReplacer("http://{UPSTREAM}", strings.Replace(a.server.URL, "http", "h2c", 1), "http://gw.test", "https://gw.test").
		Replace(corpusPolicy)+"tls: { cert_file: cert.pem, key_file: cert.key }\nlimits: { client_idle: 1s }\n")
	g.writeCertificate("gw.test")
	g.start()
	transport := dialing(g.addr)
	transport.ForceAttemptHTTP2 = true
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the certificate is this test's own
	body, say := io.Pipe()
	req, err := http.NewRequest("POST", "https://gw.test/public/call", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for i := range 50 {
		fmt.Fprintf(say, "message %03d", i)
		got := make([]byte, len("message 000"))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != fmt.Sprintf("MESSAGE %03d", i) {
			t.Fatalf("message %d: %q, %v", i, got, err)
		}
	}
	say.Close()
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 || res.Trailer.Get("Grpc-Status") != "0" || res.ProtoMajor != 2 {
		t.Errorf("%s: %q, %v, trailers %v", res.Proto, rest, err, res.Trailer)
	}
}

// TestTheLogNamesTheAddressThatAnswered, of an application that has several; no
// answer does.
func TestTheLogNamesTheAddressThatAnswered(t *testing.T) {
	t.Parallel()
	one, two := newRecorder(t), newRecorder(t)
	g := prepare(t, strings.NewReplacer(`["http://{UPSTREAM}"]`, fmt.Sprintf("[http://%s, http://%s, http://%s]", one.addr, two.addr, freeAddr(t)),
		"http://gw.test", "{URL}", "hosts: [gw.test]", "").Replace(corpusPolicy)).start()
	for range 8 {
		if r := g.client().get("/public/x").want(t, 200, "a page"); strings.Contains(fmt.Sprint(r.Header, r.body), "127.0.0.1") {
			t.Errorf("the answer names an address: %v", r.Header)
		}
	}
	eventually(t, "the log lines", func() bool { return len(g.entries("request")) == 8 })
	counts := map[any]int{}
	for _, e := range g.entries("request") {
		counts[e["upstream_url"]]++
		if e["upstream"] != "app" {
			t.Errorf("logged %v", e)
		}
	}
	if a, b := counts["http://"+one.addr], counts["http://"+two.addr]; a+b != 8 || a == 0 || b == 0 || len(one.take()) != a || len(two.take()) != b {
		t.Errorf("logged %v", counts)
	}
}

// TestReloadsDisturbNobody: at full load, over connections that are kept and with
// streams open, no request fails and no stream ends, however often the
// configuration changes.
func TestReloadsDisturbNobody(t *testing.T) {
	t.Parallel()
	need(t, "wrk")
	reloads, a, talk := 20, newStreamer(t), newChat(t, 0)
	if os.Getenv("POSTERN_TEST_SOAK") != "" {
		reloads = 100
	}
	g := prepare(t, `
listen: "{LISTEN}"
public_url: "{URL}"
admin: { listen: "{ADMIN}" }
log: { format: json, access: false } # a line for each request would drown the test
upstreams:
  - { name: app, urls: "`+a.server.URL+`" }
  - { name: chat, urls: "http://`+talk.addr+`" }
routes:
  - { path: /public/**, upstream: app, allow: anyone }
  - { path: /chat/**, upstream: chat, allow: anyone }
shutdown: { delay: 0s }
`).start()
	events := a.events(t, g)
	_, conversation := g.converse("/chat/echo")
	echo := func(text string) { // each has its own time: all of them may take long
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		echoed(t, ctx, conversation, text)
	}
	// wrk counts an answer later than 2s as an error, which a loaded machine with
	// the race detector is: none may be lost, when it comes is not the question.
	wrk := exec.Command("wrk", "-t", "2", "-c", "40", "-d", "10m", "--timeout", "60s", "http://"+g.addr+"/public/download?bytes=100")
	said := newOutput(t)
	wrk.Stdout, wrk.Stderr = said.file, said.file
	if err := wrk.Start(); err != nil {
		t.Fatal(err)
	}
	before := len(g.audit("reload"))
	for i := range reloads {
		echo(fmt.Sprint("reload ", i))
		g.amend(fmt.Sprintf("shutdown: { delay: %ds }", i), fmt.Sprintf("shutdown: { delay: %ds }", i+1))
	}
	wrk.Process.Signal(syscall.SIGINT) // it says what it saw
	if err := wrk.Wait(); err != nil {
		t.Errorf("wrk: %v", err)
	}
	echo("still there")
	a.heard <- struct{}{}
	a.hear(t, events, 3, 6)
	in := g.audit("reload")
	if last := fmt.Sprint(in[len(in)-1]["detail"]); len(in)-before < reloads || !strings.Contains(newClient(t, "http://"+g.admin).get("/metrics").body, `postern_config_info{snapshot="`+strings.TrimPrefix(last, "snapshot ")+`"} 1`) {
		t.Errorf("%d reloads, the last: %s", len(in)-before, last)
	}
	text := said.String()
	done := regexp.MustCompile(`(\d+) requests in`).FindStringSubmatch(text)
	if done == nil || len(done[1]) < 3 || strings.Contains(text, "Socket errors") || strings.Contains(text, "Non-2xx") {
		t.Errorf("wrk says\n%s", text)
	}
	t.Logf("%d reloads\n%s", reloads, text)
}
