package auth_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// counted fails the test unless the tally has these counts, and zero of all else.
func counted(t *testing.T, what string, got map[string]uint64, want map[string]uint64) {
	t.Helper()
	for word, n := range got {
		if n != want[word] {
			t.Errorf("%s %s: %d, want %d", what, word, n, want[word])
		}
	}
	for word := range want {
		if _, known := got[word]; !known {
			t.Errorf("%s has no %s", what, word)
		}
	}
}

func TestEveryLoginIsCountedByWhatCameOfIt(t *testing.T) {
	r := newRig(t, func(c *auth.Config) { c.Lockout.Attempts = 3; c.Registration.Enabled = true })
	login := func(name, pw string) {
		_, _ = r.svc.Login(t.Context(), auth.Credentials{Username: name, Password: pw}, home())
	}
	login("alice", password)
	login("nobody", password)
	p := r.verify(r.login().AccessToken, nil)
	for range 3 { // the last finds the lock
		login("alice", "wrong horse")
	}
	_, err := r.svc.ChangePassword(t.Context(), p, "wrong horse", "another long password", home())
	if !errors.As(err, new(*auth.LockedError)) && !errors.As(err, new(*auth.InvalidError)) {
		t.Error(err)
	}
	login("alice", password)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = r.svc.Login(gone, auth.Credentials{Username: "root", Password: password}, home())
	_, _ = r.svc.Register(t.Context(), auth.Applicant{Username: "carol", Password: password}, home())
	_, _ = r.svc.Register(t.Context(), auth.Applicant{Username: "carol", Password: password}, home())
	_, _ = r.svc.Register(t.Context(), auth.Applicant{Username: "dave", Password: "short"}, home())
	s := r.svc.Stats()
	counted(t, "logins", s.Logins, map[string]uint64{"success": 3, "failed": 4, "locked": 2, "canceled": 1})
	counted(t, "registrations", s.Registrations, map[string]uint64{"success": 1, "taken": 1, "invalid": 1})
	if h := s.Hashing; h.Done == 0 || h.Running != 0 || h.Waiting != 0 || h.Refused != 0 || h.Places < 33 {
		t.Errorf("%+v", h)
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	login("alice", password)
	_, _ = r.svc.Register(t.Context(), auth.Applicant{Username: "erin", Password: password}, home())
	s = r.svc.Stats()
	if s.Logins["unavailable"] != 1 || s.Registrations["unavailable"] != 1 {
		t.Errorf("with the store away: %v, %v", s.Logins, s.Registrations)
	}
}

func TestEveryRefreshIsCountedByWhatCameOfIt(t *testing.T) {
	r := newRig(t)
	first := r.begin()
	second := r.refresh(first.RefreshToken)
	r.refresh(first.RefreshToken) // within the grace
	refresh := func(token string) { _, _ = r.svc.Refresh(t.Context(), token, home()) }
	refresh("nonsense")
	late := twisted{r.store, func(f *auth.Rotated) { f.Now = f.Now.Add(grace) }}
	r.opts.Store = late
	old := r.svc.Stats()
	r.svc = r.restart()
	third := r.refresh(second.RefreshToken)
	fourth := r.refresh(third.RefreshToken)
	refresh(first.RefreshToken)
	refresh(fourth.RefreshToken)
	counted(t, "refreshes", old.Refreshes, map[string]uint64{"success": 1, "repeated": 1, "invalid": 1})
	counted(t, "refreshes", r.svc.Stats().Refreshes, map[string]uint64{"success": 2, "reused": 1, "ended": 1})

	for word, twist := range map[string]func(*auth.Rotated){
		"expired":     func(f *auth.Rotated) { f.Swapped, f.Now = false, f.Now.Add(idleLimit) },
		"disabled":    func(f *auth.Rotated) { f.Swapped, f.Account.Disabled = false, true },
		"unavailable": func(f *auth.Rotated) { f.Swapped, f.Session.Counter = false, 1 },
	} {
		g := r.begin()
		r.opts.Store = twisted{r.store, twist}
		r.svc = r.restart()
		refresh(g.RefreshToken)
		counted(t, "refreshes", r.svc.Stats().Refreshes, map[string]uint64{word: 1})
	}
}

func TestSightsOfATokenAreCountedAcrossNewKeys(t *testing.T) {
	r := newRig(t)
	g := r.begin()
	for range 3 {
		r.verify(g.AccessToken, nil)
	}
	if got := r.svc.Stats().Tokens; got != (auth.TokenStats{Hits: 2, Misses: 1, Kept: 1}) {
		t.Errorf("%+v", got)
	}
	conf := r.opts.Config
	conf.Audience = append(slices.Clone(conf.Audience), "another")
	if err := r.svc.Reconfigure(t.Context(), conf); err != nil {
		t.Fatal(err)
	}
	if got := r.svc.Stats().Tokens; got != (auth.TokenStats{Hits: 2, Misses: 1}) {
		t.Errorf("after a reload that empties the cache: %+v", got)
	}
}

// TestTheCountsSurviveAReload: a counter that falls looks like a restart.
func TestTheCountsSurviveAReload(t *testing.T) {
	r := newRig(t)
	r.login()
	before := r.svc.Stats()
	conf := r.opts.Config
	conf.Password.MaxConcurrent = 1
	if err := r.svc.Reconfigure(t.Context(), conf); err != nil {
		t.Fatal(err)
	}
	after := r.svc.Stats()
	if !maps.Equal(before.Logins, after.Logins) || before.Hashing.Done != after.Hashing.Done || after.Hashing.Places != 33 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// TestAHashThatWaitsOrIsRefusedIsCounted with one place, so that the second waits.
func TestAHashThatWaitsOrIsRefusedIsCounted(t *testing.T) {
	leave, queue := auth.OneAtATime(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 64)
	for range 33 { // one more than may wait
		go func() { ended <- queue.Enter(ctx) }()
	}
	if err := <-ended; !errors.As(err, new(*auth.BusyError)) {
		t.Errorf("the one too many: %v", err)
	}
	for queue.Stats().Waiting < 32 {
		time.Sleep(time.Millisecond)
	}
	if s := queue.Stats(); s.Running != 1 || s.Refused != 1 || s.Done != 0 {
		t.Errorf("%+v", s)
	}
	cancel()
	for range 32 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("who hangs up: %v", err)
		}
	}
	leave()
	if s := queue.Stats(); s.Running != 0 || s.Waiting != 0 || s.Done != 1 || s.Waited <= 0 {
		t.Errorf("%+v", s)
	}
}
