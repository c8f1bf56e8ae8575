package gateway

import (
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// crowding says of which connections a new one is one too many.
type crowding uint32

const (
	roomy         crowding = iota
	crowdOfAll             // limits.connections
	crowdOfClient          // limits.connections_per_client
)

// reason is what the access log and the metrics call it.
func (c crowding) reason() string {
	if c == crowdOfClient {
		return reasonClientCrowd
	}
	return reasonCrowd
}

// withMargin is up to how many connections are accepted, of which those above
// the most are told that they are too many.
func withMargin(most int) int { return most + most/8 + 8 }

// crowd counts the connections of each client, which is an IPv4 address or the
// /64 of an IPv6 one, see networkOf. It remembers nobody who has none.
type crowd struct {
	most int

	mu   sync.Mutex // guards the following, and crowdPlace
	open map[netip.Prefix]int
}

// crowdPlace is what a connection has in a crowd.
type crowdPlace struct {
	network netip.Prefix // invalid: it is not counted
	left    bool
}

// newCrowd is nil where there is no limit: then nothing is counted.
func newCrowd(most int) *crowd {
	if most <= 0 {
		return nil
	}
	return &crowd{most: most, open: map[netip.Prefix]int{}}
}

// enter counts a connection, and answers how many its client now has. One that
// was closed meanwhile does not count.
func (c *crowd) enter(at *crowdPlace, client netip.Addr) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.left || at.network.IsValid() {
		return 0
	}
	at.network = networkOf(client)
	c.open[at.network]++
	return c.open[at.network]
}

// leave forgets a connection.
func (c *crowd) leave(at *crowdPlace) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at.left = true
	if !at.network.IsValid() {
		return
	}
	if c.open[at.network]--; c.open[at.network] == 0 {
		delete(c.open, at.network)
	}
	at.network = netip.Prefix{}
}

// admit counts a connection as its client's, once it is known who that is, and
// closes it where the client has far too many. Peers that are trusted bring the
// connections of many clients, and a unix socket's peers and those whom a proxy
// does not know are nobody: they do not count.
func (f *front) admit(c *countedConn, client netip.Addr) bool {
	if f.crowd == nil || !client.IsValid() || client.IsUnspecified() || f.trusts(client) {
		return true
	}
	n := f.crowd.enter(&c.place, client)
	if n <= f.crowd.most {
		return true
	}
	if c.crowded.CompareAndSwap(uint32(roomy), uint32(crowdOfClient)) { // else it is counted already
		f.refused.count(crowdOfClient)
	}
	if n <= withMargin(f.crowd.most) {
		return true
	}
	_ = c.Close() // nobody is there yet to be told
	return false
}

// refusedConnections counts those that were one too many, whether they were
// told or closed at once.
type refusedConnections struct{ ofAll, ofClient prometheus.Counter }

// count counts one; on nil it does nothing.
func (r *refusedConnections) count(c crowding) {
	switch {
	case r == nil:
	case c == crowdOfClient:
		r.ofClient.Inc()
	default:
		r.ofAll.Inc()
	}
}

// watchDoor makes what refused connections are counted by.
func (m *metrics) watchDoor() *refusedConnections {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_connections_refused_total",
		Help: "Connections to the public listener that were one too many, by the limit: connections, connections_per_client."}, []string{"limit"})
	m.registry.MustRegister(refused)
	return &refusedConnections{refused.WithLabelValues("connections"), refused.WithLabelValues("connections_per_client")}
}
