package auth_test

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

// Hashes of "correct horse", as auth/legacyhash/testdata/vectors.txt has them of
// the real programs.
const (
	movedPassword = "correct horse"
	movedHash     = "{SSHA}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1J"
)

// moveIn gives alice the hash that her account had in another system.
func (r *rig) moveIn(hash string) {
	r.t.Helper()
	a, err := r.store.UpdateAccount(r.t.Context(), r.alice.ID, auth.AccountUpdate{
		Change:       func(row *auth.Account) error { row.PasswordHash = hash; return nil },
		SamePassword: true,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.alice = a
}

// stored is the hash that alice's row holds now.
func (r *rig) stored() string {
	r.t.Helper()
	a, err := r.svc.Account(r.t.Context(), r.alice.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	return a.PasswordHash
}

func (r *rig) tryAlice(password string) error {
	_, err := r.svc.Login(r.t.Context(), auth.Credentials{Username: "alice", Password: password}, home())
	return err
}

// An account that moved in logs in with its old hash once, and with a hash of
// the gateway's own from then on; a wrong password changes nothing.
func TestAHashOfAnotherSystemIsGoodOnceAndThenKeptAnew(t *testing.T) {
	r := newRig(t)
	r.moveIn(movedHash)
	wantError(t, r.tryAlice("wrong horse"), auth.ErrInvalidCredentials)
	if r.stored() != movedHash {
		t.Errorf("a wrong password changed the hash to %.20s", r.stored())
	}
	wantError(t, r.tryAlice(movedPassword), nil)
	fresh := r.stored()
	if !strings.HasPrefix(fresh, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("kept as %.30s", fresh)
	}
	wantError(t, r.tryAlice(movedPassword), nil)
	wantError(t, r.tryAlice("wrong horse"), auth.ErrInvalidCredentials)
	if r.stored() != fresh {
		t.Error("kept anew although nothing changed")
	}
}

// A hash that cannot be used is a wrong password to the client, and the audit
// log says why without the hash.
func TestAHashThatCannotBeUsedIsToldWithoutTheHash(t *testing.T) {
	for hash, says := range map[string]string{
		"{noop}correct horse":                    "protects nothing",
		"plain-and-secret":                       "no known format",
		"{SSHA}QTt9HekJ1EXMeVyL4ljR77ZN2wrlRf1!": "damaged",
		"$2b$31$nCjwZCWj2gC3PRfJEJrhM.gJxqMmTkAv8lkE3Ld0.OyV4PzvBqK7i": "more memory or time",
	} {
		r := newRig(t)
		r.moveIn(hash)
		wantError(t, r.tryAlice(movedPassword), auth.ErrInvalidCredentials)
		r.mu.Lock()
		detail := r.events[len(r.events)-1].Detail
		r.mu.Unlock()
		if !strings.Contains(detail, "stored password hash") || !strings.Contains(detail, says) || strings.Contains(detail, hash) || strings.Contains(detail, "horse") {
			t.Errorf("%.12s: the log says %q", hash, detail)
		}
		if r.stored() != hash {
			t.Errorf("%.12s was replaced", hash)
		}
	}
}
