package storetest

import (
	"context"
	"math"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// rotationPromises are about the one statement on which the safety of refresh
// tokens rests (RFC 9700 4.14).
func rotationPromises() []Promise {
	return []Promise{
		{Name: "a rotation spends the counter and answers the row and the account", Check: checkRotate},
		{Name: "a spent counter swaps nothing", Check: checkSpent},
		{Name: "of racing rotations exactly one swaps", Shared: true, Check: checkRotationRace},
		{Name: "a logout never loses to a refresh", Shared: true, Check: checkLogoutRace},
		{Name: "a counter ahead of the row makes it jump", Check: checkJump},
		{Name: "the last counter has no successor", Check: checkLastCounter},
		{Name: "the floor follows after the grace and stays within it, at most eight behind", Check: checkFloor},
		{Name: "a burst of rotations keeps the last eight", Check: checkFloorOfBurst},
		{Name: "a session that is revoked, idle, too old or of a disabled account swaps nothing", Check: checkNoSwap},
		{Name: "a session at its limits still swaps", Check: checkWithinLimits},
	}
}

// rotation is a refresh with limits that are far away.
func rotation(id string, presented int64) auth.Rotation {
	return auth.Rotation{
		Session: id, Presented: presented, Generation: 1,
		Grace: 30 * time.Second, IdleLimit: 24 * time.Hour, AgeLimit: 7 * 24 * time.Hour,
		Client: auth.Client{Address: netip.MustParseAddr("198.51.100.7"), UserAgent: "storetest/2"},
	}
}

// rotate rotates and says whether it swapped.
func rotate(t testing.TB, s auth.Store, r auth.Rotation) auth.Rotated {
	t.Helper()
	got, err := s.RotateSession(context.Background(), r)
	must(t, "rotate session "+r.Session, err)
	return got
}

// checkRotate looks at every column that a rotation may touch, and at one row
// that it may not.
func checkRotate(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice", func(a *auth.Account) { a.Fields = map[string][]string{"phone": {"1"}} })
	past := now().Add(-time.Hour)
	before := session(t, s, a.ID, "s", func(n *auth.Session) { n.Rotated, n.LastSeen, n.AuthTime, n.Created = past, past, past, past })
	session(t, s, a.ID, "bystander")
	// Roles are read at each refresh: a change reaches the next token.
	a = change(t, other, a.ID, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error { a.Roles = []string{"admin"}; return nil }})

	r := rotation("s", 1)
	r.Generation = 2
	got := rotate(t, s, r)
	if d := time.Since(got.Now).Abs(); d > time.Minute || got.Now.Location() != time.UTC {
		t.Errorf("the store's time is %v", got.Now)
	}
	after := before
	after.Counter, after.Floor, after.Generation = 2, 1, 2
	after.Rotated, after.LastSeen, after.Address, after.UserAgent = got.Now, got.Now, "198.51.100.7", "storetest/2"
	same(t, "answered", got, auth.Rotated{Session: after, Account: a, Swapped: true, Now: got.Now})
	same(t, "stored", stored(t, other, "s"), after)
	same(t, "the bystander's counter", stored(t, other, "bystander").Counter, 1)

	got = rotate(t, other, rotation("s", 2))
	same(t, "the successor swaps", got.Swapped, true)
	same(t, "counter after two", got.Session.Counter, 3)
	r = rotation("s", 3)
	r.Client = auth.Client{}
	same(t, "address of an unknown client", rotate(t, s, r).Session.Address, "")
}

// checkSpent presents counters that were spent. Each must be answered with the
// row as it stands, for the caller to tell a repeat from a theft, and change
// nothing: else a thief could move the session by failing.
func checkSpent(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	session(t, s, a.ID, "s")
	rotate(t, s, rotation("s", 1))
	rotate(t, s, rotation("s", 2))
	row := stored(t, s, "s")
	for _, presented := range []int64{2, 1, 0, -1, math.MinInt64} {
		r := rotation("s", presented)
		r.Generation = 9
		got := rotate(t, s, r)
		same(t, "swapped", got.Swapped, false)
		same(t, "answered", got.Session, row)
		same(t, "account", got.Account.ID, a.ID)
		same(t, "stored", stored(t, s, "s"), row)
	}
}

// checkRotationRace is a browser that restores its tabs, or a thief beside the
// owner: all present one counter at once. Two that swapped would hold two good
// tokens, and neither would ever look stolen.
func checkRotationRace(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice")
	session(t, s, a.ID, "s")
	for presented := int64(1); presented <= 5; presented++ {
		var swapped atomic.Int32
		race(s, other, func(i int, s auth.Store) {
			got, err := s.RotateSession(context.Background(), rotation("s", presented))
			switch {
			case err != nil:
				t.Errorf("racer %d: %v", i, err)
			case got.Session.Counter != presented+1:
				t.Errorf("racer %d: counter %d, want %d", i, got.Session.Counter, presented+1)
			case got.Swapped:
				swapped.Add(1)
			}
		})
		same(t, "racers that swapped", swapped.Load(), 1)
	}
}

// checkLogoutRace logs out in the middle of refreshes. Whoever comes after the
// logout was answered must not swap: the session would outlive it.
func checkLogoutRace(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice")
	for round := range 5 {
		id := numbered("s", round)
		session(t, s, a.ID, id)
		var loggedOut atomic.Bool
		race(s, other, func(i int, s auth.Store) {
			if i == 0 {
				must(t, "log out", s.RevokeSession(context.Background(), id, auth.RevokedByChoice, later()))
				loggedOut.Store(true)
				return
			}
			for counter, n := int64(1), 0; n < 10; n++ {
				after := loggedOut.Load()
				got, err := s.RotateSession(context.Background(), rotation(id, counter))
				if err != nil {
					t.Errorf("racer %d: %v", i, err)
					return
				}
				if got.Swapped && (after || !got.Session.Revoked.IsZero()) {
					t.Errorf("racer %d swapped a session that was logged out", i)
				}
				counter = got.Session.Counter
			}
		})
		same(t, "the session is revoked", !stored(t, s, id).Revoked.IsZero(), true)
	}
}

// checkJump presents a genuine token that the row knows nothing of: the store is
// a backup. What lies between was spent before the backup, so it stays spent.
func checkJump(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	session(t, s, a.ID, "s")
	got := rotate(t, s, rotation("s", 41))
	same(t, "swapped", got.Swapped, true)
	same(t, "counter", got.Session.Counter, 42)
	same(t, "what lies between is spent", rotate(t, s, rotation("s", 40)).Swapped, false)
}

// checkLastCounter keeps the counter from running over, into the negative or, in
// SQLite, into floating point where n+1 is n.
func checkLastCounter(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	row := session(t, s, a.ID, "s")
	same(t, "swapped", rotate(t, s, rotation("s", math.MaxInt64)).Swapped, false)
	same(t, "stored", stored(t, s, "s"), row)
	same(t, "the last but one swaps", rotate(t, s, rotation("s", math.MaxInt64-1)).Session.Counter, int64(math.MaxInt64))
}

// checkFloor is the rule of the grace as a table: see Rotation.Grace.
func checkFloor(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	for i, c := range []struct {
		name           string
		counter, floor int64
		ago            time.Duration // of the last rotation; below zero: the clock was set back
		presented      int64
		want           int64
	}{
		{"long after the last", 5, 3, time.Hour, 5, 5},
		{"just after the grace", 5, 3, 31 * time.Second, 5, 5},
		{"within the grace", 5, 3, time.Second, 5, 3},
		{"just within the grace", 5, 3, 25 * time.Second, 5, 3},
		{"within the grace, eight behind", 8, 1, time.Second, 8, 1},
		{"within the grace, more than eight behind", 9, 1, time.Second, 9, 2},
		{"within the grace, far behind", 50, 1, time.Second, 50, 43},
		{"within the grace, nothing to keep", 5, 5, time.Second, 5, 5},
		{"a jump long after", 5, 3, time.Hour, 20, 20},
		{"a jump within the grace", 5, 3, time.Second, 20, 13},
		{"a small jump within the grace", 5, 3, time.Second, 6, 3},
		{"the clock was set back far", 5, 3, -time.Hour, 5, 5},
		{"the clock was set back a little", 5, 3, -5 * time.Second, 5, 3},
	} {
		id := numbered("s", i)
		session(t, s, a.ID, id, func(n *auth.Session) { n.Counter, n.Floor, n.Rotated = c.counter, c.floor, now().Add(-c.ago) })
		got := rotate(t, s, rotation(id, c.presented))
		same(t, c.name+": swapped", got.Swapped, true)
		same(t, c.name+": floor", got.Session.Floor, c.want)
		same(t, c.name+": floor as stored", stored(t, s, id).Floor, c.want)
	}
}

// checkFloorOfBurst rotates twenty times at once, as restored tabs do, and follows
// the floor all the way.
func checkFloorOfBurst(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	session(t, s, a.ID, "s", func(n *auth.Session) { n.Rotated = now().Add(-time.Hour) })
	// The first of a burst comes long after the last rotation, the others at once.
	for presented := int64(1); presented <= 20; presented++ {
		got := rotate(t, s, rotation("s", presented)).Session
		same(t, "floor", got.Floor, max(1, got.Counter-8))
	}
}

// checkNoSwap presents the right counter where no counter may be right. The row
// must stay as it is, too: a token that is spent without an answer makes an honest
// client look like a thief when the account is enabled again.
func checkNoSwap(t testing.TB, s, _ auth.Store) {
	a, disabled := account(t, s, "alice"), account(t, s, "dave")
	made := func(rotated, created time.Duration) func(*auth.Session) {
		return func(n *auth.Session) { n.Rotated, n.Created = now().Add(-rotated), now().Add(-created) }
	}
	session(t, s, a.ID, "revoked")
	session(t, s, a.ID, "idle", made(25*time.Hour, 26*time.Hour))
	session(t, s, a.ID, "old", made(time.Minute, 8*24*time.Hour))
	session(t, s, disabled.ID, "disabled")
	must(t, "revoke", s.RevokeSession(context.Background(), "revoked", auth.RevokedByChoice, later()))
	// Kept by the change, so that only the account's state stands in the way.
	change(t, s, disabled.ID, auth.AccountUpdate{Keep: "disabled", Until: later(), Change: func(a *auth.Account) error { a.Disabled = true; return nil }})

	for _, id := range []string{"revoked", "idle", "old", "disabled"} {
		row := stored(t, s, id)
		for _, presented := range []int64{1, 7} { // a jump is no way around
			got := rotate(t, s, rotation(id, presented))
			same(t, id+": swapped", got.Swapped, false)
			same(t, id+": answered", got.Session, row)
			same(t, id+": account disabled", got.Account.Disabled, id == "disabled")
			same(t, id+": stored", stored(t, s, id), row)
		}
	}
}

// checkWithinLimits is the other side of checkNoSwap: a limit that ends sessions
// too early logs people out.
func checkWithinLimits(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	session(t, s, a.ID, "s", func(n *auth.Session) {
		n.Rotated, n.Created = now().Add(-23*time.Hour), now().Add(-7*24*time.Hour+time.Hour)
	})
	same(t, "swapped", rotate(t, s, rotation("s", 1)).Swapped, true)
}
