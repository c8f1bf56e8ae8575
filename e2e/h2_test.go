package e2e

import (
	"bytes"
	"crypto/tls"
	"net"
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
	return startH2(t, true)
}

// startH2 is startTLS, or without TLS a gateway behind something that ends it.
func startH2(t *testing.T, secure bool) (*gateway, *recorder, string) {
	t.Helper()
	up := newRecorder(t)
	config := strings.NewReplacer("{UPSTREAM}", up.addr, "http://gw.test", "https://gw.test").Replace(corpusPolicy)
	scheme, more := "https", "tls: { cert_file: cert.pem, key_file: cert.key }\n"
	if !secure {
		scheme, more = "http", "h2c: true\n"
	}
	g := prepare(t, config+more)
	g.writeCertificate("gw.test")
	g.addUser("alice", "user")
	g.start()
	c := newClient(t, scheme+"://gw.test")
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
	return conn, beginH2(conn)
}

// beginH2 says it on a connection, where TLS agreed on it or it is known.
func beginH2(conn net.Conn) *http2.Framer {
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write([]byte(http2.ClientPreface))
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.WriteSettings()
	return framer
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
	return askH2Over(t, g, true, fields, trailers)
}

// askH2Over is askH2 with TLS or without.
func askH2Over(t *testing.T, g *gateway, secure bool, fields, trailers []h2field) int {
	t.Helper()
	var conn net.Conn
	var framer *http2.Framer
	if secure {
		conn, framer = dialH2(t, g.addr)
	} else {
		var err error
		if conn, err = net.Dial("tcp", g.addr); err != nil {
			t.Fatal(err)
		}
		framer = beginH2(conn)
	}
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
	for name, secure := range map[string]bool{"with TLS": true, "without TLS": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkHTTP2(t, secure)
		})
	}
}

func checkHTTP2(t *testing.T, secure bool) {
	t.Helper()
	g, up, token := startH2(t, secure)
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
		{"nobody", request("GET", "/app/home"), nil, []int{401}, false},
		{"a user, as an administrator", request("GET", "/admin/panel", alice), nil, []int{403}, false},
		{"dot segments", request("GET", "/public/../admin/panel", alice), nil, []int{400}, false},
		{"encoded dot segments", request("GET", "/public/%2e%2e/admin/panel", alice), nil, []int{400}, false},
		{"an encoded slash", request("GET", "/public/..%2fadmin/panel", alice), nil, []int{400}, false},
		{"a broken encoding", request("GET", "/public/%zz", alice), nil, []int{400, 0}, false},
		{"CONNECT", []h2field{{":method", "CONNECT"}, {":authority", "gw.test"}}, nil, []int{0, 400, 404, 405}, false},
		{"an extended CONNECT", []h2field{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":authority", "gw.test"}, {":path", "/app/home"}}, nil, []int{0, 400, 404, 405}, false},
		{"TRACE", request("TRACE", "/app/home", alice), nil, []int{400, 405}, false},
		{"another host", append([]h2field{{":method", "GET"}, {":scheme", "https"}, {":authority", "evil.test"}, {":path", "/app/home"}}, alice), nil, []int{421}, false},
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
			got := askH2Over(t, g, secure, test.fields, test.trailers)
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
