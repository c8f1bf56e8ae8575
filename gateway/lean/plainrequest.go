package lean

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
)

// How the line of a plain request begins and ends.
const (
	plainMethod  = "GET "
	plainLineEnd = " HTTP/1.1"
)

// plainRequest reads a request that has come as a whole and alone, has no body,
// and leaves nothing to be understood in two ways. It makes of it what net/http's
// server does (FuzzPlainRequest). For all others it answers false.
func plainRequest(b []byte) (r http.Request, ok bool) {
	head, whole := bytes.CutSuffix(b, []byte("\r\n\r\n"))
	if !whole || !bytes.HasPrefix(head, []byte(plainMethod)) {
		return r, false
	}
	line, fields, _ := strings.Cut(string(b[:len(head)+len("\r\n")]), "\r\n")
	target, found := strings.CutSuffix(line[len(plainMethod):], plainLineEnd)
	if !found || !plainTarget(target) {
		return r, false
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return r, false
	}
	header, length, ok := plainFields(fields)
	if !ok || length >= 0 {
		return r, false
	}
	host := header["Host"]
	if len(host) != 1 || !plainHost(host[0]) {
		return r, false
	}
	delete(header, "Host")
	return http.Request{
		Method: http.MethodGet, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: http.NoBody, Host: host[0], RequestURI: target,
	}, true
}
