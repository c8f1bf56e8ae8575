package gateway

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Probe is what one address of an upstream answered to a request of the
// gateway's own, that names no user.
type Probe struct {
	URL     string    // as logs show it
	Address string    // host:port; empty: a unix socket
	Status  int       // of the answer, zero when there was none
	Date    time.Time // that the answer gives; zero: none
	Err     error     // why there was no answer
}

// ProbeUpstream asks each address of an upstream once, over the connections
// that requests would take: health.path, or the root. host is the Host header,
// but for an upstream with host: rewrite. An upstream that cannot be asked at
// all, for want of a certificate say, is an error.
func ProbeUpstream(ctx context.Context, c *Upstream, host string) ([]Probe, error) {
	made, err := newTransports(c)
	if err != nil {
		return nil, err
	}
	probes := make([]Probe, 0, len(c.URLs))
	for _, raw := range c.URLs {
		a, complaint := parseAddress(raw)
		if complaint != "" {
			continue // Validate has said so
		}
		t := made.of(&a)
		asked := host
		if c.Host == "rewrite" || host == "" {
			asked = a.name
		}
		p := Probe{URL: a.label, Address: dialled(&a)}
		p.Status, p.Date, p.Err = probe(ctx, t, &a, cmp.Or(c.Health.Path, "/"), asked)
		t.closeIdle()
		probes = append(probes, p)
	}
	return probes, nil
}

// probe asks one address. Only the head of the answer counts.
func probe(ctx context.Context, t transport, a *serverAddress, path, host string) (status int, date time.Time, err error) {
	w, _ := a.wireURL(path, "", false)
	resp, err := t.carrier().RoundTrip(probeRequest(ctx, w, host))
	if err != nil {
		return 0, time.Time{}, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	date, _ = http.ParseTime(resp.Header.Get("Date")) // none, or nonsense: zero
	return resp.StatusCode, date, nil
}

// probeRequest is a GET of the gateway's own.
func probeRequest(ctx context.Context, w *url.URL, host string) *http.Request {
	return (&http.Request{
		Method: http.MethodGet, URL: w, Host: host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {"postern doctor"}, "Accept": {"*/*"}},
	}).WithContext(ctx)
}

// carrier is what the gateway's own requests take.
func (t transport) carrier() *http.Transport {
	if t.h2c != nil {
		return t.h2c
	}
	return t.usual
}

// dialled is the host and port that a connection goes to.
func dialled(a *serverAddress) string {
	if a.socket != "" {
		return ""
	}
	if _, _, err := net.SplitHostPort(a.host); err == nil {
		return a.host
	}
	port := "80"
	if a.scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(trimBrackets(a.host), port)
}

// trimBrackets is the host without those that a URL puts around IPv6.
func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' {
		return host[1 : len(host)-1]
	}
	return host
}

// maxPage is how much of a page the doctor compares.
const maxPage = 64 << 10

// Page is what an application answered to a GET of the gateway's own.
type Page struct {
	Status         int
	Type, Location string
	Body           []byte // its start
}

// Asker asks one address of an upstream for pages, each path byte for byte, as
// nobody: it names no user.
type Asker struct {
	to     transport
	at     serverAddress
	host   string
	scheme string
}

// NewAsker asks the first of an upstream's urls, over the connections that
// requests would take. The application is told what it would be of a request
// for the public URL.
func NewAsker(c *Upstream, public *url.URL) (*Asker, error) {
	made, err := newTransports(c)
	if err != nil {
		return nil, err
	}
	if len(c.URLs) == 0 {
		return nil, errors.New("the upstream has no urls")
	}
	a, complaint := parseAddress(c.URLs[0])
	if complaint != "" {
		return nil, errors.New(complaint)
	}
	asked := public.Host
	if c.Host == "rewrite" {
		asked = a.name
	}
	return &Asker{made.of(&a), a, asked, public.Scheme}, nil
}

// Get asks for a path. Redirects are answered, not followed.
func (a *Asker) Get(ctx context.Context, path string) (Page, error) {
	w, exact := a.at.wireURL(path, "", false)
	if !exact {
		return Page{}, errors.New("the path cannot be sent as it is")
	}
	r := probeRequest(ctx, w, a.host)
	r.Header["X-Forwarded-Host"], r.Header["X-Forwarded-Proto"] = []string{a.host}, []string{a.scheme}
	resp, err := a.to.carrier().RoundTrip(r)
	if err != nil {
		return Page{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	return Page{resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Location"), body}, err
}

// Close ends the connections.
func (a *Asker) Close() { a.to.closeIdle() }
