package web

import (
	"net/http"
	"slices"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// logout ends the session of whatever the request proves it with, or every
// session of its user. The cookies go in any case but a fault of the store: the
// session would live on and the browser no longer know it.
func (h *Handler) logout(w http.ResponseWriter, r *http.Request) {
	in, err := read(w, r)
	var all bool
	if err == nil {
		all, err = allOf(in)
	}
	if err == nil {
		err = h.endBy(r, in.text("refresh_token"), all)
	}
	// A button was pressed: the answer is a place to be, not a status.
	page := in.form || problem.WantsPage(r)
	if err != nil {
		p := h.problemOf(r, err)
		gone := p.Status == http.StatusUnauthorized
		if gone {
			h.cookies.clear(w)
		}
		if !gone || !page { // a person whose session is over already has what they want
			h.writeProblem(w, r, p)
			return
		}
	}
	h.cookies.clear(w)
	if page {
		redirect(w, http.StatusSeeOther, h.afterLogout(rdOf(r, in)))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// afterLogout is rd where there is one, else the login page, which says so.
func (h *Handler) afterLogout(rd string) string {
	if rd == "" {
		return h.loginURL("", "logged_out", "1")
	}
	return h.rd.target(rd)
}

// allOf reads whether every session is to end: a boolean in JSON, "true" of a
// form's checkbox.
func allOf(in input) (bool, error) {
	if err := in.check("refresh_token"); err != nil {
		return false, err
	}
	switch all := in.members["all"].(type) {
	case bool:
		return all, nil
	case string:
		if in.form && (all == "true" || all == "false" || all == "") {
			return all == "true", nil
		}
	}
	if _, there := in.members["all"]; !there {
		return false, nil
	}
	return false, refuseField("all", "must be true or false")
}

// endBy ends the session that the request proves: by its access token, an
// expired one too, or by its refresh token, in the body or the cookie.
func (h *Handler) endBy(r *http.Request, refreshToken string, all bool) error {
	// The principal is filled for a genuine token of whatever age (auth.Presented).
	presented := auth.PresentedIn(r.Context())
	session := presented.Principal.Session
	cookie, _ := h.cookies.value(r, h.cookies.refresh)
	for _, token := range []string{refreshToken, cookie} {
		sid, ok := h.service.RefreshSession(token)
		switch {
		// A bad refresh token beside a good access token proves nothing and
		// changes nothing; alone it is the answer.
		case !ok && token != "" && session == "":
			return auth.ErrRefreshInvalid
		case ok && session != "" && sid != session:
			return refuse(problem.BadRequest, "The request carries credentials of two sessions.")
		case ok:
			session = sid
		}
	}
	switch {
	case session == "" && presented.Kind == auth.NoCredential:
		return refuse(problem.TokenMissing, "")
	case session == "":
		return presented.Err
	case all:
		return h.endAll(r, presented)
	}
	return h.service.Logout(r.Context(), session, client(r))
}

// endAll ends every session of the account. That takes an access token, and one
// that no longer opens anything only while its session lives: what was taken
// away from a thief must not throw out its owner, not even once it has expired
// and the revocation is forgotten.
func (h *Handler) endAll(r *http.Request, p auth.Presented) error {
	if p.Principal.ID == "" {
		return refuse(problem.TokenMissing, "To end every session, send an access token.")
	}
	if p.Err != nil {
		live, err := h.service.Sessions(r.Context(), p.Principal.ID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(live, func(s auth.Session) bool { return s.ID == p.Principal.Session }) {
			return auth.ErrTokenRevoked
		}
	}
	return h.service.LogoutAll(r.Context(), p.Principal.ID, client(r))
}
