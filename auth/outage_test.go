package auth_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// twisted is the real store whose answer to a rotation is changed on the way.
type twisted struct {
	auth.Store
	twist func(*auth.Rotated)
}

func (s twisted) RotateSession(ctx context.Context, r auth.Rotation) (auth.Rotated, error) {
	found, err := s.Store.RotateSession(ctx, r)
	s.twist(&found)
	return found, err
}

// Each row that a rotation may find, and what it means. The clock of the store
// counts, not ours.
func TestTheRuleOfRefresh(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		twist func(*auth.Rotated)
		want  error
		ended bool
	}{
		"swapped": {func(*auth.Rotated) {}, nil, false},
		"revoked": {func(f *auth.Rotated) { f.Swapped, f.Session.Revoked = false, now }, auth.ErrRefreshInvalid, false},
		"revoked for a replay": {func(f *auth.Rotated) {
			f.Swapped, f.Session.Revoked, f.Session.RevokedFor = false, now, auth.RevokedForReuse
		}, auth.ErrRefreshReused, false},
		"disabled":                   {func(f *auth.Rotated) { f.Swapped, f.Account.Disabled = false, true }, auth.ErrRefreshInvalid, true},
		"idle too long":              {func(f *auth.Rotated) { f.Swapped, f.Now = false, f.Now.Add(idleLimit) }, auth.ErrRefreshExpired, false},
		"too old":                    {func(f *auth.Rotated) { f.Swapped, f.Session.Created = false, f.Now.Add(-sessionEnd) }, auth.ErrRefreshExpired, false},
		"no reason":                  {func(f *auth.Rotated) { f.Swapped, f.Session.Counter = false, 1 }, auth.ErrUnavailable, false},
		"one behind within grace":    {func(f *auth.Rotated) { f.Swapped = false }, nil, false},
		"at the floor":               {func(f *auth.Rotated) { f.Swapped, f.Session.Counter, f.Session.Floor = false, 9, 1 }, nil, false},
		"below the floor":            {func(f *auth.Rotated) { f.Swapped, f.Session.Counter, f.Session.Floor = false, 9, 2 }, auth.ErrRefreshReused, true},
		"two behind past the grace":  {func(f *auth.Rotated) { f.Swapped, f.Session.Counter, f.Now = false, 3, f.Now.Add(grace) }, auth.ErrRefreshReused, true},
		"a clock that was set back":  {func(f *auth.Rotated) { f.Swapped, f.Session.Counter, f.Now = false, 3, f.Now.Add(-time.Hour) }, auth.ErrRefreshReused, true},
		"a key that is not there":    {func(f *auth.Rotated) { f.Session.Generation = 7 }, errNoKey, false},
		"one behind after a restart": {func(f *auth.Rotated) { f.Swapped, f.Now = false, f.Now.Add(time.Hour) }, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.opts.Store = twisted{r.store, test.twist}
			svc := r.restart()
			g := r.begin()
			_, err := svc.Refresh(t.Context(), g.RefreshToken, home())
			if test.want == errNoKey {
				if err == nil || !strings.Contains(err.Error(), "no key of generation 7") {
					t.Errorf("got %v", err)
				}
				return
			}
			wantError(t, err, test.want)
			row, err := r.store.Session(t.Context(), g.Session)
			if err != nil || row.Revoked.IsZero() == test.ended {
				t.Errorf("ended %t, %v", !row.Revoked.IsZero(), err)
			}
			if _, err := svc.Verify(g.AccessToken); errors.Is(err, auth.ErrTokenRevoked) != test.ended {
				t.Errorf("the access token: %v", err)
			}
		})
	}
}

var errNoKey = errors.New("no key")

// While the store is away nobody is unknown, nobody is anonymous and nothing is
// said to be done: each of the Service's verbs answers ErrUnavailable.
func TestEveryVerbTellsThatTheStoreIsAway(t *testing.T) {
	r := newRig(t)
	g := r.login()
	p := r.verify(g.AccessToken, nil)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, c := t.Context(), home()
	name := "x"
	for verb, do := range map[string]func() error{
		"login": func() error {
			_, err := r.svc.Login(ctx, auth.Credentials{Username: "alice", Password: password}, c)
			return err
		},
		"login unknown": func() error {
			_, err := r.svc.Login(ctx, auth.Credentials{Username: "nobody", Password: password}, c)
			return err
		},
		"refresh":       func() error { _, err := r.svc.Refresh(ctx, g.RefreshToken, c); return err },
		"logout":        func() error { return r.svc.Logout(ctx, g.Session, c) },
		"logout all":    func() error { return r.svc.LogoutAll(ctx, p.ID, c) },
		"account":       func() error { _, err := r.svc.Account(ctx, p.ID); return err },
		"find":          func() error { _, err := r.svc.FindAccount(ctx, "alice"); return err },
		"accounts":      func() error { _, err := r.svc.Accounts(ctx); return err },
		"sessions":      func() error { _, err := r.svc.Sessions(ctx, p.ID); return err },
		"session count": func() error { _, err := r.svc.SessionCount(ctx); return err },
		"revoke":        func() error { return r.svc.RevokeSession(ctx, "", g.Session, auth.Actor{By: "root", Client: c}) },
		"revoke all":    func() error { return r.svc.RevokeSessions(ctx, p.ID, auth.Actor{By: "root"}) },
		"password":      func() error { _, err := r.svc.ChangePassword(ctx, p, password, "a new password", c); return err },
		"profile": func() error {
			_, err := r.svc.SetProfile(ctx, p.ID, auth.ProfileChange{Name: &name}, home())
			return err
		},
		"add": func() error {
			_, err := r.svc.AddAccount(ctx, auth.NewAccount{Username: "x"}, auth.Actor{})
			return err
		},
		"add with an id": func() error {
			_, err := r.svc.AddAccount(ctx, auth.NewAccount{ID: "y", Username: "x"}, auth.Actor{})
			return err
		},
		"set": func() error {
			_, err := r.svc.SetAccount(ctx, p.ID, auth.AccountChange{Name: &name}, auth.Actor{})
			return err
		},
		"delete":          func() error { return r.svc.DeleteAccount(ctx, p.ID, auth.Actor{}) },
		"another's start": func() error { _, err := auth.New(ctx, r.opts); return err },
	} {
		err := do()
		if !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrNotFound) || errors.Is(err, auth.ErrInvalidCredentials) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	r.verify(g.AccessToken, nil)
	// A failed logout has ended nothing, and says so; it must not look done.
	if r.told(auth.EventLogout, "alice") || r.told(auth.EventPasswordChanged, "alice") {
		t.Error("the audit log tells of what did not happen")
	}
}

// A store's outage is no failed login: it must not lock anybody out.
func TestAnOutageCountsForNoLockout(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		_, err := r.svc.Login(ctx, auth.Credentials{Username: "alice", Password: password}, home())
		if !errors.Is(err, context.Canceled) || errors.Is(err, auth.ErrUnavailable) {
			t.Fatalf("a client that hung up: %v", err)
		}
	}
	r.login()
}

// A role that a new configuration has dropped stays with its holders until
// somebody changes their roles; their other data can be changed meanwhile.
func TestADroppedRoleDoesNotBlockOtherChanges(t *testing.T) {
	r := newRig(t)
	conf := r.opts.Config
	conf.Roles, conf.Profile.Fields = []string{"admin"}, nil
	wantError(t, r.svc.Reconfigure(t.Context(), conf), nil)
	name := "Alice L."
	if _, err := r.svc.SetProfile(t.Context(), r.alice.ID, auth.ProfileChange{Name: &name}, home()); err != nil {
		t.Error(err)
	}
	roles := []string{"user"}
	_, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Roles: &roles}, auth.Actor{By: "root"})
	wantInvalid(t, err, "roles", "known are admin")
}
