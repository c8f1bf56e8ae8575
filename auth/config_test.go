package auth

import (
	"strings"
	"testing"
	"time"
)

func TestTheDefaultConfigurationIsGood(t *testing.T) {
	if f := DefaultConfig().Validate(); len(f) > 0 {
		t.Errorf("%+v", f)
	}
}

func TestEveryBadValueIsNamed(t *testing.T) {
	for path, spoil := range map[string]func(*Config){
		"issuer":                        func(c *Config) { c.Issuer = "http://a b" },
		"audience":                      func(c *Config) { c.Audience = nil },
		"audience[1]":                   func(c *Config) { c.Audience = []string{"a", ""} },
		"access_token.algorithm":        func(c *Config) { c.AccessToken.Algorithm = "none" },
		"access_token.ttl":              func(c *Config) { c.AccessToken.TTL = 0 },
		"refresh_token.ttl":             func(c *Config) { c.RefreshToken.TTL = -time.Hour },
		"refresh_token.session_ttl":     func(c *Config) { c.RefreshToken.SessionTTL = 0 },
		"refresh_token.reuse_grace":     func(c *Config) { c.RefreshToken.ReuseGrace = time.Hour },
		"id_format":                     func(c *Config) { c.IDFormat = "serial" },
		"password.algorithm":            func(c *Config) { c.Password.Algorithm = "md5" },
		"password.min_length":           func(c *Config) { c.Password.MinLength = 0 },
		"password.max_length":           func(c *Config) { c.Password.MaxLength = 1025 },
		"password.max_concurrent":       func(c *Config) { c.Password.MaxConcurrent = -1 },
		"password.memory_budget":        func(c *Config) { c.Password.MemoryBudget = 1 << 20 },
		"registration.default_roles[0]": func(c *Config) { c.Registration = Registration{Enabled: true, DefaultRoles: []string{"ghost"}} },
		"registration.allow_roles[1]":   func(c *Config) { c.Registration.AllowRoles = []string{"user", "ghost"} },
		"password.breached_file":        func(c *Config) { c.Password.BreachedFile = "no/such/list.txt" },
		"lockout.attempts":              func(c *Config) { c.Lockout.Attempts = -1 },
		"lockout.window":                func(c *Config) { c.Lockout.Window = 0 },
		"lockout.duration":              func(c *Config) { c.Lockout.Duration = 48 * time.Hour },
		"roles[1]":                      func(c *Config) { c.Roles = []string{"a", "a"} },
		"roles[0]":                      func(c *Config) { c.Roles = []string{"a,b"} },
		"profile.fields[0].name":        func(c *Config) { c.Profile.Fields = []ProfileField{{Name: "a b"}} },
		"profile.fields[1].name":        func(c *Config) { c.Profile.Fields = []ProfileField{{Name: "phone"}, {Name: "Phone"}} },
		"profile.fields[2].name":        func(c *Config) { c.Profile.Fields = []ProfileField{{Name: "a"}, {Name: "b"}, {Name: "Email"}} },
	} {
		c := DefaultConfig()
		spoil(&c)
		faults := c.Validate()
		if len(faults) != 1 || faults[0].Path != path || faults[0].Message == "" {
			t.Errorf("%s: %+v", path, faults)
		}
	}
}

func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	if faults := (Config{}).Validate(); len(faults) < 8 {
		t.Errorf("an empty configuration has %d faults: %+v", len(faults), faults)
	}
}

func TestBcryptBoundsTheLeastLength(t *testing.T) {
	c := DefaultConfig()
	c.Password.Algorithm, c.Password.MinLength = "bcrypt", 73
	if faults := c.Validate(); len(faults) != 1 || !strings.Contains(faults[0].Message, "bcrypt") {
		t.Errorf("%+v", faults)
	}
}

// One hash of scrypt takes 128 MiB, and less than that makes none.
func TestScryptNeedsItsMemory(t *testing.T) {
	c := DefaultConfig()
	c.Password.Algorithm = "scrypt"
	for budget, faults := range map[Bytes]int{128 << 20: 0, 256 << 20: 0, 128<<20 - 1: 1, 64 << 20: 1} {
		c.Password.MemoryBudget = budget
		if f := c.Validate(); len(f) != faults || (faults > 0 && !strings.Contains(f[0].Message, "one hash takes 128MiB")) {
			t.Errorf("%s: %+v", budget, f)
		}
	}
}

func TestALockoutThatIsOffNeedsNoTimes(t *testing.T) {
	c := DefaultConfig()
	c.Lockout = Lockout{}
	if faults := c.Validate(); len(faults) > 0 {
		t.Errorf("%+v", faults)
	}
}

func TestAmountsOfMemoryAreReadAsWritten(t *testing.T) {
	for text, want := range map[string]Bytes{"256MiB": 256 << 20, "64KiB": 64 << 10, "1GiB": 1 << 30, "65537": 65537, "0": 0, "2 MiB": 2 << 20} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s: %d %v", text, b, err)
		}
		var again Bytes
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%s was written as %s", text, b)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5GiB", "1MB", "256mib", "9223372036854775807KiB", "1e3", "0x10", "010", "+5", "-0", "-0KiB", "1  KiB", " 1KiB", "1\tKiB", "1\u00a0KiB", "1 "} {
		b := Bytes(7)
		if err := b.UnmarshalText([]byte(text)); err == nil || b != 7 || !strings.Contains(err.Error(), "256MiB") {
			t.Errorf("%q: %d %v", text, b, err)
		}
	}
}

// Who writes `refresh_token: { ttl: 10s }` has not said anything wrong.
func TestTheDefaultGraceYieldsToShortTokens(t *testing.T) {
	for _, test := range []struct {
		ttl, grace, want time.Duration // want below zero: a fault
	}{
		{7 * 24 * time.Hour, defaultReuseGrace, defaultReuseGrace},
		{31 * time.Second, defaultReuseGrace, defaultReuseGrace},
		{30 * time.Second, defaultReuseGrace, 15 * time.Second},
		{time.Second, defaultReuseGrace, time.Second / 2},
		{3 * time.Second, 2 * time.Second, 2 * time.Second},
		{3 * time.Second, 0, 0},
		{3 * time.Second, 3 * time.Second, -1},
		{3 * time.Second, 29 * time.Second, -1},
	} {
		c := DefaultConfig()
		c.RefreshToken.TTL, c.RefreshToken.ReuseGrace = test.ttl, test.grace
		faults := c.Validate()
		if (len(faults) > 0) != (test.want < 0) {
			t.Errorf("%v and %v: %+v", test.ttl, test.grace, faults)
		}
		if got := c.RefreshToken.grace(); test.want >= 0 && got != test.want {
			t.Errorf("%v and %v: the grace is %v, want %v", test.ttl, test.grace, got, test.want)
		}
	}
}
