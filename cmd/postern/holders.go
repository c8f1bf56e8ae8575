package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
	"github.com/posternhq/postern/gateway/config"
	"github.com/posternhq/postern/policy"
)

// peek opens the store of a command that can do without it. It makes none, and
// where there is none, or it does not open, answers nil.
func peek(ctx context.Context, file *config.File) *sqlstore.Store {
	if file == nil {
		return nil
	}
	if info, err := os.Stat(file.Store.Path); err != nil || info.Size() == 0 {
		return nil
	}
	store, err := sqlstore.Open(ctx, file.Store.Path)
	if err != nil {
		return nil
	}
	return store
}

// rolesOfUsers is the roles of every account by username, as far as the store
// can be read.
func rolesOfUsers(ctx context.Context, file *config.File) map[string][]string {
	store := peek(ctx, file)
	if store == nil {
		return nil
	}
	defer store.Close()
	accounts, err := store.Accounts(ctx)
	if err != nil {
		return nil
	}
	roles := make(map[string][]string, len(accounts))
	for _, a := range accounts {
		roles[a.Username] = a.Roles
	}
	return roles
}

// unheldRoles warns of the rules that ask for a role which no account holds:
// that is a slip in the list of roles, or somebody who is not there yet. Each
// role is told of once, at the first rule. A store without any account says
// nothing yet.
func unheldRoles(ctx context.Context, file *config.File, store auth.Store) []config.Finding {
	n, err := store.CountAccounts(ctx)
	if err != nil || n == 0 {
		return nil
	}
	holders, err := store.CountRoleHolders(ctx)
	if err != nil {
		return nil
	}
	var warnings []config.Finding
	told := map[string]bool{}
	for _, rule := range allowRules(file) {
		for _, role := range rolesOf(&rule) {
			if holders[role] > 0 || told[role] {
				continue
			}
			told[role] = true
			warnings = append(warnings, warningAt(rule.Pos, "no account has the role %q yet", role))
		}
	}
	return warnings
}

// freeNames warns of the rules that let a user in by name whom no account has,
// where strangers may register: the first to take the name would pass. It says
// nothing of a store that cannot be read.
func freeNames(ctx context.Context, file *config.File, store auth.Store) []config.Finding {
	if !file.AuthConfig().Registration.Enabled {
		return nil
	}
	var warnings []config.Finding
	for _, rule := range allowRules(file) {
		for _, name := range append([]string{rule.User}, rule.AnyUser...) {
			if name == "" {
				continue
			}
			if _, err := store.FindAccount(ctx, auth.Fold(name)); !errors.Is(err, auth.ErrNotFound) {
				continue
			}
			warnings = append(warnings, warningAt(rule.Pos,
				"no account is called %q, and strangers may register: whoever takes the name passes here; make the account first", name))
		}
	}
	return warnings
}

// warningAt is a warning about a rule.
func warningAt(pos policy.Pos, format string, args ...any) config.Finding {
	return config.Finding{File: pos.File, Line: pos.Line, Column: pos.Column, Warning: true, Message: fmt.Sprintf(format, args...)}
}

// allowRules are the rules of every route that let somebody in.
func allowRules(file *config.File) (rules []policy.Rule) {
	for i := range file.Routes {
		rules = append(rules, file.Routes[i].Allow...)
	}
	return rules
}

// rolesOf lists the roles that a rule names.
func rolesOf(r *policy.Rule) []string {
	roles := slices.Concat(r.AnyRole, r.AllRoles)
	if r.Role != "" {
		roles = append(roles, r.Role)
	}
	return roles
}
