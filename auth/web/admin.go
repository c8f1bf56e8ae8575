package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// record is an account as an administrator sees it: never with its password's
// hash.
type record struct {
	profile
	EmailVerified bool      `json:"email_verified"`
	Disabled      bool      `json:"disabled"`
	Created       time.Time `json:"created"`
	Updated       time.Time `json:"updated"`
}

// recordOf leaves out what is nobody's to see.
func recordOf(a auth.Account) record {
	return record{profileOf(a), a.EmailVerified, a.Disabled, a.Created, a.Updated}
}

// administer is an endpoint for administrators; admin is the one who asks. An
// error is answered.
type administer func(w http.ResponseWriter, r *http.Request, admin auth.Principal) error

// asAdmin lets administrators through alone. The gateway has held the token to
// the view of revocations, so a role that was taken away a moment ago counts no
// more.
func (h *Handler) asAdmin(serve administer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		caller, ok := h.caller(w, r)
		if !ok {
			return
		}
		if !slices.Contains(caller.Roles, auth.AdminRole) {
			h.writeProblem(w, r, problem.Of(problem.Forbidden))
			return
		}
		err := serve(w, r, caller)
		switch {
		case errors.Is(err, auth.ErrLastAdmin):
			err = refuse(problem.Conflict, "This is the last account with the role "+auth.AdminRole+": give the role to another one first.")
		case errors.Is(err, auth.ErrNotFound):
			err = refuse(problem.NoRoute, "There is no such account.")
		}
		if err != nil {
			h.fail(w, r, err)
		}
	}
}

// actor is an administrator as the audit log names them, who may not lock all of
// them out.
func actor(r *http.Request, admin auth.Principal) auth.Actor {
	return auth.Actor{By: admin.Username, Client: client(r), KeepAdmin: true}
}

// users lists all accounts.
func (h *Handler) users(w http.ResponseWriter, r *http.Request, _ auth.Principal) error {
	all, err := h.service.Accounts(r.Context())
	if err != nil {
		return err
	}
	list := make([]record, 0, len(all))
	for _, a := range all {
		list = append(list, recordOf(a))
	}
	writeJSON(w, r, map[string]any{"users": list})
	return nil
}

// user answers one account.
func (h *Handler) user(w http.ResponseWriter, r *http.Request, _ auth.Principal) error {
	a, err := h.service.Account(r.Context(), h.idIn(r))
	if err != nil {
		return err
	}
	writeJSON(w, r, recordOf(a))
	return nil
}

// addUser makes an account. Without a password nobody can log in to it yet.
func (h *Handler) addUser(w http.ResponseWriter, r *http.Request, admin auth.Principal) error {
	in, err := readObject(w, r)
	if err != nil {
		return err
	}
	if err := in.check("id", "username", "email", "name", "password"); err != nil {
		return err
	}
	n := auth.NewAccount{ID: in.text("id"), Username: in.text("username"), Email: in.text("email"), Name: in.text("name"), Password: in.text("password")}
	if n.Roles, err = in.roles(); err != nil {
		return err
	}
	if n.Fields, err = in.adminFields(); err != nil {
		return err
	}
	a, err := h.service.AddAccount(r.Context(), n, actor(r, admin))
	if err != nil {
		return err
	}
	w.Header().Set("Location", h.config.Prefix+"/admin/users/"+url.PathEscape(a.ID))
	writeStatus(w, r, http.StatusCreated, recordOf(a))
	return nil
}

// changeUser changes what the body names and nothing else.
func (h *Handler) changeUser(w http.ResponseWriter, r *http.Request, admin auth.Principal) error {
	in, err := readObject(w, r)
	if err != nil {
		return err
	}
	change, err := accountChangeOf(in)
	if err != nil {
		return err
	}
	a, err := h.service.SetAccount(r.Context(), h.idIn(r), change, actor(r, admin))
	if err != nil {
		return err
	}
	writeJSON(w, r, recordOf(a))
	return nil
}

// accountChangeOf reads a change. Null is no value here: who means "none" writes
// "" or [].
func accountChangeOf(in input) (auth.AccountChange, error) {
	var change auth.AccountChange
	for name, to := range map[string]**string{"email": &change.Email, "name": &change.Name, "password": &change.Password} {
		if err := in.check(name); err != nil {
			return change, err
		}
		if text, there := in.members[name].(string); there {
			*to = &text
		}
	}
	if disabled, there := in.members["disabled"]; there {
		yes, ok := disabled.(bool)
		if !ok {
			return change, refuseField("disabled", "must be true or false")
		}
		change.Disabled = &yes
	}
	if _, there := in.members["roles"]; there {
		roles, err := in.roles()
		if err != nil {
			return change, err
		}
		change.Roles = &roles
	}
	var err error
	change.Fields, err = in.adminFields()
	return change, err
}

// adminFields reads profile fields of whatever name: an administrator may set
// those that their owner may not.
func (in input) adminFields() (map[string][]string, error) {
	raw, err := in.fields()
	if err != nil {
		return nil, err
	}
	fields, faults := auth.ParseFields(raw)
	if len(faults) > 0 {
		return nil, &auth.InvalidError{Fields: faults}
	}
	return fields, nil
}

// deleteUser removes an account and ends its sessions.
func (h *Handler) deleteUser(w http.ResponseWriter, r *http.Request, admin auth.Principal) error {
	if err := h.service.DeleteAccount(r.Context(), h.idIn(r), actor(r, admin)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// userSessions lists the live sessions of an account.
func (h *Handler) userSessions(w http.ResponseWriter, r *http.Request, admin auth.Principal) error {
	a, err := h.service.Account(r.Context(), h.idIn(r))
	if err != nil {
		return err
	}
	h.listSessions(w, r, a.ID, admin)
	return nil
}

// endUserSessions ends every session of an account.
func (h *Handler) endUserSessions(w http.ResponseWriter, r *http.Request, admin auth.Principal) error {
	if err := h.service.RevokeSessions(r.Context(), h.idIn(r), actor(r, admin)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// readObject reads a body that has to be JSON: a form cannot say a list, or that
// something is not to change.
func readObject(w http.ResponseWriter, r *http.Request) (input, error) {
	in, err := read(w, r)
	if err == nil && in.form {
		err = refuse(problem.UnsupportedMediaType, "Send application/json.")
	}
	return in, err
}
