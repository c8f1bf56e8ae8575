package auth_test

import (
	"testing"
)

func TestALoginAnswersTokensThatProveTheAccount(t *testing.T) {
	r := newRig(t)
	g := r.login()
	p := r.verify(g.AccessToken, nil)
	if p.ID != r.alice.ID || p.Username != "alice" || p.Email != "alice@example.com" || p.Session != g.Session {
		t.Errorf("principal %+v", p)
	}
	g2 := r.refresh(g.RefreshToken)
	if g2.RefreshToken == g.RefreshToken {
		t.Error("not rotated")
	}
	r.verify(g2.AccessToken, nil)
	t.Log(g.AccessToken, g.RefreshToken)
}
