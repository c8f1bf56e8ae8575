package gateway

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/posternhq/postern/auth"
)

const legacySecret = "the secret that the application always had"

// withLegacyToken is the setup of an application that checks x-access-token.
func withLegacyToken(c *setup) {
	c.gateway.Identity.LegacyToken = LegacyToken{
		Header: "x-access-token", Algorithm: "HS256", Secret: legacySecret, TTL: time.Minute,
		Claims: []LegacyClaim{{Name: "id", Value: "id"}, {Name: "isAdmin", HasRole: "admin"}, {Name: "user.roles", Value: "roles"}},
	}
	c.web.TokenSources = []string{"bearer", "cookie", "header:x-access-token"}
}

// legacyClaims are the claims of a token that an application would believe.
func legacyClaims(t *testing.T, raw, algorithm, secret string, now time.Time) map[string]any {
	t.Helper()
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{algorithm}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(func() time.Time { return now })).
		ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return []byte(secret), nil })
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return claims
}

func TestALegacyTokenSaysWhoAsks(t *testing.T) {
	s := newStack(t, withLegacyToken)
	for name, isAdmin := range map[string]bool{"alice": false, "root": true} {
		grant := s.login(name)
		for how, line := range map[string]string{"bearer": bearer(grant.AccessToken), "cookie": cookie(grant.AccessToken), "its own header": "X-Access-Token: " + grant.AccessToken} {
			saw := s.get("/app/x", line).saw(t)
			sent := values(saw.header, "X-Access-Token")
			if len(sent) != 1 || sent[0] == grant.AccessToken {
				t.Fatalf("%s by %s: X-Access-Token %q", name, how, sent)
			}
			claims := legacyClaims(t, sent[0], "HS256", legacySecret, time.Now())
			if claims["id"] != grant.Account.ID || claims["isAdmin"] != isAdmin {
				t.Errorf("%s by %s: %v", name, how, claims)
			}
			if user, _ := claims["user"].(map[string]any); !reflect.DeepEqual(user["roles"], []any{grant.Account.Roles[0]}) {
				t.Errorf("%s by %s: %v", name, how, claims)
			}
			issued, expires := claims["iat"].(float64), claims["exp"].(float64)
			if expires-issued != 60 {
				t.Errorf("%s by %s lives for %v s", name, how, expires-issued)
			}
		}
	}
	if strings.Contains(s.log.String(), legacySecret) || strings.Contains(s.log.String(), "eyJ") {
		t.Error("the log tells a secret or a token")
	}
}

// TestAForgedLegacyTokenIsNoIdentity: whoever knows the application's secret
// still cannot say to it, through the gateway, who they are.
func TestAForgedLegacyTokenIsNoIdentity(t *testing.T) {
	s := newStack(t, withLegacyToken)
	forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"id": "root", "isAdmin": true, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(legacySecret))
	must(t, err)
	alice := bearer(s.token("alice"))
	for _, name := range []string{"X-Access-Token", "x-access-token", "X_Access_Token", "x.access.token", "X-Access_Token"} {
		r := s.get("/app/x", name+": "+forged)
		r.notAsked(t)
		if name[1] == '-' && strings.Count(name, "-") == 2 {
			r.wants(t, 401, "token_invalid")
		} else {
			r.wants(t, 401, "token_missing")
		}
		saw := s.get("/public/x", name+": "+forged).saw(t)
		for got, v := range saw.header {
			if strings.Contains(strings.Join(v, ""), forged) || fold(got) == "x-access-token" {
				t.Errorf("sent as %s to a public route, %s %q arrived", name, got, v)
			}
		}
		if strings.ContainsAny(name, "_.") { // not a source, so not ambiguous either
			sent := values(s.get("/app/x", alice, name+": "+forged).saw(t).header, "X-Access-Token")
			if len(sent) != 1 || legacyClaims(t, sent[0], "HS256", legacySecret, time.Now())["isAdmin"] != false {
				t.Errorf("beside a login, sent as %s, X-Access-Token is %q", name, sent)
			}
		}
	}
	if strings.Contains(s.app.raw(), forged) {
		t.Error("the forged token arrived")
	}
}

func TestNobodyGetsNoLegacyToken(t *testing.T) {
	s := newStack(t, withLegacyToken)
	expired := s.token("alice")
	s.later(time.Hour)
	for _, line := range []string{"X-None: x", bearer(expired), cookie(expired), "X-Access-Token: " + expired, bearer("a.foreign.token")} {
		if got, there := s.get("/public/x", line).saw(t).header["X-Access-Token"]; there {
			t.Errorf("with %s: X-Access-Token %q", line[:12], got)
		}
	}
}

func TestALegacyTokenInAuthorizationIsABearer(t *testing.T) {
	s := newStack(t, withLegacyToken, func(c *setup) { c.gateway.Identity.LegacyToken.Header = "authorization" })
	sent := values(s.get("/app/x", bearer(s.token("alice"))).saw(t).header, "Authorization")
	if len(sent) != 1 {
		t.Fatalf("Authorization %q", sent)
	}
	raw, ok := strings.CutPrefix(sent[0], "Bearer ")
	if !ok || legacyClaims(t, raw, "HS256", legacySecret, time.Now())["isAdmin"] != false {
		t.Errorf("Authorization %q", sent)
	}
	for _, line := range []string{bearer(raw), "Authorization: Basic eDp5", "Authorization: " + raw} {
		if got, there := s.get("/public/x", line).saw(t).header["Authorization"]; there {
			t.Errorf("of a client: Authorization %q", got)
		}
	}
}

func TestWithoutASecretThereIsNoLegacyTokenAndNoneOfAClient(t *testing.T) {
	s := newStack(t, withLegacyToken, func(c *setup) { c.gateway.Identity.LegacyToken.Secret = "" })
	for _, line := range []string{bearer(s.token("alice")), "X-Access-Token: " + s.token("alice")} {
		if got, there := s.get("/app/x", line).saw(t).header["X-Access-Token"]; there {
			t.Errorf("X-Access-Token %q", got)
		}
	}
}

func TestAlgorithmsAndSecretsOfLegacyTokens(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := &auth.Principal{ID: "7"}
	for _, test := range []struct{ algorithm, encoding, secret, key string }{
		{"HS256", "text", legacySecret, legacySecret}, {"HS384", "text", legacySecret, legacySecret}, {"HS512", "", legacySecret, legacySecret},
		{"HS512", "base64", base64.StdEncoding.EncodeToString([]byte("\xff\xfe\x00 key")), "\xff\xfe\x00 key"},
		{"HS256", "base64", base64.RawURLEncoding.EncodeToString([]byte("\xff\xfe\x00 key")), "\xff\xfe\x00 key"},
	} {
		l := newLegacyToken(&LegacyToken{Header: "X-T", Algorithm: test.algorithm, Secret: test.secret, SecretEncoding: test.encoding, Claims: []LegacyClaim{{Name: "id", Value: "id"}}})
		raw, err := l.sign(p, now, now.Add(time.Minute))
		must(t, err)
		if claims := legacyClaims(t, raw, test.algorithm, test.key, now); claims["id"] != "7" || claims["iat"] != 1_800_000_000.0 || claims["exp"] != 1_800_000_060.0 {
			t.Errorf("%+v: %v", test, claims)
		}
	}
	for _, bad := range []string{"!", "a b"} {
		l := newLegacyToken(&LegacyToken{Header: "X-T", Secret: bad, SecretEncoding: "base64"})
		if raw, err := l.sign(p, now, now); raw != "" || err != nil {
			t.Errorf("a secret that is no base64 signs %q, %v", raw, err)
		}
	}
}

func TestClaimsHaveTheTypeThatIsAskedFor(t *testing.T) {
	p := &auth.Principal{ID: "42", Username: "alice", Name: "Doe, Jane", Roles: []string{"user", "a,b"}, Session: "s1",
		Fields: map[string][]string{"tenant": {"acme"}, "teams": {"red", "blue"}, "beta": {"true"}, "odd": {"a\nb"}}}
	for _, test := range []struct {
		claim LegacyClaim
		want  any // nil: the claim is left out
	}{
		{LegacyClaim{Value: "id"}, "42"}, {LegacyClaim{Value: "id", Type: "number"}, int64(42)}, {LegacyClaim{Value: "id", Type: "list"}, []string{"42"}},
		{LegacyClaim{Value: "name"}, "Doe, Jane"}, {LegacyClaim{Value: "email"}, nil}, {LegacyClaim{Value: "session"}, "s1"},
		{LegacyClaim{Value: "roles"}, []string{"user", "a,b"}}, {LegacyClaim{Value: "roles", Type: "text"}, "user"},
		{LegacyClaim{HasRole: "user"}, true}, {LegacyClaim{HasRole: "admin"}, false}, {LegacyClaim{HasRole: "admin", Type: "boolean"}, false},
		{LegacyClaim{Field: "tenant"}, "acme"}, {LegacyClaim{Field: "teams"}, "red,blue"}, {LegacyClaim{Field: "teams", Type: "list"}, []string{"red", "blue"}},
		{LegacyClaim{Field: "beta", Type: "boolean"}, true}, {LegacyClaim{Field: "odd"}, nil}, {LegacyClaim{Field: "none"}, nil},
		{LegacyClaim{Field: "none", Type: "list"}, []string{}}, {LegacyClaim{Field: "none", Type: "number"}, nil},
		{LegacyClaim{Constant: "https://old.test"}, "https://old.test"}, {LegacyClaim{Constant: "3", Type: "number"}, int64(3)}, {LegacyClaim{Constant: "false", Type: "boolean"}, false},
	} {
		got, err := test.claim.of(p)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%+v is %#v, %v, want %#v", test.claim, got, err, test.want)
		}
	}
}

// TestNoNumberStandsForTwoAccounts: an id that JavaScript would round, or that
// has another spelling, makes no token at all.
func TestNoNumberStandsForTwoAccounts(t *testing.T) {
	l := newLegacyToken(&LegacyToken{Header: "X-T", Secret: legacySecret, Claims: []LegacyClaim{{Name: "id", Value: "id", Type: "number"}}})
	now := time.Unix(1_800_000_000, 0)
	for id, good := range map[string]bool{"1": true, "0": true, "9007199254740991": true, "-3": true,
		"9007199254740992": false, "007": false, "+7": false, "7.0": false, "1e3": false, " 7": false, "7\n": false, "0x7": false, "٧": false, "6f1c": false} {
		raw, err := l.sign(&auth.Principal{ID: id}, now, now.Add(time.Minute))
		if (raw != "") != good || err != nil {
			t.Errorf("%q makes %q, %v", id, raw, err)
		}
	}
}

// FuzzLegacyToken: whatever an account holds, its token verifies, and says
// either the very id or none.
func FuzzLegacyToken(f *testing.F) {
	for _, seed := range []string{"alice", `","isAdmin":true,"x":"`, "\u2028", "<script>", "\xff", "a\nb"} {
		f.Add(seed, seed)
	}
	l := newLegacyToken(&LegacyToken{Header: "X-T", Secret: legacySecret, Claims: []LegacyClaim{{Name: "u.id", Value: "id"}, {Name: "u.name", Value: "name"}, {Name: "isAdmin", HasRole: "admin"}}})
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, id, name string) {
		raw, err := l.sign(&auth.Principal{ID: id, Name: name, Roles: []string{name + "x"}}, now, now.Add(time.Minute))
		must(t, err)
		claims := legacyClaims(t, raw, "HS256", legacySecret, now)
		user, _ := claims["u"].(map[string]any)
		if got, there := user["id"]; there && got != id || claims["isAdmin"] != (name+"x" == "admin") {
			t.Fatalf("%q, %q: %v", id, name, claims)
		}
	})
}

// TestNoSpellingOfALegacyHeaderArrives is for a header that is no source of the
// gateway's own tokens either, so that nothing but the stripping is in the way.
func TestNoSpellingOfALegacyHeaderArrives(t *testing.T) {
	s := newStack(t, withLegacyToken, func(c *setup) { c.web.TokenSources = []string{"bearer"} })
	alice := bearer(s.token("alice"))
	for _, name := range spellings("X-Access-Token") {
		for got, v := range s.get("/public/x", name+": mallory").saw(t).header {
			if fold(got) == "x-access-token" {
				t.Errorf("of nobody, sent as %s: %s %q arrived", name, got, v)
			}
		}
		saw := s.get("/app/x", alice, name+": mallory", "Connection: "+name).saw(t)
		sent := values(saw.header, "X-Access-Token")
		if len(sent) != 1 || legacyClaims(t, sent[0], "HS256", legacySecret, time.Now())["isAdmin"] != false {
			t.Errorf("of alice, sent as %s: X-Access-Token %q", name, sent)
		}
	}
	if strings.Contains(s.app.raw(), "mallory") {
		t.Error("the raw bytes tell of mallory")
	}
}
