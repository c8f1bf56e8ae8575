// Package sampleapp is the little application that `postern demo` protects.
//
// It is what so many internal tools are: pages without any login, that believe
// the headers they are given. Each page shows the headers that arrived, so a
// person can see what an application behind Postern gets to know, and what a
// client cannot smuggle in.
//
// It must never be reachable but through a gateway.
package sampleapp

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

//go:embed page.html
var files embed.FS

// page is one page of the application; the policy of the demo says who sees it.
type page struct {
	Path, Title, Text string
}

// pages are the application's pages, in the order of its menu.
func pages() []page {
	return []page{
		{"/", "Welcome", "Everybody may read this page. The application behind it has no login of its own."},
		{"/app/home", "Members", "Whoever is logged in sees this page."},
		{"/mod/queue", "Moderation", "Moderators and administrators see this page."},
		{"/admin/report", "Administration", "Administrators alone see this page."},
	}
}

// seen is what a page shows of the request that arrived.
type seen struct {
	Page    page              `json:"-"`
	Pages   []page            `json:"-"`
	Title   string            `json:"page"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	User    string            `json:"user"`
	Roles   []string          `json:"roles"`
	Note    string            `json:"note,omitempty"`
	Headers map[string]string `json:"headers"`
	Names   []string          `json:"-"`
}

// New makes the application.
func New() (http.Handler, error) {
	tmpl, err := template.ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("sample application: %w", err)
	}
	mux := http.NewServeMux()
	for _, p := range pages() {
		pattern := p.Path
		if pattern == "/" {
			pattern = "/{$}"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { show(w, r, tmpl, p) })
	}
	return mux, nil
}

// show answers a page to a browser, and JSON to everything else.
func show(w http.ResponseWriter, r *http.Request, tmpl *template.Template, p page) {
	s := seen{Page: p, Pages: pages(), Title: p.Title, Method: r.Method, Path: r.URL.Path, Headers: map[string]string{}, Roles: []string{}}
	s.User = r.Header.Get("X-Auth-User")
	if roles := r.Header.Get("X-Auth-Roles"); roles != "" {
		s.Roles = strings.Split(roles, ",")
	}
	if r.Method == http.MethodPost {
		s.Note = r.PostFormValue("note")
	}
	for name, values := range r.Header {
		s.Headers[name] = strings.Join(values, " | ")
		s.Names = append(s.Names, name)
	}
	slices.Sort(s.Names)
	w.Header().Set("Vary", "Accept")
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = tmpl.Execute(w, s) // the reader has gone: nobody is left to tell
		return
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(s) // as above
}
