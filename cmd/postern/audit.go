package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/posternhq/postern/auth"
)

// logAudit writes the audit line of a command, with the keys that the
// gateway's own audit lines have.
func logAudit(ctx context.Context, log *slog.Logger, e auth.Event) {
	attrs := []slog.Attr{
		slog.String("event", e.Name), slog.String("user", e.User), slog.String("by", e.By),
		slog.String("client", ""), slog.String("request_id", ""), // nobody's: there was no request
	}
	if e.Detail != "" {
		attrs = append(attrs, slog.String("detail", e.Detail))
	}
	record := slog.NewRecord(time.Now(), slog.LevelInfo, "audit", 0)
	record.AddAttrs(attrs...)
	_ = log.Handler().Handle(ctx, record) // past the level, as the gateway's own
}
