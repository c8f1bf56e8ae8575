package gateway

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

func TestNoSpellingOfAnIdentityHeaderArrives(t *testing.T) {
	s := newStack(t)
	alice := bearer(s.token("alice"))
	for _, test := range []struct {
		id    string
		lines []string
	}{
		{"HS-001", []string{"X-Auth-User: root", "X-Auth-Roles: admin"}},
		{"HS-003", []string{"x-auth-user: root", "X-AUTH-ROLES: admin"}},
		{"HS-004", []string{"X_Auth_User: root", "X_Auth_Roles: admin"}},
		{"HS-005", []string{"X-Auth_User: root", "x_auth-roles: admin"}},
		{"HS-008", []string{"X-Auth-User: a", "X-Auth-User: root"}},
		{"dots", []string{"X.Auth.User: root", "X-Auth.Roles: admin"}},
		{"other signs", []string{"X!Auth!User: root", "X~Auth~Roles: admin", "X'Auth'User: root"}},
		{"HS-021", []string{"Connection: x-auth-user, x-auth-roles"}},
		{"HS-022", []string{"Connection: x-auth-user", "Connection: close"}},
		{"HS-026", []string{"Keep-Alive: X-Auth-User", "Proxy-Connection: X-Auth-User", "TE: trailers, X-Auth-User"}},
		{"HS-030", []string{"X-Forwarded-User: root", "X-Forwarded-Email: root@x", "X-Forwarded-Groups: admin"}},
		{"HS-032", []string{"Remote-User: root", "Remote-Groups: admin", "REMOTE_USER: root", "X-Remote-User: root"}},
		{"Cloudflare, AWS, Google, Azure", []string{"Cf-Access-Authenticated-User-Email: root@x", "Cf-Access-Jwt-Assertion: root", "X-Amzn-Oidc-Identity: root", "X-Amzn-Oidc-Data: root",
			"X-Goog-Iap-Jwt-Assertion: root", "X-Goog-Authenticated-User-Email: root", "X-MS-Client-Principal-Name: root", "X-MS-Token-AAD-Id-Token: root", "X-Endpoint-API-UserInfo: root"}},
		{"Kong, APISIX, Vouch, mod_auth_openidc, Tailscale", []string{"X-Consumer-Username: root", "X-Consumer-Groups: admin", "X-Credential-Identifier: root", "X-UserInfo: root", "X-Vouch-User: root",
			"OIDC_CLAIM_sub: root", "OIDC-Claim-Roles: admin", "Tailscale-User-Login: root"}},
		{"certificates", []string{"X-Client-Certificate: root", "X-ARR-ClientCert: root", "WL-Proxy-Client-Cert: root", "X-Forwarded-Client-Cert: root", "X-SSL-Cert: root"}},
		{"CVE-2025-29927", []string{"X-Middleware-Subrequest: admin:admin:admin:admin:admin", "X-Waws-Unencoded-Url: /admin", "X-Envoy-Original-Path: /admin"}},
		{"HS-035", []string{"X-Authenticated-User: root", "X-User: root", "X-User-Id: 1", "X-User-Role: admin", "X-Webauth-User: root"}},
	} {
		t.Run(test.id, func(t *testing.T) {
			for path, want := range map[string][]string{"/app/home": {"alice", "user"}, "/public/x": {"alice", "user"}} {
				saw := s.get(path, append(test.lines, alice)...).saw(t)
				for i, name := range []string{"X-Auth-User", "X-Auth-Roles"} {
					if got := values(saw.header, name); !slices.Equal(got, want[i:i+1]) {
						t.Errorf("%s %s: %q", path, name, got)
					}
				}
				for name, v := range saw.header {
					if joined := strings.Join(v, ","); strings.Contains(joined, "root") || strings.Contains(joined, "admin") {
						t.Errorf("%s: %s %q arrived", path, name, v)
					}
				}
			}
			for name := range s.get("/public/x", test.lines...).saw(t).header {
				if strings.HasPrefix(fold(name), "x-auth-") {
					t.Errorf("anonymous, but %s arrived", name)
				}
			}
		})
	}
	if raw := s.app.raw(); strings.Contains(strings.ToLower(raw), "root") {
		t.Error("the raw bytes tell of root")
	}
}

func TestMalformedHeadersAreRefused(t *testing.T) {
	s := newStack(t)
	alice := bearer(s.token("alice"))
	for id, line := range map[string]string{
		"HS-009": "X-Auth-User : root", "HS-013": "X-Auth-User\x00: root", "HS-014": "X-Auth-Us\xffer: root", "HS-016": ": root",
		"HS-017": "X-Foo: a\rX-Auth-User: root", "HS-019": "X-Foo: a\x00b",
	} {
		r := s.raw("GET /app/home HTTP/1.1\r\nHost: gw.test\r\n" + alice + "\r\n" + line + "\r\nConnection: close\r\n\r\n")
		if r.StatusCode != 400 {
			t.Errorf("%s: %d", id, r.StatusCode)
		}
		r.notAsked(t)
	}
}

func TestTrailersOfAClientDoNotArrive_HS028(t *testing.T) {
	s := newStack(t)
	alice := bearer(s.token("alice"))
	for id, announce := range map[string]string{"HS-028": "Trailer: X-Auth-User, X-Auth-Roles\r\n", "HS-029": ""} {
		r := s.raw("POST /app/form HTTP/1.1\r\nHost: gw.test\r\n" + alice + "\r\nTransfer-Encoding: chunked\r\n" + announce +
			"Connection: close\r\n\r\n3\r\nabc\r\n0\r\nX-Auth-User: root\r\nX-Auth-Roles: admin\r\n\r\n")
		saw := r.saw(t)
		if len(saw.trailer) > 0 || saw.body != "abc" || !slices.Equal(values(saw.header, "X-Auth-User"), []string{"alice"}) {
			t.Errorf("%s: trailer %v, header %v", id, saw.trailer, saw.header)
		}
	}
	if raw := s.app.raw(); strings.Contains(raw, "root") || strings.Contains(raw, "Trailer:") {
		t.Errorf("the raw bytes: %s", raw)
	}
}

func TestOtherHeadersArriveAsTheyAre(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.Upstreams[0].KeepHeaders = []string{"api_key"} })
	saw := s.get("/public/x", "X-Api-Key: k1", "api_key: k2", "other_key: k3", "X-User-Agent: grpc", "X-Custom: a", "X-Custom: b", "Accept-Language: de").saw(t)
	for name, want := range map[string][]string{"X-Api-Key": {"k1"}, "Api_key": {"k2"}, "Other_key": nil, "X-User-Agent": {"grpc"},
		"X-Custom": {"a", "b"}, "Accept-Language": {"de"}, "User-Agent": nil, "Accept-Encoding": nil} {
		if got := saw.header[name]; !slices.Equal(got, want) {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
}

func TestANameOfAnotherGatewayArrivesOnlyWhereItIsListed(t *testing.T) {
	for _, test := range []struct {
		keep []string
		want http.Header
	}{
		{[]string{"api_key"}, http.Header{}},
		{[]string{"api_key", "SM_USER"}, http.Header{"Sm_user": {"s1"}}},
	} {
		s := newStack(t, func(c *setup) { c.gateway.Upstreams[0].KeepHeaders = test.keep })
		saw := s.get("/public/x", "SM_USER: s1", "SM-User: s2", "sm.user: s3").saw(t)
		maps.DeleteFunc(saw.header, func(name string, _ []string) bool { return fold(name) != "sm-user" })
		if !reflect.DeepEqual(saw.header, test.want) {
			t.Errorf("keep_headers %v: %v arrived, want %v", test.keep, saw.header, test.want)
		}
	}
}

func TestAPresetIsAddedAndItsNamesAreStrippedAnyway(t *testing.T) {
	id := newIdentity(Identity{Headers: []Header{{Name: "X-Auth-User", Value: "username"}}, Presets: []string{"jenkins", "grafana"}})
	h := http.Header{}
	id.set(h, &auth.Principal{ID: "7", Username: "alice", Name: "Alice", Roles: []string{"user", "a|b", "admin"}}, minted{})
	want := http.Header{"X-Auth-User": {"alice"}, "X-Forwarded-User": {"alice"}, "X-Forwarded-Groups": {"user|admin"}, "X-Forwarded-Displayname": {"Alice"},
		"X-Webauth-User": {"alice"}, "X-Webauth-Name": {"Alice"}, "X-Webauth-Groups": {"user,a|b,admin"}}
	if len(h) != len(want) {
		t.Errorf("set %v", h)
	}
	for name, v := range want {
		if !slices.Equal(h[name], v) {
			t.Errorf("%s %q, want %q", name, h[name], v)
		}
	}
	none := newIdentity(Identity{})
	for _, p := range presets() {
		for _, header := range p.headers {
			if !none.strips(header.Name, nil) || !none.strips(strings.ReplaceAll(header.Name, "-", "_"), []string{header.Name}) {
				t.Errorf("%s of the unused preset %s would arrive", header.Name, p.name)
			}
		}
	}
}

func TestAValueThatWouldNotArriveAsItIsIsAbsent_HS059(t *testing.T) {
	id := newIdentity(DefaultConfig().Identity)
	for _, bad := range []string{"", "a\r\nX-Auth-Roles: admin", "a\x00", " root", "root ", "root\t", "a\u0085b", "a\x7f", "\xff", "\u00a0root"} {
		h := http.Header{}
		id.set(h, &auth.Principal{ID: bad, Username: bad, Email: bad, Roles: []string{bad, "user", "user,admin"}}, minted{})
		if len(h) != 1 || !slices.Equal(h["X-Auth-Roles"], []string{"user"}) {
			t.Errorf("%q: %v", bad, h)
		}
	}
	h := http.Header{}
	id.set(h, &auth.Principal{ID: "1", Username: "jürgen", Roles: []string{"user", "Prüfer"}}, minted{})
	if h.Get("X-Auth-User") != "jürgen" || h.Get("X-Auth-Roles") != "user,Prüfer" {
		t.Errorf("%v", h)
	}
}

func FuzzStripHeaders(f *testing.F) {
	for _, seed := range []string{"X-Auth-User", "x_auth_user", "X.Auth.User", "X-Forwarded-For", "X-Anything", "Remote_User", "x-user-agent", "X_User_Agent"} {
		f.Add(seed)
	}
	id := newIdentity(DefaultConfig().Identity)
	f.Fuzz(func(t *testing.T, name string) {
		h := http.Header{name: {"root"}}
		id.strip(h, []string{"api_key"})
		if len(h) == 0 {
			if !id.foreign(name) && name != "Connection" {
				t.Fatalf("%q would not be looked for", name)
			}
			return
		}
		// What is left is nothing that the most forgiving reader takes for one of ours.
		read := strings.Map(func(r rune) rune {
			if r < 0x80 && isAlnum(byte(r)) {
				return r
			}
			return '-'
		}, strings.ToLower(name))
		if id.own[read] || strings.HasPrefix(read, "x-forwarded-") || strings.HasPrefix(read, "remote-") || id.stripped[read] {
			t.Fatalf("%q would arrive", name)
		}
		if !isPlain(name) && !strings.EqualFold(name, "api_key") {
			t.Fatalf("%q would arrive, with signs", name)
		}
	})
}

func cookieSnapshot() *Snapshot {
	s := &Snapshot{identity: newIdentity(DefaultConfig().Identity)}
	_ = s.buildSources(Parts{Cookies: Cookies{Access: "__Host-postern", Refresh: "__Secure-postern_refresh"}})
	return s
}

func TestTheGatewaysCookiesStayHere_HS062(t *testing.T) {
	s := newStack(t)
	g := s.login("alice")
	saw := s.get("/app/home", "Cookie: app=1; postern="+g.AccessToken+"; postern_refresh="+g.RefreshToken+"; other=2").saw(t)
	if got := values(saw.header, "Cookie"); !slices.Equal(got, []string{"app=1; other=2"}) {
		t.Errorf("Cookie %q", got)
	}
	if strings.Contains(s.app.raw(), g.AccessToken) || strings.Contains(s.app.raw(), g.RefreshToken) {
		t.Error("a token arrived")
	}
	saw = s.get("/app/home", cookie(g.AccessToken)).saw(t)
	if got, there := saw.header["Cookie"]; there {
		t.Errorf("Cookie %q", got)
	}
	saw = s.get("/app/home", "Cookie: a=1", cookie(g.AccessToken), "Cookie: b=2").saw(t)
	if got := strings.Join(saw.header["Cookie"], "|"); got != "a=1|b=2" && got != "a=1; b=2" {
		t.Errorf("Cookie %q", got)
	}
}

func TestOtherCookiesStayByteForByte(t *testing.T) {
	s := cookieSnapshot()
	for line, want := range map[string]string{
		"a=1; __Host-postern=x; b=2":          "a=1; b=2",
		"__Host-postern=x; b=2":               "b=2",
		"a=1;__Host-postern=x":                "a=1",
		"a=1; postern=x;  b= \"q;r\" ; c":     "a=1;  b= \"q;r\" ; c",
		"a=\xff;; =x; __Host-postern_retry=1": "a=\xff;; =x",
		"; a=1; postern":                      "; a=1",
		"xpostern=1; postern2=2":              "xpostern=1; postern2=2",
		" \tpostern =x":                       "",
		"a=__Host-postern=1":                  "a=__Host-postern=1",
	} {
		if got := s.cutCookie(line); got != want {
			t.Errorf("%q became %q, want %q", line, got, want)
		}
	}
}

func FuzzCookieCut(f *testing.F) {
	for _, seed := range []string{"a=1; b=2", "a", ";;", " x = y ;", "a=\"b;c\"", "\xff=\x00"} {
		f.Add(seed, uint64(1))
	}
	s := cookieSnapshot()
	f.Fuzz(func(t *testing.T, line string, seed uint64) {
		if s.mentionsCookie(line) {
			return
		}
		// Ours put anywhere among the others, and taken out again, leaves the others.
		pairs := strings.Split(line, ";")
		at := rand.New(rand.NewPCG(seed, 1)).IntN(len(pairs)) + 1
		with := strings.Join(slices.Insert(slices.Clone(pairs), at, " __Host-postern=token"), ";")
		h := http.Header{"Cookie": {with}}
		s.cutCookies(h)
		if got := strings.Join(h["Cookie"], ""); got != line {
			t.Fatalf("%q with ours, cut, is %q", line, got)
		}
	})
}

func TestAnUpstreamCannotSpeakForTheGateway_HS063_IL14(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.answer = func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h["Set-Cookie"] = []string{"postern=evil; Path=/", "app=1; Path=/", "=postern=evil", "  postern_refresh = evil", "__Host-postern=evil", "postern_retry=1", "postern", "other=postern"}
			h["X-Auth-User"] = []string{"root"}
			h["x_auth_roles"] = []string{"admin"}
			h["Clear-Site-Data"] = []string{`"cache", "cookies"`, `"*"`}
			h["Alt-Svc"] = []string{`h3=":443"`}
			h["X-Request-Id"] = []string{"forged"}
			h["Trailer"] = []string{"Set-Cookie, X-Auth-User, X-Sum"}
			w.WriteHeader(103)
			w.WriteHeader(200)
			_, _ = w.Write([]byte("x"))
			h["Set-Cookie"], h["X-Auth-User"], h["X-Sum"] = []string{"postern=evil"}, []string{"root"}, []string{"42"}
			h[http.TrailerPrefix+"X-Auth-Roles"] = []string{"admin"}
		}
	})
	conn := s.dial()
	defer conn.Close()
	write(t, conn, "GET /public/x HTTP/1.1\r\nHost: gw.test\r\nX-Request-Id: mine\r\nConnection: close\r\n\r\n")
	var all strings.Builder
	_, err := newReader(conn).WriteTo(&all)
	must(t, err)
	for _, bad := range []string{"evil", "root", "admin", "forged", `"cookies"`, `"*"`, "Alt-Svc", "postern_retry", "Set-Cookie: postern\r\n"} {
		if strings.Contains(all.String(), bad) {
			t.Errorf("%s reached the client:\n%s", bad, all.String())
		}
	}
	for _, good := range []string{"HTTP/1.1 103", "Set-Cookie: app=1; Path=/\r\n", "Set-Cookie: other=postern\r\n", `Clear-Site-Data: "cache"`, "X-Request-Id: mine\r\n", "X-Sum: 42"} {
		if !strings.Contains(all.String(), good) {
			t.Errorf("%s did not reach the client:\n%s", good, all.String())
		}
	}
}

// The quick look at a name tells a family by two of its bytes: whatever a name of
// it goes on with, and however it is spelled, it is looked at again.
func TestEveryNameOfAFamilyIsStrippedHoweverSpelled(t *testing.T) {
	id := newIdentity(Identity{})
	for _, prefix := range strippedPrefixes() {
		if third := prefix[2]; third < 'a' || third > 'z' {
			t.Fatalf("%q: the third byte has another spelling than its case", prefix)
		}
		for n := range maxName {
			name := prefix + strings.Repeat("q", n)
			for _, spelled := range []string{name, strings.ToUpper(name), http.CanonicalHeaderKey(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(strings.ToUpper(name), "-", ".")} {
				if !id.strips(spelled, []string{spelled}) {
					t.Fatalf("%q would arrive", spelled)
				}
			}
		}
	}
}

func TestTheQuickLookMissesNoCookieOfOurs(t *testing.T) {
	for _, names := range []Cookies{{"postern", "postern_refresh"}, {"__Host-postern", "__Secure-postern_refresh"}, {"__Secure-a", "__Secure-b"}} {
		s := &Snapshot{}
		must(t, s.buildSources(Parts{Cookies: names}))
		for _, name := range append(s.ownCookies, names.Access, names.Refresh, s.retryCookie) {
			if !s.mentionsCookie("a=1; "+name+"=x") || !s.ownsCookie(name) {
				t.Errorf("of %v: %s would arrive", names, name)
			}
		}
	}
}
