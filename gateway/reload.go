package gateway

import (
	"context"

	"github.com/posternhq/postern/auth"
)

// Swap puts a snapshot in force. Requests under way keep the one that they
// began with; its connections are closed when the last of them has ended.
func (g *Gateway) Swap(s *Snapshot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.swap(s)
}

// swap is Swap for one who holds mu.
func (g *Gateway) swap(s *Snapshot) {
	old := g.snap.Swap(s)
	select {
	case g.swapped <- struct{}{}:
	default: // it has not heard of the last one yet, and will see this
	}
	g.metrics.info.Reset()
	g.metrics.info.WithLabelValues(s.id).Set(1)
	g.metrics.reloaded.Set(1)
	if old != nil {
		old.retire()
	}
}

// Reload puts the snapshot that load answers in force, whole, or on its error
// leaves everything as it is. Either is an audit entry and a metric. Reloads
// run one after the other.
func (g *Gateway) Reload(ctx context.Context, load func() (*Snapshot, error)) error {
	s, err := load()
	if err != nil {
		g.metrics.reloaded.Set(0)
		g.metrics.refused.Inc()
		g.Audit(ctx, auth.Event{Name: "reload_refused", By: "system", Detail: err.Error()})
		return err
	}
	g.Swap(s)
	g.metrics.accepted.Inc()
	g.Audit(ctx, auth.Event{Name: "reload", By: "system", Detail: "snapshot " + s.id})
	return nil
}

// Drain takes the gateway out of service: /readyz answers 503 from now on.
// Requests are still served, and each answer asks its client to come back on
// another connection, so that few are cut when Server.Shutdown then ends it. It
// answers how the configuration in force wants it to end.
func (g *Gateway) Drain() Shutdown {
	g.draining.Store(true)
	if s := g.snap.Load(); s != nil {
		return s.shutdown
	}
	return DefaultConfig().Shutdown
}
