package gateway

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the gateway's, in a registry of their own: two gateways fit into
// one process. Every label is of a closed set; none carries a path, a user or
// a header.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec   // route, decision, reason, code
	duration  *prometheus.HistogramVec // route
	upstream  *prometheus.HistogramVec // upstream
	retries   *prometheus.CounterVec   // upstream
	logins    *prometheus.CounterVec   // result
	refreshes *prometheus.CounterVec   // result
	reloaded  prometheus.Gauge
	info      *prometheus.GaugeVec // snapshot
}

// sessionCountTimeout bounds what a scrape waits for the store.
const sessionCountTimeout = 2 * time.Second

// newMetrics makes and registers all of them. The buckets reach from a cached
// page to the longest default timeout.
func newMetrics(a Authenticator) *metrics {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_requests_total",
			Help: "Requests by route, decision, its reason and the status answered."}, []string{"route", "decision", "reason", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "postern_request_duration_seconds",
			Help: "From the request's header to the end of the answer.", Buckets: buckets}, []string{"route"}),
		upstream: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "postern_upstream_duration_seconds",
			Help: "From sending the request on to the header of the upstream's answer.", Buckets: buckets}, []string{"upstream"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_upstream_retries_total",
			Help: "Requests that were sent again, because a connection to the upstream failed before its answer."}, []string{"upstream"}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_logins_total",
			Help: "Logins by result: success, failed, locked."}, []string{"result"}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_refreshes_total",
			Help: "Refreshes by result: success, reused."}, []string{"result"}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{Name: "postern_config_last_reload_successful",
			Help: "Whether the configuration last read is the one in force: 1 or 0."}),
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "postern_config_info",
			Help: "1 for the snapshot in force."}, []string{"snapshot"}),
	}
	sessions := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "postern_sessions",
		Help: "Live sessions; NaN while the store does not answer."}, func() float64 { return countSessions(a) })
	m.registry.MustRegister(m.requests, m.duration, m.upstream, m.retries, m.logins, m.refreshes, m.reloaded, m.info, sessions,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// countSessions asks the store at the time of a scrape. It answers NaN for
// "not known": 0 would look like everybody was logged out.
func countSessions(a Authenticator) float64 {
	ctx, cancel := context.WithTimeout(context.Background(), sessionCountTimeout)
	defer cancel()
	n, err := a.SessionCount(ctx)
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}

// request counts one exchange.
func (m *metrics) request(x *exchange, status int, elapsed time.Duration) {
	m.requests.WithLabelValues(x.label, x.decision, x.reason, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(x.label).Observe(elapsed.Seconds())
	if x.upstreamTime > 0 {
		m.upstream.WithLabelValues(x.rt.upstream.name).Observe(x.upstreamTime.Seconds())
	}
}

// handler answers a scrape. One metric that fails does not hide the others.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// upstreamHealth tells the health of every target of the snapshot in force,
// looked up at the time of a scrape: what a reload took out is gone at once.
type upstreamHealth struct {
	snap *atomic.Pointer[Snapshot]
	desc *prometheus.Desc
}

func newUpstreamHealth(snap *atomic.Pointer[Snapshot]) *upstreamHealth {
	return &upstreamHealth{snap, prometheus.NewDesc("postern_upstream_healthy",
		"Whether an address of an upstream could be reached when it was last asked, and passed its last health check: 1 or 0.", []string{"upstream", "url"}, nil)}
}

// Describe says which metric there is.
func (h *upstreamHealth) Describe(ch chan<- *prometheus.Desc) { ch <- h.desc }

// Collect answers a scrape.
func (h *upstreamHealth) Collect(ch chan<- prometheus.Metric) {
	h.snap.Load().eachTarget(func(u *upstream, t *target) {
		ch <- prometheus.MustNewConstMetric(h.desc, prometheus.GaugeValue, gaugeOf(t.health.healthy()), u.name, t.label)
	})
}

// gaugeOf spells yes and no for Prometheus.
func gaugeOf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
