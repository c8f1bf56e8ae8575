package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/gateway/config"
	"github.com/posternhq/postern/policy"
)

// answering is an application with one page, /about/us, that takes a path for it
// when same says so.
func answering(t *testing.T, same func(r *http.Request) bool) *gateway.Upstream {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !same(r) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, "there is no %s", r.RequestURI)
			return
		}
		fmt.Fprintf(w, "about us <a href=/about/us>here</a> at %s", r.RequestURI)
	}))
	t.Cleanup(app.Close)
	return &gateway.Upstream{Name: "app", URLs: []string{app.URL}}
}

// routed examines an application as the doctor does.
func routed(t *testing.T, u *gateway.Upstream, router string) *doctor {
	t.Helper()
	u.Router = router
	file := &config.File{Config: gateway.Config{PublicURL: "http://gw.test", Upstreams: []gateway.Upstream{*u}}}
	d := &doctor{page: "/about/us"}
	d.checkRouters(t.Context(), file)
	return d
}

func TestTheDoctorTellsRoutersByWhatTheyTakeForOnePage(t *testing.T) {
	const page = "/about/us"
	is := func(text string) bool { return text == page }
	cut := func(text string) string { name, _, _ := strings.Cut(text, ";"); return name }
	for _, test := range []struct {
		fits, words string
		same        func(r *http.Request) bool
	}{
		{"exact", "app reads paths as they are written", func(r *http.Request) bool { return is(r.RequestURI) }},
		{"exact", "with an encoded letter: exact", func(r *http.Request) bool { return is(r.URL.Path) && !strings.Contains(r.RequestURI, "%2F") }},
		{"exact", "with an empty segment (//), with a dot segment (/./)", func(r *http.Request) bool { return is(path.Clean(r.URL.Path)) && !strings.HasSuffix(r.URL.Path, "/") }},
		{"django", "with a final slash", func(r *http.Request) bool { return is(strings.TrimSuffix(r.RequestURI, "/")) }},
		{"tomcat", "with a parameter (;x=1): tomcat", func(r *http.Request) bool { return is(cut(r.RequestURI)) }},
		{"spring", "with a final slash, with a parameter", func(r *http.Request) bool { return is(strings.TrimSuffix(cut(r.RequestURI), "/")) }},
		{"express", "in other capitals, with a final slash", func(r *http.Request) bool { return strings.EqualFold(strings.TrimSuffix(r.RequestURI, "/"), page) }},
		{"express", "in other capitals: express", func(r *http.Request) bool { return strings.EqualFold(r.RequestURI, page) }},
		{"iis", "with a dot behind it, with a space behind it", func(r *http.Request) bool {
			return strings.EqualFold(strings.TrimRight(strings.TrimSuffix(r.URL.Path, "/"), ". "), page)
		}},
		{"any", "in other capitals, with a parameter", func(r *http.Request) bool { return strings.EqualFold(cut(r.RequestURI), page) }},
	} {
		for _, router := range []string{"any", "", test.fits} {
			d := routed(t, answering(t, test.same), router)
			d.said(t, checkGood, "router", test.words)
			d.said(t, checkGood, "router", ": "+test.fits+" fits, and router: ")
			if d.failed() || len(d.report) != 1 {
				t.Errorf("%s before %s: %+v", router, test.fits, d.report)
			}
		}
	}
}

// TestTheDoctorFindsARouterThatIsTooNarrow: the policy would let a stranger to a
// closed page by another spelling.
func TestTheDoctorFindsARouterThatIsTooNarrow(t *testing.T) {
	loose := func(r *http.Request) bool {
		return strings.EqualFold(strings.TrimSuffix(r.URL.Path, "/"), "/about/us")
	}
	for router, words := range map[string]string{
		"exact":  "router: exact is narrower than the application: it answers /about/us for /about/US, in other capitals: set router: express",
		"django": "it answers /about/us for /about/US", "spring": "it answers /about/us for /about/US", "tomcat": "for /about/US",
	} {
		d := routed(t, answering(t, loose), router)
		d.said(t, checkError, "router", words)
	}
	slash := func(r *http.Request) bool { return strings.TrimSuffix(r.URL.Path, "/") == "/about/us" }
	routed(t, answering(t, slash), "tomcat").said(t, checkError, "router", "with a final slash: set router: django")
	// A parameter is refused, or with path_options counted, whatever the profile.
	cut := func(r *http.Request) bool { return strings.HasPrefix(r.RequestURI+";", "/about/us;") }
	routed(t, answering(t, cut), "exact").said(t, checkGood, "router", "tomcat fits, and router: exact covers it")
}

func TestTheDoctorSaysWhenItCannotTellARouter(t *testing.T) {
	n := 0
	for name, same := range map[string]func(r *http.Request) bool{
		"every path is a page": func(*http.Request) bool { return true },
		"no path is":           func(*http.Request) bool { return false },
		"it is there at times": func(*http.Request) bool { n++; return n%2 == 0 },
	} {
		d := routed(t, answering(t, same), "exact")
		d.said(t, checkWarning, "router", "cannot be told, for want of a page to ask for")
		if t.Failed() {
			t.Log(name)
		}
	}
	wall := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/login?next="+r.URL.Path, http.StatusFound)
	}))
	defer wall.Close()
	routed(t, &gateway.Upstream{Name: "app", URLs: []string{wall.URL}}, "exact").said(t, checkWarning, "router", "cannot be told")
	routed(t, &gateway.Upstream{Name: "app", URLs: []string{"http://127.0.0.1:9"}}, "exact").said(t, checkWarning, "router", "cannot be told")

	third := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.RequestURI == "/about/us":
			fmt.Fprint(w, "about us")
		case strings.EqualFold(r.RequestURI, "/about/us"):
			fmt.Fprint(w, "did you mean about us?")
		default:
			http.NotFound(w, r)
		}
	}))
	defer third.Close()
	d := routed(t, &gateway.Upstream{Name: "app", URLs: []string{third.URL}}, "exact")
	d.said(t, checkGood, "router", "exact fits")
	d.said(t, checkWarning, "router", "something else, neither the page nor \"not found\", for /about/us in other capitals")
}

// TestTheDoctorAsksOnlyForPagesThatAnybodyMayRead, as nobody.
func TestTheDoctorAsksOnlyForPagesThatAnybodyMayRead(t *testing.T) {
	anyone := []policy.Rule{{Anyone: true}}
	route := func(path string, change func(*config.Route)) config.Route {
		r := config.Route{Route: policy.Route{Path: path, Upstream: "app", Allow: anyone}}
		if change != nil {
			change(&r)
		}
		return r
	}
	file := &config.File{Config: gateway.Config{Upstreams: []gateway.Upstream{{Name: "app"}, {Name: "other"}}}, Routes: []config.Route{
		route("/open", nil),
		route("/", nil),
		route("/closed", func(r *config.Route) { r.Allow = []policy.Rule{{Authenticated: true}} }),
		route("/either", func(r *config.Route) { r.Allow = []policy.Rule{{Anyone: true}, {Role: "admin"}} }),
		route("/denied", func(r *config.Route) { r.Deny = anyone }),
		route("/change", func(r *config.Route) { r.Methods = []string{"POST"} }),
		route("/read", func(r *config.Route) { r.Methods = []string{"GET", "POST"} }),
		route("/other", func(r *config.Route) { r.Upstream = "other" }),
		route("/nobody's", func(r *config.Route) { r.Upstream = "" }),
		route("/cut", func(r *config.Route) { r.StripPrefix = "/cut" }),
		route("/hosted", func(r *config.Route) { r.Host = "a.test" }),
		route("/items/{id}", nil), route("/all/**", nil), route("/open", nil),
		route("/third", nil), route("/fourth", nil), route("/fifth", nil),
	}}
	d := &doctor{}
	if got := strings.Join(d.pagesOf(file, &file.Upstreams[0]), " "); got != "/open /read /third /fourth" {
		t.Errorf("asks for %s", got)
	}
	file.Upstreams[0].Health.Path = "/healthz"
	if got := d.pagesOf(file, &file.Upstreams[0]); len(got) != maxPages || got[0] != "/healthz" {
		t.Errorf("asks for %s", got)
	}
	d.page = "/about"
	if got := d.pagesOf(file, &file.Upstreams[0]); len(got) != 1 || got[0] != "/about" {
		t.Errorf("asks for %s", got)
	}
	var methods []string
	u := answering(t, func(r *http.Request) bool {
		methods = append(methods, r.Method)
		if r.Host != "gw.test" || r.Header.Get("X-Forwarded-Proto") != "http" || r.Header.Get("Authorization")+r.Header.Get("Cookie")+r.Header.Get("X-Auth-User") != "" {
			t.Errorf("asked for %s at %s with %v", r.RequestURI, r.Host, r.Header)
		}
		return false
	})
	routed(t, u, "")
	if strings.Trim(strings.Join(methods, ""), "GET") != "" {
		t.Errorf("asked with %v", methods)
	}
}

func TestAPageOfTheCommandLineIsAPath(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, page := range []string{"about", "/a?b=c", "/a;b", "/a/../b", "http://a.test/b", "/a#b"} {
		if status, _, stderr := command(t, "", "doctor", "--page", page); status != exitUsage || !strings.Contains(stderr, "write /about") {
			t.Errorf("%s: %d %s", page, status, stderr)
		}
	}
}

func TestSpellingsOfAPage(t *testing.T) {
	for path, want := range map[string]int{"/about": 10, "/a/b": 11, "/closed/": 4, "/%C3%A9": 10} {
		seen := map[string]bool{}
		for _, s := range spellings(path) {
			if seen[s.path] || s.how == "" || s.by == 0 || !strings.HasPrefix(s.path, "/") {
				t.Errorf("%s: %+v", path, s)
			}
			seen[s.path] = true
		}
		if len(seen) != want {
			t.Errorf("%s: %d spellings, want %d: %v", path, len(seen), want, seen)
		}
	}
	if got := swapCase("aBc%c3%A9d"); got != "AbC%c3%A9D" {
		t.Error(got)
	}
}
