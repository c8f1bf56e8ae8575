package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsGivenBackOnceAfterWorkAndOnlyAtRest(t *testing.T) {
	type look struct {
		allocated uint64 // since the look before, in KiB
		spare     uint64 // in MiB
		settled   int64  // times, all in all
	}
	synctest.Test(t, func(t *testing.T) {
		var allocated, spare atomic.Uint64
		var settled atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			settleAtRest(ctx, func() heapUse { return heapUse{allocated.Load(), spare.Load()} }, func() { settled.Add(1) })
		}()
		synctest.Wait()
		if n := settled.Load(); n != 1 {
			t.Errorf("%d times after the start, want 1", n)
		}
		for i, l := range []look{
			{0, 0, 1}, {63, 0, 1}, // at rest, and nothing to give back
			{20 << 10, 20, 1}, {64, 20, 1}, // at work
			{63, 20, 2},          // at rest
			{0, 0, 2}, {0, 0, 2}, // still
			{20 << 10, 20, 2}, {20 << 10, 25, 2}, {0, 25, 3}, // at work for longer
			{15 << 10, 15, 3}, {0, 15, 3}, {1 << 10, 16, 3}, {0, 16, 4}, // a little, until it is worth it
			{200 << 10, 75, 4}, {0, 75, 4}, {0, 75, 4}, {0, 75, 5}, // more, for which the rest has to be longer
			{200 << 10, 75, 5}, {0, 75, 5}, {0, 75, 5}, {64, 75, 5}, {0, 75, 5}, {0, 75, 5}, {0, 75, 6}, // and in one go
		} {
			spare.Store(l.spare << 20)
			allocated.Add(l.allocated << 10)
			time.Sleep(restEvery)
			synctest.Wait()
			if n := settled.Load(); n != l.settled {
				t.Errorf("look %d: %d times, want %d", i, n, l.settled)
			}
		}
		cancel()
		<-ended
	})
}

func TestTheHeapThatWasAllocatedGrows(t *testing.T) {
	before := lookAtHeap().allocated
	kept := make([]byte, 1<<20)
	if grown := lookAtHeap().allocated - before; before == 0 || grown < uint64(len(kept)) {
		t.Errorf("%d bytes more than %d after allocating %d", grown, before, len(kept))
	}
}

// Nothing else in this process has so much to give back.
func TestWhatIsDeadOrFreeIsSpareUntilItIsGivenBack(t *testing.T) {
	const size = 256 << 20
	debug.FreeOSMemory()
	kept := make([]byte, size)
	runtime.GC()
	if n := lookAtHeap().spare; n >= size/2 {
		t.Errorf("%d bytes are spare while %d live", n, size)
	}
	runtime.KeepAlive(kept)
	runtime.GC()
	if n := lookAtHeap().spare; n < size*9/10 { // the runtime begins to give back by itself
		t.Errorf("%d bytes are spare after %d died", n, size)
	}
	debug.FreeOSMemory()
	if n := lookAtHeap().spare; n >= size/2 {
		t.Errorf("%d bytes are spare after all was given back", n)
	}
}

func TestOnlyMappingsThatNothingWasWrittenToAreGivenUp(t *testing.T) {
	const (
		text     = "00400000-00eed000 r-xp 00000000 fe:00 1234                             /usr/bin/postern\n"
		rodata   = "00eed000-01969000 r--p 00aed000 fe:00 1234                             /usr/bin/postern\n"
		written  = "01969000-01a15000 rw-p 01569000 fe:00 1234                             /usr/bin/postern\n"
		shared   = "01b00000-01c00000 r--s 00000000 fe:00 1234                             /usr/bin/postern\n"
		other    = "7f0000000000-7f0000100000 r-xp 00000000 fe:00 99                       /lib/libc.so.6\n"
		nameless = "7f0000200000-7f0000300000 r--p 00000000 00:00 0\n"
		deleted  = "00400000-00eed000 r-xp 00000000 fe:00 1234                             /usr/bin/postern (deleted)\n"
		clean    = "Size:              11188 kB\nRss:                1024 kB\nAnonymous:             0 kB\nVmFlags: rd ex mr mw me\n"
		dirty    = "Size:              11188 kB\nRss:                1024 kB\nAnonymous:             8 kB\nVmFlags: rd ex mr mw me\n"
	)
	textOf, rodataOf := mapping{0x400000, 0xeed000}, mapping{0xeed000, 0x1969000}
	for _, test := range []struct {
		name, smaps string
		want        []mapping
	}{
		{"nothing", "", nil},
		{"code and constants", text + clean + rodata + clean, []mapping{textOf, rodataOf}},
		{"constants that were relocated", text + clean + rodata + dirty, []mapping{textOf}},
		{"code with a breakpoint", text + dirty + rodata + clean, []mapping{rodataOf}},
		{"variables", written + clean, nil},
		{"shared with another process", shared + clean, nil},
		{"another file's", other + clean, nil},
		{"no file's, after one that counts", text + nameless + clean, nil},
		{"of a file that was replaced", deleted + clean, nil},
		{"a kernel that does not say", text + "Rss: 1024 kB\n", nil},
		{"no addresses", "zz-yy r-xp 00000000 fe:00 1234 /usr/bin/postern\n" + clean, nil},
		{"the wrong way round", "00eed000-00400000 r-xp 00000000 fe:00 1234 /usr/bin/postern\n" + clean, nil},
	} {
		if got := cleanMappings([]byte(test.smaps), "/usr/bin/postern"); !slices.Equal(got, test.want) {
			t.Errorf("%s: %x, want %x", test.name, got, test.want)
		}
	}
}
