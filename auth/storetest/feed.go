package storetest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// feedPromises are about what instances tell each other, and the keys they share.
func feedPromises() []Promise {
	return []Promise{
		{Name: "the feed is read in order from any place in it", Check: checkFeedOrder},
		{Name: "what has expired leaves the feed and its number is not used again", Check: checkFeedExpiry},
		{Name: "a follower of the feed misses nothing", Shared: true, Check: checkFeedFollower},
		{Name: "keys come back as they went in, oldest first", Check: checkKeys},
		{Name: "of the keys those that are named are forgotten", Check: checkDeleteKeys},
		{Name: "of two keys with one use and generation the first counts", Check: checkSameKey},
		{Name: "all who add a key at once use the same one", Shared: true, Check: checkKeyRace},
	}
}

// checkFeedOrder reads the feed from each place. Followers remember the last number
// and nothing else.
func checkFeedOrder(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice")
	for _, id := range []string{"one", "two", "three", "four"} {
		session(t, s, a.ID, id)
	}
	for _, id := range []string{"two", "one", "four", "three"} {
		must(t, "revoke "+id, s.RevokeSession(context.Background(), id, auth.RevokedByChoice, later()))
	}
	all := feed(t, other)
	var order []string
	last := int64(0)
	for i, r := range all {
		order = append(order, r.ID)
		if r.Seq <= last {
			t.Errorf("entry %d has number %d after %d", i, r.Seq, last)
		}
		last = r.Seq
	}
	same(t, "order", order, []string{"two", "one", "four", "three"})
	for i, r := range all {
		rest, err := other.Revocations(context.Background(), r.Seq)
		must(t, "read on", err)
		same(t, "entries after", len(rest), len(all)-i-1)
	}
}

// checkFeedExpiry lets the highest number expire and be forgotten. Were it given
// out again, every follower would take the new entry for one it has read: a
// logout that nobody hears of.
func checkFeedExpiry(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	for _, id := range []string{"past", "future", "next"} {
		session(t, s, a.ID, id)
	}
	must(t, "revoke", s.RevokeSession(context.Background(), "future", auth.RevokedByChoice, later()))
	must(t, "revoke", s.RevokeSession(context.Background(), "past", auth.RevokedByChoice, now().Add(-time.Second)))
	all := feed(t, s)
	if len(all) != 1 || all[0].ID != "future" {
		t.Fatalf("got the feed %+v, want the entry that has not expired", all)
	}
	must(t, "prune", s.PruneSessions(context.Background(), now().Add(-time.Hour), now().Add(-time.Hour)))
	same(t, "the feed after pruning", feed(t, s), all)

	// "past" had a number, the highest so far, and is gone.
	must(t, "revoke", s.RevokeSession(context.Background(), "next", auth.RevokedByChoice, later()))
	all = feed(t, s)
	if len(all) != 2 || all[1].ID != "next" || all[1].Seq < all[0].Seq+2 {
		t.Errorf("got the feed %+v, want a new number for next", all)
	}
}

// checkFeedFollower follows the feed while others write to it.
func checkFeedFollower(t testing.TB, s, other auth.Store) {
	a := account(t, s, "alice")
	for i := range racers {
		session(t, s, a.ID, numbered("s", i))
	}
	seen, running := map[string]int{}, atomic.Int32{}
	running.Store(racers - 1)
	race(s, other, func(i int, s auth.Store) {
		if i > 0 {
			if err := s.RevokeSession(context.Background(), numbered("s", i), auth.RevokedByChoice, later()); err != nil {
				t.Errorf("revoke: %v", err)
			}
			running.Add(-1)
			return
		}
		// The follower never looks back. A number that became visible after a
		// higher one would be a logout that this instance does not hear of.
		for after, last := int64(0), false; !last; {
			last = running.Load() == 0
			entries, err := s.Revocations(context.Background(), after)
			if err != nil {
				t.Errorf("follow: %v", err)
				return
			}
			for _, r := range entries {
				seen[r.ID]++
				after = r.Seq
			}
		}
	})
	same(t, "revocations that the follower saw", len(seen), racers-1)
	for id, n := range seen {
		same(t, "times that it saw "+id, n, 1)
	}
}

// checkKeys adds keys out of order. The newest signs, so the order counts.
func checkKeys(t testing.TB, s, other auth.Store) {
	keys := []auth.SealedKey{
		{ID: "k1", Use: "sign:ES256", Generation: 1, Sealed: []byte{0, 1, 0xff, 0}, Created: now().Add(-3 * time.Hour), Retired: now().Add(-time.Hour)},
		{ID: "k2", Use: "refresh", Generation: 1, Sealed: []byte("r"), Created: now().Add(-2 * time.Hour)},
		{ID: "k3", Use: "sign:ES256", Generation: 2, Sealed: []byte("s"), Created: now().Add(-time.Hour)},
	}
	for _, i := range []int{2, 0, 1} {
		got, err := s.AddKey(context.Background(), keys[i])
		must(t, "add "+keys[i].ID, err)
		same(t, "answered", got, keys[i])
	}
	got, err := other.Keys(context.Background())
	must(t, "list", err)
	same(t, "keys", got, keys)
}

// checkDeleteKeys forgets two keys of four. What they sealed is lost with them,
// so another one must not go along; and a generation that is free again is no
// reason to refuse the next key of it.
func checkDeleteKeys(t testing.TB, s, other auth.Store) {
	var keys []auth.SealedKey
	for i, id := range []string{"k1", "k2", "k3", "k4"} {
		k := auth.SealedKey{ID: id, Use: "refresh", Generation: int64(i + 1), Sealed: []byte(id), Created: now().Add(time.Duration(i) * time.Second)}
		_, err := s.AddKey(context.Background(), k)
		must(t, "add "+id, err)
		keys = append(keys, k)
	}
	must(t, "delete", s.DeleteKeys(context.Background(), []string{"k1", "k3", "nobody's"}))
	must(t, "delete again", other.DeleteKeys(context.Background(), []string{"k1"}))
	must(t, "delete nothing", other.DeleteKeys(context.Background(), nil))
	all, err := other.Keys(context.Background())
	must(t, "list", err)
	same(t, "keys", all, []auth.SealedKey{keys[1], keys[3]})
	got, err := s.AddKey(context.Background(), keys[0])
	must(t, "add again", err)
	same(t, "the one that counts", got, keys[0])
}

// checkSameKey adds a key twice. Two keys for one use would be two halves of the
// instances that refuse each other's tokens.
func checkSameKey(t testing.TB, s, _ auth.Store) {
	first := auth.SealedKey{ID: "k1", Use: "refresh", Generation: 1, Sealed: []byte("first"), Created: now()}
	second := auth.SealedKey{ID: "k2", Use: "refresh", Generation: 1, Sealed: []byte("second"), Created: now()}
	for _, k := range []auth.SealedKey{first, second, first} {
		got, err := s.AddKey(context.Background(), k)
		must(t, "add "+k.ID, err)
		same(t, "the one that counts", got, first)
	}
	all, err := s.Keys(context.Background())
	must(t, "list", err)
	same(t, "keys", all, []auth.SealedKey{first})
}

// checkKeyRace is many instances at their first start on one empty store.
func checkKeyRace(t testing.TB, s, other auth.Store) {
	var got [racers]auth.SealedKey
	race(s, other, func(i int, s auth.Store) {
		k, err := s.AddKey(context.Background(), auth.SealedKey{ID: numbered("k", i), Use: "refresh", Generation: 1, Sealed: []byte(numbered("sealed", i)), Created: now()})
		if err != nil {
			t.Errorf("racer %d: %v", i, err)
		}
		got[i] = k
	})
	for i := range got {
		same(t, numbered("the key of racer", i), got[i], got[0])
	}
	all, err := s.Keys(context.Background())
	must(t, "list", err)
	same(t, "keys", all, []auth.SealedKey{got[0]})
}
