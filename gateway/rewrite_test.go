package gateway

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/policy"
)

func TestRewritePutsAPathInThePlaceOfTheLiteralPart(t *testing.T) {
	for _, test := range []struct {
		route, strip, rewrite string
		target, want          string // want empty: refused, and the application not asked
	}{
		{"/api/**", "", "/v2/", "/api/x?q=1", "/v2/x?q=1"},
		{"/api/**", "", "/v2", "/api/x/", "/v2/x/"},
		{"/api/**", "", "/v2/", "/api", "/v2/"},
		{"/api/**", "", "/v2/", "/api/", "/v2/"},
		{"/api/**", "", "/", "/api/x%20y", "/x%20y"},
		{"/café/**", "", "/v2/", "/caf%C3%A9/x", "/v2/x"}, // the segment that matched, in whatever spelling
		{"/api/**", "", "/v2/", "/%61pi/x", ""},
		{"/api/users/{id}", "", "/people/", "/api/users/7", "/people/7"},
		{"/api/{kind}/list", "", "/v2", "/api/dogs/list", "/v2/dogs/list"},
		{"/old/page", "", "/new/page.php", "/old/page", "/new/page.php"},
		{"/**", "", "/base", "/x/y", "/base/x/y"},
		{"/**", "", "/base", "/", "/base/"},
		{"/api/v1/**", "/api", "/svc", "/api/v1/x", "/svc/v1/x"},
		{"/api/v1/**", "/api", "/svc/", "/api/v1", "/svc/v1"},
		{"/api/**", "/other", "/v2/", "/api/x", ""},
		{"/api/**", "", "/v2/", "/api/../admin", ""},
		{"/api/**", "", "/v2/", "/api/%2e%2e/admin", ""},
	} {
		t.Run(test.route+" to "+test.rewrite+" for "+test.target, func(t *testing.T) {
			s := newStack(t, func(c *setup) {
				c.policy.Routes = []policy.Route{{Path: test.route, Allow: []policy.Rule{{Anyone: true}}}}
				c.options = []RouteOptions{{StripPrefix: test.strip, Rewrite: test.rewrite}}
			})
			r := s.get(test.target)
			if test.want == "" {
				r.notAsked(t)
				return
			}
			if got := r.saw(t).target; got != test.want {
				t.Errorf("arrived as %s, want %s", got, test.want)
			}
			path, _, _ := strings.Cut(test.target, "?")
			if entry := s.log.entries(t, "request", 1)[0]; entry["path"] != path || entry["route"] != test.route {
				t.Errorf("logged %v on %v", entry["path"], entry["route"])
			}
		})
	}
}

// TestRewriteNeverChangesWhatWasDecided: a route that rewrites onto another
// one's path keeps its own rules, and a path that is refused stays refused.
func TestRewriteNeverChangesWhatWasDecided(t *testing.T) {
	s := newStack(t, func(c *setup) {
		c.options = make([]RouteOptions, 5)
		c.options[0].Rewrite = "/admin/" // /public/**, for anyone
		c.options[2].Rewrite = "/public" // /admin/**, for the role admin
		c.policy.Routes[0].PathOptions = []string{"empty_segment"}
	})
	alice := bearer(s.token("alice"))
	if r := s.get("/public/x"); r.saw(t).target != "/admin/x" || r.seen.header.Get("X-Auth-User") != "" {
		t.Errorf("arrived as %s for %q", r.seen.target, r.seen.header.Get("X-Auth-User"))
	}
	for _, target := range []string{"/admin", "/admin/", "/admin/x", "/admin/public/x"} {
		r := s.get(target)
		r.wants(t, 401, "token_missing")
		r.notAsked(t)
		r = s.get(target, alice)
		r.wants(t, 403, "forbidden")
		r.notAsked(t)
	}
	if r := s.get("/admin/x", bearer(s.token("root"))); r.saw(t).target != "/public/x" || r.seen.header.Get("X-Auth-User") != "root" {
		t.Errorf("arrived as %s for %q", r.seen.target, r.seen.header.Get("X-Auth-User"))
	}
	for _, target := range []string{"//public/x", "/public//evil.test/x"} {
		if r := s.get(target); r.seen != nil && !strings.HasPrefix(r.seen.target, "/admin/") {
			t.Errorf("%s arrived as %s", target, r.seen.target)
		}
	}
}

func FuzzRewrittenPathStaysBelowItsPrefix(f *testing.F) {
	for _, seed := range [][3]string{
		{"/api/**", "/v2/", "/api/x"}, {"/**", "/", "//x"}, {"/a/{b}", "/v2", "/a/%2e"}, {"/a/**", "/", "/a//evil.test"}, {"/a/b", "/c;d", "/a/b;c"}, {"/a", "/b", "/a#"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, label, rewrite, raw string) {
		o := RouteOptions{Rewrite: rewrite}
		var faults faults
		o.validate(&faults, "routes[0]")
		path, err := policy.ParsePath(raw)
		if len(faults) > 0 || err != nil || rewrite == "" {
			return
		}
		x := &exchange{path: path, rt: &route{options: o, literals: literalSegments(label)}}
		sent, ok := x.upstreamPath()
		if !ok {
			return
		}
		base := strings.TrimSuffix(rewrite, "/")
		rest, below := strings.CutPrefix(sent, base)
		if !below || rest != "" && rest[0] != '/' || strings.HasPrefix(sent, "//") {
			t.Fatalf("%q under %q with %q is sent as %q", raw, label, rewrite, sent)
		}
		if sent != rewrite && !strings.HasSuffix(raw, rest) {
			t.Fatalf("%q under %q with %q is sent as %q: the rest was changed", raw, label, rewrite, sent)
		}
	})
}
