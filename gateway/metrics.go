package gateway

import (
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/posternhq/postern/auth"
)

// metrics are the gateway's, in a registry of their own: two gateways fit into
// one process. Every label is of a closed set; none carries a path, a user or
// a header. What can be known before it happens is there from the start, at
// zero: an alert on the first of something needs the zero before it.
//
// What others count is read from them when a scrape comes: see authStats and
// gatewayState.
type metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec   // route, decision, reason, code
	duration   *prometheus.HistogramVec // route
	upstream   *prometheus.HistogramVec // upstream
	retries    *prometheus.CounterVec   // upstream
	events     *prometheus.CounterVec   // event
	deliveries *prometheus.CounterVec   // upstream, result: of account events
	store      map[string]storeMetrics  // by operation; read-only
	accepted   prometheus.Counter       // reloads
	refused    prometheus.Counter
	reloaded   prometheus.Gauge
	info       *prometheus.GaugeVec // snapshot

	elsewhere counted // requests that no route of the policy answers; those of a route are found there
}

// requestKey is what a request is counted by. All of it is of closed sets.
type requestKey struct {
	route, decision, reason string
	status                  int
}

// requestMetrics are those of one requestKey.
type requestMetrics struct {
	count    prometheus.Counter
	duration prometheus.Observer
}

// storeMetrics are those of one operation of the store.
type storeMetrics struct {
	duration prometheus.Observer
	errors   prometheus.Counter
}

// newMetrics makes and registers all of them. The buckets reach from a cached
// page to the longest default timeout; those of the store end where its own
// patience does.
func newMetrics(version string) *metrics {
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
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_audit_events_total",
			Help: "Entries of the audit log by event."}, []string{"event"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_provision_deliveries_total",
			Help: "Tries to tell an upstream of an account, by result: delivered, refused (an answer other than 2xx), failed (no answer)."}, []string{"upstream", "result"}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{Name: "postern_config_last_reload_successful",
			Help: "Whether the configuration last read is the one in force: 1 or 0."}),
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "postern_config_info",
			Help: "1 for the snapshot in force."}, []string{"snapshot"}),
	}
	reloads := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_config_reloads_total",
		Help: "Reloads of the configuration by result: success, refused."}, []string{"result"})
	m.accepted, m.refused = reloads.WithLabelValues("success"), reloads.WithLabelValues("refused")
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "postern_build_info",
		Help: "1, for the version that runs and the Go release that built it."}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(m.requests, m.duration, m.upstream, m.retries, m.events, m.deliveries, m.reloaded, m.info, reloads, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.watchStore()
	return m
}

// watchStore makes what ObserveStore counts with.
func (m *metrics) watchStore() {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "postern_store_duration_seconds",
		Help:    "Uses of the store, by what they are for, with the waiting for a connection or a lock.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"operation"})
	faults := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_store_errors_total",
		Help: "Uses of the store that it did not answer."}, []string{"operation"})
	m.registry.MustRegister(duration, faults)
	m.store = map[string]storeMetrics{}
	for _, operation := range auth.StoreOperations() {
		m.store[operation] = storeMetrics{duration.WithLabelValues(operation), faults.WithLabelValues(operation)}
	}
}

// ObserveStore counts one use of the store: it is what auth.Measured wants.
func (g *Gateway) ObserveStore(c auth.StoreCall) {
	m, known := g.metrics.store[c.Operation]
	if !known {
		return
	}
	m.duration.Observe(c.Took.Seconds())
	if c.Fault {
		m.errors.Inc()
	}
}

// request counts one exchange.
func (m *metrics) request(x *exchange, status int, elapsed time.Duration) {
	list := &m.elsewhere
	if x.rt != nil {
		list = &x.rt.counted
	}
	found := m.find(list, requestKey{x.label, x.decision, x.reason, status})
	found.count.Inc()
	found.duration.Observe(elapsed.Seconds())
	if x.upstreamTime > 0 {
		x.rt.upstream.duration.Observe(x.upstreamTime.Seconds())
	}
}

// counted are the counters of the requests of one route, so that they are found
// without a lock and without hashing words: nearly always the first is the one.
// They end with the route's snapshot. The zero value is empty.
type counted struct{ first atomic.Pointer[countedAs] }

// countedAs is one of them.
type countedAs struct {
	key requestKey
	requestMetrics
	next *countedAs
}

// maxCounted bounds how many counters a route has at hand: an application may
// answer with whatever status it likes.
const maxCounted = 32

// find returns the counters of a key, and has those at hand that come for the
// first time. Of two that do so at once one may have to come again.
func (m *metrics) find(list *counted, key requestKey) requestMetrics {
	first, n := list.first.Load(), 0
	for c := first; c != nil; c = c.next {
		if c.key == key {
			return c.requestMetrics
		}
		n++
	}
	found := requestMetrics{m.requests.WithLabelValues(key.route, key.decision, key.reason, codeLabel(key.status)), m.duration.WithLabelValues(key.route)}
	if n < maxCounted {
		list.first.CompareAndSwap(first, &countedAs{key, found, first})
	}
	return found
}

// codeLabel is a status as a label. One that HTTP has no words for is "other":
// an application that answers whatever number it is asked for would make a
// series of each. 499 is the gateway's own, for a client that went.
func codeLabel(status int) string {
	if http.StatusText(status) == "" && status != statusClientGone {
		return "other"
	}
	return strconv.Itoa(status)
}

// handler answers a scrape. One metric that fails does not hide the others.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// gaugeOf spells yes and no for Prometheus.
func gaugeOf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
