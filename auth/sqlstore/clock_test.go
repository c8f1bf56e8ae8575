package sqlstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// loggedIn makes an account with one session that began now.
func loggedIn(t *testing.T, s auth.Store, now time.Time) {
	t.Helper()
	add(t, s, "a")
	_, err := s.CreateSession(context.Background(), auth.Session{ID: session(0), AccountID: "a", Counter: 1, Floor: 1, Rotated: now, Created: now})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEverythingGoesByTheStoresClock(t *testing.T) {
	s := openAt(t, file(t))
	now := time.Date(2040, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	s.Now = func() time.Time { return now }
	loggedIn(t, s, now)

	now = now.Add(time.Minute)
	got, err := s.RotateSession(context.Background(), rotation(0, 1))
	want := now.Truncate(time.Millisecond)
	if err != nil || !got.Now.Equal(want) || !got.Session.Rotated.Equal(want) || !got.Session.LastSeen.Equal(want) {
		t.Errorf("rotated at %+v, %v; want %v", got, err, want)
	}
	a, err := s.UpdateAccount(context.Background(), "a", auth.AccountUpdate{Change: func(a *auth.Account) error { return nil }})
	if err != nil || !a.Updated.Equal(want) {
		t.Errorf("updated at %v, %v; want %v", a.Updated, err, want)
	}
	if err := s.RevokeSession(context.Background(), session(0), auth.RevokedByChoice, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Session(context.Background(), session(0)); err != nil || !n.Revoked.Equal(want) {
		t.Errorf("revoked at %v, %v; want %v", n.Revoked, err, want)
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{59 * time.Second, 1}, {time.Minute, 0}} {
		now = want.Add(c.after)
		if feed, err := s.Revocations(context.Background(), 0); err != nil || len(feed) != c.want {
			t.Errorf("%v later: %d entries, %v; want %d", c.after, len(feed), err, c.want)
		}
	}
}

func TestLimitsAreExactToTheMillisecond(t *testing.T) {
	s := openAt(t, file(t))
	start := time.Date(2040, 1, 2, 3, 4, 5, 0, time.UTC)
	now := start
	s.Now = func() time.Time { return now }
	loggedIn(t, s, now)
	r := rotation(0, 1)
	r.IdleLimit, r.AgeLimit = time.Minute, 2*time.Minute
	for _, c := range []struct {
		at    time.Duration
		swaps bool
	}{
		{time.Minute, false}, // idle: what lists sessions says so too
		{time.Minute - time.Millisecond, true},
		{90 * time.Second, true},
		{2 * time.Minute, false}, // too old
		{2*time.Minute - time.Millisecond, true},
	} {
		now = start.Add(c.at)
		got, err := s.RotateSession(context.Background(), r)
		if err != nil || got.Swapped != c.swaps {
			t.Errorf("after %v: swapped %v, %v; want %v", c.at, got.Swapped, err, c.swaps)
		}
		r.Presented = got.Session.Counter
	}
}

func TestAPreparedRotationOutlivesAChangeOfTheSchema(t *testing.T) {
	path := file(t)
	s := openAt(t, path)
	loggedIn(t, s, time.Now())
	if _, err := s.RotateSession(context.Background(), rotation(0, 1)); err != nil {
		t.Fatal(err)
	}
	// As a newer version does while this process still serves.
	run(t, raw(t, path), `ALTER TABLE sessions ADD COLUMN device TEXT`)
	if got, err := s.RotateSession(context.Background(), rotation(0, 2)); err != nil || !got.Swapped {
		t.Errorf("got %+v, %v", got, err)
	}
}
