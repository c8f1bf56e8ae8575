package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options is what a Service is made of. The caller keeps the Store and closes
// it after the last use of the Service.
type Options struct {
	Store  Store
	Master MasterKey
	Config Config
	Now    func() time.Time             // default time.Now
	Rand   io.Reader                    // default crypto/rand.Reader; safe for use at once
	Audit  func(context.Context, Event) // default: none; must not block
	// OldLogin is asked for unknown names where migrate_from has a login_url;
	// nil: nobody is.
	OldLogin OldLogin
	Hashing  func() // is called before each hash of a password, which takes 19 MiB and more; default: none
	Guest    bool   // on the store of a gateway whose access_token.ttl may be another: the command line
}

// Service answers who is asking: it logs people in, keeps their sessions, and
// proves the tokens that requests present. All methods may be called at once.
type Service struct {
	store    Store
	sealer   sealer
	now      func() time.Time
	rand     io.Reader
	audit    func(context.Context, Event)
	oldLogin OldLogin
	hashing  func()
	guest    bool

	view       *revocations
	throttle   *throttle
	applicants *applicants
	counts     *counts
	started    time.Time

	reconfigure sync.Mutex            // one change of current at a time
	current     atomic.Pointer[state] // replaced whole, never changed
	keysRead    atomic.Int64          // when the keys were read last, in nanoseconds since 1970
}

// state is all that a reload can change.
type state struct {
	config  Config
	ring    *keyring
	hasher  *hasher
	cache   *tokenCache   // of tokens that ring, issuer and audience have proven
	horizon time.Duration // how long a revocation made here is kept
}

// New opens the keys in the store, or makes them at the first start, and loads
// the revocations. A configuration with faults, a master key that does not open
// the keys, and a store that does not answer are errors.
func New(ctx context.Context, o Options) (*Service, error) {
	s := &Service{
		store: o.Store, now: o.Now, rand: o.Rand, audit: o.Audit, oldLogin: o.OldLogin, hashing: o.Hashing, guest: o.Guest,
		view: newRevocations(), throttle: newThrottle(o.Store, o.Master), applicants: newApplicants(), counts: newCounts(),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.hashing == nil {
		s.hashing = func() {}
	}
	s.sealer = sealer{master: o.Master, rand: s.rand}
	s.started = s.now()
	if o.Master == (MasterKey{}) {
		return nil, errors.New("the master key is all zero: it was never read")
	}
	if err := s.Reconfigure(ctx, o.Config); err != nil {
		return nil, err
	}
	// Without this a restart would make revoked tokens good again.
	if err := s.poll(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Reconfigure puts a configuration in force, whole or not at all. Sessions,
// keys and the view of revocations stay; another algorithm gets a key of its
// own, and tokens signed with the former are refused from then on. The cache of
// verified tokens is emptied when they might be judged differently.
func (s *Service) Reconfigure(ctx context.Context, c Config) error {
	s.reconfigure.Lock()
	defer s.reconfigure.Unlock()
	if c.Issuer == "" {
		return errors.New("auth.issuer is empty: it must name this gateway")
	}
	if f := c.Validate(); len(f) > 0 {
		return fmt.Errorf("auth.%s: %s", f[0].Path, f[0].Message)
	}
	ring, created, err := s.openKeyring(ctx, c)
	if err != nil {
		return err
	}
	old := s.current.Load()
	next := &state{config: c, ring: ring, cache: newTokenCache(), horizon: c.longest()}
	if s.guest {
		next.horizon = MaxAccessTTL
	}
	if old != nil {
		// What a longer life has issued is only capped while the life is shorter:
		// it counts again when that is taken back, and must then still be known
		// for revoked.
		next.horizon = max(next.horizon, old.horizon)
	}
	switch {
	case old == nil:
	case old.provesAlike(next):
		next.cache = old.cache
	default:
		next.cache = old.cache.emptied()
	}
	if old != nil && old.config.Password == c.Password {
		next.hasher = old.hasher
	} else if next.hasher, err = newHasher(c.Password, s.rand, s.hashing, &s.counts.hashing); err != nil {
		return err
	}
	if err := s.subscribe(ctx, c); err != nil { // the last that can fail
		return err
	}
	s.current.Store(next)
	for _, k := range created {
		s.tell(ctx, Event{Name: EventKeyCreated, Detail: k.Use + " " + k.ID})
	}
	return nil
}

// provesAlike reports whether both accept the same tokens in the same way.
func (st *state) provesAlike(other *state) bool {
	return st.ring.alike(other.ring) && st.config.Issuer == other.config.Issuer &&
		slices.Equal(st.config.Audience, other.config.Audience) && st.config.longest() == other.config.longest()
}

// unavailable marks a fault of the store, which is answered 503 and never taken
// for "no such user". What the store says on purpose goes through as it is.
func unavailable(doing string, err error) error {
	var conflict *ConflictError
	var invalid *InvalidError
	switch {
	case err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrLastAdmin) || errors.As(err, &conflict) || errors.As(err, &invalid):
		return err
	case errors.Is(err, ErrUnavailable) || errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", doing, err) // a client that hung up is no fault
	}
	return fmt.Errorf("%s: %w: %w", doing, ErrUnavailable, err)
}

type presentedKey struct{}

// WithPresented hands on what a request presented.
func WithPresented(ctx context.Context, p Presented) context.Context {
	return context.WithValue(ctx, presentedKey{}, p)
}

// PresentedIn is what WithPresented put into ctx; without that it is nothing,
// which is an anonymous caller. The Principal is never nil, and the caller's own.
func PresentedIn(ctx context.Context) Presented {
	p, _ := ctx.Value(presentedKey{}).(Presented)
	var own Principal
	if p.Principal != nil {
		own = *p.Principal
	}
	p.Principal = &own
	return p
}
