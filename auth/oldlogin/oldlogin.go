// Package oldlogin asks the login of the application that a gateway takes over
// from, on behalf of a user whom the gateway does not know yet.
//
//	service, err := auth.New(ctx, auth.Options{..., OldLogin: oldlogin.New().Login})
//
// It is the one place where a password leaves the gateway, so it is narrow: one
// address, which the configuration names; one request, made here from nothing
// but the name and the password; an answer of bounded size within a bounded
// time; few at once. No field of the client's request is passed on, no redirect
// is followed, no proxy of the environment is used, and no cookie is kept.
//
// # What counts as yes
//
// A status of 2xx alone is not enough: applications with pages answer 200 and
// their form again, and some programs answer 200 with an error inside. So a yes
// is a 2xx with a JSON object that does not say otherwise, with a bare token (a
// JWT, as some answer), or with nothing at all. A page never is. What is taken
// for a yes by mistake lets everybody in as everybody who has not come along, so
// a no is looked for under all the names that such programs have for it, and
// success_field is there for the rest.
//
// A no is every other answer but those that say "not now": 408, 429 and 5xx,
// and an answer too long to be read, leave it open whether the user is real.
package oldlogin

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/posternhq/postern/auth"
)

const (
	maxAnswer = 64 << 10
	// atOnce is how many requests run at a time. A flood of unknown names must
	// not become a flood at the old application.
	atOnce = 8
)

// Client asks old applications. Its methods may be called at once.
type Client struct {
	http  *http.Client
	slots chan struct{}
}

// New makes a Client that trusts the system's certificate authorities.
func New() *Client {
	return &Client{
		slots: make(chan struct{}, atOnce),
		http: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
				DisableCompression:     true, // what is bounded is what was sent
				MaxConnsPerHost:        atOnce,
				MaxIdleConnsPerHost:    atOnce,
				MaxResponseHeaderBytes: maxAnswer,
				ForceAttemptHTTP2:      true,
			},
		},
	}
}

// Close gives back the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Login implements auth.OldLogin. No error of it has the credentials, the
// answer, or the path and query of the address in it.
func (c *Client) Login(ctx context.Context, from auth.MigrateFrom, cr auth.Credentials) (auth.NewAccount, error) {
	limited, cancel := context.WithTimeout(ctx, from.Timeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-limited.Done():
		return auth.NewAccount{}, because(ctx, errors.New("too many logins wait for the old application"))
	}
	req, err := request(limited, from, cr)
	if err != nil {
		return auth.NewAccount{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return auth.NewAccount{}, because(ctx, bare(err))
	}
	defer resp.Body.Close()
	if err := judge(resp.StatusCode); err != nil {
		return auth.NewAccount{}, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return auth.NewAccount{}, because(ctx, bare(err))
	case len(body) > maxAnswer:
		return auth.NewAccount{}, fmt.Errorf("the answer is longer than %d KiB", maxAnswer>>10)
	}
	answer, err := read(resp.Header.Get("Content-Type"), body)
	if err != nil {
		return auth.NewAccount{}, err
	}
	switch {
	case from.SuccessField == "" && saysOnlyWords(answer):
		return auth.NewAccount{}, no("the answer has nothing but a message")
	case from.SuccessField != "" && !says(answer, from.SuccessField):
		return auth.NewAccount{}, no("the answer lacks " + from.SuccessField)
	}
	return account(answer, from.Fields)
}

// because tells a client that hung up from an old application that is slow.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("it did not answer in time")
	}
	return err
}

// bare is an error without the address that net/http puts before it, whose
// query may hold a key.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// no is a no, and the reason for it.
func no(reason string) error { return fmt.Errorf("%w: %s", auth.ErrInvalidCredentials, reason) }

// request makes the request, of the credentials and nothing else.
func request(ctx context.Context, from auth.MigrateFrom, cr auth.Credentials) (*http.Request, error) {
	kind := "application/json"
	body, err := json.Marshal(map[string]string{from.UsernameField: cr.Username, from.PasswordField: cr.Password})
	if from.Format == "form" {
		kind = "application/x-www-form-urlencoded"
		body = []byte(url.Values{from.UsernameField: {cr.Username}, from.PasswordField: {cr.Password}}.Encode())
	}
	if err != nil {
		return nil, errors.New("the credentials cannot be written as JSON")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, from.LoginURL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("migrate_from.login_url is no address")
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "postern")
	return req, nil
}

// judge takes a status for a yes (nil), a no, or neither.
func judge(status int) error {
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		return fmt.Errorf("the old application answered %d", status)
	}
	return no(fmt.Sprintf("the old application answered %d", status))
}

// bareToken is what a JWT in the compact form looks like, as the whole of an answer.
var bareToken = regexp.MustCompile(`^"?([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"?$`)

// isToken tells a JWT, whose header names an algorithm, from the name of a
// message: error.login.invalid.
func isToken(text []byte) bool {
	parts := bareToken.FindSubmatch(text)
	if parts == nil {
		return false
	}
	header, err := base64.RawURLEncoding.DecodeString(string(parts[1]))
	var h struct {
		Alg string `json:"alg"`
	}
	return err == nil && json.Unmarshal(header, &h) == nil && h.Alg != ""
}

// read reads the body of a 2xx. The type of a bare token is not looked at:
// Express says text/html of every text.
func read(contentType string, body []byte) (map[string]any, error) {
	text := bytes.TrimSpace(body)
	media, _, _ := mime.ParseMediaType(contentType) // what is none is no page either
	switch {
	case len(text) == 0 || isToken(text):
		return nil, nil
	case strings.Contains(media, "html"):
		return nil, no("the old application answered a page")
	}
	var answer map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&answer); err != nil || answer == nil {
		return nil, no("the old application answered neither JSON nor a token")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, no("the old application answered more than one JSON object")
	}
	if reason := refusalIn(answer); reason != "" {
		return nil, no(reason)
	}
	return answer, nil
}
