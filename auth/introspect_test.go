package auth_test

import (
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// What a refresh token is worth is what a refresh would make of it; to ask is
// not to use it.
func TestIntrospectionJudgesARefreshTokenAsARefreshWould(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		worth := func(token string, active bool) auth.Introspection {
			t.Helper()
			i, err := r.svc.Introspect(t.Context(), token)
			if err != nil || i.Active != active {
				t.Errorf("%.30s: active %v, %v", token, i.Active, err)
			}
			if !active && (i.Principal.ID != "" || i.Issuer != "") {
				t.Errorf("says of a token that is not active: %+v", i)
			}
			return i
		}
		g := r.begin()
		i := worth(g.RefreshToken, true)
		if !i.Refresh || i.Principal.Username != "alice" || i.Principal.Session != g.Session || !i.Expires.Equal(g.RefreshExpires) || i.Issuer != issuer {
			t.Errorf("a refresh token: %+v", i)
		}
		if i := worth(g.AccessToken, true); i.Refresh || i.TokenID == "" || i.Audience[0] != "postern" || !i.Expires.Equal(g.AccessExpires) {
			t.Errorf("an access token: %+v", i)
		}
		next := r.refresh(g.RefreshToken)
		worth(g.RefreshToken, false) // within the grace: it would be answered, and is spent all the same
		time.Sleep(time.Hour)
		worth(g.RefreshToken, false)
		worth(next.AccessToken, false)
		worth(next.RefreshToken, true) // that the spent one was asked about did not end the session

		for _, never := range []string{"", "x", next.RefreshToken + "A", next.AccessToken[1:]} {
			worth(never, false)
		}
		stays := r.enter(auth.Terms{Refresh: auth.RefreshStays})
		r.refresh(stays.RefreshToken)
		worth(stays.RefreshToken, true)

		time.Sleep(r.opts.Config.RefreshToken.TTL)
		worth(next.RefreshToken, false)
		worth(stays.RefreshToken, true)
		time.Sleep(r.opts.Config.RefreshToken.SessionTTL)
		worth(stays.RefreshToken, false)
	})
}

func TestIntrospectionTakesNoOutageForAnAnswer(t *testing.T) {
	r := newRig(t)
	g := r.begin()
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := r.svc.Introspect(t.Context(), g.RefreshToken)
	wantError(t, err, auth.ErrUnavailable)
	wantError(t, r.svc.RevokeToken(t.Context(), g.RefreshToken, home()), auth.ErrUnavailable)
	wantError(t, r.svc.RevokeToken(t.Context(), g.AccessToken, home()), auth.ErrUnavailable)
	if i, err := r.svc.Introspect(t.Context(), g.AccessToken); err != nil || !i.Active {
		t.Errorf("an access token needs no store: %+v %v", i, err)
	}
}

// A candidate is enough to end a session, and what proves nothing ends none.
func TestARevokedTokenNeedNotBeGood(t *testing.T) {
	r := newRig(t)
	roles := []string{"admin"}
	g := r.begin()
	if _, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Roles: &roles}, auth.Actor{By: "root"}); err != nil {
		t.Fatal(err)
	}
	r.verify(g.AccessToken, auth.ErrTokenOutdated)
	for _, token := range []string{"", "x", g.AccessToken[:len(g.AccessToken)-8] + "AAAAAAAA", g.RefreshToken[:len(g.RefreshToken)-8] + "AAAAAAAA"} {
		wantError(t, r.svc.RevokeToken(t.Context(), token, home()), nil)
	}
	next := r.refresh(g.RefreshToken)
	r.told("", "")
	wantError(t, r.svc.RevokeToken(t.Context(), g.AccessToken, home()), nil)
	r.verify(next.AccessToken, auth.ErrTokenRevoked)
	if !r.told(auth.EventLogout, "alice") {
		t.Error("nobody was told")
	}
	wantError(t, r.svc.RevokeToken(t.Context(), next.RefreshToken, home()), nil) // it has ended already
}
