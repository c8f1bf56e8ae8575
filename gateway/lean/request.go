package lean

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Field is one line of a header. Its name is in canonical form.
type Field struct{ Name, Value string }

// Fields are lines that are written as they stand: a map of them would cost
// more than all else that is done for a request.
type Fields []Field

// Set puts them into a header, in place of what is there.
func (f Fields) Set(h http.Header) {
	for i := range f {
		h[f[i].Name] = []string{f[i].Value}
	}
}

// Without is a copy of a header as it was before Set.
func (f Fields) Without(h http.Header) http.Header {
	h = maps.Clone(h)
	for i := range f {
		delete(h, f[i].Name)
	}
	return h
}

// plain tells the requests that are carried here by their outline. Whether
// their head is plain too shows when it is written.
func plain(r *http.Request) bool {
	switch {
	case !canPeek || r.URL == nil || r.URL.Scheme != "http" || r.Header == nil || r.Method == http.MethodConnect:
		return false
	case r.Close || len(r.TransferEncoding) > 0 || r.Trailer != nil:
		return false
	case r.Body == nil:
		return r.ContentLength == 0
	}
	_, hurried := r.Context().Deadline() // which would pass unseen while the client takes its time
	return 0 < r.ContentLength && r.ContentLength <= maxBody && !hurried
}

// appendHead writes the head of a request as http.Transport does: the same
// fields in the same order. It answers false for what http.Transport would mend,
// refuse or act upon.
func appendHead(b []byte, r *http.Request, more Fields) ([]byte, bool) {
	host, target := r.Host, r.URL.Opaque
	if host == "" {
		host = r.URL.Host
	}
	query := r.URL.RawQuery
	hasQuery := query != "" || r.URL.ForceQuery
	if target == "" || strings.HasPrefix(target, "//") {
		target, query, hasQuery = r.URL.RequestURI(), "", false
	}
	if !httpguts.ValidHeaderFieldName(r.Method) || !plainHost(host) || !plainTarget(target) || !printable(query) {
		return b, false
	}
	b = append(append(append(b, r.Method...), ' '), target...)
	if hasQuery {
		b = append(append(b, '?'), query...)
	}
	b = append(append(append(b, " HTTP/1.1\r\nHost: "...), host...), "\r\n"...)
	b, ok := appendFields(b, r)
	for i := 0; ok && i < len(more); i++ {
		b, ok = appendField(b, more[i].Name, more[i].Value)
	}
	return append(b, "\r\n"...), ok
}

// appendFields writes the fields after Host. The user agent and the length come
// first, the others in the order of the alphabet.
func appendFields(b []byte, r *http.Request) ([]byte, bool) {
	if agent := r.Header["User-Agent"]; len(agent) > 0 && agent[0] != "" {
		var ok bool
		if b, ok = appendField(b, "User-Agent", agent[0]); !ok {
			return b, false
		}
	}
	switch {
	case r.ContentLength > 0:
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), r.ContentLength, 10), "\r\n"...)
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		b = append(b, "Content-Length: 0\r\n"...)
	}
	var few [48]string // without an allocation for what browsers send
	names := few[:0]
	for name := range r.Header {
		switch name {
		case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer": // not among the others
		case "Connection", "Upgrade", "Expect":
			return b, false
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if !httpguts.ValidHeaderFieldName(name) {
			return b, false
		}
		for _, value := range r.Header[name] {
			var ok bool
			if b, ok = appendField(b, name, value); !ok {
				return b, false
			}
		}
	}
	return b, true
}

// appendField writes one field, whose name is valid.
func appendField(b []byte, name, value string) ([]byte, bool) {
	if !validValue(value) {
		return b, false
	}
	b = append(append(b, name...), ": "...)
	return append(append(b, textproto.TrimString(value)...), "\r\n"...), true
}

// plainHost admits a host that is written as it is: http.Transport makes ASCII
// of others, cuts a zone off, and leaves out what is none.
func plainHost(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9':
		case c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']':
		default:
			return false
		}
	}
	return host != ""
}

// plainTarget admits a path as requests for resources have it.
func plainTarget(target string) bool { return strings.HasPrefix(target, "/") && printable(target) }

// printable refuses what would end a request line, or a part of it.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
