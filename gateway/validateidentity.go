package gateway

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/posternhq/postern/policy"
)

// The least and the longest life of what is minted for an upstream. Less than
// the least is over before a slow application looks at it; the longest is how
// long a copy of one is good.
const (
	minMintTTL = 5 * time.Second
	maxMintTTL = time.Hour
)

// safeSecret is how many bytes of a secret nobody guesses (RFC 7518 3.2).
const safeSecret = 32

// validate looks at what an upstream is told: each header must be one to every
// reader, and none may be part of the message.
func (c *Identity) validate(f *faults) {
	seen := map[string]bool{}
	for i := range c.Headers {
		h, path := &c.Headers[i], fmt.Sprintf("identity.headers[%d]", i)
		validateHeaderName(f, path+".name", h.Name, seen)
		validateSource(f, path, h.Value, h.Field)
		h.validateForm(f, path)
	}
	c.validatePresets(f)
	if c.Assertion.Enabled {
		validateHeaderName(f, "identity.assertion.header", c.Assertion.Header, seen)
		validateMintTTL(f, "identity.assertion.ttl", c.Assertion.TTL)
	}
	if c.LegacyToken.isMeant() {
		c.LegacyToken.validate(f, seen)
	}
	if c.Basic.Enabled && c.Basic.Password == "" {
		f.add("identity.basic.password", "is missing; name the file that holds it in password_file")
	}
}

// validateHeaderName wants a name that is no part of the message, and that no
// application takes for one that is set already.
func validateHeaderName(f *faults, path, name string, seen map[string]bool) {
	switch folded := fold(name); {
	case !validToken(name) || len(name) > maxName:
		f.add(path, "%q is no header name", name)
	case isMessageHeader(folded):
		f.add(path, "%q is a header of the message itself", name)
	case seen[folded]:
		f.add(path, "%q is set twice, in the reading of some application", name)
	default:
		seen[folded] = true
	}
}

// validateSource wants exactly one of a part of the account and a field.
func validateSource(f *faults, path, value, field string) {
	switch {
	case value != "" && field != "":
		f.add(path+".field", "is the source of the value, and so is value; give one of them")
	case value == "" && field == "":
		f.add(path+".value", "is missing; it is one of %s, or write field: NAME for a profile field", strings.Join(identityValues(), ", "))
	}
	f.oneOf(path+".value", value, identityValues()...)
}

// validateForm looks at separator and encoding.
func (h *Header) validateForm(f *faults, path string) {
	f.oneOf(path+".encoding", h.Encoding, encodings()...)
	if h.Separator == "" {
		return
	}
	sign := rune(h.Separator[0])
	switch {
	case h.Value != valueRoles && h.Field == "":
		f.add(path+".separator", "is for lists, and %s is none", h.Value)
	case len(h.Separator) > 2 || len(h.Separator) == 2 && h.Separator[1] != ' ' || sign < ' ' || sign > '~' || isAlnum(byte(sign)):
		f.add(path+".separator", "%q is no separator: it is one sign, such as , or |, that may have a space after it", h.Separator)
	case sign == '=' && h.Encoding == encodingQuotedPrintable, sign == '%' && h.Encoding == encodingPercent:
		f.add(path+".separator", "%q is what %s writes other signs with", h.Separator, h.Encoding)
	}
}

// validatePresets refuses names that there are not, and warns of two presets
// that mean different things by one header.
func (c *Identity) validatePresets(f *faults) {
	type origin struct {
		preset string
		header identityHeader
	}
	first := map[string]origin{}
	for _, h := range c.Headers {
		first[fold(h.Name)] = origin{} // stands in the file: that counts
	}
	for i, name := range c.Presets {
		path := fmt.Sprintf("identity.presets[%d]", i)
		p, known := presetOf(name)
		if !known {
			f.add(path, "%q is no preset; there are %s%s", name, strings.Join(presetNames(), ", "), policy.Suggest(name, presetNames()))
			continue
		}
		for _, h := range p.headers {
			made := newIdentityHeader(h, p.separator)
			before, taken := first[fold(h.Name)]
			if taken && before.preset != "" && before.header != made {
				f.warn(path, "%s is also set by %s, in another way, and that one counts; write it under identity.headers as the application wants it", h.Name, before.preset)
			}
			if !taken {
				first[fold(h.Name)] = origin{name, made}
			}
		}
	}
}

// validateMintTTL bounds the life of a minted token. With less, an application
// whose clock differs a little refuses every request; with more, a token that it
// leaks serves for long.
func validateMintTTL(f *faults, path string, ttl time.Duration) {
	if ttl < minMintTTL || ttl > maxMintTTL {
		f.add(path, "%s is out of bounds: from %s to %s", ttl, minMintTTL, maxMintTTL)
	}
}

// validate looks at a token that an application is to believe. What it says
// repeats nothing of the secret.
func (l *LegacyToken) validate(f *faults, seen map[string]bool) {
	const path = "identity.legacy_token"
	if fold(l.Header) != "authorization" {
		validateHeaderName(f, path+".header", l.Header, seen)
	}
	f.oneOf(path+".algorithm", l.Algorithm, legacyAlgorithms()...)
	f.oneOf(path+".secret_encoding", l.SecretEncoding, "text", "base64")
	validateMintTTL(f, path+".ttl", l.TTL)
	switch secret, err := l.secret(); {
	case err != nil:
		f.add(path+".secret", "%v", err)
	case l.Secret == "":
		f.warn(path+".secret", "is missing, so no token is made and the application refuses everybody; name the file that holds it in secret_file")
	case len(secret) == 0:
		f.add(path+".secret", "is empty")
	case len(secret) < safeSecret:
		f.warn(path+".secret", "has %d bytes: whoever sees one token can try secrets of less than %d; give the application a longer one", len(secret), safeSecret)
	}
	if len(l.Claims) == 0 {
		f.add(path+".claims", "is missing; say what the application reads: [ { name: id, value: id } ]")
	}
	names := map[string]bool{"iat": true, "exp": true}
	for i := range l.Claims {
		l.Claims[i].validate(f, fmt.Sprintf("%s.claims[%d]", path, i), names)
	}
}

// validate looks at one claim; names are those that are taken.
func (c *LegacyClaim) validate(f *faults, path string, names map[string]bool) {
	switch {
	case c.Name == "" || len(c.Name) > maxName || strings.ContainsFunc(c.Name, unicode.IsControl) || slices.Contains(strings.Split(c.Name, "."), ""):
		f.add(path+".name", "%q is no name of a claim; a dot stands between two names", c.Name)
	case names[c.Name]:
		f.add(path+".name", "%q is set twice; iat and exp are set anyway", c.Name)
	default:
		for other := range names {
			if strings.HasPrefix(other, c.Name+".") || strings.HasPrefix(c.Name, other+".") {
				f.add(path+".name", "%q cannot be a value and hold %q at once", min(c.Name, other), max(c.Name, other))
			}
		}
		names[c.Name] = true
	}
	c.validateSource(f, path)
	f.oneOf(path+".type", c.Type, claimTypes()...)
	if c.HasRole != "" && c.Type != "" && c.Type != typeBoolean {
		f.add(path+".type", "has_role is a boolean")
	}
	if c.Constant != "" && slices.Contains(claimTypes(), c.Type) {
		if _, err := typed(c.Type, []string{c.Constant}, false); err != nil {
			f.add(path+".constant", "%q is no %s", c.Constant, c.Type)
		}
	}
}

// validateSource wants exactly one source.
func (c *LegacyClaim) validateSource(f *faults, path string) {
	sources := 0
	for _, s := range []string{c.Value, c.Field, c.HasRole, c.Constant} {
		if s != "" {
			sources++
		}
	}
	if sources != 1 {
		f.add(path, "needs one of value, field, has_role and constant, and no two")
	}
	f.oneOf(path+".value", c.Value, identityValues()...)
}

// validateAuthorization refuses two who would write Authorization.
func (c *Config) validateAuthorization(f *faults) {
	key := c.Identity.ownsAuthorization()
	if key == "" {
		return
	}
	if l := &c.Identity.LegacyToken; key == "identity.basic" && l.isMeant() && fold(l.Header) == "authorization" {
		f.add("identity.legacy_token.header", "Authorization is identity.basic's")
	}
	for i := range c.Upstreams {
		u, path := &c.Upstreams[i], fmt.Sprintf("upstreams[%d]", i)
		if u.Authorization == "pass" {
			f.add(path+".authorization", "pass leaves Authorization to the application, and %s writes it", key)
		}
		if u.ForwardToken {
			f.add(path+".forward_token", "goes into Authorization, which %s writes", key)
		}
	}
}

// isMessageHeader tells whether a name, in the folded form, belongs to the
// message or to what browsers and proxies say of it.
func isMessageHeader(folded string) bool {
	if slices.Contains(messageHeaders(), folded) {
		return true
	}
	return slices.ContainsFunc([]string{"access-control-", "content-", "sec-", "if-", "accept-", "cross-origin-"}, func(prefix string) bool {
		return strings.HasPrefix(folded, prefix)
	})
}

// messageHeaders must not be used for an identity, in the folded form.
func messageHeaders() []string {
	return []string{"host", "cookie", "set-cookie", "connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "expect",
		"accept", "age", "allow", "authorization", "cache-control", "date", "etag", "forwarded", "http2-settings", "location", "max-forwards",
		"origin", "pragma", "proxy", "proxy-authenticate", "proxy-authorization", "proxy-connection", "range", "referer", "server",
		"traceparent", "tracestate", "user-agent", "vary", "via", "www-authenticate", "x-request-id",
		"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-prefix", "x-real-ip"}
}

// identityValues are the words that Header.Value may be.
func identityValues() []string {
	return []string{"username", "id", "email", "name", valueRoles, "session"}
}

// presetNames are the words that Identity.Presets may hold.
func presetNames() []string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.name)
	}
	return names
}
