package auth

import (
	"context"
	"errors"
	"time"
)

// The operations that a Store's verbs are measured by: a closed list.
const (
	storeAccountRead  = "account_read"
	storeAccountWrite = "account_write"
	storeSessionRead  = "session_read"
	storeSessionWrite = "session_write"
	storeRotate       = "rotate" // what every refresh waits for
	storeFeed         = "feed"   // the revocations, read all the time
	storeThrottle     = "throttle"
	storeKeys         = "keys"
	storeOutbox       = "outbox" // what applications are told of accounts
)

// StoreOperations are all of them, for metrics that are there from the start.
func StoreOperations() []string {
	return []string{storeAccountRead, storeAccountWrite, storeSessionRead, storeSessionWrite, storeRotate, storeFeed, storeThrottle, storeKeys, storeOutbox}
}

// StoreCall is one use of a Store, as a MeasuredStore tells of it.
type StoreCall struct {
	Operation string // one of StoreOperations
	Took      time.Duration
	Fault     bool // the store did not do it; that something is not there is no fault
}

// MeasuredStore is a Store that tells how long each verb took. The time is that
// of the whole verb: also what it waited for a connection or another's lock.
type MeasuredStore struct {
	Store
	tell func(StoreCall)
}

// Measured makes store tell of every verb. tell must not block.
func Measured(store Store, tell func(StoreCall)) *MeasuredStore {
	return &MeasuredStore{Store: store, tell: tell}
}

// told runs a verb that answers an error alone.
func (m *MeasuredStore) told(operation string, verb func() error) error {
	begun := time.Now()
	err := verb()
	m.tell(StoreCall{operation, time.Since(begun), errors.Is(err, ErrUnavailable)})
	return err
}

// asked runs a verb that answers a value as well.
func asked[T any](m *MeasuredStore, operation string, verb func() (T, error)) (value T, err error) {
	err = m.told(operation, func() (err error) {
		value, err = verb()
		return err
	})
	return value, err
}

// CreateAccount is Store's.
func (m *MeasuredStore) CreateAccount(ctx context.Context, a Account) error {
	return m.told(storeAccountWrite, func() error { return m.Store.CreateAccount(ctx, a) })
}

// CreateAccounts is Store's.
func (m *MeasuredStore) CreateAccounts(ctx context.Context, accounts []Account) error {
	return m.told(storeAccountWrite, func() error { return m.Store.CreateAccounts(ctx, accounts) })
}

// Account is Store's.
func (m *MeasuredStore) Account(ctx context.Context, id string) (Account, error) {
	return asked(m, storeAccountRead, func() (Account, error) { return m.Store.Account(ctx, id) })
}

// FindAccount is Store's.
func (m *MeasuredStore) FindAccount(ctx context.Context, name string) (Account, error) {
	return asked(m, storeAccountRead, func() (Account, error) { return m.Store.FindAccount(ctx, name) })
}

// AccountFrom is Store's.
func (m *MeasuredStore) AccountFrom(ctx context.Context, id string) (Account, error) {
	return asked(m, storeAccountRead, func() (Account, error) { return m.Store.AccountFrom(ctx, id) })
}

// Accounts is Store's.
func (m *MeasuredStore) Accounts(ctx context.Context) ([]Account, error) {
	return asked(m, storeAccountRead, func() ([]Account, error) { return m.Store.Accounts(ctx) })
}

// UpdateAccount is Store's.
func (m *MeasuredStore) UpdateAccount(ctx context.Context, id string, u AccountUpdate) (Account, error) {
	return asked(m, storeAccountWrite, func() (Account, error) { return m.Store.UpdateAccount(ctx, id, u) })
}

// DeleteAccount is Store's.
func (m *MeasuredStore) DeleteAccount(ctx context.Context, id string, r Removal) error {
	return m.told(storeAccountWrite, func() error { return m.Store.DeleteAccount(ctx, id, r) })
}

// CountAccounts is Store's.
func (m *MeasuredStore) CountAccounts(ctx context.Context) (int, error) {
	return asked(m, storeAccountRead, func() (int, error) { return m.Store.CountAccounts(ctx) })
}

// CountRoleHolders is Store's.
func (m *MeasuredStore) CountRoleHolders(ctx context.Context) (map[string]int, error) {
	return asked(m, storeAccountRead, func() (map[string]int, error) { return m.Store.CountRoleHolders(ctx) })
}

// CreateSession is Store's.
func (m *MeasuredStore) CreateSession(ctx context.Context, row Session) (Account, error) {
	return asked(m, storeSessionWrite, func() (Account, error) { return m.Store.CreateSession(ctx, row) })
}

// Session is Store's.
func (m *MeasuredStore) Session(ctx context.Context, id string) (Session, error) {
	return asked(m, storeSessionRead, func() (Session, error) { return m.Store.Session(ctx, id) })
}

// Sessions is Store's.
func (m *MeasuredStore) Sessions(ctx context.Context, accountID string) ([]Session, error) {
	return asked(m, storeSessionRead, func() ([]Session, error) { return m.Store.Sessions(ctx, accountID) })
}

// RotateSession is Store's.
func (m *MeasuredStore) RotateSession(ctx context.Context, r Rotation) (Rotated, error) {
	return asked(m, storeRotate, func() (Rotated, error) { return m.Store.RotateSession(ctx, r) })
}

// RevokeSession is Store's.
func (m *MeasuredStore) RevokeSession(ctx context.Context, id string, why RevokeReason, until time.Time) error {
	return m.told(storeSessionWrite, func() error { return m.Store.RevokeSession(ctx, id, why, until) })
}

// RevokeSessions is Store's.
func (m *MeasuredStore) RevokeSessions(ctx context.Context, accountID, keep string, until time.Time) ([]string, error) {
	return asked(m, storeSessionWrite, func() ([]string, error) { return m.Store.RevokeSessions(ctx, accountID, keep, until) })
}

// PruneSessions is Store's.
func (m *MeasuredStore) PruneSessions(ctx context.Context, unusedSince, createdBefore time.Time) error {
	return m.told(storeSessionWrite, func() error { return m.Store.PruneSessions(ctx, unusedSince, createdBefore) })
}

// CountSessions is Store's.
func (m *MeasuredStore) CountSessions(ctx context.Context) (int, error) {
	return asked(m, storeSessionRead, func() (int, error) { return m.Store.CountSessions(ctx) })
}

// Revocations is Store's.
func (m *MeasuredStore) Revocations(ctx context.Context, after int64) ([]Revocation, error) {
	return asked(m, storeFeed, func() ([]Revocation, error) { return m.Store.Revocations(ctx, after) })
}

// Failures is Store's.
func (m *MeasuredStore) Failures(ctx context.Context, g Guess) (Failures, error) {
	return asked(m, storeThrottle, func() (Failures, error) { return m.Store.Failures(ctx, g) })
}

// CountFailure is Store's.
func (m *MeasuredStore) CountFailure(ctx context.Context, g Guess, l FailureLimits) error {
	return m.told(storeThrottle, func() error { return m.Store.CountFailure(ctx, g, l) })
}

// RememberLogin is Store's.
func (m *MeasuredStore) RememberLogin(ctx context.Context, g Guess) error {
	return m.told(storeThrottle, func() error { return m.Store.RememberLogin(ctx, g) })
}

// Locks is Store's.
func (m *MeasuredStore) Locks(ctx context.Context, name string) ([]Lock, error) {
	return asked(m, storeThrottle, func() ([]Lock, error) { return m.Store.Locks(ctx, name) })
}

// ForgetFailures is Store's.
func (m *MeasuredStore) ForgetFailures(ctx context.Context, name, network string) (int, error) {
	return asked(m, storeThrottle, func() (int, error) { return m.Store.ForgetFailures(ctx, name, network) })
}

// Keys is Store's.
func (m *MeasuredStore) Keys(ctx context.Context) ([]SealedKey, error) {
	return asked(m, storeKeys, func() ([]SealedKey, error) { return m.Store.Keys(ctx) })
}

// AddKey is Store's.
func (m *MeasuredStore) AddKey(ctx context.Context, k SealedKey) (SealedKey, error) {
	return asked(m, storeKeys, func() (SealedKey, error) { return m.Store.AddKey(ctx, k) })
}

// DeleteKeys is Store's.
func (m *MeasuredStore) DeleteKeys(ctx context.Context, ids []string) error {
	return m.told(storeKeys, func() error { return m.Store.DeleteKeys(ctx, ids) })
}

// Subscribe is Store's.
func (m *MeasuredStore) Subscribe(ctx context.Context, all []Subscriber, keepOthers bool) (Subscribed, error) {
	return asked(m, storeOutbox, func() (Subscribed, error) { return m.Store.Subscribe(ctx, all, keepOthers) })
}

// TellOf is Store's.
func (m *MeasuredStore) TellOf(ctx context.Context, ids []string) (int, error) {
	return asked(m, storeOutbox, func() (int, error) { return m.Store.TellOf(ctx, ids) })
}

// TakeNews is Outbox's.
func (m *MeasuredStore) TakeNews(ctx context.Context, subscriber string, hold time.Duration) (News, error) {
	return asked(m, storeOutbox, func() (News, error) { return m.Store.TakeNews(ctx, subscriber, hold) })
}

// NewsDelivered is Outbox's.
func (m *MeasuredStore) NewsDelivered(ctx context.Context, n News) error {
	return m.told(storeOutbox, func() error { return m.Store.NewsDelivered(ctx, n) })
}

// PostponeNews is Outbox's.
func (m *MeasuredStore) PostponeNews(ctx context.Context, n News, wait time.Duration) error {
	return m.told(storeOutbox, func() error { return m.Store.PostponeNews(ctx, n, wait) })
}

// HastenNews is Outbox's.
func (m *MeasuredStore) HastenNews(ctx context.Context, subscriber string) error {
	return m.told(storeOutbox, func() error { return m.Store.HastenNews(ctx, subscriber) })
}

// Backlogs is Outbox's.
func (m *MeasuredStore) Backlogs(ctx context.Context) ([]Backlog, error) {
	return asked(m, storeOutbox, func() ([]Backlog, error) { return m.Store.Backlogs(ctx) })
}
