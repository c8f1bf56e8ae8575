package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/storetest"
)

// The suite is only worth something when a wrong store fails it. Here stand
// stores with one fault each, and the promise that must find it.

// wrong is a store in which some verbs are replaced.
type wrong struct {
	auth.Store
	create   func(context.Context, auth.Account) error
	list     func(context.Context, []auth.Account) error
	find     func(context.Context, string) (auth.Account, error)
	read     func(context.Context, string) (auth.Account, error)
	from     func(context.Context, string) (auth.Account, error)
	accounts func(context.Context) ([]auth.Account, error)
	update   func(context.Context, string, auth.AccountUpdate) (auth.Account, error)
	remove   func(context.Context, string, auth.Removal) error
	holders  func(context.Context) (map[string]int, error)
	login    func(context.Context, auth.Session) (auth.Account, error)
	sessions func(context.Context, string) ([]auth.Session, error)
	rotate   func(context.Context, auth.Rotation) (auth.Rotated, error)
	revoke   func(context.Context, string, auth.RevokeReason, time.Time) error
	revokes  func(context.Context, string, string, time.Time) ([]string, error)
	prune    func(context.Context, time.Time, time.Time) error
	feed     func(context.Context, int64) ([]auth.Revocation, error)
	keys     func(context.Context) ([]auth.SealedKey, error)
	addKey   func(context.Context, auth.SealedKey) (auth.SealedKey, error)
	dropKeys func(context.Context, []string) error
	close    func() error
}

// or is the replacement where there is one.
func or[F any](replaced F, set bool, real F) F {
	if set {
		return replaced
	}
	return real
}

func (w *wrong) CreateAccount(ctx context.Context, a auth.Account) error {
	return or(w.create, w.create != nil, w.Store.CreateAccount)(ctx, a)
}
func (w *wrong) CreateAccounts(ctx context.Context, all []auth.Account) error {
	return or(w.list, w.list != nil, w.Store.CreateAccounts)(ctx, all)
}
func (w *wrong) FindAccount(ctx context.Context, name string) (auth.Account, error) {
	return or(w.find, w.find != nil, w.Store.FindAccount)(ctx, name)
}
func (w *wrong) Account(ctx context.Context, id string) (auth.Account, error) {
	return or(w.read, w.read != nil, w.Store.Account)(ctx, id)
}
func (w *wrong) AccountFrom(ctx context.Context, id string) (auth.Account, error) {
	return or(w.from, w.from != nil, w.Store.AccountFrom)(ctx, id)
}
func (w *wrong) Accounts(ctx context.Context) ([]auth.Account, error) {
	return or(w.accounts, w.accounts != nil, w.Store.Accounts)(ctx)
}
func (w *wrong) UpdateAccount(ctx context.Context, id string, u auth.AccountUpdate) (auth.Account, error) {
	return or(w.update, w.update != nil, w.Store.UpdateAccount)(ctx, id, u)
}
func (w *wrong) DeleteAccount(ctx context.Context, id string, r auth.Removal) error {
	return or(w.remove, w.remove != nil, w.Store.DeleteAccount)(ctx, id, r)
}
func (w *wrong) CountRoleHolders(ctx context.Context) (map[string]int, error) {
	return or(w.holders, w.holders != nil, w.Store.CountRoleHolders)(ctx)
}
func (w *wrong) CreateSession(ctx context.Context, n auth.Session) (auth.Account, error) {
	return or(w.login, w.login != nil, w.Store.CreateSession)(ctx, n)
}
func (w *wrong) Sessions(ctx context.Context, id string) ([]auth.Session, error) {
	return or(w.sessions, w.sessions != nil, w.Store.Sessions)(ctx, id)
}
func (w *wrong) RotateSession(ctx context.Context, r auth.Rotation) (auth.Rotated, error) {
	return or(w.rotate, w.rotate != nil, w.Store.RotateSession)(ctx, r)
}
func (w *wrong) RevokeSession(ctx context.Context, id string, why auth.RevokeReason, until time.Time) error {
	return or(w.revoke, w.revoke != nil, w.Store.RevokeSession)(ctx, id, why, until)
}
func (w *wrong) RevokeSessions(ctx context.Context, id, keep string, until time.Time) ([]string, error) {
	return or(w.revokes, w.revokes != nil, w.Store.RevokeSessions)(ctx, id, keep, until)
}
func (w *wrong) PruneSessions(ctx context.Context, unused, created time.Time) error {
	return or(w.prune, w.prune != nil, w.Store.PruneSessions)(ctx, unused, created)
}
func (w *wrong) Revocations(ctx context.Context, after int64) ([]auth.Revocation, error) {
	return or(w.feed, w.feed != nil, w.Store.Revocations)(ctx, after)
}
func (w *wrong) Keys(ctx context.Context) ([]auth.SealedKey, error) {
	return or(w.keys, w.keys != nil, w.Store.Keys)(ctx)
}
func (w *wrong) AddKey(ctx context.Context, k auth.SealedKey) (auth.SealedKey, error) {
	return or(w.addKey, w.addKey != nil, w.Store.AddKey)(ctx, k)
}
func (w *wrong) DeleteKeys(ctx context.Context, ids []string) error {
	return or(w.dropKeys, w.dropKeys != nil, w.Store.DeleteKeys)(ctx, ids)
}
func (w *wrong) Close() error { return or(w.close, w.close != nil, w.Store.Close)() }

// fault is a way to be wrong.
type fault struct {
	name   string
	breaks string // the promise, or its beginning
	spoil  func(w *wrong, real auth.Store)
}

func TestWrongBackendsFail(t *testing.T) {
	for _, f := range slices.Concat(accountFaults(), listFaults(), updateFaults(), sessionFaults(), rotationFaults(), feedFaults(), failureFaults(), outboxFaults(), callFaults()) {
		t.Run(f.name, func(t *testing.T) {
			i := slices.IndexFunc(storetest.Promises(), func(p storetest.Promise) bool { return strings.HasPrefix(p.Name, f.breaks) })
			if i < 0 {
				t.Fatalf("no promise %q", f.breaks)
			}
			real := openAt(t, file(t))
			w := &wrong{Store: real}
			f.spoil(w, real)
			if !fails(t, func(t testing.TB) { storetest.Promises()[i].Check(t, w, w) }) {
				t.Errorf("a store that %s kept %q", f.name, f.breaks)
			}
		})
	}
}

// recorder is a testing.TB that only notes that the test failed.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	failed bool // guarded by mu
}

func (r *recorder) note() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}
func (r *recorder) Errorf(string, ...any) { r.note() }
func (r *recorder) Error(...any)          { r.note() }
func (r *recorder) Fatalf(string, ...any) { r.note(); runtime.Goexit() }

// fails says whether a check finds fault.
func fails(t *testing.T, check func(testing.TB)) bool {
	r := &recorder{TB: t}
	var done sync.WaitGroup
	done.Go(func() { check(r) })
	done.Wait()
	return r.failed
}

func accountFaults() []fault {
	return []fault{
		{"finds names as they are written only", "an account is found by each", func(w *wrong, real auth.Store) {
			w.find = func(ctx context.Context, name string) (auth.Account, error) {
				a, err := real.FindAccount(ctx, name)
				if err == nil && !slices.Contains([]string{a.ID, a.Username, a.Email}, name) {
					return auth.Account{}, auth.ErrNotFound
				}
				return a, err
			}
		}},
		{"folds case and nothing else", "an account is found by each", func(w *wrong, real auth.Store) {
			w.find = func(ctx context.Context, name string) (auth.Account, error) {
				a, err := real.FindAccount(ctx, name)
				same := func(n string) bool { return strings.EqualFold(n, name) }
				if err == nil && !slices.ContainsFunc([]string{a.ID, a.Username, a.Email}, same) {
					return auth.Account{}, auth.ErrNotFound
				}
				return a, err
			}
		}},
		{"reads an account by any name", "an account is found by each", func(w *wrong, real auth.Store) { w.read = real.FindAccount }},
		{"answers the same account from wherever", "going on from id to id", func(w *wrong, real auth.Store) {
			w.from = func(ctx context.Context, _ string) (auth.Account, error) { return real.AccountFrom(ctx, "") }
		}},
		{"names the wrong field", "id, username and e-mail share", func(w *wrong, real auth.Store) {
			w.create = func(ctx context.Context, a auth.Account) error {
				var c *auth.ConflictError
				err := real.CreateAccount(ctx, a)
				if errors.As(err, &c) {
					return &auth.ConflictError{Field: "username"}
				}
				return err
			}
		}},
		{"does not look at e-mails", "id, username and e-mail share", func(w *wrong, real auth.Store) {
			w.create = func(ctx context.Context, a auth.Account) error {
				a.Email = ""
				return real.CreateAccount(ctx, a)
			}
		}},
		{"loses a field", "an account comes back", func(w *wrong, real auth.Store) {
			w.create = func(ctx context.Context, a auth.Account) error {
				a.Fields = nil
				return real.CreateAccount(ctx, a)
			}
		}},
		{"keeps whole seconds", "times come back", func(w *wrong, real auth.Store) {
			w.create = func(ctx context.Context, a auth.Account) error {
				a.Created = a.Created.Truncate(time.Second)
				return real.CreateAccount(ctx, a)
			}
		}},
		{"answers local times", "times come back", func(w *wrong, real auth.Store) {
			w.read = func(ctx context.Context, id string) (auth.Account, error) {
				a, err := real.Account(ctx, id)
				a.Created = a.Created.In(time.FixedZone("there", 3600))
				return a, err
			}
		}},
		{"lists capitals first", "accounts are listed by username", func(w *wrong, real auth.Store) {
			w.accounts = func(ctx context.Context) ([]auth.Account, error) {
				all, err := real.Accounts(ctx)
				slices.SortFunc(all, func(a, b auth.Account) int { return strings.Compare(a.Username, b.Username) })
				return all, err
			}
		}},
		{"counts a role twice", "accounts and the holders", func(w *wrong, real auth.Store) {
			w.holders = func(ctx context.Context) (map[string]int, error) {
				counts, err := real.CountRoleHolders(ctx)
				counts["user"]++
				return counts, err
			}
		}},
		{"keeps a deleted account", "a deleted account takes", func(w *wrong, _ auth.Store) {
			w.remove = func(context.Context, string, auth.Removal) error { return nil }
		}},
		{"deletes the last administrator", "the last administrator stays", func(w *wrong, real auth.Store) {
			w.remove = func(ctx context.Context, id string, r auth.Removal) error {
				r.KeepAdmin = false
				return real.DeleteAccount(ctx, id, r)
			}
		}},
		{"has the administrators of two instances go", "of administrators who remove each other", func(w *wrong, real auth.Store) {
			w.remove = func(ctx context.Context, id string, _ auth.Removal) error {
				return real.DeleteAccount(ctx, id, auth.Removal{Until: time.Now().Add(time.Hour)})
			}
			w.update = func(ctx context.Context, id string, u auth.AccountUpdate) (auth.Account, error) {
				u.KeepAdmin = false
				return real.UpdateAccount(ctx, id, u)
			}
		}},
		{"revokes one version too few", "a deleted account takes", func(w *wrong, real auth.Store) {
			w.feed = func(ctx context.Context, after int64) ([]auth.Revocation, error) {
				all, err := real.Revocations(ctx, after)
				for i := range all {
					all[i].Version--
				}
				return all, err
			}
		}},
	}
}

func updateFaults() []fault {
	with := func(edit func(*auth.AccountUpdate)) func(*wrong, auth.Store) {
		return func(w *wrong, real auth.Store) {
			w.update = func(ctx context.Context, id string, u auth.AccountUpdate) (auth.Account, error) {
				edit(&u)
				return real.UpdateAccount(ctx, id, u)
			}
		}
	}
	return []fault{
		{"takes a rehash for a new password", "roles, password and disabling", with(func(u *auth.AccountUpdate) { u.SamePassword = false })},
		{"takes a new password for a rehash", "roles, password and disabling", with(func(u *auth.AccountUpdate) { u.SamePassword = true })},
		{"ends the session to keep", "roles, password and disabling", with(func(u *auth.AccountUpdate) { u.Keep = "" })},
		{"demotes the last administrator", "the last administrator stays", with(func(u *auth.AccountUpdate) { u.KeepAdmin = false })},
		{"goes on after an error of the change", "a change that errs", with(func(u *auth.AccountUpdate) {
			change := u.Change
			u.Change = func(a *auth.Account) error { _ = change(a); return nil }
		})},
		{"wraps an error of the change", "a change that errs", func(w *wrong, real auth.Store) {
			w.update = func(ctx context.Context, id string, u auth.AccountUpdate) (auth.Account, error) {
				a, err := real.UpdateAccount(ctx, id, u)
				if err != nil {
					err = fmt.Errorf("update: %w", err)
				}
				return a, err
			}
		}},
		{"answers the row from before", "a change is answered as it is stored", func(w *wrong, real auth.Store) {
			w.update = func(ctx context.Context, id string, u auth.AccountUpdate) (auth.Account, error) {
				before, err := real.Account(ctx, id)
				if _, err := real.UpdateAccount(ctx, id, u); err != nil {
					return before, err
				}
				return before, err
			}
		}},
		{"reads before the transaction", "no change is lost", func(w *wrong, real auth.Store) {
			w.update = func(ctx context.Context, id string, u auth.AccountUpdate) (auth.Account, error) {
				stale, err := real.Account(ctx, id)
				if err != nil {
					return stale, err
				}
				if err := u.Change(&stale); err != nil {
					return stale, err
				}
				u.Change = func(a *auth.Account) error { *a = stale; return nil }
				return real.UpdateAccount(ctx, id, u)
			}
		}},
	}
}

func sessionFaults() []fault {
	return []fault{
		{"makes up a session for a disabled account", "an absent or disabled account", func(w *wrong, real auth.Store) {
			w.login = func(ctx context.Context, n auth.Session) (auth.Account, error) {
				a, _ := real.CreateSession(ctx, n)
				return a, nil
			}
		}},
		{"answers a login with the account of before", "a session comes with its account", func(w *wrong, real auth.Store) {
			first := map[string]auth.Account{}
			w.login = func(ctx context.Context, n auth.Session) (auth.Account, error) {
				a, err := real.CreateSession(ctx, n)
				if old, ok := first[a.ID]; ok {
					return old, err
				}
				first[a.ID] = a
				return a, err
			}
		}},
		{"lists the oldest first", "live sessions are listed", func(w *wrong, real auth.Store) {
			w.sessions = func(ctx context.Context, id string) ([]auth.Session, error) {
				all, err := real.Sessions(ctx, id)
				slices.Reverse(all)
				return all, err
			}
		}},
		{"lists everybody's", "live sessions are listed", func(w *wrong, real auth.Store) {
			w.sessions = func(ctx context.Context, _ string) ([]auth.Session, error) { return real.Sessions(ctx, "") }
		}},
		{"does not know a session that ended", "a revoked session is known", func(w *wrong, real auth.Store) {
			w.revoke = func(ctx context.Context, id string, why auth.RevokeReason, until time.Time) error {
				if n, err := real.Session(ctx, id); err == nil && !n.Revoked.IsZero() {
					return auth.ErrNotFound
				}
				return real.RevokeSession(ctx, id, why, until)
			}
		}},
		{"forgets why a session ended", "a revoked session is known", func(w *wrong, real auth.Store) {
			w.revoke = func(ctx context.Context, id string, _ auth.RevokeReason, until time.Time) error {
				return real.RevokeSession(ctx, id, auth.RevokedByChoice, until)
			}
		}},
		{"ends the session to keep with the others", "all sessions end but", func(w *wrong, real auth.Store) {
			w.revokes = func(ctx context.Context, id, _ string, until time.Time) ([]string, error) {
				return real.RevokeSessions(ctx, id, "", until)
			}
		}},
		{"prunes nothing", "pruning forgets", func(w *wrong, _ auth.Store) {
			w.prune = func(context.Context, time.Time, time.Time) error { return nil }
		}},
		{"prunes what is in use", "pruning forgets", func(w *wrong, real auth.Store) {
			w.prune = func(ctx context.Context, _, created time.Time) error {
				return real.PruneSessions(ctx, time.Now(), created)
			}
		}},
		{"forgets how long its tokens live", "a revocation stays for as long", func(w *wrong, real auth.Store) {
			w.login = func(ctx context.Context, n auth.Session) (auth.Account, error) {
				n.AccessTTL = 0
				return real.CreateSession(ctx, n)
			}
		}},
		{"forgets the terms", "the terms of a session", func(w *wrong, real auth.Store) {
			w.login = func(ctx context.Context, n auth.Session) (auth.Account, error) {
				n.Claims = nil
				return real.CreateSession(ctx, n)
			}
		}},
		{"takes a token that stays for an idle one", "pruning goes by the end", func(w *wrong, real auth.Store) {
			w.login = func(ctx context.Context, n auth.Session) (auth.Account, error) {
				n.Refresh = auth.RefreshRotates
				return real.CreateSession(ctx, n)
			}
		}},
		{"prunes by the last use alone", "pruning forgets", func(w *wrong, real auth.Store) {
			w.prune = func(ctx context.Context, unused, _ time.Time) error {
				return real.PruneSessions(ctx, unused, time.Time{})
			}
		}},
	}
}

func rotationFaults() []fault {
	with := func(edit func(*auth.Rotation)) func(*wrong, auth.Store) {
		return func(w *wrong, real auth.Store) {
			w.rotate = func(ctx context.Context, r auth.Rotation) (auth.Rotated, error) {
				edit(&r)
				return real.RotateSession(ctx, r)
			}
		}
	}
	after := func(edit func(*auth.Rotated, auth.Rotation)) func(*wrong, auth.Store) {
		return func(w *wrong, real auth.Store) {
			w.rotate = func(ctx context.Context, r auth.Rotation) (auth.Rotated, error) {
				got, err := real.RotateSession(ctx, r)
				edit(&got, r)
				return got, err
			}
		}
	}
	const never = 1000 * time.Hour
	return []fault{
		{"has no limit of idleness", "a session that is revoked, idle", with(func(r *auth.Rotation) { r.IdleLimit = never })},
		{"has no limit of age", "a session that is revoked, idle", with(func(r *auth.Rotation) { r.AgeLimit = never })},
		{"limits too early", "a session at its limits", with(func(r *auth.Rotation) { r.IdleLimit /= 2 })},
		{"lets the floor follow at once", "the floor follows", with(func(r *auth.Rotation) { r.Grace = 0 })},
		{"never lets the floor follow", "the floor follows", with(func(r *auth.Rotation) { r.Grace = never })},
		{"keeps one more than eight", "a burst of rotations", after(func(got *auth.Rotated, _ auth.Rotation) {
			got.Session.Floor = max(1, got.Session.Counter-9)
		})},
		{"forgets the client", "a rotation spends the counter", with(func(r *auth.Rotation) { r.Client = auth.Client{} })},
		{"keeps the generation", "a rotation spends the counter", with(func(r *auth.Rotation) { r.Generation = 1 })},
		{"answers a clock that stands", "a rotation spends the counter", after(func(got *auth.Rotated, _ auth.Rotation) { got.Now = time.Time{} })},
		{"says that all swapped", "a spent counter swaps nothing", after(func(got *auth.Rotated, _ auth.Rotation) { got.Swapped = true })},
		{"refuses a counter ahead", "a counter ahead of the row", func(w *wrong, real auth.Store) {
			w.rotate = func(ctx context.Context, r auth.Rotation) (auth.Rotated, error) {
				if n, err := real.Session(ctx, r.Session); err == nil && r.Presented > n.Counter {
					r.Presented = 0
				}
				return real.RotateSession(ctx, r)
			}
		}},
		{"reads first and swaps then", "of racing rotations", func(w *wrong, real auth.Store) {
			w.rotate = func(ctx context.Context, r auth.Rotation) (auth.Rotated, error) {
				n, err := real.Session(ctx, r.Session)
				if err != nil {
					return auth.Rotated{}, err
				}
				runtime.Gosched()
				got, err := real.RotateSession(ctx, r)
				got.Swapped = n.Counter == r.Presented
				return got, err
			}
		}},
		{"spends a token that stays", "a token that stays is taken", with(func(r *auth.Rotation) { r.Renew = true })},
		{"never renews", "a session without a refresh token", with(func(r *auth.Rotation) { r.Renew = false })},
		{"says that it took a session that ended", "a token that stays is taken up to", after(func(got *auth.Rotated, _ auth.Rotation) { got.Swapped = true })},
		{"lets a disabled account's token stay good", "a session on terms that is revoked", after(func(got *auth.Rotated, _ auth.Rotation) {
			got.Swapped = got.Account.Disabled
		})},
		{"takes a token after the logout", "a logout never loses to a refresh that", after(func(got *auth.Rotated, _ auth.Rotation) { got.Swapped = true })},
		{"revives what was logged out", "a logout never loses", after(func(got *auth.Rotated, _ auth.Rotation) { got.Swapped = true })},
		{"answers an account from before", "a rotation spends the counter", after(func(got *auth.Rotated, _ auth.Rotation) { got.Account.Roles = []string{"user"} })},
	}
}

func feedFaults() []fault {
	with := func(edit func([]auth.Revocation) []auth.Revocation) func(*wrong, auth.Store) {
		return func(w *wrong, real auth.Store) {
			w.feed = func(ctx context.Context, after int64) ([]auth.Revocation, error) {
				all, err := real.Revocations(ctx, after)
				return edit(all), err
			}
		}
	}
	return []fault{
		{"reads the feed backwards", "the feed is read in order", with(func(all []auth.Revocation) []auth.Revocation { slices.Reverse(all); return all })},
		{"always reads from the start", "the feed is read in order", func(w *wrong, real auth.Store) {
			w.feed = func(ctx context.Context, _ int64) ([]auth.Revocation, error) { return real.Revocations(ctx, 0) }
		}},
		{"loses an entry", "a follower of the feed", with(func(all []auth.Revocation) []auth.Revocation {
			return slices.DeleteFunc(all, func(r auth.Revocation) bool { return strings.HasSuffix(r.ID, "-3") })
		})},
		{"numbers by place", "what has expired", with(func(all []auth.Revocation) []auth.Revocation {
			for i := range all {
				all[i].Seq = int64(i + 1)
			}
			return all
		})},
		{"lists the newest key first", "keys come back", func(w *wrong, real auth.Store) {
			w.keys = func(ctx context.Context) ([]auth.SealedKey, error) {
				all, err := real.Keys(ctx)
				slices.Reverse(all)
				return all, err
			}
		}},
		{"forgets the first key alone", "of the keys", func(w *wrong, real auth.Store) {
			w.dropKeys = func(ctx context.Context, ids []string) error { return real.DeleteKeys(ctx, ids[:min(1, len(ids))]) }
		}},
		{"answers the key that it was given", "of two keys", func(w *wrong, real auth.Store) {
			w.addKey = func(ctx context.Context, k auth.SealedKey) (auth.SealedKey, error) {
				_, err := real.AddKey(ctx, k)
				return k, err
			}
		}},
		{"answers each racer its own key", "all who add a key", func(w *wrong, real auth.Store) {
			w.addKey = func(ctx context.Context, k auth.SealedKey) (auth.SealedKey, error) {
				_, err := real.AddKey(ctx, k)
				return k, err
			}
		}},
	}
}

func callFaults() []fault {
	return []fault{
		{"takes unknown for ended", "what is not there", func(w *wrong, real auth.Store) {
			w.revoke = func(ctx context.Context, id string, why auth.RevokeReason, until time.Time) error {
				if err := real.RevokeSession(ctx, id, why, until); !errors.Is(err, auth.ErrNotFound) {
					return err
				}
				return nil
			}
		}},
		{"takes a fault for unknown", "a closed store", func(w *wrong, real auth.Store) {
			w.read = func(ctx context.Context, id string) (auth.Account, error) {
				a, err := real.Account(ctx, id)
				if err != nil {
					err = auth.ErrNotFound
				}
				return a, err
			}
		}},
		{"writes for a caller who left", "a cancelled caller", func(w *wrong, real auth.Store) {
			w.prune = func(ctx context.Context, unused, created time.Time) error {
				_ = real.PruneSessions(context.WithoutCancel(ctx), unused, created)
				return ctx.Err()
			}
		}},
		{"blames itself for a caller who left", "a cancelled caller", func(w *wrong, real auth.Store) {
			w.accounts = func(ctx context.Context) ([]auth.Account, error) {
				all, err := real.Accounts(ctx)
				if err != nil {
					err = fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
				}
				return all, err
			}
		}},
		{"closes only once", "a closed store", func(w *wrong, real auth.Store) {
			closed := false
			w.close = func() error {
				if closed {
					return errors.New("closed already")
				}
				closed = true
				return real.Close()
			}
		}},
	}
}
