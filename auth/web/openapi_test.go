package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// described is the description as an independent reader understands it. It is
// for no server in particular: the tests' sites have several names.
var described = sync.OnceValues(func() (routers.Router, error) {
	// What kin-openapi does not know how to read: pages, and keys.
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/jwk-set+json", openapi3filter.JSONBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/yaml", openapi3filter.PlainBodyDecoder)
	doc, err := openapi3.NewLoader().LoadFromData([]byte(description))
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	doc.Servers = nil
	return gorillamux.NewRouter(doc)
})

// conform holds one answer of the handler to the description: every status,
// field and member of it has to be there. Each answer that a test of this
// package asks for comes by here.
func conform(t *testing.T, r *http.Request, status int, header http.Header, body string) {
	t.Helper()
	router, err := described()
	if err != nil {
		t.Fatal("openapi.yaml: ", err)
	}
	asked := r.Clone(r.Context())
	if asked.Method == http.MethodHead { // answered as GET, without the body
		return
	}
	route, params, err := router.FindRoute(asked)
	var undescribed *routers.RouteError
	if errors.As(err, &undescribed) {
		// What is not described must not be answered; the endpoint that takes
		// every method says so in words.
		if status < 300 && asked.Method != http.MethodOptions {
			t.Errorf("%s %s is answered %d and not described", r.Method, r.URL.Path, status)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route},
		Status:                 status, Header: header, Body: io.NopCloser(strings.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	if err := openapi3filter.ValidateResponse(r.Context(), answer); err != nil {
		t.Errorf("%s %s is not answered as openapi.yaml says: %v", r.Method, r.URL.Path, err)
	}
}

// TestTheDescriptionNamesEveryEndpoint and every method of it, both ways.
func TestTheDescriptionNamesEveryEndpoint(t *testing.T) {
	s := newSite(t, everything)
	var doc struct {
		Paths map[string]map[string]any
	}
	parsed, err := openapi3.NewLoader().LoadFromData(s.ask("GET", "/auth/openapi.yaml").want(t, 200, "").bytes())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	delete(doc.Paths, "/auth/verify") // the gateway's: e2e proves it
	for path, methods := range doc.Paths {
		e, ok := s.handler.find(strings.NewReplacer("{id}", "x").Replace(path))
		if !ok {
			t.Errorf("%s is described and not answered", path)
			continue
		}
		for method := range methods {
			if method = strings.ToUpper(method); method != "PARAMETERS" && !slices.Contains(e.methods(), method) && path != "/auth/refresh" {
				t.Errorf("%s %s is described and not answered", method, path)
			}
		}
		for _, method := range e.methods() {
			if _, there := methods[strings.ToLower(method)]; !there && method != http.MethodHead {
				t.Errorf("%s %s is answered and not described", method, path)
			}
		}
	}
	for below := range s.handler.endpoints {
		path := "/auth" + below
		if _, there := doc.Paths[path]; !there {
			t.Errorf("%s is answered and not described", path)
		}
	}
}

// everything turns on what is off by default.
func everything(s *setup) { open(s); public(s) }

// TestTheDescriptionIsThisGateways: prefix, address and cookie are those of the
// configuration.
func TestTheDescriptionIsThisGateways(t *testing.T) {
	s := newSite(t, https, func(s *setup) { s.web.Prefix, s.web.Cookie.Name = "/gate/own", "door" })
	a := s.ask("GET", "/gate/own/openapi.yaml").want(t, 200, "")
	for _, want := range []string{"url: https://gw.test\n", "\n  /gate/own/login:\n", "name: __Host-door,", "Served at /gate/own/openapi.yaml"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the description lacks %q", want)
		}
	}
	if strings.Contains(a.body, "/auth/") || strings.Contains(a.body, "localhost") {
		t.Error("the description names paths or hosts of another gateway")
	}
	if _, err := openapi3.NewLoader().LoadFromData(a.bytes()); err != nil {
		t.Error(err)
	}
}

// TestTheDocsPageRunsItsOwnScriptAlone and shows every operation.
func TestTheDocsPageRunsItsOwnScriptAlone(t *testing.T) {
	s := newSite(t)
	a := s.ask("GET", "/auth/docs", navigation).want(t, 200, "")
	policy := a.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Count(a.body, "<script") != 1 {
		t.Errorf("the page may run more than its own script: %s", policy)
	}
	for _, want := range []string{"POST /auth/login", "DELETE /auth/sessions/{id}", "openapi.yaml", `data-type="application/x-www-form-urlencoded"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if login := s.ask("GET", "/auth/login", navigation); strings.Contains(login.Header.Get("Content-Security-Policy"), "script-src") {
		t.Error("the login page may run scripts")
	}
}

// TestABrokenDescriptionIsAnError and not an empty page.
func TestABrokenDescriptionIsAnError(t *testing.T) {
	for _, text := range []string{"paths: [", "paths: { /x: { get: [] } }"} {
		if all, err := parseOperations(text); err == nil {
			t.Errorf("%q gives %v", text, all)
		}
	}
	if page, err := docsPage("paths: [", "/auth", "http://gw.test"); err == nil {
		t.Errorf("a page of a broken description: %v", page)
	}
	if _, err := newDocs(DefaultConfig(), &url.URL{Scheme: "http", Host: "gw.test"}).page(); err != nil {
		t.Error(err)
	}
	if strings.Contains(docsScript, "innerHTML") {
		t.Error("the script writes markup: what an endpoint answers must stay text")
	}
}
