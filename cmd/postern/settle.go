package main

import (
	"bytes"
	"context"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// When the program is at rest, and has something to give back. A request takes
// some 6 KiB, so in light traffic it is given back every few minutes, as often as
// Go itself would collect.
const (
	restEvery = 500 * time.Millisecond // how often it is looked at
	restBelow = 64 << 10               // bytes allocated meanwhile, or it is not at rest
	restAfter = 16 << 20               // bytes allocated since the last time; one login takes more
)

// settleAtRest calls settle to give back what only work needed (what a
// configuration was read into, the 19 MiB of a password's hash), each time that
// there is none any more, until ctx ends. The start was the first work. allocated
// is all that was ever allocated, in bytes. Requests go on meanwhile.
//
// The collector alone would do so when the heap has grown to several times its
// size, which at rest is never.
func settleAtRest(ctx context.Context, allocated func() uint64, settle func()) {
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	settle()
	last := allocated()
	for settled := last; ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-tick.C:
			now := allocated()
			if now-last < restBelow && now-settled >= restAfter {
				settle()
				now = allocated()
				settled = now
			}
			last = now
		}
	}
}

// heapAllocated is all that was ever allocated in this process, in bytes.
func heapAllocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// mapping is a part of this process' memory, from start up to end.
type mapping struct{ start, end uintptr }

// cleanMappings are those of a file, in the text of /proc/self/smaps, that hold
// nothing but what is in the file: they cannot be written, and have no page that
// was ever written (a relocation, a debugger's breakpoint). They can be given up,
// and come back from the file where they are used again.
func cleanMappings(smaps []byte, file string) []mapping {
	var found []mapping
	var current mapping // the zero value: of another file, or one that is written
	for line := range bytes.Lines(smaps) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		if !strings.HasSuffix(fields[0], ":") { // a mapping begins: 00400000-00eed000 r-xp 00000000 fe:00 1234 /usr/bin/postern
			current = mapping{}
			if len(fields) == 6 && fields[5] == file && strings.HasPrefix(fields[1], "r-") && strings.HasSuffix(fields[1], "p") {
				current = parseMapping(fields[0])
			}
			continue
		}
		if fields[0] == "Anonymous:" && fields[1] == "0" && current.end > current.start {
			found = append(found, current)
		}
	}
	return found
}

// parseMapping reads addresses as smaps writes them, the zero value where they
// are none.
func parseMapping(text string) mapping {
	from, to, _ := strings.Cut(text, "-")
	start, err1 := strconv.ParseUint(from, 16, strconv.IntSize)
	end, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
	if err1 != nil || err2 != nil {
		return mapping{}
	}
	return mapping{uintptr(start), uintptr(end)}
}
