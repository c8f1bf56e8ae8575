package auth

import (
	"errors"
	"slices"
)

// AdminRole is the role whose holders administer accounts over HTTP.
const AdminRole = "admin"

// ErrLastAdmin refuses what would leave nobody who can administer. The store
// decides it together with the change: two administrators who demote each other
// at once, through one instance or two, are never both obeyed.
var ErrLastAdmin = errors.New("this is the last account that can administer")

// Administers reports whether the holder of an account can administer.
func (a Account) Administers() bool { return !a.Disabled && slices.Contains(a.Roles, AdminRole) }
