package gateway

import "slices"

// preset is a well-known set of identity headers.
type preset struct {
	name      string
	separator string // between roles
	headers   []Header
}

// presets lists what applications and other gateways call the one who asks,
// with the names and separators that their documentation gives as default.
// All send UTF-8 as it is, as those gateways do: where an application is told
// to decode (Grafana's headers_encoded), the header is written in the file
// with its encoding, and counts before the preset's.
//
// Whether or not a preset is in use, its names are taken out of every client's
// request: nobody may leave a trap for the day when it is.
//
// It is a function so that no caller can change the list.
func presets() []preset {
	return append(gatewayPresets(), applicationPresets()...)
}

// presetOf finds a preset by its name.
func presetOf(name string) (preset, bool) {
	for _, p := range presets() {
		if p.name == name {
			return p, true
		}
	}
	return preset{}, false
}

// gatewayPresets are what other gateways send, for applications that stood
// behind one.
func gatewayPresets() []preset {
	remote := []Header{{Name: "Remote-User", Value: "username"}, {Name: "Remote-Groups", Value: "roles"},
		{Name: "Remote-Name", Value: "name"}, {Name: "Remote-Email", Value: "email"}}
	forwarded := []Header{{Name: "X-Forwarded-User", Value: "id"}, {Name: "X-Forwarded-Groups", Value: "roles"},
		{Name: "X-Forwarded-Email", Value: "email"}, {Name: "X-Forwarded-Preferred-Username", Value: "username"}}
	authRequest := []Header{{Name: "X-Auth-Request-User", Value: "id"}, {Name: "X-Auth-Request-Groups", Value: "roles"},
		{Name: "X-Auth-Request-Email", Value: "email"}, {Name: "X-Auth-Request-Preferred-Username", Value: "username"}}
	return []preset{
		{"remote-user", ",", remote},
		{"x-remote-user", ",", []Header{{Name: "X-Remote-User", Value: "username"}}},
		{"x-forwarded-user", ",", forwarded},
		{"x-auth-request", ",", authRequest},
		// As a proxy it sends the one set, to auth_request it answers the other.
		{"oauth2-proxy", ",", append(forwarded[:len(forwarded):len(forwarded)], authRequest...)},
		{"authelia", ",", remote},
		{"authentik", "|", []Header{{Name: "X-Authentik-Username", Value: "username"}, {Name: "X-Authentik-Groups", Value: "roles"},
			{Name: "X-Authentik-Email", Value: "email"}, {Name: "X-Authentik-Name", Value: "name"}, {Name: "X-Authentik-Uid", Value: "id"}}},
		// X-Auth-Userid is the name there as well; X-Auth-Token, a token, is not told.
		{"gatekeeper", ",", []Header{{Name: "X-Auth-Subject", Value: "id"}, {Name: "X-Auth-Userid", Value: "username"},
			{Name: "X-Auth-Username", Value: "username"}, {Name: "X-Auth-Email", Value: "email"},
			{Name: "X-Auth-Roles", Value: "roles"}, {Name: "X-Auth-Groups", Value: "roles"}}},
		// Its signed header is identity.assertion with the header X-Pomerium-Jwt-Assertion.
		{"pomerium", ",", []Header{{Name: "X-Pomerium-Claim-Sub", Value: "id"}, {Name: "X-Pomerium-Claim-User", Value: "id"},
			{Name: "X-Pomerium-Claim-Email", Value: "email"}, {Name: "X-Pomerium-Claim-Name", Value: "name"},
			{Name: "X-Pomerium-Claim-Groups", Value: "roles"}}},
	}
}

// applicationPresets are what applications look for by themselves.
func applicationPresets() []preset {
	return []preset{
		// auth.proxy, with headers = Name:X-WEBAUTH-NAME Email:X-WEBAUTH-EMAIL Groups:X-WEBAUTH-GROUPS
		{"grafana", ",", []Header{{Name: "X-Webauth-User", Value: "username"}, {Name: "X-Webauth-Name", Value: "name"},
			{Name: "X-Webauth-Email", Value: "email"}, {Name: "X-Webauth-Groups", Value: "roles"}}},
		{"gitea", ",", []Header{{Name: "X-Webauth-User", Value: "username"}, {Name: "X-Webauth-Email", Value: "email"},
			{Name: "X-Webauth-Fullname", Value: "name"}}},
		// the plugin reverse-proxy-auth
		{"jenkins", "|", []Header{{Name: "X-Forwarded-User", Value: "username"}, {Name: "X-Forwarded-Groups", Value: "roles"},
			{Name: "X-Forwarded-Mail", Value: "email"}, {Name: "X-Forwarded-Displayname", Value: "name"}}},
		{"opensearch", ",", []Header{{Name: "X-Proxy-User", Value: "username"}, {Name: "X-Proxy-Roles", Value: "roles"}}},
		// sonar.web.sso.*
		{"sonarqube", ",", []Header{{Name: "X-Forwarded-Login", Value: "username"}, {Name: "X-Forwarded-Name", Value: "name"},
			{Name: "X-Forwarded-Email", Value: "email"}, {Name: "X-Forwarded-Groups", Value: "roles"}}},
		// X-First-name and X-Last-name are left out: an account has one name.
		{"cloudbeaver", "|", []Header{{Name: "X-User", Value: "username"}, {Name: "X-Role", Value: "roles"}}},
		// REMOTE_AUTH_HEADER, _GROUP_HEADER, _GROUP_SEPARATOR and _USER_EMAIL
		{"netbox", "|", []Header{{Name: "Remote-User", Value: "username"}, {Name: "Remote-User-Group", Value: "roles"},
			{Name: "Remote-User-Email", Value: "email"}}},
		// auth type = http_x_remote_user
		{"radicale", ",", []Header{{Name: "X-Remote-User", Value: "username"}}},
		{"olivetin", " ", []Header{{Name: "X-Username", Value: "username"}, {Name: "X-Usergroup", Value: "roles"}}},
	}
}

// strippedNames are names, beside those of the presets and of the
// configuration, by which applications learn who asks, from where, for what,
// or with which method: a client may say none of them.
func strippedNames() []string {
	return slices.Concat(namesOfWho(), namesOfWhere(), []string{
		// for what, and with which method
		"X-Rewrite-Url", "X-Override-Url", "X-Accel-Redirect", "X-Sendfile", "X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
		"X-Method", "X-Http-Method-Overwrite", "X-Waws-Unencoded-Url", "X-Http-Destinationurl", "X-Envoy-Original-Path", "X-Envoy-Original-Host", "X-Envoy-Original-Dst-Host",
		// by which Next.js believes that its own checks are done (CVE-2025-29927)
		"X-Middleware-Subrequest", "X-Middleware-Subrequest-Id",
		// what CGI turns into HTTP_PROXY (httpoxy), and what would start h2c
		"Proxy", "Http2-Settings",
	})
}

// namesOfWho say who asks: by the word of other gateways, and of the clouds
// before which an application may have stood until now.
func namesOfWho() []string {
	return []string{
		"X-User", "X-Username", "X-Userid", "X-Usergroup", "X-Role", "X-Roles", "X-Groups", "X-Email",
		"X-First-Name", "X-Last-Name", "X-Auth-Userid", "X-Auth-Username", "X-Auth-Subject", "X-Auth-Email",
		"X-Auth-User", "X-Auth-User-Id", "X-Auth-Roles", "X-Auth-Groups", "X-Auth-Name", "X-Auth-Assertion",
		"X-Auth-Given-Name", "X-Auth-Family-Name", "X-Auth-Expiresin", "X-Auth-Audience", "X-Team", "X-Full-Name", "Rut", "Sm-User", "Es-Security-Runas-User",
		"X-Client-Verify", "X-Client-Cert", "X-Client-Dn", "X-Client-Cn", "Client-Cert", "Client-Cert-Chain", "X-Client-Certificate", "X-Ssl-Cert", "X-Arr-Clientcert", "Wl-Proxy-Client-Cert",
		"X-Token-Subject", "X-Postern-User",
		"X-Userinfo", "X-Endpoint-Api-Userinfo", "X-Apigateway-Api-Userinfo", "X-Jwt-Assertion", // APISIX and Kong; Google; WSO2
		"X-Consumer-Id", "X-Consumer-Custom-Id", "X-Consumer-Username", "X-Consumer-Groups", "X-Credential-Identifier", "X-Anonymous-Consumer", // Kong
		"Cf-Access-Authenticated-User-Email", "Cf-Access-Jwt-Assertion", "Tailscale-User-Login", "Tailscale-User-Name", "Tailscale-User-Profile-Pic", "Gap-Auth", "Gap-Signature",
		"X-Envoy-Internal", "X-Envoy-Peer-Metadata", "X-Envoy-Peer-Metadata-Id",
	}
}

// yieldingNames are those of namesOfWho that keep_headers may list, since the
// product that sets them stands in front of applications, as a gateway of its
// own may: SiteMinder.
func yieldingNames() []string { return []string{"SM_USER"} }

// namesOfWhere say where a request comes from.
func namesOfWhere() []string {
	return []string{
		"Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "X-Client-Ip", "Client-Ip",
		"X-Cluster-Client-Ip", "Fastly-Client-Ip", "X-Envoy-External-Address", "X-Appengine-User-Ip", "X-Azure-Clientip",
		"X-Azure-Socketip", "X-Remote-Ip", "X-Remote-Addr", "X-Proxyuser-Ip", "Wl-Proxy-Client-Ip", "Proxy-Client-Ip",
		"X-Forwarded", "Forwarded-For", "Forwarded-For-Ip", "X-Originating-Ip", "Fly-Client-Ip", "Do-Connecting-Ip", "Cf-Pseudo-Ipv4",
		"X-Vercel-Forwarded-For", "X-Nf-Client-Connection-Ip",
		"X-Scheme", "X-Url-Scheme", "Front-End-Https", "X-Host", "X-Http-Host-Override", "X-Script-Name",
	}
}

// strippedPrefixes are families of such names, in the folded form.
func strippedPrefixes() []string {
	return []string{
		"x-forwarded-", "x-original-", "x-auth-request-", "x-authenticated-", "x-webauth-", "x-authentik-", "x-pomerium-",
		"x-remote-", "remote-", "x-ssl-client-", "ssl-client-", "x-tls-client-", "x-user-", "x-proxy-", "x-goog-authenticated-", "x-ms-client-principal",
		"x-ms-token-", "x-goog-iap-", "x-amzn-oidc-", "x-vouch-", "oidc-",
	}
}

// keptNames are ordinary names that a family would take along.
func keptNames() []string { return []string{"x-user-agent"} }

// ordinaryNames are what browsers send, and the gateway itself: none is stripped,
// unless the configuration says so.
func ordinaryNames() []string {
	return []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Content-Length", "Content-Type", "Cookie", "Dnt",
		"If-Modified-Since", "If-None-Match", "Origin", "Pragma", "Priority", "Range", "Referer", "Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform",
		"Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User", "Upgrade-Insecure-Requests", "User-Agent", "X-Request-Id", "X-Requested-With",
	}
}
