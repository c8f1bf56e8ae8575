package config

import "regexp"

// closedLists are the words that a key takes, for editors to offer, by path
// without list positions. The packages that own the keys judge them; a test
// holds the two together.
func closedLists() map[string][]string {
	return map[string][]string{
		"store.driver":              {"sqlite"},
		"log.level":                 {"debug", "info", "warn", "error"},
		"log.format":                {"auto", "text", "json"},
		"upstreams.router":          {"any", "exact", "express", "spring", "django", "tomcat", "iis"},
		"upstreams.authorization":   {"strip", "pass"},
		"upstreams.host":            {"keep", "rewrite"},
		"upstreams.balance":         {"least_connections", "round_robin"},
		"upstreams.transport":       {"lean", "standard"},
		"identity.headers.value":    {"username", "id", "email", "name", "roles", "session"},
		"identity.headers.encoding": {"raw", "rfc2047", "quoted-printable", "percent"},
		"identity.presets": {"remote-user", "x-remote-user", "x-forwarded-user", "x-auth-request", "oauth2-proxy", "authelia", "authentik", "gatekeeper",
			"pomerium", "grafana", "gitea", "jenkins", "opensearch", "sonarqube", "cloudbeaver", "netbox", "radicale", "olivetin"},
		"identity.legacy_token.algorithm":       {"HS256", "HS384", "HS512"},
		"identity.legacy_token.secret_encoding": {"text", "base64"},
		"identity.legacy_token.claims.value":    {"username", "id", "email", "name", "roles", "session"},
		"identity.legacy_token.claims.type":     {"text", "number", "boolean", "list"},
		"provision.events":                      {"created", "changed", "disabled", "enabled", "deleted"},
		"auth.access_token.algorithm":           {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"},
		"auth.id_format":                        {"uuid", "integer", "objectid"},
		"auth.migrate_from.format":              {"json", "form"},
		"auth.password.algorithm":               {"argon2id", "bcrypt", "scrypt"},
		"auth.aliases.preset":                   {"bezkoder", "drf-simplejwt", "express-x-access-token", "express-x-auth-token", "fastapi-oauth2", "flask-jwt-extended", "nestjs", "spring"},
		"auth.aliases.mode":                     {"cookie", "refresh_cookie"},
		"auth.aliases.claims.value":             {"id", "username", "email", "name", "roles", "session"},
		"auth.aliases.problems.body":            {"message"},
		"auth.cookie.same_site":                 {"lax", "strict"},
		"routes.rate_limit.per":                 {"user", "client"},
		"routes.mode":                           {"observe"},
		"routes.path_options":                   {"encoded_slash", "encoded_percent", "encoded_hash", "encoded_question", "semicolon", "empty_segment"},
		"routes.allow.self.is":                  {"id", "username", "email"},
		"routes.deny.self.is":                   {"id", "username", "email"},
		"tests.expect":                          {"allow", "unauthenticated", "forbidden", "no_route", "method_not_allowed", "bad_path"},
	}
}

// requiredKeys are the keys that an entry of a list, or a mapping in one,
// cannot do without.
func requiredKeys() map[string][]string {
	return map[string][]string{
		"upstreams":                    {"name", "urls"},
		"identity.headers":             {"name"},
		"identity.legacy_token.claims": {"name"},
		"provision":                    {"upstream", "path"},
		"auth.migrate_from.fields":     {"field", "as"},
		"auth.migrate_from.roles":      {"role", "as"},
		"auth.aliases.request":         {"field", "as"},
		"auth.aliases.claims":          {"name"},
		"auth.aliases.problems":        {"code"},
		"auth.profile.fields":          {"name"},
		"routes":                       {"path", "allow"},
		"routes.rate_limit":            {"per", "requests", "window"},
		"tests":                        {"request", "expect"},
	}
}

// mustHoldText tells where an empty text is a mistake: in routes, where it would
// read as a condition and be none. `role: ""` in a rule must not become a rule
// for everybody.
func mustHoldText(path string) bool { return routeKeys.MatchString(path) }

// mustHoldItems tells where an empty list is, for the same reason.
func mustHoldItems(path string) bool { return conditionLists.MatchString(path) }

// isCondition tells what stands in a rule. There a duration of nothing would
// read as a condition and be none.
func isCondition(path string) bool { return ruleKeys.MatchString(path) }

var (
	ruleKeys       = regexp.MustCompile(`^routes(\[\d+\])?\.(allow|deny)(\[\d+\])?\.`)
	routeKeys      = regexp.MustCompile(`^routes(\[\d+\])?\.`)
	conditionLists = regexp.MustCompile(`^routes(\[\d+\])?\.(methods$|(allow|deny)$|(allow|deny)(\[\d+\])?\.)`)
)
