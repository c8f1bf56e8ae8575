package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// logFile is a log in a file, which may be moved away under it (logrotate), sit
// on a full disk or lose its directory. Write never answers an error and never
// loses a line without a word: what the file does not take goes to the next
// best place, is counted, and is complained of there, once for each such time.
//
// A file that was moved or removed is made anew by the next line, since a line
// in a file without a name is a lost one. Reopen does so at once.
type logFile struct {
	path     string
	every    time.Duration // how often the path is looked at; zero: before each line
	fallback io.Writer     // the next best place
	complain *slog.Logger  // writes there as well
	failures atomic.Uint64

	mu     sync.Mutex // guards the following
	file   *os.File   // nil: it could not be opened
	looked time.Time
	torn   bool // the last line in the file may lack its end
	ill    bool // the last line did not get there
}

// openLogFile opens or makes a log, for its owner alone. A place that takes no
// file is an error now, and not when the first line is lost.
func openLogFile(path string, every time.Duration, fallback io.Writer, complain *slog.Logger) (*logFile, error) {
	l := &logFile{path: path, every: every, fallback: fallback, complain: complain}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

// Write appends a line, or several that came together.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.follow()
	if err == nil {
		err = l.append(line)
	}
	if err != nil {
		l.failed(err, bytes.Count(line, []byte{'\n'}))
		return l.fallback.Write(line)
	}
	if l.ill {
		l.ill = false
		l.complain.Info("the log file is written again", "file", l.path, "lines_elsewhere", l.failures.Load())
	}
	return len(line), nil
}

// Reopen takes up the file that the path names now, or makes it.
func (l *logFile) Reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(); err != nil {
		l.failed(err, 1)
	}
}

// Close ends the use of the file.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// failed counts, and complains of the first of a row.
func (l *logFile) failed(err error, lines int) {
	l.failures.Add(uint64(lines))
	if !l.ill {
		l.ill = true
		l.complain.Error("the log file cannot be written, its lines come here until it can", "file", l.path, "error", err.Error())
	}
}

// append writes one line whole, or leaves a torn one that the next ends.
func (l *logFile) append(line []byte) error {
	if l.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := l.file.Write(line)
	l.torn = l.torn && n == 0 || err != nil && n > 0
	return err
}

// follow opens the path anew when it has another file, or none, and it is time
// to look.
func (l *logFile) follow() error {
	now := time.Now()
	if l.file != nil && l.every > 0 && now.Sub(l.looked).Abs() < l.every {
		return nil
	}
	l.looked = now
	if l.file == nil {
		return l.open()
	}
	named, err := os.Stat(l.path)
	if err == nil {
		var mine fs.FileInfo
		if mine, err = l.file.Stat(); err == nil && os.SameFile(named, mine) {
			return nil
		}
	}
	return l.open()
}

// open opens the path. On an error the file is nil: one that has lost its name
// takes lines that nobody finds.
func (l *logFile) open() error {
	if l.file != nil {
		_ = l.file.Close() // what was written is in the system's hands
		l.file = nil
	}
	if info, err := os.Stat(l.path); err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDir) != 0 {
		return fmt.Errorf("open the log %s: it is no file; a pipe would hold up requests when its reader stops", l.path)
	}
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	l.file, l.torn = file, false
	return nil
}

// closeAll closes what was opened of some.
func closeAll(files ...*logFile) error {
	var all []error
	for _, f := range files {
		if f != nil {
			all = append(all, f.Close())
		}
	}
	return errors.Join(all...)
}
