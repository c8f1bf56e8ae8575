package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Defaults of Health.
const (
	defaultCheckInterval = 5 * time.Second
	defaultCheckTimeout  = time.Second
)

// errUnwell is a health check that got an answer, and not a good one.
var errUnwell = errors.New("the health check was answered with an error")

// checkup is how an upstream's targets are asked for their health.
type checkup struct {
	target            string // path and query
	host              string // Host to ask for; empty: the target's own
	interval, timeout time.Duration
}

// newCheckup is nil where no checks are wanted. An application that is told
// the client's Host may answer to no other: it is asked for the site's.
func newCheckup(c *Upstream, site string) *checkup {
	if c.Health.Path == "" {
		return nil
	}
	k := &checkup{target: c.Health.Path, host: site, interval: orDefault(c.Health.Interval, defaultCheckInterval),
		timeout: orDefault(c.Health.Timeout, defaultCheckTimeout)}
	if c.Host == "rewrite" {
		k.host = ""
	}
	return k
}

// CheckUpstreams asks the targets of the snapshot in force for their health,
// those of the next one from its Swap on, and returns when ctx ends. Without it
// only the requests tell what is healthy. It answers nil: an application that
// is down is no fault of the gateway.
func (g *Gateway) CheckUpstreams(ctx context.Context) error {
	for ctx.Err() == nil {
		s := g.snap.Load()
		checks, stop := context.WithCancel(ctx)
		var running sync.WaitGroup
		s.eachTarget(func(u *upstream, t *target) {
			if u.checkup != nil {
				running.Go(func() { u.watch(checks, t) })
			}
		})
		select {
		case <-ctx.Done():
		case <-g.swapped:
		}
		stop()
		running.Wait()
		s.closeUnused() // the connections of the last checks
	}
	return nil
}

// watch asks one target again and again until ctx ends.
func (u *upstream) watch(ctx context.Context, t *target) {
	tick := time.NewTicker(u.checkup.interval)
	defer tick.Stop()
	for {
		u.check(ctx, t)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// check asks a target once. A check that was broken off says nothing.
func (u *upstream) check(ctx context.Context, t *target) {
	asked, cancel := context.WithTimeout(ctx, u.checkup.timeout)
	defer cancel()
	sent := u.now()
	err := u.checkup.ask(asked, t)
	if ctx.Err() != nil {
		return
	}
	was := t.health.healthy()
	t.health.sick.Store(err != nil)
	if err == nil {
		t.health.answered(sent)
	}
	u.note(t, t.health.healthy() != was, err)
}

// ask sends the check. Any answer from 200 to 399 is good; a redirect is not
// followed, and a body is not read.
func (k *checkup) ask(ctx context.Context, t *target) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.scheme+"://"+t.host+t.base+k.target, nil)
	if err != nil {
		return fmt.Errorf("health.path: %w", err) // Validate has seen it
	}
	r.Host = cmp.Or(k.host, t.name)
	r.Header.Set("User-Agent", "postern")
	r.Close = true // nobody else's connection is closed when a reload ends the check, see isMistaken
	res, err := t.roundTrip(r, nil, false)
	if err != nil {
		return err
	}
	_ = res.Body.Close() // what is left of it ends the connection
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return fmt.Errorf("%w: %d", errUnwell, res.StatusCode)
	}
	return nil
}
