package config

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watch calls changed whenever the content of the file has become another,
// until ctx ends. known is the digest of the content that was read last
// (File.Digest): what changed between that and the start of the watch is told
// of as well. It calls from the goroutine that it is called in, one call at a
// time, and returns nil when ctx has ended.
//
// It is not the file that is watched but its directory, and after every event
// there the content is compared: editors replace a file instead of writing to
// it, and Kubernetes swaps a symlink two levels away. A file that is missing
// or unreadable is waited for. Where the system gives no notice of changes
// (network file systems, the limit on inotify instances), the content is
// compared every few seconds.
func Watch(ctx context.Context, path string, known [sha256.Size]byte, changed func()) error {
	w := watcher{path: path, settle: 250 * time.Millisecond, patience: time.Second, poll: 5 * time.Second, changed: changed, last: known}
	return w.run(ctx)
}

// watcher is one Watch. All its work is done by the goroutine that runs it.
type watcher struct {
	path     string
	settle   time.Duration // a file is read when nothing happened for so long: editors write in steps
	patience time.Duration // but so long after the first event: a log beside it is never quiet
	poll     time.Duration // and in any case so often
	changed  func()
	started  func() // test only: the watch stands
	deaf     bool   // test only: as if the system gave no notice

	notify *fsnotify.Watcher // nil: the system has none for us
	last   [sha256.Size]byte // digest of the content that is known
}

// run watches until ctx ends. The channels of a watcher that there is none of
// are nil, and never ready.
func (w *watcher) run(ctx context.Context) error {
	var events <-chan fsnotify.Event
	var errors <-chan error
	if notify, err := fsnotify.NewWatcher(); err == nil && !w.deaf {
		defer notify.Close()
		w.notify, events, errors = notify, notify.Events, notify.Errors
	}
	w.follow()
	if w.started != nil {
		w.started()
	}
	poll := time.NewTicker(w.poll)
	defer poll.Stop()
	var since time.Time                // of the first event that nobody looked at; zero: all were
	settled := time.NewTimer(w.settle) // for what changed before the watch stood
	settle := func() {
		if since.IsZero() {
			since = time.Now()
		}
		settled.Reset(min(w.settle, w.patience-time.Since(since)))
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-events:
			settle()
		case <-errors: // events were lost
			settle()
		case <-settled.C:
			since = time.Time{}
			w.look()
		case <-poll.C:
			w.look()
		}
	}
}

// look compares the content and tells when it changed.
func (w *watcher) look() {
	w.follow()
	now, err := digest(w.path)
	if err != nil || now == w.last {
		return
	}
	w.last = now
	w.changed()
}

// follow watches the directories that a change of the file can be seen in:
// its own, and the one that it really is in, when it is a symlink. To watch a
// directory again is no error and heals a watch that was lost with it.
func (w *watcher) follow() {
	if w.notify == nil {
		return
	}
	_ = w.notify.Add(filepath.Dir(w.path)) // without it there is the poll
	if real, err := filepath.EvalSymlinks(w.path); err == nil {
		_ = w.notify.Add(filepath.Dir(real))
	}
}

// digest identifies the content of a file, however many links lead to it.
func digest(path string) ([sha256.Size]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(data), nil
}
