package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/posternhq/postern/auth"
)

// Audit writes an entry of the audit log and counts it. It is what
// auth.Options.Audit wants.
func (g *Gateway) Audit(ctx context.Context, e auth.Event) {
	g.metrics.events.WithLabelValues(e.Name).Inc()
	LogAudit(ctx, g.auditLog, e)
}

// LogAudit writes an entry of the audit log. Every entry is logged, whatever the
// level: that of the entry is for whoever reads the log and wants to be woken by
// some.
func LogAudit(ctx context.Context, log *slog.Logger, e auth.Event) {
	record := slog.NewRecord(time.Now(), auditLevel(e.Name), "audit", 0)
	record.AddAttrs(
		slog.String("event", e.Name),
		slog.String("user", e.User),
		slog.String("by", e.By),
		slog.String("client", e.Client.AddressText()),
		slog.String("request_id", e.Client.RequestID),
	)
	if e.Detail != "" {
		record.AddAttrs(slog.String("detail", e.Detail))
	}
	_ = log.Handler().Handle(ctx, record) // past the level; where it cannot be written is the writer's to say
}

// auditLevel is Warn for what somebody should look at: a stolen token, a guessed
// password, a configuration that is not in force.
func auditLevel(event string) slog.Level {
	switch event {
	case auth.EventLoginFailed, auth.EventLocked, auth.EventRefreshReused, auth.EventMigrateFailed, "reload_refused":
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
