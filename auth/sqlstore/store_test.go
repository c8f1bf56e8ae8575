package sqlstore_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
	"github.com/posternhq/postern/auth/storetest"
)

// openAt opens the store in a file for as long as the test runs.
func openAt(t testing.TB, path string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// file is a place for a store.
func file(t testing.TB) string { return filepath.Join(t.TempDir(), "postern.db") }

func TestStoreKeepsEveryPromise(t *testing.T) {
	storetest.Run(t, func(t *testing.T) auth.Store { return openAt(t, file(t)) })
}

func TestTwoInstancesKeepEveryPromise(t *testing.T) {
	storetest.RunShared(t, func(t *testing.T) (auth.Store, auth.Store) {
		path := file(t)
		return openAt(t, path), openAt(t, path)
	})
}
