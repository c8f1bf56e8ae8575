package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/auth/sqlstore"
)

// backUp copies the store at path and answers where to.
func backUp(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy.db")
	if err := sqlstore.Backup(context.Background(), path, to); err != nil {
		t.Fatal(err)
	}
	return to
}

// accounts is how many accounts the store at path has.
func accounts(t *testing.T, path string) int {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, err := s.CountAccounts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestABackupIsForItsOwnerAloneAndOverwritesNothing(t *testing.T) {
	path := file(t)
	s := openAt(t, path)
	add(t, s, "1")
	to := backUp(t, path)
	info, err := os.Stat(to)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 600", info.Mode(), err)
	}
	before, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	add(t, s, "2")
	if err := sqlstore.Backup(context.Background(), path, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if after, err := os.ReadFile(to); err != nil || string(after) != string(before) {
		t.Errorf("the file that was there is another now: %v", err)
	}
	if n := accounts(t, to); n != 1 {
		t.Errorf("the copy has %d accounts, want 1", n)
	}
}

func TestABackupThatFailsLeavesNoFile(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		says string
	}{
		{"no store", func(*testing.T, string) {}, "no such file"},
		{"an empty store", func(t *testing.T, path string) { write(t, path, "") }, "is empty"},
		{"a text", func(t *testing.T, path string) { write(t, path, strings.Repeat("no database\n", 100)) }, "is not a database"},
		{"a damaged store", damaged, "damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, to := file(t), filepath.Join(t.TempDir(), "copy.db")
			c.make(t, path)
			err := sqlstore.Backup(context.Background(), path, to)
			if err == nil || !strings.Contains(err.Error(), c.says) || !errors.Is(err, auth.ErrUnavailable) {
				t.Errorf("got %v, want it to say %q", err, c.says)
			}
			if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is a file: %v", err)
			}
		})
	}
}

// damaged makes a store whose pages are overwritten from the third on.
func damaged(t *testing.T, path string) {
	s := openAt(t, path)
	for i := range 300 {
		add(t, s, fmt.Sprintf("%s%d", strings.Repeat("x", 100), i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(content[8192:], make([]byte, len(content)-8192))
	write(t, path, string(content))
}

func TestABackupOfAnOlderSchemaIsNotBroughtUpToDate(t *testing.T) {
	path := file(t)
	s := openAt(t, path)
	add(t, s, "1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	run(t, db, `PRAGMA user_version = 1`) // all that tells: the tables are not looked at
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, backUp(t, path)} {
		found, err := sqlstore.Examine(context.Background(), p)
		if err != nil || found.Schema != 1 || found.Newest != int64(steps()) || found.Accounts != 1 {
			t.Errorf("%s: %+v, %v", filepath.Base(p), found, err)
		}
	}
}

// TestABackupDuringWritesHasAllThatWasAnsweredBefore copies a store while others
// write into it.
func TestABackupDuringWritesHasAllThatWasAnsweredBefore(t *testing.T) {
	path := file(t)
	s := openAt(t, path)
	var answered atomic.Int64 // accounts 0 to answered-1 are in the store
	stop := make(chan struct{})
	var writers sync.WaitGroup
	writers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := s.CreateAccount(context.Background(), auth.Account{ID: fmt.Sprint("id-", answered.Load())}); err != nil {
				t.Error(err)
				return
			}
			answered.Add(1)
		}
	})
	defer writers.Wait()
	defer close(stop)
	for range 5 {
		for had := answered.Load(); answered.Load() < had+3; time.Sleep(time.Millisecond) {
			if t.Failed() {
				return
			}
		}
		before := answered.Load()
		to := backUp(t, path)
		after := answered.Load() + 1 // one may be committed and not answered
		if n := int64(accounts(t, to)); n < before || n > after {
			t.Errorf("the copy has %d accounts; there were %d before it and %d after", n, before, after)
		}
	}
}

func TestExamineTellsOfAStoreWithoutChangingIt(t *testing.T) {
	path := file(t)
	s := openAt(t, path)
	s.Now = func() time.Time { return time.UnixMilli(5000) }
	add(t, s, "1")
	if _, err := s.CreateSession(context.Background(), auth.Session{ID: "s", AccountID: "1", LastSeen: time.UnixMilli(7000)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddKey(context.Background(), auth.SealedKey{ID: "k", Use: "refresh", Generation: 1, Sealed: []byte{1}, Created: time.UnixMilli(6000)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found, err := sqlstore.Examine(context.Background(), path)
	if err != nil || found.Accounts != 1 || len(found.Keys) != 1 || found.Keys[0].ID != "k" || !found.LastWrite.Equal(time.UnixMilli(7000)) || found.Locked != nil || len(found.Damage) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file is another now: %v", err)
	}
}
