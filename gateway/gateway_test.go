package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/policy"
)

func TestWhatThePolicySaysIsWhatHappens(t *testing.T) {
	s := newStack(t)
	alice, root := bearer(s.token("alice")), bearer(s.token("root"))
	for _, test := range []struct {
		id, method, path, who string
		status                int
		code                  string
	}{
		{"CT-01", "GET", "/public/index.html", "", 200, ""},
		{"CT-02", "GET", "/app/home", "", 401, "token_missing"},
		{"CT-03", "GET", "/app/home", alice, 200, ""},
		{"CT-04", "GET", "/admin/panel", alice, 403, "forbidden"},
		{"CT-05", "GET", "/admin/panel", root, 200, ""},
		{"CT-06", "GET", "/api/users/7", alice, 200, ""},
		{"CT-07", "DELETE", "/api/users/7", alice, 403, "forbidden"},
		{"CT-08", "DELETE", "/api/users/7", root, 200, ""},
		{"CT-09", "GET", "/nowhere", root, 404, "no_route"},
		{"MC-01", "HEAD", "/admin/panel", "", 401, ""},
		{"MC-05", "OPTIONS", "/admin/panel", "", 401, "token_missing"},
		{"MC-16", "PUT", "/api/users/7", alice, 405, "method_not_allowed"},
		{"MC-17", "PROPFIND", "/api/users/7", alice, 405, "method_not_allowed"},
	} {
		t.Run(test.id, func(t *testing.T) {
			lines := []string{"Accept: application/json"}
			if test.who != "" {
				lines = append(lines, test.who)
			}
			r := s.send(test.method, test.path, "", lines...)
			r.wants(t, test.status, test.code)
			if test.status == 200 {
				r.saw(t)
			} else {
				r.notAsked(t)
			}
			if r.Header.Get("X-Request-Id") == "" {
				t.Error("the answer has no request id")
			}
			if test.status == 401 && !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("challenge %q", r.Header.Get("WWW-Authenticate"))
			}
			if test.status == 405 && r.Header.Get("Allow") != "DELETE, GET, HEAD" && r.Header.Get("Allow") != "GET, HEAD, DELETE" {
				t.Errorf("Allow %q", r.Header.Get("Allow"))
			}
		})
	}
}

func TestWhoAsksIsToldByTheGatewayAlone(t *testing.T) {
	s := newStack(t)
	saw := s.get("/app/home", bearer(s.token("alice"))).saw(t)
	account, err := s.service.FindAccount(t.Context(), "alice")
	must(t, err)
	for name, want := range map[string]string{"X-Auth-User": "alice", "X-Auth-User-Id": account.ID, "X-Auth-Email": "alice@gw.test", "X-Auth-Roles": "user"} {
		if got := values(saw.header, name); !slices.Equal(got, []string{want}) {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	if got := values(saw.header, "Authorization"); got != nil {
		t.Errorf("the gateway's token was forwarded: %q", got)
	}
	saw = s.get("/public/x").saw(t)
	for _, name := range []string{"X-Auth-User", "X-Auth-User-Id", "X-Auth-Email", "X-Auth-Roles"} {
		if got := values(saw.header, name); got != nil {
			t.Errorf("anonymous, but %s is %q", name, got)
		}
	}
}

func TestAUserWithoutRolesHasNoRolesHeader_HS061(t *testing.T) {
	s := newStack(t)
	s.add("norole")
	r := s.get("/app/home", bearer(s.token("norole")), "X-Auth-Roles: admin")
	if got := values(r.saw(t).header, "X-Auth-Roles"); got != nil {
		t.Errorf("roles %q", got)
	}
}

func TestABadTokenIsNoneWhereAnyoneMayPass(t *testing.T) {
	s := newStack(t)
	good := s.token("alice")
	forged := good[:len(good)-4] + "AAAA"
	for _, test := range []struct{ name, line string }{
		{"forged", bearer(forged)},
		{"malformed", "Authorization: Bearer  " + good},
		{"forged cookie", cookie(forged)},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := s.get("/public/x", test.line)
			r.wants(t, 200, "")
			if got := values(r.saw(t).header, "X-Auth-User"); got != nil {
				t.Errorf("identity %q for a bad token", got)
			}
			if got := values(r.seen.header, "Authorization"); got != nil {
				t.Errorf("one of ours went through: %q", got)
			}
			s.get("/app/home", test.line).wants(t, 401, "")
		})
	}
	if got := values(s.get("/public/x", bearer(good)).saw(t).header, "X-Auth-User"); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("a good token on an open route: %q", got)
	}
}

func TestABearerThatIsNotOursIsTheApplications(t *testing.T) {
	s := newStack(t)
	const theirs = "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJzb21lYm9keS1lbHNlIn0.c2ln"
	if got := values(s.get("/public/x", theirs).saw(t).header, "Authorization"); len(got) != 1 || "Authorization: "+got[0] != theirs {
		t.Errorf("on an open route: %q", got)
	}
	r := s.get("/app/home", theirs)
	r.wants(t, 401, "")
	r.notAsked(t)
}

func TestOtherSchemesAreNoCredential(t *testing.T) {
	s := newStack(t)
	token := s.token("alice")
	for id, line := range map[string]string{
		"TK-61": "Authorization: Bearer\t" + token, "TK-65": "Authorization: Bearer", "TK-66": "Authorization: Bearer ",
		"TK-68": "Authorization: Token " + token, "TK-70": "Authorization: Bearer Bearer " + token,
		"Basic": "Authorization: Basic YWxpY2U6eA==", "list": "Authorization: Bearer " + token + ", Bearer x",
	} {
		t.Run(id, func(t *testing.T) {
			r := s.get("/app/home", line)
			r.wants(t, 401, "")
			r.notAsked(t)
			if got := values(s.get("/public/x", line).saw(t).header, "Authorization"); got != nil {
				t.Errorf("forwarded %q", got)
			}
		})
	}
	s.get("/app/home", "Authorization: bEaReR "+token).wants(t, 200, "")
}

func TestTwoCredentialsAreRefused(t *testing.T) {
	s := newStack(t)
	a, b := s.token("alice"), s.token("alice")
	for _, test := range []struct {
		name  string
		lines []string
	}{
		{"two bearers", []string{bearer(a), bearer(a)}},
		{"two cookies", []string{"Cookie: postern=" + a + "; postern=" + a}},
		{"two cookie lines", []string{cookie(a), cookie(b)}},
		{"two refresh cookies", []string{"Cookie: postern_refresh=x; postern_refresh=y"}},
		{"header and cookie of different sessions", []string{bearer(a), cookie(b)}},
		{"header and cookie of different users", []string{bearer(s.token("root")), cookie(a)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, path := range []string{"/app/home", "/public/x", "/auth/me"} {
				r := s.get(path, test.lines...)
				r.wants(t, 400, "bad_request")
				r.notAsked(t)
			}
		})
	}
	r := s.get("/app/home", bearer(a), cookie(a))
	r.wants(t, 200, "")
	s.get("/app/home", bearer(a), "Cookie: postern=junk").wants(t, 200, "")
}

func TestWithAuthorizationPassTheFieldIsTheApplications(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.Upstreams[0].Authorization = "pass" })
	alice := s.token("alice")
	r := s.get("/app/home", bearer(alice))
	r.wants(t, 401, "token_missing")
	saw := s.get("/app/home", cookie(alice), "Authorization: Basic YTpi").saw(t)
	if got := values(saw.header, "Authorization"); !slices.Equal(got, []string{"Basic YTpi"}) {
		t.Errorf("Authorization %q", got)
	}
	if got := values(saw.header, "X-Auth-User"); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("X-Auth-User %q", got)
	}
}

func TestForwardTokenHandsTheTokenOn(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.Upstreams[0].ForwardToken = true })
	alice := s.token("alice")
	for _, line := range []string{bearer(alice), cookie(alice)} {
		if got := values(s.get("/app/home", line).saw(t).header, "Authorization"); !slices.Equal(got, []string{"Bearer " + alice}) {
			t.Errorf("Authorization %q", got)
		}
	}
}

func TestATokenHeaderIsACredentialAndStaysHere(t *testing.T) {
	s := newStack(t, func(c *setup) { c.web.TokenSources = []string{"header:x-access-token"} })
	alice := s.token("alice")
	saw := s.get("/app/home", "x-access-token: "+alice).saw(t)
	if got := values(saw.header, "X-Access-Token"); got != nil {
		t.Errorf("forwarded %q", got)
	}
	s.get("/app/home", bearer(alice)).wants(t, 401, "token_missing")
	s.get("/app/home", cookie(alice)).wants(t, 401, "token_missing")
	s.get("/app/home?access_token="+alice).wants(t, 401, "token_missing")
	s.get("/app/home", "x-access-token: "+alice, "X-Access-Token: "+alice).wants(t, 400, "bad_request")
}

func TestARevokedTokenIsRefusedAtOnce(t *testing.T) {
	s := newStack(t)
	g := s.login("alice")
	s.get("/app/home", bearer(g.AccessToken)).wants(t, 200, "")
	must(t, s.service.RevokeSession(t.Context(), "", g.Session, auth.Actor{By: "test", Client: clientForTest()}))
	r := s.get("/app/home", bearer(g.AccessToken))
	r.wants(t, 401, "token_revoked")
	r.notAsked(t)
}

func TestANavigationIsShownTheLoginPage(t *testing.T) {
	s := newStack(t)
	r := s.get("/app/home?tab=2&x=%20", "Accept: text/html", "Sec-Fetch-Mode: navigate")
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/auth/login?rd=%2Fapp%2Fhome%3Ftab%3D2%26x%3D%2520" {
		t.Errorf("%d %q", r.StatusCode, r.Header.Get("Location"))
	}
	if r.Header.Get("Cache-Control") != "no-store" {
		t.Error("a redirect to the login page may be stored")
	}
	r = s.get("/admin/panel", "Accept: text/html", bearer(s.token("alice")))
	r.wants(t, 403, "")
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
		t.Errorf("a browser got %q", r.Header.Get("Content-Type"))
	}
	s.get("/app/home", "Accept: text/html", "X-Requested-With: XMLHttpRequest").wants(t, 401, "token_missing")
}

func TestAnOldPasswordIsAskedForAgain_RFC9470(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.policy.Routes = []policy.Route{{Path: "/app/**", Allow: []policy.Rule{{Authenticated: true, MaxAge: 600e9}}}}
		c.auth.AccessToken.TTL = 3600e9
	})
	token := s.token("alice")
	s.get("/app/pay", bearer(token)).wants(t, 200, "")
	s.later(11 * 60e9)
	r := s.get("/app/pay", bearer(token))
	r.wants(t, 401, "reauthentication_required")
	if c := r.Header.Get("WWW-Authenticate"); !strings.Contains(c, `max_age="600"`) {
		t.Errorf("challenge %q", c)
	}
	r = s.get("/app/pay", cookie(token), "Accept: text/html")
	if r.StatusCode != 303 || !strings.HasPrefix(r.Header.Get("Location"), "/auth/login?rd=") {
		t.Errorf("navigation: %d %q", r.StatusCode, r.Header.Get("Location"))
	}
}

func TestObserveLetsPassAndSaysSo(t *testing.T) {
	s := newStack(t, func(c *setup) { c.policy.Routes[2].Mode = "observe" })
	r := s.get("/admin/panel")
	r.wants(t, 200, "")
	if got := values(r.saw(t).header, "X-Auth-User"); got != nil {
		t.Errorf("anonymous, but %q", got)
	}
	s.get("/admin/panel", bearer("junk")).wants(t, 200, "")
	s.get("/admin//panel").wants(t, 400, "bad_path")
	if entry := s.log.entries(t, "request", 1)[0]; entry["decision"] != "observe" {
		t.Errorf("decision %v", entry["decision"])
	}
}

func TestAuthenticationDoesNotStickToTheConnection_SM040(t *testing.T) {
	s := newStack(t)
	conn := s.dial()
	defer conn.Close()
	br := newReader(conn)
	first := "GET /app/home HTTP/1.1\r\nHost: gw.test\r\n" + bearer(s.token("alice")) + "\r\n\r\n"
	write(t, conn, first)
	s.read(br, first, 0).wants(t, 200, "")
	second := "GET /app/smuggled HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n"
	write(t, conn, second)
	s.read(br, second, 1).wants(t, 401, "token_missing")
	if s.app.count() != 1 {
		t.Errorf("the application was asked %d times", s.app.count())
	}
}

func TestBeforeTheFirstSnapshotNothingIsServed(t *testing.T) {
	s := newStack(t)
	s.gateway.snap.Store(nil)
	r := s.get("/public/x")
	r.wants(t, 503, "unavailable")
	r.notAsked(t)
	snap, err := s.gateway.Build(s.parts)
	must(t, err)
	s.gateway.Swap(snap)
	s.get("/public/x").wants(t, 200, "")
}
