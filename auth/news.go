package auth

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"
)

// What may become of an account, as subscribers are told. A new password is no
// news: nobody outside has a use for it.
const (
	AccountCreated  = "created"
	AccountChanged  = "changed" // the username, the address, the name, the roles or the fields
	AccountDisabled = "disabled"
	AccountEnabled  = "enabled"
	AccountDeleted  = "deleted"
)

// AccountEvents lists the words of what may become of an account.
func AccountEvents() []string {
	return []string{AccountCreated, AccountChanged, AccountDisabled, AccountEnabled, AccountDeleted}
}

// Subscriber is an application that keeps rows of its own about accounts, and is
// told of what becomes of them.
type Subscriber struct {
	Name   string   // the upstream's
	Events []string // those it wants, of AccountEvents
}

// Wants tells whether the subscriber is told of an event.
func (s Subscriber) Wants(event string) bool { return slices.Contains(s.Events, event) }

// News is one thing that became of an account, for one subscriber.
type News struct {
	ID       string // of the message: the same each time that it is sent, and never another's
	Account  string
	Event    string // one of AccountEvents
	Data     []byte // the account as it was then, see AccountData
	Happened time.Time
	Tries    int // how often it was taken, this time among them
}

// Backlog is what waits for one subscriber.
type Backlog struct {
	Subscriber string
	Waiting    int
	Oldest     time.Time // when the oldest of it happened
}

// Outbox is the part of a Store that holds what subscribers are still to be
// told. Each change of an account puts its news there in its own transaction:
// neither is ever without the other.
//
// Of one account the news are taken in their order, the next when the last was
// delivered. What was never taken is merged: of several changes the last
// remains, of disabling and enabling the last, and of an account that came and
// went nothing. So an account has few, however long nobody listens.
type Outbox interface {
	// TakeNews answers what is due for a subscriber and nobody else has, the
	// longest due first, and keeps others from it for the given time. There
	// being none is ErrNotFound.
	TakeNews(ctx context.Context, subscriber string, hold time.Duration) (News, error)
	// NewsDelivered forgets what the subscriber has. What is gone is no fault.
	NewsDelivered(ctx context.Context, n News) error
	// PostponeNews gives back what could not be delivered, to be due again after
	// a wait. What somebody else has taken since stays theirs.
	PostponeNews(ctx context.Context, n News, wait time.Duration) error
	// HastenNews makes all that was postponed due: the subscriber is back.
	HastenNews(ctx context.Context, subscriber string) error
	// Backlogs says what waits, of subscribers for whom something does.
	Backlogs(ctx context.Context) ([]Backlog, error)
}

// AccountData is an account as subscribers see it: the account object of the
// endpoint me, and whether it is disabled. It never has the password's hash.
func AccountData(a Account) ([]byte, error) {
	return json.Marshal(struct {
		ID       string         `json:"id"`
		Username string         `json:"username"`
		Email    string         `json:"email"`
		Name     string         `json:"name"`
		Roles    []string       `json:"roles"`
		Fields   map[string]any `json:"fields"`
		Disabled bool           `json:"disabled"`
	}{a.ID, a.Username, a.Email, a.Name, append([]string{}, a.Roles...), FieldsData(a.Fields), a.Disabled})
}

// ErrNoSubscriber says that there is nobody to be told of accounts.
var ErrNoSubscriber = errors.New("nobody is told of accounts")

// subscribe settles who is told of what becomes of accounts. A guest adds its
// subscribers, so that what it changes is told even where no gateway has started
// yet; it takes none away, since its configuration may not be the gateway's.
func (s *Service) subscribe(ctx context.Context, c Config) error {
	change, err := s.store.Subscribe(ctx, c.Subscribers, s.guest)
	if err != nil {
		return unavailable("settle who is told of accounts", err)
	}
	for _, name := range change.Added {
		s.tell(ctx, Event{Name: EventProvisionBegun, By: "system", Detail: name})
	}
	for _, gone := range change.Forgotten {
		s.tell(ctx, Event{Name: EventProvisionEnded, By: "system", Detail: gone.Subscriber + ": " + strconv.Itoa(gone.Waiting) + " events were not delivered"})
	}
	return nil
}

// provisionAtOnce is how many accounts are put into the outbox by one write, so
// that logins need not wait for all of them.
const provisionAtOnce = 500

// Provision tells the subscribers of an account as if it had just been made, or
// with an empty id of all accounts: those that were there before the subscriber.
// What waits about such an account is superseded. It answers how much there is
// to tell; nobody to tell it to is ErrNoSubscriber.
func (s *Service) Provision(ctx context.Context, id string, by Actor) (int, error) {
	if len(s.current.Load().config.Subscribers) == 0 {
		return 0, ErrNoSubscriber
	}
	accounts, err := s.meant(ctx, id)
	if err != nil {
		return 0, err
	}
	name := ""
	if id != "" {
		name = accounts[0].Username
	}
	told := 0
	for some := range slices.Chunk(accounts, provisionAtOnce) {
		ids := make([]string, len(some))
		for i := range some {
			ids[i] = some[i].ID
		}
		n, err := s.store.TellOf(ctx, ids)
		if told += n; err != nil {
			return told, unavailable("put accounts into the outbox", err)
		}
	}
	s.tell(ctx, Event{Name: EventUserProvisioned, User: name, By: by.By, Client: by.Client, Detail: strconv.Itoa(told) + " events"})
	return told, nil
}

// meant is the account with an id, or all of them where there is none.
func (s *Service) meant(ctx context.Context, id string) ([]Account, error) {
	if id == "" {
		return s.Accounts(ctx)
	}
	a, err := s.Account(ctx, id)
	return []Account{a}, err
}
