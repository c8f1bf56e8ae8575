package auth_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/posternhq/postern/auth"
)

// demote takes the role admin away over HTTP's way.
func (r *rig) demote(svc *auth.Service, id string) error {
	_, err := svc.SetAccount(r.t.Context(), id, auth.AccountChange{Roles: &[]string{"user"}}, auth.Actor{By: "root", KeepAdmin: true})
	return err
}

func TestTheLastAdministratorStays(t *testing.T) {
	r := newRig(t)
	wantError(t, r.demote(r.svc, r.root.ID), auth.ErrLastAdmin)
	wantError(t, r.demote(r.svc, r.alice.ID), nil) // was none
	disabled := r.add(auth.NewAccount{Username: "gone", Roles: []string{"admin"}})
	if _, err := r.svc.SetAccount(t.Context(), disabled.ID, auth.AccountChange{Disabled: ptr(true)}, auth.Actor{}); err != nil {
		t.Fatal(err)
	}
	wantError(t, r.demote(r.svc, r.root.ID), auth.ErrLastAdmin)
	wantError(t, r.demote(r.svc, disabled.ID), nil)
	r.add(auth.NewAccount{Username: "second", Roles: []string{"user", "admin"}})
	wantError(t, r.demote(r.svc, r.root.ID), nil)
}

func TestAdministratorsWhoDemoteEachOtherAtOnceLeaveOne(t *testing.T) {
	r := newRig(t)
	// Two instances on one store: what one of them looked at is not enough.
	ids, instances := []string{r.root.ID}, []*auth.Service{r.svc, r.restart()}
	for _, name := range []string{"second", "third", "fourth"} {
		ids = append(ids, r.add(auth.NewAccount{Username: name, Roles: []string{"admin"}}).ID)
	}
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			if err := r.demote(instances[i%2], id); err != nil && !errors.Is(err, auth.ErrLastAdmin) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, err := r.svc.Accounts(t.Context())
	left := 0
	for _, a := range all {
		if slices.Contains(a.Roles, auth.AdminRole) {
			left++
		}
	}
	if err != nil || left != 1 {
		t.Errorf("%v, %d administrators are left", err, left)
	}
}

func TestAPublicProfileHoldsWhatIsPublicAndNothingElse(t *testing.T) {
	public := func(c *auth.Config) {
		c.Profile.Fields = []auth.ProfileField{{Name: "bio", Public: true}, {Name: "phone"}}
	}
	r := newRig(t, public)
	_, err := r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Fields: map[string][]string{"bio": {"painter"}, "phone": {"+44 1"}}}, auth.Actor{})
	wantError(t, err, nil)
	a, err := r.svc.PublicProfile(t.Context(), r.alice.ID)
	if err != nil || a.ID != r.alice.ID || a.Username != "alice" || len(a.Fields) != 1 || a.Fields["bio"][0] != "painter" {
		t.Errorf("%v %+v", err, a)
	}
	if a.Email != "" || a.Name != "" || a.Roles != nil || a.PasswordHash != "" || !a.Created.IsZero() {
		t.Errorf("more than is public: %+v", a)
	}
	if _, err := r.svc.PublicProfile(t.Context(), "nobody"); !errors.Is(err, auth.ErrNotFound) {
		t.Error(err)
	}
	_, err = r.svc.SetAccount(t.Context(), r.alice.ID, auth.AccountChange{Disabled: ptr(true)}, auth.Actor{})
	wantError(t, err, nil)
	_, err = r.svc.PublicProfile(t.Context(), r.alice.ID)
	wantError(t, err, auth.ErrNotFound)

	r = newRig(t) // whose fields are nobody's business
	_, err = r.svc.PublicProfile(t.Context(), r.alice.ID)
	wantError(t, err, auth.ErrNotFound)
}
