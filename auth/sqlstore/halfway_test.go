package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// deed is a verb of the store, on one that furnish made.
type deed struct {
	name string
	do   func(context.Context, *Store) error
}

// deeds are verbs that write, in all the ways in which they touch tables.
func deeds() []deed {
	later := time.Date(2041, 1, 1, 0, 0, 0, 0, time.UTC)
	change := func(f func(*auth.Account)) func(context.Context, *Store) error {
		return func(ctx context.Context, s *Store) error {
			_, err := s.UpdateAccount(ctx, "a", auth.AccountUpdate{Until: later, KeepAdmin: true, Change: func(a *auth.Account) error { f(a); return nil }})
			return err
		}
	}
	tell := func(all ...auth.Subscriber) func(context.Context, *Store) error {
		return func(ctx context.Context, s *Store) error { _, err := s.Subscribe(ctx, all, false); return err }
	}
	return []deed{
		{"create an account", func(ctx context.Context, s *Store) error { return s.CreateAccount(ctx, person("new")) }},
		{"create accounts", func(ctx context.Context, s *Store) error {
			return s.CreateAccounts(ctx, []auth.Account{person("new"), person("newer")})
		}},
		{"change roles", change(func(a *auth.Account) { a.Roles = []string{"admin", "user"} })},
		{"change the name", change(func(a *auth.Account) { a.Username, a.Email = "other", "other@gw.test" })},
		{"change the password", change(func(a *auth.Account) { a.PasswordHash = "another" })},
		{"disable", change(func(a *auth.Account) { a.Disabled = true })},
		{"delete an account", func(ctx context.Context, s *Store) error {
			return s.DeleteAccount(ctx, "a", auth.Removal{Until: later, KeepAdmin: true})
		}},
		{"log in", func(ctx context.Context, s *Store) error {
			_, err := s.CreateSession(ctx, auth.Session{ID: "new", AccountID: "a", Counter: 1, Floor: 1, Created: s.now(), Rotated: s.now()})
			return err
		}},
		{"rotate", func(ctx context.Context, s *Store) error {
			_, err := s.RotateSession(ctx, auth.Rotation{Session: "a1", Presented: 1, Grace: time.Second, IdleLimit: time.Hour, AgeLimit: time.Hour})
			return err
		}},
		{"log out", func(ctx context.Context, s *Store) error {
			return s.RevokeSession(ctx, "a1", auth.RevokedByChoice, later)
		}},
		{"log out everywhere", func(ctx context.Context, s *Store) error { _, err := s.RevokeSessions(ctx, "a", "", later); return err }},
		{"prune", func(ctx context.Context, s *Store) error { return s.PruneSessions(ctx, later, later) }},
		{"count a failure", func(ctx context.Context, s *Store) error { return s.CountFailure(ctx, guess(), once()) }},
		{"remember a login", func(ctx context.Context, s *Store) error { return s.RememberLogin(ctx, guess()) }},
		{"forget failures", func(ctx context.Context, s *Store) error {
			_, err := s.ForgetFailures(ctx, "digest", "192.0.2.7")
			return err
		}},
		{"add a key", func(ctx context.Context, s *Store) error {
			_, err := s.AddKey(ctx, auth.SealedKey{ID: "new", Use: "refresh", Generation: 2, Sealed: []byte("sealed")})
			return err
		}},
		{"delete keys", func(ctx context.Context, s *Store) error { return s.DeleteKeys(ctx, []string{"key"}) }},
		{"keep a secret", func(ctx context.Context, s *Store) error { return s.PutSecret(ctx, "new", []byte("sealed")) }},
		{"delete a secret", func(ctx context.Context, s *Store) error { return s.DeleteSecret(ctx, "secret") }},
		{"subscribe", tell(listener("app"), listener("books"), listener("more"))},
		{"hear of less", tell(auth.Subscriber{Name: "app", Events: []string{auth.AccountDeleted}}, listener("books"))},
		{"unsubscribe", tell(listener("books"))},
		{"tell of accounts", func(ctx context.Context, s *Store) error { _, err := s.TellOf(ctx, []string{"a", "b"}); return err }},
		{"take news", func(ctx context.Context, s *Store) error { _, err := s.TakeNews(ctx, "app", time.Hour); return err }},
		{"deliver news", func(ctx context.Context, s *Store) error { return s.NewsDelivered(ctx, firstNews(s)) }},
		{"postpone news", func(ctx context.Context, s *Store) error { return s.PostponeNews(ctx, firstNews(s), time.Hour) }},
		{"hasten news", func(ctx context.Context, s *Store) error { return s.HastenNews(ctx, "books") }},
	}
}

// questions are verbs that read.
func questions() []deed {
	return []deed{
		{"an account", func(ctx context.Context, s *Store) error { _, err := s.Account(ctx, "a"); return err }},
		{"a name", func(ctx context.Context, s *Store) error { _, err := s.FindAccount(ctx, "a@gw.test"); return err }},
		{"accounts", func(ctx context.Context, s *Store) error { _, err := s.Accounts(ctx); return err }},
		{"how many accounts", func(ctx context.Context, s *Store) error { _, err := s.CountAccounts(ctx); return err }},
		{"holders of roles", func(ctx context.Context, s *Store) error { _, err := s.CountRoleHolders(ctx); return err }},
		{"a session", func(ctx context.Context, s *Store) error { _, err := s.Session(ctx, "a1"); return err }},
		{"sessions", func(ctx context.Context, s *Store) error { _, err := s.Sessions(ctx, "a"); return err }},
		{"how many sessions", func(ctx context.Context, s *Store) error { _, err := s.CountSessions(ctx); return err }},
		{"revocations", func(ctx context.Context, s *Store) error { _, err := s.Revocations(ctx, 0); return err }},
		{"failures", func(ctx context.Context, s *Store) error { _, err := s.Failures(ctx, guess()); return err }},
		{"locks", func(ctx context.Context, s *Store) error { _, err := s.Locks(ctx, "digest"); return err }},
		{"keys", func(ctx context.Context, s *Store) error { _, err := s.Keys(ctx); return err }},
		{"a secret", func(ctx context.Context, s *Store) error { _, err := s.Secret(ctx, "secret"); return err }},
		{"backlogs", func(ctx context.Context, s *Store) error { _, err := s.Backlogs(ctx); return err }},
	}
}

func person(id string) auth.Account {
	return auth.Account{ID: id, Username: id, Email: id + "@gw.test", Roles: []string{"admin"}, PasswordHash: "hash", Version: 1}
}

func listener(name string) auth.Subscriber {
	return auth.Subscriber{Name: name, Events: auth.AccountEvents()}
}

func guess() auth.Guess { return auth.Guess{Name: "digest", Network: "192.0.2.7", Account: "a"} }

// once locks at the second failure.
func once() auth.FailureLimits {
	return auth.FailureLimits{Pair: 2, Network: 2, Name: 2, Window: time.Hour, Duration: time.Hour}
}

// firstNews is what app has in hand on a furnished store.
func firstNews(s *Store) auth.News {
	n := auth.News{Tries: 1}
	_ = s.readers.QueryRow(`SELECT id FROM outbox WHERE subscriber = 'app' AND tries = 1`).Scan(&n.ID)
	return n
}

// furnish makes a store with something in every table, and answers its bytes.
func furnish(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postern.db")
	s := openStill(t, path)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	_, err := s.Subscribe(ctx, []auth.Subscriber{listener("app"), listener("books")}, false)
	must(err)
	must(s.CreateAccounts(ctx, []auth.Account{person("a"), person("b")}))
	for _, id := range []string{"a1", "a2"} {
		_, err = s.CreateSession(ctx, auth.Session{ID: id, AccountID: "a", Counter: 1, Floor: 1, Created: s.now(), Rotated: s.now()})
		must(err)
	}
	_, err = s.CreateSession(ctx, auth.Session{ID: "b1", AccountID: "b", Counter: 1, Floor: 1, Created: s.now(), Rotated: s.now()})
	must(err)
	must(s.RevokeSession(ctx, "b1", auth.RevokedByChoice, s.now()))
	must(s.RememberLogin(ctx, auth.Guess{Name: "other", Network: "192.0.2.8", Account: "a"}))
	must(s.CountFailure(ctx, guess(), once()))
	_, err = s.AddKey(ctx, auth.SealedKey{ID: "key", Use: "refresh", Generation: 1, Sealed: []byte("sealed")})
	must(err)
	must(s.PutSecret(ctx, "secret", []byte("sealed")))
	_, err = s.TakeNews(ctx, "app", time.Hour)
	must(err)
	n, err := s.TakeNews(ctx, "books", time.Hour)
	must(err)
	must(s.PostponeNews(ctx, n, time.Hour))
	must(s.Close())
	bytes, err := os.ReadFile(path)
	must(err)
	return bytes
}

// openStill opens a store whose clock stands.
func openStill(t *testing.T, path string) *Store {
	t.Helper()
	s := openImpatient(t, path)
	s.must(t, `PRAGMA synchronous = OFF`) // no power fails here, and there are hundreds of them
	s.Now = func() time.Time { return time.Date(2040, 1, 2, 3, 4, 5, 0, time.UTC) }
	return s
}

// copied opens a copy of a furnished store.
func copied(t *testing.T, bytes []byte) *Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postern.db")
	if err := os.WriteFile(path, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	return openStill(t, path)
}

func (s *Store) must(t *testing.T, statement string) {
	t.Helper()
	if _, err := s.writer.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// tables lists them by name.
func tables(t *testing.T, s *Store) []string {
	t.Helper()
	rows, err := s.writer.Query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name`)
	names, err := collect(rows, err, func(r row) (name string, err error) { return name, r.Scan(&name) })
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// everything is all that is in the tables.
func everything(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	for _, table := range tables(t, s) {
		rows, err := s.writer.Query(`SELECT * FROM ` + table)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		all, err := collect(rows, nil, func(r row) (string, error) {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			err := r.Scan(into...)
			return fmt.Sprintf("%s: %v\n", table, values), err
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		b.WriteString(strings.Join(all, ""))
	}
	return b.String()
}

// writes lists what a deed does to which tables: "INSERT ON names".
func writes(t *testing.T, bytes []byte, d deed) []string {
	t.Helper()
	s := copied(t, bytes)
	s.must(t, `CREATE TABLE seen (what TEXT)`)
	for _, table := range tables(t, s) {
		for _, op := range []string{"INSERT", "UPDATE", "DELETE"} {
			if table != "seen" {
				s.must(t, fmt.Sprintf(`CREATE TRIGGER %s_%s BEFORE %[2]s ON %[1]s BEGIN INSERT INTO seen VALUES ('%[2]s ON %[1]s'); END`, table, op))
			}
		}
	}
	if err := d.do(t.Context(), s); err != nil {
		t.Fatalf("without a fault: %v", err)
	}
	rows, err := s.writer.Query(`SELECT DISTINCT what FROM seen ORDER BY what`)
	seen, err := collect(rows, err, func(r row) (what string, err error) { return what, r.Scan(&what) })
	if err != nil || len(seen) == 0 {
		t.Fatalf("it writes nothing: %v", err)
	}
	return seen
}

// Of a logout that ends the session and cannot say so in the feed, a role that is
// changed while the version is not, an account without its names, nothing may be
// left: each verb is one transaction, and its fault is the store's.
func TestAVerbThatFailsHalfwayLeavesNothingBehind(t *testing.T) {
	bytes := furnish(t)
	for _, d := range deeds() {
		t.Run(d.name, func(t *testing.T) {
			for _, what := range writes(t, bytes, d) {
				s := copied(t, bytes)
				before := everything(t, s)
				s.must(t, `CREATE TRIGGER fault BEFORE `+what+` BEGIN SELECT RAISE(ABORT, 'no more'); END`)
				if err := d.do(t.Context(), s); !errors.Is(err, auth.ErrUnavailable) {
					t.Errorf("%s fails: got %v, want auth.ErrUnavailable", what, err)
				}
				if after := everything(t, s); after != before {
					t.Errorf("%s fails, and this is left:\n%s\nof\n%s", what, after, before)
				}
				s.must(t, `DROP TRIGGER fault`)
				if err := d.do(t.Context(), s); err != nil {
					t.Errorf("after %s failed: %v", what, err)
				}
			}
		})
	}
}

// A table that is gone stands for all that cannot be read: no verb takes that for
// "there is none", which would make a stranger of a user, or a session of nobody.
func TestWhatCannotBeReadIsNotTakenForNothing(t *testing.T) {
	bytes := furnish(t)
	all := tables(t, copied(t, bytes))
	for _, d := range append(deeds(), questions()...) {
		t.Run(d.name, func(t *testing.T) {
			failed := 0
			s := copied(t, bytes)
			for _, table := range all {
				before := everything(t, s)
				s.must(t, `ALTER TABLE `+table+` RENAME TO gone`)
				err := d.do(t.Context(), s)
				s.must(t, `ALTER TABLE gone RENAME TO `+table)
				after := everything(t, s)
				if err == nil { // it has no use for the table
					if after != before {
						s = copied(t, bytes)
					}
					continue
				}
				failed++
				if !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrNotFound) {
					t.Errorf("without %s: got %v, want auth.ErrUnavailable", table, err)
				}
				if after != before {
					t.Errorf("without %s it failed, and this is left:\n%s\nof\n%s", table, after, before)
				}
			}
			if failed == 0 {
				t.Error("it needs no table")
			}
		})
	}
}
