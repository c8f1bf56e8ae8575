package web

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

func TestEveryOutcomeOfAuthHasItsAnswer(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		err    error
		status int
		code   string
		wait   time.Duration
	}{
		{auth.ErrInvalidCredentials, 401, "invalid_credentials", 0},
		{auth.ErrTokenMalformed, 401, "token_malformed", 0},
		{auth.ErrTokenInvalid, 401, "token_invalid", 0},
		{auth.ErrTokenExpired, 401, "token_expired", 0},
		{auth.ErrTokenRevoked, 401, "token_revoked", 0},
		{auth.ErrTokenOutdated, 401, "token_revoked", 0},
		{auth.ErrRefreshInvalid, 401, "refresh_invalid", 0},
		{auth.ErrRefreshExpired, 401, "refresh_expired", 0},
		{auth.ErrRefreshReused, 401, "refresh_reused", 0},
		{auth.ErrNotFound, 404, "no_route", 0},
		{auth.ErrUnavailable, 503, "unavailable", 0},
		{&auth.LockedError{RetryAfter: time.Minute}, 429, "locked", time.Minute},
		{&auth.BusyError{RetryAfter: 2 * time.Second}, 503, "unavailable", 2 * time.Second},
		{&auth.BusyError{}, 503, "unavailable", time.Second},
		{&auth.ConflictError{Field: "email"}, 409, "conflict", 0},
		{&auth.InvalidError{Fields: []auth.FieldError{{Field: "new", Message: "is short"}}}, 422, "invalid", 0},
		{errors.New("disk on fire at /var/lib"), 503, "unavailable", 0},
		{context.Canceled, 503, "unavailable", 0},
	} {
		for _, err := range []error{test.err, fmt.Errorf("login: %w", test.err)} {
			p := s.handler.problemOf(httptest.NewRequest("GET", "/auth/me", nil), err)
			if p.Status != test.status || p.Code != test.code || p.RetryAfter != test.wait {
				t.Errorf("%v: %d %s after %v", err, p.Status, p.Code, p.RetryAfter)
			}
			if strings.Contains(p.Detail+fmt.Sprint(p.Errors), "fire") {
				t.Errorf("%v reaches the client", err)
			}
		}
	}
	if !strings.Contains(s.log.String(), "disk on fire") || strings.Contains(s.log.String(), "canceled") {
		t.Errorf("the log has %s", s.log)
	}
}

func TestAWaitIsRoundedUpToMinutes(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "in a minute", time.Second: "in a minute", time.Minute: "in a minute",
		time.Minute + 1: "in 2 minutes", 15 * time.Minute: "in 15 minutes"} {
		if got := wait(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func TestAProgramThatPostsAFormGetsAProblem(t *testing.T) {
	s := newSite(t)
	s.ask("POST", "/auth/login", asForm("username", "alice", "password", "wrong-password")).want(t, 401, "invalid_credentials")
}

func TestAPasswordFormReturnsWithNewCookies(t *testing.T) {
	s := newSite(t)
	p := s.loginCookies()
	a := s.ask("POST", "/auth/me/password", cookie("postern", p.access),
		asForm("current", alicePassword, "new", "down-the-rabbit-hole", "rd", "/app")).want(t, 303, "")
	if a.Header.Get("Location") != "/app" || !s.alive(a.value(t, "postern")) {
		t.Error(a.Header)
	}
}

// LG-13, LG-14
func TestLG13LG14PasswordsAreTakenAsTheyAre(t *testing.T) {
	s := newSite(t)
	s.add("nul", "before\x00after-it", "user")
	s.add("long", strings.Repeat("p", 128), "user")
	s.add("emoji", "🐇🕳️🐇🕳️🐇🕳️🐇🕳️", "user")
	for body, status := range map[string]int{
		`{"username":"nul","password":"before\u0000after-it"}`:                 200,
		`{"username":"nul","password":"before"}`:                               401,
		`{"username":"nul","password":"before\u0000another"}`:                  401,
		`{"username":"long","password":"` + strings.Repeat("p", 128) + `"}`:    200,
		`{"username":"long","password":"` + strings.Repeat("p", 127) + `"}`:    401,
		`{"username":"long","password":"` + strings.Repeat("p", 60<<10) + `"}`: 401,
		`{"username":"emoji","password":"🐇🕳️🐇🕳️🐇🕳️🐇🕳️"}`:                       200,
		`{"username":"emoji","password":"\ud83d\udc07🕳️🐇🕳️🐇🕳️🐇🕳️"}`:            200,
		`{"username":"emoji","password":" 🐇🕳️🐇🕳️🐇🕳️🐇🕳️"}`:                      401,
	} {
		s.ask("POST", "/auth/login", asJSON(body)).want(t, status, "")
	}
}

// SE-25
func TestSE25NoTwoNamesAndPasswordsMeanTheSame(t *testing.T) {
	s := newSite(t)
	s.alice() // whatever a login caches is there now
	for i, b := range []string{`{"username":"al","password":"ice` + alicePassword + `"}`, `{"username":"alice` + alicePassword + `","password":""}`,
		`{"username":"alice:` + alicePassword + `","password":":"}`, `{"username":"alice","password":":` + alicePassword + `"}`} {
		if a := s.ask("POST", "/auth/login", asJSON(b)); a.StatusCode != 401 && a.StatusCode != 400 {
			t.Errorf("%d logged in: %d", i, a.StatusCode)
		}
	}
}

func TestARoleChangeCostsOneRefreshAndNoLogin(t *testing.T) {
	s := newSite(t)
	bob := s.add("bob", "bobs-long-password", "user")
	p := s.login("bob", "bobs-long-password")
	roles := []string{"user", "admin"}
	if _, err := s.service.SetAccount(t.Context(), bob.ID, auth.AccountChange{Roles: &roles}, auth.Actor{By: "test"}); err != nil {
		t.Fatal(err)
	}
	s.ask("GET", "/auth/me", bearer(p.access)).want(t, 401, "token_revoked")
	if a := s.ask("GET", "/auth/me", bearer(s.refreshed(p.refresh).access)).want(t, 200, ""); !strings.Contains(a.body, `["user","admin"]`) {
		t.Error(a.body)
	}
}

// SE-22
func TestSE22ARestartForgetsNothing(t *testing.T) {
	s := newSite(t)
	lives, ended := s.alice(), s.alice()
	s.ask("POST", "/auth/logout", bearer(ended.access)).want(t, 204, "")
	conf := auth.DefaultConfig()
	conf.Issuer = "http://gw.test"
	again, err := auth.New(t.Context(), auth.Options{Store: s.store, Master: auth.MasterKey{1, 2, 3}, Config: conf, Now: s.now})
	if err != nil {
		t.Fatal(err)
	}
	s.service, s.handler.service = again, again
	s.ask("GET", "/auth/me", bearer(ended.access)).want(t, 401, "token_revoked")
	if a := s.ask("POST", "/auth/refresh", asJSON(`{"refresh_token":"`+ended.refresh+`"}`)); a.StatusCode != 401 {
		t.Errorf("a session that ended lives again: %d", a.StatusCode)
	}
	s.refreshed(lives.refresh)
}
