package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
	"github.com/posternhq/postern/policy"
)

// retryMark names a stale access token without telling it. The refresh endpoint
// sets it in a cookie, for ten seconds, when it gives the browser another one:
// see auth/web.RetryMark, which a test compares with this.
func retryMark(token string) string {
	digest := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(digest[:])[:16]
}

// maxRefreshBody is how much a browser is made to send twice.
const maxRefreshBody = 1 << 20

// silentRefresh sends a browser whose access cookie has run out through the
// refresh endpoint and back, so that pages that know nothing of tokens never
// notice: 303 for a GET, 307 otherwise, which keeps method and body. It answers
// false when the request goes on as it is.
func (x *exchange) silentRefresh(d policy.Decision) bool {
	p := &x.presented
	if !isStale(p) || d.Effect == policy.Deny || !x.canRepeat() {
		return false
	}
	open, navigation := d.Effect == policy.Allow, problem.IsNavigation(x.r)
	if open && x.question != nil { // who does not follow would shut an open page
		return false
	}
	if !navigation && (open || !x.isSameOrigin()) {
		return false
	}
	if x.cookiesDoNotStick(p.Token) {
		return !open && x.refuseCookies(navigation)
	}
	if !x.swallowBody() {
		return false // too slow or torn off: the answer is about the token then
	}
	status := http.StatusSeeOther
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		status = http.StatusTemporaryRedirect
	}
	x.decision, x.reason = decisionChallenge, reasonRefresh
	x.redirect(x.snap.refreshPage(x.target(), open), status)
	return true
}

// isStale tells whether a cookie brought a token that a refresh would replace.
func isStale(p *auth.Presented) bool {
	return p.Kind == auth.CookieCredential && (errors.Is(p.Err, auth.ErrTokenExpired) || errors.Is(p.Err, auth.ErrTokenOutdated))
}

// swallowBody reads the body that will come again. A question's is nobody's:
// the original one stays with the front end.
func (x *exchange) swallowBody() bool {
	if x.question != nil {
		return true
	}
	_, err := io.Copy(io.Discard, x.r.Body)
	return err == nil
}

// canRepeat tells whether a browser can send the request a second time: a
// handshake or a long upload cannot be had again, and what changes something
// is not sent to another site.
func (x *exchange) canRepeat() bool {
	if x.question != nil && x.question.back != "" && x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		return false
	}
	return !x.websocket && x.r.ContentLength >= 0 && x.r.ContentLength <= maxRefreshBody
}

// cookiesDoNotStick tells whether the browser was given another token for this
// one just now, and sends the old one all the same. To send it through a
// refresh again would be a loop.
func (x *exchange) cookiesDoNotStick(stale string) bool {
	mark, n := findCookie(x.r.Header["Cookie"], x.snap.retryCookie)
	return n > 0 && mark == retryMark(stale)
}

// refuseCookies ends a loop: at the login page, which says why, or for anything
// but a navigation with the ordinary 401.
func (x *exchange) refuseCookies(navigation bool) bool {
	if !navigation {
		return false
	}
	x.decision, x.reason = decisionChallenge, problem.TokenExpired
	x.redirect(x.snap.loginPage(x.target(), true), http.StatusSeeOther)
	return true
}

// isSameOrigin tells whether a page of this site, or the user's own hand, made
// the request. Browsers leave Sec-Fetch-Site out on plain http; Origin, and for
// a GET Referer, say it there.
func (x *exchange) isSameOrigin() bool {
	h := x.r.Header
	if site := h.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin" || site == "none"
	}
	if origins := h["Origin"]; len(origins) > 0 {
		return len(origins) == 1 && x.isOwnOrigin(origins[0])
	}
	scheme, rest, ok := strings.Cut(h.Get("Referer"), "://")
	if !ok {
		return false
	}
	host, _, _ := strings.Cut(rest, "/")
	return x.isOwnOrigin(scheme + "://" + host)
}

// loginPage is where a person logs in and comes back to target.
func (s *Snapshot) loginPage(target string, cookies bool) string {
	to := s.prefix + "/login?"
	if cookies {
		to += "error=cookies&"
	}
	return to + "rd=" + url.QueryEscape(target)
}

// refreshPage is where a browser gets a fresh cookie and comes back to target,
// as anonymous when that fails and the route is open to anyone.
func (s *Snapshot) refreshPage(target string, open bool) string {
	to := s.prefix + "/refresh?rd=" + url.QueryEscape(target)
	if open {
		to += "&anonymous=1"
	}
	return to
}
