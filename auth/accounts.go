package auth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/auth/legacyhash"
)

// NewAccount is an account to be made. ID is for imports, "" makes one in the
// configured format. Without a Username the e-mail address is the username;
// without a Password there is no login by password.
type NewAccount struct {
	ID       string
	Username string
	Email    string
	Name     string
	Password string
	Roles    []string
	Fields   map[string][]string
}

// AccountChange is what an administrator changes; nil leaves a thing as it is.
type AccountChange struct {
	Email, Name *string
	Roles       *[]string
	Fields      map[string][]string // an empty list removes the field
	Disabled    *bool
	Password    *string
}

// Account finds an account by its id.
func (s *Service) Account(ctx context.Context, id string) (Account, error) {
	a, err := s.store.Account(ctx, id)
	return a, unavailable("find an account", err)
}

// FindAccount finds an account by id, username or e-mail address.
func (s *Service) FindAccount(ctx context.Context, name string) (Account, error) {
	a, err := s.store.FindAccount(ctx, Fold(name))
	return a, unavailable("find an account", err)
}

// Accounts lists all accounts by username.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) {
	all, err := s.store.Accounts(ctx)
	return all, unavailable("list the accounts", err)
}

// Roles lists the roles that exist.
func (s *Service) Roles() []string { return slices.Clone(s.current.Load().config.Roles) }

// idTries is how often a new id may turn out to be taken. Of the 10^9 integers
// so many in a row are taken only when something else is wrong.
const idTries = 8

// AddAccount makes an account. by is who makes it.
//
// Everything that is wrong with the input is one *InvalidError; a name that
// somebody has is a *ConflictError. An e-mail address that is given here counts
// as verified: an administrator or an import vouches for it.
func (s *Service) AddAccount(ctx context.Context, n NewAccount, by Actor) (Account, error) {
	st := s.current.Load()
	if n.Username == "" {
		n.Username = n.Email
	}
	now := s.now().UTC().Truncate(time.Millisecond) // as the store keeps it
	a := Account{
		ID: n.ID, Username: n.Username, Email: n.Email, EmailVerified: n.Email != "", Name: n.Name,
		Roles: slices.Clone(n.Roles), Fields: presentFields(n.Fields),
		// A time, not 1: an account made again under the id of a deleted one
		// must be ahead of the revocation of that one's tokens.
		Version: now.UnixMilli(), Created: now, Updated: now,
	}
	faults := append(st.accountFaults(a), st.newFaults(n.Roles, n.Fields)...)
	if n.ID != "" {
		faults = appendFault(faults, "id", idFault(n.ID))
	}
	if n.Password != "" {
		weak, err := st.weakness(n.Password, a)
		if err != nil {
			return Account{}, err
		}
		faults = appendFault(faults, "password", weak)
	}
	if err := invalid(faults); err != nil {
		return Account{}, err
	}
	if err := s.keep(ctx, st, &a, n.Password); err != nil {
		return Account{}, err
	}
	s.tell(ctx, Event{Name: EventUserCreated, User: a.Username, By: by.By, Client: by.Client, Detail: strings.Join(a.Roles, ",")})
	return a, nil
}

// keep stores an account that has been found good, with the hash of its
// password where it has one.
func (s *Service) keep(ctx context.Context, st *state, a *Account, password string) error {
	if password != "" {
		var err error
		if a.PasswordHash, err = st.hasher.hash(ctx, password); err != nil {
			return err
		}
	}
	return s.create(ctx, st, a)
}

// create stores an account, under a new id when it has none.
func (s *Service) create(ctx context.Context, st *state, a *Account) error {
	if a.ID != "" {
		return unavailable("add an account", s.store.CreateAccount(ctx, *a))
	}
	for try := 1; ; try++ {
		var err error
		if a.ID, err = newID(st.config.IDFormat, s.rand, s.now()); err != nil {
			return err
		}
		err = s.store.CreateAccount(ctx, *a)
		var taken *ConflictError
		if !errors.As(err, &taken) || taken.Field != "id" || try == idTries {
			return unavailable("add an account", err)
		}
	}
}

// SetAccount changes an account, for an administrator. A change of roles,
// password or disabled outdates its access tokens, and so does one of all else
// that a rule may rest on; a new password and disabling end its sessions too. A username that is the old e-mail address follows it.
func (s *Service) SetAccount(ctx context.Context, id string, ch AccountChange, by Actor) (Account, error) {
	st := s.current.Load()
	var roles []string
	if ch.Roles != nil {
		roles = *ch.Roles
	}
	faults := st.newFaults(roles, ch.Fields)
	if ch.Password != nil {
		weak, err := s.weakAfter(ctx, st, id, ch)
		if err != nil {
			return Account{}, err
		}
		faults = appendFault(faults, "password", weak)
	}
	if err := invalid(faults); err != nil {
		return Account{}, err
	}
	hash := ""
	if ch.Password != nil {
		var err error
		if hash, err = st.hasher.hash(ctx, *ch.Password); err != nil {
			return Account{}, err
		}
	}
	return s.update(ctx, st, edit{id: id, by: by, outdates: st.moved, change: func(a *Account) error {
		ch.apply(a, hash)
		return invalid(st.accountFaults(*a))
	}})
}

// weakAfter judges the new password of a change by the account as the change
// leaves it.
func (s *Service) weakAfter(ctx context.Context, st *state, id string, ch AccountChange) (string, error) {
	a, err := s.Account(ctx, id)
	if err != nil {
		return "", err
	}
	ch.apply(&a, "")
	return st.weakness(*ch.Password, a)
}

// apply makes the change to a row; hash is the new password's.
func (ch AccountChange) apply(a *Account, hash string) {
	if ch.Email != nil {
		if a.Email != "" && Fold(a.Username) == Fold(a.Email) && *ch.Email != "" {
			a.Username = *ch.Email
		}
		a.Email, a.EmailVerified = *ch.Email, *ch.Email != ""
	}
	if ch.Name != nil {
		a.Name = *ch.Name
	}
	if ch.Roles != nil {
		a.Roles = slices.Clone(*ch.Roles)
	}
	if ch.Disabled != nil {
		a.Disabled = *ch.Disabled
	}
	if hash != "" {
		a.PasswordHash = hash
	}
	a.Fields = mergeFields(a.Fields, ch.Fields)
}

// edit is one change of an account and who makes it.
type edit struct {
	id       string
	keep     string // the session that outlives a change of the password
	by       Actor
	change   func(*Account) error             // may run again
	outdates func(before, after Account) bool // see AccountUpdate
}

// update runs a change, puts what it revokes into the view at once, and tells
// what happened.
func (s *Service) update(ctx context.Context, st *state, e edit) (Account, error) {
	until := st.until(s.now())
	var before Account
	ctx = context.WithoutCancel(ctx) // a change and its revocations are one thing
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	after, err := s.store.UpdateAccount(ctx, e.id, AccountUpdate{Keep: e.keep, Until: until, KeepAdmin: e.by.KeepAdmin, Outdates: e.outdates, Change: func(a *Account) error {
		before = *a
		before.Roles, before.Fields = slices.Clone(a.Roles), maps.Clone(a.Fields)
		return e.change(a)
	}})
	if err != nil {
		return Account{}, unavailable("change an account", err)
	}
	if after.Version > before.Version {
		s.view.apply(Revocation{Kind: RevokeAccountTokens, ID: after.ID, Version: after.Version, Until: until})
	}
	for _, event := range changes(before, after) {
		event.User, event.By, event.Client = after.Username, e.by.By, e.by.Client
		s.tell(ctx, event)
	}
	return after, nil
}

// moved tells whether an account differs in what a rule may rest on beside its
// roles: the e-mail address, a username that follows it, and the fields that
// their owner may not change. A token says what they were.
func (st *state) moved(before, after Account) bool {
	if before.Username != after.Username || before.Email != after.Email || before.EmailVerified != after.EmailVerified {
		return true
	}
	for _, fields := range []map[string][]string{before.Fields, after.Fields} {
		for name := range fields {
			if f, _ := st.field(name); !f.Editable && !slices.Equal(before.Fields[name], after.Fields[name]) {
				return true
			}
		}
	}
	return false
}

// changes are the events of a change.
func changes(before, after Account) []Event {
	var events []Event
	if !slices.Equal(before.Roles, after.Roles) {
		events = append(events, Event{Name: EventRoleChanged, Detail: strings.Join(before.Roles, ",") + " -> " + strings.Join(after.Roles, ",")})
	}
	if before.PasswordHash != after.PasswordHash {
		events = append(events, Event{Name: EventPasswordChanged})
	}
	switch {
	case !before.Disabled && after.Disabled:
		events = append(events, Event{Name: EventUserDisabled})
	case before.Disabled && !after.Disabled:
		events = append(events, Event{Name: EventUserEnabled})
	}
	if parts := changedParts(before, after); len(parts) > 0 {
		events = append(events, Event{Name: EventProfileChanged, Detail: strings.Join(parts, ",")})
	}
	return events
}

// changedParts names the parts of a profile that differ, and tells no value.
func changedParts(before, after Account) []string {
	var parts []string
	if before.Name != after.Name {
		parts = append(parts, "name")
	}
	if before.Email != after.Email {
		parts = append(parts, "email")
	}
	all := maps.Clone(before.Fields)
	if all == nil {
		all = map[string][]string{}
	}
	maps.Copy(all, after.Fields)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !slices.Equal(before.Fields[name], after.Fields[name]) {
			parts = append(parts, fieldPath(name))
		}
	}
	return parts
}

// DeleteAccount removes an account, its sessions, and at once the worth of its
// access tokens.
func (s *Service) DeleteAccount(ctx context.Context, id string, by Actor) error {
	a, err := s.Account(ctx, id)
	if err != nil {
		return err
	}
	until := s.current.Load().until(s.now())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := s.store.DeleteAccount(ctx, id, Removal{Until: until, KeepAdmin: by.KeepAdmin}); err != nil {
		return unavailable("delete an account", err)
	}
	s.view.apply(Revocation{Kind: RevokeAccountTokens, ID: a.ID, Version: a.Version + 1, Until: until})
	s.tell(ctx, Event{Name: EventUserDeleted, User: a.Username, By: by.By, Client: by.Client})
	return nil
}

// accountFaults lists what is wrong with an account as it would be stored.
func (st *state) accountFaults(a Account) []FieldError {
	faults := appendFault(nil, "username", usernameFault(a.Username, a.Email))
	if a.Email != "" {
		faults = appendFault(faults, "email", emailFault(a.Email))
	}
	faults = appendFault(faults, "name", nameFault(a.Name))
	faults = append(faults, hashFaults(a)...)
	return append(faults, fieldFaults(a.Fields)...)
}

// hashFaults finds a password hash where something is shown: an id, a name and
// fields reach logs, tokens and applications. It stands there when the columns
// of a list have slipped.
func hashFaults(a Account) []FieldError {
	const message = "is a password hash: have the columns slipped?"
	var faults []FieldError
	isHash := func(text string) bool { _, err := legacyhash.Parse(text); return err == nil }
	for _, shown := range []struct{ field, text string }{{"id", a.ID}, {"username", a.Username}, {"name", a.Name}} {
		if isHash(shown.text) {
			faults = append(faults, FieldError{shown.field, message})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Fields)) {
		if slices.ContainsFunc(a.Fields[name], isHash) {
			faults = append(faults, FieldError{fieldPath(name), message})
		}
	}
	return faults
}

// maxFaults is how many faults an answer lists. A stranger's body can have
// thousands of fields, and must not be answered with more than it was.
const maxFaults = 64

// invalid is nil when there are no faults.
func invalid(faults []FieldError) error {
	if len(faults) == 0 {
		return nil
	}
	return &InvalidError{Fields: faults[:min(len(faults), maxFaults)]}
}

// appendFault adds what a check found, and nothing for the empty message by which
// a check says that all is well.
func appendFault(faults []FieldError, field, message string) []FieldError {
	if message == "" {
		return faults
	}
	return append(faults, FieldError{Field: field, Message: message})
}

// newFaults refuses roles and fields that the configuration does not name.
// Only what is being set is judged: an account may have others from an earlier
// configuration, and a change of something else must not fail for them.
// Removing a field is always fine.
func (st *state) newFaults(roles []string, fields map[string][]string) []FieldError {
	faults := roleFaults(roles, st.config.Roles)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if _, known := st.field(name); !known && len(fields[name]) > 0 {
			faults = append(faults, FieldError{fieldPath(name), noField})
		}
	}
	return faults
}

// noField is said of a field that auth.profile.fields does not list.
const noField = "is no field of a profile here"

// field finds a field in the configuration.
func (st *state) field(name string) (ProfileField, bool) {
	i := slices.IndexFunc(st.config.Profile.Fields, func(f ProfileField) bool { return f.Name == name })
	if i < 0 {
		return ProfileField{}, false
	}
	return st.config.Profile.Fields[i], true
}

// fieldFaults checks the values of an account's profile fields.
func fieldFaults(fields map[string][]string) []FieldError {
	var faults []FieldError
	total := 0
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		total += len(name) + 2*perText
		for _, v := range fields[name] {
			total += len(v) + perText
			if strings.ContainsFunc(v, isControl) {
				faults = append(faults, FieldError{fieldPath(name), "must not contain control characters"})
			}
		}
	}
	if total > maxFields {
		faults = append(faults, FieldError{"fields", fmt.Sprintf("are longer than %d bytes together", maxFields)})
	}
	return faults
}

// mergeFields is fields with a change laid over it.
func mergeFields(fields, change map[string][]string) map[string][]string {
	merged := maps.Clone(fields)
	if merged == nil {
		merged = map[string][]string{}
	}
	maps.Copy(merged, change)
	return presentFields(merged)
}

// presentFields is a copy of fields without those that have no value.
func presentFields(fields map[string][]string) map[string][]string {
	present := map[string][]string{}
	for name, values := range fields {
		if len(values) > 0 {
			present[name] = slices.Clone(values)
		}
	}
	return present
}
