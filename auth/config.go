package auth

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is the part of gateway.yaml's `auth` section that this package
// heeds. Paths, cookies and origins are auth/web's.
type Config struct {
	Issuer       string       `yaml:"issuer"` // default: public_url, filled in by the wiring
	Audience     []string     `yaml:"audience"`
	AccessToken  AccessToken  `yaml:"access_token"`
	RefreshToken RefreshToken `yaml:"refresh_token"`
	IDFormat     string       `yaml:"id_format"`
	Password     Password     `yaml:"password"`
	Registration Registration `yaml:"registration"`
	MigrateFrom  MigrateFrom  `yaml:"migrate_from"`
	Lockout      Lockout      `yaml:"lockout"`
	Roles        []string     `yaml:"roles"`
	Profile      Profile      `yaml:"profile"`

	// LongestAccess is the longest Terms.AccessTTL that anybody will ask for:
	// of the aliases, filled in by the wiring. Zero: none is longer than
	// AccessToken.TTL.
	LongestAccess time.Duration `yaml:"-"`

	// Assertions tells whether upstreams are sent assertions, which then have a
	// key; see Service.Assert. Filled in by the wiring.
	Assertions bool `yaml:"-"`

	// Subscribers are the upstreams that are told of what becomes of accounts.
	// Filled in by the wiring.
	Subscribers []Subscriber `yaml:"-"`
}

// AccessToken says how access tokens are made.
type AccessToken struct {
	TTL       time.Duration `yaml:"ttl"`
	Algorithm string        `yaml:"algorithm"`
}

// RefreshToken says how long refresh tokens and sessions live.
type RefreshToken struct {
	TTL        time.Duration `yaml:"ttl"`
	ReuseGrace time.Duration `yaml:"reuse_grace"`
	SessionTTL time.Duration `yaml:"session_ttl"`
}

// defaultReuseGrace is for a lost answer, or several tabs.
const defaultReuseGrace = 30 * time.Second

// grace is how long a spent token still gets the current one. The default is cut
// to half of a token's life where that is no longer: who asks for short tokens
// need not know of it. Config.Validate refuses any other grace as long as that.
func (r RefreshToken) grace() time.Duration {
	if r.ReuseGrace >= r.TTL {
		return r.TTL / 2
	}
	return r.ReuseGrace
}

// Password says how passwords are kept and what a new one must be.
type Password struct {
	Algorithm     string `yaml:"algorithm"`
	MinLength     int    `yaml:"min_length"`
	MaxLength     int    `yaml:"max_length"`
	MaxConcurrent int    `yaml:"max_concurrent"`
	MemoryBudget  Bytes  `yaml:"memory_budget"`
	BreachedFile  string `yaml:"breached_file"` // a list of known passwords to refuse (HASH:COUNT, sorted); empty: none
}

// Registration says whether strangers may make accounts.
type Registration struct {
	Enabled      bool     `yaml:"enabled"`
	DefaultRoles []string `yaml:"default_roles"`
	AllowRoles   []string `yaml:"allow_roles"`
}

// Lockout says how many failed logins are too many: Attempts of a name from one
// address within Window lock the two together for Duration, 10 times as many of
// whatever names the address, and 100 times as many from everywhere the name.
// Where an account has logged in within 30 days only the first holds. An IPv6
// address counts as its /64. With 0 Attempts nothing is counted.
type Lockout struct {
	Attempts int           `yaml:"attempts"`
	Window   time.Duration `yaml:"window"`
	Duration time.Duration `yaml:"duration"`
}

// Profile lists the fields of an account beyond the built-in ones.
type Profile struct {
	Fields []ProfileField `yaml:"fields"`
}

// ProfileField is one field.
type ProfileField struct {
	Name     string `yaml:"name"`
	Editable bool   `yaml:"editable"` // by its owner
	Public   bool   `yaml:"public"`
}

// Bytes is an amount of memory. It reads 256MiB, 64KiB, 1GiB, or a plain
// number of bytes.
type Bytes int64

// DefaultConfig is the configuration of an empty file.
func DefaultConfig() Config {
	return Config{
		Audience:     []string{"postern"},
		AccessToken:  AccessToken{TTL: 15 * time.Minute, Algorithm: "ES256"},
		RefreshToken: RefreshToken{TTL: 7 * 24 * time.Hour, ReuseGrace: defaultReuseGrace, SessionTTL: 30 * 24 * time.Hour},
		IDFormat:     "uuid",
		Password:     Password{Algorithm: "argon2id", MinLength: 8, MaxLength: 256, MemoryBudget: 256 << 20},
		MigrateFrom: MigrateFrom{
			Format: "json", UsernameField: "username", PasswordField: "password", DefaultRoles: []string{"user"}, Timeout: 5 * time.Second,
		},
		Registration: Registration{DefaultRoles: []string{"user"}},
		Lockout:      Lockout{Attempts: 5, Window: 10 * time.Minute, Duration: 15 * time.Minute},
		Roles:        []string{"user", "admin"},
	}
}

// UnmarshalText reads an amount such as 256MiB, 64KiB, 1GiB or 65536, in decimal
// digits without a sign or zeros before them: readers of YAML differ over 010. A
// space may stand before the unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	digits, unit := string(text), int64(1)
	for _, u := range []struct {
		suffix string
		size   int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}} {
		if cut, ok := strings.CutSuffix(digits, u.suffix); ok {
			digits, unit = strings.TrimSuffix(cut, " "), u.size
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit || strconv.FormatInt(n, 10) != digits {
		return fmt.Errorf("%q is no amount of memory; write it as 256MiB, 64KiB, 1GiB or a number of bytes", text)
	}
	*b = Bytes(n * unit)
	return nil
}

// String writes the amount in its largest whole unit, as UnmarshalText reads it.
func (b Bytes) String() string {
	switch {
	case b != 0 && b%(1<<30) == 0:
		return strconv.FormatInt(int64(b>>30), 10) + "GiB"
	case b != 0 && b%(1<<20) == 0:
		return strconv.FormatInt(int64(b>>20), 10) + "MiB"
	case b != 0 && b%(1<<10) == 0:
		return strconv.FormatInt(int64(b>>10), 10) + "KiB"
	}
	return strconv.FormatInt(int64(b), 10)
}

// Fault is something wrong with a configuration value.
type Fault struct {
	Path    string // the key's path below auth, e.g. access_token.ttl
	Message string
}

// faults collects what is wrong, so that all of it is reported at once.
type faults []Fault

// add notes a fault at a key. The message follows the key, so it begins with the
// value or a verb, and says what to write instead.
func (f *faults) add(path, format string, args ...any) {
	*f = append(*f, Fault{Path: path, Message: fmt.Sprintf(format, args...)})
}

// between demands low <= d <= high.
func (f *faults) between(path string, d, low, high time.Duration) {
	if d < low || d > high {
		f.add(path, "%s is out of bounds: from %s to %s", d, low, high)
	}
}

// Validate lists everything that is wrong with the configuration; none when it
// may be used. It changes nothing.
func (c Config) Validate() []Fault {
	var f faults
	c.validateTokens(&f)
	c.validatePassword(&f)
	c.validateNames(&f)
	c.validateRegistration(&f)
	c.validateMigration(&f)
	if c.Lockout.Attempts < 0 || c.Lockout.Attempts > 10000 {
		f.add("lockout.attempts", "%d is out of bounds: from 0 (off) to 10000", c.Lockout.Attempts)
	}
	if c.Lockout.Attempts > 0 {
		f.between("lockout.window", c.Lockout.Window, time.Second, 24*time.Hour)
		f.between("lockout.duration", c.Lockout.Duration, time.Second, 24*time.Hour)
	}
	return f
}

const day = 24 * time.Hour

// MaxAccessTTL is the longest life of an access token: what is revoked has to be
// remembered for so long.
const MaxAccessTTL = 30 * day

// validateTokens judges what tokens say and how long they live. Every lifetime
// has an upper bound: revocations are remembered for as long as a token can
// live.
func (c Config) validateTokens(f *faults) {
	if strings.ContainsFunc(c.Issuer, isControlOrSpace) {
		f.add("issuer", "must not contain spaces or control characters")
	}
	if len(c.Audience) == 0 {
		f.add("audience", "must name at least one audience; leave it out for [postern]")
	}
	for i, a := range c.Audience {
		if a == "" || len(a) > 256 || strings.ContainsFunc(a, isControlOrSpace) {
			f.add(fmt.Sprintf("audience[%d]", i), "%q is no audience: 1 to 256 bytes, no spaces, no control characters", a)
		}
	}
	if _, ok := algorithmByName(c.AccessToken.Algorithm); !ok {
		f.add("access_token.algorithm", "unknown algorithm %q; known are %s", c.AccessToken.Algorithm, strings.Join(algorithmNames(), ", "))
	}
	f.between("access_token.ttl", c.AccessToken.TTL, time.Second, MaxAccessTTL)
	f.between("refresh_token.ttl", c.RefreshToken.TTL, time.Second, 3650*day)
	f.between("refresh_token.session_ttl", c.RefreshToken.SessionTTL, time.Second, 3650*day)
	// Within the grace a stolen token that was already spent still answers, so
	// it stays a matter of retries, not of minutes without end.
	f.between("refresh_token.reuse_grace", c.RefreshToken.ReuseGrace, 0, 5*time.Minute)
	if g := c.RefreshToken.ReuseGrace; c.RefreshToken.TTL > 0 && g >= c.RefreshToken.TTL && g != defaultReuseGrace {
		f.add("refresh_token.reuse_grace", "must be shorter than refresh_token.ttl (%s)", c.RefreshToken.TTL)
	}
	if c.IDFormat != formatUUID && c.IDFormat != formatInteger && c.IDFormat != formatObjectID {
		f.add("id_format", "unknown format %q; known are uuid, integer, objectid", c.IDFormat)
	}
}

// validatePassword demands a length that the algorithm can honour, and room for
// at least one hash. bcrypt ignores what is past its 72 bytes, so that two
// passwords would be one.
func (c Config) validatePassword(f *faults) {
	p := c.Password
	memory := Bytes(argonMemory << 10)
	switch p.Algorithm {
	case "argon2id", "bcrypt":
	case "scrypt":
		memory = scryptMemory << 10
	default:
		f.add("password.algorithm", "unknown algorithm %q; known are argon2id, bcrypt, scrypt", p.Algorithm)
	}
	if p.MinLength < 1 || p.MinLength > p.MaxLength {
		f.add("password.min_length", "%d is out of bounds: from 1 to max_length (%d)", p.MinLength, p.MaxLength)
	}
	if p.MaxLength > maxPassword {
		f.add("password.max_length", "%d is out of bounds: at most %d, since login reads no more", p.MaxLength, maxPassword)
	}
	if p.Algorithm == "bcrypt" && p.MinLength > maxBcrypt {
		f.add("password.min_length", "%d is out of bounds: bcrypt takes at most %d bytes", p.MinLength, maxBcrypt)
	}
	if p.MaxConcurrent < 0 || p.MaxConcurrent > 1024 {
		f.add("password.max_concurrent", "%d is out of bounds: from 0 (cores - 1) to 1024", p.MaxConcurrent)
	}
	if p.MemoryBudget < memory {
		f.add("password.memory_budget", "%s is too little: one hash takes %s", p.MemoryBudget, memory)
	}
	if msg := breachedFault(p.BreachedFile); msg != "" {
		f.add("password.breached_file", "%s", msg)
	}
}

// validateRegistration demands that every role which a registration may bring
// exists. The default roles are judged only where they count: [user] is there
// without being written.
func (c Config) validateRegistration(f *faults) {
	known := func(key string, roles []string) {
		for i, r := range roles {
			if !slices.Contains(c.Roles, r) {
				f.add(fmt.Sprintf("registration.%s[%d]", key, i), "unknown role %q; auth.roles has %s", r, strings.Join(c.Roles, ", "))
			}
		}
	}
	if c.Registration.Enabled {
		known("default_roles", c.Registration.DefaultRoles)
	}
	known("allow_roles", c.Registration.AllowRoles)
}

// fieldName is what a profile field may be called: it becomes a member of JSON
// objects and of token claims, so it has one spelling only.
var fieldName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// validateNames demands names that can be told apart wherever they turn up. A
// profile field that differs from another, or from a part of every account, only
// in the case of its letters is the same to many a JSON decoder.
func (c Config) validateNames(f *faults) {
	for i, r := range c.Roles {
		path := fmt.Sprintf("roles[%d]", i)
		if msg := roleFault(r); msg != "" {
			f.add(path, "%q: %s", r, msg)
		}
		if slices.Index(c.Roles, r) < i {
			f.add(path, "%q is listed twice", r)
		}
	}
	seen := map[string]bool{"id": true, "username": true, "email": true, "name": true, "roles": true, "password": true}
	for i, p := range c.Profile.Fields {
		path := fmt.Sprintf("profile.fields[%d].name", i)
		switch folded := strings.ToLower(p.Name); {
		case !fieldName.MatchString(p.Name):
			f.add(path, "%q is no field name: a letter, then letters, digits, _ or -, at most 64", p.Name)
		case seen[folded]:
			f.add(path, "%q is taken, by another field or by a part of every account", p.Name)
		default:
			seen[folded] = true
		}
	}
}
