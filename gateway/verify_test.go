package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/policy"
)

// behind makes the test itself the trusted front end.
func behind(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1"} }

// asForwarded describes a request as Traefik and Caddy do.
func asForwarded(method, host, uri string) []string {
	return []string{"X-Forwarded-Method: " + method, "X-Forwarded-Host: " + host, "X-Forwarded-Uri: " + uri,
		"X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: http"}
}

// asOriginal describes a request as nginx does.
func asOriginal(method, url string) []string {
	return []string{"X-Original-Method: " + method, "X-Original-URL: " + url, "X-Forwarded-For: 203.0.113.7"}
}

// verify asks about a request; no question may reach the application.
func (s *stack) verify(description []string, lines ...string) *reply {
	s.t.Helper()
	r := s.get("/auth/verify", append(description[:len(description):len(description)], lines...)...)
	r.notAsked(s.t)
	switch r.StatusCode {
	case http.StatusOK, http.StatusForbidden:
		if r.Header["X-Auth-Redirect"] != nil || r.Header["X-Auth-Redirect-Status"] != nil {
			s.t.Fatalf("%d leads to %q", r.StatusCode, r.Header.Get("X-Auth-Redirect"))
		}
	case http.StatusUnauthorized:
		if len(r.Header["X-Auth-Redirect"]) != 1 {
			s.t.Fatalf("401 leads to %q", r.Header["X-Auth-Redirect"])
		}
	default:
		s.t.Fatalf("answered %d to %q: there are only 200, 401 and 403", r.StatusCode, description)
	}
	return r
}

const asPage = "Accept: text/html"

func TestBothFamiliesOfHeadersAreJudgedAsTheRequestWouldBe(t *testing.T) {
	s := newStack(t, behind)
	alice, root := s.token("alice"), s.token("root")
	for _, test := range []struct {
		name, method, target string
		line                 string
		status               int
		code                 string
	}{
		{"an open route", "GET", "/public/x", "X: x", 200, ""},
		{"nobody", "GET", "/app/x", "X: x", 401, "token_missing"},
		{"a user by bearer", "GET", "/app/x", bearer(alice), 200, ""},
		{"a user by cookie", "GET", "/app/x", cookie(alice), 200, ""},
		{"a query", "GET", "/app/x?a=b&c=%2F", bearer(alice), 200, ""},
		{"a role that is missing", "GET", "/admin/x", bearer(alice), 403, "forbidden"},
		{"a role that is there", "GET", "/admin/x", bearer(root), 200, ""},
		{"the original method", "DELETE", "/api/users/7", bearer(alice), 403, "forbidden"},
		{"the original method, allowed", "DELETE", "/api/users/7", bearer(root), 200, ""},
		{"a method of no route", "PUT", "/api/users/7", bearer(root), 403, "method_not_allowed"},
		{"no route", "GET", "/nowhere", bearer(root), 403, "no_route"},
		{"a path of two readings", "GET", "/public/..%2fadmin/x", "X: x", 403, "bad_path"},
		{"dot segments", "GET", "/public/../admin/x", bearer(root), 403, "bad_path"},
		{"an empty segment", "GET", "//evil.test/public/x", "X: x", 403, "bad_path"},
		{"a fragment", "GET", "/admin/x#/public/x", "X: x", 403, "bad_path"},
		{"a backslash", "GET", `/public\..\admin`, "X: x", 403, "bad_path"},
		{"another spelling of a stricter route", "GET", "/ADMIN/x", bearer(alice), 403, ""},
		{"a path that is too long", "GET", "/public/" + strings.Repeat("x", maxTarget), "X: x", 403, "bad_request"},
		{"a method in the query", "POST", "/app/x?_method=DELETE", bearer(alice), 403, "bad_request"},
		{"a method in lower case", "get", "/app/x", bearer(alice), 403, "bad_request"},
		{"an echo", "TRACE", "/app/x", bearer(alice), 403, "method_not_allowed"},
		{"a token that is none", "GET", "/app/x", bearer("nonsense"), 401, "token_malformed"},
		{"a bad token on an open route", "GET", "/public/x", bearer(alice[:len(alice)-4] + "AAAA"), 200, ""},
		{"two credentials of two sessions", "GET", "/app/x", bearer(alice) + "\r\n" + cookie(root), 403, "bad_request"},
		{"the login itself", "GET", "/auth/login", "X: x", 403, "forbidden"},
		{"an own endpoint in another spelling", "GET", "/%61uth/me", bearer(root), 403, ""},
		{"the question itself", "GET", "/auth/verify", bearer(root), 403, "forbidden"},
		{"a preflight, which only the application can answer", "OPTIONS", "/app/x", "Origin: http://spa.test\r\nAccess-Control-Request-Method: GET", 401, "token_missing"},
	} {
		for family, description := range map[string][]string{
			"X-Forwarded": asForwarded(test.method, "gw.test", test.target),
			"X-Original":  asOriginal(test.method, "http://gw.test"+test.target),
			"path alone":  asOriginal(test.method, test.target),
		} {
			t.Run(test.name+" in "+family, func(t *testing.T) {
				s.verify(description, test.line).wants(t, test.status, test.code)
			})
		}
	}
}

// TestAQuestionIsBelievedInOneCompleteFamilyAlone and else is 403, whoever asks.
func TestAQuestionIsBelievedInOneCompleteFamilyAlone(t *testing.T) {
	s := newStack(t, behind)
	full, original := asForwarded("GET", "gw.test", "/public/x")[:3], asOriginal("GET", "http://gw.test/public/x")[:2]
	for name, lines := range map[string][]string{
		"nothing":                   nil,
		"both":                      append(full[:3:3], original...),
		"no method":                 full[1:3],
		"no host":                   {full[0], full[2]},
		"no path":                   full[:2],
		"a path alone":              full[2:],
		"no method of nginx":        original[1:],
		"no address of nginx":       original[:1],
		"half of the other":         append(full[:3:3], original[1]),
		"a host of the other":       append(original[:2:2], full[1]),
		"a method of the other":     append(original[:2:2], full[0]),
		"a method twice":            append(full[:3:3], "X-Forwarded-Method: GET"),
		"a host twice":              append(full[:3:3], "x-forwarded-host: gw.test"),
		"a path twice":              append(full[:3:3], "X-Forwarded-Uri: /public/y"),
		"an address twice":          append(original[:2:2], "X-Original-Url: http://gw.test/public/y"),
		"a list of hosts":           {full[0], "X-Forwarded-Host: gw.test, gw.test", full[2]},
		"an empty host":             {full[0], "X-Forwarded-Host:", full[2]},
		"an empty method":           {"X-Forwarded-Method:", full[1], full[2]},
		"an empty path":             {full[0], full[1], "X-Forwarded-Uri:"},
		"an empty header of nginx":  append(full[:3:3], "X-Original-Method:"),
		"a path that is none":       {full[0], full[1], "X-Forwarded-Uri: public/x"},
		"an address for a path":     {full[0], full[1], "X-Forwarded-Uri: http://gw.test/public/x"},
		"a user in the address":     {original[0], "X-Original-URL: http://user@gw.test/public/x"},
		"another scheme":            {original[0], "X-Original-URL: ftp://gw.test/public/x"},
		"an address without a host": {original[0], "X-Original-URL: http:///public/x"},
		"an asterisk":               {original[0], "X-Original-URL: *"},
		"an unknown host":           {full[0], "X-Forwarded-Host: evil.test", full[2]},
		"an unknown host in nginx":  {original[0], "X-Original-URL: http://evil.test/public/x"},
		"a host that is none":       {full[0], "X-Forwarded-Host: gw.test/", full[2]},
		"names with underscores":    {"X_Forwarded_Method: GET", "X_Forwarded_Host: gw.test", "X_Forwarded_Uri: /public/x"},
		"the URI of other programs": {original[0], "X-Original-URI: /public/x"},
	} {
		s.verify(lines, bearer(s.token("root"))).wants(t, 403, "")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	s.verify(full).wants(t, 200, "")
	s.verify(original).wants(t, 200, "")
}

// The corpus's bypasses by headers that name another request.
func TestHeadersThatNameAnotherRequestMoveNoDecision(t *testing.T) {
	s := newStack(t)
	alice := s.token("alice")
	for id, lines := range map[string][]string{
		"HS-042": {"X-Forwarded-Uri: /public/x", "X-Forwarded-Method: GET"},
		"HS-047": {"X-Original-URL: /public/x"},
		"HS-049": {"X-Original-URI: /public/x"},
		"HS-050": {"X-Forwarded-Uri: /public/x"},
	} {
		t.Run(id, func(t *testing.T) {
			// Carried, they are stripped.
			saw := s.get("/app/home", append(lines, bearer(alice))...).saw(t)
			for name := range saw.header {
				if n := strings.ToLower(name); strings.HasPrefix(n, "x-original-") || n == "x-forwarded-uri" || n == "x-forwarded-method" {
					t.Errorf("the application was told %s", name)
				}
			}
			r := s.get("/admin/panel", lines...)
			r.wants(t, 401, "")
			r.notAsked(t)
			// Asked, by somebody who is no front end, they are not believed.
			s.verify(lines).wants(t, 403, "forbidden")
			s.verify(asForwarded("GET", "gw.test", "/public/x"), lines...).wants(t, 403, "forbidden")
		})
	}
}

// TestTheHostOfTheQuestionDoesNotMatter: it is the front end's name for the
// gateway. That of a path alone is the original one.
func TestTheHostOfTheQuestionDoesNotMatter(t *testing.T) {
	s := newStack(t, behind)
	ask := func(lines []string) *reply {
		return s.raw("GET /auth/verify?x HTTP/1.1\r\nHost: postern:8080\r\nConnection: close\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n")
	}
	ask(asForwarded("GET", "gw.test", "/public/x")).wants(t, 200, "")
	ask(asOriginal("GET", "http://gw.test/public/x")).wants(t, 200, "")
	ask(asOriginal("GET", "/public/x")).wants(t, 403, "unknown_host")
	ask(asForwarded("GET", "postern:8080", "/public/x")).wants(t, 403, "unknown_host")
}

func TestNobodyButATrustedPeerMayAsk(t *testing.T) {
	for name, trusted := range map[string][]string{"nobody is trusted": nil, "others are": {"10.0.0.0/8", "unix"}} {
		s := newStack(t, func(c *setup) { c.gateway.TrustedProxies = trusted })
		for _, description := range [][]string{asForwarded("GET", "gw.test", "/public/x"), asOriginal("GET", "http://gw.test/public/x")} {
			r := s.verify(append(description, "X-Forwarded-For: 10.1.1.1"), bearer(s.token("root")))
			r.wants(t, 403, "forbidden")
			if r.Header.Get("X-Auth-User") != "" {
				t.Error(name, ": a stranger is told who asks")
			}
		}
		if e := s.log.entries(t, "request", 1)[0]; e["failure"] != "the peer is not among trusted_proxies" || e["verify"] != true {
			t.Errorf("%s: the log says %v", name, e)
		}
	}
}

func TestAHeaderOfMethodOrAddressIsRefusedWhereItCannotBeStripped(t *testing.T) {
	s := newStack(t, behind)
	for _, line := range []string{"X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE", "X-HTTP-Method: PUT", "x_http_method_override: DELETE", "X-Rewrite-URL: /admin/x"} {
		s.verify(asForwarded("POST", "gw.test", "/app/x"), bearer(s.token("root")), line).wants(t, 403, "bad_request")
	}
}

// Front ends replace a header by its name. What else the application reads under
// that name they hand on, so the answer must be no: Traefik's CVE-2026-88011 and
// CVE-2026-39858, Caddy's GHSA-f59h-q822-g45g.
func TestAnAliasOfAnIdentityHeaderIsRefusedWhereItCannotBeStripped(t *testing.T) {
	s := newStack(t, behind, func(c *setup) {
		c.gateway.Identity.Headers = append(c.gateway.Identity.Headers, Header{Name: "X-Tenant", Field: "tenant"})
	})
	alice := bearer(s.token("alice"))
	for _, line := range []string{"X_Auth_User: root", "X.Auth.User: root", "x-auth_user: root", "X~Auth~Roles: admin", "Remote_User: root", "remote.groups: admin", "X_Tenant: 1",
		"X_Forwarded_Proto: https", "X.Forwarded.For: 127.0.0.1", "X_Real_Ip: 127.0.0.1", "X_Original_URL: /public/x", "X_Forwarded_Uri: /public/x", "X_Auth_User:"} {
		s.verify(asForwarded("GET", "gw.test", "/app/x"), alice, line).wants(t, 403, "bad_request")
		s.verify(asForwarded("GET", "gw.test", "/public/x"), line).wants(t, 403, "bad_request")
	}
	for _, line := range []string{"X-Auth-User: root", "x-auth-roles: admin", "api_key: 1", "X.Trace: 1", "X-Real-Ip: 203.0.113.7"} { // replaced, or nothing to us
		s.verify(asForwarded("GET", "gw.test", "/app/x"), alice, line).wants(t, 200, "")
	}
}

// TestA200NamesEveryIdentityHeader: with nobody it is empty, so that what a
// client sent is replaced.
func TestA200NamesEveryIdentityHeader(t *testing.T) {
	s := newStack(t, behind, func(c *setup) {
		c.gateway.Identity.Presets = []string{"remote-user"}
		c.gateway.Identity.Assertion.Enabled = true
		c.gateway.Identity.Basic = Basic{Enabled: true, Password: "the-password"}
	}, withLegacyToken)
	names := append(s.gateway.snap.Load().identity.names, "Authorization", "X-Auth-Assertion", "X-Access-Token", "Remote-User", "X-Auth-User", "X-Auth-User-Id", "X-Auth-Email", "X-Auth-Roles")
	nobody := s.verify(asForwarded("GET", "gw.test", "/public/x"))
	nobody.wants(t, 200, "")
	alice := s.login("alice")
	somebody := s.verify(asForwarded("GET", "gw.test", "/app/x"), cookie(alice.AccessToken))
	somebody.wants(t, 200, "")
	for _, name := range names {
		if got := nobody.Header[name]; len(got) != 1 || got[0] != "" {
			t.Errorf("nobody has %s %q", name, got)
		}
		if got := somebody.Header[name]; len(got) != 1 || (got[0] == "") != (name == "Remote-Name" && alice.Account.Name == "") {
			t.Errorf("alice has %s %q", name, got)
		}
	}
	carried := s.get("/app/x", cookie(alice.AccessToken)).saw(t)
	for _, name := range names {
		if got, want := somebody.Header.Get(name), carried.header.Get(name); got != want {
			t.Errorf("%s is %q, and %q in a carried request", name, got, want)
		}
	}
	if got := nobody.Header.Get("Cache-Control"); got != "no-store" || nobody.body != "" {
		t.Errorf("Cache-Control %q, body %q", got, nobody.body)
	}
}

// TestTraefiksQuestionIsAnswered: its forwardAuth sends a GET with these
// headers, and the client's own beside them.
func TestTraefiksQuestionIsAnswered(t *testing.T) {
	s := newStack(t, behind)
	traefik := []string{"X-Forwarded-For: 203.0.113.7", "X-Forwarded-Host: gw.test", "X-Forwarded-Method: POST", "X-Forwarded-Port: 80",
		"X-Forwarded-Proto: http", "X-Forwarded-Server: traefik", "X-Forwarded-Uri: /app/orders?id=1", "X-Real-Ip: 203.0.113.7"}
	r := s.verify(traefik, cookie(s.token("alice")), "Origin: http://gw.test", "X-Auth-User: root", "X-Auth-Roles: admin")
	r.wants(t, 200, "")
	if got := r.Header["X-Auth-User"]; len(got) != 1 || got[0] != "alice" {
		t.Errorf("X-Auth-User %q", got)
	}
	s.verify(traefik, cookie(s.token("alice")), "Origin: http://evil.test").wants(t, 403, "cross_origin")
	s.verify(traefik, cookie(s.token("alice")), "Sec-Fetch-Site: cross-site").wants(t, 403, "cross_origin")
	s.verify(traefik, bearer(s.token("alice")), "Origin: http://evil.test").wants(t, 200, "")
}

// TestTheMethodOfTheQuestionDoesNotMatter: HAProxy's script asks with HEAD, and
// Traefik can be told to keep the original one.
func TestTheMethodOfTheQuestionDoesNotMatter(t *testing.T) {
	s := newStack(t, behind)
	for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
		for _, original := range []string{"GET", "HEAD"} {
			for path, want := range map[string]int{"/public/x": 200, "/app/x": 401, "/nowhere": 403} {
				r := s.send(method, "/auth/verify", "", asForwarded(original, "gw.test", path)...)
				if r.StatusCode != want || (method != "HEAD" && want != 200 && r.body == "") {
					t.Errorf("%s about %s %s: %d %q", method, original, path, r.StatusCode, r.body)
				}
			}
		}
	}
}

// TestAQuestionWithTheLengthOfABodyIsAnsweredWithoutOne: nginx keeps the
// original Content-Length where it is not told otherwise.
func TestAQuestionWithTheLengthOfABodyIsAnsweredWithoutOne(t *testing.T) {
	s := newStack(t, behind, func(c *setup) { c.grace = time.Hour })
	for path, want := range map[string]int{"/public/x": 200, "/app/x": 401, "/nowhere": 403} {
		r := s.verify(append(asOriginal("POST", "http://gw.test"+path), "Content-Length: 100000"))
		if r.StatusCode != want || !r.Close {
			t.Errorf("%s is %d, closed: %v", path, r.StatusCode, r.Close)
		}
	}
}

func TestTheClientIsWhoTheFrontEndSays(t *testing.T) {
	s := newStack(t, behind, func(c *setup) {
		c.policy.Routes = []policy.Route{
			{Path: "/office/**", Allow: []policy.Rule{{CIDR: []string{"203.0.113.0/24"}}}},
			{Path: "/local/**", Allow: []policy.Rule{{CIDR: []string{"127.0.0.0/8"}}}},
		}
	})
	about := func(path, client string) []string {
		d := asForwarded("GET", "gw.test", path)[:3]
		if client != "" {
			d = append(d, "X-Forwarded-For: "+client)
		}
		return d
	}
	for _, test := range []struct {
		path, client string
		status       int
	}{
		{"/office/x", "203.0.113.7", 200},
		{"/office/x", "198.51.100.1", 403},
		{"/office/x", "203.0.113.7, 198.51.100.1", 403}, // the left end is anybody's word
		{"/office/x", "198.51.100.1, 203.0.113.7", 200},
		{"/local/x", "198.51.100.1", 403},
		{"/local/x", "unknown", 403},
		{"/local/x", "", 403}, // the front end is not the client
	} {
		s.verify(about(test.path, test.client)).wants(t, test.status, "")
	}
}

func TestARouteThatObservesLetsAQuestionPassAndSaysSo(t *testing.T) {
	s := newStack(t, behind, func(c *setup) { c.policy.Routes[2].Mode = "observe" })
	r := s.verify(asForwarded("GET", "gw.test", "/admin/x"))
	r.wants(t, 200, "")
	s.verify(asForwarded("GET", "gw.test", "/admin/x"), cookie(s.token("alice"))).wants(t, 200, "")
	e := s.log.entries(t, "request", 2)[0]
	for key, want := range map[string]any{"decision": "observe", "path": "/admin/x", "route": "/admin/**", "verify": true, "status": 200.0, "host": "gw.test", "client": "203.0.113.7", "upstream": ""} {
		if e[key] != want {
			t.Errorf("the log says %s %v, want %v", key, e[key], want)
		}
	}
}

func TestAWebSocketOfAnotherSiteIsRefusedToTheFrontEnd(t *testing.T) {
	s := newStack(t, behind)
	about := asOriginal("GET", "http://gw.test/app/ws")
	token := s.token("alice")
	for origin, want := range map[string]int{"Origin: http://gw.test": 200, "Origin: http://evil.test": 403, "X: none": 403} {
		s.verify(about, cookie(token), origin, "Sec-WebSocket-Key: AAAA", "Sec-WebSocket-Version: 13").wants(t, want, "")
	}
	s.verify(about, bearer(token), "Sec-WebSocket-Key: AAAA").wants(t, 200, "")
	s.verify(asOriginal("GET", "http://gw.test/public/ws"), "Origin: http://evil.test", "Sec-WebSocket-Key: AAAA").wants(t, 403, "cross_origin")
}

// TestAQuestionTakesFromTheQuotaOfItsRoute.
func TestAQuestionTakesFromTheQuotaOfItsRoute(t *testing.T) {
	s := limited(t, "user", 2)
	about, token := asForwarded("GET", "gw.test", "/app/x"), bearer(s.token("alice"))
	s.verify(about, token).wants(t, 200, "")
	s.get("/app/x", token).wants(t, 200, "")
	r := s.verify(about, token)
	r.wants(t, 403, "rate_limited")
	if r.Header.Get("Retry-After") == "" {
		t.Error("the refusal does not say when to come back")
	}
}

// TestTheRevokedAreRefusedToTheFrontEndAtOnce.
func TestTheRevokedAreRefusedToTheFrontEndAtOnce(t *testing.T) {
	s := newStack(t, behind)
	grant := s.login("alice")
	about := asForwarded("GET", "gw.test", "/app/x")
	s.verify(about, cookie(grant.AccessToken)).wants(t, 200, "")
	must(t, s.service.LogoutAll(t.Context(), grant.Account.ID, auth.Client{}))
	s.verify(about, cookie(grant.AccessToken)).wants(t, 401, "token_revoked")
}

// FuzzOriginal: whatever two headers say, the answer is one of three, and 200
// for nobody only on the open route.
func FuzzOriginal(f *testing.F) {
	for _, seed := range []string{"/public/x", "http://gw.test/public/x", "//x", "/public/../admin/x", "HTTP://gw.test", "http://gw.test@evil.test/", "/a?_method=PUT", "*", "/public/%2e%2e/admin/x", "/public/x#/admin"} {
		f.Add("GET", seed)
	}
	s := newStack(f, behind)
	f.Fuzz(func(t *testing.T, method, address string) {
		r, err := http.NewRequest("GET", "http://gw.test/auth/verify", nil)
		must(t, err)
		r.RequestURI, r.RemoteAddr = "/auth/verify", "127.0.0.1:1"
		r.Header["X-Original-Method"], r.Header["X-Original-Url"] = []string{method}, []string{address}
		w := httptest.NewRecorder()
		s.gateway.ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 401 && w.Code != 403 {
			t.Fatalf("%q %q: %d", method, address, w.Code)
		}
		if w.Code == 200 && !strings.Contains(strings.ToLower(address), "/public") {
			t.Fatalf("%q %q passes", method, address)
		}
	})
}
