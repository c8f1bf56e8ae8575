package gateway

import (
	"sync"
	"sync/atomic"
)

// The buffers that answers are copied with. A large one spares calls of the
// system, each of which costs as much as to copy some KiB. So that clients who
// take their time cannot pile them up only so many are lent at once (8 MiB), and
// the answers beyond these make do with what all others get.
const (
	copyBuffer  = 32 << 10
	largeBuffer = 128 << 10
	maxLarge    = 64
)

// bufferPool keeps them. The zero value is ready.
type bufferPool struct {
	small, large sync.Pool
	lent         atomic.Int64 // of the large ones
}

// loan is what one exchange borrows: the httputil.BufferPool of its ReverseProxy.
// Answers whose length is not known are copied with a small buffer. They may be
// streams, which keep theirs for hours and never have much at once.
type loan struct {
	pool   *bufferPool
	length int64 // of the answer, once it has begun; negative: not known
}

// Get lends a buffer.
func (l *loan) Get() []byte {
	b := l.pool
	if l.length <= copyBuffer || b.lent.Load() >= maxLarge {
		return lend[[copyBuffer]byte](&b.small)[:]
	}
	b.lent.Add(1) // some more at once are no harm
	return lend[[largeBuffer]byte](&b.large)[:]
}

// Put takes it back.
func (l *loan) Put(p []byte) {
	b := l.pool
	switch len(p) {
	case copyBuffer:
		b.small.Put((*[copyBuffer]byte)(p))
	case largeBuffer:
		b.lent.Add(-1)
		b.large.Put((*[largeBuffer]byte)(p))
	}
}

// lend takes one of a pool, or makes it.
func lend[T any](pool *sync.Pool) *T {
	if p, ok := pool.Get().(*T); ok {
		return p
	}
	return new(T)
}
