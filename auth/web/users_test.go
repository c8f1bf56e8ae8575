package web

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

// public makes one field of two everybody's to see.
func public(s *setup) {
	s.auth.Profile.Fields = []auth.ProfileField{{Name: "bio", Editable: true, Public: true}, {Name: "phone", Editable: true}}
}

func TestAPublicProfileNeedsNoTokenAndTellsNoMoreThanIsPublic(t *testing.T) {
	s := newSite(t, public)
	p := s.alice()
	me := s.ask("PATCH", "/auth/me", bearer(p.access), asJSON(`{"fields":{"bio":"painter","phone":"+44 1"}}`)).want(t, 200, "")
	id := me.text(t, "id")
	a := s.ask("GET", "/auth/users/"+id).want(t, 200, "")
	if strings.TrimSpace(a.body) != `{"id":"`+id+`","username":"alice","fields":{"bio":"painter"}}` {
		t.Error(a.body)
	}
	s.ask("HEAD", "/auth/users/"+id).want(t, 200, "")
	for _, wrong := range []string{"alice", "ALICE", "alice@example.com", "nobody", "x%00"} {
		s.ask("GET", "/auth/users/"+wrong).want(t, 404, "no_route")
	}
	disabled := true
	if _, err := s.service.SetAccount(t.Context(), id, change(&disabled), auth.Actor{By: "test"}); err != nil {
		t.Fatal(err)
	}
	gone, none := s.ask("GET", "/auth/users/"+id).want(t, 404, "no_route"), s.ask("GET", "/auth/users/nobody")
	if gone.body != none.body {
		t.Errorf("a disabled account can be told from none: %s", gone.body)
	}
}

// Without a username the address is one, and an address is nobody's to see.
func TestAPublicProfileTellsNoAddress(t *testing.T) {
	s := newSite(t, public, open)
	a := s.ask("POST", "/auth/register", asJSON(`{"email":"carol@example.com","password":"a-long-password"}`)).want(t, 201, "")
	user, _ := a.object(t)["user"].(map[string]any)
	id, _ := user["id"].(string)
	profile := s.ask("GET", "/auth/users/"+id).want(t, 200, "")
	if strings.Contains(profile.body, "carol") || !strings.Contains(profile.body, `"fields":{}`) {
		t.Error(profile.body)
	}
}

func TestWithoutAPublicFieldThereIsNoProfile(t *testing.T) {
	s := newSite(t, phone)
	p := s.alice()
	me := s.ask("GET", "/auth/me", bearer(p.access)).want(t, 200, "")
	s.ask("GET", "/auth/users/"+me.text(t, "id")).want(t, 404, "no_route")
	s.ask("GET", "/auth/users/"+me.text(t, "id"), bearer(p.access)).want(t, 404, "no_route")
}
