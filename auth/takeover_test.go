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
