package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"
)

// What everybody is asked, whatever it could do: a fifth of that or less, so that
// the slowest is not saturated, and enough that its collector has to run within a
// slice. On so many connections a request seldom finds all of them waiting for an
// answer.
const (
	pacedRate        = 2000 // requests a second
	pacedConnections = 32
)

// comparePaces is latency at equal load. Under as much load as it takes (the main
// table) each one's latency is that of a queue, and the faster one's is of more
// requests.
func comparePaces(f *field) (table, error) {
	all, err := f.fill([]gateway{quiet(), byDefault()}, "bare", "HAProxy")
	if err != nil {
		return table{}, err
	}
	return f.paced(all)
}

// paced compares the contenders with the first of them, in rounds like those of
// wrk: the first round does not count.
func (f *field) paced(all []*contender) (table, error) {
	t := table{
		Title: "Latency at equal load", Head: []string{"", "verifies", "p50 ms", "p99 ms", "p99 of " + all[0].name},
		Text: fmt.Sprintf("%d requests a second of everybody, each sent when it is due whether or not others are answered, on %d connections; answers of "+
			"100 bytes, 1,000 tokens in turn. Most of it is the way through the machine, twice.", pacedRate, pacedConnections),
	}
	middle, high := make([][]float64, len(all)), make([][]float64, len(all))
	for n := range f.rounds + 1 {
		for _, i := range rand.Perm(len(all)) {
			took, err := pace(all[i], pacedRate, 2*f.slice)
			if err != nil {
				return t, fmt.Errorf("%s: %w", all[i].name, err)
			}
			if n > 0 {
				middle[i], high[i] = append(middle[i], median(took)), append(high[i], quantile(took, .99))
			}
		}
	}
	for i, c := range all {
		t.add(c.name, c.auth, fmt.Sprintf("%.2f", median(middle[i])), fmt.Sprintf("%.2f", median(high[i])), spread(ratios(high[i], high[0])))
	}
	return t, nil
}

// pace asks so often a second for a while, and answers in how many milliseconds
// each request was answered. The connections take turns.
func pace(c *contender, rate int, during time.Duration) ([]float64, error) {
	text, err := os.ReadFile(c.tokens)
	if err != nil {
		return nil, err
	}
	tokens := strings.Fields(string(text))
	wires := make([]*wire, pacedConnections)
	for i := range wires {
		if wires[i], err = dial(c.address); err != nil {
			return nil, err
		}
		defer wires[i].conn.Close()
	}
	took, faults := make([]float64, int(during.Seconds()*float64(rate))), make([]error, len(wires))
	began := time.Now()
	var all sync.WaitGroup
	for i, w := range wires {
		all.Go(func() {
			for n := i; n < len(took) && faults[i] == nil; n += len(wires) {
				due := began.Add(time.Duration(n) * time.Second / time.Duration(rate))
				took[n], faults[i] = w.timed(due, tokens[n%len(tokens)])
			}
		})
	}
	all.Wait()
	return took, errors.Join(faults...)
}

// timed asks when it is due, and answers in how many milliseconds that was
// answered. A request that could not be sent then, because the one before it was
// still to be answered, has waited since: to start the clock later would hide the
// very answers that were slow. That this program wakes up late is nobody's fault.
func (w *wire) timed(due time.Time, token string) (float64, error) {
	sent := due
	if wait := time.Until(due); wait > 0 {
		time.Sleep(wait)
		sent = time.Now()
	}
	err := w.get("/app/items/1", token)
	return float64(time.Since(sent).Microseconds()) / 1000, err
}
