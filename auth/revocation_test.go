package auth_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/auth"
)

// follow runs a Service's Follow until the test ends, or stop is called. Two polls
// for each second that a test sleeps take their time: who sleeps for hours stops
// first, and polls once afterwards.
func follow(t *testing.T, s *auth.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Follow(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Follow ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// poll has a Service read what became of the store, once.
func poll(t *testing.T, s *auth.Service) {
	t.Helper()
	if err := auth.Poll(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func TestARevocationIsHeardOnEveryInstanceWithinASecond(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		other := r.restart()
		follow(t, other)
		roles := []string{"admin"}
		next := "another password"
		yes := true
		for name, revoke := range map[string]func(g auth.Grant) error{
			"logout":     func(g auth.Grant) error { return r.svc.Logout(t.Context(), g.Session, home()) },
			"logout all": func(auth.Grant) error { return r.svc.LogoutAll(t.Context(), r.alice.ID, home()) },
			"by another": func(g auth.Grant) error {
				return r.svc.RevokeSession(t.Context(), "", g.Session, auth.Actor{By: "root", Client: home()})
			},
			"all by another": func(auth.Grant) error { return r.svc.RevokeSessions(t.Context(), r.alice.ID, auth.Actor{By: "root"}) },
			"role": func(auth.Grant) error {
				_, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Roles: &roles}, auth.Actor{By: "root"})
				roles = append([]string{"user"}, roles...)
				return err
			},
		} {
			g := r.login()
			if _, err := other.Verify(g.AccessToken); err != nil {
				t.Fatalf("%s: before: %v", name, err)
			}
			if err := revoke(g); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r.verify(g.AccessToken, auth.ErrTokenRevoked)
			time.Sleep(time.Second)
			if _, err := other.Verify(g.AccessToken); !errors.Is(err, auth.ErrTokenRevoked) {
				t.Errorf("%s: a second later, elsewhere: %v", name, err)
			}
		}
		g := r.login()
		for _, ch := range []auth.AccountChange{{Password: &next}, {Disabled: &yes}} {
			if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, ch, auth.Actor{By: "root"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if _, err := other.Verify(g.AccessToken); !errors.Is(err, auth.ErrTokenRevoked) {
				t.Errorf("%+v: %v", ch, err)
			}
		}
	})
}

// Streams hang on this: each revocation is told once where it is made, and once
// on every other instance.
func TestListenersHearOfARevocationOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		other := r.restart()
		follow(t, r.svc)
		follow(t, other)
		var mu sync.Mutex
		heard := map[string]int{}
		listen := func(who string) func(auth.Revocation) {
			return func(rev auth.Revocation) {
				mu.Lock()
				defer mu.Unlock()
				heard[fmt.Sprintf("%s%d%t", who, rev.Kind, rev.ID == r.alice.ID)]++
			}
		}
		r.svc.OnRevoke(listen("here"))
		other.OnRevoke(listen("there"))
		g := r.login()
		wantError(t, r.svc.Logout(t.Context(), g.Session, home()), nil)
		synctest.Wait()
		mu.Lock()
		if heard["here1false"] != 1 {
			t.Errorf("at once: %v", heard)
		}
		mu.Unlock()
		roles := []string{"admin"}
		if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Roles: &roles}, auth.Actor{By: "root"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(heard) != 4 || heard["here1false"] != 1 || heard["there1false"] != 1 || heard["here2true"] != 1 || heard["there2true"] != 1 {
			t.Errorf("heard %v", heard)
		}
	})
}

func TestAStoreThatIsAwayIsToldAndForgetsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		ended, alive := r.login(), r.login()
		wantError(t, r.svc.Logout(t.Context(), ended.Session, home()), nil)
		follow(t, r.svc)
		time.Sleep(time.Second)
		wantError(t, r.svc.Healthy(), nil)
		if err := r.store.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		wantError(t, r.svc.Healthy(), auth.ErrUnavailable)
		r.verify(alive.AccessToken, nil)
		r.verify(ended.AccessToken, auth.ErrTokenRevoked)
	})
}

func TestSessionsThatAreOverArePruned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		follow(t, r.svc)
		r.login()
		count := func() int {
			n, err := r.svc.SessionCount(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		time.Sleep(time.Hour + time.Minute)
		if n := count(); n != 1 {
			t.Errorf("%d sessions", n)
		}
		if err := r.store.PruneSessions(t.Context(), time.Now().Add(-time.Minute), time.Now().Add(-sessionEnd)); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 0 {
			t.Errorf("%d sessions after their time", n)
		}
	})
}

// Nobody prunes by hand: a table that only grows fills the disk.
func TestTheServiceForgetsByItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.login()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.svc.Forget(ctx) }()
		time.Sleep(sessionEnd - time.Hour)
		if n, err := r.svc.SessionCount(t.Context()); err != nil || n != 0 { // unused for longer than a refresh token lives
			t.Errorf("%d sessions are left: %v", n, err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Forget ended with %v", err)
		}
	})
}

// A stream asks this: it outlives its token and must not outlive its session.
func TestASessionSaysWhenItIsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		end := func(sid string, want time.Duration) {
			t.Helper()
			at, err := r.svc.SessionEnd(t.Context(), sid)
			if err != nil || time.Until(at) != want {
				t.Errorf("over in %s, %v; want %s", time.Until(at), err, want)
			}
		}
		g, ended := r.begin(), r.begin()
		end(g.Session, idleLimit)
		time.Sleep(idleLimit - time.Minute)
		g = r.refresh(g.RefreshToken)
		end(g.Session, idleLimit)
		for range 3 {
			time.Sleep(idleLimit - time.Minute)
			g = r.refresh(g.RefreshToken)
		}
		end(g.Session, sessionEnd-4*(idleLimit-time.Minute)) // the age comes first
		wantError(t, r.svc.Logout(t.Context(), ended.Session, home()), nil)
		time.Sleep(sessionEnd)
		for _, sid := range []string{ended.Session, g.Session, "none"} {
			if _, err := r.svc.SessionEnd(t.Context(), sid); !errors.Is(err, auth.ErrNotFound) {
				t.Errorf("%s: %v", sid, err)
			}
		}
		if err := r.store.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.svc.SessionEnd(t.Context(), g.Session); !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrNotFound) {
			t.Errorf("while the store is away: %v", err)
		}
	})
}
