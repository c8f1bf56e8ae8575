package problem

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

//go:embed page.html problem.html
var templates embed.FS

//go:embed style.css
var pageCSS string

var (
	layout = template.Must(template.ParseFS(templates, "page.html"))
	told   = template.Must(template.ParseFS(templates, "problem.html"))
)

// Page is a page of the gateway's own: a title and what stands below it, in
// the gateway's one layout.
type Page struct {
	Title      string
	Content    template.HTML // made by html/template: what a client sent is escaped in it
	FormAction []string      // origins beside this one that a form's answer may lead to (CSP form-action)
	Script     string        // a constant of the program's that the page runs, and then it may fetch from this site; empty: none
}

// WritePage answers with a page. It may not be framed, runs no script but its
// own, loads nothing, tells no other site where it was left from and is not
// stored.
func WritePage(w http.ResponseWriter, r *http.Request, status int, p Page) {
	var body bytes.Buffer
	err := layout.Execute(&body, struct {
		Page
		Style  template.CSS
		Script template.JS
	}{p, template.CSS(pageCSS), template.JS(p.Script)})
	if err != nil { // a fault of the template, found by its test
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentSecurityPolicy(p))
	h.Set("Referrer-Policy", "same-origin") // not no-referrer: that makes a form's Origin "null", and the cross-origin check refuses it
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	h.Set("Cache-Control", "no-store")
	write(w, r, status, body.Bytes())
}

// contentSecurityPolicy allows the page its own style sheet and its own script,
// by digest, and its form, and nothing else.
func contentSecurityPolicy(p Page) string {
	policy := "default-src 'none'; style-src " + digestSource(pageCSS)
	if p.Script != "" {
		policy += "; script-src " + digestSource(p.Script) + "; connect-src 'self'"
	}
	return policy + "; form-action " + strings.Join(append([]string{"'self'"}, p.FormAction...), " ") +
		"; frame-ancestors 'none'; base-uri 'none'"
}

// digestSource allows one inline text (Content Security Policy Level 3, section
// 2.3.1).
func digestSource(text string) string {
	digest := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"
}

// problemPage is the page of a refusal, with the ways on from it and the
// request's id to quote to whoever runs the site.
func problemPage(r *http.Request, p Problem) Page {
	var content bytes.Buffer
	err := told.Execute(&content, struct {
		Problem
		Words     string
		Ways      []link
		RequestID string
	}{p, p.words(r), p.ways(r), r.Header.Get("X-Request-Id")})
	if err != nil {
		content.Reset()
	}
	return Page{Title: p.Title, Content: template.HTML(content.String())}
}
