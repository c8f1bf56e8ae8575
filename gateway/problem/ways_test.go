package problem

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// page is what a person sees of p, at a site whose login is below /auth.
func page(p Problem, method, target, referer string) string {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "gw.test"
	r.Header.Set("Accept", "text/html")
	if referer != "" {
		r.Header.Set("Referer", referer)
	}
	if p.Prefix == "" {
		p.Prefix = "/auth"
	}
	w := httptest.NewRecorder()
	Write(w, r, p)
	return w.Body.String()
}

// hrefs are the links of a page, unescaped as a browser does.
func hrefs(page string) []string {
	var list []string
	for _, part := range strings.Split(page, ` href="`)[1:] {
		href, _, _ := strings.Cut(part, `"`)
		list = append(list, strings.ReplaceAll(href, "&amp;", "&"))
	}
	return list
}

func TestEveryPageLeadsSomewhere(t *testing.T) {
	alice := Of(Forbidden)
	alice.User = "alice"
	crossed := Of(CrossOrigin)
	crossed.User = "alice"
	for _, test := range []struct {
		name, method, target, referer string
		p                             Problem
		want                          string
	}{
		{"a form without a login", "POST", "/app/save", "http://gw.test/app/form?id=7&x=1", Of(TokenMissing), "/auth/login?rd=%2Fapp%2Fform%3Fid%3D7%26x%3D1"},
		{"a form of an unknown page", "POST", "/app/save", "", Of(TokenExpired), "/auth/login?rd=%2F"},
		{"a form of another site", "POST", "/app/save", "http://evil.test/app/form", Of(TokenRevoked), "/auth/login?rd=%2F"},
		{"a page without a login", "GET", "/app/home?a=b", "http://gw.test/else", Of(TokenInvalid), "/auth/login?rd=%2Fapp%2Fhome%3Fa%3Db"},
		{"an old password", "POST", "/pay", "http://gw.test/cart", Reauthenticate(60e9), "/auth/login?rd=%2Fcart&again=1"},
		{"the wrong account", "GET", "/admin", "", alice, "/auth/logout /"},
		{"nobody, where nobody may be", "GET", "/admin", "", Of(Forbidden), "/"},
		{"another site's form", "POST", "/admin", "", crossed, "/"},
		{"no page", "GET", "/nothing", "", Of(NoRoute), "/"},
		{"no page at the start", "GET", "/", "", Of(NoRoute), ""},
		{"another host's page", "GET", "/app", "", Of(UnknownHost), ""},
		{"no application", "GET", "/app/%61?q=%26", "", Of(UpstreamUnavailable), "/app/%61?q=%26 /"},
		{"no application for a form", "POST", "/app/a", "", Of(UpstreamUnavailable), "/"},
		{"a slow application", "GET", "/app/a", "", Of(UpstreamTimeout), "/app/a /"},
		{"no application at the start", "GET", "/", "", Of(Unavailable), "/"},
		{"a wrong method", "GET", "/auth/me/password", "", Method("POST"), "/"},
	} {
		if got := strings.Join(hrefs(page(test.p, test.method, test.target, test.referer)), " "); got != test.want {
			t.Errorf("%s: leads to %q, want %q", test.name, got, test.want)
		}
	}
}

// A page of the admin listener has no login and no start page to lead to.
func TestWithoutAPrefixNothingIsLinked(t *testing.T) {
	for _, code := range Codes() {
		if _, body := answer(t, Of(code), browser); strings.Contains(body, "href=") {
			t.Errorf("%s links something", code)
		}
	}
}

func TestThePageSpeaksToAPersonAndTheDocumentStays(t *testing.T) {
	for code, want := range map[string]string{
		TokenMissing: "You are not logged in (any more). What you sent was not taken: log in, go back and send it again.", RefreshExpired: "You are not logged in (any more).",
		Forbidden: "This is not open to you.", MethodNotAllowed: "it cannot be opened or sent to in this way",
	} {
		if body := page(Of(code), "POST", "/x", ""); !strings.Contains(body, want) || strings.Contains(body, "token is") || strings.Contains(body, "Allow") {
			t.Errorf("%s:\n%s", code, body)
		}
		p := Of(code)
		p.Prefix, p.User = "/auth", "alice"
		_, plain := answer(t, Of(code), nil)
		if _, body := answer(t, p, nil); body != plain || !strings.Contains(body, Of(code).Detail) {
			t.Errorf("%s: the document is another one: %s", code, body)
		}
	}
	if body := page(Of(TokenMissing), "GET", "/x", ""); strings.Contains(body, "What you sent") {
		t.Error("nothing was sent")
	}
	p := Of(TokenMissing)
	p.Detail = "To end every session, send an access token."
	if body := page(p, "GET", "/x", ""); !strings.Contains(body, p.Detail) {
		t.Error("the words of this very request are lost")
	}
}

func TestA403SaysWhoIsLoggedInAndEscapesTheName(t *testing.T) {
	p := Of(Forbidden)
	p.User = `<b>"alice"`
	body := page(p, "GET", "/x", "")
	if !strings.Contains(body, "You are logged in as <strong>&lt;b&gt;&#34;alice&#34;</strong>.") || strings.Contains(body, "<b>") {
		t.Error(body)
	}
	if body := page(Of(Forbidden), "GET", "/x", ""); strings.Contains(body, "logged in as") {
		t.Error("nobody is logged in")
	}
}

// hostile are texts that one reader takes for a path and another for a site
// (oauth2-proxy's openredirects.txt), or for the end of an attribute.
var hostile = []string{"//evil.test", "/\\evil.test", "///evil.test", "/%09/evil.test", "/%5cevil.test", "javascript:alert(1)", "http:/\\evil.test",
	"http://gw.test//evil.test", "http://gw.test/\\evil.test", "http://gw.test@evil.test/x", "http://evil.test/http://gw.test/", "http:gw.test", "http://gw.test/\"><script>",
	"http://gw.test/'onclick='x", "\x00", "http://gw.test/%zz", "http://gw.test", "?x", "/a?b=//evil.test"}

func TestNoWordOfARequestLeadsToAnotherSite(t *testing.T) {
	for _, text := range hostile {
		leadsHome(t, text)
	}
}

func FuzzWays(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(leadsHome)
}

// leadsHome checks the links of pages whose address, or whose form's page, is
// text: all stay on the site, and nothing of it ends an attribute.
func leadsHome(t *testing.T, text string) {
	site, err := url.Parse("http://gw.test/x")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Problem{Of(TokenMissing), Of(UpstreamUnavailable)} {
		p.Prefix = "/auth"
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := httptest.NewRequest(method, "/", nil)
			r.Host = "gw.test"
			r.Header.Set("Accept", "text/html")
			r.Header["Referer"] = []string{text}
			if u, err := url.Parse(text); err == nil {
				r.URL = u
			}
			w := httptest.NewRecorder()
			Write(w, r, p)
			for _, href := range hrefs(w.Body.String()) {
				to, err := site.Parse(href)
				if err != nil || to.Host != "gw.test" || to.Scheme != "http" || strings.ContainsAny(href, "\\<>'") || strings.HasPrefix(href, "//") {
					t.Errorf("%q %s: leads to %q (%v)", text, method, href, err)
					continue
				}
				if rd := to.Query().Get("rd"); rd != "" && (!strings.HasPrefix(rd, "/") || strings.HasPrefix(rd, "//") || strings.Contains(rd, "\\")) {
					t.Errorf("%q %s: comes back to %q", text, method, rd)
				}
			}
			if strings.Contains(w.Body.String(), "<script") {
				t.Errorf("%q: a script on the page", text)
			}
		}
	}
}
