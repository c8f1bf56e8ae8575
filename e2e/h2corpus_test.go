package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// overH2 is a raw request of the corpus as HTTP/2 writes it; false: it is about
// the wire of HTTP/1.1, or has a body.
func overH2(request string) ([]h2field, bool) {
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	first := strings.Split(lines[0], " ")
	if body != "" || len(first) != 3 || first[2] != "HTTP/1.1" || len(request) > 16<<10 {
		return nil, false
	}
	pseudo := []h2field{{":method", first[0]}, {":scheme", "https"}, {":path", first[1]}}
	var fields []h2field
	for _, line := range lines[1:] {
		name, value, found := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.Trim(value, " \t")
		switch {
		case !found || name == "" || strings.ContainsAny(name, " \t\r\n\x00") || name != strings.TrimSpace(name):
			return nil, false // HTTP/1.1's own ways to be wrong
		case slices.Contains([]string{"connection", "transfer-encoding", "upgrade", "keep-alive", "te", "content-length", "trailer"}, name):
			return nil, false // a field of one connection
		case name == "host":
			pseudo = append(pseudo, h2field{":authority", value})
		default:
			fields = append(fields, h2field{name, value})
		}
	}
	return append(pseudo, fields...), len(pseudo) == 4
}

// closing is what ends nearly every raw request, and has no meaning in HTTP/2.
var closing = regexp.MustCompile(`(?i)\r\nConnection: close(\r\n)`)

// TestCorpusOverHTTP2 sends the cases again that are no matter of HTTP/1.1's
// wire, with at most eight of a case's forged tokens. What reaches the upstream
// is held to the same expectation. The status is held less strictly: a stream
// that is ended, 400, 421 and 431 count as a refusal whatever the case says.
func TestCorpusOverHTTP2(t *testing.T) {
	t.Parallel()
	f := newRangeTLS(t)
	played := 0
	for _, a := range corpus(t) {
		tokens := []string{""}
		if a.JWT != nil {
			tokens = f.forge.tokens(t, *a.JWT)
		}
		request := closing.ReplaceAllString(a.Request, "$1")
		if _, ok := overH2(latin1(f.fill(request))); !ok || strings.HasPrefix(a.ID, "CT-") && a.Expect.Target != "" {
			continue
		}
		played++
		t.Run(a.name(), func(t *testing.T) { f.fireH2(t, a, request, tokens[:min(len(tokens), 8)]) })
	}
	if played < 120 {
		t.Errorf("only %d cases of the corpus were played over HTTP/2", played)
	}
	t.Logf("%d cases", played)
}

// newRangeTLS is the corpus's setup with TLS. The public_url stays as it is:
// what a front end ends for others, the corpus's tokens and hosts go by.
func newRangeTLS(t *testing.T) *firingRange {
	t.Helper()
	f := newRange(t, "lean")
	f.writeCertificate("gw.test")
	f.write("gateway.yaml", f.read("gateway.yaml")+"tls: { cert_file: cert.pem, key_file: cert.key }\n")
	if status := f.stop(); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	f.start()
	return f
}

func (f *firingRange) fireH2(t *testing.T, a attack, request string, tokens []string) {
	t.Helper()
	for _, token := range tokens {
		filled := request
		if token != "" {
			filled = strings.ReplaceAll(filled, "{FORGED}", token)
		}
		fields, ok := overH2(latin1(f.fill(filled)))
		if !ok {
			continue
		}
		f.upstream.take()
		status := askH2(t, f.gateway, fields, nil)
		seen := f.upstream.take()
		want := append([]int{0}, a.Expect.Status...)
		if rule, fixed := stricter()[a.ID]; fixed {
			want = append(want, rule.status)
		}
		if !slices.Contains(want, status) && !slices.Contains([]int{400, 421, 431}, status) {
			t.Errorf("status %d, want one of %v", status, want)
		}
		expect := a.Expect
		expect.MaxRequests = nil
		judgeUpstream(t, expect, f.words["CLIENT_IP"], seen)
		f.judgeAlways(t, seen)
		if t.Failed() {
			t.Logf("%s (%s)\nsent %.600q\nupstream saw %.900q", a.Title, a.Source, fields, heads(seen))
			return
		}
	}
}

// TestFloodsOfHTTP2 are streams that end before they begin, and fields that
// never end. The process lives, holds little, and serves others meanwhile.
func TestFloodsOfHTTP2(t *testing.T) {
	t.Parallel()
	g, _, token := startTLS(t)
	fields := []h2field{{":method", "GET"}, {":scheme", "https"}, {":authority", "gw.test"}, {":path", "/app/home"}, {"authorization", "Bearer " + token}}
	another := func(t *testing.T) {
		t.Helper()
		if status := askH2(t, g, fields, nil); status != 200 {
			t.Errorf("another client meanwhile: status %d", status)
		}
	}
	for name, end := range map[string]func(f *http2.Framer, id uint32) error{
		"RS-13 CVE-2023-39325 rapid reset": func(f *http2.Framer, id uint32) error { return f.WriteRSTStream(id, http2.ErrCodeCancel) },
		// The gateway itself is made to end them, and counts them as ended while their requests are under way.
		"CVE-2025-8671 MadeYouReset": func(f *http2.Framer, id uint32) error { return f.WriteWindowUpdate(id, 0) },
	} {
		t.Run(name, func(t *testing.T) { floodStreams(t, g, headerBlock(fields), end, another) })
	}
	t.Run("RS-14 CVE-2023-45288 endless CONTINUATION", func(t *testing.T) {
		_, framer := dialH2(t, g.addr)
		ended := drained(framer)
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock(fields), EndStream: true})
		block := headerBlock([]h2field{{"x-filler", strings.Repeat("z", 16_000)}})
		sent := 0
		for sent < 64<<20 && !isClosed(ended) && framer.WriteContinuation(1, false, block[:min(len(block), 16<<10)]) == nil {
			sent += len(block)
		}
		if sent >= 64<<20 {
			t.Error("64 MiB of fields that never end were taken")
		}
		t.Logf("ended after %d KiB", sent>>10)
		another(t)
	})
	if peak := peakMemory(t, g); peak > 700<<20 { // the race detector multiplies what is used
		t.Errorf("the gateway used %d MiB", peak>>20)
	}
}

// floodStreams begins streams without an end, and ends each at once. In the
// middle and afterwards others are served.
func floodStreams(t *testing.T, g *gateway, block []byte, end func(f *http2.Framer, id uint32) error, another func(*testing.T)) {
	t.Helper()
	streams := 10_000
	if os.Getenv("POSTERN_TEST_SOAK") != "" {
		streams = 100_000
	}
	conn, framer := dialH2(t, g.addr)
	framer.AllowIllegalWrites = true
	ended, sent := drained(framer), 0
	for ; sent < streams && !isClosed(ended); sent++ {
		id := uint32(2*sent + 1)
		if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: true}) != nil || end(framer, id) != nil {
			break
		}
		if sent == streams/2 {
			another(t)
		}
	}
	t.Logf("%d streams were sent, the connection was ended: %v", sent, isClosed(ended))
	another(t)
	conn.Close()
	<-ended
}

// drained reads what the gateway says until it says no more.
func drained(framer *http2.Framer) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			frame, err := framer.ReadFrame()
			if _, away := frame.(*http2.GoAwayFrame); away || err != nil {
				return
			}
		}
	}()
	return ended
}

func isClosed(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

// TestCF15TrustInEverybodyIsWarnedOf: whoever trusts all the world is told so
// when the file is checked and when it is served (oauth2-proxy 7.15.2).
func TestCF15TrustInEverybodyIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, all := range []string{"0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"} {
		g := prepare(t, goodConfig+"trusted_proxies: [\""+all+"\"]\n")
		r := run(t, g.dir, "", "config", "check", "gateway.yaml")
		if said := r.stdout + r.stderr; r.status != 0 || !strings.Contains(said, "gateway.yaml:8:") || !strings.Contains(said, "trusts every client") {
			t.Errorf("%s: exit status %d\n%s", all, r.status, said)
		}
	}
}
