package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/policy"
)

// checkRoutes warns of what no package sees alone: routes that no request
// reaches because another part of the file answers first.
func (d *decoder) checkRoutes(file *File) {
	if len(file.Routes) == 0 && len(file.Upstreams)+len(file.TrustedProxies) > 0 {
		d.warn("routes", "there is none: every request will be answered with 404")
	}
	d.checkDomains(file)
	prefix := file.Auth.Web.Prefix
	for i := range file.Routes {
		route, path := &file.Routes[i], fmt.Sprintf("routes[%d]", i)
		if prefix != "" && strings.HasPrefix(route.Path+"/", prefix+"/") && !d.blurred("auth.prefix") {
			d.warn(path+".path", "is never reached: Postern itself answers "+prefix+" and all below it (auth.prefix)")
		}
		d.checkCertificates(file, i)
		if !answered(file, route.Host) && !d.blurred("hosts") && !d.blurred("public_url") {
			d.warn(path+".host", "is never reached: "+route.Host+" is neither the host of public_url nor in hosts, and is answered with 421")
		}
	}
}

// checkDomains warns of certificates that are fetched for nobody.
func (d *decoder) checkDomains(file *File) {
	for i, domain := range file.TLS.ACME.Domains {
		if !answered(file, domain) && !d.blurred("hosts") && !d.blurred("public_url") {
			d.warn(fmt.Sprintf("tls.acme.domains[%d]", i), domain+" is neither the host of public_url nor in hosts, and is answered with 421")
		}
	}
}

// checkCertificates refuses rules that no client could meet, because none is
// asked for a certificate, and warns of refusals that a client evades by
// showing none.
func (d *decoder) checkCertificates(file *File, route int) {
	if file.TLS.ClientCAFile != "" || d.blurred("tls.client_ca_file") {
		d.checkEvaded(&file.Routes[route], route)
		return
	}
	for key, rules := range map[string][]policy.Rule{"allow": file.Routes[route].Allow, "deny": file.Routes[route].Deny} {
		for i := range rules {
			if rules[i].ClientCert != nil {
				d.fault(fmt.Sprintf("routes[%d].%s[%d].client_cert", route, key, i), "needs tls.client_ca_file: without it no client is asked for a certificate")
			}
		}
	}
}

// checkEvaded warns of a deny by certificate on a route that lets somebody in
// without one.
func (d *decoder) checkEvaded(route *Route, at int) {
	if !slices.ContainsFunc(route.Allow, func(r policy.Rule) bool { return r.ClientCert == nil }) {
		return
	}
	for i := range route.Deny {
		if route.Deny[i].ClientCert != nil {
			d.warn(fmt.Sprintf("routes[%d].deny[%d].client_cert", at, i),
				"is evaded by showing no certificate: `allow` of this route has a rule that asks for none; add client_cert there, or deny by user")
		}
	}
}

// checkRegistration warns of registrations that make administrators: that is a
// slip, or a demonstration.
func (d *decoder) checkRegistration(file *File) {
	conf := file.Auth.Accounts.Registration
	if !conf.Enabled {
		return
	}
	for key, roles := range map[string][]string{"default_roles": conf.DefaultRoles, "allow_roles": conf.AllowRoles} {
		if slices.Contains(roles, auth.AdminRole) {
			d.warn("auth.registration."+key, "lets every stranger become an administrator: it lists "+auth.AdminRole)
		}
	}
}

// checkMigration refuses an old login that is the gateway's own, and warns of
// what gives passwords or names away.
func (d *decoder) checkMigration(file *File) {
	const key = "auth.migrate_from.login_url"
	login, err := url.Parse(file.Auth.Accounts.MigrateFrom.LoginURL)
	if err != nil || login.Host == "" {
		return // off, or refused already
	}
	public, err := url.Parse(file.PublicURL)
	if err == nil && strings.EqualFold(login.Host, public.Host) && strings.HasPrefix(login.Path, file.Auth.Web.Prefix+"/") {
		d.fault(key, "is this gateway's own login, which would ask itself without end: name the old application's")
	}
	if login.Scheme == "http" && !isNear(login.Hostname()) {
		d.warn(key, "sends passwords in the clear to another machine: write https")
	}
	if file.Auth.Accounts.Registration.Enabled {
		d.warn("auth.registration.enabled", "lets strangers take the names of users who have not come along yet (auth.migrate_from): import the users first, or leave it off until they have")
	}
}

// isNear tells whether a host is this machine or on a private network: by its
// address, or by a name without a dot, as containers call each other.
func isNear(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback() || addr.IsPrivate()
	}
	return !strings.Contains(host, ".")
}

// answered tells whether the gateway answers for a route's host, or may for
// one of those that a pattern stands for.
func answered(file *File, host string) bool {
	if len(file.Hosts) == 0 || host == "" || strings.HasPrefix(host, "*") {
		return true
	}
	public, err := url.Parse(file.PublicURL)
	return err != nil || slices.ContainsFunc(append([]string{public.Host}, file.Hosts...), func(ours string) bool { return bareHost(ours) == bareHost(host) })
}

// bareHost is a host without its port, in the one spelling that is compared.
func bareHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}
