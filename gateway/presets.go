package gateway

// preset is a well-known set of identity headers.
type preset struct {
	name      string
	separator string // between roles
	headers   []Header
}

// presets lists what applications and other gateways call the one who asks.
// Whether or not a preset is in use, its names are taken out of every client's
// request: nobody may leave a trap for the day when it is.
//
// It is a function so that no caller can change the list.
func presets() []preset {
	return []preset{
		{"remote-user", ",", []Header{{Name: "Remote-User", Value: "username"}, {Name: "Remote-Groups", Value: "roles"},
			{Name: "Remote-Name", Value: "name"}, {Name: "Remote-Email", Value: "email"}}},
		{"x-remote-user", ",", []Header{{Name: "X-Remote-User", Value: "username"}}},
		{"x-forwarded-user", ",", []Header{{Name: "X-Forwarded-User", Value: "id"}, {Name: "X-Forwarded-Groups", Value: "roles"},
			{Name: "X-Forwarded-Email", Value: "email"}, {Name: "X-Forwarded-Preferred-Username", Value: "username"}}},
		{"x-auth-request", ",", []Header{{Name: "X-Auth-Request-User", Value: "id"}, {Name: "X-Auth-Request-Groups", Value: "roles"},
			{Name: "X-Auth-Request-Email", Value: "email"}, {Name: "X-Auth-Request-Preferred-Username", Value: "username"}}},
		{"authelia", ",", []Header{{Name: "Remote-User", Value: "username"}, {Name: "Remote-Groups", Value: "roles"},
			{Name: "Remote-Name", Value: "name"}, {Name: "Remote-Email", Value: "email"}}},
		{"authentik", "|", []Header{{Name: "X-Authentik-Username", Value: "username"}, {Name: "X-Authentik-Groups", Value: "roles"},
			{Name: "X-Authentik-Email", Value: "email"}, {Name: "X-Authentik-Name", Value: "name"}, {Name: "X-Authentik-Uid", Value: "id"}}},
		{"gatekeeper", ",", []Header{{Name: "X-Auth-Subject", Value: "id"}, {Name: "X-Auth-Userid", Value: "username"},
			{Name: "X-Auth-Username", Value: "username"}, {Name: "X-Auth-Email", Value: "email"}, {Name: "X-Auth-Roles", Value: "roles"}}},
		{"grafana", ",", []Header{{Name: "X-Webauth-User", Value: "username"}, {Name: "X-Webauth-Name", Value: "name"},
			{Name: "X-Webauth-Email", Value: "email"}, {Name: "X-Webauth-Groups", Value: "roles"}}},
		{"gitea", ",", []Header{{Name: "X-Webauth-User", Value: "username"}, {Name: "X-Webauth-Email", Value: "email"},
			{Name: "X-Webauth-Fullname", Value: "name"}}},
		{"jenkins", "|", []Header{{Name: "X-Forwarded-User", Value: "username"}, {Name: "X-Forwarded-Groups", Value: "roles"},
			{Name: "X-Forwarded-Mail", Value: "email"}, {Name: "X-Forwarded-Displayname", Value: "name"}}},
		{"opensearch", ",", []Header{{Name: "X-Proxy-User", Value: "username"}, {Name: "X-Proxy-Roles", Value: "roles"}}},
		{"sonarqube", ",", []Header{{Name: "X-Forwarded-Login", Value: "username"}, {Name: "X-Forwarded-Name", Value: "name"},
			{Name: "X-Forwarded-Email", Value: "email"}, {Name: "X-Forwarded-Groups", Value: "roles"}}},
		{"cloudbeaver", "|", []Header{{Name: "X-User", Value: "username"}, {Name: "X-Role", Value: "roles"}}},
		{"netbox", ",", []Header{{Name: "Remote-User", Value: "username"}}},
		{"radicale", ",", []Header{{Name: "X-Remote-User", Value: "username"}}},
		{"olivetin", " ", []Header{{Name: "X-Username", Value: "username"}, {Name: "X-Usergroup", Value: "roles"}}},
	}
}

// strippedNames are names, beside those of the presets and of the
// configuration, by which applications learn who asks, from where, for what,
// or with which method: a client may say none of them.
func strippedNames() []string {
	return []string{
		// who
		"X-User", "X-Username", "X-Userid", "X-Usergroup", "X-Role", "X-Roles", "X-Groups", "X-Email",
		"X-First-Name", "X-Last-Name", "X-Auth-Userid", "X-Auth-Username", "X-Auth-Subject", "X-Auth-Email",
		"X-Auth-User", "X-Auth-User-Id", "X-Auth-Roles", "X-Auth-Groups", "X-Auth-Name", "X-Auth-Assertion",
		"X-Auth-Given-Name", "X-Auth-Family-Name", "X-Auth-Expiresin", "Rut", "Sm-User", "Es-Security-Runas-User",
		"X-Client-Verify", "X-Client-Cert", "X-Client-Dn", "X-Client-Cn", "Client-Cert", "Client-Cert-Chain",
		"X-Token-Subject", "X-Postern-User",
		// from where
		"Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "X-Client-Ip", "Client-Ip",
		"X-Cluster-Client-Ip", "Fastly-Client-Ip", "X-Envoy-External-Address", "X-Appengine-User-Ip", "X-Azure-Clientip",
		"X-Azure-Socketip", "X-Remote-Ip", "X-Remote-Addr", "X-Proxyuser-Ip", "Wl-Proxy-Client-Ip", "Proxy-Client-Ip",
		"X-Scheme", "X-Url-Scheme", "Front-End-Https", "X-Host", "X-Script-Name",
		// for what, and with which method
		"X-Rewrite-Url", "X-Override-Url", "X-Accel-Redirect", "X-Sendfile", "X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
		"X-Method", "X-Http-Method-Overwrite",
		// what CGI turns into HTTP_PROXY (httpoxy), and what would start h2c
		"Proxy", "Http2-Settings",
	}
}

// strippedPrefixes are families of such names, in the folded form.
func strippedPrefixes() []string {
	return []string{
		"x-forwarded-", "x-original-", "x-auth-request-", "x-authenticated-", "x-webauth-", "x-authentik-", "x-pomerium-",
		"x-remote-", "remote-", "x-ssl-client-", "ssl-client-", "x-tls-client-", "x-user-", "x-proxy-", "x-goog-authenticated-", "x-ms-client-principal",
	}
}

// keptNames are ordinary names that a family would take along.
func keptNames() []string { return []string{"x-user-agent"} }
