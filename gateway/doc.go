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
// for byte as it came.
package gateway
