package main

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// built are the programs that the comparison starts, built once for all tests.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "postern-bench-bin")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", dir+"/", "./cmd/postern", "./bench/...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// small is a field for the small form of an experiment: one round of one second.
func small(t *testing.T, programs ...string) *field {
	t.Helper()
	if runtime.NumCPU() < 2 {
		lack(t, "a second core")
	}
	for _, program := range append(programs, "taskset") {
		if _, err := exec.LookPath(program); err != nil {
			lack(t, program)
		}
	}
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	f, err := newField(settings{bin: bin, rounds: 1, slice: time.Second, tokens: 20, idle: 20, routes: []int{10, 20}, starts: []int{10}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// lack skips a test on a machine without something, and fails it in make test.
func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("POSTERN_TEST_REQUIRE") == "all" {
		t.Fatalf("%s is missing: make setup installs it", what)
	}
	t.Skipf("%s is missing: make setup installs it", what)
}

// TestTheComparisonRuns has the peers that every machine with make setup has,
// for a second each, and asks nothing of how fast they are.
func TestTheComparisonRuns(t *testing.T) {
	t.Parallel()
	f := small(t, "haproxy", "wrk")
	all, err := f.fill([]gateway{byDefault()}, "bare", "HAProxy")
	if err != nil {
		t.Fatal(err)
	}
	samples, err := f.round(all, items())
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range samples {
		if s.rate <= 0 || s.p99 < s.p50 {
			t.Errorf("%s: %+v", all[i].name, s)
		}
	}
	r := newReport()
	of := f.compared("Requests", all, [][]sample{samples[:1], samples[1:2], samples[2:]}).sorted()
	of.plot = true
	r.Tables = append(r.Tables, of)
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	text := readFile(t, filepath.Join(dir, "README.md"))
	for _, want := range []string{"| bare |", "| HAProxy |", "| Postern, log and metrics |", "requests.svg", "CPU of HAProxy"} {
		if !strings.Contains(text, want) {
			t.Errorf("README.md lacks %q:\n%s", want, text)
		}
	}
	wellFormed(t, readFile(t, filepath.Join(dir, "requests.svg")))
}

// TestTokensThatAreSentOnceAreSentOnce lets a slice end with its tokens.
func TestTokensThatAreSentOnceAreSentOnce(t *testing.T) {
	t.Parallel()
	f := small(t, "wrk")
	all, err := f.fill(nil, "bare")
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := peerTokens(200)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.give(all[0], tokens); err != nil {
		t.Fatal(err)
	}
	l := items()
	l.once = true
	s, err := f.ask(all[0], l)
	if err != nil {
		t.Fatal(err)
	}
	if most := float64(len(tokens)); s.rate > most/0.001 {
		t.Errorf("%v requests a second of %v tokens", s.rate, most)
	}
}

// TestTheOtherExperimentsRun looks at memory, logins, routes and starts in their
// small form: a line for each contender, and no fault.
func TestTheOtherExperimentsRun(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		run  func(*field) (table, error)
		rows int
	}{
		{"memory", func(f *field) (t table, err error) {
			err = f.weigh(&t, func() ([]*contender, error) { return f.rested(byDefault()) })
			return t, err
		}, 1},
		{"pace", func(f *field) (table, error) {
			all, err := f.fill([]gateway{byDefault()}, "bare")
			if err != nil {
				return table{}, err
			}
			return f.paced(all)
		}, 2},
		{"logins", compareLogins, 2},
		{"storm", weatherStorm, 2},
		{"routes", compareRoutes, 2},
		{"starts", compareStarts, 1},
	} {
		f := small(t, "wrk")
		got, err := test.run(f)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if len(got.Rows) != test.rows {
			t.Errorf("%s has %d rows, want %d: %+v", test.name, len(got.Rows), test.rows, got.Rows)
		}
	}
}

// TestAContenderThatCannotStartSaysWhy shows what the process wrote.
func TestAContenderThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	f := small(t)
	g := byDefault()
	g.algorithm = "none"
	_, err := f.run(g)
	if err == nil || !strings.Contains(err.Error(), "algorithm") {
		t.Errorf("%v, want what postern said of the algorithm", err)
	}
}

// TestWhatIsInterruptedLeavesNothing: no process, no file.
func TestWhatIsInterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	f := small(t)
	ctx, interrupt := context.WithCancel(t.Context())
	var pid int
	var dir string
	_, err := conduct(ctx, f.settings, experiment{"example", func(f *field) (table, error) {
		all, err := f.enter("bare")
		if err != nil {
			return table{}, err
		}
		pid, dir = all[0].groups[0], f.dir
		interrupt()
		return table{}, f.last().Wait() // until it is killed
	}})
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("%v, want that bare was killed", err)
	}
	if _, err := cpuTime([]int{pid}); err == nil {
		t.Error("bare still runs")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v, want that it is gone", dir, err)
	}
}

// TestNoExperimentIsNoReport keeps the written figures when only some
// are asked for.
func TestNoExperimentIsNoReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run(t.Context(), settings{out: dir, only: []string{"nothing"}}); err != nil {
		t.Fatal(err)
	}
	if found, err := os.ReadDir(dir); err != nil || len(found) > 0 {
		t.Errorf("%v, %v: want nothing written", found, err)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wellFormed reads XML to its end.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
	}
}
