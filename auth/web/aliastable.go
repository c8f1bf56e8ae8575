package web

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/posternhq/postern/gateway/problem"
)

// aliases are all of them, by place.
type aliases struct {
	literal  map[string]endpoint
	variable []variable
	refresh  []string          // paths where refresh cookies are spent
	names    map[string]string // of the endpoints, by method and path as configured
	dialects []problem.Dialect // what their clients are told, by token header
}

// variable is the place of an alias with {id} in its path.
type variable struct {
	before, after string
	endpoint      endpoint
}

// newAliases makes the configured aliases ready.
func (h *Handler) newAliases() aliases {
	made := aliases{literal: map[string]endpoint{}, names: map[string]string{}, dialects: h.config.Dialects()}
	written := h.config.written()
	for _, a := range written {
		if a.Endpoint == toRefresh && !slices.Contains(made.refresh, a.Path) {
			made.refresh = append(made.refresh, a.Path)
		}
	}
	for _, a := range written {
		one := &served{Alias: a.Alias, h: h, terms: a.terms(), dialect: a.dialect(), refreshPath: h.cookies.refreshPath}
		if len(made.refresh) > 0 {
			one.refreshPath = made.refresh[0]
		}
		if a.Endpoint == toRefresh {
			one.refreshPath = a.Path
		}
		one.standard = h.pageOf(a.Endpoint, a.Method)
		made.add(a.Path, a.Method, one.serve)
		made.names[a.Method+" "+a.Path] = a.Endpoint
	}
	return made
}

// pageOf is what a browser's form is answered by, and a browser's GET of a
// login.
func (h *Handler) pageOf(endpoint, method string) http.HandlerFunc {
	switch {
	case endpoint == toLogin && method == http.MethodGet:
		return h.loginPage
	case endpoint == toLogin:
		return h.login
	case endpoint == toLogout && method == http.MethodPost:
		return h.logout
	}
	return nil
}

// add files an alias under its path. That no two have one place, checkPlaces has
// seen to.
func (as *aliases) add(path, method string, serve http.HandlerFunc) {
	if before, after, has := strings.Cut(path, "{id}"); has {
		as.variable = append(as.variable, variable{before, after, endpoint{method: serve}})
		return
	}
	if as.literal[path] == nil {
		as.literal[path] = endpoint{}
	}
	as.literal[path][method] = serve
}

// at is what the aliases answer at a path; nothing for one that is none of
// theirs. A literal path counts before one with a variable.
func (as *aliases) at(path string) endpoint {
	if e := as.literal[path]; e != nil {
		return e
	}
	for _, v := range as.variable {
		if _, ok := v.id(path); ok {
			return v.endpoint
		}
	}
	return nil
}

// endpointOf is the word for the endpoint of a request to an alias; nothing for
// one that is for none, or for a public profile.
func (as *aliases) endpointOf(r *http.Request) string {
	return as.names[answeredAs(r.Method)+" "+r.URL.Path]
}

// idIn is what stands for {id} in the path of an alias; nothing where there is
// none.
func (as *aliases) idIn(path string) string {
	for _, v := range as.variable {
		if id, ok := v.id(path); ok {
			return id
		}
	}
	return ""
}

// id is what stands for {id} in a path: one segment, not empty.
func (v variable) id(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, v.before)
	id, ok2 := strings.CutSuffix(rest, v.after)
	return id, ok && ok2 && id != "" && !strings.Contains(id, "/")
}

// ownsAlias tells whether a request is an alias's: by its method, and a preflight by
// the one that it asks about, where it may have an answer.
func (h *Handler) ownsAlias(r *http.Request) bool {
	e := h.aliases.at(r.URL.Path)
	// Of all that can be escaped in a path only a slash would make another of it.
	if e == nil || strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
		return false
	}
	method := r.Method
	if asked := r.Header.Get("Access-Control-Request-Method"); method == http.MethodOptions && asked != "" && slices.Contains(h.config.CORS.Origins, r.Header.Get("Origin")) {
		method = asked
	}
	return e[answeredAs(method)] != nil
}

// lookup is all that is answered at a path: the endpoint, and over it the
// aliases.
func (h *Handler) lookup(path string) (endpoint, bool) {
	own, ok := h.find(path)
	over := h.aliases.at(path)
	if over == nil {
		return own, ok
	}
	all := endpoint{}
	maps.Copy(all, own)
	maps.Copy(all, over)
	return all, true
}
