package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
)

// hashes is how many argon2id hashes, as Postern makes them, one core does in a
// second, with nothing around them.
func hashes(during time.Duration) float64 {
	n := 0
	began := time.Now()
	for ; time.Since(began) < during; n++ {
		argon2.IDKey([]byte(password), []byte("0123456789abcdef"), 2, 19456, 1, 32)
	}
	return float64(n) / time.Since(began).Seconds()
}

// clients are how many log in at once. More than lockout.attempts (5) with one
// name are refused: a guess that is under way counts as one that failed.
const clients = 4

// compareLogins has logins against bare hashes, in turn. What a login costs beside
// its hash (HTTP, the throttle, a session in the store) is what is missing to 1.
func compareLogins(f *field) (t table, err error) {
	t = table{Title: "Logins", Head: []string{"", "a second", "of argon2id alone"}, Text: "One core, max_concurrent: 1, four clients who log in again and again, " +
		"against a loop of the same hash (argon2id, 19 MiB, t=2, p=1) and nothing else."}
	g := byDefault()
	g.hashes = 1
	all, err := f.run(g)
	if err != nil {
		return t, err
	}
	var raw, logins []float64
	during := max(f.slice, time.Second)
	for range f.rounds {
		out, err := exec.Command("taskset", "-c", measured, "env", "GOMAXPROCS=1", f.program("compare"), "-raw", during.String()).Output()
		if err != nil {
			return t, err
		}
		hashed, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			return t, err
		}
		began := time.Now()
		n, err := floodFor(all[0].address, clients, during)
		if err != nil {
			return t, err
		}
		raw, logins = append(raw, hashed), append(logins, float64(n)/time.Since(began).Seconds())
	}
	t.add("argon2id alone", fmt.Sprintf("%.1f", median(raw)), "1.00")
	t.add(g.name, fmt.Sprintf("%.1f", median(logins)), spread(ratios(logins, raw)))
	return t, nil
}

// floodFor has workers log in for a while; those under way are waited for, and
// count.
func floodFor(address string, workers int, during time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), during)
	defer cancel()
	return flood(ctx, address, workers)
}

// weatherStorm looks at those who are logged in while many log in. One core is
// always busy with a hash then, and with as many hashes at once as there are
// cores, nobody else would get a turn.
func weatherStorm(f *field) (t table, err error) {
	t = table{Title: "A storm of logins", Head: []string{"", "p50 ms", "p99 ms", "logins/s"}, Text: "Postern has both cores and its default max_concurrent, " +
		"one less than the cores; four clients log in again and again, and one who is logged in asks for something every 5 ms."}
	g := byDefault()
	g.cores = both
	all, err := f.run(g)
	if err != nil {
		return t, err
	}
	c := all[0]
	during := 2 * max(f.slice, time.Second)
	calm, err := probe(c, c.tried.admin, during)
	if err != nil {
		return t, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	type outcome struct {
		n   int
		err error
	}
	done := make(chan outcome, 1)
	began := time.Now()
	go func() {
		n, err := flood(ctx, c.address, clients)
		done <- outcome{n, err}
	}()
	stormy, err := probe(c, c.tried.admin, during)
	cancel()
	o := <-done
	if err := errors.Join(err, o.err); err != nil {
		return t, err
	}
	for _, line := range []struct {
		when  string
		took  []float64
		count float64
	}{{"calm", calm, 0}, {"storm", stormy, float64(o.n) / time.Since(began).Seconds()}} {
		t.add(line.when, fmt.Sprintf("%.2f", median(line.took)), fmt.Sprintf("%.2f", quantile(line.took, .99)), fmt.Sprintf("%.1f", line.count))
	}
	return t, nil
}

var rotations = regexp.MustCompile(`([0-9.]+) rotations/s`)

// compareRefreshes has refreshes over HTTP against rotations in the store alone,
// in turn. GOMAXPROCS matters by itself: a commit waits for the disk in a system
// call, and with 1 nobody else runs meanwhile, to join the next group.
func compareRefreshes(f *field) (t table, err error) {
	t = table{Title: "Refreshes", Head: []string{"", "cores", "GOMAXPROCS", "a second", "of the store alone"}, Text: "64 sessions that are refreshed again and again, each durable " +
		"(SQLite, synchronous=FULL) before it is answered; the store alone is its own benchmark, BenchmarkRotate with 64 workers. " +
		"With two cores the clients have the second one as well."}
	for _, on := range []struct {
		cores string
		procs int
	}{{measured, 1}, {measured, 2}, {both, 2}} {
		g := byDefault()
		g.cores, g.procs = on.cores, on.procs
		g.name = fmt.Sprintf("Postern on %s with %d", on.cores, on.procs) // a store of its own
		all, err := f.run(g)
		if err != nil {
			return t, err
		}
		if err := all[0].begin(64); err != nil {
			return t, err
		}
		var raw, rates []float64
		for range f.rounds {
			alone, err := f.rotate(on.cores, on.procs)
			if err != nil {
				return t, err
			}
			began := time.Now()
			tokens, err := all[0].mint(int(alone * f.slice.Seconds() / 2))
			if err != nil {
				return t, err
			}
			raw, rates = append(raw, alone), append(rates, float64(len(tokens))/time.Since(began).Seconds())
		}
		n, procs := strconv.Itoa(len(strings.Split(on.cores, ","))), strconv.Itoa(on.procs)
		t.add("the store alone", n, procs, fmt.Sprintf("%.0f", median(raw)), "1.00")
		t.add(byDefault().name, n, procs, fmt.Sprintf("%.0f", median(rates)), spread(ratios(rates, raw)))
		f.end(1)
	}
	return t, nil
}

// rotate is how many rotations a second the store does alone: its own benchmark,
// in a process of its own, since only cmd may open a store outside its package.
func (f *field) rotate(cores string, procs int) (float64, error) {
	cmd := exec.Command("taskset", "-c", cores, f.program("sqlstore.test"), "-test.run", "^$", "-test.bench", "^BenchmarkRotate$/^group$/^workers=64$", "-test.benchtime", f.slice.String(),
		"-test.cpu", strconv.Itoa(procs))
	cmd.Dir = f.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("the store's benchmark: %w: %s", err, out)
	}
	return parseRotations(out)
}

// parseRotations reads what a benchmark prints of itself.
func parseRotations(out []byte) (float64, error) {
	m := rotations.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("the store's benchmark has no result: %s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
