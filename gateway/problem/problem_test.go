package problem

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// answer is what a client gets for p over a real connection.
func answer(t *testing.T, p Problem, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Request-Id", "req-1") // the gateway sets it
		Write(w, r, p)
	}))
	t.Cleanup(server.Close)
	req, err := http.NewRequest(http.MethodGet, server.URL+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func browser(r *http.Request) {
	r.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
}

func TestEveryCodeHasTheStatusOfTheInterface(t *testing.T) {
	want := map[string]int{
		"token_missing": 401, "token_malformed": 401, "token_invalid": 401, "token_expired": 401, "token_revoked": 401,
		"reauthentication_required": 401, "invalid_credentials": 401,
		"refresh_invalid": 401, "refresh_expired": 401, "refresh_reused": 401,
		"locked": 429, "rate_limited": 429, "forbidden": 403, "cross_origin": 403, "too_large": 413,
		"unsupported_media_type": 415, "unknown_host": 421, "no_route": 404, "method_not_allowed": 405,
		"bad_path": 400, "bad_request": 400, "conflict": 409, "invalid": 422,
		"upstream_unavailable": 502, "upstream_timeout": 504, "unavailable": 503,
	}
	if got := Codes(); len(got) != len(want) {
		t.Errorf("%d codes, interface.md 3.2 lists %d: %v", len(got), len(want), got)
	}
	for code, status := range want {
		p := Of(code)
		if p.Status != status || p.Code != code {
			t.Errorf("Of(%s) is %d %s, want %d", code, p.Status, p.Code, status)
		}
		if p.Title == "" || p.Detail == "" {
			t.Errorf("%s has no words", code)
		}
	}
}

func TestAWordThatIsNoCodeIsUnavailable(t *testing.T) {
	if p := Of("oops"); p.Status != 503 || p.Code != Unavailable {
		t.Errorf("got %d %s", p.Status, p.Code)
	}
}

func TestTheZeroProblemIsNoSuccess(t *testing.T) {
	for _, p := range []Problem{{}, {Status: 200, Code: "allow"}, {Status: 500}} {
		if res, _ := answer(t, p, nil); res.StatusCode != 503 {
			t.Errorf("%+v answered %d", p, res.StatusCode)
		}
	}
}

func TestAProgramGetsAProblemDocument(t *testing.T) {
	for _, code := range Codes() {
		res, body := answer(t, Of(code), nil)
		var doc map[string]any
		if err := json.Unmarshal([]byte(body), &doc); err != nil {
			t.Fatalf("%s: %v in %s", code, err, body)
		}
		if ct := res.Header.Get("Content-Type"); ct != "application/problem+json" {
			t.Errorf("%s: Content-Type %s", code, ct)
		}
		for name, want := range map[string]any{"type": "about:blank", "title": http.StatusText(res.StatusCode),
			"status": float64(res.StatusCode), "detail": Of(code).Detail, "code": code, "request_id": "req-1"} {
			if doc[name] != want {
				t.Errorf("%s: %s is %v, want %v", code, name, doc[name], want)
			}
		}
	}
}

func TestEveryRefusalIsNoStoreAndNosniffAndCarriesTheRequestID(t *testing.T) {
	for _, change := range []func(*http.Request){nil, browser} {
		res, _ := answer(t, Of(Forbidden), change)
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"X-Request-Id": "req-1", "Vary": "Accept, Sec-Fetch-Mode"} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

func TestFieldErrorsAreListed(t *testing.T) {
	p := Of(Invalid)
	p.Errors = []FieldError{{Field: "new", Message: "is too short"}}
	if _, body := answer(t, p, nil); !strings.Contains(body, `"errors":[{"field":"new","message":"is too short"}]`) {
		t.Error(body)
	}
	if _, body := answer(t, p, browser); !strings.Contains(body, "<li>new: is too short</li>") {
		t.Error(body)
	}
}

func TestEvery401NamesAChallenge(t *testing.T) {
	for _, test := range []struct {
		p    Problem
		want string
	}{
		{Of(TokenMissing), `Bearer realm="postern"`}, // RFC 6750 section 3.1: no error without a token
		{Of(InvalidCredentials), `Bearer realm="postern"`},
		{Of(TokenExpired), `Bearer realm="postern", error="invalid_token"`},
		{Of(TokenRevoked), `Bearer realm="postern", error="invalid_token"`},
		{Of(RefreshReused), `Bearer realm="postern", error="invalid_token"`},
		{Reauthenticate(10 * time.Minute), `Bearer realm="postern", error="insufficient_user_authentication", max_age="600"`},
	} {
		res, _ := answer(t, test.p, nil)
		if got := res.Header.Get("WWW-Authenticate"); got != test.want {
			t.Errorf("%s: %s, want %s", test.p.Code, got, test.want)
		}
	}
	for code, challenges := range map[string]int{TokenMissing: 2, TokenExpired: 2, ReauthenticationRequired: 1, Forbidden: 0} {
		p := Of(code)
		p.Basic = true
		res, _ := answer(t, p, nil)
		got := res.Header.Values("WWW-Authenticate")
		if len(got) != challenges || challenges == 2 && got[1] != `Basic realm="postern", charset="UTF-8"` {
			t.Errorf("%s with Basic: %q", code, got)
		}
	}
	if res, _ := answer(t, Of(Forbidden), nil); res.Header.Get("WWW-Authenticate") != "" {
		t.Error("a 403 challenges: to be known would change nothing")
	}
}

func TestReauthenticationSaysHowFresh(t *testing.T) {
	if _, body := answer(t, Reauthenticate(90*time.Second), nil); !strings.Contains(body, `"max_age":90`) {
		t.Error(body)
	}
	if _, body := answer(t, Of(TokenExpired), nil); strings.Contains(body, "max_age") {
		t.Error(body)
	}
}

func TestRetryAfterIsRoundedUpToSeconds(t *testing.T) {
	for wait, want := range map[time.Duration]string{0: "", time.Nanosecond: "1", 1500 * time.Millisecond: "2", 15 * time.Minute: "900"} {
		p := Of(Locked)
		p.RetryAfter = wait
		if res, _ := answer(t, p, nil); res.Header.Get("Retry-After") != want {
			t.Errorf("%v: %q, want %q", wait, res.Header.Get("Retry-After"), want)
		}
	}
}

func TestA405NamesTheMethodsThereAre(t *testing.T) {
	res, _ := answer(t, Method("GET", "HEAD"), nil)
	if got := res.Header.Get("Allow"); res.StatusCode != 405 || got != "GET, HEAD" {
		t.Errorf("%d, Allow %q", res.StatusCode, got)
	}
}

func TestAHEADGetsTheFieldsAndNoBody(t *testing.T) {
	for _, accept := range []string{"*/*", "text/html"} {
		r := httptest.NewRequest(http.MethodHead, "/", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder() // keeps what net/http would cut off
		Write(w, r, Of(NoRoute))
		if w.Code != 404 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
			t.Errorf("%s: %d, %d bytes, Content-Length %s", accept, w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
		}
	}
}

func TestAConnectionWithARestOfABodyIsClosed(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		closed bool
	}{
		{"no body", func(r *http.Request) {}, false},
		{"a small body", func(r *http.Request) { r.ContentLength = 100 }, false},
		{"a large body", func(r *http.Request) { r.ContentLength = drainable + 1 }, true},
		{"a chunked body", func(r *http.Request) { r.TransferEncoding, r.ContentLength = []string{"chunked"}, -1 }, true},
		{"chunked with a length (SM-001)", func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, true},
		{"HTTP/2 has streams", func(r *http.Request) { r.ProtoMajor, r.ContentLength = 2, -1 }, false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		test.change(r)
		w := httptest.NewRecorder()
		Write(w, r, Of(Forbidden))
		if closed := w.Header().Get("Connection") == "close"; closed != test.closed {
			t.Errorf("%s: closed %v", test.name, closed)
		}
	}
}

func TestNavigationsAreToldApartFromPrograms(t *testing.T) {
	for _, test := range []struct {
		name             string
		header           map[string]string
		page, navigation bool
	}{
		{"nothing said", nil, false, false},
		{"curl, fetch", map[string]string{"Accept": "*/*"}, false, false},
		{"an old browser", map[string]string{"Accept": "text/html, */*;q=0.1"}, true, true},
		{"html refused", map[string]string{"Accept": "text/html;q=0, application/json"}, false, false},
		{"html in a parameter", map[string]string{"Accept": `application/json;x="text/html"`}, false, false},
		{"jQuery", map[string]string{"Accept": "text/html, */*", "X-Requested-With": "XMLHttpRequest"}, false, false},
		{"a script's JSON", map[string]string{"Accept": "text/html, */*", "Content-Type": "application/json; charset=utf-8"}, false, false},
		{"a script's problem", map[string]string{"Accept": "text/html", "Content-Type": "application/problem+json"}, false, false},
		{"a form", map[string]string{"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}, true, true},
		{"a body of no type", map[string]string{"Accept": "text/html", "Content-Type": ";"}, true, true},
		{"a browser", map[string]string{"Sec-Fetch-Mode": "navigate"}, true, true},
		{"its fetch for html", map[string]string{"Sec-Fetch-Mode": "cors", "Accept": "text/html"}, false, false},
		{"its image", map[string]string{"Sec-Fetch-Mode": "no-cors", "Accept": "text/html"}, false, false},
		{"its socket", map[string]string{"Sec-Fetch-Mode": "websocket"}, false, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for name, value := range test.header {
			r.Header.Set(name, value)
		}
		if WantsPage(r) != test.page || IsNavigation(r) != test.navigation {
			t.Errorf("%s: page %v, navigation %v", test.name, WantsPage(r), IsNavigation(r))
		}
		r.Method = http.MethodPost
		if IsNavigation(r) || WantsPage(r) != test.page {
			t.Errorf("%s, posted: navigation %v, page %v", test.name, IsNavigation(r), WantsPage(r))
		}
	}
}

func TestCodesAreSortedAndWithoutRepeats(t *testing.T) {
	codes := Codes()
	if !slices.IsSorted(codes) || len(slices.Compact(slices.Clone(codes))) != len(codes) {
		t.Error(codes)
	}
}

func FuzzNavigation(f *testing.F) {
	f.Add("text/html;q=0.9,*/*", "", "")
	f.Add("text/html;q=", "navigate", "x")
	f.Fuzz(func(t *testing.T, accept, mode, with string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Accept"], r.Header["Sec-Fetch-Mode"], r.Header["X-Requested-With"] = []string{accept}, []string{mode}, []string{with}
		page := WantsPage(r)
		if page && mode != "navigate" && (mode != "" || with != "" || !strings.Contains(strings.ToLower(accept), "text/html")) {
			t.Errorf("%q %q %q wants a page", accept, mode, with)
		}
	})
}
