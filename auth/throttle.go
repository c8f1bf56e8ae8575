package auth

import (
	"container/list"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

// addressFactor is how many times more failed logins an address may have than a
// name from that address: an office or a mobile carrier shares one, and five
// people's typing errors must not shut out the sixth. It still ends a walk
// through a list of names with one common password.
const addressFactor = 10

// throttleSize is how many counters are kept, of names and of addresses each;
// the one that was used longest ago makes room. At some 250 bytes each that is
// 32 MiB at most, whatever is tried.
const throttleSize = 1 << 16

// throttle counts failed logins. By name and address together, so that nobody
// can lock a victim out from elsewhere; by address alone, so that nobody can
// try one password on everybody. Names that do not exist count alike.
type throttle struct {
	mu        sync.Mutex // guards the following
	pairs     *counters
	addresses *counters
}

func newThrottle(size int) *throttle {
	return &throttle{pairs: newCounters(size), addresses: newCounters(size)}
}

// throttleKey has a fixed size: names are a stranger's to choose, and long ones
// must not cost more memory than short ones.
type throttleKey struct {
	name    [16]byte // of the SHA-256 of the folded name; zero: the address alone
	network netip.Prefix
}

// attempt is one login that is under way: it counts as failed until it is known
// not to be, so that a burst of many at once is no way past the limit.
type attempt struct {
	throttle *throttle
	lockout  Lockout
	pair     throttleKey
	address  throttleKey
}

// network is what an address counts as: itself, or for IPv6 its /64, all of
// which one customer has. An IPv4 address in IPv6 clothes is the IPv4 address.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: a unix socket
	}
	return p
}

// begin counts a login attempt, or answers a *LockedError before anything was
// looked up or hashed.
func (t *throttle) begin(conf Lockout, name string, from netip.Addr, now time.Time) (*attempt, error) {
	if conf.Attempts == 0 {
		return &attempt{}, nil
	}
	sum := sha256.Sum256([]byte(name))
	a := &attempt{throttle: t, lockout: conf, address: throttleKey{network: network(from)}}
	a.pair = throttleKey{name: [16]byte(sum[:16]), network: a.address.network}
	t.mu.Lock()
	defer t.mu.Unlock()
	if wait := t.pairs.at(a.pair, conf, now).wait(conf.Attempts, now); wait > 0 {
		return nil, &LockedError{RetryAfter: wait}
	}
	// Who has no address (all come through one unix socket) would be one
	// address together: only the name counts then.
	if a.address.network.IsValid() {
		c := t.addresses.at(a.address, conf, now)
		if wait := c.wait(conf.Attempts*addressFactor, now); wait > 0 {
			return nil, &LockedError{RetryAfter: wait}
		}
		c.count++
	}
	t.pairs.at(a.pair, conf, now).count++
	return a, nil
}

// failed leaves the attempt counted, and locks when it was the last allowed.
func (a *attempt) failed(now time.Time) {
	a.settle(func(c *counter, limit int) {
		if c.count >= limit {
			c.locked = now.Add(a.lockout.Duration)
		}
	})
}

// succeeded forgets the failures of the name from this address. Those of the
// address stay: else an attacker with one good account could clear them.
func (a *attempt) succeeded() {
	a.cancelled()
	if a.throttle == nil {
		return
	}
	a.throttle.mu.Lock()
	defer a.throttle.mu.Unlock()
	a.throttle.pairs.drop(a.pair)
}

// cancelled takes the attempt back: no password was compared.
func (a *attempt) cancelled() {
	a.settle(func(c *counter, _ int) { c.count = max(0, c.count-1) })
}

// settle changes both counters, where they have not made room since.
func (a *attempt) settle(change func(c *counter, limit int)) {
	if a.throttle == nil {
		return
	}
	a.throttle.mu.Lock()
	defer a.throttle.mu.Unlock()
	if c, ok := a.throttle.pairs.find(a.pair); ok {
		change(c, a.lockout.Attempts)
	}
	if c, ok := a.throttle.addresses.find(a.address); ok {
		change(c, a.lockout.Attempts*addressFactor)
	}
}

// counter counts failed logins since the first of them.
type counter struct {
	key    throttleKey
	count  int
	since  time.Time
	locked time.Time // until when; zero: not locked
}

// wait is how long the next attempt has to wait; 0 not at all. Attempts that
// are under way fill the limit too: they are soon over.
func (c *counter) wait(limit int, now time.Time) time.Duration {
	if left := c.locked.Sub(now); left > 0 {
		return left
	}
	if c.count >= limit {
		return time.Second
	}
	return 0
}

// counters are the counters of one kind, the least recently used last.
type counters struct {
	size  int
	order *list.List // of *counter
	byKey map[throttleKey]*list.Element
}

func newCounters(size int) *counters {
	return &counters{size: size, order: list.New(), byKey: map[throttleKey]*list.Element{}}
}

func (cs *counters) find(k throttleKey) (*counter, bool) {
	e, ok := cs.byKey[k]
	if !ok {
		return nil, false
	}
	return e.Value.(*counter), true
}

// at is the counter of a key, begun anew when its window or its lock is over.
func (cs *counters) at(k throttleKey, conf Lockout, now time.Time) *counter {
	e, ok := cs.byKey[k]
	if !ok {
		if cs.order.Len() >= cs.size {
			cs.drop(cs.order.Back().Value.(*counter).key)
		}
		e = cs.order.PushFront(&counter{key: k, since: now})
		cs.byKey[k] = e
	}
	cs.order.MoveToFront(e)
	c := e.Value.(*counter)
	windowOver := c.locked.IsZero() && now.Sub(c.since) >= conf.Window
	lockOver := !c.locked.IsZero() && !now.Before(c.locked)
	if windowOver || lockOver {
		*c = counter{key: k, since: now}
	}
	return c
}

func (cs *counters) drop(k throttleKey) {
	if e, ok := cs.byKey[k]; ok {
		cs.order.Remove(e)
		delete(cs.byKey, k)
	}
}
