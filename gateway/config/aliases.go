package config

import (
	"fmt"
	"slices"
)

// checkAliases judges what the aliases say of things that other sections
// define: a claim about a role that nobody can have would be false for everybody.
func (d *decoder) checkAliases(file *File) {
	if d.blurred("auth.roles") {
		return
	}
	for i, a := range file.Auth.Web.Aliases {
		for j, c := range a.Claims {
			if c.HasRole != "" && !slices.Contains(file.Auth.Accounts.Roles, c.HasRole) {
				d.fault(fmt.Sprintf("auth.aliases[%d].claims[%d].has_role", i, j), fmt.Sprintf("role %q is not one of auth.roles", c.HasRole))
			}
		}
	}
}
