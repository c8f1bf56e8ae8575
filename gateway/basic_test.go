package gateway

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

func withBasic(c *setup) { c.web.TokenSources = []string{"bearer", "cookie", "basic"} }

// basic is the line of a client that was given a name and a token.
func basic(name, token string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+token))
}

func TestBasicIsOneSchemeOneSpaceANameAndAToken(t *testing.T) {
	encode := func(pair string) string { return base64.StdEncoding.EncodeToString([]byte(pair)) }
	for _, test := range []struct {
		value       string
		ours        bool // the scheme is Basic
		name, token string
	}{
		{"Basic " + encode("alice:t.o.k"), true, "alice", "t.o.k"},
		{"basic " + encode("alice:t.o.k"), true, "alice", "t.o.k"},
		{"BASIC " + encode("Ülo@example.com:t:k"), true, "Ülo@example.com", "t:k"},
		{"Basic", true, "", ""},
		{"Basic ", true, "", ""},
		{"Basic  " + encode("alice:t"), true, "", ""},
		{"Basic " + encode("alice:t") + " ", true, "", ""},
		{"Basic " + encode("alice:t") + "\r\n", true, "", ""},
		{"Basic " + encode("alice:t") + ", Bearer x", true, "", ""},
		{"Basic " + encode("alice"), true, "", ""},
		{"Basic " + encode("alice:"), true, "", ""},
		{"Basic " + encode(":t"), true, "", ""},
		{"Basic " + strings.TrimRight(encode("alice:tt"), "="), true, "", ""},
		{"Basic !", true, "", ""},
		{"Basic\t" + encode("alice:t"), false, "", ""},
		{"Basically " + encode("alice:t"), false, "", ""},
		{"Bearer " + encode("alice:t"), false, "", ""},
		{"ba\u017fic " + encode("alice:t"), false, "", ""},
		{"", false, "", ""},
	} {
		p, ok := parseBasic(test.value)
		bad := test.ours && test.token == ""
		if ok != test.ours || p.User != test.name || p.Token != test.token || errors.Is(p.Err, auth.ErrTokenMalformed) != bad {
			t.Errorf("%q: %v %q %q %v", test.value, ok, p.User, p.Token, p.Err)
		}
		if ok && p.Kind != auth.BasicCredential {
			t.Errorf("%q is of kind %v", test.value, p.Kind)
		}
	}
}

// TestOneRequestsPrincipalIsUntouchedByAnothers: a token's principal is shared by
// all requests that bring it. One that brings alice's token under another name is
// nobody's, and so must nobody's be all others.
func TestOneRequestsPrincipalIsUntouchedByAnothers(t *testing.T) {
	s := newStack(t, withBasic)
	alice, root := s.token("alice"), s.token("root")
	for range 3 {
		for user, token := range map[string]string{"alice": alice, "root": root} {
			for _, line := range []string{bearer(token), basic(user, token)} {
				if got := s.get("/app/x", line).saw(t).header["X-Auth-User"]; len(got) != 1 || got[0] != user {
					t.Errorf("%s is told as %q", user, got)
				}
			}
		}
		s.get("/app/x", basic("root", alice)).wants(t, 401, "token_invalid")
		s.get("/app/x", "Authorization: Bearer "+alice, "Cookie: postern="+root).wants(t, 400, "bad_request")
		s.get("/app/x").wants(t, 401, "token_missing")
		if got := s.get("/public/x").saw(t).header["X-Auth-User"]; got != nil {
			t.Errorf("nobody is told as %q", got)
		}
	}
}

func FuzzBasicIsWhatEveryReaderMakesOfIt(f *testing.F) {
	for _, seed := range []string{"Basic YWxpY2U6dA==", "basic YTpi", "Basic YTpi ", "Basic", "Bearer x", "Basic YTpiOmM=", "ba\u017fic YTpi"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p, ok := parseBasic(value)
		if !ok || p.Err != nil {
			if p.Token != "" || p.User != "" {
				t.Fatalf("%q: %q %q of what is none", value, p.User, p.Token)
			}
			return
		}
		r := http.Request{Header: http.Header{"Authorization": {value}}}
		if name, token, read := r.BasicAuth(); !read || name != p.User || token != p.Token {
			t.Fatalf("%q: %q %q, and net/http reads %q %q", value, p.User, p.Token, name, token)
		}
	})
}

// TestATokenIsAPasswordForWhomItBelongsTo, and for nobody else; neither is it
// without its source.
func TestATokenIsAPasswordForWhomItBelongsTo(t *testing.T) {
	s, without := newStack(t, withBasic), newStack(t)
	grant := s.login("alice")
	token, root := grant.AccessToken, s.token("root")
	for _, test := range []struct {
		name  string
		lines []string
		code  string // empty: the application is told alice
	}{
		{"her name", []string{basic("alice", token)}, ""},
		{"in other letters", []string{basic("ALICE", token)}, ""},
		{"her address", []string{basic("alice@gw.test", token)}, ""},
		{"her id", []string{basic(grant.Account.ID, token)}, ""},
		{"a bearer all the same", []string{bearer(token)}, ""},
		{"beside the cookie of the session", []string{basic("alice", token), cookie(token)}, ""},
		{"another's name", []string{basic("root", token)}, problem.TokenInvalid},
		{"another's token", []string{basic("alice", root)}, problem.TokenInvalid},
		{"her password", []string{basic("alice", testPassword)}, problem.TokenMalformed},
		{"her refresh token", []string{basic("alice", grant.RefreshToken)}, problem.TokenMalformed},
		{"a changed token", []string{basic("alice", token[:len(token)-6]+"AAAAAA")}, problem.TokenInvalid},
		{"twice", []string{basic("alice", token), basic("alice", token)}, problem.BadRequest},
		{"with a bearer", []string{basic("alice", token), bearer(token)}, problem.BadRequest},
		{"beside another's cookie", []string{basic("alice", token), cookie(root)}, problem.BadRequest},
	} {
		r := s.get("/app/home", test.lines...)
		if test.code != "" {
			if r.code() != test.code {
				t.Errorf("%s: %d %s, want %s", test.name, r.StatusCode, r.code(), test.code)
			}
			r.notAsked(t)
			continue
		}
		seen := r.saw(t)
		if got := values(seen.header, "X-Auth-User"); !slices.Equal(got, []string{"alice"}) {
			t.Errorf("%s: the application was told %q", test.name, got)
		}
		if seen.header["Authorization"] != nil {
			t.Errorf("%s: the token reached the application", test.name)
		}
	}
	without.get("/app/home", basic("alice", without.token("alice"))).wants(t, 401, problem.TokenMissing)
	must(t, s.service.Logout(t.Context(), grant.Session, clientForTest()))
	s.get("/app/home", basic("alice", token)).wants(t, 401, problem.TokenRevoked)
	if strings.Contains(s.log.String(), token) {
		t.Error("the token is in the log")
	}
}

// TestAnExpiredPasswordIsNotRefreshed: a client of Basic could not follow.
func TestAnExpiredPasswordIsNotRefreshed(t *testing.T) {
	s := newStack(t, withBasic)
	token := s.token("alice")
	s.later(time.Hour)
	s.get("/app/home", basic("alice", token), "Sec-Fetch-Site: none").wants(t, 401, problem.TokenExpired)
	s.get("/app/home", basic("root", token)).wants(t, 401, problem.TokenInvalid)
	s.get("/public/x", basic("alice", token)).wants(t, 200, "")
}

// TestAClientsOwnBasicDoesNotKeepItFromATokenEndpoint: RFC 6749 section 2.3.1 has
// clients name themselves so, and they are not asked for their name here.
func TestAClientsOwnBasicDoesNotKeepItFromATokenEndpoint(t *testing.T) {
	s := newStack(t, withBasic)
	form := "grant_type=password&username=alice&password=" + testPassword
	r := s.send("POST", "/auth/token", form, basic("client", "secret"), "Content-Type: application/x-www-form-urlencoded")
	r.wants(t, 200, "")
	s.get("/auth/me", basic("client", "secret")).wants(t, 401, problem.TokenMalformed)
	s.get("/auth/me", basic("alice", s.token("alice"))).wants(t, 200, "")
}

// TestBasicIsOfferedToProgramsAndNotToPages: a browser that meets the challenge
// opens a box of its own.
func TestBasicIsOfferedToProgramsAndNotToPages(t *testing.T) {
	s, without := newStack(t, withBasic), newStack(t)
	passing := newStack(t, withBasic, func(c *setup) { c.gateway.Upstreams[0].Authorization = "pass" })
	offers := func(s *stack, path string, lines ...string) bool {
		all := s.get(path, lines...).Header.Values("Www-Authenticate")
		if len(all) > 0 && !strings.HasPrefix(all[0], "Bearer ") {
			t.Errorf("%v: the first challenge is %q", lines, all[0])
		}
		return len(all) == 2 && strings.HasPrefix(all[1], "Basic realm=")
	}
	for _, lines := range [][]string{nil, {"Sec-Fetch-Site: none"}, {"Sec-Fetch-Site: none", "Sec-Fetch-Mode: cors"}, {basic("alice", "x")}} {
		if !offers(s, "/app/home", lines...) {
			t.Errorf("a program that sends %q is not told of Basic", lines)
		}
	}
	for _, line := range []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: none\r\nSec-Fetch-Site: none", "Origin: http://gw.test", "Referer: http://gw.test/",
		"X-Requested-With: XMLHttpRequest", "Accept: text/html", "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate"} {
		if offers(s, "/app/home", line) {
			t.Errorf("the page that sends %q gets the browser's box", line)
		}
	}
	if offers(without, "/app/home") {
		t.Error("Basic is offered, and is no source")
	}
	if offers(passing, "/app/home") {
		t.Error("Basic is offered where Authorization belongs to the application")
	}
}

// TestBasicIsNoWayAroundTheOrigin: what a person typed into a browser's box goes
// along with every request, whichever site's page makes it.
func TestBasicIsNoWayAroundTheOrigin(t *testing.T) {
	s := newStack(t, withBasic)
	line := basic("alice", s.token("alice"))
	for _, page := range []string{"Origin: http://evil.test", "Sec-Fetch-Site: cross-site"} {
		r := s.send("POST", "/app/transfer", "x", line, page)
		r.wants(t, 403, problem.CrossOrigin)
		r.notAsked(t)
		s.get("/app/chat", line, page, "Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Origin: http://evil.test").notAsked(t)
	}
	s.send("POST", "/app/transfer", "x", line).saw(t)
}
