package problem

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// IsNavigation tells whether r is a browser that goes to a page: a GET or HEAD
// of one that wants a page. Such a request can be sent elsewhere with a 303.
func IsNavigation(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && WantsPage(r)
}

// WantsPage tells whether the answer, whatever the method, is shown to a
// person: Sec-Fetch-Mode says navigate, or, from a browser that does not send
// it (plain http has no Sec-Fetch fields), Accept names text/html and no
// script claims the request, with X-Requested-With or with a JSON body, which
// no form can send.
func WantsPage(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return r.Header.Get("X-Requested-With") == "" && !isJSON(r.Header.Get("Content-Type")) && acceptsHTML(r.Header.Values("Accept"))
}

// isJSON recognises application/json and what is made of it.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// acceptsHTML looks for text/html itself: the */* that curl and fetch send asks
// for no page. A quality of 0 means "not this" (RFC 9110 section 12.4.2).
func acceptsHTML(accept []string) bool {
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			media, params, err := mime.ParseMediaType(part)
			if err != nil || media != "text/html" {
				continue
			}
			if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 {
				return true
			}
		}
	}
	return false
}
