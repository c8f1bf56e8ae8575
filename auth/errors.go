package auth

import (
	"errors"
	"fmt"
	"time"
)

// The outcomes that callers tell apart. Anything else is a fault of the store
// or the machine, and is answered as unavailable.
var (
	ErrInvalidCredentials = errors.New("invalid credentials") // unknown, wrong or disabled: not told apart
	ErrTokenMalformed     = errors.New("token malformed")
	ErrTokenInvalid       = errors.New("token invalid")
	ErrTokenExpired       = errors.New("token expired")
	ErrTokenRevoked       = errors.New("token revoked")
	ErrTokenOutdated      = fmt.Errorf("%w: the account changed, refresh", ErrTokenRevoked) // the session lives on
	ErrRefreshInvalid     = errors.New("refresh token invalid")
	ErrRefreshExpired     = errors.New("refresh token expired")
	ErrRefreshReused      = errors.New("refresh token reused")
	ErrNotFound           = errors.New("not found")
	ErrUnavailable        = errors.New("store unavailable") // wraps every fault of the store
)

// LockedError is the answer to a login after too many failed ones.
type LockedError struct{ RetryAfter time.Duration }

func (e *LockedError) Error() string { return "locked" }

// BusyError says that too many passwords are being hashed already.
type BusyError struct{ RetryAfter time.Duration }

func (e *BusyError) Error() string { return "busy" }

// ConflictError says that a name is taken.
type ConflictError struct{ Field string } // id, username or email

func (e *ConflictError) Error() string { return e.Field + " is taken" }

// ConflictsError says which accounts of a list have a name that is taken. To
// errors.As it is the ConflictError of the first as well.
type ConflictsError struct{ Conflicts []Conflict } // by Index; never empty

// Conflict is the account of a list, by its position, whose Field is taken.
type Conflict struct {
	Index int
	Field string // id, username or email
}

// Error names the first conflict alone; a caller that wants them all reads them.
func (e *ConflictsError) Error() string {
	return fmt.Sprintf("%s of account %d is taken", e.Conflicts[0].Field, e.Conflicts[0].Index+1)
}

// Unwrap lets a caller that knows one account only treat a list's error as its
// own.
func (e *ConflictsError) Unwrap() error { return &ConflictError{Field: e.Conflicts[0].Field} }

// InvalidError lists what is wrong with an input, by field.
type InvalidError struct{ Fields []FieldError }

// FieldError is one fault of an input.
type FieldError struct{ Field, Message string }

// Error names the first fault. It never quotes the input, which may be a
// password.
func (e *InvalidError) Error() string {
	if len(e.Fields) == 0 {
		return "invalid"
	}
	return e.Fields[0].Field + ": " + e.Fields[0].Message
}
