package sampleapp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/posternhq/postern/cmd/postern/sampleapp"
)

func ask(t *testing.T, method, target, body string, header http.Header) (int, string) {
	t.Helper()
	app, err := sampleapp.New()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	app.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(text)
}

func TestAProgramGetsTheHeadersThatArrivedAsJSON(t *testing.T) {
	code, body := ask(t, "GET", "/app/home", "", http.Header{"X-Auth-User": {"alice"}, "X-Auth-Roles": {"user,moderator"}, "X-Other": {"1", "2"}})
	if code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	var got struct {
		Page, User string
		Roles      []string
		Headers    map[string]string
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Page != "Members" || got.User != "alice" || strings.Join(got.Roles, "+") != "user+moderator" || got.Headers["X-Other"] != "1 | 2" {
		t.Errorf("got %+v", got)
	}
}

func TestABrowserGetsAPageAndNothingInItIsMarkup(t *testing.T) {
	code, body := ask(t, "GET", "/", "", http.Header{"Accept": {"text/html"}, "X-Auth-User": {"<b>alice</b>"}})
	if code != http.StatusOK || !strings.Contains(body, "<h1>Welcome</h1>") {
		t.Fatalf("status %d, body %s", code, body)
	}
	if strings.Contains(body, "<b>alice") {
		t.Error("a header's value became markup")
	}
}

func TestAFormIsEchoed(t *testing.T) {
	header := http.Header{"Accept": {"text/html"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	if _, body := ask(t, "POST", "/mod/queue", "note=still+here", header); !strings.Contains(body, "<q>still here</q>") {
		t.Errorf("the note is missing in %s", body)
	}
}

func TestUnknownPagesAreNotFound(t *testing.T) {
	for _, path := range []string{"/nowhere", "/app", "/admin/report/x"} {
		if code, _ := ask(t, "GET", path, "", nil); code != http.StatusNotFound {
			t.Errorf("%s: status %d", path, code)
		}
	}
}
