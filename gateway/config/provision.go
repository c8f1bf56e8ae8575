package config

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/posternhq/postern/gateway"
	"github.com/posternhq/postern/policy"
)

// checkProvision warns where clients can post to the path that account events
// go to. The application tells the two apart by the signature, if it looks at
// it; that nobody gets there is better.
func (d *decoder) checkProvision(file *File, table *policy.Table) {
	for i := range file.Provision {
		for j := range file.Routes {
			if client, ok := reaches(file, table, j, &file.Provision[i]); ok {
				d.warn(fmt.Sprintf("provision[%d].path", i), fmt.Sprintf(
					"clients reach it too, as POST %s by the route at line %d: only the signature then tells an event from theirs; give the path a route of its own with deny: anyone",
					client, file.Routes[j].Pos.Line))
			}
		}
	}
}

// reaches tells whether a route lets somebody post to where an upstream takes
// account events, and as which path.
func reaches(file *File, table *policy.Table, j int, p *gateway.Provision) (client string, ok bool) {
	route := &file.Routes[j]
	if route.Upstream != p.Upstream && (route.Upstream != "" || len(file.Upstreams) > 1) || closed(route) {
		return "", false
	}
	client, ok = route.RouteOptions.ClientPath(route.Path, p.Path)
	if !ok {
		return "", false
	}
	path, err := policy.ParsePath(client)
	if err != nil {
		return "", false
	}
	m := table.Match(http.MethodPost, strings.Replace(route.Host, "*", "any", 1), path)
	return client, m.Route() == j && m.Refusal() == policy.ReasonNone
}

// closed tells a route that nobody passes, whatever it allows.
func closed(route *Route) bool {
	return route.Mode == "" && slices.ContainsFunc(route.Deny, func(r policy.Rule) bool { return r.Anyone })
}
