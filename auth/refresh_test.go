package auth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/auth"
)

// bubble runs a test on a clock of its own: the Service, the store and the test
// see the same time, and Sleep passes at once.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

const (
	grace      = 30 * time.Second
	pastGrace  = grace + time.Second
	idleLimit  = 7 * 24 * time.Hour
	sessionEnd = 30 * 24 * time.Hour
)

// refuse fails the test unless the refresh token is refused as want says.
func (r *rig) refuse(token string, want error) {
	r.t.Helper()
	_, err := r.svc.Refresh(r.t.Context(), token, home())
	wantError(r.t, err, want)
}

func TestSE01AReplayAfterTheGraceEndsTheSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		first := r.login()
		time.Sleep(pastGrace)
		second := r.refresh(first.RefreshToken)
		time.Sleep(pastGrace)
		third := r.refresh(second.RefreshToken)
		r.refuse(first.RefreshToken, auth.ErrRefreshReused)
		if !r.told(auth.EventRefreshReused, "alice") {
			t.Error("the audit log says nothing of the replay")
		}
		// Who holds the last token is the owner, and must hear of the copy.
		r.refuse(third.RefreshToken, auth.ErrRefreshReused)
		r.verify(third.AccessToken, auth.ErrTokenRevoked)
	})
}

// A person who logged out is told of no theft, whoever comes back with an old
// token; and what was told once is not told again.
func TestOnlyAReplayThatEndedTheSessionIsToldAsOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		time.Sleep(pastGrace)
		ended, stolen := r.login(), r.login()
		next, last := r.refresh(ended.RefreshToken), r.refresh(stolen.RefreshToken)
		time.Sleep(pastGrace)
		wantError(t, r.svc.Logout(t.Context(), ended.Session, home()), nil)
		r.refuse(ended.RefreshToken, auth.ErrRefreshInvalid)
		r.refuse(next.RefreshToken, auth.ErrRefreshInvalid)
		r.refuse(stolen.RefreshToken, auth.ErrRefreshReused)
		for range 3 {
			r.refuse(last.RefreshToken, auth.ErrRefreshReused)
			r.refuse(stolen.RefreshToken, auth.ErrRefreshReused)
		}
		// A logout afterwards changes nothing: the first reason stays.
		wantError(t, r.svc.Logout(t.Context(), stolen.Session, home()), nil)
		r.svc = r.restart()
		r.refuse(last.RefreshToken, auth.ErrRefreshReused)
		if n := r.count(auth.EventRefreshReused); n != 1 {
			t.Errorf("the audit log tells %d times of one replay", n)
		}
	})
}

func TestSE02OfFiftyParallelRefreshesOneSuccessorComes(t *testing.T) {
	r := newRig(t)
	g := r.login()
	var wg sync.WaitGroup
	answers := make(chan string, 50)
	for range 50 {
		wg.Go(func() {
			next, err := r.svc.Refresh(t.Context(), g.RefreshToken, home())
			if err != nil {
				t.Error(err)
			}
			answers <- next.RefreshToken
		})
	}
	wg.Wait()
	close(answers)
	heads := map[string]bool{}
	for token := range answers {
		heads[token] = true
	}
	if len(heads) != 1 {
		t.Errorf("%d successors: %v", len(heads), heads)
	}
}

func TestSE03ALostAnswerIsGivenAgainByteForByte(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		g := r.login()
		time.Sleep(time.Hour)
		lost := r.refresh(g.RefreshToken)
		time.Sleep(grace - time.Second)
		again := r.refresh(g.RefreshToken)
		if again.RefreshToken != lost.RefreshToken || !again.RefreshExpires.Equal(lost.RefreshExpires) {
			t.Errorf("got %s, then %s", lost.RefreshToken, again.RefreshToken)
		}
		r.verify(again.AccessToken, nil)
		time.Sleep(time.Second)
		r.refuse(g.RefreshToken, auth.ErrRefreshReused)
	})
}

// A browser that restores its tabs refreshes in each of them within a moment,
// and some of them start from a token that is several rotations behind.
func TestABurstOfTabsDoesNotEndTheSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		old := r.login()
		time.Sleep(time.Hour)
		current := old
		for range 8 {
			current = r.refresh(current.RefreshToken)
			time.Sleep(time.Second)
		}
		if g := r.refresh(old.RefreshToken); g.RefreshToken != current.RefreshToken {
			t.Error("a tab eight behind got another token")
		}
		current = r.refresh(current.RefreshToken)
		r.refuse(old.RefreshToken, auth.ErrRefreshReused) // nine behind
		r.refuse(current.RefreshToken, auth.ErrRefreshReused)
	})
}

func TestSE04SE05ALogoutEndsBothTokensAtOnce(t *testing.T) {
	r := newRig(t)
	g, other := r.login(), r.login()
	r.verify(g.AccessToken, nil)
	for range 2 { // ending it again is fine
		wantError(t, r.svc.Logout(t.Context(), g.Session, home()), nil)
	}
	if !r.told(auth.EventLogout, "alice") {
		t.Error("the audit log does not know the logout")
	}
	r.verify(g.AccessToken, auth.ErrTokenRevoked)
	r.refuse(g.RefreshToken, auth.ErrRefreshInvalid)
	r.verify(other.AccessToken, nil)
	r.refresh(other.RefreshToken)
	wantError(t, r.svc.LogoutAll(t.Context(), r.alice.ID, home()), nil)
	r.verify(other.AccessToken, auth.ErrTokenRevoked)
	r.refuse(other.RefreshToken, auth.ErrRefreshInvalid)
}

// A rotation and a logout that race: whoever is first, the session ends.
func TestALogoutNeverLosesToARefresh(t *testing.T) {
	r := newRig(t)
	for range 20 {
		g := r.begin()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := r.svc.Refresh(t.Context(), g.RefreshToken, home())
			if err != nil && !errors.Is(err, auth.ErrRefreshInvalid) {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := r.svc.Logout(t.Context(), g.Session, home()); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		r.refuse(g.RefreshToken, auth.ErrRefreshInvalid)
	}
}

func TestSE06ARefreshTokenNamesItsSessionWithoutTheStore(t *testing.T) {
	r := newRig(t)
	g := r.login()
	r.refresh(g.RefreshToken)
	if sid, ok := r.svc.RefreshSession(g.RefreshToken); !ok || sid != g.Session {
		t.Errorf("a spent token names %q, %t", sid, ok)
	}
	if sid, ok := r.svc.RefreshSession(g.RefreshToken + "A"); ok || sid != "" {
		t.Errorf("a forged one names %q", sid)
	}
}

func TestRefreshTokensExpireByIdlenessAndByAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		idle, used := r.login(), r.login()
		if !idle.RefreshExpires.Equal(time.Now().Add(idleLimit)) {
			t.Errorf("said to expire at %s", idle.RefreshExpires)
		}
		for range 4 {
			time.Sleep(idleLimit - time.Hour)
			used = r.refresh(used.RefreshToken)
		}
		r.refuse(idle.RefreshToken, auth.ErrRefreshExpired)
		left := sessionEnd - 4*(idleLimit-time.Hour)
		if !used.RefreshExpires.Equal(time.Now().Add(left)) {
			t.Errorf("said to expire at %s, after the session's end", used.RefreshExpires)
		}
		time.Sleep(left + time.Second)
		r.refuse(used.RefreshToken, auth.ErrRefreshExpired)
	})
}

func TestSE20MutilatedRefreshTokensAreRefused(t *testing.T) {
	r := newRig(t)
	token := r.login().RefreshToken
	parts := strings.Split(token, ".")
	join := func(p ...string) string { return strings.Join(p, ".") }
	for _, bad := range []string{
		"", ".", "...", "....", token[:len(token)-1], token + "A", token + "=", strings.ToUpper(token), strings.ToLower(token), " " + token, token + "\n",
		join(parts[0], "2", parts[2], parts[3]), join(parts[0], "01", parts[2], parts[3]), join(parts[0], "+1", parts[2], parts[3]),
		join(parts[0], "0", parts[2], parts[3]), join(parts[0], "-1", parts[2], parts[3]), join(parts[0], parts[1], "2", parts[3]),
		join(parts[0], "9223372036854775807", parts[2], parts[3]), join(parts[0], "9223372036854775808", parts[2], parts[3]),
		join(parts[0], parts[1], parts[3]), join("AAAAAAAAAAAAAAAAAAAAAA", parts[1], parts[2], parts[3]),
		join(parts[0], parts[1], parts[2], parts[3], "x"), token[:60] + "\n" + token[60:],
	} {
		if bad == token {
			continue // a token that has no letter of the other case
		}
		if _, ok := r.svc.RefreshSession(bad); ok {
			t.Errorf("%q passes for genuine", bad)
		}
		r.refuse(bad, auth.ErrRefreshInvalid)
	}
	r.refresh(token)
}

func TestTK42AnAccessTokenDoesNotRefresh(t *testing.T) {
	r := newRig(t)
	r.refuse(r.login().AccessToken, auth.ErrRefreshInvalid)
}

func TestTK41ARefreshTokenGivesNoAccess(t *testing.T) {
	r := newRig(t)
	r.verify(r.login().RefreshToken, auth.ErrTokenMalformed)
}

func TestSE14SessionsHaveUnguessableNames(t *testing.T) {
	r := newRig(t)
	seen := map[string]bool{}
	for range 200 {
		// 48 of the 128 bits are enough to show that none is fixed or counted:
		// two hundred of them collide once in ten billion runs.
		g := r.begin()
		if len(g.Session) != 22 || seen[g.Session[:8]] || seen[g.Session[14:]] {
			t.Fatalf("session %q after %v", g.Session, seen)
		}
		seen[g.Session[:8]], seen[g.Session[14:]] = true, true
	}
}

func TestSE18RolesOfARefreshComeFromTheStore(t *testing.T) {
	r := newRig(t)
	g := r.login()
	roles := []string{"user", "admin"}
	if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Roles: &roles}, auth.Actor{By: "root"}); err != nil {
		t.Fatal(err)
	}
	if !r.told(auth.EventRoleChanged, "alice") {
		t.Error("the audit log does not know the change")
	}
	r.verify(g.AccessToken, auth.ErrTokenOutdated)
	next := r.refresh(g.RefreshToken)
	if p := r.verify(next.AccessToken, nil); len(p.Roles) != 2 || !p.AuthTime.Equal(r.verifyTime(g)) {
		t.Errorf("refreshed to %+v", p)
	}
}

func (r *rig) verifyTime(g auth.Grant) time.Time {
	p, _ := r.svc.Verify(g.AccessToken)
	return p.AuthTime
}

func TestADisabledAccountKeepsNoSession(t *testing.T) {
	r := newRig(t)
	g := r.login()
	yes, no := true, false
	if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Disabled: &yes}, auth.Actor{By: "root"}); err != nil {
		t.Fatal(err)
	}
	r.verify(g.AccessToken, auth.ErrTokenRevoked)
	r.refuse(g.RefreshToken, auth.ErrRefreshInvalid)
	if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Disabled: &no}, auth.Actor{By: "root"}); err != nil {
		t.Fatal(err)
	}
	r.refuse(g.RefreshToken, auth.ErrRefreshInvalid)
	r.verify(g.AccessToken, auth.ErrTokenRevoked)
}

func TestADeletedAccountKeepsNothing(t *testing.T) {
	r := newRig(t)
	g := r.login()
	wantError(t, r.svc.DeleteAccount(t.Context(), r.alice.ID, auth.Actor{By: "root"}), nil)
	r.verify(g.AccessToken, auth.ErrTokenRevoked)
	r.refuse(g.RefreshToken, auth.ErrRefreshInvalid)
	_, err := r.svc.Login(t.Context(), auth.Credentials{Username: "alice", Password: password}, home())
	wantError(t, err, auth.ErrInvalidCredentials)
	// Made again under the same id, it is not the old tokens' account, and its
	// own tokens are not taken for the old ones.
	r.add(auth.NewAccount{ID: r.alice.ID, Username: "alice", Password: password})
	r.verify(r.login().AccessToken, nil)
	r.verify(g.AccessToken, auth.ErrTokenRevoked)
}

func TestSE22ARestartForgetsNoRevocationAndNoSession(t *testing.T) {
	r := newRig(t)
	ended, alive := r.login(), r.login()
	wantError(t, r.svc.Logout(t.Context(), ended.Session, home()), nil)
	r.svc = r.restart()
	r.verify(ended.AccessToken, auth.ErrTokenRevoked)
	r.refuse(ended.RefreshToken, auth.ErrRefreshInvalid)
	r.verify(alive.AccessToken, nil)
	r.refresh(alive.RefreshToken)
}

// The answer to a rotation may die with the process that made it. Who comes
// back within a grace of the start has done nothing wrong.
func TestAfterAStartOneBehindIsAccepted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		g := r.login()
		time.Sleep(time.Hour)
		lost := r.refresh(g.RefreshToken)
		time.Sleep(time.Hour) // the gateway is down
		r.svc = r.restart()
		if again := r.refresh(g.RefreshToken); again.RefreshToken != lost.RefreshToken {
			t.Error("another token than the lost one")
		}
		time.Sleep(pastGrace)
		r.refuse(g.RefreshToken, auth.ErrRefreshReused)
	})
}

// A restored backup or a promoted standby may have forgotten rotations. The
// token with a genuine MAC ahead of the row is ours.
func TestATokenAheadOfTheStoreIsNotPunished(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		g := r.login()
		row, err := r.store.Session(t.Context(), g.Session)
		if err != nil {
			t.Fatal(err)
		}
		ahead := g
		for range 3 {
			time.Sleep(time.Minute)
			ahead = r.refresh(ahead.RefreshToken)
		}
		// Put the row back, under another id since ids are unique: its tokens
		// are a function of the row, so this is what a backup does.
		r.forgetRotations(row)
		next := r.refresh(ahead.RefreshToken)
		r.verify(next.AccessToken, nil)
		time.Sleep(pastGrace)
		r.refresh(next.RefreshToken)
	})
}

// forgetRotations puts a session's row back to an earlier state.
func (r *rig) forgetRotations(row auth.Session) {
	r.t.Helper()
	ctx := r.t.Context()
	far := time.Now().Add(1000 * time.Hour)
	if err := r.store.PruneSessions(ctx, far, far); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.store.CreateSession(ctx, row); err != nil {
		r.t.Fatal(err)
	}
}

func TestAStoreThatIsAwayIsNoUnknownUser(t *testing.T) {
	r := newRig(t)
	g := r.login()
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := r.svc.Login(t.Context(), auth.Credentials{Username: "alice", Password: password}, home())
	wantError(t, err, auth.ErrUnavailable)
	r.refuse(g.RefreshToken, auth.ErrUnavailable)
	wantError(t, r.svc.Logout(t.Context(), g.Session, home()), auth.ErrUnavailable)
	_, err = r.svc.FindAccount(t.Context(), "nobody")
	wantError(t, err, auth.ErrUnavailable)
	r.verify(g.AccessToken, nil)
}

func TestACancelledRequestDoesNotHalfEndASession(t *testing.T) {
	r := newRig(t)
	g := r.login()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.svc.LogoutAll(ctx, r.alice.ID, home()); err != nil {
		t.Fatal(err)
	}
	r.verify(g.AccessToken, auth.ErrTokenRevoked)
	r.refuse(g.RefreshToken, auth.ErrRefreshInvalid)
}

func TestAReplayOfAShortTokenEndsTheSessionWithinItsLife(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *auth.Config) { c.RefreshToken.TTL = 10 * time.Second })
		time.Sleep(pastGrace)
		first := r.login()
		second := r.refresh(first.RefreshToken)
		time.Sleep(4 * time.Second)
		if again := r.refresh(first.RefreshToken); again.RefreshToken != second.RefreshToken {
			t.Error("a retry within half of the life got another token")
		}
		time.Sleep(2 * time.Second)
		r.refuse(first.RefreshToken, auth.ErrRefreshReused)
		idle := r.login()
		time.Sleep(11 * time.Second)
		r.refuse(idle.RefreshToken, auth.ErrRefreshExpired)
	})
}
