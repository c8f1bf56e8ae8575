package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/auth"
)

// provisionEvery is how often the outbox is looked into. A change made by a
// command, or by another instance, reaches the application within a second.
const provisionEvery = 500 * time.Millisecond

// How long to wait after a failure. The first time it is firstWait, then twice
// as long each time. Where an application answers, and takes one account's
// events alone badly, there is no hurry; where it is away, it is asked often
// enough to be in step soon after it is back.
const (
	firstWait     = time.Second
	longestAway   = time.Minute
	longestRefuse = time.Hour
)

// awayAfter is how many failures in a row, without a success between, mean that
// the application takes nothing at all: then one event tries it at a time, and
// the others wait.
const awayAfter = 3

// noteTimeout is how long the store may take to note what became of a try, also
// when the gateway stops meanwhile. An event is held for longer than both take:
// else another instance could send it once more, and after those that follow it.
const noteTimeout = 5 * time.Second

// Provision posts to the upstreams of the snapshot in force what becomes of
// accounts, until ctx ends, and waits for the tries under way. Several instances
// may do so on one store: what one has taken, no other takes.
//
// An event is forgotten when it was answered 2xx, and until then tried again
// and again; the application may so see one twice, under the same id, and those
// of one account come in their order. That the store is away is no fault of
// this: the answer is always nil.
func (g *Gateway) Provision(ctx context.Context) error {
	couriers := map[string]*courier{}
	var running sync.WaitGroup
	defer running.Wait()
	tick := time.NewTicker(provisionEvery)
	defer tick.Stop()
	for {
		for _, name := range g.provisioned() {
			c := couriers[name]
			if c == nil {
				c = newCourier(g, name)
				couriers[name] = c
			}
			if c.busy.CompareAndSwap(false, true) { // a slow application keeps no other waiting
				running.Go(func() {
					defer c.busy.Store(false)
					c.round(ctx)
				})
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// provisioned names the upstreams that are told of accounts.
func (g *Gateway) provisioned() []string {
	s := g.snap.Load()
	if s == nil || g.outbox == nil {
		return nil
	}
	names := make([]string, len(s.provisions))
	for i, p := range s.provisions {
		names[i] = p.upstream.name
	}
	return names
}

// courier brings one upstream its events, one after the other.
type courier struct {
	g    *Gateway
	name string
	busy atomic.Bool

	// The following belong to the round under way.
	seen   *Snapshot         // the last that it worked by
	streak int               // failures that speak against the whole application, since the last success
	until  time.Time         // when it is tried again
	why    string            // the last failure's kind
	told   map[string]string // the kind of the failure that was logged, by event; bounded
}

// maxTold bounds what a courier remembers of its log lines.
const maxTold = 1024

// newCourier makes the one courier of an upstream; it brings nothing until a
// round calls it.
func newCourier(g *Gateway, name string) *courier {
	return &courier{g: g, name: name, told: map[string]string{}}
}

// round delivers all that is due.
func (c *courier) round(ctx context.Context) {
	for ctx.Err() == nil && c.next(ctx) {
	}
}

// next delivers one event, by the snapshot that is in force by now. It answers
// false when there is nothing to do at this time.
func (c *courier) next(ctx context.Context) bool {
	s := c.g.snap.Load()
	s.acquire()
	defer s.release()
	p := s.provision(c.name)
	if p == nil { // a reload took it out
		return false
	}
	c.begin(ctx, s)
	if c.g.now().Before(c.until) {
		return false
	}
	n, err := c.g.outbox.TakeNews(ctx, c.name, 2*p.timeout+noteTimeout)
	if err != nil { // nothing is due, or the store is away, which Healthy tells
		return false
	}
	o := p.deliver(ctx, n)
	// What has happened has happened, also when the gateway stops meanwhile.
	noted, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	switch {
	case o.delivered():
		return c.delivered(noted, n)
	case ctx.Err() != nil: // broken off: it is nobody's failure
		_ = c.g.outbox.PostponeNews(noted, n, 0) // else it is due when its time is over
		return false
	}
	return c.failed(noted, n, o)
}

// begin forgets what was learnt by another snapshot: whoever has mended the
// configuration, or restarted, wants to see at once whether that helps.
func (c *courier) begin(ctx context.Context, s *Snapshot) {
	if c.seen == s {
		return
	}
	if err := c.g.outbox.HastenNews(ctx, c.name); err == nil {
		c.seen, c.streak, c.until = s, 0, time.Time{}
	}
}

// delivered notes a success. One that comes after many failures says that the
// application is back: what waited for it need wait no longer.
func (c *courier) delivered(ctx context.Context, n auth.News) bool {
	c.g.metrics.deliveries.WithLabelValues(c.name, resultDelivered).Inc()
	wasAway := c.streak >= awayAfter
	if wasAway || c.told[n.ID] != "" {
		c.g.log.Info("account events are delivered again", "upstream", c.name, "event", n.Event, "account", n.Account, "message", n.ID, "tries", n.Tries)
	}
	delete(c.told, n.ID)
	c.streak = 0
	if err := c.g.outbox.NewsDelivered(ctx, n); err != nil {
		return false // it comes again when its time is over
	}
	return !wasAway || c.g.outbox.HastenNews(ctx, c.name) == nil
}

// failed notes a failure. The account's events wait, those of others go on,
// unless it looks as if none were taken.
func (c *courier) failed(ctx context.Context, n auth.News, o outcome) bool {
	c.g.metrics.deliveries.WithLabelValues(c.name, o.result()).Inc()
	longest := longestRefuse
	if o.away() {
		longest = longestAway
	}
	// An event that is refused again and again says nothing new, and must not
	// make the others wait.
	if o.away() || n.Tries == 1 {
		c.streak++
	}
	if c.streak >= awayAfter {
		c.until = c.g.now().Add(wait(c.streak-awayAfter+1, longestAway))
	}
	c.tell(n, o)
	return c.g.outbox.PostponeNews(ctx, n, wait(n.Tries, longest)) == nil
}

// tell logs the first of the failures in a row, no more than once that of one
// event, and either again when it fails in another way: whoever has mended one
// thing sees that there is a second.
func (c *courier) tell(n auth.News, o outcome) {
	said := c.told[n.ID]
	if c.streak > 1 {
		said = c.why
	}
	c.why = o.kind()
	if said == c.why {
		return
	}
	if len(c.told) >= maxTold {
		clear(c.told)
	}
	c.told[n.ID] = c.why
	words := "an account event was not delivered, and is tried again until it is"
	if said != "" {
		words = "account events still are not delivered, by now for another reason"
	}
	c.g.log.Warn(words, "upstream", c.name, "event", n.Event, "account", n.Account, "message", n.ID, "status", o.status, "error", o.words())
}

// wait is how long to wait after so many failures.
func wait(failures int, longest time.Duration) time.Duration {
	d := firstWait
	for range failures - 1 {
		if d *= 2; d >= longest {
			return longest
		}
	}
	return d
}
