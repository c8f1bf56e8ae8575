package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// What every endpoint refuses of a body, an alias refuses: in the words of its
// backend where there are any, and as a problem where there are none.
func TestAnAliasRefusesBodiesAsTheEndpointsDo(t *testing.T) {
	plain, spoken := newSite(t, withAliases(signin()...)), newSite(t, preset("bezkoder"))
	for _, c := range []struct {
		name   string
		send   with
		status int
		code   string
	}{
		{"text", body("text/plain", signinBody), 415, "unsupported_media_type"},
		{"multipart", body("multipart/form-data; boundary=x", "--x--"), 415, "unsupported_media_type"},
		{"another character set", body("application/json; charset=latin1", signinBody), 415, "unsupported_media_type"},
		{"too much", asJSON(`{"login":"` + strings.Repeat("a", maxBody) + `"}`), 413, "too_large"},
		{"a list", asJSON(`[1]`), 400, "bad_request"},
		{"two objects", asJSON(`{}{}`), 400, "bad_request"},
		{"a member twice", asJSON(`{"login":"a","login":"b"}`), 400, "bad_request"},
		{"a number for a name", asJSON(`{"login":5,"secret":{"word":"x"}}`), 400, "bad_request"},
		{"an object for a name", asJSON(`{"login":{"a":"b"},"secret":{"word":"x"}}`), 400, "bad_request"},
		{"nested too deep", asJSON(strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)), 400, "bad_request"},
		{"nothing", func(*http.Request) {}, 400, "bad_request"},
	} {
		plain.ask("POST", "/api/auth/signin", c.send).want(t, c.status, c.code)
		if a := spoken.ask("POST", "/api/auth/signin", c.send).want(t, c.status, ""); !matches(a.body, `{"message":"*"}`) {
			t.Errorf("%s: %s", c.name, a.body)
		}
	}
}

func TestAnAliasOfAClosedRegistrationIsNotThere(t *testing.T) {
	s := newSite(t, func(s *setup) { s.web.Aliases = []Alias{{Preset: "bezkoder"}, {Path: "/new", Endpoint: "register"}} })
	user := asJSON(`{"username":"bob","email":"bob@example.com","password":"correct-horse-9"}`)
	if a := s.ask("POST", "/api/auth/signup", user).want(t, 404, ""); !matches(a.body, `{"message":"*"}`) {
		t.Errorf("answered %s", a.body)
	}
	s.ask("POST", "/new", user).want(t, 404, "no_route")
	if s.idOf("bob") != "" {
		t.Error("an account was made")
	}
}

// Attempts at an alias count with those at the endpoint: no door has a count of
// its own.
func TestALockIsOneForAllDoors(t *testing.T) {
	s := newSite(t, preset("bezkoder"), func(s *setup) { s.auth.Lockout.Attempts = 4 })
	for i := range 4 {
		path := "/api/auth/signin"
		if i%2 == 1 {
			path = "/auth/login"
		}
		s.ask("POST", path, asJSON(`{"username":"alice","password":"wrong"}`)).want(t, 401, "")
	}
	a := s.ask("POST", "/api/auth/signin", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(t, 429, "")
	if !matches(a.body, `{"message":"*"}`) || a.Header.Get("Retry-After") == "" {
		t.Errorf("answered %s %v", a.body, a.Header)
	}
	s.ask("POST", "/auth/login", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(t, 429, "locked")
}

// A deleted or disabled account has no public profile, whoever made its address
// public; and an address is never a public name.
func TestAPublicProfileByAliasTellsNoMoreThanItsList(t *testing.T) {
	list := []AliasField{{Field: "id", As: "_id"}, {Field: "username", As: "login"}, {Field: "name", As: "name"}, {Field: "fields.city", As: "city"}}
	s := newSite(t, withAliases(Alias{Path: "/p/{id}", Endpoint: "user", Response: list}, Alias{Path: "/q/{id}", Endpoint: "user"}), func(s *setup) {
		s.auth.Profile.Fields = []auth.ProfileField{{Name: "city", Editable: true, Public: true}, {Name: "phone", Editable: true}}
	})
	fields := map[string]any{"city": "Wien", "phone": "+1"}
	if _, err := s.service.SetProfile(t.Context(), s.idOf("alice"), auth.ProfileChange{Fields: fields}, auth.Client{}); err != nil {
		t.Fatal(err)
	}
	if a := s.ask("GET", "/p/"+s.idOf("alice")).want(t, 200, ""); !matches(a.body, `{"_id":"*","login":"alice","name":"Dear alice","city":"Wien"}`) {
		t.Errorf("answered %s", a.body)
	}
	if a := s.ask("GET", "/q/"+s.idOf("alice")).want(t, 200, ""); a.body != s.ask("GET", "/auth/users/"+s.idOf("alice")).body {
		t.Errorf("without a list: %s", a.body)
	}
	mail, err := s.service.AddAccount(t.Context(), auth.NewAccount{Username: "mail@example.com", Email: "mail@example.com", Roles: []string{"user"}}, auth.Actor{By: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if a := s.ask("GET", "/p/"+mail.ID).want(t, 200, ""); !matches(a.body, `{"_id":"`+mail.ID+`","name":""}`) {
		t.Errorf("an address is told: %s", a.body)
	}
	disabled := true
	if _, err := s.service.SetAccount(t.Context(), mail.ID, auth.AccountChange{Disabled: &disabled}, auth.Actor{By: "test"}); err != nil {
		t.Fatal(err)
	}
	s.ask("GET", "/p/"+mail.ID).want(t, 404, "no_route")
	s.ask("GET", "/p/nobody").want(t, 404, "no_route")
}

func TestAPublicProfileWithoutPublicFieldsIsTheListsAlone(t *testing.T) {
	s := newSite(t, withAliases(Alias{Path: "/p/{id}", Endpoint: "user", Response: []AliasField{{Field: "name"}}}, Alias{Path: "/q/{id}", Endpoint: "user"}))
	if a := s.ask("GET", "/p/"+s.idOf("alice")).want(t, 200, ""); !matches(a.body, `{"name":"Dear alice"}`) {
		t.Errorf("answered %s", a.body)
	}
	s.ask("GET", "/q/"+s.idOf("alice")).want(t, 404, "no_route")
}

// Only the fields that their owner may edit change, at whatever name they come
// in by.
func TestAProfileByAliasChangesWhatTheOwnerMay(t *testing.T) {
	s := newSite(t, withAliases(Alias{Path: "/profile", Method: "PUT", Endpoint: "me", Request: []AliasField{
		{Field: "fullName", As: "name"}, {Field: "contact.phone", As: "fields.phone"}, {Field: "org", As: "fields.tenant"},
	}}), func(s *setup) {
		s.auth.Profile.Fields = []auth.ProfileField{{Name: "phone", Editable: true}, {Name: "tenant"}}
	})
	token := bearer(s.alice().access)
	a := s.ask("PUT", "/profile", token, asJSON(`{"fullName":"A","contact":{"phone":"+1"},"email":"evil@example.com","roles":["admin"],"id":"1","username":"root"}`)).want(t, 200, "")
	got := a.object(t)
	if got["name"] != "A" || got["email"] != "alice@example.com" || got["username"] != "alice" || len(got["roles"].([]any)) != 1 || got["fields"].(map[string]any)["phone"] != "+1" {
		t.Errorf("answered %s", a.body)
	}
	s.ask("PUT", "/profile", token, asJSON(`{"org":"theirs"}`)).want(t, 422, "invalid")
	a = s.ask("PUT", "/profile", token, asForm("fullName", "B", "contact.phone", "+2")).want(t, 200, "")
	if got := a.object(t); got["name"] != "B" || got["fields"].(map[string]any)["phone"] != "+2" {
		t.Errorf("by form: %s", a.body)
	}
	s.ask("PUT", "/profile", asJSON(`{"fullName":"C"}`)).want(t, 401, "token_missing")
}

// Words that one alias has for its clients' tokens are said by the others too, which
// those clients ask as well: an interceptor that compares words would otherwise miss
// that the token has expired. Each has its own words first.
func TestAnAliasWithoutWordsOfItsOwnHasThoseOfItsClientsHeader(t *testing.T) {
	list := signin(func(a *Alias) {
		a.TokenHeader = "authorization"
		a.Problems = []AliasProblem{{Code: "token_malformed", Message: "Invalid token"}, {Code: "conflict", Message: "not on routes"}, {Code: "any", Message: "mine alone"}}
	})
	own := Alias{Path: "/own", Method: "GET", Endpoint: "me", Problems: []AliasProblem{{Code: "token_malformed", Status: 403, Message: "Mine"}}}
	s := newSite(t, withAliases(append(list, Alias{Path: "/who", Method: "GET", Endpoint: "me"}, own)...))
	for _, test := range []struct{ path, header, body string }{
		{"/who", "Bearer x.y.z", `{"message":"Invalid token"}`},
		{"/own", "Bearer x.y.z", `{"message":"Mine"}`},
		{"/who", "", `"code":"token_missing"`},                   // carries no token header
		{"/auth/me", "Bearer x.y.z", `"code":"token_malformed"`}, // no alias
	} {
		a := s.ask("GET", test.path, func(r *http.Request) {
			if test.header != "" {
				r.Header.Set("Authorization", test.header)
			}
		})
		if !strings.Contains(a.body, test.body) {
			t.Errorf("%s with %q: %d %s", test.path, test.header, a.StatusCode, a.body)
		}
	}
}

// A session keeps its terms when the configuration forgets the alias; its tokens
// are then no longer than those of others.
func TestATokenOfAForgottenAliasGoesOn(t *testing.T) {
	s := newSite(t, preset("bezkoder"))
	a := s.ask("POST", "/api/auth/signin", asJSON(`{"username":"alice","password":"`+alicePassword+`"}`)).want(t, 200, "")
	conf := auth.DefaultConfig()
	conf.Issuer = "http://gw.test"
	if err := s.service.Reconfigure(t.Context(), conf); err != nil {
		t.Fatal(err)
	}
	refresh := a.text(t, "refreshToken")
	b := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+refresh+`"}`)).want(t, 200, "")
	if b.text(t, "refresh_token") != refresh || b.object(t)["expires_in"] != 900.0 || claimsOf(t, b.text(t, "access_token"))["id"] == nil {
		t.Errorf("answered %s", b.body)
	}
	s.later(15 * time.Minute)
	if s.alive(a.text(t, "accessToken")) {
		t.Error("the first token outlives what is remembered of revocations")
	}
}
