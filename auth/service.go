package auth

import (
	"context"
	"io"
	"time"
)

// MasterKey seals the keys in the store.
type MasterKey [32]byte

// Options is what a Service is made of.
type Options struct {
	Store  Store
	Master MasterKey
	Config Config
	Now    func() time.Time             // default time.Now
	Rand   io.Reader                    // default crypto/rand.Reader
	Audit  func(context.Context, Event) // default: none
}

// Credentials is what a person types to log in.
type Credentials struct{ Username, Password string }

// NewAccount is an account to be made.
type NewAccount struct {
	ID       string
	Username string
	Email    string
	Name     string
	Password string
	Roles    []string
	Fields   map[string][]string
}

// AccountChange is what an administrator changes; nil leaves a thing as it is.
type AccountChange struct {
	Email, Name *string
	Roles       *[]string
	Fields      map[string][]string // an empty list removes the field
	Disabled    *bool
	Password    *string
}

// ProfileChange is what an account's owner changes.
type ProfileChange struct {
	Name   *string
	Fields map[string]any // string, list of strings, or nil to remove the field
}

// Service answers who is asking.
type Service struct{}
