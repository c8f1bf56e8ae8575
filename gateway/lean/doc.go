// Package lean does what net/http does, for less, with the HTTP/1.1 messages that
// leave nothing to be understood in two ways, and leaves all others to net/http. A
// Transport carries requests to one address, and a Server answers those of a
// connection.
//
// # Transport
//
// http.Transport keeps two goroutines for each connection, and hands every
// request and answer from one to the next. Here the goroutine that asks writes
// the request, reads the answer and puts the connection back. What it gives up
// for that are requests that need both directions at once: with a body that is
// long or of unknown length, an upgrade, an Expect. Those, and whatever else is
// not plain, go to http.Transport, which is always there beside it.
//
// Plain answers are read here, and FuzzPlainAnswer holds that http.ReadResponse
// makes the same of them, which reads all others.
//
// # Server
//
// http.Server has another goroutine read beside each handler, looks at the clock
// and at its locks around it, and makes every request ready for what few have: a
// body, an upgrade, HTTP/1.0. A Server answers plain requests within the Read in
// which the http.Server waits for the next one; see ServerConn. FuzzPlainRequest
// and FuzzReply hold that both make the same of them, and FuzzConversation that it
// makes no difference for what comes before and after, however it is cut.
//
// # No answer reaches another request
//
// A connection carries one request at a time, and is used again only when
// nothing on it is in doubt:
//
//   - the request was written whole, and the answer read to its end;
//   - the answer is of HTTP/1.1, does not ask to close, and its length is given
//     in one way;
//   - no byte was left after it, neither in the buffer then nor in the socket
//     right before the next request is written;
//   - nobody has cancelled the request while it was under way.
//
// Everything else closes it.
package lean
