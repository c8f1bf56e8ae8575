package sqlstore_test

import (
	"context"
	"strings"
	"time"

	"github.com/posternhq/postern/auth"
)

// misposting is a store whose outbox goes wrong in some way.
type misposting struct {
	auth.Store
	take      func(context.Context, string, time.Duration) (auth.News, error)
	delivered func(context.Context, auth.News) error
	postpone  func(context.Context, auth.News, time.Duration) error
	hasten    func(context.Context, string) error
	subscribe func(context.Context, []auth.Subscriber, bool) (auth.Subscribed, error)
	tell      func(context.Context, []string) (int, error)
	update    func(context.Context, string, auth.AccountUpdate) (auth.Account, error)
	remove    func(context.Context, string, auth.Removal) error
}

func (m misposting) TakeNews(ctx context.Context, name string, hold time.Duration) (auth.News, error) {
	return or(m.take, m.take != nil, m.Store.TakeNews)(ctx, name, hold)
}

func (m misposting) NewsDelivered(ctx context.Context, n auth.News) error {
	return or(m.delivered, m.delivered != nil, m.Store.NewsDelivered)(ctx, n)
}

func (m misposting) PostponeNews(ctx context.Context, n auth.News, wait time.Duration) error {
	return or(m.postpone, m.postpone != nil, m.Store.PostponeNews)(ctx, n, wait)
}

func (m misposting) HastenNews(ctx context.Context, name string) error {
	return or(m.hasten, m.hasten != nil, m.Store.HastenNews)(ctx, name)
}

func (m misposting) Subscribe(ctx context.Context, all []auth.Subscriber, keepOthers bool) (auth.Subscribed, error) {
	return or(m.subscribe, m.subscribe != nil, m.Store.Subscribe)(ctx, all, keepOthers)
}

func (m misposting) TellOf(ctx context.Context, ids []string) (int, error) {
	return or(m.tell, m.tell != nil, m.Store.TellOf)(ctx, ids)
}

func (m misposting) UpdateAccount(ctx context.Context, id string, u auth.AccountUpdate) (auth.Account, error) {
	return or(m.update, m.update != nil, m.Store.UpdateAccount)(ctx, id, u)
}

func (m misposting) DeleteAccount(ctx context.Context, id string, r auth.Removal) error {
	return or(m.remove, m.remove != nil, m.Store.DeleteAccount)(ctx, id, r)
}

// outboxFaults are the ways to lose news, to tell them twice or out of turn.
func outboxFaults() []fault {
	is := func(make func(real auth.Store) misposting) func(*wrong, auth.Store) {
		return func(w *wrong, real auth.Store) {
			m := make(real)
			m.Store = real
			w.Store = m
		}
	}
	taken := func(edit func(*auth.News)) func(*wrong, auth.Store) {
		return is(func(real auth.Store) misposting {
			return misposting{take: func(ctx context.Context, name string, hold time.Duration) (auth.News, error) {
				n, err := real.TakeNews(ctx, name, hold)
				edit(&n)
				return n, err
			}}
		})
	}
	return []fault{
		{"posts for who may come later", "where nobody subscribed", is(func(real auth.Store) misposting {
			return misposting{subscribe: func(ctx context.Context, all []auth.Subscriber, keep bool) (auth.Subscribed, error) {
				change, err := real.Subscribe(ctx, all, keep)
				if err == nil {
					_, err = real.TellOf(ctx, []string{"id-alice"})
				}
				return change, err
			}}
		})},
		{"shows the hash", "a change of an account brings", taken(func(n *auth.News) { n.Data = append(n.Data, "$secret"...) })},
		{"calls everything a change", "a change of an account brings", taken(func(n *auth.News) { n.Event = auth.AccountChanged })},
		{"posts what was refused", "a change that is refused", is(func(real auth.Store) misposting {
			return misposting{remove: func(ctx context.Context, id string, r auth.Removal) error {
				err := real.DeleteAccount(ctx, id, r)
				if err != nil {
					_, _ = real.TellOf(ctx, []string{id})
				}
				return err
			}}
		})},
		{"takes out of turn", "news of one account are taken in their order", is(func(real auth.Store) misposting {
			return misposting{take: func(ctx context.Context, name string, _ time.Duration) (auth.News, error) {
				n, err := real.TakeNews(ctx, name, time.Hour)
				if err == nil && n.Account == "id-alice" { // and lets the next one follow at once
					err = real.NewsDelivered(ctx, n)
				}
				return n, err
			}}
		})},
		{"merges nothing", "what was never taken is merged", is(func(real auth.Store) misposting {
			return misposting{update: func(ctx context.Context, id string, u auth.AccountUpdate) (auth.Account, error) {
				a, err := real.UpdateAccount(ctx, id, u)
				if n, taken := real.TakeNews(ctx, "app", 0); taken == nil { // what was tried is not merged
					_ = real.PostponeNews(ctx, n, 0)
				}
				return a, err
			}}
		})},
		{"forgets the end of an account", "what was never taken is merged", is(func(real auth.Store) misposting {
			return misposting{remove: func(ctx context.Context, id string, r auth.Removal) error {
				err := real.DeleteAccount(ctx, id, r)
				if n, taken := real.TakeNews(ctx, "app", 0); taken == nil {
					_ = real.NewsDelivered(ctx, n)
				}
				return err
			}}
		})},
		{"gives each try an id", "what was taken once stays", taken(func(n *auth.News) { n.ID = strings.Repeat("x", n.Tries) + n.ID })},
		{"sends the account as it is now", "what was taken once stays", taken(func(n *auth.News) {
			if n.Tries > 1 {
				n.Data = nil
			}
		})},
		{"holds nothing", "of many who take news", is(func(real auth.Store) misposting {
			return misposting{take: func(ctx context.Context, name string, _ time.Duration) (auth.News, error) {
				n, err := real.TakeNews(ctx, name, time.Hour)
				if err == nil && n.Tries == 1 {
					err = real.PostponeNews(ctx, n, 0)
				}
				return n, err
			}}
		})},
		{"waits for nothing", "what is not delivered is due again", is(func(real auth.Store) misposting {
			return misposting{postpone: func(ctx context.Context, n auth.News, _ time.Duration) error { return real.PostponeNews(ctx, n, 0) }}
		})},
		{"hastens nothing", "what is not delivered is due again", is(func(auth.Store) misposting {
			return misposting{hasten: func(context.Context, string) error { return nil }}
		})},
		{"hastens what is others'", "what is not delivered is due again", is(func(real auth.Store) misposting {
			return misposting{hasten: func(ctx context.Context, _ string) error { return real.HastenNews(ctx, "app") }}
		})},
		{"gives back what is another's", "who was too slow", is(func(real auth.Store) misposting {
			return misposting{postpone: func(ctx context.Context, n auth.News, wait time.Duration) error {
				n.Tries++
				return real.PostponeNews(ctx, n, wait)
			}}
		})},
		{"gives up what is refused", "whatever becomes of accounts", is(func(real auth.Store) misposting {
			return misposting{postpone: func(ctx context.Context, n auth.News, _ time.Duration) error { return real.NewsDelivered(ctx, n) }}
		})},
		{"takes what was sent for taken", "whatever becomes of accounts", is(func(real auth.Store) misposting {
			return misposting{take: func(ctx context.Context, name string, hold time.Duration) (auth.News, error) {
				n, err := real.TakeNews(ctx, name, hold)
				if err == nil && n.Tries > 1 { // and says something else in its place
					n.Data = nil
				}
				return n, err
			}}
		})},
		{"keeps everybody", "each subscriber hears", is(func(real auth.Store) misposting {
			return misposting{subscribe: func(ctx context.Context, all []auth.Subscriber, _ bool) (auth.Subscribed, error) {
				return real.Subscribe(ctx, all, true)
			}}
		})},
		{"lets a guest take others away", "each subscriber hears", is(func(real auth.Store) misposting {
			return misposting{subscribe: func(ctx context.Context, all []auth.Subscriber, _ bool) (auth.Subscribed, error) {
				return real.Subscribe(ctx, all, false)
			}}
		})},
		{"introduces one at a time", "an account is introduced", is(func(real auth.Store) misposting {
			return misposting{tell: func(ctx context.Context, ids []string) (int, error) { return real.TellOf(ctx, ids[:1]) }}
		})},
	}
}
