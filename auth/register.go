package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Applicant is what a stranger says to get an account. Without a Username the
// e-mail address is the username. Fields are as JSON decodes them.
type Applicant struct {
	Username, Email, Name, Password string
	Roles                           []string
	Fields                          map[string]any
}

// RegistrationOpen tells whether strangers may make accounts.
func (s *Service) RegistrationOpen() bool { return s.current.Load().config.Registration.Enabled }

// Register makes an account for a stranger and begins its first session, unless
// the client's terms are without one.
//
// Everything that is wrong with the input is one *InvalidError; a name, address
// or id that somebody has is a *ConflictError. Roles are the default ones, or
// those that were asked for where every one of them may be: another role is a
// fault, and never left out without a word. Of the fields only those that an
// owner may edit can be set. An e-mail address is the stranger's own word, so it
// does not count as verified. Too many from one address are a *LockedError, too
// many at once a *BusyError; where registration is off it is ErrNotFound.
func (s *Service) Register(ctx context.Context, r Applicant, c Client) (_ Grant, err error) {
	st := s.current.Load()
	if !st.config.Registration.Enabled {
		return Grant{}, fmt.Errorf("registration: %w", ErrNotFound)
	}
	defer func() { s.counts.registrations.add(resultOf(err)) }()
	a, err := s.accountOf(st, r)
	if err != nil {
		return Grant{}, err
	}
	if err := s.admit(ctx, st, &a, r, c); err != nil {
		return Grant{}, err
	}
	g, err := s.begin(ctx, st, a, c)
	if err != nil {
		return Grant{}, err
	}
	if g.Session != "" {
		s.counts.logins.add(resultSuccess)
		s.tell(ctx, Event{Name: EventLogin, User: a.Username, Client: c})
	}
	return g, nil
}

// accountOf is the account that an applicant asks for, or all that is wrong with
// it.
func (s *Service) accountOf(st *state, r Applicant) (Account, error) {
	now := s.now().UTC().Truncate(time.Millisecond) // as the store keeps it
	fields, faults := ParseFields(r.Fields)
	faults = append(faults, st.editFaults(fields)...)
	a := Account{
		Username: r.Username, Email: r.Email, Name: r.Name, Fields: presentFields(fields),
		Roles: slices.Clone(st.config.Registration.DefaultRoles), Version: now.UnixMilli(), Created: now, Updated: now,
	}
	if len(r.Roles) > 0 {
		a.Roles = slices.Clone(r.Roles)
		faults = append(faults, st.askFaults(r.Roles)...)
	}
	if a.Username == "" {
		a.Username = a.Email
	}
	for _, f := range append(st.accountFaults(a), strangerFaults(a)...) {
		// What is wrong with an address is said of the address, not again of the
		// username that it stands in for.
		if f.Field != "username" || r.Username != "" || r.Email == "" {
			faults = append(faults, f)
		}
	}
	weak, err := st.weakness(r.Password, a)
	if err != nil {
		return Account{}, err
	}
	return a, invalid(appendFault(faults, "password", weak))
}

// askFaults refuses roles that a stranger may not ask for. What everybody gets
// may be named: many a client always sends it.
func (st *state) askFaults(roles []string) []FieldError {
	conf := st.config.Registration
	var faults []FieldError
	for i, r := range roles {
		switch {
		case !slices.Contains(conf.AllowRoles, r) && !slices.Contains(conf.DefaultRoles, r):
			faults = append(faults, FieldError{"roles", fmt.Sprintf("%q cannot be had by registering", truncate(r, maxRole))})
		case slices.Index(roles, r) < i:
			faults = append(faults, FieldError{"roles", fmt.Sprintf("%q is listed twice", r)})
		}
	}
	return faults
}

// admit stores a new account, unless its address has brought too many. Of two
// that ask for one name at once the store lets one have it.
func (s *Service) admit(ctx context.Context, st *state, a *Account, r Applicant, c Client) error {
	refused := Event{Name: EventRegisterRefused, Client: c, Detail: "too many"}
	if err := s.applicants.admit(st.config.Lockout, c.Address, s.now()); err != nil {
		s.tell(ctx, refused)
		return err
	}
	err := s.keep(ctx, st, a, r.Password)
	var taken *ConflictError
	if errors.As(err, &taken) {
		s.applicants.charge(c.Address, costOfTaken)
		refused.Detail = taken.Field + " is taken"
		s.tell(ctx, refused)
		if taken.Field == "username" && r.Username == "" { // the address was tried as one
			return &ConflictError{Field: "email"}
		}
		return err
	}
	if err != nil {
		return err
	}
	s.tell(ctx, Event{Name: EventUserCreated, User: a.Username, Client: c, Detail: strings.Join(a.Roles, ",")})
	return nil
}

// Registrations from one address have a budget per auth.lockout's window: at the
// defaults 1,000 accounts in ten minutes, for a whole company may register on
// one morning. A name that is taken costs more, since the answer says that
// somebody has it: 200 such answers are no way to read a list of who is here.
const (
	registrationFactor = 200 // of lockout.attempts
	costOfTaken        = 4   // beside the one of every attempt
	applicantsSize     = 1 << 14
)

// applicants counts registrations by address, as network counts addresses. It is
// bounded and in memory: a restart, and more addresses than it holds, forgive.
type applicants struct {
	mu   sync.Mutex // guards the following
	from map[string]spent
}

// spent is what an address has used of its budget since a time.
type spent struct {
	count int
	since time.Time
}

// newApplicants begins with nobody; without its map admit could not count.
func newApplicants() *applicants { return &applicants{from: map[string]spent{}} }

// admit counts an attempt, or answers a *LockedError for one too many. Who has
// no address (all come through one unix socket) is not counted.
func (as *applicants) admit(conf Lockout, address netip.Addr, now time.Time) error {
	n := network(address)
	if conf.Attempts == 0 || n == UnknownNetwork {
		return nil
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	one, known := as.from[n]
	if !known || now.Sub(one.since) >= conf.Window {
		one = spent{since: now}
	}
	if one.count >= conf.Attempts*registrationFactor {
		return &LockedError{RetryAfter: one.since.Add(conf.Window).Sub(now)}
	}
	if !known {
		as.makeRoom(conf.Window, now)
	}
	one.count++
	as.from[n] = one
	return nil
}

// charge adds to what an address has spent.
func (as *applicants) charge(address netip.Addr, cost int) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if one, ok := as.from[network(address)]; ok {
		one.count += cost
		as.from[network(address)] = one
	}
}

// makeRoom keeps the map within its size: what is over goes, else any one.
func (as *applicants) makeRoom(window time.Duration, now time.Time) {
	if len(as.from) < applicantsSize {
		return
	}
	for n, one := range as.from {
		if now.Sub(one.since) >= window {
			delete(as.from, n)
		}
	}
	for n := range as.from {
		if len(as.from) < applicantsSize {
			return
		}
		delete(as.from, n)
	}
}

// strangerFaults refuses names that a person would take for another's, though
// folding does not make one of the two, and names that an application would take
// for a place. An administrator may give such a name, a stranger may not.
func strangerFaults(a Account) []FieldError {
	faults := appendFault(nil, "username", strangerFault(a.Username))
	return appendFault(faults, "email", strangerFault(a.Email))
}

// strangerFault says what is wrong with a name that a stranger chose; of one that
// is refused for its length it says nothing. With a Cyrillic а in it, "аlice" reads as
// alice; with a filler behind it or two spaces for one, nothing at all is seen.
// And of ../alice an application that keeps a directory for each user makes the
// directory of another.
func strangerFault(name string) string {
	folded := foldShort(name)
	switch {
	case mixesAlphabets(folded):
		return "mixes letters of several alphabets, and would look like another name"
	case strings.ContainsFunc(name, isInvisible) || strings.Contains(folded, "  "):
		return "has characters that do not show, and would look like another name"
	case strings.ContainsAny(folded, `/\`) || folded != "" && strings.Trim(folded, ".") == "":
		return `must not contain / or \, or be dots alone`
	}
	return ""
}

// isInvisible finds letters and marks that show nothing: what Unicode has a
// reader ignore (the rest of that is Cf, which no name holds), and the Braille
// pattern without dots.
func isInvisible(r rune) bool {
	const noDots = '\u2800'
	return r == noDots || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// mixesAlphabets reports letters of more than one of the alphabets that look
// alike, in a folded name or in one part of an address: its sides and the labels of its
// domain may differ, as in иван@example.com. Scripts that share no shapes with
// Latin stand beside it in many a name.
func mixesAlphabets(folded string) bool {
	local, domain, _ := strings.Cut(folded, "@")
	for _, part := range append(strings.Split(domain, "."), local) {
		alphabets := 0
		for _, table := range []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Coptic, unicode.Lisu} {
			if strings.ContainsFunc(part, func(r rune) bool { return unicode.Is(table, r) }) {
				alphabets++
			}
		}
		if alphabets > 1 {
			return true
		}
	}
	return false
}
