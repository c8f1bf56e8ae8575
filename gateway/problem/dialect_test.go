package problem

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// texted is a phrase whose body is its message.
func texted(code, field string, status int, message string) Phrase {
	return Phrase{Code: code, Field: field, Status: status, Message: message, Type: "text/plain",
		Render: func(message string, p Problem) []byte { return []byte(message) }}
}

func TestADialectSaysTheFirstPhraseThatFits(t *testing.T) {
	d := Dialect{Phrases: []Phrase{
		texted(TokenMissing, "", 403, "No token provided!"),
		texted(Conflict, "email", 400, "The address is in use."),
		texted(Conflict, "", 400, "The name is in use."),
		texted(Invalid, "", 0, "Failed! {error}"),
		texted(TokenExpired, "", 0, ""),
	}}
	invalid := Of(Invalid)
	invalid.Errors = []FieldError{{"password", "is too short"}, {"email", "is missing"}}
	taken := func(field string) Problem {
		p := Of(Conflict)
		p.Errors = []FieldError{{field, "is taken"}}
		return p
	}
	for _, test := range []struct {
		p         Problem
		status    int
		says      string
		challenge bool
	}{
		{Of(TokenMissing), 403, "No token provided!", false},
		{taken("email"), 400, "The address is in use.", false},
		{taken("username"), 400, "The name is in use.", false},
		{invalid, 422, "Failed! password is too short", false},
		{Of(TokenExpired), 401, Of(TokenExpired).Detail, true},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		if !d.Write(w, r, test.p) || w.Code != test.status || w.Body.String() != test.says || (w.Header().Get("WWW-Authenticate") != "") != test.challenge {
			t.Errorf("%s: %d %q %v", test.p.Code, w.Code, w.Body, w.Header())
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be stored", test.p.Code)
		}
	}
}

func TestWhatADialectDoesNotSayIsLeftAsItWas(t *testing.T) {
	d := Dialect{Phrases: []Phrase{texted(TokenMissing, "", 403, "No")}}
	page := httptest.NewRequest("GET", "/", nil)
	page.Header.Set("Accept", "text/html")
	for name, test := range map[string]struct {
		r *http.Request
		p Problem
	}{
		"another code":                {httptest.NewRequest("GET", "/", nil), Of(Forbidden)},
		"a browser that wants a page": {page, Of(TokenMissing)},
	} {
		w := httptest.NewRecorder()
		if d.Write(w, test.r, test.p) || w.Body.Len() != 0 || len(w.Header()) != 0 {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}

func TestADialectKeepsWhatAProblemDemands(t *testing.T) {
	d := Dialect{Phrases: []Phrase{texted("", "", 0, "")}}
	locked := Of(Locked)
	locked.RetryAfter = 90 * time.Second
	w := httptest.NewRecorder()
	if !d.Write(w, httptest.NewRequest("POST", "/", nil), locked) || w.Code != 429 || w.Header().Get("Retry-After") != "90" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	w = httptest.NewRecorder()
	if !d.Write(w, httptest.NewRequest("HEAD", "/", nil), locked) || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("a HEAD: %q %v", w.Body, w.Header())
	}
	chunked := httptest.NewRequest("POST", "/", strings.NewReader("x"))
	chunked.ContentLength, chunked.TransferEncoding = -1, []string{"chunked"}
	w = httptest.NewRecorder()
	if !d.Write(w, chunked, locked) || w.Header().Get("Connection") != "close" {
		t.Errorf("what follows a body of unknown length could be read as a request: %v", w.Header())
	}
}

func TestATokenHeaderTellsTheDialect(t *testing.T) {
	for _, test := range []struct {
		header, name, value string
		carried             bool
	}{
		{"X-Access-Token", "X-Access-Token", "abc", true}, {"X-Access-Token", "X-Access-Token", "", true}, {"X-Access-Token", "X-Auth-Token", "abc", false},
		{"Authorization", "Authorization", "Bearer abc", true}, {"Authorization", "Authorization", "bearer", true}, {"Authorization", "Authorization", "Basic abc", false},
		{"Authorization", "Authorization", "", false}, {"Authorization", "Cookie", "a=b", false},
	} {
		h := http.Header{}
		h.Set(test.name, test.value)
		if got := (Dialect{Header: test.header}).CarriedBy(h); got != test.carried {
			t.Errorf("%s in %v: %v", test.header, h, got)
		}
	}
}
