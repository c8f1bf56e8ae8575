package sqlstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAnExchangeThatFailsHalfWayPutsEverythingBack: the last step fails, and the
// old store has a log that cannot be folded, as a damaged one may.
func TestAnExchangeThatFailsHalfWayPutsEverythingBack(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "postern.db")
	old := map[string]string{path: "a damaged file", path + "-wal": strings.Repeat("its log", 10)}
	for name, text := range old {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := exchange(context.Background(), path, filepath.Join(folder, "missing"), time.Now())
	if !errors.Is(err, os.ErrNotExist) || kept != "" {
		t.Fatalf("kept %q, %v", kept, err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != len(old) {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for name, want := range old {
		if text, err := os.ReadFile(name); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", filepath.Base(name), text, err)
		}
	}
}

func TestAnExchangeKeepsALogThatCannotBeFoldedBesideItsFile(t *testing.T) {
	folder := t.TempDir()
	path, staged := filepath.Join(folder, "postern.db"), filepath.Join(folder, "staged")
	for name, text := range map[string]string{path: "a damaged file", path + "-wal": "its log", path + "-shm": "locks", staged: "the new one"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := exchange(context.Background(), path, staged, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path: "the new one", kept: "a damaged file", kept + "-wal": "its log"} {
		if text, err := os.ReadFile(name); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", filepath.Base(name), text, err)
		}
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + suffix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still beside the new store: %v", suffix, err)
		}
	}
}

// TestAStoreThatIsBeingReplacedIsWaitedForAndThenUnavailable: nobody opens the
// file that is about to be moved away.
func TestAStoreThatIsBeingReplacedIsWaitedForAndThenUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	alone, err := claim(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(context.Background(), path, 20*time.Millisecond); !errors.Is(err, errInUse) || !strings.Contains(err.Error(), "being restored") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := share(ctx, path, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if err := alone.release(); err != nil {
		t.Fatal(err)
	}
	openImpatient(t, path)
}
