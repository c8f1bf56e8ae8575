package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/auth/web"
	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/gateway/config"
)

// doorCookie is what the doctor sends as a refresh token: none, and so of no
// session.
const doorCookie = "postern-doctor"

// parseDoor reads the public URL that the doctor is to go through.
func parseDoor(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, usagef("that is no public URL: write it as browsers see it, https://app.example.com") // not repeated: it may hold a password
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// checkDoor goes to the gateway as a browser would, through whatever stands
// before it. It learns no more than any stranger could.
func (d *doctor) checkDoor(ctx context.Context, file *config.File, door *url.URL) {
	public, err := url.Parse(file.PublicURL)
	if err != nil {
		return // the configuration's check has said so
	}
	if public.Scheme != door.Scheme || !strings.EqualFold(public.Host, door.Host) {
		d.warn("door", "set public_url to what browsers see, if that is "+door.String(), "public_url is %s, not %s", file.PublicURL, door)
	}
	client := &http.Client{
		Timeout:       probeTimeout,
		Transport:     &http.Transport{DisableKeepAlives: true}, // no proxy of the environment
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if d.checkLeadsHere(ctx, client, door) {
		id := d.checkCookies(ctx, client, file.WebConfig(), public, door)
		d.checkSeen(ctx, file.Admin.Listen, door, id)
	}
}

// checkLeadsHere compares the keys that are published at the door with those of
// the store. Where all are secret ones none is published, and an empty list is
// all that can be compared.
func (d *doctor) checkLeadsHere(ctx context.Context, client *http.Client, door *url.URL) bool {
	const keys = "/.well-known/jwks.json"
	resp, body, err := visit(ctx, client, door.String()+keys, "", nil)
	if err != nil {
		d.fail("door", "", "nobody answers at %s: %s", door, oneLine(err))
		return false
	}
	var set struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	switch {
	case resp.StatusCode == http.StatusMisdirectedRequest:
		d.fail("door", "have the proxy hand on the client's Host (nginx: proxy_set_header Host $host), or name it in hosts",
			"%s leads to a gateway that does not know its Host: the Host is lost on the way", door)
		return false
	case resp.StatusCode/100 == 3:
		d.fail("door", "give the URL that browsers see in the end", "%s sends on to %s", door, resp.Header.Get("Location"))
		return false
	case resp.StatusCode != http.StatusOK || json.Unmarshal(body, &set) != nil || set.Keys == nil:
		d.fail("door", "have the proxy hand on every path", "%s%s answers %d, and not as a gateway does", door, keys, resp.StatusCode)
		return false
	}
	for _, k := range set.Keys {
		if !slices.Contains(d.kids, k.KID) {
			d.fail("door", "run the doctor with the configuration of the gateway that answers there", "%s leads to a gateway with another store", door)
			return false
		}
	}
	d.good("door", "%s leads to this gateway", door)
	return true
}

// checkCookies refreshes with a cookie that is no token. Without a cookie the
// gateway would say that the request is wrong (400); with it that the login is
// over (401), and take the cookie back: so it tells both ways. It answers the id
// of that request, which no cache on the way can have answered.
func (d *doctor) checkCookies(ctx context.Context, client *http.Client, conf web.Config, public, door *url.URL) (id string) {
	_, name := web.CookieNames(conf, public)
	header := http.Header{
		"Content-Type": {"application/json"}, "Origin": {public.Scheme + "://" + public.Host}, "Cookie": {name + "=" + doorCookie},
	}
	resp, _, err := visit(ctx, client, door.String()+conf.Prefix+"/refresh", "{}", header)
	if err != nil {
		d.fail("door", "", "nobody answers at %s%s/refresh: %s", door, conf.Prefix, oneLine(err))
		return ""
	}
	back := slices.ContainsFunc(resp.Cookies(), func(c *http.Cookie) bool { return c.Name == name })
	switch {
	case resp.StatusCode == http.StatusBadRequest:
		d.fail("door", "have the proxy hand on the header Cookie", "the cookie %s is lost on the way to the gateway", name)
	case resp.StatusCode != http.StatusUnauthorized:
		d.warn("door", "", "%s%s/refresh answers %d: whether cookies arrive cannot be told", door, conf.Prefix, resp.StatusCode)
	case !back:
		d.fail("door", "have the proxy hand back the header Set-Cookie", "the cookie %s is lost on the way back from the gateway", name)
	default:
		d.good("door", "cookies arrive, both ways")
	}
	return resp.Header.Get("X-Request-Id")
}

// checkSeen asks the gateway itself, on its admin listener, what it took the
// scheme and the host of a request to be that came through the door: a stranger
// learns nothing by it.
func (d *doctor) checkSeen(ctx context.Context, admin string, door *url.URL, id string) {
	seen, err := d.remembered(ctx, admin, id)
	if err != nil {
		d.warn("door", "run the doctor beside the gateway that answers there", "whether the scheme arrives cannot be told: %s", oneLine(err))
		return
	}
	if bareHost(seen.Host) != bareHost(door.Host) {
		d.fail("door", "have the proxy hand on the client's Host (nginx: proxy_set_header Host $host)", "the Host is lost on the way: the gateway was asked for %s", seen.Host)
	}
	d.judgeScheme(seen, door)
}

// judgeScheme compares the scheme of the door with the one that the gateway saw.
func (d *doctor) judgeScheme(seen gateway.Decided, door *url.URL) {
	switch {
	case seen.Scheme == door.Scheme && seen.SchemeFrom == gateway.SchemeOfPublicURL:
		d.good("door", "the scheme is %s: no trusted proxy says so, public_url does", seen.Scheme)
	case seen.Scheme == door.Scheme:
		d.good("door", "the scheme %s arrives", seen.Scheme)
	case seen.SchemeFrom == gateway.SchemeOfProxy && door.Scheme == "https":
		d.fail("door", "have the proxy that ends TLS say X-Forwarded-Proto: https, and those behind it hand that on (nginx: proxy_set_header X-Forwarded-Proto $scheme)",
			"the scheme is lost on the way: a proxy says %s to the gateway", seen.Scheme)
	case door.Scheme == "https":
		d.fail("door", "set public_url to "+door.String()+", or trusted_proxies to the proxy that says X-Forwarded-Proto: https",
			"the gateway takes this site for %s: its cookies lack Secure, and the application makes links to http", seen.Scheme)
	default:
		d.warn("door", "have the proxy send http on to https", "%s is open, and the gateway takes it for %s: a browser there keeps no Secure cookie", door, seen.Scheme)
	}
}

// bareHost is a host in lower case without a port: whether a proxy adds or drops
// the scheme's own is of no account.
func bareHost(host string) string {
	u := url.URL{Host: strings.ToLower(host)}
	return u.Hostname()
}

// rememberTries is how often a decision is asked for: it is kept a moment after
// the answer was sent.
const rememberTries = 20

// remembered is what the gateway that runs here keeps of a request.
func (d *doctor) remembered(ctx context.Context, admin, id string) (seen gateway.Decided, err error) {
	if admin == "" || id == "" {
		return seen, errors.New("it has no admin listener (admin.listen), or a proxy takes X-Request-Id out of its answers")
	}
	for range rememberTries {
		seen, err = askRecorded(ctx, admin, id)
		if err == nil || ctx.Err() != nil {
			return seen, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return seen, err
}

// visit makes one request, with the header lines, and reads the start of the
// answer. A body makes it a POST.
func visit(ctx context.Context, client *http.Client, where, body string, header http.Header) (*http.Response, []byte, error) {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, where, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "postern doctor")
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp, text, err
}
