package main

import (
	"context"
	"log/slog"

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
	log.LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
}
