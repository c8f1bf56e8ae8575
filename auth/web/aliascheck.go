package web

import (
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// item is the key of an entry of a list.
func item(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// aliasFaults collects what is wrong with aliases, by key below auth.
type aliasFaults struct{ all []auth.Fault }

// add notes a fault at a key; the message follows the key.
func (f *aliasFaults) add(key, format string, args ...any) {
	f.all = append(f.all, auth.Fault{Path: key, Message: fmt.Sprintf(format, args...)})
}

// validateAliases lists what is wrong with the aliases, each by itself and all
// beside each other.
func (c Config) validateAliases() []auth.Fault {
	var f aliasFaults
	for i, a := range c.Aliases {
		key := item("aliases", i)
		if a.Preset != "" {
			a.checkPreset(&f, key)
		} else {
			c.completed(a).checkOne(&f, key, c.Prefix)
		}
		a.checkTerms(&f, key)
		a.checkProblems(&f, key)
		if m := tokenHeaderFault(a.TokenHeader); m != "" {
			f.add(key+".token_header", "%s", m)
		}
	}
	c.checkPlaces(&f)
	c.checkRotation(&f)
	return f.all
}

// checkPreset judges what stands beside a preset's name. What a preset is made of
// cannot be changed there: half a preset would be a backend that never was, and
// its proofs would be about nothing.
func (a Alias) checkPreset(f *aliasFaults, key string) {
	known := presetNamed(a.Preset)
	if known == nil {
		f.add(key+".preset", "unknown preset %q; known are %s", a.Preset, strings.Join(presetNames(), ", "))
		return
	}
	for name, given := range map[string]bool{
		"method": a.Method != "", "endpoint": a.Endpoint != "", "status": a.Status != 0, "request": a.Request != nil, "response": a.Response != nil,
		"body": a.Body != "", "response_header": a.ResponseHeader != "", "token_header": a.TokenHeader != "",
	} {
		if given {
			f.add(key+"."+name, "is the preset's to say; write an alias without a preset instead")
		}
	}
	if a.Path != "" && len(known) > 1 {
		f.add(key+".path", "preset %s has %d paths; write its aliases out to change them", a.Preset, len(known))
	} else if m := aliasPathFault(a.Path, toLogin); a.Path != "" && m != "" {
		f.add(key+".path", "%s", m)
	}
}

// checkOne judges an alias that is written out. It may stand in for an endpoint
// of the gateway, whose clients then have to be those of the alias; not for the
// administration, for forward-auth or for documents that verifiers look for by
// name: who speaks to these was not written for another backend.
func (a Alias) checkOne(f *aliasFaults, key, prefix string) {
	methods := methodsOf(a.Endpoint)
	switch {
	case a.Endpoint == "":
		f.add(key+".endpoint", "is missing: login, register, refresh, logout, me, password or user; or name a preset")
	case methods == nil:
		f.add(key+".endpoint", "unknown endpoint %q; known are login, register, refresh, logout, me, password, user", a.Endpoint)
	case !slices.Contains(methods, a.Method):
		f.add(key+".method", "%q is no method for %s; it may be %s", a.Method, a.Endpoint, strings.Join(methods, ", "))
	}
	if m := aliasPathFault(a.Path, a.Endpoint); m != "" {
		f.add(key+".path", "%s", m)
	}
	for _, reserved := range []string{"/.well-known", prefix + "/admin", prefix + "/verify"} {
		if a.Path == reserved || strings.HasPrefix(a.Path, reserved+"/") {
			f.add(key+".path", "%s is a place of the gateway's own", reserved)
		}
	}
	if a.Status != 0 && (a.Status < 200 || a.Status > 299) {
		f.add(key+".status", "%d is no status of a good answer: 200 to 299; refusals are under problems", a.Status)
	}
	a.checkFields(f, key)
	a.checkTokens(f, key)
}

// checkFields judges the names of fields in request and answer. An answer is made
// of a closed list of fields, so that no spelling reaches a password hash or
// another secret of the account; a request may name what it likes, since the
// endpoint ignores what it does not know.
func (a Alias) checkFields(f *aliasFaults, key string) {
	for i, field := range a.Request {
		where := item(key+".request", i)
		switch {
		case field.Value != "" || field.Format != "":
			f.add(where, "renames a field of the request; value and format are for answers")
		case fieldPathFault(field.Field) != "":
			f.add(where+".field", "%s", fieldPathFault(field.Field))
		case fieldPathFault(field.As) != "":
			f.add(where+".as", "%s", fieldPathFault(field.As))
		case takenBefore(a.Request[:i], field.As):
			f.add(where+".as", "%s is given twice", field.As)
		}
	}
	checkResponse(f, key+".response", a.Response, answerFields(a.Endpoint))
	if fields := answerFields(a.Endpoint); a.Body != "" && a.Body != noBody && !knownField(fields, a.Body) {
		f.add(key+".body", "%q is no field of %s; known are none, %s", a.Body, a.Endpoint, strings.Join(fields, ", "))
	}
}

// noBody is the word for an answer without a body.
const noBody = "none"

// checkResponse judges the shape of an answer, of an endpoint or a refusal: each
// entry is a field or a constant, at a place of its own. Two that share a place
// would leave it to the order of the list which one a client sees.
func checkResponse(f *aliasFaults, key string, list []AliasField, known []string) {
	for i, field := range list {
		where := item(key, i)
		as := field.name()
		switch {
		case (field.Field == "") == (field.Value == ""):
			f.add(where, "needs either field or value")
		case field.Value != "" && (field.As == "" || field.Format != ""):
			f.add(where, "a value needs a name (as), and no format")
		case field.Field != "" && !knownField(known, field.Field):
			f.add(where+".field", "%q is no field of this answer; known are %s", field.Field, strings.Join(known, ", "))
		case fieldPathFault(as) != "":
			f.add(where+".as", "%s", fieldPathFault(as))
		case takenBefore(list[:i], as):
			f.add(where+".as", "%s is given twice, or as a value and as an object at once", as)
		case auth.FormatFault(lastName(field.Field), field.Format) != "":
			f.add(where+".format", "%s", auth.FormatFault(lastName(field.Field), field.Format))
		}
	}
}

// takenBefore tells whether a place is filled by one of a list already, itself
// or by something above or below it.
func takenBefore(list []AliasField, as string) bool {
	return slices.ContainsFunc(list, func(f AliasField) bool {
		other := f.name()
		return other == as || strings.HasPrefix(other, as+".") || strings.HasPrefix(as, other+".")
	})
}

// answerFields lists what an endpoint's answer can be made of. A public profile
// has neither address nor roles to give.
func answerFields(endpoint string) []string {
	account := []string{"id", "username", "email", "name", "roles"}
	switch endpoint {
	case toMe:
		return append(account, "fields")
	case toUser:
		return []string{"id", "username", "name", "fields"}
	case toLogout:
		return nil
	}
	all := []string{accessField, refreshField, "token_type", "expires_in", "session", "user"}
	for _, name := range append(account, "fields") {
		all = append(all, "user."+name)
	}
	return all
}

// problemFields lists what a refusal can be made of.
func problemFields() []string { return []string{"message", "status", "code", "title", "errors"} }

// knownField tells whether a field is one of a list, or a profile field below
// one called fields.
func knownField(known []string, field string) bool {
	parent, name, nested := cutLast(field)
	return slices.Contains(known, field) ||
		nested && lastName(parent) == "fields" && slices.Contains(known, parent) && name != ""
}

// cutLast parts a field's path before its last name; nested is false where the
// name is all there is.
func cutLast(path string) (parent, name string, nested bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// lastName is the field that a value stands in, whatever objects are around it.
func lastName(path string) string {
	_, name, _ := cutLast(path)
	return name
}

// checkTokens judges where the tokens of an answer go. A field that means
// something else to browsers or proxies carries none; Authorization may, because
// a client of Spring's reads it there.
func (a Alias) checkTokens(f *aliasFaults, key string) {
	if a.ResponseHeader != "" && !answersTokens(a.Endpoint) {
		f.add(key+".response_header", "%s answers no access token", a.Endpoint)
	} else if a.ResponseHeader != "" && !strings.EqualFold(a.ResponseHeader, "Authorization") {
		if m := sourceFault("header:" + a.ResponseHeader); m != "" {
			f.add(key+".response_header", "%s", strings.TrimPrefix(m, "has "))
		}
	}
	if _, known := deliveryOf(a.Mode); a.Mode != "" && (!known || !answersTokens(a.Endpoint)) {
		f.add(key+".mode", "may be cookie or refresh_cookie, on an endpoint that answers tokens")
	}
	if a.Endpoint == toLogin && a.Method != "GET" && a.Mode == "" && !a.has(accessField) {
		f.add(key, "answers no access token, so nobody could log in here: put access_token into response, body or response_header")
	}
}

// checkTerms judges what is said of the sessions that an alias begins. The bound
// on access_ttl is the one on access_token.ttl: for so long every revocation is
// remembered, of all sessions.
func (a Alias) checkTerms(f *aliasFaults, key string) {
	if a.Preset == "" && a.hasTerms() && !begins(a.Endpoint) && a.Endpoint != toRefresh {
		f.add(key, "rotate, access_ttl, session_ttl and claims are settled at the login: say them there")
	}
	if a.AccessTTL != 0 && (a.AccessTTL < time.Second || a.AccessTTL > auth.MaxAccessTTL) {
		f.add(key+".access_ttl", "%s is out of bounds: from 1s to 30d", a.AccessTTL)
	}
	if a.SessionTTL != 0 && (a.SessionTTL < time.Second || a.SessionTTL > 3650*day) {
		f.add(key+".session_ttl", "%s is out of bounds: from 1s to 3650d", a.SessionTTL)
	}
	a.checkClaims(f, key)
}

// hasTerms tells whether anything is said of sessions.
func (a Alias) hasTerms() bool {
	return a.AccessTTL != 0 || a.SessionTTL != 0 || a.Rotate != nil || a.Claims != nil
}

// checkClaims judges the claims, each by itself and with those of the preset.
func (a Alias) checkClaims(f *aliasFaults, key string) {
	for i, c := range a.Claims {
		if m := auth.ClaimFault(c); m != "" {
			f.add(item(key+".claims", i), "%s", m)
		}
	}
	for _, one := range append(presetNamed(a.Preset), Alias{Endpoint: toLogin}) {
		if m := auth.ClaimsFault(a.over(one).Claims); m != "" {
			f.add(key+".claims", "%s", m)
			return
		}
	}
}

// checkProblems judges how refusals are said. A refusal stays one: no status
// below 400 may be given to it, or a client would take it for a success.
func (a Alias) checkProblems(f *aliasFaults, key string) {
	for i, p := range a.Problems {
		where := item(key+".problems", i)
		if p.Code != anyCode && !slices.Contains(problem.Codes(), p.Code) {
			f.add(where+".code", "unknown code %q; known are any, %s", p.Code, strings.Join(problem.Codes(), ", "))
		}
		if p.Status != 0 && (p.Status < 400 || p.Status > 599) {
			f.add(where+".status", "%d is no status of a refusal: 400 to 599", p.Status)
		}
		if p.Body != "" && (p.Body != "message" || p.Response != nil) {
			f.add(where+".body", "may be message, and then without response")
		}
		checkResponse(f, where+".response", p.Response, problemFields())
	}
}

// checkPlaces finds two aliases for one path and method, however they name the
// variable in it. Which of the two answered would depend on their order.
func (c Config) checkPlaces(f *aliasFaults) {
	seen := map[string]string{}
	for _, a := range c.written() {
		place := a.Method + " " + pathVariable.ReplaceAllString(a.Path, "{}")
		if other, taken := seen[place]; taken {
			f.add(a.key, "%s %s is what %s is for already", a.Method, a.Path, other)
			continue
		}
		seen[place] = a.key
	}
}

// checkRotation finds a refresh that wants tokens to stay where no login begins
// such sessions.
func (c Config) checkRotation(f *aliasFaults) {
	written := c.written()
	for i, a := range c.Aliases {
		stays := a.Preset == "" && a.Endpoint == toRefresh && a.Rotate != nil && !*a.Rotate
		if stays && !slices.ContainsFunc(written, func(w aliasAt) bool { return w.Endpoint == toLogin }) {
			f.add(item("aliases", i)+".rotate", "is settled at the login, and there is no alias of login: write one")
		}
	}
}

// Shapes of what a user writes in an alias.
var (
	aliasSegment = regexp.MustCompile(`^[A-Za-z0-9._~@:+,=$&!-]+$`)
	fieldPath    = regexp.MustCompile(`^[A-Za-z0-9_$-]+(\.[A-Za-z0-9_$-]+){0,3}$`)
	pathVariable = regexp.MustCompile(`\{[^}]*\}`)
)

// aliasPathFault demands a path that has one reading: the gateway compares it
// with what a client asks for, byte by byte. No escapes, no dot segments, no
// empty ones; a slash at the end is a part of the path, as Django has it. The
// one variable is the account of a public profile.
func aliasPathFault(path, endpoint string) string {
	if path == "" {
		return "is missing"
	}
	if !strings.HasPrefix(path, "/") || path == "/" {
		return "must be a path such as /api/auth/signin"
	}
	variables := 0
	for segment := range strings.SplitSeq(strings.TrimSuffix(path[1:], "/"), "/") {
		switch {
		case segment == "{id}":
			variables++
		case segment == "." || segment == ".." || !aliasSegment.MatchString(segment):
			return fmt.Sprintf("%q is no literal segment: letters, digits and -._~ will do, and {id} for user", segment)
		}
	}
	switch {
	case endpoint == toUser && variables != 1:
		return "needs one {id}, the account whose profile it is"
	case endpoint != toUser && variables > 0:
		return "has {id}, which is for user alone"
	}
	return ""
}

// fieldPathFault demands names without quotes or spaces, nested by dots, at most
// four deep.
func fieldPathFault(path string) string {
	if len(path) > 128 || !fieldPath.MatchString(path) {
		return fmt.Sprintf("%q is no field: letters, digits, _, $ and -, nested by at most three dots", path)
	}
	return ""
}

// tokenHeaderFault demands a field that can carry a token and nothing else.
func tokenHeaderFault(name string) string {
	if name == "" || textproto.CanonicalMIMEHeaderKey(name) == bearerHeader {
		return ""
	}
	return sourceFault("header:" + name)
}
