package web

import (
	"io"
	"net/http"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// maxReturned is the largest body that a silent refresh asks a browser to send
// twice.
const maxReturned = 1 << 20

// refresh spends a refresh token, of the body or the cookie, and answers as
// login does. Tokens go back the way they came. A body that forgets the token is
// a mistake of the program's (400); no body at all comes from a browser whose
// cookie has run out, which must hear that the login is over (401).
func (h *Handler) refresh(w http.ResponseWriter, r *http.Request) {
	in, err := read(w, r)
	if err == nil {
		err = in.check("refresh_token", "mode")
	}
	var d delivery
	if err == nil {
		d, err = in.mode()
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if token := in.text("refresh_token"); token != "" {
		g, err := h.spend(r, token)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		h.grant(w, r, g, d)
		return
	}
	if _, there := in.members["refresh_token"]; !there && !in.absent && len(r.CookiesNamed(h.cookies.refresh)) == 0 {
		h.fail(w, r, refuseField("refresh_token", "is missing; send it as application/json, or the cookie of a login by cookie"))
		return
	}
	g, err := h.spendCookie(r)
	if err != nil {
		p := h.problemOf(r, err)
		h.forget(w, r, p)
		h.writeProblem(w, r, p)
		return
	}
	// Two cookies come from a page, the refresh cookie alone from an application
	// that keeps its access token in memory.
	if in.text("mode") == "" {
		d.accessCookie = len(r.CookiesNamed(h.cookies.access)) > 0
	}
	d.refreshCookie = true // what came in a cookie is never put where a script can read it
	h.grant(w, r, g, d)
}

// refreshAndReturn is the silent refresh: the gateway has sent a browser here
// whose access token is of no more use, with the target of its request in rd.
// It goes back with fresh cookies: 303 for a GET, else 307, which keeps the
// method and the body. When the refresh fails, a navigation goes to the login
// page; with anonymous=1 (the target is open to anyone) back without cookies.
func (h *Handler) refreshAndReturn(w http.ResponseWriter, r *http.Request) {
	drain(r)
	q := r.URL.Query()
	rd := h.rd.target(q.Get("rd"))
	replaced, _ := h.cookies.value(r, h.cookies.access)
	g, err := h.spendReturning(r, replaced)
	if err == nil {
		h.put(w, g, byCookie())
		h.cookies.mark(w, replaced)
		redirect(w, returnStatus(r.Method), rd)
		return
	}
	p := h.problemOf(r, err)
	h.forget(w, r, p)
	switch {
	case p.Status != http.StatusUnauthorized: // the store is away: nobody becomes anonymous by that
		h.writeProblem(w, r, p)
	case q.Get("anonymous") == "1":
		h.cookies.mark(w, replaced)
		redirect(w, returnStatus(r.Method), rd)
	case problem.WantsPage(r):
		redirect(w, http.StatusSeeOther, h.loginURL(rd))
	default:
		h.writeProblem(w, r, p)
	}
}

// returnStatus keeps the method of everything but a GET (RFC 9110 sections
// 15.4.4 and 15.4.8).
func returnStatus(method string) int {
	if method == http.MethodGet {
		return http.StatusSeeOther
	}
	return http.StatusTemporaryRedirect
}

// drain reads the body that will come again with the 307, so that the
// connection is in order. A client that waits for "100 Continue" is not asked
// for it.
func drain(r *http.Request) {
	if r.Body != nil && r.Header.Get("Expect") == "" {
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxReturned)) // what cannot be read, net/http ends
	}
}

// spend spends a refresh token of the body. Cookies or a bearer token of
// another session beside it are two identities in one request (SE-19).
func (h *Handler) spend(r *http.Request, token string) (auth.Grant, error) {
	session, ok := h.service.RefreshSession(token)
	if !ok {
		return auth.Grant{}, auth.ErrRefreshInvalid
	}
	access, ambiguous := h.cookies.value(r, h.cookies.access)
	cookie, ambiguous2 := h.cookies.value(r, h.cookies.refresh)
	other, _ := h.service.RefreshSession(cookie)
	for _, s := range []string{claimedSession(access), other, auth.PresentedIn(r.Context()).Principal.Session} {
		if ambiguous || ambiguous2 || (s != "" && s != session) {
			return auth.Grant{}, refuse(problem.BadRequest, "The request carries credentials of two sessions.")
		}
	}
	return h.service.Refresh(r.Context(), token, client(r))
}

// spendReturning spends the cookie for a browser that is to go back to a page.
// It may come from another site, by a link, and then has an access cookie, which
// lives as long as the other. A sibling subdomain can plant a refresh cookie of
// its own, and have the browser fetch it with an image: that one has none
// (session fixation).
func (h *Handler) spendReturning(r *http.Request, access string) (auth.Grant, error) {
	site := r.Header.Get("Sec-Fetch-Site")
	if access == "" && site != "" && site != "same-origin" && site != "none" {
		return auth.Grant{}, refuse(problem.CrossOrigin, "Another site sent this request, and without the cookie of a login here.")
	}
	return h.spendCookie(r)
}

// spendCookie spends the refresh token of the cookie. A sibling subdomain can
// plant a __Secure- cookie, and with it put somebody into the attacker's
// session, but never a __Host- one: so when an access cookie is there, of
// whatever age, both must be of one session.
func (h *Handler) spendCookie(r *http.Request) (auth.Grant, error) {
	token, ambiguous := h.cookies.value(r, h.cookies.refresh)
	access, ambiguous2 := h.cookies.value(r, h.cookies.access)
	if ambiguous || ambiguous2 {
		return auth.Grant{}, refuse(problem.BadRequest, "The request carries a cookie twice.")
	}
	session, ok := h.service.RefreshSession(token)
	if !ok || (access != "" && claimedSession(access) != session) {
		return auth.Grant{}, auth.ErrRefreshInvalid
	}
	return h.service.Refresh(r.Context(), token, client(r))
}

// forget clears the cookies after a refresh that can never succeed. It leaves
// them alone while the store is away, and when no refresh cookie came and the
// access token is good.
func (h *Handler) forget(w http.ResponseWriter, r *http.Request, p problem.Problem) {
	came := len(r.CookiesNamed(h.cookies.refresh)) > 0
	if p.Status == http.StatusUnauthorized && (came || auth.PresentedIn(r.Context()).Err != nil) {
		h.cookies.clear(w)
	}
}
