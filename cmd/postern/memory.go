package main

import (
	"io/fs"
	"math"
	"path"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
)

// gcPercent takes the place of Go's default of 100: the heap of a gateway is
// small, and to let it grow to five times what lives costs some MiB and saves
// collections.
const gcPercent = 400

// memoryPercent is how much of a container's memory the heap and the rest of
// the program may take before the collector works harder. What is left is for
// what Go does not count.
const memoryPercent = 90

// tuneMemory sets what the collector aims at, unless the environment has said
// so in Go's own words, GOGC and GOMEMLIMIT. The limit is the container's: where
// there is none, there is none.
func tuneMemory(getenv func(string) string, root fs.FS) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit := memoryLimit(root); limit > 0 {
		debug.SetMemoryLimit(limit / 100 * memoryPercent)
	}
}

// sampleMemory keeps up the samples that a heap profile is made of where
// somebody can ask for one. Go takes them in every program which has the
// handler, asked or not: 4 % of a request.
func sampleMemory(wanted bool) {
	if !wanted {
		sampling.Lock()
		defer sampling.Unlock()
		runtime.MemProfileRate = 0
	}
}

// sampling is for processes in which two programs start at once: tests.
var sampling = new(sync.Mutex)

// memoryLimit is the least limit of the control groups that this process is in,
// in bytes; zero: there is none, or it cannot be read. In a container the own
// group is the root of what is seen, whatever its path is called.
func memoryLimit(root fs.FS) int64 {
	least := int64(math.MaxInt64)
	consider := func(file string) {
		text, err := fs.ReadFile(root, strings.TrimPrefix(file, "/"))
		if err != nil {
			return
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is none
		if err == nil && n > 0 && n < 1<<60 {                               // version 1 spells none as a number that no machine has
			least = min(least, n)
		}
	}
	groups, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		base, file := "/sys/fs/cgroup", "memory.max"
		if parts[1] != "" { // version 1
			if parts[1] != "memory" {
				continue
			}
			base, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			consider(path.Join(base, group, file))
			if group == "/" {
				break
			}
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}
