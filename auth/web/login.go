package web

import (
	"net/http"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// login makes a session. A form gets cookies and goes to rd, as does whoever
// asks for them by mode; others get the tokens in the body.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) {
	in, err := read(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	credentials, d, err := loginOf(in)
	if err != nil {
		h.refuseLogin(w, r, in, err)
		return
	}
	g, err := h.service.Login(r.Context(), credentials, client(r))
	switch {
	case err != nil:
		h.refuseLogin(w, r, in, err)
	case in.form:
		h.put(w, g, d)
		redirect(w, http.StatusSeeOther, h.rd.target(rdOf(r, in)))
	default:
		h.grant(w, r, g, d)
	}
}

// loginOf reads who wants in, and how the tokens are to be delivered.
func loginOf(in input) (auth.Credentials, delivery, error) {
	if err := in.check("username", "email", "password", "mode"); err != nil {
		return auth.Credentials{}, delivery{}, err
	}
	// The username counts when both are given, as the page has one field.
	c := auth.Credentials{Username: in.text("username"), Password: in.text("password")}
	if c.Username == "" {
		c.Username = in.text("email")
	}
	if c.Username == "" {
		return c, delivery{}, refuseField("username", "is missing")
	}
	if c.Password == "" {
		return c, delivery{}, refuseField("password", "is missing")
	}
	d, err := in.delivery()
	return c, d, err
}

// refuseLogin shows a person the form again, with what was typed but the
// password; a program gets a problem.
func (h *Handler) refuseLogin(w http.ResponseWriter, r *http.Request, in input, err error) {
	p := h.problemOf(r, err)
	if !in.form || !problem.WantsPage(r) {
		h.writeProblem(w, r, p)
		return
	}
	typed := in.text("username")
	if typed == "" {
		typed = in.text("email")
	}
	problem.Prepare(w, r, p)
	h.show(w, r, p.Status, "login.html", view{RD: h.rd.target(rdOf(r, in)), Username: typed, Message: h.words(p)})
}
