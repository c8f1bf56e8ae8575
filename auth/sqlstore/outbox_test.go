package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// openOutbox opens a store of its own with a subscriber, and accounts that it is
// to be told of.
func openOutbox(t testing.TB, accounts int) *Store {
	t.Helper()
	s := openNew(t)
	if _, err := s.Subscribe(t.Context(), []auth.Subscriber{{Name: "app", Events: auth.AccountEvents()}}, false); err != nil {
		t.Fatal(err)
	}
	all := make([]auth.Account, accounts)
	for i := range all {
		all[i] = auth.Account{ID: fmt.Sprintf("id-%d", i), Username: fmt.Sprintf("user-%d", i), Version: 1, Created: time.Now(), Updated: time.Now()}
	}
	if err := s.CreateAccounts(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFindingWhatIsDueSortsAndScansNothing: else a long outbox takes a time that
// is the square of its length.
func TestFindingWhatIsDueSortsAndScansNothing(t *testing.T) {
	s := openOutbox(t, 3)
	rows, err := s.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+nextNews, "app", millis(s.now()))
	steps, err := collect(rows, err, func(r row) (step string, err error) {
		var id, parent, unused int
		return step, r.Scan(&id, &parent, &unused, &step)
	})
	if err != nil {
		t.Fatal(err)
	}
	plan := strings.Join(steps, "\n")
	if strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN ") || !strings.Contains(plan, "outbox_due") {
		t.Errorf("the plan is\n%s", plan)
	}
}

// TestAnAccountAndItsNewsStandOrFallTogether has the outbox refuse its row, and
// then looks for the account.
func TestAnAccountAndItsNewsStandOrFallTogether(t *testing.T) {
	s := openOutbox(t, 1)
	if _, err := s.writer.ExecContext(t.Context(), `CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'the outbox is full'); END`); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	before, err := s.Account(ctx, "id-0")
	if err != nil {
		t.Fatal(err)
	}
	for doing, err := range map[string]error{
		"create":      s.CreateAccount(ctx, auth.Account{ID: "new", Username: "new"}),
		"create many": s.CreateAccounts(ctx, []auth.Account{{ID: "newer", Username: "newer"}}),
		"change": func() error {
			_, err := s.UpdateAccount(ctx, "id-0", auth.AccountUpdate{Change: func(a *auth.Account) error { a.Name = "other"; return nil }})
			return err
		}(),
		"tell": func() error { _, err := s.TellOf(ctx, []string{"id-0"}); return err }(),
	} {
		if !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%s: %v", doing, err)
		}
	}
	for _, id := range []string{"new", "newer"} {
		if _, err := s.Account(ctx, id); !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("%s was made without its news: %v", id, err)
		}
	}
	if after, err := s.Account(ctx, "id-0"); err != nil || after.Name != before.Name {
		t.Errorf("changed without its news: %+v %v", after, err)
	}
	// What was told of it before is there still, and so is the way to its end.
	if n, err := s.TakeNews(ctx, "app", time.Minute); err != nil || n.Event != auth.AccountCreated {
		t.Errorf("%+v %v", n, err)
	}
}

// TestTheOutboxStaysSmallWhileNobodyListens changes a few accounts often.
func TestTheOutboxStaysSmallWhileNobodyListens(t *testing.T) {
	s := openOutbox(t, 5)
	for i := range 200 {
		id := fmt.Sprintf("id-%d", i%5)
		if _, err := s.UpdateAccount(t.Context(), id, auth.AccountUpdate{Until: time.Now(), Change: func(a *auth.Account) error {
			a.Name, a.Disabled = fmt.Sprint(i), i%3 == 0
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
		if n, err := s.TakeNews(t.Context(), "app", time.Minute); err == nil { // tried in vain, now and then
			if err := s.PostponeNews(t.Context(), n, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	all, err := s.Backlogs(t.Context())
	if err != nil || len(all) != 1 || all[0].Waiting > 5*4 {
		t.Errorf("%+v %v", all, err)
	}
}

// TestASubscriberThatIsGoneLeavesNoRows: what nobody will be told is nobody's to
// keep.
func TestASubscriberThatIsGoneLeavesNoRows(t *testing.T) {
	s := openOutbox(t, 5)
	if _, err := s.Subscribe(t.Context(), nil, false); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := s.readers.QueryRowContext(t.Context(), `SELECT count(*) FROM outbox`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
	if _, err := s.writer.ExecContext(t.Context(), `INSERT INTO outbox VALUES ('app', 'id', 1, 'msg', 'created', 1, '{}', 0, 0, 0, 0)`); err == nil {
		t.Error("a row for nobody was taken")
	}
	if err := s.readers.QueryRowContext(t.Context(), `SELECT name FROM subscribers`).Scan(new(string)); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("a subscriber is there: %v", err)
	}
}

// BenchmarkTakeAndDeliver is the store's part of telling an application of one
// account, behind as many others as an import brings.
func BenchmarkTakeAndDeliver(b *testing.B) {
	s := openOutbox(b, 50_000)
	b.ResetTimer()
	for b.Loop() {
		n, err := s.TakeNews(b.Context(), "app", time.Hour)
		if errors.Is(err, auth.ErrNotFound) {
			b.Skip("all are told")
		}
		if err := errors.Join(err, s.NewsDelivered(b.Context(), n)); err != nil {
			b.Fatal(err)
		}
	}
}
