package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/posternhq/postern/gateway"
)

// lookEvery is how often the main log looks whether its file still has its
// name: a line is written for each request, and looking takes a system call.
// The audit log looks before each line.
const lookEvery = time.Second

// logs are where a serving gateway writes: the main log, to standard output or
// log.file, and the audit log, with it or in log.audit_file.
type logs struct {
	main, audit         *slog.Logger
	mainFile, auditFile *logFile // nil: there is none
}

// openLogs opens them. A file that cannot be had is an error: nobody starts to
// serve without the audit log that was asked for.
func openLogs(sys *system, conf gateway.Log) (*logs, error) {
	l := &logs{main: newLogger(sys.stdout, conf)}
	fallback := sys.stdout
	if w := sys.standard(conf.File); w != nil {
		fallback, l.main = w, newLogger(w, conf)
	} else if conf.File != "" {
		file, err := openLogFile(conf.File, lookEvery, sys.stderr, newLogger(sys.stderr, conf))
		if err != nil {
			return nil, fmt.Errorf("log.file: %w", err)
		}
		fallback, l.mainFile, l.main = file, file, newLogger(file, conf)
	}
	l.audit = l.main
	if w := sys.standard(conf.AuditFile); w != nil {
		l.audit = newLogger(w, conf)
	} else if conf.AuditFile != "" {
		file, err := openLogFile(conf.AuditFile, 0, fallback, l.main)
		if err != nil {
			_ = l.close() // the other error is the one to tell
			return nil, fmt.Errorf("log.audit_file: %w", err)
		}
		l.auditFile, l.audit = file, newLogger(file, conf)
	}
	return l, nil
}

// standard is what /dev/stdout and /dev/stderr name: in a container they are
// pipes, which no log file may be, and need no opening. Other paths are nil.
func (sys *system) standard(path string) io.Writer {
	switch path {
	case "/dev/stdout":
		return sys.stdout
	case "/dev/stderr":
		return sys.stderr
	}
	return nil
}

// reopen takes up files that were moved away.
func (l *logs) reopen() {
	for _, f := range []*logFile{l.mainFile, l.auditFile} {
		if f != nil {
			f.Reopen()
		}
	}
}

// errors are the lines that are not where they belong.
func (l *logs) errors() gateway.LogErrors {
	var n gateway.LogErrors
	if l.mainFile != nil {
		n.Main = l.mainFile.failures.Load()
	}
	if l.auditFile != nil {
		n.Audit = l.auditFile.failures.Load()
	}
	return n
}

func (l *logs) close() error { return closeAll(l.mainFile, l.auditFile) }

// newLogger writes log lines to w: as text for a person at a terminal, as JSON
// for everything else.
func newLogger(w io.Writer, conf gateway.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(conf.Level)) // Validate has seen it
	options := &slog.HandlerOptions{Level: level}
	file, isFile := w.(*os.File)
	onTerminal := isFile && term.IsTerminal(int(file.Fd()))
	if conf.Format == "text" || conf.Format == "auto" && onTerminal {
		return slog.New(slog.NewTextHandler(gateway.LogLines(w), options))
	}
	return slog.New(slog.NewJSONHandler(gateway.LogLines(w), options))
}
