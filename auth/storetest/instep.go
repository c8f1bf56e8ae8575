package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// listener is an application that keeps a row for each account, as what it is
// told says. It knows a message again by its id, and may have one of which the
// store does not know that it has.
type listener struct {
	rows map[string]string // data by account
	seen map[string]string // data by message
}

// hear applies news, unless it is a repeat, which must then be the same.
func (l *listener) hear(t testing.TB, n auth.News) {
	t.Helper()
	if data, before := l.seen[n.ID]; before {
		same(t, "a repeat of "+n.ID, string(n.Data), data)
		return
	}
	l.seen[n.ID] = string(n.Data)
	if n.Event == auth.AccountDeleted {
		delete(l.rows, n.Account)
	} else {
		l.rows[n.Account] = string(n.Data)
	}
}

// stepsOfStory is how long a story is: long enough for every pair of steps to
// happen to one of the few accounts.
const stepsOfStory = 150

// checkInStep goes through random stories of accounts and tries, some of whose
// answers are lost, and holds the rows against the accounts at the end.
func checkInStep(t testing.TB, s, _ auth.Store) {
	subscribe(t, s, subscriber("app"))
	for seed := range uint64(8) {
		l := &listener{rows: map[string]string{}, seen: map[string]string{}}
		rng := rand.New(rand.NewPCG(seed, 1))
		story := []string{}
		for i := range stepsOfStory {
			name := fmt.Sprintf("s%d-%d", seed, rng.IntN(3))
			story = append(story, l.step(t, s, name, rng.IntN(10), i))
		}
		must(t, "hasten", s.HastenNews(context.Background(), "app"))
		for {
			n, err := s.TakeNews(context.Background(), "app", time.Hour)
			if errors.Is(err, auth.ErrNotFound) {
				break
			}
			must(t, "take news", err)
			l.hear(t, n)
			must(t, "deliver", s.NewsDelivered(context.Background(), n))
		}
		want := map[string]string{}
		all, err := s.Accounts(context.Background())
		must(t, "list", err)
		for _, a := range all {
			data, err := auth.AccountData(a)
			must(t, "data", err)
			want[a.ID] = string(data)
		}
		if !maps.Equal(l.rows, want) {
			t.Fatalf("seed %d: the rows are\n%v\nthe accounts\n%v\nafter %q", seed, l.rows, want, story)
		}
		for _, a := range all { // the next story has accounts of its own
			end(t, s, a.ID)
		}
		drain(t, s, "app")
	}
}

// step does one thing to an account, where it is there, or to what is due. It
// answers what it was.
func (l *listener) step(t testing.TB, s auth.Store, name string, which, i int) string {
	t.Helper()
	ctx, id := context.Background(), "id-"+name
	_, err := s.Account(ctx, id)
	there := err == nil
	switch {
	case which < 4: // what is tried may arrive, be answered, both, or neither
		n, err := s.TakeNews(ctx, "app", time.Hour)
		if err != nil {
			return "nothing due"
		}
		if which != 0 {
			l.hear(t, n)
		}
		if which > 1 {
			must(t, "deliver", s.NewsDelivered(ctx, n))
		} else {
			must(t, "postpone", s.PostponeNews(ctx, n, time.Duration(i%2)*time.Hour))
		}
		return fmt.Sprintf("%s %s, arrives %t, answered %t", n.Event, n.Account, which != 0, which > 1)
	case !there:
		account(t, s, name)
		return "create " + id
	case which == 4:
		end(t, s, id)
		return "delete " + id
	case which == 5:
		edit(t, s, id, func(a *auth.Account) { a.Disabled = !a.Disabled })
		return "switch " + id
	case which == 6:
		_, err := s.TellOf(ctx, []string{id})
		must(t, "tell of "+id, err)
		return "introduce " + id
	case which == 7:
		must(t, "hasten", s.HastenNews(ctx, "app"))
		return "hasten"
	}
	edit(t, s, id, func(a *auth.Account) { a.Name = fmt.Sprint(i) })
	return "rename " + id
}
