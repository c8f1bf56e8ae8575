package legacyhash

import (
	"errors"
	"strings"
	"testing"
)

func TestTheZeroHashMatchesNothing(t *testing.T) {
	for _, password := range []string{"", "x", "password"} {
		if (Hash{}).Matches(password) {
			t.Errorf("%q passes", password)
		}
	}
}

func TestBcryptVariantsThatAreBrokenAreRefused(t *testing.T) {
	const rest = "05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
	for _, prefix := range []string{"$2$", "$2x$"} {
		if _, err := Parse(prefix + rest); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", prefix, err)
		}
	}
	for _, prefix := range []string{"$2a$", "$2b$", "$2y$"} {
		h, err := Parse(prefix + rest)
		if err != nil || !h.Matches("U*U") || h.Matches("U*") || h.Scheme() != "bcrypt" || h.Cost() != "cost=5" {
			t.Errorf("%s: %v, %s %s", prefix, err, h.Scheme(), h.Cost())
		}
	}
}

func TestNoErrorRepeatsTheHash(t *testing.T) {
	for _, text := range []string{"", "secret-and-plain", "$2a$99$secret", "$argon2id$v=19$m=1,t=1,p=1$secret$secret", strings.Repeat("secret", 1000)} {
		h, err := Parse(text)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.40q: %v", text, err)
		}
		if h.check != nil || h.scheme != "" {
			t.Errorf("%.40q: an error and a hash", text)
		}
	}
}
