package problem

import (
	"net/http"
	"net/url"
	"strings"
)

// link is a way on from a page. Every Href is a path of this site.
type link struct {
	Href, Text string
	Quiet      bool // not what most people want here
}

// words are what a page says. A person has no token and reads no Allow field;
// what somebody typed and sent must not be lost without a word. A detail that
// is not the code's own was written for this request, and stands.
func (p Problem) words(r *http.Request) string {
	if p.Detail != list[p.Code].Detail {
		return p.Detail
	}
	switch p.Code {
	case TokenMissing, TokenMalformed, TokenInvalid, TokenExpired, TokenRevoked, RefreshInvalid, RefreshExpired, RefreshReused:
		return "You are not logged in (any more)." + notTaken(r)
	case ReauthenticationRequired:
		return "This needs your password once more: it was given too long ago." + notTaken(r)
	case Forbidden:
		return "This is not open to you."
	case MethodNotAllowed:
		return "There is something at this address, but it cannot be opened or sent to in this way."
	case Invalid:
		return "Some values are not acceptable:"
	}
	return p.Detail
}

// notTaken says what became of a form.
func notTaken(r *http.Request) string {
	if isSafe(r) {
		return ""
	}
	return " What you sent was not taken: log in, go back and send it again."
}

// ways are the links of p's page. Without a Prefix there are none: then this is
// no site with a start page (the admin listener).
func (p Problem) ways(r *http.Request) []link {
	if p.Prefix == "" || p.Status == http.StatusMisdirectedRequest {
		return nil
	}
	var ways []link
	switch {
	case p.Status == http.StatusUnauthorized:
		return []link{{Href: p.login(r), Text: "Log in"}}
	case p.Code == Forbidden && p.User != "":
		ways = append(ways, link{Href: p.Prefix + "/logout", Text: "Log in as somebody else"})
	case p.Status >= http.StatusInternalServerError && r.Method == http.MethodGet:
		ways = append(ways, link{Href: ownPath(r.URL), Text: "Try again"})
	}
	if r.URL.Path != "/" { // no page leads to itself
		ways = append(ways, link{Href: "/", Text: "Go to the start page", Quiet: len(ways) > 0})
	}
	return ways
}

// login is the login page that comes back to where the person was: to this page
// when it was opened, to the one with the form when that was sent.
func (p Problem) login(r *http.Request) string {
	back := r.URL
	if !isSafe(r) {
		back = referer(r)
	}
	to := p.Prefix + "/login?rd=" + url.QueryEscape(ownPath(back))
	if p.Code == ReauthenticationRequired {
		to += "&again=1"
	}
	return to
}

// referer is the page of this site that a request came from, nil when it came
// from elsewhere or does not say.
func referer(r *http.Request) *url.URL {
	u, err := url.Parse(r.Header.Get("Referer"))
	if err != nil || !strings.EqualFold(u.Host, r.Host) {
		return nil
	}
	return u
}

// ownPath is the path and query of u as a link within this site, "/" for what
// a browser would take for more than that: "//evil.test" and "/\evil.test"
// are hosts (open redirect).
func ownPath(u *url.URL) string {
	if u == nil || u.Opaque != "" {
		return "/"
	}
	path := u.RequestURI()
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\t\r\n") {
		return "/"
	}
	return path
}

// isSafe tells whether r asked for something and sent nothing.
func isSafe(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}
