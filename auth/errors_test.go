package auth_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

// wantError compares outcomes as callers do.
func wantError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Fatalf("got error %v, want %v", got, want)
	}
}

// wantInvalid demands an *InvalidError with a fault of a field that says so.
func wantInvalid(t *testing.T, err error, field, says string) {
	t.Helper()
	var invalid *auth.InvalidError
	if !errors.As(err, &invalid) {
		t.Errorf("got %v, want a fault of %s", err, field)
		return
	}
	for _, f := range invalid.Fields {
		if f.Field == field && strings.Contains(f.Message, says) {
			return
		}
	}
	t.Errorf("got %+v, want %s: %s", invalid.Fields, field, says)
}

// meddler is the real store, and something that happens just before a session
// is created in it.
type meddler struct {
	auth.Store
	before func()
}

func (m meddler) CreateSession(ctx context.Context, s auth.Session) (auth.Account, error) {
	m.before()
	return m.Store.CreateSession(ctx, s)
}

func TestErrorsSayWhatTheyAreAndNothingSecret(t *testing.T) {
	for want, err := range map[string]error{
		"locked":             &auth.LockedError{},
		"busy":               &auth.BusyError{},
		"email is taken":     &auth.ConflictError{Field: "email"},
		"invalid":            &auth.InvalidError{},
		"password: is short": &auth.InvalidError{Fields: []auth.FieldError{{Field: "password", Message: "is short"}}},
		"token revoked: the account changed, refresh": auth.ErrTokenOutdated,
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}
