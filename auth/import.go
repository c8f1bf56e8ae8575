package auth

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/auth/legacyhash"
)

// Imported is an account as another system, or an export of this one, had it.
// Its Password stays empty: what moves is the hash.
type Imported struct {
	NewAccount
	PasswordHash string    // of any system that legacyhash reads; "": no login by password
	Unverified   bool      // the e-mail address was never verified
	Disabled     bool      // no login until it is enabled
	Created      time.Time // zero: now
}

// ImportError lists everything that is wrong with a list of accounts, in its
// order. None of its texts has a password hash in it.
type ImportError struct{ Faults []ImportFault } // never empty

// ImportFault is one thing that is wrong with one account of a list.
type ImportFault struct {
	Index int // of the account in the list
	FieldError
	Same int // index of the earlier account that has the name already; -1: none
}

// Error names the first fault; accounts count from 1, as people do.
func (e *ImportError) Error() string {
	f := e.Faults[0]
	return fmt.Sprintf("account %d: %s: %s", f.Index+1, f.Field, f.Message)
}

// ImportAccounts makes all accounts of a list or none: whatever is wrong with
// any of them is one *ImportError. Given ids are kept, and an e-mail address
// counts as verified unless it is said not to be. A hash stays as it is until
// the next login is held against it.
func (s *Service) ImportAccounts(ctx context.Context, list []Imported, by Actor) ([]Account, error) {
	accounts, err := s.planImport(ctx, list)
	if err != nil {
		return nil, err
	}
	err = s.store.CreateAccounts(ctx, accounts)
	var taken *ConflictsError
	if errors.As(err, &taken) { // since the list was looked at
		meanwhile := &ImportError{}
		for _, c := range taken.Conflicts {
			meanwhile.Faults = append(meanwhile.Faults, ImportFault{c.Index, FieldError{c.Field, "was taken a moment ago"}, -1})
		}
		return nil, meanwhile
	}
	if err != nil {
		return nil, unavailable("import accounts", err)
	}
	for _, a := range accounts {
		s.tell(ctx, Event{Name: EventUserCreated, User: a.Username, By: by.By, Client: by.Client, Detail: strings.Join(a.Roles, ",")})
	}
	return accounts, nil
}

// CheckImport says what ImportAccounts would refuse, and changes nothing.
func (s *Service) CheckImport(ctx context.Context, list []Imported) error {
	_, err := s.planImport(ctx, list)
	return err
}

// planImport makes the rows of a list that has no fault.
func (s *Service) planImport(ctx context.Context, list []Imported) ([]Account, error) {
	st := s.current.Load()
	names, err := s.takenNames(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now().UTC()
	accounts, all := make([]Account, len(list)), &ImportError{}
	for i, in := range list {
		a, faults := st.imported(in, now)
		for _, f := range faults {
			all.Faults = append(all.Faults, ImportFault{i, f, -1})
		}
		all.Faults = append(all.Faults, names.claim(a, i)...)
		accounts[i] = a
	}
	if len(all.Faults) > 0 {
		return nil, all
	}
	// New ids come last, so that none takes one that the list gives. Of fifty
	// thousand random integers two are alike more often than not.
	for i := range accounts {
		for try := 0; accounts[i].ID == ""; try++ {
			id, err := newID(st.config.IDFormat, s.rand, now)
			if err != nil {
				return nil, err
			}
			if _, taken := names[Fold(id)]; !taken {
				accounts[i].ID, names[Fold(id)] = id, nameOwner{index: i}
			} else if try == idTries {
				return nil, errors.New("make an id: every one that was tried is taken")
			}
		}
	}
	return accounts, nil
}

// imported is the row of an account, and what is wrong with it.
func (st *state) imported(in Imported, now time.Time) (Account, []FieldError) {
	if in.Username == "" {
		in.Username = in.Email
	}
	if in.Created.IsZero() || in.Created.After(now) {
		in.Created = now
	}
	a := Account{
		ID: in.ID, Username: in.Username, Email: in.Email, EmailVerified: in.Email != "" && !in.Unverified, Name: in.Name,
		Roles: slices.Clone(in.Roles), Fields: presentFields(in.Fields), PasswordHash: in.PasswordHash, Disabled: in.Disabled,
		Version: now.UnixMilli(), // as AddAccount has it, and for its reason
		Created: in.Created.UTC(), Updated: now,
	}
	faults := st.accountFaults(a)
	if slices.ContainsFunc(in.Roles, func(r string) bool { return !IsPresentable(r) }) {
		// A column too few or too many, and the roles are the hashes.
		faults = append(faults, FieldError{"roles", "are no names of roles; known are " + strings.Join(st.config.Roles, ", ")})
		in.Roles = nil
	}
	faults = append(faults, st.newFaults(in.Roles, in.Fields)...)
	if in.ID != "" {
		faults = appendFault(faults, "id", idFault(in.ID))
	}
	if in.PasswordHash != "" {
		if _, err := legacyhash.Parse(in.PasswordHash); err != nil {
			faults = append(faults, FieldError{"password_hash", err.Error()})
		}
	}
	if in.Password != "" {
		faults = append(faults, FieldError{"password", "must not be given in clear; give its hash"})
	}
	return a, faults
}

// nameOwner is who has a name: an account of the list, or one that exists.
type nameOwner struct {
	index    int
	existing string // username
}

// nameOwners are the names that are taken, by their folded form.
type nameOwners map[string]nameOwner

// takenNames are the names of all accounts that exist.
func (s *Service) takenNames(ctx context.Context) (nameOwners, error) {
	all, err := s.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	names := make(nameOwners, 3*len(all))
	for _, a := range all {
		for _, name := range []string{a.ID, a.Username, a.Email} {
			names[Fold(name)] = nameOwner{index: -1, existing: a.Username}
		}
	}
	delete(names, "") // no name is nobody's
	return names, nil
}

// claim takes the names of the account at index i, and says which of them
// somebody has.
func (names nameOwners) claim(a Account, i int) []ImportFault {
	var faults []ImportFault
	for _, n := range []struct{ field, name string }{{"id", a.ID}, {"username", a.Username}, {"email", a.Email}} {
		if n.name == "" {
			continue
		}
		folded := Fold(n.name)
		switch owner, taken := names[folded]; {
		case !taken:
			names[folded] = nameOwner{index: i}
		case owner.existing != "":
			faults = append(faults, ImportFault{i, FieldError{n.field, fmt.Sprintf("is taken by the account %q", owner.existing)}, -1})
		case owner.index != i:
			faults = append(faults, ImportFault{i, FieldError{n.field, "is taken by an account before it"}, owner.index})
		}
	}
	return faults
}

// secretForm is what hashes and tokens look like and names do not: signs that
// hashes begin with, or a long run of the letters of base64.
var secretForm = regexp.MustCompile(`[${}]|[A-Za-z0-9+/=]{28}`)

// IsPresentable tells whether a text that was meant for a name may be shown in
// a report: where columns have slipped, the hash may stand in its place.
func IsPresentable(name string) bool {
	return len(name) <= maxEmail && !secretForm.MatchString(name) && !strings.ContainsFunc(name, isControl)
}
