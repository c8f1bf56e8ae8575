package web

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

//go:embed pages/*.html
var files embed.FS

var pages = template.Must(template.ParseFS(files, "pages/*.html"))

// view is what a page is made of. Everything in it may come from a stranger;
// html/template escapes it (LG-58). A password is never among it.
type view struct {
	Prefix      string
	RD          string            // a checked target
	Username    string            // typed before, or of the one who is logged in
	Message     string            // what went wrong, in words
	Notice      string            // what went well
	Register    bool              // the login page leads to the one for registering
	Email, Name string            // typed before
	Faults      map[string]string // what is wrong with what was typed, by field
}

// show answers with a page.
func (h *Handler) show(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	v.Prefix, v.Register = h.config.Prefix, h.service.RegistrationOpen()
	var content bytes.Buffer
	if err := pages.ExecuteTemplate(&content, name, v); err != nil {
		h.fail(w, r, err)
		return
	}
	// The titles are constants: a page's heading is no place for what was typed.
	title := "Log in"
	switch name {
	case "logout.html":
		title = "Log out"
	case "register.html":
		title = "Make an account"
	}
	problem.WritePage(w, r, status, problem.Page{
		Title: title, Content: template.HTML(content.String()), FormAction: h.rd.origins,
	})
}

// loginPage shows the form; to someone who is logged in it says so and shows
// the ways on. It reads no credentials: they never belong in a URL.
func (h *Handler) loginPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	v := view{RD: h.rd.target(q.Get("rd"))}
	presented := auth.PresentedIn(r.Context())
	switch {
	case q.Get("error") == "cookies":
		v.Message = "Your browser does not keep this site's cookies, so it cannot stay logged in. Allow cookies for this site and log in again."
	case q.Get("again") == "1": // a rule with max_age sent them: a login that is too old is one all the same
		v.Username, v.Notice = presented.Principal.Username, "This needs your password once more."
	case presented.Proven():
		v.Username = presented.Principal.Username
		h.show(w, r, http.StatusOK, "welcome.html", v)
		return
	case q.Has("logged_out"): // true for whoever follows a link with it, too
		v.Notice = "You are logged out."
	}
	h.show(w, r, http.StatusOK, "login.html", v)
}

// logoutPage shows the button. A GET ends nothing: any page could link to it.
func (h *Handler) logoutPage(w http.ResponseWriter, r *http.Request) {
	h.show(w, r, http.StatusOK, "logout.html", view{Username: auth.PresentedIn(r.Context()).Principal.Username})
}

// words tell a person what a refused login means. The same for an unknown
// name, a wrong password and a disabled account.
func (h *Handler) words(p problem.Problem) string {
	switch p.Code {
	case problem.InvalidCredentials:
		return "The username or the password is wrong."
	case problem.Locked:
		again := h.now().Add(p.RetryAfter).UTC()
		return "There were too many failed attempts. Try again " + wait(p.RetryAfter) + ", after " + again.Format("15:04") + " UTC."
	case problem.Unavailable:
		return "Nobody can be logged in just now. Try again in a moment."
	}
	return p.Detail
}

// wait says a duration as one does: rounded up, so that who waits that long is
// not too early.
func wait(d time.Duration) string {
	minutes := int((d + time.Minute - 1) / time.Minute)
	if minutes <= 1 {
		return "in a minute"
	}
	return "in " + strconv.Itoa(minutes) + " minutes"
}
