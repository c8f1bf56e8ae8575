package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"
	"unicode"

	"github.com/posternhq/postern/auth"
)

// nasty are what a client may send to write a line of its own into a log, to
// colour or clear the terminal that shows it, or to turn its text around.
var nasty = []string{
	"a\nmsg=audit event=login", "a\r\n{\"msg\":\"audit\"}", "\x1b[2J\x1b[31mred", "\xc2\x9b31mred", "bell\x07", "back\x08space", "nul\x00",
	"quote\" msg=\"audit", "equals=x", "\xff\xfe", "del\x7f", "\xe2\x80\xaeesrever", "\xe2\x80\xa8line",
}

// logsInto gives the stack a log of its own, in a format.
func (s *stack) logsInto(format string) *bytes.Buffer {
	var b bytes.Buffer
	if format == "text" {
		s.gateway.log = slog.New(slog.NewTextHandler(LogLines(&b), nil))
	} else {
		s.gateway.log = slog.New(slog.NewJSONHandler(LogLines(&b), nil))
	}
	s.gateway.auditLog = s.gateway.log
	return &b
}

// TestNothingThatIsSentBreaksOutOfALogLine, in either format.
func TestNothingThatIsSentBreaksOutOfALogLine_LI01(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		s := newStack(t)
		b := s.logsInto(format)
		want := 0
		for _, text := range nasty {
			s.gateway.Audit(t.Context(), auth.Event{Name: "login_failed", User: text, Detail: text, Client: auth.Client{RequestID: "r"}})
			want++
			if strings.ContainsAny(text, "\r\n") {
				continue // ends the line of the request: another request's, not ours
			}
			for _, request := range []string{
				"GET /public/" + text + " HTTP/1.1\r\nHost: gw.test\r\n",
				"GET /public/x HTTP/1.1\r\nHost: " + text + "\r\n",
				"GET /public/x HTTP/1.1\r\nHost: gw.test\r\nX-Request-Id: " + text + "\r\nUser-Agent: " + text + "\r\nTraceparent: " + text + "\r\nX-Forwarded-For: " + text + "\r\n",
				"X" + text + " /public/x HTTP/1.1\r\nHost: gw.test\r\n",
			} {
				conn := s.dial()
				_, err := io.WriteString(conn, request+"Connection: close\r\n\r\n")
				must(t, err)
				_, _ = io.ReadAll(conn) // most are refused, some by net/http itself
				conn.Close()
			}
		}
		must(t, s.server.Shutdown(t.Context())) // all lines are written
		audits := 0
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			for _, r := range line {
				if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == unicode.ReplacementChar && format == "text" {
					t.Fatalf("%s: %U is in a line: %q", format, r, line)
				}
			}
			if format == "json" {
				var entry map[string]any
				if err := json.Unmarshal([]byte(line), &entry); err != nil {
					t.Fatalf("%v: %q", err, line)
				}
				if entry["msg"] == "audit" {
					audits++
				}
			} else if strings.Contains(line, " msg=audit event=login_failed ") && strings.HasPrefix(line, "time=") {
				audits++
			}
		}
		if audits != want {
			t.Errorf("%s: %d audit lines, want %d\n%s", format, audits, want, b)
		}
	}
}

func TestTheAccessLogCanBeTurnedOff(t *testing.T) {
	s := newStack(t, func(c *setup) { c.gateway.Log.Access = false })
	s.get("/public/x").wants(t, 200, "")
	s.get("/nowhere").wants(t, 404, "no_route")
	s.gateway.Audit(t.Context(), auth.Event{Name: "login"})
	if text := s.log.String(); strings.Contains(text, `"msg":"request"`) || !strings.Contains(text, `"msg":"audit"`) {
		t.Error(text)
	}
	s.counts(`postern_requests_total{code="404",decision="deny",reason="no_route",route="none"} 1`)
}

func TestTheAuditLogMayBeAnother(t *testing.T) {
	s := newStack(t)
	var main, audit bytes.Buffer
	g := New(Options{Auth: s.service, Log: slog.New(slog.NewJSONHandler(&main, nil)), Audit: slog.New(slog.NewJSONHandler(&audit, nil))})
	g.Audit(t.Context(), auth.Event{Name: "login"})
	if main.Len() > 0 || !strings.Contains(audit.String(), `"event":"login"`) {
		t.Errorf("%s, %s", &main, &audit)
	}
}

func TestALogLineKeepsWhatPeopleWrite(t *testing.T) {
	for text, want := range map[string]string{
		"plain\n":            "plain\n",
		"Jürgen 山田 😀\n":      "Jürgen 山田 😀\n",
		"a\x7fb\n":           `a\u007fb` + "\n",
		"a\u009bb\u202eb\n":  `a\u009bb\u202eb` + "\n",
		"\u2028\u2029\u2066": `\u2028\u2029\u2066`,
		"\xff\xc3":           `\ufffd\ufffd`,
		"":                   "",
	} {
		var b bytes.Buffer
		if n, err := LogLines(&b).Write([]byte(text)); err != nil || n != len(text) || b.String() != want {
			t.Errorf("%q: %q, want %q (%d, %v)", text, b.String(), want, n, err)
		}
	}
	if _, err := LogLines(brokenWriter{}).Write([]byte("\x7f")); err == nil {
		t.Error("an error was swallowed")
	}
}

// brokenWriter takes nothing.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func BenchmarkLogLine(b *testing.B) {
	line := bytes.Repeat([]byte("x"), 400)
	w := LogLines(io.Discard)
	for b.Loop() {
		_, _ = w.Write(line)
	}
}

func TestOneByteDecidesWhetherALineIsPlain(t *testing.T) {
	for n := range 20 {
		for at := range n {
			line := bytes.Repeat([]byte("a"), n)
			for b := range 256 {
				line[at] = byte(b)
				if got := isBelowDEL(line); got != (b < 0x7f) {
					t.Fatalf("%d of %d bytes is %#x: %t", at, n, b, got)
				}
			}
		}
	}
}
