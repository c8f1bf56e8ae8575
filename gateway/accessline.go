package gateway

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strconv"
	"time"
)

// lineRoom is what an access log line takes at most, nearly always.
const lineRoom = 1 << 10

// writeLine writes the access log line of one request as JSON, byte for byte as
// slog.JSONHandler would, at a fifth of the cost: a request has one such line,
// and slog would copy its attributes, look at their types by reflection and
// lock. The buffer goes back to its pool: the writer keeps nothing of it.
func (g *Gateway) writeLine(at time.Time, attrs []slog.Attr) {
	line, ok := g.lines.Get().(*[]byte)
	if !ok {
		line = new(make([]byte, 0, lineRoom))
	}
	*line = appendLine((*line)[:0], at, attrs)
	_, _ = g.access.Write(*line) // where it cannot be written is the writer's to say
	if cap(*line) <= 16*lineRoom {
		g.lines.Put(line)
	}
}

// appendLine makes the line of strings, numbers and booleans.
func appendLine(b []byte, at time.Time, attrs []slog.Attr) []byte {
	b = append(b, `{"time":"`...)
	b = at.Round(0).AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"INFO","msg":"request"`...)
	for i := range attrs {
		b = append(append(append(b, `,"`...), attrs[i].Key...), `":`...) // the keys are ours, and plain
		switch v := &attrs[i].Value; v.Kind() {
		case slog.KindInt64:
			b = strconv.AppendInt(b, v.Int64(), 10)
		case slog.KindFloat64:
			b = strconv.AppendFloat(b, v.Float64(), 'f', -1, 64)
		case slog.KindBool:
			b = strconv.AppendBool(b, v.Bool())
		default:
			b = appendJSONString(b, v.String())
		}
	}
	return append(b, "}\n"...)
}

// appendJSONString quotes a text. Nearly all texts of requests stand for
// themselves.
func appendJSONString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return appendEscaped(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// appendEscaped quotes a text that has something to escape. What HTML would
// have escaped stays: a log is no page.
func appendEscaped(b []byte, s string) []byte {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always can be
	escaped := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '\\' {
			b = append(b, escaped[i])
			continue
		}
		i++
		switch escaped[i] { // slog spells out two that encoding/json has short escapes for
		case 'b':
			b = append(b, `\u0008`...)
		case 'f':
			b = append(b, `\u000c`...)
		default:
			b = append(b, '\\', escaped[i])
		}
	}
	return b
}
