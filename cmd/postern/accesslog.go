package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"

	"github.com/posternhq/postern/policy"
)

// maxLogLine bounds one line of an access log. A longer one is skipped.
const maxLogLine = 1 << 20

// accessLog reads the requests of an access log: Postern's own, as JSON or as
// text, or the combined format of Apache, nginx and many others.
type accessLog struct {
	lines, requests int
	err             error // why reading ended early
}

// read yields the requests one by one: a log is longer than memory is wide.
// Lines that are no request, and requests for the gateway's own endpoints, are
// counted and left out.
func (l *accessLog) read(r io.Reader) iter.Seq[policy.Observed] {
	return func(yield func(policy.Observed) bool) {
		reader := bufio.NewReaderSize(r, maxLogLine)
		for cut := false; ; {
			line, err := reader.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				cut = true // its end is no line of its own
				continue
			}
			if !l.take(string(line), cut, yield) || errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				l.err = err
				return
			}
			cut = false
		}
	}
}

// take counts a line, and yields the request that it is. It answers false when
// no more are wanted.
func (l *accessLog) take(line string, cut bool, yield func(policy.Observed) bool) bool {
	if line == "" && !cut {
		return true
	}
	l.lines++
	if cut {
		return true
	}
	o, ok := parseLogLine(strings.TrimSpace(line))
	if !ok {
		return true
	}
	l.requests++
	return yield(o)
}

// logLine is what an access log line of Postern says of a request.
type logLine struct {
	Msg      string `json:"msg"`
	Method   string `json:"method"`
	Host     string `json:"host"`
	Path     string `json:"path"`
	Route    string `json:"route"`
	Decision string `json:"decision"`
	User     string `json:"user"`
	Client   string `json:"client"`
	Status   int    `json:"status"`
}

// ownRoute is the label of the gateway's own endpoints, which need no route.
const ownRoute = "gateway"

// parseLogLine reads a line of any format that there is, told by how it begins.
// ok is false for what is no request, for the gateway's own endpoints, and for
// paths that no route could have: a log holds what attackers sent, too.
func parseLogLine(line string) (policy.Observed, bool) {
	var l logLine
	switch {
	case strings.HasPrefix(line, "{"):
		if json.Unmarshal([]byte(line), &l) != nil {
			return policy.Observed{}, false
		}
	case strings.HasPrefix(line, "time="):
		l = parseTextLine(line)
	default:
		return parseCombinedLine(line)
	}
	if l.Msg != "request" || l.Route == ownRoute || !strings.HasPrefix(l.Path, "/") {
		return policy.Observed{}, false
	}
	return policy.Observed{Host: l.Host, Method: l.Method, Path: l.Path, User: l.User, Client: l.Client, Decision: l.Decision, Status: l.Status}, true
}

// parseTextLine reads slog's text format: key=value, the value in Go's quotes
// where it needs any.
func parseTextLine(line string) (l logLine) {
	for line != "" {
		key, rest, ok := strings.Cut(line, "=")
		if !ok {
			return logLine{}
		}
		value, after, _ := strings.Cut(rest, " ")
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			value, _ = strconv.Unquote(quoted)
			after = strings.TrimPrefix(rest[len(quoted):], " ")
		}
		l.set(key, value)
		line = after
	}
	return l
}

// set takes one key of the text format; it passes over those that a lesson does
// not need.
func (l *logLine) set(key, value string) {
	switch key {
	case "msg":
		l.Msg = value
	case "method":
		l.Method = value
	case "host":
		l.Host = value
	case "path":
		l.Path = value
	case "route":
		l.Route = value
	case "decision":
		l.Decision = value
	case "user":
		l.User = value
	case "client":
		l.Client = value
	case "status":
		l.Status, _ = strconv.Atoi(value) // 0: not known
	}
}

// combined is CLIENT IDENT USER [TIME] "METHOD TARGET HTTP/x" STATUS.
var combined = regexp.MustCompile(`^(\S+) \S+ (\S+) \[[^\]]*\] "([A-Z]+) (/[^ "?]*)[^"]*" (\d{3})\b`)

// parseCombinedLine reads the combined log format. It has no host, and its user
// is that of HTTP's own authentication.
func parseCombinedLine(line string) (policy.Observed, bool) {
	m := combined.FindStringSubmatch(line)
	if m == nil {
		return policy.Observed{}, false
	}
	user := m[2]
	if user == "-" {
		user = ""
	}
	status, _ := strconv.Atoi(m[5])
	return policy.Observed{Method: m[3], Path: m[4], Client: m[1], User: user, Status: status}, true
}
