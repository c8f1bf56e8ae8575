package auth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/auth"
)

// on is home by a door that begins sessions on these terms.
func on(t auth.Terms) auth.Client {
	c := home()
	c.Terms = t
	return c
}

// enter begins alice's session on terms.
func (r *rig) enter(t auth.Terms) auth.Grant {
	r.t.Helper()
	g, err := r.svc.Login(r.t.Context(), auth.Credentials{Username: "alice", Password: password}, on(t))
	if err != nil {
		r.t.Fatalf("login: %v", err)
	}
	return g
}

// payload reads a token's claims as a frontend does: without a key.
func payload(t testing.TB, raw string) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestATokenThatStaysIsTheSameUntilItsSessionEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		g := r.enter(auth.Terms{Refresh: auth.RefreshStays})
		if !g.RefreshExpires.Equal(time.Now().Add(sessionEnd)) {
			t.Errorf("expires at %v", g.RefreshExpires)
		}
		for range 29 { // days, and more of them than a rotating token may be idle
			time.Sleep(24 * time.Hour)
			next := r.refresh(g.RefreshToken)
			if next.RefreshToken != g.RefreshToken || next.AccessToken == g.AccessToken || !next.RefreshExpires.Equal(g.RefreshExpires) {
				t.Fatalf("got %s, then %s until %v", g.RefreshToken, next.RefreshToken, next.RefreshExpires)
			}
			r.verify(next.AccessToken, nil)
		}
		row, err := r.store.Session(t.Context(), g.Session)
		if err != nil || !row.LastSeen.Equal(time.Now()) {
			t.Errorf("last seen at %v (%v)", row.LastSeen, err)
		}
		time.Sleep(24*time.Hour - time.Minute)
		last := r.refresh(g.RefreshToken)
		if last.AccessTTL != time.Minute {
			t.Errorf("an access token outlives its session by %v", last.AccessTTL-time.Minute)
		}
		time.Sleep(time.Minute)
		r.verify(last.AccessToken, auth.ErrTokenExpired)
		r.refuse(g.RefreshToken, auth.ErrRefreshExpired)
		if live, err := r.svc.Sessions(t.Context(), r.alice.ID); err != nil || len(live) != 0 {
			t.Errorf("%d sessions are listed (%v)", len(live), err)
		}
	})
}

func TestAnIdleTokenThatStaysIsGoodUntilItsSessionEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		g := r.enter(auth.Terms{Refresh: auth.RefreshStays, SessionTTL: 2 * idleLimit})
		time.Sleep(2*idleLimit - time.Second)
		if live, err := r.svc.Sessions(t.Context(), r.alice.ID); err != nil || len(live) != 1 {
			t.Errorf("%d sessions are listed (%v)", len(live), err)
		}
		r.refresh(g.RefreshToken)
		time.Sleep(time.Second)
		r.refuse(g.RefreshToken, auth.ErrRefreshExpired)
	})
}

func TestATokenThatStaysEndsAtOnceByLogoutRoleChangeOrDisabling(t *testing.T) {
	r := newRig(t, func(c *auth.Config) { c.LongestAccess = 24 * time.Hour })
	terms := auth.Terms{Refresh: auth.RefreshStays, AccessTTL: 24 * time.Hour}
	g := r.enter(terms)
	if err := r.svc.Logout(t.Context(), g.Session, home()); err != nil {
		t.Fatal(err)
	}
	r.refuse(g.RefreshToken, auth.ErrRefreshInvalid)
	r.verify(g.AccessToken, auth.ErrTokenRevoked)

	g = r.enter(terms)
	roles := []string{"admin"}
	if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Roles: &roles}, auth.Actor{By: "root"}); err != nil {
		t.Fatal(err)
	}
	r.verify(g.AccessToken, auth.ErrTokenOutdated)
	if p := r.verify(r.refresh(g.RefreshToken).AccessToken, nil); !reflect.DeepEqual(p.Roles, roles) {
		t.Errorf("roles %v", p.Roles) // one refresh, not a login
	}

	disabled := true
	if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Disabled: &disabled}, auth.Actor{By: "root"}); err != nil {
		t.Fatal(err)
	}
	r.refuse(g.RefreshToken, auth.ErrRefreshInvalid)
}

func TestANewPasswordChangesTheTokenThatStays(t *testing.T) {
	r := newRig(t)
	g := r.enter(auth.Terms{Refresh: auth.RefreshStays})
	next, err := r.svc.ChangePassword(t.Context(), r.verify(g.AccessToken, nil), password, "another long password", home())
	if err != nil {
		t.Fatal(err)
	}
	// A copy of the old one proves no theft, since it never rotated; but it is
	// worth nothing.
	r.refuse(g.RefreshToken, auth.ErrRefreshInvalid)
	if again := r.refresh(next.RefreshToken); again.RefreshToken != next.RefreshToken {
		t.Error("the session rotates from then on")
	}
}

func TestASessionWithoutARefreshTokenEndsWithItsAccessToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *auth.Config) { c.LongestAccess = 10 * 24 * time.Hour })
		g := r.enter(auth.Terms{Refresh: auth.RefreshNone, AccessTTL: 10 * 24 * time.Hour})
		if g.RefreshToken != "" || g.AccessTTL != 10*24*time.Hour || !g.RefreshExpires.Equal(g.AccessExpires) {
			t.Fatalf("got %+v", g)
		}
		time.Sleep(9 * 24 * time.Hour) // longer than a session may be idle
		r.verify(g.AccessToken, nil)
		if live, err := r.svc.Sessions(t.Context(), r.alice.ID); err != nil || len(live) != 1 {
			t.Errorf("%d sessions are listed (%v)", len(live), err)
		}
		next, err := r.svc.ChangePassword(t.Context(), r.verify(g.AccessToken, nil), password, "another long password", home())
		if err != nil || next.RefreshToken != "" || next.AccessTTL != 24*time.Hour {
			t.Fatalf("after a new password: %+v (%v)", next, err)
		}
		time.Sleep(24 * time.Hour)
		r.verify(next.AccessToken, auth.ErrTokenExpired)
		if live, err := r.svc.Sessions(t.Context(), r.alice.ID); err != nil || len(live) != 0 {
			t.Errorf("%d sessions are listed (%v)", len(live), err)
		}
	})
}

// A revocation must outlive the longest access token, also that of a session
// whose terms are longer than the configuration's own.
func TestARevocationOutlivesTheLongestAccessToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *auth.Config) { c.LongestAccess = 10 * 24 * time.Hour })
		g := r.enter(auth.Terms{Refresh: auth.RefreshNone, AccessTTL: 10 * 24 * time.Hour})
		if err := r.svc.Logout(t.Context(), g.Session, home()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * 24 * time.Hour)
		poll(t, r.svc)
		auth.Prune(t.Context(), r.svc)
		r.verify(g.AccessToken, auth.ErrTokenRevoked)
		r.svc = r.restart()
		r.verify(g.AccessToken, auth.ErrTokenRevoked)
	})
}

func TestATokenLivesNoLongerThanTheConfigurationNowAllows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *auth.Config) { c.LongestAccess = 24 * time.Hour })
		g := r.enter(auth.Terms{Refresh: auth.RefreshStays, AccessTTL: 24 * time.Hour})
		conf := r.opts.Config
		conf.LongestAccess = 0
		if err := r.svc.Reconfigure(t.Context(), conf); err != nil {
			t.Fatal(err)
		}
		if next := r.refresh(g.RefreshToken); next.AccessTTL != conf.AccessToken.TTL {
			t.Errorf("a session keeps tokens of %v", next.AccessTTL)
		}
		time.Sleep(conf.AccessToken.TTL)
		r.verify(g.AccessToken, auth.ErrTokenExpired)
	})
}

func TestTermsAreSettledAtTheLogin(t *testing.T) {
	r := newRig(t)
	stays, rotates := r.enter(auth.Terms{Refresh: auth.RefreshStays}), r.enter(auth.Terms{})
	for _, c := range []struct {
		name  string
		token string
		terms auth.Terms // of the door that refreshes
		same  bool
	}{
		{"a rotating session by a door of static ones", rotates.RefreshToken, auth.Terms{Refresh: auth.RefreshStays}, false},
		{"a static session by a door of rotating ones", stays.RefreshToken, auth.Terms{}, true},
	} {
		g, err := r.svc.Refresh(t.Context(), c.token, on(c.terms))
		if err != nil || (g.RefreshToken == c.token) != c.same {
			t.Errorf("%s: %v (%v)", c.name, g.RefreshToken == c.token, err)
		}
	}
}

func TestAddedClaimsStandBesideTheStandardOnes(t *testing.T) {
	r := newRig(t)
	terms := auth.Terms{Refresh: auth.RefreshStays, Claims: []auth.Claim{
		{Name: "_id", Value: "id"}, {Name: "isAdmin", HasRole: "admin"}, {Name: "isUser", HasRole: "user"},
		{Name: "token_type", Constant: "access"}, {Name: "authorities", Value: "roles", Format: auth.FormatUpperRole},
		{Name: "who", Value: "username"}, {Name: "fullName", Value: "name"}, {Name: "mail", Value: "email"}, {Name: "session_id", Value: "session"},
	}}
	g := r.enter(terms)
	r.svc = r.restart() // the claims are the session's, and no process's
	for _, raw := range []string{g.AccessToken, r.refresh(g.RefreshToken).AccessToken} {
		p := r.verify(raw, nil)
		if p.ID != r.alice.ID || p.Username != "alice" || !reflect.DeepEqual(p.Roles, []string{"user"}) {
			t.Errorf("proves %+v", p)
		}
		got := payload(t, raw)
		want := map[string]any{
			"_id": r.alice.ID, "isAdmin": false, "isUser": true, "token_type": "access", "authorities": []any{"ROLE_USER"},
			"who": "alice", "fullName": "Alice", "mail": "alice@example.com", "session_id": g.Session,
		}
		maps.DeleteFunc(got, func(name string, _ any) bool { _, ours := want[name]; return !ours })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	if _, there := payload(t, r.login().AccessToken)["isAdmin"]; there {
		t.Error("a session without terms has the claims too")
	}
}

func TestAClaimMustNotMeanSomethingElse(t *testing.T) {
	for _, c := range []auth.Claim{
		{Name: "sub", Constant: "root"}, {Name: "SUB", Constant: "root"}, {Name: "Roles", Value: "roles"}, {Name: "exp", Constant: "9"}, {Name: "Alg", Constant: "none"},
		{Name: "scope", Constant: "all"}, {Name: "", Constant: "x"}, {Name: "a b", Constant: "x"}, {Name: "ro\u212Aes", Constant: "x"}, {Name: `a"`, Constant: "x"},
		{Name: "a"}, {Name: "a", Constant: "x", Value: "id"}, {Name: "a", Value: "password_hash"}, {Name: "a", Constant: strings.Repeat("x", 129)},
		{Name: "a", Constant: "x\n"}, {Name: "a", Value: "id", Format: "role_upper"}, {Name: "a", Value: "roles", Format: "number"}, {Name: "a", Value: "id", Format: "rot13"},
	} {
		if auth.ClaimFault(c) == "" {
			t.Errorf("%+v is taken", c)
		}
	}
	if m := auth.ClaimsFault([]auth.Claim{{Name: "a"}, {Name: "A"}}); m == "" {
		t.Error("two names that differ by case alone are taken")
	}
	if m := auth.ClaimsFault(make([]auth.Claim, 17)); m == "" {
		t.Error("seventeen claims are taken")
	}
}

// Claims that repeat what fills the token already give way to it.
func TestClaimsWithoutRoomAreLeftOut(t *testing.T) {
	var roles []string
	for i := range 13 {
		roles = append(roles, strings.Repeat(string(rune('a'+i)), 64))
	}
	r := newRig(t, func(c *auth.Config) { c.Roles = append(c.Roles, roles...) })
	if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Roles: &roles}, auth.Actor{By: "root"}); err != nil {
		t.Fatal(err)
	}
	var claims []auth.Claim
	for i := range 16 {
		claims = append(claims, auth.Claim{Name: string(rune('a' + i)), Value: "roles"})
	}
	g := r.enter(auth.Terms{Claims: claims})
	if p := r.verify(g.AccessToken, nil); len(p.Roles) != len(roles) {
		t.Errorf("roles %v", p.Roles)
	}
	if _, there := payload(t, g.AccessToken)["a"]; there {
		t.Error("they had room after all: the test proves nothing")
	}
}

func TestFormatsOfOtherBackends(t *testing.T) {
	for _, c := range []struct {
		value  any
		format string
		want   any
	}{
		{"42", auth.FormatNumber, int64(42)}, {"042", auth.FormatNumber, "042"}, {"4e1", auth.FormatNumber, "4e1"}, {"", auth.FormatNumber, ""},
		{"9007199254740991", auth.FormatNumber, int64(9007199254740991)}, {"9007199254740992", auth.FormatNumber, "9007199254740992"},
		{"9007199254740993", auth.FormatNumber, "9007199254740993"}, {"-3", auth.FormatNumber, int64(-3)}, {"42", "", "42"},
		{[]string{"user", "admin"}, auth.FormatUpperRole, []string{"ROLE_USER", "ROLE_ADMIN"}}, {[]string{}, auth.FormatUpperRole, []string{}},
		{[]string{"user", "admin"}, auth.FormatFirst, "user"}, {[]string{}, auth.FormatFirst, ""}, {[]string{"user"}, "", []string{"user"}},
		{true, auth.FormatNumber, true},
	} {
		if got := auth.FormatValue(c.value, c.format); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v as %q: got %#v, want %#v", c.value, c.format, got, c.want)
		}
	}
}

// Whatever happens to a session on terms, the two things that a client can see
// hold: a token that stays is the same in every answer, and none is good after
// the end or a logout.
func TestSessionsOnTermsKeepTheirPromises(t *testing.T) {
	store, clock := newStoryStore(t)
	conf := auth.DefaultConfig()
	conf.Issuer, conf.LongestAccess = issuer, 24*time.Hour
	svc, err := auth.New(t.Context(), auth.Options{Store: store, Master: auth.MasterKey{1}, Config: conf, Now: store.Now})
	if err != nil {
		t.Fatal(err)
	}
	alice, err := svc.AddAccount(t.Context(), auth.NewAccount{Username: "alice"}, auth.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		terms := auth.Terms{
			Refresh:    auth.RefreshStays,
			AccessTTL:  time.Duration(rapid.Int64Range(0, 86400).Draw(rt, "access")) * time.Second,
			SessionTTL: time.Duration(rapid.Int64Range(0, 40*86400).Draw(rt, "session")) * time.Second,
		}
		g, err := auth.Begin(context.Background(), svc, alice, on(terms))
		if err != nil {
			rt.Fatal(err)
		}
		out := false
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			clock.Add(rapid.Int64Range(0, 10*86400*1000).Draw(rt, "pause"))
			if rapid.IntRange(0, 9).Draw(rt, "logout") == 0 {
				out = true
				if err := svc.Logout(context.Background(), g.Session, home()); err != nil {
					rt.Fatal(err)
				}
			}
			next, err := svc.Refresh(context.Background(), g.RefreshToken, home())
			over := !store.Now().Before(g.RefreshExpires)
			switch {
			case out || over:
				if !errors.Is(err, auth.ErrRefreshInvalid) && !errors.Is(err, auth.ErrRefreshExpired) {
					rt.Fatalf("refreshed after the end (logout %v, over %v): %v", out, over, err)
				}
			case err != nil:
				rt.Fatalf("a live session: %v", err)
			case next.RefreshToken != g.RefreshToken || next.AccessExpires.After(g.RefreshExpires):
				rt.Fatalf("another token, or an access token beyond the end: %+v", next)
			}
		}
	})
}

func TestARegistrationHasTermsToo(t *testing.T) {
	r := newRig(t, func(c *auth.Config) { c.Registration.Enabled = true })
	for _, c := range []struct {
		name    string
		terms   auth.Terms
		refresh bool
		live    int
		login   bool // is told of
	}{
		{"bob", auth.Terms{}, true, 1, true},
		{"carol", auth.Terms{Refresh: auth.RefreshNone}, false, 1, true},
		{"dave", auth.Terms{Without: true}, false, 0, false},
	} {
		g, err := r.svc.Register(t.Context(), auth.Applicant{Username: c.name, Password: "correct horse battery"}, on(c.terms))
		if err != nil {
			t.Fatal(err)
		}
		live, err := r.svc.Sessions(t.Context(), g.Account.ID)
		if err != nil || len(live) != c.live || (g.RefreshToken != "") != c.refresh || (g.AccessToken != "") != (c.live == 1) {
			t.Errorf("%s: %d sessions, %+v (%v)", c.name, len(live), g, err)
		}
		if r.told(auth.EventLogin, c.name) != c.login {
			t.Errorf("%s: the audit log is wrong about the login", c.name)
		}
	}
}

// Nobody's terms reach further than the configuration's bounds.
func TestTermsAreBoundedByTheConfiguration(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *auth.Config) {
			c.LongestAccess, c.RefreshToken.SessionTTL = 2*time.Hour, 24*time.Hour
			c.RefreshToken.TTL = 12 * time.Hour
		})
		for name, c := range map[string]struct {
			terms        auth.Terms
			access, ends time.Duration
		}{
			"none":                             {auth.Terms{}, 15 * time.Minute, 12 * time.Hour},
			"a session longer than allowed":    {auth.Terms{Refresh: auth.RefreshStays, SessionTTL: 48 * time.Hour}, 15 * time.Minute, 24 * time.Hour},
			"a shorter session":                {auth.Terms{Refresh: auth.RefreshStays, SessionTTL: time.Hour}, 15 * time.Minute, time.Hour},
			"a shorter session that rotates":   {auth.Terms{SessionTTL: time.Hour}, 15 * time.Minute, time.Hour},
			"an access token that is too long": {auth.Terms{Refresh: auth.RefreshStays, AccessTTL: 5 * time.Hour}, 2 * time.Hour, 24 * time.Hour},
			"one longer than its session":      {auth.Terms{Refresh: auth.RefreshStays, AccessTTL: 2 * time.Hour, SessionTTL: time.Hour}, time.Hour, time.Hour},
			"no refresh token":                 {auth.Terms{Refresh: auth.RefreshNone, AccessTTL: time.Hour}, time.Hour, time.Hour},
			"no refresh token, and an end":     {auth.Terms{Refresh: auth.RefreshNone, AccessTTL: time.Hour, SessionTTL: time.Minute}, time.Minute, time.Minute},
		} {
			g := r.enter(c.terms)
			if g.AccessTTL != c.access || !g.RefreshExpires.Equal(time.Now().Add(c.ends)) || !g.AccessExpires.Equal(time.Now().Add(c.access).Truncate(time.Second)) {
				t.Errorf("%s: %v until %v, ends in %v", name, g.AccessTTL, g.AccessExpires, time.Until(g.RefreshExpires))
			}
		}
	})
}

func FuzzFormatNumber(f *testing.F) {
	for _, text := range []string{"42", "-1", "042", "1e3", "9007199254740993", "٣", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		switch got := auth.FormatValue(text, auth.FormatNumber).(type) {
		case string:
			if got != text {
				t.Fatalf("%q became %q", text, got)
			}
		case int64:
			// What JavaScript reads is what was meant.
			if encoded, err := json.Marshal(got); err != nil || string(encoded) != text || int64(float64(got)) != got {
				t.Fatalf("%q became %d", text, got)
			}
		default:
			t.Fatalf("%q became a %T", text, got)
		}
	})
}
