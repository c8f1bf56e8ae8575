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
}

// WritePage answers with a page. It may not be framed, runs no script, loads
// nothing, tells no other site where it was left from and is not stored.
func WritePage(w http.ResponseWriter, r *http.Request, status int, p Page) {
	var body bytes.Buffer
	err := layout.Execute(&body, struct {
		Page
		Style template.CSS
	}{p, template.CSS(pageCSS)})
	if err != nil { // a fault of the template, found by its test
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentSecurityPolicy(p.FormAction))
	h.Set("Referrer-Policy", "same-origin") // not no-referrer: that makes a form's Origin "null", and the cross-origin check refuses it
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	h.Set("Cache-Control", "no-store")
	write(w, r, status, body.Bytes())
}

// contentSecurityPolicy allows the page its own style sheet, by digest, and its
// form, and nothing else.
func contentSecurityPolicy(formAction []string) string {
	digest := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'" +
		"; form-action " + strings.Join(append([]string{"'self'"}, formAction...), " ") +
		"; frame-ancestors 'none'; base-uri 'none'"
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
