package web

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// returner decides where a browser may be sent back to.
type returner struct {
	prefix  string
	scheme  string   // of absolute targets: the public URL's
	hosts   []string // that absolute targets may name; none without a cookie domain
	origins []string // the same as origins, for the page's form-action
}

// newReturner reads out of the configuration who shares the login. Without a
// cookie domain nobody does, whatever hosts says: the cookies would not follow.
func newReturner(c Config, publicURL *url.URL, hosts []string) returner {
	rt := returner{prefix: c.Prefix, scheme: publicURL.Scheme}
	if c.Cookie.Domain == "" {
		return rt
	}
	for _, host := range append([]string{publicURL.Host}, hosts...) {
		host = strings.ToLower(host)
		// A host named without a port is at the public URL's.
		if _, _, err := net.SplitHostPort(host); err != nil && publicURL.Port() != "" {
			host += ":" + publicURL.Port()
		}
		if !slices.Contains(rt.hosts, host) {
			rt.hosts = append(rt.hosts, host)
			rt.origins = append(rt.origins, rt.scheme+"://"+host)
		}
	}
	return rt
}

// target turns what a request gave as rd (percent-decoded once, by the query
// or form parser) into a Location: a path of this site, or "/" for all else.
// The rule is interface.md's, checked on the text and again on its parse, since
// an open redirect is a difference between two readers: "/\evil.test",
// "//evil.test" and "/<tab>/evil.test" are hosts to a browser (oauth2-proxy's
// openredirects.txt). A target that would ask for the login again is "/" too.
func (t returner) target(rd string) string {
	if strings.ContainsFunc(rd, func(c rune) bool { return c < 0x20 || c == 0x7f }) {
		return "/"
	}
	u, err := url.Parse(rd)
	if err != nil || u.Opaque != "" || u.User != nil {
		return "/"
	}
	if !t.samePath(rd, u) && !t.knownHost(rd, u) {
		return "/"
	}
	switch below, _ := strings.CutPrefix(u.Path, t.prefix); below {
	case "/login", "/logout", "/refresh", "/register":
		return "/"
	}
	return escape(rd)
}

// samePath accepts a path of this site.
func (t returner) samePath(rd string, u *url.URL) bool {
	return strings.HasPrefix(rd, "/") && u.Scheme == "" && u.Host == "" &&
		(len(rd) == 1 || (rd[1] != '/' && rd[1] != '\\'))
}

// knownHost accepts an absolute URL of a host that shares the login. The text
// must begin with exactly the origin that the parse found, and go on as a URL
// does there, so that no reader ends the host elsewhere.
func (t returner) knownHost(rd string, u *url.URL) bool {
	origin := t.scheme + "://" + u.Host
	rest, ok := strings.CutPrefix(rd, origin)
	return ok && slices.Contains(t.hosts, strings.ToLower(u.Host)) && (rest == "" || rest[0] == '/' || rest[0] == '?')
}

// escape percent-encodes what a Location cannot carry as it is, and leaves the
// rest byte for byte: the request that comes back must be the one that was
// sent away. A backslash is among it, being a slash to browsers.
func escape(rd string) string {
	var b strings.Builder
	for i := range len(rd) {
		if c := rd[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// redirect sends the client to a location that was made here. The Location is
// set as it is: http.Redirect would clean the path, and a cleaned path is
// another.
func redirect(w http.ResponseWriter, status int, location string) {
	w.Header().Set("Location", location)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
}

// loginURL is the login page that returns to rd.
func (h *Handler) loginURL(rd string, more ...string) string {
	q := url.Values{}
	if rd != "" && rd != "/" {
		q.Set("rd", rd)
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	if len(q) == 0 {
		return h.config.Prefix + "/login"
	}
	return h.config.Prefix + "/login?" + q.Encode()
}

// rdOf reads rd where a request has it: the form's field, else the query.
func rdOf(r *http.Request, in input) string {
	if rd := in.text("rd"); rd != "" {
		return rd
	}
	return r.URL.Query().Get("rd")
}
