package gateway

import (
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheLogSaysWhatTheAuthoritySaid(t *testing.T) {
	const refused, unverified = "the certificate authority refused a request", "the certificate authority could not verify a domain"
	for _, test := range []struct {
		name   string
		status int
		body   string
		msg    string
		wants  map[string]any
	}{
		{"a refusal", 429, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many","status":429}`, refused,
			map[string]any{"level": "WARN", "status": 429.0, "type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many"}},
		{"a refusal without words", 500, `<html>`, refused, map[string]any{"status": 500.0, "detail": ""}},
		{"a challenge that failed", 200, `{"status":"invalid","identifier":{"type":"dns","value":"gw.test"},"challenges":[{"type":"http-01","status":"pending"},{"type":"tls-alpn-01","status":"invalid","error":{"type":"urn:x","detail":"no route to host","status":400}}]}`,
			unverified, map[string]any{"domain": "gw.test", "challenge": "tls-alpn-01", "type": "urn:x", "detail": "no route to host"}},
		{"a nonce that is to be sent again", 400, `{"type":"urn:ietf:params:acme:error:badNonce","detail":"again"}`, "", nil},
		{"what is fine", 200, `{"status":"valid","identifier":{"value":"gw.test"},"challenges":[{"type":"http-01","status":"valid"}]}`, "", nil},
		{"a certificate", 200, "-----BEGIN CERTIFICATE-----\n", "", nil},
		{"nothing", 204, "", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			ca := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer ca.Close()
			log := &logBuffer{}
			client := &http.Client{Transport: newCALine(t.Context(), nil, slog.New(slog.NewJSONHandler(log, nil)))}
			resp, err := client.Get(strings.Replace(ca.URL, "//", "//user:hunter2@", 1) + "/order/1?token=hunter2")
			must(t, err)
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != test.body {
				t.Errorf("autocert would read %q, %v", body, err)
			}
			if test.msg == "" {
				if log.String() != "" {
					t.Errorf("logged %s", log)
				}
				return
			}
			e := log.entries(t, test.msg, 1)[0]
			if strings.Contains(log.String(), "hunter2") || test.msg == refused && e["url"] != ca.URL+"/order/1" {
				t.Errorf("logged %s", log)
			}
			for key, v := range test.wants {
				if e[key] != v {
					t.Errorf("%s is %v, want %v", key, e[key], v)
				}
			}
		})
	}
}

func TestAnAuthorityThatIsAwayOrBabblesIsLogged(t *testing.T) {
	long := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", maxCAAnswer+2))
	}))
	defer long.Close()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	stranger := httptest.NewTLSServer(http.NotFoundHandler()) // whom no root vouches for
	defer stranger.Close()
	stranger.Config.ErrorLog = discardLog()
	for name, url := range map[string]string{"long": long.URL, "away": away.URL, "stranger": stranger.URL} {
		log := &logBuffer{}
		client := &http.Client{Transport: newCALine(t.Context(), x509.NewCertPool(), slog.New(slog.NewJSONHandler(log, nil)))}
		if resp, err := client.Get(url); err == nil {
			resp.Body.Close()
			t.Errorf("%s: answered %s", name, resp.Status)
		}
		if e := log.entries(t, "the certificate authority does not answer", 1); e[0]["url"] != url || e[0]["error"] == "" {
			t.Errorf("%s: logged %v", name, e)
		}
	}
}

func TestALineThatIsCutEndsWhatIsUnderWayAndCarriesNothingMore(t *testing.T) {
	reached := make(chan struct{}, 1)
	ca := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // until then a server does not see that the client has left
		reached <- struct{}{}
		<-r.Context().Done()
	}))
	defer ca.Close()
	log := &logBuffer{}
	until, cut := context.WithCancel(t.Context())
	client := &http.Client{Transport: newCALine(until, nil, slog.New(slog.NewJSONHandler(log, nil)))}
	ended := make(chan error, 1)
	go func() {
		_, err := client.Post(ca.URL, "application/jose+json", strings.NewReader("{}"))
		ended <- err
	}()
	<-reached
	cut()
	if err := <-ended; err == nil {
		t.Error("it was answered")
	}
	if _, err := client.Post(ca.URL, "application/jose+json", strings.NewReader("{}")); err == nil || len(reached) > 0 {
		t.Errorf("after the cut: %v", err)
	}
	if log.String() != "" {
		t.Errorf("to be cut is no failure of the CA's, and the log has %s", log)
	}
}
