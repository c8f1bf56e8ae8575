package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/posternhq/postern/auth"
)

// Subscribe implements auth.Store. Nothing is written where nothing changes:
// every command that opens the store asks.
func (s *Store) Subscribe(ctx context.Context, all []auth.Subscriber, keepOthers bool) (auth.Subscribed, error) {
	var change auth.Subscribed
	there, err := subscribers(ctx, s.readers)
	if err != nil || isSettled(there, all, keepOthers) {
		return change, fault("read the subscribers", err)
	}
	err = s.write(ctx, func(ctx context.Context, q querier) error {
		change = auth.Subscribed{}
		there, err := subscribers(ctx, q) // again: now nobody else writes
		if err != nil {
			return err
		}
		if !keepOthers {
			if change.Forgotten, err = unsubscribe(ctx, q, there, all); err != nil {
				return err
			}
		}
		change.Added, err = subscribe(ctx, q, there, all)
		return err
	})
	return change, fault("settle the subscribers", err)
}

// isSettled tells whether the subscribers that are there are those that ought to be.
func isSettled(there, all []auth.Subscriber, keepOthers bool) bool {
	for _, sub := range all {
		if !slices.ContainsFunc(there, func(t auth.Subscriber) bool { return t.Name == sub.Name && slices.Equal(t.Events, sub.Events) }) {
			return false
		}
	}
	return keepOthers || len(there) == len(all)
}

// subscribe adds those who are not there, and settles what each wants. Who wants
// an event no more is not told of those that wait.
func subscribe(ctx context.Context, q querier, there, all []auth.Subscriber) (added []string, err error) {
	for _, sub := range all {
		events, err := json.Marshal(append([]string{}, sub.Events...))
		if err != nil {
			return nil, err
		}
		if _, err := q.ExecContext(ctx, `INSERT INTO subscribers (name, events) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET events = excluded.events`, sub.Name, string(events)); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(there, func(t auth.Subscriber) bool { return t.Name == sub.Name }) {
			added = append(added, sub.Name)
		}
		for _, event := range auth.AccountEvents() {
			if sub.Wants(event) {
				continue
			}
			if _, err := q.ExecContext(ctx, `DELETE FROM outbox WHERE subscriber = $1 AND event = $2`, sub.Name, event); err != nil {
				return nil, err
			}
		}
	}
	return added, nil
}

// unsubscribe forgets those who are not listed, with what waits for them.
func unsubscribe(ctx context.Context, q querier, there, all []auth.Subscriber) (gone []auth.Backlog, err error) {
	for _, sub := range there {
		if slices.ContainsFunc(all, func(a auth.Subscriber) bool { return a.Name == sub.Name }) {
			continue
		}
		one := auth.Backlog{Subscriber: sub.Name}
		var oldest int64
		if err := q.QueryRowContext(ctx, `SELECT count(*), coalesce(min(happened), 0) FROM outbox WHERE subscriber = $1`, sub.Name).Scan(&one.Waiting, &oldest); err != nil {
			return nil, err
		}
		one.Oldest = instant(oldest)
		if _, err := q.ExecContext(ctx, `DELETE FROM subscribers WHERE name = $1`, sub.Name); err != nil { // and of the outbox
			return nil, err
		}
		gone = append(gone, one)
	}
	return gone, nil
}

// subscribers are those who are told of accounts, by name.
func subscribers(ctx context.Context, q querier) ([]auth.Subscriber, error) {
	rows, err := q.QueryContext(ctx, `SELECT name, events FROM subscribers ORDER BY name`)
	return collect(rows, err, func(r row) (sub auth.Subscriber, err error) {
		var events string
		if err := r.Scan(&sub.Name, &events); err != nil {
			return sub, err
		}
		return sub, json.Unmarshal([]byte(events), &sub.Events)
	})
}

// post puts what became of an account into the outbox of all who want to hear
// of it. It belongs to the transaction that changes the account.
func (s *Store) post(ctx context.Context, q querier, who []auth.Subscriber, event string, a auth.Account) error {
	if len(who) == 0 {
		return nil
	}
	data, err := auth.AccountData(a)
	if err != nil {
		return err
	}
	n := auth.News{Account: a.ID, Event: event, Data: data, Happened: s.now()}
	for _, sub := range who {
		unheard, err := merge(ctx, q, sub.Name, n)
		if err != nil {
			return err
		}
		if unheard || !sub.Wants(event) {
			continue
		}
		if err := enqueue(ctx, q, sub.Name, n, event == auth.AccountCreated); err != nil {
			return err
		}
	}
	return nil
}

// merge removes what waits and was never taken, and what this makes stale. It
// answers whether the subscriber need not hear of this either: of the end of an
// account whose beginning it was never told.
func merge(ctx context.Context, q querier, subscriber string, n auth.News) (unheard bool, err error) {
	remove := func(condition string) (int64, error) {
		done, err := q.ExecContext(ctx, `DELETE FROM outbox WHERE subscriber = $1 AND account_id = $2 AND tries = 0 AND `+condition, subscriber, n.Account)
		if err != nil {
			return 0, err
		}
		return done.RowsAffected()
	}
	switch n.Event {
	case auth.AccountChanged:
		_, err = remove(`event = 'changed'`)
	case auth.AccountDisabled, auth.AccountEnabled:
		_, err = remove(`event IN ('disabled', 'enabled')`)
	case auth.AccountDeleted:
		var born int64
		if born, err = remove(`birth = 1`); err == nil {
			_, err = remove(`event <> 'deleted'`) // that is of an account that had this id before
		}
		unheard = born > 0
	}
	return unheard, err
}

// enqueue adds a row behind those of its account. Its id is drawn and not
// counted: a store that was restored would count the same numbers again, and a
// receiver take the message for one that it has.
func enqueue(ctx context.Context, q querier, subscriber string, n auth.News, birth bool) error {
	_, err := q.ExecContext(ctx, `INSERT INTO outbox (subscriber, account_id, seq, id, event, birth, data, happened, tries, due, taken)
		VALUES ($1, $2, (SELECT coalesce(max(seq), 0) + 1 FROM outbox WHERE subscriber = $1 AND account_id = $2), $3, $4, $5, $6, $7, 0, $7, 0)`,
		subscriber, n.Account, "msg_"+rand.Text(), n.Event, integer(birth), string(n.Data), millis(n.Happened))
	return err
}

// postChange posts what a change of an account was.
func (s *Store) postChange(ctx context.Context, q querier, old, a auth.Account) error {
	who, err := subscribers(ctx, q)
	if err != nil || len(who) == 0 {
		return err
	}
	changed, err := looksDifferent(old, a)
	if err != nil {
		return err
	}
	if changed {
		if err := s.post(ctx, q, who, auth.AccountChanged, a); err != nil {
			return err
		}
	}
	switch {
	case a.Disabled && !old.Disabled:
		err = s.post(ctx, q, who, auth.AccountDisabled, a)
	case !a.Disabled && old.Disabled:
		err = s.post(ctx, q, who, auth.AccountEnabled, a)
	}
	return err
}

// looksDifferent tells whether a subscriber sees a change, beside disabling.
func looksDifferent(old, a auth.Account) (bool, error) {
	old.Disabled = a.Disabled
	before, err := auth.AccountData(old)
	if err != nil {
		return false, err
	}
	after, err := auth.AccountData(a)
	return string(before) != string(after), err
}

// TellOf implements auth.Store.
func (s *Store) TellOf(ctx context.Context, ids []string) (told int, err error) {
	err = s.write(ctx, func(ctx context.Context, q querier) error {
		told = 0
		who, err := subscribers(ctx, q)
		if err != nil {
			return err
		}
		for _, id := range ids {
			a, err := accountByID(ctx, q, id)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			n, err := s.introduce(ctx, q, who, a)
			if err != nil {
				return err
			}
			told += n
		}
		return nil
	})
	return told, fault("tell of accounts", err)
}

// introduce posts an account as a new one. What was tried in vain goes too: a
// subscriber who does not know the account refuses every change of it, and would
// never get to hear who it is. It is no birth where the subscriber may know the
// account: then it must hear of its end.
func (s *Store) introduce(ctx context.Context, q querier, who []auth.Subscriber, a auth.Account) (told int, err error) {
	data, err := auth.AccountData(a)
	if err != nil {
		return 0, err
	}
	for _, sub := range who {
		event := auth.AccountCreated
		if !sub.Wants(event) {
			event = auth.AccountChanged
		}
		if !sub.Wants(event) {
			continue
		}
		now := s.now()
		birth, err := supersede(ctx, q, sub.Name, a.ID, now)
		if err != nil {
			return told, err
		}
		if err := enqueue(ctx, q, sub.Name, auth.News{Account: a.ID, Event: event, Data: data, Happened: now}, birth); err != nil {
			return told, err
		}
		told++
	}
	return told, nil
}

// supersede removes what waits about an account, but what is being sent and the
// end of one that had the id before. It answers whether the subscriber was never
// told of the account.
func supersede(ctx context.Context, q querier, subscriber, id string, now time.Time) (unheard bool, err error) {
	done, err := q.ExecContext(ctx, `DELETE FROM outbox WHERE subscriber = $1 AND account_id = $2 AND tries = 0 AND birth = 1`, subscriber, id)
	if err != nil {
		return false, err
	}
	born, err := done.RowsAffected()
	if err != nil {
		return false, err
	}
	_, err = q.ExecContext(ctx, `DELETE FROM outbox WHERE subscriber = $1 AND account_id = $2 AND taken <= $3 AND event <> 'deleted'`, subscriber, id, millis(now))
	return born > 0, err
}

// takeTries is how often somebody else may be faster before TakeNews waits for
// its next turn.
const takeTries = 3

// nextNews finds what is due. It is in the order of an index: after an import a
// hundred thousand rows are due at the same time, and are not sorted for each.
const nextNews = `SELECT id FROM outbox AS head WHERE subscriber = $1 AND due <= $2 AND taken <= $2 AND NOT EXISTS (
	SELECT 1 FROM outbox AS earlier WHERE earlier.subscriber = head.subscriber AND earlier.account_id = head.account_id AND earlier.seq < head.seq)
	ORDER BY due LIMIT 1`

// TakeNews implements auth.Outbox. It looks without writing, so that asking
// twice a second costs next to nothing, and then takes by compare-and-swap.
func (s *Store) TakeNews(ctx context.Context, subscriber string, hold time.Duration) (n auth.News, err error) {
	for range takeTries {
		var id string
		err = s.readers.QueryRowContext(ctx, nextNews, subscriber, millis(s.now())).Scan(&id)
		if err != nil {
			break
		}
		err = s.write(ctx, func(ctx context.Context, q querier) (err error) {
			now := s.now()
			n, err = scanNews(q.QueryRowContext(ctx, `UPDATE outbox SET tries = tries + 1, taken = $2 WHERE id = $1 AND due <= $3 AND taken <= $3
				RETURNING id, account_id, event, data, happened, tries`, id, millis(now.Add(hold)), millis(now)))
			return err
		})
		if err == nil || !errors.Is(err, sql.ErrNoRows) {
			break
		}
	}
	return n, fault("take news", err)
}

// NewsDelivered implements auth.Outbox.
func (s *Store) NewsDelivered(ctx context.Context, n auth.News) error {
	return fault("note a delivery", s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.ExecContext(ctx, `DELETE FROM outbox WHERE id = $1`, n.ID)
		return err
	}))
}

// PostponeNews implements auth.Outbox. The number of tries tells whose it is.
func (s *Store) PostponeNews(ctx context.Context, n auth.News, wait time.Duration) error {
	return fault("postpone news", s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.ExecContext(ctx, `UPDATE outbox SET due = $2, taken = 0 WHERE id = $1 AND tries = $3`, n.ID, millis(s.now().Add(wait)), n.Tries)
		return err
	}))
}

// HastenNews implements auth.Outbox.
func (s *Store) HastenNews(ctx context.Context, subscriber string) error {
	return fault("hasten news", s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.ExecContext(ctx, `UPDATE outbox SET due = $2 WHERE subscriber = $1 AND due > $2`, subscriber, millis(s.now()))
		return err
	}))
}

// Backlogs implements auth.Outbox.
func (s *Store) Backlogs(ctx context.Context) ([]auth.Backlog, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT subscriber, count(*), min(happened) FROM outbox GROUP BY subscriber ORDER BY subscriber`)
	all, err := collect(rows, err, func(r row) (b auth.Backlog, err error) {
		var oldest int64
		err = r.Scan(&b.Subscriber, &b.Waiting, &oldest)
		b.Oldest = instant(oldest)
		return b, err
	})
	return all, fault("count what waits", err)
}

// scanNews reads a row of the outbox.
func scanNews(r row) (n auth.News, err error) {
	var data string
	var happened int64
	err = r.Scan(&n.ID, &n.Account, &n.Event, &data, &happened, &n.Tries)
	n.Data, n.Happened = []byte(data), instant(happened)
	return n, err
}
