package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"time"
)

// sample is what one slice of load tells of a contender.
type sample struct {
	cost     float64 // microseconds of CPU time per request
	rate     float64 // requests per second
	p50, p99 float64 // milliseconds
}

// load is what wrk asks for, on so many connections.
type load struct {
	connections int
	paths       []string // in turn
	size        int      // an answer has at least so many bytes
	once        bool     // no token is sent twice
	// before, where there is one, readies a contender for its slice.
	before func(*contender) error
}

// paths are how many a load has, of which the requests have one after the other.
const paths = 1000

// items are four requests of users for each of the administrator.
func items() load {
	l := load{connections: 64, size: 100}
	for i := range paths {
		if i%5 == 4 {
			l.paths = append(l.paths, fmt.Sprintf("/admin/users/%d", i))
			continue
		}
		l.paths = append(l.paths, fmt.Sprintf("/app/items/%d", i))
	}
	return l
}

//go:embed load.lua
var script string

// round lets wrk ask each contender once, in a random order, and answers in the
// contenders' own. A single answer that was not good spoils it.
func (f *field) round(all []*contender, l load) ([]sample, error) {
	samples := make([]sample, len(all))
	for _, i := range rand.Perm(len(all)) {
		if l.before != nil {
			if err := l.before(all[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", all[i].name, err)
			}
		}
		var err error
		for range 3 {
			if samples[i], err = f.ask(all[i], l); !errors.Is(err, errStarved) {
				break
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", all[i].name, err)
		}
	}
	return samples, nil
}

// measure runs the rounds, and one before that does not count. They follow each
// other within seconds, each with all contenders, so that a neighbour who takes
// half of the machine for a minute takes it from all of them. It answers the
// samples of each contender, in the order of the rounds.
func (f *field) measure(all []*contender, l load) ([][]sample, error) {
	samples := make([][]sample, len(all))
	for n := range f.rounds + 1 {
		of, err := f.round(all, l)
		if err != nil {
			return nil, err
		}
		for i := range all {
			if n > 0 {
				samples[i] = append(samples[i], of[i])
			}
		}
	}
	return samples, nil
}

// ask is one slice. A contender has no other load meanwhile, and what it does by
// itself between two slices (a collection, a health check) is not counted.
func (f *field) ask(c *contender, l load) (s sample, err error) {
	list, lua := f.file("paths"), f.file("load.lua")
	if err := os.WriteFile(list, []byte(strings.Join(l.paths, "\n")+"\n"), 0o600); err != nil {
		return s, err
	}
	if err := os.WriteFile(lua, []byte(script), 0o600); err != nil {
		return s, err
	}
	seconds := fmt.Sprintf("%ds", max(1, int(f.slice/time.Second)))
	wrk := exec.Command("taskset", "-c", measuring, "wrk", "-t1", fmt.Sprintf("-c%d", l.connections), "-d"+seconds, "-s", lua, "http://"+c.address)
	wrk.Env = append(os.Environ(), "BENCH_HOST="+c.address, "BENCH_PATHS="+list, "BENCH_TOKENS="+c.tokens)
	if l.once {
		wrk.Env = append(wrk.Env, "BENCH_ONCE=1")
	}
	before, err := cpuTime(c.groups)
	if err != nil {
		return s, err
	}
	out, err := wrk.CombinedOutput()
	if err != nil {
		return s, fmt.Errorf("wrk: %w: %s", err, out)
	}
	after, err := cpuTime(c.groups)
	if err != nil {
		return s, err
	}
	return parseResult(out, after-before, l.size)
}

// errStarved is a slice in which nothing was answered, rightly or wrongly: the
// machine had no time for it. It is tried again.
var errStarved = errors.New("no request was answered in the whole slice")

// parseResult reads what load.lua prints at its end.
func parseResult(out []byte, used time.Duration, size int) (s sample, err error) {
	_, line, ok := bytes.Cut(out, []byte("RESULT "))
	var requests, took, read, wrong, broken int64
	if ok {
		_, err = fmt.Sscanf(string(line), "%d %d %d %d %d %f %f", &requests, &took, &read, &wrong, &broken, &s.p50, &s.p99)
	}
	switch {
	case ok && err == nil && requests+wrong+broken == 0:
		return s, errStarved
	case !ok || err != nil || requests == 0 || took == 0:
		return s, fmt.Errorf("wrk has no result: %s", out)
	case wrong+broken > 0:
		return s, fmt.Errorf("of %d requests %d were answered wrongly, %d not at all", requests, wrong, broken)
	case read < requests*int64(size):
		return s, fmt.Errorf("%d answers had %d bytes in all, and at least %d each were to be", requests, read, size)
	}
	s.cost = float64(used.Microseconds()) / float64(requests)
	s.rate = float64(requests) / (float64(took) / 1e6)
	s.p50, s.p99 = s.p50/1000, s.p99/1000
	return s, nil
}

// figures are one of each sample's.
func figures(samples []sample, which func(sample) float64) []float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, which(s))
	}
	return all
}

// cost is the processor time of a request, in microseconds.
func cost(s sample) float64 { return s.cost }

// rate is how many requests a second were answered.
func rate(s sample) float64 { return s.rate }

// p50 is the latency that half of the requests kept below, in milliseconds.
func p50(s sample) float64 { return s.p50 }

// p99 is the latency that all but one in a hundred kept below, in milliseconds.
func p99(s sample) float64 { return s.p99 }
