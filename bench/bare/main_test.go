package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestBareCarries, whole answers of any size, and refuses nobody.
func TestBareCarries(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 1<<20)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Forwarded-For") == "" || r.Header.Get("Accept-Encoding") != "" {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, r.URL.Path+large)
	}))
	t.Cleanup(upstream.Close)
	to, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	bare := httptest.NewServer(newServer("", to).Handler)
	t.Cleanup(bare.Close)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	for range 3 {
		res, err := client.Get(bare.URL + "/admin/x")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || string(body) != "/admin/x"+large {
			t.Errorf("%s, %d bytes, %v", res.Status, len(body), err)
		}
	}
}
