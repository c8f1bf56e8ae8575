package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestLargeBodiesPassInLittleMemory, whole and both ways, with a length and in
// chunks: a quarter of a gigabyte each, and in the soak a whole one.
func TestLargeBodiesPassInLittleMemory(t *testing.T) {
	t.Parallel()
	size, most := int64(256<<20), 64<<20
	if os.Getenv("POSTERN_TEST_SOAK") != "" {
		size = 1 << 30
	}
	if raceEnabled {
		most *= 3 // the race detector multiplies what is used
	}
	a := newStreamer(t)
	g := a.serve(t, "")
	sum, before := sumOf(size), peakMemory(t, g)
	for _, test := range []struct {
		name  string
		check func() string
	}{
		{"an upload with a length", func() string { return g.upload(t, size, size, sum) }},
		{"an upload in chunks", func() string { return g.upload(t, size, -1, sum) }},
		{"a download with a length", func() string { return g.download(t, size, sum, "&length") }},
		{"a download in chunks", func() string { return g.download(t, size, sum, "") }},
	} {
		if complaint := test.check(); complaint != "" {
			t.Errorf("%s: %s", test.name, complaint)
		}
		t.Logf("%s of %d MiB: the gateway's memory peaks at %d MiB, %d MiB at first", test.name, size>>20, peakMemory(t, g)>>20, before>>20)
	}
	if peak := peakMemory(t, g); peak > before+most {
		t.Errorf("the gateway used %d MiB more than at first", (peak-before)>>20)
	}
}

// upload sends a body, and complains where not all of it arrives.
func (g *gateway) upload(t *testing.T, size, length int64, sum uint32) string {
	t.Helper()
	req, err := http.NewRequest("PUT", "http://"+g.addr+"/public/upload", io.NopCloser(newPattern(size)))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = length
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if want := fmt.Sprintf("%d %x %d <nil>", size, sum, length); string(text) != want || err != nil {
		return fmt.Sprintf("the application got %s (%v), want %s", text, err, want)
	}
	return ""
}

// download fetches a body, and complains where not all of it comes.
func (g *gateway) download(t *testing.T, size int64, sum uint32, form string) string {
	t.Helper()
	res, err := http.Get(fmt.Sprintf("http://%s/public/download?bytes=%d%s", g.addr, size, form))
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	n, got, err := sumUp(res.Body)
	if n != size || got != sum || err != nil || res.ContentLength < 0 == strings.Contains(form, "length") {
		return fmt.Sprintf("%d bytes of %d, sum %x (want %x), length %d, %v", n, size, got, sum, res.ContentLength, err)
	}
	return ""
}

// answering is an application that says one thing when it has a head, and reads
// no body.
func answering(t *testing.T, text string) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, text)
			_, _ = io.Copy(io.Discard, conn) // what is sent all the same
		}
	})
}

// TestTheApplicationDecidesWhetherABodyIsSent: who asks first (100-continue) gets
// the application's refusal, and sends nothing.
func TestTheApplicationDecidesWhetherABodyIsSent(t *testing.T) {
	t.Parallel()
	ask := func(g *gateway) (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "POST /public/upload HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", g.addr)
		return conn, bufio.NewReader(conn)
	}
	front := func(up string) *gateway {
		return prepare(t, strings.NewReplacer("{UPSTREAM}", up, "http://gw.test", "{URL}", "hosts: [gw.test]", "").Replace(corpusPolicy)).start()
	}
	for _, status := range []string{"413 Content Too Large", "417 Expectation Failed", "401 Unauthorized", "413 Kept Open", "401 Kept Open"} {
		end := "Connection: close\r\n"
		if strings.HasSuffix(status, "Open") { // and the client is not told to send it for the connection's sake
			end = ""
		}
		g := front(answering(t, "HTTP/1.1 "+status+"\r\nContent-Length: 2\r\n"+end+"\r\nno"))
		for i := range 10 {
			_, in := ask(g)
			if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+status[:4]) {
				t.Errorf("%s: the client got %q, %v", status, line, err)
			}
			eventually(t, "the log line", func() bool { return len(g.entries("request")) == i+1 })
			if e := g.entries("request")[i]; e["bytes_in"] != 0.0 || e["decision"] != "allow" || e["failure"] != nil {
				t.Errorf("%s: logged %v", status, e)
			}
		}
	}
	g := front(strings.TrimPrefix(newStreamer(t).server.URL, "http://"))
	conn, in := ask(g)
	if line, err := in.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("the client got %q, %v", line, err)
	}
	_, _ = in.ReadString('\n')
	_, _ = io.WriteString(conn, "hello")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(res.Body); !bytes.HasPrefix(text, []byte("5 ")) || res.StatusCode != 200 {
		t.Errorf("%s: %s", res.Status, text)
	}
}

// TestAnEarlyAnswerToALargeUploadArrives: an application that wants no gigabyte
// says so before it has one, and its client hears that.
func TestAnEarlyAnswerToALargeUploadArrives(t *testing.T) {
	t.Parallel()
	for name, up := range map[string]string{
		"one that reads on and drops it": answering(t, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n"),
		"net/http's server":              strings.TrimPrefix(newStreamer(t).server.URL, "http://"),
	} {
		g := prepare(t, strings.NewReplacer("{UPSTREAM}", up, "http://gw.test", "{URL}", "hosts: [gw.test]", "").Replace(corpusPolicy)).start()
		for _, length := range []int64{1 << 30, -1} {
			req, err := http.NewRequest("POST", "http://"+g.addr+"/public/full", io.NopCloser(newPattern(1<<30)))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = length
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Errorf("%s, length %d: %v", name, length, err)
				continue
			}
			res.Body.Close()
			if res.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s, length %d: %s", name, length, res.Status)
			}
		}
	}
}

// TestAClientThatLeavesTakesItsRequestWithIt: 499 in the log, and the application
// works for nobody.
func TestAClientThatLeavesTakesItsRequestWithIt(t *testing.T) {
	t.Parallel()
	a := newStreamer(t)
	g := a.serve(t, "")
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /public/wait HTTP/1.1\r\nHost: %s\r\n\r\n", g.addr)
	<-a.came
	conn.Close()
	<-a.left
	eventually(t, "the log line", func() bool { return len(g.entries("request")) == 1 })
	if e := g.entries("request")[0]; e["status"] != 499.0 || e["reason"] != "client_gone" || e["decision"] != "allow" {
		t.Errorf("logged %v", e)
	}
}

// TestClientsThatStallAreLetGo: one stops in the middle of a body, and is told
// so; another takes no more of its answer, which nobody can tell it.
func TestClientsThatStallAreLetGo(t *testing.T) {
	t.Parallel()
	a := newStreamer(t)
	g := a.serve(t, "limits: { client_idle: 1s }\n")
	quiet := a.events(t, g) // has nothing to say meanwhile
	sender, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	fmt.Fprintf(sender, "POST /public/upload HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\n\r\nhalf", g.addr)
	sender.SetDeadline(time.Now().Add(patience))
	if answer, err := io.ReadAll(sender); err != nil || statusOf(string(answer)) != 408 {
		t.Errorf("%v: %s", err, answer)
	}
	reader, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	fmt.Fprintf(reader, "GET /public/download?bytes=1000000000&length HTTP/1.1\r\nHost: %s\r\n\r\n", g.addr)
	eventually(t, "both log lines", func() bool { return len(g.entries("request")) == 2 })
	for i, want := range []float64{408, 499} {
		if e := g.entries("request")[i]; e["status"] != want || e["reason"] != "client_stalled" || e["decision"] != "allow" {
			t.Errorf("logged %v", e)
		}
	}
	a.heard <- struct{}{}
	a.hear(t, quiet, 3, 5)
}
