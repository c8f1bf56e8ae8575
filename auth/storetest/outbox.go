package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// outboxPromises are about what subscribers are told: that no change of an account
// is without its news, and no news without its change.
func outboxPromises() []Promise {
	return []Promise{
		{Name: "where nobody subscribed nothing waits, nor for who comes later", Check: checkNobodyListens},
		{Name: "a change of an account brings its news, and what is none brings none", Shared: true, Check: checkNews},
		{Name: "a change that is refused brings no news", Check: checkNoNews},
		{Name: "news of one account are taken in their order, and past those of others", Check: checkNewsOrder},
		{Name: "what was never taken is merged", Check: checkMerged},
		{Name: "what was taken once stays as it was", Check: checkTakenStays},
		{Name: "of many who take news each has its own", Shared: true, Check: checkTakenOnce},
		{Name: "what is not delivered is due again, after its wait or when it is hastened", Check: checkPostponed},
		{Name: "who was too slow with news has them no more", Check: checkLateTaker},
		{Name: "each subscriber hears what it wants, and one that is gone nothing", Check: checkSubscribers},
		{Name: "whatever becomes of accounts, and of the tries, the subscriber ends up in step", Check: checkInStep},
		{Name: "an account is introduced as a new one, in place of what waits", Check: checkIntroduced},
	}
}

// subscriber wants the events, or where none is named all.
func subscriber(name string, events ...string) auth.Subscriber {
	if len(events) == 0 {
		events = auth.AccountEvents()
	}
	return auth.Subscriber{Name: name, Events: events}
}

// subscribe settles who listens.
func subscribe(t testing.TB, s auth.Store, all ...auth.Subscriber) auth.Subscribed {
	t.Helper()
	change, err := s.Subscribe(context.Background(), all, false)
	must(t, "subscribe", err)
	return change
}

// take takes the next news of app, which must be there.
func take(t testing.TB, s auth.Store) auth.News {
	t.Helper()
	n, err := s.TakeNews(context.Background(), "app", time.Hour)
	must(t, "take news", err)
	return n
}

// nothing fails t when there is news for a subscriber.
func nothing(t testing.TB, s auth.Store, name string) {
	t.Helper()
	n, err := s.TakeNews(context.Background(), name, time.Hour)
	if !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("%s: got %q of %s, error %v; want nothing", name, n.Event, n.Account, err)
	}
}

// drain takes and delivers all that waits, as "event account".
func drain(t testing.TB, s auth.Store, name string) []string {
	t.Helper()
	heard := []string{}
	for {
		n, err := s.TakeNews(context.Background(), name, time.Hour)
		if errors.Is(err, auth.ErrNotFound) {
			return heard
		}
		must(t, "take news", err)
		must(t, "deliver", s.NewsDelivered(context.Background(), n))
		heard = append(heard, n.Event+" "+n.Account)
	}
}

// edit changes an account.
func edit(t testing.TB, s auth.Store, id string, f func(*auth.Account)) {
	t.Helper()
	change(t, s, id, auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error { f(a); return nil }})
}

// end deletes an account.
func end(t testing.TB, s auth.Store, id string) {
	t.Helper()
	must(t, "delete", s.DeleteAccount(context.Background(), id, auth.Removal{Until: later()}))
}

// checkNobodyListens holds that accounts write no news while nobody would read
// them, and that who subscribes later hears of what follows, not of what was.
func checkNobodyListens(t testing.TB, s, _ auth.Store) {
	a := account(t, s, "alice")
	edit(t, s, a.ID, func(a *auth.Account) { a.Name = "Alice" })
	change := subscribe(t, s, subscriber("app"))
	same(t, "added", change.Added, []string{"app"})
	nothing(t, s, "app")
	nothing(t, s, "another")
	edit(t, s, a.ID, func(a *auth.Account) { a.Name = "Alice A." })
	same(t, "heard", drain(t, s, "app"), []string{"changed id-alice"})
}

// checkNews goes through what may become of an account; another instance hears
// of it, and what the subscriber sees of the account is never its hash.
func checkNews(t testing.TB, s, other auth.Store) {
	subscribe(t, s, subscriber("app"))
	must(t, "import", other.CreateAccounts(context.Background(), []auth.Account{{ID: "id-bob", Username: "bob", PasswordHash: "$secret"}}))
	account(t, s, "alice", func(a *auth.Account) { a.PasswordHash = "$secret" })
	got := drain(t, other, "app")
	slices.Sort(got)
	same(t, "made", got, []string{"created id-alice", "created id-bob"})
	for _, test := range []struct {
		name string
		edit func(*auth.Account)
		want []string
	}{
		{"nothing", func(*auth.Account) {}, nil},
		{"another password", func(a *auth.Account) { a.PasswordHash = "$secret2" }, nil},
		{"a verified address", func(a *auth.Account) { a.EmailVerified = !a.EmailVerified }, nil},
		{"a name", func(a *auth.Account) { a.Name = "Alice <b>" }, []string{"changed"}},
		{"a username and an address", func(a *auth.Account) { a.Username, a.Email = "al", "al@example.org" }, []string{"changed"}},
		{"roles", func(a *auth.Account) { a.Roles[0] = "admin" }, []string{"changed"}},
		{"fields", func(a *auth.Account) { a.Fields = map[string][]string{"tag": {"a", "b"}, "one": {"1"}} }, []string{"changed"}},
		{"disabling", func(a *auth.Account) { a.Disabled = true }, []string{"disabled"}},
		{"enabling, with a name", func(a *auth.Account) { a.Disabled, a.Name = false, "Alice" }, []string{"changed", "enabled"}},
	} {
		before := now()
		edit(t, s, "id-alice", test.edit)
		stored, err := s.Account(context.Background(), "id-alice")
		must(t, "read", err)
		data, err := auth.AccountData(stored)
		must(t, "data", err)
		for _, event := range test.want {
			n := take(t, other)
			same(t, test.name, n.Event+" "+n.Account, event+" id-alice")
			same(t, test.name+": the account", string(n.Data), string(data))
			if strings.Contains(string(n.Data), "secret") || n.Tries != 1 || !strings.HasPrefix(n.ID, "msg_") || n.Happened.Before(before) || now().Before(n.Happened) {
				t.Errorf("%s: got %+v %s", test.name, n, n.Data)
			}
			must(t, "deliver", other.NewsDelivered(context.Background(), n))
		}
		nothing(t, other, "app")
	}
	end(t, other, "id-alice")
	n := take(t, s)
	if n.Event != auth.AccountDeleted || !strings.Contains(string(n.Data), `"username":"al"`) {
		t.Errorf("deleted: got %+v %s", n, n.Data)
	}
}

// checkNoNews refuses changes in every way that a store can.
func checkNoNews(t testing.TB, s, _ auth.Store) {
	account(t, s, "alice")
	subscribe(t, s, subscriber("app"))
	ctx := context.Background()
	conflict(t, "the same name", s.CreateAccount(ctx, auth.Account{ID: "x", Username: "alice"}), "username")
	if err := s.CreateAccounts(ctx, []auth.Account{{ID: "y", Username: "y"}, {ID: "z", Username: "alice"}}); err == nil {
		t.Error("a list with a taken name was taken")
	}
	_, err := s.UpdateAccount(ctx, "id-alice", auth.AccountUpdate{Until: later(), Change: func(a *auth.Account) error {
		a.Name = "Mallory"
		return errors.New("no")
	}})
	if err == nil {
		t.Error("a change that errs was made")
	}
	edit(t, s, "id-alice", func(a *auth.Account) { a.Roles = []string{auth.AdminRole} })
	must(t, "deliver", s.NewsDelivered(ctx, take(t, s)))
	want(t, "delete the last administrator", s.DeleteAccount(ctx, "id-alice", auth.Removal{Until: later(), KeepAdmin: true}), auth.ErrLastAdmin)
	nothing(t, s, "app")
}

// checkNewsOrder holds back what came later for an account while its first news
// are on their way or wait; another account's pass them. A receiver that takes
// them out of order would leave a disabled account enabled.
func checkNewsOrder(t testing.TB, s, _ auth.Store) {
	subscribe(t, s, subscriber("app"))
	account(t, s, "alice")
	first := take(t, s)
	edit(t, s, "id-alice", func(a *auth.Account) { a.Name = "Alice" })
	edit(t, s, "id-alice", func(a *auth.Account) { a.Disabled = true })
	nothing(t, s, "app") // the first is on its way
	account(t, s, "bob")
	same(t, "past alice", take(t, s).Account, "id-bob")
	must(t, "postpone", s.PostponeNews(context.Background(), first, time.Hour))
	nothing(t, s, "app") // and waits
	must(t, "deliver", s.NewsDelivered(context.Background(), first))
	must(t, "deliver again", s.NewsDelivered(context.Background(), first))
	same(t, "then", drain(t, s, "app"), []string{"changed id-alice", "disabled id-alice"})
}

// checkMerged is what keeps the outbox small while nobody listens. What remains
// must say the same as all of it would have.
func checkMerged(t testing.TB, s, _ auth.Store) {
	subscribe(t, s, subscriber("app"))
	steps := map[string]func(id string){
		"create":  func(id string) { account(t, s, strings.TrimPrefix(id, "id-")) },
		"rename":  func(id string) { edit(t, s, id, func(a *auth.Account) { a.Name += "x" }) },
		"disable": func(id string) { edit(t, s, id, func(a *auth.Account) { a.Disabled = true }) },
		"enable":  func(id string) { edit(t, s, id, func(a *auth.Account) { a.Disabled = false }) },
		"delete":  func(id string) { end(t, s, id) },
		"hear":    func(string) { drain(t, s, "app") },
	}
	for i, test := range []struct{ steps, want string }{
		{"create rename rename rename", "created changed"},
		{"create hear rename rename", "changed"},
		{"create hear disable enable disable", "disabled"},
		{"create hear disable rename enable rename", "enabled changed"},
		{"create disable rename", "created disabled changed"},
		{"create rename disable delete", ""},
		{"create hear rename disable delete", "deleted"},
		{"create hear delete create", "deleted created"},
		{"create hear delete create delete create rename delete", "deleted"},
	} {
		id := fmt.Sprintf("id-user-%d", i)
		for step := range strings.FieldsSeq(test.steps) {
			steps[step](id)
		}
		stored, err := s.Account(context.Background(), id)
		last := []byte(nil)
		heard := []string{}
		for range strings.Fields(test.want) {
			n := take(t, s)
			heard, last = append(heard, n.Event), n.Data
			must(t, "deliver", s.NewsDelivered(context.Background(), n))
		}
		same(t, test.steps, strings.Join(heard, " "), test.want)
		nothing(t, s, "app")
		if data, bad := auth.AccountData(stored); err == nil && string(data) != string(last) {
			t.Errorf("%s: the last news say %s, the account is %s, %v", test.steps, last, data, bad)
		}
	}
}

// checkTakenStays holds a message to its id: a receiver that has it will take no
// other one under the same.
func checkTakenStays(t testing.TB, s, _ auth.Store) {
	subscribe(t, s, subscriber("app"))
	account(t, s, "alice")
	edit(t, s, "id-alice", func(a *auth.Account) { a.Name = "before" })
	must(t, "deliver", s.NewsDelivered(context.Background(), take(t, s)))
	first := take(t, s)
	must(t, "postpone", s.PostponeNews(context.Background(), first, 0))
	edit(t, s, "id-alice", func(a *auth.Account) { a.Name = "after" })
	edit(t, s, "id-alice", func(a *auth.Account) { a.Name = "at last" })
	again := take(t, s)
	same(t, "tries", again.Tries, 2)
	again.Tries = first.Tries
	same(t, "the second try", again, first)
	must(t, "deliver", s.NewsDelivered(context.Background(), again))
	next := take(t, s)
	if next.ID == first.ID || !strings.Contains(string(next.Data), "at last") {
		t.Errorf("after it came %+v %s", next, next.Data)
	}
	end(t, s, "id-alice") // the change is on its way: it stays, and the end comes after it
	must(t, "deliver", s.NewsDelivered(context.Background(), next))
	same(t, "then", drain(t, s, "app"), []string{"deleted id-alice"})
}

// checkTakenOnce has several couriers take from both instances at once. Nothing
// is taken twice and nothing is left, whoever wins.
func checkTakenOnce(t testing.TB, s, other auth.Store) {
	subscribe(t, s, subscriber("app"))
	for i := range racers {
		account(t, s, fmt.Sprintf("user-%d", i))
	}
	var mu sync.Mutex
	seen := map[string]int{}
	race(s, other, func(_ int, s auth.Store) {
		for {
			n, err := s.TakeNews(context.Background(), "app", time.Hour)
			if err != nil {
				if !errors.Is(err, auth.ErrNotFound) {
					t.Errorf("take news: %v", err)
				}
				return
			}
			mu.Lock()
			seen[n.Account]++
			mu.Unlock()
		}
	})
	for { // who found somebody faster three times in a row has left some
		n, err := s.TakeNews(context.Background(), "app", time.Hour)
		if err != nil {
			break
		}
		seen[n.Account]++
	}
	same(t, "accounts that were told of", len(seen), racers)
	for id, n := range seen {
		same(t, "times that "+id+" was taken", n, 1)
	}
}

// checkPostponed goes through the ways in which news come due again: their wait
// is over, their subscriber's are hastened, or who took them never came back.
// Each try counts, since the waits grow by it.
func checkPostponed(t testing.TB, s, _ auth.Store) {
	ctx := context.Background()
	subscribe(t, s, subscriber("app"), subscriber("other"))
	account(t, s, "alice")
	n := take(t, s)
	must(t, "postpone", s.PostponeNews(ctx, n, time.Hour))
	nothing(t, s, "app")
	must(t, "hasten another's", s.HastenNews(ctx, "other"))
	nothing(t, s, "app")
	must(t, "hasten", s.HastenNews(ctx, "app"))
	n = take(t, s)
	same(t, "tries", n.Tries, 2)
	must(t, "hasten what is on its way", s.HastenNews(ctx, "app"))
	nothing(t, s, "app")
	// Who took it is gone: it is due again when its time is over.
	must(t, "give back", s.PostponeNews(ctx, n, 0))
	n, err := s.TakeNews(ctx, "app", 0)
	must(t, "take for no time", err)
	same(t, "tries", n.Tries, 3)
	same(t, "tries", take(t, s).Tries, 4)
}

// checkLateTaker has somebody come back whose time was over.
func checkLateTaker(t testing.TB, s, _ auth.Store) {
	ctx := context.Background()
	subscribe(t, s, subscriber("app"))
	account(t, s, "alice")
	slow, err := s.TakeNews(ctx, "app", 0)
	must(t, "take for no time", err)
	take(t, s)
	must(t, "postpone what is another's", s.PostponeNews(ctx, slow, 0))
	nothing(t, s, "app")
	must(t, "deliver it after all", s.NewsDelivered(ctx, slow))
	backlogs, err := s.Backlogs(ctx)
	must(t, "backlogs", err)
	same(t, "what waits", len(backlogs), 0)
}

// checkSubscribers changes who listens, and to what, while news wait. What is
// dropped by that is told, so that it can be logged and not just be gone.
func checkSubscribers(t testing.TB, s, _ auth.Store) {
	ctx := context.Background()
	same(t, "change", subscribe(t, s, subscriber("app"), subscriber("mail", auth.AccountCreated)), auth.Subscribed{Added: []string{"app", "mail"}})
	same(t, "no change", subscribe(t, s, subscriber("mail", auth.AccountCreated), subscriber("app")), auth.Subscribed{})
	account(t, s, "alice")
	edit(t, s, "id-alice", func(a *auth.Account) { a.Name = "Alice" })
	backlogs, err := s.Backlogs(ctx)
	must(t, "backlogs", err)
	if len(backlogs) != 2 || backlogs[0].Subscriber != "app" || backlogs[0].Waiting != 2 || backlogs[1].Waiting != 1 || time.Since(backlogs[0].Oldest).Abs() > time.Hour {
		t.Errorf("backlogs %+v", backlogs)
	}
	// A guest adds and takes nobody away.
	change, err := s.Subscribe(ctx, []auth.Subscriber{subscriber("audit")}, true)
	must(t, "subscribe as a guest", err)
	same(t, "change", change, auth.Subscribed{Added: []string{"audit"}})
	// One is gone, and one does not want changes any more.
	change = subscribe(t, s, subscriber("app", auth.AccountCreated, auth.AccountDeleted), subscriber("audit"))
	if len(change.Added) != 0 || len(change.Forgotten) != 1 || change.Forgotten[0].Subscriber != "mail" || change.Forgotten[0].Waiting != 1 {
		t.Errorf("change %+v", change)
	}
	end(t, s, "id-alice")
	account(t, s, "bob")
	edit(t, s, "id-bob", func(a *auth.Account) { a.Name = "Bob" })
	nothing(t, s, "mail")
	same(t, "app heard", drain(t, s, "app"), []string{"created id-bob"}) // alice came and went
	same(t, "audit heard", drain(t, s, "audit"), []string{"deleted id-alice", "created id-bob", "changed id-bob"})
	subscribe(t, s)
	account(t, s, "carol")
	subscribe(t, s, subscriber("app"))
	nothing(t, s, "app")
}

// checkIntroduced tells a subscriber of accounts that it does not know, and so
// refuses to hear of.
func checkIntroduced(t testing.TB, s, _ auth.Store) {
	ctx := context.Background()
	account(t, s, "alice")
	account(t, s, "bob")
	subscribe(t, s, subscriber("app"), subscriber("changes", auth.AccountChanged), subscriber("ends", auth.AccountDeleted))
	edit(t, s, "id-alice", func(a *auth.Account) { a.Name = "Alice" })
	refused := take(t, s)
	must(t, "postpone", s.PostponeNews(ctx, refused, time.Hour))
	n, err := s.TellOf(ctx, []string{"id-alice", "id-bob", "id-nobody"})
	must(t, "tell of accounts", err)
	same(t, "news", n, 4)
	heard := drain(t, s, "app")
	slices.Sort(heard)
	same(t, "app heard", heard, []string{"created id-alice", "created id-bob"})
	heard = drain(t, s, "changes")
	slices.Sort(heard)
	same(t, "changes heard", heard, []string{"changed id-alice", "changed id-bob"})
	nothing(t, s, "ends")
	// Who came and went unheard did so when introduced meanwhile, too; who was
	// heard of did not.
	account(t, s, "carol")
	for _, id := range []string{"id-carol", "id-alice"} {
		_, err = s.TellOf(ctx, []string{id})
		must(t, "tell of "+id, err)
		end(t, s, id)
	}
	same(t, "app heard", drain(t, s, "app"), []string{"deleted id-alice"})
	// What is on its way stays, and so does the end of who had the id before.
	end(t, s, "id-bob")
	account(t, s, "bob")
	sent := take(t, s)
	_, err = s.TellOf(ctx, []string{"id-bob"})
	must(t, "tell of bob", err)
	must(t, "deliver", s.NewsDelivered(ctx, sent))
	same(t, "app heard", append([]string{sent.Event}, drain(t, s, "app")...), []string{"deleted", "created id-bob"})
}
