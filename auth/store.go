package auth

import (
	"context"
	"time"
)

// Store keeps accounts, sessions, revocations and sealed keys. Each verb is
// one transaction. storetest says what every Store must do.
//
// An absent row is ErrNotFound; a taken name is a *ConflictError; a cancelled
// context comes back as context.Canceled; any other error wraps ErrUnavailable.
// Times come back in UTC with millisecond precision.
type Store interface {
	// CreateAccount adds an account. Id, username and e-mail share one
	// namespace: each, folded by Fold, must not be any of another account's
	// three names. An account made again under a deleted one's id has a version
	// that the revocation of the deleted one's tokens does not meet, so the
	// stored version may be higher than the given one.
	CreateAccount(ctx context.Context, a Account) error
	// CreateAccounts adds all of the accounts, as CreateAccount does each, or
	// none of them. When names are taken, by accounts of the store or by earlier
	// ones of the list, it is a *ConflictsError that names every account in
	// conflict, and nothing was added.
	CreateAccounts(ctx context.Context, accounts []Account) error
	// Account finds an account by its id.
	Account(ctx context.Context, id string) (Account, error)
	// FindAccount finds an account by id, username or e-mail, folded by Fold.
	FindAccount(ctx context.Context, name string) (Account, error)
	// AccountFrom finds the account whose id is this text or comes next after
	// it, in an order of ids that stays the same. After the last there is none.
	AccountFrom(ctx context.Context, id string) (Account, error)
	// Accounts lists all accounts, by folded username.
	Accounts(ctx context.Context) ([]Account, error)
	// UpdateAccount changes an account inside one transaction: change gets the
	// row as it stands, must not call the Store, and may run again; what it does
	// to id, version and times counts for nothing. When roles, password or disabled
	// differ afterwards the version is raised and a revocation of the older
	// access tokens is recorded until the given time; when the password changed
	// or the account became disabled, its sessions but `keep` are revoked too.
	// With SamePassword a new hash is no change: nothing is outdated by it. With
	// KeepAdmin a change after which no account that is not disabled has
	// AdminRole, and before which this one had it so, is ErrLastAdmin and undone.
	UpdateAccount(ctx context.Context, id string, u AccountUpdate) (Account, error)
	// DeleteAccount removes the account and its sessions, and records a
	// revocation of everything it held: of its tokens up to and with its last
	// version. KeepAdmin is UpdateAccount's.
	DeleteAccount(ctx context.Context, id string, r Removal) error
	// CountAccounts says how many accounts there are.
	CountAccounts(ctx context.Context) (int, error)
	// CountRoleHolders says how many accounts hold each role.
	CountRoleHolders(ctx context.Context) (map[string]int, error)

	// CreateSession adds a session, and answers its account as it stood then: a
	// change of it either came before and is in the answer, or finds the session.
	// An account that is absent or disabled is ErrNotFound: it may have gone while
	// its password was being checked.
	CreateSession(ctx context.Context, s Session) (Account, error)
	// Session finds a session by its id, revoked ones included.
	Session(ctx context.Context, id string) (Session, error)
	// Sessions lists an account's live sessions, newest first; of all accounts
	// when accountID is empty.
	Sessions(ctx context.Context, accountID string) ([]Session, error)
	// RotateSession is the compare-and-swap of a refresh. In one statement:
	// where the row's counter is at most r.Presented, the session is neither
	// revoked nor past r's limits or its own end and its account is not disabled, the counter
	// becomes r.Presented+1, rotated and last seen become the store's time, and
	// floor, generation and client are set as Rotation says. A disabled account
	// must not swap: otherwise the token would be spent for an answer that is
	// never given, and enabling the account again would leave a session that
	// looks replayed.
	//
	// A token that stays is not spent: with RefreshStays the same conditions
	// take it, and set counter to r.Presented, last seen and client, no more.
	// With r.Renew every kind of session is counted up; else one with
	// RefreshNone never swaps. r.IdleLimit binds sessions that rotate alone.
	//
	// It answers the row as it stands afterwards, the account, whether this
	// call swapped, and the store's time. Callers judge the rest. A session or
	// an account that is not there is ErrNotFound.
	RotateSession(ctx context.Context, r Rotation) (Rotated, error)
	// RevokeSession ends one session, says why in its row, and records it in
	// the feed until the given time. Ending an ended session does nothing: the
	// first reason stays.
	RevokeSession(ctx context.Context, id string, why RevokeReason, until time.Time) error
	// RevokeSessions ends all sessions of an account but `keep` ("" keeps none)
	// and answers the ids that it ended. An account that is not there is
	// ErrNotFound.
	RevokeSessions(ctx context.Context, accountID, keep string, until time.Time) ([]string, error)
	// PruneSessions forgets sessions that cannot be used any more, those past
	// their own end among them, revocations that no living token can meet, and
	// failed logins and known networks whose time is over. unusedSince is for
	// sessions that rotate.
	PruneSessions(ctx context.Context, unusedSince, createdBefore time.Time) error
	// CountSessions says how many sessions are live.
	CountSessions(ctx context.Context) (int, error)

	// Revocations reads the feed after seq, in order, without the expired. An
	// entry's end is the one that was given, or later: when the longest access
	// token that its session, or its account's sessions, may have had by their
	// own AccessTTL has expired.
	Revocations(ctx context.Context, after int64) ([]Revocation, error)

	// Failures reads what is counted against a guess. What has ended is zero.
	Failures(ctx context.Context, g Guess) (Failures, error)
	// CountFailure counts a failed login against each thing that has a limit, in
	// one transaction: none of many at once is lost. What reaches its limit is
	// locked from now for l.Duration. What has ended begins anew. How many
	// things are counted is bounded: when it grows too many, those not locked
	// and with the fewest failures are forgotten first.
	CountFailure(ctx context.Context, g Guess, l FailureLimits) error
	// RememberLogin makes the guess's network known to its account, now, and
	// forgets the failures of the two together. An account that has gone
	// meanwhile is no error.
	RememberLogin(ctx context.Context, g Guess) error
	// Locks lists from where a name is locked, by network.
	Locks(ctx context.Context, name string) ([]Lock, error)
	// ForgetFailures forgets what is counted against a name, from everywhere,
	// and against a network alone, and says how many things that were. An
	// empty one stands for none.
	ForgetFailures(ctx context.Context, name, network string) (int, error)

	// Keys lists the sealed keys, oldest first.
	Keys(ctx context.Context) ([]SealedKey, error)
	// AddKey stores a sealed key unless one with the same use and generation
	// exists; it answers the one that counts, so that of two instances which
	// start at once both use the same.
	AddKey(ctx context.Context, k SealedKey) (SealedKey, error)
	// DeleteKeys forgets keys by their ids. One that is not there is no fault.
	DeleteKeys(ctx context.Context, ids []string) error

	// Subscribe settles who is told of what becomes of accounts from now on.
	// What waits for one that is not listed is forgotten, and so is what one does
	// not want any more, unless others are to stay as they are.
	Subscribe(ctx context.Context, all []Subscriber, keepOthers bool) (Subscribed, error)
	// TellOf puts accounts into the outbox as if they had just been made, and
	// says how many news that are; see Service.Provision. For a subscriber who
	// wants to hear of no new ones they are changed ones; who wants neither is
	// told nothing. What waits about them is superseded, but what is being sent and
	// a deletion. An account that is gone is left out.
	TellOf(ctx context.Context, ids []string) (int, error)
	Outbox

	// Close ends the use of the store.
	Close() error
}

// Subscribed is what Subscribe changed.
type Subscribed struct {
	Added     []string  // the names of new subscribers
	Forgotten []Backlog // the subscribers that are gone, and what they will not hear
}

// AccountUpdate is a change of an account.
type AccountUpdate struct {
	Change func(*Account) error // an error from it ends the update and is returned as it is
	Keep   string               // the session that survives a password change
	Until  time.Time            // when the last access token issued so far has expired
	// SamePassword says that a different hash is the same password kept in
	// another way (a rehash at login): no version, no revocation, no session
	// ends for it.
	SamePassword bool
	KeepAdmin    bool // it must leave an account that can administer
	// Outdates tells whether the access tokens are outdated by what differs beside
	// roles, password and disabled, which outdate them anyway; nil: by nothing.
	Outdates func(before, after Account) bool
}

// Removal is the end of an account.
type Removal struct {
	Until     time.Time // when its last access token has expired
	KeepAdmin bool      // it must leave an account that can administer
}

// Rotation asks for a refresh counter to be spent.
type Rotation struct {
	Session    string
	Presented  int64
	Generation int64         // of the key that seals the next token
	Grace      time.Duration // the floor becomes Presented when the last rotation is this long ago, else stays, at most 8 behind the new counter
	IdleLimit  time.Duration // no swap when the last rotation is this long ago
	AgeLimit   time.Duration // no swap when the session was created this long ago
	Client     Client        // last seen address and user agent
	Renew      bool          // another token is to be made, whatever the session's kind
}

// Rotated is what RotateSession found.
type Rotated struct {
	Session Session
	Account Account
	Swapped bool      // this call spent the token, or took the one that stays
	Now     time.Time // the store's clock
}

// RevokeReason says why a session was ended. Its row keeps it, because the
// owner of a session that somebody else's copy of a token has ended must hear
// more than that it is over.
type RevokeReason string

// The reasons, as the store keeps them.
const (
	RevokedByChoice RevokeReason = ""       // a logout, an administrator, a new password, a disabled account
	RevokedForReuse RevokeReason = "reused" // a spent refresh token came back after the grace
)

// RevocationKind tells what a revocation ends.
type RevocationKind uint8

// The kinds of revocation.
const (
	RevokeSessionTokens RevocationKind = iota + 1 // all tokens of the session ID
	RevokeAccountTokens                           // tokens of the account ID with a version below Version
)

// Revocation is an entry of the feed.
type Revocation struct {
	Seq     int64
	Kind    RevocationKind
	ID      string
	Version int64
	Until   time.Time
}

// SealedKey is a key as the store keeps it: encrypted under the master key.
type SealedKey struct {
	ID         string // kid
	Use        string // sign:ES256, refresh, ...
	Generation int64
	Sealed     []byte
	Created    time.Time
	Retired    time.Time // from when it counts for nothing; zero: in use
}
