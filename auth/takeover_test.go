package auth_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/auth"
)

// What a review of this package found: ways in which something that was taken
// away came back. Each was reproduced before it was closed.

// long gives access tokens a day.
func long(c *auth.Config) { c.AccessToken.TTL = 24 * time.Hour }

// hear lets a service read the revocation feed.
func (r *rig) hear() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
	defer cancel()
	if err := r.svc.Follow(ctx); err == nil {
		r.t.Error("Follow ended before its context")
	}
}

func TestARevocationByAProcessWithAShorterTTLLastsAsLongAsTheTokens(t *testing.T) {
	for _, guest := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, long)
			token := r.begin().AccessToken
			other := r.opts
			other.Config.AccessToken.TTL = 15 * time.Minute
			other.Guest = guest
			shell, err := auth.New(t.Context(), other)
			if err != nil {
				t.Fatal(err)
			}
			yes := true
			if _, err := shell.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Disabled: &yes}, auth.Actor{By: "shell"}); err != nil {
				t.Fatal(err)
			}
			r.hear()
			r.verify(token, auth.ErrTokenRevoked)
			time.Sleep(16 * time.Minute)
			r.hear()
			r.verify(token, auth.ErrTokenRevoked)
			if guest { // a process that was restarted has only what the store kept
				r.svc = r.restart()
				r.verify(token, auth.ErrTokenRevoked)
			}
		})
	}
}

func TestAReloadWithAShorterTTLBringsNoRevokedTokenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, long)
		token := r.begin().AccessToken
		short := r.opts.Config
		short.AccessToken.TTL = 15 * time.Minute
		if err := r.svc.Reconfigure(t.Context(), short); err != nil {
			t.Fatal(err)
		}
		yes := true
		if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Disabled: &yes}, auth.Actor{By: "test"}); err != nil {
			t.Fatal(err)
		}
		r.verify(token, auth.ErrTokenRevoked)
		time.Sleep(16 * time.Minute)
		r.hear()
		if _, err := r.svc.Verify(token); err == nil {
			t.Error("the disabled account's token is good again")
		}
	})
}

func TestNoRefreshTokenFromBeforeAPasswordChangeWorks(t *testing.T) {
	for _, test := range []struct {
		name    string
		wait    time.Duration
		restart bool
	}{
		{"at once, within the grace", time.Second, false},
		{"after the grace", time.Minute, false},
		{"in the grace of a restart", 2 * time.Hour, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				time.Sleep(time.Hour)
				g := r.begin()
				stolen := g.RefreshToken // copied, not used
				if _, err := r.svc.ChangePassword(t.Context(), r.verify(g.AccessToken, nil), password, "a wholly new password", home()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(test.wait)
				if test.restart {
					r.svc = r.restart()
				}
				if _, err := r.svc.Refresh(t.Context(), stolen, home()); err == nil {
					t.Error("the copy of the token works on")
				}
			})
		})
	}
}

func TestTheOwnerGoesOnAfterAPasswordChange(t *testing.T) {
	r := newRig(t)
	g := r.begin()
	g, err := r.svc.ChangePassword(t.Context(), r.verify(g.AccessToken, nil), password, "a wholly new password", home())
	if err != nil {
		t.Fatal(err)
	}
	r.verify(g.AccessToken, nil)
	r.verify(r.refresh(g.RefreshToken).AccessToken, nil)
}

func TestAnAccountHasOneCountOfGuessesUnderAllItsNames(t *testing.T) {
	r := newRig(t)
	guesses := 0
	for range 4 {
		for _, name := range []string{"alice", "ALICE", "alice@example.com", r.alice.ID} {
			_, err := r.svc.Login(t.Context(), auth.Credentials{Username: name, Password: "wrong"}, home())
			if errors.Is(err, auth.ErrInvalidCredentials) {
				guesses++
			}
		}
	}
	if want := auth.DefaultConfig().Lockout.Attempts; guesses != want {
		t.Errorf("%d guesses were answered, want %d", guesses, want)
	}
}

func TestASessionPastItsLimitsChangesNoPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *auth.Config) {
			c.RefreshToken.TTL, c.RefreshToken.SessionTTL = time.Hour, time.Hour
		})
		g := r.begin()
		time.Sleep(50 * time.Minute)
		g = r.refresh(g.RefreshToken)
		time.Sleep(11 * time.Minute)
		_, err := r.svc.ChangePassword(t.Context(), r.verify(g.AccessToken, nil), password, "a wholly new password", home())
		wantError(t, err, auth.ErrTokenRevoked)
		r.login() // the password is the old one
	})
}

func TestWhatIsTypedInsteadOfANameIsNotInTheAuditLog(t *testing.T) {
	r := newRig(t, func(c *auth.Config) { c.Lockout.Attempts = 1 })
	for _, want := range []string{auth.EventLoginFailed, auth.EventLocked} {
		_, _ = r.svc.Login(t.Context(), auth.Credentials{Username: "hunter2", Password: "alice"}, home())
		if !r.told(want, "") {
			t.Errorf("no %s without a name was told", want)
		}
	}
	_, _ = r.svc.Login(t.Context(), auth.Credentials{Username: "Alice@Example.com", Password: "wrong"}, home())
	if !r.told(auth.EventLoginFailed, "alice") {
		t.Error("the account's name is missing where there is one")
	}
}

// Between the change of a password and the new tokens of the session that made it
// others may be faster. What they ended stays ended, and what they rotated is
// spent: the thief's token, or the owner's own in another tab.
func TestWhatHappensDuringAPasswordChangeIsNotUndone(t *testing.T) {
	disable := true
	for _, test := range []struct {
		name  string
		other func(r *rig, g auth.Grant) error
		want  error
	}{
		{"a logout", func(r *rig, g auth.Grant) error { return r.svc.Logout(t.Context(), g.Session, home()) }, auth.ErrTokenRevoked},
		{"a logout of all", func(r *rig, _ auth.Grant) error { return r.svc.LogoutAll(t.Context(), r.alice.ID, home()) }, auth.ErrTokenRevoked},
		{"disabling", func(r *rig, _ auth.Grant) error {
			_, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Disabled: &disable}, auth.Actor{By: "root"})
			return err
		}, auth.ErrTokenRevoked},
		{"the account's end", func(r *rig, _ auth.Grant) error {
			return r.svc.DeleteAccount(t.Context(), r.alice.ID, auth.Actor{By: "root"})
		}, auth.ErrNotFound},
		{"the store's end", func(r *rig, _ auth.Grant) error { return r.store.Close() }, auth.ErrUnavailable},
		{"a refresh", func(r *rig, g auth.Grant) error {
			_, err := r.svc.Refresh(t.Context(), g.RefreshToken, home())
			return err
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			var g auth.Grant
			r.opts.Audit = func(_ context.Context, e auth.Event) {
				if e.Name == auth.EventPasswordChanged {
					if err := test.other(r, g); err != nil {
						t.Error(err)
					}
				}
			}
			r.svc = r.restart()
			g = r.begin()
			next, err := r.svc.ChangePassword(t.Context(), r.verify(g.AccessToken, nil), password, "a wholly new password", home())
			wantError(t, err, test.want)
			if _, err := r.svc.Verify(g.AccessToken); !errors.Is(err, auth.ErrTokenRevoked) {
				t.Errorf("the old access token: %v", err)
			}
			if test.want != nil {
				if next.AccessToken != "" || next.RefreshToken != "" {
					t.Error("tokens were given out")
				}
				return
			}
			if _, err := r.svc.Refresh(t.Context(), next.RefreshToken, home()); err != nil {
				t.Errorf("the owner's next refresh: %v", err)
			}
			if _, err := r.svc.Refresh(t.Context(), g.RefreshToken, home()); !errors.Is(err, auth.ErrRefreshReused) {
				t.Errorf("the token from before: %v", err)
			}
		})
	}
}
