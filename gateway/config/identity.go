package config

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/posternhq/postern/policy"
)

// checkIdentity compares what upstreams are told with the part of the file
// that says what there is to tell, which package gateway does not know.
func (d *decoder) checkIdentity(file *File) {
	accounts := &file.Auth.Accounts
	var fields []string
	for _, f := range accounts.Profile.Fields {
		fields = append(fields, f.Name)
	}
	field := func(path, name string) {
		if name != "" && !slices.Contains(fields, name) && !d.blurred("auth.profile") {
			d.fault(path+".field", strconv.Quote(name)+" is not among auth.profile.fields"+policy.Suggest(name, fields))
		}
	}
	for i, h := range file.Identity.Headers {
		field(fmt.Sprintf("identity.headers[%d]", i), h.Field)
	}
	for i, c := range file.Identity.LegacyToken.Claims {
		path := fmt.Sprintf("identity.legacy_token.claims[%d]", i)
		field(path, c.Field)
		if c.HasRole != "" && !slices.Contains(accounts.Roles, c.HasRole) && !d.blurred("auth.roles") {
			d.fault(path+".has_role", strconv.Quote(c.HasRole)+" is not among auth.roles"+policy.Suggest(c.HasRole, accounts.Roles))
		}
		if c.Value == "id" && c.Type == "number" && accounts.IDFormat != "integer" {
			d.warn(path+".type", "asks for ids that are numbers, and auth.id_format makes new ones as "+accounts.IDFormat+": such an account gets no token")
		}
	}
	d.checkAssertion(file)
}

// checkAssertion keeps the audiences of assertions and of access tokens apart.
func (d *decoder) checkAssertion(file *File) {
	if !file.Identity.Assertion.Enabled {
		return
	}
	for i, u := range file.Upstreams {
		if slices.Contains(file.Auth.Accounts.Audience, u.Name) {
			d.fault(fmt.Sprintf("upstreams[%d].name", i), strconv.Quote(u.Name)+" is in auth.audience: a careless application could take its assertion for an access token; name one of them otherwise")
		}
	}
}
