package e2e

import (
	"bytes"
	"crypto/tls"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// startTLS runs a gateway that ends TLS itself, so that clients may speak
// HTTP/2, and answers alice's access token with it.
func startTLS(t *testing.T) (*gateway, *recorder, string) {
	t.Helper()
	up := newRecorder(t)
	config := strings.NewReplacer("{UPSTREAM}", up.addr, "http://gw.test", "https://gw.test").Replace(corpusPolicy)
	g := prepare(t, config+"tls: { cert_file: cert.pem, key_file: cert.key }\n")
	g.writeCertificate("gw.test")
	g.addUser("alice", "user")
	g.start()
	c := newClient(t, "https://gw.test")
	transport := dialing(g.addr)
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the certificate is this test's own
	c.http.Transport = transport
	return g, up, c.login("alice").AccessToken
}

// h2field is a header field of HTTP/2, in the order in which it is sent.
type h2field struct{ name, value string }

// dialH2 opens a connection and says what every client says first.
func dialH2(t *testing.T, addr string) (*tls.Conn, *http2.Framer) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, ServerName: "gw.test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("%s speaks %q, want h2", addr, got)
	}
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write([]byte(http2.ClientPreface))
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.WriteSettings()
	return conn, framer
}

// headerBlock is the fields as HPACK writes them, without a state.
func headerBlock(fields []h2field) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0)
	for _, f := range fields {
		encoder.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
	}
	return block.Bytes()
}

// askH2 sends one request frame by frame, the broken ones too, and gives the
// status of the answer; 0: the stream or the connection was ended.
func askH2(t *testing.T, g *gateway, fields, trailers []h2field) int {
	t.Helper()
	conn, framer := dialH2(t, g.addr)
	defer conn.Close()
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock(fields), EndHeaders: true, EndStream: trailers == nil})
	if trailers != nil {
		framer.WriteData(1, false, []byte("abc"))
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock(trailers), EndHeaders: true, EndStream: true})
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return 0
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			status, _ := strconv.Atoi(frame.PseudoValue("status"))
			return status
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return 0
		}
	}
}

// TestHTTP2 are the cases of the corpus that HTTP/1.1 cannot write.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	g, up, token := startTLS(t)
	request := func(method, path string, more ...h2field) []h2field {
		return append([]h2field{{":method", method}, {":scheme", "https"}, {":authority", "gw.test"}, {":path", path}}, more...)
	}
	alice := h2field{"authorization", "Bearer " + token}
	refusal := []int{0, 400, 401, 403, 404}
	for _, test := range []struct {
		name             string
		fields, trailers []h2field
		want             []int
		reached          bool
	}{
		{"a good request", request("GET", "/app/home", alice), nil, []int{200}, true},
		{"PC-108 no leading slash", request("GET", "admin/panel", alice), nil, refusal, false},
		{"PC-108 an absolute path", request("GET", "http://gw.test/public/../admin/panel", alice), nil, refusal, false},
		{"SM-060 transfer-encoding", request("GET", "/app/home", h2field{"transfer-encoding", "chunked"}), nil, refusal, false},
		{"SM-061 connection: close", request("GET", "/app/home", h2field{"connection", "close"}), nil, refusal, false},
		{"SM-061 upgrade", request("GET", "/app/home", h2field{"upgrade", "websocket"}), nil, refusal, false},
		{"SM-064 CR LF in the path", request("GET", "/app/home\r\nX-Auth-User: root"), nil, refusal, false},
		{"SM-064 a space in the path", request("GET", "/app/home HTTP/1.1"), nil, refusal, false},
		{"SM-067 a pseudo-header late", []h2field{{":method", "GET"}, {":scheme", "https"}, {":authority", "gw.test"}, {"x", "y"}, {":path", "/app/home"}}, nil, refusal, false},
		{"SM-068 an unknown pseudo-header", append([]h2field{{":x", "y"}}, request("GET", "/app/home")...), nil, refusal, false},
		{"SM-068 a pseudo-header of answers", append([]h2field{{":status", "200"}}, request("GET", "/app/home")...), nil, refusal, false},
		{"SM-071 identity headers", request("GET", "/app/home", alice, h2field{"x-auth-user", "root"}, h2field{"x_auth_user", "root"}), nil, []int{200}, true},
		{"SM-072 identity in trailers", request("POST", "/app/form", alice), []h2field{{"x-auth-user", "root"}, {"x-auth-roles", "admin"}}, []int{200}, true},
		{"SM-074 the gateway's cookie twice", request("GET", "/app/home", h2field{"cookie", "__Host-postern=" + token}, h2field{"cookie", "__Host-postern=other"}), nil, []int{400}, false},
		{"cookies in pieces are one header", request("GET", "/app/home", h2field{"cookie", "__Host-postern=" + token}, h2field{"cookie", "own=1"}), nil, []int{200}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			up.take()
			got := askH2(t, g, test.fields, test.trailers)
			seen := up.take()
			if !slices.Contains(test.want, got) {
				t.Errorf("status %d, want one of %v", got, test.want)
			}
			if reached := len(seen) > 0; reached != test.reached {
				t.Errorf("reached the upstream: %v, want %v", reached, test.reached)
			}
			for _, r := range seen {
				if users := r.values("X-Auth-User"); !slices.Equal(users, []string{"alice"}) || len(r.trailers) > 0 || strings.Contains(r.raw, "_") {
					t.Errorf("the upstream saw %q, trailers %v in\n%s", users, r.trailers, r.raw)
				}
				if strings.Contains(r.raw, token) {
					t.Error("the upstream saw the gateway's token")
				}
			}
		})
	}
}
