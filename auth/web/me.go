package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// caller answers who is asking, when that is proven. Otherwise it has answered:
// a navigation goes to the login page, others get 401.
func (h *Handler) caller(w http.ResponseWriter, r *http.Request) (auth.Principal, bool) {
	p := auth.PresentedIn(r.Context())
	if p.Proven() {
		return *p.Principal, true
	}
	switch {
	case problem.IsNavigation(r):
		redirect(w, http.StatusSeeOther, h.loginURL(h.rd.target(r.URL.RequestURI())))
	case p.Kind == auth.NoCredential:
		h.writeProblem(w, r, problem.Of(problem.TokenMissing))
	default:
		h.fail(w, r, p.Err)
	}
	return auth.Principal{}, false
}

// me answers the caller's own account.
func (h *Handler) me(w http.ResponseWriter, r *http.Request) {
	caller, ok := h.caller(w, r)
	if !ok {
		return
	}
	a, err := h.service.Account(r.Context(), caller.ID)
	if err != nil {
		h.fail(w, r, gone(err))
		return
	}
	writeJSON(w, r, profileOf(a))
}

// changeProfile changes the name and the fields that their owner may edit.
func (h *Handler) changeProfile(w http.ResponseWriter, r *http.Request) {
	caller, ok := h.caller(w, r)
	if !ok {
		return
	}
	in, err := read(w, r)
	var change auth.ProfileChange
	if err == nil {
		change, err = profileChangeOf(in)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	a, err := h.service.SetProfile(r.Context(), caller.ID, change, client(r))
	if err != nil {
		h.fail(w, r, gone(err))
		return
	}
	writeJSON(w, r, profileOf(a))
}

// profileChangeOf reads a change: {"name": .., "fields": {"phone": ..}}. A form
// has no way to say fields, so it is refused.
func profileChangeOf(in input) (auth.ProfileChange, error) {
	var change auth.ProfileChange
	if in.form {
		return change, refuse(problem.UnsupportedMediaType, "Send application/json.")
	}
	if err := in.check("name"); err != nil {
		return change, err
	}
	if name, ok := in.members["name"].(string); ok {
		change.Name = &name
	}
	var err error
	change.Fields, err = in.fields()
	return change, err
}

// changePassword sets a new password, ends every other session and answers as
// login does, by the way the caller's token came.
func (h *Handler) changePassword(w http.ResponseWriter, r *http.Request) {
	caller, ok := h.caller(w, r)
	if !ok {
		return
	}
	in, err := read(w, r)
	if err == nil {
		err = in.check("current", "new", "mode")
	}
	var d delivery
	if err == nil {
		d, err = in.delivery()
	}
	if err == nil {
		err = in.need("current", "new")
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	// A caller by cookie has no use for a token in the body, and a script on the
	// page no business with it.
	if auth.PresentedIn(r.Context()).Kind == auth.CookieCredential {
		d = byCookie()
	}
	g, err := h.service.ChangePassword(r.Context(), caller, in.text("current"), in.text("new"), client(r))
	switch {
	case err != nil:
		h.fail(w, r, gone(err))
	case in.form:
		h.put(w, g, d)
		redirect(w, http.StatusSeeOther, h.rd.target(rdOf(r, in)))
	default:
		h.grant(w, r, g, d)
	}
}

// session is one of the caller's sessions; id is the sid of its tokens.
type session struct {
	ID        string    `json:"id"`
	Device    string    `json:"device"`     // in words: Firefox on Linux
	UserAgent string    `json:"user_agent"` // what the browser or program calls itself
	Address   string    `json:"address"`
	Created   time.Time `json:"created"`
	LastSeen  time.Time `json:"last_seen"`
	Current   bool      `json:"current"` // the one that asks
}

// sessions lists the caller's live sessions.
func (h *Handler) sessions(w http.ResponseWriter, r *http.Request) {
	caller, ok := h.caller(w, r)
	if !ok {
		return
	}
	h.listSessions(w, r, caller.ID, caller)
}

// listSessions answers an account's live sessions to caller.
func (h *Handler) listSessions(w http.ResponseWriter, r *http.Request, accountID string, caller auth.Principal) {
	live, err := h.service.Sessions(r.Context(), accountID)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	list := make([]session, 0, len(live))
	for _, s := range live {
		list = append(list, session{s.ID, s.Device(), s.UserAgent, s.Address, s.Created, s.LastSeen, s.ID == caller.Session})
	}
	writeJSON(w, r, map[string]any{"sessions": list})
}

// endSession ends one of the caller's sessions. Somebody else's is not told
// apart from none.
func (h *Handler) endSession(w http.ResponseWriter, r *http.Request) {
	caller, ok := h.caller(w, r)
	if !ok {
		return
	}
	id := h.idIn(r)
	err := h.service.RevokeSession(r.Context(), caller.ID, id, auth.Actor{By: caller.Username, Client: client(r)})
	if errors.Is(err, auth.ErrNotFound) {
		err = refuse(problem.NoRoute, "You have no such session.")
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if id == caller.Session {
		h.cookies.clear(w)
	}
	w.WriteHeader(http.StatusNoContent)
}

// gone turns "no such account" into what it means to a caller with a token: it
// was deleted a moment ago.
func gone(err error) error {
	if errors.Is(err, auth.ErrNotFound) {
		return auth.ErrTokenRevoked
	}
	return err
}
