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
// server does (FuzzPlainRequest). For all others it answers nil.
func plainRequest(b []byte) *http.Request {
	head, whole := bytes.CutSuffix(b, []byte("\r\n\r\n"))
	if !whole || !bytes.HasPrefix(head, []byte(plainMethod)) {
		return nil
	}
	line, fields, _ := strings.Cut(string(b[:len(head)+len("\r\n")]), "\r\n")
	target, found := strings.CutSuffix(line[len(plainMethod):], plainLineEnd)
	if !found || !plainTarget(target) {
		return nil
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil
	}
	header, length, ok := plainFields(fields)
	if !ok || length >= 0 {
		return nil
	}
	host := header["Host"]
	if len(host) != 1 || !plainHost(host[0]) {
		return nil
	}
	delete(header, "Host")
	return &http.Request{
		Method: http.MethodGet, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: http.NoBody, Host: host[0], RequestURI: target,
	}
}
