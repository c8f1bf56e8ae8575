package oldlogin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/oldlogin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	user   = "bob"
	secret = "S3CRET pass&word=\"ü\""
	path   = "/api/login"
	key    = "K3Y"
)

// old is an old application, and what is configured of it.
func old(t *testing.T, answer http.HandlerFunc) auth.MigrateFrom {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	from := auth.DefaultConfig().MigrateFrom
	from.LoginURL = server.URL + path + "?key=" + key
	from.Timeout = 30 * time.Second
	return from
}

// login asks once, and gives idle connections back.
func login(t *testing.T, from auth.MigrateFrom) (auth.NewAccount, error) {
	t.Helper()
	c := oldlogin.New()
	defer c.Close()
	return c.Login(t.Context(), from, auth.Credentials{Username: user, Password: secret})
}

// answering is an old application that always answers the same.
func answering(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

const (
	asJSON = "application/json; charset=utf-8"
	asHTML = "text/html; charset=utf-8"
	jwt    = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6MX0.c2lnbmF0dXJl"
)

func TestWhatCountsAsYesNoAndNeither(t *testing.T) {
	const yes, no, neither = "yes", "no", "neither"
	for _, test := range []struct {
		name, want      string
		status          int
		kind, body, key string // key: success_field
	}{
		{"JSON", yes, 200, asJSON, `{"token":"x"}`, ""},
		{"JSON of no type", yes, 200, "", ` {"token":"x"} `, ""},
		{"created", yes, 201, asJSON, `{"user":{"id":1}}`, "user.id"},
		{"nothing", yes, 204, "", "", ""},
		{"a bare token, as Express sends texts", yes, 200, asHTML, jwt, ""},
		{"a bare token in quotes", yes, 200, asJSON, `"` + jwt + `"`, ""},
		{"success", yes, 200, asJSON, `{"success":true,"error":null}`, "success"},

		{"a page", no, 200, asHTML, "<form>Wrong password</form>", ""},
		{"JSON that says that it is a page", no, 200, asHTML, `{"token":"x"}`, ""},
		{"a text", no, 200, "text/plain", "Invalid credentials", ""},
		{"a list", no, 200, asJSON, `[{"token":"x"}]`, ""},
		{"null", no, 200, asJSON, `null`, ""},
		{"two answers", no, 200, asJSON, `{"token":"x"}{"error":"y"}`, ""},
		{"broken JSON", no, 200, asJSON, `{"token":"x"`, ""},
		{"an error inside", no, 200, asJSON, `{"error":"wrong password"}`, ""},
		{"errors inside", no, 200, asJSON, `{"errors":[{"code":1}]}`, ""},
		{"no success", no, 200, asJSON, `{"success":false,"token":"x"}`, ""},
		{"not ok", no, 200, asJSON, `{"ok":0}`, ""},
		{"not authenticated", no, 200, asJSON, `{"authenticated":"false"}`, ""},
		{"a name with two dots", no, 200, "text/plain", "error.login.invalid", ""},
		{"a name with two dots in quotes", no, 200, asJSON, `"auth.failed.password"`, ""},
		{"a token without an algorithm", no, 200, "", "e30.e30.c2ln", ""},
		{"a message and nothing else", no, 200, asJSON, `{"message":"Invalid username or password"}`, ""},
		{"an empty object", yes, 200, asJSON, `{}`, ""},
		{"no auth and no token", no, 200, asJSON, `{"auth":false,"token":null}`, ""},
		{"no token", no, 200, asJSON, `{"message":"x","accessToken":null}`, ""},
		{"not logged in", no, 200, asJSON, `{"loggedIn":false,"user":"bob"}`, ""},
		{"a status of its own", no, 200, asJSON, `{"status":401,"user":"bob"}`, ""},
		{"a code of its own, as a text", no, 200, asJSON, `{"code":"403","data":{}}`, ""},
		{"a status in words", no, 200, asJSON, `{"status":"FAIL","data":{"title":"x"}}`, ""},
		{"a result in words", no, 200, asJSON, `{"result":"error","user":"bob"}`, ""},
		{"an error under another name", no, 200, asJSON, `{"error_description":"wrong password","user":"bob"}`, ""},
		{"a message that is named", yes, 200, asJSON, `{"message":"Welcome"}`, "message"},
		{"a status that says yes", yes, 200, asJSON, `{"status":200,"code":0,"result":"ok","auth":true,"token":"x","message":"Welcome"}`, ""},
		{"a user whose status is his own", yes, 200, asJSON, `{"status":"active","username":"bob"}`, ""},
		{"without the field", no, 200, asJSON, `{"user":{}}`, "user.id"},
		{"with an empty field", no, 200, asJSON, `{"user":{"id":""}}`, "user.id"},
		{"with a field that is no", no, 200, asJSON, `{"user":false}`, "user"},
		{"nothing where a field is wanted", no, 204, "", "", "user.id"},
		{"a bare token where a field is wanted", no, 200, asJSON, jwt, "token"},
		{"bad request", no, 400, asJSON, `{"token":"x"}`, ""},
		{"unauthorized", no, 401, asJSON, `{"token":"x"}`, ""},
		{"forbidden", no, 403, asJSON, `{"token":"x"}`, ""},
		{"not there", no, 404, asJSON, `{"token":"x"}`, ""},

		{"too many", neither, 429, asJSON, `{"token":"x"}`, ""},
		{"a fault", neither, 500, asJSON, `{"token":"x"}`, ""},
		{"away", neither, 503, asJSON, `{"token":"x"}`, ""},
		{"a huge answer", neither, 200, asJSON, `{"token":"` + strings.Repeat("x", 1<<20) + `"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := old(t, answering(test.status, test.kind, test.body))
			from.SuccessField = test.key
			_, err := login(t, from)
			got := neither
			switch {
			case err == nil:
				got = yes
			case errors.Is(err, auth.ErrInvalidCredentials):
				got = no
			}
			if got != test.want {
				t.Errorf("%s, want %s: %v", got, test.want, err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("the reason has lines: %q", err)
			}
		})
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var followed atomic.Bool
	from := old(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			followed.Store(true)
			return
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect) // which would send the password on
	})
	if _, err := login(t, from); !errors.Is(err, auth.ErrInvalidCredentials) || followed.Load() {
		t.Errorf("%v, followed %t", err, followed.Load())
	}
}

// seen is what an old application was sent.
type seen struct {
	method, uri, kind, body string
	header                  http.Header
}

func TestTheRequestIsMadeOfTheCredentialsAlone(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	var got seen
	from := old(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = seen{r.Method, r.RequestURI, r.Header.Get("Content-Type"), string(body), r.Header}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "old"})
	})
	from.UsernameField, from.PasswordField = "user", "pass"
	c := oldlogin.New()
	defer c.Close()
	for _, format := range []string{"json", "form", "json"} {
		from.Format = format
		if _, err := c.Login(t.Context(), from, auth.Credentials{Username: user, Password: secret}); err != nil {
			t.Fatal(err)
		}
		sent := map[string]string{}
		if format == "json" {
			if err := json.Unmarshal([]byte(got.body), &sent); err != nil || got.kind != "application/json" {
				t.Errorf("%s of %q: %v", got.kind, got.body, err)
			}
		} else {
			form, err := url.ParseQuery(got.body)
			if err != nil || got.kind != "application/x-www-form-urlencoded" {
				t.Errorf("%s of %q: %v", got.kind, got.body, err)
			}
			for name := range form {
				sent[name] = form.Get(name)
			}
		}
		if want := map[string]string{"user": user, "pass": secret}; !reflect.DeepEqual(sent, want) {
			t.Errorf("%s: sent %v", format, sent)
		}
		if got.method != http.MethodPost || got.uri != path+"?key="+key {
			t.Errorf("%s %s", got.method, got.uri)
		}
		for name := range got.header {
			if !strings.Contains("Accept, Content-Type, Content-Length, User-Agent", name) {
				t.Errorf("the field %s: %q was sent, too", name, got.header.Values(name))
			}
		}
	}
}

func TestPartsOfTheAnswerAreTakenOver(t *testing.T) {
	from := old(t, answering(200, asJSON, `{"user":{"id":42,"login":"bob","mail":"b@example.com","full":null,"roles":["user",{"x":1},7],"address":{"zip":"1010"},"tags":[]},"n":1e3,"yes":true}`))
	for _, test := range []struct {
		field, as string
		want      auth.NewAccount
	}{
		{"user.id", "id", auth.NewAccount{ID: "42"}},
		{"user.login", "username", auth.NewAccount{Username: "bob"}},
		{"user.mail", "email", auth.NewAccount{Email: "b@example.com"}},
		{"user.full", "name", auth.NewAccount{}},
		{"user.roles", "roles", auth.NewAccount{Roles: []string{"user", "7"}}},
		{"user.login", "roles", auth.NewAccount{Roles: []string{"bob"}}},
		{"user.address.zip", "fields.zip", auth.NewAccount{Fields: map[string][]string{"zip": {"1010"}}}},
		{"user.tags", "fields.tags", auth.NewAccount{}},
		{"user", "name", auth.NewAccount{}},
		{"yes", "name", auth.NewAccount{}},
		{"user.login.x", "name", auth.NewAccount{}},
		{"nothing.at.all", "name", auth.NewAccount{}},
	} {
		from.Fields = []auth.MigrateField{{Field: test.field, As: test.as}}
		got, err := login(t, from)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s as %s: got %+v, %v", test.field, test.as, got, err)
		}
	}
	from.Fields = []auth.MigrateField{{Field: "user.uuid", As: "id"}}
	if _, err := login(t, from); !errors.Is(err, auth.ErrInvalidCredentials) {
		t.Errorf("without the id: %v", err)
	}
}

// until is an old application that answers when the test lets it.
func until(free <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-free:
		case <-r.Context().Done():
		}
	}
}

func TestAnOldApplicationThatDoesNotAnswerIsGivenUp(t *testing.T) {
	free := make(chan struct{})
	defer close(free)
	silent := old(t, until(free))
	silent.Timeout = 100 * time.Millisecond
	slow := old(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"token":`)
		w.(http.Flusher).Flush()
		until(free)(w, r)
	})
	slow.Timeout = 100 * time.Millisecond
	gone := old(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.LoginURL = "http://" + l.Addr().String() + path + "?key=" + key
	l.Close()
	for name, from := range map[string]auth.MigrateFrom{"silent": silent, "slow": slow, "gone": gone} {
		_, err := login(t, from)
		if err == nil || errors.Is(err, auth.ErrInvalidCredentials) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, private := range []string{secret, "S3CRET", user, key, path} {
			if strings.Contains(err.Error(), private) {
				t.Errorf("%s: the error tells of %q: %v", name, private, err)
			}
		}
	}
}

func TestAClientThatHangsUpIsNoFaultOfTheOldApplication(t *testing.T) {
	free := make(chan struct{})
	defer close(free)
	ctx, cancel := context.WithCancel(t.Context())
	from := old(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		until(free)(w, r)
	})
	c := oldlogin.New()
	defer c.Close()
	if _, err := c.Login(ctx, from, auth.Credentials{Username: user, Password: secret}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A flood of unknown names reaches the old application as a trickle.
func TestFewLoginsRunAtOnce(t *testing.T) {
	var now, most atomic.Int32
	free := make(chan struct{})
	full := make(chan struct{})
	from := old(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == 8 {
			close(full)
		}
		until(free)(w, r)
	})
	c := oldlogin.New()
	defer c.Close()
	var wg sync.WaitGroup
	errs := make(chan error, 40)
	for range 40 {
		wg.Go(func() {
			_, err := c.Login(t.Context(), from, auth.Credentials{Username: user, Password: secret})
			errs <- err
		})
	}
	<-full
	hurried := from
	hurried.Timeout = 100 * time.Millisecond
	if _, err := c.Login(t.Context(), hurried, auth.Credentials{Username: user, Password: secret}); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("one more: %v", err)
	}
	close(free)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if most.Load() != 8 {
		t.Errorf("%d ran at once", most.Load())
	}
}

func TestACertificateThatNobodySignedIsRefused(t *testing.T) {
	var asked atomic.Bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	from := auth.DefaultConfig().MigrateFrom
	from.LoginURL = server.URL
	_, err := login(t, from)
	if err == nil || errors.Is(err, auth.ErrInvalidCredentials) || asked.Load() {
		t.Errorf("%v, asked %t", err, asked.Load())
	}
}

// FuzzAnswer: whatever an old application answers, the login ends, and takes
// over no more than it was sent.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{"user":{"id":1,"roles":["a"]}}`, jwt, "", "<html>", `{"a":{"a":{}}}`, `[]`, `{"error":{}}`, "\xff", `{"user":1e999}`} {
		f.Add(200, asJSON, []byte(seed))
	}
	f.Add(302, asHTML, []byte("x"))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		fields := []auth.MigrateField{{Field: "user.id", As: "id"}, {Field: "user.roles", As: "roles"}, {Field: "error.x", As: "fields.x"}}
		a, err := oldlogin.Judge(status, contentType, body, fields)
		if err != nil && !reflect.DeepEqual(a, auth.NewAccount{}) {
			t.Fatalf("%v, and an account: %+v", err, a)
		}
		if err == nil && (status < 200 || status > 299) {
			t.Fatalf("%d was a yes", status)
		}
		if len(fmt.Sprint(a)) > 8*len(body)+200 || err == nil && len(body) > 0 && a.ID == "" {
			t.Fatalf("%d bytes became %+v", len(body), a)
		}
		// Whatever was answered, what is said of it is one of a few sentences.
		if said := fmt.Sprint(err); len(said) > 100 || strings.ContainsFunc(said, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("the error repeats the answer: %v", err)
		}
	})
}
