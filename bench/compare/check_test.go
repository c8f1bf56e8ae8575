package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/posternhq/postern/bench/loopback"
)

// behaviour is what a proxy of the test does with a request that has passed so
// many of the questions.
type behaviour struct {
	noToken, badToken, wrongRole int  // the answers
	keepsIdentity, setsNone      bool // mistakes with the identity header
}

// right is what a peer has to do.
func right() behaviour {
	return behaviour{noToken: http.StatusUnauthorized, badToken: http.StatusUnauthorized, wrongRole: http.StatusForbidden}
}

// ServeHTTP echoes what an application would see.
func (b behaviour) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return []byte(secret), nil }, jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	status := http.StatusOK
	switch {
	case raw == "":
		status = b.noToken
	case err != nil:
		status = b.badToken
	case strings.HasPrefix(r.URL.Path, "/admin/") && claims["role"] != "admin":
		status = b.wrongRole
	}
	if !b.keepsIdentity {
		r.Header.Del("X-Auth-User")
	}
	if !b.setsNone {
		r.Header.Add("X-Auth-User", subject)
	}
	head, err := httputil.DumpRequest(r, false)
	if err != nil {
		status = http.StatusInternalServerError
	}
	w.WriteHeader(status)
	_, _ = w.Write(head)
}

// TestCheckFindsWhoDoesNotDoTheWork has a proxy for each way to be wrong.
func TestCheckFindsWhoDoesNotDoTheWork(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*behaviour)
		want   string // of the error
	}{
		{"does it all", func(*behaviour) {}, ""},
		{"lets anybody in", func(b *behaviour) { b.noToken = http.StatusOK }, "no token for /app/echo is answered 200, want 401"},
		{"verifies nothing", func(b *behaviour) { b.badToken = http.StatusOK }, "no JWT for /app/echo is answered 200, want 401"},
		{"knows no roles", func(b *behaviour) { b.wrongRole = http.StatusOK }, "the wrong role for /admin/echo is answered 200, want 403"},
		{"takes a role for a login", func(b *behaviour) { b.wrongRole = http.StatusUnauthorized }, "is answered 401, want 403"},
		{"believes the client", func(b *behaviour) { b.keepsIdentity = true }, "the client's own identity reached the application"},
		{"tells nobody", func(b *behaviour) { b.setsNone = true }, "the application is not told who asks"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := right()
			test.change(&b)
			err := check(behaving(t, b, "HS256"))
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q in it", err, test.want)
			}
		})
	}
}

// TestCheckAsksLittleOfWhoVerifiesNothing but that it carries.
func TestCheckAsksLittleOfWhoVerifiesNothing(t *testing.T) {
	t.Parallel()
	b := right()
	b.keepsIdentity, b.setsNone = true, true
	if err := check(behaving(t, b, "")); err != nil {
		t.Error(err)
	}
	gone := behaving(t, b, "")
	gone.address = loopback.FreeAddress()
	if err := check(gone); err == nil {
		t.Error("nobody listens, and that is fine")
	}
}

// behaving is a contender that behaves so.
func behaving(t *testing.T, b behaviour, auth string) *contender {
	t.Helper()
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	tried, err := peerCredentials()
	if err != nil {
		t.Fatal(err)
	}
	return &contender{name: t.Name(), auth: auth, address: server.Listener.Addr().String(), tried: tried}
}

// TestTokensAreWhatTheyAreCalled: the good ones verify, and the bad ones are bad
// for one reason each.
func TestTokensAreWhatTheyAreCalled(t *testing.T) {
	t.Parallel()
	tried, err := peerCredentials()
	if err != nil {
		t.Fatal(err)
	}
	more, err := peerTokens(3)
	if err != nil {
		t.Fatal(err)
	}
	if more[0] == more[1] || more[1] == more[2] {
		t.Error("two tokens are the same")
	}
	for _, test := range []struct {
		name, token, role string
		want              error
	}{
		{"admin", tried.admin, "admin", nil},
		{"user", tried.user, "user", nil},
		{"of the load", more[2], "admin", nil},
		{"expired", tried.expired, "admin", jwt.ErrTokenExpired},
		{"forged", tried.forged, "admin", jwt.ErrTokenSignatureInvalid},
	} {
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(test.token, claims, func(*jwt.Token) (any, error) { return []byte(secret), nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired())
		if test.want == nil && err != nil || test.want != nil && !strings.Contains(errorText(err), test.want.Error()) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if claims["role"] != test.role {
			t.Errorf("%s has the role %v, want %s", test.name, claims["role"], test.role)
		}
	}
}

// TestExpiryIsWhatTheTokenSays, and none is a fault.
func TestExpiryIsWhatTheTokenSays(t *testing.T) {
	t.Parallel()
	token, err := signed("user", secret, time.Hour, 1)
	if err != nil {
		t.Fatal(err)
	}
	over, err := expiry(token)
	if left := time.Until(over); err != nil || left <= 0 || left > time.Hour {
		t.Errorf("%v, %v: want within an hour", over, err)
	}
	endless, err := jwt.New(jwt.SigningMethodHS256).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "nonsense", endless} {
		if over, err := expiry(bad); err == nil {
			t.Errorf("%q is over at %v", bad, over)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestAWireTakesGoodAnswersAlone, one after the other on one connection.
func TestAWireTakesGoodAnswersAlone(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/auth/refresh":
			body, _ := io.ReadAll(r.Body)
			if string(body) != `{"refresh_token":"one"}` && string(body) != `{"refresh_token":"two"}` {
				w.WriteHeader(http.StatusBadRequest)
			}
			_, _ = io.WriteString(w, `{"access_token":"a`+string(body[18:21])+`","refresh_token":"two"}`)
		case r.Header.Get("Authorization") != "Bearer good":
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	c := &contender{address: server.Listener.Addr().String(), sessions: []string{"one"}}
	tokens, err := c.mint(2)
	if err != nil || strings.Join(tokens, " ") != "aone atwo" || c.sessions[0] != "two" {
		t.Errorf("%q, %v and then %q: want two tokens, of one session after the other", tokens, err, c.sessions)
	}
	if took, err := probe(c, "good", time.Millisecond); err != nil || len(took) == 0 {
		t.Errorf("probe: %v, %v", took, err)
	}
	if _, err := probe(c, "bad", time.Millisecond); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("probe with a bad token: %v, want 401", err)
	}
	c.sessions[0] = "three"
	if _, err := c.mint(1); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("mint with a bad session: %v, want 400", err)
	}
}
