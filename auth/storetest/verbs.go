package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// verbPromises are about errors: absent, cancelled and unavailable must never be
// taken for each other. An outage is not "no such user".
func verbPromises() []Promise {
	return []Promise{
		{Name: "what is not there is ErrNotFound to every verb", Check: checkUnknown},
		{Name: "a cancelled caller is told so and nothing is done", Check: checkCancelled},
		{Name: "a deadline that has passed is told as such", Check: checkDeadline},
		{Name: "a closed store is unavailable", Check: checkClosed},
	}
}

// verb is a call of a store.
type verb struct {
	name string
	call func(context.Context, auth.Store) error
}

// lookups are the verbs that name one account or session, here "nobody".
func lookups() []verb {
	return []verb{
		{"Account", func(ctx context.Context, s auth.Store) error { _, err := s.Account(ctx, "nobody"); return err }},
		{"FindAccount", func(ctx context.Context, s auth.Store) error { _, err := s.FindAccount(ctx, "nobody"); return err }},
		{"AccountFrom", func(ctx context.Context, s auth.Store) error { _, err := s.AccountFrom(ctx, "nobody"); return err }},
		{"UpdateAccount", func(ctx context.Context, s auth.Store) error {
			_, err := s.UpdateAccount(ctx, "nobody", auth.AccountUpdate{Until: later(), Change: func(*auth.Account) error {
				return errors.New("changed an account that is not there")
			}})
			return err
		}},
		{"DeleteAccount", func(ctx context.Context, s auth.Store) error {
			return s.DeleteAccount(ctx, "nobody", auth.Removal{Until: later()})
		}},
		{"CreateSession", func(ctx context.Context, s auth.Store) error {
			_, err := s.CreateSession(ctx, auth.Session{ID: "s", AccountID: "nobody", Counter: 1, Created: now(), Rotated: now()})
			return err
		}},
		{"Session", func(ctx context.Context, s auth.Store) error { _, err := s.Session(ctx, "nobody"); return err }},
		{"RotateSession", func(ctx context.Context, s auth.Store) error {
			_, err := s.RotateSession(ctx, rotation("nobody", 1))
			return err
		}},
		{"RevokeSession", func(ctx context.Context, s auth.Store) error {
			return s.RevokeSession(ctx, "nobody", auth.RevokedByChoice, later())
		}},
		{"TakeNews", func(ctx context.Context, s auth.Store) error {
			_, err := s.TakeNews(ctx, "nobody", time.Hour)
			return err
		}},
		{"RevokeSessions", func(ctx context.Context, s auth.Store) error {
			_, err := s.RevokeSessions(ctx, "nobody", "", later())
			return err
		}},
	}
}

// verbs are all verbs of a store but Close.
func verbs() []verb {
	return append(lookups(), []verb{
		{"CreateAccount", func(ctx context.Context, s auth.Store) error {
			return s.CreateAccount(ctx, auth.Account{ID: "new", Username: "new"})
		}},
		{"CreateAccounts", func(ctx context.Context, s auth.Store) error {
			return s.CreateAccounts(ctx, []auth.Account{{ID: "new", Username: "new"}})
		}},
		{"Accounts", func(ctx context.Context, s auth.Store) error { _, err := s.Accounts(ctx); return err }},
		{"CountAccounts", func(ctx context.Context, s auth.Store) error { _, err := s.CountAccounts(ctx); return err }},
		{"CountRoleHolders", func(ctx context.Context, s auth.Store) error { _, err := s.CountRoleHolders(ctx); return err }},
		{"Sessions", func(ctx context.Context, s auth.Store) error { _, err := s.Sessions(ctx, ""); return err }},
		{"PruneSessions", func(ctx context.Context, s auth.Store) error { return s.PruneSessions(ctx, later(), later()) }},
		{"CountSessions", func(ctx context.Context, s auth.Store) error { _, err := s.CountSessions(ctx); return err }},
		{"Revocations", func(ctx context.Context, s auth.Store) error { _, err := s.Revocations(ctx, 0); return err }},
		{"Failures", func(ctx context.Context, s auth.Store) error {
			_, err := s.Failures(ctx, auth.Guess{Name: "n", Network: "w"})
			return err
		}},
		{"CountFailure", func(ctx context.Context, s auth.Store) error {
			return s.CountFailure(ctx, auth.Guess{Name: "n", Network: "w"}, limits())
		}},
		{"RememberLogin", func(ctx context.Context, s auth.Store) error {
			return s.RememberLogin(ctx, auth.Guess{Name: "n", Network: "w", Account: "id-alice"})
		}},
		{"Locks", func(ctx context.Context, s auth.Store) error { _, err := s.Locks(ctx, "n"); return err }},
		{"ForgetFailures", func(ctx context.Context, s auth.Store) error { _, err := s.ForgetFailures(ctx, "n", "w"); return err }},
		{"Subscribe", func(ctx context.Context, s auth.Store) error {
			_, err := s.Subscribe(ctx, []auth.Subscriber{{Name: "app"}}, false)
			return err
		}},
		{"TellOf", func(ctx context.Context, s auth.Store) error {
			_, err := s.TellOf(ctx, []string{"id-alice"})
			return err
		}},
		{"NewsDelivered", func(ctx context.Context, s auth.Store) error { return s.NewsDelivered(ctx, auth.News{ID: "n"}) }},
		{"PostponeNews", func(ctx context.Context, s auth.Store) error { return s.PostponeNews(ctx, auth.News{ID: "n"}, 0) }},
		{"HastenNews", func(ctx context.Context, s auth.Store) error { return s.HastenNews(ctx, "app") }},
		{"Backlogs", func(ctx context.Context, s auth.Store) error { _, err := s.Backlogs(ctx); return err }},
		{"Keys", func(ctx context.Context, s auth.Store) error { _, err := s.Keys(ctx); return err }},
		{"DeleteKeys", func(ctx context.Context, s auth.Store) error { return s.DeleteKeys(ctx, []string{"k"}) }},
		{"AddKey", func(ctx context.Context, s auth.Store) error {
			_, err := s.AddKey(ctx, auth.SealedKey{ID: "k", Use: "u", Sealed: []byte("x")})
			return err
		}},
	}...)
}

// checkUnknown asks every verb for what is not there.
func checkUnknown(t testing.TB, s, _ auth.Store) {
	account(t, s, "somebody")
	for _, v := range lookups() {
		want(t, v.name, v.call(context.Background(), s), auth.ErrNotFound)
	}
	same(t, "entries in the feed", len(feed(t, s)), 0)
}

// checkCancelled calls every verb for somebody who has hung up. It is nobody's
// fault, so health checks and logs must not see one.
func checkCancelled(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	session(t, s, a.ID, "s")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, v := range verbs() {
		err := v.call(ctx, s)
		want(t, v.name, err, context.Canceled)
		if errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%s blames the store for a caller who left: %v", v.name, err)
		}
	}
	n, err := s.CountAccounts(context.Background())
	must(t, "count", err)
	same(t, "accounts", n, 1)
	same(t, "sessions", listed(t, s, ""), []string{"s"}) // not pruned either
}

// checkDeadline is checkCancelled for a deadline.
func checkDeadline(t testing.TB, s, _ auth.Store) {
	ctx, cancel := context.WithDeadline(context.Background(), now().Add(-time.Second))
	defer cancel()
	for _, v := range verbs() {
		want(t, v.name, v.call(ctx, s), context.DeadlineExceeded)
	}
}

// checkClosed calls every verb of a store that was closed, as the last requests of
// a process that is stopping do.
func checkClosed(t testing.TB, s, _ auth.Store) {
	must(t, "close", s.Close())
	must(t, "close again", s.Close())
	for _, v := range verbs() {
		want(t, v.name, v.call(context.Background(), s), auth.ErrUnavailable)
	}
}
