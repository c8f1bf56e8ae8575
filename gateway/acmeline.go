package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// caTimeout bounds one request to a certificate authority.
const caTimeout = time.Minute

// maxCAAnswer bounds what is read of one answer; a chain of certificates has
// some KiB.
const maxCAAnswer = 1 << 20

// caLine carries requests to the certificate authority, and can be cut: what
// autocert begins by itself, as renewals, heeds no other context. It logs what
// autocert forgets, as why a renewal failed and why the CA did not believe that
// a domain is ours.
type caLine struct {
	carrier http.RoundTripper
	until   context.Context
	log     *slog.Logger
}

// newCALine trusts the roots; nil stands for the system's.
func newCALine(until context.Context, roots *x509.CertPool, log *slog.Logger) *caLine {
	return &caLine{until: until, log: log, carrier: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: caTimeout,
		IdleConnTimeout:       10 * time.Second, // seldom used: nothing is kept open from one renewal to the next
		ForceAttemptHTTP2:     true,
	}}
}

// RoundTrip implements http.RoundTripper. The answer is read whole, so that
// nothing is left open when the line is cut.
func (l *caLine) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := l.until.Err(); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fmt.Errorf("no longer asked for: %w", err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(l.until, cancel)()
	resp, body, err := l.carry(r.WithContext(ctx))
	switch {
	case err != nil && l.until.Err() == nil:
		l.log.Warn("the certificate authority does not answer", "url", bareURL(r.URL), "error", err.Error())
		return nil, err
	case err != nil:
		return nil, err
	}
	l.tell(r, resp.StatusCode, body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// carry sends the request and reads the answer.
func (l *caLine) carry(r *http.Request) (*http.Response, []byte, error) {
	resp, err := l.carrier.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCAAnswer+1))
	if err == nil && len(body) > maxCAAnswer {
		err = fmt.Errorf("the answer is longer than %d bytes", maxCAAnswer)
	}
	return resp, body, err
}

// bareURL is where a request goes, without what only its receiver is to know.
func bareURL(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// caAnswer is what the log wants to know of an answer: a problem document (RFC
// 8555, 6.7), or an authorization (7.1.4) whose challenge failed.
type caAnswer struct {
	Type       string
	Detail     string
	Identifier struct{ Value string }
	Challenges []struct {
		Type  string
		Error *struct{ Type, Detail string }
	}
}

// badNonce is how a CA says that the same is to be sent again, with the nonce
// that it gives (RFC 8555, 6.5). It is no fault.
const badNonce = "urn:ietf:params:acme:error:badNonce"

// tell logs what is wrong.
func (l *caLine) tell(r *http.Request, status int, body []byte) {
	var said caAnswer
	if json.Unmarshal(body, &said) != nil {
		said = caAnswer{} // a certificate, or nothing that explains itself
	}
	if status >= http.StatusBadRequest && said.Type != badNonce {
		l.log.Warn("the certificate authority refused a request", "url", bareURL(r.URL), "status", status, "type", said.Type, "detail", said.Detail)
	}
	for _, c := range said.Challenges {
		if c.Error != nil {
			l.log.Warn("the certificate authority could not verify a domain", "domain", said.Identifier.Value, "challenge", c.Type, "type", c.Error.Type, "detail", c.Error.Detail)
		}
	}
}
