package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// transcript collects what a command says while it runs.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until the pattern appears and answers its first group.
func (s *transcript) await(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for range 2400 { // a minute
		if m := re.FindStringSubmatch(s.String()); m != nil {
			return m[1]
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("%q never came:\n%s", pattern, s.String())
	return ""
}

// environ is the environment without what steers the tests: the command would
// warn of it.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "POSTERN_TEST_") })
}

// demonstration is a running `postern demo`.
type demonstration struct {
	url            string
	stdout, stderr transcript
}

// start runs a command that serves until the test ends, in an empty folder.
func start(t *testing.T, stdout, stderr *transcript, env []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	env = append(append(environ(), "POSTERN_LISTEN=127.0.0.1:0", "POSTERN_ADMIN_LISTEN=127.0.0.1:0"), env...)
	go func() {
		done <- run(&system{ctx: ctx, env: env, stdin: strings.NewReader(""), stdout: stdout, stderr: stderr}, args)
	}()
	t.Cleanup(func() {
		cancel()
		if status := <-done; status != exitDone {
			t.Errorf("%v ended with %d:\n%s", args, status, stderr.String())
		}
	})
}

func startDemo(t *testing.T) *demonstration {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Chdir(t.TempDir())
	d := &demonstration{}
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
			t.Errorf("the demonstration left %v behind", left)
		}
	})
	start(t, &d.stdout, &d.stderr, nil, "demo")
	d.url = d.stderr.await(t, `In a browser:\s+(http://\S+)`)
	return d
}

func (d *demonstration) login(t *testing.T, user string) string {
	t.Helper()
	return login(t, d.url, user, user+"-password")
}

// login answers the access token.
func login(t *testing.T, url, user, password string) string {
	t.Helper()
	body := `{"username":"` + user + `","password":"` + password + `"}`
	resp, err := http.Post(url+"/auth/login", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("login as %s: %s %v", user, resp.Status, err)
	}
	return answer.AccessToken
}

func (d *demonstration) get(t *testing.T, path, token string) (int, string) {
	t.Helper()
	return get(t, d.url+path, token)
}

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestTheDemonstrationShowsEachUserTheirPages(t *testing.T) {
	d := startDemo(t)
	tokens := map[string]string{"nobody": ""}
	for _, user := range demoUsers() {
		tokens[user.Username] = d.login(t, user.Username)
	}
	for _, test := range []struct {
		path string
		want map[string]int
	}{
		{"/", map[string]int{"nobody": 200, "alice": 200, "mod": 200, "admin": 200}},
		{"/app/home", map[string]int{"nobody": 401, "alice": 200, "mod": 200, "admin": 200}},
		{"/mod/queue", map[string]int{"nobody": 401, "alice": 403, "mod": 200, "admin": 200}},
		{"/admin/report", map[string]int{"nobody": 401, "alice": 403, "mod": 403, "admin": 200}},
		{"/nowhere", map[string]int{"nobody": 404, "alice": 404, "mod": 404, "admin": 404}},
	} {
		for user, want := range test.want {
			code, body := d.get(t, test.path, tokens[user])
			if code != want {
				t.Errorf("%s as %s: %d, want %d", test.path, user, code, want)
			}
			if code == 200 && user != "nobody" && !strings.Contains(body, `"user": "`+user+`"`) {
				t.Errorf("%s as %s: the application was not told: %s", test.path, user, body)
			}
		}
	}
}

func TestTheDemonstrationPrintsNoSecretIntoItsLog(t *testing.T) {
	d := startDemo(t)
	token := d.login(t, "alice")
	d.get(t, "/app/home?secret=hunter2", token)
	log := d.stdout.String()
	if !strings.Contains(log, `"msg":"request"`) {
		t.Fatalf("no access log line:\n%s", log)
	}
	for _, secret := range []string{"alice-password", token, "hunter2"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}
