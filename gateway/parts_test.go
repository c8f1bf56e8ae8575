package gateway

import (
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/posternhq/postern/auth"
)

func TestAnInformationalAnswerCarriesLinksAlone(t *testing.T) {
	w := &wire{header: http.Header{}}
	a := &answer{ResponseWriter: w, id: []string{"r1"}}
	a.Header()["Link"], a.Header()["Set-Cookie"] = []string{"</a.css>"}, []string{"postern=evil"}
	a.WriteHeader(http.StatusEarlyHints)
	if a.status != 0 || a.Header().Get("Set-Cookie") != "" || a.Header().Get("Link") == "" {
		t.Errorf("status %d, header %v", a.status, a.Header())
	}
	if _, err := a.Write([]byte("body")); err != nil || a.status != 200 || a.bytes != 4 || w.header.Get("X-Request-Id") != "r1" {
		t.Errorf("status %d, %d bytes, header %v", a.status, a.bytes, w.Header())
	}
	a.WriteHeader(http.StatusTeapot)
	if a.status != 200 || len(w.statuses) != 2 || w.statuses[0] != 103 || w.statuses[1] != 200 {
		t.Errorf("sent %v", w.statuses)
	}
}

// wire is a client's end that takes several heads, as HTTP has them.
type wire struct {
	header   http.Header
	statuses []int
}

func (w *wire) Header() http.Header { return w.header }

func (w *wire) WriteHeader(status int) { w.statuses = append(w.statuses, status) }

func (w *wire) Write(p []byte) (int, error) { return len(p), nil }

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestTrustIsInNetworksNotInSpellings(t *testing.T) {
	for _, test := range []struct {
		list, peer string
		trusted    bool
	}{
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.0.0.0/8", "11.1.2.3", false},
		{"10.9.9.9/8", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.4", false},
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
		{"::ffff:10.1.2.3", "10.1.2.3", true},
		{"2001:db8::/32", "2001:db8::1", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"::/0", "10.1.2.3", false},
	} {
		p, err := parsePrefix(test.list)
		must(t, err)
		s := &Snapshot{proxies: []netip.Prefix{p}}
		if got := s.trusts(netip.MustParseAddr(test.peer)); got != test.trusted {
			t.Errorf("%s in %s: %v", test.peer, test.list, got)
		}
		if s.trusts(netip.Addr{}) {
			t.Errorf("%s trusts a socket", test.list)
		}
	}
	for _, bad := range []string{"", "10.0.0.0/33", "10.0.0", "proxy.test", "10.0.0.0/8/8", "10.0.0.0-10.0.0.9"} {
		if _, err := parsePrefix(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestIdentityNamesMustBeReadableOneWay(t *testing.T) {
	id := newIdentity(DefaultConfig().Identity)
	for name, stripped := range map[string]bool{
		"X-Auth-User": true, "x_auth_user": true, "X-AUTH-USER": true, "x.auth.user": true, "X-Auth-User-Id": true,
		"X-Forwarded-For": true, "X-Forwarded-Anything": true, "X_Forwarded_Host": true, "Forwarded": true,
		"Remote-User": true, "Remote_Addr": true, "X-Original-Url": true, "X-Ssl-Client-Dn": true, "Proxy": true, "X-Pomerium-Claim-Email": true,
		"X-Authentik-Meta-App": true, "X-Http-Method-Override": true, "X-User": true, "X-User-Anything": true, "": true,
		"Accept": false, "X-Requested-With": false, "X-User-Agent": false, "X-Auth-Token": false, "X-Csrf-Token": false, "X-Custom": false,
		"Authorization": false, "Content-Type": false, "Range": false, "Remote": false, "X-Users": false,
		"X_User_Agent": true, "X_Custom": true, "my.header": true, "a!b": true, strings.Repeat("a", 100): false,
		"x-forwarded-" + strings.Repeat("a", 100): true,
	} {
		if got := id.strips(name, nil); got != stripped {
			t.Errorf("%q is stripped: %v", name, got)
		}
	}
	if id.strips("api_key", []string{"API_Key"}) {
		t.Error("a kept name is stripped")
	}
	if !id.strips("x_auth_user", []string{"x_auth_user"}) {
		t.Error("a spelling of an identity header can be kept")
	}
}

func TestStrippingDoesNotAllocate(t *testing.T) {
	id, h := newIdentity(DefaultConfig().Identity), benchRequest("/x", "t").Header
	if n := testing.AllocsPerRun(100, func() { id.strip(h, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRevocationsMeetTheirStreamsAlone(t *testing.T) {
	var set streams
	open := func(session, account string, version int64) *closer {
		c := &closer{}
		if !set.add(&stream{session: session, account: account, version: version, lasting: true, end: c.end}) {
			t.Fatal("refused")
		}
		return c
	}
	a, b, c, anonymous := open("s1", "alice", 5), open("s2", "alice", 6), open("s3", "bob", 5), open("", "", 0)
	for _, r := range []auth.Revocation{{Kind: auth.RevokeSessionTokens}, {Kind: auth.RevokeAccountTokens, Version: 9}, {Kind: 99, ID: "s1"}, {Kind: auth.RevokeSessionTokens, ID: "alice"}} {
		set.revoke(r)
	}
	if a.closed || b.closed || c.closed || anonymous.closed {
		t.Error("a revocation of nobody closed a stream")
	}
	set.revoke(auth.Revocation{Kind: auth.RevokeSessionTokens, ID: "s3"})
	set.revoke(auth.Revocation{Kind: auth.RevokeAccountTokens, ID: "alice", Version: 6})
	if !a.closed || b.closed || !c.closed || anonymous.closed {
		t.Errorf("closed: older %v, current %v, session %v, anonymous %v", a.closed, b.closed, c.closed, anonymous.closed)
	}
}

type closer struct{ closed bool }

func (c *closer) end(closing) { c.closed = true }

func TestManyRequestsAndReloadsAtOnce(t *testing.T) {
	s := newStack(t)
	token := bearer(s.token("alice"))
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 25 {
				conn := s.dial()
				request := "GET /app/x HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n" + token + "\r\n\r\n"
				_, _ = io.WriteString(conn, request)
				res, err := http.ReadResponse(newReader(conn), nil)
				if err != nil || res.StatusCode != 200 {
					t.Errorf("%v %v", res, err)
				}
				conn.Close()
			}
		})
	}
	for range 10 {
		must(t, s.gateway.Reload(t.Context(), func() (*Snapshot, error) { return s.gateway.Build(s.parts) }))
	}
	work.Wait()
	if n := s.app.count(); n != 100 {
		t.Errorf("the application was asked %d times", n)
	}
	for i := range s.app.count() {
		if got := s.app.seen[i].header["X-Auth-User"]; len(got) != 1 || got[0] != "alice" {
			t.Errorf("request %d came from %q", i, got)
		}
	}
}

func TestACertificateForAnUpstreamIsReadOrSaidToBeWrong(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	conf, err := upstreamTLS(&UpstreamTLS{CAFile: cert, CertFile: cert, KeyFile: key, ServerName: "app.test"})
	must(t, err)
	if len(conf.Certificates) != 1 || conf.RootCAs == nil || conf.ServerName != "app.test" || conf.InsecureSkipVerify {
		t.Errorf("%+v", conf)
	}
	for words, c := range map[string]UpstreamTLS{
		"there is no certificate": {CAFile: key}, "tls.cert_file": {CertFile: key, KeyFile: key}, "no such file": {CAFile: filepath.Join(dir, "absent")},
	} {
		if _, err := upstreamTLS(&c); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want ...%s..., got %v", words, err)
		}
	}
}

func TestEveryPresetSaysSomethingTrue(t *testing.T) {
	names := map[string]bool{}
	for _, p := range presets() {
		if names[p.name] || p.separator == "" || len(p.headers) == 0 {
			t.Errorf("preset %+v", p)
		}
		names[p.name] = true
		c := DefaultConfig()
		c.Upstreams, c.Identity.Presets = []Upstream{{Name: "app", URLs: []string{"http://127.0.0.1:3000"}}}, []string{p.name}
		if f := c.Validate(nil); len(f) > 0 {
			t.Errorf("preset %s: %v", p.name, f)
		}
		h := http.Header{}
		newIdentity(Identity{Presets: []string{p.name}}).set(h, &auth.Principal{ID: "7", Username: "alice", Email: "a@b", Name: "Alice", Session: "s", Roles: []string{"user"}}, minted{})
		if len(h) != len(p.headers) {
			t.Errorf("preset %s sets %v", p.name, h)
		}
	}
	for _, word := range []string{"remote-user", "x-forwarded-user", "grafana"} { // interface.md names them
		if !names[word] {
			t.Errorf("no preset %s", word)
		}
	}
}

func TestASiteHeaderNeverTakesACookieAway(t *testing.T) {
	for line, want := range map[string]string{
		`"cache", "cookies"`: `"cache"`, `"cookies"`: "", `"*"`: "", `"COOKIES"`: "", `"storage"`: `"storage"`, ` "cache" ,"cookies", "executionContexts"`: `"cache", "executionContexts"`, "": "",
	} {
		h := http.Header{"Clear-Site-Data": {line}}
		cleanSiteData(h, h["Clear-Site-Data"])
		if got := strings.Join(h["Clear-Site-Data"], "|"); got != want {
			t.Errorf("%s became %s, want %s", line, got, want)
		}
	}
}
