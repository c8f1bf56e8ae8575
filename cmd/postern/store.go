package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
	"github.com/posternhq/postern/gateway/config"
)

// openStore opens the store and the master key that its secrets are sealed
// with. Whatever is missing on a first start is made, but nothing is made
// before all that exists has been found good.
func openStore(ctx context.Context, conf config.StoreConfig) (*sqlstore.Store, auth.MasterKey, error) {
	master, err := readMasterKey(conf.KeyFile)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, auth.MasterKey{}, err
	}
	store, err := sqlstore.Open(ctx, conf.Path)
	if err != nil {
		return nil, auth.MasterKey{}, err
	}
	if missing {
		master, err = makeMasterKey(ctx, store, conf)
	}
	if err != nil {
		return nil, auth.MasterKey{}, errors.Join(err, store.Close())
	}
	return store, master, nil
}

// openExistingStore is openStore for commands that only look: a store that is
// not there is an error, not a new one.
func openExistingStore(ctx context.Context, conf config.StoreConfig) (*sqlstore.Store, auth.MasterKey, error) {
	if _, err := os.Stat(conf.Path); err != nil {
		return nil, auth.MasterKey{}, fmt.Errorf("there is no store yet: %w; 'postern serve' or 'postern user add' makes it", err)
	}
	return openStore(ctx, conf)
}

// readMasterKey reads the key file. No error of it shows what the file holds.
func readMasterKey(path string) (auth.MasterKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return auth.MasterKey{}, fmt.Errorf("read the master key (store.key_file): %w", err)
	}
	key, err := auth.ParseMasterKey(text)
	if err != nil {
		return auth.MasterKey{}, fmt.Errorf("the master key in %s (store.key_file): %w", path, err)
	}
	return key, nil
}

// makeMasterKey writes a new key file, unless the store holds keys already: a
// new master key cannot open them, and all sessions would be lost unnoticed.
func makeMasterKey(ctx context.Context, store auth.Store, conf config.StoreConfig) (auth.MasterKey, error) {
	sealed, err := store.Keys(ctx)
	if err != nil {
		return auth.MasterKey{}, err
	}
	if len(sealed) > 0 {
		key, err := readMasterKey(conf.KeyFile) // another process may just have made both
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("the master key %s (store.key_file) is missing, and %s holds keys sealed with it: put the file back from its backup", conf.KeyFile, conf.Path)
		}
		return key, err
	}
	key, text := auth.NewMasterKey(rand.Reader)
	err = writeNew(conf.KeyFile, text)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return readMasterKey(conf.KeyFile)
	}
	if err != nil {
		return auth.MasterKey{}, fmt.Errorf("make the master key (store.key_file): %w", err)
	}
	return key, nil
}

// writeNew makes a file, for its owner alone, whole or not at all: nobody reads
// half a key, and of two processes that start at once one makes it.
func writeNew(path, text string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".postern-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), path)
}
