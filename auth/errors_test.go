package auth_test

import (
	"errors"
	"testing"
)

// wantError compares outcomes as callers do.
func wantError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Fatalf("got error %v, want %v", got, want)
	}
}
