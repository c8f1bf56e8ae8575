package gateway

import (
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/gateway/problem"
)

// maxLoggedPath bounds what one request can write into the log.
const maxLoggedPath = 1 << 10

// account ends an exchange: one log line and one count, whatever happened. A
// panic is answered, if nothing was yet, and goes no further: one request's
// fault must not end the others'.
func (g *Gateway) account(x *exchange) {
	fault := recover()
	x.takeShortBody()
	if x.body != nil {
		x.body.release()
	}
	x.answer.finish(x.r.Context())
	x.noteTorn(fault == http.ErrAbortHandler)
	if fault != nil && fault != http.ErrAbortHandler {
		g.log.Error("panic", "request_id", x.id, "fault", fault, "stack", string(debug.Stack()))
		x.reason = reasonPanic
		fault = x.answerPanic()
	}
	ended := g.now()
	status := x.answer.status
	if x.status != 0 {
		status = x.status
	} else if status == 0 {
		status = http.StatusOK // net/http's own, for an answer without a word
	}
	if !g.unwatched {
		g.metrics.request(x, status, ended.Sub(x.start))
		g.decisions.add(x, status)
	}
	g.logRequest(x, status, ended)
	if fault != nil {
		panic(fault)
	}
	// Most answers are sent once this returns. Those that are ready together go
	// out together, see lean.Transport.Send.
	if x.snap.requests.Load() > 1 {
		runtime.Gosched()
	}
}

// noteTorn says of an answer that was torn off, or of a stream, whose doing that
// was: the gateway's, the client's, who takes nothing more or has gone, or the
// upstream's. A client that leaves an event stream has only ended it.
func (x *exchange) noteTorn(torn bool) {
	gone := x.answer.failed || x.r.Context().Err() != nil
	why := closing(0)
	if x.stream != nil {
		why = closing(x.stream.why.Load())
	}
	switch {
	case why == closingSession:
		x.reason = reasonEnded
	case why == closingDown:
		x.reason = reasonStopping
	case x.answer.stalled:
		x.reason = reasonStalled
		if x.answer.tunnel == nil {
			x.status = statusClientGone
		}
	case !torn || gone && x.stream != nil && x.stream.lasting:
	case gone:
		x.status, x.reason = statusClientGone, reasonClientGone
	case x.overdue:
		x.failure = "the timeout of the route ended the answer"
	default:
		x.failure = "the answer broke off"
	}
}

// answerPanic says that something went wrong, or where an answer is half sent,
// tears it off: it must not look whole.
func (x *exchange) answerPanic() any {
	if x.answer.status != 0 {
		return http.ErrAbortHandler
	}
	p := problem.Of(problem.Unavailable)
	p.Status = http.StatusInternalServerError
	problem.Write(&x.answer, x.r, x.forPerson(p))
	return nil
}

// logRequest writes the access log line. The query is left out: it is where
// secrets end up that belong elsewhere.
func (g *Gateway) logRequest(x *exchange, status int, ended time.Time) {
	ctx := x.r.Context()
	if !x.snap.accessLog || !g.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	user, upstream := "", ""
	if x.proven() {
		user = x.presented.Principal.Username
	}
	if x.upstreamStart != (time.Time{}) {
		upstream = x.rt.upstream.name
	}
	attrs := [19]slog.Attr{
		slog.String("request_id", x.id),
		slog.String("method", x.loggedMethod()),
		slog.String("host", x.loggedHost()),
		slog.String("path", x.loggedPath()),
		slog.String("route", x.label),
		slog.String("decision", x.decision),
		slog.String("reason", x.reason),
		slog.String("user", user),
		slog.Int("status", status),
		slog.Float64("duration_ms", milliseconds(ended.Sub(x.start))),
		slog.Int64("bytes_in", x.received()),
		slog.Int64("bytes_out", x.answer.bytes),
		slog.String("client", x.clientText()),
		slog.String("upstream", upstream),
		slog.String("trace_id", x.trace.id()),
	}
	n := len(attrs) - 4 // these four are left out where there is nothing to say
	if url := x.answeredBy(); url != "" {
		attrs[n] = slog.String("upstream_url", url)
		n++
	}
	if x.question != nil {
		attrs[n] = slog.Bool("verify", true)
		n++
	}
	if rule := x.ruledBy(); rule != "" {
		attrs[n] = slog.String("rule", rule)
		n++
	}
	if x.failure != "" {
		attrs[n] = slog.String("failure", x.failure)
		n++
	}
	if g.access != nil {
		g.writeLine(ended, attrs[:n])
		return
	}
	g.log.LogAttrs(ctx, slog.LevelInfo, "request", slices.Clone(attrs[:n])...) // a clone: else both would be on the heap
}

// received is how many bytes the client has sent, as a body or through a
// WebSocket.
func (x *exchange) received() int64 {
	switch {
	case x.answer.tunnel != nil:
		return x.answer.tunnel.up.carried()
	case x.body != nil:
		return x.body.received()
	}
	return 0
}

// answeredBy is the address, of an upstream that has several, that the request
// was last sent to.
func (x *exchange) answeredBy() string {
	if x.chosen == nil || len(x.rt.upstream.balancer.targets) < 2 {
		return ""
	}
	return x.chosen.label
}

// ruledBy is where the rule stands that refused, or that would have on a route
// that only observes; the route, where no rule of it holds. What is allowed
// needs no reason looked up, and its log line no work.
func (x *exchange) ruledBy() string {
	switch {
	case x.decision == decisionAllow:
		return ""
	case x.rule.Line > 0:
		return x.rule.String()
	case x.rt != nil:
		return x.rt.place.String()
	}
	return ""
}

// milliseconds keeps microseconds: three digits are enough to compare.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// loggedMethod is the method, cut where it was refused for its length.
func (x *exchange) loggedMethod() string { return x.r.Method[:min(len(x.r.Method), maxMethod)] }

// loggedHost is the host of the request, and nothing in the place of what is none:
// a client may have put there what belongs into another field.
func (x *exchange) loggedHost() string {
	if !validHost(x.r.Host) {
		return ""
	}
	return x.r.Host
}

// loggedPath is the path of the request, also of one that was refused before
// its path was read. What stands before the path, user:password@host, is left
// out.
func (x *exchange) loggedPath() string {
	if path := x.path.String(); path != "" {
		return path[:min(len(path), maxLoggedPath)]
	}
	target := x.r.RequestURI
	if !strings.HasPrefix(target, "/") {
		_, target, _ = splitTarget(target)
	}
	return loggedTarget(target)
}

// loggedTarget is a refused request's target without its query, cut to a
// length that a log line bears.
func loggedTarget(raw string) string {
	for i := range len(raw) {
		if raw[i] == '?' || raw[i] == '#' || i == maxLoggedPath {
			return raw[:i]
		}
	}
	return raw
}
