package gateway

import (
	"container/list"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/posternhq/postern/gateway/problem"
	"github.com/posternhq/postern/policy"
)

// What the state of one route's limit may grow to: so many accounts, and so
// many networks. It is some 10 MiB when both are full.
const maxBuckets = 1 << 15

// rateLimit is a route's `rate_limit`: a bucket of tokens for each caller, full
// at first, one taken by each request, refilled evenly over the window. A
// caller that was away may so send a burst of the whole quota, and within any
// one window at most twice the quota.
//
// It counts in memory, for this instance alone. A snapshot whose route and
// limit are those of the one before takes its state over: a reload is no way
// to a fresh quota.
type rateLimit struct {
	id       string // of the route and the limit: equal ids share state over a reload
	perUser  bool
	requests int
	window   time.Duration
	policy   []string // the RateLimit-Policy field

	// Accounts are kept apart from addresses. Those who have endless addresses
	// cannot push out what is known of somebody who is logged in.
	accounts  *buckets
	addresses *buckets
}

// newRateLimit makes the limit of a route, or none.
func newRateLimit(o *RateLimit, label string, methods []string) *rateLimit {
	if o == nil {
		return nil
	}
	seconds := int(math.Ceil(o.Window.Seconds()))
	return &rateLimit{
		id:        strings.Join([]string{label, strings.Join(methods, ","), o.Per, strconv.Itoa(o.Requests), o.Window.String()}, " "),
		perUser:   o.Per == "user",
		requests:  o.Requests,
		window:    o.Window,
		policy:    []string{fmt.Sprintf(`"gateway";q=%d;w=%d`, o.Requests, seconds)},
		accounts:  newBuckets(maxBuckets, o.Window),
		addresses: newBuckets(maxBuckets, o.Window),
	}
}

// inherit answers the same limit of an older snapshot, with all that it has
// counted, or the limit itself.
func (l *rateLimit) inherit(old *Snapshot) *rateLimit {
	if l == nil || old == nil {
		return l
	}
	for i := range old.routes {
		if kept := old.routes[i].limit; kept != nil && kept.id == l.id {
			return kept
		}
	}
	return l
}

// limitRate counts an allowed request, or refuses it. It comes after the
// decision: what is denied takes nothing from anybody's quota, or a stranger
// could use up that of an address that others share.
//
// It counts for every route that the application may take the request for:
// else /LOGIN, that a wider route answers, would be the way past the limit of
// /login.
func (x *exchange) limitRate(now time.Time) bool {
	for i := range x.match.Routes {
		if l := x.snap.routes[i].limit; l != nil && !x.take(l, now) {
			return false
		}
	}
	return true
}

// take counts a request for one limit, or refuses it. The answer tells of the
// first limit, or of the one that refuses.
func (x *exchange) take(l *rateLimit, now time.Time) bool {
	bucket := l.bucketOf(x, now)
	granted := bucket.AllowN(now, 1)
	tokens := max(bucket.TokensAt(now), 0)
	if x.answer.ratePolicy == nil || !granted {
		x.answer.rateLimit, x.answer.ratePolicy = l.field(tokens), l.policy
	}
	if granted {
		return true
	}
	p := problem.Of(problem.RateLimited)
	p.RetryAfter = max(l.refill(1-tokens), time.Second)
	x.refuse(p)
	x.rule = policy.Pos{} // that rule let it pass
	return false
}

// bucketOf finds the bucket of who asks: of the account, where the limit is
// per user and somebody is proven, else of the client's address.
func (l *rateLimit) bucketOf(x *exchange, now time.Time) *rate.Limiter {
	if l.perUser && x.proven() {
		return l.accounts.of(bucketKey{account: x.presented.Principal.ID}, now, l.fresh)
	}
	return l.addresses.of(bucketKey{network: networkOf(x.client)}, now, l.fresh)
}

// fresh makes a full bucket.
func (l *rateLimit) fresh() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(l.requests)/l.window.Seconds()), l.requests)
}

// field is RateLimit, of draft-ietf-httpapi-ratelimit-headers-10: how many
// requests are left, and in how many seconds the whole quota is back.
func (l *rateLimit) field(tokens float64) []string {
	full := l.refill(float64(l.requests) - tokens)
	return []string{`"gateway";r=` + strconv.Itoa(int(tokens)) + `;t=` + strconv.Itoa(int(math.Ceil(full.Seconds())))}
}

// refill is how long so many tokens take to come.
func (l *rateLimit) refill(tokens float64) time.Duration {
	return time.Duration(tokens * float64(l.window) / float64(l.requests))
}

// networkOf is what one client surely has: an IPv4 address, or the /64 of an
// IPv6 one, in which anybody may take as many addresses as they like. Clients
// whose address is not known are one to the limit.
func networkOf(client netip.Addr) netip.Prefix {
	if !client.IsValid() {
		return netip.Prefix{}
	}
	client = client.Unmap().WithZone("")
	bits := 32
	if client.Is6() {
		bits = 64
	}
	p, _ := client.Prefix(bits) // no error: the bits are not more than there are
	return p
}

// bucketKey names a caller: one of the two is set.
type bucketKey struct {
	account string
	network netip.Prefix
}

// buckets are the buckets of those who asked lately, and never more than a
// fixed number. A bucket that has been full again for lack of use is the same
// as none, and is forgotten without loss.
//
// Where that does not make room, a bucket has to be forgotten that is not full.
// Those seen once go before those seen more often (a segmented LRU): whoever
// comes from ever new addresses pushes out his own kind, and needs several
// requests from each of tens of thousands of them to reach an honest client's.
type buckets struct {
	most  int
	after time.Duration // of no use, when a bucket is full

	mu       sync.Mutex // guards the following
	byKey    map[bucketKey]*list.Element
	seenOnce *list.List // of *bucket, the latest in front
	seenMore *list.List // of *bucket, the latest in front; at most three quarters of all
}

// bucket is one caller's.
type bucket struct {
	key    bucketKey
	tokens *rate.Limiter
	used   time.Time
	more   bool // in seenMore
}

// newBuckets remembers the given number of callers at most; a bucket is full
// again, and so of no use, the given time after it was asked last.
func newBuckets(most int, after time.Duration) *buckets {
	return &buckets{most: most, after: after, byKey: make(map[bucketKey]*list.Element), seenOnce: list.New(), seenMore: list.New()}
}

// of answers the bucket of a key, made by fresh where there is none.
func (b *buckets) of(key bucketKey, now time.Time, fresh func() *rate.Limiter) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(b.seenOnce, now)
	b.expire(b.seenMore, now)
	if e, ok := b.byKey[key]; ok {
		return b.seen(e, now)
	}
	if len(b.byKey) >= b.most {
		b.forget(b.oldest())
	}
	made := &bucket{key: key, tokens: fresh(), used: now}
	b.byKey[key] = b.seenOnce.PushFront(made)
	return made.tokens
}

// seen notes another use of a bucket.
func (b *buckets) seen(e *list.Element, now time.Time) *rate.Limiter {
	found := e.Value.(*bucket)
	found.used = now
	if found.more {
		b.seenMore.MoveToFront(e)
		return found.tokens
	}
	b.seenOnce.Remove(e)
	found.more = true
	b.byKey[found.key] = b.seenMore.PushFront(found)
	if b.seenMore.Len() > b.most/4*3 {
		back := b.seenMore.Back()
		demoted := b.seenMore.Remove(back).(*bucket)
		demoted.more = false
		b.byKey[demoted.key] = b.seenOnce.PushFront(demoted)
	}
	return found.tokens
}

// oldest is the bucket to forget first.
func (b *buckets) oldest() *list.Element {
	if e := b.seenOnce.Back(); e != nil {
		return e
	}
	return b.seenMore.Back()
}

// expire forgets buckets that are full again, a few at each request, so that
// no request pays for all.
func (b *buckets) expire(l *list.List, now time.Time) {
	for range 4 {
		e := l.Back()
		if e == nil || now.Sub(e.Value.(*bucket).used) < b.after {
			return
		}
		b.forget(e)
	}
}

// forget takes a bucket out.
func (b *buckets) forget(e *list.Element) {
	gone := e.Value.(*bucket)
	delete(b.byKey, gone.key)
	if gone.more {
		b.seenMore.Remove(e)
		return
	}
	b.seenOnce.Remove(e)
}
