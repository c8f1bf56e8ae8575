// Package gateway carries requests: it asks package auth who is asking,
// package policy whether they may, and hands what is allowed on to the
// application behind, with headers that say who it is.
//
// The way of a request is Gateway.ServeHTTP, one screen long. Everything that
// the configuration can change lives in one immutable Snapshot, which a
// request picks up once; a reload builds the next Snapshot beside the running
// one and swaps it in whole, or not at all.
//
// # Why the raw request target
//
// net/http decodes the path, and replaces the Host header by the authority of
// an absolute-form target, before a handler sees either. A gateway that decides
// on the decoded path and forwards something else invites an application that
// reads the path differently. So the target is taken from
// http.Request.RequestURI, parsed once by policy.ParsePath, and forwarded byte
// for byte as it came, but for a prefix that its route takes off.
//
// # Where to look
//
// Before a request is judged: server.go and listener.go accept connections, whose
// plain requests package lean reads beside net/http; acme.go and its kin fetch
// certificates; normalise.go and requestline.go refuse what has two readings, and
// malformed.go words what net/http cannot read. While it is judged: credential.go,
// basic.go and refresh.go find out who asks; destination.go decides on the second
// address of a WebDAV request; record.go remembers decisions for the operator.
// While it is carried: outgoing.go, rewrite.go and upstream.go make the outbound
// request, identity.go and mint.go say in it who asks, balance.go, retry.go,
// health.go and check.go choose where it goes; body.go, answer.go and patience.go
// bound who may be slow, watch.go notices who has gone, and streams.go, tunnel.go
// and frames.go end what outlasts a request. After it: accesslog.go, metrics.go
// and audit.go.
//
// Beside requests, provision.go tells applications what became of accounts, from
// the outbox that package auth keeps. A configuration is judged by validate.go and
// its kin without changing anything, and becomes a Snapshot afterwards.
package gateway
