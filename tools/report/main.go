// Report reads what `go test -json` prints and shows a person the rest: go
// test's own line for each package, the whole output of what failed, and the
// names of what was skipped. It ends with one line of counts:
//
//	go test -json ./... | go run ./report
//
// It exits 1 when a test failed or was skipped: a test that did not run has
// proved nothing.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of test2json; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
}

// results is what the events add up to.
type results struct {
	output                  map[string][]string // by package and test, while it runs
	passed, failed, skipped int
	reasons                 []string // of the skipped
	broken                  bool     // a package failed: a build, a panic, a time-out
}

// main exits 1 when a test or a package failed, and 2 when it could not read: its
// status takes the place of go test's, which the pipe hides.
func main() {
	r := results{output: map[string][]string{}}
	if err := r.read(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
	if !r.sum(os.Stdout) {
		os.Exit(1)
	}
}

// read takes the events as they come, so that a long run shows its progress.
func (r *results) read(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // not an event: the go command's own words
			continue
		}
		r.take(e, out)
	}
	return lines.Err()
}

// take takes in one event. What a test says is kept until it is over, and shown
// only where it failed.
func (r *results) take(e event, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if e.Test == "" && e.Output != "PASS\n" {
			fmt.Fprint(out, e.Output)
		}
		r.output[key] = append(r.output[key], e.Output)
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "pass", "fail", "skip":
		r.end(e, key, out)
		delete(r.output, key)
	}
}

// end counts a test that is over. A package without a test file ends in a skip
// of its own, which is none.
func (r *results) end(e event, key string, out io.Writer) {
	switch {
	case e.Test == "":
		r.broken = r.broken || e.Action == "fail"
	case e.Action == "pass":
		r.passed++
	case e.Action == "fail":
		r.failed++
		fmt.Fprint(out, strings.Join(r.output[key], ""))
	default:
		r.skipped++
		r.reasons = append(r.reasons, key+"\n"+strings.Join(r.output[key], ""))
	}
}

// sum prints the closing lines and says whether all is well.
func (r *results) sum(out io.Writer) bool {
	for _, reason := range r.reasons {
		fmt.Fprint(out, "skipped: ", reason)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return r.passed > 0 && r.failed == 0 && r.skipped == 0 && !r.broken
}
