package web

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

func TestEveryPresetIsRight(t *testing.T) {
	for _, name := range presetNames() {
		c := DefaultConfig()
		c.Aliases = []Alias{{Preset: name}}
		if faults := c.Validate(); len(faults) != 0 {
			t.Errorf("%s: %v", name, faults)
		}
		// Written out, each alias of it is one that a user could have written.
		var out []Alias
		for _, a := range c.written() {
			a.Problems = slices.Clone(a.Problems)
			one := a.Alias
			if !begins(one.Endpoint) {
				one.Rotate, one.AccessTTL, one.SessionTTL, one.Claims = nil, 0, 0, nil
			}
			out = append(out, one)
		}
		c.Aliases = out
		if faults := c.Validate(); len(faults) != 0 {
			t.Errorf("%s, written out: %v", name, faults)
		}
	}
	if presetNamed("no-such-preset") != nil {
		t.Error("a preset that does not exist has aliases")
	}
}

func TestAllPresetsThatShareNoPathStandTogether(t *testing.T) {
	c := DefaultConfig()
	for _, name := range []string{"bezkoder", "drf-simplejwt", "express-x-access-token", "express-x-auth-token", "fastapi-oauth2", "nestjs"} {
		c.Aliases = append(c.Aliases, Alias{Preset: name})
	}
	c.Aliases = append(c.Aliases, Alias{Preset: "spring", Path: "/spring/login"}, Alias{Preset: "flask-jwt-extended", Path: "/flask/login"})
	if faults := c.Validate(); len(faults) != 0 {
		t.Error(faults)
	}
	if got, want := c.Sources(), []string{"bearer", "cookie", "header:x-access-token", "header:x-auth-token"}; !reflect.DeepEqual(got, want) {
		t.Errorf("sources %v", got)
	}
	if got := c.LongestAccess(); got != 10*day {
		t.Errorf("the longest access token lives %v", got)
	}
}

func TestWhatIsWrongWithAnAliasIsSaidAtItsKey(t *testing.T) {
	no, tooLong := false, 31*24*time.Hour
	login := func(change func(*Alias)) Alias {
		a := Alias{Path: "/in", Method: "POST", Endpoint: "login"}
		change(&a)
		return a
	}
	for _, c := range []struct {
		key  string // below aliases[0]; empty: the alias itself
		says string
		a    Alias
	}{
		{".endpoint", "is missing", Alias{Path: "/in"}},
		{".endpoint", "unknown endpoint", Alias{Path: "/in", Endpoint: "admin"}},
		{".method", "no method for login", Alias{Path: "/in", Endpoint: "login", Method: "PUT"}},
		{".method", "no method for refresh", Alias{Path: "/in", Endpoint: "refresh", Method: "GET"}},
		{".path", "is missing", Alias{Endpoint: "login"}},
		{".path", "must be a path", Alias{Path: "in", Endpoint: "login"}},
		{".path", "must be a path", Alias{Path: "/", Endpoint: "login"}},
		{".path", "no literal segment", Alias{Path: "/a//b", Endpoint: "login"}},
		{".path", "no literal segment", Alias{Path: "/a/../b", Endpoint: "login"}},
		{".path", "no literal segment", Alias{Path: "/a/**", Endpoint: "me"}},
		{".path", "no literal segment", Alias{Path: "/a/%2e", Endpoint: "login"}},
		{".path", "no literal segment", Alias{Path: "/a;b", Endpoint: "login"}},
		{".path", "no literal segment", Alias{Path: "/{name}", Endpoint: "user"}},
		{".path", "no literal segment", Alias{Path: "/a?b", Endpoint: "login"}},
		{".path", "has {id}", Alias{Path: "/a/{id}", Endpoint: "me"}},
		{".path", "needs one {id}", Alias{Path: "/a", Endpoint: "user"}},
		{".path", "needs one {id}", Alias{Path: "/{id}/{id}", Endpoint: "user"}},
		{".path", "place of the gateway's own", Alias{Path: "/.well-known/jwks.json", Endpoint: "me"}},
		{".path", "place of the gateway's own", Alias{Path: "/auth/admin/users", Endpoint: "register"}},
		{".path", "place of the gateway's own", Alias{Path: "/auth/verify", Endpoint: "me"}},
		{".status", "no status of a good answer", login(func(a *Alias) { a.Status = 302 })},
		{".request[0].field", "is no field", login(func(a *Alias) { a.Request = []AliasField{{Field: "a b", As: "username"}} })},
		{".request[0].as", "is no field", login(func(a *Alias) { a.Request = []AliasField{{Field: "a"}} })},
		{".request[0]", "value and format are for answers", login(func(a *Alias) { a.Request = []AliasField{{Field: "a", As: "b", Value: "1"}} })},
		{".request[1].as", "given twice", login(func(a *Alias) {
			a.Request = []AliasField{{Field: "a", As: "username"}, {Field: "b", As: "username"}}
		})},
		{".response[0].field", "no field of this answer", login(func(a *Alias) { a.Response = []AliasField{{Field: "password", As: "p"}, {Field: "access_token"}} })},
		{".response[0].field", "no field of this answer", login(func(a *Alias) {
			a.Response = []AliasField{{Field: "user.password_hash", As: "p"}, {Field: "access_token"}}
		})},
		{".response[1]", "either field or value", login(func(a *Alias) { a.Response = []AliasField{{Field: "access_token"}, {As: "x"}} })},
		{".response[1]", "either field or value", login(func(a *Alias) {
			a.Response = []AliasField{{Field: "access_token"}, {Field: "user", As: "x", Value: "1"}}
		})},
		{".response[1]", "needs a name", login(func(a *Alias) { a.Response = []AliasField{{Field: "access_token"}, {Value: "1"}} })},
		{".response[1].as", "at once", login(func(a *Alias) {
			a.Response = []AliasField{{Field: "access_token", As: "data"}, {Field: "user.id", As: "data.id"}}
		})},
		{".response[1].as", "nested by at most three dots", login(func(a *Alias) {
			a.Response = []AliasField{{Field: "access_token"}, {Field: "user.id", As: "a.b.c.d.e"}}
		})},
		{".response[1].format", "is for roles", login(func(a *Alias) {
			a.Response = []AliasField{{Field: "access_token"}, {Field: "user.id", As: "id", Format: "role_upper"}}
		})},
		{".body", "no field of login", login(func(a *Alias) { a.Body, a.ResponseHeader = "password", "x-t" })},
		{".response_header", "another meaning", login(func(a *Alias) { a.ResponseHeader = "Cookie" })},
		{".response_header", "no header name", login(func(a *Alias) { a.ResponseHeader = "x_t" })},
		{".response_header", "answers no access token", Alias{Path: "/me", Endpoint: "me", ResponseHeader: "x-t"}},
		{".mode", "may be cookie", login(func(a *Alias) { a.Mode = "body" })},
		{".mode", "may be cookie", Alias{Path: "/me", Endpoint: "me", Mode: "cookie"}},
		{"", "nobody could log in", login(func(a *Alias) { a.Response = []AliasField{{Field: "user.id", As: "id"}} })},
		{"", "nobody could log in", login(func(a *Alias) { a.Body = "none" })},
		{".access_ttl", "out of bounds", login(func(a *Alias) { a.AccessTTL = tooLong })},
		{".access_ttl", "out of bounds", login(func(a *Alias) { a.AccessTTL = -time.Hour })},
		{".session_ttl", "out of bounds", login(func(a *Alias) { a.SessionTTL = time.Millisecond })},
		{"", "settled at the login", Alias{Path: "/me", Endpoint: "me", Rotate: &no}},
		{"", "settled at the login", Alias{Path: "/me", Endpoint: "me", Claims: []auth.Claim{{Name: "a", Value: "id"}}}},
		{".rotate", "no alias of login", Alias{Path: "/again", Endpoint: "refresh", Rotate: &no}},
		{".claims[0]", "means something to every verifier", login(func(a *Alias) { a.Claims = []auth.Claim{{Name: "sub", Constant: "root"}} })},
		{".claims", "is there twice", login(func(a *Alias) {
			a.Claims = []auth.Claim{{Name: "x", Constant: "1"}, {Name: "X", Constant: "2"}}
		})},
		{".token_header", "another meaning", login(func(a *Alias) { a.TokenHeader = "Host" })},
		{".problems[0].code", "unknown code", login(func(a *Alias) { a.Problems = []AliasProblem{{Code: "nope"}} })},
		{".problems[0].status", "no status of a refusal", login(func(a *Alias) { a.Problems = []AliasProblem{{Code: "any", Status: 200}} })},
		{".problems[0].body", "may be message", login(func(a *Alias) { a.Problems = []AliasProblem{{Code: "any", Body: "detail"}} })},
		{".problems[0].response[0].field", "no field of this answer", login(func(a *Alias) {
			a.Problems = []AliasProblem{{Code: "any", Response: []AliasField{{Field: "access_token"}}}}
		})},
		{".preset", "unknown preset", Alias{Preset: "bezcoder"}},
		{".path", "has 4 paths", Alias{Preset: "bezkoder", Path: "/x"}},
		{".path", "no literal segment", Alias{Preset: "spring", Path: "/x/*"}},
		{".endpoint", "the preset's to say", Alias{Preset: "spring", Endpoint: "login"}},
		{".response", "the preset's to say", Alias{Preset: "spring", Response: []AliasField{{Field: "access_token"}}}},
		{".claims", "is there twice", Alias{Preset: "bezkoder", Claims: []auth.Claim{{Name: "ID", Value: "id"}}}},
	} {
		conf := DefaultConfig()
		conf.Aliases = []Alias{c.a}
		faults := conf.Validate()
		found := slices.ContainsFunc(faults, func(f auth.Fault) bool {
			return f.Path == "aliases[0]"+c.key && strings.Contains(f.Message, c.says)
		})
		if !found {
			t.Errorf("%+v:\nwant %q at aliases[0]%s, got %v", c.a, c.says, c.key, faults)
		}
	}
}

func TestTwoAliasesForOnePlaceAreAMistake(t *testing.T) {
	for _, list := range [][]Alias{
		{{Path: "/in", Endpoint: "login"}, {Path: "/in", Method: "POST", Endpoint: "register"}},
		{{Path: "/u/{id}", Endpoint: "user"}, {Path: "/u/{id}", Endpoint: "user"}},
		{{Preset: "spring"}, {Preset: "flask-jwt-extended"}},
		{{Preset: "bezkoder"}, {Path: "/api/auth/signin", Endpoint: "login"}},
		{{Preset: "bezkoder"}, {Preset: "bezkoder"}},
	} {
		c := DefaultConfig()
		c.Aliases = list
		faults := c.Validate()
		if len(faults) == 0 || faults[0].Path != "aliases[1]" || !strings.Contains(faults[0].Message, "is what aliases[0] is for already") {
			t.Errorf("%v: %v", list, faults)
		}
	}
}

func TestARefreshSaysHowTheLoginsBesideItRotate(t *testing.T) {
	no, yes := false, true
	refresh := Alias{Path: "/again", Endpoint: "refresh", Rotate: &no, AccessTTL: time.Minute}
	for _, c := range []struct {
		login Alias
		want  auth.RefreshKind
		ttl   time.Duration
	}{
		{Alias{Path: "/in", Endpoint: "login"}, auth.RefreshStays, time.Minute},
		{Alias{Path: "/in", Endpoint: "login", Rotate: &yes, AccessTTL: time.Hour}, auth.RefreshRotates, time.Hour},
		{Alias{Path: "/in", Endpoint: "login", Body: "access_token"}, auth.RefreshNone, time.Minute},
	} {
		conf := DefaultConfig()
		conf.Aliases = []Alias{c.login, refresh}
		if faults := conf.Validate(); len(faults) != 0 {
			t.Error(faults)
		}
		if got := conf.written()[0].terms(); got.Refresh != c.want || got.AccessTTL != c.ttl {
			t.Errorf("%+v: %+v", c.login, got)
		}
	}
}

func TestWhatStandsBesideAPresetCounts(t *testing.T) {
	yes := true
	c := DefaultConfig()
	c.Aliases = []Alias{{
		Preset: "bezkoder", Rotate: &yes, AccessTTL: 5 * time.Minute, SessionTTL: time.Hour, Claims: []auth.Claim{{Name: "isAdmin", HasRole: "admin"}},
		Problems: []AliasProblem{{Code: "token_missing", Status: 401, Message: "Who?"}},
	}}
	if faults := c.Validate(); len(faults) != 0 {
		t.Fatal(faults)
	}
	for _, a := range c.written() {
		if a.Endpoint != toLogin {
			continue
		}
		got := a.terms()
		if got.Refresh != auth.RefreshRotates || got.AccessTTL != 5*time.Minute || got.SessionTTL != time.Hour || len(got.Claims) != 2 || a.Problems[0].Message != "Who?" {
			t.Errorf("%+v", a)
		}
	}
	if presetBezkoder()[1].AccessTTL != time.Hour || len(presetBezkoder()[1].Claims) != 1 {
		t.Error("the preset itself has changed")
	}
}

func TestAConstantIsWhatItReadsAs(t *testing.T) {
	for text, want := range map[Constant]string{"true": "true", "200": "200", "null": "null", "ok": `"ok"`, `"200"`: `"200"`, `{"a":1}`: `{"a":1}`, "tru": `"tru"`, "1 2": `"1 2"`} {
		if got := string(encoded(text.decoded())); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

// What passes for a path has one reading: none that a router or a proxy could
// take for another.
func FuzzAliasPath(f *testing.F) {
	for _, path := range []string{"/api/auth/signin", "/a/{id}/b", "/a//b", "/..", "/%2e", "/a\\b", "/a;b", "/a?b#c", "/é", "/a/", "/{id}"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if aliasPathFault(path, toUser) != "" && aliasPathFault(path, toLogin) != "" {
			return
		}
		if strings.Contains(path, "//") || strings.ContainsAny(path, "%\\?#;\x00 ") || !strings.HasPrefix(path, "/") {
			t.Fatalf("%q passes", path)
		}
		for segment := range strings.SplitSeq(path, "/") {
			if segment == "." || segment == ".." {
				t.Fatalf("%q passes", path)
			}
		}
	})
}

// Whatever fields are renamed, no value gets under a name that it was not sent
// for, and none is lost or doubled on its way to a name.
func FuzzRename(f *testing.F) {
	f.Add(`{"login":"a","secret":{"word":"b"}}`, "login", "username", "secret.word", "password")
	f.Add(`{"a":{"b":{"c":1}}}`, "a.b.c", "fields.x", "a", "name")
	f.Add(`{"username":"evil","login":"good"}`, "login", "username", "x", "y")
	f.Fuzz(func(t *testing.T, body, from1, to1, from2, to2 string) {
		in, err := readJSON([]byte(body))
		list := []AliasField{{Field: from1, As: to1}, {Field: from2, As: to2}}
		var faults aliasFaults
		Alias{Request: list, Endpoint: toLogin}.checkFields(&faults, "a")
		if err != nil || len(faults.all) != 0 {
			return
		}
		before, _ := json.Marshal(in.members)
		out := renamed(in, list)
		if after, _ := json.Marshal(in.members); string(before) != string(after) {
			t.Fatalf("the body itself changed: %s, was %s", after, before)
		}
		for _, f := range list {
			want, there := lookup(in.members, f.Field)
			got, is := lookup(out.members, f.As)
			// The other may stand in the way: then nothing is there, never a
			// value of the body's own.
			if is && !(there && reflect.DeepEqual(got, want)) && !isOther(list, f, in.members, got) {
				t.Fatalf("%s under %s is %v, want %v (%v)", body, f.As, got, want, there)
			}
		}
	})
}

// isOther tells whether a value came from another renaming, above or below.
func isOther(list []AliasField, f AliasField, members map[string]any, got any) bool {
	for _, other := range list {
		if other == f {
			continue
		}
		v, there := lookup(members, other.Field)
		if there && (strings.HasPrefix(f.As, other.As+".") || strings.HasPrefix(other.As, f.As+".") || reflect.DeepEqual(got, v)) {
			return true
		}
	}
	return strings.HasPrefix(f.As, "fields.")
}
