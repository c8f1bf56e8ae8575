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

	queue  *logQueue // before the main log
	access io.Writer // takes the lines of requests; nil: they are text, and go to main
}

// openLogs opens them. A file that cannot be had is an error: nobody starts to
// serve without the audit log that was asked for.
func openLogs(sys *system, conf gateway.Log) (*logs, error) {
	l, fallback := &logs{}, sys.stdout
	l.begin(sys.stdout, conf)
	if w := sys.standard(conf.File); w != nil {
		fallback = w
		l.begin(w, conf)
	} else if conf.File != "" {
		file, err := openLogFile(conf.File, lookEvery, sys.stderr, newLogger(sys.stderr, conf))
		if err != nil {
			return nil, fmt.Errorf("log.file: %w", err)
		}
		fallback, l.mainFile = file, file
		l.begin(file, conf)
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

// begin makes w the main log, behind a queue.
func (l *logs) begin(w io.Writer, conf gateway.Log) {
	l.queue = newLogQueue(w)
	if isText(w, conf) {
		l.main, l.access = newTextLogger(l.queue, conf), nil
		return
	}
	l.main, l.access = newJSONLogger(l.queue, conf), gateway.LogLines(requestLines{l.queue})
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

// close writes what is queued, and closes the files, last of all parts: what
// stops before it may still log.
func (l *logs) close() error {
	_ = l.queue.flush() // what is written to says when it cannot be
	return closeAll(l.mainFile, l.auditFile)
}

// newLogger writes log lines to w: as text for a person at a terminal, as JSON
// for everything else.
func newLogger(w io.Writer, conf gateway.Log) *slog.Logger {
	if isText(w, conf) {
		return newTextLogger(w, conf)
	}
	return newJSONLogger(w, conf)
}

// isText tells whether lines to w are for a person.
func isText(w io.Writer, conf gateway.Log) bool {
	file, isFile := w.(*os.File)
	return conf.Format == "text" || conf.Format == "auto" && isFile && term.IsTerminal(int(file.Fd()))
}

// newTextLogger writes for a person; what a terminal would obey is written out.
func newTextLogger(w io.Writer, conf gateway.Log) *slog.Logger {
	return slog.New(slog.NewTextHandler(gateway.LogLines(w), &slog.HandlerOptions{Level: levelOf(conf)}))
}

// newJSONLogger writes for programs, a line for each entry.
func newJSONLogger(w io.Writer, conf gateway.Log) *slog.Logger {
	return slog.New(slog.NewJSONHandler(gateway.LogLines(w), &slog.HandlerOptions{Level: levelOf(conf)}))
}

// levelOf is the least level that is written.
func levelOf(conf gateway.Log) (level slog.Level) {
	_ = level.UnmarshalText([]byte(conf.Level)) // Validate has seen it
	return level
}
