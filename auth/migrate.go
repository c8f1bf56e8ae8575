package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// MigrateFrom is the application whose users come along one by one: whoever is
// unknown here is tried at its login, and brought along when that succeeds.
type MigrateFrom struct {
	LoginURL      string         `yaml:"login_url"` // empty: nobody is
	Format        string         `yaml:"format"`    // of the request: json or form
	UsernameField string         `yaml:"username_field"`
	PasswordField string         `yaml:"password_field"`
	SuccessField  string         `yaml:"success_field"` // a field of the answer that must be there, and neither false nor empty
	Fields        []MigrateField `yaml:"fields"`        // what the answer says of the account
	Roles         []MigrateRole  `yaml:"roles"`         // roles that have another name here
	DefaultRoles  []string       `yaml:"default_roles"` // when the answer names none that exists
	EmailVerified bool           `yaml:"email_verified"`
	Timeout       time.Duration  `yaml:"timeout"`
}

// MigrateField is where in the answer a part of the account stands; a dot nests.
type MigrateField struct {
	Field string `yaml:"field"`
	As    string `yaml:"as"` // id, username, email, name, roles, or fields.NAME
}

// MigrateRole is what a role of the old application is called here.
type MigrateRole struct {
	Role string `yaml:"role"`
	As   string `yaml:"as"`
}

// OldLogin tries credentials at the login of the application that from names,
// and answers what that says of the account; everything may be empty. A no is
// ErrInvalidCredentials, wrapped with the reason; any other error means that
// nobody knows. ctx does not end with the request: it must end by from.Timeout.
type OldLogin func(ctx context.Context, from MigrateFrom, cr Credentials) (NewAccount, error)

// fieldsPrefix begins the target of a profile field.
const fieldsPrefix = "fields."

// validateMigration checks the section migrate_from.
func (c Config) validateMigration(f *faults) {
	m := c.MigrateFrom
	// What says nothing of roles is checked while it is off, too: switching it
	// on, in the environment, must not be what finds a slip.
	if m.Format != "json" && m.Format != "form" {
		f.add("migrate_from.format", "must be json or form")
	}
	if m.UsernameField == "" || m.PasswordField == "" || m.UsernameField == m.PasswordField {
		f.add("migrate_from.username_field", "username_field and password_field must be two names")
	}
	f.between("migrate_from.timeout", m.Timeout, 100*time.Millisecond, 30*time.Second)
	if msg := loginURLFault(m.LoginURL); msg != "" {
		f.add("migrate_from.login_url", "%s", msg)
	}
	c.validateMigrateFields(f)
	for i, role := range m.Roles {
		if role.Role == "" {
			f.add(fmt.Sprintf("migrate_from.roles[%d].role", i), "must name a role of the old application")
		}
		if m.LoginURL != "" && !slices.Contains(c.Roles, role.As) {
			f.add(fmt.Sprintf("migrate_from.roles[%d].as", i), "%q is not in auth.roles", role.As)
		}
	}
	for i, role := range m.DefaultRoles {
		if m.LoginURL != "" && !slices.Contains(c.Roles, role) { // else the default is nobody's choice
			f.add(fmt.Sprintf("migrate_from.default_roles[%d]", i), "%q is not in auth.roles", role)
		}
	}
}

// validateMigrateFields checks what an answer's fields are taken for.
func (c Config) validateMigrateFields(f *faults) {
	var seen []string
	for i, field := range c.MigrateFrom.Fields {
		path := fmt.Sprintf("migrate_from.fields[%d]", i)
		if field.Field == "" {
			f.add(path+".field", "must name a field of the answer")
		}
		name, isField := strings.CutPrefix(field.As, fieldsPrefix)
		known := slices.ContainsFunc(c.Profile.Fields, func(p ProfileField) bool { return p.Name == name })
		switch {
		case isField && !known:
			f.add(path+".as", "%q is not in auth.profile.fields", name)
		case !isField && !slices.Contains([]string{"id", "username", "email", "name", "roles"}, field.As):
			f.add(path+".as", "must be id, username, email, name, roles or fields.NAME")
		case slices.Contains(seen, field.As):
			f.add(path+".as", "%s is filled twice", field.As)
		}
		seen = append(seen, field.As)
	}
}

// loginURLFault says what is wrong with the address of the old login.
func loginURLFault(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "must be an address such as http://127.0.0.1:3000/api/login"
	case u.User != nil:
		return "must not hold a username or password"
	case u.Fragment != "":
		return "must not have a fragment (#)"
	}
	return ""
}

// whyUnknown is what the audit log says of a name that nobody has.
const whyUnknown = "unknown"

// prove is provePassword, and for a name that is unknown here the old
// application is asked. It answers the account whose password was proven.
//
// The application is asked about no other name: an account that exists here has
// its password here, and one that was disabled stays so. And it is asked after
// the throttle and after the same hash as for everybody, so that it is no
// better place for guessing than this one.
func (s *Service) prove(ctx context.Context, st *state, a Account, cr Credentials, c Client) (Account, string, error) {
	why, err := provePassword(ctx, st, a, cr.Password)
	if err != nil || why != whyUnknown || !s.asksFor(st, cr) {
		return a, why, err
	}
	// Who hangs up before the answer must not get a guess for nothing: it is
	// waited for and counted. oldLogin has a time of its own.
	n, err := s.oldLogin(context.WithoutCancel(ctx), st.config.MigrateFrom, cr)
	if errors.Is(err, ErrInvalidCredentials) {
		return Account{}, "unknown; " + reasonOf(err), nil
	}
	if err != nil {
		// Not a failed login: the user may be real, and must not be told that the
		// password is wrong.
		s.tell(ctx, Event{Name: EventMigrateFailed, Client: c, Detail: err.Error()})
		return Account{}, "", fmt.Errorf("%w: %w: %w", errUnanswered, &BusyError{RetryAfter: migrateRetry}, err)
	}
	return s.bringAlong(ctx, st, n, cr, c)
}

// errUnanswered is a question at the old application of which nobody knows the
// answer.
var errUnanswered = errors.New("ask the old application")

// migrateRetry is when to try again while the old application does not answer.
const migrateRetry = 5 * time.Second

// asksFor tells whether the old application is asked for a name. What could be
// nobody's is not passed on.
func (s *Service) asksFor(st *state, cr Credentials) bool {
	return s.oldLogin != nil && st.config.MigrateFrom.LoginURL != "" &&
		cr.Username != "" && len(cr.Username) <= maxEmail && !strings.ContainsFunc(cr.Username, isControl)
}

// reasonOf is what stands beside ErrInvalidCredentials.
func reasonOf(err error) string {
	return strings.TrimPrefix(err.Error(), ErrInvalidCredentials.Error()+": ")
}

// bringAlong makes the account of somebody whose password the old application
// has confirmed. It never touches an account that exists: who shares a name
// with one is refused, unless it was made by another first login a moment ago.
func (s *Service) bringAlong(ctx context.Context, st *state, n NewAccount, cr Credentials, c Client) (Account, string, error) {
	now := s.now().UTC()
	a, left, faults := st.migrated(n, cr.Username)
	a.Version, a.Created, a.Updated = now.UnixMilli(), now, now
	if st.config.Password.Algorithm == "bcrypt" && bcryptFault(cr.Password) != "" {
		faults = append(faults, FieldError{"password", "cannot be kept by bcrypt"})
	}
	if len(faults) > 0 {
		return Account{}, "unknown; the old application knows it, but " + faults[0].Field + " " + faults[0].Message, nil
	}
	var err error
	if a.PasswordHash, err = st.hasher.hash(ctx, cr.Password); err != nil {
		return Account{}, "", err
	}
	// The names decide here and not a look before: between the two another first
	// login could come.
	err = s.create(ctx, st, &a)
	var taken *ConflictError
	if errors.As(err, &taken) {
		return s.broughtBefore(ctx, st, taken, cr)
	}
	if err != nil {
		return Account{}, "", err
	}
	detail := strings.Join(a.Roles, ",")
	if len(left) > 0 {
		detail += "; left out: " + strings.Join(left, ", ")
	}
	s.tell(ctx, Event{Name: EventUserMigrated, User: a.Username, Client: c, Detail: detail})
	return a, "", nil
}

// broughtBefore proves the password against the account that has the typed name
// by now. That a name was taken proves nothing about the account that has it.
func (s *Service) broughtBefore(ctx context.Context, st *state, taken *ConflictError, cr Credentials) (Account, string, error) {
	a, err := s.candidate(ctx, Fold(cr.Username))
	if err != nil {
		return Account{}, "", err
	}
	if a.ID == "" {
		return Account{}, "unknown; the old application knows it, but its " + taken.Field + " is another account's", nil
	}
	why, err := provePassword(ctx, st, a, cr.Password)
	return a, why, err
}

// migrated is the account as it would be made of what the old application says,
// without what cannot be kept. What cannot be left out is a fault: its id and
// username are what others will know the account by.
func (st *state) migrated(n NewAccount, typed string) (a Account, left []string, faults []FieldError) {
	m := st.config.MigrateFrom
	email := n.Email
	if email == "" && strings.Contains(typed, "@") {
		email = typed // what the old application takes for a name of that user
	}
	if email != "" && emailFault(email) != "" {
		email, left = "", append(left, "email")
	}
	// An address that the user typed is no word of the application's: some look
	// no further than what stands before the @.
	verified := m.EmailVerified && email != "" && email == n.Email
	a = Account{ID: n.ID, Username: n.Username, Email: email, EmailVerified: verified, Roles: st.migratedRoles(n.Roles)}
	if a.Username == "" && strings.Contains(typed, "@") {
		a.Username = email
	}
	a.Username = cmp.Or(a.Username, typed) // as it was typed: the old application may tell cases apart
	if nameFault(n.Name) == "" {
		a.Name = n.Name
	} else {
		left = append(left, "name")
	}
	if fields := presentFields(n.Fields); len(append(fieldFaults(fields), st.newFaults(nil, fields)...)) == 0 {
		a.Fields = fields
	} else {
		left = append(left, "fields")
	}
	faults = appendFault(faults, "username", usernameFault(a.Username, a.Email))
	if a.ID != "" {
		faults = appendFault(faults, "id", idFault(a.ID))
	}
	return a, left, faults
}

// migratedRoles are the roles that exist here of those that the old application
// names, or the default ones.
func (st *state) migratedRoles(named []string) []string {
	m := st.config.MigrateFrom
	var roles []string
	for _, role := range named {
		if i := slices.IndexFunc(m.Roles, func(r MigrateRole) bool { return r.Role == role }); i >= 0 {
			role = m.Roles[i].As
		}
		if slices.Contains(st.config.Roles, role) && !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	if len(roles) == 0 {
		return slices.Clone(m.DefaultRoles)
	}
	return roles
}
