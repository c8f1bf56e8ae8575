package auth

import (
	"context"
	"io"
)

// SecretStore keeps small sealed values by name: what a part of the gateway must
// find again after a restart, and share with other instances, and what nobody
// may read in a copy of the store. Its errors are Store's. storetest says what
// every SecretStore must do.
//
// It is apart from Store because it has nothing to do with accounts: who needs
// one gets this and no more.
type SecretStore interface {
	// Secret finds the sealed value of a name.
	Secret(ctx context.Context, name string) ([]byte, error)
	// PutSecret keeps a sealed value under a name, in place of the one before.
	PutSecret(ctx context.Context, name string, sealed []byte) error
	// DeleteSecret forgets a name. One that is not there is no fault.
	DeleteSecret(ctx context.Context, name string) error
}

// Secrets seals values under the master key on their way into a SecretStore.
// Who can write into the store, and does not have the key, can neither read
// them nor put others in their place, nor one under another's name; only an
// older value of the same name would pass.
type Secrets struct {
	store  SecretStore
	sealer sealer
}

// NewSecrets makes the one of a store. Random is where nonces come from.
func NewSecrets(store SecretStore, master MasterKey, random io.Reader) *Secrets {
	return &Secrets{store: store, sealer: sealer{master: master, rand: random}}
}

// place is where a secret stands. Its use is none of a key's, so that neither
// opens as the other.
func place(name string) SealedKey { return SealedKey{Use: "secret", ID: name} }

// Get answers the value of a name; ErrNotFound where there is none. A value that
// the master key does not open is an error of its own: it is not taken for
// absent, which would have it overwritten.
func (s *Secrets) Get(ctx context.Context, name string) ([]byte, error) {
	sealed, err := s.store.Secret(ctx, name)
	if err != nil {
		return nil, err
	}
	at := place(name)
	at.Sealed = sealed
	return s.sealer.open(at)
}

// Put keeps a value under a name, in place of the one before.
func (s *Secrets) Put(ctx context.Context, name string, value []byte) error {
	at, err := s.sealer.seal(place(name), value)
	if err != nil {
		return err
	}
	return s.store.PutSecret(ctx, name, at.Sealed)
}

// Delete forgets a name. One that is not there is no fault.
func (s *Secrets) Delete(ctx context.Context, name string) error {
	return s.store.DeleteSecret(ctx, name)
}
