package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/posternhq/postern/auth"
)

// retryTTL is how long the mark of a silent refresh stays.
const retryTTL = 10 * time.Second

// cookieJar knows how each cookie is named and set. Setting and clearing agree
// on name, path and domain, or browsers would keep what is to go.
type cookieJar struct {
	access, refresh, retry string // names as browsers send them
	config                 Cookie
	secure                 bool     // the public URL is https
	refreshPath            string   // where the endpoint is
	spentAt                []string // all paths where refresh cookies are: the endpoint's, and those of aliases
}

// CookieNames answers the names of the two cookies as browsers send them. With
// https they are prefixed (RFC 6265bis section 4.1.3): __Host- pins the access
// cookie to this very host, so that no sibling subdomain can plant one;
// __Secure- is what a cookie with a path or a domain can have.
func CookieNames(c Config, publicURL *url.URL) (access, refresh string) {
	switch access, refresh = c.Cookie.Name, c.Cookie.Name+"_refresh"; {
	case publicURL.Scheme != "https":
		return access, refresh
	case c.Cookie.Domain != "":
		return "__Secure-" + access, "__Secure-" + refresh
	}
	return "__Host-" + access, "__Secure-" + refresh
}

// RetryCookieName answers the name of the cookie that stops a loop of silent
// refreshes. The refresh endpoint sets it for ten seconds beside the fresh
// cookies; its value is RetryMark of the access token that it replaced. A
// request that presents that token again has not kept its cookies.
func RetryCookieName(c Config, publicURL *url.URL) string {
	name := c.Cookie.Name + "_retry"
	if publicURL.Scheme == "https" {
		return "__Host-" + name
	}
	return name
}

// RetryMark names an access token without telling it: the first 16 characters
// of its SHA-256 in base64url. A mark that only said "tried" would accuse a
// browser whose next token expired within the ten seconds.
func RetryMark(accessToken string) string {
	digest := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(digest[:])[:16]
}

// newCookieJar reads out of the configuration how cookies are set. The refresh
// path is the one place that c.Prefix reaches a browser.
func newCookieJar(c Config, publicURL *url.URL) cookieJar {
	access, refresh := CookieNames(c, publicURL)
	return cookieJar{
		access: access, refresh: refresh, retry: RetryCookieName(c, publicURL),
		config: c.Cookie, secure: publicURL.Scheme == "https", refreshPath: c.Prefix + "/refresh",
		spentAt: []string{c.Prefix + "/refresh"},
	}
}

// setAccess stores the access token for as long as the refresh token lives: an
// expired one is how a returning browser is known.
func (j cookieJar) setAccess(w http.ResponseWriter, token string, life time.Duration) {
	http.SetCookie(w, j.cookie(j.access, token, "/", j.life(life)))
}

// setRefresh stores the refresh token for the path where it is spent.
func (j cookieJar) setRefresh(w http.ResponseWriter, token, path string, life time.Duration) {
	http.SetCookie(w, j.cookie(j.refresh, token, path, j.life(life)))
}

// clear makes the browser forget both tokens.
func (j cookieJar) clear(w http.ResponseWriter) {
	http.SetCookie(w, j.cookie(j.access, "", "/", -1))
	for _, path := range j.spentAt {
		http.SetCookie(w, j.cookie(j.refresh, "", path, -1))
	}
}

// mark leaves the sign of a silent refresh. It never has a domain: it is this
// host's business.
func (j cookieJar) mark(w http.ResponseWriter, replaced string) {
	c := j.cookie(j.retry, RetryMark(replaced), "/", int(retryTTL/time.Second))
	c.Domain = ""
	http.SetCookie(w, c)
}

// life is the Max-Age of a token's cookie, a part of a second counted as one: a
// token that was made a moment ago has its whole life. 0 leaves Max-Age out, and
// the cookie ends with the browser.
func (j cookieJar) life(d time.Duration) int {
	if !j.config.Persistent {
		return 0
	}
	return max(int((d+time.Second-1)/time.Second), 1)
}

// cookie makes one, out of reach of scripts. Domain is left out unless it was
// configured: a cookie without one goes to this very host alone.
func (j cookieJar) cookie(name, value, path string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: path, Domain: j.config.Domain, MaxAge: maxAge,
		Secure: j.secure, HttpOnly: true, SameSite: j.config.sameSite()}
}

// value answers a request's cookie of that name, and whether there are two
// with different values: one of them was planted, nobody can tell which.
func (j cookieJar) value(r *http.Request, name string) (value string, ambiguous bool) {
	for _, c := range r.CookiesNamed(name) {
		if value != "" && c.Value != value {
			return "", true
		}
		value = c.Value
	}
	return value, false
}

// claimedSession reads the session out of an access token without proving it.
// It is only ever compared with a proven one: the answer can refuse, never
// admit. An unreadable token claims no session, which equals none.
func claimedSession(accessToken string) string {
	parts := strings.Split(accessToken, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Session string `json:"sid"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.Session
}

// addressOf reads the client's address out of "address:port".
func addressOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{} // a unix socket's peer has none
	}
	return ap.Addr().Unmap()
}

// delivery says where the tokens of a grant go.
type delivery struct {
	accessCookie, refreshCookie bool
}

// byCookie puts both tokens where no script reads them.
func byCookie() delivery { return delivery{accessCookie: true, refreshCookie: true} }

// deliveryOf reads the mode that a client asked for.
func deliveryOf(mode string) (delivery, bool) {
	switch mode {
	case "":
		return delivery{}, true
	case "cookie":
		return byCookie(), true
	case "refresh_cookie":
		return delivery{refreshCookie: true}, true
	}
	return delivery{}, false
}

// mode reads how a body wants the tokens of the answer delivered.
func (in input) mode() (delivery, error) {
	d, known := deliveryOf(in.text("mode"))
	if !known {
		return d, refuseField("mode", "must be cookie or refresh_cookie, or be left out")
	}
	return d, nil
}

// delivery is mode, but by cookie for a form: it comes from a page, which has
// nowhere else to keep tokens.
func (in input) delivery() (delivery, error) {
	d, err := in.mode()
	if in.form {
		d = byCookie()
	}
	return d, err
}

// put sets the cookies of a delivery.
func (h *Handler) put(w http.ResponseWriter, g auth.Grant, d delivery) {
	h.putAt(w, g, d, h.cookies.refreshPath)
}

// putAt is put with another path where the refresh token is spent.
func (h *Handler) putAt(w http.ResponseWriter, g auth.Grant, d delivery, refreshPath string) {
	life := g.RefreshExpires.Sub(h.now())
	if d.accessCookie {
		h.cookies.setAccess(w, g.AccessToken, life)
	}
	if d.refreshCookie && g.RefreshToken != "" {
		h.cookies.setRefresh(w, g.RefreshToken, refreshPath, life)
	}
}
