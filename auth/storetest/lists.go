package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/posternhq/postern/auth"
)

// listPromises are about accounts that are made many at a time, by an import.
// Half an import is worse than none: it cannot be repeated.
func listPromises() []Promise {
	return []Promise{
		{Name: "a list of accounts is added whole", Check: checkListAdded},
		{Name: "a list with a conflict is refused whole and every one in conflict is named", Check: checkListConflicts},
		{Name: "a list may be long", Check: checkLongList},
		{Name: "a list that its caller gives up is not added", Check: checkListGivenUp},
		{Name: "of those who race with a list for a name exactly one gets it", Shared: true, Check: checkListRace},
	}
}

// threeAccounts is a list of accounts without a conflict among them.
func threeAccounts() []auth.Account {
	return []auth.Account{
		{ID: "1", Username: "one", Email: "one@example.org", EmailVerified: true, Roles: []string{"user", "admin"}, Fields: map[string][]string{"phone": {"1", "2"}}, PasswordHash: "$hash$", Version: 7, Created: now(), Updated: now()},
		{ID: "2", Username: "two@example.org", Email: "two@example.org", Disabled: true, Version: 1, Created: now(), Updated: now()},
		{ID: "3", Username: "three", Version: 1, Created: now(), Updated: now()},
	}
}

// checkListAdded compares each account of a list with the same one, made
// alone in every other way.
func checkListAdded(t testing.TB, s, other auth.Store) {
	// A file with a header and nobody below it is no mistake.
	must(t, "create none", s.CreateAccounts(context.Background(), nil))
	list := threeAccounts()
	must(t, "create", s.CreateAccounts(context.Background(), list))
	for _, want := range list {
		got, err := other.Account(context.Background(), want.ID)
		must(t, "read "+want.ID, err)
		if len(want.Roles) == 0 {
			want.Roles, got.Roles = nil, nil // an empty list may come back as either
		}
		same(t, "account "+want.ID, got, want)
		for _, name := range []string{want.Username, want.Email} {
			if found, err := other.FindAccount(context.Background(), name); name != "" && (err != nil || found.ID != want.ID) {
				t.Errorf("find %q: %q, %v", name, found.ID, err)
			}
		}
	}
	n, err := s.CountAccounts(context.Background())
	must(t, "count", err)
	same(t, "accounts", n, len(list))
}

// checkListConflicts puts every kind of conflict into one list: with accounts
// of the store by each name, and among its own.
func checkListConflicts(t testing.TB, s, _ auth.Store) {
	old := taken(t, s)
	list := append(threeAccounts(),
		auth.Account{ID: old.ID, Username: "four"},
		auth.Account{ID: "5", Username: old.Email},
		auth.Account{ID: "6", Username: "six", Email: "FI.KISS@example.org"},
		auth.Account{ID: "7", Username: "seven"},
		auth.Account{ID: "3", Username: "eight"},
		auth.Account{ID: "9", Username: "ONE"},
		auth.Account{ID: "10", Username: "ten", Email: "three"},
	)
	err := s.CreateAccounts(context.Background(), list)
	var all *auth.ConflictsError
	if !errors.As(err, &all) {
		t.Fatalf("got error %v, want the conflicts", err)
	}
	// Each account is named once, by the first of its names that is taken.
	same(t, "conflicts", all.Conflicts, []auth.Conflict{
		{Index: 3, Field: "id"}, {Index: 4, Field: "username"}, {Index: 5, Field: "email"},
		{Index: 7, Field: "id"}, {Index: 8, Field: "username"}, {Index: 9, Field: "email"},
	})
	n, err := s.CountAccounts(context.Background())
	must(t, "count", err)
	same(t, "accounts after the refusal", n, 1)
	// Not one of their names may have stayed behind.
	must(t, "the same without the conflicts", s.CreateAccounts(context.Background(), append(list[:3], list[6])))
}

// checkLongList adds more than any statement takes parameters, and then again:
// the last of them is in conflict too.
func checkLongList(t testing.TB, s, _ auth.Store) {
	const long = 2000
	list := make([]auth.Account, long)
	for i := range list {
		list[i] = auth.Account{ID: numbered("id", i), Username: numbered("name", i), Email: numbered("mail", i), Version: 1}
	}
	must(t, "create", s.CreateAccounts(context.Background(), list))
	var all *auth.ConflictsError
	if err := s.CreateAccounts(context.Background(), list); !errors.As(err, &all) || len(all.Conflicts) != long {
		t.Errorf("the same again: %v", err)
	}
	n, err := s.CountAccounts(context.Background())
	must(t, "count", err)
	same(t, "accounts", n, long)
}

// givesUp is a context that ends when it has been asked a few times: in the
// middle of the work.
type givesUp struct {
	context.Context
	asked atomic.Int32
}

// Err lets three looks pass, so that a store which asks only at the beginning
// does all of its work for nobody.
func (c *givesUp) Err() error {
	if c.asked.Add(1) > 3 {
		return context.Canceled
	}
	return nil
}

// checkListGivenUp ends the caller's context in the middle of a list. A store
// that did not notice may add the list, but then it is whole.
func checkListGivenUp(t testing.TB, s, _ auth.Store) {
	list := make([]auth.Account, 100)
	for i := range list {
		list[i] = auth.Account{ID: numbered("id", i), Username: numbered("name", i)}
	}
	err := s.CreateAccounts(&givesUp{Context: context.Background()}, list)
	n, counted := s.CountAccounts(context.Background())
	must(t, "count", counted)
	if err == nil {
		same(t, "accounts", n, len(list))
		return
	}
	want(t, "create", err, context.Canceled)
	same(t, "accounts after giving up", n, 0)
}

// checkListRace lets lists race for a name that stands last in each.
func checkListRace(t testing.TB, s, other auth.Store) {
	var won, lost atomic.Int32
	race(s, other, func(i int, s auth.Store) {
		list := []auth.Account{{ID: numbered("a", i), Username: numbered("a-name", i)}, {ID: numbered("b", i), Username: "alice"}}
		var all *auth.ConflictsError
		switch err := s.CreateAccounts(context.Background(), list); {
		case err == nil:
			won.Add(1)
		case errors.As(err, &all) && len(all.Conflicts) == 1 && all.Conflicts[0] == auth.Conflict{Index: 1, Field: "username"}:
			lost.Add(1)
		default:
			t.Errorf("racer %d: %v", i, err)
		}
	})
	same(t, "winners and losers", [2]int32{won.Load(), lost.Load()}, [2]int32{1, racers - 1})
	n, err := s.CountAccounts(context.Background())
	must(t, "count", err)
	same(t, "accounts of the one list that won", n, 2)
}
