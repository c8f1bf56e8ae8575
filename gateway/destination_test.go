package gateway

import (
	"net/url"
	"strings"
	"testing"

	"github.com/posternhq/postern/gateway/problem"
	"github.com/posternhq/postern/policy"
)

// withFiles is a share over WebDAV: everybody's drafts, a public shelf that is
// read by all and written by administrators, an archive that takes no PUT, an
// inbox that takes nothing else, and another application.
func withFiles(c *setup) {
	c.gateway.Upstreams = append(c.gateway.Upstreams, Upstream{Name: "other", URLs: []string{"http://127.0.0.1:9"}})
	user, admin, anyone := []policy.Rule{{Role: "user"}}, []policy.Rule{{Role: "admin"}}, []policy.Rule{{Anyone: true}}
	route := func(path string, allow []policy.Rule, methods ...string) policy.Route {
		return policy.Route{Path: path, Upstream: "app", Allow: allow, Methods: methods}
	}
	c.policy.Upstreams = []policy.Upstream{{Name: "app"}, {Name: "other"}}
	c.policy.Routes = []policy.Route{
		route("/drafts/**", user), route("/admin/**", admin), route("/open/**", anyone),
		route("/archive/**", user, "GET", "COPY", "MOVE"), route("/inbox/**", user, "PUT"),
		{Path: "/shelf/**", Upstream: "app", Allow: []policy.Rule{{Role: "admin"}, {Authenticated: true, Methods: []string{"GET", "COPY"}}}},
		{Path: "/elsewhere/**", Upstream: "other", Allow: anyone},
		{Path: "/watched/**", Upstream: "app", Allow: admin, Mode: "observe"},
		{Path: "/drafts/only/**", Host: "other.test", Upstream: "app", Allow: anyone},
	}
	c.gateway.Hosts = []string{"gw.test", "other.test"}
	c.options = nil
}

// TestNobodyMovesWhatTheyMayNotWrite: where COPY and MOVE write is decided as
// well as where they read.
func TestNobodyMovesWhatTheyMayNotWrite(t *testing.T) {
	s := newStack(t, withFiles)
	alice, root := bearer(s.token("alice")), bearer(s.token("root"))
	for _, test := range []struct {
		name, who, method, from, to string
		code                        string // empty: the application is asked
	}{
		{"within what one may write", alice, "MOVE", "/drafts/a", "http://gw.test/drafts/b", ""},
		{"a path", alice, "COPY", "/drafts/a", "/drafts/b", ""},
		{"the scheme that a proxy took off", alice, "MOVE", "/drafts/a", "https://gw.test/drafts/b", ""},
		{"the host in capitals, with its port", alice, "MOVE", "/drafts/a", "http://GW.test:80/drafts/b", ""},
		{"encoded", alice, "MOVE", "/drafts/a", "http://gw.test/drafts/b%20c", ""},
		{"by an administrator", root, "MOVE", "/admin/a", "http://gw.test/admin/b", ""},
		{"from where one may watch", root, "MOVE", "/watched/a", "/admin/b", ""},

		{"into a closed folder", alice, "MOVE", "/drafts/a", "http://gw.test/admin/b", problem.Forbidden},
		{"into it by a path", alice, "COPY", "/drafts/a", "/admin/b", problem.Forbidden},
		{"into it in other letters", alice, "COPY", "/drafts/a", "/ADMIN/b", problem.Forbidden},
		{"into it, encoded", alice, "COPY", "/drafts/a", "/%61dmin/b", problem.Forbidden},
		{"where PUT is not allowed to all", alice, "COPY", "/drafts/a", "/shelf/b", problem.Forbidden},
		{"where PUT is no method", alice, "MOVE", "/drafts/a", "/archive/b", problem.Forbidden},
		{"where the method is none", alice, "MOVE", "/drafts/a", "/inbox/b", problem.Forbidden},
		{"where there is no route", alice, "MOVE", "/drafts/a", "/nowhere/b", problem.Forbidden},
		{"to another application", alice, "MOVE", "/drafts/a", "/elsewhere/b", problem.Forbidden},
		{"from a watched folder into a closed one", alice, "MOVE", "/watched/a", "/admin/b", problem.Forbidden},
		{"nobody, from an open folder", "X-A: b", "MOVE", "/open/a", "/drafts/b", problem.TokenMissing},

		{"up and over", alice, "MOVE", "/drafts/a", "/drafts/../admin/b", problem.BadPath},
		{"up and over, encoded", alice, "MOVE", "/drafts/a", "/drafts/%2e%2e/admin/b", problem.BadPath},
		{"with an encoded slash", alice, "MOVE", "/drafts/a", "/drafts%2Fb", problem.Forbidden},
		{"on another of our hosts", alice, "MOVE", "/drafts/a", "http://other.test/drafts/only/b", problem.BadRequest},
		{"on a host that is not ours", alice, "MOVE", "/drafts/a", "http://evil.test/drafts/b", problem.BadRequest},
		{"with a user", alice, "MOVE", "/drafts/a", "http://gw.test@evil.test/drafts/b", problem.BadRequest},
		{"without a scheme", alice, "MOVE", "/drafts/a", "//evil.test/drafts/b", problem.BadRequest},
		{"with another scheme", alice, "MOVE", "/drafts/a", "file:///drafts/b", problem.BadRequest},
		{"with a query", alice, "MOVE", "/drafts/a", "/drafts/b?c", problem.BadRequest},
		{"with a fragment", alice, "MOVE", "/drafts/a", "/drafts/b#/admin/", problem.BadRequest},
		{"two in one line", alice, "MOVE", "/drafts/a", "/drafts/b, /admin/b", problem.BadRequest},
		{"two lines", alice, "MOVE", "/drafts/a", "/drafts/b\r\nDestination: /admin/b", problem.BadRequest},
		{"nothing", alice, "MOVE", "/drafts/a", "", problem.BadRequest},
		{"a relative path", alice, "MOVE", "/drafts/a", "b", problem.BadRequest},
	} {
		r := s.send(test.method, test.from, "", test.who, "Destination: "+test.to)
		if test.code == "" {
			if got := r.saw(t); got.header.Get("Destination") != test.to {
				t.Errorf("%s: the application was told %q", test.name, got.header.Get("Destination"))
			}
			continue
		}
		if r.code() != test.code || r.seen != nil {
			t.Errorf("%s: %d %s, want %s; the application was asked: %v", test.name, r.StatusCode, r.code(), test.code, r.seen != nil)
		}
	}
}

// TestADestinationIsDecidedOnAsTheApplicationReadsIt: it is sent as it came, also
// where the path of the request is cut or rewritten. Both the application that
// heeds X-Forwarded-Prefix and the one that does not must find a place that was
// allowed.
func TestADestinationIsDecidedOnAsTheApplicationReadsIt(t *testing.T) {
	s := newStack(t, withFiles, func(c *setup) {
		user, admin := []policy.Rule{{Role: "user"}}, []policy.Rule{{Role: "admin"}}
		cut, written := RouteOptions{StripPrefix: "/dav"}, RouteOptions{Rewrite: "/elsewhere"}
		c.policy.Routes = nil
		for _, r := range []struct {
			path    string
			allow   []policy.Rule
			options RouteOptions
		}{
			{"/dav/**", user, cut}, {"/dav/staff/**", admin, cut}, {"/dav/dav/closed/**", admin, cut},
			{"/staff/**", user, written}, {"/moved/**", user, written}, {"/plain/**", user, RouteOptions{}},
		} {
			c.policy.Routes = append(c.policy.Routes, policy.Route{Path: r.path, Upstream: "app", Allow: r.allow})
			c.options = append(c.options, r.options)
		}
	})
	alice := bearer(s.token("alice"))
	for _, test := range []struct {
		from, to string
		allowed  bool
	}{
		{"/dav/a", "/dav/b", true},
		{"/plain/a", "/plain/b", true},
		{"/dav/a", "/staff/b", false}, // which is /dav/staff/b to clients
		{"/plain/a", "/staff/b", false},
		{"/dav/a", "/dav/staff/b", false},
		{"/dav/a", "/dav/closed/b", false},
		{"/dav/a", "/plain/b", false},
		{"/plain/a", "/dav/b", false},
		{"/moved/a", "/moved/b", false},
		{"/moved/a", "/plain/b", false},
	} {
		r := s.send("MOVE", test.from, "", alice, "Destination: http://gw.test"+test.to)
		if asked := r.seen != nil; asked != test.allowed || !test.allowed && r.code() != problem.Forbidden {
			t.Errorf("from %s to %s: %d, the application was asked: %v", test.from, test.to, r.StatusCode, asked)
		}
	}
}

// TestADestinationOfOtherMethodsIsTheApplications: it means nothing to WebDAV.
func TestADestinationOfOtherMethodsIsTheApplications(t *testing.T) {
	s := newStack(t, withFiles)
	alice := bearer(s.token("alice"))
	for _, method := range []string{"GET", "PUT", "PROPFIND"} {
		s.send(method, "/drafts/a", "", alice, "Destination: /admin/b").saw(t)
	}
	s.send("MOVE", "/drafts/a", "", alice).saw(t) // the application says what is missing
}

// TestAQuestionAboutAMoveIsAboutBothEnds: the front end hands the header on.
func TestAQuestionAboutAMoveIsAboutBothEnds(t *testing.T) {
	s := newStack(t, withFiles, func(c *setup) { c.gateway.TrustedProxies = []string{"127.0.0.1"} })
	alice := bearer(s.token("alice"))
	for to, status := range map[string]int{"http://gw.test/drafts/b": 200, "http://gw.test/admin/b": 403} {
		r := s.get("/auth/verify", alice, "X-Original-Method: MOVE", "X-Original-URL: http://gw.test/drafts/a", "Destination: "+to)
		if r.StatusCode != status {
			t.Errorf("a question about a move to %s: %d, want %d", to, r.StatusCode, status)
		}
	}
}

// FuzzDestination: what is taken for an address on this site is one to a parser
// of URLs that was written apart, with the very path that is decided on.
func FuzzDestination(f *testing.F) {
	for _, seed := range []string{"/a", "//evil.test/a", "http://gw.test/a", "https://gw.test:443/a%20b", "http://gw.test@evil.test/a", "http://evil.test/gw.test", "http:/a", "http:a", "gw.test/a",
		"http://gw.test\\@evil.test/", "HTTP://GW.TEST/a", "file:///a", "http://gw.test:80:80/a", "///a", "http:///a", "/a#b", "*", "http\u017f://gw.test/a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		x := &exchange{host: "gw.test", scheme: "http"}
		path, ok := x.ownAddress([]string{value})
		if !ok {
			return
		}
		if _, both := x.ownAddress([]string{value, value}); both {
			t.Fatalf("two of %q are taken for one", value)
		}
		if _, err := policy.ParsePath(path); err != nil {
			return // refused next
		}
		u, err := url.Parse(value)
		if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
			t.Fatalf("%q is taken for %q: %+v, %v", value, path, u, err)
		}
		if host := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."); u.Host != "" && host != "gw.test" || u.Host == "" && u.Scheme != "" {
			t.Fatalf("%q leads to %q", value, u.Host)
		}
		if u.Path == "" && path == "/" { // http://gw.test, which RFC 3986 section 6.2.3 says is the same
			return
		}
		if !strings.HasSuffix(value, path) || u.Path != decoded(t, path) {
			t.Fatalf("%q is decided as %q, and read as %q", value, path, u.Path)
		}
	})
}

func decoded(t *testing.T, path string) string {
	t.Helper()
	text, err := url.PathUnescape(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
