package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// clean takes out of an upstream's answer what only the gateway may say: the
// identity headers, its cookies, and the order to a browser to forget them.
func (s *Snapshot) clean(h http.Header) {
	delete(h, "Alt-Svc") // would send browsers past the gateway
	delete(h, "X-Request-Id")
	for name := range h {
		if s.identity.echoes(name) {
			delete(h, name)
		}
	}
	if cookies := h["Set-Cookie"]; len(cookies) > 0 {
		kept := slices.DeleteFunc(cookies, s.setsOwnCookie)
		if h["Set-Cookie"] = kept; len(kept) == 0 {
			delete(h, "Set-Cookie")
		}
	}
	if clear := h["Clear-Site-Data"]; len(clear) > 0 {
		cleanSiteData(h, clear)
	}
}

// cleanTrailers does the same for an answer's trailers, which stand in the
// header by the time the body has been copied.
func (s *Snapshot) cleanTrailers(h http.Header) {
	for name := range h {
		switch base := strings.TrimPrefix(name, http.TrailerPrefix); {
		case base == "Set-Cookie", base == "Clear-Site-Data", base == "Alt-Svc", s.identity.echoes(base):
			delete(h, name)
		}
	}
}

// setsOwnCookie reads the name as browsers do, who take a cookie without a
// name, "=__Host-postern=x", and send it back as __Host-postern=x.
func (s *Snapshot) setsOwnCookie(line string) bool {
	pair, _, _ := strings.Cut(line, ";")
	name, _, _ := strings.Cut(strings.TrimLeft(pair, " \t="), "=")
	return s.ownsCookie(strings.Trim(name, " \t"))
}

// cleanSiteData keeps the directives that do not end the gateway's session.
func cleanSiteData(h http.Header, lines []string) {
	var kept []string
	for _, line := range lines {
		for directive := range strings.SplitSeq(line, ",") {
			d := strings.TrimSpace(directive)
			if d != "" && !strings.EqualFold(d, `"cookies"`) && d != `"*"` {
				kept = append(kept, d)
			}
		}
	}
	if len(kept) == 0 {
		delete(h, "Clear-Site-Data")
		return
	}
	h["Clear-Site-Data"] = []string{strings.Join(kept, ", ")}
}

// cutCookies takes the gateway's cookies out of a Cookie header. All others
// stay as they are, byte for byte: an application may depend on what a parser
// would mend.
func (s *Snapshot) cutCookies(h http.Header) {
	lines := h["Cookie"]
	if len(lines) == 0 || !slices.ContainsFunc(lines, s.mentionsCookie) {
		return
	}
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if line = s.cutCookie(line); line != "" {
			kept = append(kept, line)
		}
	}
	if h["Cookie"] = kept; len(kept) == 0 {
		delete(h, "Cookie")
	}
}

// mentionsCookie is the quick look: most requests of an open route carry none
// of our cookies.
func (s *Snapshot) mentionsCookie(line string) bool {
	for _, base := range s.cookieBases {
		if strings.Contains(line, base) {
			return true
		}
	}
	return false
}

// ownsCookie tells whether a cookie is the gateway's, under whichever prefix:
// a setting left over from the days of plain http is one as well.
func (s *Snapshot) ownsCookie(name string) bool { return slices.Contains(s.ownCookies, name) }

// cutCookie is cutCookies for one line. It splits where browsers join, at
// semicolons, even inside quotes: a quoted semicolon is no part of a cookie
// (RFC 6265 section 4.1.1).
func (s *Snapshot) cutCookie(line string) string {
	var b strings.Builder
	cut, first := false, true
	for pair := range strings.SplitSeq(line, ";") {
		name, _, _ := strings.Cut(pair, "=")
		if s.ownsCookie(strings.Trim(name, " \t")) {
			cut = true
			continue
		}
		switch {
		case !first:
			b.WriteByte(';')
		case cut: // ours stood before it, the space between them goes too
			pair = strings.TrimLeft(pair, " \t")
		}
		first = false
		b.WriteString(pair)
	}
	if !cut {
		return line
	}
	return b.String()
}
