package problem

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestABrowserGetsAPageThatSaysTheSame(t *testing.T) {
	for _, code := range Codes() {
		p := Of(code)
		res, body := answer(t, p, browser)
		if res.StatusCode != p.Status || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d %s", code, res.StatusCode, res.Header.Get("Content-Type"))
		}
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		for _, want := range []string{"<h1>" + p.Title + "</h1>", code, "req-1", template.HTMLEscapeString(p.words(r))} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: the page lacks %q", code, want)
			}
		}
	}
}

func TestThePolicyAllowsTheStyleSheetThatThePageCarriesAndNothingElse(t *testing.T) {
	res, body := answer(t, Of(NoRoute), browser)
	_, rest, _ := strings.Cut(body, "<style>")
	style, _, found := strings.Cut(rest, "</style>")
	if !found || len(style) < 200 {
		t.Fatalf("no style sheet in %s", body)
	}
	digest := sha256.Sum256([]byte(style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) +
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	if got := res.Header.Get("Content-Security-Policy"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPagesRunNoScriptLoadNothingAndAreNotFramed(t *testing.T) {
	res, body := answer(t, Of(NoRoute), browser)
	for _, no := range []string{"<script", "<img", "<link", "src=", "@import", "url(", " style=", " on"} {
		// " on" is an event handler's beginning inside a tag
		for tag := range strings.SplitSeq(body, "<") {
			tag, _, _ = strings.Cut(tag, ">")
			if strings.Contains("<"+tag, no) {
				t.Errorf("the page has %q in <%s>", no, tag)
			}
		}
	}
	if res.Header.Get("X-Frame-Options") != "DENY" {
		t.Error("an old browser would frame it")
	}
}

// With no-referrer a browser sends its form with "Origin: null", which the
// cross-origin check refuses: the login form would not work.
func TestTheReferrerPolicyKeepsTheOriginOfForms(t *testing.T) {
	if res, _ := answer(t, Of(NoRoute), browser); res.Header.Get("Referrer-Policy") != "same-origin" {
		t.Error(res.Header.Get("Referrer-Policy"))
	}
}

func TestWhatAClientSentIsEscapedOnThePage(t *testing.T) {
	p := Of(Invalid)
	p.Detail = `<script>alert(1)</script>`
	p.Errors = []FieldError{{Field: `"><svg onload=1>`, Message: `<b>`}}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("X-Request-Id", `<i>`)
	w := httptest.NewRecorder()
	Write(w, r, p)
	for _, no := range []string{"<script", "<svg", "<b>", "<i>"} {
		if strings.Contains(w.Body.String(), no) {
			t.Errorf("%s stands on the page:\n%s", no, w.Body)
		}
	}
}

func TestAFormMayLeadToTheNamedOriginsOnly(t *testing.T) {
	w := httptest.NewRecorder()
	WritePage(w, httptest.NewRequest(http.MethodGet, "/", nil), 200, Page{Title: "T", FormAction: []string{"https://a.example.com"}})
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "; form-action 'self' https://a.example.com; ") {
		t.Error(csp)
	}
}

func TestPagesAreReadableInLightAndDarkAndByName(t *testing.T) {
	_, body := answer(t, Of(NoRoute), browser)
	for _, want := range []string{`<html lang="en">`, `<meta name="viewport"`, "prefers-color-scheme: dark", "color-scheme: light dark",
		"<main>", "<title>There is nothing here</title>", ":focus-visible"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}
