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
	// How long a rest must be for each MiB that would be given back. To take one
	// back, page by page, takes the next requests half a millisecond of processor
	// time, so that is a fortieth of any load that comes and goes, at most.
	restPerMiB = 20 * time.Millisecond
)

// heapUse is what settleAtRest looks at, in bytes.
type heapUse struct {
	allocated uint64 // ever, all in all
	spare     uint64 // could be given back: free, or dead as of the last collection
}

// settleAtRest calls settle to give back what only work needed (what a
// configuration was read into, the 19 MiB of a password's hash), each time that
// there is none any more, until ctx ends. The start was the first work. Requests
// go on meanwhile.
//
// The collector alone would do so when the heap has grown to several times its
// size, which at rest is never.
func settleAtRest(ctx context.Context, look func() heapUse, settle func()) {
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	settle()
	last, rest := look().allocated, time.Duration(0)
	for settled := last; ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-tick.C:
			now := look()
			if rest += restEvery; now.allocated-last >= restBelow {
				rest = 0
			}
			if rest > 0 && rest >= time.Duration(now.spare>>20)*restPerMiB && now.allocated-settled >= restAfter {
				settle()
				now = look()
				settled = now.allocated
			}
			last = now.allocated
		}
	}
}

// lookAtHeap asks the runtime, which stops nothing for it.
func lookAtHeap() heapUse {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	free, objects, live := s[1].Value.Uint64(), s[2].Value.Uint64(), s[3].Value.Uint64()
	return heapUse{allocated: s[0].Value.Uint64(), spare: free + objects - min(objects, live)}
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
