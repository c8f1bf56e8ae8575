package sqlstore_test

import (
	"context"
	"time"

	"github.com/posternhq/postern/auth"
)

// miscounting is a store in which counting goes wrong in some way.
type miscounting struct {
	auth.Store
	count    func(context.Context, auth.Guess, auth.FailureLimits) error
	failures func(*auth.Failures, auth.Guess)
	remember func(context.Context, auth.Guess) error
	forget   func(context.Context, string, string) (int, error)
	locks    func([]auth.Lock) []auth.Lock
}

func (m miscounting) CountFailure(ctx context.Context, g auth.Guess, l auth.FailureLimits) error {
	return or(m.count, m.count != nil, m.Store.CountFailure)(ctx, g, l)
}

func (m miscounting) Failures(ctx context.Context, g auth.Guess) (auth.Failures, error) {
	found, err := m.Store.Failures(ctx, g)
	if err == nil && m.failures != nil {
		m.failures(&found, g)
	}
	return found, err
}

func (m miscounting) RememberLogin(ctx context.Context, g auth.Guess) error {
	return or(m.remember, m.remember != nil, m.Store.RememberLogin)(ctx, g)
}

func (m miscounting) ForgetFailures(ctx context.Context, name, network string) (int, error) {
	return or(m.forget, m.forget != nil, m.Store.ForgetFailures)(ctx, name, network)
}

func (m miscounting) Locks(ctx context.Context, name string) ([]auth.Lock, error) {
	all, err := m.Store.Locks(ctx, name)
	if m.locks != nil {
		all = m.locks(all)
	}
	return all, err
}

// failureFaults are the ways to count wrong.
func failureFaults() []fault {
	is := func(make func(real auth.Store) miscounting) func(*wrong, auth.Store) {
		return func(w *wrong, real auth.Store) {
			m := make(real)
			m.Store = real
			w.Store = m
		}
	}
	limited := func(edit func(*auth.FailureLimits)) func(*wrong, auth.Store) {
		return is(func(real auth.Store) miscounting {
			return miscounting{count: func(ctx context.Context, g auth.Guess, l auth.FailureLimits) error {
				edit(&l)
				return real.CountFailure(ctx, g, l)
			}}
		})
	}
	seen := func(edit func(*auth.Failures, auth.Guess)) func(*wrong, auth.Store) {
		return is(func(auth.Store) miscounting { return miscounting{failures: edit} })
	}
	return []fault{
		{"counts what has no limit", "a failed login counts", limited(func(l *auth.FailureLimits) { l.Name = 100 })},
		{"does not count the network", "a failed login counts", limited(func(l *auth.FailureLimits) { l.Network = 0 })},
		{"has a clock of its own", "a failed login counts", seen(func(f *auth.Failures, _ auth.Guess) { f.Now = f.Now.Add(time.Hour) })},
		{"locks one too late", "what reaches its limit", limited(func(l *auth.FailureLimits) { l.Pair++ })},
		{"locks for the window", "what reaches its limit", limited(func(l *auth.FailureLimits) { l.Duration = l.Window })},
		{"hides the lock of a name", "what reaches its limit", is(func(auth.Store) miscounting {
			return miscounting{locks: func(all []auth.Lock) []auth.Lock { return all[min(1, len(all)):] }}
		})},
		{"never ends a window", "what has ended", limited(func(l *auth.FailureLimits) { l.Window = time.Hour })},
		{"never ends a lock", "what has ended", limited(func(l *auth.FailureLimits) { l.Duration = time.Hour })},
		{"loses one in five", "no failure of many", is(func(real auth.Store) miscounting {
			n := make(chan int, 1)
			n <- 0
			return miscounting{count: func(ctx context.Context, g auth.Guess, l auth.FailureLimits) error {
				i := <-n
				n <- i + 1
				if i%5 == 0 {
					return nil
				}
				return real.CountFailure(ctx, g, l)
			}}
		})},
		{"knows whoever asks", "a login forgets", seen(func(f *auth.Failures, _ auth.Guess) { f.Known = f.Now })},
		{"keeps the failures", "a login forgets", is(func(real auth.Store) miscounting {
			return miscounting{remember: func(ctx context.Context, g auth.Guess) error {
				g.Name = "another"
				return real.RememberLogin(ctx, g)
			}}
		})},
		{"knows every network", "an account has a bounded number", seen(func(f *auth.Failures, g auth.Guess) {
			if g.Account != "" {
				f.Known = f.Now
			}
		})},
		{"takes no name for the name of networks", "failures are forgotten", is(func(real auth.Store) miscounting {
			return miscounting{forget: func(ctx context.Context, name, network string) (int, error) {
				if name == "" && network == "" {
					network = "192.0.2.1"
				}
				return real.ForgetFailures(ctx, name, network)
			}}
		})},
		{"forgets nothing", "failures are forgotten", is(func(auth.Store) miscounting {
			return miscounting{forget: func(context.Context, string, string) (int, error) { return 0, nil }}
		})},
	}
}
