package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ProfileChange is what an account's owner changes. A field's value is a
// string, a list of strings, or nil to remove it.
type ProfileChange struct {
	Name   *string
	Fields map[string]any
}

// SetProfile changes what an account's owner may change. A field that does not
// exist, that only an administrator may change, or that has another type is an
// *InvalidError, with all of them listed.
func (s *Service) SetProfile(ctx context.Context, accountID string, ch ProfileChange, c Client) (Account, error) {
	st := s.current.Load()
	fields, faults := ParseFields(ch.Fields)
	faults = append(faults, st.editFaults(fields)...)
	if err := invalid(faults); err != nil {
		return Account{}, err
	}
	return s.update(ctx, st, edit{id: accountID, by: Actor{Client: c}, change: func(a *Account) error {
		AccountChange{Name: ch.Name, Fields: fields}.apply(a, "")
		return invalid(st.accountFaults(*a))
	}})
}

// ParseFields reads profile fields as JSON decodes them: a value is a text, a
// list of texts, or nil for none. What it can make nothing of it leaves out and
// names in faults.
func ParseFields(raw map[string]any) (fields map[string][]string, faults []FieldError) {
	fields = map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		values, msg := fieldValues(raw[name])
		if msg != "" {
			faults = append(faults, FieldError{fieldPath(name), msg})
			continue
		}
		fields[name] = values
	}
	return fields, faults
}

// fieldPath names a profile field in a fault. The name is a stranger's: no
// field's is longer than what is kept of it.
func fieldPath(name string) string { return fieldsPrefix + truncate(name, maxRole) }

// editFaults lists the fields that an owner may not change.
func (st *state) editFaults(fields map[string][]string) []FieldError {
	var faults []FieldError
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		faults = appendFault(faults, fieldPath(name), st.editFault(name))
	}
	return faults
}

// editFault says why an owner may not change a field.
func (st *state) editFault(name string) string {
	switch f, known := st.field(name); {
	case !known:
		return noField
	case !f.Editable:
		return "may be changed by an administrator only"
	}
	return ""
}

// fieldValues reads a value as JSON decodes it.
func fieldValues(v any) (values []string, fault string) {
	switch v := v.(type) {
	case nil:
		return nil, ""
	case string:
		return []string{v}, ""
	case []string:
		return v, ""
	case []any:
		for _, one := range v {
			text, ok := one.(string)
			if !ok {
				return nil, "must be a text or a list of texts"
			}
			values = append(values, text)
		}
		return values, ""
	}
	return nil, "must be a text or a list of texts"
}

// rotateTries is how often a changed password may meet a refresh of the same
// session under way.
const rotateTries = 4

// ChangePassword sets a new password for a proven caller who knows the current
// one. Every other session ends; this one goes on with new tokens, since its
// access token is outdated like all others.
//
// A wrong current password is an *InvalidError of the field current and counts
// as a failed login (a *LockedError after too many): a stolen access token must
// not be good for guessing at the password. A session that has ended is
// ErrTokenRevoked.
func (s *Service) ChangePassword(ctx context.Context, p Principal, current, next string, c Client) (Grant, error) {
	st := s.current.Load()
	// Another instance may have ended the session a moment ago.
	row, err := s.store.Session(ctx, p.Session)
	if errors.Is(err, ErrNotFound) || err == nil && (row.AccountID != p.ID || s.isOver(st, row)) {
		return Grant{}, ErrTokenRevoked
	}
	if err != nil {
		return Grant{}, unavailable("find a session", err)
	}
	if err := s.refuseWeak(ctx, st, p.ID, next); err != nil {
		return Grant{}, err
	}
	old, err := s.proveCurrent(ctx, st, p, current, c)
	if err != nil {
		return Grant{}, err
	}
	hash, err := st.hasher.hash(ctx, next)
	if err != nil {
		return Grant{}, err
	}
	_, err = s.update(ctx, st, edit{id: p.ID, keep: p.Session, by: Actor{Client: c}, change: func(a *Account) error {
		if a.PasswordHash != old || a.Disabled {
			return errCurrent // changed meanwhile: what was proven is not current
		}
		a.PasswordHash = hash
		return nil
	}})
	if errors.Is(err, errCurrent) {
		return Grant{}, wrongCurrent()
	}
	if err != nil {
		return Grant{}, err
	}
	return s.renew(ctx, st, p.Session, c)
}

// refuseWeak refuses a new password of an account's owner. It comes before the
// current one is proven: that costs a hash, and counts when it is wrong.
func (s *Service) refuseWeak(ctx context.Context, st *state, id, next string) error {
	a, err := s.Account(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return ErrTokenRevoked // deleted a moment ago
	}
	if err != nil {
		return err
	}
	weak, err := st.weakness(next, a)
	if err != nil {
		return err
	}
	return invalid(appendFault(nil, "new", weak))
}

var errCurrent = errors.New("the current password was changed")

// wrongCurrent is the answer to a wrong current password, for the field of the
// form: who asks has a session, and is not sent to log in again. The throttle
// counts it like a failed login.
func wrongCurrent() error {
	return &InvalidError{Fields: []FieldError{{"current", "is not the current password"}}}
}

// proveCurrent checks the current password and answers its hash.
func (s *Service) proveCurrent(ctx context.Context, st *state, p Principal, current string, c Client) (string, error) {
	// Counted together with logins: both guess at the same password.
	try, err := s.throttle.begin(ctx, st.config.Lockout, s.throttle.guess(p.ID, "", c.Address))
	if err != nil {
		s.tellLocked(ctx, p.Username, c, err)
		s.counts.logins.add(resultOf(err))
		return "", err
	}
	defer try.cancelled()
	a, err := s.candidate(ctx, Fold(p.ID))
	why := ""
	if err == nil {
		why, err = provePassword(ctx, st, a, current)
	}
	if err != nil {
		return "", err
	}
	if why != "" {
		s.counts.logins.add(resultFailed)
		s.tell(ctx, Event{Name: EventLoginFailed, User: p.Username, Client: c, Detail: "password change: " + why})
		return "", cmp.Or(try.failed(ctx), wrongCurrent())
	}
	return a.PasswordHash, try.succeeded(ctx, a.ID)
}

// isOver says whether a session can give no tokens any more.
func (s *Service) isOver(st *state, row Session) bool {
	return row.over(st.config.RefreshToken, s.now())
}

// renew gives a session new tokens without being shown its refresh token. It
// rotates twice and without grace: a password is changed when somebody may have
// a copy of the current token, and one step behind is what a lost answer or a
// restart forgives.
func (s *Service) renew(ctx context.Context, st *state, sid string, c Client) (Grant, error) {
	if _, err := s.advance(ctx, st, sid, c); err != nil {
		return Grant{}, err
	}
	found, err := s.advance(ctx, st, sid, c)
	if err != nil {
		return Grant{}, err
	}
	return s.grant(st, found.Account, found.Session)
}

// advance spends whatever refresh token a session has now.
func (s *Service) advance(ctx context.Context, st *state, sid string, c Client) (Rotated, error) {
	c.UserAgent = truncate(c.UserAgent, maxUserAgent)
	for range rotateTries {
		row, err := s.store.Session(ctx, sid)
		if err != nil {
			return Rotated{}, unavailable("find a session", err)
		}
		rotation := st.rotation(sid, row.Counter, c)
		rotation.Grace, rotation.Renew = 0, true
		found, err := s.store.RotateSession(ctx, rotation)
		switch {
		case err != nil:
			return Rotated{}, unavailable("rotate a session", err)
		case found.Swapped:
			return found, nil
		case s.isOver(st, found.Session) || found.Account.Disabled:
			return Rotated{}, ErrTokenRevoked
		}
	}
	return Rotated{}, fmt.Errorf("rotate a session: %w: it is refreshed all the time", ErrUnavailable)
}

// PublicProfile is what everybody may see of an account: its id, its username
// and the fields that the configuration calls public; nothing else is filled. An
// account that is not there or disabled is ErrNotFound, and so is every one
// where no field is public.
func (s *Service) PublicProfile(ctx context.Context, id string) (Account, error) {
	public := map[string]bool{}
	for _, f := range s.current.Load().config.Profile.Fields {
		if f.Public {
			public[f.Name] = true
		}
	}
	if len(public) == 0 {
		return Account{}, fmt.Errorf("public profile: %w", ErrNotFound)
	}
	a, err := s.Account(ctx, id)
	if err != nil {
		return Account{}, err
	}
	if a.Disabled {
		return Account{}, fmt.Errorf("public profile: %w", ErrNotFound)
	}
	maps.DeleteFunc(a.Fields, func(name string, _ []string) bool { return !public[name] })
	return Account{ID: a.ID, Username: a.Username, Fields: a.Fields}, nil
}

// FieldsData is profile fields as the account object has them, {} for none: one
// value is a string, several are a list.
func FieldsData(all map[string][]string) map[string]any {
	fields := make(map[string]any, len(all))
	for name, values := range all {
		if len(values) == 1 {
			fields[name] = values[0]
		} else {
			fields[name] = values
		}
	}
	return fields
}
