package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// client is a user agent: it keeps cookies and shows redirects instead of
// following them.
type client struct {
	t     testing.TB
	base  string
	http  *http.Client
	agent http.Header // sent with every request
}

// reply is an answer, read to its end.
type reply struct {
	*http.Response
	body string
}

func (r reply) location() string { return r.Header.Get("Location") }

// tokens is what a login or a refresh answers.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	User         struct {
		ID, Username, Email, Name string
		Roles                     []string
	} `json:"user"`
}

func newClient(t testing.TB, base string) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t: t, base: base, agent: http.Header{}, http: &http.Client{
		Jar:           jar,
		Timeout:       patience,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// dialing is a transport that connects to one address, whatever the URL says.
func dialing(addr string) *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Second,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}
}

// client is a program: it says nothing of pages.
func (g *gateway) client() *client { return newClient(g.t, "http://"+g.addr) }

// browser is a person's browser on a navigation of the site's own.
func (g *gateway) browser() *client {
	c := g.client()
	c.agent.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	c.agent.Set("Sec-Fetch-Mode", "navigate")
	c.agent.Set("Sec-Fetch-Site", "same-origin")
	c.agent.Set("Sec-Fetch-Dest", "document")
	return c
}

// do sends one request; header lines are "Name: value".
func (c *client) do(method, path, body string, header ...string) reply {
	c.t.Helper()
	r, err := c.try(method, path, body, header...)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *client) try(method, path, body string, header ...string) (reply, error) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for name, values := range c.agent {
		req.Header[name] = values
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header[name] = append(req.Header[name], value) // as it is spelled
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp, string(text)}, err
}

func (c *client) get(path string, header ...string) reply {
	c.t.Helper()
	return c.do("GET", path, "", header...)
}

func (c *client) postJSON(path string, body any, header ...string) reply {
	c.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.do("POST", path, string(text), append(header, "Content-Type: application/json")...)
}

func (c *client) postForm(path string, form url.Values, header ...string) reply {
	c.t.Helper()
	return c.do("POST", path, form.Encode(), append(header, "Content-Type: application/x-www-form-urlencoded", "Origin: "+c.base)...)
}

// login is a program's login: the tokens come in the answer.
func (c *client) login(name string) tokens {
	c.t.Helper()
	r := c.postJSON("/auth/login", map[string]string{"username": name, "password": passwordOf(name)})
	if r.StatusCode != http.StatusOK {
		c.t.Fatalf("login as %s: %s\n%s", name, r.Status, r.body)
	}
	return c.tokens(r)
}

// loginForm is a browser's login: the tokens come as cookies.
func (c *client) loginForm(name string) {
	c.t.Helper()
	r := c.postForm("/auth/login", url.Values{"username": {name}, "password": {passwordOf(name)}, "rd": {"/"}})
	if r.StatusCode != http.StatusSeeOther {
		c.t.Fatalf("login of %s by form: %s\n%s", name, r.Status, r.body)
	}
}

func (c *client) tokens(r reply) tokens {
	c.t.Helper()
	var got tokens
	dec := json.NewDecoder(bytes.NewReader([]byte(r.body)))
	if err := dec.Decode(&got); err != nil {
		c.t.Fatalf("%s: %v\n%s", r.Status, err, r.body)
	}
	return got
}

func (c *client) refresh(token string) reply {
	c.t.Helper()
	return c.postJSON("/auth/refresh", map[string]string{"refresh_token": token})
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// cookie is the value of a cookie that the client would send to a path.
func (c *client) cookie(path, name string) string {
	c.t.Helper()
	u, err := url.Parse(c.base + path)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, cookie := range c.http.Jar.Cookies(u) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}

// cookies is the field that the client would send to a path.
func (c *client) cookies(path string) string {
	c.t.Helper()
	u, err := url.Parse(c.base + path)
	if err != nil {
		c.t.Fatal(err)
	}
	var pairs []string
	for _, cookie := range c.http.Jar.Cookies(u) {
		pairs = append(pairs, cookie.Name+"="+cookie.Value)
	}
	return "Cookie: " + strings.Join(pairs, "; ")
}

// want fails unless the answer has the status.
func (r reply) want(t testing.TB, status int, what string) reply {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("%s: got %s, want %d\n%s", what, r.Status, status, r.body)
	}
	return r
}

// code is the code of a problem document.
func (r reply) code() string {
	var problem struct{ Code string }
	json.Unmarshal([]byte(r.body), &problem)
	return problem.Code
}
