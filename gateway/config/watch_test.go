package config

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// watched runs a watcher that looks soon, and returns a function that waits
// for the next change.
func watched(t *testing.T, path string, notify bool) (await func(what string)) {
	t.Helper()
	w := watcher{path: path, settle: 10 * time.Millisecond, patience: time.Hour, poll: time.Hour}
	if !notify {
		w.poll, w.deaf = 10*time.Millisecond, true
	}
	return watchedBy(t, w)
}

// watchedBy is watched with a watcher of the test's own.
func watchedBy(t *testing.T, w watcher) (await func(what string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	changes, ended, started := make(chan struct{}), make(chan error), make(chan struct{})
	w.last, _ = digest(w.path) // missing: nothing is known
	w.changed, w.started = func() { changes <- struct{}{} }, func() { close(started) }
	go func() { ended <- w.run(ctx) }()
	<-started
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("watch ended with %v", err)
			}
		case <-changes:
			t.Error("a change was told that nobody made")
		case <-time.After(10 * time.Second):
			t.Error("watch did not end with its context")
		}
	})
	return func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(10 * time.Second):
			t.Fatalf("not noticed: %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

func TestWatchNoticesEveryWayAFileIsReplaced(t *testing.T) {
	for name, notify := range map[string]bool{"with inotify": true, "by polling": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "gateway.yaml")
			put(t, path, "one")
			await := watched(t, path, notify)

			put(t, path, "two")
			await("written in place")

			put(t, path+".new", "three")
			must(t, os.Rename(path+".new", path))
			await("renamed over, as editors do")

			must(t, os.Remove(path))
			put(t, path, "four")
			await("removed and made again")

			now := time.Now().Add(time.Hour)
			must(t, os.Chtimes(path, now, now)) // the same content is no change
		})
	}
}

// Kubernetes mounts a ConfigMap as gateway.yaml -> ..data/gateway.yaml with
// ..data -> ..2026_11_22, and swaps ..data by renaming a new link over it.
func TestWatchNoticesTheSymlinkSwapOfKubernetes(t *testing.T) {
	dir := t.TempDir()
	for generation, content := range map[string]string{"..1": "one", "..2": "two", "..3": "three"} {
		must(t, os.Mkdir(filepath.Join(dir, generation), 0o700))
		put(t, filepath.Join(dir, generation, "gateway.yaml"), content)
	}
	data, path := filepath.Join(dir, "..data"), filepath.Join(dir, "gateway.yaml")
	must(t, os.Symlink("..1", data))
	must(t, os.Symlink("..data/gateway.yaml", path))
	await := watched(t, path, true)
	for _, generation := range []string{"..2", "..3", "..1"} {
		must(t, os.Symlink(generation, data+"_tmp"))
		must(t, os.Rename(data+"_tmp", data))
		await("swap to " + generation)
	}
}

// The store, or a log file, beside gateway.yaml is written to all the time.
func TestWatchNoticesAChangeInADirectoryThatIsNeverQuiet(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gateway.yaml")
	put(t, path, "one")
	await := watchedBy(t, watcher{path: path, settle: time.Hour, patience: 50 * time.Millisecond, poll: time.Hour})
	quiet, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-quiet:
				return
			case <-time.After(time.Millisecond):
				_ = os.WriteFile(filepath.Join(dir, "access.log"), []byte("a line"), 0o600)
			}
		}
	}()
	defer func() { close(quiet); <-stopped }()
	for _, content := range []string{"two", "three"} {
		put(t, path+".new", content)
		must(t, os.Rename(path+".new", path))
		await("changed to " + content)
	}
}

func TestWatchFollowsASymlinkToAnotherDirectory(t *testing.T) {
	real, path := filepath.Join(t.TempDir(), "real.yaml"), filepath.Join(t.TempDir(), "gateway.yaml")
	put(t, real, "one")
	must(t, os.Symlink(real, path))
	await := watched(t, path, true)
	put(t, real, "two")
	await("the file behind the link was written")
}

func TestWatchWaitsForADirectoryThatIsNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	path := filepath.Join(dir, "gateway.yaml")
	await := watched(t, path, false)
	must(t, os.Mkdir(dir, 0o700))
	put(t, path, "one")
	await("the directory came")
	must(t, os.RemoveAll(dir))
	must(t, os.Mkdir(dir, 0o700))
	put(t, path, "two")
	await("the directory came again")
}

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Watch(ctx, filepath.Join(t.TempDir(), "gateway.yaml"), [sha256.Size]byte{}, func() { t.Error("told of a change") }); err != nil {
		t.Error(err)
	}
}

// A start takes its time: whoever writes the file between its being read and
// its being watched would wait for ever.
func TestWatchNoticesWhatChangedBeforeItStood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	put(t, path, "read")
	file, findings := readSource(Source{Path: path, Data: []byte("listen: 127.0.0.1:1\n")})
	if file == nil {
		t.Fatal(findings)
	}
	for name, known := range map[string][sha256.Size]byte{"written since": file.Digest, "appeared since": {}} {
		ctx, cancel := context.WithCancel(t.Context())
		told := 0
		w := watcher{path: path, settle: time.Millisecond, poll: 10 * time.Millisecond, last: known, changed: func() {
			told++
			put(t, path, name) // and once more, while it watches
			if told == 2 {
				cancel()
			}
		}}
		time.AfterFunc(10*time.Second, cancel)
		if err := w.run(ctx); err != nil || told != 2 {
			t.Errorf("%s: told %d times, %v", name, told, err)
		}
	}
	if data, err := os.ReadFile(path); err != nil || file.Digest == sha256.Sum256(data) {
		t.Errorf("the digest is not of what was read: %v", err)
	}
}
