package gateway

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTimeout bounds what a scrape waits for the store.
const scrapeTimeout = 2 * time.Second

// describe names a metric that is collected when a scrape comes.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// samples takes what a scrape is answered.
type samples chan<- prometheus.Metric

// count answers a number that only grows.
func (s samples) count(d *prometheus.Desc, n float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, n, labels...)
}

// gauge answers a number as it is now.
func (s samples) gauge(d *prometheus.Desc, n float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
}

// authStats tells what the auth service counts, and how its store is.
type authStats struct {
	auth Authenticator

	logins, refreshes, registrations      *prometheus.Desc
	hashed, refused, waited               *prometheus.Desc
	running, waiting, places              *prometheus.Desc
	tokenLookups, tokens, sessions, store *prometheus.Desc
}

// newAuthStats describes what is counted. Every value that a label may have
// stands in the help: the lists are closed, whoever sends the requests.
func newAuthStats(a Authenticator) *authStats {
	return &authStats{
		auth:          a,
		logins:        describe("postern_logins_total", "Logins by result: success, failed, locked, busy, canceled, unavailable.", "result"),
		refreshes:     describe("postern_refreshes_total", "Refreshes by result: success, repeated, reused, ended, expired, invalid, disabled, canceled, unavailable.", "result"),
		registrations: describe("postern_registrations_total", "Registrations by result: success, taken, invalid, locked, busy, canceled, unavailable.", "result"),
		hashed:        describe("postern_password_hashes_total", "Password hashes that were computed."),
		refused:       describe("postern_password_hashes_refused_total", "Password hashes for which there was no place in the queue."),
		waited:        describe("postern_password_hash_wait_seconds_total", "What password hashes have waited for their turn, all together."),
		running:       describe("postern_password_hashes_running", "Password hashes that are being computed."),
		waiting:       describe("postern_password_hashes_waiting", "Password hashes that wait for their turn."),
		places:        describe("postern_password_hash_places", "How many password hashes may run or wait at once; one more is refused."),
		tokenLookups:  describe("postern_token_cache_lookups_total", "Access tokens by whether they were remembered as proven: hit, miss.", "result"),
		tokens:        describe("postern_token_cache_entries", "Access tokens that are remembered as proven."),
		sessions:      describe("postern_sessions", "Live sessions; NaN while the store does not answer."),
		store:         describe("postern_store_available", "Whether the store answered when it was last asked: 1 or 0."),
	}
}

// Describe says which metrics there are.
func (c *authStats) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.logins, c.refreshes, c.registrations, c.hashed, c.refused, c.waited,
		c.running, c.waiting, c.places, c.tokenLookups, c.tokens, c.sessions, c.store} {
		ch <- d
	}
}

// Collect answers a scrape.
func (c *authStats) Collect(ch chan<- prometheus.Metric) {
	out := samples(ch)
	s := c.auth.Stats()
	for d, results := range map[*prometheus.Desc]map[string]uint64{c.logins: s.Logins, c.refreshes: s.Refreshes, c.registrations: s.Registrations} {
		for result, n := range results {
			out.count(d, float64(n), result)
		}
	}
	out.count(c.hashed, float64(s.Hashing.Done))
	out.count(c.refused, float64(s.Hashing.Refused))
	out.count(c.waited, s.Hashing.Waited.Seconds())
	out.gauge(c.running, float64(s.Hashing.Running))
	out.gauge(c.waiting, float64(s.Hashing.Waiting))
	out.gauge(c.places, float64(s.Hashing.Places))
	out.count(c.tokenLookups, float64(s.Tokens.Hits), "hit")
	out.count(c.tokenLookups, float64(s.Tokens.Misses), "miss")
	out.gauge(c.tokens, float64(s.Tokens.Kept))
	out.gauge(c.sessions, countSessions(c.auth))
	out.gauge(c.store, gaugeOf(c.auth.Healthy() == nil))
}

// countSessions asks the store at the time of a scrape. It answers NaN for
// "not known": 0 would look like everybody was logged out.
func countSessions(a Authenticator) float64 {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	n, err := a.SessionCount(ctx)
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}

// LogErrors are how many lines could not be written where they belong.
type LogErrors struct{ Main, Audit uint64 }

// gatewayState tells how a gateway is at the time of a scrape: what a reload
// took out, or what has ended, is gone at once.
type gatewayState struct {
	g         *Gateway
	logErrors func() LogErrors

	healthy, streams, connections, certificate, unwritten *prometheus.Desc
}

// newGatewayState describes what is looked up at each scrape. The labels are
// names from the configuration; none is of a client's making.
func newGatewayState(g *Gateway, logErrors func() LogErrors) *gatewayState {
	return &gatewayState{
		g: g, logErrors: logErrors,
		healthy:     describe("postern_upstream_healthy", "Whether an address of an upstream could be reached when it was last asked, and passed its last health check: 1 or 0.", "upstream", "url"),
		streams:     describe("postern_streams_open", "WebSockets, event streams and other answers without a length that are under way."),
		connections: describe("postern_connections_open", "Connections of clients to the public listener, WebSockets among them."),
		certificate: describe("postern_tls_certificate_expiry_timestamp_seconds", "When a certificate of the public listener expires, in seconds since 1970.", "source"),
		unwritten:   describe("postern_log_errors_total", "Log lines that could not be written where they belong: of the main log, and of log.audit_file.", "log"),
	}
}

// Describe says which metrics there are.
func (c *gatewayState) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.healthy, c.streams, c.connections, c.certificate, c.unwritten} {
		ch <- d
	}
}

// Collect answers a scrape.
func (c *gatewayState) Collect(ch chan<- prometheus.Metric) {
	out := samples(ch)
	c.g.snap.Load().eachTarget(func(u *upstream, t *target) {
		out.gauge(c.healthy, gaugeOf(t.health.healthy()), u.name, t.label)
	})
	out.gauge(c.streams, float64(c.g.streams.count()))
	out.gauge(c.connections, float64(c.g.connections.Load()))
	if until := c.g.certificate.Load(); until != 0 {
		out.gauge(c.certificate, float64(until), certificateFile)
	}
	if until := c.g.fetched.Load(); until != 0 {
		out.gauge(c.certificate, float64(until), certificateACME)
	}
	var lost LogErrors
	if c.logErrors != nil {
		lost = c.logErrors()
	}
	out.count(c.unwritten, float64(lost.Main), "main")
	out.count(c.unwritten, float64(lost.Audit), "audit")
}

// The sources of certificates: tls.cert_file, and tls.acme, of which the one that
// expires first is told.
const (
	certificateFile = "file"
	certificateACME = "acme"
)

// provisionState tells what waits in the outbox at the time of a scrape.
type provisionState struct {
	g *Gateway

	pending, oldest *prometheus.Desc
}

// newProvisionState describes the outbox. A store that is away shows as NaN,
// since 0 would say that everything has been delivered.
func newProvisionState(g *Gateway) *provisionState {
	return &provisionState{
		g:       g,
		pending: describe("postern_provision_pending", "Account events that an upstream under provision is still to be told; NaN while the store does not answer.", "upstream"),
		oldest:  describe("postern_provision_oldest_age_seconds", "How long ago the oldest of them happened; 0 where there is none, NaN while the store does not answer.", "upstream"),
	}
}

// Describe says which metrics there are.
func (c *provisionState) Describe(ch chan<- *prometheus.Desc) { ch <- c.pending; ch <- c.oldest }

// Collect answers a scrape.
func (c *provisionState) Collect(ch chan<- prometheus.Metric) {
	names := c.g.provisioned()
	if len(names) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	backlogs, err := c.g.outbox.Backlogs(ctx)
	for _, name := range names {
		waiting, age := 0.0, 0.0
		if err != nil {
			waiting, age = math.NaN(), math.NaN()
		}
		for _, b := range backlogs {
			if b.Subscriber == name {
				waiting, age = float64(b.Waiting), max(0, c.g.now().Sub(b.Oldest).Seconds())
			}
		}
		samples(ch).gauge(c.pending, waiting, name)
		samples(ch).gauge(c.oldest, age, name)
	}
}
