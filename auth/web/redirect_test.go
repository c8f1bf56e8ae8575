package web

import (
	"net/url"
	"strings"
	"testing"
)

func TestRdIsAPathOfThisSiteOrTheRoot(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct{ rd, want string }{
		{"/", "/"}, {"/app", "/app"}, {"/app/", "/app/"}, {"/a%2Fb?x=%20&y=/z#frag", "/a%2Fb?x=%20&y=/z#frag"},
		{"/a?next=https://evil.test", "/a?next=https://evil.test"}, {"/a//b", "/a//b"}, {"/a:b@c", "/a:b@c"},
		{"/ä b", "/%C3%A4%20b"}, {"/a\\b", "/a%5Cb"}, {"/\"><svg>", "/%22%3E%3Csvg%3E"},
		{"", "/"}, {"app", "/"}, {"?x", "/"}, {"#x", "/"}, {".", "/"}, {"\\evil.test", "/"}, {"/%zz", "/"},
		{"/app\x00", "/"}, {"/app\x7f", "/"}, {" /app", "/"}, {"javascript:alert(1)", "/"}, {"///evil.test", "/"},
		{"/\\\\evil.test", "/"}, {"http://gw.test/app", "/"}, // without cookie.domain no absolute URL
		{"/authx/login", "/authx/login"}, {"/auth/me", "/auth/me"},
	} {
		if got := s.handler.rd.target(test.rd); got != test.want {
			t.Errorf("%q leads to %q, want %q", test.rd, got, test.want)
		}
	}
}

func TestARdThatWouldAskForTheLoginAgainIsTheRoot(t *testing.T) {
	s := newSite(t)
	for _, rd := range []string{"/auth/login", "/auth/login?rd=/x", "/auth/logout", "/auth/refresh?rd=/", "/auth/%6cogin", "/%61uth/login#x"} {
		if got := s.handler.rd.target(rd); got != "/" {
			t.Errorf("%q leads to %q", rd, got)
		}
	}
}

// The corpus's LG-25 to LG-55, as raw query strings.
func TestLGOpenRedirects(t *testing.T) {
	s := newSite(t)
	for id, query := range map[string]string{
		"LG-25": "https://evil.test/", "LG-26": "//evil.test", "LG-28": "/%5cevil.test", "LG-30": "/%09/evil.test",
		"LG-31": "/%0a/evil.test", "LG-32": "/%0d/evil.test", "LG-34": "/%20/evil.test", "LG-37": "https:evil.test",
		"LG-39": "https:///evil.test", "LG-42": "http://gw.test:80%40evil.test/", "LG-46": "java%0dscript:alert(1)",
		"LG-47": "data:text/html,x", "LG-48": "/app/home%0d%0aSet-Cookie:%20x=y", "LG-49": "%E3%80%B1evil.test",
		"LG-51": "http://[::ffff:216.58.214.206]/", "LG-52": "/auth/login?rd=//evil.test",
		"LG-53": "http://gw.test%23@evil.test/", "LG-54": "//gw.test:8080@evil.test", "LG-55": "http://xn--evil-.test/",
	} {
		t.Run(id, func(t *testing.T) {
			a := s.ask("POST", "/auth/login?rd="+query, asForm("username", "alice", "password", alicePassword)).want(t, 303, "")
			want := "/"
			if id == "LG-34" {
				want = "/%20/evil.test" // a path of this site, a space in it
			}
			if got := a.Header.Get("Location"); got != want {
				t.Errorf("leads to %q, want %q", got, want)
			}
		})
	}
}

func TestWithACookieDomainRdMayLeadToTheOtherHosts(t *testing.T) {
	s := newSite(t, func(s *setup) {
		s.public, s.web.Cookie.Domain = "https://gw.example.com", "example.com"
		s.hosts = []string{"App.example.com", "other.example.com:8443"}
	})
	for _, test := range []struct{ rd, want string }{
		{"https://app.example.com", "https://app.example.com"},
		{"https://app.example.com/x?y=1", "https://app.example.com/x?y=1"},
		{"https://APP.example.com/x", "https://APP.example.com/x"},
		{"https://gw.example.com/x", "https://gw.example.com/x"},
		{"https://other.example.com:8443/", "https://other.example.com:8443/"},
		{"/x", "/x"},
		{"https://other.example.com/", "/"}, {"https://app.example.com:444/", "/"},
		{"http://app.example.com/", "/"}, {"//app.example.com/", "/"}, {"https:/app.example.com/", "/"},
		{"https://evil.example.com/", "/"}, {"https://app.example.com.evil.test/", "/"},
		{"https://app.example.com@evil.test/", "/"}, {"https://evil.test@app.example.com/", "/"},
		{"https://app.example.com\\@evil.test/", "/"}, {"https://app.example.com%2eevil.test/", "/"},
		{"https://evil.test#app.example.com", "/"}, {"HTTPS://app.example.com/", "/"},
		{"https://gw.example.com/auth/login", "/"},
	} {
		if got := s.handler.rd.target(test.rd); got != test.want {
			t.Errorf("%q leads to %q, want %q", test.rd, got, test.want)
		}
	}
}

func TestTheFormMayLeadToTheOtherHosts(t *testing.T) {
	s := newSite(t, func(s *setup) {
		s.public, s.web.Cookie.Domain = "https://gw.example.com:8443", "example.com"
		s.hosts = []string{"app.example.com"}
	})
	csp := s.ask("GET", "/auth/login").want(t, 200, "").Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "form-action 'self' https://gw.example.com:8443 https://app.example.com:8443;") {
		t.Error(csp)
	}
}

func FuzzRd(f *testing.F) {
	for _, seed := range []string{"/", "//evil.test", "/\\evil.test", "/\t/evil.test", "https://app.example.com/x", "https:evil.test",
		"/auth/login?rd=//x", "/%2f/evil", "https://app.example.com@evil.test", "/é#", "/a b\"<", "https://app.example.com:443/", "/[::1]/"} {
		f.Add(seed)
	}
	public := &url.URL{Scheme: "https", Host: "gw.example.com"}
	alone := newReturner(DefaultConfig(), public, []string{"app.example.com"})
	shared := DefaultConfig()
	shared.Cookie.Domain = "example.com"
	together := newReturner(shared, public, []string{"app.example.com"})
	f.Fuzz(func(t *testing.T, rd string) {
		for _, got := range []string{alone.target(rd), together.target(rd)} {
			for i := range len(got) {
				if got[i] <= ' ' || got[i] >= 0x7f || got[i] == '\\' {
					t.Fatalf("%q leads to %q, with %q", rd, got, got[i])
				}
			}
			u, err := public.Parse(got)
			if err != nil {
				t.Fatalf("%q leads to %q: %v", rd, got, err)
			}
			host := strings.ToLower(u.Host)
			if u.Scheme != "https" || (host != "gw.example.com" && host != "app.example.com") || u.User != nil {
				t.Fatalf("%q leads to %s", rd, u)
			}
		}
		if got := alone.target(rd); got[0] != '/' || strings.HasPrefix(got, "//") {
			t.Fatalf("%q leads to %q", rd, got)
		}
		if got := alone.target(rd); alone.target(got) != got {
			t.Fatalf("%q leads to %q, and that to %q", rd, got, alone.target(got))
		}
	})
}
