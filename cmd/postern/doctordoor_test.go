package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/posternhq/postern/gateway"
)

// proxyBefore is a front end before a gateway, that keeps the Host and does
// to requests and answers what it is told.
func proxyBefore(t *testing.T, gateway string, request func(*http.Request), answer func(*http.Response)) string {
	t.Helper()
	target, err := url.Parse(gateway)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			if request != nil {
				request(r.Out)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if answer != nil {
				answer(r)
			}
			return nil
		},
	})
	t.Cleanup(front.Close)
	return front.URL
}

// TestTheDoctorFindsWhatAProxyLosesOnTheWay goes through front ends with one
// fault each, before a gateway that is well.
func TestTheDoctorFindsWhatAProxyLosesOnTheWay(t *testing.T) {
	s := startServeFile(t, "hosts: [127.0.0.1]\nroutes: [{ path: /open, allow: anyone }]\n")
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[{"kid":"of-another-gateway"}]}`))
	}))
	defer stranger.Close()
	for _, test := range []struct {
		name, door, status, words string
	}{
		{"a good one", proxyBefore(t, s.url, nil, nil), checkGood, "cookies arrive, both ways"},
		{"no Host", proxyBefore(t, s.url, func(r *http.Request) { r.Host = "inner.test" }, nil), checkError, "the Host is lost on the way"},
		{"no Cookie", proxyBefore(t, s.url, func(r *http.Request) { r.Header.Del("Cookie") }, nil), checkError, "postern_refresh is lost on the way to the gateway"},
		{"no Set-Cookie", proxyBefore(t, s.url, nil, func(r *http.Response) { r.Header.Del("Set-Cookie") }), checkError, "postern_refresh is lost on the way back"},
		{"a POST refused", proxyBefore(t, s.url, nil, func(r *http.Response) {
			if r.Request.Method == http.MethodPost {
				r.StatusCode = http.StatusForbidden
			}
		}), checkWarning, "answers 403: whether cookies arrive cannot be told"},
		{"the application", s.app.URL, checkError, "and not as a gateway does"},
		{"another gateway", stranger.URL, checkError, "leads to a gateway with another store"},
		{"another site", proxyBefore(t, s.url, nil, func(r *http.Response) {
			r.StatusCode = http.StatusMovedPermanently
			r.Header.Set("Location", "https://elsewhere.test/")
		}), checkError, "sends on to https://elsewhere.test/"},
		{"nobody", "http://127.0.0.1:9", checkError, "nobody answers at http://127.0.0.1:9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out, errs transcript
			status := run(&system{ctx: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &errs}, []string{"doctor", test.door + "/", "-o", "json"})
			d := &doctor{}
			if err := json.Unmarshal([]byte(out.String()), &d.report); err != nil {
				t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
			}
			d.said(t, test.status, "door", test.words)
			d.said(t, checkWarning, "door", "public_url is http://localhost:8080")
			if want := d.failed(); (status == exitFailed) != want || test.status == checkError && !want {
				t.Errorf("ended with %d: %+v", status, d.report)
			}
		})
	}
}

func TestADoorIsAURLOfTheSiteAlone(t *testing.T) {
	for raw, want := range map[string]string{
		"https://app.example.com":        "https://app.example.com",
		"https://app.example.com/":       "https://app.example.com",
		"http://localhost:8080":          "http://localhost:8080",
		"app.example.com":                "",
		"ftp://app.example.com":          "",
		"https://":                       "",
		"https://app.example.com/auth":   "",
		"https://app.example.com?a=b":    "",
		"https://alice:secret@localhost": "",
		"https://[":                      "",
	} {
		got, err := parseDoor(raw)
		if want == "" && err == nil || want != "" && (err != nil || got.String() != want) {
			t.Errorf("%q: got %v, %v", raw, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

// askDoctor runs the doctor with the URL of a door, beside the gateway.
func (s *served) askDoctor(t *testing.T, door string) *doctor {
	t.Helper()
	env := []string{"POSTERN_ADMIN_LISTEN=" + s.stdout.await(t, `"admin":"([^"]+)"`)}
	var out, errs transcript
	run(&system{ctx: t.Context(), env: env, stdin: strings.NewReader(""), stdout: &out, stderr: &errs}, []string{"doctor", door, "-o", "json"})
	d := &doctor{}
	if err := json.Unmarshal([]byte(out.String()), &d.report); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
	}
	return d
}

// TestTheDoctorSeesWhatTheGatewaySaw: with no hosts set every Host is answered,
// and a proxy may say any scheme.
func TestTheDoctorSeesWhatTheGatewaySaw(t *testing.T) {
	s := startServeFile(t, "trusted_proxies: [127.0.0.1]\nroutes: [{ path: /open, allow: anyone }]\n")
	for _, test := range []struct {
		name, status, words string
		request             func(*http.Request)
	}{
		{"nothing said", checkGood, "the scheme is http: no trusted proxy says so", nil},
		{"http said", checkGood, "the scheme http arrives", func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "http") }},
		{"https said of http", checkWarning, "is open, and the gateway takes it for https", func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }},
		{"another Host", checkError, "the gateway was asked for inner.test", func(r *http.Request) { r.Host = "inner.test" }},
	} {
		s.askDoctor(t, proxyBefore(t, s.url, test.request, nil)).said(t, test.status, "door", test.words)
	}
	hides := proxyBefore(t, s.url, nil, func(r *http.Response) { r.Header.Del("X-Request-Id") })
	s.askDoctor(t, hides).said(t, checkWarning, "door", "whether the scheme arrives cannot be told: it has no admin listener")
	other := proxyBefore(t, s.url, nil, func(r *http.Response) { r.Header.Set("X-Request-Id", "of-a-cache") })
	s.askDoctor(t, other).said(t, checkWarning, "door", "keeps no decision on a request")
}

func TestTheDoctorJudgesTheScheme(t *testing.T) {
	for _, test := range []struct{ seen, from, door, status, words string }{
		{"https", gateway.SchemeOfListener, "https://a.test", checkGood, "the scheme https arrives"},
		{"https", gateway.SchemeOfProxy, "https://a.test", checkGood, "the scheme https arrives"},
		{"https", gateway.SchemeOfPublicURL, "https://a.test", checkGood, "public_url does"},
		{"http", gateway.SchemeOfProxy, "https://a.test", checkError, "lost on the way: a proxy says http"},
		{"http", gateway.SchemeOfPublicURL, "https://a.test", checkError, "set public_url to https://a.test"},
		{"https", gateway.SchemeOfPublicURL, "http://a.test", checkWarning, "send http on to https"},
	} {
		door, err := url.Parse(test.door)
		if err != nil {
			t.Fatal(err)
		}
		d := &doctor{}
		d.judgeScheme(gateway.Decided{Scheme: test.seen, SchemeFrom: test.from}, door)
		d.said(t, test.status, "door", test.words)
	}
	for host, want := range map[string]string{"A.test:443": "a.test", "[::1]:80": "::1", "a.test": "a.test", "": ""} {
		if got := bareHost(host); got != want {
			t.Errorf("%s: %s", host, got)
		}
	}
}
