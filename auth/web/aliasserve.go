package web

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// An alias is served in three steps: the body's fields get the names that the
// endpoint knows, the deed is done, and what came of it is given the shape of
// the original. The deed is the endpoint's own, with its rules: an alias changes
// how things are said, never what is allowed.

// served is an alias, made ready.
type served struct {
	Alias
	h           *Handler
	standard    http.HandlerFunc // for people: the endpoint with its pages; nil where it has none
	terms       auth.Terms
	dialect     problem.Dialect
	refreshPath string // where a refresh cookie that it sets is sent to
}

// reply is what came of a request to an alias.
type reply struct {
	status   int
	standard any            // the body that the endpoint answers; nil: none
	tree     map[string]any // what the answer can be made of
	grant    *auth.Grant
	d        delivery
}

// serve answers one request to an alias. A person's form is given to the endpoint
// itself, which knows of pages and cookies; it gets its fields under the names
// that it expects.
func (a *served) serve(w http.ResponseWriter, r *http.Request) {
	if a.standard != nil && r.Method != http.MethodPost && a.Endpoint == toLogin {
		a.page(w, r)
		return
	}
	in, err := a.read(w, r)
	if err == nil && in.form && a.standard != nil && problem.WantsPage(r) {
		a.standard(w, withForm(r, in))
		return
	}
	var did reply
	if err == nil {
		did, err = a.perform(w, r, in)
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	a.answer(w, r, did)
}

// page shows a browser the login's form. A program has no business here.
func (a *served) page(w http.ResponseWriter, r *http.Request) {
	if problem.WantsPage(r) {
		a.standard(w, r)
		return
	}
	a.refuse(w, r, refusal{problem.Method(slices.DeleteFunc(a.h.aliases.at(r.URL.Path).methods(), func(m string) bool {
		return m == http.MethodGet || m == http.MethodHead
	})...)})
}

// read reads the body under the endpoint's names. A GET has none: nothing of a
// query is ever read, since addresses end up in logs and histories. The mode of
// an alias counts before one that the body asks for: the operator has decided
// where this client's tokens are kept.
func (a *served) read(w http.ResponseWriter, r *http.Request) (input, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return input{}, nil
	}
	in, err := read(w, r)
	if err != nil {
		return input{}, err
	}
	in = renamed(in, a.Request)
	if a.Mode != "" && answersTokens(a.Endpoint) {
		members := map[string]any{}
		maps.Copy(members, in.members)
		members["mode"] = a.Mode
		in.members = members
	}
	return in, nil
}

// withForm is a request whose body says again, under the endpoint's names, what
// was read.
func withForm(r *http.Request, in input) *http.Request {
	values := url.Values{}
	for name := range in.members {
		values.Set(name, in.text(name))
	}
	body := values.Encode()
	again := r.Clone(r.Context())
	again.Body, again.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	again.Header.Set("Content-Type", formType)
	return again
}

// client says where a request comes from, and the terms of the session that it
// may begin.
func (a *served) client(r *http.Request) auth.Client {
	c := client(r)
	c.Terms = a.terms
	return c
}

// perform does the endpoint's deed, through the functions that the endpoint uses
// itself. Of an error nothing has been written yet but, after a failed refresh by
// cookie, the order to forget the cookies.
func (a *served) perform(w http.ResponseWriter, r *http.Request, in input) (reply, error) {
	switch a.Endpoint {
	case toLogin:
		return a.login(r, in)
	case toRegister:
		return a.register(r, in)
	case toRefresh:
		return a.refresh(w, r, in)
	case toLogout:
		return a.logout(w, r, in)
	case toMe:
		return a.me(r, in)
	case toPassword:
		return a.password(r, in)
	}
	return a.user(r)
}

// user answers a public profile. Of a person's name, which the endpoint keeps to
// itself, an answer that lists it makes a public one; of a username that is an
// address there is none.
func (a *served) user(r *http.Request) (reply, error) {
	account, err := a.h.service.Account(r.Context(), a.h.aliases.idIn(r.URL.Path))
	if err == nil && account.Disabled {
		err = auth.ErrNotFound
	}
	if err != nil {
		return reply{}, err
	}
	public, err := a.h.service.PublicProfile(r.Context(), account.ID)
	if errors.Is(err, auth.ErrNotFound) && a.Response != nil {
		public, err = auth.Account{ID: account.ID, Username: account.Username}, nil // no field is public, what is listed is
	}
	shown := publicOf(public)
	tree := map[string]any{"id": shown.ID, "name": account.Name, "fields": shown.Fields}
	if shown.Username != "" {
		tree["username"] = shown.Username
	}
	return reply{status: http.StatusOK, standard: shown, tree: tree}, err
}

// granted is a reply with tokens.
func granted(status int, g auth.Grant, d delivery) reply {
	return reply{status: status, standard: tokensOf(g, d), tree: grantTree(g, d), grant: &g, d: d}
}

// login proves a password and begins a session on the alias's terms. loginOf
// would give a form cookies, as a page's form has nowhere else to keep tokens; a
// form that comes here is a program's.
func (a *served) login(r *http.Request, in input) (reply, error) {
	credentials, _, err := loginOf(in)
	if err != nil {
		return reply{}, err
	}
	g, err := a.h.service.Login(r.Context(), credentials, a.client(r))
	d, _ := in.mode() // loginOf knows it
	return granted(http.StatusOK, g, d), err
}

// register makes an account, with roles from the body only where the
// configuration gives them away: that is the Service's to judge, not an alias's.
func (a *served) register(r *http.Request, in input) (reply, error) {
	applicant, _, err := applicantOf(in)
	if err != nil {
		return reply{}, err
	}
	g, err := a.h.service.Register(r.Context(), applicant, a.client(r))
	d, _ := in.mode() // applicantOf knows it
	return granted(http.StatusCreated, g, d), registrationError(err)
}

// refresh spends the token of the body or the cookie, as the endpoint does. No
// body at all is a browser's whose cookie has run out, unless the original had
// words for a body without the token.
func (a *served) refresh(w http.ResponseWriter, r *http.Request, in input) (reply, error) {
	if err := in.check(refreshField, "mode"); err != nil {
		return reply{}, err
	}
	d, err := in.mode()
	if err != nil {
		return reply{}, err
	}
	if token := in.text(refreshField); token != "" {
		g, err := a.h.spend(r, token)
		return granted(http.StatusOK, g, d), err
	}
	if (!in.absent || a.saysOf(refreshField)) && len(r.CookiesNamed(a.h.cookies.refresh)) == 0 {
		return reply{}, refuseField(refreshField, "is missing; send it in the body, or the cookie of a login by cookie")
	}
	g, err := a.h.spendCookie(r)
	if err != nil {
		a.h.forget(w, r, a.h.problemOf(r, err))
		return reply{}, err
	}
	d.accessCookie = d.accessCookie || in.text("mode") == "" && len(r.CookiesNamed(a.h.cookies.access)) > 0
	d.refreshCookie = true // what came in a cookie is never put where a script can read it
	return granted(http.StatusOK, g, d), nil
}

// saysOf tells whether the alias has words of its own for a field of the body.
func (a *served) saysOf(field string) bool {
	return slices.ContainsFunc(a.Problems, func(p AliasProblem) bool { return p.Field == field })
}

// logout ends the session that the request proves. A GET is nothing that a
// cookie may do: any page could link to it. Who has no session has what they
// want.
func (a *served) logout(w http.ResponseWriter, r *http.Request, in input) (reply, error) {
	done := reply{status: http.StatusNoContent}
	if a.Response != nil || a.Body != "" {
		done.status = http.StatusOK
	}
	p := auth.PresentedIn(r.Context())
	if r.Method != http.MethodPost && r.Method != http.MethodDelete {
		byHeader := p.Kind == auth.BearerCredential || p.Kind == auth.HeaderCredential
		if !byHeader || r.Method == http.MethodHead {
			return done, nil
		}
		if p.Principal.Session == "" {
			return reply{}, p.Err
		}
		return done, a.h.service.Logout(r.Context(), p.Principal.Session, client(r))
	}
	all, err := allOf(in)
	if err != nil {
		return reply{}, err
	}
	nothing := p.Kind == auth.NoCredential && in.text(refreshField) == "" && len(r.CookiesNamed(a.h.cookies.refresh)) == 0
	if !nothing {
		err = a.h.endBy(r, in.text(refreshField), all)
	}
	if err == nil || a.h.problemOf(r, err).Status == http.StatusUnauthorized {
		a.h.cookies.clear(w)
	}
	return done, err
}

// caller is who asks, when that is proven.
func caller(r *http.Request) (auth.Principal, error) {
	p := auth.PresentedIn(r.Context())
	if p.Kind == auth.NoCredential {
		return auth.Principal{}, refuse(problem.TokenMissing, "")
	}
	return *p.Principal, p.Err
}

// me answers the caller's account, after a change when the method is one for
// changes.
func (a *served) me(r *http.Request, in input) (reply, error) {
	who, err := caller(r)
	if err != nil {
		return reply{}, err
	}
	var account auth.Account
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		account, err = a.h.service.Account(r.Context(), who.ID)
	} else {
		var change auth.ProfileChange
		if change, err = profileChangeOf(in.nested()); err == nil {
			account, err = a.h.service.SetProfile(r.Context(), who.ID, change, client(r))
		}
	}
	return reply{status: http.StatusOK, standard: profileOf(account), tree: accountTree(account)}, gone(err)
}

// password changes it, and answers tokens as the endpoint does: the caller's are
// outdated by the change. By cookie they go back into cookies.
func (a *served) password(r *http.Request, in input) (reply, error) {
	who, err := caller(r)
	if err == nil {
		err = in.check("current", "new", "mode")
	}
	if err == nil {
		err = in.need("current", "new")
	}
	var d delivery
	if err == nil {
		d, err = in.mode()
	}
	if err != nil {
		return reply{}, err
	}
	if auth.PresentedIn(r.Context()).Kind == auth.CookieCredential {
		d = byCookie()
	}
	g, err := a.h.service.ChangePassword(r.Context(), who, in.text("current"), in.text("new"), client(r))
	return granted(http.StatusOK, g, d), gone(err)
}

// answer gives what came of it the shape of the original. It is made of the deed
// alone: nothing that the client sent is in it, and no field that the list does
// not name. An answer with a token is no-store, as ServeHTTP has said already.
func (a *served) answer(w http.ResponseWriter, r *http.Request, did reply) {
	status := did.status
	if a.Status != 0 {
		status = a.Status
	}
	if did.grant != nil && did.grant.AccessToken != "" {
		a.h.putAt(w, *did.grant, did.d, a.refreshPath)
		a.sendHeader(w, did.grant.AccessToken)
	}
	media, body := jsonType, []byte(nil)
	switch {
	case a.Body == noBody:
	case a.Body != "":
		media, body = textType, []byte(textOf(did.tree, a.Body))
	case a.Response != nil:
		body = append(encoded(shaped(a.Response, did.tree)), '\n')
	case did.standard != nil:
		body = append(encoded(did.standard), '\n')
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if body != nil {
		h.Set("Content-Type", media)
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead && body != nil {
		_, _ = w.Write(body) // the client has gone: nobody is left to tell
	}
}

// sendHeader puts the access token into the alias's field, where a page
// elsewhere may read it: CORS hides every field that is not exposed, and the
// original exposed it to everybody. Whether a page may read the answer at all is
// auth.cors's to say.
func (a *served) sendHeader(w http.ResponseWriter, token string) {
	if a.ResponseHeader == "" {
		return
	}
	if strings.EqualFold(a.ResponseHeader, bearerHeader) {
		token = "Bearer " + token
	}
	w.Header().Set(a.ResponseHeader, token)
	exposed := a.ResponseHeader
	if others := w.Header().Get("Access-Control-Expose-Headers"); others != "" {
		exposed = others + ", " + exposed
	}
	w.Header().Set("Access-Control-Expose-Headers", exposed)
}

// refuse says no in the original's words, where there are any: the alias's own, or
// those that another alias has for clients of the same token header. The code
// decides which: an unknown name and a wrong password have one code, so no preset
// can tell them apart by mistake.
func (a *served) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := a.h.problemOf(r, err)
	if a.dialect.Write(w, r, p) {
		return
	}
	if p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden { // as on routes
		for _, d := range a.h.aliases.dialects {
			if d.CarriedBy(r.Header) && d.Write(w, r, p) {
				return
			}
		}
	}
	a.h.writeProblem(w, r, p)
}
