package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

func TestTheLimitOfMemoryIsThatOfTheContainer(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no control groups", nil, 0},
		{"a container that sees itself as the root", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 256 << 20},
		{"no limit", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		{"a group within groups, the least of them", map[string]string{"proc/self/cgroup": "0::/a/b/c\n", "sys/fs/cgroup/a/memory.max": "1000\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/c/memory.max": "2000\n"}, 1000},
		{"a path of the host, seen from within", map[string]string{"proc/self/cgroup": "0::/system.slice/docker-1.scope\n", "sys/fs/cgroup/memory.max": "3000"}, 3000},
		{"version 1", map[string]string{"proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/1\n", "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "4000",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, 4000},
		{"version 1 without a limit", map[string]string{"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, 0},
		{"nonsense", map[string]string{"proc/self/cgroup": "what\n0::../../..\n", "sys/fs/cgroup/memory.max": "-5"}, 0},
	} {
		root := fstest.MapFS{}
		for name, text := range test.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryLimit(root); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestWhatTheEnvironmentSaysOfMemoryCounts(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	defer func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) }()
	root := fstest.MapFS{"proc/self/cgroup": {Data: []byte("0::/\n")}, "sys/fs/cgroup/memory.max": {Data: []byte("1000000000")}}
	for _, test := range []struct {
		environment map[string]string
		percent     int
		limit       int64
	}{
		{map[string]string{"GOGC": "150", "GOMEMLIMIT": "off"}, 100, math.MaxInt64}, // the runtime has read them itself
		{map[string]string{"GOMEMLIMIT": "1GiB"}, gcPercent, math.MaxInt64},
		{nil, gcPercent, 900_000_000},
	} {
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
		tuneMemory(func(name string) string { return test.environment[name] }, root)
		if p, l := debug.SetGCPercent(100), debug.SetMemoryLimit(-1); p != test.percent || l != test.limit {
			t.Errorf("%v: %d percent, limit %d", test.environment, p, l)
		}
	}
}

func TestMemoryIsSampledWhereSomebodyCanAskForAProfile(t *testing.T) {
	before := runtime.MemProfileRate
	defer func() { runtime.MemProfileRate = before }()
	runtime.MemProfileRate = 512 << 10
	if sampleMemory(true); runtime.MemProfileRate != 512<<10 {
		t.Errorf("admin.pprof: a sample every %d bytes", runtime.MemProfileRate)
	}
	if sampleMemory(false); runtime.MemProfileRate != 0 {
		t.Errorf("nobody can ask: a sample every %d bytes", runtime.MemProfileRate)
	}
}
