package auth

import "time"

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
	Lockout      Lockout      `yaml:"lockout"`
	Roles        []string     `yaml:"roles"`
	Profile      Profile      `yaml:"profile"`
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

// Password says how passwords are kept and what a new one must be.
type Password struct {
	Algorithm     string `yaml:"algorithm"`
	MinLength     int    `yaml:"min_length"`
	MaxLength     int    `yaml:"max_length"`
	MaxConcurrent int    `yaml:"max_concurrent"`
	MemoryBudget  Bytes  `yaml:"memory_budget"`
}

// Registration says whether strangers may make accounts.
type Registration struct {
	Enabled      bool     `yaml:"enabled"`
	DefaultRoles []string `yaml:"default_roles"`
	AllowRoles   []string `yaml:"allow_roles"`
}

// Lockout says how many failed logins are too many.
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
		RefreshToken: RefreshToken{TTL: 7 * 24 * time.Hour, ReuseGrace: 30 * time.Second, SessionTTL: 30 * 24 * time.Hour},
		IDFormat:     "uuid",
		Password:     Password{Algorithm: "argon2id", MinLength: 8, MaxLength: 256, MemoryBudget: 256 << 20},
		Registration: Registration{DefaultRoles: []string{"user"}},
		Lockout:      Lockout{Attempts: 5, Window: 10 * time.Minute, Duration: 15 * time.Minute},
		Roles:        []string{"user", "admin"},
	}
}

// Fault is something wrong with a configuration value.
type Fault struct {
	Path    string // the key's path below auth, e.g. access_token.ttl
	Message string
}
