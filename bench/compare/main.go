// Package main is the comparison of Postern with other proxies that do the same
// work: it starts them all on one core, makes sure that they do it, lets wrk
// ask them in short slices, in turn and in a random order, and writes tables and
// a plot of what a request costs. Only what ran within the same seconds can be
// compared on a machine with neighbours, so all figures that matter are ratios,
// round by round.
//
//	taskset -c 1 compare [-bin DIR] [-out DIR] [-rounds 7] [-slice 2s] [-only main,large,...]
//
// wrk, the application and this program have the second core; what is measured
// has the first, with GOMAXPROCS=1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// main reads the plan from the flags and carries it out. With -raw it only
// hashes, as a process of its own: what a gateway's core could do if it did
// nothing else.
func main() {
	s := settings{tokens: 1000, idle: 5000, routes: []int{10, 10_000, 100_000}, starts: []int{100, 10_000, 100_000}}
	flag.StringVar(&s.bin, "bin", "bin", "where postern, bare, upstream, verifier and sqlstore.test are")
	flag.StringVar(&s.out, "out", "bench", "where README.md and the plot are written")
	flag.IntVar(&s.rounds, "rounds", 7, "how often each is measured")
	flag.DurationVar(&s.slice, "slice", 2*time.Second, "how long, each time")
	only := flag.String("only", "", "the experiments, by name; empty: all, and written to -out")
	raw := flag.Duration("raw", 0, "hash passwords for so long, print how many a second, and do nothing else")
	flag.Parse()
	if *raw > 0 {
		fmt.Println(hashes(*raw))
		return
	}
	if *only != "" {
		s.only = strings.Split(*only, ",")
	}
	// Interrupted, it takes what it started along: those processes are in groups of
	// their own, which a terminal does not reach.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		stop()
		log.Fatal("compare: ", err)
	}
}

// settings are what the command line says.
type settings struct {
	bin, out string
	rounds   int
	slice    time.Duration
	only     []string
	// How many tokens the load has in turn, how many idle connections, how many routes to compare, and to start with.
	tokens, idle   int
	routes, starts []int
}

// An experiment answers one question with one table.
type experiment struct {
	name string
	run  func(*field) (table, error)
}

// experiments are all of them, in the order of the report.
func experiments() []experiment {
	return []experiment{
		{"main", compareRequests}, {"pace", comparePaces}, {"cold", compareCold}, {"large", compareLarge}, {"routes", compareRoutes},
		{"memory", compareMemory}, {"transfers", compareTransfers}, {"logins", compareLogins}, {"storm", weatherStorm}, {"refreshes", compareRefreshes}, {"start", compareStarts},
	}
}

// run makes the experiments that are asked for. The report is written when that
// is all of them, so that it is always of one run.
func run(ctx context.Context, s settings) error {
	bin, err := filepath.Abs(s.bin)
	if err != nil {
		return err
	}
	s.bin = bin
	r := newReport()
	for _, e := range experiments() {
		if len(s.only) > 0 && !slices.Contains(s.only, e.name) {
			continue
		}
		t, err := conduct(ctx, s, e)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		r.Tables = append(r.Tables, t)
		fmt.Println(t.markdown())
	}
	if len(s.only) > 0 {
		return nil
	}
	return r.write(s.out)
}

// conduct makes one experiment in a field of its own: what one leaves behind (a
// file in the page cache, a thread that grew its stack) is not the next one's. When
// ctx ends everything that runs is killed, and the experiment fails by that.
func conduct(ctx context.Context, s settings, e experiment) (t table, err error) {
	f, err := newField(s)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	defer context.AfterFunc(ctx, f.kill)()
	before := loadAverage()
	t, err = e.run(f)
	t.Name, t.Load = e.name, before+" before, "+loadAverage()+" after"
	return t, err
}

// loadAverage is the machine's of the last minute, with the measured work in it.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
