package e2e

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestHostsOfADomainShareALogin: a login at one host counts at its siblings,
// the way back may lead there and nowhere else, and a logout ends it for all.
func TestHostsOfADomainShareALogin(t *testing.T) {
	t.Parallel()
	l := startLegacy(t, nil)
	g, site := publish(t, l, "https://gw.example.test", "  access_token: { ttl: 2s }\n  cookie: { domain: example.test }\n")
	_, port, _ := net.SplitHostPort(g.addr)
	sibling := "https://app.example.test:" + port
	g.stop()
	g.edit("hosts: [gw.example.test]", `hosts: [gw.example.test, "app.example.test:`+port+`"]`)
	g.start()
	b := g.visitor(site).asBrowser()
	login := func(rd string) string {
		t.Helper()
		return b.postForm("/auth/login", url.Values{"username": {"alice"}, "password": {passwordOf("alice")}, "rd": {rd}}).want(t, 303, "login").location()
	}
	if got := login(sibling + "/app/home?x=1"); got != sibling+"/app/home?x=1" {
		t.Errorf("the way back to a sibling leads to %q", got)
	}
	for _, rd := range []string{"https://app.example.test/app", "https://evil.example.test:" + port + "/", "http://app.example.test:" + port + "/", sibling + ".evil.test/", "//app.example.test:" + port + "/"} {
		if got := login(rd); got != "/" {
			t.Errorf("the way back %s leads to %q", rd, got)
		}
	}
	there := g.visitor(sibling).asBrowser()
	there.http.Jar = b.http.Jar
	there.follow("GET", "/app/home", "")
	time.Sleep(2100 * time.Millisecond)
	to := there.get("/app/late").want(t, 303, "the sibling's page, late").location()
	if to = there.get(to).want(t, 303, "the silent refresh there").location(); to != "/app/late" {
		t.Errorf("sent back to %q", to)
	}
	there.follow("GET", to, "")
	b.follow("GET", "/app/home", "")
	there.postForm("/auth/logout", nil).want(t, 303, "logout at the sibling")
	if got := b.get("/app/home").want(t, 303, "the first host afterwards").location(); got != "/auth/login?rd=%2Fapp%2Fhome" {
		t.Errorf("sent to %q", got)
	}
}

// TestSinglePageApplicationsElsewhere: listed origins may call and read, others
// may not; with credentials the cookies come along.
func TestSinglePageApplicationsElsewhere(t *testing.T) {
	t.Parallel()
	const spa, evil = "https://spa.example.test", "https://evil.test"
	for _, credentials := range []bool{false, true} {
		more := "  cors: { origins: [" + spa + "], credentials: " + map[bool]string{false: "false", true: "true"}[credentials] + " }\n"
		g, site := publish(t, startLegacy(t, nil), "https://gw.example.test", more)
		c := g.visitor(site)
		c.agent.Set("Sec-Fetch-Site", "same-site")
		c.agent.Set("Sec-Fetch-Mode", "cors")
		for path, method := range map[string]string{"/auth/login": "POST", "/auth/refresh": "POST", "/auth/logout": "POST", "/auth/me": "PATCH"} {
			r := c.do("OPTIONS", path, "", "Origin: "+spa, "Access-Control-Request-Method: "+method, "Access-Control-Request-Headers: content-type").want(t, 204, "a preflight of "+path)
			judgeCORS(t, path, r, spa, credentials)
			if !strings.Contains(r.Header.Get("Access-Control-Allow-Methods"), method) || !strings.Contains(strings.ToLower(r.Header.Get("Access-Control-Allow-Headers")), "content-type") {
				t.Errorf("%s: %v", path, r.Header)
			}
			r = c.do("OPTIONS", path, "", "Origin: "+evil, "Access-Control-Request-Method: "+method)
			judgeCORS(t, path, r, "", false)
		}
		login := map[string]string{"username": "alice", "password": passwordOf("alice"), "mode": "refresh_cookie"}
		r := c.postJSON("/auth/login", login, "Origin: "+evil).want(t, 403, "login from a page elsewhere")
		judgeCORS(t, "login", r, "", false)
		r = c.postJSON("/auth/login", login, "Origin: "+spa).want(t, 200, "login from the application")
		judgeCORS(t, "login", r, spa, credentials)
		r = c.do("POST", "/auth/refresh", "", "Origin: "+spa).want(t, 200, "refresh from the application")
		judgeCORS(t, "refresh", r, spa, credentials)
		judgeCORS(t, "me", c.get("/auth/me", "Origin: "+spa, bearer(c.tokens(r).AccessToken)).want(t, 200, "me"), spa, credentials)
		judgeCORS(t, "a refusal", c.get("/auth/me", "Origin: "+spa).want(t, 401, "me without a token"), spa, credentials)
		judgeCORS(t, "a page elsewhere", c.do("POST", "/auth/refresh", "", "Origin: "+evil).want(t, 403, "refresh from elsewhere"), "", false)
		judgeCORS(t, "null", c.do("POST", "/auth/refresh", "", "Origin: null").want(t, 403, "refresh from a sandbox"), "", false)
	}
}

// judgeCORS wants an answer that this origin may read, or, with "", none.
func judgeCORS(t *testing.T, what string, r reply, origin string, credentials bool) {
	t.Helper()
	if got := r.Header.Values("Access-Control-Allow-Origin"); strings.Join(got, "|") != origin {
		t.Errorf("%s: Access-Control-Allow-Origin %q, want %q", what, got, origin)
	}
	if got := r.Header.Get("Access-Control-Allow-Credentials"); (got == "true") != credentials || (got != "" && got != "true") {
		t.Errorf("%s: Access-Control-Allow-Credentials %q, want %v", what, got, credentials)
	}
	if origin != "" && !slices.ContainsFunc(r.Header.Values("Vary"), func(v string) bool { return strings.Contains(v, "Origin") }) {
		t.Errorf("%s: Vary %q: a cache gives one origin's answer to another", what, r.Header.Values("Vary"))
	}
}
