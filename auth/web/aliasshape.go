package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway/problem"
)

// bearerHeader is the token header of clients that send bearer tokens.
const bearerHeader = "Authorization"

// name is where a field of an answer goes.
func (f AliasField) name() string {
	if f.As == "" {
		return f.Field
	}
	return f.As
}

// renamed is a body with the fields under the names that the endpoint knows.
// What is not renamed keeps its name; a name that is the aim of a renaming has
// what was renamed or nothing, so that no request says it twice.
func renamed(in input, fields []AliasField) input {
	if len(fields) == 0 || in.members == nil {
		return in
	}
	out := input{members: maps.Clone(in.members), form: in.form}
	for _, f := range fields {
		parent, _, _ := strings.Cut(f.Field, ".")
		delete(out.members, parent)
	}
	for _, f := range fields {
		first, _, _ := strings.Cut(f.As, ".")
		if first != "fields" {
			delete(out.members, first)
		}
	}
	for _, f := range fields {
		if v, there := lookup(in.members, f.Field); there && in.form {
			out.members[f.As] = v
		} else if there {
			nest(out.members, f.As, v)
		}
	}
	return out
}

// nested is a form as the JSON that it stands for: fields.phone is a member of
// fields.
func (in input) nested() input {
	if !in.form {
		return in
	}
	out := input{members: map[string]any{}}
	for name, v := range in.members {
		if strings.HasPrefix(name, fieldPrefix) {
			nest(out.members, name, v)
		} else if name != "fields" {
			out.members[name] = v
		}
	}
	return out
}

// lookup finds a value in nested objects. A name with dots may also stand as it
// is: in a form, which has no nesting.
func lookup(tree map[string]any, path string) (any, bool) {
	if v, there := tree[path]; there {
		return v, true
	}
	for i := range len(path) {
		below, isObject := tree[path[:i]].(map[string]any)
		if path[i] != '.' || !isObject {
			continue
		}
		if v, there := lookup(below, path[i+1:]); there {
			return v, true
		}
	}
	return nil, false
}

// nest puts a value into nested objects. What stands in the way stays: a body
// that has a text where an object is meant is for the endpoint to refuse. Objects
// on the way are copied, since the body may hold them under another name too.
func nest(tree map[string]any, path string, v any) {
	name, rest, nested := strings.Cut(path, ".")
	if !nested {
		tree[name] = v
		return
	}
	below, isObject := tree[name].(map[string]any)
	if !isObject {
		if _, taken := tree[name]; taken {
			return
		}
		below = map[string]any{}
	} else {
		below = maps.Clone(below)
	}
	tree[name] = below
	nest(below, rest, v)
}

// shaped is an answer made of the fields that are listed. A field without a
// value is left out, as the endpoint would: a refresh token that went into a
// cookie, or that a session does not have, is not there as null either.
func shaped(list []AliasField, tree map[string]any) map[string]any {
	out := make(map[string]any, len(list))
	for _, f := range list {
		if f.Value != "" {
			nest(out, f.name(), f.Value.decoded())
		} else if v, there := lookup(tree, f.Field); there {
			nest(out, f.name(), auth.FormatValue(v, f.Format))
		}
	}
	return out
}

// accountTree is an account as the names of answerFields find it.
func accountTree(a auth.Account) map[string]any {
	return map[string]any{
		"id": a.ID, "username": a.Username, "email": a.Email, "name": a.Name,
		"roles": append([]string{}, a.Roles...), "fields": auth.FieldsData(a.Fields),
	}
}

// grantTree is a grant as the names of answerFields find it. A refresh token that
// goes into a cookie is not in it, so that no list can put it into a body too.
func grantTree(g auth.Grant, d delivery) map[string]any {
	user := accountTree(g.Account)
	// The user of the endpoint's own answer has no fields; they can be had by
	// their name.
	tree := map[string]any{"user": user, "user.fields": user["fields"]}
	delete(user, "fields")
	if g.AccessToken == "" { // a registration that begins no session
		return tree
	}
	tree[accessField], tree["token_type"], tree["expires_in"], tree["session"] = g.AccessToken, "Bearer", int64(g.AccessTTL.Seconds()), g.Session
	if g.RefreshToken != "" && !d.refreshCookie {
		tree[refreshField] = g.RefreshToken
	}
	return tree
}

// encoded is a value as JSON, without escapes for HTML and without a line end.
func encoded(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // texts, numbers and constants that were checked: cannot be
		return []byte("{}")
	}
	return text
}

// phrase is a problem of an alias, made ready. Without a shape of its own it is
// {"message": ...}, as most of these backends have it.
func (p AliasProblem) phrase() problem.Phrase {
	made := problem.Phrase{Code: p.Code, Field: p.Field, Status: p.Status, Message: p.Message, Type: jsonType}
	if p.Code == anyCode {
		made.Code = ""
	}
	list := p.Response
	switch {
	case p.Body == "message":
		made.Type = textType
		made.Render = func(message string, _ problem.Problem) []byte { return []byte(message) }
		return made
	case list == nil:
		list = []AliasField{{Field: "message"}}
	}
	made.Render = func(message string, p problem.Problem) []byte {
		return append(encoded(shaped(list, problemTree(message, p))), '\n')
	}
	return made
}

const textType = "text/plain; charset=utf-8"

// problemTree is a refusal as the names of problemFields find it. Its title is
// the status's own phrase, as the problem document has it: the heading of the
// page is for a person, and not for a client that compares words.
func problemTree(message string, p problem.Problem) map[string]any {
	tree := map[string]any{"message": message, "status": p.Status, "code": p.Code, "title": http.StatusText(p.Status)}
	if p.Errors != nil {
		tree["errors"] = p.Errors
	}
	return tree
}

// dialect is how an alias refuses.
func (a Alias) dialect() problem.Dialect {
	d := problem.Dialect{Header: textproto.CanonicalMIMEHeaderKey(a.TokenHeader)}
	for _, p := range a.Problems {
		d.Phrases = append(d.Phrases, p.phrase())
	}
	return d
}

// Dialects says, by token header, how the gateway refuses clients of the aliases
// on every route. What an alias says of all problems is about its own answers,
// not about the application's routes.
func (c Config) Dialects() []problem.Dialect {
	var all []problem.Dialect
	for _, a := range c.written() {
		header := c.headerOf(a.Alias)
		if header == "" || len(a.Problems) == 0 {
			continue
		}
		d := a.dialect()
		d.Header = textproto.CanonicalMIMEHeaderKey(header)
		d.Phrases = slices.DeleteFunc(d.Phrases, func(p problem.Phrase) bool { return p.Code == "" || p.Field != "" })
		if i := slices.IndexFunc(all, func(other problem.Dialect) bool { return other.Header == d.Header }); i >= 0 {
			all[i].Phrases = append(all[i].Phrases, d.Phrases...)
		} else {
			all = append(all, d)
		}
	}
	return all
}

// headerOf is the token header of an alias's clients: what it says, what it
// answers the token in, or the one header that token_sources name.
func (c Config) headerOf(a Alias) string {
	switch {
	case a.TokenHeader != "":
		return a.TokenHeader
	case a.ResponseHeader != "":
		return a.ResponseHeader
	}
	only := ""
	for _, source := range c.TokenSources {
		if name, ok := strings.CutPrefix(source, "header:"); ok && only == "" {
			only = name
		} else if ok {
			return ""
		}
	}
	return only
}

// Sources are token_sources and what the aliases bring along.
func (c Config) Sources() []string {
	all := slices.Clone(c.TokenSources)
	for _, a := range c.written() {
		source := "header:" + strings.ToLower(a.TokenHeader)
		switch {
		case a.TokenHeader == "":
			continue
		case strings.EqualFold(a.TokenHeader, bearerHeader):
			source = "bearer"
		}
		if !slices.ContainsFunc(all, func(s string) bool { return strings.EqualFold(s, source) }) {
			all = append(all, source)
		}
	}
	return all
}

// textOf is a field of an answer as text, for a body that is nothing else: a text
// as it is, without the quotes that JSON gives it. It is sent as text/plain and
// nosniff, whatever is in it.
func textOf(tree map[string]any, field string) string {
	switch v, _ := lookup(tree, field); v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any, []string:
		return string(encoded(v))
	default:
		return fmt.Sprint(v)
	}
}
