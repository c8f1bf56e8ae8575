package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// register makes an account for a stranger and logs it in: answered as a login
// is, but with 201. Where registration is off there is no such endpoint; find
// has seen to that.
func (h *Handler) register(w http.ResponseWriter, r *http.Request) {
	in, err := read(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	applicant, d, err := applicantOf(in)
	if err != nil {
		h.refuseRegistration(w, r, in, err)
		return
	}
	g, err := h.service.Register(r.Context(), applicant, client(r))
	switch {
	case err != nil:
		h.refuseRegistration(w, r, in, err)
	case in.form:
		h.put(w, g, d)
		redirect(w, http.StatusSeeOther, h.rd.target(rdOf(r, in)))
	default:
		h.grantWith(w, r, http.StatusCreated, g, d)
	}
}

// applicantOf reads what a stranger says, and how the tokens are to be
// delivered. What is missing is for the Service to say, with all else that is
// wrong.
func applicantOf(in input) (auth.Applicant, delivery, error) {
	if err := in.check("mode", "username", "email", "name", "password"); err != nil {
		return auth.Applicant{}, delivery{}, err
	}
	d, err := in.delivery()
	if err != nil {
		return auth.Applicant{}, d, err
	}
	a := auth.Applicant{Username: in.text("username"), Email: in.text("email"), Name: in.text("name"), Password: in.text("password")}
	if a.Roles, err = in.roles(); err != nil {
		return a, d, err
	}
	a.Fields, err = in.fields()
	return a, d, err
}

// roles reads a list of roles: of texts in JSON, with commas in a form.
func (in input) roles() ([]string, error) {
	switch v := in.members["roles"].(type) {
	case nil:
		if _, there := in.members["roles"]; !there {
			return nil, nil
		}
	case string:
		if in.form {
			return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' }), nil
		}
	case []any:
		roles := make([]string, len(v))
		for i := range v {
			role, ok := v[i].(string)
			if !ok {
				return nil, refuseField("roles", "must be a list of texts")
			}
			roles[i] = role
		}
		return roles, nil
	}
	return nil, refuseField("roles", "must be a list of texts")
}

// fieldPrefix is what a profile field's name has before it in a form.
const fieldPrefix = "fields."

// fields reads profile fields by name: an object in JSON; in a form each is a
// field of its own, fields.phone, and an empty one is none.
func (in input) fields() (map[string]any, error) {
	if !in.form {
		raw, there := in.members["fields"]
		fields, ok := raw.(map[string]any)
		if there && !ok {
			return nil, refuseField("fields", "must be an object of fields by name")
		}
		return fields, nil
	}
	fields := map[string]any{}
	for name := range in.members {
		if field, ok := strings.CutPrefix(name, fieldPrefix); ok && in.text(name) != "" {
			fields[field] = in.text(name)
		}
	}
	return fields, nil
}

// registerPage shows the form; to someone who is logged in, that they are.
func (h *Handler) registerPage(w http.ResponseWriter, r *http.Request) {
	v := view{RD: h.rd.target(r.URL.Query().Get("rd"))}
	if p := auth.PresentedIn(r.Context()); p.Proven() {
		v.Username = p.Principal.Username
		h.show(w, r, http.StatusOK, "welcome.html", v)
		return
	}
	h.show(w, r, http.StatusOK, "register.html", v)
}

// refuseRegistration shows a person the form again, with what was typed but the
// password and with what is wrong beside it; a program gets a problem.
func (h *Handler) refuseRegistration(w http.ResponseWriter, r *http.Request, in input, err error) {
	p := h.problemOf(r, registrationError(err))
	if !in.form || !problem.WantsPage(r) {
		h.writeProblem(w, r, p)
		return
	}
	v := view{RD: h.rd.target(rdOf(r, in)), Username: in.text("username"), Email: in.text("email"), Name: in.text("name")}
	v.Message = h.words(p)
	if p.Code == problem.Invalid || p.Code == problem.Conflict {
		v.Message = "No account was made: look at what is marked below."
	}
	var others string
	v.Faults, others = faultsBeside(p.Errors)
	v.Message += others
	problem.Prepare(w, r, p)
	h.show(w, r, p.Status, "register.html", v)
}

// faultsBeside says what is wrong beside the inputs that the page has, and of
// what a form of somebody's own had besides in one text.
func faultsBeside(errors []problem.FieldError) (faults map[string]string, others string) {
	faults = map[string]string{}
	for _, f := range errors {
		switch {
		case !slices.Contains([]string{"email", "username", "name", "password"}, f.Field):
			others += " " + f.Field + ": " + f.Message + "."
		case faults[f.Field] == "":
			faults[f.Field] = "It " + f.Message + "."
		}
	}
	return faults, others
}

// registrationError is what an error means to who registers: nobody's attempts
// at a password have failed.
func registrationError(err error) error {
	locked := (*auth.LockedError)(nil)
	if !errors.As(err, &locked) {
		return err
	}
	p := problem.Of(problem.RateLimited)
	p.RetryAfter = locked.RetryAfter
	return refusal{p}
}
