package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of CPU time in /proc: USER_HZ, which is 100 on Linux wherever
// Go runs.
const tick = 10 * time.Millisecond

// stat is what /proc/PID/stat says of a process.
type stat struct {
	group int
	used  time.Duration // by itself, and by children that it has waited for
}

// parseStat reads it. The name, in brackets, may itself have spaces and brackets.
func parseStat(text []byte) (s stat, err error) {
	end := bytes.LastIndexByte(text, ')')
	fields := bytes.Fields(text[end+1:])
	if end < 0 || len(fields) < 15 {
		return s, fmt.Errorf("no process status: %q", text)
	}
	// After the name: state 0, parent 1, group 2; utime 11, stime 12, cutime 13, cstime 14.
	if s.group, err = strconv.Atoi(string(fields[2])); err != nil {
		return s, err
	}
	for _, field := range fields[11:15] {
		ticks, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return s, err
		}
		s.used += time.Duration(ticks) * tick
	}
	return s, nil
}

// members looks through all processes: children are found by their group, whoever
// their parent is by now. They are the processes of these groups, with what each
// has used.
func members(groups []int) (map[int]time.Duration, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	found := map[int]time.Duration{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		s, err := parseStat(text)
		if err != nil {
			return nil, err
		}
		for _, group := range groups {
			if s.group == group {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file))) // digits, by the pattern
				found[pid] = s.used
			}
		}
	}
	if len(found) == 0 {
		return nil, errors.New("its processes have ended")
	}
	return found, nil
}

// cpuTime is user and system time: for a proxy the kernel's part, sockets above
// all, is most of it. It is what all processes of a contender have used.
func cpuTime(groups []int) (sum time.Duration, err error) {
	all, err := members(groups)
	for _, used := range all {
		sum += used
	}
	return sum, err
}

// memory is what all processes of a contender hold, in bytes: resident, with
// shared pages counted once for each, and proportional, where they are shared out.
func memory(groups []int) (resident, proportional int64, err error) {
	all, err := members(groups)
	if err != nil {
		return 0, 0, err
	}
	for pid := range all {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, 0, err
		}
		resident += kibibytes(text, "Rss:")
		proportional += kibibytes(text, "Pss:")
	}
	return resident, proportional, nil
}

// kibibytes reads a line of smaps_rollup, in bytes.
func kibibytes(text []byte, key string) int64 {
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == key {
			n, _ := strconv.ParseInt(string(fields[1]), 10, 64) // the kernel writes digits
			return n << 10
		}
	}
	return 0
}
