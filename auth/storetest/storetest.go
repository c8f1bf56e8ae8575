// Package storetest says what every auth.Store must do, as tests that each
// backend runs against itself:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) auth.Store { return open(t) })
//		storetest.RunShared(t, func(t *testing.T) (auth.Store, auth.Store) { return openTwice(t) })
//	}
//
// A promise is a sentence and a check. The checks know nothing of a backend,
// and need no clock of their own: they date sessions back instead of waiting.
//
// # Why promises are values
//
// So that the suite can be tested as well. A check gets a testing.TB, and a
// backend that is wrong on purpose can be put before each check, to see that at
// least one of them says so. See TestWrongBackendsFail in auth/sqlstore.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// Promise is one thing that every store keeps.
type Promise struct {
	Name string
	// Shared: it is about several instances on the same data, too.
	Shared bool
	// Check fails t when the promise is broken. Both stores are new, empty and
	// open the same data; they may be one and the same.
	Check func(t testing.TB, s, other auth.Store)
}

// Promises lists them all.
func Promises() []Promise {
	return slices.Concat(namePromises(), accountPromises(), listPromises(), changePromises(), sessionPromises(), rotationPromises(), termPromises(), feedPromises(), failurePromises(), outboxPromises(), verbPromises())
}

// Run checks every promise with a store of its own, which open makes.
func Run(t *testing.T, open func(t *testing.T) auth.Store) {
	t.Helper()
	for _, p := range Promises() {
		t.Run(p.Name, func(t *testing.T) {
			s := open(t)
			p.Check(t, s, s)
		})
	}
}

// RunShared checks the promises that hold between two instances, which open
// makes on the same data.
func RunShared(t *testing.T, open func(t *testing.T) (auth.Store, auth.Store)) {
	t.Helper()
	for _, p := range Promises() {
		if !p.Shared {
			continue
		}
		t.Run("two instances: "+p.Name, func(t *testing.T) {
			s, other := open(t)
			p.Check(t, s, other)
		})
	}
}

// racers is how many take part in a race.
const racers = 16

// race runs f for 0 to racers-1 at the same time, the odd ones on other, and
// waits for all.
func race(s, other auth.Store, f func(i int, s auth.Store)) { contest(s, other, f) }

// contest is race for any kind of store.
func contest[S any](s, other S, f func(i int, s S)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		ready.Add(1)
		done.Go(func() {
			mine := s
			if i%2 == 1 {
				mine = other
			}
			ready.Done()
			<-start
			f(i, mine)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// now is the present as a store keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// later is an end of revocations that no test reaches.
func later() time.Time { return now().Add(time.Hour) }

// must fails t at once when err is not nil.
func must(t testing.TB, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}

// want fails t when err is not the target.
func want(t testing.TB, doing string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got error %v, want %v", doing, err, target)
	}
}

// same fails t when got is not want.
func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// conflict fails t when err does not say that the field is taken.
func conflict(t testing.TB, doing string, err error, field string) {
	t.Helper()
	var c *auth.ConflictError
	if !errors.As(err, &c) {
		t.Errorf("%s: got error %v, want a conflict of %s", doing, err, field)
		return
	}
	same(t, doing+": field in conflict", c.Field, field)
}

// account makes an account with the id name, under the username name.
func account(t testing.TB, s auth.Store, name string, edit ...func(*auth.Account)) auth.Account {
	t.Helper()
	a := auth.Account{
		ID: "id-" + name, Username: name, Email: name + "@example.org", Roles: []string{"user"},
		PasswordHash: "$hash$" + name, Version: 1, Created: now(), Updated: now(),
	}
	for _, e := range edit {
		e(&a)
	}
	must(t, "create account "+name, s.CreateAccount(context.Background(), a))
	return a
}

// session makes a session of an account, as a login does.
func session(t testing.TB, s auth.Store, accountID, id string, edit ...func(*auth.Session)) auth.Session {
	t.Helper()
	n := auth.Session{
		ID: id, AccountID: accountID, Counter: 1, Floor: 1, Generation: 1,
		Rotated: now(), AuthTime: now(), Created: now(), LastSeen: now(), Address: "192.0.2.1", UserAgent: "storetest",
	}
	for _, e := range edit {
		e(&n)
	}
	_, err := s.CreateSession(context.Background(), n)
	must(t, "create session "+id, err)
	return n
}

// stored reads a session back.
func stored(t testing.TB, s auth.Store, id string) auth.Session {
	t.Helper()
	n, err := s.Session(context.Background(), id)
	must(t, "read session "+id, err)
	return n
}

// feed reads the whole feed.
func feed(t testing.TB, s auth.Store) []auth.Revocation {
	t.Helper()
	all, err := s.Revocations(context.Background(), 0)
	must(t, "read the feed", err)
	return all
}

// revoked says whether the feed ends a session, or an account's tokens of the
// version.
func revoked(entries []auth.Revocation, kind auth.RevocationKind, id string, version int64) bool {
	return slices.ContainsFunc(entries, func(r auth.Revocation) bool {
		return r.Kind == kind && r.ID == id && (kind == auth.RevokeSessionTokens || version < r.Version)
	})
}

// ids are the sessions' ids in their order.
func ids(all []auth.Session) []string {
	list := []string{}
	for _, n := range all {
		list = append(list, n.ID)
	}
	return list
}

// numbered is "name-0", "name-1", ...
func numbered(name string, i int) string { return fmt.Sprintf("%s-%d", name, i) }
