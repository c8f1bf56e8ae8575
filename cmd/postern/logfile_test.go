package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
	"github.com/posternhq/postern/gateway"
)

// openTestLog opens a log in a file, with somewhere else to fall back to.
func openTestLog(t *testing.T, path string, every time.Duration) (*logFile, *transcript) {
	t.Helper()
	elsewhere := &transcript{}
	l, err := openLogFile(path, every, elsewhere, slog.New(slog.NewTextHandler(elsewhere, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, elsewhere
}

func (l *logFile) line(t *testing.T, text string) {
	t.Helper()
	if n, err := l.Write([]byte(text + "\n")); err != nil || n != len(text)+1 {
		t.Errorf("%s: %d, %v", text, n, err)
	}
}

// holds fails the test unless a file has exactly these lines.
func holds(t *testing.T, path string, lines ...string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if want := strings.Join(lines, "\n") + "\n"; err != nil || string(got) != want {
		t.Errorf("%s: %v\n%s\nwant\n%s", path, err, got, want)
	}
}

func TestALogFileIsItsOwnersAndIsAppendedTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	for _, text := range []string{"one", "two"} {
		l, _ := openTestLog(t, path, 0)
		l.line(t, text)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	holds(t, path, "one", "two")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestALogFileThatWasMovedIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "log"), filepath.Join(dir, "log.1")
	for _, every := range []time.Duration{0, time.Hour} {
		l, elsewhere := openTestLog(t, path, every)
		l.line(t, "before")
		if err := os.Rename(path, old); err != nil {
			t.Fatal(err)
		}
		if every > 0 {
			l.line(t, "between") // it has not looked yet: as every daemon, into the old one
			l.Reopen()
		}
		l.line(t, "after")
		holds(t, path, "after")
		if every > 0 {
			holds(t, old, "before", "between")
		} else {
			holds(t, old, "before")
		}
		if n := l.failures.Load(); n > 0 || elsewhere.String() != "" {
			t.Errorf("%d failures: %s", n, elsewhere)
		}
		os.Remove(path)
	}
}

// TestNoAuditLineIsLostWithoutAWord_AU01: with the directory gone the line comes
// out elsewhere, is counted, and complained of once; with it back all is well.
func TestNoAuditLineIsLostWithoutAWord_AU01(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	path := filepath.Join(dir, "audit.log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, elsewhere := openTestLog(t, path, 0)
	l.line(t, "there")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	l.line(t, "lost?")
	l.Reopen()
	l.line(t, "lost too?")
	got := elsewhere.String()
	if !strings.Contains(got, "\nlost?\n") || !strings.Contains(got, "\nlost too?\n") || strings.Count(got, "cannot be written") != 1 || l.failures.Load() != 3 {
		t.Errorf("%d failures\n%s", l.failures.Load(), got)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l.line(t, "back")
	l.line(t, "still")
	holds(t, path, "back", "still")
	if got := elsewhere.String(); strings.Count(got, "is written again") != 1 {
		t.Error(got)
	}
}

func TestAFullDiskLosesNoLine(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full here")
	}
	l, elsewhere := openTestLog(t, "/dev/full", 0)
	l.line(t, "one")
	l.line(t, "two")
	if got := elsewhere.String(); !strings.Contains(got, "\none\ntwo\n") || strings.Count(got, "no space left") != 1 || l.failures.Load() != 2 {
		t.Errorf("%d failures\n%s", l.failures.Load(), got)
	}
}

// TestALineThatWasWrittenByHalvesIsEnded so that the next is a line of its own.
func TestALineThatWasWrittenByHalvesIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, _ := openTestLog(t, path, 0)
	if _, err := l.file.WriteString("half"); err != nil {
		t.Fatal(err)
	}
	l.torn = true
	l.line(t, "whole")
	l.line(t, "whole")
	holds(t, path, "half", "whole", "whole")
}

// TestLinesThatAreWrittenAtOnceStayWhole while the file is moved away.
func TestLinesThatAreWrittenAtOnceStayWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	l, elsewhere := openTestLog(t, path, 0)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 50 {
				l.line(t, fmt.Sprintf("line %d.%d", w, i))
			}
		})
	}
	for i := range 20 {
		_ = os.Rename(path, fmt.Sprintf("%s.%d", path, i)) // gone already: it was not made anew yet
		l.Reopen()
	}
	writers.Wait()
	seen := map[string]bool{}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			seen[line] = true
		}
	}
	if len(seen) != 400 || elsewhere.String() != "" {
		t.Errorf("%d lines of 400\n%s", len(seen), elsewhere)
	}
}

func TestAPlaceThatTakesNoLogIsRefusedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if out, err := exec.Command("mkfifo", pipe).CombinedOutput(); err != nil {
		t.Skipf("no pipe can be made here: %v %s", err, out)
	}
	file := filepath.Join(dir, "good.log")
	for name, conf := range map[string]gateway.Log{
		"log.file: open the log":                    {File: filepath.Join(dir, "no", "such")},
		"log.audit_file: open the log":              {File: file, AuditFile: filepath.Join(dir, "no", "such")},
		"log.file: open the log " + dir:             {File: dir},
		"log.audit_file: open the log " + pipe:      {AuditFile: pipe},
		"it is no file; a pipe would hold up reque": {AuditFile: pipe},
	} {
		l, err := openLogs(&system{stdout: &transcript{}, stderr: &transcript{}}, conf)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: %v, %v", conf, l, err)
		}
	}
}

func TestTheLogsAreWhereTheyWereAskedFor(t *testing.T) {
	dir := t.TempDir()
	both := gateway.Log{Level: "info", Format: "text", File: filepath.Join(dir, "main"), AuditFile: filepath.Join(dir, "audit")}
	for _, test := range []struct {
		conf        gateway.Log
		main, audit string // empty: standard output
	}{
		{gateway.Log{Level: "info", Format: "text"}, "", ""},
		{gateway.Log{Level: "info", Format: "text", File: both.File}, both.File, both.File},
		{gateway.Log{Level: "info", Format: "text", AuditFile: both.AuditFile}, "", both.AuditFile},
		{both, both.File, both.AuditFile},
	} {
		var out transcript
		l, err := openLogs(&system{stdout: &out, stderr: &out}, test.conf)
		if err != nil {
			t.Fatal(err)
		}
		l.main.Info("of the main log")
		l.audit.Info("of the audit log")
		l.reopen()
		for path, text := range map[string]string{test.main: "of the main log", test.audit: "of the audit log"} {
			got := out.String()
			if path != "" {
				read, err := os.ReadFile(path)
				if err != nil {
					t.Error(err)
				}
				got = string(read)
			}
			if strings.Count(got, text) != 1 {
				t.Errorf("%+v: %q in %q", test.conf, text, got)
			}
		}
		if l.errors() != (gateway.LogErrors{}) {
			t.Errorf("%+v", l.errors())
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
		os.Remove(both.File)
		os.Remove(both.AuditFile)
	}
}

func TestLinesElsewhereAreCountedByLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var out, errs transcript
	l, err := openLogs(&system{stdout: &out, stderr: &errs}, gateway.Log{Format: "json", File: filepath.Join(dir, "main"), AuditFile: filepath.Join(dir, "audit")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	l.reopen()
	l.audit.Info("of the audit log")
	if n := l.errors(); n.Main != 3 || n.Audit != 2 { // main: its reopening, the other one's complaint, and its line
		t.Errorf("%+v\n%s", n, errs.String())
	}
	if !strings.Contains(errs.String(), "of the audit log") || out.String() != "" {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
}

// TestTheStandardStreamsAreLogsToo: in a container nothing else may be written.
func TestTheStandardStreamsAreLogsToo(t *testing.T) {
	var out, errs transcript
	l, err := openLogs(&system{stdout: &out, stderr: &errs}, gateway.Log{Format: "json", File: "/dev/stdout", AuditFile: "/dev/stderr"})
	if err != nil {
		t.Fatal(err)
	}
	l.main.Info("of the main log")
	l.audit.Info("of the audit log")
	if !strings.Contains(out.String(), "of the main log") || !strings.Contains(errs.String(), "of the audit log") || strings.Contains(out.String(), "audit") {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}

// TestAnAuditLineIsWrittenWhateverTheLevel, also before the gateway stands.
func TestAnAuditLineIsWrittenWhateverTheLevel(t *testing.T) {
	var out transcript
	l, err := openLogs(&system{stdout: &out, stderr: &out}, gateway.Log{Level: "error", Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	gateway.LogAudit(t.Context(), l.audit, auth.Event{Name: auth.EventKeyCreated, Detail: "sign:ES256 k1"})
	if !strings.Contains(out.String(), `"event":"key_created"`) {
		t.Errorf("%q", out.String())
	}
}
