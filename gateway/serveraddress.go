package gateway

import (
	"net/url"
	"strings"

	"github.com/posternhq/postern/policy"
)

// serverAddress is where one of an upstream's urls leads: a host, or a unix socket,
// and the path that stands before every request's own.
type serverAddress struct {
	label  string // the url as metrics and logs show it
	scheme string // of the connection: http or https
	host   string // host:port; for a socket what stands for it in a URL
	name   string // what the Host header says with host: rewrite
	socket string // path of a unix socket; empty: a host
	h2c    bool   // HTTP/2 without TLS
	base   string // path, escaped, without a final slash
}

// socketHost stands in URLs for the socket: net/http keys its connections by
// the host, and each target has a transport of its own where it has a socket.
const socketHost = "localhost"

// parseAddress reads one of urls: http://, https:// or h2c:// with a host and
// at most a plain path, or unix:/path/of/a/socket. What it says of others
// repeats none of the URL, unless it can hold no password.
func parseAddress(raw string) (a serverAddress, complaint string) {
	if path, ok := strings.CutPrefix(raw, "unix:"); ok {
		if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsFunc(path, isControl) {
			return a, "must name the socket by its whole path: unix:/run/app.sock"
		}
		return serverAddress{label: raw, scheme: "http", host: socketHost, name: socketHost, socket: path}, ""
	}
	t, err := url.Parse(raw)
	switch {
	case validHost(raw): // and so no password
		return a, "\"" + raw + "\" is no URL: write http://" + raw
	case err != nil || !isSite(t) && (t.Scheme != "h2c" || !validHost(t.Host)):
		return a, "is no URL of an application (http, https, h2c or unix): write http://127.0.0.1:3000"
	case t.RawQuery != "" || t.User != nil || t.Fragment != "" || !plainBase(t):
		return a, "must be scheme, host and at most a plain path"
	}
	a = serverAddress{scheme: t.Scheme, host: t.Host, name: t.Host, h2c: t.Scheme == "h2c", base: strings.TrimSuffix(t.EscapedPath(), "/")}
	a.label = t.Scheme + "://" + t.Host + a.base
	if a.h2c {
		a.scheme = "http"
	}
	return a, ""
}

// isControl tells what no path of a file has on purpose.
func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// plainBase tells whether the path before every request's own is as plain as
// those must be.
func plainBase(t *url.URL) bool {
	base := strings.TrimSuffix(t.EscapedPath(), "/")
	if base == "" {
		return true
	}
	p, err := policy.ParsePath(base)
	return err == nil && p.Plain()
}
