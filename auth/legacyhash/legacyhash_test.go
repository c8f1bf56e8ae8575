package legacyhash

import (
	"errors"
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
