package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzAccessLine is what slog.JSONHandler writes of the same, byte for byte.
func FuzzAccessLine(f *testing.F) {
	f.Add("/a/b", "alice", int64(200), 12.345, true)
	f.Add("/\"\\\x00\x1f\n", "ü\u2028<&>\x7f", int64(-1), 0.0, false)
	f.Add("\b\\b\f\\f", "\\\b\\", int64(200), 1.5, true)
	f.Add("\xff\xfe", "\u009b", int64(1<<62), 1e-6, false)
	f.Fuzz(func(t *testing.T, path, user string, number int64, fraction float64, yes bool) {
		if fraction != 0 && (fraction < 1e-6 || fraction >= 1e15) { // durations in milliseconds, to the microsecond
			return
		}
		attrs := []slog.Attr{slog.String("path", path), slog.String("user", user), slog.Int64("status", number), slog.Float64("duration_ms", fraction), slog.Bool("verify", yes)}
		at := time.Unix(1_800_000_000, number%1e9)
		var want bytes.Buffer
		r := slog.NewRecord(at, slog.LevelInfo, "request", 0)
		r.AddAttrs(attrs...)
		must(t, slog.NewJSONHandler(&want, nil).Handle(t.Context(), r))
		if got := appendLine(nil, at, attrs); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("got  %s\nwant %s", got, want.Bytes())
		}
		if !json.Valid(want.Bytes()) {
			t.Errorf("not JSON: %s", want.Bytes())
		}
	})
}

// TestTheAccessLogMayGoPastSlog and says the same there, line by line; all else
// stays where it was.
func TestTheAccessLogMayGoPastSlog(t *testing.T) {
	s := newStack(t)
	var lines logBuffer
	ask := func() {
		s.get("/app/x?secret", bearer(s.token("alice")), "X-Request-Id: one", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").wants(t, 200, "")
	}
	ask()
	want := s.log.entries(t, "request", 1)[0]
	s.gateway.access = &lines
	ask()
	got := lines.entries(t, "request", 1)[0]
	for name, value := range want {
		switch name {
		case "time", "duration_ms":
		default:
			if got[name] != value {
				t.Errorf("%s: %v, want %v", name, got[name], value)
			}
		}
	}
	if len(got) != len(want) || len(s.log.entries(t, "request", 1)) != 1 {
		t.Errorf("%v\n%v", got, want)
	}
	if text := lines.String(); strings.Contains(text, "secret") || strings.Count(text, "\n") != 1 {
		t.Error(text)
	}
}

// TestALineIsNotTheNextOnes: the buffers of lines are used again.
func TestALineIsNotTheNextOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out logBuffer
		g := &Gateway{access: &out}
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				g.writeLine(time.Now(), []slog.Attr{slog.String("path", strings.Repeat(string(rune('a'+i%26)), 1+i*i%40000))})
			})
		}
		all.Wait()
		for line := range strings.Lines(out.String()) {
			var entry struct{ Path string }
			must(t, json.Unmarshal([]byte(line), &entry))
			if strings.Trim(entry.Path, entry.Path[:1]) != "" {
				t.Fatal(line[:100])
			}
		}
	})
}

func BenchmarkAccessLine(b *testing.B) {
	attrs := []slog.Attr{slog.String("request_id", "0123456789abcdef0123456789abcdef"), slog.String("method", "GET"), slog.String("host", "gw.test"),
		slog.String("path", "/app/items/17"), slog.String("route", "/app/**"), slog.String("decision", "allow"), slog.Int("status", 200), slog.Float64("duration_ms", 1.234)}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		g := &Gateway{access: io.Discard}
		for b.Loop() {
			g.writeLine(time.Now(), attrs)
		}
	})
	b.Run("slog", func(b *testing.B) {
		b.ReportAllocs()
		log := slog.New(slog.NewJSONHandler(io.Discard, nil))
		for b.Loop() {
			log.LogAttrs(b.Context(), slog.LevelInfo, "request", attrs...)
		}
	})
}
