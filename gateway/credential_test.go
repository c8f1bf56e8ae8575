package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

func TestABearerIsOneSchemeOneSpaceOneToken(t *testing.T) {
	for _, test := range []struct {
		value string
		ours  bool // the scheme is Bearer
		token string
		bad   bool
	}{
		{"Bearer abc", true, "abc", false},
		{"bearer abc", true, "abc", false},
		{"BEARER abc", true, "abc", false},
		{"Bearer a.b-c_d~e+f/g==", true, "a.b-c_d~e+f/g==", false},
		{"Bearer", true, "", true},
		{"Bearer ", true, "", true},
		{"Bearer  abc", true, "", true},
		{"Bearer\tabc", true, "", true},
		{"Bearer abc def", true, "", true},
		{"Bearer abc\tdef", true, "", true},
		{"Bearer abc,def", true, "", true},
		{"Bearer,abc", true, "", true},
		{"Bearerabc", false, "", false},
		{"Bearer: abc", false, "", false},
		{"Basic YTpi", false, "", false},
		{"Token abc", false, "", false},
		{"Bear", false, "", false},
		{"", false, "", false},
	} {
		p, ok := parseBearer(test.value)
		if ok != test.ours || p.Token != test.token || errors.Is(p.Err, auth.ErrTokenMalformed) != test.bad {
			t.Errorf("%q: %v %q %v", test.value, ok, p.Token, p.Err)
		}
		if ok && p.Kind != auth.BearerCredential {
			t.Errorf("%q is of kind %v", test.value, p.Kind)
		}
	}
}

func FuzzBearerIsNeverTwoTokens(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "Bearer  a", "bearer\ta", "Bearer a,b", "Bearer a b", "Basic x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p, ok := parseBearer(value)
		if !ok || p.Err != nil {
			if p.Token != "" {
				t.Fatalf("%q: a token %q that is none", value, p.Token)
			}
			return
		}
		if p.Token == "" || strings.ContainsAny(p.Token, " \t,") || !strings.EqualFold(value, "bearer "+p.Token) {
			t.Fatalf("%q: token %q", value, p.Token)
		}
	})
}

func TestACookieIsFoundAsBrowsersAndApplicationsReadIt(t *testing.T) {
	for _, test := range []struct {
		lines []string
		value string
		n     int
	}{
		{nil, "", 0},
		{[]string{"a=1"}, "", 0},
		{[]string{"postern=x"}, "x", 1},
		{[]string{"a=1; postern=x; b=2"}, "x", 1},
		{[]string{"a=1;postern=x;b=2"}, "x", 1},
		{[]string{"postern = x "}, "x", 1},
		{[]string{"postern=x=y"}, "x=y", 1},
		{[]string{"postern="}, "", 1},
		{[]string{"postern"}, "", 1},
		{[]string{"xpostern=1; postern2=2"}, "", 0},
		{[]string{"Postern=1"}, "", 0},
		{[]string{"a=postern=1"}, "", 0},
		{[]string{"postern=x; postern=y"}, "y", 2},
		{[]string{"postern=x", "b=1; postern=x"}, "x", 2},
	} {
		if value, n := findCookie(test.lines, "postern"); value != test.value || n != test.n {
			t.Errorf("%q: %q, %d times", test.lines, value, n)
		}
	}
	if _, n := findCookie([]string{"=x"}, ""); n != 0 {
		t.Error("a cookie without a name was found")
	}
}

func TestAFaultOfOursDoesNotLookLikeTheTokens(t *testing.T) {
	for _, test := range []struct {
		err  error
		code string
	}{
		{auth.ErrTokenMalformed, problem.TokenMalformed},
		{auth.ErrTokenInvalid, problem.TokenInvalid},
		{auth.ErrTokenExpired, problem.TokenExpired},
		{auth.ErrTokenRevoked, problem.TokenRevoked},
		{auth.ErrTokenOutdated, problem.TokenRevoked},
		{fmt.Errorf("verify: %w", auth.ErrTokenExpired), problem.TokenExpired},
		{auth.ErrUnavailable, problem.Unavailable},
		{errors.New("disk on fire"), problem.Unavailable},
	} {
		if p := tokenProblem(test.err); p.Code != test.code {
			t.Errorf("%v: %s, want %s", test.err, p.Code, test.code)
		}
	}
}

// presented is a credential as choose gets it.
func presented(kind auth.CredentialKind, session string, err error) auth.Presented {
	return auth.Presented{Kind: kind, Token: "t", Principal: &auth.Principal{Session: session}, Err: err}
}

func TestTheMostExplicitCredentialSpeaks(t *testing.T) {
	s := newStack(t)
	bearer, cookie, header := auth.BearerCredential, auth.CookieCredential, auth.HeaderCredential
	for _, test := range []struct {
		name  string
		list  []auth.Presented
		kind  auth.CredentialKind
		err   error
		twice bool
	}{
		{"none", nil, auth.NoCredential, nil, false},
		{"one", []auth.Presented{presented(cookie, "a", nil)}, cookie, nil, false},
		{"one session", []auth.Presented{presented(bearer, "a", nil), presented(cookie, "a", nil)}, bearer, nil, false},
		{"one session, the bearer expired", []auth.Presented{presented(bearer, "a", auth.ErrTokenExpired), presented(cookie, "a", nil)}, cookie, nil, false},
		{"one session, both expired", []auth.Presented{presented(bearer, "a", auth.ErrTokenExpired), presented(cookie, "a", auth.ErrTokenExpired)}, bearer, auth.ErrTokenExpired, false},
		{"two sessions", []auth.Presented{presented(bearer, "a", nil), presented(cookie, "b", nil)}, 0, nil, true},
		{"two sessions, one expired", []auth.Presented{presented(bearer, "a", auth.ErrTokenExpired), presented(cookie, "b", nil)}, 0, nil, true},
		{"two sessions, both revoked", []auth.Presented{presented(header, "a", auth.ErrTokenRevoked), presented(cookie, "b", auth.ErrTokenRevoked)}, 0, nil, true},
		{"two sessions around junk", []auth.Presented{presented(bearer, "a", nil), presented(header, "", auth.ErrTokenInvalid), presented(cookie, "b", nil)}, 0, nil, true},
		{"a junk cookie", []auth.Presented{presented(bearer, "a", nil), presented(cookie, "", auth.ErrTokenInvalid)}, bearer, nil, false},
		{"a junk bearer does not fall back", []auth.Presented{presented(bearer, "", auth.ErrTokenInvalid), presented(cookie, "a", nil)}, bearer, auth.ErrTokenInvalid, false},
	} {
		x := &exchange{snap: s.gateway.snap.Load()}
		err := x.choose(s.service, test.list)
		p := x.presented
		if errors.Is(err, errAmbiguous) != test.twice || p.Kind != test.kind || !errors.Is(p.Err, test.err) {
			t.Errorf("%s: %v %v, %v", test.name, p.Kind, p.Err, err)
		}
		if x.foreignBearer {
			t.Errorf("%s: a bearer goes through although the route is not open", test.name)
		}
	}
}

func TestOriginsAreComparedWhole(t *testing.T) {
	s := newStack(t)
	x := &exchange{snap: s.gateway.snap.Load(), host: "app.test:8080", scheme: "http"}
	for origin, own := range map[string]bool{
		"http://app.test:8080": true, "HTTP://APP.TEST:8080": true, "http://gw.test": true, "http://gw.test:80": true,
		"http://app.test": false, "https://app.test:8080": false, "http://app.test:80801": false, "http://xapp.test:8080": false,
		"http://app.test:8080.evil.test": false, "http://gw.test.evil.test": false, "https://gw.test": false, "null": false, "": false,
		"http://": false, "gw.test": false, "//gw.test": false,
	} {
		if got := x.isOwnOrigin(origin); got != own {
			t.Errorf("%q: %v", origin, got)
		}
	}
}

func TestWhoMadeTheRequestIsReadFromWhatTheBrowserSends(t *testing.T) {
	s := newStack(t)
	for _, test := range []struct {
		name   string
		header http.Header
		same   bool
	}{
		{"nothing", http.Header{}, false},
		{"same-origin", http.Header{"Sec-Fetch-Site": {"same-origin"}}, true},
		{"the user's hand", http.Header{"Sec-Fetch-Site": {"none"}}, true},
		{"a sibling", http.Header{"Sec-Fetch-Site": {"same-site"}}, false},
		{"elsewhere", http.Header{"Sec-Fetch-Site": {"cross-site"}}, false},
		{"elsewhere counts before Origin", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"http://gw.test"}}, false},
		{"Origin", http.Header{"Origin": {"http://gw.test"}}, true},
		{"two Origins", http.Header{"Origin": {"http://gw.test", "http://gw.test"}}, false},
		{"other Origin counts before Referer", http.Header{"Origin": {"http://evil.test"}, "Referer": {"http://gw.test/"}}, false},
		{"Referer", http.Header{"Referer": {"http://gw.test/a?b"}}, true},
		{"Referer without a path", http.Header{"Referer": {"http://gw.test"}}, true},
		{"other Referer", http.Header{"Referer": {"http://evil.test/http://gw.test/"}}, false},
		{"user in Referer", http.Header{"Referer": {"http://gw.test@evil.test/"}}, false},
	} {
		x := &exchange{snap: s.gateway.snap.Load(), host: "gw.test", scheme: "http", r: &http.Request{Header: test.header}}
		if got := x.isSameOrigin(); got != test.same {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// FuzzOrigin: an origin that counts as our own is one that no browser sends for
// another site: this scheme, this host, this port, and nothing after them.
func FuzzOrigin(f *testing.F) {
	for _, seed := range []string{"http://gw.test", "https://gw.test", "http://gw.test:80", "http://app.test:8080", "null", "http://gw.test.evil.test", "http://gw.test@evil.test", "http://evil.test://gw.test", "http://gw.test/", "HTTP://GW.TEST."} {
		f.Add(seed)
	}
	snap := newStack(f).gateway.snap.Load()
	f.Fuzz(func(t *testing.T, origin string) {
		x := &exchange{snap: snap, host: "app.test:8080", scheme: "https"}
		if !x.isOwnOrigin(origin) {
			return
		}
		switch strings.ReplaceAll(strings.ToLower(origin), ".:", ":") {
		case "https://app.test:8080", "http://gw.test", "http://gw.test.", "http://gw.test:80":
		default:
			t.Fatalf("%q counts as our own", origin)
		}
	})
}

// Browsers take a cookie of a sibling's under a name that is not quite ours, and
// send it back to programs that trim or unquote more than they do: then the
// prefix __Host- promises nothing ("Cookie Chaos" and "cookie sandwich", 2025).
// Here a name is what stands between two semicolons, but for spaces.
func TestACookieOfAnotherSpellingIsNobodys(t *testing.T) {
	s := newStack(t)
	token := s.token("alice")
	for _, line := range []string{
		"\u2000postern=" + token, "\u00a0postern=" + token, "\u3000postern=" + token, "\u0085postern=" + token, "\ufeffpostern=" + token, "POSTERN=" + token, "po\u017ftern=" + token,
		"$Version=1,postern=" + token, "a=b,postern=" + token, "=postern=" + token, "\"postern\"=" + token, "postern=\"" + token + "\"", "post%65rn=" + token, "postern[]=" + token, "postern.=" + token,
	} {
		s.get("/app/home", "Cookie: "+line).wants(t, 401, "")
	}
	sandwich := "$Version=1; a=\"b; postern=" + token + "; c=d\""
	saw := s.get("/app/home", "Cookie: "+sandwich).saw(t) // to a parser that heeds quotes it is a part of a
	if got := strings.Join(saw.header["Cookie"], ""); got != "$Version=1; a=\"b; c=d\"" {
		t.Errorf("the application gets %q", got)
	}
}
