package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestCookieNamesFollowTheSchemeAndTheDomain(t *testing.T) {
	for _, test := range []struct{ public, domain, access, refresh, retry string }{
		{"http://localhost:8080", "", "postern", "postern_refresh", "postern_retry"},
		{"http://gw.example.com", "example.com", "postern", "postern_refresh", "postern_retry"},
		{"https://gw.example.com", "", "__Host-postern", "__Secure-postern_refresh", "__Host-postern_retry"},
		{"https://gw.example.com", "example.com", "__Secure-postern", "__Secure-postern_refresh", "__Host-postern_retry"},
	} {
		public, err := url.Parse(test.public)
		if err != nil {
			t.Fatal(err)
		}
		c := DefaultConfig()
		c.Cookie.Domain = test.domain
		access, refresh := CookieNames(c, public)
		if retry := RetryCookieName(c, public); access != test.access || refresh != test.refresh || retry != test.retry {
			t.Errorf("%s %s: %s, %s, %s", test.public, test.domain, access, refresh, retry)
		}
	}
}

// LG-60
func TestLG60CookieAttributes(t *testing.T) {
	week := int((7 * 24 * time.Hour).Seconds())
	for _, test := range []struct {
		name            string
		change          func(*setup)
		access, refresh http.Cookie
		maxAge          int
	}{
		{"https", https,
			http.Cookie{Name: "__Host-postern", Path: "/", Secure: true, SameSite: http.SameSiteLaxMode},
			http.Cookie{Name: "__Secure-postern_refresh", Path: "/auth/refresh", Secure: true, SameSite: http.SameSiteLaxMode}, week},
		{"http", func(*setup) {},
			http.Cookie{Name: "postern", Path: "/", SameSite: http.SameSiteLaxMode},
			http.Cookie{Name: "postern_refresh", Path: "/auth/refresh", SameSite: http.SameSiteLaxMode}, week},
		{"a domain, another prefix, strict", func(s *setup) {
			s.public, s.web.Cookie.Domain, s.web.Prefix, s.web.Cookie.SameSite = "https://gw.example.com", "example.com", "/_gate/a", "strict"
		},
			http.Cookie{Name: "__Secure-postern", Path: "/", Domain: "example.com", Secure: true, SameSite: http.SameSiteStrictMode},
			http.Cookie{Name: "__Secure-postern_refresh", Path: "/_gate/a/refresh", Domain: "example.com", Secure: true, SameSite: http.SameSiteStrictMode}, week},
		{"not persistent", func(s *setup) { s.web.Cookie.Persistent = false },
			http.Cookie{Name: "postern", Path: "/", SameSite: http.SameSiteLaxMode},
			http.Cookie{Name: "postern_refresh", Path: "/auth/refresh", SameSite: http.SameSiteLaxMode}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, test.change)
			a := s.ask("POST", s.handler.config.Prefix+"/login", asForm("username", "alice", "password", alicePassword)).want(t, 303, "")
			for _, want := range []http.Cookie{test.access, test.refresh} {
				got := a.cookie(t, want.Name)
				if got == nil {
					t.Fatalf("no %s in %v", want.Name, a.Header["Set-Cookie"])
				}
				if !got.HttpOnly || got.Path != want.Path || got.Domain != want.Domain || got.Secure != want.Secure || got.SameSite != want.SameSite {
					t.Errorf("%s", got.Raw)
				}
				if got.MaxAge > test.maxAge || got.MaxAge < test.maxAge-5 || !got.Expires.IsZero() {
					t.Errorf("%s: Max-Age %d, want %d", want.Name, got.MaxAge, test.maxAge)
				}
			}
		})
	}
}

// An expired access token in a cookie is how a returning browser is known.
func TestTheAccessCookieOutlivesItsToken(t *testing.T) {
	s := newSite(t)
	a := s.ask("POST", "/auth/login", asForm("username", "alice", "password", alicePassword))
	if access, refresh := a.cookie(t, "postern"), a.cookie(t, "postern_refresh"); access.MaxAge != refresh.MaxAge || access.MaxAge < 1000 {
		t.Errorf("%d and %d", access.MaxAge, refresh.MaxAge)
	}
}

func TestAClaimedSessionIsReadFromATokenOnly(t *testing.T) {
	s := newSite(t)
	p := s.alice()
	sid, ok := s.service.RefreshSession(p.refresh)
	if !ok || claimedSession(p.access) != sid || sid == "" {
		t.Errorf("claimed %q, refresh token has %q", claimedSession(p.access), sid)
	}
	for _, garbage := range []string{"", "x", "a.b", "a.b.c", "a.bm90IGpzb24.c", "a.e30.c", "a.eyJzaWQiOjF9.c", p.refresh, "a.b.c.d"} {
		if claimed := claimedSession(garbage); claimed != "" {
			t.Errorf("%q claims %q", garbage, claimed)
		}
	}
}

func TestTheClientsAddressIsReadFromTheRequest(t *testing.T) {
	for remote, want := range map[string]netip.Addr{
		"192.0.2.7:0":        netip.MustParseAddr("192.0.2.7"),
		"[2001:db8::7]:443":  netip.MustParseAddr("2001:db8::7"),
		"[::ffff:1.2.3.4]:0": netip.MustParseAddr("1.2.3.4"),
		"@":                  {}, "": {},
	} {
		if got := addressOf(remote); got != want {
			t.Errorf("%q is %v", remote, got)
		}
	}
}

func FuzzClaimedSession(f *testing.F) {
	f.Add("a.eyJzaWQiOiJ4In0.c")
	f.Add("a.eyJzaWQiOiJ4Iiwic2lkIjoieSJ9.c")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if claimedSession(token) != "" && strings.Count(token, ".") != 2 {
			t.Errorf("%q claims a session", token)
		}
	})
}

func TestACookieOfAFreshTokenLivesForItsWholeLife(t *testing.T) {
	jar := cookieJar{config: Cookie{Persistent: true}}
	for _, test := range []struct {
		life time.Duration
		want int
	}{{7*24*time.Hour - time.Millisecond, 604800}, {7 * 24 * time.Hour, 604800}, {1500 * time.Millisecond, 2}, {time.Nanosecond, 1}, {0, 1}, {-time.Hour, 1}} {
		if got := jar.life(test.life); got != test.want {
			t.Errorf("%v: Max-Age %d, want %d", test.life, got, test.want)
		}
	}
	if got := (cookieJar{}).life(time.Hour); got != 0 {
		t.Errorf("a cookie that ends with the browser: Max-Age %d", got)
	}
}
