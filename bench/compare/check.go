package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// check makes sure that a contender does the work before it is measured: it
// lets in who may, keeps out who may not, and tells the application who asks,
// whatever the client says. One that verifies nothing only has to carry.
func check(c *contender) error {
	if err := admits(c, "/app/echo", c.tried.user); err != nil || c.auth == "" {
		return err
	}
	if err := admits(c, "/admin/echo", c.tried.admin); err != nil {
		return err
	}
	for _, refusal := range []struct {
		what, path, token string
		want              int
	}{
		{"no token", "/app/echo", "", http.StatusUnauthorized},
		{"no JWT", "/app/echo", "nonsense", http.StatusUnauthorized},
		{"a bad signature", "/app/echo", c.tried.forged, http.StatusUnauthorized},
		{"a token that has expired", "/app/echo", c.tried.expired, http.StatusUnauthorized},
		{"a bad signature for the administrator", "/admin/echo", c.tried.forged, http.StatusUnauthorized},
		{"the wrong role", "/admin/echo", c.tried.user, http.StatusForbidden},
	} {
		status, _, err := ask(c, refusal.path, refusal.token)
		if err != nil {
			return err
		}
		if status != refusal.want {
			return fmt.Errorf("%s for %s is answered %d, want %d", refusal.what, refusal.path, status, refusal.want)
		}
	}
	return nil
}

// admits reads in the application's echo what came to it. The client's own value is
// looked for in the whole head, so that it is found in another header as well.
func admits(c *contender, path, token string) error {
	status, head, err := ask(c, path, token)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("a good token for %s is answered %d", path, status)
	}
	if c.auth == "" {
		return nil
	}
	if strings.Contains(head, "evil") {
		return fmt.Errorf("the client's own identity reached the application:\n%s", head)
	}
	if !strings.Contains(strings.ToLower(head), "\nx-auth-user: ") {
		return fmt.Errorf("the application is not told who asks:\n%s", head)
	}
	return nil
}

// ask sends one request, with an identity that the client made up. Each has a
// connection of its own: a refusal may close it.
func ask(c *contender, path, token string) (status int, body string, err error) {
	r, err := http.NewRequest(http.MethodGet, "http://"+c.address+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("X-Auth-User", "evil")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}
