package auth_test

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/auth"
)

func TestAMasterKeyOpensTheKeysOfItsOwnStoreAlone(t *testing.T) {
	r := newRig(t)
	keys, err := r.store.Keys(t.Context())
	if err != nil || len(keys) < 2 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	if err := r.opts.Master.OpensKeys(keys); err != nil {
		t.Errorf("its own: %v", err)
	}
	if err := r.opts.Master.OpensKeys(nil); err != nil {
		t.Errorf("of a store without keys: %v", err)
	}
	other, _ := auth.NewMasterKey(rand.Reader)
	if err := other.OpensKeys(keys); err == nil || !strings.Contains(err.Error(), "store.key_file") {
		t.Errorf("another master key: %v", err)
	}
	swapped := slices.Clone(keys)
	swapped[0].Sealed, swapped[1].Sealed = keys[1].Sealed, keys[0].Sealed
	if err := r.opts.Master.OpensKeys(swapped); err == nil {
		t.Error("keys in each other's place were opened")
	}
}

func TestAccessKeysAreThoseThatSignAccessTokensOfEveryAlgorithm(t *testing.T) {
	got := auth.AccessKeys([]auth.SealedKey{
		{ID: "1", Use: "sign:ES256"}, {ID: "2", Use: "refresh"}, {ID: "3", Use: "sign:HS256"}, {ID: "4", Use: "assert:ES256"}, {ID: "5", Use: "sign:ES256"},
	})
	if !slices.Equal(got, []string{"1", "3", "5"}) {
		t.Errorf("got %q", got)
	}
}
