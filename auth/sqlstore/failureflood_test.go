package sqlstore

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// TestMillionsOfKeysLeaveBoundedMemory counts failures of endless names from
// endless networks, three counters each, and measures what they leave: in the
// process, and in the file. In the long form, of make soak, they are ten
// million.
func TestMillionsOfKeysLeaveBoundedMemory(t *testing.T) {
	names, most := 2_000, 1_500 // counters, so that the short form overflows too
	if os.Getenv("POSTERN_TEST_SOAK") != "" {
		names, most = 10_000_000/3+1, maxFailures
	}
	path := filepath.Join(t.TempDir(), "postern.db")
	s := openImpatient(t, path)
	s.maxFailures = most
	flood(t, s, 2*most/3)
	before := heap()
	flood(t, s, names)
	after := heap()
	if n := rows(t, s, "failures"); n > most+3*sweepEvery {
		t.Errorf("%d counters are kept, want at most %d and those since the last sweep", n, most)
	}
	if grown := int64(after) - int64(before); grown > 8<<20 {
		t.Errorf("%d names left %d KiB in the process", names, grown>>10)
	}
	size := int64(0)
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(path + suffix); err == nil {
			size += info.Size()
		}
	}
	if limit := int64(most)*600 + 16<<20; size > limit {
		t.Errorf("the file has %d KiB, want at most %d", size>>10, limit>>10)
	}
	t.Logf("%d keys: heap %d KiB before and %d after, file %d KiB", 3*names, before>>10, after>>10, size>>10)
	if err := s.CountFailure(t.Context(), auth.Guess{Name: "alice", Network: "192.0.2.1"}, auth.FailureLimits{Pair: 5, Network: 50, Name: 500, Window: time.Hour, Duration: time.Hour}); err != nil {
		t.Error(fmt.Errorf("the next failure: %w", err))
	}
}

// heap is what is held after everything else was thrown away.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
