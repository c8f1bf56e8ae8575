package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// hidden is what every attack tries to get past the gateway: no rule lets
// anybody ask for it. {N} is the attack's number.
const hidden = "GET /admin/hidden{N} HTTP/1.1\r\nHost: gw.test\r\nX-Auth-User: root\r\n\r\n"

// smuggled are the attacks: bytes on one connection. {P} is a path that anybody
// may ask for; {LEN} the length of all after the first empty line.
func smuggled() map[string]string {
	post := func(lines, body string) string {
		return "POST {P} HTTP/1.1\r\nHost: gw.test\r\n" + lines + "\r\n\r\n" + body
	}
	const length, chunks, chunked = "Content-Length: {LEN}", "0\r\n\r\n" + hidden, "Transfer-Encoding: chunked"
	attacks := map[string]string{
		"CL.TE":                                post(length+"\r\n"+chunked, chunks),
		"TE.CL":                                post(chunked+"\r\nContent-Length: 4", "5c\r\n"+hidden+"\r\n0\r\n\r\n"),
		"a body with a request in it":          post(length, hidden),
		"a GET with a body":                    "GET {P} HTTP/1.1\r\nHost: gw.test\r\n" + length + "\r\n\r\n" + hidden,
		"a HEAD with a body":                   "HEAD {P} HTTP/1.1\r\nHost: gw.test\r\n" + length + "\r\n\r\n" + hidden,
		"a GET in chunks":                      "GET {P} HTTP/1.1\r\nHost: gw.test\r\n" + chunked + "\r\n\r\n" + chunks,
		"HTTP/1.0 in chunks":                   "POST {P} HTTP/1.0\r\nHost: gw.test\r\n" + chunked + "\r\nConnection: keep-alive\r\n\r\n" + chunks,
		"HTTP/0.9 after it":                    "GET {P} HTTP/1.1\r\nHost: gw.test\r\n\r\nGET /admin/hidden{N}\r\n",
		"two lengths, the short one first":     post("Content-Length: 0\r\n"+length, hidden),
		"two lengths, the short one last":      post(length+"\r\nContent-Length: 0", hidden),
		"two lengths in a list":                post("Content-Length: 0, {LEN}", hidden),
		"the same length twice in a list":      post("Content-Length: {LEN}, {LEN}", hidden),
		"a length with a sign":                 post("Content-Length: +{LEN}", hidden),
		"a negative length":                    post("Content-Length: -1", hidden),
		"a length in hexadecimal":              post("Content-Length: 0x5", hidden),
		"a length folded onto the next line":   post("Content-Length:\r\n {LEN}", hidden),
		"a length after a space before :":      post("Content-Length : {LEN}", hidden),
		"a length with an underscore":          post("Content_Length: {LEN}", hidden),
		"a length after a lone LF":             post("X: y\nContent-Length: {LEN}", hidden),
		"a length after a lone CR":             post("X: y\rContent-Length: {LEN}", hidden),
		"a chunk with an extension":            post(chunked, "3;a=b\r\nabc\r\n"+chunks),
		"an extension that ends in LF":         post(chunked, "3;\nabc\r\n"+chunks),
		"an extension with a LF in it":         post(chunked, "2;\nxx\r\n5c\r\n0\r\n\r\n"+hidden),
		"a long extension":                     post(chunked, "3;"+strings.Repeat("a", 20_000)+"\r\nabc\r\n"+chunks),
		"a chunk's size with 0x":               post(chunked, "0x3\r\nabc\r\n"+chunks),
		"a chunk's size with a sign":           post(chunked, "+3\r\nabc\r\n"+chunks),
		"a chunk's size with an underscore":    post(chunked, "0_3\r\nabc\r\n"+chunks),
		"a chunk's size that overflows":        post(chunked, "10000000000000003\r\nabc\r\n"+chunks),
		"a chunk longer than its size":         post(chunked, "3\r\nabcdef\r\n"+chunks),
		"a chunk that ends in other bytes":     post(chunked, "3\r\nabcXX"+chunks),
		"chunks that end in LF":                post(chunked, "3\nabc\n0\n\n"+hidden),
		"a last chunk that ends in LF":         post(chunked, "0\n\n"+hidden),
		"a trailer that says chunked":          post(chunked, "3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks),
		"a trailer with a length":              post(chunked+"\r\nTrailer: Content-Length", "3\r\nabc\r\n0\r\nContent-Length: 60\r\n\r\n"+hidden),
		"a trailer with a request in it":       post(chunked, "3\r\nabc\r\n0\r\nX: y\r\n\tfolded\r\n"+hidden),
		"a request that comes before the body": post(length+"\r\nExpect: 100-continue", hidden),
		"an unknown expectation":               post(length+"\r\nExpect: 100-continued", hidden),
		"an upgrade that is none":              "GET {P} HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + hidden,
		"an upgrade to h2c":                    "GET {P} HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n" + hidden,
		"a tunnel":                             "CONNECT {P} HTTP/1.1\r\nHost: gw.test\r\n\r\n" + hidden,
		"a request line with two spaces":       "GET {P}  HTTP/1.1\r\nHost: gw.test\r\n\r\n" + hidden,
		"a request line with a tab":            "GET\t{P}\tHTTP/1.1\r\nHost: gw.test\r\n\r\n" + hidden,
		"a request line in the target":         "GET {P} HTTP/1.1\nGET /admin/hidden{N} HTTP/1.1\r\nHost: gw.test\r\n\r\n",
		"a first line that is a field":         " X: y\r\nGET {P} HTTP/1.1\r\nHost: gw.test\r\n\r\n" + hidden,
		"a head that ends in LF":               "POST {P} HTTP/1.1\nHost: gw.test\n" + length + "\n\n" + hidden,
		"a NUL in a field":                     post("X: a\x00b\r\n"+length, hidden),
		"an early answer":                      strings.ReplaceAll(post("Content-Length: 100000", hidden), "{P}", "{P}/early") + hidden,
		"an early answer to chunks":            strings.ReplaceAll(post(chunked, "5c\r\n"+hidden+"\r\n"), "{P}", "{P}/early") + chunks,
		"an early answer, and another asks":    strings.ReplaceAll(post("Content-Length: 0", ""), "{P}", "{P}/early") + hidden,
		"an absolute target":                   "GET http://gw.test{P} HTTP/1.1\r\nHost: gw.test\r\n" + length + "\r\n\r\n" + hidden,
		"another host in the target":           "GET http://evil.test{P} HTTP/1.1\r\nHost: gw.test\r\n\r\n" + hidden,
		"the length named hop by hop":          post(length+"\r\nConnection: Content-Length, keep-alive", hidden),
		"the encoding named hop by hop":        post(chunked+"\r\nConnection: Transfer-Encoding, keep-alive", chunks),
	}
	for _, line := range []string{
		"Transfer-Encoding: xchunked", "Transfer-Encoding : chunked", "Transfer-Encoding:chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: \x0bchunked",
		"Transfer-Encoding: chunked\x00", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked", " Transfer-Encoding: chunked",
		"X: y\r\n Transfer-Encoding: chunked", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked", "Transfer-Encoding\r\n: chunked", "Transfer-Encoding:\r\n chunked",
		"Transfer-Encoding: identity, chunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: CHUNKED", "Transfer_Encoding: chunked",
		"Transfer-Encoding: chunked;q=1", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked,", "\x00Transfer-Encoding: chunked", "Transfer-Encoding: ch\xc3\xbcnked", "TE: chunked",
	} {
		attacks[fmt.Sprintf("%q and a length", line)] = post(line+"\r\n"+length, chunks)
		attacks[fmt.Sprintf("a length of 4 and %q", line)] = post("Content-Length: 4\r\n"+line, "5c\r\n"+hidden+"\r\n0\r\n\r\n")
	}
	return attacks
}

// smugglingConfig has one open path for each server behind, and one that only
// an administrator, who is not among the clients, may ask all of them for.
const smugglingConfig = `
listen: "{LISTEN}"
public_url: http://gw.test
hosts: [gw.test]
admin: { listen: "{ADMIN}" }
log: { level: info, format: json }
upstreams:
{UPSTREAMS}
routes:
  - { path: /admin/**, upstream: node, allow: { role: admin } }
{ROUTES}
`

// startSmuggled runs a gateway before the servers, each under its name.
func startSmuggled(t *testing.T, backs []backEnd) *gateway {
	t.Helper()
	upstreams, routes := "", ""
	for _, b := range backs {
		upstreams += "  - { name: " + b.name + ", urls: [\"http://" + b.addr + "\"], router: exact }\n"
		routes += "  - { path: /" + b.name + "/**, upstream: " + b.name + ", allow: anyone }\n"
	}
	config := strings.NewReplacer("{UPSTREAMS}", upstreams, "{ROUTES}", routes).Replace(smugglingConfig)
	return prepare(t, config).start()
}

// TestNoRequestIsSmuggled sends every attack straight to the gateway and through
// four real front ends, all of them to each of four real servers, over the two
// transports. Meanwhile others ask their own over the same kept connections. It
// fails when a server took anything for a request that the gateway did not
// decide, and when an answer went to another client.
func TestNoRequestIsSmuggled(t *testing.T) {
	t.Parallel()
	backs := startBackEnds(t)
	g := startSmuggled(t, backs)
	doors := map[string]string{"no front end": g.addr, onKept: g.addr}
	for name, start := range frontEnds() {
		doors[name] = start(t, g.addr)
	}
	for _, addr := range doors { // also Tomcat's first page, which it compiles
		for _, b := range backs {
			c := newClient(t, "http://gw.test")
			c.http.Transport = dialing(addr)
			eventually(t, b.name+" answers", func() bool {
				r, err := c.try("GET", "/"+b.name+"/first", "")
				return err == nil && r.body == "took GET /"+b.name+"/first"
			})
		}
	}
	t.Run("through", func(t *testing.T) {
		n := 0
		for door, addr := range doors {
			for i, b := range backs {
				if addr != g.addr && os.Getenv("POSTERN_TEST_SOAK") == "" && i != len(door)%len(backs) {
					continue // every front end to one server; all to all takes a while
				}
				n++
				first := 1000 * n // of the numbers of its attacks
				t.Run(door+" to "+b.name, func(t *testing.T) {
					t.Parallel()
					besiege(t, addr, b, first, door == onKept)
				})
			}
		}
	})
	judgeSmuggling(t, backs, g, overHTTP2(t, backs))
}

// judgeSmuggling holds what each server took against what the gateways before
// them let through.
func judgeSmuggling(t *testing.T, backs []backEnd, gateways ...*gateway) {
	t.Helper()
	allowed := map[string]bool{}
	for _, g := range gateways {
		for _, e := range g.entries("request") {
			if e["decision"] == "allow" {
				allowed[fmt.Sprint(e["method"], " ", e["path"])] = true
			}
		}
	}
	for _, b := range backs {
		took := b.took()
		attacked := 0
		for _, request := range took {
			if strings.Contains(request, "/attack-") {
				attacked++
			}
			if !allowed[request] || strings.Contains(request, "hidden") {
				t.Errorf("%s took %q for a request, which the gateway never let through", b.name, request)
			}
		}
		if attacked < 10 { // many an attack holds a request that is good, and its place in the table is to end there
			t.Errorf("%s took only %d requests of the attackers", b.name, attacked)
		}
		t.Logf("%s took %d requests, %d of them of the attackers", b.name, len(took), attacked)
	}
}

// onKept is the way of attacks on connections that have carried a good request:
// from the second on, the gateway answers plain ones beside net/http.
const onKept = "no front end, on kept connections"

// besiege sends all attacks, a few at a time, while two others ask for pages.
func besiege(t *testing.T, addr string, b backEnd, first int, kept bool) {
	t.Helper()
	before := ""
	if kept {
		before = "GET /" + b.name + "/before HTTP/1.1\r\nHost: gw.test\r\n\r\n"
	}
	done := make(chan struct{})
	var others, attackers sync.WaitGroup
	for who := range 2 {
		others.Go(func() { askOn(t, addr, fmt.Sprintf("/%s/other-%d-%d", b.name, first, who), done) })
	}
	attacks := make(chan string)
	for range 6 {
		attackers.Go(func() {
			for attack := range attacks {
				judgeAnswers(t, attack, throw(t, addr, before, attack))
			}
		})
	}
	number := first
	for name, attack := range smuggled() {
		number++
		attack = strings.NewReplacer("{P}", fmt.Sprintf("/%s/attack-%d", b.name, number), "{N}", fmt.Sprint(number)).Replace(attack)
		_, body, _ := strings.Cut(attack, "\r\n\r\n")
		if name == "a head that ends in LF" {
			_, body, _ = strings.Cut(attack, "\n\n")
		}
		attacks <- strings.ReplaceAll(attack, "{LEN}", fmt.Sprint(len(body)))
	}
	close(attacks)
	attackers.Wait()
	close(done)
	others.Wait()
}

// askOn is a client that has nothing to do with it: each answer must be to what
// it asked.
func askOn(t *testing.T, addr, path string, done <-chan struct{}) {
	c := newClient(t, "http://gw.test")
	c.http.Transport = dialing(addr)
	for n, good := 0, 0; ; n++ {
		select {
		case <-done:
			switch {
			case good > 0:
				return
			case n > 10_000: // on a busy machine the attacks may be over before the first answer
				t.Errorf("nobody was answered %s", path)
				return
			}
		default:
		}
		asked := fmt.Sprintf("%s-%d", path, n)
		r, err := c.try("GET", asked, "")
		switch {
		case err != nil || r.StatusCode != 200:
		case r.body == "took GET "+asked:
			good++
		default:
			t.Errorf("a client that asked for %s got the answer %q", asked, r.body)
			return
		}
	}
}

// throw sends a good request first, if there is one, then the bytes, and reads what
// comes until there has been nothing for a moment: what hangs on for the rest of a
// body is not waited for.
func throw(t *testing.T, addr, before, request string) string {
	conn := dialAfter(t, addr, before)
	if conn == nil {
		return ""
	}
	defer conn.Close()
	buf := make([]byte, 16<<10)
	go io.WriteString(conn, request)
	var answer strings.Builder
	conn.SetReadDeadline(time.Now().Add(time.Second))
	for {
		n, err := conn.Read(buf)
		answer.Write(buf[:n])
		if err != nil {
			return answer.String()
		}
		conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	}
}

// dialAfter opens a connection that has carried a good request, if there is one. The
// server may be taken for out just then, when it ended a connection of an attack.
func dialAfter(t *testing.T, addr, before string) net.Conn {
	var said string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return nil
		}
		if before == "" {
			return conn
		}
		io.WriteString(conn, before)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		buf := make([]byte, 16<<10)
		n, _ := conn.Read(buf)
		if said = string(buf[:n]); strings.Contains(said, " 200 ") {
			return conn
		}
		conn.Close()
	}
	t.Errorf("a good request was answered %q", said)
	return nil
}

// judgeAnswers wants no answer to the hidden request, and nobody else's.
func judgeAnswers(t *testing.T, attack, answers string) {
	if strings.Contains(answers, "took GET /admin/hidden") || strings.Contains(answers, "/other-") {
		t.Errorf("%.300q\nwas answered %.600q", attack, answers)
	}
}

// overHTTP2 sends what a downgrade to HTTP/1.1 could turn into two requests.
func overHTTP2(t *testing.T, backs []backEnd) *gateway {
	t.Helper()
	g := startSmuggledTLS(t, backs)
	number := 90_000
	for _, b := range backs {
		for name, attack := range map[string]struct {
			path, body string
			fields     []h2field
		}{
			"chunked beside a body":        {"{P}", "0\r\n\r\n" + hidden, []h2field{{"transfer-encoding", "chunked"}}},
			"chunked and a length":         {"{P}", "0\r\n\r\n" + hidden, []h2field{{"transfer-encoding", "chunked"}, {"content-length", "5"}}},
			"a length that is too short":   {"{P}", hidden, []h2field{{"content-length", "0"}}},
			"a length that is too long":    {"{P}", hidden, []h2field{{"content-length", "100000"}}},
			"two lengths":                  {"{P}", hidden, []h2field{{"content-length", "0"}, {"content-length", "70"}}},
			"a body without a length":      {"{P}", hidden, nil},
			"a field with a line end":      {"{P}", "", []h2field{{"x", "y\r\nTransfer-Encoding: chunked"}}},
			"a field with a request in it": {"{P}", "", []h2field{{"x", "y\r\n\r\n" + hidden}}},
			"a name with a line end":       {"{P}", "", []h2field{{"x: y\r\ntransfer-encoding", "chunked"}}},
			"a name with a colon":          {"{P}", "0\r\n\r\n" + hidden, []h2field{{"transfer-encoding:", "chunked"}}},
			"a name with a space":          {"{P}", "0\r\n\r\n" + hidden, []h2field{{"transfer-encoding ", "chunked"}}},
			"a name with an underscore":    {"{P}", "0\r\n\r\n" + hidden, []h2field{{"transfer_encoding", "chunked"}}},
			"a request line in the path":   {"{P} HTTP/1.1\r\n\r\n" + hidden, "", nil},
			"a host with a line end":       {"{P}", "", []h2field{{"host", "gw.test\r\n\r\n" + hidden}}},
		} {
			number++
			fill := strings.NewReplacer("{P}", fmt.Sprintf("/%s/attack-h2-%d", b.name, number), "{N}", fmt.Sprint(number))
			t.Run(fmt.Sprintf("HTTP/2 to %s, %s", b.name, name), func(t *testing.T) {
				fields := []h2field{{":method", "POST"}, {":scheme", "https"}, {":authority", "gw.test"}, {":path", fill.Replace(attack.path)}}
				for _, f := range attack.fields {
					fields = append(fields, h2field{f.name, fill.Replace(f.value)})
				}
				if answer := sendH2(t, g, fields, fill.Replace(attack.body)); strings.Contains(answer, "took GET") {
					t.Errorf("answered %q", answer)
				}
			})
		}
	}
	judgeH2(t, g, backs)
	return g
}

func startSmuggledTLS(t *testing.T, backs []backEnd) *gateway {
	t.Helper()
	g := startSmuggled(t, backs)
	g.writeCertificate("gw.test")
	g.write("gateway.yaml", g.read("gateway.yaml")+"tls: { cert_file: cert.pem, key_file: cert.key }\n")
	g.stop()
	return g.start()
}

// judgeH2 wants of each attack over HTTP/2 at most the one POST that it was.
func judgeH2(t *testing.T, g *gateway, backs []backEnd) {
	t.Helper()
	for _, b := range backs {
		took := b.took()
		slices.Sort(took)
		for i, request := range took {
			if strings.Contains(request, "/attack-h2-") && (!strings.HasPrefix(request, "POST /"+b.name) || i > 0 && took[i-1] == request) {
				t.Errorf("%s took %q from HTTP/2", b.name, request)
			}
		}
	}
	for _, e := range g.entries("request") {
		if e["decision"] == "allow" && e["method"] != "POST" {
			t.Errorf("the gateway let %v %v through", e["method"], e["path"])
		}
	}
}

// sendH2 sends one request with a body and gives all the data of the answer.
func sendH2(t *testing.T, g *gateway, fields []h2field, body string) string {
	t.Helper()
	conn, framer := dialH2(t, g.addr)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second)) // a body that is shorter than it says waits for its rest
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock(fields), EndHeaders: true, EndStream: body == ""})
	if body != "" {
		framer.WriteData(1, true, []byte(body))
	}
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var answer strings.Builder
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return answer.String()
		}
		switch frame := frame.(type) {
		case *http2.DataFrame:
			answer.Write(frame.Data())
			if frame.StreamEnded() {
				return answer.String()
			}
		case *http2.MetaHeadersFrame:
			if frame.StreamEnded() {
				return answer.String()
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return answer.String()
		}
	}
}
