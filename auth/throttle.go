package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// How many times lockout.attempts an address alone, and a name alone, may fail.
//
// An office or a mobile carrier shares one address, and five people's typing
// errors must not shut out the sixth; it still ends a walk through a list of
// names with one common password. A name that fails so often from everywhere is
// being guessed at by a hundred hosts.
const (
	networkFactor = 10
	nameFactor    = 100
)

// rememberEvery is how old a known network's last login may be before the next
// one is written down.
const rememberEvery = 24 * time.Hour

// inFlightWait is told to whoever meets a limit that attempts under way fill:
// they are soon over.
const inFlightWait = time.Second

// throttle limits guessing at passwords.
//
// A failed login counts three times: against the name from that network,
// against the network alone, and against the name alone. A network is an
// address, or an IPv6 /64. Each has a limit (lockout.attempts, 10 and 100 times
// as many) within lockout.window; at it, logins are refused for
// lockout.duration. Names that are nobody's count alike.
//
// A network from which the account has logged in within 30 days is known to it:
// there the first limit alone holds, and what fails there does not count
// against the name alone. So nobody is shut out at home for what strangers do.
//
// The counters are in the store: they outlast a restart, all instances share
// them, and `user unlock` clears them. A login that goes well reads them and
// writes nothing, but for the first of a day from an address. While the store
// is away nobody is locked and nobody logs in.
//
// Attempts that are under way count as failed until they are known not to be,
// so that a burst is no way past a limit. These are counted in memory, by each
// instance for itself: n instances together may compare n times the limit, once.
type throttle struct {
	store Store
	key   []byte // of the digests of names

	mu     sync.Mutex // guards the following
	flying map[flight]int
}

// flight is a thing that attempts under way count against: what a row of the
// store's counters is.
type flight struct{ name, network string }

// newThrottle derives the key of the digests from the master key: the store's
// rows then name nobody to whoever reads a backup, and instances that share a
// store agree on them.
func newThrottle(store Store, master MasterKey) *throttle {
	mac := hmac.New(sha256.New, master[:])
	mac.Write([]byte("postern names of failed logins"))
	return &throttle{store: store, key: mac.Sum(nil), flying: map[flight]int{}}
}

// digest is a name as the store sees it.
func (t *throttle) digest(name string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(name))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// draw is where to look for the account that a name which is nobody's draws: as
// hexadecimal and as decimal digits, since ids are either. The key keeps a
// stranger from knowing which one that is.
func (t *throttle) draw(name string) [2]string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte("decoy " + name))
	sum := mac.Sum(nil)
	return [2]string{hex.EncodeToString(sum[:16]), fmt.Sprintf("%018d", binary.BigEndian.Uint64(sum[16:])%1e18)}
}

// guess is an attempt at an account, or at a folded name that is nobody's. An
// account counts as one, whichever of its names is tried.
func (t *throttle) guess(account, name string, from netip.Addr) Guess {
	if account != "" {
		name = account
	}
	return Guess{Name: t.digest(name), Network: network(from), Account: account}
}

// network is what an address counts as: itself, or for IPv6 its /64, all of
// which one customer has. An IPv4 address in IPv6 clothes is the IPv4 address.
func network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	switch {
	case !a.IsValid():
		return UnknownNetwork
	case a.Is4():
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return UnknownNetwork // no IPv6 address lacks 64 bits
	}
	return p.String()
}

// attempt is one login under way. The first of its methods ends it; another
// cancelled does nothing, so that it can be deferred.
type attempt struct {
	throttle *throttle // nil: lockout is off
	landed   bool
	conf     Lockout
	guess    Guess
	found    Failures
}

// begin counts an attempt as under way, or answers a *LockedError before
// anything is hashed.
func (t *throttle) begin(ctx context.Context, conf Lockout, g Guess) (*attempt, error) {
	if conf.Attempts == 0 {
		return &attempt{}, nil
	}
	a := &attempt{throttle: t, conf: conf, guess: g}
	// First those ahead of us, then the store: whoever has ended in between is
	// seen twice, and nobody not at all.
	ahead := a.takeOff()
	wait := inFlightWait
	if ahead.Pair < conf.Attempts {
		var err error
		if a.found, err = t.store.Failures(ctx, g); err != nil {
			a.cancelled()
			return nil, unavailable("read the failed logins", err)
		}
		wait = a.wait(ahead)
	}
	if wait > 0 {
		a.cancelled()
		return nil, &LockedError{RetryAfter: wait}
	}
	return a, nil
}

// wait is how long the attempt has to wait, with so many ahead of it; 0 not at
// all.
func (a *attempt) wait(ahead FailureLimits) time.Duration {
	limits, now := a.limits(), a.found.Now
	return max(
		a.found.Pair.wait(limits.Pair, ahead.Pair, now),
		a.found.Network.wait(limits.Network, ahead.Network, now),
		a.found.Name.wait(limits.Name, ahead.Name, now),
	)
}

// wait is how long a thing with this tally, a limit, and attempts ahead has to
// wait.
func (t Tally) wait(limit, ahead int, now time.Time) time.Duration {
	switch {
	case limit == 0:
		return 0
	case t.Locked, t.Failed >= limit: // the latter where a reload has lowered the limit
		return max(0, t.Ends.Sub(now))
	case t.Failed+ahead >= limit:
		return inFlightWait
	}
	return 0
}

// limits are those that hold the attempt back.
func (a *attempt) limits() FailureLimits {
	l := FailureLimits{Pair: a.conf.Attempts, Window: a.conf.Window, Duration: a.conf.Duration}
	if a.guess.Network != UnknownNetwork && a.found.Known.IsZero() {
		l.Network, l.Name = a.conf.Attempts*networkFactor, a.conf.Attempts*nameFactor
	}
	return l
}

// failed counts the attempt. A failure that cannot be counted is ErrUnavailable,
// and the caller must not be told that the password was wrong: guessing would be
// without limit for as long as the store takes no writes.
func (a *attempt) failed(ctx context.Context) error {
	limits := a.limits()
	if a.guess.Network != UnknownNetwork {
		limits.Network = a.conf.Attempts * networkFactor // also where it does not hold back
	}
	return a.count(ctx, limits)
}

// unanswered counts an attempt of which nobody knows whether it was right. Who
// made it may be real, and is not shut out for a few of them: they do not count
// against the two together. But they count against the network and the name
// alone, or an application that answers wrong passwords with an error would be
// guessed at, and one that is down be flooded, without end.
func (a *attempt) unanswered(ctx context.Context) error {
	limits := a.limits()
	limits.Pair = 0
	return a.count(ctx, limits)
}

// count ends the attempt, and counts it against what has a limit.
func (a *attempt) count(ctx context.Context, limits FailureLimits) error {
	if a.throttle == nil {
		return nil
	}
	defer a.land() // after the store: see begin
	// Who hangs up in time must not get a guess for nothing.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	return unavailable("count a failed login", a.throttle.store.CountFailure(ctx, a.guess, limits))
}

// succeeded forgets the failures of the account from this network, and knows
// the network from now on. The failures of the network alone stay: else an
// attacker with one good account could clear them.
func (a *attempt) succeeded(ctx context.Context, account string) error {
	if a.throttle == nil {
		return nil
	}
	defer a.land()
	fresh := a.found.Now.Sub(a.found.Known) < rememberEvery || a.guess.Network == UnknownNetwork
	if fresh && a.found.Pair.Failed == 0 {
		return nil
	}
	a.guess.Account = account // it may have been made in this very login
	return unavailable("remember a login", a.throttle.store.RememberLogin(ctx, a.guess))
}

// cancelled takes the attempt back: no password was compared.
func (a *attempt) cancelled() {
	if a.throttle != nil {
		a.land()
	}
}

// flights are the things that the attempt counts against while it is under way.
func (a *attempt) flights() [3]flight {
	return [3]flight{{a.guess.Name, a.guess.Network}, {"", a.guess.Network}, {a.guess.Name, ""}}
}

// takeOff counts the attempt as under way and answers how many were before.
func (a *attempt) takeOff() (ahead FailureLimits) {
	t, f := a.throttle, a.flights()
	t.mu.Lock()
	defer t.mu.Unlock()
	ahead.Pair, ahead.Network, ahead.Name = t.flying[f[0]], t.flying[f[1]], t.flying[f[2]]
	for _, one := range f {
		t.flying[one]++
	}
	return ahead
}

// land ends the attempt.
func (a *attempt) land() {
	if a.landed {
		return
	}
	a.landed = true
	t := a.throttle
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range a.flights() {
		if t.flying[one]--; t.flying[one] == 0 {
			delete(t.flying, one)
		}
	}
}

// Unlock forgets the failed logins of an account, from everywhere: its next
// login is judged by its password. What is counted against an address alone
// stays, see UnlockAddress.
func (s *Service) Unlock(ctx context.Context, accountID string, by Actor) error {
	a, err := s.Account(ctx, accountID)
	if err != nil {
		return err
	}
	if _, err := s.store.ForgetFailures(ctx, s.throttle.digest(a.ID), ""); err != nil {
		return unavailable("forget the failed logins", err)
	}
	s.tell(ctx, Event{Name: EventUserUnlocked, User: a.Username, By: by.By, Client: by.Client})
	return nil
}

// UnlockAddress forgets the failed logins that count against an address alone,
// or for IPv6 against its /64.
func (s *Service) UnlockAddress(ctx context.Context, from netip.Addr, by Actor) error {
	where := network(from)
	if _, err := s.store.ForgetFailures(ctx, "", where); err != nil {
		return unavailable("forget the failed logins", err)
	}
	s.tell(ctx, Event{Name: EventUserUnlocked, By: by.By, Client: by.Client, Detail: "address " + where})
	return nil
}

// Locks lists from where an account's logins are refused, and until when.
func (s *Service) Locks(ctx context.Context, accountID string) ([]Lock, error) {
	locks, err := s.store.Locks(ctx, s.throttle.digest(accountID))
	return locks, unavailable("list the locks", err)
}
