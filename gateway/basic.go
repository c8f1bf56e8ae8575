package gateway

import (
	"encoding/base64"
	"strings"

	"github.com/posternhq/postern/auth"
)

// Basic is for clients that know nothing else: calendars, git, mounted drives.
// Their password is an access token, made to last as long as is wanted by an
// alias of the login with an access_ttl. So what such a client keeps on a disk
// opens this site alone, shows in the list of sessions, and can be ended there;
// no password is compared for each of its requests, and none can be guessed at.

// parseBasic reads an Authorization field (RFC 7617): the scheme in any case,
// one space, base64 of the name, a colon, and the token. Other schemes are
// ok false.
func parseBasic(value string) (p auth.Presented, ok bool) {
	scheme, rest, _ := strings.Cut(value, " ")
	if !isWord(scheme, "basic") {
		return auth.Presented{}, false
	}
	p.Kind = auth.BasicCredential
	pair, err := base64.StdEncoding.Strict().DecodeString(rest)
	name, token, found := strings.Cut(string(pair), ":")
	if err != nil || !found || name == "" || token == "" || strings.ContainsAny(rest, "\r\n") {
		p.Err = auth.ErrTokenMalformed
		return p, true
	}
	p.User, p.Token = name, token
	return p, true
}

// isNamed tells whether a principal goes by a name: its username, id or e-mail
// address. A client shows its user the name that was typed, and builds paths
// from it, so it has to be the one whose token came along.
func isNamed(name string, p *auth.Principal) bool {
	if name == "" {
		return false
	}
	folded := auth.Fold(name)
	return name == p.ID || folded == auth.Fold(p.Username) || p.Email != "" && folded == auth.Fold(p.Email)
}

// fromPage tells whether a page in a browser makes the request, or a person does
// by going there. A challenge of Basic would have the browser open its own box
// for a password, over a page that knows what to do about a 401. Browsers leave
// Sec-Fetch-Site out on plain http; a mail program made of one says none.
func (x *exchange) fromPage() bool {
	h := x.r.Header
	if site := h["Sec-Fetch-Site"]; len(site) > 0 {
		return x.isPage() || len(site) > 1 || site[0] != "none"
	}
	return x.isPage() || len(h["Origin"]) > 0 || len(h["Referer"]) > 0 || len(h["X-Requested-With"]) > 0
}
