package auth

import (
	"context"
	"errors"
	"slices"
)

// AdminRole is the role whose holders administer accounts over HTTP.
const AdminRole = "admin"

// ErrLastAdmin refuses what would leave nobody who can administer.
var ErrLastAdmin = errors.New("this is the last account that can administer")

// KeepAnAdmin runs a change that takes an account's administration away (its
// role, or the account), unless it is the last one: that is ErrLastAdmin, and
// nothing is changed. Such changes run one after the other, so that two
// administrators do not demote each other at once. The command line does without
// it, being the way back in.
func (s *Service) KeepAnAdmin(ctx context.Context, id string, change func() error) error {
	s.demotion.Lock()
	defer s.demotion.Unlock()
	all, err := s.Accounts(ctx)
	if err != nil {
		return err
	}
	isAdmin := func(a Account) bool { return !a.Disabled && slices.Contains(a.Roles, AdminRole) }
	this := func(a Account) bool { return a.ID == id && isAdmin(a) }
	other := func(a Account) bool { return a.ID != id && isAdmin(a) }
	if slices.ContainsFunc(all, this) && !slices.ContainsFunc(all, other) {
		return ErrLastAdmin
	}
	return change()
}
